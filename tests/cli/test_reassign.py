"""ev reassign: partitions spread over brokers with few moves, and a plan that runs, on three brokers and on one."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli.placing import placed
from support.apache_kafka import ORDERLY, Kafka
from support.command_line import CommandLine
from support.waiting import wait_for

Fresh = Callable[[str], str]


@settings(max_examples=150, deadline=None)
@given(
    some.lists(some.lists(some.integers(1, 6), min_size=1, max_size=3, unique=True), min_size=1, max_size=20),
    some.lists(some.integers(1, 8), min_size=3, max_size=6, unique=True),
)
def test_what_is_placed_is_even(current: list[list[int]], brokers: list[int]) -> None:
    """Each partition has as many replicas as before, on different brokers; nobody has more than its share and those that must be kept."""
    before = {("t", index): replicas for index, replicas in enumerate(current)}
    after = placed(before, brokers)
    total = sum(map(len, current))
    share = -(-total // len(brokers))
    for partition, replicas in after.items():
        assert len(replicas) == len(set(replicas)) == len(before[partition])
        assert set(replicas) <= set(brokers)
    counts = {broker: sum(broker in replicas for replicas in after.values()) for broker in brokers}
    assert max(counts.values()) <= share + 2
    leads = {broker: sum(replicas[0] == broker for replicas in after.values()) for broker in brokers}
    assert max(leads.values()) <= max(-(-len(after) // len(brokers)), 1) + len(brokers)


def test_what_is_even_stays() -> None:
    """Nothing moves without need; racks are kept apart where that is possible."""
    even = {("t", 0): [1, 2], ("t", 1): [2, 3], ("t", 2): [3, 1]}
    assert placed(even, [1, 2, 3]) == even
    assert placed({("t", 0): [1]}, [1, 2, 3], replicas=2, racks={1: "a", 2: "a", 3: "b"}) == {("t", 0): [1, 3]}
    drained = placed(even, [1, 2], replicas=1)
    assert all(set(replicas) <= {1, 2} for replicas in drained.values())


def test_one_broker_has_nothing_to_move(either: CommandLine, fresh: Fresh, tmp_path: pathlib.Path) -> None:
    """And says so; a plan that changes nothing runs; mistakes are sentences."""
    topic = fresh("topic")
    either("topic", "create", topic, "-p", "2")
    assert either.json("reassign", "list") == []
    assert either.json("reassign", "plan", topic) == []
    broker = either.json("cluster", "brokers")[0]["broker"]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": [broker]}]}))
    assert either.json("reassign", "run", str(plan), "--dry-run")[0]["then"] == [broker]
    assert "needs a yes" in either("reassign", "run", str(plan), status=2).err
    either("reassign", "run", str(plan), "--wait", "-y")
    assert "nothing moves" in either("reassign", "cancel", "-y").err
    assert "no broker 99" in either("reassign", "plan", topic, "--brokers", "99", status=3).err
    assert "2 replicas need as many brokers" in either("reassign", "plan", topic, "--replication-factor", "2", status=1).err
    assert "no broker is left" in either("reassign", "plan", topic, "--away-from", str(broker), status=2).err
    for text, said in (("{}", "partitions"), ("nonsense", "is no plan"), ('{"partitions": [{"topic": "t"}]}', "entry 1")):
        plan.write_text(text)
        assert said in either("reassign", "run", str(plan), "-y", status=1).err
    assert "cannot read" in either("reassign", "run", str(tmp_path / "missing"), "-y", status=1).err


@pytest.fixture(scope="module")
def three() -> Iterator[Kafka]:
    with Kafka(nodes=3, properties=ORDERLY, heap="512m") as kafka:
        yield kafka


@pytest.mark.java
@pytest.mark.slow
def test_three_brokers(three: Kafka, tmp_path: pathlib.Path) -> None:
    """Partitions move away from a broker and back; one that is killed is seen, waited for, and leads again when it was elected."""
    ev = CommandLine(tmp_path, EV_BOOTSTRAP=three.bootstrap)
    ev("topic", "create", "moving", "-p", "6", "-r", "2")
    ev("produce", "moving", "-p", "0", data=b"x" * 1000 + b"\n")
    plan, back = tmp_path / "plan.json", tmp_path / "back.json"
    moves = ev.json("reassign", "plan", "moving", "--away-from", "3", "-O", str(plan))
    assert moves
    assert all(3 not in move["then"] for move in moves)
    ev("reassign", "run", str(plan), "--rollback", str(back), "--wait", "-y")
    assert ev.json("reassign", "list", "moving") == []
    partitions = ev.json("topic", "describe", "moving")["partitions"]
    assert all(sorted(partition["replicas"]) == [1, 2] for partition in partitions)
    assert ev.json("reassign", "plan", "moving", "--brokers", "1,2") == [], "it is even already"
    ev("reassign", "run", str(back), "--wait", "-y")
    assert any(3 in partition["replicas"] for partition in ev.json("topic", "describe", "moving")["partitions"])
    assert len(ev.json("cluster", "quorum")["nodes"]) == 3
    wait_for(lambda: ev.json("cluster", "health", status=None)["healthy"], "a healthy cluster", timeout_s=30)
    three.kill(3)
    found = wait_for(
        lambda: (seen := ev.json("cluster", "health", status=None))["brokers_away"] and seen, "the broker to be away", timeout_s=30
    )
    assert found["brokers_away"] == [3]
    assert found["under_replicated"]
    waiting = ev.start("cluster", "health", "--exit-when-healthy", "--for", "60s", "--json")
    waiting.wait_for(b"brokers_away")
    three.start(3)
    three.wait_until_ready()
    assert waiting.end(timeout_s=70).status == 0
    elected = ev("cluster", "elect-leaders", "-y")
    assert "elected" in elected.err or "preferred replica" in elected.err
    assert ev.json("cluster", "elect-leaders", "--dry-run") == []
