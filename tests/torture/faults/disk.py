"""Faults of the door to the disk and of the commit round: what is called durable is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev import disk
from ev.log.partition import Partition
from ev.server.ring import Ring
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
