"""Bad input over real sockets: each gets Kafka's error code, or a closed connection where Kafka closes, and a line in the log."""

from __future__ import annotations

import struct

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.rules import rule
from support.waiting import wait_for

HEADER = struct.Struct(">hhih")


def create(client: RawClient, name: str, partitions: int = 1, **config: str) -> None:
    configs = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in config.items()]
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, assignments=[], configs=configs)
    (result,) = client.ask(19, 7, CreateTopicsRequest(topics=[topic], timeout_ms=5000)).topics
    assert result.error_code == 0, result.error_message


def produced(client: RawClient, topic: str, batch: bytes, *, acks: int = -1, version: int = 9, index: int = 0) -> int:
    """The error code that producing this batch is answered with."""
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=batch)])
    response = client.ask(0, version, ProduceRequest(acks=acks, timeout_ms=5000, topic_data=[data]))
    code: int = response.responses[0].partition_responses[0].error_code
    return code


def still_serves(engine: Engine) -> bool:
    with RawClient(engine.address) as client:
        answer = client.ask(18, 3, ApiVersionsRequest(client_software_name="t", client_software_version="1"))
        return bool(answer.error_code == 0)


@pytest.mark.parametrize(
    "size",
    [-1, 0, -(1 << 31), (100 << 20) + 1, (1 << 31) - 1],
    ids=["minus-one", "zero", "most-negative", "above-the-bound", "largest"],
)
@rule(3)
def test_a_size_that_cannot_be_closes_the_connection(engine: Engine, size: int) -> None:
    """Not a byte of memory is taken for what a lying size announces."""
    with RawClient(engine.address) as client:
        client.send(struct.pack(">i", size) + b"x" * 100)
        assert client.closed()
    assert still_serves(engine)
    wait_for(lambda: "closed: " in engine.log(), "a line in the log")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        HEADER.pack(3, 1, 7, 5000),
        HEADER.pack(3, 1, 7, -5),
        HEADER.pack(3, 1, 7, -1) + struct.pack(">i", 1 << 30),
        HEADER.pack(3, 1, 7, -1) + struct.pack(">ih", 1, 9999) + b"t",
        HEADER.pack(18, 3, 7, -1) + b"\x00" + b"\xff" * 20,
        HEADER.pack(0, 9, 7, 2) + b"\xff\xfe",
    ],
    ids=["empty", "one-byte", "client-id-too-long", "client-id-negative", "huge-array", "string-too-long", "varint-too-long", "not-utf-8"],
)
def test_a_frame_that_does_not_parse_closes_the_connection(engine: Engine, body: bytes) -> None:
    """Every length is checked against what is there, before anything is allocated for it."""
    with RawClient(engine.address) as client:
        client.send(struct.pack(">i", len(body)) + body)
        assert client.closed()
    assert still_serves(engine)
    wait_for(lambda: "closed: " in engine.log(), "a line in the log")


@pytest.mark.parametrize(("key", "version"), [(999, 0), (-1, 0), (0, 2), (0, 14), (1, 3), (3, 99), (3, -1), (4, 0), (76, 1)])
def test_an_api_or_version_that_is_not_served_closes_the_connection(engine: Engine, key: int, version: int) -> None:
    """As Kafka does; ApiVersions told the client what is served."""
    with RawClient(engine.address) as client:
        body = HEADER.pack(key, version, 1, -1) + b"\x00" * 8
        client.send(struct.pack(">i", len(body)) + body)
        assert client.closed()
    wait_for(lambda: f"API {key} version {version} is not served" in engine.log(), "a line in the log")


def test_a_bulk_of_tiny_things_is_refused_by_its_size(engine: Engine) -> None:
    """Nine million empty names would be nine million objects: a request that is not bulk by nature may not be that large."""
    with RawClient(engine.address) as client:
        body = HEADER.pack(3, 1, 1, -1) + struct.pack(">i", 4_500_000) + bytes(9_000_000)
        client.send(struct.pack(">i", len(body)) + body)
        assert client.closed()
    assert still_serves(engine)


def test_a_frame_may_come_in_pieces_and_many_may_come_at_once(engine: Engine) -> None:
    """TCP knows no frames: one byte at a time, or twenty requests in one segment, are answered alike and in order."""
    with RawClient(engine.address) as client:
        frame = client.frame(18, 0, ApiVersionsRequest())
        for position in range(len(frame)):
            client.send(frame[position : position + 1])
        assert client.answer(18, 0).error_code == 0
        client.send(b"".join(client.frame(3, 5, MetadataRequest(topics=[], allow_auto_topic_creation=False)) for _ in range(20)))
        for _ in range(20):
            assert client.answer(3, 5).controller_id == 1


def test_a_connection_that_is_dropped_in_the_middle_of_a_frame_is_forgotten(engine: Engine) -> None:
    """Half a frame is no request."""
    with RawClient(engine.address) as client:
        client.send(client.frame(18, 0, ApiVersionsRequest())[:-1])
    assert still_serves(engine)


def test_wrong_batches_are_refused_and_change_nothing(engine: Engine) -> None:
    """Each with Kafka's error; the log goes on behind the last good record."""
    with RawClient(engine.address) as client:
        create(client, "t", max_message_bytes="2000")
        good = encode_batch([b"v"])
        flipped = bytearray(good)
        flipped[-1] ^= 1
        old_magic = bytearray(good)
        old_magic[16] = 1
        lying_size = bytearray(good)
        struct.pack_into(">i", lying_size, 8, len(good) + 100)
        lying_count = bytearray(good)
        struct.pack_into(">i", lying_count, 57, 7)
        assert produced(client, "t", bytes(flipped)) == ErrorCode.CORRUPT_MESSAGE
        assert produced(client, "t", good[:40]) == ErrorCode.INVALID_RECORD
        assert produced(client, "t", bytes(lying_size)) == ErrorCode.INVALID_RECORD
        assert produced(client, "t", bytes(old_magic)) == ErrorCode.INVALID_RECORD
        assert produced(client, "t", bytes(lying_count)) == ErrorCode.CORRUPT_MESSAGE, "its checksum covers the count"
        assert produced(client, "t", encode_batch([b"x" * 3000])) == ErrorCode.MESSAGE_TOO_LARGE
        assert produced(client, "t", good, acks=7) == ErrorCode.INVALID_REQUIRED_ACKS
        assert produced(client, "t", good, index=9) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert produced(client, "nope", good) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert produced(client, "t", good) == 0
        data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=good)])
        response = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
        assert response.responses[0].partition_responses[0].base_offset == 1


def test_a_transactional_batch_needs_a_transaction(engine: Engine) -> None:
    """One that no coordinator knows, or none at all: an error, never half a transaction."""
    with RawClient(engine.address) as client:
        create(client, "t")
        batch = encode_batch([b"v"], attributes=0x10, producer_id=5, producer_epoch=0, base_sequence=0)
        data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=batch)])
        response = client.ask(0, 9, ProduceRequest(transactional_id="tx", acks=-1, timeout_ms=5000, topic_data=[data]))
        assert response.responses[0].partition_responses[0].error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
        assert produced(client, "t", batch) == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


@rule(2)
def test_a_failed_produce_without_acks_closes_the_connection(engine: Engine) -> None:
    """There is no other way to say it."""
    with RawClient(engine.address) as client:
        data = TopicProduceData(name="nope", partition_data=[PartitionProduceData(index=0, records=encode_batch([b"v"]))])
        client.send(client.frame(0, 9, ProduceRequest(acks=0, timeout_ms=5000, topic_data=[data])))
        assert client.closed()


def test_fetching_what_is_not_there_is_an_error_at_once(engine: Engine) -> None:
    """It is not waited for."""
    with RawClient(engine.address) as client:
        create(client, "t")

        def fetched(topic: str, partition: int, offset: int) -> int:
            asked = FetchTopic(
                topic=topic, partitions=[FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)]
            )
            response = client.ask(1, 11, FetchRequest(max_wait_ms=60_000, min_bytes=1, topics=[asked]))
            code: int = response.responses[0].partitions[0].error_code
            return code

        assert fetched("nope", 0, 0) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert fetched("t", 5, 0) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert fetched("t", 0, 1) == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_topic_that_may_not_be_created_is_unknown(start_engine: object) -> None:
    """Neither when the engine forbids it nor when the request does."""
    engine: Engine = start_engine(settings={"auto.create.topics.enable": "false"})  # type: ignore[operator]
    with RawClient(engine.address) as client:
        response = client.ask(3, 9, MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True))
        assert response.topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
