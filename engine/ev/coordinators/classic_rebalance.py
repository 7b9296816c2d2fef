"""How a classic group gets from one generation to the next: wait for the members, form the generation, drop who is late.

Every deadline of a group is set and cancelled here:

    session   a member was not heard of for its session timeout; not running while one of its requests is parked
    pending   somebody was given a member id and did not come back with it
    join      the join phase has lasted as long as the slowest member may take
    sync      members know the new generation and have not asked for their assignment
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ev.coordinators import classic_replies as replies
from ev.coordinators.classic import State
from ev.coordinators.group_records import group_key, group_value
from ev.errors import ErrorCode

if TYPE_CHECKING:
    from ev.coordinators.classic import ClassicGroup, Member
    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Caller, Decision, Now
    from ev.settings import Settings

#: How long the first JoinGroup of a member may stay parked; its client asks again, with the same or another connection.
NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 5 * 60_000


class Deadline(NamedTuple):
    kind: str
    group_id: str
    member_id: str = ""


class Rebalance:
    def __init__(self, settings: Settings, deadlines: Deadlines[Deadline]) -> None:
        self._settings = settings
        self._deadlines = deadlines

    # ---- waiting

    def restart_session(self, group: ClassicGroup, member: Member, now: Now) -> None:
        self._deadlines.set(Deadline("session", group.group_id, member.member_id), now.monotonic_ms + member.session_timeout_ms)

    def stop_session(self, group: ClassicGroup, member_id: str) -> None:
        self._deadlines.cancel(Deadline("session", group.group_id, member_id))

    def expect(self, group: ClassicGroup, member_id: str, session_timeout_ms: int, now: Now) -> None:
        """A member id was given away: wait for the JoinGroup that brings it back."""
        group.pending_members.add(member_id)
        self._deadlines.set(Deadline("pending", group.group_id, member_id), now.monotonic_ms + session_timeout_ms)

    def stop_expecting(self, group: ClassicGroup, member_id: str) -> None:
        group.pending_members.discard(member_id)
        self._deadlines.cancel(Deadline("pending", group.group_id, member_id))

    def wait_for_others(self, group: ClassicGroup, member: Member, caller: Caller, now: Now, decision: Decision) -> None:
        """Park the member's JoinGroup. Its session does not run meanwhile: it cannot send heartbeats about a generation to come."""
        earlier = group.park_join(member, caller)
        if earlier is not None:
            decision.refuse(earlier, ErrorCode.REBALANCE_IN_PROGRESS)
        if member.is_new:
            self._deadlines.set(Deadline("session", group.group_id, member.member_id), now.monotonic_ms + NEW_MEMBER_JOIN_TIMEOUT_MS)
        else:
            self.stop_session(group, member.member_id)

    def wait_for_assignment(self, group: ClassicGroup, member: Member, caller: Caller, decision: Decision) -> None:
        if member.syncing is not None:
            decision.refuse(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
        member.syncing = caller
        self.stop_session(group, member.member_id)

    def has_synced(self, group: ClassicGroup, member_id: str) -> None:
        group.pending_syncs.discard(member_id)
        if not group.pending_syncs:
            self._deadlines.cancel(Deadline("sync", group.group_id))

    # ---- the phases

    def go_on(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        """The members changed: begin a rebalance, or see whether the running one has everybody now."""
        if group.state is not State.PREPARING_REBALANCE:
            self.prepare(group, now, decision)
        elif group.everybody_joined and not group.initial:
            self.complete_join(group, now, decision)

    def prepare(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        if group.state is State.COMPLETING_REBALANCE:
            self._interrupt_sync(group, now, decision)
        group.pending_syncs.clear()
        self._deadlines.cancel(Deadline("sync", group.group_id))
        group.initial = group.state is State.EMPTY
        group.state = State.PREPARING_REBALANCE
        delay_ms = self._settings.group_initial_rebalance_delay_ms
        if not group.initial:
            if group.everybody_joined:
                self.complete_join(group, now, decision)
            else:
                self._set_join_deadline(group, group.rebalance_timeout_ms, now)
        elif delay_ms:
            group.new_member_added = False
            group.initial_remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
            self._set_join_deadline(group, delay_ms, now)
        else:
            self.complete_join(group, now, decision)

    def join_deadline_passed(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        """The first rebalance of a group is put off further as long as members keep coming; any other ends now."""
        if group.initial and group.new_member_added and group.initial_remaining_ms:
            delay_ms = min(self._settings.group_initial_rebalance_delay_ms, group.initial_remaining_ms)
            group.new_member_added = False
            group.initial_remaining_ms -= delay_ms
            self._set_join_deadline(group, delay_ms, now)
        else:
            self.complete_join(group, now, decision)

    def complete_join(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        """Form the next generation from those who joined. Static members may be late: they stay until their session ends."""
        self._deadlines.cancel(Deadline("join", group.group_id))
        for member in [late for late in group.members.values() if late.joining is None and late.group_instance_id is None]:
            self.drop(group, member, decision)
        if group.members and not group.elect_leader():
            self._set_join_deadline(group, group.rebalance_timeout_ms, now)
            return
        group.initial = False
        group.next_generation()
        if group.members:
            self._announce(group, now, decision)
        else:
            self._become_empty(group, now, decision)

    def finish(self, group: ClassicGroup, assignments: dict[str, bytes], now: Now, decision: Decision) -> None:
        """The leader has decided: write the generation down; whoever waits for an assignment gets it when that is safe."""
        decision.write(group.group_id, group_key(group.group_id), group_value(group, assignments, now.wall_ms))
        for member in group.members.values():
            if member.syncing is not None:
                decision.reply(member.syncing, replies.synced(group, assignments.get(member.member_id, b"")))
                member.syncing = None
                self.restart_session(group, member, now)

    def drop(self, group: ClassicGroup, member: Member, decision: Decision) -> None:
        """The member is no longer one; a request of it that waits is told so, and its client joins anew if it still lives."""
        self.stop_session(group, member.member_id)
        group.remove(member)
        self.has_synced(group, member.member_id)
        for parked in (member.joining, member.syncing):
            if parked is not None:
                decision.refuse(parked, ErrorCode.UNKNOWN_MEMBER_ID)
        member.joining = member.syncing = None

    def lose(self, group: ClassicGroup, members: list[Member], now: Now, decision: Decision) -> None:
        """Members are gone: the others share what they had."""
        for member in members:
            self.drop(group, member, decision)
        self.go_on(group, now, decision)

    def forget(self, group: ClassicGroup) -> None:
        """Cancel everything that would come due for the group."""
        for member_id in group.members:
            self.stop_session(group, member_id)
        for member_id in list(group.pending_members):
            self.stop_expecting(group, member_id)
        for kind in ("join", "sync", "expire"):
            self._deadlines.cancel(Deadline(kind, group.group_id))

    # ---- inside the phases

    def _interrupt_sync(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        for member in group.members.values():
            member.assignment = b""
            if member.syncing is not None:
                decision.refuse(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
                member.syncing = None
                self.restart_session(group, member, now)

    def _announce(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        """Tell the members of their generation, and wait for each to ask for its assignment."""
        group.state = State.COMPLETING_REBALANCE
        for member in group.members.values():
            caller = group.take_join(member)
            if caller is not None:
                decision.reply(caller, replies.joined(group, member))
                self.restart_session(group, member, now)
                group.pending_syncs.add(member.member_id)
        self._deadlines.set(Deadline("sync", group.group_id), now.monotonic_ms + group.rebalance_timeout_ms)

    def _become_empty(self, group: ClassicGroup, now: Now, decision: Decision) -> None:
        group.state = State.EMPTY
        decision.write(group.group_id, group_key(group.group_id), group_value(group, {}, now.wall_ms))

    def _set_join_deadline(self, group: ClassicGroup, delay_ms: int, now: Now) -> None:
        self._deadlines.set(Deadline("join", group.group_id), now.monotonic_ms + delay_ms)
