"""The state of a cluster: answers in, snapshots out, without anybody who asks or waits."""

from __future__ import annotations

import pytest

from ev.client.results import FoundOffset
from ev.errors import ErrorCode, KafkaError
from ev_cli.model.lag import NEVER, Verdict
from ev_cli.model.snapshot import Snapshot
from ev_cli.model.state import ClusterState, Wish
from support.cluster_answers import cluster, commits, group, listing, offsets, topic

LOOK_AT_ALL = Wish(topic_details=frozenset(("orders",)), group_details=frozenset(("billing",)))


def shown(state: ClusterState, now: float) -> Snapshot:
    return state.snapshot(LOOK_AT_ALL, now, int(now * 1000))


def one_topic(partitions: int = 2) -> ClusterState:
    state = ClusterState()
    state.connected(0)
    state.take_cluster(cluster(1, 2), 0)
    state.take_topics([topic("__consumer_offsets"), topic("orders", partitions, replicas=(1, 2))], 0)
    return state


def ends(state: ClusterState, now: float, *values: int) -> None:
    found = {("orders", index): value for index, value in enumerate(values)}
    state.take_ends(offsets(found), now, int(now * 1000))


def test_what_nobody_has_read_is_unknown() -> None:
    """Neither records nor sizes nor rates nor lag are zero before an answer has come."""
    empty = ClusterState().snapshot(Wish(), 0.0, 0)
    assert (empty.knows_topics, empty.records_in, empty.cluster_id, empty.controller_id) == (False, None, None, None)
    row = shown(one_topic(), 1.0).topics["orders"]
    assert (row.partitions, row.replication_factor) == (2, 2)
    assert (row.records, row.size_bytes, row.rate, row.bytes_rate, row.max_lag, row.seen_at) == (None,) * 6


def test_a_topic_has_the_sum_of_its_partitions() -> None:
    """Records, rate over its window, and the partition that gets the most."""
    state = one_topic()
    state.take_starts(offsets({("orders", 0): 10, ("orders", 1): 0}), 0.0)
    ends(state, 0.0, 110, 50)
    ends(state, 2.0, 110, 250)
    snapshot = shown(state, 2.0)
    row = snapshot.topics["orders"]
    assert row.rate is not None
    assert (row.records, row.rate.per_s, row.rate.window_s, row.received) == (350, 100.0, 2.0, 200)
    assert (row.skew, row.hottest_partition) == (2.0, 1)
    assert [each.records for each in snapshot.partitions["orders"]] == [100, 250]
    assert snapshot.records_in == row.rate
    assert snapshot.hottest(5) == [row]
    assert [broker.rate.per_s if broker.rate else None for broker in snapshot.brokers] == [100.0, None]
    assert [(broker.leads, broker.replicas) for broker in snapshot.brokers] == [(2, 2), (0, 2)]


def test_offsets_that_go_back_are_no_negative_rate() -> None:
    """Truncated, deleted and made anew under the same name: each begins again."""
    state = one_topic(1)
    for now, end in ((0.0, 1_000), (2.0, 2_000), (4.0, 500)):
        ends(state, now, end)
    assert shown(state, 4.0).topics["orders"].rate is None
    assert shown(state, 4.0).topics["orders"].records is None
    ends(state, 6.0, 600)
    row = shown(state, 6.0).topics["orders"]
    assert row.rate is not None
    assert row.rate.per_s == 50.0
    state.take_topics([topic("orders", topic_id=9)], 7_000)
    assert shown(state, 7.0).topics["orders"].rate is None
    assert [event.text for event in state.events] == ["deleted", "deleted and created again"]


def billing(state: ClusterState, now: float, committed: tuple[int, ...], log_ends: tuple[int, ...]) -> None:
    state.take_committed({"billing": commits({("orders", index): value for index, value in enumerate(committed)})}, now)
    ends(state, now, *log_ends)
    state.settle(["billing"], now, int(now * 1000))


def read_along() -> ClusterState:
    state = one_topic()
    state.take_starts(offsets({("orders", 0): 0, ("orders", 1): 0}), 0.0)
    state.take_groups([listing("billing")], 0, everybody=True)
    state.take_members({"billing": group("billing", {"worker-1": [("orders", 0)], "worker-2": [("orders", 1)]})}, 0)
    return state


def test_one_partition_that_falls_behind_is_told() -> None:
    """The group never catches up, although the sum of its lag shrinks; the verdict names the partition."""
    state = read_along()
    billing(state, 0.0, (0, 0), (100_000, 5_000))
    billing(state, 10.0, (50_000, 0), (100_000, 10_000))
    snapshot = shown(state, 10.0)
    row = snapshot.groups["billing"]
    assert (row.lag, row.members, row.topics) == (60_000, 2, ("orders",))
    assert row.drain is not None
    assert (row.drain.per_s, row.drain.window_s) == (4_500.0, 10.0)
    assert (row.eta_s, row.verdict, row.verdict_about) == (NEVER, Verdict.GROWING, (("orders", 1),))
    first, second = snapshot.group_partitions["billing"]
    assert (first.lag, first.eta_s, first.verdict, first.member) == (50_000, 10.0, Verdict.DRAINING, "worker-1")
    assert (second.lag, second.eta_s, second.verdict) == (10_000, NEVER, Verdict.GROWING)
    assert [member.lag for member in snapshot.members["billing"]] == [50_000, 10_000]
    assert snapshot.topics["orders"].max_lag == 60_000
    assert snapshot.topics["orders"].groups == ("billing",)
    assert [each.max_lag for each in snapshot.partitions["orders"]] == [50_000, 10_000]
    assert snapshot.worst(3) == [row]


def test_the_time_lag_is_the_age_of_the_next_record() -> None:
    """As old as the look at which it came in; before anybody looked it is not known."""
    state = read_along()
    billing(state, 0.0, (0, 0), (0, 0))
    billing(state, 2.0, (0, 0), (100, 0))
    billing(state, 60.0, (100, 0), (200, 0))
    assert shown(state, 60.0).groups["billing"].time_lag_ms == pytest.approx(58_000, abs=1_000)
    billing(state, 62.0, (200, 0), (200, 0))
    assert shown(state, 62.0).groups["billing"].time_lag_ms == 0
    late = read_along()
    billing(late, 0.0, (0, 0), (100, 0))
    assert shown(late, 0.0).groups["billing"].time_lag_ms is None


def test_a_group_without_members_is_dead_and_one_that_does_not_move_is_stalled() -> None:
    """As soon as the list of groups says so; standing still takes half a minute to be one."""
    state = read_along()
    for now in (0.0, 10.0, 20.0, 29.0):
        billing(state, now, (10, 10), (20, 20))
    assert shown(state, 29.0).groups["billing"].verdict is Verdict.STEADY
    billing(state, 31.0, (10, 10), (20, 20))
    assert shown(state, 31.0).groups["billing"].verdict is Verdict.STALLED
    state.take_groups([listing("billing", "Empty")], 32_000, everybody=True)
    row = shown(state, 32.0).groups["billing"]
    assert (row.verdict, row.members, row.lag) == (Verdict.DEAD, 0, 20)


def test_lag_is_unknown_until_every_partition_is_known() -> None:
    """A sum with a hole in it is no sum; a topic that is gone holds nothing."""
    state = read_along()
    state.take_committed({"billing": commits({("orders", 0): 5, ("orders", 1): 5, ("gone", 0): 1})}, 0.0)
    state.take_ends(offsets({("orders", 0): 10}), 0.0, 0)
    state.settle(["billing"], 0.0, 0)
    assert shown(state, 0.0).groups["billing"].lag is None
    ends(state, 1.0, 10, 10)
    state.settle(["billing"], 1.0, 1_000)
    assert shown(state, 1.0).groups["billing"].lag == 10


def test_a_lost_connection_is_said_and_mended() -> None:
    """What was known stays, rates are unknown until two readings have come again; since when is told, and why."""
    state = one_topic(1)
    ends(state, 0.0, 100)
    ends(state, 1.0, 200)
    state.lost("nobody answers", 2_000, 3.0)
    snapshot = shown(state, 2.0)
    assert not snapshot.is_connected
    connection = snapshot.connection
    assert (connection.error, connection.since_ms, connection.next_attempt_at, connection.attempts) == ("nobody answers", 2_000, 3.0, 1)
    assert (snapshot.topics["orders"].rate, snapshot.records_in) == (None, None)
    assert snapshot.partitions["orders"][0].end == 200
    state.lost("nobody answers", 3_000, 5.0)
    assert (state.connection.since_ms, state.connection.attempts) == (2_000, 2)
    state.connected(6_000)
    ends(state, 6.0, 200)
    assert shown(state, 6.0).topics["orders"].rate is None
    ends(state, 7.0, 210)
    row = shown(state, 7.0).topics["orders"]
    assert row.rate is not None
    assert row.rate.per_s == 10.0
    assert [event.text for event in state.events] == ["answers again", "lost: nobody answers"]


def test_a_partition_that_nobody_answers_for_keeps_what_is_known() -> None:
    """With the error beside it."""
    state = one_topic(1)
    ends(state, 0.0, 100)
    state.take_ends({("orders", 0): FoundOffset(-1, error=KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER))}, 2.0, 2_000)
    row = shown(state, 2.0).partitions["orders"][0]
    assert row.end == 100
    assert row.error
    assert row.seen_at == 0.0


def test_brokers_that_went_are_still_shown() -> None:
    """As gone, since when, and as back when they are."""
    state = one_topic()
    state.take_cluster(cluster(1), 5_000)
    assert [(row.node_id, row.is_here, row.gone_since_ms) for row in shown(state, 5.0).brokers] == [(1, True, None), (2, False, 5_000)]
    state.take_cluster(cluster(1, 2), 9_000)
    assert [row.is_here for row in shown(state, 9.0).brokers] == [True, True]
    assert [event.text for event in state.events] == ["back at host2:9092", "gone"]


def test_events_are_differences() -> None:
    """Topics, groups, members and leaders; many leaders at once are one line. What was there at the first look is none."""
    state = read_along()
    state.events.clear()
    state.take_topics([topic("orders", 3, replicas=(1, 2)), topic("tmp.import")], 1_000)
    state.take_groups([listing("billing", "PreparingRebalance"), listing("audit")], 2_000, everybody=True)
    state.take_members({"billing": group("billing", {"worker-1": [], "worker-2": [], "worker-3": []})}, 3_000)
    state.take_topics([topic("orders", 3, leader=2, replicas=(1, 2)), topic("tmp.import", 20)], 4_000)
    state.take_topics([topic("orders", 3, leader=2, replicas=(1, 2)), topic("tmp.import", 20, leader=-1)], 5_000)
    told = [(event.kind, event.about, event.text) for event in reversed(state.events)]
    assert told == [
        ("topic", "orders", "2 → 3 partitions"),
        ("topic", "tmp.import", "created, 1 partition"),
        ("topic", "__consumer_offsets", "deleted"),
        ("rebalance", "billing", "rebalances"),
        ("group", "audit", "appeared"),
        ("rebalance", "billing", "2 → 3 members"),
        ("topic", "tmp.import", "1 → 20 partitions"),
        ("leader", "orders/0", "leader 1 → 2"),
        ("leader", "orders/1", "leader 1 → 2"),
        ("leader", "orders/2", "leader 1 → 2"),
        ("leader", "", "20 partitions have other leaders, 20 of them none"),
    ]
    assert shown(state, 5.0).groups["billing"].rebalances == 1


def test_a_broker_that_does_not_say_its_groups_does_not_delete_them() -> None:
    """Only an answer of everybody says that a group has gone."""
    state = read_along()
    state.take_groups([], 1_000, everybody=False)
    assert list(shown(state, 1.0).groups) == ["billing"]
    state.take_groups([], 2_000, everybody=True)
    assert list(shown(state, 2.0).groups) == []


def test_a_snapshot_does_not_change() -> None:
    """Whatever is learned after it was taken."""
    state = one_topic(1)
    ends(state, 0.0, 100)
    before = shown(state, 0.0)
    row = before.topics["orders"]
    ends(state, 1.0, 200)
    state.take_topics([], 1_000)
    after = shown(state, 1.0)
    assert before.topics["orders"] is row
    assert dict(after.topics) == {}
    assert after.version > before.version
    with pytest.raises(TypeError):
        before.topics["orders"] = row  # type: ignore[index]
