"""What moved in the last minutes as bars: one line each where there is little room, several where there is more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ev_tui.amounts import BARS, UNKNOWN, per_second
from ev_tui.widgets.cells import fitted

if TYPE_CHECKING:
    from ev_cli.model.rates import Rate

LABEL = 5
FIGURES = 20
LINES_MAX = 4


@dataclass(frozen=True, slots=True)
class Track:
    """One thing that moves: its name, its means, newest last, and what it is now."""

    name: str
    means: Sequence[float | None]
    rate: Rate | None


def bar_lines(means: Sequence[float | None], width: int, height: int) -> list[str]:
    """All of it as bars of so many lines, the top one first; a blank where nothing was measured."""
    shown = squeezed(means, width)
    top = max((value for value in shown if value is not None), default=0.0)
    steps = len(BARS) * height
    levels = [None if value is None else 1 if value <= 0 or top <= 0 else max(1, round(value / top * steps)) for value in shown]
    lines = []
    for line in range(height - 1, -1, -1):
        below = line * len(BARS)
        lines.append("".join([" " if level is None or level <= below else BARS[min(len(BARS), level - below) - 1] for level in levels]))
    return lines


def squeezed(means: Sequence[float | None], width: int) -> list[float | None]:
    """As many values as there is room for: where there are more of them, the means of neighbours."""
    count = len(means)
    if count <= width:
        return [*[None] * (width - count), *means]
    found: list[float | None] = []
    for place in range(width):
        some = [value for value in means[place * count // width : (place + 1) * count // width] if value is not None]
        found.append(sum(some) / len(some) if some else None)
    return found


def figures(track: Track) -> str:
    """What it is now, and the most that it was."""
    peak = max((value for value in track.means if value is not None), default=None)
    most = "" if peak is None or track.rate is None else f" peak {_short(max(peak, track.rate.per_s))}"
    return f"{per_second(track.rate)}{'' if track.rate is None else '/s'}{most}"


def _short(number: float) -> str:
    from ev_cli.model.rates import Rate

    return per_second(Rate(number, 0.0))


class Bars(Widget):
    """Draws tracks below each other, as high as there is room."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"bars--bar", "bars--label", "bars--figures"}
    DEFAULT_CSS = """
    Bars { height: 1fr; width: 1fr; }
    Bars > .bars--bar { color: $text-accent; }
    Bars > .bars--label { color: $text-muted; }
    Bars > .bars--figures { text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._tracks: tuple[Track, ...] = ()
        self._foot = ""
        self._drawn: tuple[int, int] | None = None
        self._lines: list[tuple[str, str, str]] = []

    def put(self, tracks: Sequence[Track], foot: str) -> None:
        """What to draw, and what stands below it if there is room."""
        if (tuple(tracks), foot) != (self._tracks, self._foot):
            self._tracks, self._foot, self._drawn = tuple(tracks), foot, None
            self.refresh()

    def _draw(self, width: int, height: int) -> None:
        self._lines = []
        if not self._tracks:
            return
        has_foot = height > len(self._tracks)
        each = max(1, min(LINES_MAX, (height - has_foot) // len(self._tracks)))
        room = max(0, width - LABEL - FIGURES)
        for track in self._tracks:
            drawn = bar_lines(track.means, room, each)
            for number, bars in enumerate(drawn):
                is_last = number == len(drawn) - 1
                self._lines.append((track.name if is_last else "", bars, figures(track) if is_last else ""))
        if has_foot:
            self._lines.append(("", self._foot, ""))

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._drawn != (width, height):
            self._draw(width, height)
            self._drawn = (width, height)
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, base)
        label, bars, text = self._lines[y]
        if not label and not text and y == len(self._lines) - 1 and bars == self._foot:
            return Strip([Segment(fitted(" " + bars, width), base + self._part("label"))])
        room = max(0, width - LABEL - FIGURES)
        return Strip(
            [
                Segment(fitted(f" {label}", LABEL), base + self._part("label")),
                Segment(fitted(bars, room, right=True), base + self._part("bar")),
                Segment(fitted(f" {text or ('' if bars else UNKNOWN)}", min(FIGURES, max(0, width - LABEL))), base + self._part("figures")),
            ]
        ).adjust_cell_length(width, base)

    def _part(self, name: str) -> Style:
        part = self.get_component_rich_style(f"bars--{name}", partial=True)
        return Style(color=part.color, bold=part.bold)
