"""A group of the new protocol (KIP-848): the broker assigns, members report and are told.

Three epochs say how far things are:

    group epoch        raised by every change of the members, their subscriptions or the topics
    assignment epoch   the group epoch that the target assignment was made for
    member epoch       the assignment epoch that the member has reached

A member reaches the target in steps, so that no partition has two owners: it first gives up what it must not keep (and says so),
and gets what it is to have when its former owner has given that up.

    Stable ──── the target takes something away ────> UnrevokedPartitions ──── it has reported that it let go ───┐
      ^  ^                                                                                                      │
      │  └── what it waited for became free ── UnreleasedPartitions <── what it is to get still has an owner ────┤
      └─────────────────────────────────────────────────────────────────────────────────────────────────────────┘

Members of the classic protocol may be in it too (KIP-848's migration): they take their steps with JoinGroup, are told them by
SyncGroup, and know their epoch as their generation.

Everything here is in the log, and changes when its record is replayed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.coordinators.classic import State
from ev.coordinators.subscriptions import CONSUMER_PROTOCOL_TYPE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ev.coordinators.classic import Protocol
    from ev.coordinators.patterns import Pattern
    from ev.coordinators.server_assignors import Assignment, Place

STATIC_LEAVE_EPOCH: Final = -2
"""The epoch of a static member that has left and may come back under the same instance id."""


class MemberState(IntEnum):
    """Kafka's numbers (MemberState.java)."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2


class ClassicMetadata(NamedTuple):
    """What a member that speaks the classic protocol has said in its JoinGroup and the new protocol has no place for."""

    session_timeout_ms: int
    protocols: tuple[Protocol, ...]


class ConsumerMember(NamedTuple):
    """What a member says of itself. Never changed: a change is a new one."""

    member_id: str
    instance_id: str | None
    rack_id: str | None
    client_id: str
    client_host: str
    subscribed: tuple[str, ...]
    regex: str | None
    rebalance_timeout_ms: int
    server_assignor: str | None
    #: None: it speaks the new protocol.
    classic: ClassicMetadata | None = None


class Current(NamedTuple):
    """What a member has now."""

    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Assignment = {}  # noqa: RUF012  # never changed in place
    revoking: Assignment = {}  # noqa: RUF012
    #: Of each of these partitions, the epoch in which the member got it: it may commit for it in any epoch since (KIP-1251).
    since: dict[Place, int] = {}  # noqa: RUF012


class Resolved(NamedTuple):
    """Which topics a pattern matched when it was last looked at."""

    topics: frozenset[str]
    version: int  # of the topics
    timestamp_ms: int


class ConsumerGroup:
    """Plain state; who decides is `ev.coordinators.consumer_groups`."""

    protocol_type: str | None = None  # these three are what a classic group has, and the expiry of offsets asks for
    state_timestamp_ms: int | None = None
    subscribed: frozenset[str] | None = None

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.metadata_hash = 0
        self.members: dict[str, ConsumerMember] = {}
        self.instances: dict[str, str] = {}  # member ids of static members
        self.current: dict[str, Current] = {}
        self.target_epoch = 0
        self.target_timestamp_ms = 0  # of the wall clock, when the target was made
        self.target: dict[str, Assignment] = {}
        self.owners: dict[Place, str] = {}  # who has, or still has to give up, each partition
        self.patterns: dict[str, Pattern] = {}
        self.resolved: dict[str, Resolved] = {}
        self.topics_seen = -1  # the version of the topics that the metadata hash was last compared with

    @property
    def state(self) -> State:
        """As far as the offsets' expiry goes: whether anybody is in the group."""
        return State.STABLE if self.members else State.EMPTY

    @property
    def state_name(self) -> str:
        """As ConsumerGroupDescribe and ListGroups say it."""
        if not self.members:
            return "Empty"
        if self.epoch > self.target_epoch:
            return "Assigning"
        if any(self.current_of(each).epoch != self.target_epoch or self.current_of(each).state for each in self.members):
            return "Reconciling"
        return "Stable"

    def current_of(self, member_id: str) -> Current:
        return self.current.get(member_id, Current())

    def classic_members(self) -> list[ConsumerMember]:
        return [member for member in self.members.values() if member.classic is not None]

    def all_are_classic_but(self, member_ids: Collection[str]) -> bool:
        """Whether those who stay when these leave all speak the classic protocol."""
        return all(member.classic is not None or member.member_id in member_ids for member in self.members.values())

    def supports(self, protocol_type: str, protocols: list[Protocol]) -> bool:
        """Whether somebody with these classic protocols can be a member beside the classic ones who are."""
        common = {offered.name for offered in protocols}
        for member in self.classic_members():
            assert member.classic is not None, "it is a classic member"
            common &= {offered.name for offered in member.classic.protocols}
        return protocol_type == CONSUMER_PROTOCOL_TYPE and bool(common)

    def waits_for_others(self, member_id: str) -> bool:
        """Whether a partition that the member is to get still has another owner."""
        has = self.current_of(member_id).assigned
        return any(
            self.owners.get((topic_id, index), member_id) != member_id
            for topic_id, indexes in self.target.get(member_id, {}).items()
            for index in indexes - has.get(topic_id, frozenset())
        )

    def is_subscribed(self, topic: str) -> bool:
        """Whether a member reads the topic."""
        return any(
            topic in member.subscribed or (member.regex is not None and self.patterns[member.regex].matches(topic))
            for member in self.members.values()
        )

    def copy(self) -> ConsumerGroup:
        """To look at how the group will be after a change."""
        view = ConsumerGroup(self.group_id)
        view.epoch, view.metadata_hash, view.topics_seen = self.epoch, self.metadata_hash, self.topics_seen
        view.members, view.instances, view.patterns = dict(self.members), dict(self.instances), self.patterns
        view.resolved = dict(self.resolved)
        view.current, view.owners = dict(self.current), dict(self.owners)
        view.target_epoch, view.target_timestamp_ms, view.target = self.target_epoch, self.target_timestamp_ms, dict(self.target)
        return view

    # What replay changes.

    def put_member(self, member: ConsumerMember) -> None:
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.instances[member.instance_id] = member.member_id

    def remove_member(self, member_id: str) -> None:
        member = self.members.pop(member_id, None)
        if member is not None and member.instance_id is not None and self.instances.get(member.instance_id) == member_id:
            del self.instances[member.instance_id]

    def put_current(self, member_id: str, current: Current | None) -> None:
        before = self.current.pop(member_id, None)
        if before is not None:
            for place in places_of(before):
                if self.owners.get(place) == member_id:
                    del self.owners[place]
        if current is not None:
            self.current[member_id] = current
            self.owners |= dict.fromkeys(places_of(current), member_id)


def places_of(current: Current) -> Iterator[Place]:
    """Every partition that the member has, or still has to give up."""
    for assignment in (current.assigned, current.revoking):
        for topic_id, indexes in assignment.items():
            for index in indexes:
                yield topic_id, index


def reconciled(
    group: ConsumerGroup, member_id: str, target: Assignment, target_epoch: int, owned: Assignment | None, wanted: Collection[bytes]
) -> Current:
    """The member's next step towards its target (CurrentAssignmentBuilder).

    `owned`: what it reports to have; None: it did not say. `wanted`: the ids of the topics that it subscribes to; it keeps nothing of
    any other, also when the target is from a time before it said so.
    """
    current = group.current_of(member_id)
    target = {topic_id: indexes for topic_id, indexes in target.items() if topic_id in wanted}
    match current.state:
        case MemberState.STABLE if current.epoch == target_epoch and current.assigned.keys() <= set(wanted):
            return current
        case MemberState.UNREVOKED_PARTITIONS if owned is None or _overlap(owned, current.revoking):
            return current  # it has not let go yet
        case MemberState.UNREVOKED_PARTITIONS:
            epoch = min(current.epoch + 1, target_epoch)
            previous = current.epoch if epoch != current.epoch else current.previous_epoch
            without = Current(epoch, previous, current.state, current.assigned, {}, current.since)
            return _next(group, member_id, without, target, target_epoch, owned)
        case _:
            return _next(group, member_id, current, target, target_epoch, owned)


def _next(
    group: ConsumerGroup, member_id: str, current: Current, target: Assignment, target_epoch: int, owned: Assignment | None
) -> Current:
    kept: Assignment = {}
    revoking: Assignment = {}
    gained: Assignment = {}
    waits = False
    for topic_id in current.assigned.keys() | target.keys():
        has, shall = current.assigned.get(topic_id, frozenset()), target.get(topic_id, frozenset())
        if has & shall:
            kept[topic_id] = has & shall
        if has - shall:
            revoking[topic_id] = has - shall
        free = frozenset(index for index in shall - has if group.owners.get((topic_id, index), member_id) == member_id)
        waits = waits or free != shall - has
        if free:
            gained[topic_id] = free
    if revoking and (owned is None or _overlap(owned, revoking)):
        return with_epochs(Current(current.epoch, current.previous_epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoking), current.since)
    assigned = {topic_id: kept.get(topic_id, frozenset()) | gained.get(topic_id, frozenset()) for topic_id in kept.keys() | gained.keys()}
    state = MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE
    previous = current.epoch if current.epoch != target_epoch else current.previous_epoch
    return with_epochs(Current(target_epoch, previous, state, assigned), current.since)


def with_epochs(current: Current, known: Mapping[Place, int]) -> Current:
    """With the epochs in which the member got its partitions: those that are not known it gets now."""
    return current._replace(since={place: known.get(place, current.epoch) for place in places_of(current)})


def _overlap(one: Assignment, other: Assignment) -> bool:
    return any(not indexes.isdisjoint(other.get(topic_id, frozenset())) for topic_id, indexes in one.items())
