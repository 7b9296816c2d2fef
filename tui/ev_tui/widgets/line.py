"""One line of the frame: pieces of text in tones, cut where the terminal ends."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ev_tui.harmless import safe
from ev_tui.widgets.cells import width_of

Piece = tuple[str, str]
"""(text, tone); the tone is one of Line.TONES, or empty."""


class Line(Widget):
    """Draws `pieces()`. The text becomes harmless here."""

    TONES: ClassVar[tuple[str, ...]] = ("good", "warn", "bad", "dim", "accent", "key")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{tone}" for tone in TONES}
    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; }
    Line > .line--good { color: $text-success; }
    Line > .line--warn { color: $text-warning; text-style: bold; }
    Line > .line--bad { color: $text-error; text-style: bold; }
    Line > .line--dim { color: $text-muted; }
    Line > .line--accent { color: $text-accent; }
    Line > .line--key { color: $text-accent; text-style: bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._looks: dict[str, Style] | None = None

    def pieces(self) -> list[Piece]:
        raise NotImplementedError

    def right_pieces(self) -> list[Piece]:
        """What stands at the right end, if there is room."""
        return []

    def notify_style_update(self) -> None:
        self._looks = None
        super().notify_style_update()

    def looks(self) -> dict[str, Style]:
        if self._looks is None:
            base = self.rich_style
            self._looks = {"": base}
            for tone in self.TONES:
                part = self.get_component_rich_style(f"line--{tone}", partial=True)
                self._looks[tone] = base + Style(color=part.color, bold=part.bold)
        return self._looks

    def render_line(self, y: int) -> Strip:
        looks = self.looks()
        width = self.size.width
        if y:
            return Strip.blank(width, looks[""])
        left = [Segment(safe(text), looks[tone]) for text, tone in self.pieces()]
        right = [Segment(safe(text), looks[tone]) for text, tone in self.right_pieces()]
        taken = sum(width_of(segment.text) for segment in left)
        wanted = sum(width_of(segment.text) for segment in right)
        if taken + wanted + 1 <= width:
            left += [Segment(" " * (width - taken - wanted), looks[""]), *right]
        return Strip(left).adjust_cell_length(width, looks[""])


class Said(Line):
    """A line that says what it was last told."""

    def __init__(self, *pieces: Piece, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces = list(pieces)
        self._right: list[Piece] = []

    def say(self, *pieces: Piece, right: tuple[Piece, ...] = ()) -> None:
        found, at_the_right = list(pieces), list(right)
        if (found, at_the_right) != (self._pieces, self._right):
            self._pieces, self._right = found, at_the_right
            self.refresh()

    def pieces(self) -> list[Piece]:
        return self._pieces

    def right_pieces(self) -> list[Piece]:
        return self._right
