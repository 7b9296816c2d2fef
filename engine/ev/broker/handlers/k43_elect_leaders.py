"""ElectLeaders (43): every partition is led by its only replica, so that no election is ever needed.

Versions 0-2. Null asks for all partitions that need one: each topic is answered with none. A partition that is named is answered
ELECTION_NOT_NEEDED, or UNKNOWN_TOPIC_OR_PARTITION (ReplicationControlManager.electLeaders).

v1 adds the kind of election and an error code for the whole, v2 is flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k43_elect_leaders import ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 43
VERSIONS = (0, 2)

PREFERRED: Final = 0
UNCLEAN: Final = 1


def handle(broker: Broker, call: Call) -> None:
    request: ElectLeadersRequest = call.request
    if not broker.allows_on_cluster(call, Operation.ALTER):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(ElectLeadersResponse(error_code=code, replica_election_results=refused(request, code)))
        return
    if request.election_type not in (PREFERRED, UNCLEAN):
        code = ErrorCode.INVALID_REQUEST
        call.reply(ElectLeadersResponse(error_code=code, replica_election_results=refused(request, code)))
        return
    if request.topic_partitions is None:
        results = [ReplicaElectionResult(topic=topic.name, partition_result=[]) for topic in broker.topics]
    else:
        results = [
            ReplicaElectionResult(topic=topic.topic, partition_result=[result(broker, topic.topic, index) for index in topic.partitions])
            for topic in request.topic_partitions
        ]
    call.reply(ElectLeadersResponse(replica_election_results=results), broker.metadata_round)


def refused(request: ElectLeadersRequest, code: int) -> list[ReplicaElectionResult]:
    """The error for every partition that the request named."""
    return [
        ReplicaElectionResult(topic.topic, [PartitionResult(index, code, error_message(code)) for index in topic.partitions])
        for topic in request.topic_partitions or ()
    ]


def result(broker: Broker, topic: str, index: int) -> PartitionResult:
    if topic not in broker.topics:
        code, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {topic}"
    elif not 0 <= index < broker.topics.partitions_of(topic):
        code, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {topic}-{index}"
    else:
        code, message = ErrorCode.ELECTION_NOT_NEEDED, error_message(ErrorCode.ELECTION_NOT_NEEDED)
    return PartitionResult(partition_id=index, error_code=code, error_message=message)
