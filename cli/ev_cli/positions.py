"""The -o grammar: where reading begins and ends.

start beginning earliest oldest    end latest newest    stored       the names
N  N:M  N:  :M  N:end  :end        offsets, the second one excluded
+N start+N  -N end-N  :end-N       counted from the start or the end of each partition
@T  @T:T  @T:  @:T                 points in time; @T:2h is two hours from T on; kcat's s@MS and e@MS
"""

from __future__ import annotations

from ev_cli.failures import UsageFailure
from ev_cli.times import span_ms, timestamp_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.client.consumer import Consumer

    Partition = tuple[str, int]

START, END, STORED, OFFSET, TIME = "start", "end", "stored", "offset", "time"
_NAMES = {
    "start": START,
    "beginning": START,
    "earliest": START,
    "oldest": START,
    "end": END,
    "latest": END,
    "newest": END,
    "stored": STORED,
}


class Position:
    """A place in every partition: `kind`, and a number that counts from there (or is the offset, or the time in ms)."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: str, number: int = 0) -> None:
        self.kind = kind
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and (other.kind, other.number) == (self.kind, self.number)

    def __hash__(self) -> int:
        return hash((self.kind, self.number))

    def __repr__(self) -> str:
        return f"Position({self.kind!r}, {self.number})"


def parse_range(text: str, now_ms: int, *, utc: bool = False) -> tuple[Position | None, Position | None]:
    """(where to begin, where to end) of an -o; None is what the text leaves open. `utc`: so are times without a zone."""
    if text.startswith("@"):
        return _time_range(text[1:], now_ms, utc)
    if text[:2] in ("s@", "e@"):
        return _kcat_range(text, now_ms, utc)
    first, _, second = text.partition(":")
    begin = _position(first) if first else None
    end = _position(second) if second else None
    if (first and begin is None) or (second and end is None) or (not first and not second):
        raise _no_offset(text)
    if end is not None and end.kind == STORED:
        raise _no_offset(text)
    return begin, end


def _position(text: str) -> Position | None:
    if text in _NAMES:
        return Position(_NAMES[text])
    if text.isdecimal():
        return Position(OFFSET, int(text))
    for name, kind in (("start", START), ("end", END), ("", START if text[:1] == "+" else END)):
        rest = text.removeprefix(name)
        if text.startswith(name) and rest[:1] in ("+", "-") and rest[1:].isdecimal():
            return Position(kind, int(rest))
    return None


def _time_range(text: str, now_ms: int, utc: bool) -> tuple[Position | None, Position | None]:
    """`T`, `T:T`, `T:`, `:T`; a time may hold colons itself, so every colon is tried."""
    whole = _time(text, now_ms, utc)
    if whole is not None:
        return whole, None
    for place, character in enumerate(text):
        if character != ":":
            continue
        first, second = text[:place], text[place + 1 :].removeprefix("@")
        begin = _time(first, now_ms, utc)
        span = span_ms(second)
        if begin is not None and span is not None:
            return begin, Position(TIME, begin.number + span)
        end = Position(END) if second == "end" else _time(second, now_ms, utc)
        if (begin or not first) and (end or not second) and (begin or end):
            return begin, end
    raise _no_offset(f"@{text}")


def _time(text: str, now_ms: int, utc: bool) -> Position | None:
    try:
        return Position(TIME, timestamp_ms(text, now_ms, utc=utc)) if text else None
    except UsageFailure:
        return None


def _kcat_range(text: str, now_ms: int, utc: bool) -> tuple[Position | None, Position | None]:
    begin = end = None
    for part in text.split(","):
        place = _time(part[2:], now_ms, utc)
        if part[:2] not in ("s@", "e@") or place is None:
            raise _no_offset(text)
        if part[0] == "s":
            begin = place
        else:
            end = place
    return begin, end


def _no_offset(text: str) -> UsageFailure:
    return UsageFailure(f"-o {text!r} is no offset", "write start, end, stored, N, N:M, +N, -N, :end, @TIME or @TIME:TIME")


def resolve(position: Position, partitions: Iterable[Partition], consumer: Consumer) -> dict[Partition, int]:
    """The offset that the position means in each partition, within what is there."""
    wanted = list(partitions)
    if not wanted:
        return {}
    ends = consumer.end_offsets(wanted)
    if position.kind == END and position.number >= 0:
        return {partition: ends[partition] for partition in wanted}
    starts = consumer.beginning_offsets(wanted)
    if position.kind == TIME:
        found = consumer.offsets_for_times(dict.fromkeys(wanted, position.number))
        return {partition: answer.offset if (answer := found[partition]) is not None else ends[partition] for partition in wanted}
    base = {START: starts, END: ends}.get(position.kind) or dict.fromkeys(wanted, 0)
    return {partition: _within(base[partition] + position.number, starts[partition], ends[partition]) for partition in wanted}


def resolve_one(position: Position, partition: Partition, consumer: Consumer) -> tuple[int, int, int]:
    """(the offset that is meant, the first one that there is, the end) of one partition; what is meant need not be there."""
    first = consumer.beginning_offsets([partition])[partition]
    end = consumer.end_offsets([partition])[partition]
    base = {START: first, END: end, OFFSET: 0}.get(position.kind)
    if base is None:
        raise UsageFailure("a record has an offset", "write a number; -1 is the newest, +0 the oldest")
    return base + position.number, first, end


def _within(offset: int, low: int, high: int) -> int:
    return max(low, min(offset, high))
