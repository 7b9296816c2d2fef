"""Record batches, version 2: the unit in which Kafka sends, stores and checks events.

A batch is a header (`ev.wire.batch_header`) and its records, compressed as one block when there is a codec:

    record   varint length, then: int8 attributes, varlong timestamp delta, varint offset delta, varint key length (-1 null), key,
             varint value length (-1 null), value, varint header count, {varint name length, name, varint value length, value}

All varints are zigzag-encoded. Records are read and written as columns, never one by one where that can be avoided: a batch without keys
and headers (lines of text) for many records at once (`ev.wire.plain_records`), anything else by the careful loop.

`read_header` and `decode_batch` do not look at the checksum: `check_crc` does, and who needs it calls it.
"""

from __future__ import annotations

from ev.errors import CorruptBatchError
from ev.wire import compression as codecs
from ev.wire.batch_header import (
    AFTER_CRC,
    BEFORE_CRC,
    CODEC_MASK,
    CONTROL,
    CRC_START,
    DELETE_HORIZON,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    LOG_OVERHEAD,
    MAGIC,
    NO_TIMESTAMP,
    RECORD_SIZE_MIN,
    TRANSACTIONAL,
    BatchHeader,
    check_crc,
    headers,
    patch,
    read_header,
    with_producer,
)
from ev.wire.checksum import crc32c
from ev.wire.plain_records import RUN_MIN, decode_plain, keyed_parts, plain_parts
from ev.wire.record_varints import VARINTS, offset_varints, read_varint, read_zigzag, varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.wire.primitives import Buffer

    Header = tuple[str | bytes, bytes | None]

__all__ = [
    "CODEC_MASK",
    "CONTROL",
    "DELETE_HORIZON",
    "HEADER_SIZE",
    "LOG_APPEND_TIME",
    "LOG_OVERHEAD",
    "MAGIC",
    "NO_TIMESTAMP",
    "TRANSACTIONAL",
    "BatchHeader",
    "Columns",
    "Header",
    "check_crc",
    "decode_batch",
    "decode_records",
    "encode_batch",
    "headers",
    "patch",
    "read_header",
    "with_producer",
]


RECORDS_MAX = 1 << 20
"""A compressed batch of more is not opened: a record takes next to nothing there, seven bytes outside, and many times that in memory."""

GROWTH_MAX = 16
"""What is large already may grow as texts do, not as a bomb."""


# Writing


def encode_batch(
    values: Sequence[bytes | None],
    *,
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[Sequence[Header]] | None = None,
    timestamps: int | Sequence[int] | None = None,
    compression: int = 0,
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    base_offset: int = 0,
    leader_epoch: int = -1,
    attributes: int = 0,
) -> bytes:
    """One batch from columns. A None in keys or values is a null; timestamps is one for all, one each, or none."""
    count = len(values)
    if not count:
        raise ValueError("a record batch holds at least one record")
    if timestamps is None or isinstance(timestamps, int):
        base_timestamp = max_timestamp = NO_TIMESTAMP if timestamps is None else timestamps
        deltas = None
    else:
        base_timestamp, max_timestamp = timestamps[0], max(timestamps)
        deltas = None if base_timestamp == max_timestamp == min(timestamps) else [timestamp - base_timestamp for timestamp in timestamps]
    if headers is None and deltas is None:
        try:
            parts = plain_parts(values) if keys is None else keyed_parts(values, keys)  # type: ignore[arg-type]
        except TypeError:  # a null
            parts = _any_parts(values, keys, None, None)
    else:
        parts = _any_parts(values, keys, headers, deltas)
    if compression:
        records = codecs.compress(compression, b"".join(parts), level)
        parts = [records]
    # The records come to lie behind room for the header, so that a batch is put together once.
    parts.insert(0, bytes(HEADER_SIZE))
    batch = bytearray().join(parts)
    AFTER_CRC.pack_into(
        batch,
        CRC_START,
        attributes | compression,
        count - 1,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    with memoryview(batch) as view:
        crc = crc32c(view[CRC_START:])
    BEFORE_CRC.pack_into(batch, 0, base_offset, len(batch) - LOG_OVERHEAD, leader_epoch, MAGIC, crc)
    return bytes(batch)


def _any_parts(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None,
    headers: Sequence[Sequence[Header]] | None,
    deltas: Sequence[int] | None,
) -> list[bytes]:
    """The pieces of any records: length, attributes and timestamp, offset, key length, key, value length, value, headers."""
    count = len(values)
    varints = VARINTS
    offsets = offset_varints(0, count)
    value_sizes, value_bytes = _sizes_and_bytes(values)
    value_heads = list(map(varints.__getitem__, value_sizes))
    columns: list[Sequence[bytes]] = [offsets]
    if keys is not None:
        key_sizes, key_bytes = _sizes_and_bytes(keys)
        columns += (list(map(varints.__getitem__, key_sizes)), key_bytes)
    else:
        columns.append([b"\x01"] * count)
    columns += (value_heads, value_bytes)
    columns.append([b"\x00"] * count if headers is None else list(map(_encode_headers, headers)))
    timestamps = [b"\x00\x00"] * count if deltas is None else [b"\x00" + varints[delta] for delta in deltas]
    columns.insert(0, timestamps)
    sizes = list(map(sum, zip(*(map(len, column) for column in columns), strict=True)))
    columns.insert(0, list(map(varints.__getitem__, sizes)))
    parts = [b""] * (count * len(columns))
    for index, column in enumerate(columns):
        parts[index :: len(columns)] = column
    return parts


def _sizes_and_bytes(column: Sequence[bytes | None]) -> tuple[list[int], Sequence[bytes]]:
    """Lengths and bytes of a column, where a null has length -1 and no bytes."""
    try:
        return list(map(len, column)), column  # type: ignore[arg-type, return-value]
    except TypeError:
        return [-1 if item is None else len(item) for item in column], [item or b"" for item in column]


def _encode_headers(headers: Sequence[Header]) -> bytes:
    if not headers:
        return b"\x00"
    parts = [varint(len(headers))]
    for name, value in headers:
        name_bytes = name.encode() if isinstance(name, str) else name
        parts += (varint(len(name_bytes)), name_bytes)
        parts += (b"\x01",) if value is None else (varint(len(value)), value)
    return b"".join(parts)


# Reading


class Columns:
    """The records of one batch as columns: one list each, all of one length."""

    __slots__ = ("base_offset", "headers", "keys", "offsets", "timestamps", "values")

    def __init__(
        self,
        base_offset: int,
        offsets: Sequence[int],
        timestamps: list[int],
        keys: list[bytes | None],
        values: list[bytes | None],
        headers: list[Sequence[tuple[str, bytes | None]]],
    ) -> None:
        self.base_offset = base_offset
        self.offsets = offsets
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.headers = headers

    def __len__(self) -> int:
        return len(self.offsets)

    def __repr__(self) -> str:
        return f"Columns(base_offset={self.base_offset}, {len(self)} records)"


def decode_batch(
    buffer: Buffer, position: int = 0, *, header: BatchHeader | None = None, decompressed_size_max: int | None = None
) -> Columns:
    """The records of the batch at position. CorruptBatchError when they contradict their header, each other or the bound.

    Who has read the header already passes it on. Without a bound of the caller's a batch may grow to 32 MiB, a large one 16 times.
    """
    if header is None:
        header = read_header(buffer, position)
    if header.magic != MAGIC:
        raise CorruptBatchError(f"the batch at offset {header.base_offset} has format {header.magic}, ev reads format 2")
    if header.size > len(buffer) - position:
        raise CorruptBatchError(f"the batch at offset {header.base_offset} says {header.size} bytes, {len(buffer) - position} are there")
    with memoryview(buffer) as view:
        stored = view[position + HEADER_SIZE : position + header.size]
        if decompressed_size_max is None:
            decompressed_size_max = max(codecs.SIZE_MAX, GROWTH_MAX * len(stored))
        records = codecs.decompress(header.codec, stored, decompressed_size_max) if header.codec else bytes(stored)
    return decode_records(header, records)


def decode_records(header: BatchHeader, records: bytes) -> Columns:
    """The records of a batch whose header and decompressed body are at hand."""
    count = header.record_count
    base = header.base_offset
    if count == 0 and not records:  # compaction keeps the header of a producer's last batch when all its records are gone
        return Columns(base, range(base, base), [], [], [], [])
    if count <= 0 or count * RECORD_SIZE_MIN > len(records):
        raise CorruptBatchError(f"the batch at offset {base} says {count} records in {len(records)} bytes")
    if count > RECORDS_MAX and header.codec:
        raise CorruptBatchError(f"the batch at offset {base} has {count} records; one of more than {RECORDS_MAX} is not opened")
    one_timestamp = header.base_timestamp == header.max_timestamp
    plain = decode_plain(records, count, one_timestamp) if header.last_offset_delta == count - 1 and count >= RUN_MIN else None
    if plain is not None:
        values, deltas = plain
        return Columns(base, range(base, base + count), _timestamps_of(header, deltas), [None] * count, values, [()] * count)  # type: ignore[arg-type]
    try:
        return _decode_any(header, records)
    except IndexError as error:
        raise CorruptBatchError(f"the batch at offset {base} ends in the middle of a record") from error


def _decode_any(header: BatchHeader, records: bytes) -> Columns:
    """Every field of every record, each checked against the end of its record."""
    offset_deltas: list[int] = []
    timestamp_deltas: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    headers_column: list[Sequence[tuple[str, bytes | None]]] = [()] * header.record_count
    lengths = 0
    position = 0
    for index in range(header.record_count):
        # Varints of one and two bytes are read in place: those are most of them, and a call costs as much as the rest of a record.
        byte = records[position]
        if byte < 0x80:
            position += 1
        elif (high := records[position + 1]) < 0x80:
            byte = byte & 0x7F | high << 7
            position += 2
        else:
            byte, position = read_zigzag(records, position)
        lengths |= byte
        end = position + (byte >> 1)
        position += 1  # the record's attributes: Kafka uses none
        byte = records[position]
        if byte < 0x80:
            position += 1
        elif (high := records[position + 1]) < 0x80:
            byte = byte & 0x7F | high << 7
            position += 2
        else:
            byte, position = read_zigzag(records, position)
        timestamp_deltas.append((byte >> 1) ^ -(byte & 1))
        byte = records[position]
        if byte < 0x80:
            position += 1
        elif (high := records[position + 1]) < 0x80:
            byte = byte & 0x7F | high << 7
            position += 2
        else:
            byte, position = read_zigzag(records, position)
        lengths |= byte
        offset_deltas.append(byte >> 1)
        byte = records[position]
        if byte == 1:
            position += 1
            keys.append(None)
        else:
            if byte < 0x80:
                position += 1
            elif (high := records[position + 1]) < 0x80:
                byte = byte & 0x7F | high << 7
                position += 2
            else:
                byte, position = read_zigzag(records, position)
            lengths |= byte
            stop = position + (byte >> 1)
            keys.append(records[position:stop])
            position = stop
        byte = records[position]
        if byte == 1:
            position += 1
            values.append(None)
        else:
            if byte < 0x80:
                position += 1
            elif (high := records[position + 1]) < 0x80:
                byte = byte & 0x7F | high << 7
                position += 2
            else:
                byte, position = read_zigzag(records, position)
            lengths |= byte
            stop = position + (byte >> 1)
            values.append(records[position:stop])
            position = stop
        if records[position] == 0:
            position += 1
        else:
            headers_column[index], position = _read_headers(records, position, end)
        if position != end:
            raise CorruptBatchError(f"the fields of a record of the batch at offset {header.base_offset} do not end where the record does")
    if lengths & 1:  # the sign bit of any of them: looked at once, so that it costs little
        raise CorruptBatchError(f"a length or an offset in the batch at offset {header.base_offset} is negative")
    if position != len(records):
        raise CorruptBatchError(f"the batch at offset {header.base_offset} goes on after its {header.record_count} records")
    return Columns(
        header.base_offset,
        _offsets_of(header, offset_deltas),
        _timestamps_of(header, timestamp_deltas),
        keys,
        values,
        headers_column,
    )


def _read_headers(records: bytes, position: int, end: int) -> tuple[list[tuple[str, bytes | None]], int]:
    count, position = read_varint(records, position)
    if not 0 <= count <= end - position:
        raise CorruptBatchError(f"a record says it has {count} headers")
    result: list[tuple[str, bytes | None]] = []
    try:
        for _ in range(count):
            name, position = _read_field(records, position)
            value, position = _read_field(records, position)
            if name is None or position > end:
                raise CorruptBatchError("a header has no name or is longer than its record")
            result.append((name.decode(), value))
    except UnicodeDecodeError as error:
        raise CorruptBatchError("the name of a header is not UTF-8") from error
    return result, position


def _read_field(records: bytes, position: int) -> tuple[bytes | None, int]:
    size = records[position]
    if size < 0x80:
        position += 1
    else:
        size, position = read_zigzag(records, position)
    if size & 1:
        if size != 1:
            raise CorruptBatchError("a header says it has a negative length")
        return None, position
    stop = position + (size >> 1)
    return records[position:stop], stop


def _offsets_of(header: BatchHeader, deltas: list[int]) -> Sequence[int]:
    base = header.base_offset
    if deltas[-1] == len(deltas) - 1 and deltas == list(range(len(deltas))):
        return range(base, base + len(deltas))
    before = -1
    for delta in deltas:
        if not before < delta <= header.last_offset_delta:
            raise CorruptBatchError(f"the offsets in the batch at offset {base} are out of order")
        before = delta
    return [base + delta for delta in deltas]


def _timestamps_of(header: BatchHeader, deltas: list[int]) -> list[int]:
    if header.is_log_append_time:
        return [header.max_timestamp] * len(deltas)
    base = header.base_timestamp
    if deltas.count(deltas[0]) == len(deltas):
        return [base + deltas[0]] * len(deltas)
    return [base + delta for delta in deltas]
