"""Rows about the message codec: how long it takes for the messages that matter, beside kio and kafka-python.

All three write the same bytes, which is checked before anything is measured.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from kio.serial import entity_reader, entity_writer

from bench.figure import Figure
from ev.wire.binding import bind
from ev.wire.catalog import API
from ev.wire.codec import Message, decoder, encode, encoder
from ev.wire.compiler import compile_code
from ev.wire.messages.k00_produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from ev.wire.messages.k01_fetch import FetchableTopicResponse, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from ev.wire.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from support.kio_oracle import kio_class, kio_encode, kio_message

ROUND_S = 0.02
BATCH = bytes(range(256)) * 64

KAFKA_PYTHON = {"Produce": "producer", "Fetch": "consumer", "Metadata": "metadata", "OffsetCommit": "consumer", "Heartbeat": "consumer"}


def produce(partitions: int) -> ProduceRequest:
    data = [PartitionProduceData(index, BATCH) for index in range(partitions)]
    return ProduceRequest(acks=-1, timeout_ms=30000, topic_data=[TopicProduceData(name="orders", partition_data=data)])


def produced(partitions: int) -> ProduceResponse:
    data = [PartitionProduceResponse(index=index, base_offset=123456, log_start_offset=0) for index in range(partitions)]
    return ProduceResponse([TopicProduceResponse(name="orders", partition_responses=data)])


def fetch(partitions: int) -> FetchRequest:
    data = [FetchPartition(partition=index, fetch_offset=123456, partition_max_bytes=1 << 20) for index in range(partitions)]
    return FetchRequest(max_wait_ms=500, min_bytes=1, max_bytes=50 << 20, session_epoch=-1, topics=[FetchTopic("orders", partitions=data)])


def fetched(partitions: int) -> FetchResponse:
    data = [
        PartitionData(partition_index=index, high_watermark=123456, last_stable_offset=123456, log_start_offset=0, records=BATCH)
        for index in range(partitions)
    ]
    return FetchResponse(responses=[FetchableTopicResponse(topic="orders", partitions=data)])


def metadata() -> MetadataResponse:
    topics = [
        MetadataResponseTopic(
            name=f"topic-{number}",
            topic_id=bytes(range(16)),
            partitions=[
                MetadataResponsePartition(partition_index=index, leader_id=1, leader_epoch=7, replica_nodes=[1, 2, 3], isr_nodes=[1, 2, 3])
                for index in range(4)
            ],
        )
        for number in range(3)
    ]
    brokers = [MetadataResponseBroker(1, "127.0.0.1", 9092, None)]
    return MetadataResponse(brokers=brokers, cluster_id="4L6g3nShT-eMCtK--X86sw", controller_id=1, topics=topics)


def commit() -> OffsetCommitRequest:
    partitions = [OffsetCommitRequestPartition(index, 123456, 7, "") for index in range(4)]
    return OffsetCommitRequest(
        group_id="billing",
        generation_id_or_member_epoch=12,
        member_id="consumer-1-6f1c",
        topics=[OffsetCommitRequestTopic("orders", partitions=partitions)],
    )


MESSAGES: dict[str, tuple[Message, int]] = {
    "Produce v9 request, 16 KB": (produce(1), 9),
    "Produce v9 request, 100 partitions": (produce(100), 9),
    "Produce v7 request, 16 KB": (produce(1), 7),
    "Produce v9 response": (produced(1), 9),
    "Produce v9 response, 100 partitions": (produced(100), 9),
    "Fetch v12 request": (fetch(1), 12),
    "Fetch v12 request, 100 partitions": (fetch(100), 12),
    "Fetch v12 response, 16 KB": (fetched(1), 12),
    "Fetch v12 response, 100 partitions": (fetched(100), 12),
    "Metadata v12 request": (MetadataRequest(topics=[MetadataRequestTopic(name=f"topic-{n}") for n in range(3)]), 12),
    "Metadata v12 response, 3 topics x 4 partitions": (metadata(), 12),
    "OffsetCommit v8 request, 4 partitions": (commit(), 8),
    "Heartbeat v4 request": (HeartbeatRequest("billing", 12, "consumer-1-6f1c"), 4),
    "Heartbeat v4 response": (HeartbeatResponse(), 4),
}


def once(call: Callable[[], object]) -> float:
    """Microseconds a call in one short round."""
    count = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < ROUND_S:
        for _ in range(5):
            call()
        count += 5
    return elapsed / count * 1e6


class Sink:
    """Where kio writes to: it costs as little as can be."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)


def kio_calls(message: Message, version: int, data: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    twin = kio_message(message, kio_class(type(message), version))
    assert kio_encode(twin) == data
    reader, writer = entity_reader(type(twin)), entity_writer(type(twin))

    def write() -> bytes:
        sink = Sink()
        writer(sink, twin)  # type: ignore[arg-type]
        return b"".join(sink.parts)

    return lambda: reader(data, 0), write


def kafka_python_calls(message: Message, version: int, data: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    name = type(message).__name__
    package = KAFKA_PYTHON[name.removesuffix("Request").removesuffix("Response")]
    cls: Any = getattr(importlib.import_module(f"kafka.protocol.{package}"), name)
    twin = cls.decode(data, version=version)
    twin._header, twin._version = None, version
    assert bytes(twin.encode(version=version)) == data
    return lambda: cls.decode(data, version=version), lambda: twin.encode(version=version)


def message_codec(rounds: int) -> Iterator[Figure]:
    """Each message both ways by ev, kio and kafka-python in turn, then how long the first use of a version takes."""
    for title, (message, version) in MESSAGES.items():
        data = encode(message, version)
        ours_in, ours_out = decoder(type(message), version), encoder(type(message), version)
        calls: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "ev": (lambda read=ours_in, data=data: read(data, 0), lambda write=ours_out, message=message: write(message)),  # type: ignore[misc]
            "kio": kio_calls(message, version, data),
            "kafka-python": kafka_python_calls(message, version, data),
        }
        decoded = Figure(f"decode {title}", "us", at_least=False, peer="kio")
        encoded = Figure(f"encode {title}", "us", at_least=False, peer="kio")
        for _ in range(rounds):
            for who, (read, write) in calls.items():
                decoded.add(who, once(read))
                encoded.add(who, once(write))
        yield from (decoded, encoded)
    yield compiling(rounds)


def compiling(rounds: int) -> Figure:
    """Milliseconds for the first use of the newest versions of seven APIs, both ways, together: what a short-lived command pays."""
    figure = Figure("first use of 28 codecs", "ms", at_least=False)
    for _ in range(rounds):
        began = time.perf_counter()
        for key in (18, 3, 0, 1, 22, 10, 8):
            api = API[key]
            for cls in (api.request, api.response):
                for verb in ("decode", "encode"):
                    bind(compile_code(cls, api.max_version, verb), cls)
        figure.add("ev", (time.perf_counter() - began) * 1e3)
    return figure
