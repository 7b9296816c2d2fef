"""One of three Apache Kafka brokers dies while the producer writes: what was acknowledged is there, once and in order."""

from __future__ import annotations

import pathlib
import time

import pytest

from ev.client.cluster import Cluster
from ev.client.delivery import Delivery
from ev.client.producer import Producer
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.records import decode_batch, headers
from support.apache_kafka import Kafka

PARTITIONS = 3


def read_partition(cluster: Cluster, topic: str, partition: int) -> list[bytes | None]:
    """Every value of a partition, from whoever leads it."""
    values: list[bytes | None] = []
    while True:
        leader = cluster.metadata.leader(topic, partition)
        wanted = FetchPartition(partition=partition, fetch_offset=len(values), partition_max_bytes=8 << 20)
        request = FetchRequest(max_wait_ms=200, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
        row = cluster.call(request, leader, version_max=11).responses[0].partitions[0]
        assert row.error_code == 0
        batches = [decode_batch(row.records, position) for position, _ in headers(row.records or b"")]
        if not batches:
            return values
        for batch in batches:
            assert batch.offsets[0] == len(values)
            values += batch.values


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_dying_broker_costs_nothing_that_was_acknowledged(tmp_path: pathlib.Path) -> None:
    """kill -9 of one of three brokers in the middle, and its return; acks=all, five requests in flight, every partition."""
    properties = {"min.insync.replicas": "2", "default.replication.factor": "3", "num.partitions": str(PARTITIONS)}
    with Kafka(nodes=3, directory=tmp_path / "kafka", properties=properties) as kafka:
        deliveries: list[Delivery] = []
        expected: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        with Producer(kafka.bootstrap, create_topics=True, batch_bytes=20_000, request_timeout_ms=5_000) as producer:
            producer.partitions("t")
            started = time.monotonic()
            number = 0
            killed = returned = False
            while time.monotonic() - started < 25:
                partition = number % PARTITIONS
                values = [b"%d/%d" % (number, row) for row in range(200)]
                expected[partition] += values
                producer.produce_many("t", values, partition=partition, tag=number)
                number += 1
                deliveries += producer.poll(5)
                if not killed and time.monotonic() - started > 5:
                    kafka.kill(2)
                    killed = True
                if not returned and time.monotonic() - started > 15:
                    kafka.start(2)
                    returned = True
            assert producer.flush(120_000) == 0
            deliveries += producer.poll()
        assert [delivery for delivery in deliveries if delivery.error is not None] == []
        assert sum(delivery.count for delivery in deliveries) == 200 * number
        cluster = Cluster(kafka.bootstrap)
        cluster.topic("t", timeout_ms=20_000)
        for partition in range(PARTITIONS):
            assert read_partition(cluster, "t", partition) == expected[partition]
        cluster.close()
