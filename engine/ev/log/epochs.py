"""Leader epochs of a partition: which epoch began at which offset.

Every start of the engine is a new epoch, and every batch carries the epoch in which it was appended. A consumer that comes
back after a crash asks where its last epoch ended, and so notices that offsets were given out again. On disk they are Kafka's
`leader-epoch-checkpoint`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class LeaderEpochs:
    """(epoch, first offset) in rising order of both."""

    __slots__ = ("changed", "entries", "latest")

    def __init__(self, entries: Iterable[tuple[int, int]] = ()) -> None:
        self.entries: list[tuple[int, int]] = []
        self.latest = -1
        for epoch, start_offset in entries:
            self.begin(epoch, start_offset)
        self.changed = False

    def begin(self, epoch: int, start_offset: int) -> None:
        """`epoch` begins at `start_offset`; an epoch that would begin there or later never got a record and is forgotten."""
        if epoch <= self.latest:
            return
        while self.entries and self.entries[-1][1] >= start_offset:
            self.entries.pop()
        self.entries.append((epoch, start_offset))
        self.latest = epoch
        self.changed = True

    def at(self, offset: int) -> int:
        """The epoch in which the record at `offset` was appended; -1 when it is not known."""
        number = bisect_right(self.entries, offset, key=lambda entry: entry[1])
        return self.entries[number - 1][0] if number else -1

    def end_of(self, epoch: int, end_offset: int) -> tuple[int, int]:
        """(the largest epoch up to `epoch`, the offset at which it ended); (-1, -1) when there is none."""
        number = bisect_right(self.entries, epoch, key=lambda entry: entry[0])
        if not number or epoch > self.latest:
            return -1, -1
        return self.entries[number - 1][0], end_offset if number == len(self.entries) else self.entries[number][1]

    def cut_before(self, offset: int) -> None:
        """The log begins at `offset` now: forget the epochs that ended before it."""
        number = bisect_right(self.entries, offset, key=lambda entry: entry[1])
        if number > 1 or (number == 1 and self.entries[0][1] < offset):
            self.entries = [(self.entries[number - 1][0], offset), *self.entries[number:]]
            self.changed = True

    def cut_from(self, offset: int) -> None:
        """The log ends at `offset` now: forget the epochs that begin there or later."""
        while self.entries and self.entries[-1][1] >= offset:
            self.entries.pop()
            self.changed = True
        self.latest = self.entries[-1][0] if self.entries else -1
