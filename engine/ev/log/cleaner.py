"""Keeps compacted partitions compacted: one job at a time, the dirtiest log first, looked at only when something has changed.

A log may become due when a segment was sealed and noted by a checkpoint, when its configuration changes, or when time passes over
its records. The first two are told; for the third there is one look a minute, and only while some log has something to compact.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.errors import MalformedError
from ev.log.cleaning import Swap, cleanable, dirty_share, plan_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ev.log.chores import Chore
    from ev.log.compaction import Cleaned, Compaction
    from ev.log.partition import Partition
    from ev.log.store_upkeep import StoreUpkeep

logger = logging.getLogger(__name__)

LOOK_AGAIN_MS: Final = 60_000
RETRY_MS: Final = 60_000
RETRY_MAX_MS: Final = 3_600_000
FOR_EVER: Final = 1 << 62


class Cleaning:
    """One compaction on its way: `job` is for another process; `done` gets what came of it."""

    def __init__(self, cleaner: Cleaner, partition: Partition, job: Compaction) -> None:
        self._cleaner = cleaner
        self.partition = partition
        self.job = job

    def done(self, result: Cleaned | Exception) -> None:
        self._cleaner.ended(self.partition, result)


class Failure(NamedTuple):
    """A compaction that failed: when, in monotonic ms, it is tried again, and how long that was put off."""

    again_ms: int
    delay_ms: int


class Cleaner:
    """The compactions of one store."""

    def __init__(self, store: StoreUpkeep) -> None:
        self._store = store
        self._running = False
        self._waiting: tuple[Partition, Cleaned] | None = None  # new segments that are ready, until no checkpoint is being written
        self._failures: dict[Partition, Failure] = {}
        self.due_ms: int | None = None

    def begin(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """The store is open; `offsets` is how far each log was compacted before."""
        for partition in self._store.partitions():
            offset = offsets.get((partition.topic, partition.index), -1)
            partition.cleaned_to = offset if offset <= partition.end_offset else -1
        self.look_at(self._store.clock.monotonic_ms())

    def look_at(self, when_ms: int) -> None:
        """See by then what is due."""
        if not self._running and any(topic.config.compacted for topic in self._store.topics.values()):
            self.due_ms = when_ms if self.due_ms is None else min(self.due_ms, when_ms)

    def next(self, now_ms: int) -> Cleaning | None:
        """What is due now; the next one only when this one has ended."""
        if self._running or self.due_ms is None or now_ms < self.due_ms:
            return None
        self.due_ms = None
        wall_ms = self._store.clock.wall_ms()
        found = []
        waits_for_time = False
        for topic in self._store.topics.values():
            for partition in topic.partitions if topic.config.compacted else ():
                failure = self._failures.get(partition)
                if failure is not None and now_ms < failure.again_ms:
                    continue
                segments = cleanable(partition, wall_ms)
                share = dirty_share(partition, segments, wall_ms)
                if share:
                    found.append((share, partition, segments))
                elif len(partition.segments) > 1 and (topic.config.min_compaction_lag_ms or topic.config.max_compaction_lag_ms < FOR_EVER):
                    waits_for_time = True
        if not found:
            self._failures = {partition: failure for partition, failure in self._failures.items() if not partition.gone}
            times = [failure.again_ms for failure in self._failures.values() if now_ms < failure.again_ms < FOR_EVER]
            if waits_for_time:
                times.append(now_ms + LOOK_AGAIN_MS)
            self.due_ms = min(times, default=None)
            return None
        _, partition, segments = max(found, key=lambda each: each[0])
        self._running = True
        return Cleaning(self, partition, plan_for(partition, segments, wall_ms))

    def ended(self, partition: Partition, result: Cleaned | Exception) -> None:
        """The job has ended, in one way or the other. Raises OSError when the disk has failed."""
        if isinstance(result, Exception):
            self._running = False
            if not partition.gone:
                self._failures[partition] = self._failed(partition, result)
                logger.error("%s is not compacted: %s", partition.name, result)
                if not isinstance(result, (OSError, MalformedError)):
                    raise result
            self.look_at(self._store.clock.monotonic_ms())
            return
        self._failures.pop(partition, None)
        for problem in result.unopened:
            logger.warning("%s: compaction leaves a batch as it is: %s", partition.name, problem)
        if result.segments:
            logger.info("%s: compacted %d bytes to %d", partition.name, result.bytes_before, result.bytes_after)
            self._waiting = (partition, result)
        else:
            partition.cleaned_to = result.dirty_from
            self._running = False
            self.look_at(self._store.clock.monotonic_ms())

    def _failed(self, partition: Partition, problem: Exception) -> Failure:
        """A full disk gets room again, what does not parse never will."""
        if not isinstance(problem, OSError):
            return Failure(FOR_EVER, FOR_EVER)
        before = self._failures.get(partition)
        delay_ms = RETRY_MS if before is None else min(2 * before.delay_ms, RETRY_MAX_MS)
        return Failure(self._store.clock.monotonic_ms() + delay_ms, delay_ms)

    def swaps(self) -> list[Chore]:
        """The new segments that take the place of old ones now."""
        if self._waiting is None or self._store.is_checkpointing:
            return []
        (partition, cleaned), self._waiting = self._waiting, None
        if partition.gone:
            self._running = False
            return []
        swap = Swap(partition, cleaned, lambda: self._swapped(partition, swap))
        return [swap]

    def _swapped(self, partition: Partition, swap: Swap) -> None:
        self._running = False
        delay_ms = partition.config.file_delete_delay_ms
        self._store.release_later(swap.held, delay_ms)
        if not partition.gone:
            self._store.unlink_later(swap.away, delay_ms)
        self.look_at(self._store.clock.monotonic_ms())

    @property
    def has_swaps(self) -> bool:
        return self._waiting is not None and not self._store.is_checkpointing
