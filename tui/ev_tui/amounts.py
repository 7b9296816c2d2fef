"""Numbers as a person reads them in a table: short, with a unit, and `-` for what nobody knows."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ev_cli.units import duration_text, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_cli.model.rates import Rate

UNKNOWN = "-"
BARS = "▁▂▃▄▅▆▇█"
_UNITS = ("", "k", "M", "G", "T")


def short(number: float | None) -> str:
    """1234 is `1,234`, 88_100_000 is `88.1M`: at most five digits."""
    if number is None:
        return UNKNOWN
    if abs(number) < 100_000:
        return f"{number:,.0f}"
    amount = float(number)
    for unit in _UNITS:
        if abs(amount) < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f}{unit}" if abs(amount) >= 99.95 else f"{amount:.1f}{unit}"


def full(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def size(size_bytes: int | None) -> str:
    return UNKNOWN if size_bytes is None else size_text(size_bytes)


def per_second(rate: Rate | None) -> str:
    """A rate without its unit: `0`, `0.3`, `21.4k`."""
    return UNKNOWN if rate is None else so_many_per_second(rate.per_s)


def so_many_per_second(number: float) -> str:
    if abs(number) < 0.05:
        return "0"
    if abs(number) < 100:
        return f"{number:.1f}"
    if abs(number) < 1000:
        return f"{number:.0f}"
    return short(number) if abs(number) >= 100_000 else f"{number / 1000:.1f}k"


def bytes_per_second(rate: Rate | None) -> str:
    return UNKNOWN if rate is None else f"{size_text(round(rate.per_s))}/s"


def span(seconds: float | None) -> str:
    """A time to wait: `2m28s`, `never`, `-` when nobody knows."""
    if seconds is None:
        return UNKNOWN
    if math.isinf(seconds):
        return "never"
    return duration_text(max(0, round(seconds)) * 1000)


def ago(seconds: float | None) -> str:
    """hh:mm:ss for how far something is behind."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock


def time_of_day(timestamp_ms: int) -> str:
    """Local time, to the second."""
    return time.strftime("%H:%M:%S", time.localtime(timestamp_ms / 1000))


def sparkline(values: Sequence[float | None], width: int, highest: float | None = None) -> str:
    """The newest `width` values as bars, newest at the right; a blank where nothing was measured, the lowest bar for zero."""
    shown = values[-width:] if width else values[:0]
    top = highest if highest is not None else max((value for value in shown if value is not None), default=0.0)
    steps = len(BARS) - 1
    bars = []
    for value in shown:
        if value is None:
            bars.append(" ")
        elif value <= 0 or top <= 0:
            bars.append(BARS[0])
        else:
            bars.append(BARS[min(steps, max(1, round(value / top * steps)))])
    return "".join(bars).rjust(width)
