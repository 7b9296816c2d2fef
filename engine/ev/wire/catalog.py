"""Which APIs there are: key, name, versions of Kafka 4.3, first flexible version.

Of the keys that belong to brokers and controllers among themselves, which clients never send, there are only the names.
"""

from __future__ import annotations

from ev.errors import ErrorCode, KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from ev.wire.codec import Message

API_VERSIONS = 18
"""The key of the request that every client sends first."""


class Api:
    """One API. What a broker offers of it, and what it says of its lowest version, is the broker's matter."""

    __slots__ = ("flexible_from", "key", "max_version", "min_version", "module", "name")

    def __init__(self, key: int, name: str, module: str, min_version: int, max_version: int, flexible_from: int | None) -> None:
        self.key = key
        self.name = name
        self.module = f"ev.wire.messages.k{key:02}_{module}"
        self.min_version = min_version
        self.max_version = max_version
        self.flexible_from = flexible_from

    def load(self) -> ModuleType:
        """The module with the messages, imported when it is needed."""
        from importlib import import_module  # noqa: PLC0415 - the start of a command does without it

        return import_module(self.module)

    @property
    def request(self) -> type[Message]:
        """The class of the request."""
        cls: type[Message] = self.load().REQUEST
        return cls

    @property
    def response(self) -> type[Message]:
        """The class of the response."""
        cls: type[Message] = self.load().RESPONSE
        return cls

    def __repr__(self) -> str:
        return f"Api({self.key}, {self.name!r}, {self.min_version} to {self.max_version})"


_ROWS: tuple[tuple[int, str, str, int, int, int | None], ...] = (
    (0, "Produce", "produce", 3, 13, 9),
    (1, "Fetch", "fetch", 4, 18, 12),
    (2, "ListOffsets", "list_offsets", 1, 11, 6),
    (3, "Metadata", "metadata", 0, 13, 9),
    (8, "OffsetCommit", "offset_commit", 2, 10, 8),
    (9, "OffsetFetch", "offset_fetch", 1, 10, 6),
    (10, "FindCoordinator", "find_coordinator", 0, 6, 3),
    (11, "JoinGroup", "join_group", 0, 9, 6),
    (12, "Heartbeat", "heartbeat", 0, 4, 4),
    (13, "LeaveGroup", "leave_group", 0, 5, 4),
    (14, "SyncGroup", "sync_group", 0, 5, 4),
    (15, "DescribeGroups", "describe_groups", 0, 6, 5),
    (16, "ListGroups", "list_groups", 0, 5, 3),
    (17, "SaslHandshake", "sasl_handshake", 0, 1, None),
    (18, "ApiVersions", "api_versions", 0, 4, 3),
    (19, "CreateTopics", "create_topics", 2, 7, 5),
    (20, "DeleteTopics", "delete_topics", 1, 6, 4),
    (21, "DeleteRecords", "delete_records", 0, 2, 2),
    (22, "InitProducerId", "init_producer_id", 0, 6, 2),
    (23, "OffsetForLeaderEpoch", "offset_for_leader_epoch", 2, 4, 4),
    (24, "AddPartitionsToTxn", "add_partitions_to_txn", 0, 5, 3),
    (25, "AddOffsetsToTxn", "add_offsets_to_txn", 0, 4, 3),
    (26, "EndTxn", "end_txn", 0, 5, 3),
    (27, "WriteTxnMarkers", "write_txn_markers", 1, 2, 1),
    (28, "TxnOffsetCommit", "txn_offset_commit", 0, 5, 3),
    (29, "DescribeAcls", "describe_acls", 1, 3, 2),
    (30, "CreateAcls", "create_acls", 1, 3, 2),
    (31, "DeleteAcls", "delete_acls", 1, 3, 2),
    (32, "DescribeConfigs", "describe_configs", 1, 4, 4),
    (33, "AlterConfigs", "alter_configs", 0, 2, 2),
    (34, "AlterReplicaLogDirs", "alter_replica_log_dirs", 1, 2, 2),
    (35, "DescribeLogDirs", "describe_log_dirs", 1, 5, 2),
    (36, "SaslAuthenticate", "sasl_authenticate", 0, 2, 2),
    (37, "CreatePartitions", "create_partitions", 0, 3, 2),
    (38, "CreateDelegationToken", "create_delegation_token", 1, 3, 2),
    (39, "RenewDelegationToken", "renew_delegation_token", 1, 2, 2),
    (40, "ExpireDelegationToken", "expire_delegation_token", 1, 2, 2),
    (41, "DescribeDelegationToken", "describe_delegation_token", 1, 3, 2),
    (42, "DeleteGroups", "delete_groups", 0, 2, 2),
    (43, "ElectLeaders", "elect_leaders", 0, 2, 2),
    (44, "IncrementalAlterConfigs", "incremental_alter_configs", 0, 1, 1),
    (45, "AlterPartitionReassignments", "alter_partition_reassignments", 0, 1, 0),
    (46, "ListPartitionReassignments", "list_partition_reassignments", 0, 0, 0),
    (47, "OffsetDelete", "offset_delete", 0, 0, None),
    (48, "DescribeClientQuotas", "describe_client_quotas", 0, 1, 1),
    (49, "AlterClientQuotas", "alter_client_quotas", 0, 1, 1),
    (50, "DescribeUserScramCredentials", "describe_user_scram_credentials", 0, 0, 0),
    (51, "AlterUserScramCredentials", "alter_user_scram_credentials", 0, 0, 0),
    (55, "DescribeQuorum", "describe_quorum", 0, 2, 0),
    (57, "UpdateFeatures", "update_features", 0, 2, 0),
    (60, "DescribeCluster", "describe_cluster", 0, 2, 0),
    (61, "DescribeProducers", "describe_producers", 0, 0, 0),
    (64, "UnregisterBroker", "unregister_broker", 0, 0, 0),
    (65, "DescribeTransactions", "describe_transactions", 0, 0, 0),
    (66, "ListTransactions", "list_transactions", 0, 2, 0),
    (68, "ConsumerGroupHeartbeat", "consumer_group_heartbeat", 0, 1, 0),
    (69, "ConsumerGroupDescribe", "consumer_group_describe", 0, 1, 0),
    (71, "GetTelemetrySubscriptions", "get_telemetry_subscriptions", 0, 0, 0),
    (72, "PushTelemetry", "push_telemetry", 0, 0, 0),
    (74, "ListConfigResources", "list_config_resources", 0, 1, 0),
    (75, "DescribeTopicPartitions", "describe_topic_partitions", 0, 0, 0),
    (76, "ShareGroupHeartbeat", "share_group_heartbeat", 1, 1, 1),
    (77, "ShareGroupDescribe", "share_group_describe", 1, 1, 1),
    (78, "ShareFetch", "share_fetch", 1, 2, 1),
    (79, "ShareAcknowledge", "share_acknowledge", 1, 2, 1),
    (80, "AddRaftVoter", "add_raft_voter", 0, 1, 0),
    (81, "RemoveRaftVoter", "remove_raft_voter", 0, 0, 0),
    (88, "StreamsGroupHeartbeat", "streams_group_heartbeat", 0, 0, 0),
    (89, "StreamsGroupDescribe", "streams_group_describe", 0, 0, 0),
    (90, "DescribeShareGroupOffsets", "describe_share_group_offsets", 0, 1, 0),
    (91, "AlterShareGroupOffsets", "alter_share_group_offsets", 0, 0, 0),
    (92, "DeleteShareGroupOffsets", "delete_share_group_offsets", 0, 0, 0),
)

API = {row[0]: Api(*row) for row in _ROWS}
"""Every API by its key."""

AMONG_BROKERS: dict[int, str] = {
    4: "LeaderAndIsr",
    5: "StopReplica",
    6: "UpdateMetadata",
    7: "ControlledShutdown",
    52: "Vote",
    53: "BeginQuorumEpoch",
    54: "EndQuorumEpoch",
    56: "AlterPartition",
    58: "Envelope",
    59: "FetchSnapshot",
    62: "BrokerRegistration",
    63: "BrokerHeartbeat",
    67: "AllocateProducerIds",
    70: "ControllerRegistration",
    73: "AssignReplicasToDirs",
    82: "UpdateRaftVoter",
    83: "InitializeShareGroupState",
    84: "ReadShareGroupState",
    85: "WriteShareGroupState",
    86: "DeleteShareGroupState",
    87: "ReadShareGroupStateSummary",
}
"""What Kafka calls the APIs that are none of a client's business, but that brokers list with the others."""

FLEXIBLE_FROM: dict[int, int] = {row[0]: row[5] for row in _ROWS if row[5] is not None}
"""The first flexible version of each API that has one."""


def api(key: int) -> Api:
    """The API of a key. Raises KafkaError UNSUPPORTED_VERSION, which is how Kafka answers a key it does not know."""
    found = API.get(key)
    if found is None:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"there is no API with the key {key}")
    return found


def api_by_name(name: str) -> Api:
    """The API with Kafka's name, such as `OffsetCommit`."""
    for found in API.values():
        if found.name == name:
            return found
    raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"there is no API called {name}")


def api_name(key: int) -> str:
    """Kafka's name for a key, empty where there is none (yet)."""
    return API[key].name if key in API else AMONG_BROKERS.get(key, "")
