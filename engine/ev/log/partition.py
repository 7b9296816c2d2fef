"""One partition of a topic: a log that is appended to at its end and read from anywhere.

Its state, its end and its reading are in three files below this one (see `ev.log.partition_state`). Here is the rest: retention and
DeleteRecords move its beginning, and a checkpoint says what recovery need not look at.

Nothing here waits for the disk except writes into the page cache, the opening of files and searches by time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.log.checkpoint import UNTRUSTED, PartitionCheckpoint, encode_epochs
from ev.log.partition_appends import Appended
from ev.log.partition_reads import PartitionReads, SearchLater
from ev.log.reading import Read, ReadLater
from ev.log.saving import Checkpoint, aborted_saves, index_saves
from ev.log.segment import SNAPSHOT, Mark
from ev.log.services import Services
from ev.log.times import largest_timestamp

if TYPE_CHECKING:
    from ev.log.segment import Segment

__all__ = ["Appended", "Partition", "Read", "ReadLater", "SearchLater", "Services"]


class Partition(PartitionReads):
    """A partition that is open. Made by recovery."""

    __slots__ = ()

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
        while (
            len(self.segments) > 1
            and self.segments[1].base_offset <= self.log_start_offset
            and self._is_named(self.segments[1])
            and not self.segments[0].swapping
        ):
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
        self.transactions.drop(segment.base_offset)
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
        if len(self.segments) < 2 or self.segments[0].swapping:
            return False
        return self.segments[1].base_offset <= self.high_watermark and self._is_named(self.segments[1])

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

    # Compaction

    def replace_segments(self, old: list[Segment], new: Segment) -> None:
        """A compacted segment takes the place of these, which are neighbours."""
        number = self.segments.index(old[0])
        for segment in old:
            segment.replaced = True
            self.transactions.drop(segment.base_offset)
            self.services.files.close(segment)
        self.segments[number : number + len(old)] = [new]
        self._cursors = {offset: mark for offset, mark in self._cursors.items() if not mark.segment.replaced}
        self._unsaved = [segment for segment in self._unsaved if not segment.replaced]
        if self._recovery.segment.replaced:
            self._recovery = Mark(self._recovery.offset, new, new.size)

    def names_changed(self) -> None:
        """Names in the directory are to be synced with the next checkpoint."""
        self._names_unsynced = True
        self._changed()

    # Producers

    def expire_producers(self, before_ms: int) -> int:
        """Forget producers that were silent since before this time and have no transaction open; how many those were."""
        gone = self.producers.expire(before_ms, self.transactions.open)
        for producer_id in gone:
            self.transactions.coordinator_epochs.pop(producer_id, None)
        if gone:
            self._changed()
        return len(gone)

    # Checkpoints

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
        self.transactions.saved_to(mark.offset)
        aborted = aborted_saves(self, mark)
        self._names_unsynced |= any(not save.position for save in aborted)
        own = self._own_checkpoint(mark).encode()
        work = Checkpoint(self, mark, indexes, aborted, self._new_files, own, self._names_unsynced)
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
            self.producers.pack(mark.offset) + self.transactions.pack(mark.offset),
        )

    # What an image of the partition is made of (`ev.log.image`).

    def checkpoint_at_end(self) -> bytes:
        """The checkpoint that would be written if everything were on disk."""
        return self._own_checkpoint(self.mark()).encode()

    @property
    def waiting_bytes(self) -> bytes:
        """The end of the log, as far as it is not in its file yet."""
        return self._tail.data

    @property
    def unwritten_files(self) -> list[tuple[str, bytes]]:
        """(path, content) of the files that the next checkpoint writes."""
        return list(self._new_files)

    def checkpointed(self, work: Checkpoint) -> None:
        """The checkpoint is on disk."""
        self._saved_offset = work.mark.offset
        self._saved_log_start = work.log_start_offset
        for save in work.indexes:
            save.done()
        for entries in work.aborted:
            entries.done()
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
        """Whether nothing has come since the start, and what is on disk about the partition is up to date."""
        up_to_date = self._saved_offset == self.end_offset and self not in self.services.dirty and not self._unsaved
        return (up_to_date and not self.dirty_round) or self.damaged is not None

    def finish(self) -> None:
        """What Kafka writes at a clean stop: the time index's last entry, the producers at the very end."""
        active = self.active
        if active.time_index is not None and active.max_timestamp >= 0:
            active.time_index.add(active.max_timestamp, active.max_timestamp_offset)
        self._new_files.append((f"{self.directory}/{self.end_offset:020d}{SNAPSHOT}", self.producers.snapshot(self.transactions)))
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
