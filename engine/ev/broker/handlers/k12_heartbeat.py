"""Heartbeat (12): a member lives, and asks whether a rebalance wants it.

Versions 0-4. REBALANCE_IN_PROGRESS while members are being gathered; in between, NONE.

v3 adds static members, v4 is flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 12
VERSIONS = (0, 4)


def handle(broker: Broker, call: Call) -> None:
    request: HeartbeatRequest = call.request
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        call.reply(HeartbeatResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED))
        return
    broker.groups.decide(call, broker.groups.groups.heartbeat, lambda code: HeartbeatResponse(error_code=code))
