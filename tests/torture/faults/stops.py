"""Faults of an engine that was stopped, or hears again of members that were: whose session counts, and what is taken from whom."""

from __future__ import annotations

from typing import Any

from ev.broker import alarm
from ev.broker.group_runtime import GroupRuntime
from ev.coordinators import groups
from ev.coordinators.classic import State
from ev.coordinators.consumer_groups import ConsumerGroups
from ev.coordinators.offsets import commit_error
from ev.errors import ErrorCode
from torture.faults import Patches


def deadlines_pass_while_it_stands(patches: Patches) -> None:
    """What has come due in a stop is carried out before anything is read that has come meanwhile."""
    patches.put(alarm, "STALLED_MS", 1 << 60)


def expired_on_arrival(patches: Patches) -> None:
    """Whenever a request comes it is looked first whose session is over: after a stop the first heartbeat ends those behind it."""
    honest = GroupRuntime.decide

    def decide(self: GroupRuntime, *arguments: Any, **options: Any) -> None:
        self._pass_time()
        honest(self, *arguments, **options)

    patches.put(GroupRuntime, "decide", decide)


def excused_for_ever(patches: Patches) -> None:
    """After a stop nothing comes due for an hour: members that are gone keep what they had."""
    patches.put(alarm, "PATIENCE_MS", 3_600_000)


def empty_group_takes_any_commit(patches: Patches) -> None:
    """A group that has no members takes commits from whoever comes, also from one that says it is a member of a generation."""
    honest = ConsumerGroups.commit_error

    def of_classic(group: Any, request: Any, version: int) -> int:
        if group is not None and group.state is State.EMPTY:
            return ErrorCode.NONE
        return commit_error(group, request, version)

    def of_consumers(self: ConsumerGroups, group: Any, *arguments: Any, **options: Any) -> int:
        return honest(self, group, *arguments, **options) if group.members else ErrorCode.NONE

    patches.put(groups, "commit_error", of_classic)
    patches.put(ConsumerGroups, "commit_error", of_consumers)
