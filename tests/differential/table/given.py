"""Steps that conversations begin with."""

from __future__ import annotations

from typing import Any

from differential.conversation import NEW, Step, batch
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest

TIME_MS = 1_700_000_000_000
"""When all records were made. Topics keep them for ever, or they would be gone before they are read."""
KEEP_FOR_EVER = {"retention.ms": "-1"}


def topic(name: str, partitions: int = 1, kept_as: str = "topic id", **configs: str) -> list[Step]:
    """A topic that everybody can see; its id is kept."""
    given = {key.replace("_", "."): value for key, value in configs.items()} | KEEP_FOR_EVER
    made = CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=1, configs=[CreatableTopicConfig(*each) for each in given.items()]
    )
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
    return [
        Step(CreateTopicsRequest(topics=[made], timeout_ms=20_000), 4),
        Step(asked, 12, until=lambda answer: is_led(answer.topics[0], partitions), again=NEW, keep={kept_as: "topics.0.topic_id"}),
    ]


def is_led(found: Any, partitions: int) -> bool:
    return len(found.partitions) == partitions and all(each.leader_id >= 0 for each in found.partitions)


def produced(name: str, records: Any, index: int = 0, transactional_id: str | None = None) -> Step:
    """One batch, taken."""
    data = TopicProduceData(name=name, partition_data=[PartitionProduceData(index=index, records=records)])
    request = ProduceRequest(transactional_id=transactional_id, acks=-1, timeout_ms=20_000, topic_data=[data])
    return Step(request, 9, again=NEW)


def records(*values: bytes | None, **options: Any) -> Any:
    """A batch at TIME_MS, or at other times."""
    return batch(*values, **{"timestamps": TIME_MS, **options})


def coordinator(name: str, kind: int = 0) -> Step:
    """The coordinator of a group (0) or a transactional id (1), ready."""
    return Step(FindCoordinatorRequest(key_type=kind, coordinator_keys=[name]), 4)
