"""A produce request is answered the same whichever way it takes, byte for byte, and leaves the same log."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ev.broker.quick_produce import QuickProduce
from ev.errors import ErrorCode
from ev.wire.codec import encode
from ev.wire.header import encode_request_header
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import encode_batch
from support.simulated_broker import SimulatedBroker, SimulatedClient
from support.simulated_disk import SimulatedDisk
from support.stores import read_bytes

NOW_MS = 1_700_000_000_000
TOPICS = {"orders": {}, "strict": {"min.insync.replicas": "2"}, "stamped": {"message.timestamp.type": "LogAppendTime"}}


class Way:
    """A broker whose produce requests may, or may not, go the quick way."""

    def __init__(self, quick: bool) -> None:
        self.broker = SimulatedBroker(SimulatedDisk(["/data"]))
        self.client: SimulatedClient = self.broker.connect()
        topics = [
            CreatableTopic(
                name=name,
                num_partitions=2,
                replication_factor=1,
                configs=[CreatableTopicConfig(name=key, value=value) for key, value in config.items()],
            )
            for name, config in TOPICS.items()
        ]
        self.client.send(CreateTopicsRequest(topics=topics, timeout_ms=1000), 5)
        self.broker.world.settle()
        self.client.wire.out.clear()
        self.taken = 0
        honest: Callable[..., bool] = QuickProduce.take
        way = self

        class Counted(QuickProduce):
            __slots__ = ()

            def take(self, *arguments: Any) -> bool:
                took = quick and honest(self, *arguments)
                way.taken += took
                return took

        self.client.connection._take_quickly = Counted(self.broker.broker).take

    def say(self, frame: bytes) -> tuple[bytes, bool]:
        """What the client hears of a frame, and whether the connection was closed."""
        if not self.client.closed:
            self.client.connection.data_received(len(frame).to_bytes(4, "big") + frame)
            self.broker.world.settle()
        heard = bytes(self.client.wire.out)
        self.client.wire.out.clear()
        return heard, self.client.closed

    def logs(self) -> dict[str, bytes]:
        partitions = [self.broker.store.partition(name, index) for name in TOPICS for index in range(2)]
        return {partition.name: read_bytes(partition) for partition in partitions if partition is not None}


@cache
def topic_ids() -> dict[str, bytes]:
    """The same on every way: they come from the same seed."""
    return {topic.name: topic.id for topic in Way(quick=False).broker.broker.topics}


def frame(
    version: int,
    *,
    acks: int = -1,
    topic: str = "orders",
    index: int = 0,
    records: bytes | None = None,
    transactional_id: str | None = None,
    client_id: str | None = "client",
    topics: int = 1,
    partitions: int = 1,
) -> bytes:
    data = [PartitionProduceData(index=index + more, records=records) for more in range(partitions)]
    topic_id = topic_ids().get(topic, b"nowhere ........") if version >= 13 else bytes(16)
    all_data = [TopicProduceData(name=topic, topic_id=topic_id, partition_data=data)] * topics
    request = ProduceRequest(transactional_id=transactional_id, acks=acks, timeout_ms=1000, topic_data=all_data)
    return encode_request_header(0, version, 77, client_id) + encode(request, version)


GOOD = encode_batch([b"event"], timestamps=NOW_MS)
OLD = encode_batch([b"event"], timestamps=NOW_MS + 10**10)
SEQUENCED = encode_batch([b"a", b"b"], timestamps=NOW_MS, producer_id=5, producer_epoch=0, base_sequence=0)
LARGE = encode_batch([b"x" * 3000], timestamps=NOW_MS)
BATCHES = st.sampled_from([GOOD, OLD, SEQUENCED, LARGE, GOOD[:-1], GOOD[:30], GOOD + GOOD, GOOD[:-1] + b"!", b"", None])

FRAMES = st.builds(
    frame,
    version=st.integers(3, 13),
    acks=st.sampled_from([-1, -1, -1, 0, 1, 2]),
    topic=st.sampled_from(["orders", "orders", "orders", "strict", "stamped", "nowhere", "__consumer_offsets", "", "ö" * 100]),
    index=st.sampled_from([0, 0, 1, 2, -1]),
    records=BATCHES,
    transactional_id=st.sampled_from([None, None, None, "t"]),
    client_id=st.sampled_from([None, "", "client", "__admin_client"]),
    topics=st.sampled_from([1, 1, 1, 0, 2]),
    partitions=st.sampled_from([1, 1, 1, 0, 2]),
)
PLAIN = st.builds(frame, version=st.integers(3, 13), index=st.sampled_from([0, 1]), records=st.sampled_from([GOOD, SEQUENCED, LARGE]))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A plain request with a byte changed, taken away or put in."""
    data = bytearray(draw(PLAIN))
    place = draw(st.integers(2, len(data) - 1))
    match draw(st.sampled_from(["change", "cut", "insert", "end"])):
        case "change":
            data[place] = draw(st.integers(0, 255))
        case "cut":
            del data[place]
        case "insert":
            data.insert(place, draw(st.integers(0, 255)))
        case "end":
            del data[place:]
    return bytes(data)


def with_client(data: bytes, size: int, client: bytes) -> bytes:
    """A request whose client id says this size and has these bytes."""
    return data[:8] + size.to_bytes(2, "big", signed=True) + client + data[8 + 2 + len("client") :]


@settings(deadline=None, max_examples=300)
@example(frames=[frame(version, records=SEQUENCED) for version in range(3, 14)])
@example(frames=[with_client(frame(7, records=GOOD), 6, b"cli\xffnt")])
@example(frames=[with_client(frame(9, records=GOOD), 6, "klînt".encode())])
@example(frames=[with_client(frame(7, records=GOOD), -2, b"")])
@given(frames=st.lists(st.one_of(PLAIN, FRAMES, damaged()), min_size=1, max_size=12))
def test_both_ways_answer_and_write_the_same(frames: list[bytes]) -> None:
    """Good ones and bad ones, whole ones and damaged ones, in any order: answers, closed connections and logs are equal."""
    quick, slow = Way(quick=True), Way(quick=False)
    for each in frames:
        assert quick.say(each) == slow.say(each)
    assert quick.logs() == slow.logs()
    assert slow.taken == 0


@pytest.mark.parametrize("version", range(3, 14))
def test_a_small_request_for_one_partition_goes_the_quick_way(version: int) -> None:
    """Also one whose batch is refused; not one with another acks, of another version, or for a topic that is not there any more."""
    way = Way(quick=True)
    for records in (GOOD, LARGE, SEQUENCED, SEQUENCED, GOOD[:-1]):
        way.say(frame(version, records=records))
    assert way.taken == 5
    way.say(frame(version, acks=1, records=GOOD))
    way.say(frame(version, topic="nowhere", records=GOOD))
    assert way.taken == 5
    way.broker.broker.delete_topics([way.broker.broker.topics.get("orders")], NOW_MS, lambda: None)  # type: ignore[list-item]
    way.say(frame(version, records=GOOD))
    assert way.taken == 5


def test_nothing_is_kept_of_a_topic_that_is_gone() -> None:
    """Nor by its name: whoever makes topics and deletes them again would fill the memory."""
    broker = SimulatedBroker(SimulatedDisk(["/data"]))
    client = broker.connect()
    client.send(CreateTopicsRequest(topics=[CreatableTopic(name="passing", num_partitions=1, replication_factor=1)], timeout_ms=1000), 5)
    broker.world.settle()
    quick = broker.broker.quick_produce
    gone = broker.broker.topics.get("passing")
    assert gone is not None
    assert quick._find(b"passing") is not None
    assert quick._find(gone.id.hex()) is not None
    broker.broker.delete_topics([gone], NOW_MS, lambda: None)
    broker.world.settle()
    assert not quick._targets


def test_an_answer_that_waits_too_long_says_so() -> None:
    """The round does not end: after timeout_ms the client hears REQUEST_TIMED_OUT, as on the other way."""
    heard = []
    for quick in (True, False):
        way = Way(quick)
        data = frame(9, records=GOOD)
        way.client.connection.data_received(len(data).to_bytes(4, "big") + data)
        way.broker.world.turn()
        way.broker.world.advance(500)
        assert not way.client.wire.out
        way.broker.world.advance(1000)
        heard.append(bytes(way.client.wire.out))
        assert way.taken == quick
    assert heard[0] == heard[1]
    assert int(ErrorCode.REQUEST_TIMED_OUT).to_bytes(2, "big") in heard[0]
