"""The ring of records: what is in it, what is not any more, and that each record is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.client.fetched import FetchedBatch
from ev.wire.records import encode_batch, read_header
from ev_tui.records.ring import ABORTED, COMMITTED, OPEN, RECORD_COST, Origin, Ring
from ev_tui.records.transactions import Transactions

CONTROL, TRANSACTIONAL = 0x20, 0x10


def batch(first: int, count: int, *, size: int = 0, partition: int = 0, producer_id: int = -1, attributes: int = 0) -> FetchedBatch:
    """Records whose values are their offsets, filled up to so many bytes."""
    values: list[bytes | None] = [str(offset).encode().ljust(size, b".") for offset in range(first, first + count)]
    data = encode_batch(values, timestamps=[1000 + offset for offset in range(first, first + count)], base_offset=first)
    return as_fetched(data, partition, producer_id, attributes)


def marker(offset: int, *, commits: bool, partition: int = 0, producer_id: int) -> FetchedBatch:
    data = encode_batch([b"\0\0\0\0\0\0"], keys=[b"\0\0\0" + bytes([commits])], base_offset=offset)
    return as_fetched(data, partition, producer_id, CONTROL | TRANSACTIONAL)


def as_fetched(data: bytes, partition: int, producer_id: int, attributes: int) -> FetchedBatch:
    header = read_header(data)
    header.producer_id = producer_id
    header.attributes |= attributes
    return FetchedBatch("t", partition, data, 0, header, 0, 0)


def fill(ring: Ring, *counts: int, size: int = 0) -> int:
    offset = 0
    for count in counts:
        found = batch(offset, count, size=size)
        ring.add(Origin(found), found)
        offset += count
    return offset


def test_the_newest_records_are_there_in_their_order() -> None:
    """Around the end of the columns, too; and each has the batch it came in."""
    ring = Ring(records_max=10)
    fill(ring, 4, 4, 5)
    assert (ring.start, ring.end, len(ring), ring.forgotten) == (3, 13, 10, 3)
    rows = ring.rows(0, 100)
    assert [row.offset for row in rows] == list(range(3, 13))
    assert [row.value for row in rows] == [str(offset).encode() for offset in range(3, 13)]
    assert [row.origin.base_offset for row in rows] == [0, *[4] * 4, *[8] * 5]
    assert [row.sequence for row in ring.rows(5, 3)] == [5, 6, 7]
    assert ring.row(2) is None
    assert ring.row(13) is None


def test_bytes_are_bounded_like_records() -> None:
    """Large records push out more old ones."""
    ring = Ring(records_max=100, bytes_max=10 * (1000 + RECORD_COST))
    fill(ring, *[2] * 20, size=1000)
    assert len(ring) == 10
    assert ring.size <= ring.bytes_max
    assert ring.forgotten == 30


@pytest.mark.parametrize(("records_max", "bytes_max"), [(10, 1 << 20), (1000, 5 * (1000 + RECORD_COST))])
def test_of_a_batch_that_is_more_than_the_ring_the_newest_are_kept(records_max: int, bytes_max: int) -> None:
    """The others have a sequence all the same, and count as let go."""
    ring = Ring(records_max, bytes_max)
    fill(ring, 3, 100, size=1000)
    assert 1 <= len(ring) <= 10
    assert [row.offset for row in ring.rows(0, 1000)] == list(range(103 - len(ring), 103))
    assert ring.forgotten == 103 - len(ring)


def test_what_is_cleared_was_not_pushed_out() -> None:
    """Sequences go on, so that nobody takes a new record for an old one."""
    ring = Ring(records_max=10)
    fill(ring, 5)
    ring.clear()
    assert (len(ring), ring.forgotten, ring.end, ring.size) == (0, 0, 5, 0)
    fill(ring, 2)
    assert [row.sequence for row in ring.rows(0, 100)] == [5, 6]


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 20), st.integers(500, 5000))
def test_every_record_is_here_or_forgotten(counts: list[int], records_max: int, bytes_max: int) -> None:
    """Whatever comes in whatever pieces: the newest ones are here, in order, within both bounds."""
    ring = Ring(records_max, bytes_max)
    added = fill(ring, *[count for count in counts if count], size=100)
    assert ring.end == added == len(ring) + ring.forgotten
    assert len(ring) <= records_max
    assert ring.size <= bytes_max or len(ring) == 1
    assert [row.offset for row in ring.rows(0, 10_000)] == list(range(added - len(ring), added))


def test_a_marker_settles_the_batches_of_its_producer() -> None:
    """Those in its partition that came before it; what comes later is open again."""
    transactions = Transactions()
    origins = [
        Origin(batch(0, 1, producer_id=1, attributes=TRANSACTIONAL)),
        Origin(batch(1, 1, producer_id=2, attributes=TRANSACTIONAL)),
        Origin(batch(0, 1, producer_id=1, partition=1, attributes=TRANSACTIONAL)),
    ]
    for origin in origins:
        transactions.note(origin)
    assert [origin.state for origin in origins] == [OPEN] * 3
    for end in (marker(2, commits=False, producer_id=1), marker(3, commits=True, producer_id=2)):
        transactions.end(Origin(end), end.columns.keys[0] or b"")
    assert [origin.state for origin in origins] == [ABORTED, COMMITTED, OPEN]
    assert transactions.open_count == 1
