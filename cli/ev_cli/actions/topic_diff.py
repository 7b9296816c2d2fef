"""ev topic diff: whether two topics, also of two clusters, have the same partitions, settings and records."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.topic_changes import own_settings
from ev_cli.actions.topic_offsets import places_of
from ev_cli.failures import DONE, UNMET
from ev_cli.progress import Progress
from ev_cli.ranges import ranges_of, read, size_of
from ev_cli.running import Options
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = tuple[int, int, bytes | None, bytes | None, Any]

SHOWN_BYTES = 40


class Side:
    """One of the two: [CONTEXT/]TOPIC, what was set for it, and where its records are."""

    def __init__(self, options: Any, text: str) -> None:
        context, slash, topic = text.rpartition("/")
        if slash:
            options = Options({**vars(options), "context": context, "bootstrap": None, "data_dir": None, "listen": None})
        self.session = Session(options)
        self.topic = topic
        with self.session.admin() as admin:
            places = places_of(admin, [topic], self.session)
            self.config = own_settings(admin, [topic])[topic]
            self.ranges = ranges_of(admin, places)

    def rows(self, partition: int) -> Iterator[list[Row]]:
        """The records of one partition, batch by batch: offset, timestamp, key, value, headers."""
        place = (self.topic, partition)
        for batch, wanted in read(self.session, {place: self.ranges[place]}):
            columns = batch.columns
            yield list(
                zip(
                    columns.offsets[:wanted],
                    columns.timestamps[:wanted],
                    columns.keys[:wanted],
                    columns.values[:wanted],
                    map(list, columns.headers[:wanted]),
                    strict=True,
                )
            )


def diff(options: Any) -> int:
    left, right = Side(options, options.left), Side(options, options.right)
    everything = not options.config and not options.records
    table = output.Table(("what", "left", "right"))
    if len(left.ranges) != len(right.ranges):
        table.add(what="partitions", left=len(left.ranges), right=len(right.ranges))
    if options.config or everything:
        for key in sorted({*left.config, *right.config}):
            if left.config.get(key) != right.config.get(key):
                table.add(what=key, left=left.config.get(key), right=right.config.get(key))
    if options.records or everything:
        _compare_records(table, left, right, options)
    output.show(table, options)
    return UNMET if table.rows else DONE


def _compare_records(table: output.Table, left: Side, right: Side, options: Any) -> None:
    """The first difference of each partition that both have. Offsets may differ: compaction and transactions leave gaps."""
    both = sorted({index for _, index in left.ranges} & {index for _, index in right.ranges})
    total = sum(size_of({place: ends}) for place, ends in left.ranges.items() if place[1] in both)
    with Progress(options, "comparing", total=total, unit="records") as progress:
        for index in both:
            found = first_difference(left.rows(index), right.rows(index), progress)
            if found is not None:
                table.add(what=f"records of partition {index}", left=_shown(found[0]), right=_shown(found[1]))


def first_difference(left: Iterator[list[Row]], right: Iterator[list[Row]], progress: Progress) -> tuple[Row | None, Row | None] | None:
    """The first two records, one of each side, that are not the same but for their offsets; None for an end. None when all are."""
    ours: list[Row] = []
    theirs: list[Row] = []
    while True:
        while not ours and (more := next(left, None)) is not None:
            ours = more
        while not theirs and (more := next(right, None)) is not None:
            theirs = more
        if not ours and not theirs:
            return None
        count = min(len(ours), len(theirs))
        for place in range(count):
            if ours[place][1:] != theirs[place][1:]:
                return ours[place], theirs[place]
        if not count:
            return (ours[0] if ours else None), (theirs[0] if theirs else None)
        progress.advance(count)
        ours, theirs = ours[count:], theirs[count:]


def _shown(row: Row | None) -> str | None:
    """A record for a person, short."""
    if row is None:
        return None
    offset, timestamp, key, value, headers = row
    named = f" {len(headers)} headers" if headers else ""
    return f"@{offset} {timestamp} {_short(key)}: {_short(value)}{named}"


def _short(data: bytes | None) -> str:
    if data is None:
        return "null"
    text = data[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return text + ("…" if len(data) > SHOWN_BYTES else "")
