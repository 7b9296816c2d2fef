"""Ctrl-C leaves the interface wherever one is, with the terminal as it was and nothing changed; in an editor it is the editor's."""

from __future__ import annotations

import pathlib
import time

import pytest

from support.command_line import MODULE, CommandLine
from support.terminal_session import TerminalSession
from support.waiting import wait_for

pytestmark = pytest.mark.slow

CTRL_C = {"a control character": "\x03", "a terminal with Kitty's protocol": "\x1b[99;5u"}
PLACES = {
    "help": ("2?", "THIS SCREEN"),
    "palette": ("2:", "a screen, a topic, a group"),
    "filter": ("2/ord", "-r '"),
    "a form": ("2n", "cancel"),
    "a confirmation": ("2D", "Type the name"),
    "a confirmation, typed": ("2Dordersx", "Type the name"),
    "what to produce": ("2p", "partition"),
    "a question of the tail": ("2t/key ~ 1", "key ~ 1"),
    "a search": ("2ts", "SEARCH"),
    "the log of commands": ("2@", "$ ev topic list"),
}


def start(ev: CommandLine, **variables: str) -> TerminalSession:
    return TerminalSession([*MODULE, "tui"], variables={**ev.variables, "TERM": "xterm-256color", **variables})


@pytest.mark.parametrize("place", PLACES)
def test_it_leaves_from_everywhere(place: str, one_engine: CommandLine) -> None:
    """Exit status 0, every mode of the terminal is what it was, and the topic is still there."""
    keys, text = PLACES[place]
    one_engine("topic", "create", "orders", "--if-not-exists", "-q")
    with start(one_engine) as terminal:
        terminal.wait_for("orders")
        seen = len(terminal.raw)
        terminal.type(keys)
        terminal.wait_for(text, after=seen)
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert terminal.is_as_before, terminal.modes_left
    assert "orders" in one_engine("topic", "list", "-o", "name").lines


@pytest.mark.parametrize("how", CTRL_C)
def test_it_is_known_however_the_terminal_says_it(how: str, one_engine: CommandLine) -> None:
    """Where a dialog has the keys, too."""
    one_engine("topic", "create", "orders", "--if-not-exists", "-q")
    with start(one_engine) as terminal:
        terminal.wait_for("orders")
        terminal.type("2n")
        terminal.wait_for("cancel")
        terminal.type(CTRL_C[how])
        assert terminal.wait() == 0
        assert terminal.is_as_before, terminal.modes_left


EDITOR = """#!/bin/bash
trap 'echo interrupted >>"$0.seen"; exit 0' INT
echo EDITING
for second in {1..300}; do sleep 0.1; done
"""


def test_in_an_editor_it_is_for_the_editor(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """The terminal sends it to both: the editor ends, the interface is there again, and still is when its patience would be over."""
    one_engine("topic", "create", "orders", "--if-not-exists", "-q")
    editor = tmp_path / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    with start(one_engine, EDITOR=str(editor), VISUAL=str(editor)) as terminal:
        terminal.wait_for("orders")
        terminal.type("0e")
        terminal.wait_for("EDITING")
        seen = len(terminal.raw)
        terminal.type("\x03")
        wait_for(lambda: (tmp_path / "editor.seen").exists(), "the editor to be interrupted")
        terminal.wait_for("ALERTS", after=seen)
        time.sleep(4)
        assert terminal.process.poll() is None
        seen = len(terminal.raw)
        terminal.type("2")
        terminal.wait_for("orders", after=seen)
        terminal.type("\x03")
        assert terminal.wait() == 0
        assert terminal.is_as_before, terminal.modes_left
