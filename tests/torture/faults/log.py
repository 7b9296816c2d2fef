"""Faults of the log: what it checks when it starts, and what it writes out."""

from __future__ import annotations

from typing import Any

from ev.log import partition_appends, scan, validation
from ev.log.commit import Committer
from ev.log.partition import Partition
from torture.faults import Patches


class Agreeable(int):
    """A checksum that is never wrong."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def no_checksum(patches: Patches) -> None:
    """The checksum of batches is not looked at when a log is walked."""
    patches.put(scan, "crc32c", lambda *_: Agreeable())


def forgetful_flush(patches: Patches) -> None:
    """The journal's half is used again though batches that it held still wait in memory."""
    flush, write = Committer._retire, Partition.write_out
    flushing = False

    def forgetful(self: Committer, now_ms: int) -> None:
        nonlocal flushing
        flushing = True
        flush(self, now_ms)
        flushing = False

    def unless_flushing(self: Partition) -> None:
        if not flushing:
            write(self)

    patches.put(Committer, "_retire", forgetful)
    patches.put(Partition, "write_out", unless_flushing)


def no_checksum_of_what_is_produced(patches: Patches) -> None:
    """A batch is taken though it does not match its checksum."""
    patches.put(partition_appends, "crc32c", lambda *_: Agreeable())


def lying_count_believed(patches: Patches) -> None:
    """A batch is taken though it says another number of records than its offsets do."""
    honest = validation.refusal

    def believing(*arguments: Any) -> Any:
        refused = honest(*arguments)
        return None if refused is not None and "last offset delta" in str(refused) else refused

    patches.put(partition_appends, "refusal", believing)
