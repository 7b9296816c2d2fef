"""Produce (0): append batches, answer when they are as safe as `acks` asked for.

Versions 3-13. ApiVersions advertises a minimum of 0 all the same, because librdkafka takes the range for the codecs it may
use (KAFKA-18659); 0-2 are refused by closing the connection, as an unknown version is.

- acks=all (-1): answered when the commit round that holds the batch is synced; a duplicate when the original is.
- acks=1: answered after the write; a round is on its way.
- acks=0: never answered; an error closes the connection (KafkaApis.handleProduceRequest).
- Waiting past `timeout_ms` is answered REQUEST_TIMED_OUT; the record stays.
- Whoever writes to a topic must be allowed to; with an authorizer also to use the transactional id.
- A transactional batch is taken when its partition is in the producer's transaction; from version 12 on writing to it adds it
  (KIP-890). Without the transactional id in the request none is taken.

v5 adds log_start_offset, v8 record_errors and error_message, v9 is flexible, v10 the current leader, v11 TRANSACTION_ABORTABLE,
v12 adds partitions to transactions, v13 names topics by their ids.
"""

from __future__ import annotations

import logging
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError, NotOneBatchError, RecordsRefusedError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k00_produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from ev.wire.primitives import encode_uvarint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.topics import Topic
    from ev.log.partition import Appended, Partition
    from ev.log.store_topics import StoredTopic
    from ev.wire.messages.k00_produce import TopicProduceData

    Outcome: TypeAlias = Appended | KafkaError
    TopicOutcomes: TypeAlias = tuple[str, bytes, list[tuple[int, Outcome]]]
    """The name of a topic, as the request gave it, its id likewise, and what became of each batch."""

log = logging.getLogger(__name__)

KEY = 0
VERSIONS = (3, 13)
LOOKED_AT = (
    ErrorCode.INVALID_RECORD,
    ErrorCode.INVALID_TIMESTAMP,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.INVALID_PRODUCER_EPOCH,
)
INTERNAL_CLIENT_ID = "__admin_client"

ATTRIBUTES = 22  # where the lower byte of a batch's attributes is
TRANSACTIONAL = 0x10
FLEXIBLE_FROM = 9
ABORTABLE_FROM = 11
ADDS_FROM = 12
TOPIC_IDS_FROM = 13
ACCEPTED_V3 = Struct(">iihqqi")
ACCEPTED_V5 = Struct(">iihqqqi")
ACCEPTED_V8 = Struct(">iihqqqihi")
ACCEPTED_V9 = Struct(">bihqqq9s")
END_OF_V9 = b"\1\0\0\0\0\0\0\0\0"
"""No record errors, no error message, no tagged fields of the partition; none of the topic; throttle_time_ms 0; no tagged fields."""


def handle(broker: Broker, call: Call) -> None:
    request: ProduceRequest = call.request
    acks = request.acks
    if broker.authorizer is not None and is_forbidden_transaction(broker, call, request):
        refuse_all(call, request, KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
        return
    outcomes: list[TopicOutcomes] = []
    after, failed = 0, None
    for topic in request.topic_data:
        known = broker.topics.get(topic.name) if call.version < TOPIC_IDS_FROM else broker.topics.by_id(topic.topic_id)
        partitions = append_all(broker, call, request, topic, known)
        outcomes.append((topic.name, topic.topic_id, partitions))
        for _, outcome in partitions:
            if isinstance(outcome, KafkaError):
                failed = outcome
            elif outcome.round > after:
                after = outcome.round
    throttle_ms = broker.throttling.produced(call, call.size) if broker.throttling.active else 0
    if acks == 0:
        if failed is not None:
            call.close(f"produce with acks=0 failed: {failed}")
        else:
            call.silent(throttle_ms)
        return
    if request.transactional_id is not None and call.version >= ADDS_FROM:
        after = max(after, broker.transactions.topic.round_of((request.transactional_id,)))
    if acks != -1:
        after = 0
    elif after > broker.runtime.synced_round:
        call.expire_at(broker.clock.monotonic_ms() + request.timeout_ms, lambda: timed_out(outcomes))
    if failed is None and len(outcomes) == 1 and len(partitions) == 1 and not broker.throttling.active:
        call.reply_encoded([accepted(call.version, topic.name, topic.topic_id, *partitions[0])], after)
    else:
        call.reply(response(outcomes), after, throttle_ms)


def is_forbidden_transaction(broker: Broker, call: Call, request: ProduceRequest) -> bool:
    """Whether there are batches of a transaction in the request with whose id the client may not write."""
    transactional_id = request.transactional_id
    if transactional_id is not None and broker.allows(call, Operation.WRITE, Resource.TRANSACTIONAL_ID, transactional_id, quiet=True):
        return False
    pieces = (data.records for topic in request.topic_data for data in topic.partition_data)
    return any(records is not None and len(records) > ATTRIBUTES and records[ATTRIBUTES] & TRANSACTIONAL for records in pieces)


def refuse_all(call: Call, request: ProduceRequest, error: KafkaError) -> None:
    """Answer every batch of the request with this error."""
    if request.acks == 0:
        call.close(f"produce with acks=0 failed: {error}")
        return
    refused: list[TopicOutcomes] = [
        (topic.name, topic.topic_id, [(data.index, error) for data in topic.partition_data]) for topic in request.topic_data
    ]
    call.reply(response(refused))


def append_all(
    broker: Broker, call: Call, request: ProduceRequest, topic: TopicProduceData, known: Topic | None
) -> list[tuple[int, Outcome]]:
    """What became of each batch of one topic, by partition."""
    outcomes: list[tuple[int, Outcome]] = []
    stored = broker.store.topics.get(known.name) if known is not None else None
    partitions: Sequence[Partition] = stored.partitions if stored is not None else ()
    name = topic.name if known is None else known.name
    of_no_topic = known is None and call.version >= TOPIC_IDS_FROM
    nowhere = ErrorCode.UNKNOWN_TOPIC_ID if of_no_topic else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    forbidden = broker.authorizer is not None and not of_no_topic and not broker.allows(call, Operation.WRITE, Resource.TOPIC, name)
    refused = topic_refusal(call, request, known, stored)
    at_once = request.acks == 1  # answered now: it must outlive the process
    transactional_id = request.transactional_id
    for data in topic.partition_data:
        index = data.index
        outcome: Outcome
        try:
            if forbidden:
                outcome = KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            elif not 0 <= index < len(partitions):
                outcome = KafkaError(nowhere)
            elif refused is not None:
                outcome = refused
            elif partitions[index].config.min_insync_replicas > 1 and request.acks == -1:
                text = f"{name} asks for min.insync.replicas of 2 or more; one node has one replica"
                outcome = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, text)
            elif data.records is None:
                outcome = KafkaError(ErrorCode.INVALID_RECORD, "a partition without a record batch")
            else:
                outcome = partitions[index].append(
                    data.records,
                    call.now_ms,
                    request_version=call.version,
                    at_once=at_once,
                    in_transaction=None if transactional_id is None else partial(allow, broker, call, transactional_id, (name, index)),
                )
                if outcome.duplicate:
                    log.info("%s: a resent batch was recognised at offset %d", partitions[index].name, outcome.base_offset)
        except KafkaError as error:
            outcome = looked_at(error, partitions[index])
        outcomes.append((index, outcome))
    return outcomes


def allow(broker: Broker, call: Call, transactional_id: str, place: tuple[str, int], producer_id: int, epoch: int) -> None:
    """See that the transaction may write to this partition. Raises KafkaError."""
    broker.transactions.allow(
        transactional_id,
        producer_id,
        epoch,
        place,
        adds=call.version >= ADDS_FROM,
        knows_abortable=call.version >= ABORTABLE_FROM,
    )


def topic_refusal(call: Call, request: ProduceRequest, known: Topic | None, stored: StoredTopic | None) -> KafkaError | None:
    """Why nothing of this request may be appended to this topic; None when something may."""
    if request.acks not in (-1, 0, 1):
        return KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    if known is None or stored is None or stored.id != known.id:
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if known.internal and call.client_id != INTERNAL_CLIENT_ID:
        return KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{known.name} is internal: only the engine writes to it")
    return None


def accepted(version: int, topic: str, topic_id: bytes, index: int, appended: Outcome) -> bytes:
    """The encoded answer to a request with one batch that was appended, which nearly every request is: made without objects."""
    assert not isinstance(appended, KafkaError)
    base_offset, _, time_ms, log_start_offset, _, _ = appended
    if version >= TOPIC_IDS_FROM:
        return b"\2" + topic_id + ACCEPTED_V9.pack(2, index, 0, base_offset, time_ms, log_start_offset, END_OF_V9)
    name = topic.encode()
    if version >= FLEXIBLE_FROM:
        head = b"\2" + encode_uvarint(len(name) + 1) + name
        return head + ACCEPTED_V9.pack(2, index, 0, base_offset, time_ms, log_start_offset, END_OF_V9)
    head = b"\0\0\0\1" + len(name).to_bytes(2, "big") + name
    if version >= 8:
        return head + ACCEPTED_V8.pack(1, index, 0, base_offset, time_ms, log_start_offset, 0, -1, 0)
    if version >= 5:
        return head + ACCEPTED_V5.pack(1, index, 0, base_offset, time_ms, log_start_offset, 0)
    return head + ACCEPTED_V3.pack(1, index, 0, base_offset, time_ms, 0)


def response(outcomes: list[TopicOutcomes]) -> ProduceResponse:
    """The answer to any request."""
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=name, topic_id=topic_id, partition_responses=[answer(index, outcome) for index, outcome in partitions]
            )
            for name, topic_id, partitions in outcomes
        ]
    )


def answer(index: int, outcome: Outcome) -> PartitionProduceResponse:
    if isinstance(outcome, KafkaError):
        return refusal(index, outcome)
    return PartitionProduceResponse(
        index=index,
        base_offset=outcome.base_offset,
        log_append_time_ms=outcome.log_append_time_ms,
        log_start_offset=outcome.log_start_offset,
    )


class LookedAtError(KafkaError):
    """Why a batch was refused that the log has looked at: Kafka says then where the log begins."""

    def __init__(self, error: KafkaError, log_start_offset: int) -> None:
        super().__init__(error.code, error.message)
        self.log_start_offset = log_start_offset
        self.records = error.records if isinstance(error, RecordsRefusedError) else {}


def looked_at(error: KafkaError, partition: Partition) -> KafkaError:
    if error.code not in LOOKED_AT or isinstance(error, NotOneBatchError):
        return error
    return LookedAtError(error, partition.log_start_offset)


def refusal(index: int, error: KafkaError) -> PartitionProduceResponse:
    answer = PartitionProduceResponse(
        index=index, error_code=error.code, base_offset=-1, log_append_time_ms=-1, log_start_offset=-1, error_message=error.message
    )
    if isinstance(error, LookedAtError):
        answer.log_start_offset = error.log_start_offset
        answer.record_errors = [BatchIndexAndErrorMessage(index, text) for index, text in error.records.items()]
    return answer


def timed_out(outcomes: list[TopicOutcomes]) -> ProduceResponse:
    """The same answer with every success turned into REQUEST_TIMED_OUT: the records may or may not survive a power cut."""
    error = KafkaError(ErrorCode.REQUEST_TIMED_OUT)
    return response(
        [
            (name, topic_id, [(index, outcome if isinstance(outcome, KafkaError) else error) for index, outcome in partitions])
            for name, topic_id, partitions in outcomes
        ]
    )
