"""Client quotas: set, refused, described by filters, kept; and whose quota holds for a client."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from ev.broker.client_quotas import ClientQuotas, Entity, entity_of_path
from ev.errors import ErrorCode
from ev.wire.messages.k48_describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from support.engine import Engine
from support.quotas import altered, described, given, taken_away
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk

RATE = "producer_byte_rate"
CONNECTIONS = "connection_creation_rate"
EXACT, DEFAULT, ANY = 0, 1, 2


@pytest.fixture
def clean(ask: Ask) -> Iterator[Ask]:
    taken_away(ask)
    yield ask
    taken_away(ask)


def test_quotas_are_set_changed_and_taken_away(clean: Ask) -> None:
    """Each for itself; what was not named stays."""
    alice = {"user": "alice"}
    given(clean, alice, producer_byte_rate=1024.0, request_percentage=12.5)
    given(clean, alice, producer_byte_rate=2048.0, controller_mutation_rate=0.5)
    assert described(clean) == [(alice, {RATE: 2048.0, "request_percentage": 12.5, "controller_mutation_rate": 0.5})]
    given(clean, alice, producer_byte_rate=None, request_percentage=None, consumer_byte_rate=None)
    assert described(clean) == [(alice, {"controller_mutation_rate": 0.5})]
    given(clean, alice, controller_mutation_rate=None)
    assert described(clean) == []


def test_only_checked_means_that_nothing_changes(clean: Ask) -> None:
    wanted: dict[str, float | None] = {RATE: 1024.0}
    assert altered(clean, ({"user": "alice"}, wanted), validate_only=True) == [(0, None)]
    assert altered(clean, ({"user": "alice"}, {RATE: 0.0}), validate_only=True)[0][0] == ErrorCode.INVALID_REQUEST
    assert described(clean) == []


@pytest.mark.parametrize(
    ("entity", "quotas", "message"),
    [
        ({}, {RATE: 5.0}, "Invalid empty client quota entity"),
        ({"user": ""}, {RATE: 5.0}, "Empty user not supported"),
        ({"host": "a"}, {RATE: 5.0}, "Unhandled client quota entity type: host"),
        ({"user": "a", "ip": "1.2.3.4"}, {CONNECTIONS: 5.0}, "Invalid quota entity combination"),
        ({"ip": "not an address"}, {CONNECTIONS: 5.0}, "not an address is not a valid IP or resolvable host."),
        ({"ip": "1.2.3.4"}, {RATE: 5.0}, f"Invalid configuration key {RATE}"),
        ({"ip": "1.2.3.4"}, {CONNECTIONS: 3e9}, f"Proposed value for {CONNECTIONS} is too large for an INT."),
        ({"user": "a"}, {CONNECTIONS: 5.0}, f"Invalid configuration key {CONNECTIONS}"),
        ({"user": "a"}, {"leader.replication.throttled.rate": 5.0}, "Invalid configuration key"),
        ({"client-id": "a"}, {RATE: 0.0}, f"Quota {RATE} must be greater than 0"),
        ({"client-id": None}, {RATE: -1.0}, f"Quota {RATE} must be greater than 0"),
        ({"user": None, "client-id": "a"}, {RATE: 1.5}, f"{RATE} cannot be a fractional value."),
        ({"user": "a"}, {RATE: 1e30}, f"Proposed value for {RATE} is too large for a LONG."),
    ],
)
def test_what_makes_no_sense_is_refused(clean: Ask, entity: Any, quotas: Any, message: str) -> None:
    """With everything that was asked for the entity; others of the request are changed."""
    also: dict[str, float | None] = {"request_percentage": 5.0} if "ip" not in entity and entity else {}
    answers = altered(clean, (entity, {**also, **quotas}), ({"user": "other"}, {RATE: 7.0}))
    assert sorted(code for code, _ in answers) == [0, ErrorCode.INVALID_REQUEST]
    (told,) = [text for code, text in answers if code]
    assert told is not None
    assert message in told
    given(clean, {"user": "other"}, producer_byte_rate=7.0)
    assert described(clean) == [({"user": "other"}, {RATE: 7.0})]


def test_an_entity_that_is_named_twice_is_told_so(clean: Ask) -> None:
    (answer,) = altered(clean, ({"user": "a"}, {RATE: 5.0}), ({"user": "a"}, {RATE: 6.0}))
    assert answer == (ErrorCode.INVALID_REQUEST, "Ignoring duplicate entity ClientQuotaEntity(entries={user=a})")


def test_a_filter_takes_names_defaults_and_kinds(clean: Ask) -> None:
    """Strictly: nothing beside them."""
    entities: list[dict[str, str | None]] = [
        {"user": "alice"},
        {"user": None},
        {"user": "alice", "client-id": "app"},
        {"user": "alice", "client-id": None},
        {"user": None, "client-id": "odd / näme"},
        {"client-id": "app"},
    ]
    for number, entity in enumerate(entities):
        given(clean, entity, producer_byte_rate=100.0 + number)
    addresses: list[dict[str, str | None]] = [{"ip": "10.0.0.1"}, {"ip": None}]
    for entity in addresses:
        given(clean, entity, connection_creation_rate=5.0)

    def found(*components: tuple[str, int, str | None], strict: bool = False) -> list[dict[str, str | None]]:
        told = described(clean, *itertools.starmap(ComponentData, components), strict=strict)
        return [each for each in [*entities, *addresses] if each in [entity for entity, _ in told]]

    assert found() == [*entities, *addresses]
    assert found(strict=True) == []
    assert found(("user", EXACT, "alice")) == [entities[0], entities[2], entities[3]]
    assert found(("user", EXACT, "alice"), strict=True) == [entities[0]]
    assert found(("user", DEFAULT, None)) == [entities[1], entities[4]]
    assert found(("client-id", ANY, None)) == entities[2:]
    assert found(("client-id", ANY, None), strict=True) == [entities[5]]
    assert found(("user", ANY, None), ("client-id", DEFAULT, None)) == [entities[3]]
    assert found(("user", ANY, None), ("client-id", EXACT, "odd / näme"), strict=True) == [entities[4]]
    assert found(("ip", ANY, None)) == addresses
    assert found(("ip", DEFAULT, None)) == addresses[1:]


@pytest.mark.parametrize(
    ("components", "code", "message"),
    [
        ([("", EXACT, "a")], ErrorCode.INVALID_REQUEST, "Invalid empty entity type."),
        ([("host", EXACT, "a")], ErrorCode.UNSUPPORTED_VERSION, "Unsupported entity type host"),
        ([("user", EXACT, None)], ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null."),
        ([("user", ANY, "a")], ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string."),
        ([("user", 9, None)], ErrorCode.INVALID_REQUEST, "Unknown match type 9"),
        ([("user", EXACT, "a"), ("user", DEFAULT, None)], ErrorCode.INVALID_REQUEST, "cannot appear more than once in the filter."),
        ([("user", ANY, None), ("ip", ANY, None)], ErrorCode.INVALID_REQUEST, "Invalid entity filter component combination."),
    ],
)
@pytest.mark.parametrize("version", [0, 1])
def test_a_filter_that_makes_no_sense_is_refused(ask: Ask, version: int, components: Any, code: int, message: str) -> None:
    answer = ask(DescribeClientQuotasRequest(list(itertools.starmap(ComponentData, components)), strict=False), version)
    assert (answer.error_code, answer.entries) == (code, None)
    assert message in answer.error_message


def test_quotas_survive_a_kill(start_engine: Any) -> None:
    """And that they were taken away."""
    engine: Engine = start_engine()
    kept: dict[str, str | None] = {"user": None, "client-id": "a/b"}
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        given(ask, kept, producer_byte_rate=1000.0)
        given(ask, {"ip": "::1"}, connection_creation_rate=1000.0)
        given(ask, {"user": "gone"}, request_percentage=10.0)
        given(ask, {"user": "gone"}, request_percentage=None)
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        assert described(asked_over(client)) == [(kept, {RATE: 1000.0}), ({"ip": "::1"}, {CONNECTIONS: 1000.0})]


def test_so_many_entities_may_have_quotas_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have can still be changed, and make room."""
    monkeypatch.setattr("ev.broker.broker.ENTITIES_MAX", 2)
    ask = SimulatedBroker(SimulatedDisk(["/data"])).ask
    users: list[dict[str, str | None]] = [{"user": name} for name in ("one", "two", "three")]
    one, two, three = users
    wanted: dict[str, float | None] = {RATE: 5.0}
    codes = [altered(ask, (user, wanted))[0][0] for user in (one, two, three)]
    assert codes == [0, 0, ErrorCode.POLICY_VIOLATION]
    assert altered(ask, (two, {RATE: 6.0})) == [(0, None)]
    assert altered(ask, (one, {RATE: None})) == [(0, None)]
    assert altered(ask, (three, wanted)) == [(0, None)]


LEVELS = [
    Entity("u", "c"),
    Entity("u", None),
    Entity("u"),
    Entity(None, "c"),
    Entity(None, None),
    Entity(None),
    Entity(client_id="c"),
    Entity(client_id=None),
]
SHARED_BY = [("u", "c"), ("u", "c"), ("u", ""), ("u", "c"), ("u", "c"), ("u", ""), ("", "c"), ("", "c")]


def test_of_eight_levels_the_first_that_has_a_quota_holds() -> None:
    """And says who shares it: all connections of the user, of the client id, or of both."""
    for number, shared_by in enumerate(SHARED_BY):
        quotas = ClientQuotas()
        for lower in range(number, 8):
            quotas.replay(LEVELS[lower].path(), {RATE: lower + 1.0})
        for higher in range(number):
            quotas.replay(LEVELS[higher].path(), {"consumer_byte_rate": 1.0})
        assert quotas.limit(RATE, "u", "c") == (*shared_by, number + 1.0)
    assert ClientQuotas().limit(RATE, "u", "c") is None


def test_a_client_without_a_client_id_has_no_quota_of_client_ids() -> None:
    """As in Kafka, not even the default's."""
    quotas = ClientQuotas()
    for number, level in enumerate(LEVELS):
        quotas.replay(level.path(), {RATE: number + 1.0})
    assert quotas.limit(RATE, "u", "") == ("u", "", 3.0)
    quotas.replay(Entity("u").path(), None)
    assert quotas.limit(RATE, "u", "") == ("u", "", 6.0)
    quotas.replay(Entity(None).path(), None)
    assert quotas.limit(RATE, "u", "") is None


@pytest.mark.parametrize("entity", [*LEVELS, Entity("<default>", "a/b"), Entity("ö %2F", None), Entity(ip="::1"), Entity(ip=None)])
def test_the_path_of_an_entity_says_which_it_is(entity: Entity) -> None:
    assert entity_of_path(entity.path()) == entity
