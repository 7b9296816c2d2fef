"""Alerts: rules and what fulfils them, and the files that several dashboards share."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import pytest

from ev_cli.model.alert_files import Alerts, read_marks
from ev_cli.model.alerts import DEFAULTS, Marks, Rule, Watch, rules_of
from ev_cli.model.snapshot import Alert
from ev_cli.model.state import ClusterState, Wish
from support.cluster_answers import cluster, commits, listing, offsets, topic
from support.engine import environment


def late_group(lag: int = 50) -> ClusterState:
    state = ClusterState()
    state.connected(0)
    state.take_cluster(cluster(1, 2), 0)
    state.take_topics([topic("orders", replicas=(1, 2)), topic("orders.dlq")], 0)
    state.take_groups([listing("billing")], 0, everybody=True)
    state.take_starts(offsets({("orders", 0): 0}), 0.0)
    behind(state, 0.0, lag)
    return state


def behind(state: ClusterState, now: float, lag: int) -> None:
    """A hundred records come in each second; the group is so far behind them."""
    end = 1_000 + int(now * 100)
    state.take_committed({"billing": commits({("orders", 0): end - lag})}, now)
    state.take_ends(offsets({("orders", 0): end}), now, int(now * 1000))
    state.settle(["billing"], now, int(now * 1000))


def alerts(watch: Watch, state: ClusterState, now: float, marks: Marks | None = None) -> list[Alert]:
    return watch.evaluated(state.snapshot(Wish(), now, int(now * 1000)), marks or Marks())


def test_a_lag_alerts_when_it_has_lasted() -> None:
    """More than so many for so long; it ends at once, and what comes after that begins anew."""
    watch, state = Watch([Rule("lag", "bill*", 40, 60.0), Rule("lag", "other", 0, 0.0)]), late_group()
    assert alerts(watch, state, 0.0) == []
    assert alerts(watch, state, 59.0) == []
    (alert,) = alerts(watch, state, 60.0)
    assert (alert.about, alert.text, alert.since_ms, alert.is_loud) == ("billing", "lag 50 > 40", 0, True)
    behind(state, 61.0, 30)
    assert alerts(watch, state, 61.0) == []
    assert watch.ended == {alert.key}
    behind(state, 62.0, 60)
    assert alerts(watch, state, 63.0) == []


def test_what_is_not_known_neither_begins_nor_ends_an_alert() -> None:
    """A group of which no lag is known for a while is not well because of that."""
    watch, state = Watch([Rule("lag", above=40)]), late_group()
    (alert,) = alerts(watch, state, 1.0)
    state.topics.states["orders"].partitions[0].end = None
    state.settle(["billing"], 2.0, 2_000)
    assert state.snapshot(Wish(), 2.0, 2_000).groups["billing"].lag is None
    alerts(watch, state, 2.0)
    assert watch.ended == set()
    behind(state, 3.0, 50)
    assert [found.since_ms for found in alerts(watch, state, 3.0)] == [alert.since_ms]


def test_every_kind_of_rule() -> None:
    """Records where none should come, replicas that lack, a broker that has gone, a disk that is full, a group that is late."""
    kinds = [Rule("received", "*.dlq", 2, 60.0), *DEFAULTS, Rule("time-lag", above=1_000)]
    watch, state = Watch(kinds), late_group(0)
    state.take_ends(offsets({("orders.dlq", 0): 10}), 0.0, 0)
    assert alerts(watch, state, 0.0) == []
    state.take_ends(offsets({("orders.dlq", 0): 13}), 5.0, 5_000)
    behind(state, 1.0, 50)
    behind(state, 20.0, 50)
    state.take_topics([topic("orders", replicas=(1, 2), missing=1), topic("orders.dlq")], 5_000)
    state.take_cluster(cluster(1), 5_000)
    state.take_directories([], 5.0)
    alerts(watch, state, 22.0)
    found = {alert.rule: alert.text for alert in alerts(watch, state, 82.0)}
    assert found["under-replicated"] == "1 of its partitions lack replicas"
    assert found["broker-gone"] == "broker at host2:9092 is gone"
    assert found["time-lag"].endswith("late > 1 s")
    assert "received *.dlq" not in found, "that was more than a minute ago"
    state.take_ends(offsets({("orders.dlq", 0): 17}), 83.0, 83_000)
    assert {alert.rule: alert.text for alert in alerts(watch, state, 84.0)}["received *.dlq"] == "received 4 in 60 s"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "lagg", "above": 1}, "'lagg' is unknown"),
        ({"kind": "lag"}, "needs above"),
        ({"kind": "lag", "above": "many"}, "is a number"),
        ({"kind": "lag", "above": 1, "for": "5 parsecs"}, "is no duration"),
        ({"kind": "lag", "abvoe": 1}, "abvoe is unknown"),
        ("lag", "is no table"),
    ],
)
def test_a_rule_that_is_none_is_said_and_the_others_hold(row: object, said: str) -> None:
    """By its number."""
    rules, problems = rules_of({"rule": [{"kind": "lag", "above": 5, "for": "1m"}, row]})
    assert rules == [Rule("lag", "*", 5, 60.0)]
    assert len(problems) == 1
    assert problems[0].startswith("rule 2: ")
    assert said in problems[0]


def test_acknowledged_and_muted_alerts_are_still_there(tmp_path: pathlib.Path) -> None:
    """But not loud: an acknowledged one until it has ended, a muted one until its time is over. A dashboard opened later knows."""
    rules = tmp_path / "alerts.toml"
    rules.write_text('[[rule]]\nkind = "lag"\nabove = 40\n\n[[rule]]\nkind = "lag"\nname = "any lag"\nabove = 0\n')
    state = late_group()
    first = Alerts(str(rules), str(tmp_path / "state"))
    loud, other = first.evaluated(state.snapshot(Wish(), 1.0, 1_000))
    first.acknowledge(loud.key)
    first.mute(other.key, 3_600)
    now_ms = int(time.time() * 1000)
    second = Alerts(str(rules), str(tmp_path / "state"))
    for dashboard in (first, second):
        found = dashboard.evaluated(state.snapshot(Wish(), 3.0, now_ms))
        assert [alert.is_loud for alert in found] == [False, False]
        assert sum(alert.acknowledged for alert in found) == 1
    behind(state, 4.0, 0)
    assert second.evaluated(state.snapshot(Wish(), 5.0, now_ms)) == ()
    marks = read_marks(str(tmp_path / "state"))
    assert marks.acknowledged == frozenset()
    assert len(marks.muted) == 1


def test_rules_are_read_again_when_they_change(tmp_path: pathlib.Path) -> None:
    """Without a restart. A file that does not parse leaves the rules as they were, and says so; none at all means the built-in ones."""
    rules, state = tmp_path / "alerts.toml", late_group()
    found = Alerts(str(rules), str(tmp_path))
    assert found.evaluated(state.snapshot(Wish(), 1.0, 1_000)) == ()
    assert found.rules == list(DEFAULTS)
    rules.write_text('[[rule]]\nkind = "lag"\nabove = 10\n')
    assert len(found.evaluated(state.snapshot(Wish(), 3.0, 3_000))) == 1
    rules.write_text("[[rule]\n")
    assert len(found.evaluated(state.snapshot(Wish(), 5.0, 5_000))) == 1
    assert "TOML" in found.problems[0]


def test_a_lost_connection_keeps_the_alerts(tmp_path: pathlib.Path) -> None:
    """They are neither ended nor forgotten, and no new ones are made of what is not known."""
    rules, state = tmp_path / "alerts.toml", late_group()
    rules.write_text('[[rule]]\nkind = "lag"\nabove = 10\n')
    found = Alerts(str(rules), str(tmp_path))
    before = found.evaluated(state.snapshot(Wish(), 1.0, 1_000))
    state.lost("gone", 2_000, 3.0)
    assert found.evaluated(state.snapshot(Wish(), 5.0, 5_000)) == before


def test_two_processes_lose_nothing_that_either_has_said(tmp_path: pathlib.Path) -> None:
    """Each acknowledges and mutes fifty alerts, at the same time; all of them are kept."""
    script = (
        "import sys\nfrom ev_cli.model.alert_files import Alerts\nalerts = Alerts(None, sys.argv[1])\n"
        "for number in range(50):\n    alerts.acknowledge(f'{sys.argv[2]}-{number}')\n    alerts.mute(f'{sys.argv[2]}-{number}', 600)\n"
    )
    both = [subprocess.Popen([sys.executable, "-P", "-c", script, str(tmp_path), name], env=environment()) for name in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    marks = read_marks(str(tmp_path))
    expected = {f"- {name}-{number}" for name in ("one", "two") for number in range(50)}
    assert marks.acknowledged == expected
    assert {key for key, _ in marks.muted} == expected
