"""SyncGroup (14): a member asks for its assignment; the leader's request brings everybody's.

Versions 0-5. The generation, with its assignments, is on disk before anybody is told: a restart does not rebalance.

v3 adds static members, v4 is flexible, v5 adds the protocol's type and name, which must be the group's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.coordinators.classic_replies import sync_refused
from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k14_sync_group import SyncGroupRequest

KEY = 14
VERSIONS = (0, 5)


def handle(broker: Broker, call: Call) -> None:
    request: SyncGroupRequest = call.request
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        call.reply(sync_refused(ErrorCode.GROUP_AUTHORIZATION_FAILED))
        return
    broker.groups.decide(call, broker.groups.groups.sync, sync_refused)
