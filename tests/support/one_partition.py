"""Topics of one partition and what is written to them, over whatever answers requests: the engine or Apache Kafka."""

from __future__ import annotations

import uuid
from typing import Any

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from support.raw_transactions import Ask, fetched
from support.waiting import wait_for

NOT_YET = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER)


def create(ask: Ask, **configs: str) -> str:
    """A topic with these settings, ready to be written to."""
    name = f"rules-{uuid.uuid4().hex}"
    given = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
    made = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=given)
    assert ask(CreateTopicsRequest(topics=[made], timeout_ms=10_000), 5).topics[0].error_code == 0
    wanted = MetadataRequest(topics=[MetadataRequestTopic(name=name)])
    wait_for(lambda: [each.leader_id for each in ask(wanted, 12).topics[0].partitions if each.leader_id >= 0], f"{name} to have a leader")
    wait_for(lambda: fetched(ask, name, 0, committed=False).error_code == 0, f"{name} to be served")  # Kafka says it a moment before
    return name


def produce_request(topic: str, batch: bytes) -> ProduceRequest:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data])


def produced(ask: Ask, topic: str, batch: bytes) -> Any:
    """The answer for the one partition; Kafka may not be ready at once."""

    def answer() -> Any:
        (found,) = ask(produce_request(topic, batch), 9).responses[0].partition_responses
        return found

    return wait_for(lambda: (found := answer()).error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and found, "the partition")
