"""CreateTopics (19): new topics, each answered for itself.

Versions 2-7. Partitions and replicas of -1 mean the broker's defaults. Replica assignments are accepted when they name this
broker alone. `validate_only` does everything but create. The answer leaves when the topics are on disk and can be used.

v5 flexible, and the answer has the configuration; v6 may be throttled; v7 topic ids.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ev.broker.configs import describe_topic
from ev.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Topic
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.throttling import Mutations

KEY = 19
VERSIONS = (2, 7)
KNOWS_THROTTLING_FROM = 6


def handle(broker: Broker, call: Call) -> None:
    request: CreateTopicsRequest = call.request
    mutations = broker.throttling.mutations(call, strict_from=KNOWS_THROTTLING_FROM)
    results, new = _checked(broker, call, request, mutations)

    def answer() -> None:
        for topic in new:
            if not request.validate_only and broker.topics.by_id(topic.id) is None:
                results[topic.name] = _refusal(
                    topic.name, KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The topic could not be made on disk.")
                )
        call.reply(CreateTopicsResponse(topics=list(results.values())), broker.metadata_round, mutations.throttle_ms)

    if request.validate_only or not new:
        answer()
        return
    try:
        broker.create_topics(new, call.now_ms, answer)
    except KafkaError as error:
        results.update({topic.name: _refusal(topic.name, error) for topic in new})
        new.clear()
        answer()


def _checked(
    broker: Broker, call: Call, request: CreateTopicsRequest, mutations: Mutations
) -> tuple[dict[str, CreatableTopicResult], list[Topic]]:
    """A result for every name, and the topics that may be created."""
    counts = Counter(asked.name for asked in request.topics)
    results: dict[str, CreatableTopicResult] = {}
    new: list[Topic] = []
    may_create_any = broker.allows_on_cluster(call, Operation.CREATE, quiet=True)
    for asked in request.topics:
        try:
            if counts[asked.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            if not may_create_any and not broker.allows(call, Operation.CREATE, Resource.TOPIC, asked.name):
                raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Authorization failed.")
            topic = _new_topic(broker, asked, new)
            mutations.take(topic.partition_count)
        except KafkaError as error:
            results[asked.name] = _refusal(asked.name, error)
        else:
            new.append(topic)
            results[asked.name] = _result(broker, call, topic)
    return results, new


def _new_topic(broker: Broker, asked: CreatableTopic, new: list[Topic]) -> Topic:
    count = _partition_count(broker, asked)
    config = {config.name: config.value for config in asked.configs}
    if asked.name == OFFSETS_TOPIC and count == -1 and not config:
        return broker.new_offsets_topic()
    if asked.name == TRANSACTIONS_TOPIC and count == -1 and not config:
        return broker.new_transactions_topic()
    topic = broker.new_topic(asked.name, count, config)
    metric_name = topic.name.replace(".", "_")
    for other in new:
        if other.name.replace(".", "_") == metric_name:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{topic.name}' collides with existing topic: {other.name}")
    broker.check_partition_count(topic.partition_count, topic.partition_count + sum(other.partition_count for other in new))
    return topic


def _partition_count(broker: Broker, asked: CreatableTopic) -> int:
    """The number of partitions asked for, -1 for the default; refuses replicas that we do not have. Raises KafkaError."""
    if not asked.assignments:
        if asked.replication_factor not in (-1, 1):
            message = f"Unable to replicate the partition {asked.replication_factor} time(s): this engine has one broker."
            raise KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, message)
        if asked.num_partitions == 0 or asked.num_partitions < -1:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
        return asked.num_partitions
    if asked.num_partitions != -1 or asked.replication_factor != -1:
        message = "Both numPartitions or replicationFactor and replicas assignments were set. Both cannot be used at the same time."
        raise KafkaError(ErrorCode.INVALID_REQUEST, message)
    check_assignments([assignment.broker_ids for assignment in asked.assignments], broker.node_id)
    if sorted(assignment.partition_index for assignment in asked.assignments) != list(range(len(asked.assignments))):
        raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence")
    return len(asked.assignments)


def check_assignments(assignments: list[list[int]], node_id: int) -> None:
    """Replica assignments may name this broker and no other. Raises KafkaError."""
    for broker_ids in assignments:
        if broker_ids != [node_id]:
            message = f"Every partition has exactly one replica, on broker {node_id}; {broker_ids} was asked for."
            raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)


def _refusal(name: str, error: KafkaError) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=error.code, error_message=error.message, configs=[])


def _result(broker: Broker, call: Call, topic: Topic) -> CreatableTopicResult:
    if not broker.allows(call, Operation.DESCRIBE_CONFIGS, Resource.TOPIC, topic.name, quiet=True):
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return CreatableTopicResult(topic.name, topic.id, error_message=None, topic_config_error_code=code, configs=None)
    configs = [
        CreatableTopicConfigs(name=entry.name, value=entry.value, read_only=False, config_source=entry.source, is_sensitive=False)
        for entry in describe_topic(broker.broker_configs, topic.config)
    ]
    return CreatableTopicResult(
        topic.name, topic.id, error_message=None, num_partitions=topic.partition_count, replication_factor=1, configs=configs
    )
