"""One timer for everything that comes due in a coordinator: set to the earliest deadline, or not at all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.runtime import Handle, Runtime

log = logging.getLogger(__name__)

STALLED_MS: Final = 1_000
"""A timer that comes later than this was not late because of what the loop had to do: the process stood still."""
PATIENCE_MS: Final = 3_000
"""How long clients are waited for then: the time between two heartbeats, unless a client was told another."""
EXCUSED_MAX: Final = 10
"""So often in a row; an engine that comes too late every time has to go on all the same."""


class Alarm:
    """`next_ms` tells the monotonic time of the next deadline, None when there is none; `ring` deals with what has come due.

    A process that was stopped, on its own or with its machine, finds deadlines that have passed while it could hear nobody: what clients
    sent meanwhile lies unread in their sockets. Nobody is to lose a session by that, so the alarm rings when they have been heard.
    """

    def __init__(self, runtime: Runtime, next_ms: Callable[[], int | None], ring: Callable[[], None]) -> None:
        self._runtime = runtime
        self._next_ms = next_ms
        self._ring = ring
        self._timer: Handle | None = None
        self._timer_ms = 0
        self._not_before_ms = 0
        self._excused = 0

    def arm(self) -> None:
        """Have one timer, not later than the next deadline, and none when there is no deadline. To be called after every change."""
        next_ms = self._next_ms()
        if next_ms is not None:
            next_ms = max(next_ms, self._not_before_ms)
        if self._timer is not None:
            if next_ms is not None and self._timer_ms <= next_ms:
                return
            self._timer.cancel()
            self._timer = None
        if next_ms is not None:
            self._timer_ms = max(next_ms, self._runtime.clock.monotonic_ms())
            self._timer = self._runtime.call_at(self._timer_ms, self._due)

    def _due(self) -> None:
        self._timer = None
        now_ms = self._runtime.clock.monotonic_ms()
        late_ms = now_ms - self._timer_ms
        if late_ms > STALLED_MS and self._excused < EXCUSED_MAX:
            log.warning("the engine stood still for %d ms; deadlines wait %d ms more, until clients have been heard", late_ms, PATIENCE_MS)
            self._excused += 1
            self._not_before_ms = now_ms + PATIENCE_MS
        else:
            self._excused = 0
            self._ring()
        self.arm()
