"""A sync that fails ends the engine: nobody is answered, status 74, and the next start believes only the disk."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Callable

import pytest

from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.kcat import consume
from support.raw_client import RawClient
from support.waiting import wait_for

pytestmark = [pytest.mark.crash, pytest.mark.strace, pytest.mark.root, pytest.mark.kcat]


def produce(value: bytes) -> ProduceRequest:
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([value]))])
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[data])


class Injection:
    """strace on a running engine: every call of one kind fails from now on."""

    def __init__(self, engine: Engine, call: str, error: str, log: pathlib.Path) -> None:
        words = ["strace", "-f", "-p", str(engine.pid), "-e", f"trace={call}", "-e", f"inject={call}:error={error}", "-o", str(log)]
        if call == "pwritev2":  # ordinary writes use it too; the journal's are the ones that sync
            words += ["-P", str(engine.directory / "journal-0"), "-P", str(engine.directory / "journal-1")]
        self.log = log
        self.complaints = log.with_suffix(".err")
        with self.complaints.open("wb") as err:
            self.process = subprocess.Popen(words, stderr=err)
        wait_for(lambda: "attached" in self.complaints.read_text(), "strace to attach")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.mark.parametrize(
    ("method", "call", "error"),
    [
        ("journal", "pwritev2", "EIO"),
        ("file", "fdatasync", "EIO"),
        ("file", "fdatasync", "ENOSPC"),
        ("auto", "pwritev2", "EIO"),
        ("auto", "io_uring_enter", "EIO"),
    ],
)
def test_a_failed_sync_ends_the_engine_with_status_74(
    start_engine: Callable[..., Engine], tmp_path: pathlib.Path, method: str, call: str, error: str
) -> None:
    """The waiter gets no reply but a closed connection, within a second; what was acknowledged before is there after the next start."""
    engine = start_engine(settings={"ev.flush.method": method, "ev.io.uring": str(call == "io_uring_enter").lower()})
    with RawClient(engine.address) as client:
        created = client.ask(19, 7, CreateTopicsRequest(topics=[CreatableTopic(name="t", num_partitions=1, replication_factor=1)]))
        assert created.topics[0].error_code == 0
        for number in range(5):
            assert client.ask(0, 9, produce(b"%d" % number)).responses[0].partition_responses[0].error_code == 0
        injection = Injection(engine, call, error, tmp_path / "strace")
        try:
            began = time.monotonic()
            client.send(client.frame(0, 9, produce(b"never acknowledged")))
            assert client.closed(), "a reply left although the sync failed"
            assert engine.wait(10) == 74
            assert time.monotonic() - began < 3, "a second is promised; strace costs some of it"
        finally:
            injection.close()
    assert "INJECTED" in injection.log.read_text()
    assert not (engine.directory / ".kafka_cleanshutdown").exists()
    engine.start()
    assert [record["payload"] for record in consume(engine.address, "t")][:5] == ["0", "1", "2", "3", "4"]
    assert engine.stop() == 0
