"""Before a client has said who it is: how much it may send, how long it may take, and that nobody else suffers from it."""

from __future__ import annotations

import json
import pathlib
import select
import time
import urllib.request
from collections.abc import Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from ev.wire.records import encode_batch
from support.raw_client import RawClient
from support.sasl import ScramClient, add_user, authenticate, handshake, log_in, plain
from support.secure_brokers import PASSWORD, USER, SecureBroker, secure_engine
from support.waiting import wait_for

KIB = 1 << 10


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secure_engine(tmp_path_factory.mktemp("engine") / "data", {"connections.max.idle.ms": "60000"}) as broker:
        yield broker


@pytest.fixture
def client(broker: SecureBroker) -> Iterator[RawClient]:
    with RawClient(broker.sasl) as client:
        yield client


def log_of(broker: SecureBroker) -> str:
    assert broker.engine is not None
    return broker.engine.log()


@pytest.mark.parametrize("size", [64 * KIB + 1, 1 << 30, (1 << 31) - 1, -1, -(1 << 31)])
def test_a_size_beyond_the_bound_ends_the_connection(client: RawClient, size: int) -> None:
    """Before a byte of the frame has come."""
    client.send(size.to_bytes(4, "big", signed=True))
    assert client.closed()


def test_a_token_of_the_largest_size_is_taken(client: RawClient) -> None:
    """It is refused for what it says, not for its size."""
    handshake(client, "PLAIN", version=0)
    token = plain(USER, "x" * (64 * KIB - len(USER) - 2))
    client.send(len(token).to_bytes(4, "big") + token)
    assert client.closed()
    assert client.correlation_id == 1


def test_what_all_of_them_send_together_has_a_bound(broker: SecureBroker) -> None:
    """Who begins large frames and does not finish them is closed when there are too many; who authenticates is served."""
    frame = (64 * KIB).to_bytes(4, "big") + bytes(60 * KIB)
    held = [RawClient(broker.sasl) for _ in range(300)]
    try:
        for client in held:
            client.send(frame)
        wait_for(lambda: "have sent too much together" in log_of(broker), "the bound")
        with RawClient(broker.sasl) as client:
            assert log_in(client, "PLAIN", USER, PASSWORD).error_code == 0
    finally:
        for client in held:
            client.close()


def test_a_failed_attempt_holds_up_nobody(tmp_path: pathlib.Path) -> None:
    """While the ends of wrong attempts wait for their delay, others are let in and served."""
    with secure_engine(tmp_path / "data", {"connection.failed.authentication.delay.ms": "2000"}) as broker:
        wrong = [RawClient(broker.sasl) for _ in range(20)]
        try:
            for client in wrong:
                handshake(client, "SCRAM-SHA-256", version=0)
                client.send(b"\0\0\0\1x")
            with RawClient(broker.sasl) as client:
                assert log_in(client, "SCRAM-SHA-256", USER, PASSWORD).error_code == 0
                assert client.ask(3, 9, MetadataRequest(topics=[])).brokers
            assert not select.select([client.socket for client in wrong], [], [], 0)[0]
            assert all(client.closed() for client in wrong)
        finally:
            for client in wrong:
                client.close()


def test_passwords_are_checked_beside_the_work(broker: SecureBroker) -> None:
    """Whoever is served is answered while wrong passwords that came before are still being checked."""
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        add_user(broker.open, "slow", "secret", mechanism, iterations=16384)
    guessers = [RawClient(broker.sasl) for _ in range(60)]
    try:
        for guesser in guessers:
            handshake(guesser, "PLAIN")
        with RawClient(broker.sasl) as client:
            log_in(client, "SCRAM-SHA-256", USER, PASSWORD)
            for guesser in guessers:
                guesser.send(guesser.frame(36, 2, SaslAuthenticateRequest(plain("slow", "wrong"))))
            assert client.ask(3, 9, MetadataRequest(topics=[])).brokers
            assert not select.select([guessers[-1].socket], [], [], 0)[0]
        for guesser in guessers:
            assert guesser.answer(36, 2).error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
    finally:
        for guesser in guessers:
            guesser.close()


def test_a_changed_password_counts_for_the_next_connection(broker: SecureBroker) -> None:
    """Whoever is served stays so, as on Kafka."""
    add_user(broker.open, "changing", "first")
    with RawClient(broker.sasl) as client:
        assert log_in(client, "PLAIN", "changing", "first").error_code == 0
        add_user(broker.open, "changing", "second")
        assert client.ask(3, 9, MetadataRequest(topics=[])).brokers
    with RawClient(broker.sasl) as client:
        assert log_in(client, "PLAIN", "changing", "first").error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
    with RawClient(broker.sasl) as client:
        assert log_in(client, "PLAIN", "changing", "second").error_code == 0


def test_a_name_that_no_user_has_is_asked_the_same_after_a_restart(tmp_path: pathlib.Path) -> None:
    """Or else a stranger who waits for a restart would know who is there."""

    def asked(broker: SecureBroker, name: str) -> bytes:
        with RawClient(broker.sasl) as client:
            handshake(client, "SCRAM-SHA-256")
            first: bytes = bytes(authenticate(client, ScramClient("SCRAM-SHA-256", name, "x").first()).auth_bytes)
            return first.partition(b",")[2]

    with secure_engine(tmp_path / "data") as broker:
        assert broker.engine is not None
        before = asked(broker, "nobody"), asked(broker, USER)
        broker.engine.kill()
        broker.engine.start()
        assert (asked(broker, "nobody"), asked(broker, USER)) == before


def test_a_stranger_produces_nothing(broker: SecureBroker) -> None:
    """The bytes that are acknowledged after authentication end the connection before it, and leave nothing in the log."""
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([b"x"]))])
    request = ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[data])
    with RawClient(broker.sasl) as client:
        log_in(client, "PLAIN", USER, PASSWORD)
        client.ask(3, 9, MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True))
        answers = [client.ask(0, 9, request).responses[0].partition_responses[0] for _ in range(2)]
        assert [(answer.error_code, answer.base_offset) for answer in answers] == [(0, 0), (0, 1)]
    for said in ((), ("handshake",)):
        with RawClient(broker.sasl) as client:
            if said:
                handshake(client, "PLAIN")
            client.send(client.frame(0, 9, request))
            assert client.closed()
    with RawClient(broker.open) as client:
        assert client.ask(0, 9, request).responses[0].partition_responses[0].base_offset == 2


def test_whoever_begins_again_waits_for_the_answer(broker: SecureBroker) -> None:
    """A second token before the first is checked ends the connection, and what the first comes to then counts for nothing."""
    add_user(broker.open, "again", "secret", "SCRAM-SHA-512", iterations=16384)
    add_user(broker.open, "again", "other", "SCRAM-SHA-256", iterations=16384)
    with RawClient(broker.sessions) as client:
        assert log_in(client, "PLAIN", "again", "secret").error_code == 0
        assert handshake(client, "PLAIN").error_code == 0
        client.send(client.frame(36, 2, SaslAuthenticateRequest(plain("again", "other"))) * 2)
        client.send(client.frame(3, 9, MetadataRequest(topics=[])))
        assert client.closed()


def test_what_a_user_may_do_is_asked_of_the_authorizer(tmp_path: pathlib.Path) -> None:
    """By the name that was authenticated: the super user sees the topic, another user does not, and nor does a stranger."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{USER};User:ANONYMOUS",
    }
    with secure_engine(tmp_path / "data", settings) as broker:
        add_user(broker.open, "bob", "secret")
        request = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True)
        codes = []
        for name, password in ((USER, PASSWORD), ("bob", "secret")):
            with RawClient(broker.sasl) as client:
                log_in(client, "SCRAM-SHA-512", name, password)
                codes.append(client.ask(3, 9, request).topics[0].error_code)
        assert codes == [ErrorCode.NONE, ErrorCode.TOPIC_AUTHORIZATION_FAILED]


@pytest.mark.slow
def test_who_takes_too_long_is_closed(broker: SecureBroker) -> None:
    """Ten seconds for all of it, whether something has come or not."""
    started = time.monotonic()
    with RawClient(broker.sasl) as silent, RawClient(broker.sasl) as slow:
        handshake(slow, "SCRAM-SHA-256")
        assert silent.closed()
        assert slow.closed()
    assert 9.5 < time.monotonic() - started < 15


def test_failed_attempts_are_counted(tmp_path: pathlib.Path) -> None:
    """For who watches the figures."""
    with secure_engine(tmp_path / "data", {"ev.metrics.listen": "127.0.0.1:0"}) as broker:
        assert broker.engine is not None
        place = json.loads((broker.engine.directory / "engine.json").read_text())["metrics"]
        for number in range(3):
            with RawClient(broker.sasl) as client:
                assert bool(log_in(client, "SCRAM-SHA-256", USER, PASSWORD if number else "wrong").error_code) == (not number)
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=10) as answer:
            assert b"\nkafka_server_socket_server_metrics_failed_authentication_total 1\n" in answer.read()
