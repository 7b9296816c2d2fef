"""SCRAM (RFC 5802) from the server's side: one exchange, in which each side shows that it knows the password.

    client                                      server
    n,[a=NAME],n=NAME,r=NONCE           -->
                                        <--     r=NONCE+OURS,s=SALT,i=ITERATIONS
    c=biws,r=NONCE+OURS,p=PROOF         -->
                                        <--     v=SIGNATURE

Whoever has a name that no user has is talked to in the same way, with a credential that was made up (see `ev.security.credentials`).

librdkafka before 2.6.1 says its own nonce once more before the two in its last message, and Kafka lets it; so do we, and nothing else.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from typing import Final, Protocol

from ev.security.credentials import Credential, Mechanism
from ev.security.exchange import OTHER_AUTHORIZATION_ID, Authenticated, Challenge, RefusedError, Step

NONCE_BYTES: Final = 24
TOKEN_EXTENSION: Final = "tokenauth"
"""The client means a delegation token by its name, and there are none here."""


class Credentials(Protocol):
    """Where the credentials of users are found."""

    def credential(self, mechanism: Mechanism, name: str) -> Credential:
        """That of the user; a made-up one for any other name."""

    def made_up(self, mechanism: Mechanism, name: str) -> Credential: ...


class Scram:
    """One exchange. The nonce is the server's, new for each."""

    def __init__(self, mechanism: Mechanism, credentials: Credentials, nonce: bytes) -> None:
        self._mechanism = mechanism
        self._credentials = credentials
        self._nonce = b64encode(nonce).decode()
        self._client_nonce = ""
        self._name = ""
        self._credential: Credential | None = None
        self._binding = ""  # what the client has to repeat: the beginning of its first message
        self._said = ""  # by both sides so far, without that beginning

    def step(self, message: bytes, now_ms: int) -> Step:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            raise RefusedError from None
        return self._first(text) if self._credential is None else self._final(text, self._credential)

    def _first(self, text: str) -> Step:
        flag, authzid, bare = _split(text, 3)
        if flag != "n":  # the client asks for channel binding, or would
            raise RefusedError
        attributes = bare.split(",")
        if attributes[0].startswith("m="):  # an extension that has to be understood
            raise RefusedError
        self._name = _sasl_name(_value("n", attributes[0]))
        nonce = _value("r", attributes[1] if len(attributes) > 1 else "")
        if not all("!" <= character <= "~" for character in nonce):
            raise RefusedError
        if authzid and _sasl_name(_value("a", authzid)) != self._name:
            raise RefusedError(OTHER_AUTHORIZATION_ID)
        known = self._credentials.made_up if f"{TOKEN_EXTENSION}=true" in attributes[2:] else self._credentials.credential
        self._credential = known(self._mechanism, self._name)
        self._client_nonce = nonce
        self._nonce = nonce + self._nonce
        self._binding = b64encode(f"{flag},{authzid},".encode()).decode()
        answer = f"r={self._nonce},s={b64encode(self._credential.salt).decode()},i={self._credential.iterations}"
        self._said = f"{bare},{answer}"
        return Challenge(answer.encode())

    def _final(self, text: str, credential: Credential) -> Step:
        unproved, separator, proof_text = text.rpartition(",p=")
        channel, nonce = _split(unproved, 2)
        nonce = nonce.partition(",")[0]
        proof = _base64(proof_text)
        signature = self._mechanism.hmac(credential.stored_key, f"{self._said},{unproved}".encode())
        if not separator or len(proof) != len(signature):
            raise RefusedError
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        proved = hmac.compare_digest(self._mechanism.hash(client_key), credential.stored_key)
        same_nonce = _value("r", nonce) in (self._nonce, self._client_nonce + self._nonce)
        same_binding = hmac.compare_digest(_value("c", channel).encode(), self._binding.encode())
        if not (proved and same_nonce and same_binding):
            raise RefusedError
        server_signature = self._mechanism.hmac(credential.server_key, f"{self._said},{unproved}".encode())
        return Authenticated(self._name, b"v=" + b64encode(server_signature))


def _split(text: str, count: int) -> list[str]:
    """Exactly so many parts between commas; the last may have more commas."""
    parts = text.split(",", count - 1)
    if len(parts) != count:
        raise RefusedError
    return parts


def _value(letter: str, attribute: str) -> str:
    """What stands behind `letter=`, which is not nothing."""
    name, _, value = attribute.partition("=")
    if name != letter or not value or "\0" in value:
        raise RefusedError
    return value


def _sasl_name(text: str) -> str:
    """A name with its commas and equals signs, which are written =2C and =3D."""
    if text.count("=") != text.count("=2C") + text.count("=3D"):
        raise RefusedError
    return text.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise RefusedError from None
