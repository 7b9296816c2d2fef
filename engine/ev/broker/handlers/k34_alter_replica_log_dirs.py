"""AlterReplicaLogDirs (34): move partitions to another data directory of the broker. There is one, and in it they are.

Versions 1-2. Another directory is LOG_DIR_NOT_FOUND; a partition that is not there UNKNOWN_TOPIC_OR_PARTITION
(ReplicaManager.alterReplicaLogDirs).

v2 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation
from ev.wire.messages.k34_alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 34
VERSIONS = (1, 2)


def handle(broker: Broker, call: Call) -> None:
    request: AlterReplicaLogDirsRequest = call.request
    allowed = broker.allows_on_cluster(call, Operation.ALTER)
    results: dict[str, list[AlterReplicaLogDirPartitionResult]] = {}
    for directory in request.dirs:
        for topic in directory.topics:
            answers = results.setdefault(topic.name, [])
            answers += [
                AlterReplicaLogDirPartitionResult(
                    index,
                    _code(broker, directory.path, topic.name, index) if allowed else ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
                )
                for index in topic.partitions
            ]
    topics = [AlterReplicaLogDirTopicResult(topic_name=name, partitions=answers) for name, answers in results.items()]
    call.reply(AlterReplicaLogDirsResponse(results=topics), broker.metadata_round)


def _code(broker: Broker, path: str, topic: str, index: int) -> int:
    if path != broker.store.directory:
        return ErrorCode.LOG_DIR_NOT_FOUND
    there = topic in broker.topics and broker.store.partition(topic, index) is not None
    return ErrorCode.NONE if there else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
