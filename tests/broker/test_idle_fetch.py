"""A consumer that has read everything asks the same again and again: it gets what it would get if it asked for the first time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ev.broker.fetch_sessions import Session
from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk

PARTITIONS = 20


def create(client: RawClient) -> None:
    topic = CreatableTopic(name="wide", num_partitions=PARTITIONS, replication_factor=1)
    assert client.ask(19, 5, CreateTopicsRequest(topics=[topic], timeout_ms=5000)).topics[0].error_code == 0


def produce(client: RawClient, index: int) -> None:
    data = TopicProduceData(name="wide", partition_data=[PartitionProduceData(index=index, records=encode_batch([b"event"]))])
    response = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
    assert response.responses[0].partition_responses[0].error_code == 0


def fetch(client: RawClient, offset: int = 0, *, max_wait_ms: int = 30, min_bytes: int = 1, first: int = 0) -> FetchResponse:
    order = [*range(first, PARTITIONS), *range(first)]
    partitions = [FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20) for index in order]
    topics = [FetchTopic(topic="wide", partitions=partitions)]
    request = FetchRequest(max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=1 << 20, topics=topics)
    response: FetchResponse = client.ask(1, 11, request)
    return response


def with_records(response: FetchResponse) -> list[int]:
    return [answer.partition_index for answer in response.responses[0].partitions if answer.records]


@pytest.fixture
def engine(start_engine: Callable[..., Engine]) -> Engine:
    """One of our own: the topic's name is the same in every test."""
    return start_engine()


@pytest.fixture
def client(engine: Engine) -> RawClient:
    return RawClient(engine.address)


def test_the_answer_to_the_same_question_is_the_same(client: RawClient) -> None:
    """Every partition is there, with its high watermark, however often the question comes, and each time the client waits."""
    with client:
        create(client)
        first = fetch(client)
        began = time.monotonic()
        assert [fetch(client) for _ in range(5)] == [first] * 5
        assert time.monotonic() - began >= 5 * 0.03
        assert [answer.high_watermark for answer in first.responses[0].partitions] == [0] * PARTITIONS


def test_the_order_of_the_partitions_makes_no_difference(client: RawClient, engine: Engine) -> None:
    """librdkafka begins each time with the next partition: the same question, until something happens."""
    with client, RawClient(engine.address) as other:
        create(client)
        first = fetch(client)
        assert [fetch(client, first=number) for number in (1, 2, 19)] == [first] * 3
        produce(other, 7)
        assert with_records(fetch(client, first=5)) == [7]
        assert with_records(fetch(client, first=8)) == [7]


def test_new_records_are_seen_by_the_next_of_the_same_questions(client: RawClient, engine: Engine) -> None:
    """What came between two questions is in the second answer at once; what comes while one waits wakes it."""
    with client, RawClient(engine.address) as other:
        create(client)
        assert with_records(fetch(client)) == with_records(fetch(client)) == []
        produce(other, 7)
        assert with_records(fetch(client, max_wait_ms=30)) == [7]
        assert with_records(fetch(client, max_wait_ms=30)) == [7]
        assert with_records(fetch(client, offset=0, min_bytes=1 << 20)) == [7], "at the end of its time it gets what there is"


def test_questions_that_are_on_their_way_together_get_an_answer_each(client: RawClient) -> None:
    """Pipelined, the same question twice while the first one still waits."""
    with client:
        create(client)
        expected = fetch(client)
        partitions = [FetchPartition(partition=index, partition_max_bytes=1 << 20) for index in range(PARTITIONS)]
        request = FetchRequest(max_wait_ms=30, min_bytes=1, max_bytes=1 << 20, topics=[FetchTopic(topic="wide", partitions=partitions)])
        frame = client.frame(1, 11, request)
        client.send(frame * 3)
        answers = [client.answer(1, 11) for _ in range(3)]
        assert answers == [expected] * 3


def test_a_fetch_that_rests_keeps_no_books_longer_than_it_may() -> None:
    """One fetch of a connection rests at a time; another question, news or the end of the connection end that."""
    disk = SimulatedDisk(["/data"])
    simulated = SimulatedBroker(disk)
    client = simulated.connect()
    client.send(CreateTopicsRequest(topics=[CreatableTopic(name="t", num_partitions=2, replication_factor=1)], timeout_ms=1000), 5)
    simulated.world.settle()

    def ask(index: int) -> None:
        partitions = [FetchPartition(partition=index, partition_max_bytes=1 << 20)]
        request = FetchRequest(max_wait_ms=100, min_bytes=1, max_bytes=1 << 20, topics=[FetchTopic(topic="t", partitions=partitions)])
        client.send(request, 11)

    waiting = simulated.broker.waiting
    for _ in range(3):
        ask(0)
    assert waiting.parked == 3
    simulated.world.advance(100)
    assert (waiting.parked, waiting.resting) == (0, 1)
    ask(0)
    assert (waiting.parked, waiting.resting) == (1, 0)
    simulated.world.advance(100)
    ask(1)
    simulated.world.advance(100)
    assert (waiting.parked, waiting.resting) == (0, 1)
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=1, records=encode_batch([b"event"]))])
    client.send(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    simulated.world.settle()
    assert (waiting.parked, waiting.resting) == (0, 0)
    ask(0)
    simulated.world.advance(100)
    assert (waiting.parked, waiting.resting) == (0, 1)
    client.connection.connection_lost(None)
    assert (waiting.parked, waiting.resting) == (0, 0)


def test_a_moved_start_and_a_deleted_topic_are_told(client: RawClient, engine: Engine) -> None:
    """Neither is hidden behind an answer that was right before."""
    with client, RawClient(engine.address) as other:
        create(client)
        produce(other, 3)
        fetch(client, offset=1)
        starts = [answer.log_start_offset for answer in fetch(client, offset=0).responses[0].partitions]
        assert starts == [0] * PARTITIONS
        topics = [DeleteRecordsTopic(name="wide", partitions=[DeleteRecordsPartition(partition_index=3, offset=1)])]
        assert other.ask(21, 1, DeleteRecordsRequest(topics=topics, timeout_ms=5000)).topics[0].partitions[0].error_code == 0
        assert fetch(client, offset=0).responses[0].partitions[3].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert other.ask(20, 4, DeleteTopicsRequest(topic_names=["wide"], timeout_ms=5000)).responses[0].error_code == 0
        assert fetch(client).responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_an_idle_session_looks_at_no_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """An incremental fetch that changes nothing, while nothing happens, is parked and answered without going through the partitions."""
    simulated = SimulatedBroker(SimulatedDisk(["/data"]))
    client = simulated.connect()
    client.send(CreateTopicsRequest(topics=[CreatableTopic(name="t", num_partitions=2, replication_factor=1)], timeout_ms=1000), 5)
    simulated.world.settle()

    def ask(session_id: int, epoch: int, *indexes: int, wait_ms: int = 100) -> FetchResponse:
        partitions = [FetchPartition(partition=index, partition_max_bytes=1 << 20) for index in indexes]
        topics = [FetchTopic(topic="t", partitions=partitions)] if indexes else []
        request = FetchRequest(
            max_wait_ms=wait_ms, min_bytes=1, max_bytes=1 << 20, session_id=session_id, session_epoch=epoch, topics=topics
        )
        token = client.send(request, 11)
        simulated.world.advance(wait_ms)
        response: FetchResponse = client.replies[token]
        return response

    session_id = ask(0, 0, 0, 1).session_id
    assert ask(session_id, 1).responses == []
    with monkeypatch.context() as patch:
        patch.setattr(Session, "topics", lambda self: pytest.fail("the partitions were looked at"))
        assert [ask(session_id, epoch).responses for epoch in (2, 3, 4)] == [[]] * 3
    assert simulated.broker.waiting.resting == 1
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=1, records=encode_batch([b"event"]))])
    client.send(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    simulated.world.settle()
    assert with_records(ask(session_id, 5)) == [1]
    assert with_records(ask(session_id, 6, wait_ms=90)) == [1]
