"""The engine goes and comes back under a living group: by SIGTERM and by kill -9, nobody has to rebalance."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.engine import Engine
from support.group_members import CLIENTS, STATIC_CLIENTS, GroupMember, member_of
from support.rules import rule
from support.waiting import wait_for

PARTITIONS = 4
WAIT_S = 60
StartEngine = Callable[..., Engine]

# kafka-python drops sockets whose connection was refused without closing them, and it meets some while the engine is away.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def dropped_sockets_end_with_their_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those sockets are reached from the exceptions in kafka-python's log records, which pytest would keep."""
    monkeypatch.setattr(logging.getLogger("kafka"), "disabled", True)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("kafka."):
            monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    yield
    gc.collect()


def with_kcat(clients: tuple[str, ...]) -> list[object]:
    return [pytest.param(client, marks=[pytest.mark.kcat] if client == "kcat" else []) for client in clients]


def produce(address: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    for number, value in enumerate(values):
        producer.produce("shared", value, partition=number % PARTITIONS)
    assert producer.flush(30) == 0


def start_with_topic(start_engine: StartEngine) -> Engine:
    engine = start_engine()
    admin = AdminClient({"bootstrap.servers": engine.address})
    admin.create_topics([NewTopic("shared", PARTITIONS, 1)])["shared"].result(30)
    return engine


def settled(members: list[GroupMember]) -> bool:
    return sorted(partition for member in members for partition in member.assigned) == list(range(PARTITIONS)) and all(
        member.assigned for member in members
    )


def read_by(members: list[GroupMember]) -> set[bytes]:
    return {value for member in members for value in member.records.values()}


def member_ids(address: str) -> set[str]:
    admin = AdminClient({"bootstrap.servers": address})
    described = admin.describe_consumer_groups(["g"])["g"].result(30)
    return {member.member_id for member in described.members}


@rule(91)
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("client", with_kcat(CLIENTS))
def test_a_restart_of_the_engine_does_not_make_a_group_rebalance(start_engine: StartEngine, client: str, how: str) -> None:
    """The members keep their ids and their partitions, and read on."""
    engine = start_with_topic(start_engine)
    before, after = [[b"%s-%d" % (which, number) for number in range(40)] for which in (b"before", b"after")]
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(member_of(client, engine.address, "shared", "g")) for _ in range(2)]
        wait_for(lambda: settled(members), "two members to share the partitions", WAIT_S)
        produce(engine.address, before)
        wait_for(lambda: read_by(members) == set(before), "the first records", WAIT_S)
        known, given = member_ids(engine.address), [member.assignments for member in members]
        engine.stop() if how == "stop" else engine.kill()
        engine.start()
        produce(engine.address, after)
        wait_for(lambda: read_by(members) == {*before, *after}, "the records after the restart", WAIT_S)
        assert member_ids(engine.address) == known
        assert [member.assignments for member in members] == given, "nobody was given partitions again"


@pytest.mark.parametrize("client", with_kcat(STATIC_CLIENTS))
def test_a_static_member_comes_back_without_a_rebalance(start_engine: StartEngine, client: str) -> None:
    """It stops and starts again with its instance id, here with a restart of the engine in between: the other member notices nothing."""
    engine = start_with_topic(start_engine)
    with contextlib.ExitStack() as stack:
        stays = stack.enter_context(member_of(client, engine.address, "shared", "g", "stays"))
        goes = stack.enter_context(member_of(client, engine.address, "shared", "g", "goes"))
        wait_for(lambda: settled([stays, goes]), "two members to share the partitions", WAIT_S)
        had, given = goes.assigned, stays.assignments
        produce(engine.address, [b"first-%d" % number for number in range(20)])
        wait_for(lambda: len(read_by([stays, goes])) == 20, "the first records", WAIT_S)
        goes.stop()
        engine.kill()
        engine.start()
        back = stack.enter_context(member_of(client, engine.address, "shared", "g", "goes"))
        wait_for(lambda: back.assigned == had, "the static member to have its partitions again", WAIT_S)
        produce(engine.address, [b"second-%d" % number for number in range(20)])
        wait_for(lambda: len(read_by([stays, goes, back])) == 40, "the second records", WAIT_S)
        assert stays.assignments == given, "the member that stayed was not disturbed"
