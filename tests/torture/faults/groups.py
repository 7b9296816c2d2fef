"""Faults of consumer groups: two members have a partition at a time, or what was committed does not count."""

from __future__ import annotations

from typing import Any

from ev.coordinators import groups
from ev.coordinators.classic import State
from ev.coordinators.classic_rebalance import Rebalance
from ev.coordinators.consumer_group import ConsumerGroup
from ev.coordinators.consumer_groups import ConsumerGroups
from ev.coordinators.decision import Decision
from ev.coordinators.groups import Groups
from ev.errors import ErrorCode
from torture.faults import Patches


def commits_of_lost_members(patches: Patches) -> None:
    """A commit is taken from whoever names the group, whatever member and generation it says to be."""
    patches.put(groups, "commit_error", lambda group, request, version: ErrorCode.NONE)
    patches.put(ConsumerGroups, "commit_error", lambda self, *arguments, **options: ErrorCode.NONE)


def given_before_it_is_let_go(patches: Patches) -> None:
    """In a group of the new protocol nobody waits for the former owner of a partition to give it up."""

    def put_current(self: ConsumerGroup, member_id: str, current: Any) -> None:
        self.current.pop(member_id, None)
        if current is not None:
            self.current[member_id] = current

    patches.put(ConsumerGroup, "put_current", put_current)


def commits_in_a_rebalance_are_dropped(patches: Patches) -> None:
    """A commit that comes while a classic group rebalances is acknowledged and not kept."""
    honest = Groups.commit_offsets

    def commit_offsets(self: Groups, request: Any, caller: Any, now: Any) -> Decision:
        decision = honest(self, request, caller, now)
        group = self._groups.get(request.group_id)
        if group is not None and group.state is State.PREPARING_REBALANCE:
            decision.records.clear()
        return decision

    patches.put(Groups, "commit_offsets", commit_offsets)


def silent_members_stay(patches: Patches) -> None:
    """A member that is silent for longer than its session keeps its partitions."""
    patches.put(Rebalance, "restart_session", lambda self, group, member, now: None)
