"""Folders go both ways: Kafka's become the engine's by `ev server import`, and the engine's segments are served by Kafka."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from support.apache_kafka import LATEST, Kafka, tool_command
from support.command_line import CommandLine
from support.engine import Engine
from support.kcat import kcat
from support.waiting import wait_for

pytestmark = [pytest.mark.kcat, pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(300)]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SAVED_AT_ONCE = {"log.flush.start.offset.checkpoint.interval.ms": "100", "log.initial.task.delay.ms": "100"}
"""Where logs start: what Kafka itself would not know after a kill cannot be imported. Left alone it begins after half a minute."""
NEW_PROTOCOL = {"group.protocol": "consumer", "auto.offset.reset": "earliest", "enable.auto.commit": False, "log_level": 0}
FORMAT = "%p %o %T %k %h %s\n"


@pytest.fixture
def ev(tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.close()


def read(address: str, topic: str, *arguments: str) -> list[bytes]:
    """Every record of the topic, in an order that does not depend on who reads."""
    return sorted(kcat(address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", FORMAT, *arguments).splitlines())


def tool(name: str, *arguments: str) -> str:
    """What one of Kafka's tools prints; it must succeed."""
    done = subprocess.run(tool_command(LATEST, name, *arguments), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fingerprint(directory: pathlib.Path) -> dict[str, tuple[str, int]]:
    """Every file below, by content and time."""
    return {
        str(path.relative_to(directory)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def fill(address: str) -> None:
    """What a Kafka may hold: codecs, headers, several partitions and segments, compaction, transactions of every outcome."""
    admin = AdminClient({"log_level": 0, "bootstrap.servers": address})
    topics = [
        NewTopic("plain", 3, config={"segment.bytes": "1048576", "retention.ms": "-1"}),
        NewTopic("keys", 1, config={"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01"}),
        NewTopic("transactions", 2, config={"max.message.bytes": "2000000"}),
        NewTopic("empty", 2),
        NewTopic("cut", 1),
    ]
    for future in admin.create_topics(topics).values():
        future.result(30)
    for number, codec in enumerate(CODECS):
        producer = Producer(
            {"log_level": 0, "bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20}
        )
        for count in range(3000):
            value = b"%d-%d-" % (number, count) + b"x" * 300
            producer.produce("plain", value, key=b"k%d" % count, headers=[("codec", codec.encode()), ("none", None)])
            producer.produce("keys", value, key=b"key-%d" % (count % 100))
            producer.poll(0)
        producer.produce("cut", b"value-%d" % number)
        assert producer.flush(60) == 0
    for name, ends in (("commits", True), ("aborts", False)):
        transacts(address, name, commits=ends)
    reader = Consumer({**NEW_PROTOCOL, "bootstrap.servers": address, "group.id": "new-protocol"})
    reader.subscribe(["keys"])
    wait_for(lambda: (message := reader.poll(1)) is not None and message.error() is None and reader.assignment(), "the first record", 60)
    reader.commit(offsets=[TopicPartition("keys", 0, 7000)], asynchronous=False)
    reader.close()
    kcat(address, "-C", "-G", "half-way", "plain", "-c", "2000", "-q", "-o", "beginning", "-X", "auto.offset.reset=earliest")


def transacts(address: str, name: str, *, commits: bool | None) -> Producer:
    """A transaction that writes to both partitions and commits an offset for a group; `commits` is None: it stays open."""
    producer = Producer({"log_level": 0, "bootstrap.servers": address, "transactional.id": name, "transaction.timeout.ms": 600_000})
    producer.init_transactions(60)
    producer.begin_transaction()
    for number in range(10):
        producer.produce("transactions", b"%s-%d" % (name.encode(), number), partition=number % 2)
    assert producer.flush(60) == 0
    consumer = Consumer({"log_level": 0, "bootstrap.servers": address, "group.id": f"group-{name}"})
    producer.send_offsets_to_transaction([TopicPartition("transactions", 0, 3)], consumer.consumer_group_metadata(), 60)
    consumer.close()
    if commits is not None:
        (producer.commit_transaction if commits else producer.abort_transaction)(60)
    return producer


def committed(address: str, group: str, topic: str, count: int) -> list[int]:
    consumer = Consumer({"log_level": 0, "bootstrap.servers": address, "group.id": group})
    try:
        found = consumer.committed([TopicPartition(topic, index) for index in range(count)], timeout=30)
        return [each.offset for each in found]
    finally:
        consumer.close()


def resumed(address: str, group: str, topic: str) -> list[bytes]:
    """What a member of the group is given that goes on where the group was."""
    return sorted(kcat(address, "-C", "-G", group, topic, "-e", "-q", "-f", FORMAT, "-X", "auto.offset.reset=earliest").splitlines())


def give_rights(kafka: Kafka) -> None:
    """A user with credentials, and quotas: some set, one taken back."""
    for arguments in (
        ("users", "--entity-name", "jo", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]"),
        ("users", "--entity-name", "jo", "--add-config", "producer_byte_rate=1048576,request_percentage=50.5"),
        ("clients", "--entity-default", "--add-config", "consumer_byte_rate=2097152,producer_byte_rate=1"),
        ("clients", "--entity-default", "--delete-config", "producer_byte_rate"),
    ):
        tool("configs", "--bootstrap-server", kafka.bootstrap, "--alter", "--entity-type", *arguments)


def rights_are_there(address: str) -> None:
    describe = ("configs", "--bootstrap-server", address, "--describe", "--entity-type")
    described = tool(*describe, "users", "--entity-name", "jo")
    assert "SCRAM-SHA-256=iterations=8192" in described
    assert "producer_byte_rate=1048576" in described
    assert "request_percentage=50.5" in described
    described = tool(*describe, "clients", "--entity-default")
    assert "consumer_byte_rate=2097152" in described
    assert "producer_byte_rate" not in described


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_kafka_directory_becomes_the_engines(tmp_path: pathlib.Path, ev: CommandLine, number: signal.Signals) -> None:
    """Stopped or killed: records, offsets, groups, what was set, what was aborted; a client goes on where it was. The source stays."""
    with Kafka(directory=tmp_path / "kafka", properties={"log.cleaner.backoff.ms": "200", **SAVED_AT_ONCE}) as kafka:
        fill(kafka.bootstrap)
        still_open = transacts(kafka.bootstrap, "open", commits=None)
        kafka.tool("delete-records", "--bootstrap-server", kafka.bootstrap, "--offset-json-file", str(cut_file(tmp_path)))
        wait_for(lambda: len(read(kafka.bootstrap, "cut")) == 2, "the records before 3 to be deleted")
        expected = {topic: read(kafka.bootstrap, topic) for topic in ("plain", "keys", "cut")}
        transacted = read(kafka.bootstrap, "transactions", "-X", "isolation.level=read_committed")
        positions = committed(kafka.bootstrap, "half-way", "plain", 3)
        starts = kafka.data(1) / "log-start-offset-checkpoint"
        wait_for(lambda: "cut 0 3" in starts.read_text(), "Kafka to note where the log starts")
        if number == signal.SIGTERM:
            give_rights(kafka)
        kafka.kill(1, number)
        del still_open
        source = kafka.data(1)
        before = fingerprint(source)

        planned = ev("server", "import", str(source), "--dry-run", "--json").json
        assert {row["topic"]: row["partitions"] for row in planned} == {"plain": 3, "keys": 1, "transactions": 2, "empty": 2, "cut": 1}
        assert not ev.data_dir.exists()
        done = ev("server", "import", str(source), "--json")
        assert {row["topic"] for row in done.json} == {row["topic"] for row in planned}
        assert fingerprint(source) == before
    assert ": whole (" in ev("server", "verify").err

    ev("server", "start")
    address = ev.address
    assert {topic: read(address, topic) for topic in ("plain", "keys", "cut")} == expected
    assert transacted
    assert read(address, "transactions", "-X", "isolation.level=read_committed") == transacted
    assert committed(address, "half-way", "plain", 3) == positions
    assert sum(position for position in positions if position > 0) == 2000
    assert committed(address, "group-commits", "transactions", 1) == [3]
    assert committed(address, "group-aborts", "transactions", 1)[0] < 0
    assert committed(address, "group-open", "transactions", 1)[0] < 0
    assert len(resumed(address, "half-way", "plain")) == 15_000 - 2000
    assert committed(address, "new-protocol", "keys", 1) == [7000]
    reader = Consumer({**NEW_PROTOCOL, "bootstrap.servers": address, "group.id": "new-protocol"})
    reader.subscribe(["keys"])
    first = wait_for(lambda: reader.poll(1), "a record for a member of the new protocol", 60)
    assert first is not None
    assert first.error() is None
    assert (first.offset() or 0) >= 7000
    reader.close()
    if number == signal.SIGTERM:
        rights_are_there(address)
    resource = ConfigResource(ConfigResource.Type.TOPIC, "plain")
    admin = AdminClient({"bootstrap.servers": address})
    config = admin.describe_configs([resource])[resource].result(30)
    assert (config["segment.bytes"].value, config["retention.ms"].value) == ("1048576", "-1")

    transacts(address, "open", commits=True)  # the same id begins again, and what it had open is gone
    found = read(address, "transactions", "-X", "isolation.level=read_committed")
    assert len(found) == len(transacted) + 10
    kcat(address, "-P", "-t", "plain", "-p", "0", "-X", "enable.idempotence=true", data=b"one more\n")
    assert set(read(address, "plain")) > set(expected["plain"])
    ev("down")
    assert ": whole (" in ev("server", "verify").err
    refused = ev("server", "import", str(source), status=1).err
    assert "exists already" in refused
    assert "nothing was imported" in refused


def cut_file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "cut.json"
    path.write_text('{"partitions": [{"topic": "cut", "partition": 0, "offset": 3}], "version": 1}')
    return path


def test_a_running_kafka_is_not_imported(tmp_path: pathlib.Path, ev: CommandLine) -> None:
    """Its files change; so does what it would say of them."""
    with Kafka(directory=tmp_path / "kafka") as kafka:
        assert "stop it first" in ev("server", "import", str(kafka.data(1)), status=1).err


def test_the_engines_segments_are_served_by_kafka(tmp_path: pathlib.Path) -> None:
    """The topic is created in Kafka, which is stopped; then the engine's files take the place of its. Kafka's topic id stays its own."""
    with Engine(tmp_path / "ev", settings={"log.segment.bytes": "1048576"}) as engine:
        kcat(engine.address, "-L", "-t", "t")
        for number, codec in enumerate(CODECS):
            producer = Producer({"log_level": 0, "bootstrap.servers": engine.address, "compression.type": codec, "linger.ms": 20})
            for count in range(3000):
                producer.produce("t", b"%d-%d-" % (number, count) + b"x" * 300, key=b"k", headers=[("codec", codec.encode())], partition=0)
                producer.poll(0)
            assert producer.flush(60) == 0
        producer = Producer({"log_level": 0, "bootstrap.servers": engine.address, "transactional.id": "id"})
        producer.init_transactions(30)
        for commits in (True, False, True):
            producer.begin_transaction()
            producer.produce("t", b"transacted %d" % commits, partition=0)
            assert producer.flush(30) == 0
            (producer.commit_transaction if commits else producer.abort_transaction)(30)
        expected = read(engine.address, "t", "-X", "isolation.level=read_committed")
        assert len(expected) == 3000 * len(CODECS) + 2
        assert engine.stop() == 0
        folder = engine.directory / "t-0"

    with Kafka(directory=tmp_path / "kafka") as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("t", 1)])["t"].result(30)
        kafka.kill(1, signal.SIGTERM)
        place = kafka.data(1) / "t-0"
        for path in place.iterdir():
            if path.name != "partition.metadata":
                path.unlink()
        kept = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
        carried = [path for path in folder.iterdir() if path.suffix in kept or path.name == "leader-epoch-checkpoint"]
        assert len([path for path in carried if path.suffix == ".log"]) > 1
        for path in carried:
            shutil.copy(path, place / path.name)
        kafka.start(1)
        kafka.wait_until_ready()
        wait_for(lambda: read(kafka.bootstrap, "t", "-X", "isolation.level=read_committed") == expected, "Kafka to serve the segments")
        kcat(kafka.bootstrap, "-P", "-t", "t", "-p", "0", data=b"one more\n")

        def found() -> list[bytes]:
            return read(kafka.bootstrap, "t", "-X", "isolation.level=read_committed")

        wait_for(lambda: len(found()) == len(expected) + 1, "one record more")
        assert set(found()) > set(expected)
        assert not [path.name for path in kafka.data(1).iterdir() if path.name.endswith("-stray")]
