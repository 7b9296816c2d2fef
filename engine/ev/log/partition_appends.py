"""The end of a partition's log: batches are checked, get their offsets, and go to the active segment.

Appending decides everything at once: the batch is checked, gets its offsets and the leader epoch, and goes to the active
segment, whose file gets it now or a little later (`ev.log.tail`). Whether it is on disk is the committer's business. A failed
append changes nothing: what was written of it is cut off again, and the end offset moves only after the write.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ev.errors import ErrorCode, KafkaError
from ev.log.checkpoint import PARTITION_METADATA
from ev.log.partition_state import PartitionState, new_tuple
from ev.log.scan import HEADER
from ev.log.segment import RELATIVE_OFFSET_MAX, SNAPSHOT, Segment, load_indexes
from ev.log.services import OUT_OF_SPACE
from ev.log.tail import TAIL_BATCH_BYTES_MAX, TAIL_BYTES_MAX, WAITING_BYTES_MAX
from ev.log.transactions import marker_headers, marker_key, marker_value
from ev.log.validation import REFUSED_ATTRIBUTES, ZSTD, refusal, rewritten, timestamp_refusal
from ev.wire.checksum import crc32c
from ev.wire.records import CODEC_MASK, CONTROL, HEADER_SIZE, TRANSACTIONAL, encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ev.disk import File
    from ev.log.producers import Batch
    from ev.log.segment import Mark
    from ev.log.transactions import Marker
    from ev.wire.primitives import Buffer

HEAD = Struct(">qii")
HEAD_SIZE = HEAD.size
LATEST_VERSION = 1 << 15
BEGINS_FROM = 12
"""The version of Produce from which on a producer with transactions begins with sequence 0 in every partition (KIP-890)."""


class Appended(NamedTuple):
    """Where a batch went. `round`: the commit round after which it is on disk; 0 when it is already."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool
    round: int


class PartitionAppends(PartitionState):
    """A partition that can be appended to."""

    __slots__ = ()

    def append(
        self,
        batch: Buffer,
        now_ms: int,
        *,
        request_version: int = LATEST_VERSION,
        at_once: bool = True,
        in_transaction: Callable[[int, int], None] | None = None,
    ) -> Appended:
        """Append a client's batch. Raises KafkaError when it is refused; then nothing has changed.

        `at_once`: it is in its file when this returns, so that it outlives the process, if not a power cut.
        `in_transaction`: asked about (producer id, epoch) of the first batch of a transaction here; it raises KafkaError when the
        transaction must not write here. None: no transactional batch is taken.
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
            raise timestamp_refusal(batch, self.config, now_ms)
        if producer_id >= 0:
            producer = self.producers.by_id.get(producer_id)
            if sequence < 0 or producer is None or producer.epoch != producer_epoch or producer.next_sequence != sequence:
                if sequence < 0:
                    raise refusal(batch, self.config, request_version) or AssertionError
                begins = attributes & TRANSACTIONAL and request_version >= BEGINS_FROM
                original = self.producers.admit(producer_id, producer_epoch, sequence, count, begins=bool(begins))
                if original is not None:
                    if at_once:
                        self.write_out()
                    return self._duplicate(original)
            if attributes & TRANSACTIONAL or self.transactions.open:
                self._check_transaction(producer_id, producer_epoch, attributes, in_transaction)
        elif attributes & TRANSACTIONAL:
            if in_transaction is None:
                raise self._without_transactional_id()
            raise KafkaError(ErrorCode.INVALID_RECORD, "a transactional batch without a producer id")
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
            attributes & TRANSACTIONAL,
        )

    def _check_transaction(self, producer_id: int, epoch: int, attributes: int, in_transaction: Callable[[int, int], None] | None) -> None:
        """Whether the batch may be appended as far as transactions go (ReplicaManager, ProducerAppendInfo.checkProducerEpoch)."""
        is_open = producer_id in self.transactions.open
        if not attributes & TRANSACTIONAL:
            if is_open:
                raise KafkaError(
                    ErrorCode.INVALID_TXN_STATE, f"producer {producer_id} has a transaction open here; the batch does not belong to it"
                )
        elif in_transaction is None:
            raise self._without_transactional_id()
        elif not is_open:
            in_transaction(producer_id, epoch)

    @staticmethod
    def _without_transactional_id() -> KafkaError:
        text = "a transactional batch in a request without a transactional id"
        return KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, text)

    def append_records(
        self,
        records: Sequence[tuple[bytes | None, bytes | None]],
        now_ms: int,
        *,
        timestamp_ms: int | None = None,
        producer: tuple[int, int] | None = None,
    ) -> Appended:
        """Append (key, value) pairs of the engine's own as one batch. Raises KafkaError when it cannot be written.

        `producer`: (producer id, epoch) whose transaction they belong to.
        """
        if self.damaged is not None:
            raise self._refuses_writes()
        stamp = now_ms if timestamp_ms is None else timestamp_ms
        keys, values = [key for key, _ in records], [value for _, value in records]
        count = len(records)
        if producer is None:
            batch = memoryview(encode_batch(values, keys=keys, timestamps=stamp))
            return self._write(batch, len(batch), len(batch) - 12, count - 1, stamp, -1, -1, -1, count, -1, now_ms, False, 0)
        self.producers.check_epoch(*producer)
        batch = memoryview(
            encode_batch(values, keys=keys, timestamps=stamp, producer_id=producer[0], producer_epoch=producer[1], attributes=TRANSACTIONAL)
        )
        return self._write(batch, len(batch), len(batch) - 12, count - 1, stamp, *producer, -1, count, -1, now_ms, False, TRANSACTIONAL)

    def append_marker(self, producer_id: int, epoch: int, marker: Marker, now_ms: int) -> Appended:
        """End the producer's transaction here. Without an open one the marker is written all the same, and fences older epochs.

        Raises KafkaError: INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, or when it cannot be written.
        """
        if self.damaged is not None:
            raise self._refuses_writes()
        self.producers.check_epoch(producer_id, epoch)
        if marker.coordinator_epoch < self.transactions.coordinator_epochs.get(producer_id, -1):
            raise KafkaError(ErrorCode.TRANSACTION_COORDINATOR_FENCED)
        batch = memoryview(
            encode_batch(
                [marker_value(marker.coordinator_epoch)],
                keys=[marker_key(commit=marker.commits)],
                headers=[marker_headers(marker.decided_at)],
                timestamps=now_ms,
                producer_id=producer_id,
                producer_epoch=epoch,
                attributes=TRANSACTIONAL | CONTROL,
            )
        )
        appended = self._write(batch, len(batch), len(batch) - 12, 0, now_ms, producer_id, epoch, -1, 1, -1, now_ms, False, CONTROL)
        self.transactions.end(producer_id, marker, appended.base_offset, self.active.base_offset)
        return appended

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
        transactional: int,
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
            self._tail.add(file, parts, size, position, base_offset, last_offset + 1)
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
            if sequence >= 0:
                self.producers.append(producer_id, producer_epoch, sequence, count, base_offset, last_offset, max_timestamp, now_ms)
            else:
                self.producers.seen(producer_id, producer_epoch, now_ms)
            if transactional == TRANSACTIONAL:
                self.transactions.begin(producer_id, base_offset, segment, position)
        self.end_offset = last_offset + 1
        committer = self.services.committer
        assert committer is not None, "nothing is appended before recovery is over"
        number = committer.wrote(self, file, parts, size)
        if waits and self.services.waiting_bytes > WAITING_BYTES_MAX:
            self.write_out()
        return new_tuple(Appended, (base_offset, last_offset, append_time_ms, self.log_start_offset, False, number))

    def synced_to(self, mark: Mark) -> None:
        super().synced_to(mark)
        if self._tail.size > TAIL_BYTES_MAX:  # now, because the disk has just shown that it takes what is written
            self.write_out()

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
            committer.rolled(self, metadata, self.directory)
            if self.services.root_unsynced:
                committer.rolled(self, metadata, self.directory.rpartition("/")[0])
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
            committer.rolled(self, old_file, self.directory)
        finally:
            old_file.release()
        old.seal()
        self._unsaved.append(old)
        self._new_files.append((segment.path(SNAPSHOT), self.producers.snapshot(self.transactions)))
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
