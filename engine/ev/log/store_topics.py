"""The topics of an open data directory: which partitions are open, and how a topic's directories come into being and go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ev.clock import Clock
from ev.disk import Disk, File
from ev.log.checkpoint import FIRST_FORMAT
from ev.log.commit import Committer
from ev.log.config import TopicConfig
from ev.log.layout import NAME_BYTES_MAX
from ev.log.partition import Partition, Services
from ev.log.recovery import create
from ev.log.segment import OpenFiles
from ev.randomness import Randomness
from ev.settings import Settings

logger = logging.getLogger("ev.log.store")

NODE_ID = 1
OPEN_FILES_MAX = 1000
REPORTS_MAX = 1000


@dataclass(slots=True)
class StoredTopic:
    """A topic whose partitions are open."""

    name: str
    id: bytes
    config: TopicConfig
    partitions: list[Partition]


class StoreTopics:
    """The state of an open data directory, as far as topics need it. `ev.log.store_upkeep` and `ev.log.store` build upon it."""

    def __init__(self, disk: Disk, directory: str, settings: Settings, clock: Clock, randomness: Randomness, lock: File) -> None:
        self.disk = disk
        self.directory = directory
        self.settings = settings
        self.clock = clock
        self.randomness = randomness
        self.topics: dict[str, StoredTopic] = {}
        self.reports: list[str] = []
        self.epoch = 0
        self.format = FIRST_FORMAT
        self.on_chores: Callable[[], None] | None = None  # told when there is a chore earlier than was said before
        self.cluster_id = ""
        self.node_id = NODE_ID
        self.directory_id = bytes(16)
        self.metadata: Partition
        self._lock = lock
        self._services = Services(disk, OpenFiles(disk, OPEN_FILES_MAX), self._report)
        self.committer = Committer(
            disk,
            None,
            synced=settings.ev_durability == "fsync",
            flush_interval_ms=settings.ev_checkpoint_interval_ms,
            flush_bytes_max=settings.ev_checkpoint_bytes,
        )
        self._services.committer = self.committer
        self._doomed: list[tuple[int, str]] = []  # (when, what) is to be unlinked
        self._renames_unsynced = False

    def _report(self, text: str) -> None:
        logger.warning("%s", text)
        if len(self.reports) < REPORTS_MAX:
            self.reports.append(text)

    def _told(self) -> None:
        if self.on_chores is not None:
            self.on_chores()

    def free_name(self, directory: str, suffix: str) -> str:
        """`directory` with Kafka's suffix for a special state, within the limit on names."""
        tail = f".{self.randomness.bytes(16).hex()}-{suffix}"
        parent, _, name = directory.rpartition("/")
        return f"{parent}/{name[: NAME_BYTES_MAX - len(tail)]}{tail}"

    def partitions(self) -> list[Partition]:
        """Every open partition, the metadata log's first."""
        return [self.metadata, *(partition for topic in self.topics.values() for partition in topic.partitions)]

    def partition(self, topic: str, index: int) -> Partition | None:
        stored = self.topics.get(topic)
        if stored is None or not 0 <= index < len(stored.partitions):
            return None
        return stored.partitions[index]

    def create_topic(self, name: str, topic_id: bytes, count: int, config: TopicConfig) -> None:
        """Make a new topic's directories. Its metadata record is on disk by now. Raises OSError, and then some may be there."""
        assert name not in self.topics, f"topic {name} is there already"
        topic = StoredTopic(name, topic_id, config, [])
        try:
            self._grow(topic, count)
        except OSError:
            self._discard(topic)
            raise
        self.topics[name] = topic

    def add_partitions(self, name: str, count: int) -> None:
        """Let a topic have `count` partitions."""
        self._grow(self.topics[name], count)

    def _grow(self, topic: StoredTopic, count: int) -> None:
        for index in range(len(topic.partitions), count):
            directory = f"{self.directory}/{topic.name}-{index}"
            if self.disk.exists(directory):
                aside = self.free_name(directory, "stray")
                self.disk.rename(directory, aside)
                self._report(f"{directory} belonged to no topic; it was renamed to {aside}")
            partition = create(self._services, topic.name, index, topic.id, directory, topic.config)
            partition.begin_epoch(self.epoch)
            topic.partitions.append(partition)

    def delete_topic(self, name: str) -> None:
        """Rename a topic's directories out of the way; they are unlinked later. Its deletion is on disk by now."""
        topic = self.topics.pop(name, None)
        if topic is not None:
            self._discard(topic)

    def _discard(self, topic: StoredTopic) -> None:
        when = self.clock.monotonic_ms() + (topic.config.file_delete_delay_ms if self._services.writable else 0)
        for partition in topic.partitions:
            partition.gone = True
            self._services.dirty.pop(partition, None)
            partition.close()
            aside = self.free_name(partition.directory, "delete")
            self.disk.rename(partition.directory, aside)
            self._doomed.append((when, aside))
        self._renames_unsynced = True
        self._told()
