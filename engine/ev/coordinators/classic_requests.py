"""The four requests by which members live in a classic group: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

A JoinGroup is answered when the join phase is over, a SyncGroup when the leader's has come; until then they are parked in
their member. A second request of the same kind by the same member replaces the first, which is answered
REBALANCE_IN_PROGRESS, so that no connection is held up by a reply that never comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.coordinators import classic_replies as replies
from ev.coordinators.classic import Member, Protocol, State
from ev.coordinators.group_records import group_key, group_value
from ev.coordinators.subscriptions import subscribed_topics
from ev.errors import ErrorCode
from ev.wire.messages.k12_heartbeat import HeartbeatResponse
from ev.wire.messages.k13_leave_group import MemberIdentity

if TYPE_CHECKING:
    from ev.coordinators.classic import ClassicGroup
    from ev.coordinators.classic_rebalance import Rebalance
    from ev.coordinators.decision import Caller, Decision, Now
    from ev.randomness import Randomness
    from ev.settings import Settings
    from ev.wire.messages.k11_join_group import JoinGroupRequest
    from ev.wire.messages.k12_heartbeat import HeartbeatRequest
    from ev.wire.messages.k13_leave_group import LeaveGroupRequest
    from ev.wire.messages.k14_sync_group import SyncGroupRequest

UNKNOWN_MEMBER_ID = ""


def member_error(group: ClassicGroup, member_id: str, group_instance_id: str | None) -> int:
    """Why somebody who says so is not this member of the group; NONE if it is."""
    if group_instance_id is not None:
        holder = group.static_members.get(group_instance_id)
        if holder is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if holder == member_id else ErrorCode.FENCED_INSTANCE_ID
    return ErrorCode.NONE if member_id in group.members else ErrorCode.UNKNOWN_MEMBER_ID


class ClassicRequests:
    def __init__(self, settings: Settings, randomness: Randomness, rebalance: Rebalance) -> None:
        self._settings = settings
        self._randomness = randomness
        self._rebalance = rebalance

    # ---- JoinGroup

    def join(self, group: ClassicGroup, request: JoinGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        protocols = [Protocol(offered.name, bytes(offered.metadata)) for offered in request.protocols]
        if not self._has_room(group, request.member_id):
            self._shut_out(group, request, caller, now, decision)
        elif not group.supports(request.protocol_type, protocols):
            decision.refuse(caller, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif request.member_id == UNKNOWN_MEMBER_ID:
            self._join_new(group, request, protocols, caller, now, decision)
        else:
            self._join_known(group, request, protocols, caller, now, decision)

    def _has_room(self, group: ClassicGroup, member_id: str) -> bool:
        """During a rebalance those who joined count, so that a group above a lowered bound loses its last comers."""
        most = self._settings.group_max_size
        member = group.members.get(member_id)
        match group.state:
            case State.EMPTY | State.DEAD:
                return True
            case State.PREPARING_REBALANCE:
                return (member is not None and member.joining is not None) or group.joining_count < most
            case _:
                return member is not None or len(group.members) < most

    def _shut_out(self, group: ClassicGroup, request: JoinGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        self._rebalance.stop_expecting(group, request.member_id)
        member = group.members.get(request.member_id)
        if member is not None:
            self._rebalance.lose(group, [member], now, decision)
        decision.reply(caller, replies.join_refused(caller.version, ErrorCode.GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID))

    def _join_new(
        self, group: ClassicGroup, request: JoinGroupRequest, protocols: list[Protocol], caller: Caller, now: Now, decision: Decision
    ) -> None:
        member_id = member_id_of(self._randomness, request.group_instance_id or caller.client_id)
        if request.group_instance_id is not None:
            holder = group.static_members.get(request.group_instance_id)
            if holder is None:
                self._add(group, member_id, request, protocols, caller, now, decision)
            else:
                self._replace(group, group.members[holder], member_id, request, protocols, caller, now, decision)
        elif caller.version >= 4:
            self._rebalance.expect(group, member_id, request.session_timeout_ms, now)
            decision.reply(caller, replies.join_refused(caller.version, ErrorCode.MEMBER_ID_REQUIRED, member_id))
        else:
            self._add(group, member_id, request, protocols, caller, now, decision)

    def _join_known(
        self, group: ClassicGroup, request: JoinGroupRequest, protocols: list[Protocol], caller: Caller, now: Now, decision: Decision
    ) -> None:
        if request.member_id in group.pending_members and request.group_instance_id is None:
            self._rebalance.stop_expecting(group, request.member_id)
            self._add(group, request.member_id, request, protocols, caller, now, decision)
            return
        error_code = member_error(group, request.member_id, request.group_instance_id)
        if error_code:
            decision.refuse(caller, error_code)
            return
        member = group.members[request.member_id]
        unchanged = member.protocols == protocols
        follower = group.leader != member.member_id
        # In Stable a leader that joins again wants a rebalance: it has seen something that the metadata does not show.
        settled = (group.state is State.COMPLETING_REBALANCE and unchanged) or (group.state is State.STABLE and unchanged and follower)
        if settled:
            decision.reply(caller, replies.joined(group, member))
            self._rebalance.restart_session(group, member, now)
        else:
            self._take_over(group, member, request, protocols, caller, now, decision)
            self._rebalance.go_on(group, now, decision)

    def _add(
        self,
        group: ClassicGroup,
        member_id: str,
        request: JoinGroupRequest,
        protocols: list[Protocol],
        caller: Caller,
        now: Now,
        decision: Decision,
    ) -> None:
        member = Member(
            member_id,
            request.group_instance_id,
            caller.client_id,
            caller.client_host,
            request.session_timeout_ms,
            rebalance_timeout_of(request),
            protocols,
        )
        member.is_new = True
        if not group.members:
            group.protocol_type = request.protocol_type
        group.add(member)
        group.new_member_added = True
        self._rebalance.wait_for_others(group, member, caller, now, decision)
        self._rebalance.go_on(group, now, decision)

    def _take_over(
        self,
        group: ClassicGroup,
        member: Member,
        request: JoinGroupRequest,
        protocols: list[Protocol],
        caller: Caller,
        now: Now,
        decision: Decision,
    ) -> None:
        """The member says anew who it is, and waits for the others."""
        _update(group, member, request, protocols, caller)
        self._rebalance.wait_for_others(group, member, caller, now, decision)

    def _replace(
        self,
        group: ClassicGroup,
        member: Member,
        member_id: str,
        request: JoinGroupRequest,
        protocols: list[Protocol],
        caller: Caller,
        now: Now,
        decision: Decision,
    ) -> None:
        """A static member came back, with a new member id. As long as it wants the same, the others need not know."""
        self._fence(group, member, decision)
        old_id, old_metadata = member.member_id, member.metadata(group.protocol)
        group.rename(member, member_id)
        if group.state is not State.STABLE:
            self._take_over(group, member, request, protocols, caller, now, decision)
            # In CompletingRebalance the leader may be deciding for the old id already: the new one would get nothing.
            self._rebalance.go_on(group, now, decision)
            return
        _update(group, member, request, protocols, caller)
        if group.select_protocol() == group.protocol and self._same_wishes(group, old_metadata, member.metadata(group.protocol)):
            self._swap(group, member, old_id, caller, now, decision)
        else:
            self._rebalance.wait_for_others(group, member, caller, now, decision)
            self._rebalance.go_on(group, now, decision)

    def _fence(self, group: ClassicGroup, member: Member, decision: Decision) -> None:
        """Whoever speaks for the member under its old id is told that another has taken its place."""
        self._rebalance.stop_session(group, member.member_id)
        joining, syncing = group.take_join(member), member.syncing
        member.syncing = None
        for parked in (joining, syncing):
            if parked is not None:
                decision.refuse(parked, ErrorCode.FENCED_INSTANCE_ID)

    def _swap(self, group: ClassicGroup, member: Member, old_id: str, caller: Caller, now: Now, decision: Decision) -> None:
        """Write the new member id down and let the member go on with the assignment it had.

        A leader that does not know of `skip_assignment` must not take itself for one, because nobody would wait for its
        assignments: it is told the old id as the leader's.
        """
        assignments = {each.member_id: each.assignment for each in group.members.values()}
        decision.write(group.group_id, group_key(group.group_id), group_value(group, assignments, now.wall_ms))
        self._rebalance.restart_session(group, member, now)
        leads = group.leader == member.member_id
        if leads and caller.version < 9:
            decision.reply(caller, replies.joined(group, member, leader=old_id))
        else:
            decision.reply(caller, replies.joined(group, member, skip_assignment=leads))

    def _same_wishes(self, group: ClassicGroup, old: bytes, new: bytes) -> bool:
        """Whether two metadata ask for the same; a consumer's also says what it owns, which a new process cannot know."""
        if old == new:
            return True
        topics = subscribed_topics(old) if group.uses_consumer_protocol else None
        return topics is not None and topics == subscribed_topics(new)

    # ---- SyncGroup

    def sync(self, group: ClassicGroup, request: SyncGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        error_code = self._sync_error(group, request, caller.version)
        if error_code:
            decision.refuse(caller, error_code)
            return
        member = group.members[request.member_id]
        self._rebalance.has_synced(group, member.member_id)
        if group.state is State.STABLE:
            self._rebalance.restart_session(group, member, now)
            decision.reply(caller, replies.synced(group, member.assignment))
            return
        self._rebalance.wait_for_assignment(group, member, caller, decision)
        if group.leader == member.member_id:
            assignments = {given.member_id: bytes(given.assignment) for given in request.assignments}
            self._rebalance.finish(group, assignments, now, decision)

    def _sync_error(self, group: ClassicGroup, request: SyncGroupRequest, version: int) -> int:
        if version >= 5 and (request.protocol_type is None or request.protocol_name is None):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        error_code = member_error(group, request.member_id, request.group_instance_id)
        if error_code:
            return error_code
        if request.generation_id != group.generation:
            return ErrorCode.ILLEGAL_GENERATION
        if request.protocol_type is not None and request.protocol_type != group.protocol_type:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if request.protocol_name is not None and request.protocol_name != group.protocol:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.REBALANCE_IN_PROGRESS if group.state is State.PREPARING_REBALANCE else ErrorCode.NONE

    # ---- Heartbeat

    def heartbeat(self, group: ClassicGroup, request: HeartbeatRequest, caller: Caller, now: Now, decision: Decision) -> None:
        error_code = member_error(group, request.member_id, request.group_instance_id)
        if not error_code and request.generation_id != group.generation:
            error_code = ErrorCode.ILLEGAL_GENERATION
        if error_code:
            decision.refuse(caller, error_code)
            return
        member = group.members[request.member_id]
        self.heard_of(group, member, now)
        if group.state is State.PREPARING_REBALANCE:
            error_code = ErrorCode.REBALANCE_IN_PROGRESS
        decision.reply(caller, HeartbeatResponse(error_code=error_code))

    def heard_of(self, group: ClassicGroup, member: Member, now: Now) -> None:
        """The member lives. While one of its requests is parked no session runs, and none is started here."""
        if member.joining is None and member.syncing is None:
            self._rebalance.restart_session(group, member, now)

    # ---- LeaveGroup

    def leave(self, group: ClassicGroup, request: LeaveGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        before = len(group.members)
        outcomes = [(identity, self._leave_one(group, identity, decision)) for identity in leaving(request, caller.version)]
        decision.reply(caller, replies.left(caller.version, outcomes))
        if len(group.members) < before or group.state is State.PREPARING_REBALANCE:
            self._rebalance.go_on(group, now, decision)

    def _leave_one(self, group: ClassicGroup, identity: MemberIdentity, decision: Decision) -> int:
        if identity.member_id in group.pending_members:
            self._rebalance.stop_expecting(group, identity.member_id)
            return ErrorCode.NONE
        member_id = identity.member_id
        if member_id == UNKNOWN_MEMBER_ID and identity.group_instance_id is not None:  # an administrator names the instance only
            member_id = group.static_members.get(identity.group_instance_id, UNKNOWN_MEMBER_ID)
        error_code = member_error(group, member_id, identity.group_instance_id)
        if not error_code:
            self._rebalance.drop(group, group.members[member_id], decision)
        return error_code


def member_id_of(randomness: Randomness, prefix: str) -> str:
    """A member id that nobody has; it begins with something that people recognize."""
    digits = randomness.uuid().hex()
    return f"{prefix}-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def rebalance_timeout_of(request: JoinGroupRequest) -> int:
    """Version 0 has no rebalance timeout: there the session's serves for both."""
    return request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms


def _update(group: ClassicGroup, member: Member, request: JoinGroupRequest, protocols: list[Protocol], caller: Caller) -> None:
    group.offer(member, protocols)
    member.session_timeout_ms = request.session_timeout_ms
    member.rebalance_timeout_ms = rebalance_timeout_of(request)
    member.client_id = caller.client_id
    member.client_host = caller.client_host


def leaving(request: LeaveGroupRequest, version: int) -> list[MemberIdentity]:
    """Who wants to leave: before version 3 it is one."""
    if version >= 3:
        return list(request.members)
    return [MemberIdentity(member_id=request.member_id)]
