"""Faults of the simulated disk itself: it does not do what it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from support.simulated_disk import SimulatedDisk
from torture.faults import Patches


def _lie(patches: Patches, lie: str) -> None:
    honest = SimulatedDisk.__init__

    def begin(self: SimulatedDisk, directories: Sequence[str] = (), *, lies: Sequence[str] = ()) -> None:
        honest(self, directories, lies=(*lies, lie))

    patches.put(SimulatedDisk, "__init__", begin)


def no_sync(patches: Patches) -> None:
    """A file that was synced is not on disk."""
    _lie(patches, "skip_fsync")


def no_directory_sync(patches: Patches) -> None:
    """The names in a directory that was synced are not on disk."""
    _lie(patches, "skip_directory_fsync")
