"""DescribeProducers (61): the idempotent producers that a partition remembers.

Version 0. What is told of each is its last batch; no transaction is open, and no coordinator has written a marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.messages.k61_describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 61
VERSIONS = (0, 0)
NONE = -1


def handle(broker: Broker, call: Call) -> None:
    request: DescribeProducersRequest = call.request
    topics = [
        TopicResponse(name=topic.name, partitions=[described(broker, topic.name, index) for index in topic.partition_indexes])
        for topic in request.topics
    ]
    rounds = [broker.metadata_round]
    for topic in request.topics:
        found = (broker.store.partition(topic.name, index) for index in topic.partition_indexes)
        rounds += [partition.dirty_round for partition in found if partition is not None]
    call.reply(DescribeProducersResponse(topics=topics), max(rounds))


def described(broker: Broker, topic: str, index: int) -> PartitionResponse:
    partition = broker.store.partition(topic, index) if topic in broker.topics else None
    if partition is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return PartitionResponse(partition_index=index, error_code=code, error_message=error_message(code), active_producers=[])
    active = [
        ProducerState(
            producer_id=producer_id,
            producer_epoch=producer.epoch,
            last_sequence=producer.batches[-1][1],
            last_timestamp=producer.seen_ms,
            coordinator_epoch=NONE,
            current_txn_start_offset=NONE,
        )
        for producer_id, producer in partition.producers.by_id.items()
        if producer.batches
    ]
    return PartitionResponse(partition_index=index, active_producers=active)
