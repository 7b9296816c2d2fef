"""Takes over the data of an Apache Kafka: `python -P -m ev.server.import_kafka --data-dir D KAFKA_DIR...`

`ev server import` starts it and shows what it says. Neither the Kafka nor the engine runs meanwhile; this holds the data directory's lock.

Everything appears at once, or not at all. Partitions are copied into directories with names that Kafka gives to what is to be deleted
(`TOPIC-N.<hex>-delete`): whoever opens the data directory next, an engine or another import, unlinks them. There each is recovered
like one that a crash has left: every batch is checked, indexes are made again, a torn tail is cut off, and ev's checkpoint is written.
Then, each step on disk before the next:

    groups and transactional ids    appended to the engine's own internal topics: commits on topics that do not exist yet say nothing
    the partitions                  renamed to their own names; without a record of their topic they are served to nobody
    topics, ACLs, users, quotas     one batch in the metadata log: from here on everything is there

An import that was stopped before the last step is simply made again. The source is only ever read.

Lines of JSON on stdout:

    {"total": BYTES}  {"copied": BYTES}                  how far it is
    {"topic": [NAME, PARTITIONS, OFFSETS, BYTES]}        a topic that is copied, or with --dry-run (OFFSETS is null) would be
    {"remark": TEXT}                                     what somebody should know
    {"refused": TEXT}                                    it cannot be done; nothing is there then
    {"imported": [TOPICS, PARTITIONS, GROUPS, IDS]}      the end

    exit status   0 done       1 refused, or failed
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ev.broker.internal_topic import partition_for
from ev.broker.producer_ids import KEY as PRODUCER_IDS_KEY
from ev.broker.replay import Newest, newest, replayed
from ev.broker.scram_users import user_record
from ev.broker.topics import (
    CLIENT_QUOTA,
    OFFSETS_TOPIC,
    PRODUCER_IDS,
    RECORD_VERSION,
    SCRAM_USER,
    TOPIC,
    TRANSACTIONS_TOPIC,
    Topic,
    Topics,
    format_of,
    quota_record,
    read_record,
    topic_record,
)
from ev.clock import SystemClock
from ev.disk import RealDisk
from ev.errors import DiskError, EvError, SettingError
from ev.log.checkpoint import LEADER_EPOCHS, PARTITION_METADATA, partition_metadata
from ev.log.chores import Unlink
from ev.log.config import TopicConfig
from ev.log.found import KafkaCheckpoints, examine
from ev.log.layout import LOCK
from ev.log.partition import Services
from ev.log.recovery import Recovery
from ev.log.segment import OpenFiles
from ev.log.store import Store
from ev.randomness import SystemRandomness
from ev.server import process
from ev.server.copying import copy_file, sync_directory
from ev.server.kafka_coordinators import NamedRecord, committing, group_of, group_records, transaction_record, transactions
from ev.server.kafka_source import RefusedError, Source, SourceTopic, read_source
from ev.server.lines import Progress, say
from ev.server.metadata_log import metadata_records
from ev.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ev.log.partition import Partition

COPIED: Final = re.compile(r"\d{20}\.(log|log\.swap|snapshot)")
NAMED: Final = re.compile(r"\d{20}\.(index|.+\.cleaned)")
"""Files of which only the name says something: every index is made again from the log."""
RECORDS_PER_BATCH: Final = 500
BATCH_BYTES: Final = 512 << 10
TEXT_MAX: Final = 400
FOR_EVER_MS: Final = 1 << 62


def run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ev.server.import_kafka", description="Take over a Kafka's data.", allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    parser.add_argument("--topic", action="append", default=[], metavar="NAME", help="only this one; may be given several times")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the engine")
    parser.add_argument("--dry-run", action="store_true", help="say what would be imported, and change nothing")
    parser.add_argument("sources", nargs="+", metavar="KAFKA_DIR")
    parsed = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process.raise_open_files_limit()
    try:
        settings = Settings.from_mapping(dict(text.split("=", 1) for text in parsed.set))
        source = read_source(RealDisk(), [os.path.abspath(each) for each in parsed.sources], parsed.topic)
        directory = os.path.abspath(parsed.data_dir)
        if parsed.dry_run:
            show(source, directory, settings)
        else:
            with opened(directory, settings) as target:
                Import(target, source, only_offsets=bool(parsed.topic)).run()
    except (EvError, OSError) as problem:
        say(refused=str(problem)[:TEXT_MAX])
        return 1
    return 0


def show(source: Source, directory: str, settings: Settings) -> None:
    """What an import would do, as far as it can be known without taking the directory."""
    topics = Topics()
    disk = RealDisk()
    for kind, name, state in metadata_records(disk, directory) if disk.exists(directory) else ():
        if kind == TOPIC:
            topics.replay(name, state)
    refuse_what_cannot_be_added(topics, source, settings)
    for topic in source.topics.values():
        for remark in chosen_config(topic, settings)[1]:
            say(remark=remark)
        say(topic=[topic.name, topic.partition_count, None, sum(map(_bytes_of, topic.folders.values()))])
    for remark in remarks_on(source):
        say(remark=remark)


def remarks_on(source: Source) -> list[str]:
    """What somebody should know of the source, beyond its topics."""
    remarks = list(source.remarks)
    if source.acls:
        remarks.append(f"ACLs: {len(source.acls)} are taken over, and count when authorizer.class.name is set; see ev-config(5)")
    if source.users:
        remarks.append(f"users with SCRAM credentials: {len(source.users)} are taken over; they log in at listeners with SASL")
    if source.quotas:
        remarks.append(f"quotas: those of {len(source.quotas)} users, clients or addresses are taken over")
    return remarks


def refuse_what_cannot_be_added(topics: Topics, source: Source, settings: Settings) -> None:
    """Raises RefusedError."""
    if not source.topics:
        raise RefusedError("there is no topic to import")
    for topic in source.topics.values():
        if topic.name in topics:
            raise RefusedError(
                f"topic {topic.name} exists already: delete it, or name the topics to be imported with --topic; nothing was imported"
            )
        other = topics.name_of(topic.id) or topics.collision(topic.name)
        if other is not None:
            raise RefusedError(f"topic {topic.name} collides with topic {other}, which exists; nothing was imported")
    count = topics.partition_count + sum(topic.partition_count for topic in source.topics.values())
    if count > settings.ev_partitions_max:
        raise RefusedError(f"there would be {count} partitions, ev.partitions.max is {settings.ev_partitions_max}; nothing was imported")


def chosen_config(topic: SourceTopic, settings: Settings) -> tuple[dict[str, str], list[str]]:
    """What was set for the topic, without what means nothing here, and remarks on that."""
    config: dict[str, str] = {}
    remarks = []
    for name, value in sorted(topic.config.items()):
        try:
            TopicConfig.build(settings, {**config, name: value})
        except SettingError as problem:
            remarks.append(f"topic {topic.name}: {name}={value} is left out: {problem}"[:TEXT_MAX])
        else:
            config[name] = value
    return config, remarks


def kept_for_ever(resolved: TopicConfig, config: Mapping[str, str], newest_ms: int, now_ms: int) -> str:
    """Why a topic gets retention.ms=-1; empty when it needs none.

    What Kafka was told in its server.properties is not known. A topic that says nothing itself must not lose at the first start what
    Kafka has kept: whoever wants it gone says so.
    """
    if "retention.ms" in config or not resolved.deleted_by_age or now_ms - newest_ms <= resolved.retention_ms:
        return ""
    return "records that are older than this engine keeps them (log.retention.ms): it was given retention.ms=-1, which keeps all"


class Target:
    """The data directory that is imported into: its store, and what its metadata log says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.topics = Topics()
        self.settings = store.settings
        self.next_producer_id = 0
        self.users: set[str] = set()  # who has credentials here, and for whom there are quotas: those stay
        self.quotas: set[str] = set()
        for key, value in replayed(store.metadata):
            kind, name, state = read_record(key or b"", value)
            if kind == TOPIC:
                self.topics.replay(name, state)
            elif kind in (SCRAM_USER, CLIENT_QUOTA):
                named = self.users if kind == SCRAM_USER else self.quotas
                (named.discard if state is None else named.add)(name)
            elif kind == PRODUCER_IDS and state is not None:
                self.next_producer_id = max(self.next_producer_id, state["next"])
        known = {topic.name: (topic.id, topic.partition_count, TopicConfig.build(self.settings, topic.config)) for topic in self.topics}
        store.open_topics(known, self.topics.deleted)
        for chore in store.chores(store.clock.monotonic_ms()):  # what an import before this one has left behind goes
            chore.run()
            chore.done()

    def coordinator(self, name: str, partition_count: int, segment_bytes: int, new: list[Topic]) -> list[Partition]:
        """The partitions of an internal topic, which is made if there is none; then its record is still to be written."""
        topic = self.topics.get(name)
        if topic is None:
            config = {"cleanup.policy": "compact", "segment.bytes": str(segment_bytes)}
            topic = Topic(name, self.store.randomness.uuid(), partition_count, config)
            self.store.create_topic(name, topic.id, partition_count, TopicConfig.build(self.settings, config))
            new.append(topic)
        return self.store.topics[name].partitions


@contextlib.contextmanager
def opened(directory: str, settings: Settings) -> Iterator[Target]:
    """The data directory, locked; made if there is none. Closed cleanly only if everything went well. Raises DiskError, OSError."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    process.check_owner(directory)
    disk = RealDisk()
    lock = disk.lock(f"{directory}/{LOCK}")
    if lock is None:
        raise RefusedError(f"an engine runs on {directory}: stop it first (`ev server stop`)")
    lock.release()
    store = Store.open(disk, directory, settings, SystemClock(), SystemRandomness())
    clean = False
    try:
        yield Target(store)
        clean = True
    finally:
        store.close(clean=clean)


class Import:
    """One import."""

    def __init__(self, target: Target, source: Source, *, only_offsets: bool) -> None:
        self.target = target
        self.store = target.store
        self.disk = target.store.disk
        self.source = source
        self.only_offsets = only_offsets
        self.progress = Progress("copied")
        self.next_producer_id = source.next_producer_id
        self.copies: list[str] = []
        self.staged: list[tuple[str, str]] = []  # (where it is, where it belongs)
        self.new: list[Topic] = []

    def run(self) -> None:
        """All of it. Raises EvError, OSError; then nothing is there."""
        refuse_what_cannot_be_added(self.target.topics, self.source, self.target.settings)
        try:
            self._run()
        except (EvError, OSError):
            Unlink(self.disk, self.store.directory, self.copies, lambda: None).run()
            raise

    def _run(self) -> None:
        folders = [folder for topic in self.source.topics.values() for folder in topic.folders.values()]
        say(total=sum(map(_bytes_of, (*folders, *self.source.coordinators.values()))))
        for topic in self.source.topics.values():
            self._copy_topic(topic)
        groups, ids = self._take_coordinators()
        self.progress.end()
        self._publish()
        for remark in remarks_on(self.source):
            say(remark=remark)
        say(imported=[len(self.source.topics), len(folders), groups, ids])

    # Partitions

    def _copy_topic(self, topic: SourceTopic) -> None:
        config, remarks = chosen_config(topic, self.target.settings)
        offsets = 0
        newest_ms = FOR_EVER_MS  # of the oldest segment: all its records are at least as old
        for index, folder in sorted(topic.folders.items()):
            staged, partition = self._recovered(topic.name, index, topic.id, folder, TopicConfig.build(self.target.settings, config))
            offsets += partition.end_offset - partition.log_start_offset
            newest_ms = min([newest_ms, *(each.max_timestamp for each in partition.segments if each.max_timestamp >= 0)])
            self._keep(partition)
            self.staged.append((staged, f"{self.store.directory}/{topic.name}-{index}"))
        kept = kept_for_ever(TopicConfig.build(self.target.settings, config), config, newest_ms, self.store.clock.wall_ms())
        if kept:
            config["retention.ms"] = "-1"
            remarks.append(f"topic {topic.name} has {kept}")
        self.new.append(Topic(topic.name, topic.id, topic.partition_count, config))
        for remark in remarks:
            say(remark=remark)
        say(topic=[topic.name, topic.partition_count, offsets, sum(map(_bytes_of, topic.folders.values()))])

    def _recovered(self, topic: str, index: int, topic_id: bytes, folder: str, config: TopicConfig) -> tuple[str, Partition]:
        """A copy of the partition, and what recovery makes of it. Raises RefusedError when it is damaged."""
        staged = self.store.free_name(f"{self.store.directory}/{topic}-{index}", "delete")
        self.disk.make_directory(staged)
        self.copies.append(staged)
        for name in self.disk.list(folder):
            if COPIED.fullmatch(name) or name == LEADER_EPOCHS:
                copy_file(f"{folder}/{name}", f"{staged}/{name}", self.progress)
            elif NAMED.fullmatch(name):
                self.disk.open(f"{staged}/{name}", create=True).release()
        self.disk.replace(f"{staged}/{PARTITION_METADATA}", partition_metadata(topic_id))
        services = Services(self.disk, OpenFiles(self.disk, 8), lambda text: say(remark=text[:TEXT_MAX]))
        place = (topic, index)
        starts = {place: self.source.log_starts[place]} if place in self.source.log_starts else {}
        tolerant = replace(config, cleanup_policy=("compact",))  # offsets may be missing: Kafka may have compacted it once
        found = examine(self.disk, staged)
        now_ms = self.store.clock.wall_ms()
        partition = Recovery(services, topic, index, topic_id, tolerant, found, KafkaCheckpoints({}, starts), [], None, now_ms).run()
        if partition.damaged is not None:
            raise RefusedError(f"{folder} is damaged: {partition.damaged}; nothing was imported")
        promised = self.source.promised(topic, index)
        if partition.end_offset < promised:
            raise RefusedError(
                f"{folder} is damaged: it can be read up to offset {partition.end_offset}, and went up to {promised}; nothing was "
                "imported. Let a Kafka that has a whole copy repair it, or name the other topics with --topic"
            )
        self._learn_producers(partition)
        return staged, partition

    def _learn_producers(self, partition: Partition) -> None:
        self.next_producer_id = max(self.next_producer_id, 1 + max(partition.producers.by_id, default=-1))

    def _keep(self, partition: Partition) -> None:
        """Write down what recovery has found, so that a start need not find it again."""
        if self.target.next_producer_id:
            # Kafka has given the same ids as this engine: what one of its producers wrote must not be taken for what another one
            # sends here. Open transactions are known until they are ended, which is at the next start.
            partition.expire_producers(FOR_EVER_MS)
        work = partition.checkpoint()
        assert work is not None, "a partition that Kafka wrote has no checkpoint of ours"
        work.run()
        partition.checkpointed(work)
        partition.close()
        sync_directory(partition.directory)

    # Groups and transactions

    def _take_coordinators(self) -> tuple[int, int]:
        """Append what is taken over of groups and transactional ids; returns how many there are of either."""
        ids = transactions(self._newest(TRANSACTIONS_TOPIC))
        deciding = {} if self.only_offsets else ids
        self.next_producer_id = max(self.next_producer_id, 1 + max((each.producer_id for each in ids.values()), default=-1))
        found = list(self._newest(OFFSETS_TOPIC))
        known_groups = {group_of(key) for key, *_ in self._own(OFFSETS_TOPIC) if len(key) > 4}
        groups = group_records(found, self.source.topics, known_groups, committing(ids.values()), only_offsets=self.only_offsets)
        known_ids = transactions(self._own(TRANSACTIONS_TOPIC))
        open_twice = [each for each in deciding if each in known_ids and deciding[each].state.name.startswith("PREPARE_COMMIT")]
        if open_twice:
            raise RefusedError(
                f"transactional id {open_twice[0]!r} is in use here, and its transaction in Kafka is being committed: start Kafka once "
                "more, so that it ends it; nothing was imported"
            )
        records = [transaction_record(each, state, self.source.topics) for each, state in deciding.items() if each not in known_ids]
        settings = self.target.settings
        if groups:
            count, size = settings.offsets_topic_num_partitions, settings.offsets_topic_segment_bytes
            self._append(self.target.coordinator(OFFSETS_TOPIC, count, size, self.new), groups)
        if any(records):
            count, size = settings.transaction_state_log_num_partitions, settings.transaction_state_log_segment_bytes
            self._append(self.target.coordinator(TRANSACTIONS_TOPIC, count, size, self.new), [each for each in records if each])
        return len({record.name for record in groups}), sum(record is not None for record in records)

    def _newest(self, topic: str) -> Iterator[Newest]:
        """What Kafka's coordinator knew: the newest record of each key."""
        for (name, index), folder in sorted(self.source.coordinators.items()):
            if name == topic:
                staged, partition = self._recovered(name, index, bytes(16), folder, TopicConfig())
                yield from newest(partition)
                partition.close()
                Unlink(self.disk, self.store.directory, [staged], lambda: None).run()

    def _own(self, topic: str) -> Iterator[Newest]:
        stored = self.store.topics.get(topic)
        for partition in stored.partitions if stored is not None else ():
            yield from newest(partition)

    def _append(self, partitions: Sequence[Partition], records: Iterable[NamedRecord]) -> None:
        by_partition: dict[int, list[tuple[bytes, bytes]]] = {}
        for name, key, value in records:
            by_partition.setdefault(partition_for(name, len(partitions)), []).append((key, value))
        for index, pairs in by_partition.items():
            for batch in _batches(pairs):
                partitions[index].append_records(batch, self.store.clock.wall_ms())

    # The end

    def _publish(self) -> None:
        """Let everything appear."""
        self._settle("groups")
        for staged, place in self.staged:
            self._make_room(place, staged)
            self.disk.rename(staged, place)
        sync_directory(self.store.directory)
        records: list[tuple[bytes, bytes | None]] = [topic_record(topic) for topic in self.new]
        records += [acl.record(exists=True) for acl in self.source.acls]
        records += [user_record(name, each) for name, each in self.source.users.items() if name not in self.target.users]
        records += [quota_record(each.path(), set_) for each, set_ in self.source.quotas.items() if each.path() not in self.target.quotas]
        if self.next_producer_id > self.target.next_producer_id:
            state = {"v": RECORD_VERSION, "next": self.next_producer_id}
            records.append((PRODUCER_IDS_KEY, json.dumps(state, separators=(",", ":")).encode()))
        self.store.require_format(max(format_of(key) for key, _ in records))
        self.store.metadata.append_records(records, self.store.clock.wall_ms())
        self._settle("topics")

    def _settle(self, what: str) -> None:
        if not self.store.settle():
            raise DiskError(f"the {what} could not be written")

    def _make_room(self, place: str, staged: str) -> None:
        """Move aside what lies where a partition belongs: what an import before this one has left there, or a stranger's."""
        if not self.disk.exists(place):
            return
        ours = self.disk.is_directory(place) and examine(self.disk, place).topic_id == examine(self.disk, staged).topic_id
        aside = self.store.free_name(place, "delete" if ours else "stray")
        self.disk.rename(place, aside)
        if not ours:
            say(remark=f"{place} belonged to no topic; it was renamed to {aside}"[:TEXT_MAX])


def _batches(pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes | None, bytes | None]]]:
    batch: list[tuple[bytes | None, bytes | None]] = []
    size = 0
    for key, value in pairs:
        if batch and (len(batch) == RECORDS_PER_BATCH or size + len(key) + len(value) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((key, value))
        size += len(key) + len(value)
    if batch:
        yield batch


def _bytes_of(folder: str) -> int:
    return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder) if COPIED.fullmatch(entry.name))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
