"""The local engine as the command line sees it: started by itself, found, described, stopped, and refused."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

import ev as package
from ev.wire.messages.k03_metadata import MetadataRequest
from support.command_line import MODULE, CommandLine
from support.ports import free_ports
from support.raw_client import RawClient
from support.waiting import wait_for


def test_it_starts_by_itself_and_says_so(ev: CommandLine) -> None:
    """One line on stderr, once; the address is not said again."""
    first = ev("topic", "list")
    assert len(first.err.splitlines()) == 1
    assert f"started the local engine at {ev.address}" in first.err
    assert str(ev.data_dir) in first.err
    assert ev("topic", "list").err == ""


def test_a_setting_that_is_secret_is_on_no_command_line(ev: CommandLine) -> None:
    """Everybody may read that of a process: the daemon is given it otherwise, and has it."""
    ev("server", "start", EV_SSL_KEY_PASSWORD="hush", EV_LOG_SEGMENT_BYTES="1048576")
    shown = pathlib.Path(f"/proc/{ev.pid}/cmdline").read_bytes()
    assert b"log.segment.bytes=1048576" in shown
    assert b"ssl.key.password" in shown
    assert b"hush" not in shown
    kept = pathlib.Path(f"/proc/{ev.pid}/environ")
    assert b"=hush" in kept.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0


def test_up_and_down_may_be_said_twice(ev: CommandLine) -> None:
    """Both wait for the state they ask for; the second time they say that it is so already."""
    assert "started at" in ev("up").err
    pid = ev.pid
    assert "already runs at" in ev("server", "start").err
    assert ev.pid == pid
    assert "has ended" in ev("down").err
    stat = pathlib.Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    assert "no engine runs" in ev("server", "stop").err


def test_restart_is_another_process_on_the_same_data(ev: CommandLine) -> None:
    """What was there is there again."""
    ev("produce", "t", data=b"x\n")
    pid = ev.pid
    ev("server", "restart")
    assert ev.pid != pid
    assert ev("consume", "t", "-e").out == b"x\n"


def test_a_restart_keeps_the_address(ev: CommandLine) -> None:
    """Where any port would do, and where the place was said at the start only; another one that is said now is taken."""
    ev("up")
    address = ev.address
    ev("server", "restart")
    assert ev.address == address
    del ev.variables["EV_LISTEN"]
    ev("server", "restart")
    assert ev.address == address
    (port,) = free_ports(1)
    ev("server", "restart", "--listen", f"127.0.0.1:{port}")
    assert ev.address == f"127.0.0.1:{port}"
    ev.variables["EV_LISTEN"] = "127.0.0.1:0"


def test_a_restart_is_nothing_to_a_producer(ev: CommandLine) -> None:
    """It finds the engine where it was: everything that it is given arrives, once and in order."""
    ev("up", "--seed", "t")
    producing = ev.start("produce", "t")
    producing.send(b"before\n")
    wait_for(lambda: ev("consume", "t", "-e").out == b"before\n", "the first line")
    ev("server", "restart")
    producing.send(b"after\n")
    assert producing.end().status == 0
    assert ev("consume", "t", "-e").out == b"before\nafter\n"


def test_an_engine_of_another_version_is_used_and_said_once(ev: CommandLine) -> None:
    """With the command that renews it; after the restart there is nothing to say."""
    ev("up", "--seed", "t")
    path = ev.data_dir / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "0.0.1"}))
    first = ev("produce", "t", data=b"x\n")
    assert "0.0.1" in first.err
    assert "ev server restart" in first.err
    assert len(first.err.splitlines()) == 1
    assert ev("consume", "t", "-e").err == ""
    ev("server", "restart")
    assert ev("topic", "list").err == ""


def test_the_status_is_one_object(ev: CommandLine) -> None:
    """Exit 0 running, 6 not; asking starts nothing."""
    stopped = ev("server", "status", "--json", status=6).json
    assert stopped["running"] is False
    assert stopped["pid"] is None
    assert not ev.data_dir.exists()
    ev("up")
    running = ev("server", "status", "--json").json
    assert set(running) == {"running", "pid", "address", "data_dir", "cluster_id", "version", "started_ms", "log_file", "bytes"}
    assert (running["running"], running["pid"], running["address"]) == (True, ev.pid, ev.address)
    assert (running["data_dir"], running["version"]) == (str(ev.data_dir), package.__version__)
    assert abs(running["started_ms"] - 1000 * time.time()) < 60_000
    assert running["bytes"] > 0
    assert pathlib.Path(running["log_file"]).exists()
    assert b"running     yes" in ev("server", "status", "-o", "table").out


def test_two_engines_side_by_side(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """A data directory each is all that tells them apart, for every command."""
    ev("produce", "t", data=b"here\n")
    other = CommandLine(tmp_path / "other")
    try:
        other("produce", "t", data=b"there\n")
        assert ev("consume", "t", "-e").out == b"here\n"
        assert other("consume", "t", "-e").out == b"there\n"
        assert ev("consume", "t", "-e", "--data-dir", str(other.data_dir)).out == b"there\n"
        assert ev.address != other.address
    finally:
        other.close()


@pytest.mark.timeout(180)
def test_twenty_first_commands_at_once(ev: CommandLine) -> None:
    """One engine, twenty successes, and every line is there."""
    commands = [
        subprocess.Popen([*MODULE, "produce", "t"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ev.variables) for _ in range(20)
    ]
    said = []
    for number, command in enumerate(commands):
        assert command.stdin is not None
        command.stdin.write(b"%d\n" % number)
        command.stdin.flush()
    for command in commands:
        _, err = command.communicate(timeout=150)
        assert command.returncode == 0, err
        said.append(err.decode())
    assert sum("started the local engine" in text for text in said) == 1
    assert sorted(map(int, ev("consume", "t", "-e").out.split())) == list(range(20))


def test_it_may_be_forbidden_to_start(ev: CommandLine) -> None:
    """EV_AUTOSTART=0: exit 4 with the command that starts it."""
    done = ev("topic", "list", status=4, EV_AUTOSTART="0")
    assert "ev server start" in done.err
    ev("up")
    ev("topic", "list", EV_AUTOSTART="0")


def test_a_stale_address_is_not_believed(ev: CommandLine) -> None:
    """After a crash the file of the dead engine is still there, and somebody else may have its port."""
    ev("produce", "t", data=b"x\n")
    port = int(ev.address.rpartition(":")[2])
    os.kill(ev.pid, signal.SIGKILL)
    wait_for(lambda: ev("server", "status", "--json", status=None).status == 6, "the end of the engine")
    with socket.create_server(("127.0.0.1", port)):
        done = ev("consume", "t", "-e")
    assert done.out == b"x\n"
    assert "started the local engine" in done.err


def test_a_port_that_is_taken_is_exit_4(ev: CommandLine) -> None:
    """With who answers there, and what to do: an ev engine, something else."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        done = ev("topic", "list", status=4, EV_LISTEN=taken)
        assert taken in done.err
        assert "EV_LISTEN" in done.err
        assert len(done.err.splitlines()) == 1
    neighbour = CommandLine(ev.directory / "neighbour")
    try:
        neighbour("up")
        done = ev("produce", "t", data=b"x\n", status=4, EV_LISTEN=neighbour.address)
        assert "ev engine" in done.err
        assert f"-b {neighbour.address}" in done.err
    finally:
        neighbour.close()


def test_a_socket_py_in_the_working_directory_changes_nothing(ev: CommandLine) -> None:
    """Neither for the command nor for the daemon."""
    for name in ("socket", "json", "logging", "asyncio"):
        (ev.directory / f"{name}.py").write_text("raise SystemExit('imported from the working directory')\n")
    done = ev.shell("echo x | ev produce t && ev consume t -e")
    assert (done.status, done.out) == (0, b"x\n")


def test_the_daemon_inherits_nothing_but_what_it_needs(ev: CommandLine) -> None:
    """Its own session, / as its directory, /dev/null as its streams, no variable that is not on the list."""
    ev("up", SECRET="x", PYTHONSTARTUP="x")
    process = pathlib.Path("/proc") / str(ev.pid)
    if not process.exists():
        pytest.skip("no /proc here")
    assert os.getsid(ev.pid) not in (0, os.getsid(0))
    assert os.readlink(process / "cwd") == "/"
    assert {os.readlink(process / "fd" / number) for number in "012"} == {"/dev/null"}
    names = {entry.partition(b"=")[0].decode() for entry in (process / "environ").read_bytes().split(b"\0") if entry}
    assert not names & {"SECRET", "PYTHONSTARTUP", "EV_DATA_DIR", "EV_CONFIG"}
    assert (process / "stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())


def test_started_with_all_streams_closed(ev: CommandLine) -> None:
    """No descriptor of a segment is 0, 1 or 2, and nothing that is said lands in one."""
    done = ev.shell("ev up <&- >&- 2>&-; echo $?")
    assert done.lines == ["0"]
    ev("produce", "t", data=b"x\n")
    assert ev("consume", "t", "-e").out == b"x\n"


@pytest.mark.root
def test_another_users_directory_is_refused(ev: CommandLine) -> None:
    """Under sudo too: nothing of ours shall come to be in it."""
    ev.data_dir.mkdir()
    os.chown(ev.data_dir, 12345, 12345)
    for command in (("topic", "list"), ("up",), ("server", "status"), ("down",)):
        done = ev(*command, status=1)
        assert "12345" in done.err
    assert list(ev.data_dir.iterdir()) == []
    os.chown(ev.data_dir, 0, 0)


def test_an_engine_that_the_disk_stopped_is_not_started_in_silence(ev: CommandLine) -> None:
    """Self-start prints the cause from the log; `ev server start` does as it is told."""
    ev("up")
    log_file = pathlib.Path(ev.json("server", "status")["log_file"])
    os.kill(ev.pid, signal.SIGKILL)
    wait_for(lambda: ev("server", "status", "--json", status=None).status == 6, "the end of the engine")
    cause = "the disk failed: [Errno 5] Input/output error; nothing that waits is acknowledged, the engine ends with status 74"
    with log_file.open("a") as log:
        log.write(f"2026-11-23T01:07:47.123Z CRITICAL ev.server {cause}\n")
    done = ev("topic", "list", status=4)
    assert "Input/output error" in done.err
    assert "ev server start" in done.err
    assert len(done.err.splitlines()) == 1
    ev("server", "start")
    ev("topic", "list")


def test_settings_come_from_configuration_environment_and_flags(ev: CommandLine) -> None:
    """The later one wins; a wrong one is told, and nothing starts."""
    (ev.directory / "config.toml").write_text('[server.settings]\nnum.partitions = 3\n"log.segment.bytes" = 2097152\n')
    ev("up", "--set", "num.partitions=4", EV_LOG_SEGMENT_BYTES="3145728")
    ev("produce", "t", data=b"x\n")
    described = ev.json("topic", "describe", "t", "-a")
    assert len(described["partitions"]) == 4
    assert described["config"]["segment.bytes"] == "3145728"
    ev("down")
    done = ev("up", "--set", "num.partitions=many", status=2)
    assert "num.partitions" in done.err
    assert len(done.err.splitlines()) == 1


def test_in_the_foreground_it_logs_to_stderr_until_it_is_stopped(ev: CommandLine) -> None:
    """`ev server run` is the daemon itself; SIGTERM ends it with 0."""
    running = ev.start("server", "run")
    running.wait_for(b"listening on")
    assert ev.pid == running.process.pid
    ev("produce", "t", data=b"x\n")
    running.signal(signal.SIGTERM)
    assert running.end().status == 0
    assert ev("server", "status", status=6)


def test_an_ephemeral_engine_leaves_nothing(ev: CommandLine) -> None:
    """Its directory goes with it."""
    running = ev.start("server", "run", "--ephemeral", "--data-dir", str(ev.directory / "gone"))
    running.wait_for(b"listening on")
    assert (ev.directory / "gone").exists()
    running.signal(signal.SIGTERM)
    assert running.end().status == 0
    assert not (ev.directory / "gone").exists()


def test_the_log_is_shown_and_followed(ev: CommandLine) -> None:
    """The last lines, then what comes."""
    assert "no log" in ev("server", "logs", status=1).err
    ev("up")
    assert b"listening on" in ev("server", "logs").out
    follower = ev.start("server", "logs", "-f", "-n", "1")
    follower.wait_for(b"\n")
    ev("down")
    follower.wait_for(b"closed;")
    follower.signal(signal.SIGINT)
    assert follower.end().status == 130


def test_the_log_from_a_time_on(ev: CommandLine) -> None:
    """Over the files that were turned away, too; what has no time belongs to the line before it."""
    ev.data_dir.mkdir(0o700)
    log, older, oldest = (ev.data_dir / f"server.log{ending}" for ending in ("", ".1", ".2"))
    oldest.write_text("2026-01-01T00:00:00.000Z INFO a\n")
    os.utime(oldest, (1_767_225_600, 1_767_225_600))
    older.write_text("2026-02-01T00:00:00.000Z INFO b\n2026-03-01T00:00:00.500Z ERROR c\nTraceback\n")
    log.write_text('{"time":"2026-04-01T00:00:00.000Z","level":"INFO"}\n{"level":"WARNING"}\n2027-01-01T00:00:00.000Z INFO e\n')
    march = older.read_text().partition("\n")[2] + log.read_text()
    assert ev("server", "logs", "--since", "2026-03-01T00:00:00.500Z").out.decode() == march
    assert ev("server", "logs", "--since", "2026-02-20", "-n", "2").lines == march.splitlines()[-2:]
    assert ev("server", "logs", "--since", "2026-04-01T00:00:00.001Z").out == log.read_bytes().splitlines(keepends=True)[-1]
    assert ev("server", "logs", "--since", "2027-01-02").out == b""
    assert ev("server", "logs", "-n", "1").out == log.read_bytes().splitlines(keepends=True)[-1]
    assert "no point in time" in ev("server", "logs", "--since", "soon", status=2).err
    assert "-1" in ev("server", "logs", "-n", "-1", status=2).err


def test_several_listeners_with_an_address_for_each(ev: CommandLine) -> None:
    """Commas separate them; each listener tells its clients its own address."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [server.getsockname()[1] for server in (first, second)]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    ev("up", "--listen", ",".join(addresses), "--advertise", ",".join(addresses))
    for address in addresses:
        ev("-b", address, "produce", "t", "--create", data=b"x\n")
    assert ev("consume", "t", "-e").out == b"x\nx\n"


def test_server_commands_are_about_the_local_engine_alone(ev: CommandLine) -> None:
    """Whatever EV_BOOTSTRAP says."""
    ev("up", EV_BOOTSTRAP="127.0.0.1:1")
    assert ev("server", "status", "--json", EV_BOOTSTRAP="127.0.0.1:1").json["running"] is True
    ev("down", EV_BOOTSTRAP="127.0.0.1:1")


def test_a_few_open_files_are_enough(ev: CommandLine) -> None:
    """A soft limit of 256 is raised by the daemon, and does not hinder the start."""
    done = ev.shell(f"ulimit -Sn 256; echo x | ev produce t; {' '.join(MODULE)} consume t -e")
    assert (done.status, done.out) == (0, b"x\n")


def test_an_installed_script_finds_the_package_for_the_daemon(ev: CommandLine) -> None:
    """A relative entry of PYTHONPATH is made absolute for the daemon, whose directory is /."""
    root = pathlib.Path(package.__file__).parents[2]
    variables = {**ev.variables, "PYTHONPATH": "engine:cli:tui"}
    done = subprocess.run([sys.executable, "-m", "ev_cli", "up"], cwd=root, env=variables, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads((ev.data_dir / "engine.json").read_text())["pid"] > 0


def test_where_others_would_reach_the_engine_it_is_not_started(ev: CommandLine) -> None:
    """Exit 2, before anything is made: started by hand, by itself and in the foreground, from option, environment and configuration."""
    for arguments in (("up",), ("server", "start"), ("server", "restart"), ("server", "run"), ("topic", "list")):
        done = ev(*arguments, "--listen", "127.0.0.1:0,0.0.0.0", status=2)
        assert "refused to listen on 0.0.0.0" in done.err
        assert "--insecure" in done.err
    assert "refused" in ev("up", status=2, EV_LISTEN="0.0.0.0:0").err
    assert "refused" in ev("up", status=2, EV_LISTEN="0.0.0.0:0", EV_INSECURE="0").err
    assert not ev.data_dir.exists()


def test_an_engine_that_runs_is_not_stopped_by_a_restart_that_is_refused(ev: CommandLine) -> None:
    """It goes on as it was."""
    ev("up")
    pid = ev.pid
    ev("server", "restart", "--listen", "0.0.0.0:0", status=2)
    assert ev("server", "status", "--json").json["pid"] == pid


@pytest.mark.parametrize("way", ["option", "before the verb", "variable", "configuration"])
def test_insecure_lets_the_engine_listen_where_others_reach_it(ev: CommandLine, way: str) -> None:
    """Said in any of the places where --listen can be said."""
    if way == "configuration":
        (ev.directory / "config.toml").write_text("[server]\ninsecure = true\n")
    before, behind = (["--insecure"] if way == place else [] for place in ("before the verb", "option"))
    if way == "variable":
        ev.variables["EV_INSECURE"] = "1"
    ev(*before, "server", "start", "--listen", "0.0.0.0:0", *behind)
    assert "may read and write everything" in ev("server", "logs").out.decode()


def test_insecure_in_the_configuration_is_true_or_false(ev: CommandLine) -> None:
    """A word that looks like an answer is not taken for one."""
    (ev.directory / "config.toml").write_text('[server]\ninsecure = "no"\n')
    assert "write true or false" in ev("up", status=2).err


def test_listeners_of_the_configuration_have_names(ev: CommandLine) -> None:
    """As in Kafka's server.properties; the commands use the one that is open. --listen, with names or without, comes before."""
    secure, plain, other = free_ports(3)
    settings = f'listeners = "SECURE://127.0.0.1:{secure},INSIDE://127.0.0.1:{plain}"\n'
    settings += 'listener.security.protocol.map = "SECURE:SASL_PLAINTEXT,INSIDE:PLAINTEXT"\n'
    (ev.directory / "config.toml").write_text(f"[server.settings]\n{settings}")
    del ev.variables["EV_LISTEN"]
    ev("up")
    assert ev.address == f"127.0.0.1:{plain}"
    assert ev("topic", "list").err == ""
    with RawClient(f"127.0.0.1:{secure}") as client:
        client.send(client.frame(3, 9, MetadataRequest(topics=[])))
        assert client.closed()
    ev("server", "restart", "--listen", f"sasl_plaintext://127.0.0.1:{secure},127.0.0.1:{other}")
    assert ev.address == f"127.0.0.1:{other}"


def test_an_engine_that_touches_its_lock_is_still_found(ev: CommandLine) -> None:
    """It does so to see whether the disk takes changes: the lock is younger then than what the engine has said of itself."""
    ev("up", "-q")
    later = time.time() + 5
    os.utime(ev.data_dir / ".lock", (later, later))
    assert ev("server", "status").out.startswith(b"yes")
    assert ev("topic", "list", timeout_s=20).err == ""
