"""When groups and their offsets expire: one deadline for each group, at which the first thing of it may.

What expires when is said in `ev.coordinators.offsets`. A classic group that is empty and has no offsets left is forgotten too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.coordinators.classic import ClassicGroup, State
from ev.coordinators.classic_rebalance import Deadline
from ev.coordinators.group_records import group_key

if TYPE_CHECKING:
    from ev.coordinators.consumer_group import ConsumerGroup
    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Decision, Now
    from ev.coordinators.offsets import Offsets
    from ev.settings import Settings

EXPIRE: Final = "expire"
REFUSED_RETRY_MS: Final = 60_000


class Expiry:
    def __init__(self, settings: Settings, offsets: Offsets, deadlines: Deadlines[Deadline]) -> None:
        self._settings = settings
        self._offsets = offsets
        self._deadlines = deadlines

    def is_expected(self, group_id: str) -> bool:
        return Deadline(EXPIRE, group_id) in self._deadlines

    def expect(self, group: ClassicGroup | ConsumerGroup, now: Now) -> None:
        """Set the deadline at which something of the group may expire, if anything can."""
        times = [self._offsets.next_expiry_ms(group)]
        is_known = isinstance(group, ClassicGroup) and group.persisted is not None
        if is_known and group.state is State.EMPTY and not self._offsets.of_group(group.group_id):
            times.append((group.state_timestamp_ms or 0) + self._settings.offsets_retention_check_interval_ms)
        key = Deadline(EXPIRE, group.group_id)
        known = [time for time in times if time is not None]
        if known:
            self._deadlines.set(key, now.monotonic_ms + max(min(known) - now.wall_ms, 1))
        else:
            self._deadlines.cancel(key)

    def try_again(self, group: ClassicGroup, now: Now) -> None:
        """The log did not take what was to be forgotten."""
        self._deadlines.set(Deadline(EXPIRE, group.group_id), now.monotonic_ms + REFUSED_RETRY_MS)

    def pass_over(self, group: ClassicGroup | ConsumerGroup, now: Now, decision: Decision) -> None:
        """Tombstones for what has expired of the group, and for the group if nothing else is left of it."""
        nothing_left = self._offsets.expire(group, now.wall_ms, decision)
        nothing_left = nothing_left and not self._offsets.pending_of(group.group_id)
        if isinstance(group, ClassicGroup) and nothing_left and self._is_forgotten(group, now):
            decision.write(group.group_id, group_key(group.group_id), None)
        else:
            self.expect(group, now)

    def _is_forgotten(self, group: ClassicGroup, now: Now) -> bool:
        is_old = now.wall_ms >= (group.state_timestamp_ms or 0) + self._settings.offsets_retention_check_interval_ms
        return group.state is State.EMPTY and group.is_idle and is_old
