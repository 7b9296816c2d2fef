"""What the log must hold: what was acknowledged, once, in order, and nothing that nobody has sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.history.facts import Anomaly, Place, Records
    from support.history.record import History


def of_the_log(history: History) -> Iterator[Anomaly]:
    sent: dict[Place, set[bytes]] = defaultdict(set)
    for sends in history.sent.values():
        for place, value in sends:
            sent[place].add(value)
    for place, records in history.final.items():
        everything = history.all_records(place)
        yield from _gaps(history, place, everything)
        offsets = {value: offset for offset, value in reversed(records)}
        if len(offsets) < len(records):
            yield from (("duplicate", f"{place} {value!r} at {offsets[value]} and {at}") for at, value in records if at != offsets[value])
        values = offsets.keys() if everything is records else {value for _, value in everything}
        yield from (("phantom", f"{place} {value!r}, perhaps at {offsets.get(value)}") for value in values - sent[place])
        yield from (("rejected", f"{place} {value!r}") for value in values & history.refused.get(place, set()))
        yield from _unmet(history, place, offsets)
    for place, acked in history.acked.items():
        if acked and place not in history.final:
            yield "unseen", f"{place} was never read to its end, {len(acked)} records were acknowledged there"


def _gaps(history: History, place: Place, records: Records) -> Iterator[Anomaly]:
    markers = history.markers.get(place, set())
    expected = history.starts[place]
    for offset, _ in records:
        while expected in markers:
            expected += 1
        if offset != expected:
            yield "gap", f"{place} has offset {offset} where {expected} was due"
            return
        expected += 1


def _unmet(history: History, place: Place, offsets: dict[bytes, int]) -> Iterator[Anomaly]:
    """What was acknowledged and is not there, or not where it was said to be."""
    start, end = history.starts[place], history.end(place)
    for value, told in history.acked.get(place, {}).items():
        found = offsets.get(value)
        if found is None:
            if told is None or start <= told < end:
                yield "lost", f"{place} {value!r}, acknowledged at {told}, is not in the log that ends at {end}"
            elif told >= end:
                yield "unseen", f"{place} {value!r}, acknowledged at {told}, the log ends at {end}"
        elif told is not None and told != found:
            yield "conflict", f"{place} {value!r} acknowledged at {told}, found at {found}"


def of_senders(history: History) -> Iterator[Anomaly]:
    found = {place: {value: offset for offset, value in reversed(records)} for place, records in history.final.items()}
    for sender, sent in history.sent.items():
        last: dict[Place, tuple[int, bytes]] = {}
        for place, value in sent:
            there = found.get(place)
            offset = history.acked[place].get(value) if there is None else there.get(value)
            if offset is None:
                continue
            if place in last and offset < last[place][0]:
                yield "reordered", f"{sender} {place} {value!r}@{offset} was sent after {last[place][1]!r}@{last[place][0]}"
            last[place] = (offset, value)
