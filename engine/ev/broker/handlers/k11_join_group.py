"""JoinGroup (11): become a member of a group, or take part in its next generation.

Versions 0-9. The answer comes when the join phase is over: when everybody has joined, or the slowest may take no longer. A
dynamic member's first request is answered MEMBER_ID_REQUIRED with the id to come back with (v4), so that a client that gives up
and tries again does not leave a phantom behind.

In a group of the new protocol nobody waits: the broker assigns, and the answer comes at once (see `ev.coordinators.classic_members`).

v1 adds the rebalance timeout, v4 MEMBER_ID_REQUIRED, v5 static members, v6 is flexible, v7 adds the protocol type to the answer,
v8 the reason, v9 `skip_assignment` for a static leader that came back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.coordinators.classic_replies import join_refused
from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k11_join_group import JoinGroupRequest

KEY = 11
VERSIONS = (0, 9)


def handle(broker: Broker, call: Call) -> None:
    request: JoinGroupRequest = call.request
    version, member_id = call.version, request.member_id
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        call.reply(join_refused(version, ErrorCode.GROUP_AUTHORIZATION_FAILED, member_id))
        return
    broker.groups.decide(call, broker.groups.groups.join, lambda code: join_refused(version, code, member_id), creates=True)
