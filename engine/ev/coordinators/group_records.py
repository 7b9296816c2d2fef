"""The records of __consumer_offsets, in Kafka's format.

    key    int16 record type, then the fields of that type, never in the flexible encoding
    value  int16 version, then the fields of that version; no value at all is a tombstone

    type 0, 1   a committed offset: group, topic, partition   ->   offset, leader epoch, metadata, timestamps, topic id
    type 2      a group: group                                ->   protocol, generation, leader, members with their assignments

Kafka 4.1 and later write offset commits in version 4, whose topic id tells commits on a deleted topic from those on its
successor of the same name; all versions are read. Types of the newer group protocols are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ev.coordinators.classic import Member, Protocol
from ev.errors import MalformedError
from ev.wire.codec import decode, encode
from ev.wire.messages.offsets_topic import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)

if TYPE_CHECKING:
    from ev.coordinators.classic import ClassicGroup

LEGACY_OFFSET_COMMIT: Final = 0
OFFSET_COMMIT: Final = 1
GROUP_METADATA: Final = 2
OFFSET_COMMIT_VERSION: Final = 4
OFFSET_COMMIT_VERSION_MAX: Final = 4
EXPIRING_OFFSET_COMMIT_VERSION: Final = 1
GROUP_METADATA_VERSION: Final = 3
GROUP_METADATA_VERSION_MAX: Final = 4
NO_TOPIC_ID: Final = bytes(16)


class OffsetKey(NamedTuple):
    group_id: str
    topic: str
    partition: int


class GroupKey(NamedTuple):
    group_id: str


class CommittedOffset(NamedTuple):
    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    #: Set by the oldest clients only, which chose a retention of their own; -1 otherwise.
    expire_timestamp_ms: int
    topic_id: bytes
    #: When it was written, compared with the others; not in the log, where the place of the record says it.
    order: int = 0


def read_key(key: bytes) -> OffsetKey | GroupKey | None:
    """What the record is about; None for a type that this coordinator has no use for."""
    kind = _int16(key)
    if kind in (LEGACY_OFFSET_COMMIT, OFFSET_COMMIT):
        offset, _ = decode(OffsetCommitKey, 0, key, 2)
        return OffsetKey(offset.group, offset.topic, offset.partition)
    if kind == GROUP_METADATA:
        group, _ = decode(GroupMetadataKey, 0, key, 2)
        return GroupKey(group.group)
    return None


def offset_key(group_id: str, topic: str, partition: int) -> bytes:
    return _prefixed(OFFSET_COMMIT, encode(OffsetCommitKey(group=group_id, topic=topic, partition=partition), 0))


def offset_value(committed: CommittedOffset) -> bytes:
    """Version 1 is the only one that can say when the offset expires; it is written for clients that chose that themselves."""
    expires = committed.expire_timestamp_ms >= 0
    value = OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=-1 if expires else committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.commit_timestamp_ms,
        expire_timestamp=committed.expire_timestamp_ms,
        topic_id=NO_TOPIC_ID if expires else committed.topic_id,
    )
    version = EXPIRING_OFFSET_COMMIT_VERSION if expires else OFFSET_COMMIT_VERSION
    return _prefixed(version, encode(value, version))


def read_offset_value(value: bytes) -> CommittedOffset:
    version = _version(value, OFFSET_COMMIT_VERSION_MAX)
    read, _ = decode(OffsetCommitValue, version, value, 2)
    return CommittedOffset(
        read.offset, read.leader_epoch, read.metadata, read.commit_timestamp, read.expire_timestamp, bytes(read.topic_id)
    )


def group_key(group_id: str) -> bytes:
    return _prefixed(GROUP_METADATA, encode(GroupMetadataKey(group=group_id), 0))


def is_group_key(key: bytes) -> bool:
    return _int16(key) == GROUP_METADATA


def group_value(group: ClassicGroup, assignments: dict[str, bytes], now_ms: int) -> bytes:
    """The group as it will be known after a restart."""
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation,
        protocol=group.protocol,
        leader=group.leader,
        current_state_timestamp=now_ms,
        members=[
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.metadata(group.protocol),
                assignment=assignments.get(member.member_id, b""),
            )
            for member in group.members.values()
        ],
    )
    return _prefixed(GROUP_METADATA_VERSION, encode(value, GROUP_METADATA_VERSION))


def read_group_value(value: bytes) -> GroupMetadataValue:
    version = _version(value, GROUP_METADATA_VERSION_MAX)
    read, _ = decode(GroupMetadataValue, version, value, 2)
    return read


def read_member(read: MemberMetadata, protocol: str | None) -> Member:
    """A member as the log knows it: of the protocols it supports, only the chosen one."""
    rebalance_timeout_ms = read.rebalance_timeout if read.rebalance_timeout >= 0 else read.session_timeout
    protocols = [Protocol(protocol or "", bytes(read.subscription))]
    return Member(
        read.member_id, read.group_instance_id, read.client_id, read.client_host, read.session_timeout, rebalance_timeout_ms, protocols
    )


def _prefixed(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + body


def _int16(buffer: bytes) -> int:
    if len(buffer) < 2:
        raise MalformedError(f"A record of a group is at least 2 bytes long, this one has {len(buffer)}")
    return int.from_bytes(buffer[:2], "big", signed=True)


def _version(value: bytes, newest: int) -> int:
    version = _int16(value)
    if not 0 <= version <= newest:
        raise MalformedError(f"A record of a group has version {version}; versions 0 to {newest} are known")
    return version
