"""Altering configurations: what AlterConfigs and IncrementalAlterConfigs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ev.broker import configs
from ev.broker.config_rules import BrokerRules, GroupRules, Rules, TopicRules
from ev.broker.topics import check_topic_name
from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.broker.broker import Broker
    from ev.broker.topics import Topic

Compute = Callable[[Rules, Mapping[str, str]], dict[str, str]]
"""What a configuration becomes, by the rules of its kind. Raises KafkaError."""


class Change:
    """What one resource of a request is to become, and how that went."""

    __slots__ = ("code", "compute", "message", "name", "resource_type")

    def __init__(self, resource_type: int, name: str, compute: Compute) -> None:
        self.resource_type = resource_type
        self.name = name
        self.compute = compute
        self.code = ErrorCode.NONE
        self.message: str | None = None

    def refuse(self, error: KafkaError) -> None:
        self.code, self.message = error.code, error.message


def alter(broker: Broker, changes: Sequence[Change], now_ms: int, *, validate_only: bool) -> int:
    """Apply the changes that are allowed, each resource for itself; returns the round that the answer waits for."""
    counts = Counter((change.resource_type, change.name) for change in changes)
    topics: list[Topic] = []
    groups: dict[str, dict[str, str]] = {}
    applied: list[Change] = []
    for change in changes:
        try:
            if counts[change.resource_type, change.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate resource: {change.name}")
            if change.resource_type == configs.TOPIC:
                topic = _topic(broker, change.name)
                topics.append(topic.with_config(change.compute(TopicRules(broker.settings), topic.config)))
            elif change.resource_type == configs.GROUP:
                if not change.name:
                    raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
                groups[change.name] = change.compute(GroupRules(broker.settings), broker.group_configs.of(change.name))
            else:
                _check_broker(broker, change)
                change.compute(BrokerRules(broker.settings), {})
            applied.append(change)
        except KafkaError as error:
            change.refuse(error)
    if (topics or groups) and not validate_only:
        try:
            broker.configure(topics, groups, now_ms)
        except KafkaError as error:
            for change in applied:
                change.refuse(error)
    return broker.metadata_round


def _topic(broker: Broker, name: str) -> Topic:
    check_topic_name(name)
    topic = broker.topics.get(name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return topic


def _check_broker(broker: Broker, change: Change) -> None:
    """Whether the resource is this broker, or all of them. Raises KafkaError."""
    if change.resource_type != configs.BROKER:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Resources of type {change.resource_type} have no configuration here")
    if change.name not in ("", str(broker.node_id)):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {broker.node_id}, but received {change.name}")
