"""Reads an internal log from its beginning, record by record, to rebuild the state that its records describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ev.errors import DiskError, KafkaError
from ev.log.reading import ReadLater
from ev.log.transactions import read_marker
from ev.wire.compression import NONE
from ev.wire.records import HEADER_SIZE, decode_batch, headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.log.partition import Partition
    from ev.wire.primitives import Buffer
    from ev.wire.records import BatchHeader

READ_BYTES_MAX = 4 << 20
FEW_RECORDS = 16


def replayed(partition: Partition) -> Iterator[tuple[bytes | None, bytes | None]]:
    """(key, value) of every record up to the high watermark, control records left out. For the start: it waits for the disk."""
    for header, piece, position in batches(partition):
        if not header.is_control:
            yield from records_of(header, piece, position)


def batches(partition: Partition) -> Iterator[tuple[BatchHeader, Buffer, int]]:
    """(header, the bytes it is in, its place in them) of every batch up to the high watermark.

    Raises DiskError when the log is damaged: what is missing cannot be told from what never was, so nothing may be built upon the rest.
    """
    offset = partition.log_start_offset
    while offset < partition.high_watermark:
        try:
            answer = partition.read(offset, READ_BYTES_MAX, at_least_one=True)
            read = answer.run() if isinstance(answer, ReadLater) else answer
        except KafkaError as error:
            raise _damaged(partition, str(error)) from error
        if read.next_offset <= offset:
            break
        for piece in read.pieces:
            for position, header in headers(piece):
                yield header, piece, position
        offset = read.next_offset
    if partition.damaged is not None:
        raise _damaged(partition, partition.damaged)


def _damaged(partition: Partition, problem: str) -> DiskError:
    return DiskError(
        f"{partition.directory} is damaged, and what it says is needed to start: {problem}; nothing was changed: `ev server verify` shows "
        "all damage, `ev server restore` brings back a backup"
    )


def records_of(header: BatchHeader, piece: Buffer, position: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """(key, value) of every record of one batch."""
    if header.codec == NONE and header.record_count <= FEW_RECORDS:
        yield from _few_records(bytes(piece[position + HEADER_SIZE : position + header.size]), header.record_count)
    else:
        batch = decode_batch(piece, position)
        yield from zip(batch.keys, batch.values, strict=True)


class Newest(NamedTuple):
    """A record that counts; `producer_id`: of the open transaction that has written it, or None."""

    key: bytes
    value: bytes
    producer_id: int | None
    offset: int


def newest(partition: Partition) -> list[Newest]:
    """The newest record of every key that has one, and what transactions that are still open have written, in the order of the log:
    what compaction would leave.

    What a transaction has written counts from its commit on, unless another record of the key was written after it.
    """
    values: dict[bytes, tuple[int, bytes]] = {}
    pending: dict[int, dict[bytes, tuple[int, bytes]]] = {}
    for header, piece, position in batches(partition):
        if header.is_control:
            marker = read_marker(piece[position : position + header.size])
            written = pending.pop(header.producer_id, {})
            if marker is not None and marker.commits:
                values |= {key: each for key, each in written.items() if key not in values or values[key][0] < each[0]}
            continue
        first = header.base_offset + header.last_offset_delta + 1 - header.record_count
        for number, (key, value) in enumerate(records_of(header, piece, position), first):
            name = key or b""
            if header.is_transactional and value is not None:
                pending.setdefault(header.producer_id, {})[name] = (number, value)
            elif value is not None:
                values[name] = (number, value)
            else:
                values.pop(name, None)
                for written in pending.values():
                    written.pop(name, None)
    found = [Newest(key, value, None, offset) for key, (offset, value) in values.items()]
    found += [Newest(key, value, producer, offset) for producer, written in pending.items() for key, (offset, value) in written.items()]
    return sorted(found, key=lambda each: each.offset)


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
