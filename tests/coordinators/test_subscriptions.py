"""The topics of a consumer's subscription, read from any client's bytes."""

from __future__ import annotations

import pytest

from ev.coordinators.subscriptions import subscribed_topics
from ev.wire.codec import encode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription


@pytest.mark.parametrize("version", range(4))
def test_every_version_of_a_subscription_tells_its_topics(version: int) -> None:
    """Clients write versions 0 to 3."""
    body = encode(ConsumerProtocolSubscription(topics=["b", "a"], user_data=b"x"), version)
    assert subscribed_topics(version.to_bytes(2, "big") + body) == frozenset({"a", "b"})


def test_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    """Later versions add fields at the end."""
    body = encode(ConsumerProtocolSubscription(topics=["a"]), 3)
    assert subscribed_topics((9).to_bytes(2, "big") + body + b"more") == frozenset({"a"})


@pytest.mark.parametrize("metadata", [b"", b"\0", b"\xff\xff\0\0", b"\0\0\0\0\0\x09", b"\0\0\x7f\xff\xff\xff"])
def test_what_cannot_be_read_has_no_topics_rather_than_an_error(metadata: bytes) -> None:
    """A member's metadata is its own; a broker must not fall over it."""
    assert subscribed_topics(metadata) is None
