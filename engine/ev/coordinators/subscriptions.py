"""What a consumer's subscription says, as far as the coordinator wants to know: its topics.

Only members of protocol type "consumer" write it in this format. For any other type the metadata is the members' own business
and is never looked into.
"""

from __future__ import annotations

from typing import Final

from ev.errors import MalformedError
from ev.wire.codec import decode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription

CONSUMER_PROTOCOL_TYPE: Final = "consumer"
_NEWEST_VERSION: Final = 3


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """The topics of one subscription, or None when it cannot be read."""
    if len(metadata) < 2:
        return None
    version = min(int.from_bytes(metadata[:2], "big", signed=True), _NEWEST_VERSION)  # newer ones only add fields at the end
    if version < 0:
        return None
    try:
        subscription, _ = decode(ConsumerProtocolSubscription, version, metadata, 2)
    except MalformedError:
        return None
    return frozenset(subscription.topics)
