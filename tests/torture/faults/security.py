"""Faults of who may do what, of the door before authentication, and of what is kept secret."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from ev import disk
from ev.broker import scram_users
from ev.broker.acls import Acl, Acls, Prefixes
from ev.broker.authorizer import Authorizer
from ev.broker.sasl import State
from ev.security import scram
from ev.security.credentials import Credential, Mechanism, Shape, made_up_credential
from ev.security.exchange import RefusedError
from ev.security.plain import Plain
from ev.server.authentication import Authentication
from ev.wire.acls import Permission
from torture.faults import Patches

DESCRIBE_CLUSTER = 60


def allow_wins(patches: Patches) -> None:
    """Of two ACLs that say the opposite the one that allows counts."""
    honest = Authorizer._verdict

    def verdict(self: Authorizer, acls: list[Acl] | None, operation: int) -> bool:
        allowing = None if acls is None else [acl for acl in acls if acl.permission == Permission.ALLOW]
        return honest(self, allowing, operation) or honest(self, acls, operation)

    patches.put(Authorizer, "_verdict", verdict)


def removed_acl_is_remembered(patches: Patches) -> None:
    """What was decided before an ACL was removed is decided so still (CVE-2024-27309 was of this kind)."""
    honest = Acls.replay

    def replay(self: Acls, acl: Acl, *, exists: bool) -> None:
        told, self.on_change = self.on_change, self.on_change if exists else None
        honest(self, acl, exists=exists)
        self.on_change = told

    patches.put(Acls, "replay", replay)


def prefix_both_ways(patches: Patches) -> None:
    """An ACL for names that begin with a prefix is one for names that the prefix begins with, too."""
    honest = Prefixes.of

    def of(self: Prefixes, name: str) -> Iterator[Acl]:
        yield from honest(self, name)
        for prefix, acls in self._acls.items():
            if len(prefix) > len(name) and prefix.startswith(name):
                yield from acls

    patches.put(Prefixes, "of", of)


def cluster_told_to_strangers(patches: Patches) -> None:
    """DescribeCluster is served to who has asked for the versions, and has not said who it is."""
    honest = Authentication._fits

    def fits(self: Authentication, key: int) -> bool:
        return honest(self, key) or (key == DESCRIBE_CLUSTER and self._sasl.state is State.VERSIONS_KNOWN)

    patches.put(Authentication, "_fits", fits)


class AnyNonce(str):
    """A nonce that is the same as any other."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def nonce_not_compared(patches: Patches) -> None:
    """The nonce in the client's last message may be any (CVE-2024-56128)."""
    value, final = scram._value, scram.Scram._final
    in_final = False

    def noted_final(self: scram.Scram, text: str, credential: Credential) -> Any:
        nonlocal in_final
        in_final = True
        try:
            return final(self, text, credential)
        finally:
            in_final = False

    def lenient_value(letter: str, attribute: str) -> str:
        found = value(letter, attribute)
        return AnyNonce(found) if letter == "r" and in_final else found

    patches.put(scram.Scram, "_final", noted_final)
    patches.put(scram, "_value", lenient_value)


def stranger_is_seen(patches: Patches) -> None:
    """The salt of a user that is not there is another one each time: who asks twice knows that nobody has the name."""

    def made_up(mechanism: Mechanism, name: str, secret: bytes, shape: Shape) -> Credential:
        return made_up_credential(mechanism, name, os.urandom(16), shape)

    patches.put(scram_users, "made_up_credential", made_up)


def wrong_token_logged(patches: Patches) -> None:
    """A token of PLAIN that was refused is written into the log, password and all, for whoever looks for the cause."""
    honest = Plain.step
    log = logging.getLogger("ev.sasl")

    def step(self: Plain, message: bytes, now_ms: int) -> Any:
        try:
            return honest(self, message, now_ms)
        except RefusedError:
            log.info("refused: %r", message)
            raise

    patches.put(Plain, "step", step)


def files_for_everybody(patches: Patches) -> None:
    """Everybody on the machine may read what is written."""
    honest = disk._open

    def generous(path: str, flags: int) -> int:
        descriptor = honest(path, flags)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o644)
        return descriptor

    patches.put(disk, "_open", generous)
