"""Decides for groups of the new protocol: heartbeats, who leaves, who is late, who may commit (KIP-848).

One heartbeat may do all of it: take a new subscription, raise the group's epoch, make a new target assignment, and bring the member
one step closer to it. What it decides is written as records and changes the group when they are replayed, as with every group.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from ev.coordinators.classic_rebalance import Deadline
from ev.coordinators.consumer_changes import REVOCATION, assignors_of
from ev.coordinators.consumer_group import STATIC_LEAVE_EPOCH, ConsumerGroup, ConsumerMember, MemberState
from ev.coordinators.consumer_group_records import (
    CURRENT,
    ConsumerKey,
    current_value,
    encode_key,
    read_current,
    read_group,
    read_member,
    read_pattern,
    read_target,
    read_target_member,
)
from ev.coordinators.patterns import PatternError
from ev.errors import ErrorCode, MalformedError
from ev.wire.messages.k68_consumer_group_heartbeat import Assignment as SaidAssignment
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse, TopicPartitions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ev.coordinators.consumer_changes import Changes
    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Caller, Decision, Now
    from ev.coordinators.group_config import GroupConfigs
    from ev.coordinators.migration import Migration
    from ev.coordinators.server_assignors import Assignment, Place
    from ev.randomness import Randomness
    from ev.settings import Settings
    from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

CONSUMER_TYPE: Final = "consumer"
LEAVE_EPOCH: Final = -1
FIRST_EPOCH: Final = 1
"""Of a group that nobody is in yet; the first member raises it."""
OWN_IDS_FROM: Final = 1
MEMBER_EPOCHS_FROM: Final = 9
"""The version of OffsetCommit that knows of members of the new protocol."""


class Refused(Exception):
    """A heartbeat that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConsumerGroups:
    """All groups of the new protocol."""

    def __init__(
        self,
        settings: Settings,
        randomness: Randomness,
        configs: GroupConfigs,
        changes: Changes,
        migration: Migration,
        deadlines: Deadlines[Deadline],
    ) -> None:
        self._settings = settings
        self._randomness = randomness
        self._configs = configs
        self._changes = changes
        self._migration = migration
        self._deadlines = deadlines
        self.groups: dict[str, ConsumerGroup] = {}

    # ---- heartbeats

    def heartbeat(
        self, group: ConsumerGroup | None, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision
    ) -> None:
        """The request was found to be in order. Raises Refused."""
        if group is None:
            if request.member_epoch != 0:
                raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} not found.")
            group = ConsumerGroup(request.group_id)
            group.epoch = FIRST_EPOCH
        if request.member_epoch in (LEAVE_EPOCH, STATIC_LEAVE_EPOCH):
            self._leave(group, request, caller, now, decision)
        else:
            self._report(group, request, caller, now, decision)

    def check(self, request: ConsumerGroupHeartbeatRequest, version: int) -> None:
        """What can be said without looking at the group (GroupMetadataManager.throwIfConsumerGroupHeartbeatRequestIsInvalid).

        Raises Refused.
        """
        invalid = ErrorCode.INVALID_REQUEST
        if not request.group_id.strip():
            raise Refused(invalid, "GroupId can't be empty.")
        if request.instance_id is not None and not request.instance_id.strip():
            raise Refused(invalid, "InstanceId can't be empty.")
        if request.rack_id is not None and not request.rack_id.strip():
            raise Refused(invalid, "RackId can't be empty.")
        if not request.member_id and (request.member_epoch != 0 or version >= OWN_IDS_FROM):
            raise Refused(invalid, "MemberId can't be empty.")
        if request.member_epoch == 0:
            if request.rebalance_timeout_ms == -1:
                raise Refused(invalid, "RebalanceTimeoutMs must be provided in first request.")
            if request.topic_partitions is None or request.topic_partitions:
                raise Refused(invalid, "TopicPartitions must be empty when (re-)joining.")
            if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
                raise Refused(invalid, "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
        elif request.member_epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
            raise Refused(invalid, "InstanceId can't be null.")
        elif request.member_epoch < STATIC_LEAVE_EPOCH:
            raise Refused(invalid, f"MemberEpoch is {request.member_epoch}; it is not less than {STATIC_LEAVE_EPOCH}.")
        assignors = assignors_of(self._settings)
        if request.server_assignor is not None and request.server_assignor not in assignors:
            text = f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: {', '.join(assignors)}."
            raise Refused(ErrorCode.UNSUPPORTED_ASSIGNOR, text)
        if request.subscribed_topic_regex:
            try:
                self._changes.pattern(request.subscribed_topic_regex)
            except PatternError as problem:
                message = f"SubscribedTopicRegex `{request.subscribed_topic_regex}` is not a valid regular expression: {problem}."
                raise Refused(ErrorCode.INVALID_REGULAR_EXPRESSION, message) from problem

    def _report(self, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision) -> None:
        """A member joins, or says that it is alive, perhaps something new, and gets its next step."""
        owned = _said(request.topic_partitions)
        known, replaced = self._member(group, request, owned)
        member_id = known.member_id if known is not None else request.member_id or _text(self._randomness.uuid())
        if known is None and len(group.members) >= self._settings.group_consumer_max_size:
            text = f"The consumer group has reached its maximum capacity of {self._settings.group_consumer_max_size} members."
            raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, text)
        self._changes.identify(group.group_id, member_id, caller.identity)
        view = self._changes.replace(group, replaced, member_id, decision) if replaced is not None else group
        member = _updated(view.members.get(member_id), member_id, request, caller)
        current = self._changes.take_step(view, member, owned, now, decision)
        full = request.member_epoch == 0 or (
            request.rebalance_timeout_ms != -1
            and (request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None)
            and request.topic_partitions is not None
        )
        assignment = None
        if full or current.assigned != view.current_of(member_id).assigned:
            parts = [TopicPartitions(topic_id, sorted(indexes)) for topic_id, indexes in sorted(current.assigned.items())]
            assignment = SaidAssignment(parts)
        response = ConsumerGroupHeartbeatResponse(
            member_id=member_id,
            member_epoch=current.epoch,
            heartbeat_interval_ms=self._configs.heartbeat_interval_ms(group.group_id),
            assignment=assignment,
        )
        decision.reply(caller, response)

    def _member(
        self, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, owned: Assignment | None
    ) -> tuple[ConsumerMember | None, ConsumerMember | None]:
        """(the member that reports, the static member that it takes the place of). Raises Refused."""
        member_id, epoch = request.member_id, request.member_epoch
        if request.instance_id is None:
            member = group.members.get(member_id)
            if member is None and epoch != 0:
                raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")
            if member is not None and epoch != 0:
                _check_epoch(group, member_id, epoch, owned)
            return member, None
        holder = group.instances.get(request.instance_id)
        if holder is None:
            if epoch != 0:
                raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {request.instance_id} is unknown.")
            return group.members.get(member_id), None
        if holder == member_id:
            if epoch != 0:
                _check_epoch(group, member_id, epoch, owned)
            return group.members[member_id], None
        if epoch != 0:
            text = f"Static member {member_id} with instance id {request.instance_id} was fenced by member {holder}."
            raise Refused(ErrorCode.FENCED_INSTANCE_ID, text)
        if group.members[holder].classic is None and group.current_of(holder).epoch != STATIC_LEAVE_EPOCH:
            text = (
                f"Static member {member_id} with instance id {request.instance_id} cannot join the group because the instance id is "
                f"owned by {holder} member."
            )
            raise Refused(ErrorCode.UNRELEASED_INSTANCE_ID, text)
        return None, group.members[holder]

    # ---- leaving

    def _leave(self, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision) -> None:
        member_id = request.member_id
        if request.instance_id is not None:
            holder = group.instances.get(request.instance_id)
            if holder is None:
                raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {request.instance_id} is unknown.")
            if holder != member_id:
                text = f"Static member {member_id} with instance id {request.instance_id} was fenced by member {holder}."
                raise Refused(ErrorCode.FENCED_INSTANCE_ID, text)
        elif member_id not in group.members:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")
        if request.member_epoch == STATIC_LEAVE_EPOCH:
            current = group.current_of(member_id)._replace(epoch=STATIC_LEAVE_EPOCH, state=MemberState.STABLE, revoking={})
            decision.write(group.group_id, encode_key(ConsumerKey(CURRENT, group.group_id, member_id)), current_value(current))
            self._deadlines.cancel(Deadline(REVOCATION, group.group_id, member_id))
        else:
            self.lose(group, [member_id], now, decision)
        decision.reply(caller, ConsumerGroupHeartbeatResponse(member_id=member_id, member_epoch=request.member_epoch))

    def lose(self, group: ConsumerGroup, member_ids: Collection[str], now: Now, decision: Decision) -> None:
        """These are no longer in the group: the others get what they had, as a classic group if none of them needs another."""
        if self._migration.can_downgrade_without(group, member_ids):
            self._migration.downgrade(group, member_ids, now, decision)
        else:
            self._changes.remove(group, member_ids, decision)

    # ---- time

    def late(self, due: Deadline, now: Now, decision: Decision) -> None:
        """A member was silent for too long, or did not do in time what it was told."""
        group = self.groups.get(due.group_id)
        if group is not None and due.member_id in group.members:
            self.lose(group, [due.member_id], now, decision)

    def refused(self) -> None:
        """The log did not take what was decided: forget what was noted on the way to it."""
        for group in self.groups.values():
            group.topics_seen = -1
        self._changes.forget_strangers(self.groups)

    # ---- offsets

    def commit_error(
        self,
        group: ConsumerGroup,
        member_id: str,
        epoch: int,
        version: int,
        places: Callable[[], Iterable[Place]],
        *,
        in_transaction: bool = False,
    ) -> int:
        """Why this caller may not commit for the group; NONE when it may.

        A member that has not heard of its newest epoch yet commits for what it has had since the epoch that it knows.
        """
        if epoch < 0 and not group.members:
            return ErrorCode.NONE  # simple consumers and administrators
        if in_transaction and epoch < 0 and not member_id:
            return ErrorCode.NONE
        member = group.members.get(member_id)
        if member is not None and member.classic is None and not in_transaction and version < MEMBER_EPOCHS_FROM:
            return ErrorCode.UNSUPPORTED_VERSION
        error_code = self.member_error(group, member_id, epoch)
        if member is not None and 0 <= epoch < group.current_of(member_id).epoch:
            since = group.current_of(member_id).since
            if all(since.get(place, epoch + 1) <= epoch for place in places()):
                return ErrorCode.NONE
        return ErrorCode.ILLEGAL_GENERATION if error_code == ErrorCode.STALE_MEMBER_EPOCH and in_transaction else error_code

    @staticmethod
    def member_error(group: ConsumerGroup, member_id: str, epoch: int) -> int:
        member = group.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if epoch == group.current_of(member_id).epoch:
            return ErrorCode.NONE
        return ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION

    # ---- the log

    def replay(self, about: ConsumerKey, value: bytes | None) -> None:
        """One record. Raises MalformedError."""
        group = self.groups.get(about.group_id)
        if group is None:
            if value is None:
                return
            group = self.groups[about.group_id] = ConsumerGroup(about.group_id)
        match about.kind:
            case 3:
                if value is None:
                    del self.groups[about.group_id]
                else:
                    group.epoch, group.metadata_hash = read_group(value)
            case 5:
                if value is None:
                    group.remove_member(about.name)
                    self._changes.forget_identity(about.group_id, about.name)
                else:
                    self._put_member(group, read_member(about.name, value))
            case 6:
                group.target_epoch, group.target_timestamp_ms = (0, 0) if value is None else read_target(value)
            case 7:
                if value is None:
                    group.target.pop(about.name, None)
                else:
                    group.target[about.name] = read_target_member(value)
            case 16:
                if value is None:
                    group.resolved.pop(about.name, None)
                else:
                    group.resolved[about.name] = read_pattern(value)
            case _:
                group.put_current(about.name, None if value is None else read_current(value))

    def _put_member(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        if member.regex and member.regex not in group.patterns:
            try:
                group.patterns[member.regex] = self._changes.pattern(member.regex)
            except PatternError as problem:
                raise MalformedError(f"a member subscribes to `{member.regex}`: {problem}") from problem
        group.put_member(member)


def _check_epoch(group: ConsumerGroup, member_id: str, epoch: int, owned: Assignment | None) -> None:
    """The member's epoch must be ours, or the one before if it did not hear of the new one. Raises Refused FENCED_MEMBER_EPOCH."""
    current = group.current_of(member_id)
    if epoch == current.epoch:
        return
    within = owned is not None and all(indexes <= current.assigned.get(topic_id, frozenset()) for topic_id, indexes in owned.items())
    if epoch > current.epoch or epoch != current.previous_epoch or not within:
        text = f"Member {member_id} has epoch {epoch} and is known by epoch {current.epoch}: it must abandon all its partitions and rejoin."
        raise Refused(ErrorCode.FENCED_MEMBER_EPOCH, text)


def _updated(before: ConsumerMember | None, member_id: str, request: ConsumerGroupHeartbeatRequest, caller: Caller) -> ConsumerMember:
    """The member with what the request says; null says nothing."""
    known = before or ConsumerMember(member_id, None, None, "", "", (), None, -1, None)
    names, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    return ConsumerMember(
        member_id,
        known.instance_id if request.instance_id is None else request.instance_id,
        known.rack_id if request.rack_id is None else request.rack_id,
        caller.client_id,
        caller.client_host,
        known.subscribed if names is None else tuple(sorted(set(names))),
        known.regex if regex is None else regex or None,
        known.rebalance_timeout_ms if request.rebalance_timeout_ms == -1 else request.rebalance_timeout_ms,
        known.server_assignor if request.server_assignor is None else request.server_assignor,
    )


def _text(value: bytes) -> str:
    """A UUID as Kafka writes it."""
    return urlsafe_b64encode(value).decode().rstrip("=")


def _said(parts: list[TopicPartitions] | None) -> Assignment | None:
    return None if parts is None else {bytes(part.topic_id): frozenset(part.partitions) for part in parts}
