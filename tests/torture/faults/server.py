"""Faults of the server: what is done where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev.broker.runtime import Runtime
from ev.server.world import LoopWorld
from torture.faults import Patches


def synced_on_the_loop(patches: Patches) -> None:
    """A commit round is synced by the loop itself: nobody is served for as long as the disk takes."""
    patches.put(LoopWorld, "commit", _at_once)


def background_unasked(patches: Patches) -> None:
    """What waits in memory is written by the loop when it is due, whether the disk takes anything or not."""
    patches.put(Runtime, "when_disk_moves", lambda self, callback: callback())


def _at_once(self: LoopWorld, work: Callable[[], None], done: Callable[[], None]) -> None:
    result: Any = None
    try:
        work()
    except OSError as error:
        result = error
    self.call_soon(lambda: self._finish(result, done))
