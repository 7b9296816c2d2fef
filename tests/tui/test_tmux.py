"""From `ev tui` in a shell to the shell again, in a terminal that can be asked what it shows and how it is set."""

from __future__ import annotations

import pathlib
import shlex
from collections.abc import Iterator

import pytest

from support.command_line import MODULE, CommandLine
from support.tmux import Tmux
from support.waiting import wait_for

pytestmark = pytest.mark.tmux


@pytest.fixture
def tmux(one_engine: CommandLine, tmp_path: pathlib.Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path, one_engine.variables, (110, 30))
    yield server
    server("kill-server")


def test_a_morning_in_a_terminal(one_engine: CommandLine, tmux: Tmux) -> None:
    """Start, look, filter, help, to the shell and back with fg, quit; TERM is screen-256color, and afterwards every mode is what it was."""
    one_engine("produce", "morning", data=b"one\ntwo\n")
    tmux.type("PS1='ready> '; clear", "Enter")
    wait_for(lambda: tmux.screen.startswith("ready>"), "the shell")
    before = tmux.modes
    tmux.type(f'ev() {{ {shlex.join(MODULE)} "$@"; }}; clear; echo $TERM', "Enter")
    tmux.wait_for("screen-256color")
    tmux.type("ev tui", "Enter")
    tmux.wait_for("morning")
    assert tmux.modes != before
    tmux.type("2")
    tmux.type("/morning", "Enter")
    tmux.wait_for("-r '(?is).*(?:morning).*'")
    tmux.type("?")
    tmux.wait_for("THIS SCREEN")
    tmux.type("q")
    wait_for(lambda: "THIS SCREEN" not in tmux.screen, "help to close")
    tmux.type("", "C-z")
    tmux.wait_for("Stopped")
    assert tmux.modes == before
    tmux.type("fg", "Enter")
    tmux.wait_for("morning")
    tmux("resize-window", "-x", "60", "-y", "15")
    wait_for(lambda: "RF" not in tmux.screen and "morning" in tmux.screen, "the narrow form")
    tmux.type("", "C-c")
    tmux.wait_for("ready>")
    tmux.type("echo status=$?", "Enter")
    tmux.wait_for("status=0")
    assert tmux.modes == before
