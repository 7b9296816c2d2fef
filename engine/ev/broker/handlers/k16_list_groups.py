"""ListGroups (16): every group, or those in given states and of given types.

Versions 0-5. v1 adds the throttle time, v3 is flexible, v4 adds states, v5 types. All groups are of type "classic" here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.acls import Operation, Resource
from ev.wire.messages.k16_list_groups import ListGroupsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 16
VERSIONS = (0, 5)


def handle(broker: Broker, call: Call) -> None:
    def amend(response: ListGroupsResponse) -> None:
        response.groups = [
            group for group in response.groups if broker.allows(call, Operation.DESCRIBE, Resource.GROUP, group.group_id, quiet=True)
        ]

    sees_all = broker.allows_on_cluster(call, Operation.DESCRIBE, quiet=True)
    groups = broker.groups
    groups.decide(
        call, groups.groups.list_groups, lambda code: ListGroupsResponse(error_code=code, groups=[]), amend=None if sees_all else amend
    )
