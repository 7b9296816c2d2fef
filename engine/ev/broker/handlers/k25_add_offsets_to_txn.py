"""AddOffsetsToTxn (25): the producer's transaction is going to commit offsets for a group.

Versions 0-4. The group's partition of __consumer_offsets becomes part of the transaction; otherwise as AddPartitionsToTxn.

v2 PRODUCER_FENCED, v3 flexible, v4 TRANSACTION_ABORTABLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.topics import OFFSETS_TOPIC
from ev.broker.transaction_runtime import client_code
from ev.coordinators.transactions import FENCED_FROM
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest

KEY = 25
VERSIONS = (0, 4)


def handle(broker: Broker, call: Call) -> None:
    request: AddOffsetsToTxnRequest = call.request
    refusal = offsets_refusal(broker, call, request)
    if refusal:
        call.reply(AddOffsetsToTxnResponse(error_code=refusal))
        return

    def add(error_code: int) -> None:
        if not error_code and not request.group_id:
            error_code = ErrorCode.INVALID_GROUP_ID
        after = 0
        if not error_code:
            place = (OFFSETS_TOPIC, broker.groups.topic.index_of(request.group_id))
            try:
                after = broker.transactions.add_partitions(request.transactional_id, request.producer_id, request.producer_epoch, [place])
            except KafkaError as error:
                error_code = client_code(error, knows_fenced=call.version >= FENCED_FROM)
        call.reply(AddOffsetsToTxnResponse(error_code=error_code), after)

    broker.groups.topic.when_ready(add)


def offsets_refusal(broker: Broker, call: Call, request: AddOffsetsToTxnRequest | TxnOffsetCommitRequest) -> int:
    """The error for a client that may not write with the transactional id, or not read in the group."""
    if not broker.allows(call, Operation.WRITE, Resource.TRANSACTIONAL_ID, request.transactional_id):
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    allowed = broker.allows(call, Operation.READ, Resource.GROUP, request.group_id)
    return ErrorCode.NONE if allowed else ErrorCode.GROUP_AUTHORIZATION_FAILED
