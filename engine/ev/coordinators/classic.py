"""A group of the classic protocol: its members, its generation and what they have in common.

           first member joins                    everybody joined
    Empty ────────────────────> PreparingRebalance ────────────> CompletingRebalance
      ^                           ^   │      ^                          │
      │     last member is gone   │   │      │ a member joins, leaves   │ the leader's SyncGroup,
      └───────────────────────────┼───┘      │ or is late               │ written to the log
                                  │          └──────────────────────────┤
                                  └──────────────────────────────────── Stable

What is persisted, and therefore changes only when its record is replayed: that the group exists, its generation when it
became Stable or Empty, the protocol, the members and their assignments at that moment. A rebalance in flight is soft: who has
joined, the generation that is being formed, who waits for a reply. A restart, and a write that the log refuses, lose the soft
part and nothing else; the members then join again, as they do when a coordinator moves.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ev.coordinators.subscriptions import CONSUMER_PROTOCOL_TYPE, subscribed_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ev.coordinators.decision import Caller


class State(StrEnum):
    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class Protocol(NamedTuple):
    """One assignor that a member can use, with what it tells the leader; opaque unless the protocol type is "consumer"."""

    name: str
    metadata: bytes


class Member:
    __slots__ = (
        "assignment",
        "client_host",
        "client_id",
        "group_instance_id",
        "is_new",
        "joining",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "syncing",
    )

    def __init__(
        self,
        member_id: str,
        group_instance_id: str | None,
        client_id: str,
        client_host: str,
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        protocols: list[Protocol],
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.protocols = protocols
        self.assignment = b""
        self.is_new = False  # its first JoinGroup has no reply yet
        self.joining: Caller | None = None
        self.syncing: Caller | None = None

    def metadata(self, protocol: str | None) -> bytes:
        return next((offered.metadata for offered in self.protocols if offered.name == protocol), b"")

    def is_as_written(self, written: Member, protocol: str | None) -> bool:
        """Whether a record of the group would say of this member what it says of that one."""
        return (
            self.group_instance_id == written.group_instance_id
            and self.client_id == written.client_id
            and self.client_host == written.client_host
            and self.session_timeout_ms == written.session_timeout_ms
            and self.rebalance_timeout_ms == written.rebalance_timeout_ms
            and any(offered.name == protocol for offered in self.protocols)
            and self.metadata(protocol) == written.metadata(protocol)
        )

    def vote(self, candidates: set[str]) -> str:
        """The protocol this member likes best among those that everybody supports."""
        return next(offered.name for offered in self.protocols if offered.name in candidates)


class ClassicGroup:
    __slots__ = (
        "generation",
        "group_id",
        "initial",
        "initial_remaining_ms",
        "joining_count",
        "leader",
        "members",
        "new_member_added",
        "pending_members",
        "pending_syncs",
        "persisted",
        "protocol",
        "protocol_type",
        "state",
        "state_timestamp_ms",
        "static_members",
        "subscribed",
        "support",
    )

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        #: The last GroupMetadata value in the log, to go back to; None when the log has none.
        self.persisted: bytes | None = None
        self.reset()

    def reset(self) -> None:
        """The state of a group of which the log knows nothing."""
        self.state = State.EMPTY
        self.state_timestamp_ms: int | None = None
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.pending_members: set[str] = set()  # were given a member id and have not joined with it yet
        self.pending_syncs: set[str] = set()  # know the new generation and have not asked for their assignment
        self.support: Counter[str] = Counter()  # how many members support each protocol
        self.joining_count = 0
        self.initial = False  # this rebalance began in Empty
        self.initial_remaining_ms = 0
        self.new_member_added = False
        self.subscribed: frozenset[str] | None = None

    # ---- questions

    @property
    def is_idle(self) -> bool:
        """Nobody is in the group or about to be."""
        return not self.members and not self.pending_members

    @property
    def uses_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    @property
    def everybody_joined(self) -> bool:
        return self.joining_count == len(self.members) and not self.pending_members

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def supports(self, protocol_type: str, protocols: Iterable[Protocol]) -> bool:
        """Whether someone with these protocols can be a member beside those who are."""
        if self.state is State.EMPTY:
            return bool(protocol_type) and any(True for _ in protocols)
        everybody = len(self.members)
        return self.protocol_type == protocol_type and any(self.support[offered.name] == everybody for offered in protocols)

    def select_protocol(self) -> str:
        """The protocol with the most votes; each member votes for the first of its own that all members support."""
        everybody = len(self.members)
        candidates = {name for name, count in self.support.items() if count == everybody}
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return votes.most_common(1)[0][0]

    def is_subscribed(self, topic: str) -> bool:
        """Whether a consumer in the group reads the topic; yes when a subscription cannot be read, to be safe."""
        if self.subscribed is not None:
            return topic in self.subscribed
        return self.uses_consumer_protocol and bool(self.members)

    def joined_members(self) -> Iterator[Member]:
        """Members who joined this rebalance, in the order in which they came to the group."""
        return (member for member in self.members.values() if member.joining is not None)

    # ---- what the log says

    def install(
        self,
        members: list[tuple[Member, bytes]],
        *,
        generation: int,
        protocol_type: str | None,
        protocol: str | None,
        leader: str | None,
        state_timestamp_ms: int | None,
    ) -> None:
        """Become what a record says. A member that is known to be just that stays, because it is known better than the log knows it."""
        self.generation = generation
        self.protocol_type = protocol_type
        self.protocol = protocol
        self.state = State.STABLE if members else State.EMPTY
        self.state_timestamp_ms = state_timestamp_ms
        named = {member.member_id for member, _ in members}
        for member in [gone for gone in self.members.values() if gone.member_id not in named]:
            self.remove(member)
        for member, assignment in members:
            known = self.members.get(member.member_id)
            if known is None or not known.is_as_written(member, protocol):
                if known is not None:
                    self.remove(known)
                self.add(member)
            self.members[member.member_id].assignment = assignment
        self.members = {member.member_id: self.members[member.member_id] for member, _ in members}
        self.leader = leader
        self.learn_subscriptions()

    # ---- soft changes

    def add(self, member: Member) -> None:
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member.member_id
        self._count(member.protocols, 1)

    def remove(self, member: Member) -> None:
        del self.members[member.member_id]
        if member.group_instance_id is not None and self.static_members.get(member.group_instance_id) == member.member_id:
            del self.static_members[member.group_instance_id]
        self._count(member.protocols, -1)
        self.pending_syncs.discard(member.member_id)
        if member.joining is not None:
            self.joining_count -= 1
        if self.leader == member.member_id:
            self.leader = next(iter(self.members), None)

    def rename(self, member: Member, member_id: str) -> None:
        """The static member is now known by a new member id; it keeps its place, its assignment and its leadership."""
        old_id = member.member_id
        member.member_id = member_id
        self.members = {entry.member_id: entry for entry in self.members.values()}
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member_id
        if old_id in self.pending_syncs:
            self.pending_syncs.remove(old_id)
            self.pending_syncs.add(member_id)
        if self.leader == old_id:
            self.leader = member_id

    def offer(self, member: Member, protocols: list[Protocol]) -> None:
        """Replace the protocols that the member supports."""
        self._count(member.protocols, -1)
        member.protocols = protocols
        self._count(protocols, 1)

    def park_join(self, member: Member, caller: Caller) -> Caller | None:
        """Keep the member's JoinGroup until the join phase is over; returns an earlier one that this one replaces."""
        earlier = member.joining
        if earlier is None:
            self.joining_count += 1
        member.joining = caller
        return earlier

    def take_join(self, member: Member) -> Caller | None:
        caller = member.joining
        if caller is not None:
            self.joining_count -= 1
            member.joining = None
            member.is_new = False
        return caller

    def elect_leader(self) -> bool:
        """Keep the leader if it joined, or take the first member who did; False when nobody did."""
        current = self.members.get(self.leader) if self.leader is not None else None
        if current is not None and current.joining is not None:
            return True
        first = next(self.joined_members(), None)
        if first is None:
            return False
        self.leader = first.member_id
        return True

    def next_generation(self) -> None:
        self.generation += 1
        self.pending_syncs.clear()
        self.protocol = self.select_protocol() if self.members else None
        self.learn_subscriptions()

    def learn_subscriptions(self) -> None:
        """Read the topics that the members subscribe to, if they are consumers and their metadata can be read."""
        if not self.uses_consumer_protocol:
            self.subscribed = None
            return
        topics: set[str] = set()
        for member in self.members.values():
            wanted = subscribed_topics(member.metadata(self.protocol))
            if wanted is None:
                self.subscribed = None
                return
            topics |= wanted
        self.subscribed = frozenset(topics)

    def _count(self, protocols: list[Protocol], change: int) -> None:
        for name in {offered.name for offered in protocols}:
            self.support[name] += change
            if not self.support[name]:
                del self.support[name]
