"""A running engine compacts its logs in a process of its own while clients go on; after any crash the newest values are there."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.dump_log import dump, files_of
from support.engine import Engine
from support.rules import rule
from support.waiting import wait_for

SETTINGS = {"ev.checkpoint.interval.ms": "100", "ev.checkpoint.bytes": "65536"}
CONFIG = {"cleanup.policy": "compact", "segment.bytes": "100000", "min.cleanable.dirty.ratio": "0.01", "file.delete.delay.ms": "100"}
KEYS = 50
VALUE = b"." * 200


def create(address: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1, 1, config=CONFIG)])[topic].result(20)


class Writer:
    """Writes values under a few keys; `acked` is the newest acknowledged number of each, `sent` the newest sent."""

    def __init__(self, address: str, topic: str) -> None:
        settings = {"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1, "batch.num.messages": 20}
        self.producer = Producer({**settings, "reconnect.backoff.max.ms": 200, "metadata.recovery.strategy": "none", "log_level": 0})
        self.topic = topic
        self.number = 0
        self.acked: dict[bytes, int] = {}
        self.sent: dict[bytes, int] = {}

    def write(self, count: int) -> None:
        for _ in range(count):
            number, key = self.number, b"key-%d" % (self.number * 7 % KEYS)
            self.number += 1
            self.sent[key] = number

            def told(error: object, message: object, key: bytes = key, number: int = number) -> None:
                if error is None:
                    self.acked[key] = max(self.acked.get(key, -1), number)

            self.producer.produce(self.topic, b"%d:" % number + VALUE, key, on_delivery=told, partition=0)
            self.producer.poll(0)

    def flush(self) -> None:
        assert self.producer.flush(60) == 0
        assert self.acked == self.sent


def everything(address: str, topic: str) -> list[tuple[int, bytes, int]]:
    """(offset, key, number) of every record."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[int, bytes, int]] = []
    try:
        while True:
            for message in consumer.consume(1000, 5):
                if message.error() is not None:
                    return found
                found.append((message.offset() or 0, message.key() or b"", int((message.value() or b"").partition(b":")[0])))
    finally:
        consumer.close()


def size_of(engine: Engine, topic: str) -> int:
    total = 0
    for path in (engine.directory / f"{topic}-0").glob("*.log"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def children(pid: int) -> list[int]:
    return [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.java
def test_a_running_engine_compacts_its_logs(tmp_path: pathlib.Path) -> None:
    """They stay small while much is written; every key has its newest value; Kafka's own tool reads what is left."""
    with Engine(tmp_path / "data", settings=SETTINGS) as engine:
        create(engine.address, "state")
        writer = Writer(engine.address, "state")
        for _ in range(20):
            writer.write(500)
            writer.flush()
        wait_for(lambda: size_of(engine, "state") < 400_000, "the log to be compacted", 30)
        assert "compacted" in engine.log()
        found = everything(engine.address, "state")
        assert len(found) < 5000, "of 10,000"
        offsets = [offset for offset, _, _ in found]
        assert offsets == sorted(set(offsets))
        assert {key: number for _, key, number in found} == writer.sent
        assert engine.stop() == 0
    directory = tmp_path / "data" / "state-0"
    seen = dump([path for path in files_of(directory) if path.suffix in (".log", ".index", ".timeindex")])
    assert seen.complaints == []
    newest = {key: offset for offset, key, _ in found}
    assert set(newest.values()) <= set(seen.record_offsets) <= set(offsets), "it may have been compacted once more since"


@pytest.mark.crash
@pytest.mark.parametrize("cycles", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_the_newest_values_survive_kills_while_logs_are_compacted(tmp_path: pathlib.Path, cycles: int) -> None:
    """kill -9 of the engine at moments that a seed draws; the child that compacts ends with it."""
    generator = random.Random(cycles)
    with Engine(tmp_path / "data", settings=SETTINGS) as engine:
        create(engine.address, "state")
        writer = Writer(engine.address, "state")
        for _ in range(cycles):
            writer.write(1500)
            deadline = time.monotonic() + generator.uniform(0.05, 0.6)
            while time.monotonic() < deadline:
                writer.producer.poll(0.01)
            orphans = children(engine.pid)
            engine.kill()
            wait_for(lambda orphans=orphans: not any(map(alive, orphans)), "the children to end with their engine")  # type: ignore[misc]
            engine.start()
        writer.flush()
        found = everything(engine.address, "state")
        assert {key: number for _, key, number in found} == writer.sent
        assert [offset for offset, _, _ in found] == sorted({offset for offset, _, _ in found})
        assert "damage" not in engine.log()
        wait_for(lambda: size_of(engine, "state") < 600_000, "the log to be compacted", 30)
        assert engine.stop() == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@rule(71)
def test_a_compaction_that_is_killed_harms_nothing(tmp_path: pathlib.Path) -> None:
    """The engine goes on, says so, and tries again at its next start."""
    with Engine(tmp_path / "data", settings=SETTINGS) as engine:
        create(engine.address, "state")
        writer = Writer(engine.address, "state")
        killed = 0
        deadline = time.monotonic() + 20
        while not killed and time.monotonic() < deadline:
            writer.write(2000)
            writer.flush()
            for _ in range(50):
                for pid in children(engine.pid):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
                time.sleep(0.002)
        assert killed
        wait_for(lambda: "is not compacted" in engine.log(), "a line in the log")
        writer.write(1000)
        writer.flush()
        assert {key: number for _, key, number in everything(engine.address, "state")} == writer.sent
        engine.stop()
        engine.start()
        wait_for(lambda: size_of(engine, "state") < 600_000, "the log to be compacted", 30)
        assert {key: number for _, key, number in everything(engine.address, "state")} == writer.sent
        assert engine.stop() == 0
