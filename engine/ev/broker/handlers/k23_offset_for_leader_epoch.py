"""OffsetForLeaderEpoch (23): where an epoch of a partition ended, so that a client finds out whether its log was cut.

Versions 2-4: the end offset of the largest epoch that is not above the one asked for; -1 and -1 when there is none.

v3 replica id, v4 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 23
VERSIONS = (2, 4)


def handle(broker: Broker, call: Call) -> None:
    request: OffsetForLeaderEpochRequest = call.request
    all_allowed = broker.allows_on_cluster(call, Operation.CLUSTER_ACTION, quiet=True)
    topics = [
        OffsetForLeaderTopicResult(
            topic=topic.topic,
            partitions=[
                _end(
                    broker, topic.topic, asked, allowed=all_allowed or broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, topic.topic)
                )
                for asked in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    call.reply(OffsetForLeaderEpochResponse(topics=topics), broker.metadata_round)


def _end(broker: Broker, name: str, asked: OffsetForLeaderPartition, *, allowed: bool) -> EpochEndOffset:
    try:
        if not allowed:
            raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        partition = broker.partition(name, asked.partition, asked.current_leader_epoch)
    except KafkaError as error:
        return EpochEndOffset(error_code=error.code, partition=asked.partition)
    epoch, end_offset = partition.epoch_end_offset(asked.leader_epoch)
    return EpochEndOffset(partition=asked.partition, leader_epoch=epoch, end_offset=end_offset)
