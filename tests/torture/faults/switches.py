"""Switches of the test build that break nothing: a wall clock that a torture sets, and a look at what an engine holds.

shifted_clock   the engine's wall clock is the machine's plus what stands in the file EV_TORTURE_CLOCK names (ms, 8 bytes)
census          SIGUSR2 has what the engine holds written into the file that EV_TORTURE_CENSUS names, a line of JSON
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import pathlib
import signal
import threading
from collections import Counter
from typing import Any

from ev import clock
from torture.faults import Patches

SHIFT, CENSUS = "EV_TORTURE_CLOCK", "EV_TORTURE_CENSUS"
COUNTED = ("Connection", "Authentication", "Partition", "Segment", "Session", "Waiter", "Call", "ClassicGroup", "ConsumerGroup")


class Shift:
    """The file through which the wall clock of an engine is set."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    @property
    def ms(self) -> int:
        return int.from_bytes(self._shared[:8], "little", signed=True)

    @ms.setter
    def ms(self, ms: int) -> None:
        self._shared[:8] = ms.to_bytes(8, "little", signed=True)


def shifted_clock(patches: Patches) -> None:
    """The wall clock jumps as a torture says; the monotonic one goes on."""
    with open(os.environ[SHIFT], "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    honest = clock.SystemClock.wall_ms

    def shifted(self: clock.SystemClock) -> int:
        return honest(self) + int.from_bytes(shared[:8], "little", signed=True)

    patches.put(clock.SystemClock, "wall_ms", shifted)


def census(patches: Patches) -> None:
    """What the engine holds is counted when SIGUSR2 comes."""
    path = os.environ[CENSUS]
    honest = asyncio.Runner.run

    def run(self: asyncio.Runner, coro: Any, **options: Any) -> Any:
        loop = self.get_loop()
        loop.call_soon(loop.add_signal_handler, signal.SIGUSR2, lambda: write_census(path, loop))
        return honest(self, coro, **options)

    patches.put(asyncio.Runner, "run", run)


def write_census(path: str, loop: asyncio.AbstractEventLoop) -> None:
    """A file that is there at once, whole."""
    gc.unfreeze()
    gc.collect()
    kinds = Counter(type(found).__name__ for found in gc.get_objects())
    held = {"tasks": len(asyncio.all_tasks(loop)), "threads": threading.active_count(), **{kind: kinds[kind] for kind in COUNTED}}
    with open(f"{path}.new", "w", encoding="ascii") as file:
        json.dump(held, file)
    os.replace(f"{path}.new", path)
