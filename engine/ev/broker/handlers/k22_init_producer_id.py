"""InitProducerId (22): an id for an idempotent producer, never given before and never again; or the id and epoch of a transactional one.

Versions 0-5. The answer leaves when the block that the id comes from is claimed on disk, and the state of the transactional id.

- A transactional id keeps its producer id, and gets a new epoch each time: who had the one before is fenced.
- What that one left open is aborted first. Kafka says CONCURRENT_TRANSACTIONS meanwhile; here the answer waits for it.
- A producer that says which id and epoch it has (v3) gets the next epoch only if nobody has overtaken it (KIP-360).

v2 flexible, v3 the producer says which id and epoch it had, v4 PRODUCER_FENCED, v5 TRANSACTION_ABORTABLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 22
VERSIONS = (0, 5)

NONE: Final = -1


def handle(broker: Broker, call: Call) -> None:
    request: InitProducerIdRequest = call.request
    refusal = _refusal(broker, call, request.transactional_id)
    if not refusal and (request.producer_id == NONE) != (request.producer_epoch == NONE):
        refusal = ErrorCode.INVALID_REQUEST
    if refusal:
        call.reply(refused(refusal))
        return
    if request.transactional_id is not None:
        coordinator = broker.transactions
        coordinator.decide(call, coordinator.transactions.init_producer_id, refused, creates=True)
        return
    try:
        producer_id = broker.producer_id(call.now_ms)
    except KafkaError as error:
        call.reply(refused(error.code))
        return
    call.reply(InitProducerIdResponse(producer_id=producer_id, producer_epoch=0), broker.metadata_round)


def _refusal(broker: Broker, call: Call, transactional_id: str | None) -> int:
    """The error for a client that may not write with this transactional id, or with none any topic at all (KIP-679)."""
    if transactional_id is not None:
        allowed = broker.allows(call, Operation.WRITE, Resource.TRANSACTIONAL_ID, transactional_id)
        return ErrorCode.NONE if allowed else ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    authorizer = broker.authorizer
    allowed = (
        authorizer is None
        or broker.allows_on_cluster(call, Operation.IDEMPOTENT_WRITE, quiet=True)
        or authorizer.allows_some(call.principal, call.client_host, Operation.WRITE, Resource.TOPIC)
    )
    return ErrorCode.NONE if allowed else ErrorCode.CLUSTER_AUTHORIZATION_FAILED


def refused(code: int) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
