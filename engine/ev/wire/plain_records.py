"""Records that are nothing but a value (lines of text), written and read for many at once; those with a key as well, written.

One `join` over whole lists of prebuilt pieces writes a batch. A batch is read by cutting out the values along the lengths and checking
afterwards, for many records at once, that the bytes between them were what that guess said.
"""

from __future__ import annotations

from _operator import add  # all of `operator` is more than a start needs

from ev.errors import CorruptBatchError
from ev.wire.record_varints import (
    CACHE_MAX,
    KEYED_HEADS,
    OFFSET_CLASSES,
    RECORD_HEADS,
    VALUE_HEADS,
    VARINTS,
    offset_varints,
    read_zigzag,
    varint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def plain_parts(values: Sequence[bytes]) -> list[bytes]:
    """The pieces of records that have nothing but a value. TypeError when one of the values is None."""
    count = len(values)
    sizes = list(map(len, values))
    if sizes.count(sizes[0]) == count:
        parts = [b""] * (2 * count)
        parts[0::2] = _heads_of_one_size(sizes[0], count)
        parts[1::2] = values
    else:
        parts = [b""] * (4 * count)
        parts[0::4] = _record_heads(RECORD_HEADS, sizes)
        parts[1::4] = offset_varints(0, count)
        parts[2::4] = map(VALUE_HEADS.__getitem__, sizes)
        parts[3::4] = values
    # Every head begins with the header count of the record before it: the first has none before it, the last none behind it.
    parts[0] = parts[0][1:]
    parts.append(b"\x00")
    return parts


def keyed_parts(values: Sequence[bytes], keys: Sequence[bytes]) -> list[bytes]:
    """The pieces of records that have a key and a value, and nothing else. TypeError when one of them is None."""
    count = len(values)
    key_sizes, value_sizes = list(map(len, keys)), list(map(len, values))
    key_heads, value_heads = _varints_of(key_sizes), _varints_of(value_sizes)
    bodies = list(map(add, key_sizes, value_sizes))
    heads_size = _heads_size(key_sizes) + _heads_size(value_sizes)
    if heads_size < 0:
        bodies = list(map(add, bodies, map(add, map(len, key_heads), map(len, value_heads))))
        heads_size = 0
    parts = [b""] * (6 * count)
    parts[0::6] = _record_heads(KEYED_HEADS[heads_size:], bodies)
    parts[1::6] = offset_varints(0, count)
    parts[2::6] = key_heads
    parts[3::6] = keys
    parts[4::6] = value_heads
    parts[5::6] = values
    # As among plain records: the first head has no record before it, and the last record no head behind it.
    parts[0] = parts[0][1:]
    parts.append(b"\x00")
    return parts


def _record_heads(tables: Sequence[Mapping[int, bytes]], sizes: list[int]) -> list[bytes]:
    """What stands before each record's offset delta, by the size of what follows it: from one table for each size of the delta."""
    heads: list[bytes] = []
    for (start, stop), table in zip(OFFSET_CLASSES, tables, strict=False):
        if start >= len(sizes):
            break
        heads += map(table.__getitem__, sizes[start:stop])
    return heads


_HEADS_KEPT_MAX = 1 << 15
_SIZES_KEPT_MAX = 4
_heads_by_size: dict[int, list[bytes]] = {}


def _heads_of_one_size(size: int, count: int) -> list[bytes]:
    """All that stands before each of so many values of one size, in one piece; kept for the sizes that came last.

    Threads that make batches share what is kept: it is replaced, never changed.
    """
    global _heads_by_size
    kept = _heads_by_size
    heads = kept.get(size)
    if heads is not None and len(heads) >= count:
        return heads[:count]
    value_head = VALUE_HEADS[size]
    befores = _record_heads(RECORD_HEADS, [size] * count)
    heads = [before + offset + value_head for before, offset in zip(befores, offset_varints(0, count), strict=True)]
    if count <= _HEADS_KEPT_MAX:
        others = [(other, there) for other, there in kept.items() if other != size][1 - _SIZES_KEPT_MAX :]
        _heads_by_size = dict([*others, (size, heads)])
    return heads


def _varints_of(sizes: list[int]) -> list[bytes]:
    """Each size as a varint."""
    first = sizes[0]
    return [VARINTS[first]] * len(sizes) if sizes.count(first) == len(sizes) else list(map(VARINTS.__getitem__, sizes))


def _heads_size(sizes: list[int]) -> int:
    """How many bytes the varint of each of these sizes takes, far below 0 when that is not the same for all."""
    different = set(sizes)
    least, most = len(VARINTS[min(different)]), len(VARINTS[max(different)])
    return least if least == most else -100


RUN_MIN = 16
"""Fewer records in a row, or in a batch, are not worth a guess: the careful loop is quicker."""
_TIMESTAMP_SIZE_MAX = 3
"""Timestamps up to 17 minutes from the first one; beyond that, the careful loop."""
_GOES_ON = bytes(0x80) + b"\x01" * 0x80
"""Whether a byte of a varint is followed by another, as a table for translate()."""


def decode_plain(records: bytes, count: int, one_timestamp: bool) -> tuple[list[bytes], list[int]] | None:
    """Values and timestamp deltas, if every record is nothing but a value: else None.

    Where the values are follows from the lengths of the records and of their offset and timestamp deltas. So the values are cut out without
    looking at what is between them, in runs of records whose deltas take equally many bytes, and everything between them is checked for a
    whole run at once.
    """
    values: list[bytes] = []
    deltas: list[int] = []
    position = 0
    try:
        for offset_size, (first, stop) in enumerate(OFFSET_CLASSES, 1):
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
    start = read_zigzag(records, position)[1] + 1
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
        if len(self) >= CACHE_MAX:
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
        if len(self) >= CACHE_MAX:
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
    size, start = read_zigzag(records, position)
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
    if count < min(RUN_MIN, stop - first):
        return None
    at = head_size
    fixed = [(at, b"\x00")]  # attributes
    at += 1
    timestamps_at = at
    at += width
    offsets_at = at
    at += offset_size
    for byte in b"\x01" + VARINTS[value_size]:  # null key, length of the value
        fixed.append((at, bytes((byte,))))
        at += 1
    fixed.append((stride - 1, b"\x00"))  # header count
    for where, expected in fixed:
        count = min(count, _leading(column(where), expected))
    for index in range(width):
        count = min(count, _leading(column(timestamps_at + index).translate(_GOES_ON), b"\x00" if index == width - 1 else b"\x01"))
    if count < min(RUN_MIN, stop - first):
        return None
    offsets = b"".join(offset_varints(first, first + count))
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
                size, at = read_zigzag(records, at)
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
    if count < min(RUN_MIN, stop - first):
        return None
    del values[count:], sizes[count:]
    found_sizes = list(map(len, values))
    if found_sizes != list(map(value_sizes.__getitem__, sizes)):  # a record that is longer than what is there, or that no plain record is
        return None
    parts: list[bytes] = [b"\x00"] * (6 * count)
    parts[0::6] = map(_SIZE_HEADS.__getitem__, sizes)
    parts[1::6] = timestamps[:count]
    parts[2::6] = offset_varints(first, first + count)
    parts[3::6] = map(VALUE_HEADS.__getitem__, found_sizes)
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
    for offset_size, (start, stop) in enumerate(OFFSET_CLASSES, 1):
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
                    size, end = read_zigzag(records, position)
                    size >>= 1
                    end += size - 1
                size = value_sizes[size]
            if size < 0:
                return None
            append(records[end - size : end])
            position = end + 1
    return values if b"".join(plain_parts(values)) == records else None


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
