"""What a client knows of a cluster: brokers, topics, partitions and who leads them. A plain state machine, fed with Metadata responses."""

from __future__ import annotations

from ev.errors import ErrorCode
from ev.wire.primitives import ZERO_UUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.wire.messages.k03_metadata import MetadataResponse, MetadataResponsePartition, MetadataResponseTopic

NO_LEADER = -1


class BrokerInfo:
    """Where a broker listens."""

    __slots__ = ("host", "node_id", "port", "rack")

    def __init__(self, node_id: int, host: str, port: int, rack: str | None = None) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack = rack

    def __repr__(self) -> str:
        return f"BrokerInfo({self.node_id}, {self.host}:{self.port})"


class PartitionInfo:
    """Who leads a partition, since which epoch, and who has copies."""

    __slots__ = ("error_code", "index", "isr", "leader", "leader_epoch", "offline", "replicas")

    def __init__(self, row: MetadataResponsePartition) -> None:
        self.index = row.partition_index
        self.leader = row.leader_id
        self.leader_epoch = row.leader_epoch
        self.replicas = row.replica_nodes
        self.isr = row.isr_nodes
        self.offline = row.offline_replicas
        self.error_code = row.error_code

    def __repr__(self) -> str:
        return f"PartitionInfo({self.index}, leader={self.leader}, epoch={self.leader_epoch})"


class TopicInfo:
    """A topic and its partitions by index."""

    __slots__ = ("is_internal", "name", "partitions", "topic_id")

    def __init__(self, name: str, topic_id: bytes, is_internal: bool, partitions: dict[int, PartitionInfo]) -> None:
        self.name = name
        self.topic_id = topic_id
        self.is_internal = is_internal
        self.partitions = partitions

    def __repr__(self) -> str:
        return f"TopicInfo({self.name!r}, {len(self.partitions)} partitions)"


class Metadata:
    """The newest that is known. `topic_errors` has the code of each topic that was asked for and could not be described."""

    __slots__ = ("brokers", "cluster_id", "controller_id", "topic_errors", "topics", "version")

    def __init__(self) -> None:
        self.brokers: dict[int, BrokerInfo] = {}
        self.topics: dict[str, TopicInfo] = {}
        self.topic_errors: dict[str, int] = {}
        self.cluster_id: str | None = None
        self.controller_id = -1
        self.version = 0
        """Grows with every response, so that others see cheaply that something may have changed."""

    def apply(self, response: MetadataResponse, *, everything: bool) -> None:
        """Take a response in; `everything` when it was asked about all topics, so that those it does not name are gone."""
        self.version += 1
        self.brokers = {row.node_id: BrokerInfo(row.node_id, row.host, row.port, row.rack) for row in response.brokers}
        self.cluster_id = response.cluster_id
        self.controller_id = response.controller_id
        if everything:
            named = {row.name for row in response.topics}
            self.topics = {name: topic for name, topic in self.topics.items() if name in named}
            self.topic_errors = {}
        for row in response.topics:
            if row.name is not None:
                self._apply_topic(row.name, row)

    def _apply_topic(self, name: str, row: MetadataResponseTopic) -> None:
        if row.error_code:
            self.topic_errors[name] = row.error_code
            if row.error_code != ErrorCode.LEADER_NOT_AVAILABLE:
                self.topics.pop(name, None)
            return
        self.topic_errors.pop(name, None)
        known = self.topics.get(name)
        same = known is not None and (known.topic_id == row.topic_id or ZERO_UUID in (known.topic_id, row.topic_id))
        before = known.partitions if known is not None and same else {}
        partitions: dict[int, PartitionInfo] = {}
        for partition_row in sorted(row.partitions, key=lambda partition: partition.partition_index):
            partition = PartitionInfo(partition_row)
            older = before.get(partition.index)
            # A broker that lags behind may still name the leader of an older epoch.
            if older is not None and older.leader_epoch > partition.leader_epoch >= 0:
                partition = older
            partitions[partition.index] = partition
        self.topics[name] = TopicInfo(name, row.topic_id, row.is_internal, partitions)

    def has_replica(self, topic: str, partition: int, node_id: int) -> bool:
        """Whether that broker is there and has a copy of the partition."""
        info = self.topics.get(topic)
        found = info.partitions.get(partition) if info is not None else None
        return found is not None and node_id in self.brokers and node_id in found.replicas and node_id not in (found.offline or ())

    def leader(self, topic: str, partition: int) -> int | None:
        """The broker that leads a partition; None when there is none or it is not known."""
        info = self.topics.get(topic)
        found = info.partitions.get(partition) if info is not None else None
        return found.leader if found is not None and found.leader >= 0 and found.leader in self.brokers else None
