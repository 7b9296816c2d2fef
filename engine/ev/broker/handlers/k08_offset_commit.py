"""OffsetCommit (8): remember how far a group has read.

Versions 2-10. Commits are written to the group's partition of __consumer_offsets and answered when that is on disk.

- Members commit in their generation; groups without members take commits from anybody (simple consumers, administrators).
- In a group of the new protocol a member may also commit in an older epoch, for what it has had since then.
- Metadata above `offset.metadata.max.bytes` is refused for that partition, the others go on.

v2-v4 have a retention time of their own, v6 adds the leader epoch, v7 static members, v8 is flexible, v9 says GROUP_ID_NOT_FOUND
where earlier ones said ILLEGAL_GENERATION, v10 names topics by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k08_offset_commit import OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestTopic

KEY = 8
VERSIONS = (2, 10)
TOPIC_IDS_FROM = 10


def handle(broker: Broker, call: Call) -> None:
    request: OffsetCommitRequest = call.request
    if not broker.allows(call, Operation.READ, Resource.GROUP, request.group_id):
        call.reply(refused(request, ErrorCode.GROUP_AUTHORIZATION_FAILED))
        return

    def name_of(topic: OffsetCommitRequestTopic) -> str | None:
        return topic.name if call.version < TOPIC_IDS_FROM else broker.topics.name_of(bytes(topic.topic_id))

    request.topics, forbidden = broker.allowed_topics(call, Operation.READ, request.topics, name_of)
    unauthorized = refused_topics(forbidden, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    if forbidden and not request.topics:
        call.reply(OffsetCommitResponse(topics=unauthorized))
        return

    def amend(response: OffsetCommitResponse) -> None:
        response.topics += unauthorized

    groups = broker.groups
    groups.decide(call, groups.groups.commit_offsets, lambda code: refused(request, code), creates=True, amend=amend if forbidden else None)


def refused(request: OffsetCommitRequest, error_code: int) -> OffsetCommitResponse:
    """The error for every partition that the request named."""
    return OffsetCommitResponse(topics=refused_topics(request.topics, error_code))


def refused_topics(topics: Iterable[OffsetCommitRequestTopic], error_code: int) -> list[OffsetCommitResponseTopic]:
    return [
        OffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                OffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error_code)
                for partition in topic.partitions
            ],
        )
        for topic in topics
    ]
