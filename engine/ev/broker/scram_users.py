"""The users and their SCRAM credentials, as the metadata log tells them; and the secret from which credentials of nobody are made.

    key                                  value
    {"kind":"scram_user","name":"jo"}    {"v":1,"credentials":{"SCRAM-SHA-256":{"salt":…,"stored_key":…,"server_key":…,"iterations":4096}}}
    {"kind":"scram_user","name":"jo"}    null: there is no such user any more
    {"kind":"scram_secret"}              {"v":1,"secret":…}

Bytes are in base64. No password is kept, and none can be computed from what is kept.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ev.broker.topics import RECORD_VERSION, SCRAM_SECRET, SCRAM_USER, metadata_record
from ev.security.credentials import BY_NAME, ORDINARY, SCRAM_SHA_256, Credential, Mechanism, Shape, made_up_credential

if TYPE_CHECKING:
    from ev.broker.topics import Record
    from ev.security.plain import Known

USERS_MAX: Final = 100_000
SECRET_BYTES: Final = 32

ByMechanism = Mapping[str, Credential]


class ScramUsers:
    """Every user, by name. Changes in `replay()` only."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, Credential]] = {}
        self._shapes: dict[str, Shape] = {}
        self.secret = b""

    def __len__(self) -> int:
        return len(self._by_name)

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def of(self, name: str) -> ByMechanism:
        """The user's credentials by the names of their mechanisms; empty when there is no such user."""
        return self._by_name.get(name, {})

    def credential(self, mechanism: Mechanism, name: str) -> Credential:
        """The user's credential, or a made-up one."""
        return self.of(name).get(mechanism.name) or self.made_up(mechanism, name)

    def credentials(self, name: str) -> Known:
        """All of the user's credentials, or a made-up one."""
        known = tuple((BY_NAME[mechanism], credential) for mechanism, credential in self.of(name).items())
        return known or ((SCRAM_SHA_256, self.made_up(SCRAM_SHA_256, name)),)

    def made_up(self, mechanism: Mechanism, name: str) -> Credential:
        """The credential of nobody; it looks like most of the others."""
        assert self.secret, "whoever authenticates clients has a secret"
        shape = self._shapes.get(mechanism.name)
        if shape is None:
            count = Counter(Shape.of(each[mechanism.name]) for each in self._by_name.values() if mechanism.name in each)
            shape = self._shapes[mechanism.name] = count.most_common(1)[0][0] if count else ORDINARY
        return made_up_credential(mechanism, name, self.secret, shape)

    def replay(self, name: str, state: dict[str, Any] | None) -> None:
        """One record of kind `scram_user`."""
        self._shapes.clear()
        self._by_name.pop(name, None)
        if state is not None:
            self._by_name[name] = {mechanism: _credential(fields) for mechanism, fields in state["credentials"].items()}

    def replay_secret(self, state: dict[str, Any]) -> None:
        """The record of kind `scram_secret`."""
        self.secret = b64decode(state["secret"])


def user_record(name: str, credentials: ByMechanism) -> Record:
    """The record that says what credentials a user has; none: that there is no such user."""
    state = {"v": RECORD_VERSION, "credentials": {mechanism: _fields(each) for mechanism, each in credentials.items()}}
    return metadata_record(SCRAM_USER, name, state if credentials else None)


def secret_record(secret: bytes) -> Record:
    return metadata_record(SCRAM_SECRET, "", {"v": RECORD_VERSION, "secret": _text(secret)})


def _fields(credential: Credential) -> dict[str, Any]:
    keys = {"salt": credential.salt, "stored_key": credential.stored_key, "server_key": credential.server_key}
    return {**{name: _text(key) for name, key in keys.items()}, "iterations": credential.iterations}


def _credential(fields: dict[str, Any]) -> Credential:
    salt, stored_key, server_key = (b64decode(fields[name]) for name in ("salt", "stored_key", "server_key"))
    return Credential(salt, stored_key, server_key, fields["iterations"])


def _text(data: bytes) -> str:
    return b64encode(data).decode()
