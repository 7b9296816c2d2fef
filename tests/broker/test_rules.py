"""Rules of Kafka's behaviour that one connection shows, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import re
import time
import uuid

from ev.errors import ErrorCode
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.records import encode_batch, read_header
from support.one_partition import create, produce_request, produced
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over, fetched, until_coordinators_are_there, until_settled
from support.rules import rule
from support.waiting import wait_for

GZIP, LZ4 = 1, 3
LOG_APPEND_TIME = 8
CODES = 7


@rule(1)
def test_answers_come_in_the_order_of_the_requests(address: str) -> None:
    """Also when one has to wait and those behind it could be answered at once."""
    with RawClient(address) as client:
        topic = create(asked_over(client))
        assert produced(asked_over(client), topic, encode_batch([b"one"])).error_code == 0
        part = FetchPartition(partition=0, fetch_offset=1, partition_max_bytes=1000)
        waits = FetchRequest(max_wait_ms=300, min_bytes=1, session_epoch=-1, topics=[FetchTopic(topic, partitions=[part])])
        asked = [(18, 0, ApiVersionsRequest()), (1, 11, waits), (3, 1, MetadataRequest(topics=[])), (18, 0, ApiVersionsRequest())]
        began = time.monotonic()
        client.send(b"".join(client.frame(*each) for each in asked))
        first = client.correlation_id - len(asked) + 1
        numbers = [int.from_bytes(client.next_frame()[:4], "big") for _ in asked]
        assert numbers == list(range(first, first + len(asked)))
        assert time.monotonic() - began > 0.25, "the one that waits was waited for"


@rule(31)
def test_the_brokers_time_is_in_the_batch_and_in_the_answer(ask: Ask) -> None:
    """And the attribute says whose time it is; otherwise the answer has no time."""
    topic = create(ask, message_timestamp_type="LogAppendTime")
    now_ms = int(time.time() * 1000)
    answer = produced(ask, topic, encode_batch([b"one", b"two"], timestamps=now_ms - 500_000))
    header = read_header(fetched(ask, topic, 0, committed=False).records)
    assert abs(answer.log_append_time_ms - now_ms) < 60_000
    assert (header.max_timestamp, header.attributes & LOG_APPEND_TIME) == (answer.log_append_time_ms, LOG_APPEND_TIME)
    plain = create(ask)
    assert produced(ask, plain, encode_batch([b"one"], timestamps=now_ms)).log_append_time_ms == -1


@rule(32)
def test_batches_get_the_compression_of_the_topic(ask: Ask) -> None:
    """And keep their own where the topic leaves it to the producer."""
    batch = encode_batch([b"x" * 1000], compression=LZ4)
    for setting, codec in (("gzip", GZIP), ("lz4", LZ4), ("uncompressed", 0), ("producer", LZ4)):
        topic = create(ask, compression_type=setting)
        assert produced(ask, topic, batch).error_code == 0
        assert read_header(fetched(ask, topic, 0, committed=False).records).attributes & CODES == codec


@rule(33)
def test_only_an_administrators_client_writes_to_the_coordinators_topics(ask: Ask, address: str) -> None:
    """Which is known by its client id."""
    wanted = MetadataRequest(topics=[MetadataRequestTopic(name="__consumer_offsets")])
    wait_for(lambda: ask(wanted, 9).topics[0].partitions, "the topic to be made")
    request = produce_request("__consumer_offsets", encode_batch([b"x"], keys=[b"not a key of a group"]))
    (answer,) = ask(request, 9).responses[0].partition_responses
    assert answer.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


@rule(42)
def test_a_waiting_fetch_is_answered_when_records_come(ask: Ask, address: str) -> None:
    """Long before its time is over."""
    topic = create(ask)
    assert produced(ask, topic, encode_batch([b"one"])).error_code == 0
    with RawClient(address) as reader:
        part = FetchPartition(partition=0, fetch_offset=1, partition_max_bytes=1000)
        waits = FetchRequest(max_wait_ms=15_000, min_bytes=1, session_epoch=-1, topics=[FetchTopic(topic, partitions=[part])])
        reader.send(reader.frame(1, 11, waits))
        began = time.monotonic()
        assert produced(ask, topic, encode_batch([b"two"])).base_offset == 1
        (found,) = reader.answer(1, 11).responses[0].partitions
        assert time.monotonic() - began < 10
        assert read_header(found.records).base_offset == 1


@rule(73)
def test_a_member_id_begins_with_the_client_or_the_instance(ask: Ask, address: str) -> None:
    """And goes on with a UUID."""
    until_coordinators_are_there(ask)
    for instance in (None, "instance"):
        group = f"g-{uuid.uuid4().hex}"
        offered = [JoinGroupRequestProtocol("range", b"")]
        request = JoinGroupRequest(group, 10_000, 10_000, "", instance, "consumer", offered)
        with RawClient(address, client_id="my client") as client:
            answer = until_settled(lambda: asked_over(client)(request, 5), lambda found: found.error_code)  # noqa: B023
        assert answer.error_code == (0 if instance else ErrorCode.MEMBER_ID_REQUIRED)
        begin = instance or "my client"
        assert re.fullmatch(rf"{begin}-[0-9a-f]{{8}}-([0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}", answer.member_id)
