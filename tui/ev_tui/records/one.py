"""One record by its place, or the one before or behind a place: fetched, with a thread to wait in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_cli.failures import NOT_FOUND, Failure
from ev_tui.harmless import safe
from ev_tui.records.ring import Origin, Row

if TYPE_CHECKING:
    from ev.client.consumer import Consumer
    from ev_cli.session import Session

POLL_MS = 200
AT, NEXT, PREVIOUS = "at", "next", "previous"
GONE = "it was compacted away, or marks the end of a transaction"
WINDOW, GROWTH = 64, 8
"""So far back the one before is looked for at first: markers and what compaction took away have offsets, too."""


def find(session: Session, topic: str, partition: int, offset: int, which: str = AT) -> Row:
    """The record at the offset, the first one behind it, or the last one before it. A Failure says what there is instead."""
    place = topic, partition
    with session.consumer(
        isolation="read_uncommitted", fetch_max_bytes=4 << 20, request_timeout_ms=session.timeout_ms, timeout_ms=session.timeout_ms
    ) as consumer:
        consumer.partitions_for(topic)
        first = consumer.beginning_offsets([place])[place]
        end = consumer.end_offsets([place])[place]
        name = f"{safe(topic)}/{partition}"
        if first == end:
            raise Failure(f"{name} is empty", "a record may come; r looks again", code=NOT_FOUND)
        found = _previous(consumer, place, offset, first) if which == PREVIOUS else _from(consumer, place, offset + (which == NEXT), end)
        if found is None or (which == AT and found.offset != offset):
            raise Failure(
                _missing(name, which, offset, first, end), "it was compacted away, or marks the end of a transaction", code=NOT_FOUND
            )
        return found


def _missing(name: str, which: str, offset: int, first: int, end: int) -> str:
    if which == NEXT:
        return f"{name}@{offset} is the newest record"
    if which == PREVIOUS:
        return f"{name}@{offset} is the oldest record"
    return f"there is no record {name}@{offset}: offsets are {first:,} to {end - 1:,}"


def _from(consumer: Consumer, place: tuple[str, int], offset: int, end: int) -> Row | None:
    """The first record from there on."""
    rows = _read(consumer, place, offset, end, rows_max=1)
    return rows[0] if rows else None


def _previous(consumer: Consumer, place: tuple[str, int], offset: int, first: int) -> Row | None:
    window, upper = WINDOW, offset
    while upper > first:
        lower = max(first, upper - window)
        rows = _read(consumer, place, lower, upper)
        if rows:
            return rows[-1]
        upper, window = lower, window * GROWTH
    return None


def _read(consumer: Consumer, place: tuple[str, int], begin: int, end: int, rows_max: int | None = None) -> list[Row]:
    """The last record, or the first `rows_max`, of this range."""
    rows: list[Row] = []
    if begin >= end:
        return rows
    consumer.assign({place: begin})
    while consumer.position(place) < end:
        for batch in consumer.poll_batches(POLL_MS):
            origin, columns = Origin(batch), batch.columns
            for index, found in enumerate(columns.offsets):
                if begin <= found < end:
                    row = Row(
                        0, origin, found, columns.timestamps[index], columns.keys[index], columns.values[index], columns.headers[index]
                    )
                    rows.append(row)
                    if rows_max is not None and len(rows) >= rows_max:
                        return rows
            del rows[:-1]
    return rows
