"""Produce requests that name topics by their ids (version 13, KIP-516), on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.records import encode_batch
from support.raw_transactions import Ask, TransactionalProducer, until_coordinators_are_there, until_settled
from support.waiting import wait_for

UNKNOWN_ID = uuid.uuid4().bytes


def new_topic(ask: Ask, name: str) -> bytes:
    """Its id, when it can be written to."""
    wanted = CreatableTopic(name=name, num_partitions=2, replication_factor=1)
    created = ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 7).topics[0]
    assert created.error_code == 0
    known = MetadataRequest(topics=[MetadataRequestTopic(name=name)])
    wait_for(lambda: ask(known, 12).topics[0].error_code == 0, f"{name} to be served")
    return bytes(created.topic_id)


@pytest.fixture
def name() -> str:
    return f"by-id-{uuid.uuid4().hex}"


def produced(ask: Ask, *topics: tuple[bytes, int], acks: int = -1) -> list[tuple[bytes, int, int, int]]:
    """(topic id, partition, error code, base offset) of each partition of the answer."""
    asked = [
        TopicProduceData(topic_id=topic_id, partition_data=[PartitionProduceData(index=index, records=encode_batch([b"event"]))])
        for topic_id, index in topics
    ]
    answer = ask(ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=asked), 13)
    return [
        (topic.topic_id, part.index, part.error_code, part.base_offset) for topic in answer.responses for part in topic.partition_responses
    ]


def test_a_topic_is_named_by_its_id(ask: Ask, name: str) -> None:
    """One partition at a time, or several topics in one request; the answer names them by their ids too."""
    one, other = new_topic(ask, name), new_topic(ask, f"{name}-other")
    wait_for(lambda: produced(ask, (one, 1)) == [(one, 1, 0, 0)], "the topic to be led")
    assert produced(ask, (one, 1)) == [(one, 1, 0, 1)]
    wait_for(lambda: produced(ask, (other, 0))[0][2] == 0, "the other topic to be led")
    both = produced(ask, (one, 1), (other, 0), acks=1)
    assert sorted(both) == sorted([(one, 1, 0, 2), (other, 0, 0, 1)])


def test_an_id_of_no_topic_is_said_to_be_unknown(ask: Ask, name: str) -> None:
    """Beside one that is known, too; a partition that the topic does not have is unknown in the old way."""
    topic_id = new_topic(ask, name)
    wait_for(lambda: produced(ask, (topic_id, 0))[0][2] == 0, "the topic to be led")
    unknown = int(ErrorCode.UNKNOWN_TOPIC_ID)
    assert produced(ask, (UNKNOWN_ID, 0)) == [(UNKNOWN_ID, 0, unknown, -1)]
    assert produced(ask, (bytes(16), 0)) == [(bytes(16), 0, unknown, -1)]
    both = produced(ask, (topic_id, 0), (UNKNOWN_ID, 0))
    assert sorted(both) == sorted([(topic_id, 0, 0, 1), (UNKNOWN_ID, 0, unknown, -1)])
    assert produced(ask, (topic_id, 7)) == [(topic_id, 7, int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), -1)]


def test_an_id_is_not_the_topic_that_has_taken_the_name(ask: Ask, name: str) -> None:
    """Of a topic that was deleted and made again, records for the old one are refused."""
    old = new_topic(ask, name)
    wait_for(lambda: produced(ask, (old, 0))[0][2] == 0, "the topic to be led")
    assert ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=10_000), 6).responses[0].error_code == 0
    wait_for(lambda: produced(ask, (old, 0))[0][2] == ErrorCode.UNKNOWN_TOPIC_ID, "the id to be unknown")

    def made_again() -> bytes | None:
        wanted = CreatableTopic(name=name, num_partitions=2, replication_factor=1)
        created = ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 7).topics[0]
        return bytes(created.topic_id) if created.error_code == 0 else None

    new: Any = wait_for(made_again, "the name to be free")
    wait_for(lambda: produced(ask, (new, 0)) == [(new, 0, 0, 0)], "the new topic to be led")
    assert produced(ask, (old, 0)) == [(old, 0, int(ErrorCode.UNKNOWN_TOPIC_ID), -1)]


def test_a_transaction_writes_by_id(ask: Ask, name: str) -> None:
    """The partition is added by writing to it, as with names."""
    until_coordinators_are_there(ask)
    topic_id = new_topic(ask, name)
    wait_for(lambda: produced(ask, (topic_id, 0))[0][2] == 0, "the topic to be led")
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}", 2)
    assert producer.begin() == 0
    batch = encode_batch([b"event"], producer_id=producer.producer_id, producer_epoch=producer.epoch, base_sequence=0, attributes=0x10)
    data = TopicProduceData(topic_id=topic_id, partition_data=[PartitionProduceData(index=0, records=batch)])
    request = ProduceRequest(transactional_id=producer.transactional_id, acks=-1, timeout_ms=10_000, topic_data=[data])
    answer = until_settled(lambda: ask(request, 13), lambda answer: answer.responses[0].partition_responses[0].error_code)
    assert answer.responses[0].partition_responses[0].error_code == 0
    assert producer.end(commit=True) == 0
