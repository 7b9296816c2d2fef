"""DescribeCluster (60): the cluster id and the brokers: one.

Versions 0-2.

v1 endpoint type: brokers (1) or controllers (2), which are not reached through here; v2 fenced brokers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.handlers.k03_metadata import NOT_ASKED
from ev.errors import ErrorCode
from ev.wire.messages.k60_describe_cluster import DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 60
VERSIONS = (0, 2)

BROKERS: Final = 1
CONTROLLERS: Final = 2


def handle(broker: Broker, call: Call) -> None:
    request: DescribeClusterRequest = call.request
    if request.endpoint_type != BROKERS:
        known = request.endpoint_type == CONTROLLERS
        code = ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
        message = "The request was sent to an endpoint of brokers."
        call.reply(DescribeClusterResponse(error_code=code, error_message=message, cluster_id="", brokers=[]))
        return
    host, port = broker.advertised(call)
    response = DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[DescribeClusterBroker(broker_id=broker.node_id, host=host, port=port)],
        cluster_authorized_operations=broker.cluster_operations(call) if request.include_cluster_authorized_operations else NOT_ASKED,
    )
    call.reply(response)
