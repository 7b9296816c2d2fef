"""Kafka's own DumpLogSegments reads the records that groups leave in __consumer_offsets."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Callable

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from support import apache_kafka
from support.engine import Engine
from support.waiting import wait_for

pytestmark = pytest.mark.java


def dump(path: pathlib.Path) -> str:
    arguments = ("--offsets-decoder", "--deep-iteration", "--files", str(path))
    apache_kafka.jars()
    done = subprocess.run(
        apache_kafka.tool_command(apache_kafka.LATEST, "dump-log", *arguments), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "xception" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert "isvalid: false" not in done.stdout
    return done.stdout


def test_the_offsets_decoder_reads_generations_and_commits(start_engine: Callable[..., Engine]) -> None:
    """A static member's generation, its commit with a note, and a simple consumer's."""
    engine = start_engine(settings={"offsets.topic.num.partitions": "1"})
    producer = KafkaProducer(bootstrap_servers=engine.address)
    producer.send("orders", b"x").get(30)
    producer.close()
    consumer = KafkaConsumer(
        "orders",
        bootstrap_servers=engine.address,
        group_id="billing",
        group_instance_id="till-1",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    wait_for(lambda: consumer.poll(5_000), "a record read by the group", 40)
    consumer.commit({TopicPartition("orders", 0): OffsetAndMetadata(1, "a note", -1)})
    consumer.close()
    simple = KafkaConsumer(bootstrap_servers=engine.address, group_id="simple", enable_auto_commit=False)
    simple.assign([TopicPartition("orders", 0)])
    simple.commit({TopicPartition("orders", 0): OffsetAndMetadata(1, "", -1)})
    simple.close()
    engine.stop()
    text = dump(engine.directory / "__consumer_offsets-0" / "00000000000000000000.log")
    assert '"protocolType":"consumer","generation":1,"protocol":"range"' in text
    assert '"groupInstanceId":"till-1"' in text
    assert '"assignment":{"assignedPartitions":[{"topic":"orders","partitions":[0]}]' in text
    assert '{"type":"1","data":{"group":"billing","topic":"orders","partition":0}}' in text
    assert '"version":"4","data":{"offset":1,' in text
    assert '"metadata":"a note"' in text
    assert '{"type":"1","data":{"group":"simple","topic":"orders","partition":0}}' in text
