"""The end of a segment that is not in its file yet: small batches wait here, so that one write takes many.

A small batch is durable when its round is in the commit journal. Its own file needs it only when somebody searches it there, or
when the journal's space is to be used again. A write for every batch costs as much as all the rest of a small request, and
ten of them at once cost no more than one: so they wait, in memory, until one of these comes:

* somebody searches the partition by time (who reads it is served from here, or from what lies before);
* a round is synced and TAIL_BYTES_MAX wait in one partition, or WAITING_BYTES_MAX wait in all of them;
* the flush that is to make the journal's half free again, a round that goes past the journal, the end of the segment.

What waits is lost with the process, so only what is acknowledged by a journal round may wait: never a batch with acks=1. And a
write that was put off has to succeed later, so a batch waits only while the store has room in reserve (RESERVE) that it can
give up for it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ev.disk import File
    from ev.wire.primitives import Buffer

TAIL_BATCH_BYTES_MAX = 4 << 10
"""Larger ones are written at once: they may be views into much larger buffers, and gain little."""
TAIL_BYTES_MAX = 64 << 10
WAITING_BYTES_MAX = 2 << 20


class Served(NamedTuple):
    """Whole batches that were read from a tail, the offset that follows them, and its place in the file."""

    pieces: list[Buffer]
    next_offset: int
    position: int


class Tail:
    """What waits of one segment. Holds the segment's file open for as long as anything does."""

    __slots__ = ("_file", "_next_offsets", "_parts", "_positions", "first_offset", "size")

    def __init__(self) -> None:
        self.size = 0
        self.first_offset = 0  # the first one that waits, if any does
        self._parts: list[list[Buffer]] = []  # of each batch
        self._positions: list[int] = []  # where each batch will begin in the file
        self._next_offsets: list[int] = []  # the offset that follows each batch
        self._file: File | None = None

    def add(self, file: File, parts: list[Buffer], size: int, position: int, base_offset: int, next_offset: int) -> None:
        """A batch of `size` bytes is to be at `position` in the file."""
        if self._file is None:
            file.retain()
            self._file = file
            self.first_offset = base_offset
        self._parts.append(parts)
        self._positions.append(position)
        self._next_offsets.append(next_offset)
        self.size += size

    def read(self, offset: int, limit: int, bytes_max: int, at_least_one: bool) -> Served:
        """The batches from the one that contains `offset` to the place `limit` that fit; `offset` is not before `first_offset`."""
        positions = self._positions
        first = number = bisect_right(self._next_offsets, offset)
        end = positions[0] + self.size
        pieces: list[Buffer] = []
        next_offset, behind = offset, positions[first]
        while number < len(positions):
            batch_end = positions[number + 1] if number + 1 < len(positions) else end
            is_first = at_least_one and number == first
            if batch_end > limit or (batch_end - positions[first] > bytes_max and not is_first):
                break
            pieces += self._parts[number]
            next_offset, behind = self._next_offsets[number], batch_end
            number += 1
        return Served(pieces, next_offset, behind)

    def write_to(self, position: int) -> None:
        """Write everything to the file. Raises OSError, and then some of it may have been written."""
        assert self._file is not None, "something waits"
        self._file.write_at([b"".join([part for parts in self._parts for part in parts])], position)

    def cut_back(self, position: int) -> None:
        """Take back what a failed write left behind. Raises OSError."""
        assert self._file is not None, "something waits"
        self._file.truncate(position)

    @property
    def data(self) -> bytes:
        """Everything that waits."""
        return b"".join([part for parts in self._parts for part in parts])

    def clear(self) -> int:
        """Nothing waits any more; how many bytes did."""
        size, self.size = self.size, 0
        self._parts, self._positions, self._next_offsets = [], [], []
        if self._file is not None:
            self._file.release()
            self._file = None
        return size
