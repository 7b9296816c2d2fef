"""A full disk, a real one: records are refused, everything that frees space or is small goes on, and writes resume by themselves."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.waiting import wait_for

DEVICE_BYTES = 160 << 20
BATCH = encode_batch([bytes(900_000)])

pytestmark = [pytest.mark.root, pytest.mark.skipif(sys.platform != "linux", reason="loop devices are Linux's")]


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of its own, on a loop device."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(DEVICE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def create(client: RawClient, *names: str) -> list[int]:
    topics = [CreatableTopic(name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[]) for name in names]
    return [result.error_code for result in client.ask(19, 7, CreateTopicsRequest(topics=topics, timeout_ms=5000)).topics]


def produced(client: RawClient, topic: str, batch: bytes = BATCH) -> int:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    (answer,) = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])).responses[0].partition_responses
    code: int = answer.error_code
    return code


def fetched(client: RawClient, topic: str, offset: int) -> Any:
    asked = FetchTopic(topic=topic, partitions=[FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)])
    return client.ask(1, 11, FetchRequest(max_wait_ms=0, min_bytes=0, topics=[asked])).responses[0].partitions[0]


def commit(client: RawClient, offset: int) -> int:
    place = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(group_id="g", topics=[OffsetCommitRequestTopic(name="large", partitions=[place])])
    code: int = client.ask(8, 5, request).topics[0].partitions[0].error_code
    return code


def committed(client: RawClient) -> int:
    request = OffsetFetchRequest(group_id="g", topics=[OffsetFetchRequestTopic(name="large", partition_indexes=[0])])
    offset: int = client.ask(9, 5, request).topics[0].partitions[0].committed_offset
    return offset


def test_a_full_disk_refuses_records_and_takes_them_again_when_a_topic_is_deleted(small_disk: pathlib.Path) -> None:
    """No restart, nothing acknowledged is lost, and reading, committing and deleting work all the while."""
    with Engine(small_disk / "data", settings={"log.segment.bytes": str(8 << 20)}) as engine, RawClient(engine.address) as client:
        assert create(client, "large", "small") == [0, 0]
        assert produced(client, "small", encode_batch([b"kept"])) == 0
        assert commit(client, 1) == 0
        count = 0
        while (code := produced(client, "large")) == 0:
            count += 1
            assert count < 2 * DEVICE_BYTES // len(BATCH), "the disk never fills"
        assert code == ErrorCode.KAFKA_STORAGE_ERROR
        assert produced(client, "small", encode_batch([b"refused"])) == ErrorCode.KAFKA_STORAGE_ERROR
        assert create(client, "another") == [ErrorCode.KAFKA_STORAGE_ERROR]
        assert b"kept" in bytes(fetched(client, "small", 0).records)
        assert fetched(client, "large", count - 1).error_code == 0
        for offset in range(2, 200):
            assert commit(client, offset) == 0
        assert committed(client) == 199
        asked = DeleteRecordsTopic(name="large", partitions=[DeleteRecordsPartition(partition_index=0, offset=1)])
        assert client.ask(21, 2, DeleteRecordsRequest(topics=[asked], timeout_ms=5000)).topics[0].partitions[0].error_code == 0
        deleted = client.ask(20, 6, DeleteTopicsRequest(topics=[DeleteTopicState(name="large")], timeout_ms=5000))
        assert deleted.responses[0].error_code == 0
        wait_for(lambda: produced(client, "small") == 0, "the engine to take records again")
        assert create(client, "another") == [0]
        assert engine.stop() == 0
        engine.start()
        with RawClient(engine.address) as again:
            assert b"kept" in bytes(fetched(again, "small", 0).records)
        assert "records are refused" in engine.log()
        assert "records are taken" in engine.log()
