"""The data directory as a whole: who it is, which partitions it holds, and what is done to it in the background.

    .lock                   held for life by the engine that uses the directory
    meta.properties         Kafka's: cluster id, node id, directory id
    ev.state                the version of the directory's format and the newest leader epoch
    .kafka_cleanshutdown    Kafka's: there after a clean stop, and removed before anything else at the next start
    *-offset-checkpoint     Kafka's: recovery points, log starts and high watermarks of all partitions
    journal-0, journal-1    the commit journal
    .ev-reserve             16 MiB that are given back when the disk is full
    TOPIC-N/                a partition; TOPIC-N.<hex>-delete when its topic was deleted, TOPIC-N.<hex>-stray when the name
                            was needed and the directory belonged to nobody

A start takes these steps, and each is on disk before the next: the lock, the directory's version and identity, the clean
marker's removal, the metadata log. The broker replays that and says which topics there are; then every partition is
recovered, everything kept is synced, the journal begins anew, and a new leader epoch is noted. Only then is anything appended.

A partition's directory is served only if it names the topic's id. Whatever else lies in the data directory is reported and
left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from ev.clock import Clock
from ev.disk import Disk, File
from ev.errors import DiskError
from ev.log.checkpoint import (
    CLEAN_SHUTDOWN,
    CLEAN_SHUTDOWN_TEXT,
    CLEANER_OFFSETS,
    LOG_STARTS,
    META_PROPERTIES,
    RECOVERY_POINTS,
    STATE,
    Identity,
    State,
    parse_offsets,
    uuid_from_text,
    uuid_text,
)
from ev.log.chores import RESERVE, RESERVE_BYTES
from ev.log.config import TopicConfig
from ev.log.found import Found, KafkaCheckpoints, examine
from ev.log.journal import HALF_NAMES, Entry, Journal, read_entries
from ev.log.layout import DELETED_DIRECTORY, LOCK, METADATA_TOPIC, METADATA_TOPIC_ID, OWN_NAMES, PARTITION_NAME
from ev.log.partition import Partition
from ev.log.recovery import Recovery, create
from ev.log.store_topics import NODE_ID, OPEN_FILES_MAX, StoredTopic
from ev.log.store_upkeep import StoreUpkeep
from ev.log.upgrade import upgrade
from ev.randomness import Randomness
from ev.settings import Settings

logger = logging.getLogger(__name__)

METADATA_SEGMENT_BYTES = 16 << 20
JOURNAL_ALWAYS_BYTES = 16 << 20


class Store(StoreUpkeep):
    """An open data directory. Everything here is called on the loop, except what chores run."""

    def __init__(self, disk: Disk, directory: str, settings: Settings, clock: Clock, randomness: Randomness, lock: File) -> None:
        super().__init__(disk, directory, settings, clock, randomness, lock)
        self._kafka = KafkaCheckpoints()
        self._entries: dict[tuple[bytes, int], list[Entry]] = {}
        self._clean = False
        self._state_noted = False  # whether ev.state says of this run what it has to
        self._deleted: frozenset[bytes] = frozenset()
        self._epoch_max: int | None = None  # the newest leader epoch so far, where it is known

    # Opening

    @classmethod
    def open(
        cls, disk: Disk, directory: str, settings: Settings, clock: Clock, randomness: Randomness, *, open_files_max: int = OPEN_FILES_MAX
    ) -> Store:
        """Take the directory and recover its metadata log; `open_topics` has to follow. Raises DiskError, OSError."""
        lock = disk.lock(f"{directory}/{LOCK}")
        if lock is None:
            raise DiskError(f"the data directory {directory} is in use by another engine (process {_holder(disk, directory)})")
        store = cls(disk, directory, settings, clock, randomness, lock)
        store._services.files.limit = max(open_files_max, 1)
        try:
            store._begin()
        except (DiskError, OSError):
            lock.release()
            raise
        return store

    def _begin(self) -> None:
        self._read_state()
        self._read_identity()
        self._clean = self.disk.exists(f"{self.directory}/{CLEAN_SHUTDOWN}")
        if self._clean:
            self.disk.remove(f"{self.directory}/{CLEAN_SHUTDOWN}")
            self.disk.sync_directory(self.directory)
        else:
            self._make_room_to_recover()
            for entry in read_entries(self.disk, self.directory, self._report):
                self._entries.setdefault((entry.topic_id, entry.partition), []).append(entry)
        if not self.disk.exists(f"{self.directory}/{STATE}"):
            # Kafka's checkpoints go by names and may be newer or older than what they speak of: they count only where Kafka wrote last.
            self._kafka = KafkaCheckpoints(self._offsets(RECOVERY_POINTS), self._offsets(LOG_STARTS))
        config = TopicConfig(cleanup_policy=("compact",), retention_ms=-1, segment_bytes=METADATA_SEGMENT_BYTES, max_message_bytes=1 << 30)
        self.metadata = self._open_partition(METADATA_TOPIC, 0, METADATA_TOPIC_ID, config)

    def _make_room_to_recover(self) -> None:
        """What only the journal has needs room in the partitions' files: on a full disk the reserve is there for that."""
        path = f"{self.directory}/{RESERVE}"
        if self.disk.exists(path) and self.disk.free_bytes(self.directory)[0] < RESERVE_BYTES:
            self.disk.remove(path)
            self._report("the disk is full; the reserve was given up to recover in")

    def _read_state(self) -> None:
        path = f"{self.directory}/{STATE}"
        if not self.disk.exists(path):
            return
        state = State.parse(self.disk.read(path))
        if state is None:
            self._report(f"{STATE} is damaged; the leader epoch is taken from the partitions")
        else:
            state = upgrade(self.disk, self.directory, state)
            self.format = state.format
            self._epoch_max = state.epoch
            self.epoch = state.epoch + 1

    def _read_identity(self) -> None:
        path = f"{self.directory}/{META_PROPERTIES}"
        if not self.disk.exists(path):
            identity = Identity(uuid_text(self.randomness.uuid()), NODE_ID, uuid_text(self.randomness.uuid()))
            self.disk.replace(path, identity.encode())
        else:
            identity = Identity.parse(self.disk.read(path))
        self.cluster_id, self.node_id = identity.cluster_id, identity.node_id
        self.directory_id = uuid_from_text(identity.directory_id) or bytes(16)

    def _offsets(self, name: str) -> dict[tuple[str, int], int]:
        path = f"{self.directory}/{name}"
        return parse_offsets(self.disk.read(path)) if self.disk.exists(path) else {}

    def open_topics(self, topics: Mapping[str, tuple[bytes, int, TopicConfig]], deleted: Collection[bytes] = ()) -> None:
        """Recover every partition of these topics (id, partition count, configuration), then begin to accept appends.

        `deleted` are the ids of topics whose deletion is on record: what is left of them goes, everything else is kept.
        """
        self._deleted = frozenset(deleted)
        for name, (topic_id, count, config) in topics.items():
            partitions = [self._open_partition(name, index, topic_id, config) for index in range(count)]
            self.topics[name] = StoredTopic(name, topic_id, config, partitions)
        self._report_strays()
        if self._renames_unsynced:
            self.disk.sync_directory(self.directory)
            self._renames_unsynced = self._services.root_unsynced = False
        self._begin_epoch()
        self._begin_journal()
        self._entries.clear()
        self._doomed += [(0, path) for path in self._services.leftovers]
        self._services.leftovers.clear()
        self._reserve = self.disk.exists(f"{self.directory}/{RESERVE}")
        self._check_space()
        self._cleaner.begin(self._offsets(CLEANER_OFFSETS))

    def _begin_epoch(self) -> None:
        """A new leader epoch for everything, on disk before the first batch carries it."""
        everything = self.partitions()
        self.epoch = max(self.epoch, *(max(partition.leader_epoch, partition.epochs.latest) + 1 for partition in everything))
        self.disk.replace(f"{self.directory}/{STATE}", State(self.format, self.epoch).encode())
        self._state_noted = True
        for partition in everything:
            partition.begin_epoch(self.epoch)

    def require_format(self, number: int) -> None:
        """What is about to be written, or was found, is understood by engines of this format only. Raises OSError."""
        if number > self.format:
            if self._state_noted:
                self.disk.replace(f"{self.directory}/{STATE}", State(number, self.epoch).encode())
            self.format = number

    def _begin_journal(self) -> None:
        """Everything that the journal had is in the partitions now."""
        method = self.settings.ev_flush_method
        if method == "file" or not self.committer.synced:
            for name in HALF_NAMES:
                if self.disk.exists(f"{self.directory}/{name}"):
                    self.disk.remove(f"{self.directory}/{name}")
            self.disk.sync_directory(self.directory)
            return
        self.committer.journal = Journal.create(self.disk, self.directory, self.randomness.integer(1 << 62))
        if method == "journal":
            self.committer.journaled_bytes_max = JOURNAL_ALWAYS_BYTES

    def on_failure(self, end: Callable[[OSError], None]) -> None:
        """Call `end` when what was acknowledged cannot be brought to its file: no further reply may leave."""
        self._services.on_failure = end

    def _open_partition(self, topic: str, index: int, topic_id: bytes, config: TopicConfig) -> Partition:
        directory = f"{self.directory}/{topic}-{index}"
        entries = self._entries.get((topic_id, index), [])
        found = self._examined(directory, topic_id)
        if found is None:
            partition = create(self._services, topic, index, topic_id, directory, config)
            self._renames_unsynced = True
            if not entries:
                return partition
            found = examine(self.disk, directory)
        recovery = Recovery(
            self._services, topic, index, topic_id, config, found, self._kafka, entries, self._epoch_max, self.clock.wall_ms()
        )
        return recovery.run()

    def _examined(self, directory: str, topic_id: bytes) -> Found | None:
        """The directory, if it is there and this topic's; what is there in its place is moved aside."""
        if not self.disk.exists(directory):
            return None
        found = examine(self.disk, directory) if self.disk.is_directory(directory) else None
        if found is not None and found.said == topic_id != found.topic_id:
            found.topic_id, found.checkpoint, found.metadata_is_sound = topic_id, None, True
        if found is not None and (found.topic_id == topic_id or not any(name.endswith(".log") for name in found.names)):
            found.metadata_is_sound = found.metadata_is_sound and found.topic_id == topic_id
            if found.topic_id != topic_id:
                found.checkpoint = None
            return found
        if found is not None and found.topic_id in self._deleted:
            self._finish_deletion(directory)
            return None
        aside = self.free_name(directory, "stray")
        self.disk.rename(directory, aside)
        self._renames_unsynced = True
        self._report(f"{directory} belongs to another topic; it was renamed to {aside} and is not served")
        return None

    def _finish_deletion(self, directory: str) -> None:
        """Its topic was deleted, and the engine ended before the directory was renamed away."""
        aside = self.free_name(directory, "delete")
        self.disk.rename(directory, aside)
        self._renames_unsynced = True
        self._doomed.append((0, aside))
        logger.info("%s is what was left of a deleted topic", directory)

    def _report_strays(self) -> None:
        known = {partition.name for partition in self.partitions()}
        for name in self.disk.list(self.directory):
            if DELETED_DIRECTORY.fullmatch(name):
                self._doomed.append((0, f"{self.directory}/{name}"))
            elif name not in known and name not in OWN_NAMES and PARTITION_NAME.fullmatch(name):
                path = f"{self.directory}/{name}"
                if self._deleted and self.disk.is_directory(path) and examine(self.disk, path).topic_id in self._deleted:
                    self._finish_deletion(path)
                    continue
                self._report(f"{self.directory}/{name} belongs to no topic; it is kept and not served")

    # Closing

    def close(self, clean: bool = True) -> None:
        """Sync everything, note it, mark the directory clean; or, not `clean`, just let go. Raises OSError."""
        if clean and self.settle():
            works = []
            for partition in self.partitions():
                if not partition.untouched:
                    partition.finish()
                    work = partition.checkpoint()
                    if work is not None:
                        works.append(work)
            for work in works:
                work.run()
                work.partition.checkpointed(work)
            for name, data in self._totals().items():
                self.disk.replace(f"{self.directory}/{name}", data)
            self.committer.close()
            self.disk.replace(f"{self.directory}/{CLEAN_SHUTDOWN}", CLEAN_SHUTDOWN_TEXT)
        elif self.committer.journal is not None:
            for half in self.committer.journal.halves:
                half.file.release()
        for partition in self.partitions():
            partition.close()
        for _, file in self._nameless:
            file.release()
        self._lock.release()

    def settle(self) -> bool:
        """Bring every append to the partitions' own files; False when something is still under way elsewhere."""
        committer, now_ms = self.committer, self.clock.monotonic_ms()
        while committer.dirty and not committer.running:
            taken = committer.take(now_ms)
            if taken is not None:
                taken.run()
                committer.done(taken)
        if committer.running or committer.flushing:
            return False
        while (flush := committer.take_flush(now_ms, at_once=True)) is not None:
            flush.run()
            committer.flush_done(flush)
        return not self._checkpointing


def _holder(disk: Disk, directory: str) -> str:
    """The process id in the lock file."""
    try:
        return disk.read(f"{directory}/{LOCK}").decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"
