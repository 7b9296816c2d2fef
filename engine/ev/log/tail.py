"""The end of a segment that is not in its file yet: small batches wait here, so that one write takes many.

A small batch is durable when its round is in the commit journal. Its own file needs it only when somebody reads it there, or
when the journal's space is to be used again. A write for every batch costs as much as all the rest of a small request, and
ten of them at once cost no more than one: so they wait, in memory, until one of these comes:

* somebody reads the partition from further back, or searches it (who follows its end is served from here);
* TAIL_BYTES_MAX wait in one partition, or WAITING_BYTES_MAX in all of them;
* the flush that is to make the journal's half free again, a round that goes past the journal, the end of the segment.

What waits is lost with the process, so only what is acknowledged by a journal round may wait: never a batch with acks=1. And a
write that was put off has to succeed later, so a batch waits only while the store has room in reserve (RESERVE) that it can
give up for it.
"""

from __future__ import annotations

from bisect import bisect_left
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

    __slots__ = ("_file", "_next_offsets", "_parts", "_positions", "size")

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[list[Buffer]] = []  # of each batch
        self._positions: list[int] = []  # where each batch will begin in the file
        self._next_offsets: list[int] = []  # the offset that follows each batch
        self._file: File | None = None

    def add(self, file: File, parts: list[Buffer], size: int, position: int, next_offset: int) -> None:
        """A batch of `size` bytes is to be at `position` in the file."""
        if self._file is None:
            file.retain()
            self._file = file
        self._parts.append(parts)
        self._positions.append(position)
        self._next_offsets.append(next_offset)
        self.size += size

    def read(self, position: int, limit: int, bytes_max: int, at_least_one: bool) -> Served | None:
        """The batches from `position` to `limit` that fit; None when none begins at `position` here."""
        positions = self._positions
        first = number = bisect_left(positions, position)
        if first == len(positions) or positions[first] != position:
            return None
        end = positions[0] + self.size
        pieces: list[Buffer] = []
        next_offset, behind = -1, position
        while number < len(positions):
            batch_end = positions[number + 1] if number + 1 < len(positions) else end
            is_first = at_least_one and number == first
            if batch_end > limit or (batch_end - position > bytes_max and not is_first):
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
