"""Ranges of partitions, from where to where their records are wanted, and reading them to their ends."""

from __future__ import annotations

import time

from ev_cli.failures import UNREACHABLE, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ev.client.admin import Admin
    from ev.client.fetched import FetchedBatch
    from ev_cli.session import Session

    Partition = tuple[str, int]
    Ranges = dict[Partition, tuple[int, int]]

POLL_MS = 200
READ_COMMITTED = "read_committed"
PARTITION_BYTES = 2 << 20


def ranges_of(admin: Admin, places: Iterable[Partition], since: int | None = None, until: int | None = None) -> Ranges:
    """The offsets between two points in time, the second one excluded; without them all that there is and that is committed."""
    wanted = list(places)
    starts = _found(admin, wanted, "earliest")
    ends = _found(admin, wanted, "latest")
    begins = starts if since is None else _found(admin, wanted, since)
    stops = ends if until is None else _found(admin, wanted, until)
    found = {}
    for place in wanted:
        end = ends[place]
        begin = end if begins[place] < 0 else begins[place]
        stop = end if stops[place] < 0 else min(stops[place], end)
        found[place] = (min(begin, stop), stop)
    return found


def _found(admin: Admin, places: list[Partition], at: str | int) -> dict[Partition, int]:
    """Offsets at an end or a point in time; -1 where nothing is that late."""
    found = admin.list_offsets(dict.fromkeys(places, at), isolation=READ_COMMITTED)
    for offset in found.values():
        if offset.error is not None:
            raise offset.error
    return {place: offset.offset for place, offset in found.items()}


def size_of(ranges: Ranges) -> int:
    """How many offsets the ranges have: as many records, or, where some were compacted or aborted, fewer."""
    return sum(end - begin for begin, end in ranges.values())


def read(session: Session, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[tuple[FetchedBatch, int]]:
    """The batches of the ranges and how many of the records of each, from its first, are wanted. Aborted records are left out.

    Ends when all have been read; a Failure when nobody has answered for as long as one request may take.
    """
    left = {place: end for place, (begin, end) in ranges.items() if begin < end}
    if not left:
        return
    with session.consumer(isolation=READ_COMMITTED, partition_max_bytes=PARTITION_BYTES, timeout_ms=session.timeout_ms) as consumer:
        consumer.assign({place: ranges[place][0] for place in left})
        heard = time.monotonic()
        while left:
            batches = consumer.poll_batches(POLL_MS)
            now = time.monotonic()
            if batches or consumer.connected:
                heard = now
            elif (now - heard) * 1000 > session.timeout_ms:
                raise Failure(f"{session.where} does not answer any more", f"{len(left)} partitions were not read", code=UNREACHABLE)
            for batch in batches:
                end = left.get((batch.topic, batch.partition), 0)
                yield batch, wanted_of(batch, end)
            reached = [place for place, end in left.items() if consumer.position(place) >= end]
            if reached:
                consumer.pause(*reached)
                for place in reached:
                    del left[place]


def wanted_of(batch: FetchedBatch, end: int) -> int:
    """How many records of a batch lie before an offset."""
    return len(batch) if batch.next_offset <= end else sum(offset < end for offset in batch.columns.offsets)
