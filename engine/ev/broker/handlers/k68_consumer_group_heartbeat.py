"""ConsumerGroupHeartbeat (68): a member of a group of the new protocol joins, reports, leaves (KIP-848).

Versions 0-1. The broker assigns; the answer says what the member is to have when that has changed, and in any case its epoch.

- Epoch 0 joins, -1 leaves, -2 leaves for a while (static members).
- Whoever subscribes to a topic by its name must be allowed to describe it; a regular expression finds only topics that the member is
  allowed to describe.
- A classic group of consumers that somebody joins becomes one of the new protocol, with its members; see `ev.coordinators.migration`.
- Without the feature group.version, or with a group.coordinator.rebalance.protocols that leaves it out, nobody is served.

v1 the member chooses its id, and may subscribe by a regular expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 68
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: ConsumerGroupHeartbeatRequest = call.request
    if not broker.groups.serves_the_new_protocol:
        call.reply(ConsumerGroupHeartbeatResponse(error_code=ErrorCode.UNSUPPORTED_VERSION), broker.metadata_round)
        return
    code = refusal(broker, call, request) if broker.authorizer is not None else ErrorCode.NONE
    if code:
        call.reply(ConsumerGroupHeartbeatResponse(error_code=code, error_message=error_message(code)))
        return
    groups = broker.groups
    groups.decide(call, groups.groups.consumer_heartbeat, lambda code: ConsumerGroupHeartbeatResponse(error_code=code), creates=True)


def refusal(broker: Broker, call: Call, request: ConsumerGroupHeartbeatRequest) -> int:
    """The error for a client that may not read in the group, or describe what it subscribes to."""
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        return ErrorCode.GROUP_AUTHORIZATION_FAILED
    names = request.subscribed_topic_names or ()
    if not all(broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name) for name in names):
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    return ErrorCode.NONE
