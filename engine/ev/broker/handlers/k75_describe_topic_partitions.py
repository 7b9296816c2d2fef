"""DescribeTopicPartitions (75): topics and their partitions, so many at a time, with a cursor to go on from.

Version 0. Topics come sorted by name, an empty list means all of them. When the limit is reached the answer names the partition that
comes next; a request that brings it back goes on there. (DescribeTopicPartitionsRequestHandler, KRaftMetadataCache)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.handlers.k03_metadata import placement
from ev.broker.topics import missing_code
from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k75_describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 75
VERSIONS = (0, 0)

PARTITIONS_MAX: Final = 2000
"""max.request.partition.size.limit"""


def handle(broker: Broker, call: Call) -> None:
    request: DescribeTopicPartitionsRequest = call.request
    cursor: Cursor | None = request.cursor
    asked = {topic.name for topic in request.topics}
    if cursor is not None and (cursor.partition_index < 0 or (asked and cursor.topic_name not in asked)):
        refused = [DescribeTopicPartitionsResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=topic.name) for topic in request.topics]
        call.reply(DescribeTopicPartitionsResponse(topics=refused))
        return
    names = sorted(asked or {topic.name for topic in broker.topics})
    quiet = not request.topics
    unauthorized = {name for name in names if not broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name, quiet=quiet)}
    names = [name for name in names if name not in unauthorized]
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
    left = max(min(request.response_partition_limit, PARTITIONS_MAX), 1)
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    next_cursor = None
    for name in names:
        if left <= 0:
            next_cursor = Cursor(topic_name=name, partition_index=0)
            break
        first = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        topic = described(broker, name, first, left)
        topic.topic_authorized_operations = broker.operations(call, Resource.TOPIC, name)
        topics.append(topic)
        left -= len(topic.partitions)
        if first + len(topic.partitions) < broker.topics.partitions_of(name):
            next_cursor = Cursor(topic_name=name, partition_index=first + len(topic.partitions))
            break
    if request.topics:
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        topics += [DescribeTopicPartitionsResponseTopic(error_code=code, name=name, partitions=[]) for name in sorted(unauthorized)]
    call.reply(DescribeTopicPartitionsResponse(topics=topics, next_cursor=next_cursor), broker.metadata_round)


def described(broker: Broker, name: str, first: int, limit: int) -> DescribeTopicPartitionsResponseTopic:
    """A topic with at most `limit` of its partitions, from `first` on."""
    known = broker.topics.get(name)
    if known is None:
        return DescribeTopicPartitionsResponseTopic(error_code=missing_code(name), name=name, partitions=[])
    partitions = [
        DescribeTopicPartitionsResponsePartition(**placement(broker, name, index), eligible_leader_replicas=[], last_known_elr=[])
        for index in range(first, min(first + limit, known.partition_count))
    ]
    return DescribeTopicPartitionsResponseTopic(name=name, topic_id=known.id, is_internal=known.internal, partitions=partitions)
