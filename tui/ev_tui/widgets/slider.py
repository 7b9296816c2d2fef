"""A line of bars: how much there is over time, and where in it one looks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ev_tui.amounts import BARS, short
from ev_tui.widgets.line import Line, Piece

if TYPE_CHECKING:
    from ev_tui.records.volume import Volume


class Slider(Line):
    """Draws a Volume. `cursor_ms` is the time of the record that one looks at."""

    DEFAULT_CSS = """
    Slider { background: $surface; color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.volume: Volume | None = None
        self.cursor_ms: int | None = None

    def say(self, volume: Volume | None, cursor_ms: int | None) -> None:
        if (volume, cursor_ms) != (self.volume, self.cursor_ms):
            self.volume, self.cursor_ms = volume, cursor_ms
            self.refresh()

    def pieces(self) -> list[Piece]:
        return slider_pieces(self.volume, self.cursor_ms)

    def right_pieces(self) -> list[Piece]:
        if self.volume is None:
            return []
        return [(f"~{short(sum(self.volume.counts))} records (, .) ", "dim")]


def slider_pieces(volume: Volume | None, cursor_ms: int | None) -> list[Piece]:
    """The time of the first bar, the bars with the one of the cursor in another tone, the time of the last one."""
    if volume is None:
        return [(" no records over time yet", "dim")]
    place = None if cursor_ms is None else volume.bucket_of(cursor_ms)
    bars = bars_of(volume.counts)
    pieces: list[Piece] = [(f" {clock(volume.begin_ms, volume)} ", "dim")]
    if place is None:
        pieces.append((bars, "accent"))
    else:
        pieces += [(bars[:place], "accent"), ("▲", "warn"), (bars[place + 1 :], "accent")]
    pieces.append((f" {clock(volume.end_ms, volume)}", "dim"))
    if cursor_ms is not None:
        pieces.append((f"  ▲ {clock(cursor_ms, volume)}", "warn"))
    return pieces


def bars_of(counts: tuple[int, ...]) -> str:
    """The highest bar is the largest count; what is more than nothing is more than a blank."""
    top = max(counts, default=0)
    return "".join([BARS[max(1, round(count / top * (len(BARS) - 1)))] if count else "▁" for count in counts]) if top else "▁" * len(counts)


def clock(timestamp_ms: int, volume: Volume) -> str:
    """Local time, as exact as the bars are."""
    form = "%H:%M:%S" if volume.bucket_ms < 60_000 else "%H:%M"
    return time.strftime(form, time.localtime(timestamp_ms / 1000))
