"""Answers of a cluster, made by hand: topics, offsets, groups, and an Admin that gives them to whoever watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ev.client.brokers import LogDirectory, QuorumDescription
from ev.client.results import (
    Broker,
    ClusterDescription,
    CommittedOffset,
    FoundOffset,
    GroupDescription,
    GroupListing,
    MemberDescription,
    TopicDescription,
    TopicPartitionDescription,
)
from ev.client.survey import GroupOffsets
from ev.errors import EvError

Partition = tuple[str, int]


def cluster(*nodes: int) -> ClusterDescription:
    return ClusterDescription("cluster", nodes[0], [Broker(node, f"host{node}", 9092, None) for node in nodes])


def topic(
    name: str, partitions: int = 1, *, leader: int = 1, replicas: tuple[int, ...] = (1,), missing: int = 0, topic_id: int = 1
) -> TopicDescription:
    """`missing` replicas of each partition are not in sync."""
    in_sync = list(replicas[: len(replicas) - missing])
    rows = [TopicPartitionDescription(index, leader, 0, list(replicas), in_sync, []) for index in range(partitions)]
    return TopicDescription(name, topic_id.to_bytes(16), name.startswith("__"), rows)


def offsets(values: Mapping[Partition, int]) -> dict[Partition, FoundOffset]:
    return {partition: FoundOffset(value) for partition, value in values.items()}


def commits(values: Mapping[Partition, int]) -> GroupOffsets:
    return GroupOffsets({partition: CommittedOffset(value) for partition, value in values.items()})


def group(name: str, members: Mapping[str, list[Partition]], state: str = "Stable") -> GroupDescription:
    rows = [MemberDescription(member, None, member.partition("-")[0], "/10.0.0.1", [], own) for member, own in members.items()]
    return GroupDescription(name, state, "consumer", "range", rows, 1)


def listing(name: str, state: str = "Stable") -> GroupListing:
    return GroupListing(name, "consumer", state, "classic")


class AnswersOfMany:
    """An Admin that answers at once, for so many topics and groups; what it was asked is counted."""

    def __init__(self, topics: int, groups: int, partitions: int = 3) -> None:
        self.described = [topic(f"topic-{number:05}", partitions) for number in range(topics)]
        self.listed = [listing(f"group-{number:04}") for number in range(groups)]
        self.names = [row.name for row in self.described]
        self.ends: dict[str, int] = dict.fromkeys(self.names, 1_000)
        self.asked: dict[str, int] = {}
        self.partitions_asked = 0
        self.closed = False

    def _count(self, what: str, count: int = 1) -> None:
        self.asked[what] = self.asked.get(what, 0) + count

    def close(self) -> None:
        self.closed = True

    def survey_topics(self) -> tuple[ClusterDescription, list[TopicDescription]]:
        self._count("metadata")
        return cluster(1), self.described

    def survey_ends(self, partitions: Iterable[Partition]) -> dict[Partition, FoundOffset]:
        found = {(name, index): FoundOffset(self.ends[name]) for name, index in partitions}
        self._count("ends")
        self.partitions_asked += len(found)
        return found

    def survey_starts(self, partitions: Iterable[Partition]) -> dict[Partition, FoundOffset]:
        self._count("starts")
        return {partition: FoundOffset(0) for partition in partitions}

    def survey_groups(self) -> tuple[list[GroupListing], dict[int, EvError]]:
        self._count("groups")
        return self.listed, {}

    def survey_members(self, groups: Iterable[str]) -> dict[str, GroupDescription]:
        self._count("members")
        return {name: group(name, {"worker-1": []}) for name in groups}

    def survey_committed(self, groups: Iterable[str]) -> dict[str, GroupOffsets]:
        self._count("committed")
        return {name: commits({(self.names[int(name[-4:]) * 7 % len(self.names)], index): 900 for index in range(3)}) for name in groups}

    def survey_arrivals(self, at: Mapping[Partition, int]) -> dict[Partition, int]:
        self._count("arrivals")
        return {}

    def survey_directories(self) -> tuple[list[LogDirectory], dict[int, EvError]]:
        self._count("directories")
        sizes = {(name, index): 4_096 for name in self.names for index in range(3)}
        return [LogDirectory(1, "/data", 1_000_000, 400_000, sizes)], {}

    def quorum(self) -> QuorumDescription:
        return QuorumDescription(1, 1, 1, [], [])
