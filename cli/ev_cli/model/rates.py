"""Rates out of counts that were read now and then, and what they were in the minutes before."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

WINDOW_S = 10.0
"""Rates are means in which what is older than this counts little: each weighs 1/e of what is so much younger."""
BUCKET_S = 10.0
BUCKETS = 60
_NOTHING = 0.001
"""A mean that fades away ends as no rate at all."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So much a second, measured over so many seconds."""

    per_s: float
    window_s: float


class History:
    """Means of the last minutes in buckets of ten seconds, each with how much of it was seen; what was not seen is no zero."""

    __slots__ = ("_amounts", "_newest", "_older", "_older_than", "_weights", "size")

    def __init__(self, size: int = BUCKETS) -> None:
        self.size = size
        self._newest = -1
        self._amounts = array("f")
        self._weights = array("f")
        self._older: tuple[float | None, ...] = ()
        self._older_than = -1
        """`_older` are the means of the buckets before this one, which do not change any more."""

    def spread(self, since: float, until: float, amount: float) -> None:
        """So much came between these two moments, evenly as far as anybody knows."""
        per_s = amount / (until - since)
        last = int(until // BUCKET_S)
        for bucket in range(max(int(since // BUCKET_S), last - self.size + 1), last + 1):
            seconds = min(until, (bucket + 1) * BUCKET_S) - max(since, bucket * BUCKET_S)
            if seconds > 0:
                self._put(bucket, per_s * seconds, seconds)

    def note(self, now: float, value: float) -> None:
        """A value of something that is no count; a bucket has the mean of those in it."""
        self._put(int(now // BUCKET_S), value, 1.0)

    def _put(self, bucket: int, amount: float, weight: float) -> None:
        missing = bucket - self._newest
        if missing > 0:
            fresh = [0.0] * (1 if self._newest < 0 else min(missing, self.size))
            self._amounts.extend(fresh)
            self._weights.extend(fresh)
            del self._amounts[: -self.size], self._weights[: -self.size]
            self._newest = bucket
        if bucket < self._older_than:
            self._older_than = -1
        place = bucket - self._newest - 1
        if -place <= len(self._amounts):
            self._amounts[place] += amount
            self._weights[place] += weight

    def means(self, now: float) -> tuple[float | None, ...]:
        """One value for each bucket, that of the present last; None where nothing was seen."""
        newest = int(now // BUCKET_S)
        oldest_kept = self._newest - len(self._amounts) + 1
        if newest != self._older_than:
            self._older = tuple([self._mean(bucket - oldest_kept) for bucket in range(newest - self.size + 1, newest)])
            self._older_than = newest
        return (*self._older, self._mean(newest - oldest_kept))

    def _mean(self, place: int) -> float | None:
        if not 0 <= place < len(self._weights) or not self._weights[place]:
            return None
        return self._amounts[place] / self._weights[place]


class Meter:
    """The rate of a count that only grows. One that has become smaller is another count: the one before is forgotten, not subtracted."""

    __slots__ = ("at", "count", "history", "per_s", "window_s")

    def __init__(self, history: History | None = None) -> None:
        self.count = 0
        self.at: float | None = None
        self.per_s: float | None = None
        self.window_s = 0.0
        self.history = history

    def take(self, count: int, now: float) -> int:
        """Take a reading in. Returns by how much the count has grown since the one before."""
        before = self.at
        if before is None or count < self.count:
            self.count, self.at, self.per_s, self.window_s = count, now, None, 0.0
            return 0
        seconds = now - before
        if seconds <= 0:
            return 0
        grown = count - self.count
        per_s = grown / seconds
        if self.per_s is None:
            self.per_s, self.window_s = per_s, seconds
        else:
            self.per_s += (1 - math.exp(-seconds / WINDOW_S)) * (per_s - self.per_s)
            self.window_s = min(self.window_s + seconds, max(WINDOW_S, seconds))
        if not grown and self.per_s < _NOTHING:
            self.per_s = 0.0
        self.count, self.at = count, now
        if self.history is not None:
            self.history.spread(before, now, grown)
        return grown

    def forget(self) -> None:
        """What comes next is counted from nothing."""
        self.at = self.per_s = None
        self.window_s = 0.0

    @property
    def rate(self) -> Rate | None:
        return None if self.per_s is None else Rate(self.per_s, self.window_s)
