"""ev user: users are made, given other passwords, listed and removed; a password never stands on a command line."""

from __future__ import annotations

import pytest

from support.command_line import CommandLine
from support.ports import free_port
from support.raw_client import RawClient
from support.sasl import log_in


@pytest.fixture
def secure(ev: CommandLine) -> str:
    """The address of a listener of the engine where users say who they are; the commands use another one, which is open."""
    address = f"127.0.0.1:{free_port()}"
    ev("up", "--listen", f"127.0.0.1:0,SASL_PLAINTEXT://{address}", "--set", "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
    return address


def may_come_in(address: str, mechanism: str, name: str, password: str) -> bool:
    with RawClient(address) as client:
        return bool(log_in(client, mechanism, name, password).error_code == 0)


def test_a_user_is_added_altered_and_removed(ev: CommandLine, secure: str) -> None:
    """With a password from stdin or from a command, for every mechanism unless one is named."""
    assert "added user alice" in ev("user", "add", "alice", "--password-stdin", data=b"secret\n").err
    assert all(may_come_in(secure, mechanism, "alice", "secret") for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    assert ev.json("user", "list") == [{"user": "alice", "mechanisms": ["SCRAM-SHA-256", "SCRAM-SHA-512"], "iterations": [16384, 16384]}]
    ev("user", "alter", "alice", "--mechanism", "scram-sha-512", "--iterations", "4096", "--password-command", "printf 'other\\nx'")
    assert may_come_in(secure, "SCRAM-SHA-512", "alice", "other")
    assert may_come_in(secure, "SCRAM-SHA-256", "alice", "secret")
    ev("user", "remove", "alice", "-y", "--mechanism", "SCRAM-SHA-256")
    assert not may_come_in(secure, "SCRAM-SHA-256", "alice", "secret")
    assert ev("users").out == b"alice\tSCRAM-SHA-512\t4096\n"
    assert "removed user alice" in ev("user", "remove", "alice", "-y").err
    assert ev("user", "list").out == b""
    assert not may_come_in(secure, "PLAIN", "alice", "other")


def test_nobody_is_added_twice_or_altered_without_being_there(ev: CommandLine) -> None:
    """Exit status 1 and 3; nothing is changed."""
    ev("user", "add", "alice", "--mechanism", "SCRAM-SHA-256", "--password-stdin", data=b"secret\n")
    assert "already" in ev("user", "add", "alice", "--password-stdin", data=b"other\n", status=1).err
    ev("user", "add", "alice", "--mechanism", "SCRAM-SHA-512", "--password-stdin", data=b"secret\n")
    assert "alice" in ev("user", "alter", "alise", "--password-stdin", data=b"other\n", status=3).err
    ev("user", "remove", "alise", "-y", status=3)
    planned = ev("user", "add", "bob", "--mechanism", "SCRAM-SHA-256", "--dry-run", "--json")
    assert planned.json == [{"user": "bob", "mechanisms": ["SCRAM-SHA-256"], "iterations": [16384]}]
    assert "would remove user alice" in ev("user", "remove", "alice", "--dry-run").err
    assert "would alter user alice" in ev("user", "alter", "alice", "--dry-run").err
    assert ev("user", "list", "ali*", "-o", "name").lines == ["alice"]


def test_a_password_has_to_be_given(ev: CommandLine) -> None:
    """Not as a word, not empty, not twice; a command that fails gives none."""
    ev("up", "-q")
    for arguments, status in (
        (("user", "add", "alice"), 2),
        (("user", "add", "alice", "secret"), 2),
        (("user", "add", "alice", "--password-stdin"), 2),
        (("user", "add", "alice", "--password-stdin", "--password-command", "echo x"), 2),
        (("user", "add", "alice", "--password-command", "exit 3"), 1),
        (("user", "add", "alice", "--mechanism", "PLAIN", "--password-command", "echo x"), 2),
        (("user", "add", "alice", "--iterations", "5", "--password-command", "echo x"), 1),
    ):
        done = ev(*arguments, data=b"\n", status=status)
        assert done.err.count("\n") == 1, done.err  # one line, although two mechanisms were to be set
    assert ev("user", "list").out == b""
