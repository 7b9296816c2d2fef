"""A fetch with its partitions rotated is recognised in its bytes; anything else that differs makes it another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.wire.codec import encode
from ev.wire.fetch_order import is_rotated
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic

VERSIONS = range(4, 19)
NAMES = st.text(min_size=1, max_size=200)
COUNTS = st.sampled_from([1, 2, 5, 126, 127, 128, 300])


def request(name: str, order: list[int], *, offset: int = 5, wait_ms: int = 500) -> FetchRequest:
    partitions = [
        FetchPartition(partition=index, current_leader_epoch=3, fetch_offset=offset + index, partition_max_bytes=1 << 20) for index in order
    ]
    topics = [FetchTopic(topic=name, topic_id=bytes(range(16)), partitions=partitions)]
    return FetchRequest(max_wait_ms=wait_ms, min_bytes=1, max_bytes=50 << 20, session_epoch=-1, topics=topics)


@pytest.mark.parametrize("version", VERSIONS)
@given(name=NAMES, count=COUNTS, turn=st.integers(0, 400))
def test_rotated_partitions_are_the_same_question(version: int, name: str, count: int, turn: int) -> None:
    order = list(range(count))
    rotated = order[turn % count :] + order[: turn % count]
    first = request(name, order)
    assert is_rotated(first, version, encode(first, version), encode(request(name, rotated), version))


@pytest.mark.parametrize("version", VERSIONS)
def test_any_other_difference_is_another_question(version: int) -> None:
    first = request("orders", [0, 1, 2])
    body = encode(first, version)
    others = [
        request("orders", [1, 0, 2]),
        request("orders", [1, 2, 3]),
        request("orders", [1, 2, 0], offset=6),
        request("orders", [1, 2, 0], wait_ms=501),
        request("orders", [0, 1]),
        request("orders", [0, 1, 2, 0]),
    ]
    for other in others:
        assert not is_rotated(first, version, body, encode(other, version))
    if version < 13:
        assert not is_rotated(first, version, body, encode(request("ordert", [1, 2, 0]), version))


@pytest.mark.parametrize("version", VERSIONS)
def test_two_topics_are_not_compared(version: int) -> None:
    one, two = request("a", [0, 1]), request("a", [0, 1])
    one.topics.append(FetchTopic(topic="b"))
    two.topics.append(FetchTopic(topic="b"))
    assert not is_rotated(one, version, encode(one, version), encode(two, version))
