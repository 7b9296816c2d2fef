"""Groups of the new protocol (KIP-848) with other people's clients: librdkafka's and Apache Kafka's own."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka
from support.dump_log import dump, files_of
from support.engine import Engine

PARTITIONS = 4


def tool(name: str, *arguments: str) -> str:
    """What the tool printed; it must succeed."""
    command = apache_kafka.tool_command(apache_kafka.LATEST, name, *arguments)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def consumer_of(address: str, group: str, **settings: Any) -> Consumer:
    """A member that reports often."""
    return Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **settings,
        }
    )


def filled(address: str, topic: str, count: int = 40) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(20)
    more(address, topic, count)


def more(address: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": address})
    for number in range(count):
        producer.produce(topic, str(number).encode(), partition=number % PARTITIONS)
    assert producer.flush(20) == 0


def polled_until(done: Callable[[], bool], what: str, *consumers: Consumer, timeout_s: float = 40) -> list[bytes]:
    """Poll all of them until it is so; the values that came."""
    found: list[bytes] = []
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, what
        for consumer in consumers:
            message = consumer.poll(0.05)
            if message is not None:
                assert message.error() is None, message.error()
                found.append(message.value() or b"")
    return found


def has(consumer: Consumer) -> int:
    return len(consumer.assignment())


@pytest.fixture
def address(tmp_path: pathlib.Path) -> Any:
    with Engine(tmp_path / "data", settings={"group.consumer.heartbeat.interval.ms": "200", "offsets.topic.num.partitions": "1"}) as engine:
        yield engine.address


def test_librdkafka_shares_leaves_and_takes_over(address: str, topic: str) -> None:
    """Two members share, one leaves, the other has all; what was committed is where the next one begins."""
    filled(address, topic)
    one, two = consumer_of(address, topic, **{"client.id": "one"}), consumer_of(address, topic, **{"client.id": "two"})
    one.subscribe([topic])
    values: list[bytes] = []
    values += polled_until(lambda: has(one) == PARTITIONS, "the first to have all", one)
    while len(values) < 40:
        values += polled_until(lambda: True, "", one)
        message = one.poll(5)
        assert message is not None
        assert message.error() is None
        values.append(message.value() or b"")
    assert sorted(values, key=int) == [str(number).encode() for number in range(40)]
    one.commit(asynchronous=False)
    two.subscribe([topic])
    assert polled_until(lambda: has(one) == has(two) == PARTITIONS // 2, "them to share", one, two) == []
    admin = AdminClient({"bootstrap.servers": address})
    described = admin.describe_consumer_groups([topic])[topic].result(20)
    assert sorted(len(member.assignment.topic_partitions) for member in described.members) == [2, 2]
    one.close()
    assert polled_until(lambda: has(two) == PARTITIONS, "the second to have all", two) == []
    more(address, topic, 8)
    found: list[bytes] = []
    while len(found) < 8:
        message = two.poll(10)
        assert message is not None
        found.append(message.value() or b"")
    assert sorted(found) == [str(number).encode() for number in range(8)]
    two.close()


def test_librdkafka_subscribes_by_pattern(address: str, topic: str) -> None:
    """The broker finds the topics, those that come later too."""
    filled(address, f"{topic}-one", 4)
    consumer = consumer_of(address, topic)
    consumer.subscribe([f"^{topic}-.*"])
    polled_until(lambda: has(consumer) == PARTITIONS, "the first topic", consumer)
    filled(address, f"{topic}-two", 4)
    polled_until(lambda: has(consumer) == 2 * PARTITIONS, "the second topic", consumer)
    consumer.close()


def test_members_go_on_after_a_crash_of_the_engine(tmp_path: pathlib.Path, topic: str) -> None:
    """Without a rebalance: they keep what they have, and commit in their epoch."""
    with Engine(tmp_path / "data", settings={"group.consumer.heartbeat.interval.ms": "200"}) as engine:
        filled(engine.address, topic)
        lost: list[int] = []
        one, two = consumer_of(engine.address, topic), consumer_of(engine.address, topic)
        for consumer in (one, two):
            consumer.subscribe([topic], on_lost=lambda *_: lost.append(1))
        polled_until(lambda: has(one) == has(two) == PARTITIONS // 2, "them to share", one, two)
        engine.kill()
        engine.start()
        more(engine.address, topic, 8)
        deadline = time.monotonic() + 30
        count = 0
        while count < 8 and time.monotonic() < deadline:
            for consumer in (one, two):
                message = consumer.poll(0.05)
                if message is not None and message.error() is None:
                    count += 1
                    consumer.commit(message=message, asynchronous=False)
        assert count >= 8
        assert lost == []
        assert has(one) == has(two) == PARTITIONS // 2
        one.close()
        two.close()


@pytest.mark.java
def test_kafkas_own_consumer_and_tools(tmp_path: pathlib.Path, topic: str) -> None:
    """The console consumer in a group of the new protocol, the groups tool on it, and its records on disk."""
    with Engine(tmp_path / "data", settings={"offsets.topic.num.partitions": "1"}) as engine:
        filled(engine.address, topic)
        server = ("--bootstrap-server", engine.address)
        options = ("--topic", topic, "--group", topic, "--consumer-property", "group.protocol=consumer", "--max-messages", "40")
        read = tool("console-consumer", *server, *options, "--consumer-property", "auto.offset.reset=earliest")
        values = [line for line in read.splitlines() if line.isdigit()]  # the tool also says that its option is deprecated
        assert sorted(values, key=int) == [str(number) for number in range(40)]
        consumer = consumer_of(engine.address, topic)
        consumer.subscribe([topic])
        assert polled_until(lambda: has(consumer) == PARTITIONS, "the assignment", consumer) == [], "all was read and committed"
        state = tool("consumer-groups", *server, "--describe", "--group", topic, "--state")
        assert "uniform" in state
        assert "Stable" in state
        described = tool("consumer-groups", *server, "--describe", "--group", topic)
        rows = [line.split() for line in described.splitlines() if topic in line.split()[1:2]]
        assert [row[5] for row in rows] == ["0"] * PARTITIONS, described
        assert topic in tool("groups", *server, "--list", "--group-type", "consumer")
        assert "group.version" in tool("features", *server, "describe")
        consumer.close()
        engine.stop()
    seen = dump([path for path in files_of(tmp_path / "data" / "__consumer_offsets-0") if path.suffix == ".log"], "--offsets-decoder")
    assert seen.complaints == []
    for kind in ("3", "5", "6", "7", "8"):
        assert f'"type":"{kind}"' in seen.text, kind
