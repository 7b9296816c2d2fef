"""One segment of a partition: a .log file, its two indexes, and what is known of them without reading.

A segment that is not in use holds no open file and no index; both come back when somebody reads it. Only the last segment of
a partition is appended to. How many files are open is bounded over all partitions together (`OpenFiles`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import NamedTuple

from ev.disk import Buffer, Disk, File
from ev.log.index import OffsetIndex, TimeIndex
from ev.log.scan import HEADER, Fields, Scan
from ev.wire.records import LOG_OVERHEAD, MAGIC

LOG = ".log"
INDEX = ".index"
TIME_INDEX = ".timeindex"
TRANSACTION_INDEX = ".txnindex"
SNAPSHOT = ".snapshot"
DELETED = ".deleted"
SUFFIXES = (LOG, INDEX, TIME_INDEX, TRANSACTION_INDEX, SNAPSHOT)

POSITION_MAX = (1 << 31) - 1
RELATIVE_OFFSET_MAX = (1 << 31) - 1


class Segment:
    """A range of offsets in one file. Plain state; who appends or reads decides."""

    __slots__ = (
        "base_offset",
        "created_ms",
        "directory",
        "exists",
        "file",
        "index",
        "index_saved",
        "max_timestamp",
        "max_timestamp_offset",
        "named",
        "replaced",
        "roll_timestamp",
        "sealed",
        "since_index",
        "size",
        "swapping",
        "time_index",
        "time_index_saved",
        "times_known",
        "used",
        "verified",
        "writable",
        "written_from",
    )

    def __init__(self, directory: str, base_offset: int, size: int = 0, *, exists: bool = False) -> None:
        self.directory = directory
        self.base_offset = base_offset
        self.size = size  # bytes of whole batches
        self.exists = exists  # whether there is a .log yet
        self.named = exists  # whether its name is known to be on disk
        self.file: File | None = None
        self.writable = False  # whether `file` may be written
        self.index: OffsetIndex | None = None
        self.time_index: TimeIndex | None = None
        self.index_saved = 0  # bytes of the index that are in its file, -1: the file is as it should be
        self.time_index_saved = 0
        self.since_index = 0
        self.max_timestamp = -1
        self.max_timestamp_offset = -1
        self.times_known = False  # whether these two are right
        self.roll_timestamp = -1
        self.created_ms = 0
        self.written_from = size  # everything from here on was checked by this process before it was written
        self.verified = (0, 0)  # a range that was checked when it was read
        self.used = False
        self.replaced = False  # by a compacted one: its files are no longer what is known of it here
        self.swapping = False  # it is compacted, and its files do not have their names yet
        self.sealed = False  # whether nothing more will be appended

    def __repr__(self) -> str:
        return f"Segment({self.base_offset}, {self.size} bytes)"

    def path(self, suffix: str) -> str:
        return f"{self.directory}/{self.base_offset:020d}{suffix}{'.swap' if self.swapping else ''}"

    @property
    def loaded(self) -> bool:
        """Whether the indexes are in memory."""
        return self.index is not None and self.time_index is not None

    @property
    def saved(self) -> bool:
        """Whether the indexes' files hold what memory holds."""
        return (self.index is None or self.index_saved in (-1, len(self.index.data))) and (
            self.time_index is None or self.time_index_saved in (-1, len(self.time_index.data))
        )

    def begin_index(self) -> None:
        """Empty indexes, for a new segment."""
        self.times_known = True
        self.index = OffsetIndex(self.base_offset)
        self.time_index = TimeIndex(self.base_offset)

    def is_verified(self, start: int, end: int) -> bool:
        """Whether this process has seen that these bytes are whole."""
        low, high = self.verified
        return start >= self.written_from or (low <= start and (end <= high or high >= self.written_from))

    def learn_verified(self, start: int, end: int) -> None:
        low, high = self.verified
        self.verified = (min(low, start), max(high, end)) if start <= high and low <= end else (start, end)

    def indexed(self, last_offset: int, position: int, size: int, max_timestamp: int, interval: int) -> None:
        """A batch was put at the end: keep the indexes and the largest timestamp."""
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self.roll_timestamp < 0:
            self.roll_timestamp = max_timestamp
        if self.since_index > interval:
            assert self.index is not None, "the index of a segment that is written is in memory"
            assert self.time_index is not None, "the time index of a segment that is written is in memory"
            self.index.add(last_offset, position)
            self.time_index.add(self.max_timestamp, self.max_timestamp_offset)
            self.since_index = 0
        self.since_index += size

    def seal(self) -> None:
        """Nothing more will be appended: the time index gets its last entry."""
        self.sealed = True
        if self.time_index is not None and self.max_timestamp >= 0:
            self.time_index.add(self.max_timestamp, self.max_timestamp_offset)

    def close(self) -> None:
        """Let go of the file, and of the indexes if they can be read again and are not being added to."""
        if self.file is not None:
            self.file.release()
            self.file = None
        if self.sealed and self.saved:
            self.index = None
            self.time_index = None


class Mark(NamedTuple):
    """A batch's end: an offset and its place."""

    offset: int
    segment: Segment
    position: int


def load_indexes(disk: Disk, segment: Segment, file: File, interval: int, *, from_files: bool = True) -> tuple[OffsetIndex, TimeIndex]:
    """The indexes of a segment, from their files as far as those go and from the .log beyond that.

    May wait for the disk and changes nothing, so it may run beside anything.
    """
    index = OffsetIndex(segment.base_offset, _read_or_nothing(disk, segment.path(INDEX)) if from_files else b"")
    times = TimeIndex(segment.base_offset, _read_or_nothing(disk, segment.path(TIME_INDEX)) if from_files else b"")
    last = index.entry(len(index) - 1) if len(index) else None
    if last is not None and not (0 <= last[1] < segment.size and entry_holds(file.read_at(HEADER.size, last[1]), last[0])):
        index, last = OffsetIndex(segment.base_offset), None
    position = last[1] if last is not None else 0
    if segment.size - position <= interval:
        return index, times
    since, largest, largest_offset = 0, *(times.last() or (-1, -1))
    for place, fields in _in_order(file, position, segment.size, (last[0] if last is not None else segment.base_offset) - 1):
        last_offset = fields[0] + fields[6]
        if last_offset > segment.base_offset + RELATIVE_OFFSET_MAX:
            continue  # a damaged header; who reads it will say so
        if fields[8] > largest:
            largest, largest_offset = fields[8], last_offset
        if since > interval:
            index.add(last_offset, place)
            times.add(largest, largest_offset)
            since = 0
        since += fields[1] + LOG_OVERHEAD
    return index, times


def _in_order(file: File, position: int, end: int, before: int) -> Iterator[tuple[int, Fields]]:
    """The batches whose offsets lie above `before` and below those of the batch that follows.

    No checksum covers where a batch begins. One with a flipped bit there must not get into an index: it would show the way to a
    wrong place, and hide what lies behind it.
    """
    waiting: tuple[int, Fields] | None = None
    while position < end:
        scan = Scan(file.read_at, position, end, None, contiguous=False, checked=False)
        for place, fields in scan:
            if waiting is not None and waiting[1][0] + waiting[1][6] < fields[0]:
                before = waiting[1][0] + waiting[1][6]
                yield waiting
            waiting = (place, fields) if fields[0] + fields[6] > before else None
        if scan.position == position:
            return  # no batch begins here
        position = scan.position  # the end, or a batch that begins before the one in front of it ends
    if waiting is not None:
        yield waiting


def entry_holds(header: Buffer, last_offset: int) -> bool:
    """Whether the batch that begins with these bytes is the one that an index entry names."""
    if len(header) < HEADER.size:
        return False
    fields = HEADER.unpack_from(header)
    return bool(fields[0] + fields[6] == last_offset and fields[3] == MAGIC)


def _read_or_nothing(disk: Disk, path: str) -> bytes:
    try:
        return disk.read(path)
    except FileNotFoundError:
        return b""


class OpenFiles:
    """Keeps the number of open segments within a bound: the one that was not used for longest goes first, roughly."""

    __slots__ = ("_segments", "disk", "limit")

    def __init__(self, disk: Disk, limit: int) -> None:
        self.disk = disk
        self.limit = max(limit, 1)
        self._segments: dict[Segment, None] = {}

    def __len__(self) -> int:
        return len(self._segments)

    def open(self, segment: Segment, *, create: bool = False) -> File:
        """The segment's file, for reading and writing."""
        if segment.file is not None:
            if segment.writable:
                return segment.file
            self.close(segment)
        self._make_room(self.limit - 1)
        path = segment.path(LOG)
        try:
            file = self.disk.open(path, create=create, exclusive=create)
        except OSError as problem:
            if problem.errno not in (errno.EMFILE, errno.ENFILE) or not self._segments:
                raise
            self._make_room(len(self._segments) // 2)
            file = self.disk.open(path, create=create, exclusive=create)
        self.adopt(segment, file)
        segment.writable = True
        return file

    def adopt(self, segment: Segment, file: File) -> None:
        """Take over a file that was opened elsewhere."""
        self._make_room(self.limit - 1)
        segment.file = file
        segment.writable = False
        segment.used = True
        self._segments[segment] = None

    def close(self, segment: Segment) -> None:
        self._segments.pop(segment, None)
        segment.close()

    def _make_room(self, count: int) -> None:
        """Close segments until no more than `count` are open. One that was used since its last turn gets another one."""
        turns = 2 * len(self._segments)
        while len(self._segments) > count and turns:
            turns -= 1
            segment = next(iter(self._segments))
            del self._segments[segment]
            if segment.used and turns > len(self._segments):
                segment.used = False
                self._segments[segment] = None
            else:
                segment.close()
