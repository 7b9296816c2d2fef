"""One of three Apache Kafka brokers dies while a group reads: nothing is lost, and nothing is read twice that was committed."""

from __future__ import annotations

import pathlib
import time
from collections import Counter

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import NewTopic
from ev.errors import KafkaError
from support.apache_kafka import Kafka

PARTITIONS = 6


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_dying_coordinator_and_leader_cost_no_record(tmp_path: pathlib.Path) -> None:
    """kill -9 of the broker that coordinates the group and leads a third of the partitions, and its return, while records keep coming."""
    with Kafka(nodes=3, directory=tmp_path, heap="400m") as kafka, Admin(kafka.bootstrap) as admin, Producer(kafka.bootstrap) as producer:
        admin.create_topics([NewTopic("t", PARTITIONS, 3, {"min.insync.replicas": "1"})])[0].or_raise()
        seen: Counter[tuple[int, int]] = Counter()
        sent = 0
        with Consumer(kafka.bootstrap, group="g", heartbeat_interval_ms=300, session_timeout_ms=20_000) as consumer:
            consumer.subscribe(["t"])

            def read() -> None:
                batches = consumer.poll_batches(20)
                for batch in batches:
                    seen.update((batch.partition, offset) for offset in batch.columns.offsets)
                if batches:
                    try:
                        consumer.commit(timeout_ms=30_000)
                    except KafkaError:
                        return  # the group is rebalancing: what comes twice is counted below

            def go_on(records: int) -> None:
                """Send so many more to each partition, and read until all are there."""
                nonlocal sent
                deadline = time.monotonic() + 120
                for _ in range(records):
                    for partition in range(PARTITIONS):
                        producer.produce("t", b"x", partition=partition)
                    sent += PARTITIONS
                    producer.poll()
                    read()
                while len(seen) < sent:
                    producer.poll()
                    read()
                    assert time.monotonic() < deadline, f"{len(seen)} of {sent} records came"

            go_on(20)
            coordinator = admin.describe_groups(["g"])[0].coordinator
            kafka.kill(coordinator)
            go_on(200)
            kafka.start(coordinator)
            go_on(200)
        ends = admin.list_offsets({("t", index): "latest" for index in range(PARTITIONS)})
        assert sum(end.offset for end in ends.values()) == sent == len(seen)
        assert {partition: end.offset for partition, end in ends.items()} == {
            partition: committed.offset for partition, committed in admin.committed_offsets("g").items()
        }
