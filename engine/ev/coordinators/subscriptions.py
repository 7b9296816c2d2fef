"""What consumers tell each other through a classic group: which topics each subscribes to, and which partitions it is given.

Only members of protocol type "consumer" write it in this format. For any other type the bytes are the members' own business and
are never looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ev.errors import MalformedError
from ev.wire.codec import decode, encode
from ev.wire.messages.consumer_protocol import AssignedTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONSUMER_PROTOCOL_TYPE: Final = "consumer"
_NEWEST_VERSION: Final = 3

Kind = TypeVar("Kind", ConsumerProtocolSubscription, ConsumerProtocolAssignment)


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """The topics of one subscription, or None when it cannot be read."""
    subscription = read_subscription(metadata)
    return None if subscription is None else frozenset(subscription.topics)


def read_subscription(metadata: bytes) -> ConsumerProtocolSubscription | None:
    """None when it cannot be read."""
    return _read(ConsumerProtocolSubscription, metadata)


def read_assignment(assignment: bytes) -> ConsumerProtocolAssignment | None:
    """None when it cannot be read."""
    return _read(ConsumerProtocolAssignment, assignment)


def assignment_value(partitions: Mapping[str, Iterable[int]], metadata: bytes) -> bytes:
    """The partitions of each topic, for the member that wrote this subscription: in the version that it writes itself."""
    version = max(_version(metadata), 0)
    parts = [AssignedTopicPartition(topic, sorted(indexes)) for topic, indexes in sorted(partitions.items())]
    return version.to_bytes(2, "big") + encode(ConsumerProtocolAssignment(parts), version)


def _read(kind: type[Kind], value: bytes) -> Kind | None:
    version = _version(value)
    if version < 0:
        return None
    try:
        read, _ = decode(kind, version, value, 2)
    except MalformedError:
        return None
    return read


def _version(value: bytes) -> int:
    """Newer versions only add fields at the end; -1 for what has none."""
    return min(int.from_bytes(value[:2], "big", signed=True), _NEWEST_VERSION) if len(value) >= 2 else -1
