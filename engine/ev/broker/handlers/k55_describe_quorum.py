"""DescribeQuorum (55): who votes on the metadata: this node alone, which leads.

Versions 0-2. Only partition 0 of the topic __cluster_metadata may be asked for; what is told of it is the engine's own metadata log
(DescribeQuorumRequest.hasValidTopicPartition, KafkaRaftClient.handleDescribeQuorumRequest).

v1 adds when a replica fetched last, v2 directory ids, messages and the controllers' listeners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k55_describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k55_describe_quorum import RequestTopicData

KEY = 55
VERSIONS = (0, 2)

METADATA_TOPIC: Final = "__cluster_metadata"
LISTENER: Final = "PLAINTEXT"


def handle(broker: Broker, call: Call) -> None:
    request: DescribeQuorumRequest = call.request
    if not broker.allows_on_cluster(call, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(DescribeQuorumResponse(error_code=code, error_message=error_message(code), topics=[], nodes=[]))
        return
    if [(topic.topic_name, [part.partition_index for part in topic.partitions]) for topic in request.topics] != [(METADATA_TOPIC, [0])]:
        call.reply(DescribeQuorumResponse(error_message=None, topics=[unknown(topic) for topic in request.topics], nodes=[]))
        return
    metadata = broker.store.metadata
    ourselves = ReplicaState(
        replica_id=broker.node_id,
        replica_directory_id=broker.store.directory_id,
        log_end_offset=metadata.end_offset,
        last_fetch_timestamp=call.now_ms,
        last_caught_up_timestamp=call.now_ms,
    )
    partition = ResponsePartitionData(
        partition_index=0,
        error_message=None,
        leader_id=broker.node_id,
        leader_epoch=metadata.leader_epoch,
        high_watermark=metadata.high_watermark,
        current_voters=[ourselves],
        observers=[],
    )
    host, port = broker.advertised(call)
    answer = DescribeQuorumResponse(
        error_message=None,
        topics=[ResponseTopicData(topic_name=METADATA_TOPIC, partitions=[partition])],
        nodes=[Node(node_id=broker.node_id, listeners=[Listener(name=LISTENER, host=host, port=port)])],
    )
    call.reply(answer, broker.metadata_round)


def unknown(topic: RequestTopicData) -> ResponseTopicData:
    """The answer about any other topic."""
    code, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, error_message(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    indexes = [part.partition_index for part in topic.partitions]
    partitions = [ResponsePartitionData(partition_index=index, error_code=code, error_message=message) for index in indexes]
    return ResponseTopicData(topic_name=topic.topic_name, partitions=partitions)
