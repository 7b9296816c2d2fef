"""Looks over one segment: whether its batches, and what its indexes say of them, are as they were written. Changes nothing.

Every batch is read: its size, its format, its checksum, its offset and its leader epoch. The indexes are followed on the way, so
that the log is read once: an entry of the

    .index      names a batch by its last offset and its place: exactly that batch has to be there
    .timeindex  names the largest timestamp so far, and the batch that has it, by any of its offsets: Kafka has done it both ways.
                The last one of a sealed segment names the largest of all
    .txnindex   names the marker that aborted a transaction

What no crash can damage and what one may leave behind are different things. Below the partition's recovery point everything
was once on disk. Behind it the last segment may end in zeros, and, while an engine runs, in the middle of a batch that is being
written just now; entries of an index that lie there were not promised to anybody and are not looked at.

Damage is what is found twice: an engine that runs may compact or drop a segment, or replace an index, between two reads.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.log.index import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex
from ev.log.scan import HEADER, Fields, Scan
from ev.log.segment import INDEX, LOG, TIME_INDEX, TRANSACTION_INDEX, entry_holds
from ev.log.transactions import ABORTED, ABORTED_VERSION
from ev.wire.records import CONTROL, HEADER_SIZE, LOG_OVERHEAD, MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev.disk import Buffer, Disk, File
    from ev.log.checkpoint import PartitionCheckpoint

CHUNK_BYTES: Final = 4 << 20
DAMAGES_MAX: Final = 100
"""Of one segment; a disk that lost everything has said so by then."""
NEVER: Final = 1 << 63


class Damage(NamedTuple):
    """One thing that is not as it was written."""

    partition: str  # its directory's name; empty for a file of the data directory itself
    file: str
    position: int | None  # in the file
    offset: int | None
    expected: str
    found: str


class Surroundings(NamedTuple):
    """What has to be known of a segment to tell damage from what a running engine, a crash or a compaction leaves behind."""

    partition: str
    directory: str
    names: frozenset[str]  # in the directory
    checkpoint: PartitionCheckpoint | None
    next_base: int | None  # base offset of the next segment; None: it is the last one
    is_clean: bool  # whether the engine was stopped cleanly: all that is there was on disk
    has_holes: bool  # whether compaction may have taken batches out
    live: Callable[[], bool]  # whether an engine runs here just now


class _Entry(NamedTuple):
    """An index entry that waits for its batch. They are met in the order of the offsets."""

    offset: int
    suffix: str
    position: int  # of the entry in its file
    value: int  # place of the batch (.index), timestamp (.timeindex), producer id (.txnindex)


class SegmentCheck:
    """One look at one segment. `progress` is told of bytes as they are read."""

    def __init__(self, disk: Disk, around: Surroundings, base_offset: int, progress: Callable[[int], None]) -> None:
        self.disk = disk
        self.around = around
        self.base_offset = base_offset
        self.progress = progress
        self.damages: list[Damage] = []
        self.batches = 0
        self.bytes = 0
        own = around.checkpoint
        self._is_last = around.next_base is None
        # Whether the indexes are complete on disk: the checkpoint of a later segment was written after them.
        self._settled = not self._is_last if own is None else base_offset < own.segment_base
        self._promised = NEVER if own is None or self._settled or around.is_clean else own.recovery_offset
        self._epochs = own.leader_epochs() if own is not None and all(epoch >= 0 for epoch, _ in own.epochs) else None
        self._epoch = -1
        self._largest = -1
        self._last_time = -1
        self._waiting: Iterator[_Entry] = iter(())
        self._next: _Entry | None = None

    def run(self) -> list[Damage]:
        """What is damaged. A segment that vanished meanwhile is not."""
        try:
            file = self.disk.open(self._path(LOG), read_only=True)
        except FileNotFoundError:
            return []
        except OSError as problem:
            self._damage(LOG, None, self.base_offset, "a file that can be read", str(problem))
            return self.damages
        try:
            self._waiting = merge(self._offsets(), self._times(), self._aborted())
            self._walk(file)
        except OSError as problem:
            self._damage(LOG, None, None, "a file that can be read", str(problem))
        finally:
            file.release()
        return self.damages

    def _path(self, suffix: str) -> str:
        return f"{self.around.directory}/{self.base_offset:020d}{suffix}"

    def _damage(self, suffix: str, position: int | None, offset: int | None, expected: str, found: str) -> None:
        self.damages.append(Damage(self.around.partition, f"{self.base_offset:020d}{suffix}", position, offset, expected, found))

    # The indexes, entry by entry.

    def _index_file(self, suffix: str, entry_size: int) -> bytes:
        """What an index file has; empty when it has none."""
        try:
            data = self.disk.read(self._path(suffix))
        except FileNotFoundError:
            if self._settled and suffix != TRANSACTION_INDEX and f"{self.base_offset:020d}{LOG}.swap" not in self.around.names:
                self._damage(suffix, None, None, "an index of this sealed segment", "no such file")
            if suffix == TIME_INDEX:
                self._last_time = NEVER  # that it is missing says enough
            return b""
        except OSError as problem:
            self._damage(suffix, None, None, "a file that can be read", str(problem))
            return b""
        if self._settled and len(data) % entry_size:
            self._damage(suffix, len(data), None, f"entries of {entry_size} bytes", f"{len(data)} bytes")
        return data

    def _offsets(self) -> Iterator[_Entry]:
        index = OffsetIndex(self.base_offset, self._index_file(INDEX, OFFSET_ENTRY.size))
        before_offset, before_place = -1, -1
        for number in range(len(index)):
            offset, place = index.entry(number)
            if offset >= self._promised:
                return
            position = number * OFFSET_ENTRY.size
            if offset <= before_offset or place <= before_place or offset < self.base_offset:
                expected = f"an entry above offset {before_offset} and byte {before_place}"
                self._damage(INDEX, position, offset, expected, f"offset {offset} at byte {place}")
                continue
            before_offset, before_place = offset, place
            yield _Entry(offset, INDEX, position, place)

    def _times(self) -> Iterator[_Entry]:
        index = TimeIndex(self.base_offset, self._index_file(TIME_INDEX, TIME_ENTRY.size))
        before_offset, before_time = -1, -1
        for number in range(len(index)):
            timestamp, offset = index.entry(number)
            if offset >= self._promised:
                return
            position = number * TIME_ENTRY.size
            if offset <= before_offset or timestamp <= before_time or offset < self.base_offset:
                expected = f"an entry above offset {before_offset} and timestamp {before_time}"
                self._damage(TIME_INDEX, position, offset, expected, f"offset {offset} with timestamp {timestamp}")
                continue
            before_offset, before_time = offset, timestamp
            self._last_time = timestamp
            yield _Entry(offset, TIME_INDEX, position, timestamp)

    def _aborted(self) -> Iterator[_Entry]:
        data = self._index_file(TRANSACTION_INDEX, ABORTED.size)
        before = -1
        for position in range(0, len(data) - ABORTED.size + 1, ABORTED.size):
            version, producer_id, first, last, stable = ABORTED.unpack_from(data, position)
            if last >= self._promised:
                return
            if version != ABORTED_VERSION or not 0 <= first <= last or last <= before or last < self.base_offset or stable < 0:
                found = f"version {version}, offsets {first} to {last}, last stable offset {stable}"
                self._damage(TRANSACTION_INDEX, position, last, f"an aborted transaction that ends above offset {before}", found)
                continue
            before = last
            if not self.around.has_holes:  # compaction takes markers out and leaves these entries
                yield _Entry(last, TRANSACTION_INDEX, position, producer_id)

    # The batches.

    def _walk(self, file: File) -> None:
        end = file.size()
        self.bytes = end
        self._next = next(self._waiting, None)
        position, offset = 0, self.base_offset
        counted = 0

        def read(size: int, place: int) -> Buffer:
            nonlocal counted
            self.progress(max(place - counted, 0))
            counted = max(place, counted)
            return file.read_at(size, place)

        known: int | None = offset
        while True:
            scan = Scan(read, position, end, known, contiguous=not self.around.has_holes, chunk_bytes=CHUNK_BYTES)
            self._follow(scan)
            position = scan.position
            offset = scan.offset if scan.offset is not None else offset
            if scan.problem is None:
                break
            onward = self._stopped(file, scan, offset, end)
            if onward is None:
                self.progress(end - counted)
                return
            position, known = onward, None
        self.progress(end - counted)
        self._ended(position, offset)

    def _follow(self, scan: Scan) -> None:
        """The sound batches up to where the scan ends. This loop runs once for every batch."""
        upcoming = self._next.offset if self._next is not None else NEVER
        largest, epoch, batches = self._largest, self._epoch, 0
        for position, fields in scan:
            batches += 1
            if fields[8] > largest:
                largest = fields[8]
            if fields[2] != epoch:
                self._check_epoch(position, fields, epoch)
                epoch = max(epoch, fields[2])
            if fields[0] + fields[6] >= upcoming:
                upcoming = self._meet(position, fields, largest)
        self._largest, self._epoch = largest, epoch
        self.batches += batches

    def _check_epoch(self, position: int, fields: Fields, before: int) -> None:
        """The leader epoch is outside the checksum: it never falls, and below the recovery point it is known."""
        offset, epoch = fields[0], fields[2]
        known = self._epochs.at(offset) if self._epochs is not None and offset < self._promised else -1
        if known not in (-1, epoch):
            self._damage(LOG, position, offset, f"leader epoch {known}", f"leader epoch {epoch}")
        elif epoch < before and known == -1:
            self._damage(LOG, position, offset, f"leader epoch {before} or a later one", f"leader epoch {epoch}")

    def _meet(self, position: int, fields: Fields, largest: int) -> int:
        """Compare the entries that speak of this batch, or of what should have come before it; returns the next entry's offset."""
        entry = self._next
        first, last = fields[0], fields[0] + fields[6]
        while entry is not None and entry.offset <= last:
            place = f"at byte {position} a batch with offsets {first} to {last}"
            if entry.suffix == INDEX:
                if (entry.offset, entry.value) != (last, position):
                    expected = f"a batch at byte {entry.value} that ends at offset {entry.offset}"
                    self._damage(INDEX, entry.position, entry.offset, expected, place)
            elif entry.suffix == TIME_INDEX:
                if entry.offset < first or fields[8] != entry.value or largest != entry.value:
                    expected = f"timestamp {entry.value} in the batch with offset {entry.offset}, and none above it before"
                    found = f"{place} and timestamp {fields[8]}, the largest so far {largest}"
                    self._damage(TIME_INDEX, entry.position, entry.offset, expected, found)
            elif entry.offset < first or not fields[5] & CONTROL or fields[9] != entry.value:
                expected = f"a marker of producer {entry.value} at offset {entry.offset}"
                self._damage(TRANSACTION_INDEX, entry.position, entry.offset, expected, f"{place} of producer {fields[9]}")
            entry = next(self._waiting, None)
        self._next = entry
        return entry.offset if entry is not None else NEVER

    def _stopped(self, file: File, scan: Scan, offset: int, end: int) -> int | None:
        """The scan could not go on: say why, and find the place from which it can; None when there is none."""
        position, problem = scan.position, scan.problem or ""
        header = file.read_at(HEADER_SIZE, position)
        fields: Fields | None = HEADER.unpack_from(header) if len(header) == HEADER_SIZE else None
        size = fields[1] + LOG_OVERHEAD if fields is not None else 0
        behind = self._is_behind_recovery_point(position)
        if self._is_last and behind and self._is_unfinished(file, position, end, size):
            return None
        expected = "a whole batch"
        if behind and self.around.checkpoint is not None and not self.around.live():
            expected += " (the next start cuts this off: it lies behind the recovery point)"
        self._damage(LOG, position, offset, expected, problem)
        if len(self.damages) >= DAMAGES_MAX:
            self._damage(LOG, position, offset, "less damage", "too much of it: the rest of this segment was not looked at")
            return None
        onward = end
        if fields is not None and fields[3] == MAGIC and HEADER_SIZE <= size <= end - position and self._begins(file, position + size, end):
            onward = position + size
        return self._pass_over(file, position, onward, end)

    def _pass_over(self, file: File, position: int, onward: int, end: int) -> int | None:
        """The place behind the damage: where the next batch should begin, or the first one there that the index knows."""
        entry = self._next
        while entry is not None:
            if entry.suffix == INDEX and entry.value >= onward:
                break
            is_way_on = entry.suffix == INDEX and entry.value > position and onward == end
            if is_way_on and entry_holds(file.read_at(HEADER_SIZE, entry.value), entry.offset):
                onward = entry.value
                break
            entry = next(self._waiting, None)  # it speaks of what is damaged
        self._next = entry
        return onward if onward < end else None

    def _begins(self, file: File, position: int, end: int) -> bool:
        """Whether a batch, or nothing any more, is at this place."""
        if position == end:
            return True
        header = file.read_at(HEADER_SIZE, position)
        return len(header) == HEADER_SIZE and HEADER.unpack_from(header)[3] == MAGIC

    def _is_behind_recovery_point(self, position: int) -> bool:
        own = self.around.checkpoint
        return own is None or self.base_offset > own.segment_base or (self.base_offset == own.segment_base and position >= own.position)

    def _is_unfinished(self, file: File, position: int, end: int, size: int) -> bool:
        """Whether what is there is the end of a log that is being written, or room that nothing was written into."""
        if (not size or size > end - position) and self.around.live():
            return True
        place = position
        while place < end:
            data = file.read_at(min(CHUNK_BYTES, end - place), place)
            if not data or data.strip(b"\0"):
                return not data
            place += len(data)
        return True

    def _ended(self, position: int, offset: int) -> None:
        """The last batch was whole: does anything speak of more?"""
        own, next_base = self.around.checkpoint, self.around.next_base
        while self._next is not None:
            entry = self._next
            expected = f"an offset of the segment, which ends at {offset - 1}"
            self._damage(entry.suffix, entry.position, entry.offset, expected, f"offset {entry.offset}")
            self._next = next(self._waiting, None)
        if self._settled and self._last_time < self._largest:
            expected = f"a last entry with timestamp {self._largest}, the largest in the segment"
            self._damage(TIME_INDEX, None, None, expected, f"timestamp {self._last_time}")
        if next_base is not None and (next_base < offset or (next_base > offset and not self.around.has_holes)):
            self._damage(LOG, position, offset, f"a next segment that begins at offset {offset}", f"it begins at {next_base}")
        if own is not None and own.segment_base == self.base_offset and position < own.position and not self.around.has_holes:
            self._damage(LOG, position, offset, f"{own.position} bytes, which were on disk", f"{position} bytes")
