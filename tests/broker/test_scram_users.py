"""DescribeUserScramCredentials and AlterUserScramCredentials, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k50_describe_user_scram_credentials import DescribeUserScramCredentialsRequest, UserName
from ev.wire.messages.k51_alter_user_scram_credentials import AlterUserScramCredentialsRequest, ScramCredentialDeletion
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask
from support.sasl import upsertion
from support.waiting import wait_for

StartEngine = Callable[..., Engine]
numbers = itertools.count()
NONE, NOT_FOUND, TWICE, UNACCEPTABLE = (
    ErrorCode.NONE,
    ErrorCode.RESOURCE_NOT_FOUND,
    ErrorCode.DUPLICATE_RESOURCE,
    ErrorCode.UNACCEPTABLE_CREDENTIAL,
)


@pytest.fixture
def name() -> str:
    """A user of this test's own."""
    return f"user-{os.getpid()}-{next(numbers)}"


def altered(
    ask: Ask, *, delete: list[ScramCredentialDeletion] | None = None, upsert: list[Any] | None = None
) -> dict[str, tuple[int, str | None]]:
    results = ask(AlterUserScramCredentialsRequest(deletions=delete, upsertions=upsert), 0).results
    return {result.user: (result.error_code, result.error_message) for result in results}


def described(ask: Ask, *names: str) -> dict[str, Any]:
    users = [UserName(name) for name in names] if names else None
    answer = ask(DescribeUserScramCredentialsRequest(users=users), 0)
    assert answer.error_code == NONE
    return {each.user: each for each in answer.results}


def mechanisms(ask: Ask, name: str) -> dict[int, int]:
    return {info.mechanism: info.iterations for info in described(ask, name)[name].credential_infos}


def test_a_user_is_made_changed_and_removed(ask: Ask, name: str) -> None:
    """A credential for each mechanism; with the last one the user is gone."""
    assert altered(ask, upsert=[upsertion(name, "secret", "SCRAM-SHA-256")]) == {name: (NONE, None)}
    wait_for(lambda: mechanisms(ask, name) == {1: 4096}, "the user")
    altered(ask, upsert=[upsertion(name, "secret", "SCRAM-SHA-512", 16384)])
    altered(ask, upsert=[upsertion(name, "other", "SCRAM-SHA-256", 8192)])
    wait_for(lambda: mechanisms(ask, name) == {1: 8192, 2: 16384}, "both credentials")
    assert name in described(ask)
    assert altered(ask, delete=[ScramCredentialDeletion(name, 1)]) == {name: (NONE, None)}
    wait_for(lambda: mechanisms(ask, name) == {2: 16384}, "one of them to go")
    altered(ask, delete=[ScramCredentialDeletion(name, 2)])
    wait_for(lambda: described(ask, name)[name].error_code == NOT_FOUND, "the user to go")
    assert name not in described(ask)


def test_who_is_not_there_is_not_found(ask: Ask, name: str) -> None:
    """Neither described nor deleted, in Kafka's words."""
    assert described(ask, name)[name].error_message == f"Attempt to describe a user credential that does not exist: {name}"
    assert altered(ask, delete=[ScramCredentialDeletion(name, 1)]) == {
        name: (NOT_FOUND, "Attempt to delete a user credential that does not exist")
    }


def test_a_user_is_described_once_in_a_request(ask: Ask, name: str) -> None:
    """Twice is an error of this user alone."""
    altered(ask, upsert=[upsertion(name, "secret", "SCRAM-SHA-256")])
    wait_for(lambda: described(ask, name)[name].error_code == NONE, "the user")
    answer = described(ask, name, "other", name)
    assert answer[name].error_code == TWICE
    assert answer["other"].error_code == NOT_FOUND


@pytest.mark.parametrize("twice", ["upserted", "deleted", "both"])
def test_a_user_is_altered_once_in_a_request(ask: Ask, name: str, twice: str) -> None:
    """Whatever the mechanisms; nothing of it is done, and another user does not suffer from it."""
    altered(ask, upsert=[upsertion(name, "secret", "SCRAM-SHA-256")])
    wait_for(lambda: described(ask, name)[name].error_code == NONE, "the user")
    other = f"{name}-other"
    upsert = [upsertion(other, "secret", "SCRAM-SHA-256")]
    delete = []
    if twice in ("upserted", "both"):
        upsert.append(upsertion(name, "new", "SCRAM-SHA-512"))
    if twice == "upserted":
        upsert.append(upsertion(name, "new", "SCRAM-SHA-256", 5000))
    if twice in ("deleted", "both"):
        delete.append(ScramCredentialDeletion(name, 1))
    if twice == "deleted":
        delete.append(ScramCredentialDeletion(name, 1))
    assert altered(ask, delete=delete, upsert=upsert) == {
        name: (TWICE, "A user credential cannot be altered twice in the same request"),
        other: (NONE, None),
    }
    wait_for(lambda: described(ask, other)[other].error_code == NONE, "the other user")
    assert mechanisms(ask, name) == {1: 4096}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"iterations": 4095}, UNACCEPTABLE, "Too few iterations"),
        ({"iterations": 16385}, UNACCEPTABLE, "Too many iterations"),
        ({"mechanism": 3}, ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism"),
        ({"mechanism": 0}, ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism"),
        ({"name": ""}, UNACCEPTABLE, "Username must not be empty"),
    ],
)
def test_what_no_credential_is_like_is_refused(ask: Ask, name: str, change: dict[str, Any], code: int, message: str) -> None:
    """Iterations from 4096 to 16384, a mechanism that there is, and a name."""
    wanted = upsertion(name, "secret", "SCRAM-SHA-256")
    for field, value in change.items():
        setattr(wanted, field, value)
    assert altered(ask, upsert=[wanted]) == {wanted.name: (code, message)}
    assert described(ask, name)[name].error_code == NOT_FOUND


def test_users_survive_a_crash(start_engine: StartEngine, name: str) -> None:
    """What was answered is on disk; who was removed stays so. Nothing there is the password, or the salted password."""
    engine = start_engine()
    wanted = upsertion(name, "a very long password", "SCRAM-SHA-256")
    with RawClient(engine.address) as client:
        client.ask(51, 0, AlterUserScramCredentialsRequest(upsertions=[wanted, upsertion("gone", "x", "SCRAM-SHA-256")]))
        client.ask(51, 0, AlterUserScramCredentialsRequest(deletions=[ScramCredentialDeletion("gone", 1)]))
    engine.kill()
    for path in engine.directory.rglob("*"):
        if path.is_file():
            assert b"a very long password" not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0
    engine.start()
    with RawClient(engine.address) as client:
        results = client.ask(50, 0, DescribeUserScramCredentialsRequest(users=None)).results
    assert [(result.user, [(info.mechanism, info.iterations) for info in result.credential_infos]) for result in results] == [
        (name, [(1, 4096)])
    ]
