"""ev acl: rights are added, listed and removed, and count."""

from __future__ import annotations

import json

import pytest

from conftest import StartEngine
from support.command_line import CommandLine, Finished
from support.engine import Engine
from support.guarded import ANONYMOUS, SETTINGS

COLUMNS = ("principal", "permission", "operation", "resource", "name", "pattern", "host")
GUARDED = {**SETTINGS, "allow.everyone.if.no.acl.found": "false"}


class Guarded:
    """`ev` against one engine."""

    def __init__(self, ev: CommandLine, engine: Engine) -> None:
        self.ev = ev
        self.engine = engine

    def __call__(self, *arguments: str, status: int = 0) -> Finished:
        return self.ev("-b", self.engine.address, *arguments, status=status)

    def listed(self, *arguments: str) -> list[tuple[str, ...]]:
        rows = json.loads(self("acl", "list", "--json", *arguments).out)
        return [tuple(row[name] for name in COLUMNS) for row in rows]


@pytest.fixture
def ours(ev: CommandLine, start_engine: StartEngine) -> Guarded:
    """An engine on which we are a super user."""
    return Guarded(ev, start_engine(settings={**GUARDED, "super.users": ANONYMOUS}))


def test_rights_are_added_listed_and_removed(ours: Guarded) -> None:
    """Each operation, host and resource makes an ACL; lists are tables and JSON."""
    two = ("--operation", "read,DescribeConfigs", "--host", "10.1.2.3")
    added = ours("acl", "add", "--principal", "alice", *two, "-t", "orders", "-g", "billing")
    assert added.err.count("added:") == 4
    ours("acl", "add", "--principal", "User:*", "--operation", "all", "-t", "temp-", "--prefixed", "--deny")
    ours("acl", "add", "--principal", "alice", "--operation", "idempotent-write", "--cluster")
    of_alice = ours.listed("--principal", "alice")
    assert len(of_alice) == 5
    assert ("User:alice", "allow", "describe_configs", "topic", "orders", "literal", "10.1.2.3") in of_alice
    assert ("User:alice", "allow", "idempotent_write", "cluster", "kafka-cluster", "literal", "*") in of_alice
    assert ours.listed("-t", "temp-1") == [("User:*", "deny", "all", "topic", "temp-", "prefixed", "*")]
    assert ours.listed("--deny") == ours.listed("--prefixed") == ours.listed("-t", "temp-1")
    planned = ours("acl", "add", "--allow", "--principal", "bob", "--operation", "read", "-t", "orders", "--dry-run", "-o", "csv")
    assert planned.lines[1] == "User:bob,allow,read,topic,orders,literal,*"
    assert "contradict" in ours("acl", "add", "--allow", "--deny", "--principal", "a", "--operation", "read", "-t", "t", status=2).err
    assert ours.listed("--principal", "bob") == []
    assert ours("acls", "-o", "tsv", "--cluster").lines == ["User:alice\tallow\tidempotent_write\tcluster\tkafka-cluster\tliteral\t*"]
    assert ours("acl", "list", "-o", "table", "--deny").lines[0].split()[:3] == ["PRINCIPAL", "PERMISSION", "OPERATION"]
    would = ours("acl", "remove", "--principal", "alice", "-t", "orders", "--dry-run")
    assert would.err.count("would remove:") == 2
    assert len(ours.listed()) == 6
    removed = ours("acl", "remove", "--principal", "alice", "-t", "orders", "-y")
    assert removed.err.count("removed:") == 2
    ours("acl", "remove", "-t", "temp-", "--prefixed", "-y")
    assert {row[3] for row in ours.listed()} == {"group", "cluster"}


def test_what_was_added_or_removed_is_taken_back(ours: Guarded) -> None:
    """ev undo removes what was added, and only that; it brings back what was removed."""
    ours("acl", "add", "--principal", "a", "--operation", "read", "-t", "t")
    ours("acl", "add", "--principal", "a", "--operation", "read,write", "-t", "t")
    assert len(ours.listed()) == 2
    ours("undo", "-y")
    assert [row[2] for row in ours.listed()] == ["read"]
    ours("acl", "remove", "-t", "t", "-y")
    ours("undo", "-y")
    assert [row[2] for row in ours.listed()] == ["read"]


def test_what_is_not_said_right_is_a_sentence(ours: Guarded) -> None:
    """And a status: 2 for the command line, 3 where there is nothing, and nothing is removed without a yes."""
    assert "--operation is missing" in ours("acl", "add", "--principal", "a", "-t", "t", status=2).err
    assert "--principal is missing" in ours("acl", "add", "--operation", "read", "-t", "t", status=2).err
    assert "--topic, --group" in ours("acl", "add", "--principal", "a", "--operation", "read", status=2).err
    assert "--operation fly is unknown" in ours("acl", "list", "--operation", "fly", status=2).err
    assert "not said which ACLs" in ours("acl", "remove", "-y", status=2).err
    assert "no such ACL" in ours("acl", "remove", "-t", "nothing", "-y", status=3).err
    ours("acl", "add", "--principal", "a", "--operation", "read", "-t", "t")
    assert "needs a yes" in ours("acl", "remove", "-t", "t", status=2).err
    assert len(ours.listed()) == 1


def test_whoever_may_not_is_told_so(ev: CommandLine, start_engine: StartEngine) -> None:
    """Exit status 5, for topics as for ACLs; an engine without an authorizer says that it has none."""
    theirs = Guarded(ev, start_engine(settings={**GUARDED, "super.users": ""}))
    assert "CLUSTER_AUTHORIZATION_FAILED" in theirs("acl", "list", status=5).err
    assert "AUTHORIZATION_FAILED" in theirs("acl", "add", "--principal", "a", "--operation", "all", "-t", "*", status=5).err
    assert "AUTHORIZATION_FAILED" in theirs("topic", "create", "orders", status=5).err
    assert theirs("topic", "list").out == b""
    assert "nobody may do anything" in theirs.engine.log()
    open_to_all = Guarded(ev, start_engine())
    assert "No Authorizer is configured" in open_to_all("acl", "list", status=1).err
