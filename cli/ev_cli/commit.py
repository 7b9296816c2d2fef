"""When the offsets of a group are committed: one replaceable object between what was written and what is committed.

The consumer tells the policy what a write(2) has carried; nothing else makes an offset committable, and no timer runs ahead
of it. `due` is asked between writes, `all` at the end, when partitions are taken away and when stdout has closed.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    Partition = tuple[str, int]

INTERVAL_MS = 500


class CommitWritten:
    """Commits what was written, twice a second; into a regular file, what is on the disk."""

    def __init__(self, stdout_is_file: bool, interval_ms: int = INTERVAL_MS) -> None:
        self._stdout_is_file = stdout_is_file
        self._interval_ms = interval_ms
        self._written: dict[Partition, int] = {}
        self._next_ms = 0

    def wrote(self, topic: str, partition: int, next_offset: int) -> None:
        """Every record of the partition below next_offset has left by a write(2) that returned."""
        self._written[topic, partition] = next_offset

    def due(self, now_ms: int) -> dict[Partition, int]:
        """What shall be committed now; empty when it is not time."""
        if not self._written or now_ms < self._next_ms:
            return {}
        self._next_ms = now_ms + self._interval_ms
        return self.all()

    def all(self) -> dict[Partition, int]:
        """Everything that may be committed and was not handed out before."""
        if self._written and self._stdout_is_file:
            os.fdatasync(1) if hasattr(os, "fdatasync") else os.fsync(1)
        found, self._written = self._written, {}
        return found


class CommitAtEnd(CommitWritten):
    """Commits once, when the run ends or a partition is taken away."""

    def due(self, now_ms: int) -> dict[Partition, int]:
        return {}


class CommitNothing(CommitWritten):
    """Leaves the group's offsets as they are."""

    def wrote(self, topic: str, partition: int, next_offset: int) -> None:
        return


POLICIES = {"written": CommitWritten, "end": CommitAtEnd, "none": CommitNothing}
