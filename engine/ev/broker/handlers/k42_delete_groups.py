"""DeleteGroups (42): forget groups without members, and their offsets.

Versions 0-2. NON_EMPTY_GROUP while it has members. v2 is flexible; all versions are answered alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k42_delete_groups import DeletableGroupResult, DeleteGroupsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest

KEY = 42
VERSIONS = (0, 2)


def handle(broker: Broker, call: Call) -> None:
    request: DeleteGroupsRequest = call.request
    forbidden = [each for each in request.groups_names if not broker.allows(call, Operation.DELETE, Resource.GROUP, each)]
    if forbidden:
        request.groups_names = [each for each in request.groups_names if each not in forbidden]

    def amend(response: DeleteGroupsResponse) -> None:
        code = ErrorCode.GROUP_AUTHORIZATION_FAILED
        response.results += [DeletableGroupResult(group_id=each, error_code=code) for each in dict.fromkeys(forbidden)]

    broker.groups.decide(call, broker.groups.groups.delete_groups, lambda code: refused(request, code), amend=amend)


def refused(request: DeleteGroupsRequest, error_code: int) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(results=[DeletableGroupResult(group_id=each, error_code=error_code) for each in request.groups_names])
