"""Incremental fetch sessions (KIP-227) hold over a socket, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.rules import rule
from support.waiting import wait_for

BEGIN, END = 0, -1
BY_NAME, BY_ID = 12, 17
VALUE = b"x" * 100


class Reader:
    """A consumer of one topic, request by request."""

    def __init__(self, client: RawClient, version: int = BY_NAME) -> None:
        self.client = client
        self.version = version
        self.topic = f"fetched-{uuid.uuid4().hex}"
        asked = CreatableTopic(name=self.topic, num_partitions=3, replication_factor=1)
        assert client.ask(19, 5, CreateTopicsRequest(topics=[asked], timeout_ms=10_000)).topics[0].error_code == 0
        wanted = MetadataRequest(topics=[MetadataRequestTopic(name=self.topic)])

        def led() -> Any:
            (found,) = client.ask(3, 12, wanted).topics
            return found.error_code == 0 and all(part.leader_id >= 0 for part in found.partitions) and len(found.partitions) == 3 and found

        self.topic_id = bytes(wait_for(led, f"{self.topic} to be served").topic_id)
        wait_for(self.readable, "a leader of each partition")

    def readable(self) -> bool:
        """Whether every partition answers: a new one may take a moment."""
        partitions = self.fetch(END, parts={0: 0, 1: 0, 2: 0}).responses[0].partitions
        return all(answer.error_code == 0 for answer in partitions)

    def produce(self, index: int) -> None:
        data = TopicProduceData(name=self.topic, partition_data=[PartitionProduceData(index=index, records=encode_batch([VALUE]))])
        answer = self.client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data]))
        assert answer.responses[0].partition_responses[0].error_code == 0

    def fetch(
        self,
        epoch: int,
        session_id: int = 0,
        *,
        parts: dict[int, int] | None = None,
        forget: list[int] | None = None,
        wait_ms: int = 0,
        max_bytes: int = 1 << 20,
        version: int | None = None,
    ) -> FetchResponse:
        """One request that names these partitions with their offsets."""
        wanted = (parts or {}).items()
        partitions = [FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20) for index, offset in wanted]
        request = FetchRequest(
            max_wait_ms=wait_ms,
            min_bytes=1,
            max_bytes=max_bytes,
            session_id=session_id,
            session_epoch=epoch,
            topics=[FetchTopic(topic=self.topic, topic_id=self.topic_id, partitions=partitions)] if partitions else [],
            forgotten_topics_data=[ForgottenTopic(topic=self.topic, topic_id=self.topic_id, partitions=forget)] if forget else [],
        )
        response: FetchResponse = self.client.ask(1, version or self.version, request)
        return response


def told(response: FetchResponse) -> dict[int, int]:
    """The size of the records in each partition of an answer, -error where there is one."""
    assert response.error_code == 0, response.error_code
    return {
        answer.partition_index: -answer.error_code if answer.error_code else len(answer.records or b"")
        for topic in response.responses
        for answer in topic.partitions
    }


BATCH = len(encode_batch([VALUE]))


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def address(request: pytest.FixtureRequest) -> str:
    if request.param == "kafka":
        return str(request.getfixturevalue("apache").bootstrap)
    engine: Engine = request.getfixturevalue("engine")
    return engine.address


@pytest.fixture(params=[BY_NAME, BY_ID])
def reader(request: pytest.FixtureRequest, address: str) -> Iterator[Reader]:
    with RawClient(address) as client:
        yield Reader(client, request.param)


def begun(reader: Reader, *indexes: int) -> int:
    """A session on these partitions; its first answer names all of them."""
    response = reader.fetch(BEGIN, parts=dict.fromkeys(indexes, 0))
    assert sorted(told(response)) == sorted(indexes)
    assert response.session_id > 0
    return response.session_id


def test_only_what_is_new_is_answered(reader: Reader) -> None:
    """Nothing, then the one partition that got a record, and then nothing when the client has gone on behind it."""
    session = begun(reader, 0, 1, 2)
    quiet = reader.fetch(1, session)
    assert (told(quiet), quiet.session_id) == ({}, session)
    reader.produce(1)
    assert told(reader.fetch(2, session)) == {1: BATCH}
    assert told(reader.fetch(3, session)) == {1: BATCH}, "the client did not say that it has read it"
    assert told(reader.fetch(4, session, parts={1: 1})) == {}
    assert told(reader.fetch(5, session)) == {}


def test_a_new_high_watermark_is_news(reader: Reader) -> None:
    """Also when nothing of what is new can be sent: the client has asked for what comes after it."""
    session = begun(reader, 0, 1)
    reader.produce(0)
    assert told(reader.fetch(1, session, parts={0: 1})) == {0: 0}
    assert told(reader.fetch(2, session)) == {}


def test_partitions_come_and_go(reader: Reader) -> None:
    """One that is added is answered once at least; one that is forgotten never again; without any the session is over."""
    session = begun(reader, 0)
    assert told(reader.fetch(1, session, parts={2: 0})) == {2: 0}
    reader.produce(0)
    reader.produce(2)
    assert told(reader.fetch(2, session, forget=[0])) == {2: BATCH}
    ended = reader.fetch(3, session, forget=[2])
    assert (told(ended), ended.session_id) == ({}, 0)
    assert reader.fetch(4, session).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


@rule(48)
def test_a_session_is_known_by_its_id_and_epoch(reader: Reader) -> None:
    """A request that was lost or repeated is noticed; the session lives on."""
    session = begun(reader, 0)
    assert reader.fetch(1, session ^ 1).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert reader.fetch(2, session).error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert told(reader.fetch(1, session)) == {}
    assert reader.fetch(1, session).error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert told(reader.fetch(2, session)) == {}


def test_a_session_keeps_to_names_or_to_ids(reader: Reader) -> None:
    session = begun(reader, 0)
    other = BY_ID if reader.version == BY_NAME else BY_NAME
    assert reader.fetch(1, session, version=other).error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


@pytest.mark.parametrize("epoch", [BEGIN, END])
def test_a_full_fetch_ends_the_session_that_it_names(reader: Reader, epoch: int) -> None:
    """With epoch 0 another one begins, with epoch -1 none does."""
    session = begun(reader, 0)
    full = reader.fetch(epoch, session, parts={1: 0})
    assert told(full) == {1: 0}
    assert (full.session_id > 0) == (epoch == BEGIN)
    assert full.session_id != session
    assert reader.fetch(1, session).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_an_error_is_told_each_time(reader: Reader) -> None:
    """Behind it everything is news, although nothing else has changed."""
    response = reader.fetch(BEGIN, parts={0: 0, 1: 7})
    out_of_range = -int(ErrorCode.OFFSET_OUT_OF_RANGE)
    assert told(response) == {0: 0, 1: out_of_range}
    assert told(reader.fetch(1, response.session_id)) == {1: out_of_range}
    assert told(reader.fetch(2, response.session_id)) == {1: out_of_range}
    assert told(reader.fetch(3, response.session_id, parts={1: 0})) == {1: 0}
    assert told(reader.fetch(4, response.session_id)) == {}


@rule(48)
def test_partitions_take_turns(reader: Reader) -> None:
    """Who gave records is read last the next time, so that a small limit starves nobody."""
    for index in range(3):
        reader.produce(index)
    first = reader.fetch(BEGIN, parts={0: 0, 1: 0, 2: 0}, max_bytes=1)
    assert told(first) == {0: BATCH, 1: 0, 2: 0}
    turns = [told(reader.fetch(epoch, first.session_id, max_bytes=1)) for epoch in (1, 2, 3, 4)]
    gave = [next(index for index, size in turn.items() if size) for turn in turns]
    assert sorted(gave[:3]) == [0, 1, 2]
    assert gave[3] == gave[0]


def test_a_long_poll_hears_of_the_first_record(reader: Reader) -> None:
    """Nothing is asked anew; what comes while the fetch waits ends it."""
    session = begun(reader, 0, 1, 2)
    assert told(reader.fetch(1, session, wait_ms=50)) == told(reader.fetch(2, session, wait_ms=50)) == {}
    host, port = reader.client.socket.getpeername()[:2]
    with RawClient(f"{host}:{port}") as waiting:
        request = FetchRequest(max_wait_ms=30_000, min_bytes=1, max_bytes=1 << 20, session_id=session, session_epoch=3)
        waiting.send(waiting.frame(1, reader.version, request))
        reader.produce(2)
        assert told(waiting.answer(1, reader.version)) == {2: BATCH}


def test_when_all_slots_are_taken_a_client_goes_without(start_engine: Callable[..., Engine]) -> None:
    """It is answered in full each time; a slot that is given back is given again."""
    engine = start_engine(settings={"max.incremental.fetch.session.cache.slots": "1"})
    with RawClient(engine.address) as client:
        reader = Reader(client)
        session = begun(reader, 0)
        for _ in range(2):
            without = reader.fetch(BEGIN, parts={0: 0, 1: 0})
            assert (told(without), without.session_id) == ({0: 0, 1: 0}, 0)
        assert told(reader.fetch(1, session)) == {}
        reader.fetch(END, session)
        begun(reader, 1)


def test_a_topic_that_is_made_again_is_another_one(engine: Engine) -> None:
    """A session by name goes on with the new topic, a session by id hears that its topic is gone."""
    with RawClient(engine.address) as client:
        by_name, by_id = Reader(client, BY_NAME), Reader(client, BY_ID)
        sessions = [begun(reader, 0) for reader in (by_name, by_id)]
        for reader in (by_name, by_id):
            assert client.ask(20, 4, DeleteTopicsRequest(topic_names=[reader.topic], timeout_ms=5000)).responses[0].error_code == 0
        answers = [told(reader.fetch(1, session)) for reader, session in zip((by_name, by_id), sessions, strict=True)]
        assert answers == [{0: -int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)}, {0: -int(ErrorCode.UNKNOWN_TOPIC_ID)}]
        for reader in (by_name, by_id):
            asked = CreatableTopic(name=reader.topic, num_partitions=1, replication_factor=1)
            assert client.ask(19, 5, CreateTopicsRequest(topics=[asked], timeout_ms=5000)).topics[0].error_code == 0
            reader.produce(0)
        answers = [told(reader.fetch(2, session)) for reader, session in zip((by_name, by_id), sessions, strict=True)]
        assert answers == [{0: BATCH}, {0: -int(ErrorCode.UNKNOWN_TOPIC_ID)}]


def test_sessions_have_ids_of_their_own(engine: Engine) -> None:
    """Many clients, many sessions, none of them zero or twice."""
    with RawClient(engine.address) as client:
        reader = Reader(client)
        ids = [begun(reader, 0) for _ in itertools.repeat(None, 50)]
        assert len(set(ids)) == 50
