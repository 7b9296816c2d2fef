"""What an admin client asks about the brokers as such: who votes on the metadata, what they speak, where they keep their logs."""

from __future__ import annotations

from ev.client.questions import Questions
from ev.client.results import Result
from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.wire.messages.k35_describe_log_dirs import DescribeLogDirsResult
    from ev.wire.messages.k55_describe_quorum import ReplicaState

    TopicPartition = tuple[str, int]

METADATA_TOPIC = "__cluster_metadata"


class QuorumReplica(Result):
    """A node that has the metadata's log, and how far. Times in ms since 1970; -1 where it is not told."""

    __slots__ = ("end_offset", "last_caught_up_ms", "last_fetch_ms", "node_id")

    def __init__(self, node_id: int, end_offset: int, last_fetch_ms: int, last_caught_up_ms: int) -> None:
        self.node_id = node_id
        self.end_offset = end_offset
        self.last_fetch_ms = last_fetch_ms
        self.last_caught_up_ms = last_caught_up_ms


class QuorumDescription(Result):
    """Who leads the metadata, who votes on it and who only reads along."""

    __slots__ = ("high_watermark", "leader_epoch", "leader_id", "observers", "voters")

    def __init__(
        self, leader_id: int, leader_epoch: int, high_watermark: int, voters: list[QuorumReplica], observers: list[QuorumReplica]
    ) -> None:
        self.leader_id = leader_id
        self.leader_epoch = leader_epoch
        self.high_watermark = high_watermark
        self.voters = voters
        self.observers = observers


class Feature(Result):
    """A feature of the cluster: the levels that the broker supports, and the one that is in force (0: none)."""

    __slots__ = ("level", "name", "supported_max", "supported_min")

    def __init__(self, name: str, level: int, supported_min: int, supported_max: int) -> None:
        self.name = name
        self.level = level
        self.supported_min = supported_min
        self.supported_max = supported_max


class ApiRange(Result):
    """The versions of one API that a broker speaks. The name is empty where this client does not know the API."""

    __slots__ = ("key", "lowest", "name", "newest")

    def __init__(self, key: int, name: str, lowest: int, newest: int) -> None:
        self.key = key
        self.name = name
        self.lowest = lowest
        self.newest = newest


class LogDirectory(Result):
    """One directory of a broker: the bytes of each replica in it, and of its volume; -1 where the broker does not tell them."""

    __slots__ = ("broker", "error", "partitions", "path", "total_bytes", "usable_bytes")

    def __init__(
        self,
        broker: int,
        path: str,
        total_bytes: int,
        usable_bytes: int,
        partitions: dict[TopicPartition, int],
        error: KafkaError | None = None,
    ) -> None:
        self.broker = broker
        self.path = path
        self.total_bytes = total_bytes
        self.usable_bytes = usable_bytes
        self.partitions = partitions
        self.error = error


class BrokerQuestions(Questions):
    """The family of questions about brokers."""

    def quorum(self) -> QuorumDescription:
        """Who votes on the cluster's metadata. UnsupportedApiError where there is no such quorum."""
        from ev.wire.messages.k55_describe_quorum import (  # noqa: PLC0415 - each API is loaded when it is used
            DescribeQuorumRequest,
            RequestPartitionData,
            RequestTopicData,
        )

        asked = DescribeQuorumRequest(topics=[RequestTopicData(METADATA_TOPIC, [RequestPartitionData(0)])])
        row = self._call(asked, None).topics[0].partitions[0]
        if row.error_code:
            raise KafkaError(row.error_code, row.error_message)
        return QuorumDescription(
            row.leader_id,
            row.leader_epoch,
            row.high_watermark,
            [quorum_replica(voter) for voter in row.current_voters],
            [quorum_replica(observer) for observer in row.observers],
        )

    def features(self) -> list[Feature]:
        """The features that a broker supports, by name, with their levels."""
        from ev.client.connection import SOFTWARE_NAME, SOFTWARE_VERSION  # noqa: PLC0415
        from ev.wire.messages.k18_api_versions import ApiVersionsRequest  # noqa: PLC0415

        answer = self._call(ApiVersionsRequest(SOFTWARE_NAME, SOFTWARE_VERSION), None)
        levels = {row.name: row.max_version_level for row in answer.finalized_features}
        supported = sorted(answer.supported_features, key=lambda row: row.name)
        return [Feature(row.name, levels.get(row.name, 0), row.min_version, row.max_version) for row in supported]

    def api_versions(self, broker: int | None = None) -> list[ApiRange]:
        """The APIs that a broker (any, without one) offers, by key."""
        from ev.client.connection import SOFTWARE_NAME, SOFTWARE_VERSION  # noqa: PLC0415
        from ev.wire.catalog import api_name  # noqa: PLC0415
        from ev.wire.messages.k18_api_versions import ApiVersionsRequest  # noqa: PLC0415

        rows = self._call(ApiVersionsRequest(SOFTWARE_NAME, SOFTWARE_VERSION), broker).api_keys
        return [
            ApiRange(row.api_key, api_name(row.api_key), row.min_version, row.max_version)
            for row in sorted(rows, key=lambda row: row.api_key)
        ]

    def log_directories(self, brokers: Iterable[int] | None = None) -> list[LogDirectory]:
        """Where these brokers, or all, keep their logs, and how large each replica is."""
        from ev.wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest  # noqa: PLC0415

        found: list[LogDirectory] = []
        for broker in self._brokers() if brokers is None else brokers:
            answer = self._call(DescribeLogDirsRequest(topics=None), broker)
            found += [log_directory(broker, row) for row in sorted(answer.results, key=lambda row: row.log_dir)]
        return found


def quorum_replica(row: ReplicaState) -> QuorumReplica:
    return QuorumReplica(row.replica_id, row.log_end_offset, row.last_fetch_timestamp, row.last_caught_up_timestamp)


def log_directory(broker: int, row: DescribeLogDirsResult) -> LogDirectory:
    sizes = {
        (topic.name, partition.partition_index): partition.partition_size
        for topic in row.topics
        for partition in topic.partitions
        if not partition.is_future_key
    }
    error = KafkaError(row.error_code) if row.error_code else None
    return LogDirectory(broker, row.log_dir, row.total_bytes, row.usable_bytes, dict(sorted(sizes.items())), error)
