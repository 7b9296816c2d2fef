"""Apache Kafka brokers die while they are read from: nothing is lost, and nothing is read twice that was committed."""

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


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_near_replica_is_read_from_while_it_is_there(tmp_path: pathlib.Path) -> None:
    """A consumer in the follower's rack reads there; when that broker dies it goes on at the leader, without a gap."""
    properties = {"broker.rack": "rack-{node}", "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
    with Kafka(nodes=3, directory=tmp_path, heap="400m", properties=properties) as kafka, Admin(kafka.bootstrap) as admin:
        near, leader = 3, 2
        admin.create_topics([NewTopic("t", replicas={0: [leader, near]}, configs={"min.insync.replicas": "1"})])[0].or_raise()
        found: list[bytes | None] = []

        def read_up_to(count: int) -> None:
            give_up = time.monotonic() + 120
            while len(found) < count:
                found.extend(record.value for record in consumer.poll(500))
                assert time.monotonic() < give_up

        with Producer(kafka.bootstrap) as producer, Consumer(kafka.bootstrap, rack=f"rack-{near}", max_wait_ms=200) as consumer:
            consumer.assign([("t", 0)])
            position = consumer._positions["t", 0]
            for wave in range(3):
                producer.produce_many("t", [b"%d" % number for number in range(wave * 100, wave * 100 + 100)])
                assert producer.flush(60_000) == 0
                read_up_to(wave * 100 + 100)
                if wave == 0:
                    give_up = time.monotonic() + 60
                    while position.replica != near:  # it lags behind at first, and is named once it is in sync
                        consumer.poll(200)
                        assert time.monotonic() < give_up
                elif wave == 1:
                    assert position.replica == near
                    kafka.kill(near)
        assert found == [b"%d" % number for number in range(300)]
