"""Fetches that wait for bytes.

A fetch that finds too little is parked here with the partitions it asked for. A commit round moves high watermarks; only
fetches that named a partition which moved are looked at, and of those only the bytes of that partition are counted. A fetch
is woken once: by enough bytes, by its deadline, or because one of its partitions went away.

A consumer that has read everything asks the same again and again. So a fetch whose time ran out rests here: it keeps its place
in the books until something happens to one of its partitions, or its connection ends or asks for something else. If the same
question comes while it rests, the last answer still holds, and parking it again costs a timer, however many partitions it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.broker.runtime import Handle, Runtime


class Waiter:
    """One fetch that is parked, or rests."""

    __slots__ = ("bytes_wanted", "committed", "moved", "offsets", "registered", "timer", "wake")

    def __init__(self, offsets: dict[Any, int], bytes_wanted: int, wake: Callable[[], None], *, committed: bool = False) -> None:
        self.offsets = offsets  # the fetch offset by partition
        self.bytes_wanted = bytes_wanted
        self.committed = committed  # whether only what transactions have settled counts
        self.wake = wake
        self.timer: Handle | None = None  # None: it rests
        self.registered = False
        self.moved = False  # something happened to one of its partitions since `moved` was last set to False

    def satisfied(self) -> bool:
        """Whether the partitions hold enough for this fetch by now."""
        available = 0
        for partition, offset in self.offsets.items():
            if partition.high_watermark > offset:
                available += partition.bytes_available(offset, self.bytes_wanted - available, committed=self.committed)
                if available >= self.bytes_wanted:
                    return True
        return False


class Waiting:
    """All parked and resting fetches, by partition."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._by_partition: dict[Any, dict[Waiter, None]] = {}
        self.parked = 0

    @property
    def resting(self) -> int:
        """How many fetches rest."""
        waiters = {waiter for waiters in self._by_partition.values() for waiter in waiters}
        return sum(waiter.timer is None for waiter in waiters)

    def park(self, waiter: Waiter, deadline_ms: int) -> None:
        """Keep the waiter until it is satisfied or the (monotonic) deadline passes. It may be one that rests."""
        if not waiter.registered:
            waiter.registered = True
            for partition in waiter.offsets:
                self._by_partition.setdefault(partition, {})[waiter] = None
        self.parked += 1
        waiter.timer = self._runtime.call_at(deadline_ms, lambda: self._expired(waiter))

    def moved(self, partitions: Iterable[Any]) -> None:
        """These high watermarks moved: wake the fetches for which that is enough."""
        by_partition = self._by_partition
        if not by_partition:
            return
        for partition in partitions:
            if partition in by_partition:
                for waiter in list(by_partition[partition]):
                    waiter.moved = True
                    if waiter.timer is None:
                        self.forget(waiter)
                    elif waiter.satisfied():
                        self._wake(waiter)

    def gone(self, partition: Any) -> None:
        """The partition was deleted, damaged or cut: whoever waits for it gets an answer now."""
        for waiter in list(self._by_partition.get(partition, ())):
            waiter.moved = True
            self._wake(waiter)

    def forget(self, waiter: Waiter) -> None:
        """The connection of this fetch is closed, or asks for something else; or it is being woken."""
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
            self.parked -= 1
        if waiter.registered:
            waiter.registered = False
            for partition in waiter.offsets:
                waiters = self._by_partition[partition]
                del waiters[waiter]
                if not waiters:
                    del self._by_partition[partition]

    def _wake(self, waiter: Waiter) -> None:
        waits = waiter.timer is not None
        self.forget(waiter)
        if waits:
            waiter.wake()

    def _expired(self, waiter: Waiter) -> None:
        """Its time is over: it is woken and rests."""
        if waiter.timer is not None:
            waiter.timer = None
            self.parked -= 1
            waiter.wake()
