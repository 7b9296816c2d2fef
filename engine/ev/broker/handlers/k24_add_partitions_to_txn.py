"""AddPartitionsToTxn (24): partitions that the producer's transaction is going to write to.

Versions 0-5. Answered when the transaction with these partitions is on disk: only then does the producer write to them, so that no
crash leaves an open transaction that nobody knows of.

- A partition that does not exist is refused, and none of the request is added then (OPERATION_NOT_ATTEMPTED).
- Versions 4 and 5 are what brokers say to each other: several transactions in one request, and `verify_only` to ask.

v2 PRODUCER_FENCED, v3 flexible, v4 several transactions, v5 TRANSACTION_ABORTABLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ev.broker.transaction_runtime import client_code
from ev.coordinators.transactions import FENCED_FROM
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k24_add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 24
VERSIONS = (0, 5)
SEVERAL_FROM = 4


class Asked(NamedTuple):
    """One transaction of a request."""

    transactional_id: str
    producer_id: int
    epoch: int
    topics: Sequence[AddPartitionsToTxnTopic]
    verify_only: bool

    @property
    def partitions(self) -> list[tuple[str, int]]:
        return [(topic.name, index) for topic in self.topics for index in topic.partitions]


def handle(broker: Broker, call: Call) -> None:
    request: AddPartitionsToTxnRequest = call.request
    if call.version >= SEVERAL_FROM:
        asked = [
            Asked(each.transactional_id, each.producer_id, each.producer_epoch, each.topics, each.verify_only)
            for each in request.transactions
        ]
    else:
        asked = [
            Asked(
                request.v3_and_below_transactional_id,
                request.v3_and_below_producer_id,
                request.v3_and_below_producer_epoch,
                request.v3_and_below_topics,
                verify_only=False,
            )
        ]
    if call.version >= SEVERAL_FROM and not broker.allows_on_cluster(call, Operation.CLUSTER_ACTION):
        call.reply(AddPartitionsToTxnResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED))
        return
    answers = [answered(broker, call, each) for each in asked]
    after = max((round_number for _, round_number in answers), default=0)
    if call.version >= SEVERAL_FROM:
        results = [AddPartitionsToTxnResult(each.transactional_id, topics) for each, (topics, _) in zip(asked, answers, strict=True)]
        call.reply(AddPartitionsToTxnResponse(results_by_transaction=results), after)
    else:
        call.reply(AddPartitionsToTxnResponse(results_by_topic_v3_and_below=answers[0][0]), after)


def answered(broker: Broker, call: Call, asked: Asked) -> tuple[list[AddPartitionsToTxnTopicResult], int]:
    """(the answer for every partition, the round that it waits for)."""
    codes = dict.fromkeys(asked.partitions, int(ErrorCode.NONE))
    after = broker.transactions.topic.round_of((asked.transactional_id,))
    from_client = call.version < SEVERAL_FROM
    wrong = {place: code for place in codes if (code := place_error(broker, call, place, from_client=from_client))}
    if from_client and not broker.allows(call, Operation.WRITE, Resource.TRANSACTIONAL_ID, asked.transactional_id):
        codes = dict.fromkeys(codes, int(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
    elif wrong:
        codes = {place: wrong.get(place, ErrorCode.OPERATION_NOT_ATTEMPTED) for place in codes}
    elif asked.verify_only:
        for place in codes:
            try:
                broker.transactions.transactions.verify(asked.transactional_id, asked.producer_id, asked.epoch, place)
            except KafkaError as error:
                codes[place] = error.code
    else:
        try:
            after = broker.transactions.add_partitions(asked.transactional_id, asked.producer_id, asked.epoch, asked.partitions)
        except KafkaError as error:
            codes = dict.fromkeys(codes, client_code(error, knows_fenced=call.version >= FENCED_FROM))
    topics = [
        AddPartitionsToTxnTopicResult(
            topic.name, [AddPartitionsToTxnPartitionResult(index, codes[topic.name, index]) for index in topic.partitions]
        )
        for topic in asked.topics
    ]
    return topics, after


def place_error(broker: Broker, call: Call, place: tuple[str, int], *, from_client: bool) -> int:
    """Why a partition cannot be added, whatever the transaction is."""
    topic, index = place
    if from_client and (broker.topics.internal(topic) or not broker.allows(call, Operation.WRITE, Resource.TOPIC, topic)):
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    return ErrorCode.NONE if 0 <= index < broker.topics.partitions_of(topic) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
