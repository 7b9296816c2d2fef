"""The terminal is what it was before, however the interface ends; what it needs is said when it is not there."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import sys

import pytest

from support.command_line import MODULE, CommandLine
from support.terminal_session import TerminalSession
from support.waiting import wait_for

BROKEN = """
import sys
from ev_cli.__main__ import run
from ev_tui.screens.overview import OverviewPage

def show(self, snapshot):
    if snapshot.topics:
        {what}

OverviewPage.show = show
sys.exit(run(["tui"]))
"""
WORKER = "self.app.run_worker(lambda: 1 / 0, thread=True)"


def start(ev: CommandLine, *arguments: str, **variables: str) -> TerminalSession:
    return TerminalSession([*MODULE, "tui", *arguments], variables={**ev.variables, "TERM": "xterm-256color", **variables})


@pytest.mark.parametrize(
    ("how", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130), ("q", 0), ("\x03", 0)],
    ids=["SIGTERM", "SIGHUP", "SIGINT", "q", "ctrl-c"],
)
def test_a_signal_or_a_key_ends_it_and_the_terminal_is_as_before(one_engine: CommandLine, how: signal.Signals | str, status: int) -> None:
    """Line discipline, alternate screen, mouse, paste, cursor, line wrap: read back."""
    one_engine("topic", "create", "orders", "--if-not-exists")
    with start(one_engine) as terminal:
        terminal.wait_for("orders")
        if isinstance(how, str):
            terminal.type(how)
        else:
            os.kill(terminal.process.pid, how)
        assert terminal.wait() == status
        assert terminal.is_as_before, terminal.modes_left


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(one_engine: CommandLine) -> None:
    """By the key, as by a signal from outside."""
    one_engine("topic", "create", "orders", "--if-not-exists")
    with start(one_engine) as terminal:
        terminal.wait_for("orders")
        for is_key in (True, False):
            if is_key:
                terminal.type("\x1a")
            else:
                os.kill(terminal.process.pid, signal.SIGTSTP)
            wait_for(lambda: state_of(terminal.process.pid) == "T", "it to stop")
            terminal.drain()
            assert terminal.is_as_before, terminal.modes_left
            seen = len(terminal.raw)
            os.kill(terminal.process.pid, signal.SIGCONT)
            terminal.wait_for("orders", after=seen)
        terminal.type("q")
        assert terminal.wait() == 0
        assert terminal.is_as_before


def state_of(pid: int) -> str:
    """R, S, T …: what the kernel says the process does."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("what", ["raise RuntimeError('no \\x1b]0;good')", WORKER], ids=["in a screen", "in a thread"])
def test_an_error_of_its_own_leaves_a_file_and_one_line(one_engine: CommandLine, what: str) -> None:
    """Exit status 1; the file has the traceback, the line says where it is and commands no terminal."""
    one_engine("topic", "create", "orders", "--if-not-exists")
    command = [sys.executable, "-P", "-c", BROKEN.format(what=what)]
    with TerminalSession(command, variables={**one_engine.variables, "TERM": "xterm-256color"}) as terminal:
        assert terminal.wait() == 1
        assert terminal.is_as_before, terminal.modes_left
    last = terminal.raw.rpartition(b"\x1b")[2]
    lines = [line for line in last.decode().splitlines() if "ev:" in line]
    assert len(lines) == 1
    assert "internal error" in lines[0]
    assert "Traceback" not in last.decode()
    path = lines[0].partition("all of it is in ")[2].partition(";")[0]
    assert "Error" in pathlib.Path(path).read_text()


def test_without_a_terminal_it_names_what_works_there(ev: CommandLine) -> None:
    """stdin or stdout no terminal, or a terminal that cannot be drawn on: exit 2, no engine is started."""
    assert "ev top" in ev("tui", status=2).err
    with start(ev, TERM="dumb") as terminal:
        assert terminal.wait() == 2
        assert b"ev top" in terminal.raw
        assert b"\x1b" not in terminal.raw
    assert not ev.data_dir.exists()


def test_it_starts_the_engine_and_an_empty_one_shows_what_to_press(ev: CommandLine) -> None:
    """As other commands do, and it runs on when the interface has gone."""
    with start(ev) as terminal:
        terminal.wait_for("no topics yet")
        terminal.type("q")
        assert terminal.wait() == 0
    assert ev("server", "status").status == 0


def test_stderr_may_be_a_file_and_the_picture_is_whole(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """It is drawn on stdout."""
    one_engine("topic", "create", "orders", "--if-not-exists")
    script = f"{' '.join(MODULE)} tui 2>{tmp_path}/err"
    with TerminalSession(["bash", "-c", script], variables={**one_engine.variables, "TERM": "xterm-256color"}) as terminal:
        terminal.wait_for("orders")
        terminal.type("q")
        assert terminal.wait() == 0
    assert (tmp_path / "err").read_bytes() == b""


def test_no_color_sends_no_colour(one_engine: CommandLine) -> None:
    """Not even greys; the cursor's row is seen by being the other way round."""
    one_engine("topic", "create", "orders", "--if-not-exists")
    with start(one_engine, NO_COLOR="1") as terminal:
        terminal.wait_for("orders")
        terminal.type("q")
        terminal.wait()
    assert colours_in(terminal.raw) == set()
    assert re.search(rb"\x1b\[(\d+;)*7(;\d+)*m", terminal.raw)


def colours_in(raw: bytes) -> set[bytes]:
    """SGR parameters that set a colour."""
    found = set()
    for parameters in re.findall(rb"\x1b\[([\d;]*)m", raw):
        for number in parameters.split(b";"):
            if number and (30 <= int(number) <= 38 or 40 <= int(number) <= 48 or 90 <= int(number) <= 107):
                found.add(parameters)
    return found
