"""Committed offsets and the administration of groups, through other people's clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AsyncPlace
from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import OffsetMetadataTooLargeError
from kafka.structs import OffsetAndMetadata

from support.group_members import member_of
from support.rules import rule
from support.waiting import wait_for

NOTE = "ü" * 1000 + "x" * 3096


@pytest.fixture
def admin(address: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": address})


@pytest.fixture
def made(admin: AdminClient, topic: str) -> str:
    """A topic of two partitions."""
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    return topic


@pytest.fixture
def consumer(address: str, made: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": f"simple-{made}", "enable.auto.commit": False})
    yield consumer
    consumer.close()


def test_a_note_of_4096_characters_comes_back_as_it_was(address: str, made: str) -> None:
    """Committed metadata is kept to the letter; one more character is refused and changes nothing."""
    place = TopicPartition(made, 0)
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=f"noted-{made}", enable_auto_commit=False)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(7, NOTE, -1)})
    with pytest.raises(OffsetMetadataTooLargeError):
        consumer.commit({place: OffsetAndMetadata(8, NOTE + "x", -1)})
    read = consumer.committed(place, metadata=True)
    consumer.close()
    assert (read.offset, read.metadata) == (7, NOTE)


def test_what_one_client_commits_the_others_read(address: str, made: str) -> None:
    """kafka-python writes, confluent-kafka and kafka-python read."""
    group = f"across-{made}"
    writer = KafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    writer.assign([TopicPartition(made, 1)])
    writer.commit({TopicPartition(made, 1): OffsetAndMetadata(41, "by kafka-python", -1)})
    assert writer.committed(TopicPartition(made, 1)) == 41
    writer.close()
    reader = Consumer({"bootstrap.servers": address, "group.id": group})
    other, read = reader.committed([Place(made, 0), Place(made, 1)], 20)
    reader.close()
    assert (read.offset, read.metadata) == (41, "by kafka-python")
    assert other.offset < 0, "nothing was committed for the other partition"


async def commit_and_read(address: str, topic: str, group: str) -> Any:
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([AsyncPlace(topic, 0)])
    await consumer.commit({AsyncPlace(topic, 0): 9})
    offset = await consumer.committed(AsyncPlace(topic, 0))
    await consumer.stop()
    return offset


def test_aiokafka_commits_without_being_a_member(address: str, made: str) -> None:
    """A consumer with assigned partitions has no generation."""
    assert asyncio.run(commit_and_read(address, made, f"aio-{made}")) == 9


def test_groups_are_listed_described_and_deleted(address: str, admin: AdminClient, consumer: Consumer, made: str) -> None:
    """A group without members can go; one with members cannot."""
    group = f"simple-{made}"
    consumer.commit(offsets=[Place(made, 0, 7)], asynchronous=False)
    listed = {found.group_id: found for found in admin.list_consumer_groups().result(20).valid}
    assert listed[group].state is ConsumerGroupState.EMPTY
    assert listed[group].is_simple_consumer_group
    with member_of("confluent-kafka", address, made, f"live-{made}") as member:
        wait_for(lambda: len(member.assigned) == 2, "the member to have both partitions", 30)
        stable = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(20).valid
        assert f"live-{made}" in {found.group_id for found in stable}
        assert group not in {found.group_id for found in stable}
        with pytest.raises(KafkaException) as refused:
            admin.delete_consumer_groups([f"live-{made}"])[f"live-{made}"].result(20)
        assert refused.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    admin.delete_consumer_groups([group])[group].result(20)
    assert group not in {found.group_id for found in admin.list_consumer_groups().result(20).valid}
    with pytest.raises(KafkaException) as missing:
        admin.delete_consumer_groups([group])[group].result(20)
    assert missing.value.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND


def test_an_administrator_moves_the_offsets_of_a_group(admin: AdminClient, consumer: Consumer, made: str) -> None:
    """List, alter, list again."""
    group = f"simple-{made}"
    consumer.commit(offsets=[Place(made, 0, 7), Place(made, 1, 8)], asynchronous=False)
    everything = ConsumerGroupTopicPartitions(group)
    found = admin.list_consumer_group_offsets([everything])[group].result(20).topic_partitions
    assert sorted((place.partition, place.offset) for place in found) == [(0, 7), (1, 8)]
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [Place(made, 0, 1)])])[group].result(20)
    found = admin.list_consumer_group_offsets([everything])[group].result(20).topic_partitions
    assert sorted((place.partition, place.offset) for place in found) == [(0, 1), (1, 8)]


def test_kafka_python_administers_groups(address: str, admin: AdminClient, consumer: Consumer, made: str) -> None:
    """Its own requests, in the newest versions: list, describe, offsets, delete."""
    group = f"simple-{made}"
    consumer.commit(offsets=[Place(made, 0, 7, "note")], asynchronous=False)
    client = KafkaAdminClient(bootstrap_servers=address)
    try:
        assert group in str(client.list_groups())
        described = client.describe_groups([group])
        assert "Empty" in str(described)
        assert "7" in str(client.list_group_offsets(group))
        client.delete_groups([group])
        assert group not in str(client.list_groups())
    finally:
        client.close()


@rule(23)
def test_offsets_of_a_deleted_topic_are_forgotten(admin: AdminClient, consumer: Consumer, made: str) -> None:
    """Its successor of the same name begins without commits."""
    consumer.commit(offsets=[Place(made, 0, 7)], asynchronous=False)
    admin.delete_topics([made])[made].result(30)
    wait_for(lambda: made not in admin.list_topics(timeout=10).topics, "the topic to be gone")
    admin.create_topics([NewTopic(made, 2, 1)])[made].result(30)
    [read] = consumer.committed([Place(made, 0)], 20)
    assert read.offset < 0
