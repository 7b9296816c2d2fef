"""Clients are held to their quotas: what they are told, for how long they are not listened to, and that the rate is what was set.

On the engine and on Apache Kafka alike where a socket is used; over simulated time where only the engine's own way is at stake.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from ev.clock import ManualClock
from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from ev.wire.records import encode_batch
from support.quotas import given, taken_away
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.rules import rule
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk
from support.waiting import wait_for

THROTTLED = int(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
NOW_MS = 1_700_000_000_000


@pytest.fixture
def admin(ask: Ask) -> Iterator[Ask]:
    """Whoever sets quotas, and has none."""
    taken_away(ask)
    yield ask
    taken_away(ask)


class Client(RawClient):
    """A client with a client id that nobody else has."""

    def __init__(self, address: str) -> None:
        super().__init__(address, client_id=f"client-{uuid.uuid4().hex}")
        self.ask_it = asked_over(self)

    @property
    def entity(self) -> dict[str, str | None]:
        return {"client-id": self.client_id}


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with closing(Client(address)) as client:
        yield client


def new_topic(ask: Ask) -> str:
    """Its name, when it can be written to."""
    name = f"t-{uuid.uuid4().hex}"
    wanted = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    assert ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 5).topics[0].error_code == 0
    wait_for(lambda: code_of(ask(produce(name, 10), 9)) == 0, f"{name} to be led")
    return name


def produce(topic: str, size: int, acks: int = -1) -> ProduceRequest:
    data = PartitionProduceData(index=0, records=encode_batch([bytes(size)]))
    return ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=[TopicProduceData(name=topic, partition_data=[data])])


def code_of(answer: Any) -> int:
    return int(answer.responses[0].partition_responses[0].error_code)


def fetch(topic: str, offset: int, bytes_max: int = 1 << 20) -> FetchRequest:
    partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    topics = [FetchTopic(topic=topic, partitions=[partition])]
    return FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=bytes_max, session_epoch=-1, topics=topics)


def bytes_of(answer: Any) -> int:
    return sum(len(part.records or b"") for topic in answer.responses for part in topic.partitions)


def about(ms: float) -> Any:
    return pytest.approx(ms, rel=0.25, abs=80)


@rule(13)
def test_a_producer_above_its_rate_is_told_for_how_long_and_not_heard_before(admin: Ask, client: Client) -> None:
    """Ten seconds' worth is free; then the answer says the time at once, and the next request is not read until it is over.

    What was sent has been taken all the same.
    """
    topic = new_topic(admin)
    given(admin, client.entity, producer_byte_rate=100_000)
    began = time.monotonic()
    answers = [client.ask_it(produce(topic, 250_000), 9) for _ in range(5)]
    assert [code_of(answer) for answer in answers] == [0] * 5
    assert [answer.throttle_time_ms for answer in answers[:3]] == [0, 0, 0]
    assert sum(answer.throttle_time_ms for answer in answers[3:]) == about(2500)
    assert time.monotonic() - began < 1.5, "the last answer came at once, though it says to wait"
    assert client.ask_it(produce(topic, 10), 9).throttle_time_ms == about(2500)
    assert time.monotonic() - began == pytest.approx(2.5, abs=0.8)


def test_requests_that_are_on_their_way_wait_too(admin: Ask, client: Client) -> None:
    """A client that sends on without heeding what it is told is held to the rate: nothing is read, and nothing is taken."""
    topic = new_topic(admin)
    given(admin, client.entity, producer_byte_rate=50_000)
    began = time.monotonic()
    for _ in range(12):
        client.send(client.frame(0, 9, produce(topic, 50_000)))
    for _ in range(12):
        assert code_of(client.answer(0, 9)) == 0
    assert time.monotonic() - began == pytest.approx(1.0, abs=0.5)
    other = asked_over(client)
    other(produce(topic, 10), 9)
    assert time.monotonic() - began == pytest.approx(3.0, abs=1.2)


def test_a_producer_without_answers_is_held_as_well(admin: Ask, client: Client) -> None:
    """With acks=0 there is nothing to tell it in."""
    topic = new_topic(admin)
    given(admin, client.entity, producer_byte_rate=100_000)
    began = time.monotonic()
    for _ in range(3):
        client.send(client.frame(0, 9, produce(topic, 400_000, acks=0)))
    client.ask_it(MetadataRequest(topics=[]), 9)
    assert time.monotonic() - began == pytest.approx(2.0, abs=0.7)


@rule(51)
def test_a_consumer_above_its_rate_gets_nothing_until_its_time_is_over(admin: Ask, client: Client) -> None:
    """No more than ten seconds' worth at a time; what is too much is not sent, does not count, and comes later."""
    topic = new_topic(admin)
    for _ in range(30):
        assert code_of(admin(produce(topic, 50_000), 9)) == 0
    given(admin, client.entity, consumer_byte_rate=100_000)
    whole = client.ask_it(fetch(topic, 1), 11)
    assert whole.throttle_time_ms < 100
    assert bytes_of(whole) == 0 or bytes_of(whole) == pytest.approx(975_000, abs=26_000)
    while whole.throttle_time_ms:
        whole = client.ask_it(fetch(topic, 1, bytes_max=980_000), 11)
    began = time.monotonic()
    held = client.ask_it(fetch(topic, 20, bytes_max=200_000), 11)
    assert held.error_code == 0
    assert bytes_of(held) == 0
    assert 800 < held.throttle_time_ms < 2200
    assert time.monotonic() - began < 1
    client.ask_it(fetch(topic, 20, bytes_max=10_000), 11)
    assert time.monotonic() - began > 0.7


def test_partitions_are_created_and_deleted_at_the_rate_that_was_set(admin: Ask, client: Client) -> None:
    """What was saved up may be overdrawn once. Then the request is refused, with the time until there is something again."""
    given(admin, client.entity, controller_mutation_rate=10)

    def created(count: int, version: int = 7, **more: Any) -> tuple[int, int, str]:
        wanted = CreatableTopic(name=f"t-{uuid.uuid4().hex}", num_partitions=count, replication_factor=1)
        answer = client.ask_it(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000, **more), version)
        return answer.topics[0].error_code, answer.throttle_time_ms, wanted.name

    code, throttle_ms, first = created(120)
    assert (code, throttle_ms) == (0, 0)
    code, throttle_ms, _ = created(1)
    assert (code, throttle_ms) == (THROTTLED, about(1000))
    began = time.monotonic()
    code, throttle_ms, second = created(8)
    assert (code, throttle_ms) == (0, 0)
    assert time.monotonic() - began > 0.5, "the request was not read before the time was over"
    assert created(1, validate_only=True)[0] == THROTTLED
    code, throttle_ms, _ = created(2, version=5)
    assert code == 0, "a client that does not know the error is only held"
    assert throttle_ms > 0
    grown = CreatePartitionsTopic(name=second, count=10, assignments=None)
    answer = client.ask_it(CreatePartitionsRequest(topics=[grown], timeout_ms=10_000), 3)
    assert (answer.results[0].error_code, answer.throttle_time_ms) == (0, 0)
    (gone,) = client.ask_it(DeleteTopicsRequest(topics=[DeleteTopicState(name=first)], timeout_ms=10_000), 6).responses
    assert gone.error_code == THROTTLED
    answer = client.ask_it(DeleteTopicsRequest(topics=[DeleteTopicState(name=first)], timeout_ms=10_000), 6)
    assert (answer.responses[0].error_code, answer.throttle_time_ms) == (0, 0)
    assert admin(DeleteTopicsRequest(topics=[DeleteTopicState(name=second)], timeout_ms=10_000), 6).responses[0].error_code == 0


def test_the_user_without_a_name_is_called_anonymous(admin: Ask, client: Client) -> None:
    """A quota of that user holds for every client that did not say who it is, and comes before one of its client id."""
    topic = new_topic(admin)
    given(admin, client.entity, producer_byte_rate=10_000_000)
    given(admin, {"user": "ANONYMOUS", "client-id": client.client_id}, producer_byte_rate=100_000)
    client.ask_it(produce(topic, 1_000_000), 9)
    assert client.ask_it(produce(topic, 50_000), 9).throttle_time_ms == about(500)


# Over simulated time.


class Simulation:
    """A broker with a topic, and a client that is alone on its connection."""

    def __init__(self, **settings: str) -> None:
        named = {name.replace("_", "."): value for name, value in settings.items()}
        self.broker = SimulatedBroker(SimulatedDisk(["/data"]), settings=named)
        wanted = CreatableTopic(name="t", num_partitions=1, replication_factor=1)
        assert self.broker.ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 5).topics[0].error_code == 0
        self.client = self.broker.connect()

    def quota(self, **quotas: float | None) -> None:
        given(self.broker.ask, {"user": None}, **quotas)

    def asked(self, request: Any, version: int) -> Any:
        """The answer, which comes without time passing; None when it does not."""
        token = self.client.send(request, version)
        self.broker.world.settle()
        return self.client.replies.get(token)

    def answered_after_ms(self, request: Any, version: int) -> tuple[Any, int]:
        """The answer, and how long it took."""
        token, waited_ms = self.client.send(request, version), 0
        self.broker.world.settle()
        while token not in self.client.replies:
            self.broker.world.advance(1)
            self.broker.world.settle()
            waited_ms += 1
            assert waited_ms < 100_000
        return self.client.replies[token], waited_ms


@pytest.mark.parametrize("windows", [("11", "1"), ("3", "2")])
def test_a_producer_that_never_waits_is_held_to_its_rate(windows: tuple[str, str]) -> None:
    """Within a fifth, over a minute, after what is free at the beginning, whatever the windows are."""
    simulation = Simulation(quota_window_num=windows[0], quota_window_size_seconds=windows[1])
    simulation.quota(producer_byte_rate=20_000)
    clock = simulation.broker.clock
    began_ms, sent = clock.monotonic_ms(), 0
    while clock.monotonic_ms() - began_ms < 60_000:
        answer, _ = simulation.answered_after_ms(produce_at(clock.wall_ms(), 5000), 9)
        assert code_of(answer) == 0
        sent += 5000
    seconds = (clock.monotonic_ms() - began_ms) / 1000
    free = 20_000 * (int(windows[0]) - 1) * int(windows[1])
    assert sent - free == pytest.approx(20_000 * seconds, rel=0.2)


def produce_at(wall_ms: int, size: int) -> ProduceRequest:
    data = PartitionProduceData(index=0, records=encode_batch([bytes(size)], timestamps=wall_ms))
    return ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[TopicProduceData(name="t", partition_data=[data])])


def test_a_consumer_that_never_waits_is_held_to_its_rate_and_misses_nothing() -> None:
    simulation = Simulation()
    clock = simulation.broker.clock
    for _ in range(400):
        assert code_of(simulation.asked(produce_at(clock.wall_ms(), 5000), 9)) == 0
    simulation.quota(consumer_byte_rate=20_000)
    began_ms, offset = clock.monotonic_ms(), 0
    while offset < 400:
        answer, _ = simulation.answered_after_ms(fetch("t", offset, bytes_max=20_000), 11)
        offset += bytes_of(answer) // 5000
    seconds = (clock.monotonic_ms() - began_ms) / 1000
    assert pytest.approx(20_000 * seconds, rel=0.2) == 2_000_000 - 200_000


def test_a_batch_that_is_too_much_by_itself_still_comes() -> None:
    """When nothing else counts, and its reader is held for it: in Kafka it would never come."""
    simulation = Simulation()
    assert code_of(simulation.asked(produce_at(simulation.broker.clock.wall_ms(), 500_000), 9)) == 0
    simulation.quota(consumer_byte_rate=10_000)
    answer = simulation.asked(fetch("t", 0), 11)
    assert bytes_of(answer) > 500_000
    assert answer.throttle_time_ms == pytest.approx(40_000, rel=0.01)
    assert simulation.answered_after_ms(fetch("t", 0), 11)[1] == pytest.approx(40_000, rel=0.01)


def test_requests_that_came_while_a_client_is_held_are_taken_in_order_when_it_is_not() -> None:
    """Also when its quota was taken away meanwhile; the time that it was told is kept."""
    simulation = Simulation()
    wall_ms = simulation.broker.clock.wall_ms()
    simulation.quota(producer_byte_rate=1000)
    assert simulation.asked(produce_at(wall_ms, 19_900), 9).throttle_time_ms == about(10_000)
    requests = [produce_at(wall_ms, size) for size in (100, 200, 300)]
    tokens = [simulation.client.send(request, 9) for request in requests]
    simulation.broker.world.settle()
    assert not simulation.client.replies.keys() & set(tokens)
    simulation.quota(producer_byte_rate=None)
    last = simulation.client.send(produce_at(wall_ms, 400), 9)
    simulation.broker.world.settle()
    assert last not in simulation.client.replies
    simulation.broker.world.advance(11_000)
    simulation.broker.world.settle()
    offsets = [simulation.client.replies[token].responses[0].partition_responses[0].base_offset for token in (*tokens, last)]
    assert offsets == [1, 2, 3, 4]
    assert simulation.asked(produce_at(wall_ms, 500), 9).responses[0].partition_responses[0].base_offset == 5


def test_a_connection_that_is_held_may_close() -> None:
    """Nothing is left of it: no timer, no bytes."""
    simulation = Simulation()
    simulation.quota(producer_byte_rate=1000)
    wall_ms = simulation.broker.clock.wall_ms()
    simulation.asked(produce_at(wall_ms, 19_900), 9)
    simulation.client.send(produce_at(wall_ms, 100), 9)
    budget = simulation.client.connection.listener.budget
    assert budget.bytes_held > 0
    simulation.client.connection.connection_lost(None)
    assert budget.bytes_held == 0
    simulation.broker.world.advance(20_000)
    simulation.broker.world.settle()


def test_time_is_counted_and_nobody_is_held_for_more_than_a_window_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the loop's time a client may have so many per cent: here each request takes 10 ms of it."""
    simulation = Simulation()
    now_ns = 0

    def monotonic_ns(_clock: ManualClock) -> int:
        nonlocal now_ns
        now_ns += 10_000_000
        return now_ns

    monkeypatch.setattr(ManualClock, "monotonic_ns", monotonic_ns)
    simulation.quota(request_percentage=2)
    heartbeat = HeartbeatRequest(group_id="g", member_id="m", generation_id=1)
    held = [simulation.answered_after_ms(heartbeat, 4) for _ in range(40)]
    assert held[0][0].throttle_time_ms == held[5][0].throttle_time_ms == 0
    assert max(answer.throttle_time_ms for answer, _ in held) == 1000
    waited_ms = sum(ms for _, ms in held)
    assert waited_ms == pytest.approx(40 * 20 / 0.02 - 10_000, rel=0.2)


def test_what_cannot_be_read_is_not_counted_for_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that waited is answered later: the time since the last request that did not parse is not its own."""
    simulation = Simulation()
    waiting, broken = simulation.client, simulation.broker.connect()
    monkeypatch.setattr(ManualClock, "monotonic_ns", lambda clock: 1 + clock.monotonic_ms() * 1_000_000)
    simulation.quota(request_percentage=1)
    token = waiting.send(fetch("t", 0), 11)
    simulation.broker.world.settle()
    broken.connection.data_received(b"\0\0\0\x0b\0\3\0\x0c\0\0\0\7\xff\xff\x7f")
    assert broken.closed
    simulation.broker.world.advance(5000)
    simulation.broker.world.settle()
    assert waiting.replies[token].throttle_time_ms == 0


def test_a_topic_that_may_not_be_made_now_is_not_there_yet() -> None:
    """For a client that has it made by asking for it: it asks again."""
    simulation = Simulation()
    simulation.quota(controller_mutation_rate=1)

    def told(name: str) -> int:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=True)
        return int(simulation.asked(request, 9).topics[0].error_code)

    assert [told(f"new-{number}") for number in range(13)] == [0] * 12 + [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    simulation.broker.world.advance(1000)
    assert told("new-12") == 0


def test_who_shares_a_quota_shares_what_is_left_of_it() -> None:
    """All connections of one user, when the quota is the user's; each client id for itself, when it is not."""
    simulation = Simulation()
    other = simulation.broker.connect()
    wall_ms = simulation.broker.clock.wall_ms()
    simulation.quota(producer_byte_rate=1000)
    assert simulation.asked(produce_at(wall_ms, 9000), 9).throttle_time_ms == 0
    token = other.send(produce_at(wall_ms, 2000), 9)
    simulation.broker.world.settle()
    assert other.replies[token].throttle_time_ms > 0
