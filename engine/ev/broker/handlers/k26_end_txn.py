"""EndTxn (26): commit or abort the producer's transaction.

Versions 0-5. Answered when its markers are on disk in every partition: the next transaction may begin at once, and no reader of
committed records has to wait for what was answered here (Kafka answers before it writes the markers).

v2 PRODUCER_FENCED, v3 flexible, v4 TRANSACTION_ABORTABLE, v5 the producer gets a new epoch with the answer (KIP-890).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k26_end_txn import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 26
VERSIONS = (0, 5)


def handle(broker: Broker, call: Call) -> None:
    request: EndTxnRequest = call.request
    if not broker.allows(call, Operation.WRITE, Resource.TRANSACTIONAL_ID, request.transactional_id):
        call.reply(EndTxnResponse(error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
        return
    coordinator = broker.transactions
    coordinator.decide(call, coordinator.transactions.end, lambda code: EndTxnResponse(error_code=code))
