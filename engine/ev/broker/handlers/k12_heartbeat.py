"""Heartbeat (12): a member lives, and asks whether a rebalance wants it.

Versions 0-4. REBALANCE_IN_PROGRESS while members are being gathered; in between, NONE.

v3 adds static members, v4 is flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k12_heartbeat import HeartbeatResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 12
VERSIONS = (0, 4)


def handle(broker: Broker, call: Call) -> None:
    broker.groups.decide(call, broker.groups.groups.heartbeat, lambda code: HeartbeatResponse(error_code=code))
