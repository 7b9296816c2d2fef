"""OffsetCommit (8): remember how far a group has read.

Versions 2-10. Commits are written to the group's partition of __consumer_offsets and answered when that is on disk.

- Members commit in their generation; groups without members take commits from anybody (simple consumers, administrators).
- Metadata above `offset.metadata.max.bytes` is refused for that partition, the others go on.

v2-v4 have a retention time of their own, v6 adds the leader epoch, v7 static members, v8 is flexible, v9 says GROUP_ID_NOT_FOUND
where earlier ones said ILLEGAL_GENERATION, v10 names topics by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k08_offset_commit import OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k08_offset_commit import OffsetCommitRequest

KEY = 8
VERSIONS = (2, 10)


def handle(broker: Broker, call: Call) -> None:
    request: OffsetCommitRequest = call.request
    broker.groups.decide(call, broker.groups.groups.commit_offsets, lambda code: refused(request, code), creates=True)


def refused(request: OffsetCommitRequest, error_code: int) -> OffsetCommitResponse:
    """The error for every partition that the request named."""
    topics = [
        OffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                OffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error_code)
                for partition in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    return OffsetCommitResponse(topics=topics)
