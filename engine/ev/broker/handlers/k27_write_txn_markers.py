"""WriteTxnMarkers (27): end transactions in the partitions named, whatever the coordinator thinks of them.

Versions 1-2. Brokers say this to each other; here it is what `kafka-transactions abort` sends to repair a transaction that hangs.
Answered when the markers are on disk.

v1 flexible, v2 says the version of the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.log.transactions import Marker
from ev.wire.acls import Operation
from ev.wire.messages.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 27
VERSIONS = (1, 2)


def handle(broker: Broker, call: Call) -> None:
    request: WriteTxnMarkersRequest = call.request
    allowed = broker.allows_on_cluster(call, Operation.ALTER, quiet=True) or broker.allows_on_cluster(call, Operation.CLUSTER_ACTION)
    rounds = [0]
    results: dict[int, WritableTxnMarkerResult] = {}  # one of each producer
    for marker in request.markers:
        result = results.setdefault(marker.producer_id, WritableTxnMarkerResult(marker.producer_id, []))
        result.topics += [
            WritableTxnMarkerTopicResult(
                topic.name,
                [
                    WritableTxnMarkerPartitionResult(
                        index,
                        written(broker, marker, (topic.name, index), rounds) if allowed else ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in marker.topics
        ]
    call.reply(WriteTxnMarkersResponse(list(results.values())), max(rounds))


def written(broker: Broker, asked: WritableTxnMarker, place: tuple[str, int], rounds: list[int]) -> int:
    """Write one marker, and note its round; the error code."""
    marker = Marker(asked.transaction_result, asked.coordinator_epoch)
    try:
        rounds.append(broker.transactions.append_marker(place, asked.producer_id, asked.producer_epoch, marker))
    except KafkaError as error:
        return error.code
    return 0
