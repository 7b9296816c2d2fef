"""Connections of a real engine: how many there may be, how long they may be silent, what a slow client costs."""

from __future__ import annotations

import contextlib
import pathlib
import re
import select
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.rules import rule
from support.waiting import wait_for

StartEngine = Callable[..., Engine]


def make_topic(client: RawClient) -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True)
    assert client.ask(3, 9, request).topics[0].error_code == 0


def produce_request(value: bytes) -> ProduceRequest:
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([value]))])
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[data])


def fetch_request(max_wait_ms: int, min_bytes: int = 1) -> FetchRequest:
    asked = FetchTopic(topic="t", partitions=[FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=64 << 20)])
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=64 << 20, topics=[asked])


def alive(client: RawClient) -> bool:
    return bool(client.ask(18, 0, ApiVersionsRequest()).error_code == 0)


def test_one_connection_too_many_is_closed_and_makes_room_when_another_goes(start_engine: StartEngine) -> None:
    """Those that are there are served on."""
    engine = start_engine(settings={"max.connections": "3"})
    clients = [RawClient(engine.address) for _ in range(3)]
    assert all(alive(client) for client in clients)
    with RawClient(engine.address) as refused:
        assert refused.closed()
    assert all(alive(client) for client in clients)
    clients.pop().close()

    def admitted() -> bool:
        with RawClient(engine.address) as client:
            try:
                return alive(client)
            except OSError:
                return False

    wait_for(admitted, "room for another connection")
    for client in clients:
        client.close()


@rule(4)
def test_a_silent_connection_is_closed_and_one_that_waits_for_an_answer_is_not(start_engine: StartEngine) -> None:
    """A long poll is no silence."""
    engine = start_engine(settings={"connections.max.idle.ms": "300"})
    with RawClient(engine.address) as silent, RawClient(engine.address) as waiting:
        make_topic(waiting)
        waiting.send(waiting.frame(1, 11, fetch_request(max_wait_ms=2500)))
        assert silent.closed()
        assert waiting.answer(1, 11).error_code == 0


def test_a_client_that_does_not_read_costs_its_answers_once_and_holds_up_nobody(start_engine: StartEngine) -> None:
    """Reading from its socket stops; the engine does not pile up what it asked for."""
    engine = start_engine()
    with RawClient(engine.address) as greedy, RawClient(engine.address) as other:
        make_topic(other)
        for _ in range(10):
            assert other.ask(0, 9, produce_request(bytes(900_000))).responses[0].partition_responses[0].error_code == 0
        before = resident_bytes(engine.pid)
        sender = threading.Thread(target=send_until_stuck, args=(greedy, greedy.frame(1, 11, fetch_request(0)), 200), daemon=True)
        sender.start()
        for _ in range(50):
            assert alive(other)
        wait_for(lambda: not select.select([], [greedy.socket], [], 0)[1] or not sender.is_alive(), "the greedy client to be stuck")
        if sys.platform == "linux":
            assert resident_bytes(engine.pid) - before < 200 << 20
        assert alive(other)
    sender.join(10)


def test_fetches_that_come_all_at_once_are_read_one_after_the_other(start_engine: StartEngine) -> None:
    """Thirty questions in one segment, 9 MB each: what is not taken yet is not read either, and all are answered in the end."""
    engine = start_engine()
    with RawClient(engine.address) as greedy:
        make_topic(greedy)
        for _ in range(10):
            assert greedy.ask(0, 9, produce_request(bytes(900_000))).responses[0].partition_responses[0].error_code == 0
        before = resident_bytes(engine.pid)
        greedy.send(b"".join(greedy.frame(1, 11, fetch_request(0)) for _ in range(30)))
        with RawClient(engine.address) as other:
            for _ in range(50):
                assert alive(other)
        if sys.platform == "linux":
            assert resident_bytes(engine.pid) - before < 60 << 20
        first = greedy.correlation_id - 29
        assert [int.from_bytes(greedy.next_frame()[:4], "big") for _ in range(30)] == list(range(first, first + 30))


def test_a_client_that_never_takes_its_answers_is_closed(start_engine: StartEngine) -> None:
    """It is silent for as long as any other may be; that it was answered does not keep it."""
    engine = start_engine(settings={"connections.max.idle.ms": "300"})
    with RawClient(engine.address) as greedy, RawClient(engine.address) as other:
        make_topic(other)
        for _ in range(10):
            assert other.ask(0, 9, produce_request(bytes(900_000))).responses[0].partition_responses[0].error_code == 0
        greedy.send(greedy.frame(1, 11, fetch_request(0)) * 5)
        wait_for(lambda: "it has taken nothing of its answers" in engine.log(), "a line in the log")


def test_a_request_that_does_not_go_on_arriving_is_closed(start_engine: StartEngine) -> None:
    """A byte now and then is not enough; one that is large and goes on may take its time."""
    engine = start_engine(settings={"ev.request.stall.ms": "300"})
    with RawClient(engine.address) as slow, RawClient(engine.address) as large:
        make_topic(large)
        slow.send((1000).to_bytes(4, "big") + b"\0")
        frame = large.frame(0, 9, produce_request(bytes(800_000)))
        for position in range(0, len(frame), 100_000):
            large.send(frame[position : position + 100_000])
            with contextlib.suppress(OSError):
                slow.send(b"\0")
            time.sleep(0.12)
        assert large.answer(0, 9).responses[0].partition_responses[0].error_code == 0
        assert slow.closed()
    wait_for(lambda: "bytes of a request of 1000 have come" in engine.log(), "a line in the log")


def send_until_stuck(client: RawClient, frame: bytes, count: int) -> None:
    """Ask for 9 MB, `count` times, without ever reading an answer."""
    try:
        for _ in range(count):
            client.send(frame)
    except OSError:
        return


def resident_bytes(pid: int) -> int:
    if sys.platform != "linux":
        return 0
    (line,) = [line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10


def test_the_loop_is_never_busy_with_one_thing_for_long(start_engine: StartEngine) -> None:
    """Under bulky requests and a topic of a thousand partitions: measured by the engine itself, with room for a slow machine."""
    engine = start_engine(settings={"num.partitions": "1000"})
    with RawClient(engine.address) as client:
        make_topic(client)
        for _ in range(30):
            client.send(client.frame(0, 9, produce_request(bytes(900_000))))
        for _ in range(30):
            assert client.answer(0, 9).responses[0].partition_responses[0].error_code == 0
    assert engine.stop() == 0
    found = re.search(r"longest stall was (\d+) ms", engine.log())
    assert found is not None
    assert int(found[1]) < 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_idle_engine_with_waiting_consumers_costs_no_cpu(start_engine: StartEngine) -> None:
    """Ten long polls and nothing to do: no timer ticks. Two seconds must not cost more than a few hundredths of one."""
    engine = start_engine()
    clients = [RawClient(engine.address) for _ in range(10)]
    try:
        make_topic(clients[0])
        for client in clients:
            client.send(client.frame(1, 11, fetch_request(max_wait_ms=60_000)))
        wait_for(lambda: quiet_for(engine.pid, 0.5), "the work of the start to end")
        before = cpu_ticks(engine.pid)
        assert not select.select([client.socket for client in clients], [], [], 2.0)[0]
        assert cpu_ticks(engine.pid) - before <= 4
    finally:
        for client in clients:
            client.close()


def quiet_for(pid: int, seconds: float) -> bool:
    before = cpu_ticks(pid)
    time.sleep(seconds)
    return cpu_ticks(pid) == before


def cpu_ticks(pid: int) -> int:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
