"""UnregisterBroker (64): a broker that is gone for good is forgotten.

Version 0. There is one broker. No other is registered, and this one cannot be: it would be a cluster without a leader, which is what
Kafka makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k64_unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 64
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    request: UnregisterBrokerRequest = call.request
    if not broker.allows_on_cluster(call, Operation.ALTER):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        answer = UnregisterBrokerResponse(error_code=code, error_message=error_message(code))
    elif request.broker_id == broker.node_id:
        message = f"Broker ID {broker.node_id} is the only one of its cluster, and cannot be unregistered"
        answer = UnregisterBrokerResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=message)
    else:
        message = f"Broker ID {request.broker_id} is not currently registered"
        answer = UnregisterBrokerResponse(error_code=ErrorCode.BROKER_ID_NOT_REGISTERED, error_message=message)
    call.reply(answer)
