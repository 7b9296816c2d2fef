"""Produce and fetch requests of Kafka's protocol as bytes that are made once: what a broker can do, not what a client can."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bench.pipe import Driven, SameRequests
from ev.errors import ErrorCode, error_name
from ev.wire.codec import decode
from ev.wire.header import decode_response_header
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.records import encode_batch, headers
from support.raw_client import RawClient
from support.waiting import wait_for

PRODUCE, FETCH = (0, 7), (1, 11)
FETCH_BYTES = 1 << 20
FAR = 999_983
"""A prime number: steps of this size come to all offsets of a log, in no order."""
NOT_YET = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER)


def batch_of(value: bytes, records: int) -> bytes:
    """One batch with so many of these records."""
    return encode_batch([value] * records, timestamps=int(time.time() * 1000))


class KafkaPipe:
    """Produce requests, acks=all, each with the same batch for the next partition in turn. Their answers all have one size."""

    def __init__(self, address: str, topic: str, batch: bytes, partitions: Sequence[int] = (0,)) -> None:
        self.client = RawClient(address, timeout_s=60)
        self.socket = self.client.socket
        self.frames = [self.client.frame(*PRODUCE, produce(topic, partition, batch)) for partition in partitions]
        self.same = SameRequests(self.frames[0]) if len(self.frames) == 1 else None
        self.turn = self.pending = 0
        self.answer_size = wait_for(self.first_answer, f"{topic} to take records", 60)

    def first_answer(self) -> int:
        """Send one request; the size of its answer, 0 while the broker does not lead the partition yet."""
        self.client.send(self.requests(1))
        frame = self.client.next_frame()
        _, position = decode_response_header(frame, *PRODUCE)
        response, _ = decode(ProduceResponse, PRODUCE[1], frame, position)
        code = response.responses[0].partition_responses[0].error_code
        if code in NOT_YET:
            return 0
        if code:
            raise RuntimeError(f"a produce request is answered with {error_name(code)}")
        return 4 + len(frame)

    def requests(self, count: int) -> bytes:
        if self.same is not None:
            return self.same(count)
        chosen = [self.frames[(self.turn + number) % len(self.frames)] for number in range(count)]
        self.turn += count
        return b"".join(chosen)

    def answers(self, data: bytes) -> int:
        done, self.pending = divmod(self.pending + len(data), self.answer_size)
        return done

    def close(self) -> None:
        self.client.close()


def produce(topic: str, partition: int, batch: bytes) -> ProduceRequest:
    data = [TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)])]
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=data)


def end_offset(address: str, topic: str) -> int:
    """Where partition 0 ends."""
    with RawClient(address) as client:
        asked = ListOffsetsTopic(name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=-1)])
        offset: int = client.ask(2, 5, ListOffsetsRequest(replica_id=-1, topics=[asked])).topics[0].partitions[0].offset
        return offset


def fetch_all(address: str, topic: str, count: int) -> float:
    """Seconds until `count` records of partition 0 were received, a fetch of a MiB after the other; only batch headers are looked at."""
    with RawClient(address, timeout_s=60) as client:
        offset, began = 0, time.perf_counter()
        while offset < count:
            for _, header in headers(fetched(client, topic, offset, FETCH_BYTES)):
                offset = header.base_offset + header.last_offset_delta + 1
        return time.perf_counter() - began


def fetch_spread(client: RawClient, topic: str, count: int, times: int) -> Driven:
    """So many fetches of one batch each, at places all over the first `count` offsets of partition 0."""
    began = time.perf_counter()
    for number in range(times):
        if not fetched(client, topic, number * FAR % count, 1):
            raise RuntimeError(f"there is nothing at offset {number * FAR % count} of {topic}")
    return Driven(times, time.perf_counter() - began)


def fetched(client: RawClient, topic: str, offset: int, bytes_max: int) -> Any:
    """Whole batches of partition 0 from this offset on."""
    part = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=bytes_max)
    request = FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=50 << 20, topics=[FetchTopic(topic, partitions=[part])])
    client.send(client.frame(*FETCH, request))
    frame = received(client)
    _, position = decode_response_header(frame, *FETCH)
    response, _ = decode(FetchResponse, FETCH[1], frame, position)
    found = response.responses[0].partitions[0]
    if found.error_code:
        raise RuntimeError(f"a fetch request is answered with {error_name(found.error_code)}")
    return whole(found.records)


def whole(records: Any) -> Any:
    """Batches as one buffer."""
    return b"".join(records) if isinstance(records, list) else records or b""


def received(client: RawClient) -> memoryview:
    """The next frame, without a copy for each piece that arrives."""
    size = memoryview(bytearray(4))
    fill(client, size)
    frame = memoryview(bytearray(int.from_bytes(size, "big")))
    fill(client, frame)
    return frame


def fill(client: RawClient, room: memoryview) -> None:
    have = 0
    while have < len(room):
        piece = client.socket.recv_into(room[have:])
        if not piece:
            raise ConnectionResetError(f"closed after {have} of {len(room)} bytes")
        have += piece
