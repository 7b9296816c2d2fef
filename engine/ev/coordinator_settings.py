"""The rows of `ev.settings` about producers, transactions, groups and their offsets."""

from __future__ import annotations

from ev.setting_types import INT_MAX, Choice, Number, Switch, Words
from ev.setting_units import DAY_MS, MIB, MINUTE_MS, SECOND_MS


class CoordinatorSettings:
    """What the coordinators go by, and what they keep."""

    # ---- producers
    producer_id_expiration_ms = Number(
        "producer.id.expiration.ms",
        DAY_MS,
        "How long a producer's sequence numbers are remembered after its last batch.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )

    # ---- transactions
    transaction_max_timeout_ms = Number(
        "transaction.max.timeout.ms",
        15 * MINUTE_MS,
        "The longest timeout that a transactional producer may ask for.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    transactional_id_expiration_ms = Number(
        "transactional.id.expiration.ms",
        7 * DAY_MS,
        "How long a transactional id is remembered after its last transaction.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    transaction_state_log_num_partitions = Number(
        "transaction.state.log.num.partitions", 4, "Partitions of __transaction_state when it is created.", low=1, high=1000
    )
    transaction_state_log_segment_bytes = Number(
        "transaction.state.log.segment.bytes", 100 * MIB, "The segment size of __transaction_state.", low=1024, high=INT_MAX, unit="bytes"
    )
    transaction_partition_verification_enable = Switch(
        "transaction.partition.verification.enable",
        True,
        "Whether a transactional batch is refused when its partition was not added to the transaction.",
    )

    # ---- groups and offsets
    offsets_topic_num_partitions = Number(
        "offsets.topic.num.partitions", 4, "Partitions of __consumer_offsets when it is created.", low=1, high=1000
    )
    offsets_topic_segment_bytes = Number(
        "offsets.topic.segment.bytes", 100 * MIB, "The segment size of __consumer_offsets.", low=1024, high=INT_MAX, unit="bytes"
    )
    offsets_retention_minutes = Number(
        "offsets.retention.minutes",
        7 * 24 * 60,
        "How long the offsets of a group without members are kept.",
        low=1,
        high=INT_MAX,
        unit="minutes",
    )
    offsets_retention_check_interval_ms = Number(
        "offsets.retention.check.interval.ms", 10 * MINUTE_MS, "How often offsets are checked for their retention.", low=1, unit="ms"
    )
    offset_metadata_max_bytes = Number(
        "offset.metadata.max.bytes", 4096, "The longest note that may be committed with an offset.", high=INT_MAX, unit="bytes"
    )
    group_initial_rebalance_delay_ms = Number(
        "group.initial.rebalance.delay.ms",
        0,
        "How long a new group waits for more members before its first rebalance.",
        high=INT_MAX,
        unit="ms",
    )
    group_min_session_timeout_ms = Number(
        "group.min.session.timeout.ms",
        6 * SECOND_MS,
        "The shortest session timeout that a member may ask for.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_max_session_timeout_ms = Number(
        "group.max.session.timeout.ms",
        30 * MINUTE_MS,
        "The longest session timeout that a member may ask for.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_max_size = Number("group.max.size", INT_MAX, "The most members that one group may have.", low=1, high=INT_MAX)
    group_coordinator_rebalance_protocols = Words(
        "group.coordinator.rebalance.protocols",
        ("classic", "consumer"),
        "The protocols of groups that are served; classic always is.",
        choices=("classic", "consumer"),
    )
    group_consumer_session_timeout_ms = Number(
        "group.consumer.session.timeout.ms",
        45_000,
        "How long a member of a group of the new protocol may be silent.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_heartbeat_interval_ms = Number(
        "group.consumer.heartbeat.interval.ms",
        5_000,
        "How often the members of a group of the new protocol are told to report.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_min_session_timeout_ms = Number(
        "group.consumer.min.session.timeout.ms",
        45_000,
        "The shortest session timeout that may be set for one group.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_max_session_timeout_ms = Number(
        "group.consumer.max.session.timeout.ms",
        60_000,
        "The longest session timeout that may be set for one group.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_min_heartbeat_interval_ms = Number(
        "group.consumer.min.heartbeat.interval.ms",
        5_000,
        "The shortest heartbeat interval that may be set for one group.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_max_heartbeat_interval_ms = Number(
        "group.consumer.max.heartbeat.interval.ms",
        15_000,
        "The longest heartbeat interval that may be set for one group.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_max_size = Number(
        "group.consumer.max.size", INT_MAX, "The most members that one group of the new protocol may have.", low=1, high=INT_MAX
    )

    group_consumer_assignors = Words(
        "group.consumer.assignors",
        ("uniform", "range"),
        "The assignors that groups of the new protocol may choose from; the first is for those that do not choose.",
        choices=("uniform", "range"),
    )
    group_consumer_assignment_interval_ms = Number(
        "group.consumer.assignment.interval.ms",
        0,
        "The least time between two assignments that the broker makes for a group; Kafka waits 1000, here members get theirs at once.",
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_min_assignment_interval_ms = Number(
        "group.consumer.min.assignment.interval.ms",
        0,
        "The shortest interval between assignments that may be set for one group.",
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_max_assignment_interval_ms = Number(
        "group.consumer.max.assignment.interval.ms",
        15_000,
        "The longest interval between assignments that may be set for one group.",
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_regex_refresh_interval_ms = Number(
        "group.consumer.regex.refresh.interval.ms",
        10 * MINUTE_MS,
        "How long what the patterns of a group matched counts; topics that come and go are seen at once in any case.",
        low=10_000,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_migration_policy = Choice(
        "group.consumer.migration.policy",
        "bidirectional",
        "Which groups with members may change their protocol: classic ones (upgrade), those of the new one (downgrade), both or neither.",
        choices=("bidirectional", "upgrade", "downgrade", "disabled"),
    )
