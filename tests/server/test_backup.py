"""`ev server backup` of a running engine holds one moment: all that was acknowledged before, and nothing torn. `restore` brings it back."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from support.engine import Engine, environment
from support.processes import Process
from support.waiting import wait_for

StartEngine = Callable[..., Engine]
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
DROPPED = {"retention.bytes": "100000", "segment.bytes": "65536"}
SMALL = {"log.segment.bytes": "65536", "log.retention.check.interval.ms": "100", "log.segment.delete.delay.ms": "0"}


def run(program: str, directory: pathlib.Path, place: pathlib.Path, *, status: int = 0) -> str:
    command = [sys.executable, "-P", "-m", f"ev.server.{program}", "--data-dir", str(directory), str(place)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def verified(directory: pathlib.Path) -> str:
    """What a look over the directory finds."""
    command = [sys.executable, "-P", "-m", "ev.server.verify", "--data-dir", str(directory)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if "damage" in line)


def read(address: str, topic: str, index: int) -> list[tuple[int, bytes]]:
    """(offset, value) of every committed record of a partition."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "reads", "auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": 0}
    )
    consumer.assign([TopicPartition(topic, index, 0)])
    found: list[tuple[int, bytes]] = []
    try:
        while (message := consumer.poll(20)) is not None and message.error() is None:
            found.append((message.offset() or 0, message.value() or b""))
        assert message is not None, "the end of the partition did not come"
    finally:
        consumer.close()
    return found


class Transactions(threading.Thread):
    """Writes each number to both partitions of a topic, and commits it as a group's offset, in one transaction."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.over = threading.Event()
        self.committed = 0

    def run(self) -> None:
        producer = Producer({"bootstrap.servers": self.address, "transactional.id": "pairs", "log_level": 0})
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "pairs", "log_level": 0})
        producer.init_transactions(30)
        while not self.over.is_set():
            number = self.committed + 1
            producer.begin_transaction()
            for index in range(2):
                producer.produce("pairs", str(number).encode(), partition=index)
            producer.send_offsets_to_transaction([TopicPartition("pairs", 0, number)], consumer.consumer_group_metadata(), 30)
            if number % 5:
                producer.commit_transaction(30)
                self.committed = number
            else:
                producer.abort_transaction(30)
                self.committed = number
        consumer.close()


class Churn(threading.Thread):
    """Keeps compaction and retention at work: segments are swapped and dropped all the time."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.over = threading.Event()

    def run(self) -> None:
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 5, "log_level": 0})
        number = 0
        while not self.over.is_set():
            number += 1
            producer.produce("keys", b"x" * 2000, key=b"%d" % (number % 20))
            producer.produce("short", b"x" * 2000)
            producer.poll(0.002)
        producer.flush(20)


@contextlib.contextmanager
def load(engine: Engine, directory: pathlib.Path) -> Iterator[tuple[Process, Transactions]]:
    admin = AdminClient({"bootstrap.servers": engine.address})
    topics = [NewTopic("events", 3), NewTopic("pairs", 2), NewTopic("keys", 1, config=COMPACTED), NewTopic("short", 1, config=DROPPED)]
    for future in admin.create_topics(topics).values():
        future.result(30)
    producer = Process(directory, "ev", "support.verifying_producer", "ev", engine.address, "events", "3", "ev", "2000")
    transactions = Transactions(engine.address)
    churn = Churn(engine.address)
    for thread in (transactions, churn):
        thread.start()
    try:
        wait_for(lambda: transactions.committed > 5 and any(line[0] == "acked" for line in producer.lines()), "the load to begin", 60)
        yield producer, transactions
    finally:
        for thread in (transactions, churn):
            thread.over.set()
            thread.join()
        producer.process.kill()
        producer.process.wait()


def acked(producer: Process) -> set[tuple[int, int, int]]:
    """(partition, offset, number) of what was acknowledged so far."""
    return {(int(line[1]), int(line[2]), int(line[3])) for line in producer.lines() if line[0] == "acked" and len(line) == 4}


@pytest.mark.timeout(240)
@pytest.mark.slow
def test_a_backup_under_load_is_one_moment(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """Every acknowledged record is in it at its offset, transactions whole or not at all, and offsets with them."""
    engine = start_engine(settings=SMALL)
    backups = []
    with load(engine, tmp_path) as (producer, transactions):
        for name in ("one", "two.tar", "three", "four", "five"):
            promised, pairs = acked(producer), transactions.committed
            run("backup", engine.directory, tmp_path / name)
            backups.append((tmp_path / name, promised, pairs))
            wait_for(lambda pairs=pairs: transactions.committed > pairs + 3, "the load to go on")  # type: ignore[misc]
    assert verified(engine.directory) == ""
    assert not (engine.directory / ".ev-image").exists()
    for place, promised, pairs in backups:
        assert promised
        restored = tmp_path / f"restored-{place.stem}"
        run("restore", restored, place)
        assert verified(restored) == ""
        again = start_engine(restored)
        assert "cut" not in again.log()
        found = {(index, offset, int(value.split(b":")[1])) for index in range(3) for offset, value in read(again.address, "events", index)}
        assert promised <= found
        for index in range(3):
            offsets = sorted(offset for at, offset, _ in found if at == index)
            assert offsets == list(range(len(offsets)))
        left, right = ([int(value) for _, value in read(again.address, "pairs", index)] for index in range(2))
        assert left == right
        expected = [number for number in range(1, left[-1] + 1) if number % 5]
        assert left == expected
        assert left[-1] >= pairs - 1
        # The transaction that was open at that moment is open again, until its time is up: committed offsets are asked for beside it.
        consumer = Consumer({"bootstrap.servers": again.address, "group.id": "pairs", "isolation.level": "read_uncommitted"})
        assert consumer.committed([TopicPartition("pairs", 0)], timeout=20)[0].offset == left[-1]
        consumer.close()
        assert again.stop() == 0


def test_a_stopped_and_a_killed_directory_are_saved_too(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """As they lie there; the copy recovers as the original would."""
    engine = start_engine()
    for number in range(2):
        producer = Producer({"bootstrap.servers": engine.address})
        producer.produce("events", b"%d" % number)
        assert producer.flush(20) == 0
        _ = engine.stop() if number else engine.kill()
        run("backup", engine.directory, tmp_path / f"saved-{number}")
        run("restore", tmp_path / f"restored-{number}", tmp_path / f"saved-{number}")
        again = start_engine(tmp_path / f"restored-{number}")
        assert [value for _, value in read(again.address, "events", 0)] == [b"0", b"1"][: number + 1]
        again.stop()
        engine.start()


def test_a_backup_that_is_killed_leaves_nothing_that_could_be_taken_for_one(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """Neither at its place nor in the engine, which makes the next one."""
    engine = start_engine()
    producer = Producer({"bootstrap.servers": engine.address})
    for number in range(300):
        producer.produce("events", b"x" * 100_000, partition=0, key=b"%d" % number)
        producer.poll(0)
    assert producer.flush(60) == 0
    command = [sys.executable, "-P", "-m", "ev.server.backup", "--data-dir", str(engine.directory), str(tmp_path / "saved")]
    running = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert b"total" in running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    assert not (tmp_path / "saved").exists()
    engine.kill()
    engine.start()
    assert not (engine.directory / ".ev-image").exists()
    run("backup", engine.directory, tmp_path / "saved")
    assert verified(tmp_path / "saved") == ""


def test_the_engine_may_end_once_its_image_is_made(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """And start again: what is copied is not taken away. A second backup beside the first is refused."""
    engine = start_engine()
    producer = Producer({"bootstrap.servers": engine.address, "log_level": 0})
    for number in range(300):
        producer.produce("events", b"x" * 100_000, partition=0, key=b"%d" % number)
        producer.poll(0)
    assert producer.flush(60) == 0
    command = [sys.executable, "-P", "-m", "ev.server.backup", "--data-dir", str(engine.directory), str(tmp_path / "saved")]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert b"total" in running.stdout.readline()
        running.send_signal(signal.SIGSTOP)
        try:
            assert (engine.directory / ".ev-image").exists()
            assert "another backup" in run("backup", engine.directory, tmp_path / "second", status=1)
            engine.kill()
            engine.start()
        finally:
            running.send_signal(signal.SIGCONT)
        assert b"saved" in running.stdout.read()
        assert running.wait(60) == 0
    assert not (engine.directory / ".ev-image").exists()
    assert verified(tmp_path / "saved") == ""
    restored = start_engine(tmp_path / "saved")
    assert len(read(restored.address, "events", 0)) == 300


def test_what_is_no_backup_or_not_whole_is_refused(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """So is a target that holds something; nothing is changed then."""
    engine = start_engine()
    producer = Producer({"bootstrap.servers": engine.address})
    producer.produce("events", b"x" * 1000)
    assert producer.flush(20) == 0
    run("backup", engine.directory, tmp_path / "saved")
    run("backup", engine.directory, tmp_path / "saved.tar")
    assert "exists already" in run("backup", engine.directory, tmp_path / "saved", status=1)
    assert "in the data directory itself" in run("backup", engine.directory, engine.directory / "saved", status=1)
    assert "not empty" in run("restore", engine.directory, tmp_path / "saved", status=1)
    assert "is no backup" in run("restore", tmp_path / "new", engine.directory, status=1)
    log = next((tmp_path / "saved" / "events-0").glob("*.log"))
    log.write_bytes(log.read_bytes()[:-1])
    assert "is not whole" in run("restore", tmp_path / "new", tmp_path / "saved", status=1)
    tar = tmp_path / "saved.tar"
    tar.write_bytes(tar.read_bytes()[:3000])
    refused = run("restore", tmp_path / "new", tar, status=1)
    assert "is no backup" in refused or "is not whole" in refused
    with tarfile.open(tmp_path / "evil.tar", "w") as evil:
        evil.add(log, "../evil")
        evil.add(tmp_path / "saved" / "ev.backup", "ev.backup")
    assert "it holds" in run("restore", tmp_path / "new", tmp_path / "evil.tar", status=1)
    assert not (tmp_path / "new").exists()
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


@pytest.mark.slow
def test_the_engine_serves_on_while_an_image_is_made(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """With a few thousand partitions nobody waits for as long as the backup takes, and topics that are deleted meanwhile do no harm."""
    engine = start_engine()
    admin = AdminClient({"bootstrap.servers": engine.address})
    for future in admin.create_topics([NewTopic("many", 1500), NewTopic("gone", 5), NewTopic("events", 1)]).values():
        future.result(60)
    producer = Producer({"bootstrap.servers": engine.address, "linger.ms": 0})
    for index in range(300):
        producer.produce("many", b"%d" % index, partition=index)
    assert producer.flush(60) == 0
    longest_s = 0.0
    saving = threading.Thread(target=run, args=("backup", engine.directory, tmp_path / "saved"))
    saving.start()
    deleted = False
    while saving.is_alive():
        begun = time.monotonic()
        producer.produce("events", b"x")
        assert producer.flush(20) == 0
        longest_s = max(longest_s, time.monotonic() - begun)
        if not deleted and (engine.directory / ".ev-image").exists():
            admin.delete_topics(["gone"])["gone"].result(20)
            deleted = True
    saving.join()
    assert verified(tmp_path / "saved") == ""
    assert longest_s < 5
