"""A disk that fills up: records are refused, everything else works, and writes resume by themselves."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.waiting import wait_for

pytestmark = [pytest.mark.crash, pytest.mark.root]
SIZE = 128 << 20
VALUE = b"x" * 500_000


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 128 MiB on a loop device."""
    image, place = tmp_path / "image", tmp_path / "mount"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True, text=True)
    assert mounted.returncode == 0, mounted.stderr
    yield place
    subprocess.run(["umount", str(place)], check=True, capture_output=True)


def produce(client: RawClient, topic: str, value: bytes = VALUE) -> int:
    """The error code that a record of this topic is answered with."""
    records = encode_batch([value], timestamps=time.time_ns() // 1_000_000)  # an old one would fall to retention
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=records)])
    told = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[data])).responses[0].partition_responses[0]
    return int(told.error_code)


def create(client: RawClient, topic: str) -> None:
    config = [CreatableTopicConfig(name="segment.bytes", value=str(4 << 20)), CreatableTopicConfig(name="file.delete.delay.ms", value="0")]
    asked = CreatableTopic(name=topic, num_partitions=1, replication_factor=1, configs=config)
    assert client.ask(19, 7, CreateTopicsRequest(topics=[asked], timeout_ms=30_000)).topics[0].error_code == 0


def commit(client: RawClient, topic: str, offset: int) -> int:
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(group_id="g", topics=[OffsetCommitRequestTopic(name=topic, partitions=[part])])
    return int(client.ask(8, 8, request).topics[0].partitions[0].error_code)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("least", ["default", "0"])
def test_a_full_disk_refuses_records_and_nothing_else(small_disk: pathlib.Path, start_engine: Callable[..., Engine], least: str) -> None:
    """Produce gets KAFKA_STORAGE_ERROR; Fetch, commits, DeleteRecords and DeleteTopics work; then there is room, without a restart.

    With the default the engine stops in time; with ev.disk.min.free.bytes=0 it runs into ENOSPC itself.
    """
    settings = {} if least == "default" else {"ev.disk.min.free.bytes": least}
    engine = start_engine(small_disk / "data", settings=settings)
    with RawClient(engine.address) as client:
        create(client, "big")
        create(client, "other")
        assert client.ask(10, 2, FindCoordinatorRequest(key="g", key_type=0)).error_code == 0
        assert commit(client, "big", 0) == 0
        accepted = 0
        while (error := produce(client, "big")) == 0:
            accepted += 1
            assert accepted < SIZE // len(VALUE), "the disk never filled up"
        assert error == ErrorCode.KAFKA_STORAGE_ERROR
        assert produce(client, "other") == ErrorCode.KAFKA_STORAGE_ERROR

        for number in range(200):
            assert commit(client, "big", number % accepted) == 0
        asked = FetchPartition(partition=0, fetch_offset=accepted - 1, partition_max_bytes=1 << 20)
        fetched = client.ask(1, 11, FetchRequest(max_wait_ms=0, min_bytes=1, topics=[FetchTopic(topic="big", partitions=[asked])]))
        assert fetched.responses[0].partitions[0].error_code == 0
        assert VALUE in bytes(fetched.responses[0].partitions[0].records)
        part = DeleteRecordsPartition(partition_index=0, offset=1)
        deleted = client.ask(21, 1, DeleteRecordsRequest(topics=[DeleteRecordsTopic(name="big", partitions=[part])], timeout_ms=30_000))
        assert deleted.topics[0].partitions[0].low_watermark == 1
        gone = client.ask(20, 6, DeleteTopicsRequest(topics=[DeleteTopicState(name="big")], timeout_ms=30_000))
        assert gone.responses[0].error_code == 0

        wait_for(lambda: produce(client, "other") == 0, "room for records", 30, pause_s=0.2)
    assert engine.running
    assert engine.stop() == 0
