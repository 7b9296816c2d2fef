"""CreatePartitions (37): topics grow; they never shrink.

Versions 0-3. Every topic of the request is answered. The engine's own topics keep their partitions, because a group's place
follows from their number. The answer leaves when the new partitions can be used.

v2 flexible, v3 may be throttled.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ev.broker.handlers.k19_create_topics import check_assignments
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.topics import Topic

KEY = 37
VERSIONS = (0, 3)
KNOWS_THROTTLING_FROM = 3


def handle(broker: Broker, call: Call) -> None:
    request: CreatePartitionsRequest = call.request
    counts = Counter(asked.name for asked in request.topics)
    refusals: dict[str, CreatePartitionsTopicResult] = {}
    grown: list[Topic] = []
    mutations = broker.throttling.mutations(call, strict_from=KNOWS_THROTTLING_FROM)
    for asked in request.topics:
        try:
            if counts[asked.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            if not broker.allows(call, Operation.ALTER, Resource.TOPIC, asked.name):
                raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            topic = _grown(broker, asked, grown)
            mutations.take(topic.partition_count - broker.topics.partitions_of(topic.name))
            grown.append(topic)
        except KafkaError as error:
            refusals[asked.name] = _refusal(asked.name, error)

    def answer() -> None:
        for topic in () if request.validate_only else grown:
            if broker.topics.partitions_of(topic.name) < topic.partition_count:
                error = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The partitions could not be made on disk.")
                refusals.setdefault(topic.name, _refusal(topic.name, error))
        results = [refusals.get(name) or CreatePartitionsTopicResult(name=name) for name in counts]
        call.reply(CreatePartitionsResponse(results=results), broker.metadata_round, mutations.throttle_ms)

    if request.validate_only or not grown:
        answer()
        return
    try:
        broker.add_partitions(grown, call.now_ms, answer)
    except KafkaError as error:
        refusals.update({topic.name: _refusal(topic.name, error) for topic in grown})
        answer()


def _grown(broker: Broker, asked: CreatePartitionsTopic, others: list[Topic]) -> Topic:
    """The topic with as many partitions as asked for. Raises KafkaError."""
    topic = broker.topics.get(asked.name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if topic.internal:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{topic.name} is the engine's own and keeps its partitions.")
    added = asked.count - topic.partition_count
    if added == 0:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {topic.partition_count} partition(s).")
    if added < 0:
        message = f"The topic {topic.name} currently has {topic.partition_count} partition(s); {asked.count} would not be an increase."
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, message)
    if asked.assignments is not None:
        if len(asked.assignments) != added:
            message = f"Attempted to add {added} additional partition(s), but only {len(asked.assignments)} assignment(s) were specified."
            raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
        check_assignments([assignment.broker_ids for assignment in asked.assignments], broker.node_id)
    already = sum(other.partition_count - broker.topics.partitions_of(other.name) for other in others)
    broker.check_partition_count(asked.count, added + already)
    return topic.with_partitions(asked.count)


def _refusal(name: str, error: KafkaError) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(name=name, error_code=error.code, error_message=error.message)
