"""ConsumerGroupDescribe (69): groups of the new protocol, with what each member has and is to have.

Versions 0-1. A classic group, or none, is answered with GROUP_ID_NOT_FOUND.

v1 which protocol each member speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 69
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: ConsumerGroupDescribeRequest = call.request
    broker.groups.decide(call, broker.groups.groups.describe_consumer_groups, lambda code: refused(request, code))


def refused(request: ConsumerGroupDescribeRequest, error_code: int) -> ConsumerGroupDescribeResponse:
    return ConsumerGroupDescribeResponse(
        groups=[DescribedGroup(group_id=each, error_code=error_code, members=[]) for each in request.group_ids]
    )
