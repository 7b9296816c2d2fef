"""Faults of what waits for a commit round: something is answered or read that is in memory only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev.broker.runtime import Runtime
from ev.log.commit import Committer
from ev.log.partition import Partition
from torture.faults import Patches

LINGER_MS = 40


def _linger(patches: Patches) -> None:
    """Rounds begin a little later, to be larger. That alone breaks nothing."""
    honest = Runtime._commit

    def commit(self: Runtime) -> None:
        self._scheduled = True
        self.call_at(self.clock.monotonic_ms() + LINGER_MS, lambda: honest(self))

    patches.put(Runtime, "_commit", commit)


def answered_before_it_is_written(patches: Patches) -> None:
    """A batch is acknowledged when it was appended; the round that writes it comes 40 ms later."""
    _linger(patches)
    honest: Callable[..., Any] = Partition.append

    def hasty(self: Partition, *arguments: Any, **options: Any) -> Any:
        return honest(self, *arguments, **options)._replace(round=0)

    patches.put(Partition, "append", hasty)


def read_before_it_is_written(patches: Patches) -> None:
    """The high watermark goes up when a batch is appended, and who waits for it is told; the round that writes it comes 40 ms later."""
    _linger(patches)
    honest: Callable[..., int] = Committer.wrote

    def wrote(self: Committer, partition: Any, *arguments: Any) -> int:
        number = honest(self, partition, *arguments)
        partition.synced_to(partition.mark())
        return number

    patches.put(Committer, "wrote", wrote)
    sleepy = Runtime.wake

    def wake(self: Runtime) -> None:
        def tell() -> None:
            if self.moved is not None:
                self.moved(list(self.committer._appended))

        sleepy(self)
        self.world.call_soon(tell)

    patches.put(Runtime, "wake", wake)
