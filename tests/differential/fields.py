"""What the comparison does not take at its word: closed lists of fields for each API.

MASKED   compared by shape: what no two brokers have in common; of one element of an array when its name is given in braces
WORDING  the text that goes with an error: there must be one where Kafka has one, and what it says is our own
UNORDERED  arrays whose order is not promised, with the fields that order them; "" orders plain values
KEYED    arrays whose elements have a name each and no order: one that only one side has is a difference of that name
OWN      arrays that list all there is: in the steps that ask for it (`Step.everything`), the elements whose field begins with the
         conversation's prefix are compared

No error code, no array and no whole struct may stand in MASKED: a test refuses it.
"""

from __future__ import annotations

MASKED: dict[int, frozenset[str]] = {
    0: frozenset({"responses.topic_id", "responses.partition_responses.log_append_time_ms"}),
    1: frozenset({"session_id", "responses.topic_id", "responses.partitions.aborted_transactions.producer_id"})
    | {f"responses.partitions.records.{kind}.{name}" for kind in ("batch", "marker") for name in ("crc", "producer_id")}
    | {f"responses.partitions.records.marker.{name}" for name in ("base_timestamp", "max_timestamp", "values")},
    3: frozenset({"brokers.host", "brokers.port", "cluster_id", "topics.topic_id"}),
    8: frozenset({"topics.topic_id"}),
    9: frozenset({"groups.topics.topic_id"}),
    10: frozenset({"host", "port", "coordinators.host", "coordinators.port"}),
    11: frozenset({"leader", "member_id", "members.member_id"}),
    13: frozenset({"members.member_id"}),
    15: frozenset({"groups.members.member_id", "groups.members.client_host"}),
    18: frozenset({"finalized_features_epoch"}),
    19: frozenset({"topics.topic_id"}),
    20: frozenset({"responses.topic_id"}),
    22: frozenset({"producer_id", "ongoing_txn_producer_id"}),
    26: frozenset({"producer_id"}),
    27: frozenset({"markers.producer_id"}),
    32: frozenset({"results.configs.documentation"})
    | {
        f"results.configs{{{name}}}.{value}"
        for name in ("advertised.listeners", "listeners", "log.dirs", "controller.quorum.voters")
        for value in ("value", "synonyms.value")
    },
    35: frozenset({"results.log_dir", "results.total_bytes", "results.usable_bytes"}),
    55: frozenset({"topics.partitions.leader_epoch", "topics.partitions.high_watermark"})
    | {
        f"topics.partitions.{who}.{name}"
        for who in ("current_voters", "observers")
        for name in ("replica_directory_id", "log_end_offset", "last_fetch_timestamp", "last_caught_up_timestamp")
    }
    | {"nodes.listeners.host", "nodes.listeners.port"},
    60: frozenset({"cluster_id", "brokers.host", "brokers.port"}),
    61: frozenset({f"topics.partitions.active_producers.{name}" for name in ("producer_id", "last_timestamp")}),
    65: frozenset({"transaction_states.producer_id", "transaction_states.transaction_start_time_ms"}),
    66: frozenset({"transaction_states.producer_id"}),
    68: frozenset({"member_id", "member_epoch", "assignment.topic_partitions.topic_id"}),
    69: frozenset({"groups.members.client_host", "groups.group_epoch", "groups.assignment_epoch", "groups.members.member_epoch"})
    | {f"groups.members.{name}.topic_partitions.topic_id" for name in ("assignment", "target_assignment")},
    75: frozenset({"topics.topic_id"}),
}
UNORDERED: dict[tuple[int, str], str] = {
    (0, "responses.partition_responses"): "index",
    (1, "responses"): "topic topic_id",
    (1, "responses.partitions"): "partition_index",
    (2, "topics.partitions"): "partition_index",
    (3, "topics"): "name error_code",
    (8, "topics.partitions"): "partition_index",
    (11, "members"): "metadata",
    (15, "groups"): "group_id",
    (16, "groups"): "group_id",
    (19, "topics"): "name",
    (20, "responses"): "name error_code",
    (21, "topics.partitions"): "partition_index",
    (24, "results_by_topic_v3_and_below"): "name",
    (24, "results_by_topic_v3_and_below.results_by_partition"): "partition_index",
    (34, "results"): "topic_name",
    (34, "results.partitions"): "partition_index",
    (35, "results.topics"): "name",
    (35, "results.topics.partitions"): "partition_index",
    (37, "results"): "name",
    (42, "results"): "group_id",
    (47, "topics.partitions"): "partition_index",
    (48, "entries.entity"): "entity_type",
    (48, "entries.values"): "key",
    (49, "entries.entity"): "entity_type",
    (50, "results"): "user",
    (50, "results.credential_infos"): "mechanism",
    (51, "results"): "user",
    (65, "transaction_states.topics.partitions"): "",
    (66, "transaction_states"): "transactional_id",
    (69, "groups"): "group_id",
    (74, "config_resources"): "resource_type resource_name",
}
WORDING = frozenset({"error_message", "batch_index_error_message"})
"""In every API, by the field's name."""
KEYED: dict[tuple[int, str], str] = {
    (18, "api_keys"): "api_key",
    (18, "supported_features"): "name",
    (18, "finalized_features"): "name",
    (19, "topics.configs"): "name",
    (32, "results.configs"): "name",
}
OWN: dict[tuple[int, str], str] = {
    (3, "topics"): "name",
    (16, "groups"): "group_id",
    (35, "results.topics"): "name",
    (42, "results"): "group_id",
    (47, "topics.partitions"): "partition_index",
    (50, "results"): "user",
    (65, "transaction_states.topics.partitions"): "",
    (66, "transaction_states"): "transactional_id",
    (69, "groups"): "group_id",
    (74, "config_resources"): "resource_name",
}
