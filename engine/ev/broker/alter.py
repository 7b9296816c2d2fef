"""Altering configurations: what AlterConfigs and IncrementalAlterConfigs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ev.broker import configs
from ev.broker.broker_configs import ALL_BROKERS
from ev.broker.client_metrics import ClientMetricsRules
from ev.broker.config_rules import BrokerRules, GroupRules, Rules, TopicRules
from ev.broker.loggers import LoggerRules, check_broker, levels
from ev.broker.topics import check_topic_name
from ev.errors import ErrorCode, KafkaError, SettingError
from ev.settings import topic_values
from ev.wire.acls import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
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


class Plan:
    """What the changes of one request come to, as far as they are allowed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._settings = broker.settings  # what will count
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, dict[str, str]] = {}
        self.brokers: dict[str, dict[str, str]] = {}
        self.client_metrics: dict[str, dict[str, str]] = {}
        self.loggers: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.topics or self.groups or self.brokers or self.client_metrics or self.loggers)

    def add(self, change: Change) -> None:
        """Plan one change more. Raises KafkaError, and then nothing of it is planned."""
        match change.resource_type:
            case configs.TOPIC:
                self._add_topic(change)
            case configs.GROUP:
                self._add_group(change)
            case configs.BROKER:
                self._add_broker(change)
            case configs.CLIENT_METRICS:
                self._add_client_metrics(change)
            case configs.BROKER_LOGGER:
                check_broker(change.name, self._broker.node_id)
                self.loggers = change.compute(LoggerRules(), levels())
            case _:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Resources of type {change.resource_type} have no configuration here")

    def _add_topic(self, change: Change) -> None:
        if not change.name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "There are no defaults of all topics: those are the broker's settings.")
        check_topic_name(change.name)
        topic = self._broker.topics.get(change.name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        self.topics[change.name] = topic.with_config(change.compute(TopicRules(self._settings), topic.config))

    def _add_group(self, change: Change) -> None:
        if not change.name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
        self.groups[change.name] = change.compute(GroupRules(self._settings), self._broker.group_configs.of(change.name))

    def _add_client_metrics(self, change: Change) -> None:
        if not change.name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
        rules = ClientMetricsRules(self._settings)
        self.client_metrics[change.name] = change.compute(rules, self._broker.client_metrics.of(change.name))

    def _add_broker(self, change: Change) -> None:
        """A change for the broker is one for every topic: none of them may end up with settings that contradict each other."""
        broker, name = self._broker, change.name
        if name not in (ALL_BROKERS, broker.broker_configs.own_name):
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {broker.node_id}, but received {name}")
        brokers = {**self.brokers, name: change.compute(BrokerRules(self._settings), broker.broker_configs.of(name))}
        try:
            settings = broker.broker_configs.settings_with(brokers)
            topic_values(settings, {})
            for topic in broker.topics:
                topic_values(settings, self.topics.get(topic.name, topic).config)
        except SettingError as error:
            raise KafkaError(ErrorCode.INVALID_REQUEST, str(error)) from error
        self.brokers, self._settings = brokers, settings


def alter(broker: Broker, call: Call, changes: Sequence[Change], *, validate_only: bool) -> int:
    """Apply the changes that are allowed and that the client may make, each for itself; returns the round that the answer waits for."""
    counts = Counter((change.resource_type, change.name) for change in changes)
    plan = Plan(broker)
    planned: list[Change] = []
    for change in changes:
        try:
            if counts[change.resource_type, change.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate resource: {change.name}")
            configs.check_right(broker, call, Operation.ALTER_CONFIGS, change.resource_type, change.name)
            plan.add(change)
            planned.append(change)
        except KafkaError as error:
            change.refuse(error)
    if plan and not validate_only:
        try:
            broker.configure(plan, call.now_ms)
        except KafkaError as error:
            for change in planned:
                change.refuse(error)
    return broker.metadata_round
