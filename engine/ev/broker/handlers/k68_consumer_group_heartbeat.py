"""ConsumerGroupHeartbeat (68): a member of a group of the new protocol joins, reports, leaves (KIP-848).

Versions 0-1. The broker assigns; the answer says what the member is to have when that has changed, and in any case its epoch.

- Epoch 0 joins, -1 leaves, -2 leaves for a while (static members).
- A classic group that is empty becomes one of the new protocol; one with members is refused (GROUP_ID_NOT_FOUND).

v1 the member chooses its id, and may subscribe by a regular expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 68
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    groups = broker.groups
    groups.decide(call, groups.groups.consumer_heartbeat, lambda code: ConsumerGroupHeartbeatResponse(error_code=code), creates=True)
