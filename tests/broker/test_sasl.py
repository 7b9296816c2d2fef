"""Authentication with SASL as a client sees it, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from support.raw_client import RawClient
from support.rules import rule
from support.sasl import ScramClient, authenticate, handshake, log_in, plain
from support.secure_brokers import PASSWORD, USER, SecureBroker

ILLEGAL = ErrorCode.ILLEGAL_SASL_STATE
FAILED = ErrorCode.SASL_AUTHENTICATION_FAILED
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
VERSIONS = ApiVersionsRequest(client_software_name="raw", client_software_version="1")


@pytest.fixture
def client(secure_broker: SecureBroker) -> Iterator[RawClient]:
    """A connection of somebody who has not said yet who they are."""
    with RawClient(secure_broker.sasl) as client:
        yield client


def is_served(client: RawClient) -> bool:
    return bool(client.ask(3, 9, MetadataRequest(topics=[])).brokers)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("version", [0, 1, 2])
def test_who_knows_the_password_is_served(client: RawClient, mechanism: str, version: int) -> None:
    """With each mechanism, in each version of SaslAuthenticate; the session has no end unless one is set."""
    answer = log_in(client, mechanism, USER, PASSWORD, version)
    assert (answer.error_code, answer.error_message, answer.session_lifetime_ms) == (0, "", 0)
    assert is_served(client)


@rule(8)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_versions_of_apis_are_told_before(client: RawClient, mechanism: str) -> None:
    """Every client asks for them first, some in a version that nobody has; the SASL APIs are among them."""
    assert client.ask(18, 3, VERSIONS).error_code == 0
    assert log_in(client, mechanism, USER, PASSWORD).error_code == 0
    keys = {api.api_key for api in client.ask(18, 3, VERSIONS).api_keys}
    assert {17, 36, 50, 51} <= keys


@rule(9)
def test_tokens_come_without_a_request_after_the_first_version_of_the_handshake(client: RawClient) -> None:
    """The bytes of the mechanism, each with its size, in both directions."""
    assert handshake(client, "SCRAM-SHA-256", version=0).error_code == 0
    scram = ScramClient("SCRAM-SHA-256", USER, PASSWORD)
    client.send(len(scram.first()).to_bytes(4, "big") + scram.first())
    final = scram.final(client.next_frame())
    client.send(len(final).to_bytes(4, "big") + final)
    assert client.next_frame() == scram.server_signature
    assert is_served(client)


def test_a_raw_token_that_is_refused_has_no_answer(client: RawClient) -> None:
    """There is no form for it: the connection ends."""
    handshake(client, "PLAIN", version=0)
    token = plain(USER, "wrong")
    client.send(len(token).to_bytes(4, "big") + token)
    assert client.closed()


@pytest.mark.parametrize(
    ("mechanism", "name", "password", "message"),
    [
        ("PLAIN", USER, "wrong", "Authentication failed: Invalid username or password"),
        ("PLAIN", "nobody", PASSWORD, "Authentication failed: Invalid username or password"),
        *(
            (scram, name, password, f"Authentication failed during authentication due to invalid credentials with SASL mechanism {scram}")
            for scram in MECHANISMS[1:]
            for name, password in ((USER, "wrong"), ("nobody", PASSWORD))
        ),
    ],
)
@rule(11)
def test_who_does_not_is_told_so_after_a_while_and_closed(
    client: RawClient, mechanism: str, name: str, password: str, message: str
) -> None:
    """In the same words, whether there is such a user or not."""
    started = time.monotonic()
    answer = log_in(client, mechanism, name, password)
    assert (answer.error_code, answer.error_message) == (FAILED, message)
    assert time.monotonic() - started >= 0.1
    assert client.closed()


@rule(10)
def test_the_mechanism_is_one_that_there_is(client: RawClient) -> None:
    """Any other is refused with the list of those that there are."""
    answer = handshake(client, "GSSAPI")
    assert answer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM
    assert sorted(answer.mechanisms) == sorted(MECHANISMS)
    assert client.closed()


@rule(8)
def test_nothing_else_is_served_before(client: RawClient) -> None:
    """A request for data ends the connection, unanswered."""
    client.send(client.frame(3, 9, MetadataRequest(topics=[])))
    assert client.closed()


def test_nothing_else_is_served_between_handshake_and_token(client: RawClient) -> None:
    """The connection ends; Kafka says why before."""
    assert handshake(client, "PLAIN").error_code == 0
    client.send(client.frame(3, 9, MetadataRequest(topics=[])))
    with contextlib.suppress(ConnectionResetError):
        assert not client.answer(3, 9).brokers
    assert client.closed()


def test_a_token_without_a_handshake_ends_the_connection(client: RawClient) -> None:
    """Whose mechanism would it be for?"""
    client.send(client.frame(36, 2, SaslAuthenticateRequest(plain(USER, PASSWORD))))
    assert client.closed()


def test_versions_are_asked_for_once(client: RawClient) -> None:
    """Before authentication, that is."""
    client.ask(18, 3, VERSIONS)
    client.send(client.frame(18, 3, VERSIONS))
    assert client.closed()


def test_who_is_served_does_not_begin_again(client: RawClient) -> None:
    """Without a session that ends there is nothing to renew: the requests fit no state, and the client stays who it is."""
    log_in(client, "PLAIN", USER, PASSWORD)
    assert handshake(client, "PLAIN").error_code == ILLEGAL
    assert authenticate(client, plain(USER, PASSWORD)).error_code == ILLEGAL
    assert is_served(client)


def test_where_nobody_has_to_authenticate_nobody_can(secure_broker: SecureBroker) -> None:
    """On a listener without SASL."""
    with RawClient(secure_broker.open) as client:
        assert handshake(client, "PLAIN").error_code == ILLEGAL
        answer = authenticate(client, plain(USER, PASSWORD))
        assert (answer.error_code, answer.error_message) == (ILLEGAL, "SaslAuthenticate request received after successful authentication")
        assert is_served(client)


def test_frames_that_come_in_advance_are_taken_one_after_the_other(client: RawClient) -> None:
    """A client that does not wait for answers gets them all, in order, and what it asks for after them."""
    frames = [
        client.frame(18, 3, VERSIONS),
        client.frame(17, 1, SaslHandshakeRequest("PLAIN")),
        client.frame(36, 2, SaslAuthenticateRequest(plain(USER, PASSWORD))),
        client.frame(3, 9, MetadataRequest()),
    ]
    client.send(b"".join(frames))
    assert client.answer(18, 3).error_code == 0
    assert client.answer(17, 1).error_code == 0
    assert client.answer(36, 2).error_code == 0
    assert client.answer(3, 9).brokers
