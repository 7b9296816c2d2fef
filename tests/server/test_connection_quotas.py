"""Which new connections are taken: by number, by address, by how fast they come; and that this is changed while the engine runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from ev.broker.client_quotas import ClientQuotas, Entity
from ev.broker.configs import BROKER
from ev.errors import SettingError
from ev.server.connection_quotas import Admission, ConnectionQuotas
from ev.settings import Settings
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from support.configured import DELETE, SET, Resource
from support.engine import Engine
from support.quotas import given, taken_away
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.waiting import wait_for

StartEngine = Callable[..., Engine]
PER_ADDRESS = "max.connections.per.ip"


def settings(**texts: str) -> Settings:
    return Settings.from_mapping({name.replace("_", "."): text for name, text in texts.items()})


def quotas_with(counted: Settings, *, connections_max: int = 1000, rates: Mapping[str, float] | None = None) -> ConnectionQuotas:
    client_quotas = ClientQuotas()
    for host, rate in (rates or {}).items():
        client_quotas.replay(Entity(ip=None if host == "default" else host).path(), {"connection_creation_rate": rate})
    return ConnectionQuotas(client_quotas, counted, connections_max)


def test_so_many_of_one_address_are_taken_and_another_when_one_goes() -> None:
    """However the address is written; some addresses have numbers of their own."""
    counted = settings(max_connections_per_ip="2", max_connections_per_ip_overrides="10.0.0.9:1, [::1]:3")
    quotas = quotas_with(counted)

    def taken(host: str) -> bool:
        return quotas.admit(host, counted, 0).refusal is None

    assert [taken("10.0.0.1"), taken("::ffff:10.0.0.1"), taken("10.0.0.1")] == [True, True, False]
    assert [taken("10.0.0.9"), taken("10.0.0.9")] == [True, False]
    assert [taken("::1"), taken("::1"), taken("::1"), taken("::1")] == [True, True, True, False]
    quotas.closed("10.0.0.1")
    assert [taken("10.0.0.1"), taken("10.0.0.1")] == [True, False]
    assert quotas.count == 6


def test_what_the_process_may_have_counts_whatever_is_set() -> None:
    counted = settings()
    quotas = quotas_with(counted, connections_max=1)
    assert quotas.admit("10.0.0.1", counted, 0) == Admission()
    assert quotas.admit("10.0.0.2", counted, 0).refusal is not None


def test_what_comes_too_fast_has_its_turn_later() -> None:
    """At the rate that was set, after what is free at the beginning."""
    counted = settings(max_connection_creation_rate="10")
    quotas = quotas_with(counted)
    waits = [quotas.admit("10.0.0.1", counted, 5).wait_ms for _ in range(120)]
    assert waits[:100] == [0] * 100
    assert waits[100:] == [100 * number for number in range(1, 21)]


def test_an_address_that_comes_too_fast_is_refused_and_may_come_later() -> None:
    """What was refused does not count. The default is for addresses that have no rate of their own."""
    counted = settings()
    quotas = quotas_with(counted, rates={"10.0.0.1": 2.0, "default": 1.0})
    now_ms = 1000

    def taken(host: str) -> int:
        return sum(quotas.admit(host, counted, now_ms).refusal is None for _ in range(50))

    assert (taken("10.0.0.1"), taken("10.0.0.2")) == (20, 10)
    assert quotas.admit("10.0.0.1", counted, now_ms).wait_ms == 500
    now_ms += 12_000
    assert (taken("10.0.0.1"), taken("10.0.0.2")) == (20, 10)


@pytest.mark.parametrize("text", ["host:1", "10.0.0.1", "10.0.0.1:-1", "10.0.0.1:x", "::1:", "10.0.0.1:99999999999"])
def test_an_override_is_an_address_and_a_number(text: str) -> None:
    with pytest.raises(SettingError, match="expected addresses"):
        settings(max_connections_per_ip_overrides=text)


def test_none_at_all_makes_sense_only_with_overrides() -> None:
    with pytest.raises(SettingError, match="can be set to 0 only if"):
        settings(max_connections_per_ip="0")
    assert settings(max_connections_per_ip="0", max_connections_per_ip_overrides="10.0.0.1:5").max_connections_per_ip == 0


def is_served(address: str) -> bool:
    try:
        with RawClient(address) as client:
            return bool(client.ask(18, 0, ApiVersionsRequest()).error_code == 0)
    except OSError:
        return False


def test_the_limits_are_changed_while_the_engine_runs(engine: Engine) -> None:
    """For the next connection; those that are there stay."""
    with RawClient(engine.address) as admin, RawClient(engine.address) as other:
        this = Resource(asked_over(admin), BROKER, "1")
        for name in ("max.connections", PER_ADDRESS):
            assert this.altered((name, SET, "2")) == (0, None)
            assert not is_served(engine.address)
            assert this.altered((name, SET, "3")) == (0, None)
            wait_for(lambda: is_served(engine.address), "the third connection to be taken")
            assert this.altered((name, DELETE, None)) == (0, None)
        assert this.altered((f"{PER_ADDRESS}.overrides", SET, "127.0.0.1:2")) == (0, None)
        assert not is_served(engine.address)
        assert this.entry(f"{PER_ADDRESS}.overrides")[0] == "127.0.0.1:2"
        assert this.altered((f"{PER_ADDRESS}.overrides", SET, "10.0.0.1:2")) == (0, None)
        wait_for(lambda: is_served(engine.address), "the third connection to be taken")
        assert this.altered((f"{PER_ADDRESS}.overrides", SET, "nonsense"))[0] != 0
        assert other.ask(18, 0, ApiVersionsRequest()).error_code == 0


def test_connections_that_come_too_fast_are_served_in_their_turn(start_engine: StartEngine) -> None:
    """Each of them, a little later."""
    engine = start_engine(settings={"max.connection.creation.rate": "10"})
    clients = [RawClient(engine.address) for _ in range(110)]
    began = time.monotonic()
    for client in clients:
        client.send(client.frame(18, 0, ApiVersionsRequest()))
    for client in clients:
        assert client.answer(18, 0).error_code == 0
        client.close()
    assert 0.4 < time.monotonic() - began < 5


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def address(request: pytest.FixtureRequest) -> str:
    if request.param == "kafka":
        return str(request.getfixturevalue("apache").bootstrap)
    engine: Engine = request.getfixturevalue("engine")
    return engine.address


@pytest.fixture
def ask(address: str) -> Iterator[Ask]:
    with RawClient(address) as client:
        ask = asked_over(client)
        taken_away(ask)
        yield ask
        taken_away(ask)


def test_an_address_is_held_to_its_rate(address: str, ask: Ask) -> None:
    """Ten windows' worth of connections is taken; the next ones are closed, though not at once, as long as there is a rate."""
    given(ask, {"ip": "127.0.0.1"}, connection_creation_rate=1)
    served = [is_served(address) for _ in range(10)]
    assert served.count(True) >= 8
    began = time.monotonic()
    wait_for(lambda: not is_served(address), "a connection to be refused")
    wait_for(lambda: not is_served(address), "another connection to be refused")
    assert time.monotonic() - began > 0.3
    given(ask, {"ip": "127.0.0.1"}, connection_creation_rate=None)
    wait_for(lambda: is_served(address), "a connection to be taken again")
