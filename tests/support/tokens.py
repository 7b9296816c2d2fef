"""Signed tokens for tests, with keys that the openssl program makes."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
from base64 import urlsafe_b64encode
from typing import Any

from support.certificates import openssl

DIGESTS = {"RS256": "sha256", "RS384": "sha384", "RS512": "sha512"}


def encoded(data: bytes | dict[str, Any]) -> str:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return urlsafe_b64encode(raw).decode().rstrip("=")


class Issuer:
    """Has a key, and signs what it is asked to."""

    def __init__(self, directory: pathlib.Path, name: str = "k1", bits: int = 2048) -> None:
        self.name = name
        self.path = directory / f"{name}.key"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", str(self.path))
        self.modulus = int(openssl("rsa", "-in", str(self.path), "-noout", "-modulus").strip().partition("=")[2], 16)
        self.public = openssl("rsa", "-in", str(self.path), "-pubout")

    @property
    def key(self) -> dict[str, Any]:
        """As it stands in a JSON Web Key Set."""
        size = (self.modulus.bit_length() + 7) // 8
        return {"kty": "RSA", "kid": self.name, "n": encoded(self.modulus.to_bytes(size, "big")), "e": "AQAB"}

    def signature(self, message: bytes, algorithm: str = "RS256") -> bytes:
        command = ["openssl", "dgst", f"-{DIGESTS[algorithm]}", "-sign", str(self.path)]
        return subprocess.run(command, input=message, capture_output=True, check=True, timeout=30).stdout

    def token(self, subject: str | None = None, *, algorithm: str = "RS256", head: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is valid for an hour, unless something else is claimed; None takes a claim away."""
        now = int(time.time())
        all_claims = {"sub": subject, "iat": now, "exp": now + 3600, **claims}
        heads = {"alg": algorithm, "kid": self.name, **(head or {})}
        message = ".".join(encoded({name: value for name, value in each.items() if value is not None}) for each in (heads, all_claims))
        return f"{message}.{encoded(self.signature(message.encode(), algorithm))}"


def response(token: str, name: str = "", more: str = "") -> bytes:
    """The client's message of OAUTHBEARER."""
    return f"n,{f'a={name}' if name else ''},\x01auth=Bearer {token}\x01{more}\x01".encode()
