"""Deadlines by key, of which only the next one needs a timer.

Session deadlines move with every heartbeat, so moving one must cost nothing. The heap keeps one entry per key, at a time not
later than the key's deadline; an entry that comes up early is put back at the time that holds by then.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Deadlines(Generic[Key]):
    def __init__(self) -> None:
        self._deadline_ms: dict[Key, int] = {}
        self._queued_ms: dict[Key, int] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._sequence = 0  # orders equal times, so that keys are never compared

    def __contains__(self, key: Key) -> bool:
        return key in self._deadline_ms

    def __len__(self) -> int:
        return len(self._deadline_ms)

    def get(self, key: Key) -> int | None:
        return self._deadline_ms.get(key)

    def set(self, key: Key, deadline_ms: int) -> None:
        """Replace the key's deadline."""
        self._deadline_ms[key] = deadline_ms
        queued_ms = self._queued_ms.get(key)
        if queued_ms is None or deadline_ms < queued_ms:
            self._queue(key, deadline_ms)

    def cancel(self, key: Key) -> None:
        self._deadline_ms.pop(key, None)

    def next_ms(self) -> int | None:
        """A time before which nothing is due; None when there is no deadline at all."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ms: int) -> Key | None:
        """Take the earliest key whose deadline has come."""
        while True:
            self._settle()
            if not self._heap or self._heap[0][0] > now_ms:
                return None
            _, _, key = heappop(self._heap)
            del self._queued_ms[key]
            deadline_ms = self._deadline_ms[key]
            if deadline_ms <= now_ms:
                del self._deadline_ms[key]
                return key
            self._queue(key, deadline_ms)

    def _queue(self, key: Key, deadline_ms: int) -> None:
        self._queued_ms[key] = deadline_ms
        self._sequence += 1
        heappush(self._heap, (deadline_ms, self._sequence, key))

    def _settle(self) -> None:
        """Drop entries at the top that were cancelled, or that an earlier entry of the same key replaced."""
        while self._heap:
            queued_ms, _, key = self._heap[0]
            if self._queued_ms.get(key) == queued_ms:
                if key in self._deadline_ms:
                    return
                del self._queued_ms[key]
            heappop(self._heap)
