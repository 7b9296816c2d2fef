"""ListConfigResources (74): the names of what has a configuration, by kind: topics, the broker, its loggers, groups, client metrics.

Versions 0-1. The broker and its loggers are one resource each, whether or not anything is set for them; topics likewise; groups are
listed while something is set for them, and so are subscriptions to metrics of clients. A kind that is unknown makes the whole answer
UNSUPPORTED_VERSION, as in Kafka.

v0 client metrics only; v1 the kinds that are asked for, all when none is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker import configs
from ev.errors import ErrorCode
from ev.wire.acls import Operation
from ev.wire.messages.k74_list_config_resources import ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 74
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: ListConfigResourcesRequest = call.request
    if not broker.allows_on_cluster(call, Operation.DESCRIBE_CONFIGS):
        call.reply(ListConfigResourcesResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED))
        return
    names = _names(broker)
    wanted = {configs.CLIENT_METRICS} if call.version == 0 else set(request.resource_types) or names.keys()
    if not wanted <= names.keys():
        call.reply(ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION))
        return
    resources = [ConfigResource(name, kind) for kind in names if kind in wanted for name in names[kind]]
    call.reply(ListConfigResourcesResponse(config_resources=resources), broker.metadata_round)


def _names(broker: Broker) -> dict[int, Iterable[str]]:
    """The names of each kind, in Kafka's order."""
    node = str(broker.node_id)
    return {
        configs.GROUP: broker.group_configs,
        configs.CLIENT_METRICS: broker.client_metrics,
        configs.BROKER_LOGGER: (node,),
        configs.BROKER: (node,),
        configs.TOPIC: (topic.name for topic in broker.topics),
    }
