"""Amounts as a person reads them: bytes, durations, clock times."""

from __future__ import annotations

_SIZES = ("kB", "MB", "GB", "TB", "PB", "EB")
_SPANS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def size_text(size: int) -> str:
    """1234567 is `1.2 MB`: three digits and a half are enough to compare."""
    if abs(size) < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in _SIZES:
        amount /= 1000
        if abs(amount) < 999.5 or unit == _SIZES[-1]:
            break
    return f"{amount:.0f} {unit}" if abs(amount) >= 99.95 else f"{amount:.1f} {unit}"


def count_text(count: int, unit: str) -> str:
    """So many bytes, or so many of something else: `1.2 MB`, `12,345 records`."""
    return size_text(count) if unit == "bytes" else f"{count:,} {unit}"


def duration_text(duration_ms: int) -> str:
    """604800000 is `7d`, 5400000 `1h30m`: the two largest units. Negative means without end, as Kafka's settings have it."""
    if duration_ms < 0:
        return "forever"
    parts: list[str] = []
    left = duration_ms
    for unit, unit_ms in _SPANS:
        number, rest = divmod(left, unit_ms)
        if number or parts:
            parts.append(f"{number}{unit}" if number else "")
            left = rest
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def clock_text(seconds: float) -> str:
    """As a stopwatch shows it: `0:07`, `12:03`, `1:02:03`."""
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
