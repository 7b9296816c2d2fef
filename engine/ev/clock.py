"""The only door to time: what o'clock it is and how much time has passed."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks. The wall goes into records and files and may jump; the monotonic one measures spans and never does."""

    def wall_ms(self) -> int: ...

    def monotonic_ms(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ManualClock:
    """A clock that stands until a test turns it."""

    __slots__ = ("_monotonic_ms", "_wall_ms")

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self._wall_ms = wall_ms
        self._monotonic_ms = 0

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic_ms(self) -> int:
        return self._monotonic_ms

    def monotonic_ns(self) -> int:
        return self._monotonic_ms * 1_000_000

    def advance(self, ms: int) -> None:
        """Let `ms` milliseconds pass on both clocks."""
        assert ms >= 0, "time passes forwards; set_wall() makes the wall clock jump"
        self._wall_ms += ms
        self._monotonic_ms += ms

    def set_wall(self, wall_ms: int) -> None:
        """The administrator sets the wall clock; no time passes."""
        self._wall_ms = wall_ms
