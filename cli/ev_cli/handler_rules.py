"""What a handler's ending means, when to try again, and which records may be handled at once: decisions, without I/O.

exit status   0         done
              65        the record is bad: it is not tried again
              126, 127  the command cannot be run: nothing is tried again, the run ends with that status
              75, any other, a signal, too late    tried again after a pause, so often as --retries says
"""

from __future__ import annotations

from collections import OrderedDict, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

DONE, RETRY, DEAD, BROKEN = "done", "retry", "dead", "broken"
STOP, SKIP, DLQ = "stop", "skip", "dlq"
FAILING = (STOP, SKIP, DLQ)

DATA_ERROR = 65
NOT_EXECUTABLE, NOT_FOUND = 126, 127


def meaning_of(status: int) -> str:
    """What an exit status says; a signal is its number, negative."""
    if status == 0:
        return DONE
    if status == DATA_ERROR:
        return DEAD
    return BROKEN if status in (NOT_EXECUTABLE, NOT_FOUND) else RETRY


def in_words(status: int, *, timeout_ms: int | None = None) -> str:
    """An exit status for a person."""
    if timeout_ms is not None:
        return f"took longer than {timeout_ms / 1000:g} s and was killed"
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


class Retries:
    """How often, and after which pauses. The bound of the pause doubles with each attempt; the pause is a random part of it."""

    def __init__(self, most: int, low_ms: int, high_ms: int) -> None:
        self.most = most
        self.low_ms = low_ms
        self.high_ms = high_ms

    def pause_ms(self, attempts: int, chance: float) -> int | None:
        """The pause after so many attempts that failed; None when that were enough. `chance` is from 0 to 1."""
        if attempts > self.most:
            return None
        bound = self.low_ms if attempts < 1 else min(self.high_ms, self.low_ms << min(attempts - 1, 40))
        return int(bound * chance)


class Lanes:
    """Items that wait, in lanes: one item of a lane after another, in their order, while other lanes go on."""

    def __init__(self) -> None:
        self._ready: OrderedDict[Hashable, deque[Any]] = OrderedDict()
        """Lanes of which nothing is in work, by the arrival of their first item."""
        self._busy: dict[Hashable, deque[Any]] = {}
        self.count = 0

    def put(self, lane: Hashable, item: Any) -> None:
        waiting = self._busy.get(lane)
        if waiting is None:
            waiting = self._ready.setdefault(lane, deque())
        waiting.append(item)
        self.count += 1

    def take(self, most: int) -> tuple[list[Hashable], list[Any]]:
        """Up to `most` items that may be worked on now, and their lanes, which are busy until `release`."""
        lanes: list[Hashable] = []
        items: list[Any] = []
        while self._ready and len(items) < most:
            lane, waiting = self._ready.popitem(last=False)
            while waiting and len(items) < most:
                items.append(waiting.popleft())
            self._busy[lane] = waiting
            lanes.append(lane)
        self.count -= len(items)
        return lanes, items

    def release(self, lanes: list[Hashable]) -> None:
        """The work on the items of these lanes has ended."""
        for lane in lanes:
            waiting = self._busy.pop(lane)
            if waiting:
                self._ready[lane] = waiting

    def clear(self) -> list[Any]:
        """Nothing waits any more; what waited."""
        dropped: list[Any] = []
        for waiting in [*self._ready.values(), *self._busy.values()]:
            dropped += waiting
            waiting.clear()
        self._ready.clear()
        self.count = 0
        return dropped
