"""Apache Kafka's Streams and Connect on the engine, unchanged, killed and started again."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka
from support.engine import Engine
from support.ports import free_ports
from support.waiting import wait_for

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(300)]

SOURCE = pathlib.Path(apache_kafka.__file__).with_name("StreamsCounter.java")
LETTERS = "abc"


@contextmanager
def process(command: Sequence[str], output: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("ab") as out:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def create(address: str, **topics: int) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()]).values():
        future.result(20)


def read_committed(address: str, topic: str, partitions: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of every committed record, partition by partition."""
    settings = {"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**settings, "isolation.level": "read_committed"})
    found = []
    try:
        for index in range(partitions):
            consumer.assign([TopicPartition(topic, index, 0)])
            while (message := consumer.poll(20)) is not None and message.error() is None:
                found.append((message.key() or b"", message.value() or b""))
            assert message is not None, f"{topic}-{index} could not be read to its end"
    finally:
        consumer.close()
    return found


def test_streams_counts_each_record_exactly_once(tmp_path: pathlib.Path) -> None:
    """With exactly_once_v2, over crashes of the application and of the engine: of each key the counts 1, 2, 3 ..., none twice."""
    output = tmp_path / "streams.out"
    with Engine(tmp_path / "data") as engine:
        create(engine.address, words=2, counts=2)
        arguments = (str(SOURCE), engine.address, "counter", str(tmp_path / "state"), "words", "counts")
        command = apache_kafka.java(apache_kafka.LATEST, *arguments)
        producer = Producer({"bootstrap.servers": engine.address, "enable.idempotence": True, "metadata.recovery.strategy": "none"})
        sent = 0

        def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                producer.produce("words", b"x", key=f"{LETTERS[sent % 3]}{sent}".encode(), partition=sent % 2)
                sent += 1
            assert producer.flush(30) == 0

        def has_counted(least: int) -> None:
            wait_for(lambda: len(read_committed(engine.address, "counts", 2)) >= least, f"{least} counts, {output.read_text()[-2000:]}", 90)

        send(60)
        with process(command, output) as application:
            has_counted(30)
            send(60)
            application.kill()
        with process(command, output):
            has_counted(70)
            send(60)
            engine.kill()
            engine.start()
            send(60)
            has_counted(150)
            engine.kill()
            engine.start()
            send(60)
            has_counted(sent)
        found: dict[str, list[int]] = {}
        for key, value in read_committed(engine.address, "counts", 2):
            found.setdefault(key.decode(), []).append(int.from_bytes(value, "big"))
        assert found == {letter: list(range(1, sent // 3 + 1)) for letter in LETTERS}
        assert engine.stop() == 0


def rest(port: int, path: str, body: object = None) -> object:
    """An answer of Connect's REST interface; None when it is not there yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def test_connect_copies_a_file_through_a_topic(tmp_path: pathlib.Path) -> None:
    """connect-distributed: its group, its compacted topics, a source and a sink; killed and started again it goes on where it was."""
    source, sink, output = tmp_path / "in.txt", tmp_path / "out.txt", tmp_path / "connect.out"
    source.write_text("".join(f"line {number}\n" for number in range(100)))
    (port,) = free_ports(1)
    with Engine(tmp_path / "data") as engine:
        worker = {
            "bootstrap.servers": engine.address,
            "group.id": "connect",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.storage.topic": "connect-offsets",
            "config.storage.topic": "connect-configs",
            "status.storage.topic": "connect-status",
            "offset.storage.partitions": "2",
            "status.storage.partitions": "1",
            "offset.storage.replication.factor": "1",
            "config.storage.replication.factor": "1",
            "status.storage.replication.factor": "1",
            "offset.flush.interval.ms": "500",
            "listeners": f"http://127.0.0.1:{port}",
            "rest.advertised.host.name": "127.0.0.1",
            "plugin.discovery": "only_scan",
        }
        properties = tmp_path / "worker.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in worker.items()))
        command = apache_kafka.tool_command(apache_kafka.LATEST, "connect-distributed", str(properties))
        with process(command, output) as connect:
            wait_for(lambda: rest(port, "/connectors") == [], f"connect to come up, {output}", 90)
            kind = "org.apache.kafka.connect.file.FileStream"
            common = {"tasks.max": "1"}
            from_file = {"connector.class": f"{kind}SourceConnector", "file": str(source), "topic": "lines", **common}
            to_file = {"connector.class": f"{kind}SinkConnector", "file": str(sink), "topics": "lines", **common}
            for name, config in (("from-file", from_file), ("to-file", to_file)):
                asked = {"name": name, "config": config}
                wait_for(lambda: rest(port, "/connectors", asked), f"connector {name}", 60)  # noqa: B023
            wait_for(lambda: sink.exists() and sink.read_text() == source.read_text(), "the file to be copied", 60)
            connect.send_signal(signal.SIGTERM)
            connect.wait(60)
        with source.open("a") as more:
            more.write("".join(f"line {number}\n" for number in range(100, 150)))
        engine.kill()
        engine.start()
        with process(command, output):
            wait_for(lambda: sink.read_text() == source.read_text(), f"the rest to be copied, {output}", 120)
        assert engine.stop() == 0
