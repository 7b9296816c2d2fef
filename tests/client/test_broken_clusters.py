"""Three Apache Kafka brokers, of which one dies and comes back and one hangs and goes on, while everything the client can do is done.

A producer writes, groups of each protocol that there is read and commit, and the newest one copies in transactions as well. Each works in
a thread of its own, and has to get on while a broker is away.
"""

from __future__ import annotations

import pathlib
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.delivery import Delivery
from ev.client.producer import Producer
from ev.client.results import NewTopic
from ev.errors import EvError, KafkaError, TimedOutError, UnreachableError, UnsupportedApiError
from support.apache_kafka import LATEST, OLDER, Kafka
from support.exact_copy import ExactCopier, read_committed
from support.waiting import wait_for

PARTITIONS = 3
PATIENCE_S = 120
LEAD_MAX = 90
"""Records."""
PROPERTIES = {
    "broker.session.timeout.ms": "6000",
    "min.insync.replicas": "2",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
}
REQUEST_TIMEOUT_MS = 4_000
Place = tuple[str, int]


class Writer:
    """Writes numbers into every partition until it is told to stop, no faster than the slowest of the others can follow."""

    def __init__(self, bootstrap: str, slowest: Callable[[], int]) -> None:
        self.bootstrap = bootstrap
        self.slowest = slowest
        self.expected: dict[int, list[bytes]] = {index: [] for index in range(PARTITIONS)}
        self.deliveries: list[Delivery] = []
        self.acknowledged = 0

    def run(self, stop: threading.Event) -> None:
        with Producer(self.bootstrap, linger_ms=0, request_timeout_ms=REQUEST_TIMEOUT_MS) as producer:
            number = 0
            while not stop.wait(0.1):
                self.take(producer.poll())
                if self.acknowledged - self.slowest() > LEAD_MAX:
                    continue
                for partition, values in self.expected.items():
                    values.append(b"%d" % number)
                    producer.produce("t", values[-1], partition=partition)
                number += 1
            assert producer.flush(PATIENCE_S * 1000) == 0
            self.take(producer.poll())

    def take(self, deliveries: list[Delivery]) -> None:
        self.deliveries += deliveries
        self.acknowledged += sum(delivery.count for delivery in deliveries if delivery.error is None)


class Group:
    """What its members have read and committed together."""

    def __init__(self, bootstrap: str, protocol: str) -> None:
        self.bootstrap = bootstrap
        self.protocol = protocol
        self.name = f"readers-{protocol}"
        self.lock = threading.Lock()
        self.seen: Counter[tuple[int, int]] = Counter()
        self.committed: dict[Place, int] = {}

    def read(self, stop: threading.Event) -> None:
        """One member. Where it begins in a partition, nothing is left out, and nothing comes again that is known to be committed."""
        begins: dict[Place, int] = {}

        def assigned(partitions: list[Place]) -> None:
            with self.lock:
                begins.update({place: self.committed.get(place, 0) for place in partitions})

        options: dict[str, Any] = {"heartbeat_interval_ms": 300, "session_timeout_ms": 15_000} if self.protocol == "classic" else {}
        with Consumer(
            self.bootstrap,
            group=self.name,
            group_protocol=self.protocol,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **options,
        ) as consumer:
            consumer.subscribe(["t"], on_assigned=assigned)
            while not stop.is_set():
                ends: dict[Place, int] = {}
                for batch in consumer.poll_batches(100):
                    place = batch.topic, batch.partition
                    first = begins.pop(place, None)
                    assert first is None or batch.first_offset >= first, f"{place} began at {batch.first_offset}, {first} was committed"
                    ends[place] = batch.next_offset
                    with self.lock:
                        self.seen.update((batch.partition, offset) for offset in batch.columns.offsets)
                self.commit(consumer, ends)

    def commit(self, consumer: Consumer, ends: dict[Place, int]) -> None:
        try:
            consumer.commit(ends, timeout_ms=20_000)
        except (KafkaError, TimedOutError, UnreachableError):
            return  # what was not committed may be read again
        with self.lock:
            self.committed |= {place: max(end, self.committed.get(place, 0)) for place, end in ends.items()}

    def progress(self) -> int:
        with self.lock:
            return len(self.seen)


class Copy:
    """A topic's copy in transactions."""

    def __init__(self, bootstrap: str, protocol: str) -> None:
        self.bootstrap = bootstrap
        self.protocol = protocol
        self.target = f"copy-{protocol}"
        self.copied = 0

    def run(self, stop: threading.Event) -> None:
        copier = ExactCopier(
            self.bootstrap,
            "t",
            self.target,
            self.target,
            aborts_every=7,
            group_protocol=self.protocol,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        while not stop.is_set():
            copier.turn()
            self.copied = copier.copied
        copier.close()


class Everything:
    """All of it on one cluster."""

    def __init__(self, bootstrap: str, protocols: list[str]) -> None:
        self.writer = Writer(bootstrap, lambda: min(self.progress().values()))
        self.groups = [Group(bootstrap, protocol) for protocol in protocols]
        self.copy = Copy(bootstrap, protocols[-1])
        self.written = threading.Event()
        self.read = threading.Event()
        self.futures: list[Future[None]] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Until everything that was written by then has been read and copied."""
        with ThreadPoolExecutor(16) as pool:
            writing = pool.submit(self.writer.run, self.written)
            self.futures = [writing, pool.submit(self.copy.run, self.read)]
            self.futures += [pool.submit(group.read, self.read) for group in (*self.groups, self.groups[-1])]
            try:
                yield
                self.written.set()
                writing.result()
                self.wait_until(lambda count: count >= self.writer.acknowledged, "all that was written to arrive")
            finally:
                self.written.set()
                self.read.set()
            for future in self.futures:
                future.result()

    def progress(self) -> dict[str, int]:
        found = {"writer": self.writer.acknowledged}
        found |= {group.name: group.progress() for group in self.groups}
        return found | {self.copy.target: self.copy.copied}

    def wait_until(self, reached: Callable[[int], bool], what: str) -> None:
        def all_have() -> bool:
            for future in self.futures:
                if future.done():
                    future.result()
            return all(reached(count) for count in self.progress().values())

        try:
            wait_for(all_have, what, PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.progress()}") from error

    def get_on(self, what: str) -> None:
        """Everybody deals with what is written from now on."""
        target = self.writer.acknowledged + 10 * PARTITIONS
        self.wait_until(lambda count: count >= target, what)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [LATEST, OLDER])
def test_a_broker_that_dies_and_one_that_hangs_cost_nothing(tmp_path: pathlib.Path, version: str) -> None:
    """kill -9 of the coordinator of one group and its return, then SIGSTOP of that of the other: no loss, no duplicate, and everybody gets
    on meanwhile. Before that, topics that were just made are used on every broker."""
    protocols = ["classic"] if version == OLDER else ["classic", "consumer"]
    properties = {name: value for name, value in PROPERTIES.items() if version == LATEST or not name.startswith("group.consumer")}
    with Kafka(3, version, tmp_path, properties=properties, heap="300m") as kafka, Admin(kafka.bootstrap) as admin:
        for created in admin.create_topics([NewTopic(name, PARTITIONS, 3) for name in ("t", f"copy-{protocols[-1]}")]):
            created.or_raise()
        for number in range(5):
            use_at_once(kafka.bootstrap.split(","), f"new-{number}")
        everything = Everything(kafka.bootstrap, protocols)
        with everything.at_work():
            everything.get_on("everybody to begin")
            victim = coordinator_of(admin, everything.groups[0].name)
            kafka.kill(victim)
            everything.get_on("everybody to get over a dead broker")
            kafka.start(victim)
            kafka.wait_until_ready()
            everything.get_on("everybody to get on with it")
            in_sync(admin)
            sleeper = coordinator_of(admin, everything.groups[-1].name)
            kafka.kill(sleeper, signal.SIGSTOP)
            try:
                everything.get_on("everybody to get over a broker that hangs")
            finally:
                kafka.kill(sleeper, signal.SIGCONT)
            everything.get_on("everybody to get on with it")
        assert [delivery.error for delivery in everything.writer.deliveries if delivery.error is not None] == []
        expected = everything.writer.expected
        assert read_committed(kafka.bootstrap, "t", PARTITIONS) == expected
        for group in everything.groups:
            assert set(group.seen) == {(index, offset) for index, values in expected.items() for offset in range(len(values))}
        assert read_committed(kafka.bootstrap, everything.copy.target, PARTITIONS) == expected
        if protocols == ["classic"]:
            with Consumer(kafka.bootstrap, group="new", group_protocol="consumer") as consumer:
                consumer.subscribe(["t"])
                with pytest.raises((UnsupportedApiError, KafkaError), match=r"4\.0.*classic"):
                    wait_for(lambda: consumer.poll_batches(50), "the refusal")


def use_at_once(addresses: list[str], topic: str) -> None:
    """A topic is created through one broker, written through another and read through the third, whoever has heard of it by then."""
    places = [(topic, index) for index in range(PARTITIONS)]
    found: list[bytes | None] = []
    with Admin(addresses[0]) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS, 3)])[0].or_raise()
    with Producer(addresses[1]) as producer, Consumer(addresses[2], max_wait_ms=50) as consumer:
        producer.produce_many(topic, [b"a", b"b", b"c"], partition=2)
        assert list(consumer.end_offsets(places)) == places
        consumer.assign(places)
        assert producer.flush(20_000) == 0
        assert [delivery.error for delivery in producer.poll()] == [None]
        wait_for(lambda: found.extend(record.value for record in consumer.poll(500)) or len(found) == 3, "three records", 30)  # type: ignore[func-returns-value]
    assert found == [b"a", b"b", b"c"]


def coordinator_of(admin: Admin, group: str) -> int:
    """The broker, as soon as somebody says who it is."""

    def asked() -> int:
        try:
            return admin.describe_groups([group])[0].coordinator
        except EvError:
            return 0

    return wait_for(asked, f"the coordinator of {group}", 60)


def in_sync(admin: Admin) -> None:
    """Wait until every partition has three copies again: the next one to go may be one of two."""

    def whole() -> bool:
        copies = [len(row.in_sync) for topic in admin.describe_topics(["t"]) for row in topic.partitions]
        return copies == [3] * PARTITIONS

    wait_for(whole, "the copies to be in sync", 60, pause_s=0.2)
