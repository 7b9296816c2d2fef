"""Text of any length, of which only the lines on screen are drawn: a value of a megabyte opens like one of ten bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ev_tui.widgets.cells import fitted, pieces_of

Toned = tuple[str, str]
"""(line, tone); the tone is one of TextLines.TONES, or empty."""
SIDE_STEP = 16


class TextLines(ScrollView, can_focus=True):
    """Lines in tones, cut at the edge or wrapped."""

    TONES: ClassVar[tuple[str, ...]] = ("good", "bad", "dim", "accent", "warn")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll_down", "down", show=False, id="text.down"),
        Binding("up", "scroll_up", "up", show=False, id="text.up"),
        Binding("pagedown,ctrl+d", "page_down", "a page down", show=False, id="text.page_down"),
        Binding("pageup,ctrl+u", "page_up", "a page up", show=False, id="text.page_up"),
        Binding("g,home", "scroll_home", "top", show=False, id="text.first"),
        Binding("G,end", "scroll_end", "bottom", show=False, id="text.last"),
        Binding("h", "aside(-1)", "left", show=False, id="text.left"),
        Binding("l", "aside(1)", "right", show=False, id="text.right"),
        Binding("w", "wrap", "wrap", id="text.wrap"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"text-lines--{tone}" for tone in TONES}
    DEFAULT_CSS = """
    TextLines { height: 1fr; background: $background; color: $foreground; scrollbar-size-vertical: 1; overflow-x: hidden; padding: 0 1; }
    TextLines > .text-lines--good { color: $text-success; }
    TextLines > .text-lines--bad { color: $text-error; }
    TextLines > .text-lines--dim { color: $text-muted; }
    TextLines > .text-lines--accent { color: $text-accent; }
    TextLines > .text-lines--warn { color: $text-warning; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.left = 0
        self.wraps = False
        self._lines: Sequence[Toned] = ()
        self._shown: Sequence[Toned] = ()
        self._looks: dict[str, Style] | None = None

    def say(self, lines: Sequence[Toned]) -> None:
        """Show these lines from the top."""
        self._lines = lines
        self.left = 0
        self.scroll_to(y=0, animate=False, force=True)
        self._arrange()

    @property
    def text(self) -> str:
        return "\n".join([line for line, _ in self._lines])

    def _arrange(self) -> None:
        width = self._room
        if self.wraps and width > 0:
            self._shown = [(piece, tone) for line, tone in self._lines for piece in pieces_of(line, width)]
        else:
            self._shown = self._lines
        self.virtual_size = Size(self.size.width, len(self._shown))
        self.refresh()

    @property
    def _room(self) -> int:
        return self.scrollable_content_region.width

    def on_resize(self) -> None:
        self._arrange()

    def action_aside(self, step: int) -> None:
        self.left = max(0, self.left + step * SIDE_STEP)
        self.refresh()

    def action_wrap(self) -> None:
        self.wraps = not self.wraps
        self.left = 0
        self._arrange()

    def notify_style_update(self) -> None:
        self._looks = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if self._looks is None:
            base = self.rich_style
            self._looks = {"": base}
            for tone in self.TONES:
                self._looks[tone] = base + Style(color=self.get_component_rich_style(f"text-lines--{tone}").color)
        place = self.scroll_offset.y + y
        width = self._room
        if place >= len(self._shown):
            return Strip.blank(width, self._looks[""])
        line, tone = self._shown[place]
        return Strip([Segment(fitted(line[self.left :] if self.left else line, width), self._looks[tone])])
