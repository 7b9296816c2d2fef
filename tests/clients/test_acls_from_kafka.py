"""ACLs come over with everything else that `ev server import` takes from Kafka."""

from __future__ import annotations

import pathlib
import signal
from collections.abc import Iterator

import pytest

from ev.broker.acls import Acl
from ev.wire.acls import CLUSTER_NAME, Operation, Pattern, Permission, Resource
from support.apache_kafka import Kafka
from support.command_line import CommandLine
from support.engine import Engine
from support.guarded import SETTINGS, Guarded
from support.guarded_requests import codes, create, fetch

pytestmark = [pytest.mark.java, pytest.mark.slow]


@pytest.fixture
def ev(tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.close()


def test_acls_of_kafka_become_the_engines(tmp_path: pathlib.Path, ev: CommandLine) -> None:
    """Those that were there when it was killed, and no others; the same client may do the same here."""
    with Kafka(directory=tmp_path / "kafka", properties=SETTINGS) as kafka:
        guarded = Guarded(kafka.bootstrap)
        guarded.found()
        assert codes(guarded.admin(create("orders"), 5)) == set()
        guarded.allow(Operation.READ, Resource.TOPIC, "ord", pattern=Pattern.PREFIXED)
        guarded.deny(Operation.WRITE, Resource.TOPIC, "*")
        guarded.allow(Operation.ALTER, Resource.CLUSTER)
        others = [
            Acl(Resource.GROUP, "naïve", Pattern.LITERAL, "User:CN=x,O=y", "*", Operation.ALL, Permission.ALLOW),
            Acl(Resource.CLUSTER, CLUSTER_NAME, Pattern.LITERAL, "Team:t", "10.0.0.1", Operation.DESCRIBE_CONFIGS, Permission.DENY),
        ]
        assert guarded.created(*others) == [0, 0]
        guarded.forbid(operation=Operation.ALTER)
        before = guarded.described(host_filter=None)
        assert set(others) <= before
        guarded.close()
        kafka.kill(1, signal.SIGKILL)
        planned = ev("server", "import", str(kafka.data(1)), "--dry-run").err
        assert f"ACLs: {len(before)} are taken over" in planned
        assert f"ACLs: {len(before)} are taken over" in ev("server", "import", str(kafka.data(1))).err
    assert ": whole (" in ev("server", "verify").err
    with Engine(ev.data_dir, settings=SETTINGS) as engine:
        guarded = Guarded(engine.address)
        assert guarded.described(host_filter=None) == before
        assert codes(guarded.user(fetch("orders"), 11)) == set()
        assert codes(guarded.user(create("more"), 5)) == {29}
        guarded.close()
