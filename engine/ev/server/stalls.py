"""How long the loop is busy with one thing: nobody is served meanwhile.

A timer that is due again and again sees how late it comes. It runs only while somebody wants to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

TICK_S: Final = 0.02


class Stalls:
    """The longest stall since the last look and ever; stalls that are shorter than a tick are seen in part only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._recent_s = 0.0
        self._ever_s = 0.0

    def start(self) -> None:
        self._due_s = self._loop.time() + TICK_S
        self._handle = self._loop.call_at(self._due_s, self._tick)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._recent_s = max(self._recent_s, self._loop.time() - self._due_s)
        self.start()

    def take(self) -> tuple[float, float]:
        """(the longest since this was asked last, the longest ever), in seconds."""
        recent_s, self._recent_s = self._recent_s, 0.0
        self._ever_s = max(self._ever_s, recent_s)
        return recent_s, self._ever_s
