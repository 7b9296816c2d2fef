"""The memory that the requests of all connections together may hold: `queued.max.request.bytes`.

A frame that does not arrive whole takes its place before more of it is read: its full size, so that what was begun can always
be finished. When there is no place, its connection waits in line, unread, and the client waits in TCP. Requests that are
decided and not yet answered count too.
"""

from __future__ import annotations

from typing import Final, Protocol

ANSWERS_BYTES_MAX: Final = 64 << 20
ANSWER_BYTES_MIN: Final = 256 << 10


class Holder(Protocol):
    """A connection that waits in line."""

    def room(self) -> None:
        """The place that was asked for is taken now."""


class Answers:
    """The memory of the answers that clients have yet to take, of all connections together.

    A fetch may be answered with less than it asked for: the more waits for those who do not read, the less the next one gets.
    """

    def __init__(self) -> None:
        self.bytes_held = 0

    @property
    def bytes_max(self) -> int:
        """What the next answer to a fetch may have; a little, and a whole batch, is always sent."""
        return max(ANSWER_BYTES_MIN, ANSWERS_BYTES_MAX - self.bytes_held)


class Budget:
    """Counts bytes; keeps the line of those who wait."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_held = 0
        self._waiting: dict[Holder, int] = {}

    @property
    def exceeded(self) -> bool:
        return self.bytes_held > self.bytes_max

    @property
    def has_line(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def hold(self, size: int) -> None:
        """Count bytes that are here already."""
        self.bytes_held += size

    def reserve(self, holder: Holder, size: int) -> bool:
        """Take a place for `size` bytes; False when the holder has to wait for `room()`."""
        if self._waiting or not self._fits(size):
            self._waiting[holder] = size
            return False
        self.bytes_held += size
        return True

    def give_back(self, size: int) -> None:
        """Bytes are free again: let those in line take their places, in order."""
        self.bytes_held -= size
        while self._waiting:
            holder, wanted = next(iter(self._waiting.items()))
            if not self._fits(wanted):
                return
            del self._waiting[holder]
            self.bytes_held += wanted
            holder.room()

    def forget(self, holder: Holder) -> bool:
        """The holder is gone; whether it was waiting."""
        waited = self._waiting.pop(holder, None) is not None
        self.give_back(0)
        return waited

    def _fits(self, size: int) -> bool:
        # A single frame may be larger than the whole budget; then it goes alone.
        return self.bytes_held + size <= self.bytes_max or self.bytes_held == 0
