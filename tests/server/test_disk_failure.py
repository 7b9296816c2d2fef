"""A disk that breaks its promises: the engine stops rather than lie, and the next start believes only what it reads.

The kernel is made to answer real system calls of a real daemon with errors, by strace.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.records import encode_batch
from support.engine import Engine, NotReadyError, environment
from support.raw_client import RawClient
from support.waiting import wait_for

StartEngine = Callable[..., Engine]


def make_topic(client: RawClient) -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True)
    assert client.ask(3, 9, request).topics[0].error_code == 0


def produce_request(value: bytes = b"v", acks: int = -1) -> ProduceRequest:
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([value]))])
    return ProduceRequest(acks=acks, timeout_ms=30_000, topic_data=[data])


def produced(client: RawClient, value: bytes = b"v") -> tuple[int, int]:
    (answer,) = client.ask(0, 9, produce_request(value)).responses[0].partition_responses
    return answer.error_code, answer.base_offset


def fetched(client: RawClient, offset: int) -> tuple[int, bytes]:
    asked = FetchTopic(topic="t", partitions=[FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)])
    (answer,) = client.ask(1, 11, FetchRequest(max_wait_ms=0, min_bytes=0, topics=[asked])).responses[0].partitions
    return answer.error_code, bytes(answer.records or b"")


@contextlib.contextmanager
def injected(pid: int, fault: str, directory: pathlib.Path) -> Iterator[None]:
    """From now on these system calls of the process fail."""
    said = directory / "strace.txt"
    calls = fault.partition(":")[0]
    with said.open("wb") as stderr:
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={fault}", "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=stderr)
    try:
        wait_for(lambda: b"attached" in said.read_bytes() or tracer.poll() is not None, "strace to attach")
        if b"attached" not in said.read_bytes():
            pytest.skip(f"strace may not attach here: {said.read_text()}")
        yield
    finally:
        tracer.terminate()
        tracer.wait()


@pytest.mark.strace
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
@pytest.mark.parametrize("number", ["EIO", "ENOSPC"])
def test_a_sync_that_fails_ends_the_engine_within_a_second_and_answers_nobody(
    start_engine: StartEngine, tmp_path: pathlib.Path, number: str
) -> None:
    """Exit 74, the connection closes without a reply, nothing is marked clean, and what was answered before is there again."""
    engine = start_engine(settings={"ev.flush.method": "file"})
    with RawClient(engine.address) as client:
        make_topic(client)
        assert produced(client, b"kept") == (0, 0)
        with injected(engine.pid, f"fdatasync,fsync:error={number}", tmp_path):
            begin = time.monotonic()
            with contextlib.suppress(OSError):  # a sync in the background may have been the first to fail
                client.send(client.frame(0, 9, produce_request(b"never answered")))
            assert client.closed()
            assert engine.wait() == 74
            assert time.monotonic() - begin < 1
    assert not (engine.directory / ".kafka_cleanshutdown").exists()
    assert "the disk failed" in engine.log()
    engine.start()
    with RawClient(engine.address) as client:
        code, records = fetched(client, 0)
        assert code == 0
        assert b"kept" in records


@pytest.mark.strace
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
def test_a_sync_that_fails_while_the_engine_stops_or_starts_is_said_in_one_line(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """Status 74 here too, and no traceback; what was acknowledged is there again."""
    engine = start_engine()
    with RawClient(engine.address) as client:
        make_topic(client)
        assert produced(client, b"kept") == (0, 0)
    with injected(engine.pid, "rename:error=EIO", tmp_path):
        assert engine.stop() == 74
    assert not (engine.directory / ".kafka_cleanshutdown").exists()
    assert "the disk failed" in engine.log()
    engine.wrapper = ("strace", "-f", "-o", "/dev/null", "-P", str(engine.directory / "engine.json.tmp"), "-e", "inject=fsync:error=EIO")
    with pytest.raises(NotReadyError, match=r"failed 74 .*engine.json cannot be written"):
        engine.start()
    assert "Traceback" not in engine.log()
    engine.wrapper = ()
    engine.start()
    with RawClient(engine.address) as client:
        code, records = fetched(client, 0)
        assert (code, b"kept" in records) == (0, True)


@pytest.mark.strace
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
def test_a_write_that_fails_is_refused_and_leaves_no_trace(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """The engine goes on, and the next record gets the offset that the refused one would have had."""
    engine = start_engine()
    with RawClient(engine.address) as client:
        make_topic(client)
        assert produced(client, b"first") == (0, 0)
        with injected(engine.pid, "pwritev2,pwritev:error=EIO:when=1", tmp_path):
            assert produced(client, b"refused" * 1000)[0] == ErrorCode.KAFKA_STORAGE_ERROR  # too large to wait for its file
        assert produced(client, b"second") == (0, 1)
        code, records = fetched(client, 0)
        assert code == 0
        assert b"first" in records
        assert b"second" in records
        assert b"refused" not in records
    assert engine.stop() == 0


def test_a_damaged_segment_is_reported_and_never_served(start_engine: StartEngine) -> None:
    """What lies before the damage is served; a fetch of what lies behind it is an error, nothing is cut off, other topics go on."""
    engine = start_engine()
    with RawClient(engine.address) as client:
        make_topic(client)
        for number in range(20):
            assert produced(client, b"record %02d" % number)[0] == 0
    assert engine.stop() == 0
    path = engine.directory / "t-0" / "00000000000000000000.log"
    data = bytearray(path.read_bytes())
    place = data.index(b"record 10")
    data[place] ^= 0x40
    path.write_bytes(data)
    engine.start()
    with RawClient(engine.address) as client:
        code, records = fetched(client, 0)
        assert (code, b"record 09" in records, b"record 10" in records) == (0, True, False)
        code, records = fetched(client, 10)
        assert code in (ErrorCode.CORRUPT_MESSAGE, ErrorCode.KAFKA_STORAGE_ERROR)
        assert records == b""
        assert produced(client)[0] == ErrorCode.KAFKA_STORAGE_ERROR
        request = MetadataRequest(topics=[MetadataRequestTopic(name="other")], allow_auto_topic_creation=True)
        assert client.ask(3, 9, request).topics[0].error_code == 0
    assert path.read_bytes() == data
    wait_for(lambda: "t-0" in engine.log() and "no more writes" in engine.log(), "a line in the log")


def test_no_engine_starts_where_it_cannot_write(tmp_path: pathlib.Path) -> None:
    """One line that says what is wrong, no traceback."""
    place = tmp_path / "file"
    place.write_text("not a directory")
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "ev.server.daemon", "--data-dir", str(place / "data"), "--listen", "127.0.0.1:0", "--ready-fd", "1"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout.startswith("failed 1 the data directory")
    assert "Traceback" not in ended.stderr


def test_a_damaged_log_of_the_engine_itself_is_a_reason_not_to_start(start_engine: StartEngine) -> None:
    """What is missing in it cannot be told from what never was: groups would go on where they never were. One line says so."""
    engine = start_engine()
    with RawClient(engine.address) as client:
        make_topic(client)
        assert client.ask(10, 2, FindCoordinatorRequest(key="g", key_type=0)).error_code == 0
        for offset in range(20):
            place = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
            request = OffsetCommitRequest(group_id="g", topics=[OffsetCommitRequestTopic(name="t", partitions=[place])])
            assert client.ask(8, 5, request).topics[0].partitions[0].error_code == 0
    assert engine.stop() == 0
    (path,) = [path for path in engine.directory.glob("__consumer_offsets-*/*.log") if path.stat().st_size]
    whole = path.read_bytes()
    for damaged in (whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], whole[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(NotReadyError, match=r"failed 1 .*__consumer_offsets-\d is damaged"):
            engine.start()
        assert path.read_bytes() == damaged
    assert "Traceback" not in engine.log()
    path.write_bytes(whole)
    engine.start()
