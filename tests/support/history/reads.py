"""What readers must get: each record once, in order, without passing one over, and only what stays."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.history.facts import Anomaly, Place, Records
    from support.history.record import History


def of_readers(history: History) -> Iterator[Anomaly]:
    logs = Logs(history)
    for (reader, place), records in history.reads.items():
        committed = reader not in history.uncommitted_readers
        yield from strayed(reader, place, [offset for offset, _ in records], logs.visible(place, committed=committed))
        yield from _differing(history, reader, place, records, logs.values(place, committed=committed))


class Logs:
    """The final reads, as readers are compared with them."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._values: dict[tuple[Place, bool], dict[int, bytes]] = {}
        self._visible: dict[tuple[Place, bool], list[int]] = {}

    def values(self, place: Place, *, committed: bool) -> dict[int, bytes] | None:
        """By offset, what such a reader finds there; None where nobody has read to the end."""
        if place not in self._history.final:
            return None
        if (place, committed) not in self._values:
            records = self._history.final[place] if committed else self._history.all_records(place)
            self._values[place, committed] = dict(records)
        return self._values[place, committed]

    def visible(self, place: Place, *, committed: bool) -> list[int] | None:
        """The offsets that such a reader finds, in order."""
        values = self.values(place, committed=committed)
        if values is None:
            return None
        if (place, committed) not in self._visible:
            self._visible[place, committed] = sorted(values)
        return self._visible[place, committed]


def strayed(reader: str, place: Place, offsets: Iterable[int], visible: list[int] | None, suffix: str = "") -> Iterator[Anomaly]:
    """Where a reader went back, or passed over what it must see."""
    previous: int | None = None
    for offset in offsets:
        if previous is not None:
            if offset <= previous:
                yield f"backwards{suffix}", f"{reader} {place} read {offset} after {previous}"
            elif offset > previous + 1 and (due := _next(visible, previous)) < offset:
                yield f"skipped{suffix}", f"{reader} {place} read {offset} after {previous}, {due} was due"
        previous = offset


def _next(visible: list[int] | None, offset: int) -> int:
    if visible is None:
        return offset + 1
    index = bisect_right(visible, offset)
    return visible[index] if index < len(visible) else visible[-1] + 1 if visible else offset + 1


def _differing(history: History, reader: str, place: Place, records: Records, log: dict[int, bytes] | None) -> Iterator[Anomaly]:
    """Where a reader got something else than the final read."""
    if log is None:
        return
    start, everything = history.starts[place], dict(history.all_records(place)) if place in history.final_uncommitted else log
    for offset, value in records:
        found = log.get(offset)
        if found == value or offset < start:
            continue
        if found is not None:
            yield "conflict", f"{place}@{offset} {reader} read {value!r}, the final read {found!r}"
        elif everything.get(offset) != value:
            yield "vanished", f"{place}@{offset} {reader} read {value!r}, the final read has nothing there"
        elif value not in history.aborted.get(place, ()):  # those are told of with the transactions
            yield "aborted", f"{place}@{offset} {reader} read {value!r}, which is not among the committed records"
