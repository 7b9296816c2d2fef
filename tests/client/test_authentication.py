"""How a client's settings are checked, where passwords come from, and what an authentication says when."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

from ev.client.authentication import REAUTHENTICATION_PAUSE_MS, Authentication, is_loopback
from ev.client.cluster import Cluster
from ev.client.security import Sasl, SecretCommand, SecretFile, SecretVariable, Security, Tls, told
from ev.errors import AuthenticationError, SettingError
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse

PASSWORD = "open-sesame"
ALICE = Sasl("PLAIN", "alice", PASSWORD)


def begun(sasl: Sasl = ALICE, now_ms: int = 0) -> Authentication:
    """An authentication to which the broker has said that it has the mechanism, and the client its first word."""
    authentication = Authentication(sasl, "host:1")
    authentication.prepare()
    assert isinstance(authentication.begin(now_ms), SaslHandshakeRequest)
    assert isinstance(authentication.answered(SaslHandshakeResponse(mechanisms=[sasl.mechanism]), now_ms), SaslAuthenticateRequest)
    return authentication


@pytest.mark.parametrize(
    "arguments",
    [
        {"mechanism": "GSSAPI"},
        {"mechanism": "PLAIN"},
        {"mechanism": "PLAIN", "username": "", "password": "x"},
        {"mechanism": "SCRAM-SHA-256", "username": "alice"},
        {"mechanism": "SCRAM-SHA-256", "username": "alice", "password": "x", "token": "x"},
        {"mechanism": "PLAIN", "username": "alice", "password": "x", "extensions": {"a": "b"}},
        {"mechanism": "OAUTHBEARER", "username": "alice", "password": "x"},
        {"mechanism": "OAUTHBEARER"},
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    """When they are made, not when they are used."""
    with pytest.raises(SettingError):
        Sasl(**arguments)
    for wrong in ({"key": "x"}, {"insecure": True, "ca": "x"}, {"server_name": ""}, {"server_name": ".example"}):
        with pytest.raises(SettingError):
            Tls(**wrong)


def test_the_protocol_has_kafkas_name() -> None:
    """As the two parts say."""
    parts = [(None, None), (Tls(), None), (None, ALICE), (Tls(), ALICE)]
    assert [Security(tls, sasl).protocol for tls, sasl in parts] == ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


def test_nothing_that_is_printed_shows_a_secret(tmp_path: pathlib.Path) -> None:
    """Neither settings, nor what is made of them, nor where a password comes from."""
    command = SecretCommand(["echo", PASSWORD])
    shown: list[object] = [
        Security(Tls(), ALICE),
        Sasl("OAUTHBEARER", token=PASSWORD),
        begun(),
        command,
        Cluster("h:1", security=Security(sasl=ALICE)),
    ]
    assert PASSWORD not in repr(shown)
    with pytest.raises(AuthenticationError) as raised:
        told(SecretCommand([sys.executable, "-c", f"raise SystemExit(len({PASSWORD!r}))"]))
    assert PASSWORD not in str(raised.value)


def test_a_password_comes_from_where_it_is_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of a file or of what a program says, or a variable; asked for anew each time, unless once is enough."""
    kept = tmp_path / "password"
    kept.write_text("one\r\nnot this\n")
    file, command = SecretFile(kept), SecretCommand(["cat", str(kept)])
    once = SecretCommand(["cat", str(kept)], once=True)
    monkeypatch.setenv("KAFKA_PASSWORD", "three")
    assert [told(each) for each in (file, command, once, SecretVariable("KAFKA_PASSWORD"), lambda: "four")] == [
        *["one"] * 3,
        "three",
        "four",
    ]
    kept.write_text("two")
    assert [told(each) for each in (file, command, once)] == ["two", "two", "one"]


def test_a_password_that_is_not_there_is_said_to_be_missing(tmp_path: pathlib.Path) -> None:
    """With the name of what should hold it."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\nsecond line")
    binary.write_bytes(b"\xff\xfe")
    for source, name in (
        (SecretFile(tmp_path / "nowhere"), "nowhere"),
        (SecretFile(empty), "empty"),
        (SecretFile(binary), "binary"),
        (SecretVariable("NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (SecretCommand(["no-such-program"]), "no-such-program"),
        (SecretCommand(["false"]), "false"),
        (SecretCommand(["true"]), "true"),
    ):
        with pytest.raises((SettingError, AuthenticationError), match=name):
            told(source)
    with pytest.raises(SettingError, match="name a program"):
        SecretCommand([])


def test_loopback_is_where_nobody_listens() -> None:
    """Everywhere else an unencrypted password needs a wish."""
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_loopback(host) for host in ("10.0.0.1", "::2", "::ffff:10.0.0.1", "1127.0.0.1")] == [False] * 4
    with pytest.raises(SettingError, match="unencrypted = true"):
        Authentication(ALICE, "host:1").check_exposure(False, "10.0.0.1")
    Authentication(ALICE, "host:1").check_exposure(True, "10.0.0.1")
    Authentication(Sasl("PLAIN", "alice", "x", unencrypted=True), "host:1").check_exposure(False, "10.0.0.1")


def test_it_is_due_again_before_the_session_ends() -> None:
    """After 70 to 80 % of it, but not within a second, which Kafka takes as a mistake; never, where a session has no end."""
    for _ in range(100):
        authentication = begun(now_ms=1_000)
        assert authentication.answered(SaslAuthenticateResponse(session_lifetime_ms=10_000), 1_500) is None
        assert authentication.due_ms is not None
        assert 8_500 <= authentication.due_ms <= 9_500
    short = begun(now_ms=1_000)
    short.answered(SaslAuthenticateResponse(session_lifetime_ms=500), 1_000)
    assert short.due_ms == 1_000 + REAUTHENTICATION_PAUSE_MS
    endless = begun()
    endless.answered(SaslAuthenticateResponse(session_lifetime_ms=0), 0)
    assert endless.due_ms is None


def test_a_refusal_says_what_the_broker_said() -> None:
    """In one line, with what to do; the mechanisms that there are, where ours is not among them."""
    with pytest.raises(AuthenticationError, match=r"host:1 refused 'alice': no way: check"):
        begun().answered(SaslAuthenticateResponse(58, "no\n way"), 0)
    authentication = Authentication(ALICE, "host:1")
    authentication.begin(0)
    with pytest.raises(AuthenticationError, match=r"does not offer PLAIN: it has A, B"):
        authentication.answered(SaslHandshakeResponse(33, ["B", "A"]), 0)
    with pytest.raises(AuthenticationError, match="leave sasl out"):
        authentication.answered(SaslHandshakeResponse(34), 0)


def test_a_refused_token_is_answered_once() -> None:
    """The broker says why in a message of its own, and waits for a byte before it says that it refuses."""
    authentication = begun(Sasl("OAUTHBEARER", token="t", extensions={"a": "b"}))
    reply = authentication.answered(SaslAuthenticateResponse(auth_bytes=b'{"status":"invalid_token"}'), 0)
    assert isinstance(reply, SaslAuthenticateRequest)
    assert reply.auth_bytes == b"\x01"
    with pytest.raises(AuthenticationError):
        authentication.answered(SaslAuthenticateResponse(auth_bytes=b"more"), 0)


def test_the_messages_are_those_of_the_rfcs() -> None:
    """PLAIN: RFC 4616; OAUTHBEARER: RFC 7628, with Kafka's extensions behind the token."""

    def first(sasl: Sasl) -> bytes:
        authentication = Authentication(sasl, "host:1")
        authentication.prepare()
        authentication.begin(0)
        message = authentication.answered(SaslHandshakeResponse(), 0)
        assert isinstance(message, SaslAuthenticateRequest)
        return message.auth_bytes

    assert first(Sasl("PLAIN", "älice", "pä")) == "\0älice\0pä".encode()
    bearer = Sasl("OAUTHBEARER", token="abc", extensions={"logicalCluster": "lkc-1"})
    assert first(bearer) == b"n,,\x01auth=Bearer abc\x01logicalCluster=lkc-1\x01\x01"
    for wrong in (Sasl("PLAIN", "a\0b", "x"), Sasl("OAUTHBEARER", token="a\x01b")):
        with pytest.raises(SettingError):
            first(wrong)


def test_files_that_cannot_be_used_are_named(tmp_path: pathlib.Path) -> None:
    """Before anything is sent."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for tls in (
        Tls(ca=str(tmp_path / "nowhere.pem")),
        Tls(ca=str(nonsense)),
        Tls(cert=str(tmp_path / "nowhere.pem")),
        Tls(cert=str(nonsense)),
    ):
        with pytest.raises(SettingError, match=r"nowhere\.pem|nonsense\.pem"):
            Cluster("h:1", security=Security(tls))
