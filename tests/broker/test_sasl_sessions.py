"""Sessions that end, and clients that authenticate again before they do, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k03_metadata import MetadataRequest
from support.raw_client import RawClient
from support.rules import rule
from support.sasl import ScramClient, add_user, authenticate, behind_handshake, handshake, log_in, plain
from support.secure_brokers import PASSWORD, SESSION_MS, USER, SecureBroker
from support.waiting import wait_for

ILLEGAL = ErrorCode.ILLEGAL_SASL_STATE


@pytest.fixture
def client(secure_broker: SecureBroker) -> Iterator[RawClient]:
    with RawClient(secure_broker.sessions) as client:
        yield client


def is_served(client: RawClient) -> bool:
    return bool(client.ask(3, 9, MetadataRequest(topics=[])).brokers)


def renew(client: RawClient, mechanism: str) -> int:
    """Authenticate again as soon as the broker lets the client begin; how long the session lasts."""
    wait_for(lambda: handshake(client, mechanism).error_code == 0, "a handshake that is taken", pause_s=0.05)
    lifetime_ms: int = behind_handshake(client, mechanism, USER, PASSWORD).session_lifetime_ms
    return lifetime_ms


def lasts(client: RawClient, *, version: int = 2) -> float:
    """Log in, and ask again and again: after how many seconds the client is closed instead of answered."""
    started = time.monotonic()
    log_in(client, "PLAIN", USER, PASSWORD, version=version)

    def is_closed() -> bool:
        try:
            return not is_served(client)
        except ConnectionResetError as error:
            return error.errno is not None or "after 0 of 4 bytes" in str(error)

    wait_for(is_closed, "the end of the session", 10 * SESSION_MS / 1000)
    return time.monotonic() - started


@rule(12)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_session_may_be_renewed(client: RawClient, mechanism: str) -> None:
    """The client is told how long it lasts, and is served past that time when it has authenticated again."""
    started = time.monotonic()
    while time.monotonic() - started <= 2 * SESSION_MS / 1000:
        assert renew(client, mechanism) == SESSION_MS
        assert is_served(client)


@rule(12)
def test_a_session_that_was_not_renewed_ends(client: RawClient) -> None:
    """Whoever asks for anything else then is not answered."""
    assert lasts(client) > 0.9 * SESSION_MS / 1000


def test_a_session_that_has_ended_may_still_be_renewed(secure_broker: SecureBroker, client: RawClient) -> None:
    """A handshake is taken, and when it is over everything is served again. One that began later has ended by then."""
    log_in(client, "PLAIN", USER, PASSWORD)
    with RawClient(secure_broker.sessions) as other:
        lasts(other)
    assert log_in(client, "PLAIN", USER, PASSWORD).error_code == 0
    assert is_served(client)


def test_it_ends_also_for_who_cannot_renew_it(client: RawClient) -> None:
    """An old client."""
    assert lasts(client, version=0) > 0.9 * SESSION_MS / 1000


def test_who_cannot_renew_it_is_not_told(client: RawClient) -> None:
    """Version 0 has no place for it."""
    assert log_in(client, "PLAIN", USER, PASSWORD, version=0).session_lifetime_ms == 0


@rule(12)
def test_nobody_becomes_somebody_else(secure_broker: SecureBroker, client: RawClient) -> None:
    """The principal of a connection stays; who tries is refused and closed."""
    add_user(secure_broker.open, "bob", "bob-secret")
    log_in(client, "SCRAM-SHA-256", USER, PASSWORD)
    answer = log_in(client, "SCRAM-SHA-256", "bob", "bob-secret")
    assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
    assert answer.error_message == "Cannot change principals during re-authentication from User.alice: User.bob"
    assert client.closed()


def test_the_mechanism_stays_too(client: RawClient) -> None:
    """With another one the connection ends."""
    log_in(client, "PLAIN", USER, PASSWORD)
    assert handshake(client, "SCRAM-SHA-256").error_code == 0
    try:
        answer = authenticate(client, ScramClient("SCRAM-SHA-256", USER, PASSWORD).first())
    except ConnectionResetError:
        return  # as Kafka has it
    assert (
        answer.error_message
        == "SASL mechanism 'SCRAM-SHA-256' requested by client is not supported for re-authentication of mechanism 'PLAIN'"
    )
    assert client.closed()


def test_a_wrong_password_ends_what_was_served(client: RawClient) -> None:
    """Although the session had not ended."""
    log_in(client, "PLAIN", USER, PASSWORD)
    assert log_in(client, "PLAIN", USER, "wrong").error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
    assert client.closed()


def test_a_client_does_not_begin_again_at_once(client: RawClient) -> None:
    """The first time it may, then not before a second has passed."""
    log_in(client, "PLAIN", USER, PASSWORD)
    assert log_in(client, "PLAIN", USER, PASSWORD).error_code == 0
    assert handshake(client, "PLAIN").error_code == ILLEGAL
    assert authenticate(client, plain(USER, PASSWORD)).error_code == ILLEGAL
    assert is_served(client)
