"""DeleteRecords (21): everything before an offset goes; -1 stands for the high watermark.

Versions 0-2. Only the log start offset moves; whole segments before it are removed in the background. The answer is computed
when the round that covers the end of the log at the arrival of the request is synced, so that -1 covers all that was
acknowledged. Logs that are compacted and nothing else refuse.

v2 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k21_delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 21
VERSIONS = (0, 2)

HIGH_WATERMARK: Final = -1


def handle(broker: Broker, call: Call) -> None:
    request: DeleteRecordsRequest = call.request
    partitions = [broker.store.partition(topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions]
    newest = max((partition.dirty_round for partition in partitions if partition is not None), default=broker.metadata_round)
    broker.runtime.after_round(newest, lambda: _answer(broker, call, request))


def _answer(broker: Broker, call: Call, request: DeleteRecordsRequest) -> None:
    topics = [
        DeleteRecordsTopicResult(
            name=topic.name,
            partitions=[_delete(broker, call, topic.name, asked.partition_index, asked.offset) for asked in topic.partitions],
        )
        for topic in request.topics
    ]
    call.reply(DeleteRecordsResponse(topics=topics), broker.metadata_round)


def _delete(broker: Broker, call: Call, name: str, index: int, offset: int) -> DeleteRecordsPartitionResult:
    try:
        if not broker.allows(call, Operation.DELETE, Resource.TOPIC, name):
            raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        if broker.topics.internal(name):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)
        partition = broker.partition(name, index)
        if partition.config.cleanup_policy == ("compact",):
            raise KafkaError(ErrorCode.POLICY_VIOLATION)
        before = partition.high_watermark if offset == HIGH_WATERMARK else offset
        if not 0 <= before <= partition.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        low_watermark = partition.delete_records(before, call.now_ms)
    except KafkaError as error:
        return DeleteRecordsPartitionResult(partition_index=index, low_watermark=-1, error_code=error.code)
    return DeleteRecordsPartitionResult(partition_index=index, low_watermark=low_watermark)
