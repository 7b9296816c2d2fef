"""The four requests of the classic protocol, from its members in a group of the new one: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

For such a member a JoinGroup is what a full heartbeat is for the others: it says what the member wants and has, and takes its next
step. It is answered at once, nobody waits for anybody. The SyncGroup after it tells what the member has now. Whenever there is a
step to take, its heartbeats are answered REBALANCE_IN_PROGRESS.

    session   the member was not heard of for its session timeout
    join      it was told to join again, and has not, for its rebalance timeout
    sync      it has joined and not asked for its assignment, for its rebalance timeout
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.coordinators.classic import Protocol
from ev.coordinators.classic_rebalance import Deadline
from ev.coordinators.classic_replies import join_refused, left
from ev.coordinators.classic_requests import leaving, member_id_of, rebalance_timeout_of
from ev.coordinators.consumer_changes import JOIN, SYNC
from ev.coordinators.consumer_group import ClassicMetadata, ConsumerMember, MemberState
from ev.coordinators.migration import by_topic_id, by_topic_name
from ev.coordinators.subscriptions import CONSUMER_PROTOCOL_TYPE, assignment_value, read_subscription
from ev.errors import ErrorCode
from ev.wire.messages.k11_join_group import JoinGroupResponse
from ev.wire.messages.k12_heartbeat import HeartbeatResponse
from ev.wire.messages.k14_sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from ev.coordinators.consumer_changes import Changes
    from ev.coordinators.consumer_group import ConsumerGroup
    from ev.coordinators.consumer_groups import ConsumerGroups
    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Caller, Decision, Now
    from ev.coordinators.migration import Migration
    from ev.coordinators.offsets import Topics
    from ev.randomness import Randomness
    from ev.settings import Settings
    from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription
    from ev.wire.messages.k11_join_group import JoinGroupRequest
    from ev.wire.messages.k12_heartbeat import HeartbeatRequest
    from ev.wire.messages.k13_leave_group import LeaveGroupRequest
    from ev.wire.messages.k14_sync_group import SyncGroupRequest


class ClassicMembers:
    def __init__(
        self,
        settings: Settings,
        randomness: Randomness,
        topics: Topics,
        consumers: ConsumerGroups,
        changes: Changes,
        migration: Migration,
        deadlines: Deadlines[Deadline],
    ) -> None:
        self._settings = settings
        self._randomness = randomness
        self._topics = topics
        self._consumers = consumers
        self._changes = changes
        self._migration = migration
        self._deadlines = deadlines

    # ---- JoinGroup

    def join(self, group: ConsumerGroup, request: JoinGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        member_id = request.member_id or member_id_of(self._randomness, request.group_instance_id or caller.client_id)
        protocols = [Protocol(offered.name, bytes(offered.metadata)) for offered in request.protocols]
        subscription = read_subscription(protocols[0].metadata) if protocols else None
        if member_id not in group.members and len(group.members) >= self._settings.group_consumer_max_size:
            decision.refuse(caller, ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif not group.supports(request.protocol_type, protocols) or subscription is None:
            decision.refuse(caller, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif not request.member_id and request.group_instance_id is None and caller.version >= 4:
            decision.reply(caller, join_refused(caller.version, ErrorCode.MEMBER_ID_REQUIRED, member_id))
        elif (
            request.member_id
            and request.group_instance_id is not None
            and (error_code := _identity_error(group, member_id, request.group_instance_id))
        ):
            decision.refuse(caller, error_code)
        elif member_id not in group.members and subscription.owned_partitions:
            # It was a member once, and does not know that others may have what it had: it has to let go of that first.
            decision.refuse(caller, ErrorCode.UNKNOWN_MEMBER_ID)
        else:
            self._join(group, request, member_id, protocols, subscription, caller, now, decision)

    def _join(
        self,
        group: ConsumerGroup,
        request: JoinGroupRequest,
        member_id: str,
        protocols: list[Protocol],
        subscription: ConsumerProtocolSubscription,
        caller: Caller,
        now: Now,
        decision: Decision,
    ) -> None:
        replaced = group.members.get(group.instances.get(request.group_instance_id or "", ""))
        view = group
        if replaced is not None and replaced.member_id != member_id:
            view = self._changes.replace(group, replaced, member_id, decision)
        before = view.members.get(member_id)
        member = ConsumerMember(
            member_id,
            request.group_instance_id if before is None or request.group_instance_id is not None else before.instance_id,
            subscription.rack_id if before is None or subscription.rack_id is not None else before.rack_id,
            caller.client_id,
            caller.client_host,
            tuple(sorted(set(subscription.topics))),
            None,
            rebalance_timeout_of(request),
            None if before is None else before.server_assignor,
            ClassicMetadata(request.session_timeout_ms, tuple(protocols)),
        )
        owned = by_topic_id(self._topics, subscription.owned_partitions)
        if replaced is not None and self._migration.can_downgrade_replacing(group, replaced):
            epoch = self._migration.downgrade_with(group, view, replaced, member, now, decision)
        else:
            epoch = self._changes.take_step(view, member, owned, now, decision).epoch
            self._deadlines.cancel(Deadline(JOIN, group.group_id, member_id))
            self._deadlines.set(Deadline(SYNC, group.group_id, member_id), now.monotonic_ms + member.rebalance_timeout_ms)
        response = JoinGroupResponse(
            generation_id=epoch,
            protocol_type=CONSUMER_PROTOCOL_TYPE,
            protocol_name=protocols[0].name,
            leader="",
            member_id=member_id,
            members=[],
        )
        decision.reply(caller, response)

    # ---- SyncGroup

    def sync(self, group: ConsumerGroup, request: SyncGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        error_code = self._sync_error(group, request, caller.version)
        if error_code:
            decision.refuse(caller, error_code)
            return
        member, current = group.members[request.member_id], group.current_of(request.member_id)
        if group.epoch > current.epoch and current.state is not MemberState.UNREVOKED_PARTITIONS:
            self._call_back(group, member, now)
            decision.refuse(caller, ErrorCode.REBALANCE_IN_PROGRESS)
            return
        self._deadlines.cancel(Deadline(SYNC, group.group_id, member.member_id))
        self._changes.restart_session(group.group_id, member, now)
        assert member.classic is not None, "members of the new protocol were refused"
        assigned = assignment_value(by_topic_name(self._topics, current.assigned), member.classic.protocols[0].metadata)
        decision.reply(
            caller, SyncGroupResponse(protocol_type=request.protocol_type, protocol_name=request.protocol_name, assignment=assigned)
        )

    def _sync_error(self, group: ConsumerGroup, request: SyncGroupRequest, version: int) -> int:
        if version >= 5 and (request.protocol_type is None or request.protocol_name is None):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        error_code = self._error_in_generation(group, request)
        if error_code:
            return error_code
        classic = group.members[request.member_id].classic
        assert classic is not None, "members of the new protocol were refused"
        same_type = request.protocol_type in (None, CONSUMER_PROTOCOL_TYPE)
        same_name = request.protocol_name in (None, classic.protocols[0].name)
        return ErrorCode.NONE if same_type and same_name else ErrorCode.INCONSISTENT_GROUP_PROTOCOL

    # ---- Heartbeat

    def heartbeat(self, group: ConsumerGroup, request: HeartbeatRequest, caller: Caller, now: Now, decision: Decision) -> None:
        error_code = self._error_in_generation(group, request)
        if error_code:
            decision.refuse(caller, error_code)
            return
        member = group.members[request.member_id]
        self._changes.restart_session(group.group_id, member, now)
        if self._has_a_step_to_take(group, member.member_id):
            self._call_back(group, member, now)
            error_code = ErrorCode.REBALANCE_IN_PROGRESS
        decision.reply(caller, HeartbeatResponse(error_code=error_code))

    def _has_a_step_to_take(self, group: ConsumerGroup, member_id: str) -> bool:
        """The group has gone on, the member has to let something go, or what it waited for is free."""
        current = group.current_of(member_id)
        if current.epoch < group.epoch or current.state is MemberState.UNREVOKED_PARTITIONS:
            return True
        return current.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member_id)

    def _call_back(self, group: ConsumerGroup, member: ConsumerMember, now: Now) -> None:
        """The member is told to join again: wait for that."""
        deadline = Deadline(JOIN, group.group_id, member.member_id)
        if deadline not in self._deadlines:
            self._deadlines.set(deadline, now.monotonic_ms + member.rebalance_timeout_ms)

    # ---- LeaveGroup

    def leave(self, group: ConsumerGroup, request: LeaveGroupRequest, caller: Caller, now: Now, decision: Decision) -> None:
        """Members of the new protocol may be removed so too: it is how administrators do it."""
        gone: list[str] = []
        outcomes = []
        for identity in leaving(request, caller.version):
            member_id = identity.member_id
            if not member_id and identity.group_instance_id is not None:  # an administrator names the instance only
                member_id = group.instances.get(identity.group_instance_id, "")
            error_code = _identity_error(group, member_id, identity.group_instance_id)
            outcomes.append((identity, error_code))
            if not error_code and member_id not in gone:
                gone.append(member_id)
        if gone:
            self._consumers.lose(group, gone, now, decision)
        decision.reply(caller, left(caller.version, outcomes))

    # ---- who is who

    def _error_in_generation(self, group: ConsumerGroup, request: SyncGroupRequest | HeartbeatRequest) -> int:
        """Why whoever says so is no classic member of the group in this generation; NONE if it is."""
        error_code = _identity_error(group, request.member_id, request.group_instance_id)
        if error_code:
            return error_code
        if group.members[request.member_id].classic is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        same = group.current_of(request.member_id).epoch == request.generation_id
        return ErrorCode.NONE if same else ErrorCode.ILLEGAL_GENERATION


def _identity_error(group: ConsumerGroup, member_id: str, instance_id: str | None) -> int:
    """Why somebody who says so is not this member of the group; NONE if it is."""
    if instance_id is not None:
        holder = group.instances.get(instance_id)
        if holder is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if holder == member_id else ErrorCode.FENCED_INSTANCE_ID
    return ErrorCode.NONE if member_id in group.members else ErrorCode.UNKNOWN_MEMBER_ID
