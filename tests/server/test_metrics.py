"""Figures for Prometheus: what they say, who may ask, and that asking wrongly costs nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import given
from hypothesis import strategies as st

from ev.errors import ErrorCode
from ev.server.exposition import Exposition
from ev.server.metrics import SYNC_BOUNDS
from ev.server.metrics_listener import LOCAL_HOSTS, REASONS, decide
from ev.server.stalls import Longest
from ev.server.traffic import Durations
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from support.engine import Engine, NotReadyError
from support.ports import free_port
from support.raw_client import RawClient
from support.waiting import wait_for

StartEngine = Callable[..., Engine]
SAMPLE = re.compile(r"([a-z_]+)(\{[^}]*\})? (-?[0-9.e+-]+)")


@pytest.fixture
def engine(start_engine: StartEngine) -> Engine:
    return start_engine(settings={"ev.metrics.listen": "127.0.0.1:0"})


def place(engine: Engine) -> tuple[str, int]:
    host, _, port = json.loads((engine.directory / "engine.json").read_text())["metrics"].rpartition(":")
    return host, int(port)


def asked(engine: Engine, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(*place(engine), timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def figures(engine: Engine) -> dict[str, float]:
    """Every sample by its name and labels; each line is one, or a comment."""
    status, _, text = asked(engine)
    assert status == 200
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            matched = SAMPLE.fullmatch(line)
            assert matched, line
            found[matched[1] + (matched[2] or "")] = float(matched[3])
    return found


def raw(engine: Engine, data: bytes) -> bytes:
    """All that comes back for these bytes."""
    with socket.create_connection(place(engine), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_what_was_done_is_counted(engine: Engine) -> None:
    """Records, bytes, requests by API with their times, connections, partitions, rounds, groups, the loop and the process."""
    admin = AdminClient({"bootstrap.servers": engine.address})
    admin.create_topics([NewTopic("events", 2)])["events"].result(20)
    before = figures(engine)
    producer = Producer({"bootstrap.servers": engine.address, "linger.ms": 0})
    for number in range(50):
        producer.produce("events", b"x" * 1000, partition=number % 2)
    assert producer.flush(20) == 0
    after = figures(engine)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["kafka_server_brokertopicmetrics_messagesin_total"] == 50
    assert grown["kafka_server_brokertopicmetrics_bytesin_total"] > 50_000
    requests = grown['kafka_network_requestmetrics_requests_total{request="Produce"}']
    assert 1 <= requests <= 50
    assert grown['kafka_network_requestmetrics_totaltimems_count{request="Produce"}'] == requests
    assert grown['kafka_network_requestmetrics_totaltimems_bucket{request="Produce",le="16383"}'] == requests
    assert grown["kafka_server_socket_server_metrics_incoming_byte_total"] > 50_000
    assert after["kafka_server_socket_server_metrics_connection_count"] >= 1
    assert sum(after[f'kafka_log_log_logendoffset{{topic="events",partition="{index}"}}'] for index in range(2)) == 50
    assert sum(after[f'kafka_log_log_size{{topic="events",partition="{index}"}}'] for index in range(2)) > 50_000
    assert grown["ev_commit_rounds_total"] >= 1
    assert 2 <= grown["ev_commit_partitions_total"] <= 100, "both partitions, in one round or in several"
    assert grown["ev_commit_sync_seconds_count"] >= 1
    assert after["kafka_server_replicamanager_partitioncount"] == 2
    assert 0 <= after['ev_loop_longest_stall_seconds{since="minute"}'] <= after['ev_loop_longest_stall_seconds{since="start"}']
    assert 1e6 < after["process_resident_memory_bytes"] < 1e9


def test_errors_and_groups_are_counted(engine: Engine) -> None:
    """Answers that were an error as a whole, by name; groups by their state."""
    with RawClient(engine.address) as client:
        heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
        assert client.ask(12, 4, heartbeat).error_code == ErrorCode.UNKNOWN_MEMBER_ID
        client.ask(8, 8, OffsetCommitRequest(group_id="g", topics=[]))
    found = figures(engine)
    assert found['kafka_network_requestmetrics_errors_total{request="Heartbeat",error="UNKNOWN_MEMBER_ID"}'] >= 1
    assert found["kafka_coordinator_group_groupmetadatamanager_numgroups"] == sum(
        count for name, count in found.items() if name.startswith("kafka_server_group_coordinator_metrics_group_count")
    )


def test_with_many_partitions_they_are_not_shown_singly(start_engine: StartEngine) -> None:
    """And a figure says so."""
    engine = start_engine(settings={"ev.metrics.listen": "127.0.0.1:0", "ev.metrics.partitions.max": "5"})
    admin = AdminClient({"bootstrap.servers": engine.address})
    admin.create_topics([NewTopic("few", 5)])["few"].result(20)
    assert figures(engine)["ev_metrics_partitions_left_out"] == 0
    admin.create_topics([NewTopic("many", 1)])["many"].result(20)
    found = figures(engine)
    assert found["ev_metrics_partitions_left_out"] == 1
    assert not any(name.startswith("kafka_log_log") for name in found)


def test_a_stall_of_the_loop_is_seen(engine: Engine) -> None:
    """The engine is stopped for a while: each look says for how long, whoever looks."""
    assert figures(engine)['ev_loop_longest_stall_seconds{since="start"}'] < 0.2
    os.kill(engine.pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(engine.pid, signal.SIGCONT)
    wait_for(lambda: figures(engine)['ev_loop_longest_stall_seconds{since="start"}'] > 0.2, "the stall to be seen")
    for _ in range(2):
        assert figures(engine)['ev_loop_longest_stall_seconds{since="minute"}'] > 0.2
        assert figures(engine)['ev_loop_longest_stall_seconds{since="start"}'] > 0.2


def test_a_stall_is_told_for_a_minute() -> None:
    """Then the longest of the last minute is another one, and the longest ever stays."""
    longest = Longest()
    for moment, took_s in ((0.0, 0.001), (5.0, 0.3), (9.0, 0.002), (31.0, 0.1), (64.0, 0.004)):
        longest.note(moment, took_s)
    assert [longest.recent_s(moment) for moment in (64.0, 69.9, 70.0, 99.9, 100.0, 200.0)] == [0.3, 0.3, 0.1, 0.1, 0.004, 0.0]
    assert longest.ever_s == 0.3


def test_only_who_knows_this_host_may_ask(start_engine: StartEngine) -> None:
    """A page in a browser that has its own name resolved to this machine is refused, and no answer is for other origins."""
    engine = start_engine(settings={"ev.metrics.listen": "127.0.0.1:0", "ev.metrics.hosts": "monitored.example"})
    for host in ("127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:80", "monitored.example:9"):
        status, headers, _ = asked(engine, Host=host, Origin="http://evil.example")
        assert (status, [name for name in headers if name.startswith("access-control")]) == (200, [])
    for host in ("evil.example", "evil.example:9092", "127.0.0.1.evil.example", "", "[::2]"):
        assert asked(engine, Host=host)[0] == 403


def test_other_requests_are_refused(engine: Engine) -> None:
    """By what is wrong with them; each connection has one answer."""
    assert asked(engine, "/")[0] == 404
    assert asked(engine, "/metrics?name=x")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        status, headers, _ = asked(engine, method=method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")
    status, headers, text = asked(engine, method="HEAD")
    assert (status, text) == (200, "")
    assert int(headers["content-length"]) > 1000
    assert raw(engine, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(engine, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(engine, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(engine, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    assert raw(engine, b"\x16\x03\x01\x02\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(engine, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000).startswith(b"HTTP/1.1 431 ")
    assert figures(engine)


def ended(connection: socket.socket) -> bool:
    """Whether the other side closes the connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_slow_and_many_askers_are_cut_off(engine: Engine) -> None:
    """Who says nothing has a few seconds; beyond a few connections at a time nobody is listened to."""
    idle = [socket.create_connection(place(engine), timeout=20) for _ in range(16)]
    try:
        with socket.create_connection(place(engine), timeout=10) as beyond:
            assert ended(beyond)
        assert all(ended(connection) for connection in idle)
    finally:
        for connection in idle:
            connection.close()
    assert figures(engine)


def test_it_does_not_listen_where_others_reach_it(start_engine: StartEngine) -> None:
    """Unless --insecure says so; a taken port is exit status 4, an address that is none a sentence."""
    with pytest.raises(NotReadyError, match=r"failed 2 ev.metrics.listen"):
        start_engine(settings={"ev.metrics.listen": "0.0.0.0:0"})
    with pytest.raises(NotReadyError, match=r"failed 1 .*HOST:PORT"):
        start_engine(settings={"ev.metrics.listen": "9404"})
    with socket.create_server(("127.0.0.1", free_port())) as taken, pytest.raises(NotReadyError, match=r"failed 4 ev.metrics.listen"):
        start_engine(settings={"ev.metrics.listen": f"127.0.0.1:{taken.getsockname()[1]}"})


def test_without_the_setting_nobody_is_listened_to(start_engine: StartEngine) -> None:
    engine = start_engine()
    assert json.loads((engine.directory / "engine.json").read_text())["metrics"] is None


@pytest.mark.parametrize(("took_us", "least_us"), [(40, 64), (63, 64), (65, 128), (1_000, 1_024), (1_024, 2_048), (5_000_000, 8_388_608)])
def test_a_sync_is_counted_from_the_first_bound_above_it(took_us: int, least_us: int) -> None:
    """And from no later one: what is read from the buckets is at most twice what it was."""
    durations = Durations()
    durations.add(took_us / 1e6)
    shown = Exposition()
    shown.histogram("took", durations.buckets, SYNC_BOUNDS, 0)
    counts = dict(re.findall(r'took_bucket\{le="([^"]+)"\} (\d)', shown.text()))
    assert next(bound for bound, count in counts.items() if count == "1") == f"{least_us / 1e6:g}"


@given(st.binary(max_size=200) | st.text(alphabet="GET /metrics HTTP/1.\r\nhost: localx[]", max_size=120).map(str.encode))
def test_no_request_breaks_the_parser(head: bytes) -> None:
    """Whatever comes has a status."""
    assert decide(head, LOCAL_HOSTS)[0] in REASONS


def test_labels_are_escaped() -> None:
    """A name cannot end its quotes, or its line."""
    shown = Exposition()
    shown.sample("name", 1, {"label": 'a"b\\c\nd'})
    assert shown.text() == 'name{label="a\\"b\\\\c\\nd"} 1\n'
