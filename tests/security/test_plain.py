"""PLAIN: three parts and a password that fits; what was right is remembered for as long as it stays so."""

from __future__ import annotations

import pytest

from ev.security.credentials import SCRAM_SHA_256, SCRAM_SHA_512, Shape, credential_from, made_up_credential, salted_password
from ev.security.exchange import Authenticated, RefusedError, Step, Work
from ev.security.plain import REMEMBERED_MAX, Known, Passwords, Plain
from support.sasl import plain


class Users:
    """Users of this test, with cheap credentials."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}

    def add(self, name: str, *passwords: str) -> None:
        self.known[name] = tuple(
            (mechanism, credential_from(mechanism, salted_password(mechanism, password.encode(), b"salt", 1), b"salt", 1))
            for mechanism, password in zip((SCRAM_SHA_256, SCRAM_SHA_512), passwords, strict=False)
        )

    def credentials(self, name: str) -> Known:
        return self.known.get(name) or ((SCRAM_SHA_256, made_up_credential(SCRAM_SHA_256, name, b"secret", Shape(1, 4, False))),)


@pytest.fixture
def passwords() -> Passwords:
    users = Users()
    users.add("alice", "secret")
    return Passwords(users, b"a secret of this process")


def said(passwords: Passwords, message: bytes) -> tuple[Step, bool]:
    """What it comes to, and whether the password had to be checked."""
    step = Plain(passwords).step(message, 0)
    return (step.then(step.run()), True) if isinstance(step, Work) else (step, False)


def test_the_password_is_checked_once(passwords: Passwords) -> None:
    """Every connection after the first one is let in without work; a wrong one costs the work each time."""
    assert said(passwords, plain("alice", "secret")) == (Authenticated("alice"), True)
    assert said(passwords, plain("alice", "secret")) == (Authenticated("alice"), False)
    for _ in range(2):
        step = Plain(passwords).step(plain("alice", "wrong"), 0)
        assert isinstance(step, Work)
        with pytest.raises(RefusedError, match="Invalid username or password"):
            step.then(step.run())


def test_what_is_remembered_ends_with_the_credential(passwords: Passwords) -> None:
    """A changed password counts at once, and so does the end of a user."""
    said(passwords, plain("alice", "secret"))
    users = passwords.users
    assert isinstance(users, Users)
    users.add("alice", "other")
    with pytest.raises(RefusedError):
        said(passwords, plain("alice", "secret"))
    assert said(passwords, plain("alice", "other"))[1]
    del users.known["alice"]
    with pytest.raises(RefusedError):
        said(passwords, plain("alice", "other"))


def test_the_password_of_either_mechanism_is_one(passwords: Passwords) -> None:
    """A user may have been given two."""
    users = passwords.users
    assert isinstance(users, Users)
    users.add("bob", "first", "second")
    assert said(passwords, plain("bob", "first"))[0] == said(passwords, plain("bob", "second"))[0] == Authenticated("bob")


def test_a_name_that_no_user_has_costs_the_same_work(passwords: Passwords) -> None:
    """And is told the same."""
    step = Plain(passwords).step(plain("nobody", "secret"), 0)
    assert isinstance(step, Work)
    with pytest.raises(RefusedError, match="Invalid username or password"):
        step.then(step.run())


def test_nobody_acts_for_somebody_else(passwords: Passwords) -> None:
    """The authorization id is the name, or nothing; before the password is right, it is not even said that it is wrong."""
    assert said(passwords, plain("alice", "secret", "alice"))[0] == Authenticated("alice")
    with pytest.raises(RefusedError, match="different from username"):
        said(passwords, plain("alice", "secret", "admin"))
    with pytest.raises(RefusedError, match="Invalid username or password"):
        said(passwords, plain("alice", "wrong", "admin"))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"", "expected 3 tokens, got 1"),
        (b"alice\0secret", "expected 3 tokens, got 2"),
        (b"\0alice\0secret\0", "expected 3 tokens, got 4"),
        (b"\0\0secret", "username not specified"),
        (b"\0alice\0", "password not specified"),
        (b"\0al\xffice\0secret", "Invalid username or password"),
    ],
)
def test_three_parts_and_no_more(passwords: Passwords, message: bytes, told: str) -> None:
    """As Kafka says it."""
    with pytest.raises(RefusedError, match=told):
        said(passwords, message)


def test_no_more_is_remembered_than_there_is_room_for(passwords: Passwords) -> None:
    """The oldest go."""
    users = passwords.users
    assert isinstance(users, Users)
    for number in range(REMEMBERED_MAX + 1):
        users.add(f"u{number}", "secret")
        said(passwords, plain(f"u{number}", "secret"))
    assert said(passwords, plain("u0", "secret"))[1]
    assert not said(passwords, plain(f"u{REMEMBERED_MAX}", "secret"))[1]
