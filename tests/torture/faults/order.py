"""Faults of order: what has to be on disk before something else counts, and is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev.disk import Buffer, Disk, File
from ev.log import journal, store
from ev.log.checkpoint import PartitionCheckpoint
from ev.log.commit import Committed, Committer
from ev.log.partition import Appended, Partition
from ev.log.recovery import Recovery
from ev.log.segment import LOG, Mark
from ev.log.store import Store
from torture.faults import Patches


def answered_when_appended(patches: Patches) -> None:
    """Produce is answered when the batch is in the log, not when it is on disk: one replica's way of being enough."""
    honest: Callable[..., Appended] = Partition.append

    def hasty(self: Partition, *arguments: Any, **options: Any) -> Appended:
        return honest(self, *arguments, **options)._replace(round=0)

    patches.put(Partition, "append", hasty)


def shown_before_synced(patches: Patches) -> None:
    """The high watermark is the end of the log: consumers are shown what a power cut may take back."""
    honest: Callable[..., Appended] = Partition.append

    def open_handed(self: Partition, *arguments: Any, **options: Any) -> Appended:
        appended = honest(self, *arguments, **options)
        self.synced_to(self.mark())
        return appended

    patches.put(Partition, "append", open_handed)


def one_half_of_the_journal_read(patches: Patches) -> None:
    """Recovery reads the journal's first half only."""

    def read_half(*arguments: Any) -> Any:
        both = journal.HALF_NAMES
        journal.HALF_NAMES = both[:1]  # type: ignore[assignment]
        try:
            return journal.read_entries(*arguments)
        finally:
            journal.HALF_NAMES = both

    patches.put(store, "read_entries", read_half)


def new_segment_unnamed(patches: Patches) -> None:
    """The directory is not synced when a segment was rolled: the new one's name may be gone with all it holds."""
    honest = Committer.rolled

    def rolled(self: Committer, partition: Committed, old: File, directory: str) -> None:
        if not old.path.endswith(LOG):
            honest(self, partition, old, directory)
        elif self.synced:
            old.retain()
            self._orders += [old.sync_all, old.release]

    patches.put(Committer, "rolled", rolled)


def new_partition_unnamed(patches: Patches) -> None:
    """The directories of a new partition are not synced before its first offset counts."""
    honest = Committer.rolled

    def rolled(self: Committer, partition: Committed, old: File, directory: str) -> None:
        if old.path.endswith(LOG):
            honest(self, partition, old, directory)

    patches.put(Committer, "rolled", rolled)


def checkpoint_ahead(patches: Patches) -> None:
    """A checkpoint names the high watermark as recovery point, though only the journal has what lies before it."""
    honest = Partition._own_checkpoint

    def ahead(self: Partition, mark: Mark) -> PartitionCheckpoint:
        return honest(self, self._hw)

    patches.put(Partition, "_own_checkpoint", ahead)


def epoch_unsynced(patches: Patches) -> None:
    """The new leader epoch is written, and batches carry it before that is on disk."""
    honest = Store._begin_epoch

    def begin(self: Store) -> None:
        disk, self.disk = self.disk, Hasty(self.disk)
        honest(self)
        self.disk = disk

    patches.put(Store, "_begin_epoch", begin)


def recovered_tail_unsynced(patches: Patches) -> None:
    """What recovery keeps is not synced: the journal, which had it too, begins anew all the same."""

    def let_go(self: Recovery) -> None:
        for file in self.opened.values():
            file.release()
        self.opened.clear()

    patches.put(Recovery, "_sync_kept", let_go)


class Passing:
    """A disk with a difference."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)


class Hasty(Passing):
    """A file is replaced without a sync."""

    def replace(self, path: str, data: Buffer) -> None:
        file = self._disk.open(path + ".tmp", create=True)
        file.truncate(0)
        file.write_at([data], 0)
        file.release()
        self._disk.rename(path + ".tmp", path)
