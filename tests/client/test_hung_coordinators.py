"""A coordinator that takes requests and says nothing: one request waits for as long as a request may, then the next one is looked for."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from ev.client.cluster import Cluster
from ev.client.consumer import Consumer
from ev.client.coordinator import Coordinator
from ev.client.group import Heartbeats
from ev.client.membership import STABLE, Membership
from ev.wire.messages import k08_offset_commit, k09_offset_fetch, k10_find_coordinator, k12_heartbeat
from support.scripted_broker import SILENT, Call, ScriptedCluster

PLACE = "t", 0
PATIENCE_MS = 30_000


def second_coordinates(cluster: ScriptedCluster) -> None:
    """From the second question on."""
    cluster.script(10, lambda _: None)
    second = k10_find_coordinator.FindCoordinatorResponse(node_id=2, host="127.0.0.1", port=cluster.ports[2])
    cluster.script(10, lambda _: second, keep=True)


def committed(call: Call) -> k08_offset_commit.OffsetCommitResponse:
    row = k08_offset_commit.OffsetCommitResponsePartition(0, 0)
    return k08_offset_commit.OffsetCommitResponse(topics=[k08_offset_commit.OffsetCommitResponseTopic("t", partitions=[row])])


def test_a_commit_goes_to_the_next_coordinator() -> None:
    """Long before the time of the commit itself is over."""
    with ScriptedCluster(nodes=2, topics={"t": 1}) as cluster:
        second_coordinates(cluster)
        cluster.script(8, lambda _: SILENT, committed)
        with Consumer(cluster.bootstrap, group="g", request_timeout_ms=300) as consumer:
            consumer.assign([PLACE])
            consumer.commit({PLACE: 5}, timeout_ms=PATIENCE_MS)
        assert [call.node for call in cluster.calls(8)] == [1, 2]


def test_what_is_committed_is_asked_of_the_next_coordinator() -> None:
    """The same for questions."""
    row = k09_offset_fetch.OffsetFetchResponsePartition(partition_index=0, committed_offset=5)
    answer = k09_offset_fetch.OffsetFetchResponse(topics=[k09_offset_fetch.OffsetFetchResponseTopic("t", partitions=[row])])
    with ScriptedCluster(nodes=2, topics={"t": 1}) as cluster:
        cluster.versions[9] = 1, 7
        second_coordinates(cluster)
        cluster.script(9, lambda _: SILENT, lambda _: answer)
        with Consumer(cluster.bootstrap, group="g", request_timeout_ms=300) as consumer:
            assert consumer.committed([PLACE], timeout_ms=PATIENCE_MS)[PLACE].offset == 5
        assert [call.node for call in cluster.calls(9)] == [1, 2]


def test_heartbeats_that_another_broker_answers_are_news_for_the_consumer() -> None:
    """It goes to the new coordinator, too, with what it asks: the old one may only hang, and know nothing of what came since."""
    membership = Membership("g")
    membership.state = STABLE
    session = cast(Any, SimpleNamespace(membership=membership, lock=threading.Lock()))
    with ScriptedCluster(nodes=2, topics={"t": 1}) as scripted:
        scripted.versions[12] = 0, 4
        second_coordinates(scripted)
        answer = k12_heartbeat.HeartbeatResponse()
        scripted.script(12, lambda _: answer, lambda _: SILENT, lambda _: answer, lambda _: answer)
        cluster = Cluster(scripted.bootstrap, request_timeout_ms=300)
        try:
            heartbeats, coordinator = Heartbeats(session, lambda: cluster), Coordinator(cluster, "g")
            news = []
            for _ in range(4):
                membership.heartbeat_due_ms = 0
                membership.polled(cluster.now_ms())
                cluster.pause(max(0, coordinator.not_before_ms - cluster.now_ms()))
                heartbeats.turn(cluster, coordinator)
                news.append(membership.coordinator_lost)
                membership.coordinator_lost = False
        finally:
            cluster.close()
        assert [call.node for call in scripted.calls(12)] == [1, 1, 2, 2]
        assert news == [False, False, True, False]
