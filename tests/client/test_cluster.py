"""Several brokers behind one address: who is asked, what is remembered, how long is waited."""

from __future__ import annotations

import functools
import threading

import pytest

from ev.client.cluster import Backoff, Cluster, parse_bootstrap
from ev.client.coordinator import Coordinator
from ev.client.security import Sasl, Security
from ev.errors import AuthenticationError, ErrorCode, KafkaError, SettingError, TimedOutError, UnknownTopicError, UnreachableError
from ev.wire.messages.k03_metadata import MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorResponse
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeResponse
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateResponse
from support.ports import free_port
from support.scripted_broker import CLOSE, SILENT, Call, ScriptedCluster


def test_addresses_are_read_as_kafka_writes_them() -> None:
    """Names, digits, IPv6 in brackets; the port may be left out."""
    assert parse_bootstrap("a:1, b ,[::1]:3,[fe80::1]") == [("a", 1), ("b", 9092), ("::1", 3), ("fe80::1", 9092)]


@pytest.mark.parametrize("text", ["", ",", "a:b", ":9092", "a:0", "a:70000", "a:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the form that is expected."""
    with pytest.raises(SettingError, match="HOST:PORT"):
        parse_bootstrap(text)


def test_the_back_off_doubles_within_bounds() -> None:
    """100 ms, 200 ms … 1 s, each 20 % more or less."""
    backoff = Backoff(100, 1_000)
    for attempt, expected in ((0, 100), (1, 200), (2, 400), (3, 800), (4, 1_000), (500, 1_000)):
        pauses = {backoff.after(attempt) for _ in range(200)}
        assert min(pauses) >= expected * 0.8
        assert max(pauses) <= expected * 1.2
        assert len(pauses) > 5


def test_the_first_address_that_answers_is_used() -> None:
    """Dead ones before it cost one attempt each."""
    with ScriptedCluster(topics={"t": 1}) as scripted:
        cluster = Cluster(f"127.0.0.1:{free_port()},{scripted.bootstrap}")
        assert list(cluster.refresh(None).topics) == ["t"]
        cluster.close()


def test_when_nobody_answers_that_is_said_soon() -> None:
    """Each address once, no waiting for a time-out."""
    cluster = Cluster(f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}")
    before_ms = cluster.now_ms()
    with pytest.raises(UnreachableError, match="refused"):
        cluster.refresh()
    assert cluster.now_ms() - before_ms < 5_000
    cluster.close()


def test_the_bootstrap_connection_becomes_the_brokers() -> None:
    """Metadata and what follows go over one connection."""
    with ScriptedCluster(topics={"t": 1}) as scripted:
        cluster = Cluster(f"localhost:{scripted.ports[1]}")
        assert cluster.topic("t", timeout_ms=5_000).partitions[0].leader == 1
        assert cluster.connection_is_ready(1)
        cluster.call(InitProducerIdRequest(transactional_id=None), 1)
        assert len(scripted.calls(18)) == 1
        cluster.close()


def test_requests_go_to_the_broker_they_are_for() -> None:
    """Each node gets its own connection."""
    with ScriptedCluster(nodes=3, topics={"t": 3}) as scripted:
        cluster = Cluster(scripted.bootstrap.split(",")[0])
        cluster.refresh(("t",))
        tickets = [cluster.send(InitProducerIdRequest(transactional_id=None), node) for node in (1, 2, 3)]
        cluster.wait_for(*tickets)
        assert sorted(call.node for call in scripted.calls(22)) == [1, 2, 3]
        assert [cluster.metadata.leader("t", index) for index in range(4)] == [1, 2, 3, None]
        assert cluster.api_version(2, InitProducerIdRequest) == 4
        cluster.close()


def test_a_broker_that_nobody_knows_is_unreachable() -> None:
    """The ticket says so; nothing is raised."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap)
        ticket = cluster.send(InitProducerIdRequest(transactional_id=None), 77)
        assert isinstance(ticket.error, UnreachableError)
        cluster.close()


def test_a_lost_connection_is_opened_again() -> None:
    """The next request to the broker gets through, after the back-off."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap)
        cluster.refresh()
        scripted.script(22, lambda call: CLOSE)
        with pytest.raises(UnreachableError):
            cluster.call(InitProducerIdRequest(transactional_id=None), 1)
        assert cluster.call(InitProducerIdRequest(transactional_id=None), 1).producer_id == 1
        cluster.close()


def test_when_the_known_brokers_are_gone_the_bootstrap_addresses_are_asked_again() -> None:
    """The cluster moved: another process answers at the address that was given."""
    with ScriptedCluster(nodes=2, topics={"t": 1}) as scripted:
        elsewhere = MetadataResponse(brokers=[MetadataResponseBroker(9, "127.0.0.1", free_port())], cluster_id="x", controller_id=9)
        scripted.script(3, lambda call: elsewhere)
        cluster = Cluster(scripted.bootstrap)
        assert list(cluster.refresh().brokers) == [9]
        scripted.disconnect()
        assert sorted(cluster.refresh().brokers) == [1, 2]
        cluster.close()


def test_an_unknown_topic_is_waited_for_and_then_named() -> None:
    """Metadata takes a moment to reach every broker after a topic was created."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=10)
        with pytest.raises(UnknownTopicError) as caught:
            cluster.topic("t", timeout_ms=100)
        assert caught.value.topic == "t"
        assert len(scripted.calls(3)) >= 2

        def create(call: object) -> None:
            scripted.topics["t"] = 2

        scripted.script(3, lambda call: None, create)
        assert list(cluster.topic("t", timeout_ms=5_000).partitions) == [0, 1]
        cluster.close()


def test_who_is_late_to_hear_of_a_topic_does_not_have_the_last_word() -> None:
    """Created a moment ago: the broker at hand does not know it yet, another one does. One that nobody knows is named at once."""
    with ScriptedCluster(nodes=3, topics={"t": 3}) as scripted:
        late = {1, 2}

        def answer(call: Call) -> MetadataResponse | None:
            found: MetadataResponse = scripted.answer(call)
            for row in found.topics:
                if call.node in late:
                    row.error_code, row.partitions = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, []
            return found

        scripted.script(3, answer, keep=True)
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=10)
        assert list(cluster.topic("t", timeout_ms=0).partitions) == [0, 1, 2]
        late.add(3)
        with pytest.raises(UnknownTopicError):
            cluster.topic("u", timeout_ms=0)
        asked = [call.node for call in scripted.calls(3) if [row.name for row in call.request.topics] == ["u"]]
        assert len(asked) == len(set(asked)) == 3
        cluster.close()


def test_creating_topics_is_asked_for_explicitly() -> None:
    """Who only looks must not create."""
    with ScriptedCluster(topics={"t": 1}) as scripted:
        cluster = Cluster(scripted.bootstrap)
        cluster.topic("t", timeout_ms=5_000)
        cluster.refresh(("u",))
        cluster.refresh(("u",), create=True)
        assert [call.request.allow_auto_topic_creation for call in scripted.calls(3)] == [False, False, True]
        cluster.close()


def test_watched_topics_are_brought_up_to_date_in_the_background() -> None:
    """After `request_update` a poll is enough; while a topic is missing the question is repeated."""
    with ScriptedCluster(nodes=2, topics={"t": 1}) as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=10)
        cluster.topic("t", timeout_ms=5_000)
        scripted.leaders["t", 0] = 2
        cluster.watch(("u",))
        cluster.request_update()
        while cluster.metadata.leader("t", 0) != 2:
            cluster.poll(1_000)
        scripted.topics["u"] = 1
        while "u" not in cluster.metadata.topics:
            cluster.poll(1_000)
        cluster.close()


def test_a_partition_without_a_leader_is_asked_about_with_pauses() -> None:
    """However often somebody finds the metadata out of date."""
    with ScriptedCluster(topics={"t": 1}) as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=50)
        cluster.topic("t", timeout_ms=5_000)
        scripted.leaders["t", 0] = -1
        until_ms = cluster.now_ms() + 300
        while cluster.now_ms() < until_ms:
            cluster.request_update()
            cluster.poll(5)
        assert 2 <= len(scripted.calls(3)) <= 10
        assert cluster.metadata.leader("t", 0) is None
        cluster.close()


def test_a_broker_that_lags_behind_does_not_bring_back_an_old_leader() -> None:
    """The newer leader epoch wins, until the topic is another one."""

    def answer(leader: int, epoch: int, topic_id: bytes) -> MetadataResponse:
        brokers = [MetadataResponseBroker(1, "127.0.0.1", scripted.ports[1]), MetadataResponseBroker(2, "127.0.0.1", 1)]
        partition = MetadataResponsePartition(partition_index=0, leader_id=leader, leader_epoch=epoch)
        return MetadataResponse(brokers=brokers, topics=[MetadataResponseTopic(name="t", topic_id=topic_id, partitions=[partition])])

    with ScriptedCluster() as scripted:
        one, other = b"1" * 16, b"2" * 16
        cluster = Cluster(scripted.bootstrap)
        for (leader, epoch, topic_id), expected in (((2, 5, one), 2), ((1, 4, one), 2), ((1, 6, one), 1), ((2, 0, other), 2)):
            scripted.script(3, functools.partial(lambda response, call: response, answer(leader, epoch, topic_id)))
            cluster.refresh(("t",))
            assert cluster.metadata.leader("t", 0) == expected
        cluster.close()


def test_a_coordinator_is_found_once_and_waited_for() -> None:
    """Errors that pass are waited out; forgetting it asks again."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=10)
        scripted.script(10, lambda call: FindCoordinatorResponse(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE, node_id=-1))
        assert cluster.coordinator("g") == 1
        assert cluster.coordinator("g") == 1
        assert len(scripted.calls(10)) == 2
        cluster.forget_coordinator("g")
        assert cluster.coordinator("g") == 1
        assert len(scripted.calls(10)) == 3
        scripted.script(10, lambda call: FindCoordinatorResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED))
        with pytest.raises(KafkaError, match="GROUP_AUTHORIZATION_FAILED"):
            cluster.coordinator("other")
        cluster.close()


def test_a_groups_coordinator_is_looked_for_with_pauses_however_often_it_is_wanted() -> None:
    """Who polls in small steps asks no more often than who waits; what does not pass is raised at once."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=50)
        coordinator = Coordinator(cluster, "g", dedicated=False)
        scripted.script(10, lambda call: FindCoordinatorResponse(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE, node_id=-1), keep=True)
        until_ms = cluster.now_ms() + 400
        while cluster.now_ms() < until_ms:
            assert coordinator.find_or_wait(5) is None
        assert 2 <= len(scripted.calls(10)) <= 5
        with pytest.raises(KafkaError, match="COORDINATOR_NOT_AVAILABLE"):
            coordinator.find(600)
        scripted.unscript(10)
        assert coordinator.find(10_000) == 1
        coordinator.forget()
        scripted.script(10, lambda call: FindCoordinatorResponse(error_code=ErrorCode.GROUP_AUTHORIZATION_FAILED))
        with pytest.raises(KafkaError, match="GROUP_AUTHORIZATION_FAILED"):
            coordinator.find_or_wait(10_000)
        cluster.close()


def test_a_broker_that_hangs_keeps_nobody_from_looking_for_a_coordinator() -> None:
    """It takes no longer than it may; the answer is taken in whenever it comes."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap)
        coordinator = Coordinator(cluster, "g", dedicated=False)
        hung = threading.Event()
        scripted.script(10, lambda call: None if hung.wait(10) else SILENT)
        started_ms = cluster.now_ms()
        assert coordinator.find_or_wait(50) is None
        assert cluster.now_ms() - started_ms < 5_000
        hung.set()
        assert coordinator.find(10_000) == 1
        assert len(scripted.calls(10)) == 1
        cluster.close()


def test_retrying_ends_with_the_time_or_with_what_will_not_pass() -> None:
    """Retriable codes are repeated until the deadline; others are raised at once."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=5, retry_backoff_max_ms=10)
        tries: list[int] = []

        def fail(code: int) -> None:
            tries.append(code)
            raise KafkaError(code)

        with pytest.raises(KafkaError, match="NOT_COORDINATOR"):
            cluster.retry(lambda: fail(ErrorCode.NOT_COORDINATOR), 100)
        assert len(tries) > 3
        tries.clear()
        with pytest.raises(KafkaError, match="TOPIC_AUTHORIZATION_FAILED"):
            cluster.retry(lambda: fail(ErrorCode.TOPIC_AUTHORIZATION_FAILED), 10_000)
        assert len(tries) == 1
        cluster.close()


def test_a_broker_that_does_not_answer_is_a_time_out() -> None:
    """Not an unreachable one: the request may have been carried out."""
    with ScriptedCluster() as scripted:
        scripted.script(22, lambda call: SILENT)
        cluster = Cluster(scripted.bootstrap)
        with pytest.raises(TimedOutError):
            cluster.call(InitProducerIdRequest(transactional_id=None), timeout_ms=50)
        cluster.close()


def test_an_idle_connection_that_the_broker_closed_costs_no_request() -> None:
    """It is noticed before the next request is written to it."""
    with ScriptedCluster() as scripted:
        cluster = Cluster(scripted.bootstrap)
        cluster.refresh()
        scripted.disconnect()
        while cluster.connection_is_ready(1):
            cluster.poll(1_000)
        assert cluster.call(InitProducerIdRequest(transactional_id=None), 1).producer_id == 1
        cluster.close()


@pytest.mark.java
def test_apache_kafka_is_a_cluster(apache: object) -> None:
    """Brokers, cluster id, topics and coordinators of the real one."""
    cluster = Cluster(apache.bootstrap)  # type: ignore[attr-defined]
    metadata = cluster.refresh(None)
    assert metadata.cluster_id
    node = cluster.coordinator("some-group")
    assert node in metadata.brokers
    assert cluster.connection_is_ready(node)
    cluster.close()


def test_a_refusal_is_told_once_and_not_asked_for_again() -> None:
    """Brokers lock out who tries a wrong password too often: the metadata is asked for again when somebody needs it."""
    with ScriptedCluster(topics={"t": 1}) as scripted:
        scripted.versions |= {17: (0, 1), 36: (0, 2)}
        scripted.script(17, lambda call: SaslHandshakeResponse(mechanisms=["PLAIN"]), keep=True)
        scripted.script(36, lambda call: SaslAuthenticateResponse(58, "no"), keep=True)
        security = Security(sasl=Sasl("PLAIN", "alice", "wrong"))
        cluster = Cluster(scripted.bootstrap, retry_backoff_ms=5, reconnect_backoff_ms=5, security=security)
        cluster.watch(["t"])
        cluster.request_update()
        cluster.pause(300)
        assert isinstance(cluster.take_refusal(), AuthenticationError)
        assert cluster.take_refusal() is None
        assert len(scripted.calls(36)) == 1
        scripted.unscript(36)
        scripted.script(36, lambda call: SaslAuthenticateResponse(), keep=True)
        cluster.request_update()
        cluster.pause(300)
        assert cluster.metadata.leader("t", 0) == 1
        cluster.close()
