"""DescribeConfigs (32): the configuration of topics, groups, the broker, its loggers and subscriptions to metrics of clients.

Versions 1-4. It is complete, with defaults and where each value comes from. No list of names, or an empty one, means all of them. A
broker's name is its id; the empty name stands for what was set for all brokers at run time.

v3 types and documentation, v4 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker import configs
from ev.broker.broker_configs import ALL_BROKERS
from ev.broker.topics import check_topic_name
from ev.endpoints import format_address
from ev.errors import ErrorCode, KafkaError
from ev.setting_types import Secret
from ev.wire.acls import Operation
from ev.wire.messages.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 32
VERSIONS = (1, 4)


def handle(broker: Broker, call: Call) -> None:
    request: DescribeConfigsRequest = call.request
    results = [_described(broker, call, request, resource) for resource in request.resources]
    call.reply(DescribeConfigsResponse(results=results), broker.metadata_round)


def _described(broker: Broker, call: Call, request: DescribeConfigsRequest, resource: DescribeConfigsResource) -> DescribeConfigsResult:
    result = DescribeConfigsResult(error_message=None, resource_type=resource.resource_type, resource_name=resource.resource_name)
    try:
        entries = _entries(broker, call, resource)
    except KafkaError as error:
        result.error_code, result.error_message, result.configs = error.code, error.message, []
        return result
    result.configs = [_line(entry, request) for entry in entries]
    return result


def _entries(broker: Broker, call: Call, resource: DescribeConfigsResource) -> Iterable[configs.Entry]:
    name, names = resource.resource_name, resource.configuration_keys or None
    configs.check_right(broker, call, Operation.DESCRIBE_CONFIGS, resource.resource_type, name)
    if resource.resource_type == configs.TOPIC:
        check_topic_name(name)
        topic = broker.topics.get(name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return configs.describe_topic(broker.broker_configs, topic.config, names)
    if resource.resource_type == configs.GROUP:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
        return configs.describe_group(broker.broker_configs, broker.group_configs.of(name), names)
    if resource.resource_type == configs.BROKER:
        if name == ALL_BROKERS:
            return configs.describe_all_brokers(broker.broker_configs, names)
        if name != str(broker.node_id):
            expected = f"expected {broker.node_id} or empty string, but received {name}"
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, {expected}")
        return configs.describe_broker(broker.broker_configs, _place(broker, call), names)
    if resource.resource_type == configs.CLIENT_METRICS:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")
        return configs.describe_client_metrics(broker.broker_configs, broker.client_metrics.of(name), names)
    if resource.resource_type == configs.BROKER_LOGGER:
        _check_loggers(name, broker.node_id)
        return configs.describe_loggers(names)
    raise KafkaError(ErrorCode.INVALID_REQUEST, f"Resources of type {resource.resource_type} have no configuration here")


def _check_loggers(name: str, node_id: int) -> None:
    """Whether these are the loggers of this broker. Raises KafkaError."""
    digits = name.removeprefix("-")
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    if not (digits.isascii() and digits.isdigit()):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}")
    if int(name) != node_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {node_id} but received {name}")


def _place(broker: Broker, call: Call) -> dict[str, str]:
    """What is known only at run time, by Kafka's names."""
    host, port = broker.advertised(call)
    url = f"{call.connection.listener_name}://{format_address((host, port))}"
    node = str(broker.node_id)
    return {"advertised.listeners": url, "broker.id": node, "log.dirs": broker.store.directory, "node.id": node}


def _line(entry: configs.Entry, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    synonyms = entry.synonyms if request.include_synonyms else ()
    is_secret = entry.kind == Secret.KIND
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=None if is_secret else entry.value,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=is_secret,
        synonyms=[DescribeConfigsSynonym(each.name, None if is_secret else each.value, each.source) for each in synonyms],
        config_type=entry.kind,
        documentation=entry.doc if request.include_documentation else None,
    )
