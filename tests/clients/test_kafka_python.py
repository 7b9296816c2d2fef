"""kafka-python 3: producer, consumer and admin client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from support.waiting import wait_for


@pytest.fixture
def admin(address: str) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    yield admin
    admin.close()


def produce(address: str, topic: str, values: list[bytes], **settings: Any) -> list[int]:
    """The offset of each value, each acknowledged by all."""
    producer = KafkaProducer(bootstrap_servers=address, acks="all", **settings)
    try:
        answers = [producer.send(topic, value, partition=0) for value in values]
        producer.flush(60)
        return [answer.get(10).offset for answer in answers]
    finally:
        producer.close()


def read(address: str, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    found: list[Any] = []
    wait_for(lambda: found.extend(consumer.poll(500).get(TopicPartition(topic, 0), [])) or len(found) >= count, f"{count} records", 40)  # type: ignore[func-returns-value]
    consumer.close()
    return found


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("codec", [None, "gzip"])
def test_records_keep_their_order(address: str, topic: str, codec: str | None, idempotent: bool) -> None:
    """Compressed or not, idempotent or not: each record once and in order."""
    values = [b"%d" % number for number in range(2000)]
    assert produce(address, topic, values, compression_type=codec, enable_idempotence=idempotent) == list(range(2000))
    assert [record.value for record in read(address, topic, 2000)] == values


def test_keys_headers_and_timestamps_survive(address: str, topic: str) -> None:
    """What a record carries comes back; a null value is not an empty one."""
    producer = KafkaProducer(bootstrap_servers=address)
    producer.send(topic, b"v", b"k", [("a", b"1")], 0, 1_700_000_000_123).get(20)
    producer.send(topic, None, b"k", partition=0).get(20)
    producer.close()
    first, second = read(address, topic, 2)
    assert (first.key, first.value, first.timestamp, list(first.headers)) == (b"k", b"v", 1_700_000_000_123, [("a", b"1")])
    assert second.value is None


def test_offsets_and_times_are_found(address: str, topic: str) -> None:
    """Beginning, end and the first offset at a time."""
    producer = KafkaProducer(bootstrap_servers=address)
    for number in range(5):
        producer.send(topic, b"%d" % number, partition=0, timestamp_ms=1_700_000_000_000 + 1000 * number).get(20)
    producer.close()
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=address)
    assert consumer.beginning_offsets([place]) == {place: 0}
    assert consumer.end_offsets([place]) == {place: 5}
    assert consumer.offsets_for_times({place: 1_700_000_001_500})[place].offset == 2
    consumer.close()


def test_the_admin_client_manages_topics(admin: Any, topic: str) -> None:
    """Create, list, describe, grow, configure, delete."""
    admin.create_topics([NewTopic(topic, 2, 1)], wait_for_metadata=True)
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(topic, 2, 1)])
    assert topic in admin.list_topics()
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 2
    admin.create_partitions({topic: 3})
    wait_for(lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 3, "three partitions")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "123456"})])
    wait_for(lambda: "123456" in str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])), "the new value")
    admin.delete_topics([topic])
    wait_for(lambda: topic not in admin.list_topics(), "the topic to go")


def test_the_admin_client_sees_the_cluster(admin: Any, address: str) -> None:
    """One broker, at the address that was dialled."""
    cluster = admin.describe_cluster()
    assert [f"{node['host']}:{node['port']}" for node in cluster["brokers"]] == [address]


def test_the_admin_client_deletes_records(address: str, admin: Any, topic: str) -> None:
    """The log then starts at the offset that was asked for."""
    produce(address, topic, [b"%d" % number for number in range(10)])
    admin.delete_records({TopicPartition(topic, 0): 4})
    assert [record.offset for record in read(address, topic, 6)] == [4, 5, 6, 7, 8, 9]


def test_the_admin_client_manages_groups_and_their_offsets(address: str, admin: Any, topic: str) -> None:
    """List, describe, alter and delete offsets, delete the group."""
    produce(address, topic, [b"%d" % number for number in range(10)])
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest", enable_auto_commit=False)
    found: list[Any] = []
    wait_for(lambda: found.extend(consumer.poll(500).get(place, [])) or len(found) >= 10, "ten records", 40)  # type: ignore[func-returns-value]
    consumer.commit({place: OffsetAndMetadata(7, "", -1)})
    assert topic in str(admin.list_groups())
    assert "Stable" in str(admin.describe_groups([topic]))
    consumer.close()
    assert admin.list_group_offsets({topic: [place]})[topic][place].offset == 7
    admin.alter_group_offsets(topic, {place: OffsetAndMetadata(3, "", -1)})
    assert admin.list_group_offsets({topic: [place]})[topic][place].offset == 3
    admin.delete_group_offsets(topic, [place])
    assert admin.list_group_offsets({topic: [place]})[topic][place].offset == -1
    admin.delete_groups([topic])
    wait_for(lambda: topic not in str(admin.list_groups()), "the group to go")
