"""What the admin client hands out: plain values, and an error on every item that a broker refused."""

from __future__ import annotations

from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    TopicPartition = tuple[str, int]
    OffsetToCommit: TypeAlias = "int | tuple[int, str] | CommittedOffset"


class Result:
    """A value with a name for each part. `error` is None when all went well."""

    __slots__ = ()

    def __repr__(self) -> str:
        slots = [name for cls in reversed(type(self).__mro__) for name in getattr(cls, "__slots__", ())]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in slots)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    __hash__ = None  # type: ignore[assignment]


class Outcome(Result):
    """How one item of a request fared: a topic created, a group deleted, an offset altered."""

    __slots__ = ("error", "name")

    def __init__(self, name: str, error: KafkaError | None = None) -> None:
        self.name = name
        self.error = error

    def or_raise(self) -> None:
        if self.error is not None:
            raise self.error


class NewTopic(Result):
    """A topic to be made. -1 leaves partitions or replication factor to the broker's defaults."""

    __slots__ = ("configs", "name", "partitions", "replicas", "replication_factor")

    def __init__(
        self,
        name: str,
        partitions: int = -1,
        replication_factor: int = -1,
        configs: dict[str, str] | None = None,
        replicas: dict[int, list[int]] | None = None,
    ) -> None:
        self.name = name
        self.partitions = partitions
        self.replication_factor = replication_factor
        self.configs = configs or {}
        self.replicas = replicas or {}


class CreatedTopic(Outcome):
    """A topic that was made, or not. Older brokers do not say its id and partitions (-1)."""

    __slots__ = ("partitions", "replication_factor", "topic_id")

    def __init__(self, name: str, error: KafkaError | None, topic_id: bytes, partitions: int, replication_factor: int) -> None:
        super().__init__(name, error)
        self.topic_id = topic_id
        self.partitions = partitions
        self.replication_factor = replication_factor


class TopicPartitionDescription(Result):
    """One partition: who leads it (-1: nobody), who has copies, whose copies are up to date."""

    __slots__ = ("error", "in_sync", "index", "leader", "leader_epoch", "offline", "replicas")

    def __init__(
        self,
        index: int,
        leader: int,
        leader_epoch: int,
        replicas: list[int],
        in_sync: list[int],
        offline: list[int],
        error: KafkaError | None = None,
    ) -> None:
        self.index = index
        self.leader = leader
        self.leader_epoch = leader_epoch
        self.replicas = replicas
        self.in_sync = in_sync
        self.offline = offline
        self.error = error


class TopicDescription(Result):
    """One topic with its partitions in order."""

    __slots__ = ("error", "internal", "name", "partitions", "topic_id")

    def __init__(
        self, name: str, topic_id: bytes, internal: bool, partitions: list[TopicPartitionDescription], error: KafkaError | None = None
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.internal = internal
        self.partitions = partitions
        self.error = error

    @property
    def replication_factor(self) -> int:
        return len(self.partitions[0].replicas) if self.partitions else 0


class Broker(Result):
    __slots__ = ("host", "node_id", "port", "rack")

    def __init__(self, node_id: int, host: str, port: int, rack: str | None) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.rack = rack


class ClusterDescription(Result):
    __slots__ = ("brokers", "cluster_id", "controller_id")

    def __init__(self, cluster_id: str | None, controller_id: int, brokers: list[Broker]) -> None:
        self.cluster_id = cluster_id
        self.controller_id = controller_id
        self.brokers = brokers


CONFIG_SOURCES = {
    0: "unknown",
    1: "topic",
    2: "broker",
    3: "broker-default",
    4: "static",
    5: "default",
    6: "broker-logger",
    7: "client-metrics",
    8: "group",
}
CONFIG_TYPES = {
    0: "unknown", 1: "boolean", 2: "string", 3: "int", 4: "short", 5: "long", 6: "double", 7: "list", 8: "class", 9: "password",
}  # fmt: skip


class ConfigEntry(Result):
    """One setting of a topic, broker or group. A sensitive value is None."""

    __slots__ = ("documentation", "name", "read_only", "sensitive", "source", "synonyms", "type", "value")

    def __init__(
        self,
        name: str,
        value: str | None,
        source: str,
        read_only: bool,
        sensitive: bool,
        kind: str,
        documentation: str | None,
        synonyms: list[tuple[str, str | None, str]],
    ) -> None:
        self.name = name
        self.value = value
        self.source = source
        self.read_only = read_only
        self.sensitive = sensitive
        self.type = kind
        self.documentation = documentation
        self.synonyms = synonyms

    @property
    def is_default(self) -> bool:
        """Whether nobody has set it for this very thing."""
        return self.source in ("default", "static", "broker-default")


class ConfigDescription(Result):
    """All settings of one topic, broker or group, by name."""

    __slots__ = ("entries", "error", "kind", "name")

    def __init__(self, kind: str, name: str, entries: dict[str, ConfigEntry], error: KafkaError | None = None) -> None:
        self.kind = kind
        self.name = name
        self.entries = entries
        self.error = error


class Acl(Result):
    """Who may, or may not, do what with which resource; every word as Kafka's, in small letters."""

    __slots__ = ("host", "name", "operation", "pattern", "permission", "principal", "resource")

    def __init__(
        self,
        resource: str,
        name: str,
        principal: str,
        operation: str,
        *,
        pattern: str = "literal",
        host: str = "*",
        permission: str = "allow",
    ) -> None:
        self.resource = resource
        self.name = name
        self.pattern = pattern
        self.principal = principal
        self.host = host
        self.operation = operation
        self.permission = permission

    def __str__(self) -> str:
        prefix = "*" if self.pattern == "prefixed" else ""
        host = "" if self.host == "*" else f" from {self.host}"
        return f"{self.permission} {self.principal}{host} {self.operation} {self.resource} {self.name}{prefix}"


class GroupListing(Result):
    __slots__ = ("group", "protocol_type", "state", "type")

    def __init__(self, group: str, protocol_type: str, state: str, kind: str) -> None:
        self.group = group
        self.protocol_type = protocol_type
        self.state = state
        self.type = kind


class MemberDescription(Result):
    """One member: who it is, and which partitions it has. `topics` is what it subscribed to."""

    __slots__ = ("client_id", "host", "instance_id", "member_id", "partitions", "topics")

    def __init__(
        self, member_id: str, instance_id: str | None, client_id: str, host: str, topics: list[str], partitions: list[TopicPartition]
    ) -> None:
        self.member_id = member_id
        self.instance_id = instance_id
        self.client_id = client_id
        self.host = host
        self.topics = topics
        self.partitions = partitions


class GroupDescription(Result):
    """One group. A group that does not exist has the state Dead and the error GROUP_ID_NOT_FOUND."""

    __slots__ = ("coordinator", "error", "group", "members", "protocol", "protocol_type", "state")

    def __init__(
        self,
        group: str,
        state: str,
        protocol_type: str,
        protocol: str,
        members: list[MemberDescription],
        coordinator: int = -1,
        error: KafkaError | None = None,
    ) -> None:
        self.group = group
        self.state = state
        self.protocol_type = protocol_type
        self.protocol = protocol
        self.members = members
        self.coordinator = coordinator
        self.error = error


class CommittedOffset(Result):
    """Where a group goes on reading a partition. -1: nothing is committed."""

    __slots__ = ("error", "leader_epoch", "metadata", "offset")

    def __init__(self, offset: int, leader_epoch: int = -1, metadata: str | None = "", error: KafkaError | None = None) -> None:
        self.offset = offset
        self.leader_epoch = leader_epoch
        self.metadata = metadata
        self.error = error


def as_committed(value: OffsetToCommit) -> CommittedOffset:
    """An offset to commit, alone, with metadata, or with its leader epoch as well."""
    if isinstance(value, CommittedOffset):
        return value
    if isinstance(value, tuple):
        return CommittedOffset(value[0], metadata=value[1])
    return CommittedOffset(value)


class GroupMetadata(Result):
    """A group, and which member of which generation speaks for it: -1 and no member where partitions were assigned by hand."""

    __slots__ = ("generation", "group", "instance_id", "member_id")

    def __init__(self, group: str, generation: int = -1, member_id: str = "", instance_id: str | None = None) -> None:
        self.group = group
        self.generation = generation
        self.member_id = member_id
        self.instance_id = instance_id


class FoundOffset(Result):
    """The answer to: which offset has this timestamp, or is at this end? -1 where there is none."""

    __slots__ = ("error", "leader_epoch", "offset", "timestamp")

    def __init__(self, offset: int, timestamp: int = -1, leader_epoch: int = -1, error: KafkaError | None = None) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.leader_epoch = leader_epoch
        self.error = error


class DeletedRecords(Result):
    """The first offset that is left in a partition."""

    __slots__ = ("error", "low_watermark")

    def __init__(self, low_watermark: int, error: KafkaError | None = None) -> None:
        self.low_watermark = low_watermark
        self.error = error
