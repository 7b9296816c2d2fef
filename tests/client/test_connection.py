"""A connection over real sockets: order, versions, deadlines and broken peers."""

from __future__ import annotations

import itertools
import pathlib
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ev.client.authentication import Authentication
from ev.client.connection import CLOSED, READY, Connection, Ticket
from ev.client.inbox import FRAME_SIZE_MAX
from ev.client.security import Sasl, SecretFile
from ev.client.transport import Poller
from ev.errors import (
    AuthenticationError,
    KafkaError,
    MalformedError,
    SettingError,
    TimedOutError,
    UnreachableError,
    UnsupportedApiError,
)
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeResponse
from ev.wire.messages.k18_api_versions import ApiVersionsResponse
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateResponse
from ev.wire.messages.k74_list_config_resources import ListConfigResourcesRequest
from support.ports import free_port
from support.scripted_broker import CLOSE, SILENT, Call, ScriptedCluster


def now_ms() -> int:
    return int(time.monotonic() * 1000)


def connect(cluster: ScriptedCluster, **options: Any) -> Connection:
    return Connection("127.0.0.1", cluster.ports[1], now_ms(), **options)


def drive(connection: Connection, until: Callable[[], bool]) -> None:
    """Do what an owner does until the condition holds."""
    poller = Poller()
    give_up_ms = now_ms() + 20_000
    while not until():
        assert now_ms() < give_up_ms
        connection.expire(now_ms())
        if connection.fileno() < 0:
            continue
        poller.set(connection.fileno(), writing=connection.wants_write)
        for _, readable, writable in poller.wait(10):
            connection.work(now_ms(), readable, writable)
        if connection.fileno() < 0:
            poller = Poller()


def ask(connection: Connection, **options: Any) -> Ticket:
    ticket = connection.submit(MetadataRequest(topics=None), now_ms(), **options)
    drive(connection, lambda: ticket.done)
    return ticket


def test_many_requests_are_under_way_at_once_and_answered_in_order() -> None:
    """Fifty leave before the first answer is read; each ticket gets its own."""
    with ScriptedCluster() as cluster:
        numbers = itertools.count()
        cluster.script(3, lambda call: MetadataResponse(controller_id=next(numbers)), keep=True)
        connection = connect(cluster)
        order: list[int] = []
        tickets = [
            connection.submit(MetadataRequest(), now_ms(), callback=lambda ticket: order.append(ticket.response.controller_id))
            for _ in range(50)
        ]
        drive(connection, lambda: tickets[-1].done)
        assert [ticket.result().controller_id for ticket in tickets] == order == list(range(50))
        assert connection.in_flight == 0
        connection.close()


def test_the_newest_common_version_is_used() -> None:
    """Ours ends at 13, this broker's at 12, the caller may ask for less."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        assert ask(connection).version == 12
        assert ask(connection, version_max=9).version == 9
        assert connection.api_version(MetadataRequest) == 12
        assert connection.has_api(3)
        assert not connection.has_api(74)
        connection.close()


def test_a_request_that_the_broker_does_not_have_fails_alone() -> None:
    """It never leaves; the connection goes on."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        ticket = connection.submit(ListConfigResourcesRequest(), now_ms())
        drive(connection, lambda: ticket.done)
        assert isinstance(ticket.error, UnsupportedApiError)
        assert "ListConfigResources" in str(ticket.error)
        assert not ticket.sent
        assert ask(connection).error is None
        connection.close()


def test_an_old_broker_is_asked_again_in_version_0() -> None:
    """It answers version 3 in version 0 with UNSUPPORTED_VERSION."""

    def too_new(call: Call) -> Any:
        assert call.version == 3
        return ApiVersionsResponse(error_code=35), 0

    with ScriptedCluster() as cluster:
        cluster.script(18, too_new)
        connection = connect(cluster)
        assert ask(connection).error is None
        assert [call.version for call in cluster.calls(18)] == [3, 0]
        connection.close()


def test_negotiation_that_is_refused_ends_the_connection() -> None:
    """Any other code is the broker's last word."""
    with ScriptedCluster() as cluster:
        cluster.script(18, lambda call: ApiVersionsResponse(error_code=58))
        ticket = ask(connect(cluster))
        assert isinstance(ticket.error, KafkaError)
        assert ticket.error.name == "SASL_AUTHENTICATION_FAILED"


def test_a_closed_connection_tells_what_may_have_happened() -> None:
    """Requests that were sent are in doubt; later ones are refused at once and are not."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        ask(connection)
        cluster.script(3, lambda call: CLOSE)
        ticket = ask(connection)
        assert isinstance(ticket.error, UnreachableError)
        assert "lost the connection" in str(ticket.error)
        assert ticket.sent
        assert connection.state == CLOSED
        late = connection.submit(MetadataRequest(), now_ms())
        assert isinstance(late.error, UnreachableError)
        assert not late.sent


def test_a_request_without_an_answer_ends_at_its_deadline() -> None:
    """It gets TimedOutError; those behind it cannot be answered either and learn that the connection is gone."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        ask(connection)
        cluster.script(3, lambda call: SILENT, keep=True)
        first = connection.submit(MetadataRequest(), now_ms(), timeout_ms=50)
        second = connection.submit(MetadataRequest(), now_ms(), timeout_ms=10_000)
        assert connection.next_deadline_ms() == first.deadline_ms
        drive(connection, lambda: first.done and second.done)
        assert isinstance(first.error, TimedOutError)
        assert isinstance(second.error, UnreachableError)
        with pytest.raises(TimedOutError):
            first.result()


def test_a_peer_that_accepts_and_says_nothing_is_given_up() -> None:
    """The connection counts as made only when the versions are known."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection("127.0.0.1", listener.getsockname()[1], now_ms(), connect_timeout_ms=50)
        ticket = ask(connection)
        assert isinstance(ticket.error, UnreachableError)
        assert "no answer within 50 ms" in str(ticket.error)
        assert not connection.was_ready


def test_a_peer_that_is_no_kafka_is_named_as_such() -> None:
    """The first four bytes of an HTTP answer would be a frame of 1.2 GB."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection("127.0.0.1", listener.getsockname()[1], now_ms())
        ticket = connection.submit(MetadataRequest(), now_ms())
        drive(connection, lambda: connection.wants_write is False and connection.fileno() >= 0)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            drive(connection, lambda: ticket.done)
        assert int.from_bytes(b"HTTP", "big") > FRAME_SIZE_MAX
        assert "does not speak Kafka's protocol" in str(ticket.error)


def test_nobody_there_is_unreachable() -> None:
    """With the reason that the system gives, and the name as it was asked for."""
    for host, reason in (("127.0.0.1", "refused"), ("no-such-host.invalid", "no address")):
        ticket = ask(Connection(host, free_port(), now_ms()))
        assert isinstance(ticket.error, UnreachableError)
        assert reason in str(ticket.error)
        assert not ticket.sent


def test_the_next_address_of_a_host_is_tried() -> None:
    """`localhost` is ::1 first on most systems; a broker that listens on 127.0.0.1 only is found all the same."""
    with ScriptedCluster() as cluster:
        connection = Connection("localhost", cluster.ports[1], now_ms())
        assert ask(connection).error is None
        assert connection.peer() == ("127.0.0.1", cluster.ports[1])
        connection.close()


def test_an_answer_that_does_not_parse_ends_the_connection() -> None:
    """Nothing that comes after it could be trusted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection("127.0.0.1", listener.getsockname()[1], now_ms())
        ticket = connection.submit(MetadataRequest(), now_ms())
        drive(connection, lambda: connection.wants_write is False and connection.fileno() >= 0)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00")
            drive(connection, lambda: ticket.done)
        assert isinstance(ticket.error, UnreachableError)
        assert not isinstance(ticket.error, MalformedError)


def test_a_throttled_client_holds_back() -> None:
    """The next request leaves when the broker's pause is over, not before."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        cluster.script(3, lambda call: MetadataResponse(throttle_time_ms=300))
        ask(connection)
        started_ms = now_ms()
        ask(connection)
        assert now_ms() - started_ms >= 290
        connection.close()


def test_the_longest_pause_counts() -> None:
    """A later answer with a shorter one does not end it. Who cannot wait that long is told why."""
    with ScriptedCluster() as cluster:
        connection = connect(cluster)
        ask(connection)
        cluster.script(3, lambda call: MetadataResponse(throttle_time_ms=400), lambda call: MetadataResponse(throttle_time_ms=1))
        tickets = [connection.submit(MetadataRequest(), now_ms()) for _ in range(2)]
        drive(connection, lambda: all(ticket.done for ticket in tickets))
        started_ms = now_ms()
        impatient = connection.submit(MetadataRequest(), now_ms(), timeout_ms=50)
        drive(connection, lambda: impatient.done)
        assert isinstance(impatient.error, TimedOutError)
        assert "quota" in str(impatient.error)
        ask(connection)
        assert now_ms() - started_ms >= 350
        connection.close()


def with_sasl(cluster: ScriptedCluster, *, lifetime_ms: int = 0) -> Connection:
    """A connection that says that it is alice, to brokers that believe everything."""
    cluster.versions |= {17: (0, 1), 36: (0, 2)}
    cluster.script(17, lambda call: SaslHandshakeResponse(mechanisms=["PLAIN"]), keep=True)
    cluster.script(36, lambda call: SaslAuthenticateResponse(session_lifetime_ms=lifetime_ms), keep=True)
    return connect(cluster, authenticate=partial(Authentication, Sasl("PLAIN", "alice", "secret")))


def keys(cluster: ScriptedCluster) -> list[int]:
    """The APIs of the requests that came, in order."""
    return [call.key for call in cluster.calls()]


def test_nothing_is_asked_before_the_broker_knows_who_asks() -> None:
    """Versions, mechanism, credentials, and then what waits."""
    with ScriptedCluster() as cluster:
        connection = with_sasl(cluster)
        tickets = [connection.submit(MetadataRequest(), now_ms()) for _ in range(3)]
        drive(connection, lambda: tickets[-1].done)
        assert keys(cluster) == [18, 17, 36, 3, 3, 3]
        assert {call.version for call in cluster.calls(36)} == {2}
        assert cluster.calls(36)[0].request.auth_bytes == b"\0alice\0secret"
        connection.close()


def test_an_authentication_in_between_costs_no_request() -> None:
    """What is on its way is answered before it, what waits leaves after it; each ticket gets its own answer."""
    with ScriptedCluster() as cluster:
        connection = with_sasl(cluster, lifetime_ms=60_000)
        ask(connection)
        numbers = itertools.count()
        cluster.script(3, lambda call: MetadataResponse(controller_id=next(numbers)), keep=True)
        now, later = now_ms(), now_ms() + 50_000
        tickets = [connection.submit(MetadataRequest(), at, timeout_ms=300_000) for at in (now, now, later, later)]
        drive(connection, lambda: all(ticket.done for ticket in tickets))
        assert [ticket.result().controller_id for ticket in tickets] == [0, 1, 2, 3]
        assert keys(cluster) == [18, 17, 36, 3, 3, 3, 17, 36, 3, 3]
        connection.close()


def test_a_refusal_in_between_fails_what_waits() -> None:
    """With the broker's reason; what was under way has its answer."""
    with ScriptedCluster() as cluster:
        connection = with_sasl(cluster, lifetime_ms=60_000)
        ask(connection)
        cluster.unscript(36)
        cluster.script(36, lambda call: SaslAuthenticateResponse(58, "no more"))
        early, late = connection.submit(MetadataRequest(), now_ms()), connection.submit(MetadataRequest(), now_ms() + 50_000)
        drive(connection, lambda: early.done and late.done)
        assert early.error is None
        assert isinstance(late.error, AuthenticationError)
        assert "no more" in str(late.error)
        assert not late.sent


def test_a_broker_that_goes_away_in_the_middle_is_unreachable() -> None:
    """That says nothing about the password: another try may end in another way."""
    with ScriptedCluster() as cluster:
        for key in (17, 36):
            connection = with_sasl(cluster)
            cluster.unscript(key)
            cluster.script(key, lambda call: CLOSE)
            ticket = ask(connection)
            assert isinstance(ticket.error, UnreachableError)
            assert not ticket.sent
            cluster.unscript(17)
            cluster.unscript(36)


def test_the_time_that_a_password_takes_does_not_count() -> None:
    """Some programs ask a person for it; the broker has its whole time after that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        authenticate = partial(Authentication, Sasl("PLAIN", "alice", lambda: "secret"))
        connection = Connection("127.0.0.1", listener.getsockname()[1], 0, connect_timeout_ms=1_000, authenticate=authenticate)
        connection.expire(0)  # here a minute passes
        connection.expire(60_000)
        ticket = connection.submit(MetadataRequest(), 60_000)
        assert connection.next_deadline_ms() == 61_000
        connection.expire(60_999)
        assert not ticket.done
        connection.expire(61_000)
        assert isinstance(ticket.error, UnreachableError)


def test_a_password_that_cannot_be_had_ends_the_connection(tmp_path: pathlib.Path) -> None:
    """Before the broker is spoken to. What a caller's own code raises goes through to the caller."""

    def broken() -> str:
        raise ZeroDivisionError

    with ScriptedCluster() as cluster:
        missing = partial(Authentication, Sasl("PLAIN", "alice", SecretFile(tmp_path / "nowhere")))
        assert isinstance(ask(connect(cluster, authenticate=missing)).error, SettingError)
        connection = connect(cluster, authenticate=partial(Authentication, Sasl("PLAIN", "alice", broken)))
        ticket = connection.submit(MetadataRequest(), now_ms())
        with pytest.raises(ZeroDivisionError):
            connection.expire(now_ms())
        assert isinstance(ticket.error, AuthenticationError)
        assert keys(cluster) == []


def test_large_answers_arrive_whole() -> None:
    """An answer of many reads, followed at once by a small one."""
    with ScriptedCluster(topics={f"topic-{number}-{'x' * 200}": 50 for number in range(200)}) as cluster:
        connection = connect(cluster)
        large = connection.submit(MetadataRequest(topics=None), now_ms())
        small = connection.submit(MetadataRequest(topics=[]), now_ms())
        drive(connection, lambda: small.done)
        assert len(large.result().topics) == 200
        assert small.result().topics == []
        assert connection.state == READY
        assert "ready" in repr(connection)
        connection.close()
