"""A partition's directory as it is found: whose it is, and what the checkpoints say about it. Nothing is changed here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ev.disk import Disk
from ev.errors import MalformedError
from ev.log.checkpoint import OWN_CHECKPOINT, PARTITION_METADATA, PartitionCheckpoint, parse_partition_metadata


@dataclass(slots=True)
class KafkaCheckpoints:
    """What Kafka's checkpoints in the data directory say, for partitions that have none of ev's own."""

    recovery_points: dict[tuple[str, int], int] = field(default_factory=dict)
    log_starts: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """A partition's directory as it was found."""

    directory: str
    names: list[str]
    topic_id: bytes | None  # None: it cannot be told whose it is
    checkpoint: PartitionCheckpoint | None
    metadata_is_sound: bool
    said: bytes | None = None  # the topic id in partition.metadata


def examine(disk: Disk, directory: str) -> Found:
    """Look at a partition's directory without changing anything.

    The topic's id is there twice. The one in ev's checkpoint has a checksum and wins: a flipped bit in Kafka's
    partition.metadata must not make a topic's data look like a stranger's. But a directory is also its topic's if only
    partition.metadata says so: a checkpoint that was under way when a topic was deleted may have reached the next one of that name.
    """
    names = disk.list(directory)
    checkpoint = None
    if OWN_CHECKPOINT in names:
        try:
            checkpoint = PartitionCheckpoint.parse(disk.read(f"{directory}/{OWN_CHECKPOINT}"))
        except MalformedError:
            checkpoint = None
    said = parse_partition_metadata(disk.read(f"{directory}/{PARTITION_METADATA}")) if PARTITION_METADATA in names else None
    topic_id = checkpoint.topic_id if checkpoint is not None else said
    return Found(directory, names, topic_id, checkpoint, said == topic_id, said)
