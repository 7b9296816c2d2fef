"""confluent-kafka, librdkafka's newest release from Python: producer, consumer, admin client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, OffsetSpec, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from support.waiting import wait_for


@pytest.fixture
def admin(address: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": address})


@pytest.fixture
def consumer(address: str, topic: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": topic, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    yield consumer
    consumer.close()


def create(admin: AdminClient, topic: str, partitions: int = 1, **config: str) -> None:
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)
    wait_for(lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == partitions, "the topic")


def produce(address: str, topic: str, values: list[bytes], settings: dict[str, Any] | None = None) -> list[tuple[int, int]]:
    """(partition, offset) of each value, in order; every one was acknowledged."""
    producer = Producer({"bootstrap.servers": address, "acks": "all", **(settings or {})})
    places: dict[int, tuple[int, int]] = {}

    def telling(number: int) -> Callable[[KafkaError | None, Message], None]:
        def told(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            places[number] = (message.partition() or 0, message.offset() or 0)

        return told

    for number, value in enumerate(values):
        while True:
            try:
                producer.produce(topic, value, partition=0, on_delivery=telling(number))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    return [places[number] for number in range(len(values))]


def read(consumer: Consumer, topic: str, count: int, partition: int = 0, offset: int = OFFSET_BEGINNING) -> list[Message]:
    consumer.assign([TopicPartition(topic, partition, offset)])
    found: list[Message] = []

    def more() -> bool:
        for message in consumer.consume(count, 0.5):
            assert message.error() is None, message.error()
            found.append(message)
        return len(found) >= count

    wait_for(more, f"{count} records of {topic}", 30)
    return found


def test_records_come_back_with_all_that_they_carry(address: str, topic: str, consumer: Consumer) -> None:
    """Key, value, headers and timestamp; null is not empty."""
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, b"value", b"key", 0, timestamp=1_700_000_000_123, headers=[("a", b"1"), ("a", b"2"), ("n", None)])
    producer.produce(topic, None, b"", 0)
    producer.produce(topic, b"", None, 0)
    assert producer.flush(30) == 0
    first, second, third = read(consumer, topic, 3)
    assert (first.key(), first.value(), first.timestamp()[1]) == (b"key", b"value", 1_700_000_000_123)
    assert first.headers() == [("a", b"1"), ("a", b"2"), ("n", None)]
    assert (second.key(), second.value()) == (b"", None)
    assert (third.key(), third.value()) == (None, b"")


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_ten_thousand_records_keep_their_order(address: str, topic: str, consumer: Consumer, codec: str, idempotent: bool) -> None:
    """With every codec, idempotent or not: each record once, in order, at the offset that was acknowledged."""
    values = [b"%d" % number for number in range(10_000)]
    places = produce(address, topic, values, {"compression.type": codec, "enable.idempotence": idempotent})
    assert places == [(0, number) for number in range(10_000)]
    assert [message.value() for message in read(consumer, topic, 10_000)] == values


def test_offsets_are_found_by_time_and_watermark(address: str, topic: str, consumer: Consumer) -> None:
    """offsets_for_times gives the first record that is not older; watermarks are the log's bounds."""
    producer = Producer({"bootstrap.servers": address})
    for number in range(5):
        producer.produce(topic, b"%d" % number, partition=0, timestamp=1_700_000_000_000 + 1000 * number)
    assert producer.flush(30) == 0
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 5)
    asked = [TopicPartition(topic, 0, 1_700_000_000_000 + after) for after in (0, 1500, 4000)]
    assert [consumer.offsets_for_times([place], timeout=10)[0].offset for place in asked] == [0, 2, 4]


def test_a_topic_is_created_described_grown_and_deleted(admin: AdminClient, topic: str) -> None:
    """The admin client's round through a topic's life, and the errors on the way."""
    create(admin, topic, 2, **{"retention.ms": "1234567"})
    with pytest.raises(KafkaException) as again:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    assert again.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(30)
    assert (described.name, len(described.partitions), described.is_internal) == (topic, 2, False)
    assert described.partitions[0].leader is not None
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    wait_for(lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 4, "four partitions")
    admin.delete_topics([topic])[topic].result(30)
    wait_for(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic to go")
    with pytest.raises(KafkaException) as gone:
        admin.delete_topics([topic])[topic].result(30)
    assert gone.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_configurations_are_described_and_altered(admin: AdminClient, topic: str) -> None:
    """A topic's own value is shown as its own; setting and unsetting one takes effect."""
    create(admin, topic, 1, **{"retention.ms": "1000000"})
    resource = ConfigResource(ResourceType.TOPIC, topic)

    def value(name: str) -> ConfigEntry:
        entry: ConfigEntry = admin.describe_configs([resource])[resource].result(30)[name]
        return entry

    assert value("retention.ms").value == "1000000"
    assert not value("retention.ms").is_default
    assert value("segment.bytes").is_default
    change = ConfigEntry("retention.ms", "2000000", incremental_operation=AlterConfigOpType.SET)
    admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])])[resource].result(30)
    wait_for(lambda: value("retention.ms").value == "2000000", "the new value")
    change = ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE)
    admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])])[resource].result(30)
    wait_for(lambda: value("retention.ms").is_default, "the default")
    refused = ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)
    with pytest.raises(KafkaException) as wrong:
        admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[refused])])[resource].result(30)
    assert wrong.value.args[0].code() == KafkaError.INVALID_CONFIG


def test_the_cluster_is_described(admin: AdminClient, address: str) -> None:
    """One node, at the address that was dialled, which is the controller; broker settings can be read."""
    cluster = admin.describe_cluster().result(30)
    assert cluster.cluster_id
    assert [f"{node.host}:{node.port}" for node in cluster.nodes] == [address]
    assert cluster.controller.id == cluster.nodes[0].id
    resource = ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id))
    assert "log.segment.bytes" in admin.describe_configs([resource])[resource].result(30)


def test_records_before_an_offset_are_deleted(address: str, admin: AdminClient, topic: str, consumer: Consumer) -> None:
    """The log starts at the offset asked for; reading from the beginning begins there."""
    create(admin, topic)
    produce(address, topic, [b"%d" % number for number in range(10)])
    place = TopicPartition(topic, 0, 6)
    assert admin.delete_records([place])[place].result(30).low_watermark == 6
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (6, 10)
    assert [message.offset() for message in read(consumer, topic, 4)] == [6, 7, 8, 9]
    spec = {TopicPartition(topic, 0): OffsetSpec.earliest()}  # type: ignore[no-untyped-call]
    assert [found.result(10).offset for found in admin.list_offsets(spec, isolation_level=IsolationLevel.READ_UNCOMMITTED).values()] == [6]


def test_groups_are_listed_described_altered_and_deleted(address: str, admin: AdminClient, topic: str) -> None:
    """The admin client's view of a group that consumed, left, was moved and was deleted."""
    create(admin, topic)
    produce(address, topic, [b"%d" % number for number in range(10)])
    settings = {"bootstrap.servers": address, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**settings, "client.id": "reader"})
    consumer.subscribe([topic])
    got: list[Message] = []
    wait_for(lambda: got.extend(consumer.consume(10, 0.5)) or len(got) == 10, "ten records", 40)  # type: ignore[func-returns-value]
    consumer.commit(asynchronous=False)
    described = admin.describe_consumer_groups([topic])[topic].result(30)
    assert (described.state.name, [member.client_id for member in described.members]) == ("STABLE", ["reader"])
    assert [(place.topic, place.partition) for place in described.members[0].assignment.topic_partitions] == [(topic, 0)]
    assert topic in {group.group_id for group in admin.list_consumer_groups().result(30).valid}
    consumer.close()
    wait_for(lambda: admin.describe_consumer_groups([topic])[topic].result(30).state.name == "EMPTY", "an empty group")
    moved = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0, 3)])
    admin.alter_consumer_group_offsets([moved])[topic].result(30)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result(30).topic_partitions
    assert [(place.topic, place.partition, place.offset) for place in found] == [(topic, 0, 3)]
    admin.delete_consumer_groups([topic])[topic].result(30)
    assert topic not in {group.group_id for group in admin.list_consumer_groups().result(30).valid}


def test_an_unknown_topic_is_said_to_be_unknown(address: str, topic: str) -> None:
    """A consumer that does not create topics hears UNKNOWN_TOPIC_OR_PART."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": topic, "allow.auto.create.topics": False})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 20
    while True:
        message = consumer.poll(0.5)
        error = message.error() if message is not None else None
        if error is not None:
            assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            break
        assert time.monotonic() < deadline, "no error came"
    consumer.close()
