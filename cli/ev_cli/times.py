"""Durations and points in time as people write them, to milliseconds."""

from __future__ import annotations

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def duration_ms(text: str, flag: str = "") -> int:
    """`500ms`, `10s`, `1h30m`, `2d`; a bare number is seconds."""
    total = _duration_ms(text)
    if total is None:
        raise UsageFailure(f"{flag + ' ' if flag else ''}{text!r} is no duration", "write 500ms, 10s, 5m, 1h30m or 2d")
    return total


def _duration_ms(text: str) -> int | None:
    if not text:
        return None
    total = 0.0
    rest = text
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyz"))
        unit, rest = rest[:letters], rest[letters:]
        if not unit and not rest and total == 0:
            unit = "s"
        try:
            total += float(number) * _UNIT_MS[unit]
        except (ValueError, KeyError):
            return None
    return int(total)


def span_ms(text: str) -> int | None:
    """A duration with its unit, such as 2d12h; None for anything else, a bare number too."""
    return _duration_ms(text) if text[:1].isdecimal() and text[-1:].isalpha() else None


def is_field(text: str) -> bool:
    """Whether a time is given as the name of the field that it stands in."""
    return (text[:1].isalpha() or text[:1] == "_") and text not in ("now", "today", "yesterday")


def moment_ms(value: object, now_ms: int) -> int:
    """A point in time as data have it: a number since 1970 in s, ms, us or ns by its size, or a text. ValueError for anything else."""
    if isinstance(value, str):
        try:
            return timestamp_ms(value, now_ms)
        except UsageFailure:
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != value or value > 1e20:
        raise ValueError(f"{value!r} is no point in time")
    for bound, factor in ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3)):
        if value < bound:
            return round(value * factor)
    return int(value) // 1_000_000


def moments_of(options: Any, now_ms: int) -> tuple[int | None, int | None]:
    """What --since and --until say."""
    utc = bool(options.utc)
    since, until = options.since, options.until
    return (
        None if since is None else timestamp_ms(since, now_ms, flag="--since", utc=utc),
        None if until is None else timestamp_ms(until, now_ms, flag="--until", utc=utc),
    )


def timestamp_ms(text: str, now_ms: int, *, flag: str = "", utc: bool = False) -> int:
    """A point in time: 9-10 digits of seconds, 13 of ms, 19 of ns, a date, RFC 3339, `-1h` or `2d12h` (before now), `now`, `today`.

    What has no zone is local time, or UTC when that is asked for.
    """
    if text == "now":
        return now_ms
    if text.isdecimal():
        return _epoch_ms(text, flag, utc=utc)
    ago = _duration_ms(text[1:]) if text.startswith("-") else span_ms(text)
    if ago is not None:
        return now_ms - ago
    from datetime import UTC, datetime

    if text in ("today", "yesterday"):
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        midnight = (now if utc else now.astimezone()).replace(hour=0, minute=0, second=0, microsecond=0)
        return int(midnight.timestamp() * 1000) - (_UNIT_MS["d"] if text == "yesterday" else 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFailure(
            f"{flag + ' ' if flag else ''}{text!r} is no point in time",
            "write seconds or ms since 1970, 2026-01-31, 2026-01-31T12:00:00Z, -1h, now or today",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if utc else moment.astimezone()
    return round(moment.timestamp() * 1000)


def _epoch_ms(digits: str, flag: str, *, utc: bool) -> int:
    scale = {9: 1000, 10: 1000, 13: 1}
    if len(digits) in scale:
        return int(digits) * scale[len(digits)]
    if len(digits) == 19:
        return int(digits) // 1_000_000
    if len(digits) == 8:  # 20260131, a date
        return timestamp_ms(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", 0, flag=flag, utc=utc)
    where = f"{flag} " if flag else ""
    raise UsageFailure(f"{where}{digits!r} is no point in time", "seconds have 9 or 10 digits, milliseconds 13, nanoseconds 19")


def local_text(timestamp: int, *, utc: bool = False) -> str:
    """A timestamp for a person: local time with its offset, or UTC when that is asked for."""
    if timestamp < 0:
        return "-"
    from datetime import UTC, datetime

    try:
        moment = datetime.fromtimestamp(timestamp / 1000, UTC)
        return (moment if utc else moment.astimezone()).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):
        return f"{timestamp}ms"


def span_text(span: int) -> str:
    """A duration in ms for a person: 0ms, 1.500s, 2m03s, 1h02m, 3d04h."""
    sign, span = ("-", -span) if span < 0 else ("", span)
    if span < 1000:
        return f"{sign}{span}ms"
    seconds, ms = divmod(span, 1000)
    if seconds < 60:
        return f"{sign}{seconds}.{ms:03d}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{sign}{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes:02d}m" if hours < 24 else f"{sign}{hours // 24}d{hours % 24:02d}h"
