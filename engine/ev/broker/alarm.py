"""One timer for everything that comes due in a coordinator: set to the earliest deadline, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.runtime import Handle, Runtime


class Alarm:
    """`next_ms` tells the monotonic time of the next deadline, None when there is none; `ring` deals with what has come due."""

    def __init__(self, runtime: Runtime, next_ms: Callable[[], int | None], ring: Callable[[], None]) -> None:
        self._runtime = runtime
        self._next_ms = next_ms
        self._ring = ring
        self._timer: Handle | None = None
        self._timer_ms = 0

    def arm(self) -> None:
        """Have one timer, not later than the next deadline, and none when there is no deadline. To be called after every change."""
        next_ms = self._next_ms()
        if self._timer is not None:
            if next_ms is not None and self._timer_ms <= next_ms:
                return
            self._timer.cancel()
            self._timer = None
        if next_ms is not None:
            self._timer_ms = next_ms
            self._timer = self._runtime.call_at(next_ms, self._due)

    def _due(self) -> None:
        self._timer = None
        self._ring()
        self.arm()
