"""How a group with members goes from one protocol to the other, and back (KIP-848).

    classic ──── a heartbeat of the new protocol joins ────> consumer
       ^                                                        │
       └── the last member that speaks the new protocol is gone ┘

Offsets and members stay. The group's epoch goes on where the generation was, and the other way round, so that no member takes an
old number for a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.coordinators.classic import ClassicGroup, Member
from ev.coordinators.consumer_group import ClassicMetadata, ConsumerGroup, ConsumerMember, Current, MemberState, with_epochs
from ev.coordinators.group_records import group_key, group_value, read_group_value
from ev.coordinators.subscriptions import CONSUMER_PROTOCOL_TYPE, assignment_value, read_assignment, read_subscription
from ev.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Collection

    from ev.coordinators.classic_rebalance import Rebalance
    from ev.coordinators.consumer_changes import Changes
    from ev.coordinators.decision import Decision, Now
    from ev.coordinators.offsets import Topics
    from ev.coordinators.server_assignors import Assignment
    from ev.settings import Settings
    from ev.wire.messages.consumer_protocol import AssignedTopicPartition, TopicPartition


STICKY: Final = "cooperative-sticky"
"""librdkafka's assignor of this name leaves its notes in an assignment, now and then. Kafka does not migrate a group then."""


class CannotMigrate(Exception):
    """The group stays what it is; the message says why."""


class Migration:
    def __init__(
        self, settings: Settings, topics: Topics, classics: dict[str, ClassicGroup], rebalance: Rebalance, changes: Changes
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._classics = classics
        self._rebalance = rebalance
        self._changes = changes

    # ---- to the new protocol

    def upgraded(self, classic: ClassicGroup, decision: Decision) -> ConsumerGroup:
        """The classic group as one of the new protocol, to be written down as that. Raises CannotMigrate."""
        self._check_upgrade(classic)
        group = self._as_consumer_group(classic)
        decision.write(classic.group_id, group_key(classic.group_id), None)
        decision.records += self._changes.records_of(group)
        return group

    def call_back(self, classic: ClassicGroup, group: ConsumerGroup, now: Now, decision: Decision) -> None:
        """It was: whoever waits in the classic group is told to join again, and gets its assignment from the broker then."""
        for member in classic.members.values():
            for parked in (classic.take_join(member), member.syncing):
                if parked is not None:
                    decision.refuse(parked, ErrorCode.REBALANCE_IN_PROGRESS)
            member.syncing = None
        self._changes.start_sessions(group, now)

    def _check_upgrade(self, classic: ClassicGroup) -> None:
        start = f"Cannot upgrade classic group {classic.group_id} to consumer group because"
        if self._settings.group_consumer_migration_policy not in ("bidirectional", "upgrade"):
            raise CannotMigrate(f"{start} online upgrade is disabled.")
        if not classic.uses_consumer_protocol:
            raise CannotMigrate(f"{start} the group does not use the consumer embedded protocol.")
        if len(classic.members) > self._settings.group_consumer_max_size:
            raise CannotMigrate(f"{start} the group size exceeds the consumer group maximum size.")

    def _as_consumer_group(self, classic: ClassicGroup) -> ConsumerGroup:
        """Everybody stands where the last assignment that was handed out has put them, rebalance or not."""
        group = ConsumerGroup(classic.group_id)
        group.epoch = group.target_epoch = classic.generation
        written = {} if classic.persisted is None else _assignments_in(classic.persisted)
        for member in classic.members.values():
            subscription = read_subscription(member.protocols[0].metadata)
            if subscription is None:
                raise CannotMigrate(_malformed(classic.group_id))
            assigned = self._assigned(classic, member.assignment or written.get(member.member_id, b""))
            group.put_member(
                ConsumerMember(
                    member.member_id,
                    member.group_instance_id,
                    subscription.rack_id,
                    member.client_id,
                    member.client_host,
                    tuple(sorted(set(subscription.topics))),
                    None,
                    member.rebalance_timeout_ms,
                    None,
                    ClassicMetadata(member.session_timeout_ms, tuple(member.protocols)),
                )
            )
            group.target[member.member_id] = assigned
            current = Current(classic.generation, classic.generation, MemberState.STABLE, assigned)
            group.put_current(member.member_id, with_epochs(current, {}))
        group.metadata_hash = self._changes.metadata(group, group.members).hash
        return group

    def _assigned(self, classic: ClassicGroup, value: bytes) -> Assignment:
        """What a classic assignment says. Raises CannotMigrate."""
        group_id = classic.group_id
        if not value:
            return {}  # it has joined, and not asked yet
        assignment = read_assignment(value)
        if assignment is None:
            raise CannotMigrate(_malformed(group_id))
        if assignment.user_data and classic.protocol != STICKY:
            raise CannotMigrate(
                f"Cannot upgrade classic group {group_id} to consumer group because an unsupported custom assignor is in use. "
                "Switch to one of the assignors that come with the client first."
            )
        return by_topic_id(self._topics, assignment.assigned_partitions)

    # ---- to the classic protocol

    def can_downgrade_without(self, group: ConsumerGroup, leaving: Collection[str]) -> bool:
        """Whether only members of the classic protocol are left when these are gone, and may be a group of their own."""
        left = len(group.members) - len(leaving)
        return left > 0 and group.all_are_classic_but(leaving) and self._may_downgrade(left)

    def can_downgrade_replacing(self, group: ConsumerGroup, replaced: ConsumerMember) -> bool:
        """The same when a classic member takes the place of this one."""
        alone = replaced.classic is None and group.all_are_classic_but([replaced.member_id])
        return alone and self._may_downgrade(len(group.members))

    def _may_downgrade(self, size: int) -> bool:
        allowed = self._settings.group_consumer_migration_policy in ("bidirectional", "downgrade")
        return allowed and size <= self._settings.group_max_size

    def downgrade(self, group: ConsumerGroup, leaving: Collection[str], now: Now, decision: Decision) -> None:
        """The group as a classic one, without those who leave. Its members share anew what there is."""
        self._changes.bury(group, decision)
        members = [(member, held_by(group, each)) for each, member in group.members.items() if each not in leaving]
        self._write_classic(group, members, now, decision, settled=False)

    def downgrade_with(
        self,
        group: ConsumerGroup,
        view: ConsumerGroup,
        replaced: ConsumerMember,
        joining: ConsumerMember,
        now: Now,
        decision: Decision,
    ) -> int:
        """The same when this classic member has taken the place of the last one that spoke the new protocol.

        `group` is what was before that, `view` how it is now. When nobody needs to get anything else than it has, all go on as they
        are. Returns the generation that the one who joins is told.
        """
        self._changes.bury(view, decision)
        settled = (replaced.subscribed, replaced.regex) == (joining.subscribed, None) and _is_settled(group, replaced.member_id)
        members = [
            (member if each != joining.member_id else joining, view.target.get(each, {}) if settled else held_by(view, each))
            for each, member in view.members.items()
        ]
        self._write_classic(group, members, now, decision, settled=settled)
        return group.epoch if settled else 0

    def _write_classic(
        self,
        group: ConsumerGroup,
        members: list[tuple[ConsumerMember, Assignment]],
        now: Now,
        decision: Decision,
        *,
        settled: bool,
    ) -> None:
        """The classic group in one record. One that nobody has led yet, a record without a leader, rebalances when it is replayed.

        Such a record says what the members have, not what they were to have: that is what they know of, and nobody else may get it
        before they give it up, also when the group changes its protocol again.
        """
        classic = self._classics[group.group_id] = ClassicGroup(group.group_id)
        classic.generation = group.epoch
        classic.protocol_type = CONSUMER_PROTOCOL_TYPE
        for member, _ in members:
            classic.add(_as_classic_member(member))
        classic.protocol = classic.select_protocol()
        if not settled:
            classic.leader = None
        assignments = {
            member.member_id: assignment_value(
                by_topic_name(self._topics, assigned), classic.members[member.member_id].metadata(classic.protocol)
            )
            for member, assigned in members
        }
        decision.write(group.group_id, group_key(group.group_id), group_value(classic, assignments, now.wall_ms))
        for each in classic.members.values():
            self._rebalance.restart_session(classic, each, now)


def held_by(group: ConsumerGroup, member_id: str) -> Assignment:
    """What the member has, or still has to give up."""
    current = group.current_of(member_id)
    topics = current.assigned.keys() | current.revoking.keys()
    return {each: current.assigned.get(each, frozenset()) | current.revoking.get(each, frozenset()) for each in topics}


def _is_settled(group: ConsumerGroup, replaced_id: str) -> bool:
    """Whether all others have what they are to have."""
    others = [group.current_of(each) for each in group.members if each != replaced_id]
    return group.target_epoch == group.epoch and all((each.epoch, each.state) == (group.epoch, MemberState.STABLE) for each in others)


def _as_classic_member(member: ConsumerMember) -> Member:
    assert member.classic is not None, "only members of the classic protocol are in a classic group"
    return Member(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.classic.session_timeout_ms,
        member.rebalance_timeout_ms,
        list(member.classic.protocols),
    )


def by_topic_id(topics: Topics, partitions: list[AssignedTopicPartition] | list[TopicPartition]) -> Assignment:
    """What consumers name by topic, for the topics that there are."""
    found: Assignment = {}
    for part in partitions:
        topic_id = topics.topic_id(part.topic)
        if topic_id is not None and part.partitions:
            found[topic_id] = found.get(topic_id, frozenset()) | frozenset(part.partitions)
    return found


def by_topic_name(topics: Topics, assignment: Assignment) -> dict[str, list[int]]:
    """The other way round."""
    named = {topics.topic_name(topic_id): sorted(indexes) for topic_id, indexes in assignment.items()}
    return {name: indexes for name, indexes in named.items() if name is not None}


def _assignments_in(record: bytes) -> dict[str, bytes]:
    """What the last generation that was written down has handed out, by member id."""
    return {member.member_id: bytes(member.assignment) for member in read_group_value(record).members}


def _malformed(group_id: str) -> str:
    return f"Cannot upgrade classic group {group_id} to consumer group because the embedded consumer protocol is malformed."
