"""PLAIN (RFC 4616): the client says its password, which is checked against the SCRAM credentials of the user.

    [authorization id] NUL name NUL password

A check takes milliseconds in a thread. What was right is remembered for a while, as an HMAC with a secret of this process, so that
many connections of one client cost one check; it counts for as long as the user has the same credentials.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import Final, Protocol

from ev.security.credentials import Credential, Mechanism, fits
from ev.security.exchange import OTHER_AUTHORIZATION_ID, Authenticated, RefusedError, Step, Work

REMEMBERED_MAX: Final = 1000
WRONG: Final = "Authentication failed: Invalid username or password"

Known = tuple[tuple[Mechanism, Credential], ...]


class Users(Protocol):
    """Where all credentials of a user are found."""

    def credentials(self, name: str) -> Known:
        """At least one: a made-up one for a name that no user has."""


class Passwords:
    """Checks passwords, and remembers which were right."""

    def __init__(self, users: Users, secret: bytes) -> None:
        self.users = users
        self._secret = secret
        self._right: OrderedDict[bytes, Known] = OrderedDict()

    def remembers(self, name: str, password: str, known: Known) -> bool:
        digest = self._digest(name, password)
        found = self._right.get(digest)
        if found != known:
            return False
        self._right.move_to_end(digest)
        return True

    def remember(self, name: str, password: str, known: Known) -> None:
        self._right[self._digest(name, password)] = known
        if len(self._right) > REMEMBERED_MAX:
            self._right.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{name}\0{password}".encode(), "sha256")


class Plain:
    """One exchange, which is one message."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    def step(self, message: bytes, now_ms: int) -> Step:
        try:
            parts = message.decode().split("\0", 3)
        except UnicodeDecodeError:
            raise RefusedError(WRONG) from None
        if len(parts) != 3:
            raise RefusedError(f"Invalid SASL/PLAIN response: expected 3 tokens, got {len(parts)}")
        authzid, name, password = parts
        if not name:
            raise RefusedError("Authentication failed: username not specified")
        if not password:
            raise RefusedError("Authentication failed: password not specified")
        known = self._passwords.users.credentials(name)

        def checked(is_right: bool) -> Authenticated:
            if not is_right:
                raise RefusedError(WRONG)
            self._passwords.remember(name, password, known)
            if authzid not in ("", name):
                raise RefusedError(OTHER_AUTHORIZATION_ID)
            return Authenticated(name)

        if self._passwords.remembers(name, password, known):
            return checked(True)
        data = password.encode()
        return Work(lambda: _any_fits(known, data), checked)


def _any_fits(known: Known, password: bytes) -> bool:
    """Whether it is the password of one of them; all are tried, whichever it is."""
    found = [fits(mechanism, credential, password) for mechanism, credential in known]
    return any(found)
