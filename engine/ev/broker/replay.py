"""Reads an internal log from its beginning, record by record, to rebuild the state that its records describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.log.reading import ReadLater
from ev.wire.compression import NONE
from ev.wire.records import HEADER_SIZE, decode_batch, headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.log.partition import Partition

READ_BYTES_MAX = 4 << 20
FEW_RECORDS = 16


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
                if header.is_control:
                    continue
                if header.codec == NONE and header.record_count <= FEW_RECORDS:
                    yield from _few_records(bytes(piece[position + HEADER_SIZE : position + header.size]), header.record_count)
                else:
                    batch = decode_batch(piece, position)
                    yield from zip(batch.keys, batch.values, strict=True)
        offset = read.next_offset


def newest(partition: Partition) -> dict[bytes, bytes]:
    """The newest value of every key that has one: what compaction would leave."""
    values: dict[bytes, bytes] = {}
    for key, value in replayed(partition):
        if value is not None:
            values[key or b""] = value
        else:
            values.pop(key or b"", None)
    return values


def _few_records(records: bytes, count: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """The same for the batches that these logs are mostly made of, one decision each: decoding by columns pays for many records only."""
    position = 0
    for _ in range(count):
        size, position = _varint(records, position)
        end = position + size
        _, position = _varint(records, position + 1)  # past the attributes, the timestamp delta
        _, position = _varint(records, position)  # the offset delta
        key, position = _field(records, position)
        value, _ = _field(records, position)
        position = end
        yield key, value


def _field(records: bytes, position: int) -> tuple[bytes | None, int]:
    size, position = _varint(records, position)
    if size < 0:
        return None, position
    return records[position : position + size], position + size


def _varint(records: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = records[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
