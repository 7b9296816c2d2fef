"""Decides which member of a group reads which partition: range, roundrobin, sticky and cooperative-sticky, as Kafka's Java client does.

The coordinator elects one member leader; the leader runs one of these functions over what all members said of themselves and hands
the result back. Members of other clients take part, so names, bytes and results are Kafka's:

- range: topic by topic, the sorted members get consecutive partitions; the first ones get one more. Co-partitions topics.
- roundrobin: all partitions of all topics are dealt one by one to the sorted members.
- sticky: as even as roundrobin, but members keep what they had. They let go of everything before they join, as with the two above, and
  leave a note of what that was in their user data.
- cooperative-sticky: the same, but members own what they have while they join. A partition that changes its owner is first given to
  nobody: the old owner lets go of it, joins again, and the second round gives it to the new one. Nobody stops reading meanwhile.

Where all members subscribe to the same topics (the ordinary case) the sticky result is Kafka's own, partition for partition. With
different subscriptions it is the same idea in fewer words: keep, fill up, then move single partitions while a move evens out.
"""

from __future__ import annotations

from ev.errors import MalformedError
from ev.wire.codec import decode, encode
from ev.wire.messages.consumer_protocol import AssignedTopicPartition
from ev.wire.messages.consumer_protocol import ConsumerProtocolAssignment as WireAssignment
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription as WireSubscription
from ev.wire.messages.consumer_protocol import TopicPartition as OwnedTopicPartition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    from ev.wire.codec import Message
    from ev.wire.primitives import Buffer

    T = TypeVar("T", bound=Message)
    TopicPartition = tuple[str, int]
    Assign = Callable[[Mapping[str, int], Mapping[str, "Subscription"]], dict[str, list[TopicPartition]]]

PROTOCOL_VERSION = 3


class Subscription:
    """What a member tells the leader about itself."""

    __slots__ = ("generation", "instance_id", "owned", "rack", "topics", "user_data")

    def __init__(
        self,
        topics: Iterable[str],
        *,
        owned: Iterable[TopicPartition] = (),
        generation: int = -1,
        instance_id: str | None = None,
        rack: str | None = None,
        user_data: bytes | None = None,
    ) -> None:
        self.topics = list(topics)
        self.owned = list(owned)
        self.generation = generation
        self.instance_id = instance_id
        self.rack = rack
        self.user_data = user_data


class Assignor:
    """One strategy: its name in the group protocol, whether members keep reading while the group rebalances, whether they leave a note of
    what they had, and the function."""

    __slots__ = ("assign", "cooperative", "leaves_notes", "name")

    def __init__(self, name: str, assign: Assign, *, cooperative: bool = False, leaves_notes: bool = False) -> None:
        self.name = name
        self.assign = assign
        self.cooperative = cooperative
        self.leaves_notes = leaves_notes

    def notes(self, assigned: list[TopicPartition], generation: int) -> bytes | None:
        """The user data of a member that was last assigned these partitions, in that generation (-1: it never was)."""
        return encode_notes(assigned, generation) if self.leaves_notes and generation >= 0 else None

    def read_notes(self, members: Iterable[Subscription]) -> None:
        """As leader: take what the members had from their notes."""
        if self.leaves_notes:
            for member in members:
                member.owned, member.generation = decode_notes(member.user_data or b"")


# ---- the bytes that travel in JoinGroup and SyncGroup ----


def encode_subscription(subscription: Subscription) -> bytes:
    message = WireSubscription(
        topics=sorted(subscription.topics),
        user_data=subscription.user_data,
        owned_partitions=[OwnedTopicPartition(topic, indexes) for topic, indexes in by_topic(subscription.owned)],
        generation_id=subscription.generation,
        rack_id=subscription.rack,
    )
    return PROTOCOL_VERSION.to_bytes(2, "big") + encode(message, PROTOCOL_VERSION)


def decode_subscription(data: Buffer, instance_id: str | None = None) -> Subscription:
    message = decode_versioned(WireSubscription, data)
    return Subscription(
        message.topics,
        owned=[(item.topic, index) for item in message.owned_partitions for index in item.partitions],
        generation=message.generation_id,
        instance_id=instance_id,
        rack=message.rack_id,
        user_data=None if message.user_data is None else bytes(message.user_data),
    )


def encode_assignment(partitions: Iterable[TopicPartition], user_data: bytes | None = None) -> bytes:
    grouped = [AssignedTopicPartition(topic, indexes) for topic, indexes in by_topic(partitions)]
    message = WireAssignment(assigned_partitions=grouped, user_data=user_data)
    return PROTOCOL_VERSION.to_bytes(2, "big") + encode(message, PROTOCOL_VERSION)


def decode_assignment(data: Buffer) -> list[TopicPartition]:
    """The partitions of one member; no bytes at all mean none (a member that the leader had left out)."""
    if not data:
        return []
    message = decode_versioned(WireAssignment, data)
    return [(item.topic, index) for item in message.assigned_partitions for index in item.partitions]


def decode_versioned(cls: type[T], data: Buffer) -> T:
    """A message behind its version number. A newer version is read as the newest known: new fields come at the end, and are left unread."""
    if len(data) < 2:
        raise MalformedError(f"a consumer protocol message has at least 2 bytes, not {len(data)}")
    version = int.from_bytes(data[:2], "big", signed=True)
    if version < 0:
        raise MalformedError(f"consumer protocol version {version}, expected 0 or more")
    return decode(cls, min(version, PROTOCOL_VERSION), data, 2)[0]


def encode_notes(assigned: Iterable[TopicPartition], generation: int) -> bytes:
    """What a sticky member had, as Kafka's StickyAssignor writes it: an array of topics with arrays of partitions, and the generation."""
    grouped = by_topic(assigned)
    parts = [len(grouped).to_bytes(4, "big")]
    for topic, indexes in grouped:
        name = topic.encode()
        parts += [len(name).to_bytes(2, "big"), name, len(indexes).to_bytes(4, "big"), *(index.to_bytes(4, "big") for index in indexes)]
    parts.append(generation.to_bytes(4, "big", signed=True))
    return b"".join(parts)


def decode_notes(data: Buffer) -> tuple[list[TopicPartition], int]:
    """Partitions and generation. Whatever does not parse is no note: the member had nothing; the oldest notes have no generation."""
    at = 0

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(data):
            raise ValueError
        at += size
        return int.from_bytes(data[at - size : at], "big", signed=True)

    assigned: list[TopicPartition] = []
    try:
        for _ in range(number(4)):
            size = number(2)
            topic, at = bytes(data[at : at + size]).decode(), at + size
            assigned += [(topic, number(4)) for _ in range(number(4))]
        return assigned, number(4) if len(data) > at else -1
    except ValueError:
        return [], -1


def by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    """Partitions grouped by topic, topics in order, partitions in the order given."""
    groups: dict[str, list[int]] = {}
    for topic, index in partitions:
        groups.setdefault(topic, []).append(index)
    return sorted(groups.items())


# ---- range and roundrobin ----


def static_first(members: Mapping[str, Subscription]) -> list[str]:
    """Members in Kafka's order: static ones by instance id, then the others by member id."""

    def rank(member: str) -> tuple[bool, str]:
        instance_id = members[member].instance_id
        return (instance_id is None, member if instance_id is None else instance_id)

    return sorted(members, key=rank)


def assign_range(counts: Mapping[str, int], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    assignment: dict[str, list[TopicPartition]] = {member: [] for member in members}
    order = static_first(members)
    for topic in subscribed_topics(counts, members):
        readers = [member for member in order if topic in members[member].topics]
        share, extra = divmod(counts[topic], len(readers))
        start = 0
        for position, member in enumerate(readers):
            end = start + share + (position < extra)
            assignment[member] += [(topic, index) for index in range(start, end)]
            start = end
    return assignment


def assign_round_robin(counts: Mapping[str, int], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    assignment: dict[str, list[TopicPartition]] = {member: [] for member in members}
    order, turn = static_first(members), 0
    for topic in subscribed_topics(counts, members):
        for index in range(counts[topic]):
            while topic not in members[order[turn]].topics:
                turn = (turn + 1) % len(order)
            assignment[order[turn]].append((topic, index))
            turn = (turn + 1) % len(order)
    return assignment


def subscribed_topics(counts: Mapping[str, int], members: Mapping[str, Subscription]) -> list[str]:
    """The topics that exist and that somebody wants, sorted."""
    return sorted({topic for member in members.values() for topic in member.topics if topic in counts})


# ---- sticky and cooperative-sticky ----


def assign_cooperative_sticky(counts: Mapping[str, int], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    assignment = assign_sticky(counts, members)
    return without_transfers(assignment, members)


def without_transfers(assignment: dict[str, list[TopicPartition]], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    """The assignment less the partitions that somebody else still holds: they follow in the next round, when they are free."""
    revoked = {partition for member, given in assignment.items() for partition in set(members[member].owned).difference(given)}
    return {
        member: [partition for partition in given if partition not in revoked or partition in members[member].owned]
        for member, given in assignment.items()
    }


def assign_sticky(counts: Mapping[str, int], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    topics = subscribed_topics(counts, members)
    everything = [(topic, index) for topic in topics for index in range(counts[topic])]
    alike = len({frozenset(member.topics) for member in members.values()}) == 1
    kept = owned_by_newest(set(counts), members)
    if alike:
        return spread_evenly(everything, kept)
    return spread_by_subscription(everything, kept, members)


def owned_by_newest(topics: set[str], members: Mapping[str, Subscription]) -> dict[str, list[TopicPartition]]:
    """What each member owns, where of two that claim one partition the newer generation is believed, and of two equal ones neither."""
    owner: dict[TopicPartition, str] = {}
    disputed: set[TopicPartition] = set()
    for member in sorted(members):
        for partition in members[member].owned:
            if partition[0] not in topics:
                continue
            other = owner.get(partition)
            if other is None or members[member].generation > members[other].generation:
                owner[partition] = member
                disputed.discard(partition)
            elif other != member and members[member].generation == members[other].generation:
                disputed.add(partition)
    believed = {partition: member for partition, member in owner.items() if partition not in disputed}
    return {member: [p for p in dict.fromkeys(members[member].owned) if believed.get(p) == member] for member in sorted(members)}


def spread_evenly(everything: list[TopicPartition], kept: dict[str, list[TopicPartition]]) -> dict[str, list[TopicPartition]]:
    """Everyone may read everything: each gets the quota or one more, and keeps what it had as far as that goes."""
    exists = set(everything)
    quota, over_allowed = divmod(len(everything), len(kept))
    assignment: dict[str, list[TopicPartition]] = {}
    over = 0
    below: list[str] = []
    at_quota: list[str] = []
    for member, partitions in kept.items():
        owned = sorted((p for p in partitions if p in exists), key=lambda p: (p[1], p[0]))  # low partitions stay together across topics
        if len(owned) > quota and over < over_allowed:
            over += 1
            assignment[member] = owned[: quota + 1]
            continue
        assignment[member] = owned[:quota]
        (below if len(assignment[member]) < quota else at_quota).append(member)
    taken = {partition for partitions in assignment.values() for partition in partitions}
    free = iter([partition for partition in everything if partition not in taken])
    while below:  # one each, in turns, until all have the quota
        for member in below:
            assignment[member].append(next(free))
        at_quota += [member for member in below if len(assignment[member]) == quota]
        below = [member for member in below if len(assignment[member]) < quota]
    for member, partition in zip(at_quota, free, strict=False):  # and one more for as many as there are partitions left
        assignment[member].append(partition)
    return assignment


def spread_by_subscription(
    everything: list[TopicPartition], kept: dict[str, list[TopicPartition]], members: Mapping[str, Subscription]
) -> dict[str, list[TopicPartition]]:
    """Members want different topics: keep what is still wanted, give the rest to whoever has least, then move while a move evens out."""
    exists = set(everything)
    readers = {topic: sorted(m for m in members if topic in members[m].topics) for topic, _ in everything}
    assignment = {member: [p for p in partitions if p in exists and p[0] in members[member].topics] for member, partitions in kept.items()}
    owner = {partition: member for member, partitions in assignment.items() for partition in partitions}
    by_choice = sorted(everything, key=lambda partition: (len(readers[partition[0]]), partition))
    for partition in by_choice:
        if partition not in owner:
            member = min(readers[partition[0]], key=lambda m: (len(assignment[m]), m))
            assignment[member].append(partition)
            owner[partition] = member
    while move_one(by_choice, readers, assignment, owner, kept):
        pass
    return assignment


def move_one(
    candidates: list[TopicPartition],
    readers: dict[str, list[str]],
    assignment: dict[str, list[TopicPartition]],
    owner: dict[TopicPartition, str],
    kept: dict[str, list[TopicPartition]],
) -> bool:
    """Take one partition from a member that has at least two more than another reader of it; False when there is none.

    Each move lowers the sum of squares of the members' shares, so that the moves come to an end. Partitions that
    their holder did not own before go first: nobody has to let go of them.
    """
    new_first = sorted(candidates, key=lambda partition: partition in kept[owner[partition]])
    for partition in new_first:
        source = owner[partition]
        target = min(readers[partition[0]], key=lambda m: (len(assignment[m]), m))
        if len(assignment[source]) > len(assignment[target]) + 1:
            assignment[source].remove(partition)
            assignment[target].append(partition)
            owner[partition] = target
            return True
    return False


ASSIGNORS = {
    "range": Assignor("range", assign_range),
    "roundrobin": Assignor("roundrobin", assign_round_robin),
    "sticky": Assignor("sticky", assign_sticky, leaves_notes=True),
    "cooperative-sticky": Assignor("cooperative-sticky", assign_cooperative_sticky, cooperative=True),
}
