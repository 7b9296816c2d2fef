"""`ev server exec`: an engine around a command, which leaves nothing behind however it ends."""

from __future__ import annotations

import os
import pathlib
import plistlib
import signal
import subprocess
import sys

import pytest

from support.command_line import MODULE, CommandLine
from support.waiting import wait_for

EV = " ".join(MODULE)


@pytest.fixture
def scratch(ev: CommandLine) -> pathlib.Path:
    """Where temporary directories go in this test: it is empty when nothing is left behind."""
    folder = ev.directory / "scratch"
    folder.mkdir()
    ev.variables["TMPDIR"] = str(folder)
    return folder


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_command_finds_the_engine_and_nothing_is_left(ev: CommandLine, scratch: pathlib.Path) -> None:
    """By variables that others know too; topics are there from the start; stdin, stdout and status are the command's."""
    script = f"cat; {EV} topic list -o tsv; {EV} produce t <<<x; {EV} consume t -e; {EV} server status -o tsv | cut -f1\n"
    script += "echo $KAFKA_BOOTSTRAP_SERVERS; exit 9"
    done = ev(
        "server", "exec", "--seed", "orders:3,users", "--seed", "t:2", "--", "bash", "-c", script, data=b"in\n", status=9, EV_CONTEXT="none"
    )
    assert done.lines[:5] == ["in", "orders\t3\t1", "t\t2\t1", "users\t1\t1", "x"]
    assert done.lines[5] == "yes"
    assert done.lines[6].startswith("127.0.0.1:")
    assert done.err == ""
    assert list(scratch.iterdir()) == []
    assert not ev.data_dir.exists()


def test_settings_of_the_engine_are_given_and_not_inherited(ev: CommandLine, scratch: pathlib.Path) -> None:
    """It is the same engine on every machine: the user's configuration does not count."""
    (ev.directory / "config.toml").write_text(
        'current = "prod"\n[server.settings]\nnum.partitions = 7\n[contexts.prod]\nbootstrap = "h:1"\n'
    )
    script = f"{EV} produce t <<<x; {EV} topic list -o tsv"
    assert ev("server", "exec", "--", "bash", "-c", script).lines == ["t\t1\t1"]
    assert ev("server", "exec", "--set", "num.partitions=4", "--", "bash", "-c", script).lines == ["t\t4\t1"]


def test_a_command_that_is_not_there_needs_no_engine(ev: CommandLine, scratch: pathlib.Path) -> None:
    """127 and 126, as in a shell; a mistake in --seed or a setting is told before anything runs."""
    assert "no such command" in ev("server", "exec", "--", "no-such-command", status=127).err
    (ev.directory / "file").write_text("")
    assert "not executable" in ev("server", "exec", "--", str(ev.directory / "file"), status=126).err
    assert "--seed" in ev("server", "exec", "--seed", "t:x", "--", "true", status=2).err
    assert "num.partitions" in ev("server", "exec", "--set", "num.partitions=many", "--", "true", status=1).err
    assert list(scratch.iterdir()) == []


def test_signals_are_passed_on(ev: CommandLine, scratch: pathlib.Path) -> None:
    """The command decides what they mean; then everything goes as always."""
    script = "trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    running = ev.start("server", "exec", "--", "bash", "-c", script)
    running.wait_for(b"ready")
    running.signal(signal.SIGUSR1)
    running.wait_for(b"usr1")
    running.signal(signal.SIGTERM)
    done = running.end()
    assert (done.status, done.out) == (5, b"ready\nusr1\nterm\n")
    assert list(scratch.iterdir()) == []


def test_ctrl_c_reaches_the_command_once(ev: CommandLine, scratch: pathlib.Path) -> None:
    """The terminal sends it to both; what the command does about it counts, and its death is ours."""
    counting = ev.terminal(
        "server",
        "exec",
        "--",
        "bash",
        "-c",
        "trap 'got=1; echo got' INT; echo ready; until [ $got ]; do sleep 0.05; done; sleep 0.3; exit 3",
    )
    counting.wait_for("ready")
    counting.type("\x03")
    counting.wait_for("got")
    assert counting.wait() == 3, counting.seen
    assert counting.seen.count("got") == 1
    counting.close()
    dying = ev.terminal("server", "exec", "--", "sleep", "60")
    wait_for(lambda: any(scratch.glob("*/engine.json")), "the engine")
    try:
        dying.type("\x03")
        assert dying.wait() == 130, dying.seen
    finally:
        dying.close()
    assert list(scratch.iterdir()) == []


CTRL_C_BEFORE_THE_COMMAND = """
import os, signal, subprocess, types
from ev_cli.actions import exec as exec_action

start = subprocess.Popen

def start_late(*words, **options):
    os.kill(os.getpid(), signal.SIGINT)
    return start(*words, **options)

def as_of_a_terminal(waited_for):
    return types.SimpleNamespace(si_signo=signal.sigwait(waited_for), si_code=0x80)

subprocess.Popen, signal.sigwaitinfo = start_late, as_of_a_terminal
print(exec_action._run(["sleep", "20"], dict(os.environ), "sleep"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells what waits for a process")
def test_ctrl_c_before_the_command_is_there_is_not_lost() -> None:
    """It comes between the moment when ev takes signals over and the start of the command, which cannot have heard it."""
    done = subprocess.run([sys.executable, "-c", CTRL_C_BEFORE_THE_COMMAND], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, str(128 + signal.SIGINT)), done.stderr


def test_who_is_killed_takes_everything_along(ev: CommandLine, scratch: pathlib.Path) -> None:
    """SIGKILL of ev itself: the engine ends cleanly, its directory is gone, and so is the command."""
    running = ev.start("server", "exec", "--", "bash", "-c", "echo $$; exec sleep 60")
    running.wait_for(b"\n")
    command = int(running.out)
    engine = int(next(scratch.glob("*/.lock")).read_text())
    assert is_alive(engine)
    os.kill(running.process.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(engine), "the end of the engine")
    wait_for(lambda: not is_alive(command), "the end of the command")
    wait_for(lambda: not any(scratch.iterdir()), "the directory to be gone")


def test_topics_may_be_seeded_in_any_engine(ev: CommandLine) -> None:
    """Started by hand or in the foreground; what is there stays as it is."""
    ev("up", "--seed", "a:2")
    ev("up", "--seed", "a:5,b")
    assert ev("topic", "list", "-o", "tsv").lines == ["a\t2\t1", "b\t1\t1"]
    ev("down")
    running = ev.start("server", "run", "--seed", "c:3")
    running.wait_for(b"listening on")
    wait_for(lambda: "c\t3\t1" in ev("topic", "list", "-o", "tsv").lines, "the topic")
    running.signal(signal.SIGTERM)
    assert running.end().status == 0


@pytest.mark.parametrize("kind", ["systemd", "launchd", "compose"])
def test_a_unit_names_the_engine_and_its_place(ev: CommandLine, kind: str) -> None:
    """On stdout alone; where it belongs is said on stderr."""
    done = ev("server", "unit", kind, "--set", "num.partitions=3", "--data-dir", str(ev.directory / "da ta%"))
    text = done.out.decode()
    assert "num.partitions=3" in text
    assert "put it in" in done.err
    assert kind == "compose" or "ev_cli" in text or "/ev" in text


def test_a_unit_of_systemd_is_one(ev: CommandLine) -> None:
    """systemd-analyze takes it, awkward paths included, and its command starts the engine."""
    text = ev("server", "unit", "systemd", "--data-dir", str(ev.directory / "da ta%"), "--listen", "127.0.0.1:0").out.decode()
    unit = ev.directory / "ev.service"
    unit.write_text(text)
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert '"' in line
    assert "da ta%%" in line
    try:
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return
    assert "ev.service" not in verified.stderr, verified.stderr


def test_a_unit_of_launchd_is_a_property_list(ev: CommandLine) -> None:
    """With the whole command."""
    service = plistlib.loads(ev("server", "unit", "launchd", "--listen", "127.0.0.1:0").out)
    arguments = service["ProgramArguments"]
    assert arguments[arguments.index("server") :][:4] == ["server", "run", "--data-dir", str(ev.data_dir)]
    assert service["KeepAlive"] == {"SuccessfulExit": False}


def test_there_are_three_kinds_of_units(ev: CommandLine) -> None:
    """Another one is a usage error that names them; so is a place where others would reach the engine."""
    assert "systemd, launchd, compose" in ev("server", "unit", "upstart", status=2).err
    assert "--insecure" in ev("server", "unit", "systemd", "--listen", "0.0.0.0:1", status=2).err
