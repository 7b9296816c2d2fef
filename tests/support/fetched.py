"""Batches as a consumer hands them out, without a broker."""

from __future__ import annotations

from collections.abc import Sequence

from ev.client.fetched import FetchedBatch
from ev.wire.records import encode_batch, read_header

Headers = Sequence[tuple[str, bytes | None]]


def fetched(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[Headers] | None = None,
    *,
    timestamps: int | Sequence[int] = 1700000000000,
    topic: str = "t",
    partition: int = 3,
    base_offset: int = 7,
) -> FetchedBatch:
    """One batch of these records."""
    data = encode_batch(values, keys=keys, headers=headers, timestamps=timestamps, base_offset=base_offset)
    return FetchedBatch(topic, partition, data, 0, read_header(data), base_offset, 99)
