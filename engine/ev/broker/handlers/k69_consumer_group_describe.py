"""ConsumerGroupDescribe (69): groups of the new protocol, with what each member has and is to have.

Versions 0-1. A classic group, or none, is answered with GROUP_ID_NOT_FOUND. Where the new
protocol is not served, see ConsumerGroupHeartbeat, nothing is described.

v1 which protocol each member speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 69
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: ConsumerGroupDescribeRequest = call.request
    if not broker.groups.serves_the_new_protocol:
        call.reply(refused(request, ErrorCode.UNSUPPORTED_VERSION), broker.metadata_round)
        return
    forbidden = [each for each in request.group_ids if not broker.allows(call, Operation.DESCRIBE, Resource.GROUP, each)]
    if forbidden:
        request.group_ids = [each for each in request.group_ids if each not in forbidden]

    def amend(response: ConsumerGroupDescribeResponse) -> None:
        response.groups = [group if may_see(broker, call, group) else hidden(group.group_id) for group in response.groups]
        for group in response.groups:
            if request.include_authorized_operations and not group.error_code:
                group.authorized_operations = broker.operations(call, Resource.GROUP, group.group_id)
        response.groups += [described_as(each, ErrorCode.GROUP_AUTHORIZATION_FAILED) for each in forbidden]

    groups = broker.groups
    groups.decide(call, groups.groups.describe_consumer_groups, lambda code: refused(request, code), amend=amend)


def may_see(broker: Broker, call: Call, group: DescribedGroup) -> bool:
    """Whether the client may describe every topic that a member has or is to have."""
    if broker.authorizer is None:
        return True
    assignments = [each for member in group.members for each in (member.assignment, member.target_assignment)]
    names = {part.topic_name for assignment in assignments for part in assignment.topic_partitions}
    return all(broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name) for name in names)


def hidden(group_id: str) -> DescribedGroup:
    described = described_as(group_id, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    described.error_message = "The group has described topic(s) that the client is not authorized to describe."
    return described


def refused(request: ConsumerGroupDescribeRequest, error_code: int) -> ConsumerGroupDescribeResponse:
    return ConsumerGroupDescribeResponse(groups=[described_as(each, error_code) for each in request.group_ids])


def described_as(group_id: str, error_code: int) -> DescribedGroup:
    return DescribedGroup(group_id=group_id, error_code=error_code, error_message=error_message(error_code), members=[])
