"""DescribeGroups (15): state, members and assignments of groups.

Versions 0-6. An unknown group is described as Dead, without an error before v6 and with GROUP_ID_NOT_FOUND from then on.
Metadata and assignments are shown while the group is Stable.

v3 adds the authorized operations, v4 static members, v5 is flexible, v6 adds an error message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k15_describe_groups import DescribedGroup, DescribeGroupsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest

KEY = 15
VERSIONS = (0, 6)


def handle(broker: Broker, call: Call) -> None:
    request: DescribeGroupsRequest = call.request
    forbidden = [each for each in request.groups if not broker.allows(call, Operation.DESCRIBE, Resource.GROUP, each)]
    if forbidden:
        request.groups = [each for each in request.groups if each not in forbidden]

    def amend(response: DescribeGroupsResponse) -> None:
        for group in response.groups:
            if request.include_authorized_operations and not group.error_code:
                group.authorized_operations = broker.operations(call, Resource.GROUP, group.group_id)
        response.groups += [described_as(each, ErrorCode.GROUP_AUTHORIZATION_FAILED) for each in forbidden]

    broker.groups.decide(call, broker.groups.groups.describe_groups, lambda code: refused(request, code), amend=amend)


def refused(request: DescribeGroupsRequest, error_code: int) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(groups=[described_as(each, error_code) for each in request.groups])


def described_as(group_id: str, error_code: int) -> DescribedGroup:
    return DescribedGroup(error_code=error_code, group_id=group_id, members=[])
