"""OffsetForLeaderEpoch (23): where an epoch of a partition ended, so that a client finds out whether its log was cut.

Versions 2-4: the end offset of the largest epoch that is not above the one asked for; -1 and -1 when there is none.

v3 replica id, v4 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import KafkaError
from ev.wire.messages.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 23
VERSIONS = (2, 4)


def handle(broker: Broker, call: Call) -> None:
    request: OffsetForLeaderEpochRequest = call.request
    topics = [
        OffsetForLeaderTopicResult(
            topic=topic.topic,
            partitions=[
                _end(broker, topic.topic, asked.partition, asked.current_leader_epoch, asked.leader_epoch) for asked in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    call.reply(OffsetForLeaderEpochResponse(topics=topics), broker.metadata_round)


def _end(broker: Broker, name: str, index: int, current_leader_epoch: int, leader_epoch: int) -> EpochEndOffset:
    try:
        partition = broker.partition(name, index, current_leader_epoch)
    except KafkaError as error:
        return EpochEndOffset(error_code=error.code, partition=index)
    epoch, end_offset = partition.epoch_end_offset(leader_epoch)
    return EpochEndOffset(partition=index, leader_epoch=epoch, end_offset=end_offset)
