"""An internal log is read back record by record, however its batches were built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from ev.broker.replay import newest, replayed
from ev.log.reading import Read
from ev.wire.compression import GZIP, NONE
from ev.wire.records import encode_batch

Batches: TypeAlias = "list[tuple[list[tuple[bytes | None, bytes | None]], int]]"

TEXTS = st.one_of(st.none(), st.binary(max_size=300))
BATCHES = st.lists(st.tuples(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40), st.sampled_from([NONE, GZIP])), max_size=6)


class Log:
    """As much of a partition as a reader sees: whole batches, a few at a time."""

    damaged: str | None = None

    def __init__(self, batches: Sequence[bytes], counts: Sequence[int]) -> None:
        self.batches, self.counts = batches, counts
        self.log_start_offset, self.high_watermark = 0, sum(counts)

    def read(self, offset: int, bytes_max: int, *, at_least_one: bool) -> Read:
        begins = 0
        for batch, count in zip(self.batches, self.counts, strict=True):
            if begins <= offset < begins + count:
                return Read([batch], begins + count)
            begins += count
        return Read([], offset)


def log_of(batches: Batches) -> Any:
    encoded, offset = [], 0
    for records, codec in batches:
        keys, values = [key for key, _ in records], [value for _, value in records]
        encoded.append(encode_batch(values, keys=keys, timestamps=1_700_000_000_000, compression=codec, base_offset=offset))
        offset += len(records)
    return Log(encoded, [len(records) for records, _ in batches])


@given(BATCHES)
def test_every_record_is_read_back_in_order(batches: Batches) -> None:
    """One record a batch or many, compressed or not, with and without keys and values."""
    assert list(replayed(log_of(batches))) == [record for records, _ in batches for record in records]


def test_of_every_key_the_newest_value_is_left() -> None:
    """As after compaction: a tombstone leaves nothing, and a later value brings the key back."""
    batches: Batches = [([(b"a", b"1"), (b"b", b"1")], NONE), ([(b"a", b"2")], NONE), ([(b"b", None), (b"c", None), (b"c", b"3")], NONE)]
    assert newest(log_of(batches)) == [(b"a", b"2", None, 2), (b"c", b"3", None, 5)]
