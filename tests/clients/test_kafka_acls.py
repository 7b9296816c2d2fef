"""Apache Kafka's own kafka-acls on the engine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from support import apache_kafka
from support.engine import Engine
from support.guarded import ANONYMOUS, SETTINGS

pytestmark = pytest.mark.java
GUARDED = {**SETTINGS, "allow.everyone.if.no.acl.found": "false", "super.users": ANONYMOUS}
ENTRY = re.compile(r"\(principal=(\S+), host=(\S+), operation=(\w+), permissionType=(\w+)\)")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine on which whoever asks is a super user."""
    with Engine(tmp_path_factory.mktemp("engine") / "data", settings=GUARDED) as engine:
        yield engine.address


def acls(address: str, *arguments: str) -> str:
    """Runs kafka-acls, which must succeed; what it printed."""
    command = apache_kafka.tool_command(apache_kafka.LATEST, "acls", "--bootstrap-server", address, *arguments)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def listed(address: str, *arguments: str) -> dict[str, set[tuple[str, str, str, str]]]:
    """What --list shows: (principal, host, operation, permission) by `KIND:PATTERN:name`."""
    found: dict[str, set[tuple[str, str, str, str]]] = {}
    for line in acls(address, "--list", *arguments).splitlines():
        head = re.search(r"resourceType=(\w+), name=(\S+), patternType=(\w+)", line)
        if head is not None:
            entries = found.setdefault(f"{head[1]}:{head[3]}:{head[2]}", set())
        elif (entry := ENTRY.search(line)) is not None:
            entries.add((entry[1], entry[2], entry[3], entry[4]))
    return found


def test_acls_are_added_listed_and_removed(address: str, topic: str) -> None:
    """With several operations at once, for a host, and denying."""
    of_topic = ("--topic", topic)
    added = ("--allow-principal", "User:alice", "--allow-host", "10.1.2.3", "--operation", "Read", "--operation", "Write")
    acls(address, "--add", *of_topic, *added, "--deny-principal", "User:bob")
    entries = {("User:alice", "10.1.2.3", operation, "ALLOW") for operation in ("READ", "WRITE")}
    entries |= {("User:bob", "*", operation, "DENY") for operation in ("READ", "WRITE")}
    assert listed(address, *of_topic) == {f"TOPIC:LITERAL:{topic}": entries}
    acls(address, "--remove", "--force", *of_topic)
    assert listed(address, *of_topic) == {}


@pytest.mark.slow
def test_the_rights_of_producers_and_consumers_and_prefixes(address: str, topic: str) -> None:
    """--producer and --consumer are what they stand for; a prefix is found by the names that it fits."""
    alice = ("--allow-principal", "User:alice")
    acls(address, "--add", *alice, "--producer", "--topic", topic, "--transactional-id", "orders-", "--resource-pattern-type", "prefixed")
    acls(address, "--add", *alice, "--consumer", "--topic", topic, "--group", "readers")
    own = ("User:alice", "*")
    assert listed(address) == {
        f"TOPIC:PREFIXED:{topic}": {(*own, operation, "ALLOW") for operation in ("WRITE", "DESCRIBE", "CREATE")},
        "TRANSACTIONAL_ID:PREFIXED:orders-": {(*own, operation, "ALLOW") for operation in ("WRITE", "DESCRIBE")},
        f"TOPIC:LITERAL:{topic}": {(*own, operation, "ALLOW") for operation in ("READ", "DESCRIBE")},
        "GROUP:LITERAL:readers": {(*own, "READ", "ALLOW")},
    }
    fitting = listed(address, "--topic", f"{topic}-too", "--resource-pattern-type", "match")
    assert set(fitting) == {f"TOPIC:PREFIXED:{topic}"}
    assert set(listed(address, "--principal", "User:nobody")) == set()
    acls(address, "--remove", "--force", "--topic", topic, "--resource-pattern-type", "prefixed")
    assert set(listed(address, "--topic", topic, "--resource-pattern-type", "any")) == {f"TOPIC:LITERAL:{topic}"}
