"""SCRAM (RFC 5802) from the client's side: shows that it knows the password without saying it, and sees whether the broker knows it too.

    client                                      broker
    n,,n=NAME,r=OURS                    -->
                                        <--     r=OURS+THEIRS,s=SALT,i=ITERATIONS
    c=biws,r=OURS+THEIRS,p=PROOF        -->
                                        <--     v=SIGNATURE

Who only pretends to be the broker must not learn anything that helps to guess the password quickly: hence the lower bound of the
iterations. The upper one keeps it from holding us up. Names and passwords are used as they are written, as Kafka does it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

from ev.errors import AuthenticationError

ITERATIONS_MIN = 4096
ITERATIONS_MAX = 1_000_000


class Scram:
    """One exchange: `first`, then `answer` to each message of the broker; it is `done` when the broker has shown that it knows us."""

    def __init__(self, hash_name: str, username: str, password: str, nonce: str) -> None:
        self.done = False
        self._hash_name = hash_name
        self._password = password.encode()
        self._nonce = nonce
        self._bare = f"n={username.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""

    def __repr__(self) -> str:
        return f"Scram({self._hash_name})"

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def answer(self, message: bytes) -> bytes:
        """The next message to the broker. Raises AuthenticationError when what it says cannot be trusted."""
        fields = _fields(message)
        if "e" in fields:
            raise AuthenticationError(f"the broker refused: {fields['e']}")
        if not self._signature:
            return self._prove(message, fields)
        if not hmac.compare_digest(_decoded(fields.get("v", "")), self._signature):
            raise AuthenticationError(
                "the broker could not show that it knows the password, so it may be somebody else: is the address right?"
            )
        self.done = True
        return b""

    def _prove(self, server_first: bytes, fields: dict[str, str]) -> bytes:
        nonce, salt, iterations = fields.get("r", ""), _decoded(fields.get("s", "")), fields.get("i", "")
        if "m" in fields or not salt or not iterations.isdigit():
            raise AuthenticationError("the broker's first SCRAM message is none that RFC 5802 allows")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthenticationError("the broker's SCRAM nonce does not continue ours: somebody may be repeating an old conversation")
        if not ITERATIONS_MIN <= int(iterations) <= ITERATIONS_MAX:
            raise AuthenticationError(
                f"the broker asks for {iterations} iterations of SCRAM; {ITERATIONS_MIN} to {ITERATIONS_MAX} are accepted: "
                "the user has to be given new credentials with a number in that range"
            )
        salted = hashlib.pbkdf2_hmac(self._hash_name, self._password, salt, int(iterations))
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self._hash_name, client_key).digest()
        unproved = f"c=biws,r={nonce}"
        said = f"{self._bare},{server_first.decode()},{unproved}".encode()
        self._signature = self._hmac(self._hmac(salted, b"Server Key"), said)
        proof = bytes(one ^ other for one, other in zip(client_key, self._hmac(stored_key, said), strict=True))
        return f"{unproved},p={b64encode(proof).decode()}".encode()

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self._hash_name)


def _fields(message: bytes) -> dict[str, str]:
    """`r=…,s=…` as a mapping; what has another form has no fields."""
    try:
        parts = message.decode().split(",")
    except UnicodeDecodeError:
        return {}
    return {part[0]: part[2:] for part in parts if part[1:2] == "="}


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
