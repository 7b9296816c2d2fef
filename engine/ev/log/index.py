"""Sparse indexes of a segment: from an offset to a place in the file, from a timestamp to an offset.

`.index`, Kafka's offset index, has entries of 8 bytes:

    offset  size
    0       4     the last offset of a batch, less the segment's base offset
    4       4     where that batch begins in the .log

`.timeindex`, the time index, has entries of 12 bytes:

    0       8     the largest timestamp in the segment so far
    8       4     the last offset of the batch that has it, less the segment's base offset

An entry is added when more than `index.interval.bytes` were appended since the last one. Both are strictly increasing. The
active segment's index is kept in memory in the form that it has on disk, so writing it is writing those bytes, and a cold one
is searched as it was read.

The files have no checksum and may be wrong after a crash or a flipped bit, so an entry is a hint: whoever follows one looks
whether the batch at that place really is the one that the entry names, and searches without the index if it is not.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct

from ev.disk import Buffer

OFFSET_ENTRY = Struct(">ii")
TIME_ENTRY = Struct(">qi")


def _entries_of(data: Buffer, entry_size: int) -> bytearray:
    """Whole entries without the zeros that Kafka reserves behind them in an active segment's index."""
    used = len(bytes(data).rstrip(b"\0"))
    count = min(-(-used // entry_size), len(data) // entry_size)
    return bytearray(data[: count * entry_size])


class OffsetIndex:
    """From an offset to the start of a batch at or before it."""

    __slots__ = ("base_offset", "data")

    def __init__(self, base_offset: int, data: Buffer = b"") -> None:
        self.base_offset = base_offset
        self.data = _entries_of(data, OFFSET_ENTRY.size) if data else bytearray()

    def __len__(self) -> int:
        return len(self.data) // OFFSET_ENTRY.size

    def add(self, last_offset: int, position: int) -> None:
        self.data += OFFSET_ENTRY.pack(last_offset - self.base_offset, position)

    def entry(self, number: int) -> tuple[int, int]:
        """(last offset of a batch, its position) of an entry."""
        relative, position = OFFSET_ENTRY.unpack_from(self.data, number * OFFSET_ENTRY.size)
        return self.base_offset + relative, position

    def before_offset(self, offset: int) -> tuple[int, int] | None:
        """The last entry whose batch ends at or before `offset`; None when the search starts at the segment's beginning."""
        data = self.data
        unpack = OFFSET_ENTRY.unpack_from
        number = bisect_right(range(len(self)), offset - self.base_offset, key=lambda n: unpack(data, n * 8)[0])
        return self.entry(number - 1) if number else None

    def before_position(self, position: int) -> tuple[int, int] | None:
        """The last entry at or before a place in the file."""
        data = self.data
        unpack = OFFSET_ENTRY.unpack_from
        number = bisect_right(range(len(self)), position, key=lambda n: unpack(data, n * 8)[1])
        return self.entry(number - 1) if number else None

    def cut(self, position: int) -> None:
        """Drop what is not strictly increasing, and every entry from this place in the file on."""
        last_relative = last_position = -1
        for number, (relative, place) in enumerate(OFFSET_ENTRY.iter_unpack(bytes(self.data))):
            if relative <= last_relative or place <= last_position or place >= position:
                del self.data[number * OFFSET_ENTRY.size :]
                return
            last_relative, last_position = relative, place


class TimeIndex:
    """From a timestamp to an offset before which every record is older."""

    __slots__ = ("base_offset", "data", "last_timestamp")

    def __init__(self, base_offset: int, data: Buffer = b"") -> None:
        self.base_offset = base_offset
        self.data = _entries_of(data, TIME_ENTRY.size) if data else bytearray()
        self.last_timestamp: int = TIME_ENTRY.unpack_from(self.data, len(self.data) - TIME_ENTRY.size)[0] if self.data else -1

    def __len__(self) -> int:
        return len(self.data) // TIME_ENTRY.size

    def add(self, timestamp: int, offset: int) -> None:
        """The largest timestamp so far; nothing happens when it is not larger than the last entry's."""
        if timestamp > self.last_timestamp:
            self.data += TIME_ENTRY.pack(timestamp, offset - self.base_offset)
            self.last_timestamp = timestamp

    def entry(self, number: int) -> tuple[int, int]:
        """(timestamp, last offset of the batch that has it) of an entry."""
        timestamp, relative = TIME_ENTRY.unpack_from(self.data, number * TIME_ENTRY.size)
        return timestamp, self.base_offset + relative

    def last(self) -> tuple[int, int] | None:
        return self.entry(len(self) - 1) if self.data else None

    def before(self, timestamp: int) -> tuple[int, int] | None:
        """The last entry that is older than `timestamp`: the first record that is not lies behind its offset."""
        data = self.data
        unpack = TIME_ENTRY.unpack_from
        number = bisect_right(range(len(self)), timestamp - 1, key=lambda n: unpack(data, n * 12)[0])
        return self.entry(number - 1) if number else None

    def cut(self, offset: int) -> None:
        """Drop what is not strictly increasing, and every entry from this offset on."""
        last_timestamp = last_relative = -1
        for number, (timestamp, relative) in enumerate(TIME_ENTRY.iter_unpack(bytes(self.data))):
            if timestamp <= last_timestamp or relative <= last_relative or self.base_offset + relative >= offset:
                del self.data[number * TIME_ENTRY.size :]
                break
            last_timestamp, last_relative = timestamp, relative
        self.last_timestamp = last_timestamp
