"""Varints as records have them, zigzag-encoded, and the pieces that begin with them, prebuilt."""

from __future__ import annotations

from ev.errors import CorruptBatchError


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


def read_zigzag(buffer: bytes, position: int) -> tuple[int, int]:
    """A varint of up to ten bytes, zigzag as it stands, and the position after it. IndexError at the end of the buffer."""
    zigzag = 0
    for shift in range(0, 70, 7):
        byte = buffer[position]
        position += 1
        zigzag |= (byte & 0x7F) << shift
        if byte < 0x80:
            return zigzag, position
    raise CorruptBatchError("a varint in a record is longer than ten bytes")


def read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint and the position after it."""
    zigzag, position = read_zigzag(buffer, position)
    return (zigzag >> 1) ^ -(zigzag & 1), position


CACHE_MAX = 1 << 14


class _Varints(dict[int, bytes]):
    """Varints by number, made when first asked for, forgotten when there are too many of them."""

    def __missing__(self, number: int) -> bytes:
        if len(self) >= CACHE_MAX:
            self.clear()
        encoded = self[number] = varint(number)
        return encoded


class _ValueHeads(dict[int, bytes]):
    """What stands between the offset delta and a value of some length in a record without a key: null key, value length."""

    def __missing__(self, size: int) -> bytes:
        if len(self) >= CACHE_MAX:
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
        if len(self) >= CACHE_MAX:
            self.clear()
        head = self[size] = b"\x00" + varint(size + len(varint(size)) + self.overhead) + b"\x00\x00"
        return head


class _KeyedHeads(dict[int, bytes]):
    """What stands between a value and the next record's offset delta, by what the next key and value take with their lengths."""

    __slots__ = ("overhead",)

    def __init__(self, overhead: int) -> None:
        self.overhead = overhead

    def __missing__(self, size: int) -> bytes:
        if len(self) >= CACHE_MAX:
            self.clear()
        head = self[size] = b"\x00" + varint(size + self.overhead) + b"\x00\x00"
        return head


VARINTS = _Varints()
VALUE_HEADS = _ValueHeads()
OFFSET_CLASSES = ((0, 64), (64, 8192), (8192, 1 << 20), (1 << 20, 1 << 27))
"""Ranges of offset deltas whose varints take 1, 2, 3 and 4 bytes."""
RECORD_HEADS = tuple(_RecordHeads(offset_size + 4) for offset_size in range(1, 5))
KEYED_HEADS = tuple(_KeyedHeads(offset_size + 3) for offset_size in range(1, 5 + 10))
"""The first four for sizes that include the varints of key and value; each of the others for one byte more that the size leaves out."""
OFFSETS_KEPT_MAX = 1 << 17
_offsets: list[bytes] = []


def offset_varints(start: int, stop: int) -> list[bytes]:
    """The varints of start … stop - 1; the first ones are kept. Threads share these: they are replaced, never changed."""
    global _offsets
    if stop > OFFSETS_KEPT_MAX:
        return list(map(varint, range(start, stop)))
    known = _offsets
    if stop > len(known):
        wanted = max(stop, min(2 * len(known), OFFSETS_KEPT_MAX))
        known = known + [varint(delta) for delta in range(len(known), min(wanted, 64))]
        # Two bytes are what most take; made here they cost a tenth.
        known += [bytes((delta << 1 & 0x7F | 0x80, delta >> 6)) for delta in range(len(known), min(wanted, 8192))]
        known += map(varint, range(len(known), wanted))
        _offsets = known
    return known[start:stop]
