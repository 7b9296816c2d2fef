"""ev bench and ev top: figures that add up, on ev and on Apache Kafka."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ev_cli.latency import Latencies
from support.command_line import CommandLine

Fresh = Callable[[str], str]


def test_what_goes_in_comes_out(either: CommandLine, fresh: Fresh) -> None:
    """As many records as were asked for, of the size that was asked for, from several clients; a cluster is asked about first."""
    topic = fresh("bench")
    is_local = "EV_BOOTSTRAP" not in either.variables
    if not is_local:
        assert "needs a yes" in either("bench", "produce", topic, "--create=2", status=2).err
        assert "--create" in either("bench", "produce", topic, "-y", status=3).err
    made = either.json("bench", "produce", topic, "--create=2", "-n", "20000", "--size", "50", "--clients", "2", "-y")
    assert (made["records"], made["bytes"], made["clients"]) == (20_000, 1_000_000, 2)
    assert 0 < made["p50_ms"] <= made["p95_ms"] <= made["p99_ms"] <= made["p999_ms"]
    assert made["records_per_s"] > 0
    described = either.json("topic", "describe", topic)
    assert described["records"] == 20_000
    values = either("consume", topic, "-e", "-n", "10").lines
    assert all(len(value) == 50 for value in values)
    read = either.json("bench", "consume", topic, "--clients", "2")
    assert (read["records"], read["p50_ms"]) == (20_000, None)
    assert read["mb_per_s"] > 0
    around = either.json("bench", "e2e", topic, "-n", "20", "-y")
    assert around["records"] == 20
    assert 0 < around["p50_ms"] <= around["p999_ms"] < 20_000
    slow = either.json("bench", "produce", topic, "-n", "50", "--rate", "100", "--acks", "1", "-y")
    assert slow["records_per_s"] <= 130
    table = either("bench", "e2e", topic, "-n", "2", "-y", "-o", "table").lines
    assert table[0].split()[0] == "WHAT"
    assert " ms" in table[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("produce", "t", "-n", "0"), "-n"),
        (("produce", "t", "--clients", "0"), "--clients"),
        (("produce", "t", "--acks", "2"), "--acks"),
        (("produce", "t", "--rate", "fast"), "'fast'"),
        (("produce", "t", "-z", "rar"), "rar"),
        (("produce", "t", "--size", "-1"), "--size"),
    ],
)
def test_a_mistake_is_exit_2(one_engine: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    """Before anything is sent."""
    done = one_engine("bench", *arguments, status=2)
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_client_that_fails_is_said(one_engine: CommandLine, fresh: Fresh) -> None:
    """Once, with its reason; a topic that is not there to read is exit 3."""
    topic = fresh("bench")
    one_engine("topic", "create", topic, "-c", "max.message.bytes=1000")
    done = one_engine("bench", "produce", topic, "--size", "5000", "-n", "10", "--clients", "2", status=1)
    assert "MESSAGE_TOO_LARGE" in done.err or "larger" in done.err or "large" in done.err
    assert len(done.err.splitlines()) == 1
    assert "no topic" in one_engine("bench", "consume", fresh("nowhere"), status=3).err


def test_durations_are_kept_to_one_per_cent() -> None:
    """However many there are, and however far apart."""
    latencies = Latencies()
    for number in range(1, 1001):
        latencies.add(number / 1000)
    latencies.add(100.0, 2)
    for share, expected in ((0.5, 0.501), (0.95, 0.952), (0.99, 0.992), (1.0, 100.0)):
        assert latencies.percentile(share) == pytest.approx(expected, rel=0.02)
    assert Latencies().percentile(0.5) is None
    again = Latencies()
    again.merge(latencies)
    assert again.percentile(0.5) == latencies.percentile(0.5)
    assert len(latencies.buckets) < 1000


def test_the_whole_at_a_glance(either: CommandLine, fresh: Fresh) -> None:
    """Brokers, topics and groups in one object; a table with a part for each; lines that say what they are about."""
    topic, group = fresh("topic"), fresh("group")
    either("produce", topic, "--create", data=b"x\n" * 10)
    assert either("consume", topic, "-g", group, "-n", "4").out == b"x\n" * 4
    found = either.json("top", "--interval", "100ms")
    assert [broker["controller"] for broker in found["brokers"]] == [True]
    mine = next(row for row in found["topics"] if row["topic"] == topic)
    assert (mine["records"], mine["records_per_s"], mine["partitions"]) == (10, 0.0, 1)
    assert next(row for row in found["groups"] if row["group"] == group)["lag"] == 6
    lines = either("top", "--interval", "100ms", "-o", "tsv").lines
    assert {line.split("\t")[0] for line in lines} == {"broker", "topic", "group"}
    table = either("top", "--interval", "100ms", "-n", "1", "-o", "table").out.decode()
    assert "BROKER" in table
    assert "GROUP" in table
    assert len(either.json("top", "--interval", "100ms", "-n", "1")["topics"]) == 1
