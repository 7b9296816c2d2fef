"""The upkeep of an open data directory: what is done in the background, when, and whether there is room for it.

Checkpoints, retention, unlinking, compaction and the reserve. What is cheap is done on the loop; the rest are chores for a thread.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable

from ev.clock import Clock
from ev.disk import Disk, File
from ev.log.checkpoint import CLEANER_OFFSETS, HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, encode_offsets
from ev.log.chores import RESERVE, Chore, MakeReserve, Release, SyncDirectory, Unlink, WriteCheckpoints
from ev.log.cleaner import Cleaner, Cleaning
from ev.log.config import TopicConfig
from ev.log.partition import Partition
from ev.log.segment import DELETED, SUFFIXES, Segment
from ev.log.store_topics import StoreTopics
from ev.randomness import Randomness
from ev.settings import Settings

logger = logging.getLogger("ev.log.store")

SPACE_CHECK_MS = 1000
RESERVE_RETRY_MS = 60_000


class StoreUpkeep(StoreTopics):
    """An open data directory that is kept in order."""

    def __init__(self, disk: Disk, directory: str, settings: Settings, clock: Clock, randomness: Randomness, lock: File) -> None:
        super().__init__(disk, directory, settings, clock, randomness, lock)
        self._services.on_dirty = self._became_dirty
        self._services.on_full = self._disk_is_full
        self._services.on_dropped = self._dropped
        self._checkpointing = False
        self._unlinking = False
        self.holds_files = False
        self._reserve = False
        self._making_reserve = False
        self._reserve_due_ms = 0
        self._last_checkpoint_ms = clock.monotonic_ms() - settings.ev_checkpoint_interval_ms
        self._next_upkeep_ms = clock.monotonic_ms() + settings.log_retention_check_interval_ms
        self._next_space_check_ms: int | None = None
        self._retention_at_once = False
        self._cleaner = Cleaner(self)
        self._nameless: list[tuple[int, File]] = []  # (when, what) is to be closed

    def set_config(self, name: str, config: TopicConfig) -> None:
        topic = self.topics[name]
        topic.config = config
        for partition in topic.partitions:
            partition.set_config(config)
        self._next_upkeep_ms = self.clock.monotonic_ms()
        self._cleaner.look_at(self.clock.monotonic_ms())
        self._told()

    # Space

    @property
    def starts_moved(self) -> int:
        """How often the beginning of any partition's log has moved: for as long as this stays the same, none has."""
        return self._services.starts_moved

    @property
    def writable(self) -> bool:
        """Whether there is room for more records of ordinary topics."""
        return self._services.writable

    def knock(self) -> None:
        """Return when the disk takes changes: make one that changes nothing. For a thread: on a frozen disk it waits."""
        with contextlib.suppress(OSError):  # what is wrong is for the next real write to find out
            self._lock.truncate(self._lock.size())

    def _let_wait(self) -> None:
        """Small batches may wait to be written as long as the journal has them and there is room that can be given up for them."""
        self._services.may_wait = self.committer.journal is not None and self._reserve and self._services.writable

    def _check_space(self) -> None:
        free, total = self.disk.free_bytes(self.directory)
        least = min(self.settings.ev_disk_min_free_bytes, total // 20)
        enough = free >= least
        if enough != self._services.writable:
            self._services.writable = enough
            if enough:
                self._report(f"the disk has {free} bytes free again; records are taken")
                self._reserve_due_ms = 0  # one that was given up is made anew before records take its room
            else:
                self._report(f"the disk has {free} bytes free, less than {least} (ev.disk.min.free.bytes); records are refused")
        self._let_wait()
        if not enough:
            self._hurry()
        self._next_space_check_ms = None if enough and not self._services.dirty else self.clock.monotonic_ms() + SPACE_CHECK_MS

    def _hurry(self) -> None:
        """Space is short: what was to be unlinked later is unlinked now."""
        self._doomed = [(0, path) for _, path in self._doomed]
        self._nameless = [(0, file) for _, file in self._nameless]

    def _disk_is_full(self, internal: bool) -> bool:
        """A write found no room. For the engine's own topics the reserve is given up."""
        if self._services.writable:
            self._services.writable = False
            self._report("the disk is full; records are refused until there is room again")
        self._let_wait()
        self._hurry()
        self._next_space_check_ms = self.clock.monotonic_ms() + SPACE_CHECK_MS
        self._told()
        if not (internal and self._reserve):
            return False
        self._reserve = False
        self.disk.remove(f"{self.directory}/{RESERVE}")
        return True

    # Chores

    def _became_dirty(self) -> None:
        if self._next_space_check_ms is None:
            self._next_space_check_ms = self.clock.monotonic_ms() + SPACE_CHECK_MS
        self._told()

    def _dropped(self, partition: Partition, segment: Segment) -> None:
        """A segment left the log: its files get out of the way now and are unlinked later."""
        when = self.clock.monotonic_ms() + (partition.config.file_delete_delay_ms if self._services.writable else 0)
        for suffix in SUFFIXES:
            path = segment.path(suffix)
            if self.disk.exists(path):
                self.disk.rename(path, path + DELETED)
                self._doomed.append((when, path + DELETED))
        self._told()

    def next_chore_ms(self, now_ms: int) -> int | None:
        """When `chores` will have something to do, by the monotonic clock; None while there is nothing that has a deadline."""
        unsaved = self._unsaved_directories()
        doomed = [when for when, path in self._doomed if path.rpartition("/")[0] not in unsaved]
        times = [] if self._unlinking or self.holds_files or (self._checkpointing and self._services.writable) else doomed
        if self._services.dirty and not self._checkpointing and not self.holds_files:
            times.append(self._checkpoint_due_ms())
        if self._renames_unsynced or self._retention_at_once:
            times.append(now_ms)
        times += [when for when, _ in self._nameless]
        if self._wants_reserve():
            times.append(self._reserve_due_ms)
        if self._next_space_check_ms is not None:
            times.append(self._next_space_check_ms)
        if self._cleaner.has_swaps and not self.holds_files:
            times.append(now_ms)
        if (cleaning_ms := self._cleaner.due_ms) is not None:
            times.append(cleaning_ms)
        if any(self._needs_upkeep(partition) for topic in self.topics.values() for partition in topic.partitions):
            times.append(self._next_upkeep_ms)
        return min(times, default=None)

    def _checkpoint_due_ms(self) -> int:
        if self._services.unsaved_bytes >= self.settings.ev_checkpoint_bytes:
            return 0
        return self._last_checkpoint_ms + self.settings.ev_checkpoint_interval_ms

    @staticmethod
    def _needs_upkeep(partition: Partition) -> bool:
        config = partition.config
        aging = (config.deleted_by_age or config.deleted_by_size) and partition.end_offset > partition.log_start_offset
        return aging or len(partition.producers) > 0

    def _wants_reserve(self) -> bool:
        return not self._reserve and not self._making_reserve and self._services.writable and self.metadata.end_offset > 0

    def chores(self, now_ms: int) -> list[Chore]:
        """What is due (monotonic clock). What is cheap is done here and now; what is returned wants a thread."""
        chores: list[Chore] = [] if self.holds_files else self._cleaner.swaps()
        if self._next_space_check_ms is not None and now_ms >= self._next_space_check_ms:
            self._check_space()
        if now_ms >= self._next_upkeep_ms or self._retention_at_once:
            self._upkeep(now_ms)
        held = self.holds_files
        if self._services.dirty and not self._checkpointing and not held and now_ms >= self._checkpoint_due_ms():
            chores.append(self._write_checkpoints(now_ms))
        if self._renames_unsynced:
            self._renames_unsynced = False
            chores.append(SyncDirectory(self.disk, self.directory, _nothing))
        if not self._unlinking and not held and self._unlinkable(now_ms):
            chores.append(self._unlink(now_ms))
        if nameless := [file for when, file in self._nameless if when <= now_ms]:
            chores.append(Release(nameless))
            self._nameless = [(when, file) for when, file in self._nameless if when > now_ms]
        if self._wants_reserve() and now_ms >= self._reserve_due_ms:
            self._making_reserve = True
            chores.append(MakeReserve(self.disk, self.directory, self._reserve_made))
        return chores

    def hold_files(self, hold: bool) -> None:
        """While this holds, no file is unlinked, swapped in or noted in a checkpoint: somebody takes an image of all of them."""
        self.holds_files = hold
        self._told()

    # Compaction: the job is for another process, what follows from it is a chore.

    def next_cleaning(self, now_ms: int) -> Cleaning | None:
        """The compaction that is due; one at a time."""
        return self._cleaner.next(now_ms)

    def unlink_later(self, paths: Iterable[str], delay_ms: int) -> None:
        when = self.clock.monotonic_ms() + (delay_ms if self._services.writable else 0)
        self._doomed += [(when, path) for path in paths]
        self._told()

    def release_later(self, files: Iterable[File], delay_ms: int) -> None:
        """Close these off the loop: files that have lost their names, whose room is given back then."""
        when = self.clock.monotonic_ms() + (delay_ms if self._services.writable else 0)
        self._nameless += [(when, file) for file in files]
        self._told()

    @property
    def is_checkpointing(self) -> bool:
        return self._checkpointing

    def _upkeep(self, now_ms: int) -> None:
        """Retention by time and size, and the end of silent producers."""
        self._retention_at_once = False
        self._next_upkeep_ms = now_ms + self.settings.log_retention_check_interval_ms
        wall_ms = self.clock.wall_ms()
        for partition in self.partitions():
            for segment in partition.enforce_retention(wall_ms):
                logger.info("%s: dropped the segment at %d", partition.name, segment.base_offset)
            partition.expire_producers(wall_ms - self.settings.producer_id_expiration_ms)

    def _write_checkpoints(self, now_ms: int) -> WriteCheckpoints:
        self._checkpointing = True
        self._last_checkpoint_ms = now_ms
        self._services.unsaved_bytes = 0
        works = [work for partition in list(self._services.dirty) if (work := partition.checkpoint()) is not None]
        self._services.dirty.clear()
        named = any(work.unnamed for work in works)

        def finished() -> None:
            self._checkpointing = False
            self._retention_at_once = self._retention_at_once or named
            self._cleaner.look_at(self.clock.monotonic_ms())

        return WriteCheckpoints(self.disk, self.directory, works, self._totals(), finished)

    def _totals(self) -> dict[str, bytes]:
        """Kafka's checkpoints over all partitions."""
        everything = [partition for partition in self.partitions() if partition.end_offset or partition.log_start_offset]
        return {
            RECOVERY_POINTS: encode_offsets({(each.topic, each.index): each.recovery_point for each in everything}),
            LOG_STARTS: encode_offsets({(each.topic, each.index): each.log_start_offset for each in everything if each.log_start_offset}),
            HIGH_WATERMARKS: encode_offsets({(each.topic, each.index): each.high_watermark for each in everything}),
            CLEANER_OFFSETS: encode_offsets({(each.topic, each.index): each.cleaned_to for each in everything if each.cleaned_to >= 0}),
        }

    def _unsaved_directories(self) -> set[str]:
        """Where nothing may be unlinked yet: a checkpoint first has to say from where on the log goes. A full disk cannot wait for it."""
        if not self._services.writable:
            return set()
        return {partition.directory for partition in self._services.dirty}

    def _unlinkable(self, now_ms: int) -> set[str]:
        """What may be unlinked now."""
        if self._checkpointing and self._services.writable:
            return set()
        unsaved = self._unsaved_directories()
        return {path for when, path in self._doomed if when <= now_ms and path.rpartition("/")[0] not in unsaved}

    def _unlink(self, now_ms: int) -> Unlink:
        due = self._unlinkable(now_ms)
        self._doomed = [(when, path) for when, path in self._doomed if path not in due]
        self._unlinking = True

        def finished() -> None:
            self._unlinking = False
            if not self._services.writable:
                self._check_space()

        return Unlink(self.disk, self.directory, due, finished)

    def _reserve_made(self, made: bool) -> None:
        self._making_reserve = False
        self._reserve = made
        self._let_wait()
        self._reserve_due_ms = self.clock.monotonic_ms() + RESERVE_RETRY_MS


def _nothing() -> None:
    """A chore after which nothing is left to do."""
