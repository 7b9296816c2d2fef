"""FindCoordinator (10): which broker looks after a group or a transactional id.

Versions 0-6. It is always this one, at the address under which the client reached it; there is no state to wait for, so the
answer is never COORDINATOR_NOT_AVAILABLE. The keys of share groups, which are not served, are refused with INVALID_REQUEST, which
clients do not retry.

v1 adds the key type and an error message, v3 is flexible, v4 takes several keys, v5 and v6 only add errors that we do not send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k10_find_coordinator import Coordinator, FindCoordinatorResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest

KEY = 10
VERSIONS = (0, 6)
GROUP, TRANSACTION = 0, 1
RIGHTS: Final = {
    GROUP: (Resource.GROUP, ErrorCode.GROUP_AUTHORIZATION_FAILED),
    TRANSACTION: (Resource.TRANSACTIONAL_ID, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
}


def handle(broker: Broker, call: Call) -> None:
    request: FindCoordinatorRequest = call.request
    host, port = broker.advertised(call)
    keys = request.coordinator_keys if call.version >= 4 else [request.key]
    coordinators = [
        forbidden(broker, call, request.key_type, key) or find(broker.node_id, host, port, request.key_type, key) for key in keys
    ]
    if call.version >= 4:
        call.reply(FindCoordinatorResponse(coordinators=coordinators))
        return
    found = coordinators[0]
    call.reply(
        FindCoordinatorResponse(
            error_code=found.error_code, error_message=found.error_message, node_id=found.node_id, host=found.host, port=found.port
        )
    )


def forbidden(broker: Broker, call: Call, key_type: int, key: str) -> Coordinator | None:
    """The answer about a key that the client may not describe; None when it may."""
    if key_type not in RIGHTS:
        return None
    resource_type, code = RIGHTS[key_type]
    if broker.allows(call, Operation.DESCRIBE, resource_type, key):
        return None
    return Coordinator(key=key, node_id=-1, host="", port=-1, error_code=code, error_message=error_message(code))


def find(node_id: int, host: str, port: int, key_type: int, key: str) -> Coordinator:
    if key_type in (GROUP, TRANSACTION):
        return Coordinator(key=key, node_id=node_id, host=host, port=port, error_code=ErrorCode.NONE, error_message=None)
    what = f"coordinators of type {key_type} are not supported"
    return Coordinator(key=key, node_id=-1, host="", port=-1, error_code=ErrorCode.INVALID_REQUEST, error_message=what)
