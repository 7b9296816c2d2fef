"""How far a group is behind in one partition, whether it catches up, when it will, and for how long it has been behind.

Two readings of a partition give how fast the group goes forward and how fast records arrive. A partition catches up in lag / (progress -
arrival) seconds, if that is positive; a group has caught up when its slowest partition has, so a single partition that never will decides
for the whole group. The time lag is the age of the next record to be read: the model remembers when the end of the partition was where.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from enum import StrEnum

from ev_cli.model.rates import Rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_S = 30.0
"""Consumers commit every few seconds: a window holds several commits, or each would look like a jump and each pause like a stall."""
STALLED_AFTER_S = 30.0
AT_THE_END_S = 10.0
"""Whoever is behind by no more than what arrives in this time reads at the end: it has only not committed yet."""
EVEN = 0.05
"""Progress and arrival that differ by less than this share of the larger are even."""
NEVER = math.inf
_TIMES_KEPT = 600
_TIMES_APART_MS = 1_000


class Verdict(StrEnum):
    """What becomes of a group, the best first: it reads at the end, catches up, keeps its distance, falls behind, stands still although it
    has members, or has none while records wait for it."""

    OK = "OK"
    DRAINING = "DRAINING"
    STEADY = "STEADY"
    GROWING = "GROWING"
    STALLED = "STALLED"
    DEAD = "DEAD"


WORSE = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Readings:
    """What was committed in a partition, and where its end was, at moments of the last half minute."""

    __slots__ = ("_taken", "moved_at")

    def __init__(self) -> None:
        self._taken: list[tuple[float, int, int]] = []
        self.moved_at: float | None = None
        """When the commit was first seen where it is now."""

    def take(self, now: float, committed: int, end: int) -> None:
        taken = self._taken
        if taken and (committed < taken[-1][1] or end < taken[-1][2]):
            taken.clear()  # put back by somebody, or a log that was cut: what went before says nothing about what comes
            self.moved_at = now
        if self.moved_at is None or not taken or committed != taken[-1][1]:
            self.moved_at = now
        if taken and now <= taken[-1][0]:
            return
        taken.append((now, committed, end))
        while len(taken) > 2 and taken[1][0] <= now - WINDOW_S:
            del taken[0]

    @property
    def span_s(self) -> float:
        return self._taken[-1][0] - self._taken[0][0] if self._taken else 0.0

    @property
    def progress(self) -> Rate | None:
        """How fast the group goes forward."""
        return self._slope(1)

    @property
    def arrival(self) -> Rate | None:
        """How fast records arrive."""
        return self._slope(2)

    def _slope(self, place: int) -> Rate | None:
        seconds = self.span_s
        if seconds <= 0:
            return None
        return Rate((self._taken[-1][place] - self._taken[0][place]) / seconds, seconds)


def records_behind(committed: int | None, start: int | None, end: int | None) -> int | None:
    """How many records wait. What lies before the start of the log is gone, and no lag; None where it cannot be known."""
    if committed is None or start is None or end is None:
        return None
    return max(0, end - max(committed, start))


def drain_of(progress: Rate | None, arrival: Rate | None) -> Rate | None:
    """By how much the lag shrinks in a second; negative when it grows."""
    if progress is None or arrival is None:
        return None
    return Rate(progress.per_s - arrival.per_s, min(progress.window_s, arrival.window_s))


def eta_s(lag: int | None, drain: Rate | None) -> float | None:
    """In how many seconds the partition has caught up; NEVER when it does not, None when that is not known."""
    if lag == 0:
        return 0.0
    if lag is None or drain is None:
        return None
    return lag / drain.per_s if drain.per_s > 0 else NEVER


def slowest(etas: Iterable[float | None]) -> float | None:
    """A group has caught up when its slowest partition has. One that never will decides, even while others are not known."""
    found: float | None = 0.0
    for eta in etas:
        if eta == NEVER:
            return NEVER
        found = None if eta is None or found is None else max(found, eta)
    return found


def verdict_of(
    lag: int | None, has_members: bool | None, progress: Rate | None, arrival: Rate | None, still_s: float | None
) -> Verdict | None:
    """What becomes of one partition. `still_s` is for how long its commit has not moved; None when there is too little to judge by."""
    if lag is None:
        return None
    if lag == 0:
        return Verdict.OK
    if has_members is False:
        return Verdict.DEAD
    if still_s is not None and still_s > STALLED_AFTER_S:
        return Verdict.STALLED if has_members else None
    if progress is None or arrival is None:
        return None
    if progress.per_s > 0 and lag <= arrival.per_s * AT_THE_END_S:
        return Verdict.OK
    drain = progress.per_s - arrival.per_s
    if abs(drain) <= EVEN * max(progress.per_s, arrival.per_s):
        return Verdict.STEADY
    return Verdict.DRAINING if drain > 0 else Verdict.GROWING


def worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The worst that is known; a group of which something is not known yet is not OK."""
    found: Verdict | None = None
    complete = True
    for verdict in verdicts:
        if verdict is None:
            complete = False
        elif found is None or WORSE[verdict] > WORSE[found]:
            found = verdict
    return None if found is Verdict.OK and not complete else found


class Times:
    """When the end of a partition was where, and so when a record arrived, as nearly as somebody who looks now and then can say."""

    __slots__ = ("_offsets", "_times", "first")

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._times: list[int] = []
        self.first: int | None = None
        """Where the end was at the first look; of what came before it only single records are known."""

    def take(self, end: int, time_ms: int) -> None:
        """The end is here now."""
        offsets, times = self._offsets, self._times
        if offsets and (end < offsets[-1] or time_ms < times[-1]):
            offsets.clear()
            times.clear()
            self.first = None
        if self.first is None:
            self.first = end
        if len(offsets) > 1 and (end == offsets[-2] or time_ms - times[-2] < _TIMES_APART_MS):
            offsets[-1], times[-1] = end, time_ms  # nothing has come, or too little time has gone by for another line
            return
        offsets.append(end)
        times.append(time_ms)
        if len(offsets) > _TIMES_KEPT:
            del offsets[1:-1:2], times[1:-1:2]

    def learn(self, offset: int, time_ms: int) -> None:
        """A record from before the first look, with the time that it carries."""
        if self.first is None or offset >= self.first:
            return
        place = bisect_right(self._offsets, offset)
        if place and self._offsets[place - 1] == offset:
            return
        self._offsets.insert(place, offset)
        self._times.insert(place, min(time_ms, self._times[place]))

    def needs(self, offset: int) -> bool:
        """Whether the record at this offset has to be read to know when it came."""
        return self.first is not None and offset < self.first and offset not in self._offsets[: bisect_right(self._offsets, offset)][-1:]

    def time_of(self, offset: int) -> int | None:
        """When the record with this offset came; None when that was before anybody looked, or it has not come."""
        place = bisect_right(self._offsets, offset)
        if place == 0 or place == len(self._offsets):
            return None
        since, until = self._offsets[place - 1], self._offsets[place]
        before, after = self._times[place - 1], self._times[place]
        return before + (after - before) * (offset - since) // (until - since)
