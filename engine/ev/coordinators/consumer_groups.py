"""Decides for groups of the new protocol: heartbeats, who leaves, who is late, what is described (KIP-848).

One heartbeat may do all of it: take a new subscription, raise the group's epoch, make a new target assignment, and bring the member
one step closer to it. What it decides is written as records and changes the group when they are replayed, as with every group.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.coordinators.classic_rebalance import Deadline
from ev.coordinators.consumer_group import (
    STATIC_LEAVE_EPOCH,
    ConsumerGroup,
    ConsumerMember,
    Current,
    MemberState,
    reconciled,
)
from ev.coordinators.consumer_group_records import (
    CURRENT,
    GROUP,
    MEMBER,
    TARGET,
    TARGET_MEMBER,
    ConsumerKey,
    current_value,
    encode_key,
    group_value,
    member_value,
    read_current,
    read_group,
    read_member,
    read_target,
    read_target_member,
    target_member_value,
    target_value,
)
from ev.coordinators.decision import Record
from ev.coordinators.patterns import Pattern, PatternError
from ev.coordinators.server_assignors import ASSIGNORS
from ev.errors import ErrorCode, MalformedError
from ev.wire.messages.k68_consumer_group_heartbeat import Assignment as SaidAssignment
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse, TopicPartitions
from ev.wire.messages.k69_consumer_group_describe import Assignment as DescribedAssignment
from ev.wire.messages.k69_consumer_group_describe import DescribedGroup
from ev.wire.messages.k69_consumer_group_describe import Member as DescribedMember
from ev.wire.messages.k69_consumer_group_describe import TopicPartitions as DescribedPartitions

if TYPE_CHECKING:
    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Caller, Decision, Now
    from ev.coordinators.group_config import GroupConfigs
    from ev.coordinators.offsets import Topics
    from ev.coordinators.server_assignors import Assignment
    from ev.randomness import Randomness
    from ev.settings import Settings
    from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

CONSUMER_TYPE: Final = "consumer"
LEAVE_EPOCH: Final = -1
DEFAULT_ASSIGNOR: Final = "uniform"
SESSION: Final = "consumer session"
REVOCATION: Final = "consumer revocation"
OWN_IDS_FROM: Final = 1


class Refused(Exception):
    """A heartbeat that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Metadata(NamedTuple):
    """The topics that a group reads, as they are now."""

    counts: dict[bytes, int]
    by_name: dict[str, bytes]
    hash: int


class ConsumerGroups:
    """All groups of the new protocol."""

    def __init__(
        self, settings: Settings, randomness: Randomness, topics: Topics, configs: GroupConfigs, deadlines: Deadlines[Deadline]
    ) -> None:
        self._settings = settings
        self._randomness = randomness
        self._topics = topics
        self._configs = configs
        self._deadlines = deadlines
        self._patterns: dict[str, Pattern] = {}
        self._identities: dict[tuple[str, str], tuple[str, str]] = {}  # who each member was at its last heartbeat, by group and member
        self.groups: dict[str, ConsumerGroup] = {}

    # ---- heartbeats

    def heartbeat(self, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision) -> Decision:
        """The group is not a classic one, or was just made to be none."""
        try:
            self._check(request, caller.version)
            group = self.groups.get(request.group_id)
            if group is None:
                if request.member_epoch != 0:
                    raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} not found.")
                group = ConsumerGroup(request.group_id)
            if request.member_epoch in (LEAVE_EPOCH, STATIC_LEAVE_EPOCH):
                return self._leave(group, request, caller, now, decision)
            return self._report(group, request, caller, now, decision)
        except Refused as refused:
            return decision.reply_with(caller, ConsumerGroupHeartbeatResponse(error_code=refused.code, error_message=refused.message))

    def _check(self, request: ConsumerGroupHeartbeatRequest, version: int) -> None:
        """What can be said without looking at the group (GroupMetadataManager.throwIfConsumerGroupHeartbeatRequestIsInvalid)."""
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
        if request.server_assignor is not None and request.server_assignor not in ASSIGNORS:
            text = f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: {', '.join(ASSIGNORS)}."
            raise Refused(ErrorCode.UNSUPPORTED_ASSIGNOR, text)
        if request.subscribed_topic_regex:
            self._pattern(request.subscribed_topic_regex)

    def _pattern(self, text: str) -> Pattern:
        known = self._patterns.get(text)
        if known is None:
            try:
                known = Pattern(text)
            except PatternError as problem:
                message = f"SubscribedTopicRegex `{text}` is not a valid regular expression: {problem}."
                raise Refused(ErrorCode.INVALID_REGULAR_EXPRESSION, message) from problem
            if len(self._patterns) >= 1000:
                self._patterns.clear()
            self._patterns[text] = known
        return known

    def _report(
        self, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision
    ) -> Decision:
        """A member joins, or says that it is alive, perhaps something new, and gets its next step."""
        owned = _said(request.topic_partitions)
        known, replaced = self._member(group, request, owned)
        member_id = known.member_id if known is not None else request.member_id or _text(self._randomness.uuid())
        if known is None and len(group.members) >= self._settings.group_consumer_max_size:
            text = f"The consumer group has reached its maximum capacity of {self._settings.group_consumer_max_size} members."
            raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, text)
        self._identities[group.group_id, member_id] = caller.identity
        view = self._replacing(group, replaced, member_id, decision) if replaced is not None else group
        before = view.members.get(member_id)
        member = _updated(before, member_id, request, caller)
        members = {**view.members, member_id: member}
        changed = member != before
        if changed:
            decision.write(group.group_id, encode_key(ConsumerKey(MEMBER, group.group_id, member_id)), member_value(member))
        epoch = self._epoch(view, members, before, member, decision)
        target = self._target(view, members, epoch, now, decision)
        current = reconciled(view, member_id, target.get(member_id, {}), epoch, owned)
        if current != view.current.get(member_id):
            decision.write(group.group_id, encode_key(ConsumerKey(CURRENT, group.group_id, member_id)), current_value(current))
        self._expect(group.group_id, member_id, member, current, now)
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
        return decision.reply_with(caller, response)

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
        if group.current_of(holder).epoch != STATIC_LEAVE_EPOCH:
            text = (
                f"Static member {member_id} with instance id {request.instance_id} cannot join the group because the instance id is "
                f"owned by {holder} member."
            )
            raise Refused(ErrorCode.UNRELEASED_INSTANCE_ID, text)
        return None, group.members[holder]

    def _replacing(self, group: ConsumerGroup, old: ConsumerMember, member_id: str, decision: Decision) -> ConsumerGroup:
        """The group with the static member under its new id: it keeps its place and its assignment, and nothing else changes."""
        current = group.current_of(old.member_id)._replace(epoch=0, previous_epoch=0)
        target = group.target.get(old.member_id, {})
        self._forget_member(group, old.member_id, decision)
        decision.write(
            group.group_id, encode_key(ConsumerKey(MEMBER, group.group_id, member_id)), member_value(old._replace(member_id=member_id))
        )
        decision.write(group.group_id, encode_key(ConsumerKey(TARGET_MEMBER, group.group_id, member_id)), target_member_value(target))
        decision.write(group.group_id, encode_key(ConsumerKey(CURRENT, group.group_id, member_id)), current_value(current))
        view = ConsumerGroup(group.group_id)
        view.epoch, view.metadata_hash, view.target_epoch = group.epoch, group.metadata_hash, group.target_epoch
        view.topics_seen = group.topics_seen
        for member in group.members.values():
            view.put_member(member)
        view.remove_member(old.member_id)
        view.put_member(old._replace(member_id=member_id))
        view.target = {each: part for each, part in group.target.items() if each != old.member_id} | {member_id: target}
        for each, have in group.current.items():
            if each != old.member_id:
                view.put_current(each, have)
        view.put_current(member_id, current)
        return view

    # ---- epochs and targets

    def _epoch(
        self,
        group: ConsumerGroup,
        members: dict[str, ConsumerMember],
        before: ConsumerMember | None,
        member: ConsumerMember,
        decision: Decision,
    ) -> int:
        """The group's epoch after this heartbeat: raised when a subscription or the topics have changed."""
        subscription_changed = before is None or (before.subscribed, before.regex) != (member.subscribed, member.regex)
        assignor_changed = before is not None and before.server_assignor != member.server_assignor
        up_to_date = group.topics_seen == self._topics.version or self._is_someone_unknown(group.group_id, members)
        if up_to_date and not (subscription_changed or assignor_changed):
            return group.epoch
        metadata = self._metadata(group, members)
        group.topics_seen = self._topics.version
        if not (subscription_changed or assignor_changed) and metadata.hash == group.metadata_hash:
            return group.epoch
        epoch = group.epoch + 1
        decision.write(group.group_id, encode_key(ConsumerKey(GROUP, group.group_id)), group_value(epoch, metadata.hash))
        return epoch

    def _target(
        self, group: ConsumerGroup, members: dict[str, ConsumerMember], epoch: int, now: Now, decision: Decision
    ) -> dict[str, Assignment]:
        """The target assignment, made anew when the group's epoch has gone on."""
        if epoch <= group.target_epoch:
            return group.target
        metadata = self._metadata(group, members)
        subscriptions = {
            member_id: frozenset(metadata.by_name[name] for name in self._subscribed_names(group, member)[0] if name in metadata.by_name)
            for member_id, member in members.items()
        }
        target = ASSIGNORS[assignor_of(members)](subscriptions, metadata.counts, group.target)
        for member_id, assignment in target.items():
            if group.target.get(member_id) != assignment:
                key = encode_key(ConsumerKey(TARGET_MEMBER, group.group_id, member_id))
                decision.write(group.group_id, key, target_member_value(assignment))
        decision.write(group.group_id, encode_key(ConsumerKey(TARGET, group.group_id)), target_value(epoch, now.wall_ms))
        return target

    def _subscribed_names(self, group: ConsumerGroup, member: ConsumerMember) -> tuple[set[str], set[str]]:
        """The topics that there are of those that the member subscribes to by name or by pattern, and those that it may not see."""
        names = {name for name in member.subscribed if self._topics.topic_id(name) is not None}
        hidden: set[str] = set()
        if member.regex:
            pattern = self._pattern(member.regex)
            matching = {name for name in self._topics.names() if pattern.matches(name)}
            if self._topics.guarded:
                hidden = {name for name in matching if not self._may_see(group, member.member_id, name)}
            names |= matching - hidden
        return names, hidden

    def _may_see(self, group: ConsumerGroup, member_id: str, name: str) -> bool:
        """Whether a member may know of the topic. One that is not heard of since the start keeps what it had."""
        identity = self._identities.get((group.group_id, member_id))
        if identity is None:
            return self._topics.topic_id(name) in group.target.get(member_id, {})
        return self._topics.may_see(identity, name)

    def _is_someone_unknown(self, group_id: str, members: dict[str, ConsumerMember]) -> bool:
        """Whether what a member may see is still to be learnt, after a start. It is, in a session timeout at most."""
        return self._topics.guarded and any(
            member.regex and (group_id, member_id) not in self._identities for member_id, member in members.items()
        )

    def _metadata(self, group: ConsumerGroup, members: dict[str, ConsumerMember]) -> Metadata:
        found = {member_id: self._subscribed_names(group, member) for member_id, member in members.items()}
        names = sorted({name for seen, _ in found.values() for name in seen})
        by_name = {name: topic_id for name in names if (topic_id := self._topics.topic_id(name)) is not None}
        counts = {topic_id: self._topics.partition_count(name) for name, topic_id in by_name.items()}
        digest = sha256()
        for name, topic_id in by_name.items():
            digest.update(f"{name} {topic_id.hex()} {counts[topic_id]}\n".encode())
        for member_id, (_, hidden) in sorted(found.items()):
            if hidden:
                digest.update(f"{member_id} does not see {' '.join(sorted(hidden))}\n".encode())
        return Metadata(counts, by_name, int.from_bytes(digest.digest()[:8], "big", signed=True))

    # ---- leaving

    def _leave(
        self, group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision
    ) -> Decision:
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
            self.remove(group, member_id, decision)
        return decision.reply_with(caller, ConsumerGroupHeartbeatResponse(member_id=member_id, member_epoch=request.member_epoch))

    def remove(self, group: ConsumerGroup, member_id: str, decision: Decision) -> None:
        """The member is no longer in the group: the others get what it had."""
        self._forget_member(group, member_id, decision)
        rest = {each: member for each, member in group.members.items() if each != member_id}
        key = encode_key(ConsumerKey(GROUP, group.group_id))
        decision.write(group.group_id, key, group_value(group.epoch + 1, self._metadata(group, rest).hash))

    def _forget_member(self, group: ConsumerGroup, member_id: str, decision: Decision) -> None:
        for kind in (CURRENT, TARGET_MEMBER, MEMBER):
            decision.write(group.group_id, encode_key(ConsumerKey(kind, group.group_id, member_id)), None)
        for deadline in (SESSION, REVOCATION):
            self._deadlines.cancel(Deadline(deadline, group.group_id, member_id))

    def bury(self, group: ConsumerGroup, decision: Decision) -> None:
        """Tombstones for all that the log says of an empty group but its offsets."""
        for kind in (TARGET, GROUP):
            decision.write(group.group_id, encode_key(ConsumerKey(kind, group.group_id)), None)

    # ---- time

    def _expect(self, group_id: str, member_id: str, member: ConsumerMember, current: Current, now: Now) -> None:
        """The next heartbeat, and while the member has something to give up, that it does so in its time."""
        session_ms = self._configs.session_timeout_ms(group_id)
        self._deadlines.set(Deadline(SESSION, group_id, member_id), now.monotonic_ms + session_ms)
        revocation = Deadline(REVOCATION, group_id, member_id)
        if current.state is not MemberState.UNREVOKED_PARTITIONS:
            self._deadlines.cancel(revocation)
        elif revocation not in self._deadlines:
            self._deadlines.set(revocation, now.monotonic_ms + member.rebalance_timeout_ms)

    def late(self, due: Deadline, decision: Decision) -> None:
        """A member was silent for too long, or did not give up its partitions."""
        group = self.groups.get(due.group_id)
        if group is not None and due.member_id in group.members:
            self.remove(group, due.member_id, decision)

    def loaded(self, now: Now) -> None:
        """The log has been replayed: sessions begin anew."""
        for group in self.groups.values():
            for member_id, member in group.members.items():
                self._expect(group.group_id, member_id, member, group.current_of(member_id), now)

    def refused(self) -> None:
        """The log did not take what was decided: forget what was noted on the way to it."""
        for group in self.groups.values():
            group.topics_seen = -1
        members = {(group.group_id, member_id) for group in self.groups.values() for member_id in group.members}
        self._identities = {place: identity for place, identity in self._identities.items() if place in members}

    # ---- offsets

    def commit_error(self, group: ConsumerGroup, member_id: str, epoch: int, version: int, *, in_transaction: bool = False) -> int:
        """Why this caller may not commit for the group; NONE when it may."""
        if epoch < 0 and not group.members:
            return ErrorCode.NONE  # simple consumers and administrators
        if in_transaction and epoch < 0 and not member_id:
            return ErrorCode.NONE
        error_code = self.member_error(group, member_id, epoch)
        if error_code == ErrorCode.STALE_MEMBER_EPOCH and in_transaction:
            return ErrorCode.ILLEGAL_GENERATION
        if not error_code and not in_transaction and version < 9:
            return ErrorCode.UNSUPPORTED_VERSION
        return error_code

    @staticmethod
    def member_error(group: ConsumerGroup, member_id: str, epoch: int) -> int:
        if member_id not in group.members:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if epoch == group.current_of(member_id).epoch else ErrorCode.STALE_MEMBER_EPOCH

    # ---- questions

    def describe(self, group: ConsumerGroup) -> DescribedGroup:
        return DescribedGroup(
            group_id=group.group_id,
            group_state=group.state_name,
            group_epoch=group.epoch,
            assignment_epoch=group.target_epoch,
            assignor_name=assignor_of(group.members),
            members=[
                DescribedMember(
                    member_id=member.member_id,
                    instance_id=member.instance_id,
                    rack_id=member.rack_id,
                    member_epoch=group.current_of(member.member_id).epoch,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    subscribed_topic_names=list(member.subscribed),
                    subscribed_topic_regex=member.regex,
                    assignment=self._described(group.current_of(member.member_id).assigned),
                    target_assignment=self._described(group.target.get(member.member_id, {})),
                    member_type=1,
                )
                for member in group.members.values()
            ],
        )

    def _described(self, assignment: Assignment) -> DescribedAssignment:
        return DescribedAssignment(
            [
                DescribedPartitions(topic_id, self._topics.topic_name(topic_id) or "", sorted(indexes))
                for topic_id, indexes in sorted(assignment.items())
            ]
        )

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
                    group.remove_member(about.member_id)
                    self._identities.pop((about.group_id, about.member_id), None)
                else:
                    self._put_member(group, read_member(about.member_id, value))
            case 6:
                group.target_epoch = 0 if value is None else read_target(value)
            case 7:
                if value is None:
                    group.target.pop(about.member_id, None)
                else:
                    group.target[about.member_id] = read_target_member(value)
            case _:
                group.put_current(about.member_id, None if value is None else read_current(value))

    def _put_member(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        if member.regex and member.regex not in group.patterns:
            try:
                group.patterns[member.regex] = self._pattern(member.regex)
            except Refused as problem:
                raise MalformedError(problem.message) from problem
        group.put_member(member)

    def records_of(self, group: ConsumerGroup) -> list[Record]:
        """Everything that the log must say of a group but its offsets."""
        name = group.group_id
        found = [(ConsumerKey(MEMBER, name, each), member_value(member)) for each, member in group.members.items()]
        found.append((ConsumerKey(GROUP, name), group_value(group.epoch, group.metadata_hash)))
        found += [(ConsumerKey(TARGET_MEMBER, name, each), target_member_value(part)) for each, part in group.target.items()]
        found.append((ConsumerKey(TARGET, name), target_value(group.target_epoch, 0)))
        found += [(ConsumerKey(CURRENT, name, each), current_value(current)) for each, current in group.current.items()]
        return [Record(name, encode_key(key), value) for key, value in found]


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


def assignor_of(members: dict[str, ConsumerMember]) -> str:
    """The assignor that most members ask for."""
    votes: dict[str, int] = {}
    for member in members.values():
        if member.server_assignor is not None:
            votes[member.server_assignor] = votes.get(member.server_assignor, 0) + 1
    return max(sorted(votes), key=lambda name: votes[name], default=DEFAULT_ASSIGNOR)


def _text(value: bytes) -> str:
    """A UUID as Kafka writes it."""
    return urlsafe_b64encode(value).decode().rstrip("=")


def _said(parts: list[TopicPartitions] | None) -> Assignment | None:
    return None if parts is None else {bytes(part.topic_id): frozenset(part.partitions) for part in parts}
