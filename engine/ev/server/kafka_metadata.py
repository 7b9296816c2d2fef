"""Reads what Apache Kafka's controller has written down (KRaft): topics, their sizes, what was set for them, producer ids, and who may
do what: ACLs, users with their SCRAM credentials, quotas.

It is in `__cluster_metadata-0`, in a log and in snapshots of it (`OFFSET-EPOCH.checkpoint`). Both are files of ordinary record
batches. The value of a record is framed:

    varint 1        the frame's version
    varint          which record it is
    varint          its version
    ...             its fields, in the flexible encoding; those that are read here have been the same in every version

Only records that an import needs are read, the rest is passed over (metadata/src/main/resources/common/metadata/*.json).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Final

from ev.broker.acls import Acl
from ev.broker.client_quotas import Entity, check_quota, entity_of
from ev.errors import EvError, KafkaError
from ev.log.scan import Scan
from ev.security.credentials import BY_NUMBER, Credential
from ev.wire.primitives import decode_uvarint
from ev.wire.records import CONTROL, LOG_OVERHEAD, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.disk import Disk

CLUSTER_METADATA: Final = "__cluster_metadata-0"
SNAPSHOT: Final = re.compile(r"(\d{20})-\d{10}\.checkpoint")
LOG: Final = re.compile(r"\d{20}\.log")

TOPIC: Final = 2
PARTITION: Final = 3
CONFIG: Final = 4
REMOVE_TOPIC: Final = 9
PRODUCER_IDS: Final = 15
ACL: Final = 18
REMOVE_ACL: Final = 19
SCRAM: Final = 11
REMOVE_SCRAM: Final = 22
QUOTA: Final = 14
BEGIN: Final = 23
END: Final = 24
ABORT: Final = 25
FLOAT_AND_BOOL: Final = Struct(">d?")
OF_TOPIC: Final = 2
"""The type of a resource that is a topic."""


@dataclass(slots=True)
class ClusterMetadata:
    """What the controller knew."""

    topic_ids: dict[str, bytes] = field(default_factory=dict)
    partitions: dict[bytes, set[int]] = field(default_factory=dict)  # by topic id
    configs: dict[str, dict[str, str]] = field(default_factory=dict)  # by topic
    acls: dict[bytes, Acl] = field(default_factory=dict)  # by the ids that the controller gave them
    users: dict[str, dict[str, Credential]] = field(default_factory=dict)  # by name, then by mechanism
    left_out: list[str] = field(default_factory=list)  # what this engine does not know, and why
    quotas: dict[Entity, dict[str, float]] = field(default_factory=dict)
    next_producer_id: int = 0  # no producer has this one or a higher one

    def partition_count(self, topic: str) -> int:
        """0 when the topic is not known."""
        return len(self.partitions.get(self.topic_ids.get(topic, b""), ()))


def read_cluster_metadata(disk: Disk, directory: str) -> ClusterMetadata | None:
    """What is in this data directory's log of the controller; None when it has none. Raises EvError when it cannot be read."""
    folder = f"{directory}/{CLUSTER_METADATA}"
    if not disk.is_directory(folder):
        return None
    names = disk.list(folder)
    snapshots = sorted(name for name in names if SNAPSHOT.fullmatch(name))
    metadata = ClusterMetadata()
    begin = 0
    if snapshots:
        begin = int(snapshots[-1][:20])
        for _, value in _values(disk, f"{folder}/{snapshots[-1]}"):
            _take(metadata, value)
    pending: list[bytes] | None = None  # what a transaction of the controller has written so far
    for name in sorted(name for name in names if LOG.fullmatch(name)):
        for offset, value in _values(disk, f"{folder}/{name}"):
            kind = _kind(value)
            if offset < begin:
                continue
            if kind == BEGIN:
                pending = []
            elif kind in (END, ABORT):
                for each in pending or () if kind == END else ():
                    _take(metadata, each)
                pending = None
            elif pending is not None:
                pending.append(value)
            else:
                _take(metadata, value)
    return metadata


def _values(disk: Disk, path: str) -> Iterator[tuple[int, bytes]]:
    """(offset, value) of every record in a file that is not the log's own."""
    file = disk.open(path, read_only=True)
    try:
        for position, fields in Scan(file.read_at, 0, file.size(), None, contiguous=False):
            if fields[5] & CONTROL:
                continue
            columns = decode_batch(file.read_at(fields[1] + LOG_OVERHEAD, position))
            for offset, value in zip(columns.offsets, columns.values, strict=True):
                if value:
                    yield offset, bytes(value)
    finally:
        file.release()


def _kind(value: bytes) -> int:
    return decode_uvarint(value, 1)[0]


def _take(metadata: ClusterMetadata, value: bytes) -> None:
    try:
        frame, position = decode_uvarint(value, 0)
        kind, position = decode_uvarint(value, position)
        _, position = decode_uvarint(value, position)
        if frame != 1:
            raise EvError(f"a record of {CLUSTER_METADATA} has frame version {frame}, 1 is understood")
        if kind == TOPIC:
            name, position = _text(value, position)
            metadata.topic_ids[name or ""] = value[position : position + 16]
        elif kind == PARTITION:
            number, topic_id = int.from_bytes(value[position : position + 4], "big"), value[position + 4 : position + 20]
            metadata.partitions.setdefault(topic_id, set()).add(number)
        elif kind == CONFIG:
            _take_config(metadata, value, position)
        elif kind == REMOVE_TOPIC:
            _remove(metadata, value[position : position + 16])
        elif kind == ACL:
            metadata.acls[value[position : position + 16]] = _acl(value, position + 16)
        elif kind == REMOVE_ACL:
            metadata.acls.pop(value[position : position + 16], None)
        elif kind == SCRAM:
            _take_credential(metadata, value, position)
        elif kind == REMOVE_SCRAM:
            name, position = _text(value, position)
            if value[position] in BY_NUMBER:
                metadata.users.get(name or "", {}).pop(BY_NUMBER[value[position]].name, None)
        elif kind == QUOTA:
            _take_quota(metadata, value, position)
        elif kind == PRODUCER_IDS:
            metadata.next_producer_id = int.from_bytes(value[position + 12 : position + 20], "big")
    except (IndexError, UnicodeDecodeError, StructError) as problem:
        raise EvError(f"a record of {CLUSTER_METADATA} does not parse: {problem}") from problem


def _take_config(metadata: ClusterMetadata, value: bytes, position: int) -> None:
    if value[position] != OF_TOPIC:
        return
    topic, position = _text(value, position + 1)
    name, position = _text(value, position)
    text, _ = _text(value, position)
    config = metadata.configs.setdefault(topic or "", {})
    if text is None:
        config.pop(name or "", None)
    else:
        config[name or ""] = text


def _acl(value: bytes, position: int) -> Acl:
    resource_type = value[position]
    name, position = _text(value, position + 1)
    pattern = value[position]
    principal, position = _text(value, position + 1)
    host, position = _text(value, position)
    return Acl(resource_type, name or "", pattern, principal or "", host or "", value[position], value[position + 1])


def _take_credential(metadata: ClusterMetadata, value: bytes, position: int) -> None:
    name, position = _text(value, position)
    number, position = value[position], position + 1
    salt, position = _bytes(value, position)
    stored_key, position = _bytes(value, position)
    server_key, position = _bytes(value, position)
    iterations = int.from_bytes(value[position : position + 4], "big")
    if number in BY_NUMBER:
        metadata.users.setdefault(name or "", {})[BY_NUMBER[number].name] = Credential(salt, stored_key, server_key, iterations)


def _take_quota(metadata: ClusterMetadata, value: bytes, position: int) -> None:
    count, position = decode_uvarint(value, position)
    parts: dict[str, str | None] = {}
    for _ in range(count - 1):
        kind, position = _text(value, position)
        parts[kind or ""], position = _text(value, position)
        _, position = decode_uvarint(value, position)  # no tagged fields
    key, position = _text(value, position)
    amount, removed = FLOAT_AND_BOOL.unpack_from(value, position)
    try:
        entity = entity_of(parts)
        check_quota(entity, key or "", amount if not removed else 1.0)
    except KafkaError as problem:
        metadata.left_out.append(f"a quota of {parts} is left out: {problem.message}")
        return
    quotas = metadata.quotas.setdefault(entity, {})
    if removed:
        quotas.pop(key or "", None)
    else:
        quotas[key or ""] = amount


def _remove(metadata: ClusterMetadata, topic_id: bytes) -> None:
    metadata.partitions.pop(topic_id, None)
    for name in [name for name, each in metadata.topic_ids.items() if each == topic_id]:
        del metadata.topic_ids[name]
        metadata.configs.pop(name, None)


def _bytes(value: bytes, position: int) -> tuple[bytes, int]:
    size, position = decode_uvarint(value, position)
    end = position + size - 1
    return value[position:end], end


def _text(value: bytes, position: int) -> tuple[str | None, int]:
    size, position = decode_uvarint(value, position)
    if not size:
        return None, position
    end = position + size - 1
    return value[position:end].decode(), end
