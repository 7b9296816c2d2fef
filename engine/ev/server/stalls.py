"""How long the loop is busy with one thing: nobody is served meanwhile.

A timer that is due again and again sees how late it comes. It runs only while somebody wants to know. Looking changes nothing, so that
several may look: whoever does so once a minute misses no stall.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

TICK_S: Final = 0.02
RECENT_S: Final = 60
BUCKET_S: Final = 10


class Longest:
    """The longest of what is noted: of the last RECENT_S seconds, give or take a bucket, and ever. `now` never goes back."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, float]] = deque(maxlen=RECENT_S // BUCKET_S + 1)
        """(number of the bucket, the longest in it), the newest last."""
        self.ever_s = 0.0

    def note(self, now: float, took_s: float) -> None:
        number = int(now // BUCKET_S)
        if not self._buckets or self._buckets[-1][0] != number:
            self._buckets.append((number, took_s))
        elif took_s > self._buckets[-1][1]:
            self._buckets[-1] = number, took_s
        self.ever_s = max(self.ever_s, took_s)

    def recent_s(self, now: float) -> float:
        oldest = int(now // BUCKET_S) - RECENT_S // BUCKET_S
        return max((took_s for number, took_s in self._buckets if number >= oldest), default=0.0)


class Stalls:
    """The longest stall of the last minute and ever; stalls that are shorter than a tick are seen in part only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._longest = Longest()

    def start(self) -> None:
        self._due_s = self._loop.time() + TICK_S
        self._handle = self._loop.call_at(self._due_s, self._tick)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        now = self._loop.time()
        self._longest.note(now, now - self._due_s)
        self.start()

    def seconds(self) -> tuple[float, float]:
        """(the longest of the last minute, the longest ever)."""
        return self._longest.recent_s(self._loop.time()), self._longest.ever_s
