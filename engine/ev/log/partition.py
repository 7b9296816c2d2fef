"""One partition of a topic: a log that is appended to at its end and read from anywhere.

Appending decides everything at once: the batch is checked, gets its offsets and the leader epoch, and goes to the active
segment, whose file gets it now or a little later (`ev.log.tail`). Whether it is on disk is the committer's business; it tells
the partition how far it is (`synced_to`: the high watermark, beyond which no consumer sees; `flushed_to`: how far the
partition's own files are synced, from which the recovery point follows).

A failed append changes nothing: what was written of it is cut off again, and the end offset moves only after the write.

Nothing here waits for the disk except writes into the page cache, the opening of files and searches by time.
"""

from __future__ import annotations

import errno
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ev.errors import ErrorCode, KafkaError
from ev.log.checkpoint import PARTITION_METADATA, UNTRUSTED, PartitionCheckpoint, encode_epochs
from ev.log.reading import Arrival, CachedSource, Cold, Damage, Found, Plan, Read, ReadLater, WaitingSource, read_batches
from ev.log.saving import Checkpoint, index_saves
from ev.log.scan import HEADER
from ev.log.segment import INDEX, POSITION_MAX, RELATIVE_OFFSET_MAX, SNAPSHOT, Mark, Segment, load_indexes
from ev.log.tail import TAIL_BATCH_BYTES_MAX, TAIL_BYTES_MAX, WAITING_BYTES_MAX, Tail
from ev.log.times import first_at_or_after, largest_timestamp
from ev.log.validation import REFUSED_ATTRIBUTES, ZSTD, refusal, rewritten, timestamp_refusal
from ev.wire.checksum import crc32c
from ev.wire.records import CODEC_MASK, HEADER_SIZE, encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from ev.disk import Disk, File
    from ev.log.commit import Committer
    from ev.log.config import TopicConfig
    from ev.log.epochs import LeaderEpochs
    from ev.log.producers import Batch, Producers
    from ev.log.segment import OpenFiles
    from ev.wire.primitives import Buffer

    Search: TypeAlias = Callable[[CachedSource | WaitingSource], tuple[int, int] | None]

HEAD = Struct(">qii")
HEAD_SIZE = HEAD.size
CURSORS_MAX = 64
OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)
LATEST_VERSION = 1 << 15

__all__ = ["Appended", "Partition", "Read", "ReadLater", "SearchLater", "Services"]


class Appended(NamedTuple):
    """Where a batch went. `round`: the commit round after which it is on disk; 0 when it is already."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool
    round: int


class Services:
    """What all partitions of a store share."""

    __slots__ = (
        "committer",
        "dirty",
        "disk",
        "files",
        "leftovers",
        "may_wait",
        "on_dirty",
        "on_dropped",
        "on_failure",
        "on_full",
        "report",
        "root_unsynced",
        "starts_moved",
        "unsaved_bytes",
        "waiting_bytes",
        "writable",
    )

    def __init__(self, disk: Disk, files: OpenFiles, report: Callable[[str], None]) -> None:
        self.disk = disk
        self.files = files
        self.report = report
        self.committer: Committer | None = None
        self.writable = True
        self.may_wait = False  # whether small batches may wait to be written (see ev.log.tail)
        self.waiting_bytes = 0
        self.starts_moved = 0  # how often a log's beginning has moved
        self.dirty: dict[Partition, None] = {}  # partitions whose checkpoint is behind
        self.leftovers: list[str] = []  # files to be unlinked
        self.root_unsynced = False  # whether a partition's directory was made whose name is not on disk yet
        self.unsaved_bytes = 0  # about how many bytes recovery would look at that it need not
        self.on_dirty: Callable[[], None] | None = None
        self.on_full: Callable[[bool], bool] | None = None  # for an internal topic (True) it may make room; whether it did
        self.on_dropped: Callable[[Partition, Segment], None] | None = None
        self.on_failure: Callable[[OSError], None] | None = None  # what was acknowledged cannot be written: the engine must end


_CACHED = CachedSource()
new_tuple = tuple.__new__  # half the cost of calling a NamedTuple's class


class Partition:
    """A partition that is open. Made by recovery."""

    __slots__ = (
        "_after_max_ms",
        "_arrivals",
        "_batch_bytes_max",
        "_before_max_ms",
        "_cursors",
        "_hw",
        "_index_bytes_max",
        "_index_interval",
        "_names_unsynced",
        "_new_files",
        "_plain",
        "_recovery",
        "_saved_log_start",
        "_saved_offset",
        "_segment_bytes",
        "_segment_ms",
        "_tail",
        "_unsaved",
        "active",
        "config",
        "damaged",
        "directory",
        "dirty_round",
        "end_offset",
        "epochs",
        "epochs_trusted",
        "gone",
        "high_watermark",
        "index",
        "internal",
        "journal_key",
        "leader_epoch",
        "log_start_offset",
        "name",
        "producers",
        "segments",
        "services",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        services: Services,
        topic: str,
        index: int,
        topic_id: bytes,
        directory: str,
        config: TopicConfig,
        segments: list[Segment],
        log_start_offset: int,
        end_offset: int,
        epochs: LeaderEpochs,
        producers: Producers,
    ) -> None:
        self.services = services
        self.topic = topic
        self.index = index
        self.topic_id = topic_id
        self.directory = directory
        self.name = f"{topic}-{index}"
        self.internal = topic.startswith("__")
        self.journal_key = topic_id + index.to_bytes(4, "big")
        self.segments = segments
        self.active = segments[-1]
        self.log_start_offset = log_start_offset
        self.end_offset = end_offset
        self.high_watermark = end_offset
        self.leader_epoch = -1
        self.dirty_round = 0
        self.damaged: str | None = None
        self.gone = False  # its topic was deleted
        self.epochs = epochs
        self.epochs_trusted = True  # whether every batch must carry the epoch that they say
        self.producers = producers
        self._tail = Tail()
        self._hw = Mark(end_offset, self.active, self.active.size)
        self._recovery = self._hw
        self._saved_offset = -1
        self._saved_log_start = log_start_offset
        self._unsaved: list[Segment] = []  # sealed segments whose indexes are not in their files yet
        self._new_files: list[tuple[str, bytes]] = []  # to be written with the next checkpoint
        self._names_unsynced = False
        self._cursors: dict[int, Mark] = {}
        self._arrivals: deque[tuple[WaitingSource, Found | str]] = deque()
        self.set_config(config)

    def __repr__(self) -> str:
        return f"Partition({self.name}, {self.log_start_offset}..{self.high_watermark}..{self.end_offset})"

    def set_config(self, config: TopicConfig) -> None:
        self.config = config
        self._plain = config.keeps_batches_as_they_are
        self._batch_bytes_max = min(config.max_message_bytes, config.segment_bytes)
        self._before_max_ms = config.message_timestamp_before_max_ms
        self._after_max_ms = config.message_timestamp_after_max_ms
        self._segment_bytes = min(config.segment_bytes, POSITION_MAX)
        self._segment_ms = config.segment_ms
        self._index_interval = config.index_interval_bytes
        self._index_bytes_max = config.segment_index_bytes - config.segment_index_bytes % 8

    # Appending

    def append(self, batch: Buffer, now_ms: int, *, request_version: int = LATEST_VERSION, at_once: bool = True) -> Appended:
        """Append a client's batch. Raises KafkaError when it is refused; then nothing has changed.

        `at_once`: it is in its file when this returns, so that it outlives the process, if not a power cut.
        """
        if type(batch) is not memoryview:
            batch = memoryview(batch)
        size = len(batch)
        if size < HEADER_SIZE:
            raise refusal(batch, self.config, request_version) or AssertionError
        (
            base_offset,
            length,
            _,
            magic,
            crc,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            sequence,
            count,
        ) = HEADER.unpack_from(batch)
        if (
            length + 12 != size
            or magic != 2
            or base_offset
            or size > self._batch_bytes_max
            or attributes & REFUSED_ATTRIBUTES
            or count != last_offset_delta + 1
            or count < 1
            or attributes & CODEC_MASK >= ZSTD
        ):
            refused = refusal(batch, self.config, request_version)
            if refused is not None:
                raise refused
        if crc32c(batch[21:]) != crc:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "a batch does not match its checksum")
        if (
            max_timestamp > now_ms + self._after_max_ms or (base_timestamp < now_ms - self._before_max_ms and base_timestamp != -1)
        ) and not self.config.log_append_time:
            raise timestamp_refusal(HEADER.unpack_from(batch), self.config, now_ms)
        if producer_id >= 0:
            producer = self.producers.by_id.get(producer_id)
            if sequence < 0 or producer is None or producer.epoch != producer_epoch or producer.next_sequence != sequence:
                if sequence < 0:
                    raise refusal(batch, self.config, request_version) or AssertionError
                original = self.producers.admit(producer_id, producer_epoch, sequence, count)
                if original is not None:
                    if at_once:
                        self.write_out()
                    return self._duplicate(original)
        if self.damaged is not None or not (self.services.writable or self.internal):
            raise self._refuses_writes()
        append_time_ms = -1
        if not self._plain:
            batch, append_time_ms = rewritten(batch, self.config, now_ms)
            batch = memoryview(batch)
            size = len(batch)
            length = size - 12
            max_timestamp = HEADER.unpack_from(batch)[8]
        return self._write(
            batch,
            size,
            length,
            last_offset_delta,
            max_timestamp,
            producer_id,
            producer_epoch,
            sequence,
            count,
            append_time_ms,
            now_ms,
            not at_once and size <= TAIL_BATCH_BYTES_MAX and self.services.may_wait,
        )

    def append_records(
        self, records: Sequence[tuple[bytes | None, bytes | None]], now_ms: int, *, timestamp_ms: int | None = None
    ) -> Appended:
        """Append (key, value) pairs of the engine's own as one batch. Raises KafkaError when it cannot be written."""
        if self.damaged is not None:
            raise self._refuses_writes()
        stamp = now_ms if timestamp_ms is None else timestamp_ms
        batch = memoryview(encode_batch([value for _, value in records], keys=[key for key, _ in records], timestamps=stamp))
        count = len(records)
        return self._write(batch, len(batch), len(batch) - 12, count - 1, stamp, -1, -1, -1, count, -1, now_ms, False)

    def _write(
        self,
        batch: memoryview,
        size: int,
        length: int,
        last_offset_delta: int,
        max_timestamp: int,
        producer_id: int,
        producer_epoch: int,
        sequence: int,
        count: int,
        append_time_ms: int,
        now_ms: int,
        waits: bool,
    ) -> Appended:
        segment = self.active
        base_offset = self.end_offset
        last_offset = base_offset + last_offset_delta
        file = segment.file
        if (
            file is None
            or not segment.writable
            or segment.index is None
            or len(segment.index.data) >= self._index_bytes_max
            or segment.size + size > self._segment_bytes
            or (max_timestamp - segment.roll_timestamp > self._segment_ms and segment.roll_timestamp >= 0)
            or segment.roll_timestamp < 0
            or last_offset - segment.base_offset > RELATIVE_OFFSET_MAX
        ):
            segment, file = self._make_ready(size, last_offset, max_timestamp, now_ms)
        position = segment.size
        parts: list[Buffer] = [HEAD.pack(base_offset, length, self.leader_epoch), batch[HEAD_SIZE:]]
        if waits:
            self._tail.add(file, parts, size)
            self.services.waiting_bytes += size
        else:
            if self._tail.size:
                self.write_out()
            try:
                file.write_at(parts, position)
            except OSError as problem:
                self._write_failed(problem, file, parts, position)
        segment.size = position + size
        segment.indexed(last_offset, position, size, max_timestamp, self._index_interval)
        if producer_id >= 0:
            self.producers.append(producer_id, producer_epoch, sequence, count, base_offset, last_offset, append_time_ms, now_ms)
        self.end_offset = last_offset + 1
        committer = self.services.committer
        assert committer is not None, "nothing is appended before recovery is over"
        number = committer.wrote(self, file, parts, size)
        if waits and (self._tail.size > TAIL_BYTES_MAX or self.services.waiting_bytes > WAITING_BYTES_MAX):
            self.write_out()
        return new_tuple(Appended, (base_offset, last_offset, append_time_ms, self.log_start_offset, False, number))

    def write_out(self) -> None:
        """Bring to its file what waits to be written."""
        tail = self._tail
        if not tail.size:
            return
        position = self.active.size - tail.size
        try:
            tail.write_to(position)
        except OSError as problem:
            if not self._written_in_reserve(problem, position):
                return
        self.services.waiting_bytes -= tail.clear()

    def _written_in_reserve(self, problem: OSError, position: int) -> bool:
        """Write what waits in the room that was kept for it. Without it the engine must end: the journal has what was acknowledged."""
        on_full, on_failure = self.services.on_full, self.services.on_failure
        try:
            self._tail.cut_back(position)
            if problem.errno in OUT_OF_SPACE and on_full is not None and on_full(True):
                self._tail.write_to(position)
                return True
        except OSError as again:
            problem = again
        if on_failure is None:
            raise problem
        on_failure(problem)
        return False

    def _forget_tail(self) -> None:
        """Let go of what waits: nobody will read it here, or the journal has it."""
        self.services.waiting_bytes -= self._tail.clear()

    def _duplicate(self, original: Batch) -> Appended:
        """A retry: the answer that the original got, or is still waiting for."""
        last_offset = original[3]
        waits_for = self.dirty_round if last_offset >= self.high_watermark else 0
        return Appended(original[2], last_offset, original[4], self.log_start_offset, True, waits_for)

    def _refuses_writes(self) -> KafkaError:
        reason = self.damaged or "the disk is nearly full"
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.name} takes no writes: {reason}")

    def _make_ready(self, size: int, last_offset: int, max_timestamp: int, now_ms: int) -> tuple[Segment, File]:
        """The active segment, open for writing, with room for a batch: a new one if need be."""
        try:
            segment = self.active
            file = self._open_active(now_ms)
            if self._must_roll(segment, size, last_offset, max_timestamp, now_ms):
                return self._roll(now_ms)
            return segment, file
        except OSError as problem:
            raise self._storage_error(problem) from problem

    def _must_roll(self, segment: Segment, size: int, last_offset: int, max_timestamp: int, now_ms: int) -> bool:
        if not segment.size:
            return last_offset - segment.base_offset > RELATIVE_OFFSET_MAX
        assert segment.index is not None
        too_old = (
            max_timestamp - segment.roll_timestamp > self._segment_ms
            if segment.roll_timestamp >= 0
            else now_ms - segment.created_ms > self._segment_ms
        )
        return (
            too_old
            or segment.size + size > self._segment_bytes
            or len(segment.index.data) >= self._index_bytes_max
            or last_offset - segment.base_offset > RELATIVE_OFFSET_MAX
        )

    def _open_active(self, now_ms: int) -> File:
        """The active segment's file, writable, and its indexes in memory."""
        segment = self.active
        if segment.file is not None and segment.writable:
            return segment.file
        if not segment.exists:
            return self._create(segment, now_ms, first=True)
        file = self.services.files.open(segment)
        if not segment.loaded:
            self._load_active(segment, file)
        if not segment.created_ms:
            segment.created_ms = now_ms
        return file

    def _load_active(self, segment: Segment, file: File) -> None:
        index, times = load_indexes(self.services.disk, segment, file, self._index_interval)
        segment.index, segment.time_index = index, times
        segment.index_saved = segment.time_index_saved = 0
        last = index.entry(len(index) - 1) if len(index) else None
        segment.since_index = segment.size - (last[1] if last is not None else 0)

    def _create(self, segment: Segment, now_ms: int, *, first: bool) -> File:
        """Make the .log of a new segment. Its name is synced before anything in it counts."""
        disk = self.services.disk
        committer = self.services.committer
        assert committer is not None, "nothing is appended before recovery is over"
        file = self.services.files.open(segment, create=True)
        segment.exists = True
        segment.created_ms = now_ms
        segment.begin_index()
        self._names_unsynced = True
        if first:
            # Nobody has synced the directory of a new partition yet, nor its name in the store's.
            metadata = disk.open(f"{self.directory}/{PARTITION_METADATA}")
            committer.rolled(metadata, self.directory)
            if self.services.root_unsynced:
                committer.rolled(metadata, self.directory.rpartition("/")[0])
                self.services.root_unsynced = False
            metadata.release()
        return file

    def _roll(self, now_ms: int) -> tuple[Segment, File]:
        """Seal the active segment and begin the next one."""
        old = self.active
        self.write_out()
        old_file = old.file
        assert old_file is not None, "a segment is open when it is sealed"
        committer = self.services.committer
        assert committer is not None, "nothing is appended before recovery is over"
        segment = Segment(self.directory, self.end_offset)
        old_file.retain()  # opening the new one may close it
        try:
            file = self._create(segment, now_ms, first=False)
            committer.rolled(old_file, self.directory)
        finally:
            old_file.release()
        old.seal()
        self._unsaved.append(old)
        self._new_files.append((segment.path(SNAPSHOT), self.producers.snapshot(self.end_offset)))
        self.segments.append(segment)
        self.active = segment
        return segment, file

    def _write_failed(self, problem: OSError, file: File, parts: list[Buffer], position: int) -> None:
        """Take back what a failed write left behind. Returns only if a second try, in the room that was made, succeeded."""
        self._cut_back(file, position)
        on_full = self.services.on_full
        if self.damaged is None and problem.errno in OUT_OF_SPACE and self.internal and on_full is not None and on_full(True):
            try:
                file.write_at(parts, position)
                return
            except OSError as again:
                self._cut_back(file, position)
                raise self._storage_error(again) from again
        raise self._storage_error(problem) from problem

    def _cut_back(self, file: File, position: int) -> None:
        try:
            file.truncate(position)
        except OSError as problem:
            self.damaged = f"a write failed, and what it left behind could not be cut off: {problem}"
            self.services.report(f"{self.name}: {self.damaged}")

    def _storage_error(self, problem: OSError) -> KafkaError:
        if problem.errno in OUT_OF_SPACE and self.services.on_full is not None and not self.internal:
            self.services.on_full(False)
        self.services.report(f"{self.name}: cannot be written: {problem}")
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.name} cannot be written: {problem}")

    # What the committer tells

    def mark(self) -> Mark:
        """Where the log ends now."""
        active = self.active
        return new_tuple(Mark, (self.end_offset, active, active.size))

    def synced_to(self, mark: Mark) -> None:
        """Everything below the mark is on disk, in the partition's own files or in the journal."""
        self._hw = mark
        self.high_watermark = mark.offset

    def flushed_to(self, mark: Mark) -> None:
        """Everything below the mark is on disk in the partition's own files."""
        if mark.offset > self._hw.offset:
            mark = self._hw  # the round that has the rest is still on its way, and with it the syncs that a roll has ordered
        first = self.segments[0]
        if mark.segment.base_offset < first.base_offset:
            mark = Mark(first.base_offset, first, 0)  # it lay in a segment that was dropped
        if mark.offset > self._recovery.offset:
            before, self._recovery = self._recovery, mark
            rest = 0 if mark.segment is before.segment else before.segment.size
            self.services.unsaved_bytes += rest + mark.position - before.position
            self._changed()

    @property
    def recovery_point(self) -> int:
        """Everything below this offset is on disk in the partition's own files."""
        return self._recovery.offset

    # Reading

    def read(self, offset: int, bytes_max: int, *, at_least_one: bool, end_offset: int | None = None) -> Read | ReadLater:
        """Whole batches from the one that contains `offset` on, below the high watermark (or below `end_offset`).

        Raises KafkaError: OFFSET_OUT_OF_RANGE, or CORRUPT_MESSAGE where the disk does not hold what was written.
        """
        if self._arrivals:
            self._learn_arrivals()
        if self._tail.size:
            self.write_out()
        limit = self._hw
        walk = False
        if end_offset is not None and end_offset != limit.offset:
            walk = end_offset < self.end_offset
            limit = Mark(min(end_offset, self.end_offset), self.active, self.active.size)
        if offset < self.log_start_offset or offset > self.end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"{self.name} holds offsets {self.log_start_offset} to {self.end_offset}, not {offset}"
            )
        if offset >= limit.offset:
            return Read([], offset)
        cursor = self._cursors.get(offset)
        number: int
        position: int | None
        if cursor is not None and cursor.segment is self.active:
            number, position = len(self.segments) - 1, cursor.position
        else:
            number, position = self._place(offset, cursor)
        plan = Plan(
            offset,
            bytes_max,
            at_least_one,
            self.segments,
            number,
            position,
            limit.offset,
            limit.segment,
            limit.position,
            walk,
            not self.config.compacted,
            self.epochs if self.epochs_trusted else None,
            self._index_interval,
        )
        try:
            if limit.segment is self.active and number == len(self.segments) - 1 and self.active.file is None and self.active.exists:
                self._open_active(0)
            found = read_batches(plan, _CACHED)
        except Cold:
            return ReadLater(plan, self.services.disk, self._arrivals)
        except Damage as damage:
            self._found_damage(str(damage))
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(damage)) from damage
        self._learn(found)
        return found.read

    def _place(self, offset: int, cursor: Mark | None) -> tuple[int, int | None]:
        """(number of the segment that holds an offset, where in it a reader stopped before)."""
        segments = self.segments
        if offset >= self.active.base_offset:
            number = len(segments) - 1
        else:
            low, high = 0, len(segments)
            while low < high:
                middle = (low + high) // 2
                if segments[middle].base_offset <= offset:
                    low = middle + 1
                else:
                    high = middle
            number = max(low - 1, 0)
        if cursor is not None and cursor.segment is segments[number]:
            return number, cursor.position
        return number, 0 if segments[number].base_offset >= offset else None

    def _learn(self, found: Found) -> None:
        """Remember where a reader stopped, and what was checked on the way."""
        if found.checked is not None:
            found.segment.learn_verified(*found.checked)
        if found.damage is not None:
            self._found_damage(found.damage)
        if found.read.pieces:
            cursors = self._cursors
            if len(cursors) >= CURSORS_MAX:
                del cursors[next(iter(cursors))]
            next_offset = found.read.next_offset
            cursors[next_offset] = Mark(next_offset, found.segment, found.position)

    def _learn_arrivals(self) -> None:
        """Take over what reader threads opened and found out."""
        while self._arrivals:
            source, found = self._arrivals.popleft()
            if isinstance(found, str):
                self._found_damage(found)
            else:
                self._learn(found)
            for arrival in source.arrivals.values():
                self._adopt(arrival)

    def _adopt(self, arrival: Arrival) -> None:
        segment = arrival.segment
        if segment not in self.segments or self.gone:
            arrival.file.release()
            return
        if segment.file is None:
            self.services.files.adopt(segment, arrival.file)
        else:
            arrival.file.release()
        if arrival.indexes is not None and (not segment.loaded or arrival.rebuilt) and segment is not self.active:
            segment.index, segment.time_index = arrival.indexes
            segment.index_saved = segment.time_index_saved = -1
            if arrival.rebuilt:
                segment.index_saved = segment.time_index_saved = 0
                self._unsaved.append(segment)
                self._changed()
                self.services.report(f"{segment.path(INDEX)} did not agree with its log and was made again")

    def _found_damage(self, text: str) -> None:
        if self.damaged is None:
            self.damaged = text
            self.services.report(f"{self.name} takes no more writes: {text}")

    def bytes_available(self, offset: int, limit: int) -> int:
        """About how many bytes lie between `offset` and the high watermark; `limit` when it is at least that or hard to tell."""
        if offset >= self.high_watermark:
            return 0
        cursor = self._cursors.get(offset)
        if cursor is None or cursor.segment is not self._hw.segment:
            if offset < self._hw.segment.base_offset or self._hw.segment.index is None:
                return limit
            entry = self._hw.segment.index.before_offset(offset)
            return min(limit, self._hw.position - (entry[1] if entry is not None else 0))
        return min(limit, self._hw.position - cursor.position)

    # By time and by epoch

    def offset_for_timestamp(self, timestamp: int, *, end_offset: int | None = None) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record that is not older than `timestamp`; None when there is none. May wait for the disk."""
        return self._search(self._search_for(timestamp, end_offset))

    def max_timestamp(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record that has the largest timestamp. May wait for the disk."""
        return self._search(self._search_for(None, None))

    def search_by_time(self, timestamp: int | None) -> tuple[int, int] | SearchLater | None:
        """`offset_for_timestamp`, or `max_timestamp` for None, without waiting: a SearchLater when it has to wait for the disk."""
        search = self._search_for(timestamp, None)
        try:
            return search(_CACHED)
        except Cold:
            return SearchLater(self, search, WaitingSource(self.services.disk, self._index_interval))

    def _search_for(self, timestamp: int | None, end_offset: int | None) -> Search:
        """The search, on a copy of what it needs, so that a thread may do it."""
        self.write_out()
        segments, start, report = list(self.segments), self.log_start_offset, self.services.report
        limit = self.high_watermark if end_offset is None else end_offset

        def search(source: CachedSource | WaitingSource) -> tuple[int, int] | None:
            wanted = max(largest_timestamp(segment, source) for segment in segments) if timestamp is None else timestamp
            if timestamp is None and wanted < 0:
                return None
            return first_at_or_after(segments, source, wanted, start, limit, report)

        return search

    def _search(self, search: Search) -> tuple[int, int] | None:
        """Search in memory if that will do, else on the disk."""
        try:
            return search(_CACHED)
        except Cold:
            later = SearchLater(self, search, WaitingSource(self.services.disk, self._index_interval))
            try:
                return later.run()
            finally:
                later.learn()

    def adopt(self, source: WaitingSource) -> None:
        """Take over what was opened elsewhere."""
        for arrival in source.arrivals.values():
            self._adopt(arrival)

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """(the largest leader epoch up to `epoch`, the offset at which it ended); (-1, -1) when it is not known."""
        if epoch == self.leader_epoch:
            return epoch, self.end_offset
        return self.epochs.end_of(epoch, self.end_offset)

    # The beginning of the log

    def delete_records(self, before_offset: int, now_ms: int) -> int:
        """Let the log begin at `before_offset` (-1: at the high watermark). Returns where it begins."""
        offset = self.high_watermark if before_offset == -1 else before_offset
        if offset < 0 or offset > self.high_watermark:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"{self.name} ends at {self.high_watermark}; it cannot begin at {before_offset}"
            )
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self._drop_before_start()
        return self.log_start_offset

    def _drop_before_start(self) -> list[Segment]:
        """Drop the segments that lie wholly before the log's start."""
        dropped = []
        while len(self.segments) > 1 and self.segments[1].base_offset <= self.log_start_offset and self._is_named(self.segments[1]):
            dropped.append(self._drop_first())
        self.epochs.cut_before(self.log_start_offset)
        self.services.starts_moved += 1
        self._changed()
        return dropped

    def _drop_first(self) -> Segment:
        segment = self.segments.pop(0)
        if segment in self._unsaved:
            self._unsaved.remove(segment)
        if self._recovery.segment is segment:
            self._recovery = Mark(self.segments[0].base_offset, self.segments[0], 0)
        self._cursors = {offset: mark for offset, mark in self._cursors.items() if mark.segment is not segment}
        self.services.files.close(segment)
        if self.services.on_dropped is not None:
            self.services.on_dropped(self, segment)
        return segment

    def enforce_retention(self, now_ms: int) -> list[Segment]:
        """Drop what is too old or too much. Only whole segments below the high watermark go; returns them."""
        dropped: list[Segment] = []
        if self.damaged is not None:
            return dropped  # until somebody has looked at it
        if self.config.deleted_by_age:
            self._roll_if_expired(now_ms)
            while self._first_may_go() and now_ms - self._age_of(self.segments[0]) > self.config.retention_ms:
                dropped += self._begin_after_first()
        if self.config.deleted_by_size:
            excess = self.size_bytes - self.config.retention_bytes
            while self._first_may_go() and excess >= self.segments[0].size:
                excess -= self.segments[0].size
                dropped += self._begin_after_first()
        return dropped

    def _first_may_go(self) -> bool:
        return len(self.segments) > 1 and self.segments[1].base_offset <= self.high_watermark and self._is_named(self.segments[1])

    def _is_named(self, segment: Segment) -> bool:
        """Whether the segment's name is on disk: before that, no other may go, or a power cut could leave none."""
        committer = self.services.committer
        if not segment.named and committer is not None and committer.synced:
            segment.named = segment.base_offset < self.high_watermark
        return segment.named

    def _begin_after_first(self) -> list[Segment]:
        self.log_start_offset = max(self.log_start_offset, self.segments[1].base_offset)
        return self._drop_before_start()

    def _roll_if_expired(self, now_ms: int) -> None:
        """An active segment whose every record is too old is sealed, so that it can go."""
        active = self.active
        if not active.size or self.high_watermark != self.end_offset or self.damaged is not None:
            return
        if now_ms - self._age_of(active) > self.config.retention_ms:
            try:
                self._open_active(now_ms)
                self._roll(now_ms)
                self._changed()
            except OSError as problem:
                self.services.report(f"{self.name}: could not begin a new segment: {problem}")

    def _age_of(self, segment: Segment) -> int:
        """The largest timestamp of a segment; where its records have none, when it was last written."""
        if not segment.times_known:
            self._search(lambda source: (largest_timestamp(segment, source), 0))
        return segment.max_timestamp if segment.max_timestamp >= 0 else self.services.disk.modified_ms(segment.path(".log"))

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    # Producers

    def expire_producers(self, before_ms: int) -> int:
        """Forget producers that were silent since before this time; how many those were."""
        count = self.producers.expire(before_ms)
        if count:
            self._changed()
        return count

    # Checkpoints

    def _changed(self) -> None:
        """The checkpoint on disk is behind."""
        services = self.services
        if self not in services.dirty:
            services.dirty[self] = None
            if services.on_dirty is not None:
                services.on_dirty()

    def checkpoint(self) -> Checkpoint | None:
        """What has to be written so that recovery need not look at what is on disk already; None when nothing has.

        A damaged partition keeps the checkpoint that it has: a newer one would make the damage look like the log's end.
        """
        mark = self._recovery
        if (
            self.gone
            or self.damaged is not None
            or (
                mark.offset == self._saved_offset
                and self.log_start_offset == self._saved_log_start
                and not self._unsaved
                and self not in self.services.dirty
            )
        ):
            return None
        indexes = [save for segment in [*self._unsaved, mark.segment] for save in index_saves(segment, mark)]
        own = self._own_checkpoint(mark).encode()
        work = Checkpoint(self, mark, indexes, self._new_files, own, self._names_unsynced)
        if self._names_unsynced:
            work.unnamed = [segment for segment in self.segments if not segment.named]
        if self.epochs.changed:
            work.epochs = encode_epochs(self.epochs.entries)
            self.epochs.changed = False
        self._new_files = []
        self._names_unsynced = False
        self._unsaved = []
        self.services.dirty.pop(self, None)
        return work

    def _own_checkpoint(self, mark: Mark) -> PartitionCheckpoint:
        segment = mark.segment
        largest_is_below = segment.max_timestamp_offset < mark.offset
        epochs = [entry for entry in self.epochs.entries if entry[1] < mark.offset]
        return PartitionCheckpoint(
            self.topic_id,
            self.log_start_offset,
            mark.offset,
            segment.base_offset,
            mark.position,
            segment.max_timestamp if largest_is_below else -1,
            segment.max_timestamp_offset if largest_is_below else -1,
            segment.roll_timestamp,
            self.leader_epoch,
            epochs if self.epochs_trusted else [UNTRUSTED, *epochs],
            self.producers.pack(mark.offset),
        )

    def checkpointed(self, work: Checkpoint) -> None:
        """The checkpoint is on disk."""
        self._saved_offset = work.mark.offset
        self._saved_log_start = work.log_start_offset
        for save in work.indexes:
            save.done()
        for segment in work.unnamed:
            segment.named = True

    def checkpoint_failed(self, work: Checkpoint) -> None:
        """It could not be written: everything in it is to be tried again."""
        self._unsaved = [segment for segment in {save.segment: None for save in work.indexes} if segment.sealed] + self._unsaved
        self._new_files = work.files + self._new_files
        self._names_unsynced = True
        self.epochs.changed = True
        self._changed()

    @property
    def untouched(self) -> bool:
        """Whether what is on disk about the partition is up to date."""
        up_to_date = self._saved_offset == self.end_offset and self not in self.services.dirty and not self._unsaved
        return up_to_date or self.damaged is not None

    def finish(self) -> None:
        """What Kafka writes at a clean stop: the time index's last entry, the producers at the very end."""
        active = self.active
        if active.time_index is not None and active.max_timestamp >= 0:
            active.time_index.add(active.max_timestamp, active.max_timestamp_offset)
        self._new_files.append((f"{self.directory}/{self.end_offset:020d}{SNAPSHOT}", self.producers.snapshot(self.end_offset)))
        self._changed()

    def resume(self, mark: Mark, saved_offset: int) -> None:
        """Begin with this recovery point, and with a checkpoint on disk that goes up to `saved_offset`."""
        self._recovery = mark
        self._saved_offset = saved_offset

    def begin_unsaved(self, segments: list[Segment]) -> None:
        """Sealed segments whose indexes were made again."""
        self._unsaved += segments

    def begin_epoch(self, epoch: int) -> None:
        """From here on, batches carry this leader epoch."""
        self.leader_epoch = epoch
        self.epochs.begin(epoch, self.end_offset)

    def close(self) -> None:
        """Let go of every file."""
        self._learn_arrivals()
        self._forget_tail()
        for segment in self.segments:
            self.services.files.close(segment)


class SearchLater:
    """A search by time that has to wait for the disk: `run` it once, in a thread, then `learn` on the loop, whatever came of it."""

    __slots__ = ("_partition", "_search", "_source")

    def __init__(self, partition: Partition, search: Search, source: WaitingSource) -> None:
        self._partition = partition
        self._search = search
        self._source = source

    def run(self) -> tuple[int, int] | None:
        """The result of the search. Raises OSError."""
        return self._search(self._source)

    def learn(self) -> None:
        """Let the partition keep what was opened."""
        self._partition.adopt(self._source)
