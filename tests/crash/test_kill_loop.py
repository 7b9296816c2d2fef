"""kill -9 in a loop, under four clients that must not lose, repeat or reorder anything."""

from __future__ import annotations

import pathlib
import random
import re
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.engine import Engine
from support.history import History, Place
from support.processes import Process
from support.waiting import wait_for

TOPIC, GROUP, PARTITIONS = "payments", "billing", 3
CLIENTS = ("librdkafka", "aiokafka", "kafka-python", "ev")
RATE = 400
CLEAN_STOPS = 0.15
RECOGNISED = re.compile(r"a resent batch was recognised")


def run(directory: pathlib.Path, cycles: int, seed: int, settings: dict[str, str]) -> tuple[History, list[str], Engine]:
    """The loop; returns what happened, fatal errors of clients and the engine, still running."""
    generator = random.Random(seed)
    engine = Engine(directory / "data", settings={"log.segment.bytes": str(1 << 20), **settings}).start()
    try:
        admin = AdminClient({"bootstrap.servers": engine.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
        producers = [
            Process(directory, name, "support.verifying_producer", name, engine.address, TOPIC, str(PARTITIONS), name, str(RATE))
            for name in CLIENTS
        ]
        consumer = Process(directory, "consumer", "support.verifying_consumer", engine.address, TOPIC, GROUP)
        try:
            loop(engine, producers, cycles, generator)
            for process in producers:
                process.end()
            for process in producers:
                process.wait()
            consumer.end()
            consumer.wait()
        finally:
            for process in (*producers, consumer):
                process.process.kill()
                process.process.wait()
        history = History()
        fatal = [f"{process.name}: {line}" for process in (*producers, consumer) for line in process.lines() if line[0] == "fatal"]
        for process in producers:
            record_sends(history, process)
        record_reads(history, consumer)
        final_read(history, engine.address)
        return history, fatal, engine
    except BaseException:
        engine.close()
        raise


def loop(engine: Engine, producers: list[Process], cycles: int, generator: random.Random) -> None:
    """Kill (or now and then stop) the engine, start it, and wait until every client gets on again."""
    for cycle in range(cycles):
        for process in producers:
            wait_for(process.has_said_more, f"{process.name} to get on in cycle {cycle}", 60)
        time.sleep(generator.uniform(0, 0.3))  # the moment of the crash is what the seed draws
        if generator.random() < CLEAN_STOPS:
            assert engine.stop() == 0
        else:
            engine.kill()
        engine.start()
        for process in producers:
            process.note()


def record_sends(history: History, process: Process) -> None:
    lines = process.lines()
    sent = next((int(line[1]) for line in lines if line[0] == "sent"), 0)
    for number in range(sent):
        history.send(process.name, Place(TOPIC, number % PARTITIONS), f"{process.name}:{number}:".encode())
    for line in lines:
        if line[0] == "acked":
            partition, offset, number = map(int, line[1:])
            history.acknowledge(Place(TOPIC, partition), f"{process.name}:{number}:".encode(), offset)


def record_reads(history: History, process: Process) -> None:
    assignment = 0
    for line in process.lines():
        match line:
            case ["assigned", *_]:
                assignment += 1
            case ["read", partition, offset, value]:
                history.read(f"consumer-{assignment}", Place(TOPIC, int(partition)), [(int(offset), value.encode())])
            case ["committed", partition, offset]:
                history.commit(GROUP, Place(TOPIC, int(partition)), int(offset))


def final_read(history: History, address: str) -> None:
    """Every partition from its beginning to its end, and what the group has committed."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False})
    for partition in range(PARTITIONS):
        start, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=20)
        consumer.assign([TopicPartition(TOPIC, partition, start)])
        records: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + 60
        while (not records or records[-1][0] < end - 1) and start < end:
            assert time.monotonic() < deadline, f"partition {partition} could not be read to its end, {end}"
            for message in consumer.consume(5000, 0.5):
                value = message.value()
                assert message.error() is None, message.error()
                assert isinstance(value, bytes)
                records.append((message.offset() or 0, value.rstrip(b".")))
        history.read_all(Place(TOPIC, partition), records, start)
    consumer.close()
    admin = AdminClient({"bootstrap.servers": address})
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])[GROUP].result(20)
    for place in found.topic_partitions:
        history.commit_found(GROUP, Place(TOPIC, place.partition), place.offset)


@pytest.mark.crash
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("cycles", "method"),
    [
        (4, "auto"),
        (4, "journal"),
        (4, "file"),
        pytest.param(100, "auto", marks=pytest.mark.slow),
        pytest.param(50, "journal", marks=pytest.mark.slow),
        pytest.param(50, "file", marks=pytest.mark.slow),
    ],
)
def test_nothing_acknowledged_is_lost_or_repeated_when_the_engine_is_killed(tmp_path: pathlib.Path, cycles: int, method: str) -> None:
    """After each crash every client gets on by itself; in the end the log holds what was acknowledged, once and in order.

    The run proves nothing if no batch was ever resent after its first write survived, so that is asked for too.
    """
    seed = 20_000 + cycles
    history, fatal, engine = run(tmp_path, cycles, seed, {"ev.flush.method": method})
    try:
        acked = sum(len(values) for values in history.acked.values())
        recognised = len(RECOGNISED.findall(engine.log()))
        summary = f"seed {seed}: {cycles} cycles, {acked} acknowledged, {recognised} resent batches recognised"
        assert fatal == [], summary
        assert history.anomalies() == {}, summary
        assert acked > cycles * len(CLIENTS), summary
        assert all(history.acked.values()), summary
        assert history.commits, summary
        if cycles >= 50:
            assert recognised > 0, summary
        assert engine.stop() == 0
    finally:
        engine.close()
