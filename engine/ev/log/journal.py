"""The commit journal: one synced write that makes a whole round of small appends durable.

Why it is there. `fdatasync` of every partition file that a round touched costs one wait for the disk per file. One write
into a file whose blocks were allocated long ago costs one wait for the whole round, and nothing of the file system's own
metadata has to follow it. So a round's batches are written twice: into their partition files, which nobody waits for, and
into the journal, which everybody waits for. The partition files are synced in the background; after that the journal's
space is used again.

Two halves, `journal-0` and `journal-1`, are used in turn. The half in use is filled from its beginning; when it is full, or
has been in use for the checkpoint interval, the other one takes over and every partition file that only the retired half
covers is synced in the background. Only then is the retired half free.

A half is a row of blocks, one per round, each beginning on a 512-byte sector, so that no sector which was synced is ever
written again before its half is free:

    offset  size  field
    0       4     magic "evJ1"
    4       4     CRC-32C of the bytes from offset 8 to the end of the body
    8       8     incarnation: drawn at each start of the engine
    16      8     sequence: one more than the block before
    24      4     size of the body
    28      4     number of entries
    32      ...   entries: topic id (16), partition (4), size of the batch (4), the batch as it stands in the .log
    ...           zeros up to the next sector

All numbers are big-endian. A half is read from its beginning for as long as magic, checksum, incarnation and the next
sequence number are there: whatever an earlier use left behind has a lower sequence, so old content is never taken for new.
An entry counts only if the partition's log, as recovered from its own files, ends exactly at the entry's base offset;
everything older is already there. A block whose write was torn has a wrong checksum and was acknowledged to nobody. It is the last one:
a block is written when the one before it is on disk. So a block that does not match its checksum and has a successor is damaged, and what
follows it counts. Of the last one nobody can tell, so it is reported, too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.wire.checksum import crc32c

if TYPE_CHECKING:
    from ev.disk import Disk, File
    from ev.wire.primitives import Buffer

SECTOR_BYTES = 512
HALF_NAMES = ("journal-0", "journal-1")
HALF_BYTES_MIN = 2 << 20
HALF_BYTES_MAX = 64 << 20
ZEROS = bytes(1 << 20)

MAGIC = b"evJ1"
BLOCK_HEAD = struct.Struct(">4sIqqII")
ENTRY_HEAD = struct.Struct(">16sii")
_ALL: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch that the journal holds: where it belongs and its bytes, base offset included."""

    topic_id: bytes
    partition: int
    base_offset: int
    batch: memoryview


class Half:
    """One of the two files: how much of it may be used and how much is used."""

    __slots__ = ("capacity", "file", "position")

    def __init__(self, file: File, capacity: int) -> None:
        self.file = file
        self.capacity = capacity
        self.position = 0

    def fits(self, size: int) -> bool:
        return self.position + block_size(size) <= self.capacity

    def grow(self, capacity: int) -> None:
        """Write zeros up to `capacity` and sync them, so that later blocks allocate nothing."""
        for position in range(self.capacity, capacity, len(ZEROS)):
            self.file.write_at([ZEROS[: capacity - position]], position)
        self.file.sync_all()
        self.capacity = capacity


class Journal:
    """Writes blocks into the half in use; says when the halves may change places."""

    __slots__ = ("active", "halves", "incarnation", "sequence")

    def __init__(self, halves: tuple[Half, Half], incarnation: int) -> None:
        self.halves = halves
        self.active = halves[0]
        self.incarnation = incarnation
        self.sequence = 0

    @classmethod
    def create(cls, disk: Disk, directory: str, incarnation: int) -> Journal:
        """Open both halves empty, making or filling up what is missing. What they held is forgotten: read it before."""
        halves = []
        for name in HALF_NAMES:
            file = disk.open(f"{directory}/{name}", create=True)
            size = file.size()
            half = Half(file, size - size % SECTOR_BYTES)
            file.write_at([bytes(SECTOR_BYTES)], 0)
            half.grow(max(HALF_BYTES_MIN, half.capacity))
            halves.append(half)
        disk.sync_directory(directory)
        return cls((halves[0], halves[1]), incarnation)

    @property
    def idle(self) -> Half:
        return self.halves[1] if self.active is self.halves[0] else self.halves[0]

    def switch(self) -> Half:
        """Let the other half, which must be free, take over. Returns the retired one."""
        retired = self.active
        self.active = self.idle
        self.active.position = 0
        return retired

    def place(self, entries: Sequence[Buffer], entry_count: int, body_size: int) -> tuple[File, bytearray, int]:
        """Reserve the next block for these entries: (file, data, position) for one synced write."""
        half = self.active
        assert half.fits(body_size), "a block must fit the half that it is placed in"
        position = half.position
        end = BLOCK_HEAD.size + body_size
        head = BLOCK_HEAD.pack(MAGIC, 0, self.incarnation, self.sequence, body_size, entry_count)
        block = bytearray().join((head, *entries, bytes(block_size(body_size) - end)))
        with memoryview(block) as view:
            block[4:8] = crc32c(view[8:end]).to_bytes(4, "big")
        self.sequence += 1
        half.position += len(block)
        return half.file, block, position

    def close(self) -> None:
        """Forget everything (the partition files are synced by now) and close both halves."""
        for half in self.halves:
            half.file.write_synced_at([bytes(SECTOR_BYTES)], 0)
            half.file.release()


def block_size(body_size: int) -> int:
    """Bytes that a block with this body takes in its half."""
    return -(-(BLOCK_HEAD.size + body_size) // SECTOR_BYTES) * SECTOR_BYTES


def _to_nobody(text: str) -> None:
    """Whoever reads the journal without wanting to hear of damage."""


def read_entries(disk: Disk, directory: str, report: Callable[[str], None] = _to_nobody) -> list[Entry]:
    """Every entry that the journal holds, oldest first. Drops the page cache before it reads: after a failed sync it lies.

    `report` is told of blocks that were torn or damaged.
    """
    blocks: list[tuple[int, list[Entry]]] = []
    for name in HALF_NAMES:
        path = f"{directory}/{name}"
        if not disk.exists(path):
            continue
        file = disk.open(path, read_only=True)
        try:
            file.drop_cache()
            walk = Walk(file.read_at(file.size(), 0))
            blocks.extend(walk)
            for position, is_last in walk.damaged:
                kind = "torn, and was acknowledged to nobody, or it is damaged" if is_last else "damaged; what follows it is read"
                report(f"the block at byte {position} of {path} does not match its checksum: it was {kind}")
        finally:
            file.release()
    blocks.sort(key=lambda block: block[0])
    return [entry for _, entries in blocks for entry in entries]


class Walk:
    """One walk over a half: (sequence, entries) of each sound block; then `damaged` says where others are."""

    def __init__(self, half: Buffer) -> None:
        self._half = memoryview(half)
        self.damaged: list[tuple[int, bool]] = []  # (place, whether no other block follows)

    def __iter__(self) -> Iterator[tuple[int, list[Entry]]]:
        half = self._half
        position = 0
        expected: tuple[int, int] | None = None
        while (head := _head(half, position)) is not None:
            if head.is_sound:
                if expected is not None and expected != (head.incarnation, head.sequence):
                    return
                yield head.sequence, list(_entries(head.body, head.entry_count))
            elif not head.could_be(expected):
                return
            else:
                following = self._following(head, position, expected)
                self.damaged.append((position, following is None))
                if following is None:
                    return
                position, expected = following
                continue
            expected = (head.incarnation, head.sequence + 1)
            position = head.end

    def _following(self, damaged: _Head, position: int, expected: tuple[int, int] | None) -> tuple[int, tuple[int, int]] | None:
        """(place, incarnation and sequence) of the block behind a damaged one, whose size may be wrong; None when there is none."""
        for place in range(position + SECTOR_BYTES, len(self._half), SECTOR_BYTES):
            if self._half[place : place + len(MAGIC)] == MAGIC:
                head = _head(self._half, place)
                if head is not None and head.is_sound and head.could_follow(damaged, expected):
                    return place, (head.incarnation, head.sequence)
        return None


class _Head(NamedTuple):
    """What is at a place where a block may begin."""

    is_sound: bool
    has_magic: bool
    matches: bool  # the checksum, whatever the magic is
    incarnation: int
    sequence: int
    entry_count: int
    body: memoryview
    end: int  # where the next block begins

    def could_be(self, expected: tuple[int, int] | None) -> bool:
        """Whether this was written as the next block: an old one that was torn in its day is no damage.

        One bit may be wrong in the incarnation or the sequence.
        """
        if not (self.has_magic or self.matches):
            return False
        return expected is None or _differing_bits(self, expected) <= 1

    def could_follow(self, damaged: _Head, expected: tuple[int, int] | None) -> bool:
        """Whether this is the block behind a damaged one, and not one that was written before."""
        before = (self.incarnation, self.sequence - 1)
        return before == expected if expected is not None else _differing_bits(damaged, before) <= 1


def _differing_bits(head: _Head, expected: tuple[int, int]) -> int:
    return ((head.incarnation ^ expected[0]) & _ALL).bit_count() + ((head.sequence ^ expected[1]) & _ALL).bit_count()


def _head(half: memoryview, position: int) -> _Head | None:
    """What is at this place; None where no head fits."""
    if position + BLOCK_HEAD.size > len(half):
        return None
    magic, checksum, incarnation, sequence, body_size, entry_count = BLOCK_HEAD.unpack_from(half, position)
    end = position + BLOCK_HEAD.size + body_size
    has_magic = magic == MAGIC
    matches = end <= len(half) and body_size > 0 and crc32c(half[position + 8 : end]) == checksum
    body = half[position + BLOCK_HEAD.size : end]
    return _Head(has_magic and matches, has_magic, matches, incarnation, sequence, entry_count, body, position + block_size(body_size))


def damaged_block(half: Buffer, *, last_may_be_torn: bool = True) -> int | None:
    """Where the first block is that does not match its checksum; None when there is none.

    `last_may_be_torn`: it is not reported if no other block follows it.
    """
    walk = Walk(half)
    for _ in walk:
        pass
    return next((position for position, is_last in walk.damaged if not (is_last and last_may_be_torn)), None)


def _entries(body: memoryview, count: int) -> Iterable[Entry]:
    position = 0
    for _ in range(count):
        topic_id, partition, size = ENTRY_HEAD.unpack_from(body, position)
        position += ENTRY_HEAD.size
        batch = body[position : position + size]
        yield Entry(topic_id, partition, int.from_bytes(batch[:8], "big", signed=True), batch)
        position += size
