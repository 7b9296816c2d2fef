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
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ev.clock import Clock
from ev.disk import Disk, File
from ev.errors import DiskError
from ev.log.checkpoint import (
    CLEAN_SHUTDOWN,
    CLEAN_SHUTDOWN_TEXT,
    CLEANER_OFFSETS,
    FORMAT,
    HIGH_WATERMARKS,
    LOG_STARTS,
    META_PROPERTIES,
    RECOVERY_POINTS,
    STATE,
    Identity,
    State,
    encode_offsets,
    parse_offsets,
    uuid_from_text,
    uuid_text,
)
from ev.log.chores import RESERVE, RESERVE_BYTES, Chore, MakeReserve, SyncDirectory, Unlink, WriteCheckpoints
from ev.log.cleaner import Cleaner, Cleaning
from ev.log.commit import Committer
from ev.log.config import TopicConfig
from ev.log.journal import HALF_NAMES, Entry, Journal, read_entries
from ev.log.partition import Partition, Services
from ev.log.recovery import Found, KafkaCheckpoints, Recovery, create, examine
from ev.log.segment import DELETED, SUFFIXES, OpenFiles, Segment
from ev.randomness import Randomness
from ev.settings import Settings

logger = logging.getLogger(__name__)

METADATA_TOPIC = "__ev_metadata"
METADATA_TOPIC_ID = bytes(15) + b"\x01"
METADATA_SEGMENT_BYTES = 16 << 20
NODE_ID = 1
LOCK = ".lock"
OPEN_FILES_MAX = 1000
NAME_BYTES_MAX = 255
SPACE_CHECK_MS = 1000
RESERVE_RETRY_MS = 60_000
REPORTS_MAX = 1000
JOURNAL_ALWAYS_BYTES = 16 << 20
PARTITION_NAME = re.compile(r"(.+)-(\d+)")
DELETED_DIRECTORY = re.compile(r".+\.[0-9a-f]{32}-delete")
OWN_NAMES = frozenset(
    (
        LOCK,
        META_PROPERTIES,
        STATE,
        CLEAN_SHUTDOWN,
        RECOVERY_POINTS,
        LOG_STARTS,
        HIGH_WATERMARKS,
        CLEANER_OFFSETS,
        RESERVE,
        "engine.json",
        *HALF_NAMES,
    )
)


@dataclass(slots=True)
class StoredTopic:
    """A topic whose partitions are open."""

    name: str
    id: bytes
    config: TopicConfig
    partitions: list[Partition]


class Store:
    """An open data directory. Everything here is called on the loop, except what chores run."""

    def __init__(self, disk: Disk, directory: str, settings: Settings, clock: Clock, randomness: Randomness, lock: File) -> None:
        self.disk = disk
        self.directory = directory
        self.settings = settings
        self.clock = clock
        self.randomness = randomness
        self.topics: dict[str, StoredTopic] = {}
        self.reports: list[str] = []
        self.epoch = 0
        self._epoch_max: int | None = None  # the newest leader epoch so far, where it is known
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
        self._services.on_dirty = self._became_dirty
        self._services.on_full = self._disk_is_full
        self._services.on_dropped = self._dropped
        self._kafka = KafkaCheckpoints()
        self._entries: dict[tuple[bytes, int], list[Entry]] = {}
        self._clean = False
        self._deleted: frozenset[bytes] = frozenset()
        self._doomed: list[tuple[int, str]] = []  # (when, what) is to be unlinked
        self._checkpointing = False
        self._unlinking = False
        self._reserve = False
        self._making_reserve = False
        self._reserve_due_ms = 0
        self._renames_unsynced = False
        self._last_checkpoint_ms = clock.monotonic_ms() - settings.ev_checkpoint_interval_ms
        self._next_upkeep_ms = clock.monotonic_ms() + settings.log_retention_check_interval_ms
        self._next_space_check_ms: int | None = None
        self._retention_at_once = False
        self._cleaner = Cleaner(self)

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
            for entry in read_entries(self.disk, self.directory):
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
        self.disk.replace(f"{self.directory}/{STATE}", State(FORMAT, self.epoch).encode())
        for partition in everything:
            partition.begin_epoch(self.epoch)

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

    def _let_wait(self) -> None:
        """Small batches may wait to be written as long as the journal has them and there is room that can be given up for them."""
        self._services.may_wait = self.committer.journal is not None and self._reserve and self._services.writable

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
        aside = self._free_name(directory, "stray")
        self.disk.rename(directory, aside)
        self._renames_unsynced = True
        self._report(f"{directory} belongs to another topic; it was renamed to {aside} and is not served")
        return None

    def _finish_deletion(self, directory: str) -> None:
        """Its topic was deleted, and the engine ended before the directory was renamed away."""
        aside = self._free_name(directory, "delete")
        self.disk.rename(directory, aside)
        self._renames_unsynced = True
        self._doomed.append((0, aside))
        logger.info("%s is what was left of a deleted topic", directory)

    def _free_name(self, directory: str, suffix: str) -> str:
        """`directory` with Kafka's suffix for a special state, within the limit on names."""
        tail = f".{self.randomness.bytes(16).hex()}-{suffix}"
        parent, _, name = directory.rpartition("/")
        return f"{parent}/{name[: NAME_BYTES_MAX - len(tail)]}{tail}"

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

    def _report(self, text: str) -> None:
        logger.warning("%s", text)
        if len(self.reports) < REPORTS_MAX:
            self.reports.append(text)

    # Topics

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
                aside = self._free_name(directory, "stray")
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
            aside = self._free_name(partition.directory, "delete")
            self.disk.rename(partition.directory, aside)
            self._doomed.append((when, aside))
        self._renames_unsynced = True
        self._told()

    def set_config(self, name: str, config: TopicConfig) -> None:
        topic = self.topics[name]
        topic.config = config
        for partition in topic.partitions:
            partition.set_config(config)
        self._next_upkeep_ms = self.clock.monotonic_ms()
        self._cleaner.look_at(self.clock.monotonic_ms())
        self._told()

    # Space

    @property
    def starts_moved(self) -> int:
        """How often the beginning of any partition's log has moved: for as long as this stays the same, none has."""
        return self._services.starts_moved

    @property
    def writable(self) -> bool:
        """Whether there is room for more records of ordinary topics."""
        return self._services.writable

    def _check_space(self) -> None:
        free, total = self.disk.free_bytes(self.directory)
        least = min(self.settings.ev_disk_min_free_bytes, total // 20)
        enough = free >= least
        if enough != self._services.writable:
            self._services.writable = enough
            if enough:
                self._report(f"the disk has {free} bytes free again; records are taken")
            else:
                self._report(f"the disk has {free} bytes free, less than {least} (ev.disk.min.free.bytes); records are refused")
        self._let_wait()
        if not enough:
            self._hurry()
        self._next_space_check_ms = None if enough and not self._services.dirty else self.clock.monotonic_ms() + SPACE_CHECK_MS

    def _hurry(self) -> None:
        """Space is short: what was to be unlinked later is unlinked now."""
        self._doomed = [(0, path) for _, path in self._doomed]

    def _disk_is_full(self, internal: bool) -> bool:
        """A write found no room. For the engine's own topics the reserve is given up."""
        if self._services.writable:
            self._services.writable = False
            self._report("the disk is full; records are refused until there is room again")
        self._let_wait()
        self._hurry()
        self._next_space_check_ms = self.clock.monotonic_ms() + SPACE_CHECK_MS
        self._told()
        if not (internal and self._reserve):
            return False
        self._reserve = False
        self.disk.remove(f"{self.directory}/{RESERVE}")
        return True

    # Chores

    def _told(self) -> None:
        if self.on_chores is not None:
            self.on_chores()

    def _became_dirty(self) -> None:
        if self._next_space_check_ms is None:
            self._next_space_check_ms = self.clock.monotonic_ms() + SPACE_CHECK_MS
        self._told()

    def _dropped(self, partition: Partition, segment: Segment) -> None:
        """A segment left the log: its files get out of the way now and are unlinked later."""
        when = self.clock.monotonic_ms() + (partition.config.file_delete_delay_ms if self._services.writable else 0)
        for suffix in SUFFIXES:
            path = segment.path(suffix)
            if self.disk.exists(path):
                self.disk.rename(path, path + DELETED)
                self._doomed.append((when, path + DELETED))
        self._told()

    def next_chore_ms(self, now_ms: int) -> int | None:
        """When `chores` will have something to do, by the monotonic clock; None while there is nothing that has a deadline."""
        unsaved = self._unsaved_directories()
        doomed = [when for when, path in self._doomed if path.rpartition("/")[0] not in unsaved]
        times = [] if self._unlinking or (self._checkpointing and self._services.writable) else doomed
        if self._services.dirty and not self._checkpointing:
            times.append(self._checkpoint_due_ms())
        if self._renames_unsynced or self._retention_at_once:
            times.append(now_ms)
        if self._wants_reserve():
            times.append(self._reserve_due_ms)
        if self._next_space_check_ms is not None:
            times.append(self._next_space_check_ms)
        if self._cleaner.has_swaps:
            times.append(now_ms)
        if (cleaning_ms := self._cleaner.due_ms) is not None:
            times.append(cleaning_ms)
        if any(self._needs_upkeep(partition) for topic in self.topics.values() for partition in topic.partitions):
            times.append(self._next_upkeep_ms)
        return min(times, default=None)

    def _checkpoint_due_ms(self) -> int:
        if self._services.unsaved_bytes >= self.settings.ev_checkpoint_bytes:
            return 0
        return self._last_checkpoint_ms + self.settings.ev_checkpoint_interval_ms

    @staticmethod
    def _needs_upkeep(partition: Partition) -> bool:
        config = partition.config
        aging = (config.deleted_by_age or config.deleted_by_size) and partition.end_offset > partition.log_start_offset
        return aging or len(partition.producers) > 0

    def _wants_reserve(self) -> bool:
        return not self._reserve and not self._making_reserve and self._services.writable and self.metadata.end_offset > 0

    def chores(self, now_ms: int) -> list[Chore]:
        """What is due (monotonic clock). What is cheap is done here and now; what is returned wants a thread."""
        chores: list[Chore] = self._cleaner.swaps()
        if self._next_space_check_ms is not None and now_ms >= self._next_space_check_ms:
            self._check_space()
        if now_ms >= self._next_upkeep_ms or self._retention_at_once:
            self._upkeep(now_ms)
        if self._services.dirty and not self._checkpointing and now_ms >= self._checkpoint_due_ms():
            chores.append(self._write_checkpoints(now_ms))
        if self._renames_unsynced:
            self._renames_unsynced = False
            chores.append(SyncDirectory(self.disk, self.directory, _nothing))
        if not self._unlinking and self._unlinkable(now_ms):
            chores.append(self._unlink(now_ms))
        if self._wants_reserve() and now_ms >= self._reserve_due_ms:
            self._making_reserve = True
            chores.append(MakeReserve(self.disk, self.directory, self._reserve_made))
        return chores

    # Compaction: the job is for another process, what follows from it is a chore.

    def next_cleaning(self, now_ms: int) -> Cleaning | None:
        """The compaction that is due; one at a time."""
        return self._cleaner.next(now_ms)

    def unlink_later(self, paths: Iterable[str], delay_ms: int) -> None:
        when = self.clock.monotonic_ms() + (delay_ms if self._services.writable else 0)
        self._doomed += [(when, path) for path in paths]
        self._told()

    @property
    def is_checkpointing(self) -> bool:
        return self._checkpointing

    def _upkeep(self, now_ms: int) -> None:
        """Retention by time and size, and the end of silent producers."""
        self._retention_at_once = False
        self._next_upkeep_ms = now_ms + self.settings.log_retention_check_interval_ms
        wall_ms = self.clock.wall_ms()
        for partition in self.partitions():
            for segment in partition.enforce_retention(wall_ms):
                logger.info("%s: dropped the segment at %d", partition.name, segment.base_offset)
            partition.expire_producers(wall_ms - self.settings.producer_id_expiration_ms)

    def _write_checkpoints(self, now_ms: int) -> WriteCheckpoints:
        self._checkpointing = True
        self._last_checkpoint_ms = now_ms
        self._services.unsaved_bytes = 0
        works = [work for partition in list(self._services.dirty) if (work := partition.checkpoint()) is not None]
        self._services.dirty.clear()
        named = any(work.unnamed for work in works)

        def finished() -> None:
            self._checkpointing = False
            self._retention_at_once = self._retention_at_once or named
            self._cleaner.look_at(self.clock.monotonic_ms())

        return WriteCheckpoints(self.disk, self.directory, works, self._totals(), finished)

    def _totals(self) -> dict[str, bytes]:
        """Kafka's checkpoints over all partitions."""
        everything = [partition for partition in self.partitions() if partition.end_offset or partition.log_start_offset]
        return {
            RECOVERY_POINTS: encode_offsets({(each.topic, each.index): each.recovery_point for each in everything}),
            LOG_STARTS: encode_offsets({(each.topic, each.index): each.log_start_offset for each in everything if each.log_start_offset}),
            HIGH_WATERMARKS: encode_offsets({(each.topic, each.index): each.high_watermark for each in everything}),
            CLEANER_OFFSETS: encode_offsets({(each.topic, each.index): each.cleaned_to for each in everything if each.cleaned_to >= 0}),
        }

    def _unsaved_directories(self) -> set[str]:
        """Where nothing may be unlinked yet: a checkpoint first has to say from where on the log goes. A full disk cannot wait for it."""
        if not self._services.writable:
            return set()
        return {partition.directory for partition in self._services.dirty}

    def _unlinkable(self, now_ms: int) -> set[str]:
        """What may be unlinked now."""
        if self._checkpointing and self._services.writable:
            return set()
        unsaved = self._unsaved_directories()
        return {path for when, path in self._doomed if when <= now_ms and path.rpartition("/")[0] not in unsaved}

    def _unlink(self, now_ms: int) -> Unlink:
        due = self._unlinkable(now_ms)
        self._doomed = [(when, path) for when, path in self._doomed if path not in due]
        self._unlinking = True

        def finished() -> None:
            self._unlinking = False
            if not self._services.writable:
                self._check_space()

        return Unlink(self.disk, self.directory, due, finished)

    def _reserve_made(self, made: bool) -> None:
        self._making_reserve = False
        self._reserve = made
        self._let_wait()
        self._reserve_due_ms = self.clock.monotonic_ms() + RESERVE_RETRY_MS

    # Closing

    def close(self, clean: bool = True) -> None:
        """Sync everything, note it, mark the directory clean; or, not `clean`, just let go. Raises OSError."""
        if clean and self._settle():
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
        self._lock.release()

    def _settle(self) -> bool:
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


def _nothing() -> None:
    """A chore after which nothing is left to do."""
