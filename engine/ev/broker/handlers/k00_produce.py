"""Produce (0): append batches, answer when they are as safe as `acks` asked for.

Versions 3-11. ApiVersions advertises a minimum of 0 all the same, because librdkafka takes the range for the codecs it may
use (KAFKA-18659); 0-2 are refused by closing the connection, as an unknown version is.

- acks=all (-1): answered when the commit round that holds the batch is synced; a duplicate when the original is.
- acks=1: answered after the write; a round is on its way.
- acks=0: never answered; an error closes the connection (KafkaApis.handleProduceRequest).
- Waiting past `timeout_ms` is answered REQUEST_TIMED_OUT; the record stays.
- Transactions come with a later version: transactional ids and batches are refused with INVALID_REQUEST.

v5 adds log_start_offset, v8 record_errors and error_message, v9 is flexible, v10 the current leader, v11 changes nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k00_produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

log = logging.getLogger(__name__)

KEY = 0
VERSIONS = (3, 11)
INTERNAL_CLIENT_ID = "__admin_client"


def handle(broker: Broker, call: Call) -> None:
    request: ProduceRequest = call.request
    acks = request.acks
    after = 0
    failed: KafkaError | None = None
    topics = []
    for topic in request.topic_data:
        answers = []
        for data in topic.partition_data:
            try:
                appended = append(broker, call, request, topic.name, data)
            except KafkaError as error:
                failed = error
                answers.append(refusal(data.index, error))
            else:
                after = max(after, appended.round)
                answers.append(
                    PartitionProduceResponse(
                        index=data.index,
                        base_offset=appended.base_offset,
                        log_append_time_ms=appended.log_append_time_ms,
                        log_start_offset=appended.log_start_offset,
                    )
                )
        topics.append(TopicProduceResponse(name=topic.name, partition_responses=answers))
    if acks == 0:
        if failed is not None:
            call.close(f"produce with acks=0 failed: {failed}")
        else:
            call.silent()
        return
    if acks == -1 and after > broker.runtime.synced_round:
        call.expire_at(broker.clock.monotonic_ms() + request.timeout_ms, lambda: timed_out(topics))
    call.reply(ProduceResponse(responses=topics), after if acks == -1 else 0)


def append(broker: Broker, call: Call, request: ProduceRequest, topic: str, data: Any) -> Any:
    """Append one partition's batch, or raise the KafkaError that this partition is answered with."""
    if request.acks not in (-1, 0, 1):
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    if request.transactional_id is not None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "transactions are not supported yet; produce without a transactional.id")
    known = broker.topics.get(topic)
    partition = broker.store.partition(topic, data.index) if known is not None else None
    if known is None or partition is None or partition.topic_id != known.id:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if known.internal and call.client_id != INTERNAL_CLIENT_ID:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is internal: only the engine writes to it")
    if request.acks == -1 and partition.config.min_insync_replicas > 1:
        raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, f"{topic} asks for min.insync.replicas of 2 or more; one node has one replica")
    if data.records is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "a partition without a record batch")
    appended = partition.append(data.records, call.now_ms, request_version=call.version)
    if appended.duplicate:
        log.info("%s: a resent batch was recognised at offset %d", partition.name, appended.base_offset)
    return appended


def refusal(index: int, error: KafkaError) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index, error_code=error.code, base_offset=-1, log_append_time_ms=-1, log_start_offset=-1, error_message=error.message
    )


def timed_out(topics: list[TopicProduceResponse]) -> ProduceResponse:
    """The same answer with every success turned into REQUEST_TIMED_OUT: the records may or may not survive a power cut."""
    error = KafkaError(ErrorCode.REQUEST_TIMED_OUT)
    answers = [
        TopicProduceResponse(
            name=topic.name,
            partition_responses=[answer if answer.error_code else refusal(answer.index, error) for answer in topic.partition_responses],
        )
        for topic in topics
    ]
    return ProduceResponse(responses=answers)
