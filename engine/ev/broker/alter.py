"""Altering configurations: what AlterConfigs and IncrementalAlterConfigs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from ev.broker import configs
from ev.broker.topics import check_topic_name
from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.broker.broker import Broker
    from ev.broker.topics import Topic


class Change:
    """What one resource of a request is to become, and how that went."""

    __slots__ = ("code", "compute", "message", "name", "resource_type", "settings")

    def __init__(self, resource_type: int, name: str, settings: Sequence[str], compute: Callable[[Topic], dict[str, str]]) -> None:
        self.resource_type = resource_type
        self.name = name
        self.settings = settings
        self.compute = compute  # the topic's new configuration; raises KafkaError
        self.code = ErrorCode.NONE
        self.message: str | None = None

    def refuse(self, error: KafkaError) -> None:
        self.code, self.message = error.code, error.message


def alter(broker: Broker, changes: Sequence[Change], now_ms: int, *, validate_only: bool) -> int:
    """Apply the changes that are allowed, each resource for itself; returns the round that the answer waits for."""
    counts = Counter((change.resource_type, change.name) for change in changes)
    changed: list[Topic] = []
    applied: list[Change] = []
    for change in changes:
        try:
            if counts[change.resource_type, change.name] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate resource: {change.name}")
            topic = _topic(broker, change)
            if topic is not None:
                changed.append(topic.with_config(change.compute(topic)))
                applied.append(change)
        except KafkaError as error:
            change.refuse(error)
    if changed and not validate_only:
        try:
            broker.configure_topics(changed, now_ms)
        except KafkaError as error:
            for change in applied:
                change.refuse(error)
    return broker.metadata_round


def _topic(broker: Broker, change: Change) -> Topic | None:
    """The topic that is to be changed; None when the resource is a broker and nothing is asked of it. Raises KafkaError."""
    if change.resource_type == configs.TOPIC:
        check_topic_name(change.name)
        topic = broker.topics.get(change.name)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic
    if change.resource_type != configs.BROKER:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Resources of type {change.resource_type} have no configuration here")
    if change.name not in ("", str(broker.node_id)):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {broker.node_id}, but received {change.name}")
    if change.settings:
        raise configs.broker_refusal(change.settings)
    return None
