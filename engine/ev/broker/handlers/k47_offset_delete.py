"""OffsetDelete (47): forget committed offsets of partitions that the group does not read.

Version 0. GROUP_SUBSCRIBED_TO_TOPIC for a topic that a member reads; a partition without a commit is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 47
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    request: OffsetDeleteRequest = call.request
    if not broker.allows(call, Operation.DELETE, Resource.GROUP, request.group_id):
        call.reply(OffsetDeleteResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED, topics=[]))
        return
    request.topics, forbidden = broker.allowed_topics(call, Operation.READ, request.topics, lambda topic: topic.name)

    def amend(response: OffsetDeleteResponse) -> None:
        if response.error_code:
            return
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        for topic in forbidden:
            partitions = [OffsetDeleteResponsePartition(each.partition_index, code) for each in topic.partitions]
            response.topics.append(OffsetDeleteResponseTopic(topic.name, partitions))

    groups = broker.groups
    groups.decide(call, groups.groups.delete_offsets, lambda code: OffsetDeleteResponse(error_code=code, topics=[]), amend=amend)
