"""A group that is rolled from the classic protocol to the new one and back under load, with librdkafka's consumers (KIP-848)."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka
from support.apache_kafka import Kafka
from support.engine import Engine
from support.waiting import wait_for

pytestmark = pytest.mark.slow

TOPIC, GROUP, PARTITIONS = "orders", "billing", 4
HEARTBEATS = {"group.consumer.min.heartbeat.interval.ms": "300", "group.consumer.heartbeat.interval.ms": "300"}
NOT_COMMITTED = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError._NO_OFFSET,
    KafkaError._TRANSPORT,
    KafkaError._STATE,
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
)
"""Reasons for which a commit is not taken: whoever has the partition next reads the records again."""


class Load:
    """Writes numbers, for as long as it is left."""

    def __init__(self, address: str) -> None:
        self._producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True})
        self._goes_on = True
        self.written: set[int] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while self._goes_on:
            try:
                self._producer.produce(TOPIC, str(number).encode(), partition=number % PARTITIONS, on_delivery=self._delivered)
                number += 1
            except BufferError:  # nobody answers: the test has failed, or will go on
                pass
            self._producer.poll(0)
            time.sleep(0.002)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.written.add(int(message.value() or b""))

    def stop(self) -> None:
        self._goes_on = False
        self._thread.join()
        assert self._producer.flush(30) == 0


class Worker:
    """One consumer on a thread of its own: handles a record, then commits it."""

    def __init__(self, address: str, protocol: str, handled: set[int], **settings: Any) -> None:
        classic = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "partition.assignment.strategy": "range"}
        given: dict[str, Any] = {
            "bootstrap.servers": address,
            "group.id": GROUP,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }
        given |= {"enable.auto.commit": False} | (classic if protocol == "classic" else {}) | settings
        self._consumer = Consumer(given)
        self._handled = handled
        self._goes_on = True
        self.assigned: set[int] = set()
        self.failure: BaseException | None = None
        self._consumer.subscribe([TOPIC])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._goes_on:
                message = self._consumer.poll(0.05)
                self.assigned = {place.partition for place in self._consumer.assignment()}
                if message is not None and message.error() is None:
                    self._handled.add(int(message.value() or b""))
                    with suppressed_if_not_committed():
                        self._consumer.commit(message=message, asynchronous=False)
            self._consumer.close()
        except BaseException as failure:  # noqa: BLE001  # the test reports it
            self.failure = failure

    def stop(self) -> None:
        self._goes_on = False
        self._thread.join(30)
        assert not self._thread.is_alive(), "it is closed in its time"
        assert self.failure is None, self.failure


class JavaWorker:
    """Apache Kafka's own consumer, in its VerifiableConsumer: it tells what it has, and what it has read before it commits."""

    def __init__(self, address: str, protocol: str, handled: set[int]) -> None:
        words = ["--topic", TOPIC, "--group-id", GROUP, "--group-protocol", protocol, "--reset-policy", "earliest"]
        if protocol == "classic":
            words += ["--session-timeout", "6000"]
        command = apache_kafka.tool_command(apache_kafka.LATEST, "verifiable-consumer", "--bootstrap-server", address, *words)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._handled = handled
        self.assigned: set[int] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            parts = [part["partition"] for part in event.get("partitions", [])]
            if event["name"] == "partitions_assigned":
                self.assigned |= set(parts)
            elif event["name"] == "partitions_revoked":
                self.assigned -= set(parts)
            elif event["name"] == "records_consumed":
                for part in event["partitions"]:
                    offsets = range(part["minOffset"], part["maxOffset"] + 1)
                    self._handled |= {offset * PARTITIONS + part["partition"] for offset in offsets}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def suppressed_if_not_committed() -> Iterator[None]:
    try:
        yield
    except KafkaException as problem:
        if problem.args[0].code() not in NOT_COMMITTED:
            raise


def shared(*workers: Worker | JavaWorker) -> Callable[[], bool]:
    """Whether these have all partitions among them, each one some."""

    def done() -> bool:
        for worker in workers:
            if isinstance(worker, Worker) and worker.failure is not None:
                raise worker.failure
        parts = [worker.assigned for worker in workers]
        return all(parts) and sorted(place for each in parts for place in each) == list(range(PARTITIONS))

    return done


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    if request.param == "kafka":
        with Kafka(properties=HEARTBEATS) as kafka:
            yield kafka.bootstrap
    else:
        with Engine(tmp_path / "data", settings=HEARTBEATS) as engine:
            yield engine.address


def kind_of_group(admin: AdminClient) -> str:
    (found,) = [each for each in admin.list_consumer_groups().result(20).valid if each.group_id == GROUP]
    return str(found.type.name)


def committed(address: str) -> list[int]:
    asked = Consumer({"bootstrap.servers": address, "group.id": GROUP})
    found = asked.committed([TopicPartition(TOPIC, number) for number in range(PARTITIONS)], timeout=20)
    ends = [asked.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=20)[1] for number in range(PARTITIONS)]
    asked.close()
    assert [place.offset for place in found] == ends
    return ends


@pytest.mark.parametrize(
    ("address", "strategy"),
    [("ev", "range"), ("ev", "cooperative-sticky"), pytest.param("kafka", "range", marks=pytest.mark.java)],
    indirect=["address"],
)
def test_a_group_is_rolled_to_the_new_protocol_and_back_under_load(address: str, strategy: str) -> None:
    """One member after the other; every record is handled, and what was committed ends at the end.

    Not cooperative-sticky on Kafka: now and then librdkafka's leaves notes in an assignment, and Kafka keeps such a group as it is.
    """
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
    handled: set[int] = set()
    load = Load(address)

    def classic() -> Worker:
        return Worker(address, "classic", handled, **{"partition.assignment.strategy": strategy})

    def consumer() -> Worker:
        return Worker(address, "consumer", handled)

    one, two = classic(), classic()
    wait_for(shared(one, two), "two classic members", 60)
    assert kind_of_group(admin) == "CLASSIC"
    three = consumer()
    wait_for(shared(one, two, three), "one of the new protocol beside them", 60)
    assert kind_of_group(admin) == "CONSUMER"
    one.stop()
    wait_for(shared(two, three), "one of each", 60)
    four = consumer()
    two.stop()
    wait_for(shared(three, four), "only the new protocol", 60)
    five = classic()
    wait_for(shared(three, four, five), "a classic member again", 60)
    three.stop()
    four.stop()
    wait_for(shared(five), "only the classic protocol", 60)
    assert kind_of_group(admin) == "CLASSIC"
    six = classic()
    wait_for(shared(five, six), "two classic members again", 60)
    load.stop()
    wait_for(lambda: load.written <= handled, "every record to be handled", 60)
    five.stop()
    six.stop()
    assert sum(committed(address)) == len(load.written)


@pytest.mark.java
@pytest.mark.parametrize(("java", "other"), [("classic", "consumer"), ("consumer", "classic")])
def test_kafkas_own_consumer_shares_a_group_with_one_of_the_other_protocol(tmp_path: pathlib.Path, java: str, other: str) -> None:
    """Whichever of the two speaks which; first they are two, then either is alone."""
    with Engine(tmp_path / "data", settings=HEARTBEATS) as engine, contextlib.ExitStack() as stack:
        admin = AdminClient({"bootstrap.servers": engine.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
        handled: set[int] = set()
        load = Load(engine.address)
        javas = JavaWorker(engine.address, java, handled)
        stack.callback(javas.stop)
        wait_for(shared(javas), "Kafka's consumer alone", 60)
        one = Worker(engine.address, other, handled)
        wait_for(shared(javas, one), "both", 60)
        assert kind_of_group(admin) == "CONSUMER"
        javas.stop()
        wait_for(shared(one), "the other alone", 60)
        again = JavaWorker(engine.address, java, handled)
        stack.callback(again.stop)
        wait_for(shared(again, one), "both again", 60)
        one.stop()
        wait_for(shared(again), "Kafka's consumer alone again", 60)
        assert kind_of_group(admin) == java.upper()
        load.stop()
        wait_for(lambda: load.written <= handled, "every record to be handled", 60)
        again.stop()
        assert sum(committed(engine.address)) == len(load.written)


def test_the_engine_is_killed_while_a_group_changes_its_protocol(tmp_path: pathlib.Path) -> None:
    """Again and again, in the middle of it: the group is there, and every record is handled."""
    with Engine(tmp_path / "data", settings=HEARTBEATS) as engine:
        admin = AdminClient({"bootstrap.servers": engine.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
        handled: set[int] = set()
        load = Load(engine.address)
        stays = Worker(engine.address, "classic", handled)
        wait_for(shared(stays), "the member", 60)
        for delay_s in (0.0, 0.2, 0.5):
            comes = Worker(engine.address, "consumer", handled)
            time.sleep(delay_s)
            engine.kill()
            engine.start()
            wait_for(shared(stays, comes), "both to share after the kill", 60)
            comes.stop()
            engine.kill()
            engine.start()
            wait_for(shared(stays), "the classic one to have it all", 60)
        load.stop()
        wait_for(lambda: load.written <= handled, "every record to be handled", 60)
        stays.stop()
        assert sum(committed(engine.address)) == len(load.written)
