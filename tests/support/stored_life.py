"""A data directory with files of every kind, made by the real broker on a disk in memory, and everything that it serves.

made = images(seed)              one after a stop, one after a kill with requests on their way
disk = with_file(image.disk, "orders-0/00000000000000000000.log", damaged)
served(disk)                     starts a broker on it and asks for everything
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, TypeAlias

from ev.clock import ManualClock
from ev.errors import DiskError, ErrorCode, KafkaError, SettingError
from ev.log.partition import Partition
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ev.wire.records import encode_batch, read_header
from support.damage import Files, batches_of
from support.one_partition import produce_request
from support.raw_transactions import TransactionalProducer, committed_offset
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import Directory, SimulatedDisk

DIRECTORY = "/data"
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "ev.checkpoint.interval.ms": "5000",
}
ORDERS, PROFILES, PAYMENTS = "orders", "profiles", "payments"
TOPICS = {
    ORDERS: {"segment.bytes": "5000", "index.interval.bytes": "300", "retention.ms": "-1"},
    PAYMENTS: {"segment.bytes": "3000", "index.interval.bytes": "300", "retention.ms": "-1"},
    PROFILES: {"cleanup.policy": "compact", "segment.bytes": "3000", "index.interval.bytes": "300", "min.cleanable.dirty.ratio": "0.01"},
}
GROUPS = ("billing", "shipping")
COPIER = "copier"
REFUSED = (DiskError, SettingError, OSError)
"""How a start refuses a directory: the daemon says why, in one line."""


class Thing(NamedTuple):
    """What can be asked for."""

    kind: str
    name: str = ""
    number: int = 0


Served: TypeAlias = "dict[Thing, Any]"


@dataclass(frozen=True, slots=True)
class Image:
    """A data directory and what it serves."""

    name: str
    clean: bool
    disk: SimulatedDisk
    files: Files
    served: Served
    compacted: set[str]
    in_flight: int


def images(seed: int) -> list[Image]:
    """One life, ended in two ways."""
    life = Life(seed)
    life.run()
    return [life.killed(), life.stopped()]


class Life:
    """A broker that is given a bit of everything to store."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"stored life {seed}")
        self.disk = SimulatedDisk([DIRECTORY])
        self.clock = ManualClock()
        self.number = 0
        self.broker: SimulatedBroker
        self.start()

    def start(self) -> None:
        seed = self.random.getrandbits(32)
        self.broker = SimulatedBroker(self.disk, seed=seed, settings=SETTINGS, directory=DIRECTORY, clock=self.clock)

    def run(self) -> None:
        """Three epochs: what the first ones wrote has checkpoints, snapshots and compacted segments by the third."""
        for name, config in TOPICS.items():
            given = [CreatableTopicConfig(key, value) for key, value in config.items()]
            made = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=given)
            assert self.broker.ask(CreateTopicsRequest(topics=[made], timeout_ms=10_000), 7).topics[0].error_code == 0
        for kind in (0, 1):
            self.broker.ask(FindCoordinatorRequest(key_type=kind, coordinator_keys=["x"]), 4)
        for epoch in range(3):
            for _ in range(12):
                self.write_orders()
                self.write_profiles()
                self.commit()
            for number in range(4):
                self.transact(commit=number % 2 == 0)
            for _ in range(10):  # checkpoints, then compaction, then what was compacted takes its place
                self.broker.world.advance(6_000)
                self.broker.world.settle()
            if epoch < 2:
                self.stop()
                self.start()
        for _ in range(6):
            self.write_orders()
            self.write_profiles()
            self.commit()

    def write_orders(self) -> None:
        """Three records of one of three idempotent producers."""
        self.number += 1
        producer = self.number % 3
        batch = encode_batch(
            [b"%d/%d/" % (self.number, each) + self.random.randbytes(40) for each in range(3)],
            timestamps=self.clock.wall_ms() + self.number,
            producer_id=producer + 1000,
            producer_epoch=0,
            base_sequence=(self.number - 1) // 3 * 3,
        )
        self.produce(ORDERS, batch)

    def write_profiles(self) -> None:
        keys = [b"%d" % self.random.randrange(8) for _ in range(2)]
        self.produce(PROFILES, encode_batch([self.random.randbytes(60) for _ in keys], keys=keys, timestamps=self.clock.wall_ms()))

    def produce(self, topic: str, batch: bytes) -> None:
        (answer,) = self.broker.ask(produce_request(topic, batch), 9).responses[0].partition_responses
        assert answer.error_code == 0, answer.error_code

    def commit(self) -> None:
        self.broker.ask(commit_request(self.random.choice(GROUPS), self.random.randrange(30)), 8)

    def transact(self, *, commit: bool) -> None:
        producer = TransactionalProducer(self.broker.ask, COPIER, wall_ms=self.clock.wall_ms)
        assert producer.begin() == 0
        assert producer.write(PAYMENTS, 0, self.random.randbytes(100), self.random.randbytes(100)) == 0
        assert producer.commit_offset(GROUPS[0], PAYMENTS, 0, self.random.randrange(20)) == 0
        assert producer.end(commit=commit) == 0
        self.broker.world.settle()

    def stop(self) -> None:
        self.broker.world.settle()
        self.broker.broker.upkeep.stop()
        self.broker.store.close(clean=True)
        self.disk.locked.clear()

    def killed(self) -> Image:
        """The process ended with some requests asked for and not answered."""
        client = self.broker.connect()
        for number in range(3):
            client.send(produce_request(ORDERS, encode_batch([b"never answered %d" % number])), 9)
        client.send(commit_request(GROUPS[1], 99), 8)
        image = self.image("killed", clean=False, in_flight=len(client.open) - len(client.replies))
        self.broker.world.settle()
        return image

    def stopped(self) -> Image:
        self.stop()
        return self.image("stopped", clean=True, in_flight=0)

    def image(self, name: str, *, clean: bool, in_flight: int) -> Image:
        disk = self.disk.killed_image()
        files = files_of(disk)
        assert not [each for each in files if each.endswith(".swap")], "a compacted segment waits to take its place"
        return Image(name, clean, disk, files, served(disk.killed_image()), {PROFILES}, in_flight)


def commit_request(group: str, offset: int) -> OffsetCommitRequest:
    place = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    return OffsetCommitRequest(group_id=group, topics=[OffsetCommitRequestTopic(name=ORDERS, partitions=[place])])


def with_file(disk: SimulatedDisk, name: str, data: bytes) -> SimulatedDisk:
    """Another disk, on which one file is different."""
    changed = disk.killed_image()
    file = changed.open(f"{DIRECTORY}/{name}")
    file.truncate(0)
    file.write_at([data], 0)
    file.sync_all()
    file.release()
    return changed


def files_of(disk: SimulatedDisk) -> Files:
    """Everything below the data directory."""

    def below(directory: Directory, prefix: str) -> Iterator[tuple[str, bytes]]:
        for name, node in directory.names.items():
            if isinstance(node, Directory):
                yield from below(node, f"{prefix}{name}/")
            else:
                yield prefix + name, node.read(node.size, 0)

    root = disk.root.names[DIRECTORY.strip("/")]
    assert isinstance(root, Directory)
    return dict(below(root, ""))


def served(disk: SimulatedDisk, *, seed: int = 0) -> Served:
    """Start a broker and ask for everything; what is refused is left out. Raises what the start raises."""
    broker = SimulatedBroker(disk, seed=seed, settings=SETTINGS, directory=DIRECTORY)
    broker.world.settle()
    found: Served = {Thing("cluster"): broker.broker.cluster_id}
    for topic in broker.broker.topics:
        found[Thing("topic", topic.name)] = (topic.id, topic.partition_count, sorted(topic.config.items()))
        for partition in broker.store.topics[topic.name].partitions:
            found |= served_of(partition)
    for group in GROUPS:
        for topic_name in (ORDERS, PAYMENTS):
            offset, code = committed_offset(broker.ask, group, topic_name, 0)
            if code == ErrorCode.NONE:
                found[Thing("committed", f"{group}/{topic_name}")] = offset
    (state,) = broker.ask(DescribeTransactionsRequest(transactional_ids=[COPIER]), 0).transaction_states
    if state.error_code == ErrorCode.NONE:
        found[Thing("transaction", COPIER)] = (state.transaction_state, state.producer_id, state.producer_epoch)
    return found


def served_of(partition: Partition) -> Served:
    """What one partition serves."""
    name = partition.name
    found: Served = {Thing("batch", name, offset): batch for offset, batch in batches_of(partition).items()}
    found[Thing("range", name)] = (partition.log_start_offset, partition.high_watermark)
    times = sorted({read_header(batch).max_timestamp for thing, batch in found.items() if thing.kind == "batch"})
    for timestamp in times[:: max(len(times) // 8, 1)]:
        with suppress(KafkaError):  # refused
            found[Thing("time", name, timestamp)] = partition.offset_for_timestamp(timestamp)
    found[Thing("aborted", name)] = partition.aborted_transactions(partition.log_start_offset, partition.high_watermark)
    for producer_id, producer in partition.producers.by_id.items():
        found[Thing("producer", name, producer_id)] = (producer.epoch, producer.next_sequence)
    return found
