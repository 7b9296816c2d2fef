"""Transactions of other people's clients: librdkafka, kafka-python, aiokafka and Apache Kafka's own, unchanged."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
import subprocess
from collections.abc import Callable

import aiokafka
import kafka
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as PythonTopicPartition

from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from support import apache_kafka
from support.dump_log import dump, files_of
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import TransactionalProducer, asked_over, fetched, read_committed
from support.rules import rule
from support.waiting import wait_for

StartEngine = Callable[..., Engine]


def tool(name: str, *arguments: str, stdin: str = "") -> str:
    """What the tool printed; it must succeed."""
    command = apache_kafka.tool_command(apache_kafka.LATEST, name, *arguments)
    ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def consumed(address: str, topic: str, count: int, *, isolation: str = "read_committed") -> list[bytes]:
    """The first `count` values that librdkafka's consumer sees, and whatever comes with them."""
    settings = {"bootstrap.servers": address, "group.id": f"reads-{topic}-{isolation}", "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "isolation.level": isolation, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes] = []
    try:
        while True:
            message = consumer.poll(10)
            assert message is not None, f"only {found} came"
            if message.error() is not None:
                if len(found) >= count:
                    return found
                continue
            found.append(message.value() or b"")
    finally:
        consumer.close()


def test_librdkafka_commits_and_aborts(address: str, topic: str) -> None:
    """Readers of committed records see what was committed, others everything."""
    producer = Producer({"bootstrap.servers": address, "transactional.id": topic})
    producer.init_transactions(20)
    for number in range(6):
        producer.begin_transaction()
        for part in range(3):
            producer.produce(topic, f"{number}/{part}".encode(), partition=0)
        if number % 2:
            producer.flush(20)
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    kept = [f"{number}/{part}".encode() for number in (0, 2, 4) for part in range(3)]
    assert consumed(address, topic, 9) == kept
    assert len(consumed(address, topic, 18, isolation="read_uncommitted")) == 18


def test_librdkafka_reads_transforms_and_writes(address: str, topic: str) -> None:
    """Offsets and output in one transaction; after an abort both are as before, and the records come again."""
    source = f"{topic}-source"
    plain = Producer({"bootstrap.servers": address})
    for number in range(10):
        plain.produce(source, str(number).encode(), partition=0)
    assert plain.flush(20) == 0
    producer = Producer({"bootstrap.servers": address, "transactional.id": topic})
    producer.init_transactions(20)
    settings = {"bootstrap.servers": address, "group.id": topic, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "isolation.level": "read_committed"})
    consumer.subscribe([source])
    done = 0
    aborted = False
    while done < 10:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None, message.error()
        producer.begin_transaction()
        producer.produce(topic, b"out " + (message.value() or b""), partition=0)
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
        if done == 4 and not aborted:
            aborted = True
            producer.abort_transaction(20)
            committed = consumer.committed(consumer.assignment(), 20)[0].offset
            assert committed == 4
            consumer.seek(TopicPartition(source, 0, committed))
            continue
        producer.commit_transaction(20)
        done += 1
    assert consumer.committed(consumer.assignment(), 20)[0].offset == 10
    consumer.close()
    assert consumed(address, topic, 10) == [f"out {number}".encode() for number in range(10)]


def test_a_second_librdkafka_producer_fences_the_first(address: str, topic: str) -> None:
    """The first one learns of it when it wants to commit."""
    first, second = (Producer({"bootstrap.servers": address, "transactional.id": topic}) for _ in range(2))
    first.init_transactions(20)
    first.begin_transaction()
    first.produce(topic, b"first", partition=0)
    assert first.flush(20) == 0
    second.init_transactions(20)
    with pytest.raises(Exception, match=r"(?i)fenced|epoch"):
        first.commit_transaction(20)
    second.begin_transaction()
    second.produce(topic, b"second", partition=0)
    second.commit_transaction(20)
    assert consumed(address, topic, 1) == [b"second"]


def test_kafka_python_commits_aborts_and_sends_offsets(address: str, topic: str) -> None:
    """As its documentation has it."""
    producer = kafka.KafkaProducer(bootstrap_servers=address, transactional_id=topic)
    producer.init_transactions()
    for value, commit in ((b"one", True), (b"two", False), (b"three", True)):
        producer.begin_transaction()
        producer.send(topic, value, partition=0).get(20)
        producer.send_offsets_to_transaction({PythonTopicPartition(topic, 0): OffsetAndMetadata(len(value), "", -1)}, f"g-{topic}")
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=address,
        group_id=f"g-{topic}",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
        consumer_timeout_ms=2000,
    )
    place = PythonTopicPartition(topic, 0)
    consumer.assign([place])
    assert consumer.committed(place) == 5
    consumer.seek_to_beginning(place)
    assert [message.value for message in consumer] == [b"one", b"three"]
    consumer.close()


def test_aiokafka_commits_and_aborts(address: str, topic: str) -> None:
    """With its context manager; a failure inside aborts."""

    async def talk() -> list[bytes | None]:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address, transactional_id=topic)
        await producer.start()
        try:
            for value in (b"one", b"fails", b"three"):
                try:
                    async with producer.transaction():
                        await producer.send_and_wait(topic, value, partition=0)
                        if value == b"fails":
                            raise LookupError
                except LookupError:
                    pass
        finally:
            await producer.stop()
        consumer = aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=address, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        await consumer.start()
        try:
            return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(2)]
        finally:
            await consumer.stop()

    assert asyncio.run(talk()) == [b"one", b"three"]


@pytest.mark.java
def test_kafkas_own_copier_copies_each_record_once(address: str, topic: str) -> None:
    """TransactionalMessageCopier with random aborts: a Java producer and consumer with transactions of version 2."""
    target = f"{topic}-copy"
    server = ("--bootstrap-server", address)
    for name in (topic, target):
        tool("topics", *server, "--create", "--topic", name, "--partitions", "1")
    lines = [f"line {number}" for number in range(500)]
    tool("console-producer", *server, "--topic", topic, stdin="\n".join(lines) + "\n")
    said = tool(
        "transactional-message-copier",
        *("--broker-list", address, "--input-topic", topic, "--input-partition", "0", "--output-topic", target),
        *("--transactional-id", topic, "--consumer-group", topic, "--max-messages", "500", "--transaction-size", "37"),
        "--enable-random-aborts",
        "--use-group-metadata",
    )
    assert json.loads(said.strip().splitlines()[-1])["remaining"] == 0
    options = ("--from-beginning", "--max-messages", "500", "--isolation-level", "read_committed")
    assert tool("console-consumer", *server, "--topic", target, *options).splitlines() == lines
    described = tool("consumer-groups", *server, "--describe", "--group", topic)
    (row,) = [line.split() for line in described.splitlines() if topic in line.split()[1:2]]
    assert row[3] == "500"


@rule(99)
@pytest.mark.java
def test_kafkas_tool_finds_a_hanging_transaction_and_aborts_it(start_engine: StartEngine) -> None:
    """One that no coordinator knows: made without verification, found, and repaired while the engine runs."""
    engine = start_engine(settings={"transaction.partition.verification.enable": "false"})
    server = ("--bootstrap-server", engine.address)
    tool("topics", *server, "--create", "--topic", "hangs")
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        ask(FindCoordinatorRequest(key_type=1, coordinator_keys=["hanging"]), 4)
        producer = TransactionalProducer(ask, "hanging")
        assert producer.begin() == 0
        assert producer.produce("hangs", 0, b"nobody knows") == 0
        answer = fetched(ask, "hangs", 0, committed=True)
        assert (answer.last_stable_offset, answer.high_watermark) == (0, 1)
        listed = tool("transactions", *server, "list")
        assert re.search(r"hanging\s+1\s+\d+\s+Empty", listed), listed
        assert "Empty" in tool("transactions", *server, "describe", "--transactional-id", "hanging")
        producers = tool("transactions", *server, "describe-producers", "--topic", "hangs", "--partition", "0")
        assert re.search(rf"{producer.producer_id}\s+0\s+", producers), producers
        found = tool("transactions", *server, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0")
        assert re.search(rf"hangs\s+0\s+{producer.producer_id}\s", found), found
        tool("transactions", *server, "abort", "--topic", "hangs", "--partition", "0", "--start-offset", "0")
        answer = fetched(ask, "hangs", 0, committed=True)
        assert (answer.last_stable_offset, answer.high_watermark) == (2, 2)
        assert read_committed(ask, "hangs", 0) == []
        again = tool("transactions", *server, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0")
        assert "hangs" not in again


def test_a_hanging_transaction_is_aborted_at_the_next_start(start_engine: StartEngine) -> None:
    """By the engine itself, which sees both sides; its producer cannot write into it any more."""
    engine = start_engine(settings={"transaction.partition.verification.enable": "false"})
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        producer = TransactionalProducer(ask, "hanging")
        assert producer.begin() == 0
        Producer({"bootstrap.servers": engine.address}).list_topics("hangs", timeout=20)  # which makes it
        assert wait_for(lambda: producer.produce("hangs", 0, b"nobody knows") == 0, "the topic")
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        answer = fetched(ask, "hangs", 0, committed=True)
        assert (answer.last_stable_offset, answer.high_watermark) == (2, 2)
        assert read_committed(ask, "hangs", 0) == []
        producer.ask, producer.sequences = ask, {}
        assert producer.produce("hangs", 0, b"nobody knows") == 47, "INVALID_PRODUCER_EPOCH: not taken for a retry"


@pytest.mark.java
def test_kafka_reads_what_transactions_leave_on_disk(tmp_path: pathlib.Path) -> None:
    """Markers, the index of aborted transactions, producer snapshots, and the coordinator's own log."""
    with Engine(tmp_path / "data", settings={"transaction.state.log.num.partitions": "1", "offsets.topic.num.partitions": "1"}) as engine:
        producer = Producer({"bootstrap.servers": engine.address, "transactional.id": "dumped"})
        producer.init_transactions(20)
        for number in range(4):
            producer.begin_transaction()
            producer.produce("dumped", str(number).encode(), partition=0)
            producer.flush(20)
            if number % 2:
                producer.abort_transaction(20)
            else:
                producer.commit_transaction(20)
        engine.stop()
    directory = tmp_path / "data" / "dumped-0"
    seen = dump([*files_of(directory), *directory.glob("*.txnindex")])
    assert seen.complaints == []
    assert seen.text.count("endTxnMarker: COMMIT") == 2
    assert seen.text.count("endTxnMarker: ABORT") == 2
    assert re.findall(r"firstOffset: (\d+),? lastOffset: (\d+)", seen.text) == [("2", "3"), ("6", "7")], seen.text
    state = dump(files_of(tmp_path / "data" / "__transaction_state-0"), "--transaction-log-decoder")
    assert state.complaints == []
    states = [int(found) for found in re.findall(r'"transactionStatus":(\d)', state.text)]
    assert states == [0, 1, 2, 4, 1, 3, 5, 1, 2, 4, 1, 3, 5], "Empty, and then Ongoing, Prepare, Complete each time"
