"""SCRAM credentials: what the server keeps of a user's password, and what it makes up for a user that is not there.

A credential holds no password: SaltedPassword = PBKDF2(password, salt, iterations), StoredKey = H(HMAC(SaltedPassword, "Client Key")),
ServerKey = HMAC(SaltedPassword, "Server Key"). One that is made up is made from the name and a secret: it is the same each time, and no
password fits.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NamedTuple

ITERATIONS_MIN: Final = 4096
ITERATIONS_MAX: Final = 16384
LETTERS: Final = b"0123456789abcdefghijklmnopqrstuvwxyz"


class Mechanism(NamedTuple):
    """A variant of SCRAM: its name in SASL, Kafka's number for it, and its hash."""

    name: str
    number: int
    hash_name: str

    def hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self.hash_name)

    def hash(self, data: bytes) -> bytes:
        return hashlib.new(self.hash_name, data).digest()


SCRAM_SHA_256: Final = Mechanism("SCRAM-SHA-256", 1, "sha256")
SCRAM_SHA_512: Final = Mechanism("SCRAM-SHA-512", 2, "sha512")
BY_NAME: Final = {mechanism.name: mechanism for mechanism in (SCRAM_SHA_256, SCRAM_SHA_512)}
BY_NUMBER: Final = {mechanism.number: mechanism for mechanism in BY_NAME.values()}


class Credential(NamedTuple):
    """What the server knows about a user's password."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


class Shape(NamedTuple):
    """What a stranger is shown of a credential, but for the salt itself: a made-up one must not look different."""

    iterations: int
    salt_size: int
    is_text: bool  # Kafka's tools make salts of digits and small letters

    @classmethod
    def of(cls, credential: Credential) -> Shape:
        return cls(credential.iterations, len(credential.salt), not credential.salt.strip(LETTERS))


ORDINARY: Final = Shape(ITERATIONS_MIN, 26, True)
"""As Kafka's tools make them."""


def credential_from(mechanism: Mechanism, salted_password: bytes, salt: bytes, iterations: int) -> Credential:
    stored_key = mechanism.hash(mechanism.hmac(salted_password, b"Client Key"))
    return Credential(salt, stored_key, mechanism.hmac(salted_password, b"Server Key"), iterations)


def salted_password(mechanism: Mechanism, password: bytes, salt: bytes, iterations: int) -> bytes:
    """This takes milliseconds, and does not hold the interpreter's lock meanwhile."""
    return hashlib.pbkdf2_hmac(mechanism.hash_name, password, salt, iterations)


def fits(mechanism: Mechanism, credential: Credential, password: bytes) -> bool:
    """Whether it is this password that the credential was made from. Takes milliseconds."""
    salted = salted_password(mechanism, password, credential.salt, credential.iterations)
    stored_key = mechanism.hash(mechanism.hmac(salted, b"Client Key"))
    return hmac.compare_digest(stored_key, credential.stored_key)


def made_up_credential(mechanism: Mechanism, name: str, secret: bytes, shape: Shape) -> Credential:
    """The credential of nobody: always the same for a name, and like others of this shape."""

    def derived(what: str, size: int) -> bytes:
        pieces = -(-size // 64)
        text = f"{mechanism.name}\0{what}\0{name}".encode()
        return b"".join(hmac.digest(secret, text + bytes([index]), "sha512") for index in range(pieces))[:size]

    salt = derived("salt", shape.salt_size)
    if shape.is_text:
        salt = bytes(LETTERS[byte % len(LETTERS)] for byte in salt)
    size = len(mechanism.hash(b""))
    return Credential(salt, derived("stored key", size), derived("server key", size), shape.iterations)
