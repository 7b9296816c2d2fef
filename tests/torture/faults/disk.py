"""Faults of the door to the disk and of the commit round: what is called durable is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev import disk
from ev.log.commit import Committer
from ev.log.partition import Partition
from ev.server.ring import Ring
from ev.server.world import RingWriter
from support.simulated_disk import SimulatedDisk
from torture.faults import Patches


def no_sync(patches: Patches) -> None:
    """Nothing is ever synced: not files, not the journal."""
    patches.put(disk, "_sync_data", lambda fd: None)
    patches.put(disk, "_sync_everything", lambda fd: None)
    patches.put(disk.RealFile, "write_synced_at", disk.RealFile.write_at)
    patches.put(Ring, "open", classmethod(lambda cls: None))


def no_directory_sync(patches: Patches) -> None:
    """Directories are never synced: names that were made, renamed or removed may come back or be gone."""
    patches.put(disk.RealDisk, "sync_directory", lambda self, path: None)


def duplicate_answered_too_early(patches: Patches) -> None:
    """A resent batch is acknowledged before its original is synced."""
    honest: Callable[..., Any] = Partition.append

    def hasty(self: Partition, *arguments: Any, **options: Any) -> Any:
        appended = honest(self, *arguments, **options)
        return appended._replace(round=0) if appended.duplicate else appended

    patches.put(Partition, "append", hasty)


def answered_too_early(patches: Patches) -> None:
    """What was appended is acknowledged before the round that it is in is on disk."""
    honest: Callable[..., int] = Committer.wrote

    def hasty(self: Committer, *arguments: Any) -> int:
        honest(self, *arguments)
        return 0

    patches.put(Committer, "wrote", hasty)


def sync_retried(patches: Patches) -> None:
    """A sync that fails is done again, and believed: the kernel has forgotten by then what it could not write."""

    def again(honest: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            try:
                honest(*arguments)
            except OSError:
                honest(*arguments)

        return call

    for owner, name in ((disk, "_sync_data"), (disk, "_sync_everything"), (disk.RealFile, "write_synced_at")):
        patches.put(owner, name, again(getattr(owner, name)))
    end = RingWriter._end

    def by_a_thread(self: RingWriter, result: OSError | None) -> None:
        if result is None or self._write is None or self._done is None:
            end(self, result)
        else:
            self._fallback.submit(self._write, self._done)
            self._write = self._done = None

    patches.put(RingWriter, "_end", by_a_thread)


def replace_without_sync(patches: Patches) -> None:
    """A file that is replaced as a whole gets its name before its content is on disk."""
    for disk_class in (disk.RealDisk, SimulatedDisk):
        patches.put(disk_class, "replace", _replace)


def _replace(self: disk.Disk, path: str, data: disk.Buffer) -> None:
    file = self.open(path + ".tmp", create=True)
    try:
        file.truncate(0)
        file.write_at([data], 0)
    finally:
        file.release()
    self.rename(path + ".tmp", path)
    self.sync_directory(path.rpartition("/")[0])
