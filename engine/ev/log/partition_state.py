"""The state of one open partition, and what every part of it needs.

The partition is built in three layers, each a file: `ev.log.partition_appends` (its end), `ev.log.partition_reads` (reading and
searching), `ev.log.partition` (its beginning, the committer, checkpoints). They all work on what is here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from ev.log.segment import POSITION_MAX, Mark, Segment
from ev.log.tail import Tail

if TYPE_CHECKING:
    from ev.log.config import TopicConfig
    from ev.log.epochs import LeaderEpochs
    from ev.log.partition import Partition
    from ev.log.producers import Producers
    from ev.log.reading import Found, WaitingSource
    from ev.log.services import Services
    from ev.log.transactions import Transactions

new_tuple = tuple.__new__  # half the cost of calling a NamedTuple's class


class PartitionState:
    """Plain state; the layers above decide."""

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
        "cleaned_to",
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
        "transactions",
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
        transactions: Transactions,
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
        self.cleaned_to = -1  # what lies before this offset was compacted
        self.epochs = epochs
        self.epochs_trusted = True  # whether every batch must carry the epoch that they say
        self.producers = producers
        self.transactions = transactions
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
        self._segment_ms = min(config.segment_ms, config.max_compaction_lag_ms) if config.compacted else config.segment_ms
        self._index_interval = config.index_interval_bytes
        self._index_bytes_max = config.segment_index_bytes - config.segment_index_bytes % 8

    # What the committer asks and tells: how far the log goes, how far of it is on disk, how far in its own files.

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
    def last_stable_offset(self) -> int:
        """Up to here, exclusive, every transaction has ended, and its marker is on disk: where readers of committed records stop."""
        unstable = self.transactions.first_unstable(self.high_watermark)
        if unstable is None or unstable.offset >= self.high_watermark:
            return self.high_watermark
        return max(unstable.offset, self.log_start_offset)

    @property
    def recovery_segment_base(self) -> int:
        """The base offset of the segment from which recovery would read on: those before it are on disk, and noted."""
        return self._recovery.segment.base_offset if self._saved_offset > self._recovery.segment.base_offset else 0

    @property
    def recovery_point(self) -> int:
        """Everything below this offset is on disk in the partition's own files."""
        return self._recovery.offset

    # What the layers share.

    def _changed(self) -> None:
        """The checkpoint on disk is behind."""
        services = self.services
        partition = cast("Partition", self)
        if partition not in services.dirty:
            services.dirty[partition] = None
            if services.on_dirty is not None:
                services.on_dirty()

    def _found_damage(self, text: str) -> None:
        if self.damaged is None:
            self.damaged = text
            self.services.report(f"{self.name} takes no more writes: {text}")
