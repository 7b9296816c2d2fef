"""How far long work is: one line on stderr that is drawn again and again, and gone when the work is.

    with Progress(options, "copying", total=size) as progress:      # total=None while nobody knows it
        for block in blocks:
            progress.advance(len(block))                            # per batch; it draws ten times a second at most

Only a terminal sees it, only while the command is in its foreground, and only when the work takes longer than a moment. Whatever
else is said or shown takes the line away first, so that nothing is ever written into it.
"""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.units import clock_text, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

FIRST_MS = 300
EVERY_MS = 100
RATE_HALVES_S = 3.0
"""The rate is that of the last few seconds: after this time what was counts half."""
BAR_WIDTH = 30
TAKE_AWAY = "\r\x1b[2K"


class Progress:
    """The progress of one piece of work. `done` and `total` may be set as well; both are in `unit`, bytes unless said otherwise.

    `beside_data`: the command writes data to stdout meanwhile, and where that is the terminal nothing is drawn. `at_once`: the work is
    never over in a moment.
    """

    def __init__(
        self,
        options: Any,
        what: str = "",
        *,
        total: int | None = None,
        unit: str = "bytes",
        beside_data: bool = False,
        at_once: bool = False,
    ) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.unit = unit
        self._is_shown = not options.quiet and has_room() and not (beside_data and output.is_terminal(1))
        self._is_drawn = False
        self._first_ms = 0 if at_once else FIRST_MS
        self._began = self._drawn_at = time.monotonic() if self._is_shown else 0.0
        self._drawn_done = 0
        self._rate: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.end()

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self.done += count
        if self._is_shown:
            self.show()

    def extend(self, count: int) -> None:
        """So much more is to do than was known."""
        self.total = (self.total or 0) + count

    def show(self) -> None:
        """Draw the line again, if the last time is some while ago."""
        if not self._is_shown:
            return
        now = time.monotonic()
        if (now - self._drawn_at) * 1000 < (self._first_ms if self._rate is None else EVERY_MS):
            return
        self._rate = rate_now(self._rate, self.done - self._drawn_done, now - self._drawn_at)
        self._drawn_at, self._drawn_done = now, self.done
        if is_foreground():
            width = terminal_width()
            text = line(self.what, self.done, self.total, self._rate, now - self._began, self.unit, width, output.can_show("\u2501"))
            output.draw(TAKE_AWAY + text)
            output.passing = self.take_away
            self._is_drawn = True

    def take_away(self) -> None:
        """Leave the place to something else; the next step draws the line again."""
        if self._is_drawn:
            self._is_drawn = False
            output.passing = None
            output.draw(TAKE_AWAY)

    def end(self) -> None:
        """The work is done, or given up."""
        self.take_away()
        self._is_shown = False


def rate_now(before: float | None, count: int, seconds: float) -> float:
    """The rate after `count` more in the last `seconds`."""
    latest = count / seconds if seconds > 0 else 0.0
    if before is None:
        return latest
    kept: float = 2.0 ** (-seconds / RATE_HALVES_S)
    return before * kept + latest * (1 - kept)


def line(what: str, done: int, total: int | None, rate: float, seconds: float, unit: str, width: int, fine: bool) -> str:
    """One line that fits into the width: what, a bar, the share of how much, the rate, the time that is left (or was taken)."""
    speed = f"{count_text(round(rate), unit)}/s" if round(rate) > 0 else ""
    if total is None:
        parts = [what, count_text(done, unit), speed, clock_text(seconds)]
    else:
        share = min(done / total, 1.0) if total else 0.0
        filled = round(share * BAR_WIDTH)
        bar = "\u2501" * filled + " " * (BAR_WIDTH - filled) if fine else "#" * filled + "." * (BAR_WIDTH - filled)
        left = clock_text((total - done) / rate) + " left" if rate > 0 and done < total else ""
        parts = [what, bar, f"{share:4.0%} of {count_text(total, unit)}", speed, left]
        if len("  ".join(parts)) >= width:
            del parts[1]
    return "  ".join([part for part in parts if part])[: width - 1]


def has_room() -> bool:
    """Whether stderr is a terminal that can take a line away again."""
    return output.is_terminal(2) and os.environ.get("TERM", "dumb") != "dumb"


def is_foreground() -> bool:
    """Whether the terminal is ours just now, and not that of a shell which put this command behind itself."""
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:
        return True


def terminal_width() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
