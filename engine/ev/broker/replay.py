"""Reads an internal log from its beginning, record by record, to rebuild the state that its records describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.log.reading import ReadLater
from ev.wire.records import decode_batch, headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.log.partition import Partition

READ_BYTES_MAX = 4 << 20


def replayed(partition: Partition) -> Iterator[tuple[bytes | None, bytes | None]]:
    """(key, value) of every record up to the high watermark, control records left out. For the start: it waits for the disk."""
    offset = partition.log_start_offset
    while offset < partition.high_watermark:
        answer = partition.read(offset, READ_BYTES_MAX, at_least_one=True)
        read = answer.run() if isinstance(answer, ReadLater) else answer
        if read.next_offset <= offset:
            return
        for piece in read.pieces:
            for position, header in headers(piece):
                if not header.is_control:
                    batch = decode_batch(piece, position)
                    yield from zip(batch.keys, batch.values, strict=True)
        offset = read.next_offset
