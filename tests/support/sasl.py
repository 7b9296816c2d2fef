"""The client's side of SASL, message by message, so that a test can say something else than it should.

client = ScramClient("SCRAM-SHA-256", "alice", "secret")
authenticate(raw_client, client.first())              the server's first message is in the answer
authenticate(raw_client, client.final(answer.auth_bytes))
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Any

from ev.security.credentials import BY_NAME
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from ev.wire.messages.k51_alter_user_scram_credentials import AlterUserScramCredentialsRequest, ScramCredentialUpsertion
from support.raw_client import RawClient

NONCE = "fyko+d2lbbFgONRv9qkxdawL"


def handshake(client: RawClient, mechanism: str, version: int = 1) -> Any:
    return client.ask(17, version, SaslHandshakeRequest(mechanism))


def authenticate(client: RawClient, data: bytes, version: int = 2) -> Any:
    return client.ask(36, version, SaslAuthenticateRequest(data))


def upsertion(name: str, password: str, mechanism: str, iterations: int = 4096, salt: bytes = b"a salt") -> ScramCredentialUpsertion:
    found = BY_NAME[mechanism]
    salted = hashlib.pbkdf2_hmac(found.hash_name, password.encode(), salt, iterations)
    return ScramCredentialUpsertion(name, found.number, iterations, salt, salted)


def add_user(address: str, name: str, password: str, *mechanisms: str, iterations: int = 4096) -> None:
    """Make a user at a listener that lets everybody."""
    with RawClient(address) as client:
        for mechanism in mechanisms or BY_NAME:
            request = AlterUserScramCredentialsRequest(upsertions=[upsertion(name, password, mechanism, iterations)])
            (result,) = client.ask(51, 0, request).results
            assert result.error_code == 0, result.error_message


def plain(name: str, password: str, authzid: str = "") -> bytes:
    return f"{authzid}\0{name}\0{password}".encode()


class ScramClient:
    """The messages of one exchange."""

    def __init__(self, mechanism: str, name: str, password: str, *, authzid: str = "", nonce: str = NONCE, extensions: str = "") -> None:
        self.hash_name = BY_NAME[mechanism].hash_name
        self.password = password.encode()
        self.gs2_header = f"n,{'a=' + authzid if authzid else ''},"
        self.nonce = nonce
        self.bare = f"n={name.replace('=', '=3D').replace(',', '=2C')},r={nonce}{extensions}"
        self.server_signature = b""

    def first(self) -> bytes:
        return (self.gs2_header + self.bare).encode()

    def final(self, server_first: bytes, *, nonce: str | None = None, binding: bytes | None = None, broken_proof: bool = False) -> bytes:
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        assert fields["r"].startswith(self.nonce)
        assert len(fields["r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac(self.hash_name, self.password, b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self.hash_name)
        stored_key = hashlib.new(self.hash_name, client_key).digest()
        channel = b64encode(self.gs2_header.encode() if binding is None else binding).decode()
        unproved = f"c={channel},r={fields['r'] if nonce is None else nonce}"
        said = f"{self.bare},{server_first.decode()},{unproved}".encode()
        signature = hmac.digest(stored_key, said, self.hash_name)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        self.server_signature = b"v=" + b64encode(hmac.digest(hmac.digest(salted, b"Server Key", self.hash_name), said, self.hash_name))
        if broken_proof:
            proof = proof[:-1] + bytes([proof[-1] ^ 1])
        return f"{unproved},p={b64encode(proof).decode()}".encode()


def log_in(client: RawClient, mechanism: str, name: str, password: str, version: int = 2) -> Any:
    """All of it; the last answer."""
    assert handshake(client, mechanism).error_code == 0
    return behind_handshake(client, mechanism, name, password, version)


def behind_handshake(client: RawClient, mechanism: str, name: str, password: str, version: int = 2) -> Any:
    """What comes behind a handshake that was taken; the last answer."""
    if mechanism == "PLAIN":
        return authenticate(client, plain(name, password), version)
    scram = ScramClient(mechanism, name, password)
    answer = authenticate(client, scram.first(), version)
    if answer.error_code == 0:
        answer = authenticate(client, scram.final(answer.auth_bytes), version)
        assert answer.error_code or answer.auth_bytes == scram.server_signature, "the server does not know the password"
    return answer
