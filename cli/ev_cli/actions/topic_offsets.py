"""ev topic offsets and count: where the partitions of topics begin and end, and how many records they have."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.several import partition_numbers
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.naming import chosen
from ev_cli.positions import END, START
from ev_cli.progress import Progress
from ev_cli.ranges import ranges_of, read, size_of
from ev_cli.session import Session
from ev_cli.times import moments_of, timestamp_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev.client.admin import Admin
    from ev_cli.ranges import Ranges

    Partition = tuple[str, int]

BY = ("topic", "partition", "key", "hour")
HOUR_MS = 3_600_000
KEYS_MAX = 1_000_000
"""So many different keys are counted one by one; records of others are counted together."""
ENDS = {"start": "earliest", "end": "latest", "max-timestamp": "max-timestamp"}


def places_of(admin: Admin, names: list[str], session: Session, numbers: list[int] | None = None) -> list[Partition]:
    """The partitions of topics, or those of them that have these numbers. What is not there is a failure."""
    topics = {topic.name: topic for topic in admin.topics(internal=True)}
    found = []
    for name in chosen(names, topics, "topic", session.where, regex=False):
        there = [partition.index for partition in topics[name].partitions]
        for index in numbers if numbers is not None else there:
            if index not in there:
                raise Failure(f"topic {name!r} has no partition {index}", f"its partitions are 0 to {there[-1]}", code=3)
            found.append((name, index))
    return found


def show_offsets(options: Any) -> int:
    session = Session(options)
    at = _at(options.at or "end")
    numbers = None if options.partitions is None else partition_numbers(options.partitions, f"-p {options.partitions!r}")
    table = output.Table(("topic", "partition", "offset", "timestamp"))
    with session.admin() as admin:
        places = places_of(admin, options.topics, session, numbers)
        found = admin.list_offsets(dict.fromkeys(places, at))
    for place in places:
        answer = found[place]
        if answer.error is not None:
            raise answer.error
        table.add(
            topic=place[0],
            partition=place[1],
            offset=answer.offset if answer.offset >= 0 else None,
            timestamp=answer.timestamp if answer.timestamp >= 0 else None,
        )
    output.show(table, options)
    return DONE


def _at(text: str) -> str | int:
    """--at: an end of the partition, its newest timestamp, or a point in time."""
    if text in ENDS:
        return ENDS[text]
    from ev_cli.positions import parse_range

    try:
        begin, _ = parse_range(text, 0)
    except UsageFailure:
        begin = None
    if begin is not None and begin.number == 0 and begin.kind in (START, END):
        return ENDS[begin.kind]
    try:
        return timestamp_ms(text.removeprefix("@"), int(time.time() * 1000))
    except UsageFailure as failure:
        raise UsageFailure(f"--at {failure.message}", f"write start, end, max-timestamp, or a time: {failure.hint}") from None


# -- count -----------------------------------------------------------------------------------------------------------------------


def count(options: Any) -> int:
    session = Session(options)
    by = options.by or "topic"
    if by not in BY:
        raise UsageFailure(f"--by {by} is unknown", f"one of {', '.join(BY)}")
    since, until = moments_of(options, int(time.time() * 1000))
    with session.admin() as admin:
        places = places_of(admin, options.topics, session)
        ranges = ranges_of(admin, places, since, until)
    is_read = by in ("key", "hour") or options.exact
    output.show(_counted(by, ranges, options, session) if is_read else _subtracted(by, ranges), options)
    return DONE


def _subtracted(by: str, ranges: Ranges) -> output.Table:
    """From the offsets alone: exact where nothing was compacted and no transaction was written."""
    return _table(by, {place: end - begin for place, (begin, end) in ranges.items()})


def _table(by: str, counts: dict[Partition, int]) -> output.Table:
    if by == "partition":
        table = output.Table(("topic", "partition", "records"))
        for (topic, index), number in counts.items():
            table.add(topic=topic, partition=index, records=number)
        return table
    table = output.Table(("topic", "records"))
    sums: dict[str, int] = {}
    for (topic, _), number in counts.items():
        sums[topic] = sums.get(topic, 0) + number
    for topic, number in sums.items():
        table.add(topic=topic, records=number)
    return table


def _counted(by: str, ranges: Ranges, options: Any, session: Session) -> output.Table:
    """By reading every record."""
    if by in ("topic", "partition"):
        counts = dict.fromkeys(ranges, 0)
        for batch, wanted in _with_progress(ranges, options, session):
            counts[batch.topic, batch.partition] += wanted
        return _table(by, counts)
    return _by_key(ranges, options, session) if by == "key" else _by_hour(ranges, options, session)


def _with_progress(ranges: Ranges, options: Any, session: Session) -> Iterator[tuple[Any, int]]:
    with Progress(options, "counting", total=size_of(ranges), unit="records") as progress:
        for batch, wanted in read(session, ranges):
            yield batch, wanted
            progress.advance(batch.next_offset - batch.first_offset)


def _by_key(ranges: Ranges, options: Any, session: Session) -> output.Table:
    counts: dict[tuple[str, bytes | None], int] = {}
    others: dict[str, int] = {}
    for batch, wanted in _with_progress(ranges, options, session):
        for key in batch.columns.keys[:wanted]:
            place = (batch.topic, key)
            if place in counts:
                counts[place] += 1
            elif len(counts) < KEYS_MAX:
                counts[place] = 1
            else:
                others[batch.topic] = others.get(batch.topic, 0) + 1
    table = output.Table(("topic", "key", "records"))
    for (topic, key), number in sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or b"")):
        table.add(topic=topic, key=None if key is None else key.decode("utf-8", "backslashreplace"), records=number)
    for topic, number in others.items():
        session.talk(f"{number} records of {output.safe(topic)} have other keys: only {KEYS_MAX} keys are told apart")
    return table


def _by_hour(ranges: Ranges, options: Any, session: Session) -> output.Table:
    counts: dict[tuple[str, int], int] = {}
    for batch, wanted in _with_progress(ranges, options, session):
        for timestamp in batch.columns.timestamps[:wanted]:
            place = (batch.topic, timestamp // HOUR_MS)
            counts[place] = counts.get(place, 0) + 1
    table = output.Table(("topic", "timestamp", "records"))
    for (topic, hour), number in sorted(counts.items()):
        table.add(topic=topic, timestamp=hour * HOUR_MS, records=number)
    return table
