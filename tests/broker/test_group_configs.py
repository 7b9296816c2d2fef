"""Configurations of single groups (KIP-848), on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from ev.broker.configs import DEFAULT, DYNAMIC_GROUP, GROUP
from ev.broker.topics import GROUP_CONFIG, config_record, read_record
from ev.coordinators.group_config import GroupConfigs
from ev.errors import ErrorCode
from ev.settings import Settings
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from support.configured import APPEND, DELETE, SET, Resource
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over, until_settled
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk
from support.waiting import wait_for

SESSION = "consumer.session.timeout.ms"
INTERVAL = "consumer.heartbeat.interval.ms"
ASSIGNMENT = "consumer.assignment.interval.ms"
DEFAULTS = {SESSION: "45000", INTERVAL: "5000"}


def group_of(ask: Ask) -> Resource:
    return Resource(ask, GROUP, f"g-{uuid.uuid4().hex}")


def heartbeat(group: str, member: str, epoch: int = 0) -> ConsumerGroupHeartbeatRequest:
    joins = epoch == 0
    return ConsumerGroupHeartbeatRequest(
        group_id=group,
        member_id=member,
        member_epoch=epoch,
        rebalance_timeout_ms=60_000 if joins else -1,
        subscribed_topic_names=["t"] if joins else None,
        topic_partitions=[] if joins else None,
    )


def test_a_group_of_which_nothing_is_known_is_described_by_the_brokers_settings(ask: Ask) -> None:
    """A configuration does not need a group; its synonyms are the broker's settings."""
    group = group_of(ask)
    for name, value in DEFAULTS.items():
        assert group.entry(name) == (value, DEFAULT, [(f"group.{name}", value, DEFAULT)])
    assert DEFAULTS.keys() <= {each.name for each in group.described().configs}
    (found,) = group.described(SESSION).configs
    assert (found.read_only, found.is_sensitive, found.config_type) == (False, False, 3)
    assert group.described("no.such").configs == []


def test_what_is_set_for_a_group_counts_until_it_is_deleted(ask: Ask) -> None:
    """One by one what is not named stays; as a whole it goes back to its default."""
    group = group_of(ask)
    assert group.altered((SESSION, SET, "50000"), (INTERVAL, SET, "6000"), validate_only=True) == (0, None)
    assert group.altered((SESSION, SET, "50000")) == (0, None)
    assert group.altered((INTERVAL, SET, " 6000 ")) == (0, None)
    group.becomes(INTERVAL, "6000", DYNAMIC_GROUP)
    assert group.entry(SESSION)[2] == [(SESSION, "50000", DYNAMIC_GROUP), (f"group.{SESSION}", "45000", DEFAULT)]
    assert group.replaced({INTERVAL: "7000"}) == (0, None)
    group.becomes(INTERVAL, "7000", DYNAMIC_GROUP)
    assert group.entry(SESSION)[:2] == ("45000", DEFAULT)
    assert group.altered((INTERVAL, DELETE, None), ("no.such", DELETE, None)) == (0, None)
    group.becomes(INTERVAL, "5000", DEFAULT)


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, SET, "soon")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, SET, "")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, SET, "44999")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, SET, "60001")], ErrorCode.INVALID_CONFIG),
        ([(INTERVAL, SET, "0")], ErrorCode.INVALID_CONFIG),
        ([(INTERVAL, SET, "4999")], ErrorCode.INVALID_CONFIG),
        ([(INTERVAL, SET, "15001")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, APPEND, "50000")], ErrorCode.INVALID_CONFIG),
        ([(SESSION, SET, None)], ErrorCode.INVALID_REQUEST),
        ([(SESSION, SET, "50000"), (SESSION, SET, "50001")], ErrorCode.INVALID_REQUEST),
        ([(SESSION, SET, "50000"), ("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
    ],
)
def test_what_a_group_may_not_be_given_is_refused_as_a_whole(ask: Ask, operations: list[tuple[str, int, str | None]], code: int) -> None:
    """Unknown names, and values outside of what the broker permits."""
    group = group_of(ask)
    assert group.altered(*operations)[0] == code
    assert group.entry(SESSION)[:2] == ("45000", DEFAULT)


def test_a_configuration_as_a_whole_is_checked_too(ask: Ask) -> None:
    """With the same errors, and Kafka's words for the bounds."""
    group = group_of(ask)
    assert group.replaced({"no.such": "1"}) == (ErrorCode.INVALID_CONFIG, "Unknown group config name: no.such")
    assert group.replaced({SESSION: None})[0] == ErrorCode.INVALID_REQUEST
    text = f"{SESSION} must be less than or equal to group.consumer.max.session.timeout.ms"
    assert group.replaced({SESSION: "60001"}) == (ErrorCode.INVALID_CONFIG, text)


def test_there_are_no_defaults_for_all_groups(ask: Ask) -> None:
    """The empty name is refused."""
    nobody = Resource(ask, GROUP, "")
    assert nobody.described().error_code == ErrorCode.INVALID_REQUEST
    refused = (ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
    assert nobody.altered((SESSION, SET, "50000")) == refused
    assert nobody.replaced({SESSION: "50000"}) == refused


def test_members_are_told_their_groups_heartbeat_interval(ask: Ask) -> None:
    """From the next heartbeat on after it was set, and only those of this group."""
    wanted = FindCoordinatorRequest(key_type=0, coordinator_keys=["x"])
    until_settled(lambda: ask(wanted, 4), lambda answer: answer.coordinators[0].error_code)
    group, other = group_of(ask), group_of(ask)
    epochs: dict[Resource, int] = {}
    member = str(uuid.uuid4())

    def interval_ms(of: Resource) -> int:
        request = heartbeat(of.name, member, epochs.get(of, 0))
        answer = until_settled(lambda: ask(request, 1), lambda answer: answer.error_code)
        assert answer.error_code == 0, answer.error_message
        epochs[of] = answer.member_epoch
        return int(answer.heartbeat_interval_ms)

    assert (interval_ms(group), interval_ms(other)) == (5000, 5000)
    assert group.altered((INTERVAL, SET, "6000")) == (0, None)
    wait_for(lambda: interval_ms(group) == 6000, "the interval of the group")
    assert interval_ms(other) == 5000
    assert group.altered((INTERVAL, DELETE, None)) == (0, None)
    wait_for(lambda: interval_ms(group) == 5000, "the interval of the broker")


def test_a_group_may_get_its_assignments_less_often(ask: Ask) -> None:
    """Who joins within the interval after an assignment waits for the next one."""
    wanted = FindCoordinatorRequest(key_type=0, coordinator_keys=["x"])
    until_settled(lambda: ask(wanted, 4), lambda answer: answer.coordinators[0].error_code)

    def epochs(group: Resource) -> tuple[int, int]:
        """Of two members that join one after the other."""
        requests = [heartbeat(group.name, member) for member in "ab"]
        answers = [until_settled(partial(ask, request, 1), lambda answer: answer.error_code) for request in requests]
        return answers[0].member_epoch, answers[1].member_epoch

    first, second = epochs(group_of(ask))
    assert second == first + 1
    group = group_of(ask)
    assert group.altered((ASSIGNMENT, SET, "15001"))[0] == ErrorCode.INVALID_CONFIG
    assert group.altered((ASSIGNMENT, SET, "15000")) == (0, None)
    group.becomes(ASSIGNMENT, "15000", DYNAMIC_GROUP)
    first, second = epochs(group)
    assert second == first


def test_a_groups_configuration_survives_a_restart(start_engine: Any) -> None:
    """A kill too, and so does that it was deleted."""
    engine: Engine = start_engine()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert Resource(ask, GROUP, "kept").altered((SESSION, SET, "50000"), (INTERVAL, SET, "6000")) == (0, None)
        assert Resource(ask, GROUP, "gone").altered((SESSION, SET, "50000")) == (0, None)
        assert Resource(ask, GROUP, "gone").altered((SESSION, DELETE, None)) == (0, None)
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert Resource(ask, GROUP, "kept").entry(SESSION)[:2] == ("50000", DYNAMIC_GROUP)
        assert Resource(ask, GROUP, "kept").entry(INTERVAL)[:2] == ("6000", DYNAMIC_GROUP)
        assert Resource(ask, GROUP, "gone").entry(SESSION)[:2] == ("45000", DEFAULT)


def test_a_member_that_is_silent_for_its_groups_session_timeout_is_out() -> None:
    """Of two members that fall silent together, the one whose group gives it longer stays longer."""
    broker = SimulatedBroker(SimulatedDisk(["/data"]), settings={"offsets.topic.num.partitions": "1"})
    ask = broker.ask
    assert Resource(ask, GROUP, "patient").altered((SESSION, SET, "60000")) == (0, None)
    epochs = {group: ask(heartbeat(group, "m"), 1).member_epoch for group in ("patient", "ordinary")}
    broker.world.advance(45_001)
    assert ask(heartbeat("ordinary", "m", epochs["ordinary"]), 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert ask(heartbeat("patient", "m", epochs["patient"]), 1).error_code == 0
    assert Resource(ask, GROUP, "patient").altered((SESSION, DELETE, None)) == (0, None)
    assert ask(heartbeat("patient", "m", epochs["patient"]), 1).error_code == 0
    broker.world.advance(45_001)
    assert ask(heartbeat("patient", "m", epochs["patient"]), 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_value_outside_of_bounds_that_were_moved_is_brought_inside() -> None:
    """What was set stays on record."""
    configs = GroupConfigs(Settings.from_mapping({"group.consumer.max.session.timeout.ms": "50000"}))
    configs.replay("g", {SESSION: "60000", INTERVAL: "6000"})
    assert (configs.session_timeout_ms("g"), configs.heartbeat_interval_ms("g")) == (50_000, 6000)
    assert configs.of("g") == {SESSION: "60000", INTERVAL: "6000"}


def test_a_session_must_be_longer_than_the_interval() -> None:
    """Also when only one of the two is set."""
    settings = {"group.consumer.min.session.timeout.ms": "1", "group.consumer.session.timeout.ms": "6000"}
    broker = SimulatedBroker(SimulatedDisk(["/data"]), settings=settings)
    group = Resource(broker.ask, GROUP, "g")
    refused = (ErrorCode.INVALID_CONFIG, f"{SESSION} must be greater than {INTERVAL}")
    assert group.altered((INTERVAL, SET, "6000")) == refused
    assert group.altered((SESSION, SET, "5000")) == refused
    assert group.altered((SESSION, SET, "7000"), (INTERVAL, SET, "6000")) == (0, None)


def test_so_many_groups_may_be_configured_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are can still be changed, and make room."""
    monkeypatch.setattr("ev.broker.broker.CONFIGURED_GROUPS_MAX", 2)
    broker = SimulatedBroker(SimulatedDisk(["/data"]))
    one, two, three = (Resource(broker.ask, GROUP, name) for name in ("one", "two", "three"))
    assert [each.altered((SESSION, SET, "50000"))[0] for each in (one, two, three)] == [0, 0, ErrorCode.POLICY_VIOLATION]
    assert two.altered((SESSION, SET, "50001")) == (0, None)
    assert one.altered((SESSION, DELETE, None)) == (0, None)
    assert three.altered((SESSION, SET, "50000")) == (0, None)


def test_a_record_says_all_that_is_set() -> None:
    """And a record without a value that nothing is."""
    assert read_record(*config_record(GROUP_CONFIG, "g", {SESSION: "50000"})) == (
        GROUP_CONFIG,
        "g",
        {"v": 1, "config": {SESSION: "50000"}},
    )
    assert read_record(*config_record(GROUP_CONFIG, "g", {})) == (GROUP_CONFIG, "g", None)
