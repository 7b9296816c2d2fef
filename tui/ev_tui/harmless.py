"""Text of others on this terminal: control characters are shown as escapes, and whatever a widget forgets is taken out at the end.

Textual hands an escape character inside text to the terminal as it is, so the value of a record could set the clipboard or the title. Two
lines of defence, therefore:

    safe        what widgets call: the escape is seen as text, \\x1b, and has the width that it needs
    Harmless    a filter between all widgets and the terminal, Textual's own among them: one mark in the place of what must not pass

The filter keeps the width that was planned with: a character that nothing was planned for vanishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import LineFilter

from ev_cli.output import safe, shows

if TYPE_CHECKING:
    from textual.color import Color

__all__ = ["Harmless", "harmless", "safe"]

MARK = "\ufffd"


def harmless(text: str) -> str:
    """Text of the same width without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join([character if shows(character) else MARK * max(0, cell_len(character)) for character in text])


class Harmless(LineFilter):
    """Between the widgets and the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        for text, style, control in segments:
            if control or not text.isprintable() or (style is not None and style.link):
                return [_clean(segment) for segment in segments if not segment.control]
        return segments


def _clean(segment: Segment) -> Segment:
    style = segment.style
    if style is not None and style.link:
        style = style.update_link(None)
    return Segment(harmless(segment.text), style)
