"""AlterPartitionReassignments (45): a partition may be assigned to the broker that has it, which changes nothing.

Versions 0-1. Any other assignment is refused as Kafka refuses one with brokers that are not there; null, which cancels a
reassignment, finds none in progress (ReplicationControlManager.alterPartitionReassignments).

v1 adds allow_replication_factor_change, which makes no difference with one replica.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 45
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: AlterPartitionReassignmentsRequest = call.request
    if not broker.allows_on_cluster(call, Operation.ALTER):
        call.reply(refused(request, ErrorCode.CLUSTER_AUTHORIZATION_FAILED))
        return
    responses = []
    for topic in request.topics:
        partitions = []
        for asked in topic.partitions:
            code, message = refusal(broker, topic.name, asked) or (ErrorCode.NONE, None)
            partitions.append(ReassignablePartitionResponse(partition_index=asked.partition_index, error_code=code, error_message=message))
        responses.append(ReassignableTopicResponse(name=topic.name, partitions=partitions))
    answer = AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change, error_message=None, responses=responses
    )
    call.reply(answer, broker.metadata_round)


def refused(request: AlterPartitionReassignmentsRequest, code: int) -> AlterPartitionReassignmentsResponse:
    """The error for the whole and for every partition that the request named."""
    message = error_message(code)
    responses = [
        ReassignableTopicResponse(
            name=topic.name,
            partitions=[ReassignablePartitionResponse(asked.partition_index, code, message) for asked in topic.partitions],
        )
        for topic in request.topics
    ]
    return AlterPartitionReassignmentsResponse(error_code=code, error_message=message, responses=responses)


def refusal(broker: Broker, topic: str, asked: ReassignablePartition) -> tuple[int, str | None] | None:
    """Why this assignment is refused: an error code and a message; None when it is the one that the partition has."""
    if topic not in broker.topics:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic}."
    if not 0 <= asked.partition_index < broker.topics.partitions_of(topic):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {topic}:{asked.partition_index}."
    if asked.replicas is None:
        return ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, error_message(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    if not asked.replicas:
        return ErrorCode.INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment includes an empty replica list."
    seen: set[int] = set()
    for replica in sorted(asked.replicas):
        if replica in seen:
            return ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual partition assignment includes the broker {replica} more than once."
        if replica != broker.node_id:
            text = f"The manual partition assignment includes broker {replica}, but no such broker is registered."
            return ErrorCode.INVALID_REPLICA_ASSIGNMENT, text
        seen.add(replica)
    return None
