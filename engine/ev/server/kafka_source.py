"""What is in the data directories of an Apache Kafka that was stopped. Nothing in them is ever changed.

A topic's id is in the `partition.metadata` of each of its partitions, its size and what was set for it in the controller's log. Where
that log is somewhere else, on a controller of its own, the folders say how many partitions there are, and nothing is known to be set.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ev.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from ev.errors import EvError, KafkaError
from ev.log.checkpoint import (
    HIGH_WATERMARKS,
    LOG_STARTS,
    META_PROPERTIES,
    PARTITION_METADATA,
    RECOVERY_POINTS,
    STATE,
    parse_offsets,
    parse_partition_metadata,
)
from ev.log.layout import LOCK, PARTITION_NAME
from ev.server.kafka_metadata import CLUSTER_METADATA, ClusterMetadata, read_cluster_metadata

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ev.broker.acls import Acl
    from ev.broker.client_quotas import Entity
    from ev.disk import Disk
    from ev.security.credentials import Credential

COORDINATORS: Final = (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)
NOT_SERVED: Final = frozenset({"__share_group_state", "__remote_log_metadata"})


class RefusedError(EvError):
    """It cannot be imported; the message says why and what to do."""


@dataclass(slots=True)
class SourceTopic:
    """A topic as Kafka has it."""

    name: str
    id: bytes
    partition_count: int
    config: dict[str, str]
    folders: dict[int, str]  # by partition


@dataclass(slots=True)
class Source:
    """Everything that the directories hold."""

    topics: dict[str, SourceTopic] = field(default_factory=dict)
    coordinators: dict[tuple[str, int], str] = field(default_factory=dict)  # folders of Kafka's two internal topics
    recovery_points: dict[tuple[str, int], int] = field(default_factory=dict)
    log_starts: dict[tuple[str, int], int] = field(default_factory=dict)
    high_watermarks: dict[tuple[str, int], int] = field(default_factory=dict)
    users: dict[str, dict[str, Credential]] = field(default_factory=dict)
    quotas: dict[Entity, dict[str, float]] = field(default_factory=dict)
    next_producer_id: int = 0
    acls: list[Acl] = field(default_factory=list)  # none where only some topics are wanted
    has_metadata: bool = False
    remarks: list[str] = field(default_factory=list)

    def promised(self, topic: str, index: int) -> int:
        """Everything below this offset was once on Kafka's disk, or read by a consumer."""
        place = (topic, index)
        return max(self.recovery_points.get(place, 0), self.high_watermarks.get(place, 0))


def read_source(disk: Disk, directories: Sequence[str], wanted: Collection[str]) -> Source:
    """Look at the directories. `wanted`: only these topics; everything if none. Raises RefusedError, OSError."""
    source = Source()
    metadata = ClusterMetadata()
    folders: dict[str, dict[int, str]] = {}
    for directory in directories:
        _refuse_what_is_no_source(disk, directory)
        found = read_cluster_metadata(disk, directory)
        if found is not None:
            metadata, source.has_metadata = found, True
        for name, offsets in (
            (RECOVERY_POINTS, source.recovery_points),
            (LOG_STARTS, source.log_starts),
            (HIGH_WATERMARKS, source.high_watermarks),
        ):
            if disk.exists(f"{directory}/{name}"):
                offsets.update(parse_offsets(disk.read(f"{directory}/{name}")))
        for name in disk.list(directory):
            matched = PARTITION_NAME.fullmatch(name)
            if matched is None or name == CLUSTER_METADATA or not disk.is_directory(f"{directory}/{name}"):
                continue
            partitions = folders.setdefault(matched[1], {})
            if int(matched[2]) in partitions:
                raise RefusedError(f"{name} is in {directory} and in another of the directories: which one is it?")
            partitions[int(matched[2])] = f"{directory}/{name}"
    source.next_producer_id = metadata.next_producer_id
    if not wanted:
        source.users = {name: each for name, each in metadata.users.items() if each}
        source.quotas = {entity: each for entity, each in metadata.quotas.items() if each}
        source.remarks += metadata.left_out
        source.acls = [acl for acl in metadata.acls.values() if _is_known(acl, source.remarks)]
    for topic, partitions in folders.items():
        if topic in COORDINATORS:
            source.coordinators |= {(topic, index): folder for index, folder in partitions.items()}
        elif topic in NOT_SERVED:
            source.remarks.append(f"{topic} is left out: this engine has no use for it")
        elif not wanted or topic in wanted:
            source.topics[topic] = _topic(disk, topic, partitions, metadata)
    for name in wanted:
        if name not in source.topics:
            raise RefusedError(f"there is no topic {name!r} in {', '.join(directories)}")
    return source


def _refuse_what_is_no_source(disk: Disk, directory: str) -> None:
    if not disk.is_directory(directory):
        raise RefusedError(f"there is no directory {directory}")
    if disk.exists(f"{directory}/{STATE}"):
        raise RefusedError(f"{directory} is an ev data directory: `ev server backup` and `ev server restore` carry those")
    if not disk.exists(f"{directory}/{META_PROPERTIES}"):
        raise RefusedError(f"{directory} is no Kafka data directory: expected {META_PROPERTIES} in it; name what log.dirs says")
    if _is_locked(f"{directory}/{LOCK}"):
        raise RefusedError(f"a Kafka runs on {directory}: stop it first")


def _is_locked(path: str) -> bool:
    """Whether a Java process holds a lock of its kind on the file."""
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
    return False


def _is_known(acl: Acl, remarks: list[str]) -> bool:
    """Whether this engine knows such an ACL; otherwise a remark says which it is."""
    try:
        acl.check()
    except KafkaError as error:
        remarks.append(f"an ACL of {acl.principal} on {acl.name} is left out: {error.message}")
        return False
    return True


def _topic(disk: Disk, topic: str, folders: dict[int, str], metadata: ClusterMetadata) -> SourceTopic:
    ids = {metadata.topic_ids[topic]} if topic in metadata.topic_ids else set()
    for folder in folders.values():
        path = f"{folder}/{PARTITION_METADATA}"
        said = parse_partition_metadata(disk.read(path)) if disk.exists(path) else None
        if said is not None:
            ids.add(said)
    if len(ids) > 1:
        raise RefusedError(
            f"the folders of topic {topic} name {len(ids)} topic ids: Kafka has not finished deleting it, or they were mixed up"
        )
    if not ids:
        raise RefusedError(f"no folder of topic {topic} has a {PARTITION_METADATA} with its id: let Kafka 2.8 or later run on it once")
    count = max(metadata.partition_count(topic), max(folders) + 1)
    missing = sorted(set(range(count)) - set(folders))
    if missing:
        raise RefusedError(
            f"topic {topic} has {count} partitions, and {len(missing)} of them, {missing[0]} for one, are not here: name the other "
            "directories too, or the topics that are whole with --topic"
        )
    return SourceTopic(topic, ids.pop(), count, dict(metadata.configs.get(topic, {})), folders)
