"""Requests about offsets, built from plain mappings and read back into them: commit, fetch what is committed, look up by time or epoch."""

from __future__ import annotations

from ev.client.results import CommittedOffset, FoundOffset
from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    from ev.wire.messages.k02_list_offsets import ListOffsetsRequest, ListOffsetsResponse
    from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitResponse
    from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse
    from ev.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse

    TopicPartition = tuple[str, int]
    V = TypeVar("V")

COMMIT_VERSION_MAX = 9
FETCH_VERSION_MAX = 9
"""From version 10 on both name topics by id, which a group that has commits for a deleted topic cannot do."""
FETCH_VERSION_OF_MANY_GROUPS = 8


def grouped(items: Mapping[TopicPartition, V]) -> dict[str, list[tuple[int, V]]]:
    """By topic: requests nest partitions in topics."""
    topics: dict[str, list[tuple[int, V]]] = {}
    for (topic, index), value in items.items():
        topics.setdefault(topic, []).append((index, value))
    return topics


def commit_request(
    group: str, offsets: Mapping[TopicPartition, CommittedOffset], generation: int = -1, member_id: str = "", instance_id: str | None = None
) -> OffsetCommitRequest:
    from ev.wire.messages.k08_offset_commit import (  # noqa: PLC0415 - each API is loaded when it is used
        OffsetCommitRequest,
        OffsetCommitRequestPartition,
        OffsetCommitRequestTopic,
    )

    topics = [
        OffsetCommitRequestTopic(
            name=topic,
            partitions=[OffsetCommitRequestPartition(index, item.offset, item.leader_epoch, item.metadata) for index, item in items],
        )
        for topic, items in grouped(offsets).items()
    ]
    return OffsetCommitRequest(
        group_id=group, generation_id_or_member_epoch=generation, member_id=member_id, group_instance_id=instance_id, topics=topics
    )


def commit_codes(response: OffsetCommitResponse) -> dict[TopicPartition, int]:
    return {(topic.name, item.partition_index): item.error_code for topic in response.topics for item in topic.partitions}


def fetch_request(
    group: str, partitions: Iterable[TopicPartition] | None, version: int, *, require_stable: bool = False
) -> OffsetFetchRequest:
    """What a group has committed for these partitions; None asks for all that it has."""
    from ev.wire.messages.k09_offset_fetch import (  # noqa: PLC0415
        OffsetFetchRequest,
        OffsetFetchRequestGroup,
        OffsetFetchRequestTopic,
        OffsetFetchRequestTopics,
    )

    topics = None if partitions is None else grouped(dict.fromkeys(partitions))
    if version < FETCH_VERSION_OF_MANY_GROUPS:
        request = OffsetFetchRequest(group_id=group, require_stable=require_stable)
        request.topics = (
            None if topics is None else [OffsetFetchRequestTopic(name, [i for i, _ in items]) for name, items in topics.items()]
        )
        return request
    wanted = OffsetFetchRequestGroup(group_id=group)
    wanted.topics = (
        None
        if topics is None
        else [OffsetFetchRequestTopics(name=name, partition_indexes=[i for i, _ in items]) for name, items in topics.items()]
    )
    return OffsetFetchRequest(groups=[wanted], require_stable=require_stable)


def fetched_offsets(response: OffsetFetchResponse) -> tuple[int, dict[TopicPartition, CommittedOffset]]:
    """The error of the whole group, and what is committed per partition; offset -1 where nothing is."""
    code, topics = response.error_code, [(topic.name, topic.partitions) for topic in response.topics]
    for answer in response.groups:
        code = answer.error_code
        topics = [(topic.name, topic.partitions) for topic in answer.topics]  # type: ignore[misc]
    found = {}
    for name, partitions in topics:
        for item in partitions:
            error = KafkaError(item.error_code) if item.error_code else None
            found[name, item.partition_index] = CommittedOffset(item.committed_offset, item.committed_leader_epoch, item.metadata, error)
    return code, found


def unsettled_code(response: OffsetFetchResponse) -> int:
    """The error of the whole group, else one of a partition that passes (an open transaction holds its offset), else none."""
    code, found = fetched_offsets(response)
    return code or next((item.error.code for item in found.values() if item.error is not None and item.error.retriable), 0)


def list_request(wanted: Mapping[TopicPartition, tuple[int, int]], isolation: int, timeout_ms: int) -> ListOffsetsRequest:
    """The offsets of timestamps: (timestamp, leader epoch) per partition of one broker."""
    from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic  # noqa: PLC0415

    topics = [
        ListOffsetsTopic(topic, [ListOffsetsPartition(index, leader_epoch, timestamp) for index, (timestamp, leader_epoch) in items])
        for topic, items in grouped(wanted).items()
    ]
    return ListOffsetsRequest(replica_id=-1, isolation_level=isolation, topics=topics, timeout_ms=timeout_ms)


def listed_offsets(response: ListOffsetsResponse) -> dict[TopicPartition, FoundOffset]:
    return {
        (topic.name, item.partition_index): FoundOffset(
            item.offset, item.timestamp, item.leader_epoch, KafkaError(item.error_code) if item.error_code else None
        )
        for topic in response.topics
        for item in topic.partitions
    }


def epoch_request(wanted: Mapping[TopicPartition, tuple[int, int]]) -> OffsetForLeaderEpochRequest:
    """Where epochs ended: (current leader epoch, epoch asked about) per partition of one broker."""
    from ev.wire.messages.k23_offset_for_leader_epoch import (  # noqa: PLC0415
        OffsetForLeaderEpochRequest,
        OffsetForLeaderPartition,
        OffsetForLeaderTopic,
    )

    topics = [
        OffsetForLeaderTopic(topic, [OffsetForLeaderPartition(index, current, epoch) for index, (current, epoch) in items])
        for topic, items in grouped(wanted).items()
    ]
    return OffsetForLeaderEpochRequest(replica_id=-1, topics=topics)


def epoch_ends(response: OffsetForLeaderEpochResponse) -> dict[TopicPartition, tuple[int, int, int]]:
    """Error code, epoch and the offset at which it ended."""
    return {
        (topic.topic, item.partition): (item.error_code, item.leader_epoch, item.end_offset)
        for topic in response.topics
        for item in topic.partitions
    }
