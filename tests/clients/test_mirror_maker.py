"""MirrorMaker 2, unchanged: what is in an Apache Kafka comes to the engine, and from there to a Kafka again."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka
from support.engine import Engine
from support.waiting import wait_for

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(300)]

PARTITIONS = 3
Records = list[tuple[int, int, bytes, bytes, Any]]


def records(address: str, topic: str) -> Records:
    """(partition, offset, key, value, headers) of every record; none when there is no such topic."""
    settings = {"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(settings)
    found: Records = []
    try:
        for index in consumer.list_topics(topic, 10).topics[topic].partitions:
            consumer.assign([TopicPartition(topic, index, 0)])
            while (message := consumer.poll(20)) is not None and message.error() is None:
                place = (message.partition() or 0, message.offset() or 0)
                found.append((*place, message.key() or b"", message.value() or b"", message.headers() or []))
    finally:
        consumer.close()
    return found


def fill(address: str, topic: str, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})
    for number in numbers:
        producer.produce(topic, b"value-%d" % number, b"key-%d" % number, partition=number % PARTITIONS, headers=[("n", b"%d" % number)])
    assert producer.flush(30) == 0


def test_a_topic_goes_from_kafka_to_the_engine_and_back(apache: apache_kafka.Kafka, tmp_path: pathlib.Path) -> None:
    """With partitions, offsets, keys, values, headers and configuration as they were; what comes later follows."""
    kafka = apache.bootstrap
    topic = f"mirrored-{tmp_path.name}"
    configured = NewTopic(topic, PARTITIONS, 1, config={"retention.ms": "7654321"})
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([configured])[topic].result(30)
    fill(kafka, topic, range(500))
    original = records(kafka, topic)
    assert len(original) == 500
    with Engine(tmp_path / "data") as engine:
        flows = {"kafka->ev": topic, "ev->back": f"kafka.{topic}"}
        lines = {
            "clusters": "kafka, ev, back",
            "kafka.bootstrap.servers": kafka,
            "ev.bootstrap.servers": engine.address,
            "back.bootstrap.servers": kafka,
            "replication.factor": "1",
            "checkpoints.topic.replication.factor": "1",
            "heartbeats.topic.replication.factor": "1",
            "offset-syncs.topic.replication.factor": "1",
            "offset.storage.replication.factor": "1",
            "status.storage.replication.factor": "1",
            "config.storage.replication.factor": "1",
            "emit.heartbeats.enabled": "false",
            "sync.topic.acls.enabled": "false",
            "refresh.topics.interval.seconds": "1",
            "consumer.auto.offset.reset": "earliest",
        }
        for flow, pattern in flows.items():
            lines |= {f"{flow}.enabled": "true", f"{flow}.topics": pattern}
        properties = tmp_path / "mirrors.properties"
        properties.write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
        output = tmp_path / "mirror.out"
        with output.open("wb") as out:
            mirror = subprocess.Popen(
                apache_kafka.tool_command(apache_kafka.LATEST, "mirror-maker", str(properties)), stdout=out, stderr=out
            )
        try:
            there, back = f"kafka.{topic}", f"ev.kafka.{topic}"
            wait_for(lambda: records(engine.address, there) == original, f"the engine to have the records, {output}", 120)
            wait_for(lambda: records(kafka, back) == original, f"Kafka to have them again, {output}", 120)
            fill(kafka, topic, range(500, 700))
            complete = records(kafka, topic)
            wait_for(lambda: records(kafka, back) == complete, f"the later records to follow, {output}", 60)
            assert records(engine.address, there) == complete
            described = subprocess.run(
                apache_kafka.tool_command(
                    apache_kafka.LATEST, "topics", "--bootstrap-server", engine.address, "--describe", "--topic", there
                ),
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert "retention.ms=7654321" in described.stdout
        finally:
            mirror.terminate()
            try:
                mirror.wait(30)
            except subprocess.TimeoutExpired:
                mirror.kill()
                mirror.wait()
        assert engine.stop() == 0
