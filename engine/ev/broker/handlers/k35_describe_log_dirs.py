"""DescribeLogDirs (35): the data directory, and how many bytes each partition takes in it.

Versions 1-5. Null asks for every partition; a partition that does not exist is left out of the answer (ReplicaManager.describeLogDirs).

v2 is flexible, v3 adds an error code for the whole, v4 the size of the disk and what of it is free, v5
whether the directory takes new partitions, which ours always does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation
from ev.wire.messages.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 35
VERSIONS = (1, 5)


def handle(broker: Broker, call: Call) -> None:
    request: DescribeLogDirsRequest = call.request
    if not broker.allows_on_cluster(call, Operation.DESCRIBE):
        call.reply(DescribeLogDirsResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED, results=[]))
        return
    store = broker.store
    wanted: Mapping[str, Iterable[int]]
    if request.topics is None:
        wanted = {topic.name: range(topic.partition_count) for topic in broker.topics}
    else:
        wanted = {topic.topic: topic.partitions for topic in request.topics}
    topics = []
    for name, indexes in wanted.items():
        partitions = [(index, store.partition(name, index)) for index in indexes if name in broker.topics]
        there = [DescribeLogDirsPartition(index, partition.size_bytes) for index, partition in partitions if partition is not None]
        if there:
            topics.append(DescribeLogDirsTopic(name=name, partitions=there))
    result = DescribeLogDirsResult(log_dir=store.directory, topics=topics)
    try:
        result.usable_bytes, result.total_bytes = store.disk.free_bytes(store.directory)
    except OSError:
        result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
    call.reply(DescribeLogDirsResponse(results=[result]), broker.metadata_round)
