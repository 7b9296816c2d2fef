"""Nothing that came from a cluster reaches the terminal as anything but text, on any screen."""

from __future__ import annotations

import pathlib
import sys

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from ev_tui.harmless import Harmless, harmless
from support.hostile import HOSTILE, trespasses
from support.terminal_session import TerminalSession
from tui.visits import VISITS

pytestmark = pytest.mark.slow


def test_no_screen_lets_a_byte_of_the_cluster_command_the_terminal(tmp_path: pathlib.Path) -> None:
    """Escape sequences in every name, host, state, error and value: the raw output has none of them, and the text was on each screen."""
    report = tmp_path / "visits"
    program = pathlib.Path(__file__).with_name("hostile_visits.py")
    with TerminalSession([sys.executable, "-P", str(program), str(report), "127.0.0.1:1"], size=(140, 45)) as terminal:
        assert terminal.wait() == 0, terminal.raw[-3000:]
    assert trespasses(terminal.raw) == []
    shown = report.read_text().splitlines()
    assert shown[-1] == "lost shown"
    wanted = [f"{visit.name} shown" for visit in VISITS if visit.shows]
    assert [line for line, visit in zip(shown, VISITS, strict=False) if visit.shows] == wanted


@pytest.mark.parametrize("raw", [b"\x1b]0;x\x07", b"\x1b[7777m", b"\xc2\x9b7777m", b"\x1bP7777q", b"a\x08b", "a\u202eb".encode(), b"a\tb"])
def test_the_judge_sees_what_it_is_for(raw: bytes) -> None:
    """Each way to command a terminal."""
    assert trespasses(b"\x1b[1;2H" + raw)


def test_the_judge_lets_the_interface_speak() -> None:
    """Colours, positions, modes."""
    assert trespasses(b"\x1b[?1049h\x1b[38;5;1;1mtext\x1b[0m\x1b[10;20H\x1b[>29u\r\n" + "▁▂ é".encode()) == []


def test_the_filter_takes_out_what_a_widget_forgot() -> None:
    """The width stays what it was planned with."""
    dirty = [Segment("a\x1b[2Jb\u202ec", Style(link="http://evil"))]
    found = Harmless().apply(dirty, Color(0, 0, 0))
    assert [segment.text for segment in found] == [harmless("a\x1b[2Jb\u202ec")]
    assert "\x1b" not in found[0].text
    assert found[0].style is not None
    assert found[0].style.link is None
    clean = [Segment("plain ▁▂▃ 漢字")]
    assert Harmless().apply(clean, Color(0, 0, 0)) is clean
    assert harmless(HOSTILE).isprintable()
