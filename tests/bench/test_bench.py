"""The benchmark book can be opened: its groups are listed, one is measured, the page and its plots are made from what was kept."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from bench import kept, limits, page, plot, servers, sizes, systems
from bench.clients import Stream
from bench.curves import figure_of
from bench.figure import Bound, Figure, growth_per_tenfold
from bench.jetstream import MARK, JetStreamPipe, published
from bench.kafka_pipe import KafkaPipe, batch_of, end_offset, fetch_all
from bench.names import GROUPS
from bench.peers import EvPeer
from bench.pipe import SameRequests, drive
from bench.redis_stream import RedisPipe, RedisStream
from support.engine import ROOT, Engine
from support.one_partition import create
from support.raw_client import RawClient
from support.raw_transactions import asked_over

MACHINE = {limits.SEQUENTIAL_WRITE: 500.0, limits.SYNCED_WRITE: 2000.0, limits.MEMORY_COPY: 8000.0}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


# ---- the arithmetic of figures


def test_a_figure_is_the_median_and_is_held_against_what_was_asked_for() -> None:
    figure = Figure("records", "records/s", must=1.0, reach=2.0, peer="kcat")
    for ours, theirs in ((30, 20), (10, 21), (31, 19)):
        figure.add("ev", ours)
        figure.add("kcat", theirs)
    row = figure.result()
    assert row["medians"] == {"ev": 30, "kcat": 20}
    assert (row["ratio"], row["must_met"], row["reach_met"]) == (1.5, True, False)
    assert row["samples"]["ev"] == [30, 10, 31]


def test_small_is_good_where_it_says_so() -> None:
    figure = Figure("late", "ms", must=2.0, reach=1.0, at_least=False)
    figure.add("ev", 1.5)
    row = figure.result()
    assert (row["must_met"], row["reach_met"]) == (True, False)


def test_nothing_is_promised_without_a_wish_and_nothing_compared_without_the_peer() -> None:
    figure = Figure("records", "records/s", must=1.0, peer="kafka")
    figure.add("ev", 5)
    row = figure.result()
    assert row["ratio"] is None
    assert "must_met" not in row
    assert "reach" not in row


@pytest.mark.parametrize(
    ("bound", "value", "at_least", "percent"),
    [
        pytest.param(limits.written(1000), 250_000, True, 50, id="250 MB/s of 500"),
        pytest.param(limits.synced(), 500, True, 25, id="500 of 2,000 syncs"),
        pytest.param(limits.synced(16), 8000, True, 25, id="sixteen that wait"),
        pytest.param(Bound(limits.MEMORY_COPY, 1e9), 1.0, False, 12.5, id="1 GB in a second of 8 GB/s"),
    ],
)
def test_a_figure_says_how_much_of_the_machine_it_is(bound: Bound, value: float, at_least: bool, percent: float) -> None:
    figure = Figure("it", "records/s", at_least=at_least, bound=bound)
    figure.add("ev", value)
    row = figure.result(MACHINE)
    assert row["machine_percent"] == pytest.approx(percent)
    assert row["machine_limit"] == bound.limit
    assert "machine_percent" not in figure.result({})


def test_growth_is_a_factor_per_tenfold() -> None:
    assert growth_per_tenfold([(10, 3), (100, 3), (1000, 3)]) == pytest.approx(1)
    assert growth_per_tenfold([(10, 3), (100, 30), (1000, 300)]) == pytest.approx(10)
    assert growth_per_tenfold([(10, 1), (100, 1.25), (1000, 1.5625)]) == pytest.approx(1.25)


def test_a_curve_is_judged_by_its_processor_time() -> None:
    """A cost that grows with the number is told, and its points are kept for the plot."""
    figure = figure_of("a record as things grow", "things", {10: [(1, 2)], 100: [(10, 2)], 1000: [(100, 2)]})
    row = figure.result()
    assert row["medians"] == {"ev": 10, "time": 1}
    assert not row["must_met"]
    assert row["points"] == [[10, 1, 2], [100, 10, 2], [1000, 100, 2]]


# ---- pipes


class Echo:
    """A server that answers each request of one size with the same answer, cut into pieces that fall anywhere."""

    def __init__(self, request_size: int, answer: bytes) -> None:
        self.near, self.far = socket.socketpair()
        self.request_size, self.answer = request_size, answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        pending = 0
        while data := self.far.recv(7_001):
            done, pending = divmod(pending + len(data), self.request_size)
            answers = self.answer * done
            for start in range(0, len(answers), 1_013):
                self.far.sendall(answers[start : start + 1_013])

    def close(self) -> None:
        self.far.shutdown(socket.SHUT_RDWR)
        self.near.close()
        self.far.close()


class EchoPipe:
    def __init__(self, echo: Echo, count: Callable[[bytes], int]) -> None:
        self.socket = echo.near
        self.requests = SameRequests(bytes(echo.request_size))
        self.answers = count


@pytest.mark.parametrize("in_flight", [1, 100])
def test_what_is_asked_is_answered_once(in_flight: int) -> None:
    echoes = [Echo(120, b"+12}\r\n") for _ in range(3)]
    driven = drive([EchoPipe(echo, lambda data: data.count(b"}")) for echo in echoes], in_flight, count=2_000)
    assert driven.answered == 2_000
    assert len(driven.late_ms) == (2_000 if in_flight == 1 else 0)
    timed = drive([EchoPipe(echoes[0], lambda data: data.count(b"}"))], in_flight, seconds=0.05)
    assert timed.answered >= in_flight
    assert timed.took_s >= 0.05
    for echo in echoes:
        echo.close()


def test_a_connection_that_is_closed_is_told() -> None:
    near, far = socket.socketpair()
    far.sendall(b"}")
    far.close()
    pipe = EchoPipe(Echo(1, b"}"), lambda data: data.count(b"}"))
    pipe.socket = near
    with pytest.raises((ConnectionError, BrokenPipeError)):
        drive([pipe], 5, count=5)
    near.close()


def test_the_engine_is_driven_and_read_with_bytes_made_before(tmp_path: pathlib.Path) -> None:
    with Engine(tmp_path / "data") as engine:
        with RawClient(engine.address) as client:
            topic = create(asked_over(client))
        pipe = KafkaPipe(engine.address, topic, batch_of(b"x" * 100, 10))
        assert drive([pipe], 20, count=200).answered == 200
        pipe.close()
        assert end_offset(engine.address, topic) == 2_010  # one request was the first
        assert fetch_all(engine.address, topic, 2_010) > 0


def test_acknowledgements_of_jetstream_are_counted() -> None:
    pipe = JetStreamPipe.__new__(JetStreamPipe)
    acks = b"".join(b'MSG _INBOX.bench.0 1 29\r\n{"stream":"BENCH", "seq":%4d}\r\n' % number for number in range(50))
    assert sum(pipe.answers(acks[start : start + 17]) for start in range(0, len(acks), 17)) == 50
    with pytest.raises(RuntimeError, match="no space"):
        pipe.answers(b'MSG _INBOX.bench.0 1 60\r\n{"error":{"code":503,"description":"no space"}}\r\n')
    assert published("bench", "_INBOX.1", b"x" + MARK) == b"PUB bench _INBOX.1 2\r\nx\x1e\r\n"


def test_a_stream_of_redis_is_read_to_its_end() -> None:
    """Entries come a thousand at a time, each request from the last identifier on, whatever the pieces are."""
    asked = []
    near, far = socket.socketpair()

    def serve() -> None:
        for first, last in ((0, 1000), (1000, 1500)):
            asked.append(far.recv(1000))
            entries = [b"*2\r\n$5\r\n7-%03d\r\n*2\r\n$1\r\nv\r\n$4\r\nxxx\x1e\r\n" % number for number in range(first, last)]
            reply = b"*1\r\n*2\r\n$6\r\nstream\r\n*%d\r\n" % len(entries) + b"".join(entries)
            for start in range(0, len(reply), 501):
                far.sendall(reply[start : start + 501])

    server = threading.Thread(target=serve)
    server.start()
    reader = RedisStream.__new__(RedisStream)
    reader.socket = near
    assert reader.read_all(1500) > 0
    server.join()
    assert asked[0].endswith(b"$1\r\n0\r\n")
    assert asked[1].endswith(b"$5\r\n7-999\r\n")
    reader.close()
    far.close()
    assert RedisPipe.answers(RedisPipe.__new__(RedisPipe), b"$15\r\n1526919030474-55\r\n" * 3) == 3


def test_a_server_that_is_missing_is_left_out_and_said_to_be(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "program", lambda name: None)
    left_out: list[str] = []
    with contextlib.ExitStack() as stack:
        chosen = list(systems.all_systems(EvPeer(tmp_path), None, tmp_path, stack, left_out))
    assert [system.name for system in chosen] == ["ev"]
    assert [reason.split(" is ")[0] for reason in left_out] == ["systems: nats-server", "systems: redis-server"]
    assert all("apt-get install" in reason for reason in left_out)


class Told:
    """A client that answers as it was told to."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.given = answer

    def wait_until_ready(self) -> None:
        pass

    def tell(self, **told: Any) -> None:
        pass

    def answer(self) -> dict[str, Any]:
        return self.given


def test_a_client_that_fails_is_left_out_with_what_it_said() -> None:
    figure = Figure("produce", "records/s")
    sizes.add_together(figure, "ev", [Told({"records": 500}), Told({"records": 500})], do="produce")
    sizes.add_together(figure, "other", [Told({"records": 500}), Told({"error": "Timeout: no answer"})], do="produce")
    sizes.add_together(figure, "slow", [Told({"records": 0})], do="consume")
    assert list(figure.samples) == ["ev"]
    assert "slow failed in a round: nothing in time" in figure.note
    assert "other failed in a round: Timeout: no answer" in figure.note


def test_a_stream_ends_by_number_or_by_time() -> None:
    most = Stream(b"x", 100, 60.0)
    assert (len(list(most)), most.count) == (100, 100)
    brief = Stream(b"x", 10**9, 0.01)
    assert len(list(brief)) == brief.count < 10**9


# ---- the command


def test_every_group_is_listed_and_measured_by_something() -> None:
    listed = bench("list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(GROUPS)
    wrong = bench("systms")
    assert wrong.returncode == 2
    assert "list" in wrong.stderr


@pytest.mark.slow
def test_a_quick_run_prints_one_object(tmp_path: pathlib.Path) -> None:
    """The limits of the machine need nothing but the machine."""
    done = bench("limits", "--quick", "--dir", str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert {row["figure"].removeprefix("this machine: ") for row in result["rows"]} == set(limits.UNITS)
    assert all(value > 0 for value in result["limits"].values())
    assert list(tmp_path.iterdir()) == []


# ---- the page


def result_of(name: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    facts = {"name": name, "quick": False, "took_s": 3, "load_before": 0.1, "commit": "abc", "machine": "Linux", "durability": "ev syncs"}
    return {**facts, "limits": MACHINE, "rows": rows, "left_out": ["systems: nats-server is missing"], **more}


def some_rows() -> list[dict[str, Any]]:
    bars = Figure('produce <many> & "all" | %o\\n', "records/s", 1.0, 2.0, peer="kcat", bound=limits.written(100))
    bars.settings = {"ev": "synced"}
    for value in (1_500_000, 1_600_000):
        bars.add("ev", value)
        bars.add("kcat", value / 2)
    return [bars.result(MACHINE)]


def test_the_page_is_made_from_what_was_kept(tmp_path: pathlib.Path) -> None:
    curve = figure_of("a record as things grow", "things", {10: [(1, 2)], 100: [(1.1, 2)], 1000: [(1.2, 2)]})
    kept.keep(result_of("lines", some_rows(), note="a busy machine"), tmp_path)
    kept.keep(result_of("curves", [curve.result(MACHINE)]), tmp_path)
    written = page.write(tmp_path).read_text()
    assert "**a busy machine**" in written
    assert "ev **1.55 M** (1.5 M to 1.6 M)<br>kcat **775 k**" in written
    assert "31 % of sequential write" in written
    assert "must >= 1: kept<br>reach >= 2: kept" in written
    assert "Left out: systems: nats-server is missing." in written
    assert "## systems" in written
    for name in ("lines", "curves"):
        assert f"({name}.svg)" in written
        drawing = ElementTree.fromstring((tmp_path / f"{name}.svg").read_text())
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert page.write(tmp_path).read_text() == written


def test_a_whole_run_is_not_replaced_by_a_later_quick_one() -> None:
    whole, quick, later = ({"name": "lines", "quick": quick, "which": which} for which, quick in enumerate((False, True, False)))
    assert kept.newest([quick, whole])["lines"] is whole
    assert kept.newest([whole, quick])["lines"] is whole
    assert kept.newest([whole, later])["lines"] is later


@pytest.mark.parametrize(
    ("value", "text"), [(1_550_000, "1.55 M"), (12_345, "12.3 k"), (1_234, "1,234"), (0.12345, "0.123"), (2.5e9, "2.5 G"), (0, "0")]
)
def test_numbers_are_shown_as_people_read_them(value: float, text: str) -> None:
    assert plot.shown(value) == text
