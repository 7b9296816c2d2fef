"""ListOffsets (2): the offset at an end of the log, or of the first record at or after a time.

Versions 1-11. The times with a meaning of their own: -1 the high watermark, -2 the log start, -3 the record with the largest
timestamp (v7), -4 the log start again, as nothing is tiered (v8), -5 the last tiered record (v9) and -6 the first that waits
for it (v11): there is none.

What was acknowledged is seen, with acks=1 too: the answer is computed when the round that covers the end of the log at the
arrival of the request is synced.

v2 isolation level, v4 leader epochs, v6 flexible, v10 a timeout for remote storage.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.log.partition import Partition

KEY = 2
VERSIONS = (1, 11)

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
NOTHING: Final = (-1, -1, -1)
VERSION_MIN: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}


def handle(broker: Broker, call: Call) -> None:
    request: ListOffsetsRequest = call.request
    broker.runtime.after_round(_round_at_arrival(broker, request), lambda: _answer(broker, call, request))


def _round_at_arrival(broker: Broker, request: ListOffsetsRequest) -> int:
    """The round that covers the ends of all logs asked for, as they are now, and the newest metadata."""
    partitions = (broker.store.partition(topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)
    return max((partition.dirty_round for partition in partitions if partition is not None), default=broker.metadata_round)


def _answer(broker: Broker, call: Call, request: ListOffsetsRequest) -> None:
    counts = Counter((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)
    topics = []
    for topic in request.topics:
        answers = []
        for asked in topic.partitions:
            answer = ListOffsetsPartitionResponse(partition_index=asked.partition_index)
            answers.append(answer)
            try:
                if counts[topic.name, asked.partition_index] > 1:
                    raise KafkaError(ErrorCode.INVALID_REQUEST)
                if asked.timestamp < EARLIEST_PENDING_UPLOAD or call.version < VERSION_MIN.get(asked.timestamp, 0):
                    raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
                partition = broker.partition(topic.name, asked.partition_index, asked.current_leader_epoch)
                answer.offset, answer.timestamp, answer.leader_epoch = _look_up(partition, asked.timestamp)
            except KafkaError as error:
                answer.error_code = error.code
        topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=answers))
    call.reply(ListOffsetsResponse(topics=topics), broker.metadata_round)


def _look_up(partition: Partition, timestamp: int) -> tuple[int, int, int]:
    """(offset, timestamp, leader epoch), each -1 when there is none. Raises KafkaError."""
    if timestamp == LATEST:
        return partition.high_watermark, -1, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return partition.log_start_offset, -1, partition.epochs.at(partition.log_start_offset)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return NOTHING
    try:
        found = partition.max_timestamp() if timestamp == MAX_TIMESTAMP else partition.offset_for_timestamp(timestamp)
    except OSError as error:
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log could not be searched: {error}") from error
    return NOTHING if found is None else (*found, partition.epochs.at(found[0]))
