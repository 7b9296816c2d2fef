"""How a connection tells the broker who it is: SASL's conversation, and the same again before the session ends (KIP-368).

    SaslHandshake(mechanism)     -->
                                 <--   whether the broker has it
    SaslAuthenticate(bytes)      -->   once for PLAIN and OAUTHBEARER, twice for SCRAM
                                 <--   in the end: how long the session lasts

The connection sends what `begin` and `answered` return. A broker that gives a session an end closes it at the first request after that, so
some time before, at the moment when a request is about to leave, the conversation is held once more. Requests that are on their way then
are answered before it; those that wait leave after it.
"""

from __future__ import annotations

from base64 import b64encode
from os import urandom

from ev.client.security import OAUTHBEARER, SCRAM_HASHES, told
from ev.errors import AuthenticationError, ErrorCode, KafkaError, SettingError
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ev.client.security import Sasl
    from ev.wire.codec import Message

    class Exchange(Protocol):
        """A mechanism's side of the conversation."""

        done: bool

        def first(self) -> bytes: ...

        def answer(self, message: bytes) -> bytes: ...


REAUTHENTICATION_PAUSE_MS = 1_100
"""Kafka takes a second conversation within one second of the first as a mistake."""


class Authentication:
    """That of one connection, for as long as it stands."""

    __slots__ = ("_address", "_began_ms", "_exchange", "_sasl", "_secret", "due_ms")

    def __init__(self, sasl: Sasl, address: str) -> None:
        self.due_ms: int | None = None
        """When to hold the conversation again; None when the session has no end."""
        self._sasl = sasl
        self._address = address
        self._secret = ""
        self._exchange: Exchange | None = None
        self._began_ms = 0

    def __repr__(self) -> str:
        return f"Authentication({self._sasl.mechanism}, {self._address})"

    def prepare(self) -> None:
        """Get the password or token, which may take a while. Raises what kept it from being got."""
        secret = self._sasl.token if self._sasl.mechanism == OAUTHBEARER else self._sasl.password
        assert secret is not None
        self._secret = told(secret)

    def check_exposure(self, encrypted: bool, host: str) -> None:
        """Refuse to show passwords and tokens, or what is said under them, to whoever may listen on the way to a host."""
        if encrypted or self._sasl.unencrypted or is_loopback(host):
            return
        raise SettingError(
            f"refused to authenticate at {self._address} without TLS, where others may listen: use a SASL_SSL listener, "
            "or say that it shall be so with unencrypted = true under sasl"
        )

    def begin(self, now_ms: int) -> Message:
        """The first message. What `prepare` got is used up."""
        self._began_ms = now_ms
        secret, self._secret = self._secret, ""
        self._exchange = exchange_of(self._sasl, secret)
        return SaslHandshakeRequest(self._sasl.mechanism)

    def answered(self, response: Any, now_ms: int) -> Message | None:
        """The next message, or None at the end. Raises AuthenticationError when the broker refuses, or cannot be trusted."""
        exchange = self._exchange
        assert exchange is not None
        if isinstance(response, SaslHandshakeResponse):
            self._check_handshake(response)
            return SaslAuthenticateRequest(exchange.first())
        if response.error_code:
            raise self._refusal(response.error_code, response.error_message)
        if response.auth_bytes or not exchange.done:
            reply = exchange.answer(response.auth_bytes)
            if reply:
                return SaslAuthenticateRequest(reply)
        self._exchange = None
        self.due_ms = self._next_ms(response.session_lifetime_ms, now_ms)
        return None

    def _next_ms(self, lifetime_ms: int, now_ms: int) -> int | None:
        """After 70 to 80 % of the session, by chance, so that many clients do not come back at once. What leaves before has the rest of it
        to reach a broker that is slow, or behind a request that takes long."""
        if lifetime_ms <= 0:
            return None
        share = 700 + urandom(1)[0] * 100 // 255
        return max(now_ms + lifetime_ms * share // 1000, self._began_ms + REAUTHENTICATION_PAUSE_MS)

    def _check_handshake(self, response: SaslHandshakeResponse) -> None:
        code = response.error_code
        if code == ErrorCode.UNSUPPORTED_SASL_MECHANISM:
            there = ", ".join(sorted(response.mechanisms)) or "none"
            raise AuthenticationError(f"{self._address} does not offer {self._sasl.mechanism}: it has {there}")
        if code == ErrorCode.ILLEGAL_SASL_STATE:
            raise AuthenticationError(f"{self._address} wants no SASL on this port: take the port of a SASL listener, or leave sasl out")
        if code:
            raise self._refusal(code, None)

    def _refusal(self, code: int, message: str | None) -> AuthenticationError:
        said = " ".join((message or KafkaError(code).message).split())
        if self._sasl.mechanism == OAUTHBEARER:
            return AuthenticationError(f"{self._address} refused the token: {said}")
        remedy = f"check username, password and that the user exists for {self._sasl.mechanism}"
        return AuthenticationError(f"{self._address} refused {self._sasl.username!r}: {said}: {remedy}")


def exchange_of(sasl: Sasl, secret: str) -> Exchange:
    """The mechanism, with what it needs. SettingError when the password or token has characters that it cannot carry."""
    if sasl.mechanism == OAUTHBEARER:
        return OAuthBearer(secret, sasl.extensions)
    assert sasl.username is not None
    if sasl.mechanism in SCRAM_HASHES:
        from ev.client.scram import Scram  # noqa: PLC0415 - hashes are loaded when they are needed

        return Scram(SCRAM_HASHES[sasl.mechanism], sasl.username, secret, b64encode(urandom(24)).decode())
    return Plain(sasl.username, secret)


class Plain:
    """One message that holds everything."""

    def __init__(self, username: str, password: str) -> None:
        self.done = True
        if "\0" in username + password:
            raise SettingError("neither username nor password can have a NUL in it with PLAIN")
        self._message = f"\0{username}\0{password}".encode()

    def first(self) -> bytes:
        message, self._message = self._message, b""
        return message

    def answer(self, message: bytes) -> bytes:
        return b""


class OAuthBearer:
    """One message with the token (RFC 7628). A broker that refuses it says why, and waits for one more byte before it ends the matter."""

    def __init__(self, token: str, extensions: Any) -> None:
        self.done = True
        if not token.isascii() or not token.isprintable():
            raise SettingError("a token of OAUTHBEARER consists of printable ASCII characters")
        pairs = [("auth", f"Bearer {token}"), *extensions.items()]
        self._message = ("n,,\x01" + "".join(f"{name}={value}\x01" for name, value in pairs) + "\x01").encode()
        self._refused = False

    def first(self) -> bytes:
        message, self._message = self._message, b""
        return message

    def answer(self, message: bytes) -> bytes:
        if self._refused:
            raise AuthenticationError("the broker refused the token")
        self._refused = True
        return b"\x01"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a numeric address."""
    return host.removeprefix("::ffff:").startswith("127.") or host == "::1"
