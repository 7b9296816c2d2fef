"""Rendered records on their way into a pipe, and how far its reader has come with them.

What the reader has taken is what was written less what is unread. A reader that works in order asks for more only when it has done what the
last read(2) gave it. So when the bytes taken go from A to B, every record that lies wholly within the first A bytes is done; and when the
reader is seen waiting at an empty pipe, everything is.
"""

from __future__ import annotations

import os
import time
from collections import deque

from ev_cli import pipe
from ev_cli.ledger import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev_cli.ledger import Stretch

    Partition = tuple[str, int]


class Feed:
    """The stretches that wait to be written, the pipe, and the ledger of what was."""

    def __init__(self, descriptor: int, count_descriptor: int, write: Callable[[memoryview], int], ledger: Ledger | None = None) -> None:
        import select

        self.ledger = ledger or Ledger()
        self.written = 0
        self.taken = 0
        """How many of the written bytes the reader has taken, at the last look."""
        self.moved_s = time.monotonic()
        """When the reader last took something, or there was nothing to take."""
        self.queued_bytes = 0
        self._queue: deque[Stretch] = deque()
        self._sent = 0
        """How much of the first stretch of the queue is written."""
        self._count_descriptor = count_descriptor
        self._write = write
        self._capacity = pipe.capacity(descriptor)
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._gone = select.POLLERR | select.POLLHUP

    def put(self, stretch: Stretch) -> None:
        self._queue.append(stretch)
        self.queued_bytes += stretch.size

    @property
    def waiting(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._queue)

    @property
    def all_taken(self) -> bool:
        return not self._queue and self.taken == self.written

    def push(self, limit_ms: int) -> None:
        """Write what goes, for at most about that long; look how far the reader is."""
        until = time.monotonic() + limit_ms / 1000
        while self._queue:
            self.look()
            unread = self.written - self.taken
            if unread:
                left_ms = (until - time.monotonic()) * 1000
                if not self._room.poll(max(0, left_ms)):
                    break
            self._write_some(pipe.ATOMIC_BYTES if unread else self._capacity)
            if time.monotonic() >= until:
                break
        self.look()

    def _write_some(self, size: int) -> None:
        """At most that many bytes of the first stretch."""
        stretch = self._queue[0]
        if self._sent == 0:
            stretch.begin = self.written
            self.ledger.add(stretch)
        count = self._write(memoryview(stretch.data)[self._sent : self._sent + size]) if stretch.size else 0
        self.written += count
        self._sent += count
        self.queued_bytes -= count
        if self._sent >= stretch.size:
            self._queue.popleft()
            self._sent = 0

    def look(self) -> None:
        """What the reader had taken at the last look is done when it has taken more since."""
        taken = self.written - pipe.unread(self._count_descriptor)
        if taken > self.taken:
            self.ledger.settle(self.taken)
            self.taken = taken
            self.moved_s = time.monotonic()
        if not self.ledger.unsettled:
            self.ledger.settle(self.written)  # batches without a record that is wanted are passed, too
            if self.taken == self.written:
                self.moved_s = time.monotonic()

    def settle_all(self) -> None:
        """Everything that was written is done: the reader waits for more, or has ended well."""
        self.ledger.settle(self.written)

    @property
    def reader_is_gone(self) -> bool:
        """Whether nobody has the reading end open. Without a write nothing else would tell."""
        return any(events & self._gone for _, events in self._room.poll(0))

    def cut(self) -> int:
        """Write no more than the rest of the record that is half out; how many records are left out."""
        left_out = sum(len(stretch) for stretch in self._queue)
        first = self._queue[0] if self._queue and self._sent else None
        self._queue.clear()
        self.queued_bytes = 0
        if first is None:
            return left_out
        whole = sum(end <= self._sent for end in first.ends)
        half = whole < len(first) and self._sent > (first.ends[whole - 1] if whole else 0)
        keep = whole + half
        if keep < len(first):
            shorter = first.first(keep)
            self.ledger.shorten(first, shorter)
            first = shorter
        if self._sent < first.size:
            self._queue.append(first)
            self.queued_bytes = first.size - self._sent
        else:
            self._sent = 0
        return left_out - keep

    def drop(self, partitions: Iterable[Partition]) -> int:
        """Records of these partitions that are not written yet are not written; how many those are."""
        gone = set(partitions)
        dropped = 0
        kept: deque[Stretch] = deque()
        for place, stretch in enumerate(self._queue):
            if stretch.partition in gone and (place > 0 or self._sent == 0):
                dropped += len(stretch)
                self.queued_bytes -= stretch.size
            else:
                kept.append(stretch)
        self._queue = kept
        return dropped

    def give_back(self) -> list[Stretch]:
        """What is not known to be handled and what is not written, to be put into another feed."""
        unsettled = self.ledger.give_back()
        if self._sent:
            self._queue.popleft()  # the ledger has it, whole
        unsettled += [stretch for stretch in self._queue if stretch.partition is not None]
        self._queue.clear()
        self._sent = self.queued_bytes = 0
        return unsettled


def write_to(descriptor: int) -> Callable[[memoryview], int]:
    """Writes into a pipe whose reading end this process keeps open: it is never broken."""
    return lambda data: os.write(descriptor, data)
