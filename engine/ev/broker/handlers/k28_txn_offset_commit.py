"""TxnOffsetCommit (28): what a group has read, to be committed with the producer's transaction.

Versions 0-5. The offsets are written to the group's partition of __consumer_offsets and count when the transaction commits; until
then nobody sees them (KIP-98). From version 3 on the member and its generation are checked too (KIP-447).

v2 leader epochs, v3 flexible and the member, v4 TRANSACTION_ABORTABLE, v5 adds the group's partition to the transaction by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k25_add_offsets_to_txn import offsets_refusal
from ev.broker.topics import OFFSETS_TOPIC
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation
from ev.wire.messages.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 28
VERSIONS = (0, 5)
ABORTABLE_FROM = 4
ADDS_FROM = 5


def handle(broker: Broker, call: Call) -> None:
    request: TxnOffsetCommitRequest = call.request
    refusal = offsets_refusal(broker, call, request)
    if refusal:
        call.reply(refused(request, refusal))
        return
    request.topics, forbidden = broker.allowed_topics(call, Operation.READ, request.topics, lambda topic: topic.name)
    unauthorized = refused_topics(forbidden, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    if forbidden and not request.topics:
        call.reply(TxnOffsetCommitResponse(topics=unauthorized))
        return

    def amend(response: TxnOffsetCommitResponse) -> None:
        response.topics += unauthorized

    def commit(error_code: int) -> None:
        if not error_code and request.group_id:
            place = (OFFSETS_TOPIC, broker.groups.topic.index_of(request.group_id))
            try:
                broker.transactions.allow(
                    request.transactional_id,
                    request.producer_id,
                    request.producer_epoch,
                    place,
                    adds=call.version >= ADDS_FROM,
                    knows_abortable=call.version >= ABORTABLE_FROM,
                )
            except KafkaError as error:
                error_code = error.code
        if error_code:
            response = refused(request, error_code)
            amend(response)
            call.reply(response)
        else:
            groups = broker.groups
            groups.decide(call, groups.groups.commit_offsets_in_transaction, lambda code: refused(request, code), amend=amend)

    broker.groups.topic.when_ready(commit)


def refused(request: TxnOffsetCommitRequest, error_code: int) -> TxnOffsetCommitResponse:
    """The error for every partition that the request named."""
    return TxnOffsetCommitResponse(topics=refused_topics(request.topics, error_code))


def refused_topics(topics: Iterable[TxnOffsetCommitRequestTopic], error_code: int) -> list[TxnOffsetCommitResponseTopic]:
    return [
        TxnOffsetCommitResponseTopic(
            name=topic.name,
            partitions=[
                TxnOffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error_code)
                for partition in topic.partitions
            ],
        )
        for topic in topics
    ]
