"""The runtime lets a reply go when the rounds it depends on are on disk, and never before."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ev.broker.client_quotas import ClientQuotas
from ev.broker.quick_produce import Answer
from ev.broker.runtime import READY, UNSENT, Call, Runtime
from ev.broker.throttling import Throttling
from ev.clock import ManualClock
from ev.disk import RealDisk
from ev.log.commit import Committer
from ev.log.journal import Journal
from ev.log.segment import Mark, Segment
from ev.settings import Settings
from ev.wire.header import RequestHeader
from ev.wire.messages.k12_heartbeat import HeartbeatResponse
from support.manual_world import ManualWorld

DISK = RealDisk()


class Log:
    """A partition as far as the committer knows one, over one real file."""

    def __init__(self, directory: Path, committer: Committer) -> None:
        self.gone = False
        self.journal_key = bytes(20)
        self.end_offset = self.dirty_round = self.high_watermark = self.flushed = 0
        self.committer = committer
        self.file = DISK.open(str(directory / "0.log"), create=True)

    def append(self) -> int:
        batch = self.end_offset.to_bytes(8, "big")
        self.file.write_at([batch], 8 * self.end_offset)
        self.end_offset += 1
        return self.committer.wrote(self, self.file, [batch], len(batch))

    def mark(self) -> Mark:
        return Mark(self.end_offset, Segment("", 0), 8 * self.end_offset)

    def write_out(self) -> None:
        """Everything is written at once here."""

    def synced_to(self, mark: Mark) -> None:
        self.high_watermark = mark.offset

    def flushed_to(self, mark: Mark) -> None:
        self.flushed = mark.offset


class Sent:
    """A connection that writes down the correlation ids of the replies that left."""

    client_host = "127.0.0.1"
    principal = "User:ANONYMOUS"
    sasl: Any = None
    listener_name = "PLAINTEXT"
    local_address = ("127.0.0.1", 9092)
    answer_bytes = 0
    answer_bytes_max = 1 << 30
    idle_fetch: Any = None
    metadata_due_ms = 0

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.broker: Any = SimpleNamespace(runtime=runtime)
        self.calls: deque[Call | Answer] = deque()
        self.dispatching = False
        self.blocked = False
        self.throttling = Throttling(ClientQuotas(), Settings(), ManualClock())
        self.sent: list[int] = []
        self.errors: list[int] = []

    def ask(self) -> Call:
        header = RequestHeader(12, 0, len(self.sent) + len(self.calls), None)
        call = Call(self, header, None, HeartbeatResponse, 0, 10)
        self.calls.append(call)
        return call

    def drain(self) -> None:
        while self.calls and self.calls[0].state != UNSENT:
            if self.calls[0].after > self.runtime.synced_round:
                self.runtime.block(self)
                return
            call = self.calls.popleft()
            assert isinstance(call, Call)
            assert call.state == READY
            self.sent.append(call.header.correlation_id)
            self.errors.append(int.from_bytes(bytes(call.parts[-1])[-2:], "big"))

    def close(self, reason: str) -> None:
        raise AssertionError(reason)

    def hold(self, throttle_ms: int) -> None:
        raise AssertionError(throttle_ms)


class Bench:
    """A runtime with one log and one connection, in a world that stands still."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.world = ManualWorld(self.clock)
        self.committer = Committer(DISK, Journal.create(DISK, str(directory), incarnation=1))
        self.runtime = Runtime(self.committer, self.clock, self.world, lambda: None)
        self.log = Log(directory, self.committer)
        self.connection = Sent(self.runtime)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_reply_leaves_when_its_round_is_synced(bench: Bench) -> None:
    """Appended, taken, written: still nothing. Synced: it leaves."""
    bench.connection.ask().reply(HeartbeatResponse(), after=bench.log.append())
    assert bench.connection.sent == []
    bench.world.turn()
    assert bench.connection.sent == []
    bench.world.run_commit()
    assert bench.connection.sent == [0]
    assert bench.log.high_watermark == 1


def test_a_flush_that_is_due_waits_until_the_disk_takes_changes(bench: Bench) -> None:
    """The loop is about to write what waits in memory: on a frozen disk that would hold up everybody."""
    bench.log.append()
    bench.world.turn()
    bench.world.run_commit()
    bench.world.advance(6_000)
    assert not bench.world.flushes
    bench.world.advance(6_000)
    assert len(bench.world.reads) == 1, "it is asked once"
    bench.world.run_read()
    assert len(bench.world.flushes) == 1


def test_a_reply_that_depends_on_nothing_leaves_at_once(bench: Bench) -> None:
    bench.connection.ask().reply(HeartbeatResponse())
    assert bench.connection.sent == [0]


def test_replies_leave_in_the_order_of_their_requests(bench: Bench) -> None:
    """A reply that could leave waits behind an earlier one that can not."""
    first, second, third = (bench.connection.ask() for _ in range(3))
    third.reply(HeartbeatResponse())
    second.reply(HeartbeatResponse())
    assert bench.connection.sent == []
    first.reply(HeartbeatResponse(), after=bench.log.append())
    bench.world.settle()
    assert bench.connection.sent == [0, 1, 2]


def test_everything_that_arrived_before_the_commit_is_in_one_round(bench: Bench) -> None:
    """Appends of one turn of the loop share one wait for the disk."""
    for _ in range(5):
        bench.connection.ask().reply(HeartbeatResponse(), after=bench.log.append())
    bench.world.turn()
    assert len(bench.world.commits) == 1
    bench.world.run_commit()
    assert bench.connection.sent == [0, 1, 2, 3, 4]
    assert bench.runtime.rounds == 1


def test_the_next_round_is_on_its_way_before_the_replies_of_this_one(bench: Bench) -> None:
    """The disk never idles while something waits for it."""
    bench.log.append()
    bench.world.turn()
    bench.log.append()
    bench.world.run_commit()
    assert len(bench.world.commits) == 1


def test_a_failed_sync_answers_nobody(bench: Bench) -> None:
    """The world is told; no reply leaves, no callback runs, the high watermark stays."""
    called: list[str] = []
    number = bench.log.append()
    bench.connection.ask().reply(HeartbeatResponse(), after=number)
    bench.runtime.after_round(number, lambda: called.append("after"))
    bench.world.turn()

    def fail() -> None:
        raise OSError(5, "Input/output error")

    bench.world.commits[0] = (fail, bench.world.commits[0][1])
    bench.world.run_commit()
    assert bench.world.failure is not None
    assert (bench.connection.sent, called, bench.log.high_watermark) == ([], [], 0)


def test_callbacks_wait_for_their_round(bench: Bench) -> None:
    """after_round runs when the round is synced; at once when it is already."""
    called: list[str] = []
    number = bench.log.append()
    bench.runtime.after_round(number, lambda: called.append("first"))
    bench.runtime.after_round(0, lambda: called.append("at once"))
    assert called == ["at once"]
    bench.world.settle()
    assert called == ["at once", "first"]


def test_a_reply_that_waits_too_long_for_the_disk_is_answered_otherwise(bench: Bench) -> None:
    """Past its time the request gets the other answer; the record stays appended."""
    call = bench.connection.ask()
    call.expire_at(1000, lambda: HeartbeatResponse(error_code=7))
    call.reply(HeartbeatResponse(), after=bench.log.append())
    bench.world.turn()
    bench.world.advance(900)
    assert bench.connection.sent == []
    bench.world.advance(600)
    assert (bench.connection.sent, bench.connection.errors) == ([0], [7])
    bench.world.run_commit()
    assert bench.log.high_watermark == 1


def test_an_idle_runtime_has_no_timers(bench: Bench) -> None:
    """After the flush that a write leaves behind nothing wakes the engine any more."""
    bench.connection.ask().reply(HeartbeatResponse(), after=bench.log.append())
    bench.world.settle()
    bench.world.advance(5000)
    bench.world.settle()
    bench.world.advance(1000)
    assert bench.log.flushed == 1
    assert bench.world.armed == []
