"""DescribeProducers (61): the idempotent and transactional producers that a partition remembers.

Version 0. What is told of each is its last batch, the epoch of the coordinator that wrote its last marker, and where its open
transaction begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.topics import check_topic_name
from ev.errors import ErrorCode, KafkaError, error_message
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k61_describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 61
VERSIONS = (0, 0)
NONE = -1


def handle(broker: Broker, call: Call) -> None:
    request: DescribeProducersRequest = call.request
    topics = [
        TopicResponse(name=topic.name, partitions=partitions(broker, call, topic.name, topic.partition_indexes)) for topic in request.topics
    ]
    rounds = [broker.metadata_round]
    for topic in request.topics:
        found = (broker.store.partition(topic.name, index) for index in topic.partition_indexes)
        rounds += [partition.dirty_round for partition in found if partition is not None]
    call.reply(DescribeProducersResponse(topics=topics), max(rounds))


def partitions(broker: Broker, call: Call, topic: str, indexes: Iterable[int]) -> list[PartitionResponse]:
    """The answers about partitions of one topic, if the client may read it."""
    try:
        check_topic_name(topic)
        if not broker.allows(call, Operation.READ, Resource.TOPIC, topic):
            raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    except KafkaError as error:
        return [
            PartitionResponse(partition_index=index, error_code=error.code, error_message=error.message, active_producers=[])
            for index in indexes
        ]
    return [described(broker, topic, index) for index in indexes]


def described(broker: Broker, topic: str, index: int) -> PartitionResponse:
    partition = broker.store.partition(topic, index) if topic in broker.topics else None
    if partition is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return PartitionResponse(partition_index=index, error_code=code, error_message=error_message(code), active_producers=[])
    transactions = partition.transactions
    active = [
        ProducerState(
            producer_id=producer_id,
            producer_epoch=producer.epoch,
            last_sequence=producer.batches[-1][1] if producer.batches else NONE,
            last_timestamp=producer.seen_ms,
            coordinator_epoch=transactions.coordinator_epochs.get(producer_id, NONE),
            current_txn_start_offset=transactions.open[producer_id].offset if producer_id in transactions.open else NONE,
        )
        for producer_id, producer in partition.producers.by_id.items()
    ]
    return PartitionResponse(partition_index=index, active_producers=active)
