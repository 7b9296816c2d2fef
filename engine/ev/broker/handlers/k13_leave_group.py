"""LeaveGroup (13): members go, and the others share what they had.

Versions 0-5. v3 takes several members, named by member id or, by administrators, by instance id alone; v4 is flexible, v5 adds a
reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 13
VERSIONS = (0, 5)


def handle(broker: Broker, call: Call) -> None:
    request: LeaveGroupRequest = call.request
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        call.reply(LeaveGroupResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED, members=[]))
        return
    broker.groups.decide(call, broker.groups.groups.leave, lambda code: LeaveGroupResponse(error_code=code, members=[]))
