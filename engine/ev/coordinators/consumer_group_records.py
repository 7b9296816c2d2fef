"""The records of __consumer_offsets about groups of the new protocol, in Kafka's format.

    type 3   a group                     ->   its epoch, a hash of its topics' metadata
    type 5   a member                    ->   what it says of itself
    type 6   the target assignment       ->   the epoch that it was made for
    type 7   a member's part of that     ->   partitions
    type 8   what a member has           ->   epochs, state, partitions
    type 16  a pattern                   ->   the topics that it matched, when, and at which version of the topics

All keys begin with the group's name, then that of the member or the pattern. Type 4 (replaced by the hash) is not written, and
passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ev.coordinators.classic import Protocol
from ev.coordinators.consumer_group import ClassicMetadata, ConsumerMember, Current, MemberState, Resolved, with_epochs
from ev.errors import MalformedError
from ev.wire.codec import decode, encode
from ev.wire.messages.offsets_topic import (
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    CurrentTopicPartitions,
    TargetTopicPartition,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.coordinators.server_assignors import Assignment, Place

GROUP: Final = 3
MEMBER: Final = 5
TARGET: Final = 6
TARGET_MEMBER: Final = 7
CURRENT: Final = 8
PATTERN: Final = 16

KEYS: Final[dict[int, Any]] = {
    GROUP: ConsumerGroupMetadataKey,
    MEMBER: ConsumerGroupMemberMetadataKey,
    TARGET: ConsumerGroupTargetAssignmentMetadataKey,
    TARGET_MEMBER: ConsumerGroupTargetAssignmentMemberKey,
    CURRENT: ConsumerGroupCurrentMemberAssignmentKey,
    PATTERN: ConsumerGroupRegularExpressionKey,
}


class ConsumerKey(NamedTuple):
    """What a record is about."""

    kind: int
    group_id: str
    #: Of the member, or the pattern itself; empty when the record is about the group as a whole.
    name: str = ""


def encode_key(key: ConsumerKey) -> bytes:
    message = KEYS[key.kind](key.group_id) if key.kind in (GROUP, TARGET) else KEYS[key.kind](key.group_id, key.name)
    return key.kind.to_bytes(2, "big") + encode(message, 0)


def is_consumer_key(key: bytes) -> bool:
    return int.from_bytes(key[:2], "big") in KEYS


def read_consumer_key(key: bytes) -> ConsumerKey | None:
    """None for a record of another kind. Raises MalformedError."""
    kind = int.from_bytes(key[:2], "big")
    if len(key) < 2 or kind not in KEYS:
        return None
    read, _ = decode(KEYS[kind], 0, key, 2)
    if kind in (GROUP, TARGET):
        return ConsumerKey(kind, read.group_id)
    return ConsumerKey(kind, read.group_id, read.regular_expression if kind == PATTERN else read.member_id)


def group_value(epoch: int, metadata_hash: int) -> bytes:
    return _encoded(ConsumerGroupMetadataValue(epoch, metadata_hash))


def read_group(value: bytes) -> tuple[int, int]:
    """(epoch, metadata hash)."""
    read = _decoded(ConsumerGroupMetadataValue, value)
    return read.epoch, read.metadata_hash


def member_value(member: ConsumerMember) -> bytes:
    return _encoded(
        ConsumerGroupMemberMetadataValue(
            instance_id=member.instance_id,
            rack_id=member.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=list(member.subscribed),
            subscribed_topic_regex=member.regex or "",
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            server_assignor=member.server_assignor,
            classic_member_metadata=_classic_value(member.classic),
        )
    )


def _classic_value(classic: ClassicMetadata | None) -> ClassicMemberMetadata | None:
    if classic is None:
        return None
    offered = [ClassicProtocol(protocol.name, protocol.metadata) for protocol in classic.protocols]
    return ClassicMemberMetadata(classic.session_timeout_ms, offered)


def read_member(member_id: str, value: bytes) -> ConsumerMember:
    read = _decoded(ConsumerGroupMemberMetadataValue, value)
    return ConsumerMember(
        member_id,
        read.instance_id,
        read.rack_id,
        read.client_id,
        read.client_host,
        tuple(read.subscribed_topic_names),
        read.subscribed_topic_regex or None,
        read.rebalance_timeout_ms,
        read.server_assignor,
        _read_classic(read.classic_member_metadata),
    )


def _read_classic(read: ClassicMemberMetadata | None) -> ClassicMetadata | None:
    if read is None or not read.supported_protocols:
        return None
    offered = tuple(Protocol(protocol.name, bytes(protocol.metadata)) for protocol in read.supported_protocols)
    return ClassicMetadata(read.session_timeout_ms, offered)


def target_value(epoch: int, now_ms: int) -> bytes:
    return _encoded(ConsumerGroupTargetAssignmentMetadataValue(epoch, now_ms))


def read_target(value: bytes) -> tuple[int, int]:
    """(epoch, the wall clock's time at which the target was made)."""
    read = _decoded(ConsumerGroupTargetAssignmentMetadataValue, value)
    return read.assignment_epoch, read.assignment_timestamp


def target_member_value(assignment: Assignment) -> bytes:
    parts = [TargetTopicPartition(topic_id, sorted(indexes)) for topic_id, indexes in sorted(assignment.items())]
    return _encoded(ConsumerGroupTargetAssignmentMemberValue(parts))


def read_target_member(value: bytes) -> Assignment:
    return _assignment(_decoded(ConsumerGroupTargetAssignmentMemberValue, value).topic_partitions)


def current_value(current: Current) -> bytes:
    return _encoded(
        ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=current.epoch,
            previous_member_epoch=current.previous_epoch,
            state=int(current.state),
            assigned_partitions=_current_parts(current.assigned, current.since),
            partitions_pending_revocation=_current_parts(current.revoking, current.since),
        )
    )


def _current_parts(assignment: Assignment, since: dict[Place, int]) -> list[CurrentTopicPartitions]:
    return [
        CurrentTopicPartitions(topic_id, sorted(indexes), [since[topic_id, index] for index in sorted(indexes)])
        for topic_id, indexes in sorted(assignment.items())
    ]


def read_current(value: bytes) -> Current:
    read = _decoded(ConsumerGroupCurrentMemberAssignmentValue, value)
    try:
        state = MemberState(read.state)
    except ValueError:
        raise MalformedError(f"a member of a group has the unknown state {read.state}") from None
    parts = [*read.assigned_partitions, *read.partitions_pending_revocation]
    current = Current(
        read.member_epoch,
        read.previous_member_epoch,
        state,
        _assignment(read.assigned_partitions),
        _assignment(read.partitions_pending_revocation),
    )
    return with_epochs(current, {place: epoch for part in parts for place, epoch in _epochs(part)})


def _epochs(part: CurrentTopicPartitions) -> Iterator[tuple[Place, int]]:
    """None where the record was written before there were any."""
    if len(part.assignment_epochs or ()) == len(part.partitions):
        for index, epoch in zip(part.partitions, part.assignment_epochs or (), strict=True):
            yield (bytes(part.topic_id), index), epoch


def pattern_value(resolved: Resolved) -> bytes:
    return _encoded(ConsumerGroupRegularExpressionValue(sorted(resolved.topics), resolved.version, resolved.timestamp_ms))


def read_pattern(value: bytes) -> Resolved:
    read = _decoded(ConsumerGroupRegularExpressionValue, value)
    return Resolved(frozenset(read.topics), read.version, read.timestamp)


def _assignment(parts: list[Any]) -> Assignment:
    return {bytes(part.topic_id): frozenset(part.partitions) for part in parts}


def _encoded(message: Any) -> bytes:
    return b"\0\0" + encode(message, 0)


def _decoded(kind: Any, value: bytes) -> Any:
    version = int.from_bytes(value[:2], "big", signed=True) if len(value) >= 2 else -1
    if version:
        raise MalformedError(f"a record of a group has version {version}; version 0 is known")
    read, _ = decode(kind, 0, value, 2)
    return read
