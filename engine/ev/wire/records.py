"""Record batches, version 2: the unit in which Kafka sends, stores and checks events.

    offset  size
         0     8  base offset              set by the broker, outside the checksum
         8     4  length of what follows
        12     4  partition leader epoch   set by the broker, outside the checksum
        16     1  magic, 2
        17     4  CRC-32C of everything from byte 21 on
        21     2  attributes               bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
        23     4  last offset delta
        27     8  base timestamp           of the first record
        35     8  max timestamp
        43     8  producer id              -1 none
        51     2  producer epoch
        53     4  base sequence
        57     4  record count
        61        records, compressed as one block when there is a codec

    record   varint length, then: int8 attributes, varlong timestamp delta, varint offset delta, varint key length (-1 null), key,
             varint value length (-1 null), value, varint header count, {varint name length, name, varint value length, value}

All varints are zigzag-encoded. Records are read and written as columns, never one by one where that can be avoided: one `join` over
whole lists of prebuilt pieces writes a batch, and a batch without keys and headers (lines of text) is read by cutting out the values along
the lengths and checking afterwards, for many records at once, that the bytes between them were what that guess said. Anything else takes
the careful loop.

`read_header` and `decode_batch` do not look at the checksum: `check_crc` does, and who needs it calls it.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct

from ev.errors import CorruptBatchError, MalformedError
from ev.wire import compression as codecs
from ev.wire.checksum import crc32c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev.wire.primitives import Buffer

    Header = tuple[str | bytes, bytes | None]

HEADER_SIZE = 61
LOG_OVERHEAD = 12
"""Bytes before the part that the length field counts."""
MAGIC = 2
NO_TIMESTAMP = -1

CODEC_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
DELETE_HORIZON = 0x40

_CRC_START = 21
_RECORD_SIZE_MIN = 7
_HEADER = Struct(">qiibIhiqqqhii")
_BEFORE_CRC = Struct(">qiibI")
_AFTER_CRC = Struct(">hiqqqhii")
_BASE_OFFSET_AND_SIZE = Struct(">qi")
_BASE_OFFSET = Struct(">q")
_LEADER_EPOCH = Struct(">i")
_CRC = Struct(">I")
_PRODUCER = Struct(">qhi")
_INT32_MAX = 0x7FFFFFFF


# Headers of batches


class BatchHeader:
    """The 61 bytes before the records. `size` is that of the whole batch, the header included."""

    __slots__ = (
        "attributes",
        "base_offset",
        "base_sequence",
        "base_timestamp",
        "crc",
        "last_offset_delta",
        "leader_epoch",
        "magic",
        "max_timestamp",
        "producer_epoch",
        "producer_id",
        "record_count",
        "size",
    )

    def __init__(
        self,
        base_offset: int,
        size: int,
        leader_epoch: int,
        magic: int,
        crc: int,
        attributes: int,
        last_offset_delta: int,
        base_timestamp: int,
        max_timestamp: int,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        record_count: int,
    ) -> None:
        self.base_offset = base_offset
        self.size = size
        self.leader_epoch = leader_epoch
        self.magic = magic
        self.crc = crc
        self.attributes = attributes
        self.last_offset_delta = last_offset_delta
        self.base_timestamp = base_timestamp
        self.max_timestamp = max_timestamp
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self.record_count = record_count

    def __repr__(self) -> str:
        return f"BatchHeader({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record: they go from 0 to 2^31 - 1 and then begin again. -1 without a producer."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & _INT32_MAX

    @property
    def codec(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL != 0


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at position. It checks that 61 bytes are there and that the length covers them, not that the whole batch is there.

    A batch of an older format has its base offset, size and magic in the same places, and is for the caller to refuse by its magic.
    """
    if position < 0 or len(buffer) - position < HEADER_SIZE:
        raise MalformedError(f"a record batch begins with {HEADER_SIZE} bytes of header, only {max(0, len(buffer) - position)} are there")
    base_offset, length, *rest = _HEADER.unpack_from(buffer, position)
    if length < HEADER_SIZE - LOG_OVERHEAD:
        raise MalformedError(f"a record batch says it is {length} bytes long, its header alone takes {HEADER_SIZE - LOG_OVERHEAD}")
    return BatchHeader(base_offset, length + LOG_OVERHEAD, *rest)


def headers(buffer: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of each whole batch. A batch that is cut off at the end of the buffer ends it: Fetch responses have those."""
    position = 0
    end = len(buffer)
    while end - position >= HEADER_SIZE:
        header = read_header(buffer, position)
        if header.size > end - position:
            return
        yield position, header
        position += header.size


def check_crc(buffer: Buffer, position: int, size: int) -> bool:
    """Whether the batch of that size at position has the checksum that its header says."""
    if position < 0 or size < HEADER_SIZE or position + size > len(buffer):
        return False
    with memoryview(buffer) as view:
        expected: int = _CRC.unpack_from(view, position + 17)[0]
        return crc32c(view[position + _CRC_START : position + size]) == expected


def patch(buffer: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Write what the broker decides into the batch at position. Neither field is under the checksum."""
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + LOG_OVERHEAD, leader_epoch)


def with_producer(batch: Buffer, producer_id: int, producer_epoch: int, base_sequence: int) -> bytes:
    """A copy of one whole batch that carries another producer id, epoch and sequence. They are under the checksum."""
    copy = bytearray(batch)
    _PRODUCER.pack_into(copy, 43, producer_id, producer_epoch, base_sequence)
    with memoryview(copy) as view:
        crc = crc32c(view[_CRC_START:])
    _CRC.pack_into(copy, 17, crc)
    return bytes(copy)


# Varints, prebuilt


def varint(number: int) -> bytes:
    """A zigzag varint or varlong."""
    zigzag = (number << 1) ^ (number >> 63)
    if zigzag < 0x80:
        return bytes((zigzag,))
    output = bytearray()
    while zigzag > 0x7F:
        output.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    output.append(zigzag)
    return bytes(output)


def _read_zigzag(buffer: bytes, position: int) -> tuple[int, int]:
    """A varint of up to ten bytes, zigzag as it stands, and the position after it. IndexError at the end of the buffer."""
    zigzag = 0
    for shift in range(0, 70, 7):
        byte = buffer[position]
        position += 1
        zigzag |= (byte & 0x7F) << shift
        if byte < 0x80:
            return zigzag, position
    raise CorruptBatchError("a varint in a record is longer than ten bytes")


def _read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint and the position after it."""
    zigzag, position = _read_zigzag(buffer, position)
    return (zigzag >> 1) ^ -(zigzag & 1), position


_CACHE_MAX = 1 << 14


class _Varints(dict[int, bytes]):
    """Varints by number, made when first asked for, forgotten when there are too many of them."""

    def __missing__(self, number: int) -> bytes:
        if len(self) >= _CACHE_MAX:
            self.clear()
        encoded = self[number] = varint(number)
        return encoded


class _ValueHeads(dict[int, bytes]):
    """What stands between the offset delta and a value of some length in a record without a key: null key, value length."""

    def __missing__(self, size: int) -> bytes:
        if len(self) >= _CACHE_MAX:
            self.clear()
        head = self[size] = b"\x01" + varint(size)
        return head


class _RecordHeads(dict[int, bytes]):
    """What stands between a value and the next record's offset delta, by the size of the next value, in records without keys and headers.

    Header count 0; length, attributes 0, timestamp delta 0.
    """

    __slots__ = ("overhead",)

    def __init__(self, overhead: int) -> None:
        self.overhead = overhead

    def __missing__(self, size: int) -> bytes:
        if len(self) >= _CACHE_MAX:
            self.clear()
        head = self[size] = b"\x00" + varint(size + len(varint(size)) + self.overhead) + b"\x00\x00"
        return head


_VARINTS = _Varints()
_VALUE_HEADS = _ValueHeads()
_OFFSET_CLASSES = ((0, 64), (64, 8192), (8192, 1 << 20), (1 << 20, 1 << 27))
"""Ranges of offset deltas whose varints take 1, 2, 3 and 4 bytes."""
_RECORD_HEADS = tuple(_RecordHeads(offset_size + 4) for offset_size in range(1, 5))
_OFFSETS_KEPT_MAX = 1 << 17
_offsets: list[bytes] = []


def _offset_varints(start: int, stop: int) -> list[bytes]:
    """The varints of start … stop - 1; the first ones are kept."""
    if stop > _OFFSETS_KEPT_MAX:
        return list(map(varint, range(start, stop)))
    if stop > len(_offsets):
        known = len(_offsets)
        wanted = max(stop, min(2 * known, _OFFSETS_KEPT_MAX))
        _offsets.extend(map(varint, range(known, min(wanted, 64))))
        # Two bytes are what most take; made here they cost a tenth.
        _offsets.extend([bytes((delta << 1 & 0x7F | 0x80, delta >> 6)) for delta in range(len(_offsets), min(wanted, 8192))])
        _offsets.extend(map(varint, range(len(_offsets), wanted)))
    return _offsets[start:stop]


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
    if keys is None and headers is None and deltas is None:
        try:
            parts = _plain_parts(values)  # type: ignore[arg-type]
        except TypeError:  # a null value
            parts = _any_parts(values, None, None, None)
    else:
        parts = _any_parts(values, keys, headers, deltas)
    if compression:
        records = codecs.compress(compression, b"".join(parts), level)
        parts = [records]
    # The records come to lie behind room for the header, so that a batch is put together once.
    parts.insert(0, bytes(HEADER_SIZE))
    batch = bytearray().join(parts)
    _AFTER_CRC.pack_into(
        batch,
        _CRC_START,
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
        crc = crc32c(view[_CRC_START:])
    _BEFORE_CRC.pack_into(batch, 0, base_offset, len(batch) - LOG_OVERHEAD, leader_epoch, MAGIC, crc)
    return bytes(batch)


def _plain_parts(values: Sequence[bytes]) -> list[bytes]:
    """The pieces of records that have nothing but a value. TypeError when one of the values is None."""
    parts: list[bytes] = []
    count = len(values)
    sizes = list(map(len, values))
    same = sizes.count(sizes[0]) == count
    for (start, stop), record_heads in zip(_OFFSET_CLASSES, _RECORD_HEADS, strict=True):
        if start >= count:
            break
        stop = min(stop, count)
        section: list[bytes] = [b""] * (4 * (stop - start))
        if same:
            section[0::4] = repeat(record_heads[sizes[0]], stop - start)
            section[2::4] = repeat(_VALUE_HEADS[sizes[0]], stop - start)
        else:
            section_sizes = sizes[start:stop]
            section[0::4] = map(record_heads.__getitem__, section_sizes)
            section[2::4] = map(_VALUE_HEADS.__getitem__, section_sizes)
        section[1::4] = _offset_varints(start, stop)
        section[3::4] = values[start:stop]
        parts += section
    # Every head begins with the header count of the record before it: the first has none before it, the last none behind it.
    parts[0] = parts[0][1:]
    parts.append(b"\x00")
    return parts


def _any_parts(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None,
    headers: Sequence[Sequence[Header]] | None,
    deltas: Sequence[int] | None,
) -> list[bytes]:
    """The pieces of any records: length, attributes and timestamp, offset, key length, key, value length, value, headers."""
    count = len(values)
    varints = _VARINTS
    offsets = _offset_varints(0, count)
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
    buffer: Buffer, position: int = 0, *, header: BatchHeader | None = None, decompressed_size_max: int = codecs.SIZE_MAX
) -> Columns:
    """The records of the batch at position. CorruptBatchError when they contradict their header, each other or the bound.

    Who has read the header already passes it on.
    """
    if header is None:
        header = read_header(buffer, position)
    if header.magic != MAGIC:
        raise CorruptBatchError(f"the batch at offset {header.base_offset} has format {header.magic}, ev reads format 2")
    if header.size > len(buffer) - position:
        raise CorruptBatchError(f"the batch at offset {header.base_offset} says {header.size} bytes, {len(buffer) - position} are there")
    with memoryview(buffer) as view:
        stored = view[position + HEADER_SIZE : position + header.size]
        records = codecs.decompress(header.codec, stored, decompressed_size_max) if header.codec else bytes(stored)
    return decode_records(header, records)


def decode_records(header: BatchHeader, records: bytes) -> Columns:
    """The records of a batch whose header and decompressed body are at hand."""
    count = header.record_count
    base = header.base_offset
    if count == 0 and not records:  # compaction keeps the header of a producer's last batch when all its records are gone
        return Columns(base, range(base, base), [], [], [], [])
    if count <= 0 or count * _RECORD_SIZE_MIN > len(records):
        raise CorruptBatchError(f"the batch at offset {base} says {count} records in {len(records)} bytes")
    one_timestamp = header.base_timestamp == header.max_timestamp
    plain = _decode_plain(records, count, one_timestamp) if header.last_offset_delta == count - 1 and count >= _RUN_MIN else None
    if plain is not None:
        values, deltas = plain
        return Columns(base, range(base, base + count), _timestamps_of(header, deltas), [None] * count, values, [()] * count)  # type: ignore[arg-type]
    try:
        return _decode_any(header, records)
    except IndexError as error:
        raise CorruptBatchError(f"the batch at offset {base} ends in the middle of a record") from error


_RUN_MIN = 16
"""Fewer records in a row, or in a batch, are not worth a guess: the careful loop is quicker."""
_TIMESTAMP_SIZE_MAX = 3
"""Timestamps up to 17 minutes from the first one; beyond that, the careful loop."""
_GOES_ON = bytes(0x80) + b"\x01" * 0x80
"""Whether a byte of a varint is followed by another, as a table for translate()."""


def _decode_plain(records: bytes, count: int, one_timestamp: bool) -> tuple[list[bytes], list[int]] | None:
    """Values and timestamp deltas, if every record is nothing but a value: else None.

    Where the values are follows from the lengths of the records and of their offset and timestamp deltas. So the values are cut out without
    looking at what is between them, in runs of records whose deltas take equally many bytes, and everything between them is checked for a
    whole run at once.
    """
    values: list[bytes] = []
    deltas: list[int] = []
    position = 0
    try:
        for offset_size, (first, stop) in enumerate(_OFFSET_CLASSES, 1):
            stop = min(stop, count)
            while first < stop:
                width = _timestamp_size(records, position)
                if width > _TIMESTAMP_SIZE_MAX:
                    return None
                run = _run_of_one_size(records, position, first, stop, offset_size, width)
                if run is None and one_timestamp and first == 0:
                    found = _values_of_one_timestamp(records, count)
                    if found is not None:
                        return found, [0] * count
                run = run or _run_of_any_size(records, position, first, stop, offset_size, width)
                if run is None:
                    return None
                run_values, run_deltas, position = run
                values += run_values
                deltas += run_deltas
                first += len(run_values)
    except (IndexError, CorruptBatchError):
        return None
    return (values, deltas) if position == len(records) else None


def _timestamp_size(records: bytes, position: int) -> int:
    """The bytes that the timestamp delta of the record at position takes."""
    start = _read_zigzag(records, position)[1] + 1
    end = start
    while records[end] > 0x7F:
        end += 1
    return end + 1 - start


class _ValueSizes(dict[int, int]):
    """The size of the value in a plain record of some size; -1 where no plain record has that size."""

    __slots__ = ("overhead",)

    def __init__(self, overhead: int) -> None:
        self.overhead = overhead

    def __missing__(self, record_size: int) -> int:
        if len(self) >= _CACHE_MAX:
            self.clear()
        value_size = -1
        for length_size in range(1, 5):
            candidate = record_size - self.overhead - length_size
            if candidate >= 0 and len(varint(candidate)) == length_size:
                value_size = candidate
        self[record_size] = value_size
        return value_size


_VALUE_SIZES = tuple(_ValueSizes(3 + both_deltas) for both_deltas in range(4 + _TIMESTAMP_SIZE_MAX + 1))
"""By the bytes that offset delta and timestamp delta take together; attributes, null key and header count are the other three."""


class _SizeHeads(dict[int, bytes]):
    """What a record of some size begins with: its length, and attributes 0."""

    def __missing__(self, size: int) -> bytes:
        if len(self) >= _CACHE_MAX:
            self.clear()
        head = self[size] = varint(size) + b"\x00"
        return head


_SIZE_HEADS = _SizeHeads()


def _leading(column: bytes, byte: bytes) -> int:
    """How many bytes at the beginning of the column are this one."""
    return len(column) - len(column.lstrip(byte))


def _run_of_one_size(
    records: bytes, position: int, first: int, stop: int, offset_size: int, width: int
) -> tuple[list[bytes], list[int], int] | None:
    """Records that are all as long as the first: every byte between the values is one column of a table with a fixed stride.

    Returns values, timestamp deltas and the position after the run; None when the run is too short, or when these records are not plain.
    """
    size, start = _read_zigzag(records, position)
    value_size = -1 if size & 1 else _VALUE_SIZES[offset_size + width][size >> 1]
    if value_size < 0:
        return None
    head_size = start - position
    stride = head_size + (size >> 1)
    count = min(stop - first, (len(records) - position) // stride)

    def column(at: int) -> bytes:
        return records[position + at : position + count * stride : stride]

    for at in range(head_size):
        count = min(count, _leading(column(at), records[position + at : position + at + 1]))
    if count < min(_RUN_MIN, stop - first):
        return None
    at = head_size
    fixed = [(at, b"\x00")]  # attributes
    at += 1
    timestamps_at = at
    at += width
    offsets_at = at
    at += offset_size
    for byte in b"\x01" + _VARINTS[value_size]:  # null key, length of the value
        fixed.append((at, bytes((byte,))))
        at += 1
    fixed.append((stride - 1, b"\x00"))  # header count
    for where, expected in fixed:
        count = min(count, _leading(column(where), expected))
    for index in range(width):
        count = min(count, _leading(column(timestamps_at + index).translate(_GOES_ON), b"\x00" if index == width - 1 else b"\x01"))
    if count < min(_RUN_MIN, stop - first):
        return None
    offsets = b"".join(_offset_varints(first, first + count))
    if any(column(offsets_at + index) != offsets[index::offset_size] for index in range(offset_size)):
        return None
    end = position + count * stride
    values = [records[begin : begin + value_size] for begin in range(position + at, end, stride)]
    return values, _deltas_of([column(timestamps_at + index) for index in range(width)]), end


def _run_of_any_size(
    records: bytes, position: int, first: int, stop: int, offset_size: int, width: int
) -> tuple[list[bytes], list[int], int] | None:
    """The same for records of different lengths; what is between the values is checked by writing it again."""
    value_sizes = _VALUE_SIZES[offset_size + width]
    values: list[bytes] = []
    timestamps: list[bytes] = []
    sizes: list[int] = []
    add_value, add_timestamp, add_size = values.append, timestamps.append, sizes.append
    at = position
    for _ in range(first, stop):
        size = records[at]
        if size < 0x80:
            size >>= 1
            at += 1
        else:
            high = records[at + 1]
            if high < 0x80:
                size = (size & 0x7F | high << 7) >> 1
                at += 2
            else:
                size, at = _read_zigzag(records, at)
                size >>= 1
        add_timestamp(records[at + 1 : at + 1 + width])
        add_size(size)
        at += size
        add_value(records[at - 1 - value_sizes[size] : at - 1])
    stamps = b"".join(timestamps)
    count = len(values)
    if len(stamps) != count * width:
        return None
    for index in range(width):
        count = min(count, _leading(stamps[index::width].translate(_GOES_ON), b"\x00" if index == width - 1 else b"\x01"))
    if count < min(_RUN_MIN, stop - first):
        return None
    del values[count:], sizes[count:]
    found_sizes = list(map(len, values))
    if found_sizes != list(map(value_sizes.__getitem__, sizes)):  # a record that is longer than what is there, or that no plain record is
        return None
    parts: list[bytes] = [b"\x00"] * (6 * count)
    parts[0::6] = map(_SIZE_HEADS.__getitem__, sizes)
    parts[1::6] = timestamps[:count]
    parts[2::6] = _offset_varints(first, first + count)
    parts[3::6] = map(_VALUE_HEADS.__getitem__, found_sizes)
    parts[4::6] = values
    written = b"".join(parts)
    if not records.startswith(written, position):
        return None
    return values, _deltas_of([stamps[index : count * width : width] for index in range(width)]), position + len(written)


def _values_of_one_timestamp(records: bytes, count: int) -> list[bytes] | None:
    """The same for the whole batch at once, when no record has a timestamp delta: what ev's own producer writes."""
    if not records.startswith(b"\x00\x00\x00\x01", 1 if records[0] < 0x80 else 2 if records[1] < 0x80 else 3):
        return None
    values: list[bytes] = []
    append = values.append
    position = 0
    for offset_size, (start, stop) in enumerate(_OFFSET_CLASSES, 1):
        value_sizes = _VALUE_SIZES[offset_size + 1]
        for _ in range(start, min(stop, count)):
            size = records[position]
            if size < 0x80:
                end = position + (size >> 1)
                size = value_sizes[size >> 1]
            else:
                high = records[position + 1]
                if high < 0x80:
                    size = (size & 0x7F | high << 7) >> 1
                    end = position + 1 + size
                else:
                    size, end = _read_zigzag(records, position)
                    size >>= 1
                    end += size - 1
                size = value_sizes[size]
            if size < 0:
                return None
            append(records[end - size : end])
            position = end + 1
    return values if b"".join(_plain_parts(values)) == records else None


def _deltas_of(columns: list[bytes]) -> list[int]:
    """Timestamp deltas from the columns of their bytes, the lowest first."""
    if len(columns) == 1:
        column = columns[0]
        if column.count(column[0]) == len(column):
            return [(column[0] >> 1) ^ -(column[0] & 1)] * len(column)
        return [(low >> 1) ^ -(low & 1) for low in column]
    if len(columns) == 2:
        zigzags = [low & 0x7F | high << 7 for low, high in zip(*columns, strict=True)]
    else:
        zigzags = [low & 0x7F | (middle & 0x7F) << 7 | high << 14 for low, middle, high in zip(*columns, strict=True)]
    return [(zigzag >> 1) ^ -(zigzag & 1) for zigzag in zigzags]


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
            byte, position = _read_zigzag(records, position)
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
            byte, position = _read_zigzag(records, position)
        timestamp_deltas.append((byte >> 1) ^ -(byte & 1))
        byte = records[position]
        if byte < 0x80:
            position += 1
        elif (high := records[position + 1]) < 0x80:
            byte = byte & 0x7F | high << 7
            position += 2
        else:
            byte, position = _read_zigzag(records, position)
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
                byte, position = _read_zigzag(records, position)
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
                byte, position = _read_zigzag(records, position)
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
    count, position = _read_varint(records, position)
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
        size, position = _read_zigzag(records, position)
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
