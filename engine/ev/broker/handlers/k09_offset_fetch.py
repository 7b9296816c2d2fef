"""OffsetFetch (9): how far a group has read.

Versions 1-10. A partition without a commit has offset -1 and no error; null topics ask for every commit of the group. The answer
leaves when all that is known of the group is on disk. With `require_stable` a partition for which a transaction has committed and
not ended yet is answered with UNSTABLE_OFFSET_COMMIT (KIP-447).

v2 adds the group's error and null topics, v5 the leader epoch, v6 is flexible, v7 adds require_stable, v8 takes several groups,
v9 the member that asks, v10 names topics by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k09_offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k09_offset_fetch import (
        OffsetFetchRequest,
        OffsetFetchRequestGroup,
        OffsetFetchRequestTopic,
        OffsetFetchRequestTopics,
    )

KEY = 9
VERSIONS = (1, 10)
GROUP_ERROR_FROM = 2
SEVERAL_FROM = 8
TOPIC_IDS_FROM = 10


def handle(broker: Broker, call: Call) -> None:
    request: OffsetFetchRequest = call.request
    amend = None
    if broker.authorizer is not None:
        if call.version >= SEVERAL_FROM:
            amend = restricted_groups(broker, call, request)
        elif broker.allows(call, Operation.DESCRIBE, Resource.GROUP, request.group_id):
            amend = restricted_group(broker, call, request)
        else:
            call.reply(refused_group(request, call.version))
            return
    broker.groups.decide(call, broker.groups.groups.fetch_offsets, lambda code: refused(request, code), amend=amend)


def restricted_groups(broker: Broker, call: Call, request: OffsetFetchRequest) -> Callable[[OffsetFetchResponse], None]:
    """Take out of the request what the client may not ask; returns what brings that into the answer."""
    allowed: list[OffsetFetchRequestGroup] = []
    forbidden: list[OffsetFetchResponseGroup] = []
    unauthorized: dict[str, list[OffsetFetchResponseTopics]] = {}

    def name_of(topic: OffsetFetchRequestTopics | OffsetFetchResponseTopics) -> str | None:
        return topic.name if call.version < TOPIC_IDS_FROM else broker.topics.name_of(bytes(topic.topic_id))

    for group in request.groups:
        if not broker.allows(call, Operation.DESCRIBE, Resource.GROUP, group.group_id):
            code = ErrorCode.GROUP_AUTHORIZATION_FAILED
            forbidden.append(OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=code))
            continue
        allowed.append(group)
        if group.topics is not None:
            group.topics, topics = broker.allowed_topics(call, Operation.DESCRIBE, group.topics, name_of)
            unauthorized.setdefault(group.group_id, []).extend(map(refused_topics, topics))
    request.groups = allowed

    def amend(response: OffsetFetchResponse) -> None:
        for group in response.groups:
            if group.error_code:
                continue
            # Whoever asked for everything is not told of what it may not see.
            group.topics = broker.allowed_topics(call, Operation.DESCRIBE, group.topics, name_of)[0]
            group.topics += unauthorized.get(group.group_id, [])
        response.groups += forbidden

    return amend


def restricted_group(broker: Broker, call: Call, request: OffsetFetchRequest) -> Callable[[OffsetFetchResponse], None]:
    """The same for versions that ask for one group."""
    unauthorized: list[OffsetFetchRequestTopic] = []
    if request.topics is not None:
        request.topics, unauthorized = broker.allowed_topics(call, Operation.DESCRIBE, request.topics, lambda topic: topic.name)

    def amend(response: OffsetFetchResponse) -> None:
        response.topics = broker.allowed_topics(call, Operation.DESCRIBE, response.topics, lambda topic: topic.name)[0]
        response.topics += [refused_topic(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED) for topic in unauthorized]

    return amend


def refused_topics(topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics:
    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    partitions = [
        OffsetFetchResponsePartitions(partition_index=index, committed_offset=-1, error_code=code) for index in topic.partition_indexes
    ]
    return OffsetFetchResponseTopics(name=topic.name, topic_id=topic.topic_id, partitions=partitions)


def refused_topic(topic: OffsetFetchRequestTopic, code: int) -> OffsetFetchResponseTopic:
    partitions = [
        OffsetFetchResponsePartition(partition_index=index, committed_offset=-1, error_code=code) for index in topic.partition_indexes
    ]
    return OffsetFetchResponseTopic(name=topic.name, partitions=partitions)


def refused_group(request: OffsetFetchRequest, version: int) -> OffsetFetchResponse:
    """Before there was an error of the group, its partitions had it."""
    code = ErrorCode.GROUP_AUTHORIZATION_FAILED
    topics = [] if version >= GROUP_ERROR_FROM else [refused_topic(topic, code) for topic in request.topics or ()]
    return OffsetFetchResponse(topics=topics, error_code=code)


def refused(request: OffsetFetchRequest, error_code: int) -> OffsetFetchResponse:
    groups = [OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=error_code) for group in request.groups]
    return OffsetFetchResponse(topics=[], error_code=error_code, groups=groups)
