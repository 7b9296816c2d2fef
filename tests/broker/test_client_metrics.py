"""Subscriptions to metrics of clients (KIP-714): set, refused, described, listed, kept, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ev.broker.configs import CLIENT_METRICS, DEFAULT, DYNAMIC_CLIENT_METRICS
from ev.errors import ErrorCode
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k74_list_config_resources import ListConfigResourcesRequest
from support.configured import APPEND, DELETE, SET, Resource
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk
from support.waiting import wait_for

INTERVAL, MATCH, METRICS = "interval.ms", "match", "metrics"


def listed(ask: Ask) -> list[str]:
    return [each.resource_name for each in ask(ListConfigResourcesRequest([CLIENT_METRICS]), 1).config_resources]


@pytest.fixture
def subscription(ask: Ask) -> Iterator[Resource]:
    subscription = Resource(ask, CLIENT_METRICS, f"s-{uuid.uuid4().hex}")
    yield subscription
    assert subscription.replaced({}) == (0, None)
    wait_for(lambda: subscription.name not in listed(ask), "the subscription to be gone")


def test_a_subscription_is_set_described_and_listed(ask: Ask, subscription: Resource) -> None:
    """What was not set has its default; nothing is set, and it is not listed any more."""
    assert subscription.entry(INTERVAL) == ("300000", DEFAULT, [])
    assert subscription.name not in listed(ask)
    assert subscription.altered((INTERVAL, SET, "1000"), (METRICS, SET, "a.,b.,a."), (MATCH, SET, "client_id=x.*")) == (0, None)
    subscription.becomes(METRICS, "a.,b.", DYNAMIC_CLIENT_METRICS)
    wait_for(lambda: subscription.name in listed(ask), "the subscription to be listed")
    assert subscription.entry(INTERVAL) == ("1000", DYNAMIC_CLIENT_METRICS, [(INTERVAL, "1000", DYNAMIC_CLIENT_METRICS)])
    assert [each.name for each in subscription.described().configs] == [INTERVAL, MATCH, METRICS]
    assert subscription.altered((INTERVAL, DELETE, None), ("unknown", DELETE, None)) == (0, None)
    subscription.becomes(INTERVAL, "300000", DEFAULT)
    assert subscription.replaced({METRICS: "*"}) == (0, None)
    subscription.becomes(METRICS, "*", DYNAMIC_CLIENT_METRICS)
    assert subscription.entry(MATCH)[:2] == ("", DEFAULT)


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ((INTERVAL, SET, "99"), ErrorCode.INVALID_REQUEST, "Invalid value 99 for interval.ms, interval must be between 100 and 3600000"),
        ((INTERVAL, SET, "3600001"), ErrorCode.INVALID_REQUEST, "Invalid value 3600001 for interval.ms"),
        ((INTERVAL, SET, "soon"), ErrorCode.INVALID_CONFIG, "interval.ms"),
        ((INTERVAL, SET, None), ErrorCode.INVALID_REQUEST, "Null value not supported for : interval.ms"),
        ((MATCH, SET, "client_id=a,color=b"), ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: color=b"),
        ((MATCH, SET, "client_id"), ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: client_id"),
        ((MATCH, SET, "client_id=("), ErrorCode.INVALID_CONFIG, "Illegal client matching pattern: client_id=("),
        ((METRICS, APPEND, "a."), ErrorCode.INVALID_CONFIG, "Can't APPEND to key metrics because its type is not LIST."),
        (("color", SET, "blue"), ErrorCode.INVALID_REQUEST, "Unknown client metrics configuration: color"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: Ask, subscription: Resource, operation: Any, code: int, message: str) -> None:
    """As a whole."""
    answer = subscription.altered(("metrics" if operation[0] != METRICS else MATCH, SET, ""), operation)
    assert answer[0] == code
    assert message in str(answer[1])
    assert subscription.name not in listed(ask)


def test_a_subscription_has_a_name(ask: Ask) -> None:
    unnamed = Resource(ask, CLIENT_METRICS, "")
    assert unnamed.altered((INTERVAL, SET, "1000")) == (ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
    described = unnamed.described()
    told = (described.error_code, described.error_message)
    assert told == (ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")


def test_clients_are_not_offered_to_push_metrics_that_nobody_receives(ask: Ask) -> None:
    """As long as there is no receiver they do not know of the requests, and do not try."""
    answer = ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), 4)
    assert not {71, 72} & {each.api_key for each in answer.api_keys}


def test_a_subscription_survives_a_kill(start_engine: Any) -> None:
    engine: Engine = start_engine()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert Resource(ask, CLIENT_METRICS, "kept").altered((INTERVAL, SET, "1000")) == (0, None)
        assert Resource(ask, CLIENT_METRICS, "gone").altered((INTERVAL, SET, "1000")) == (0, None)
        assert Resource(ask, CLIENT_METRICS, "gone").altered((INTERVAL, DELETE, None)) == (0, None)
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert listed(ask) == ["kept"]
        assert Resource(ask, CLIENT_METRICS, "kept").entry(INTERVAL)[:2] == ("1000", DYNAMIC_CLIENT_METRICS)


def test_there_may_be_so_many_subscriptions_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ev.broker.broker.SUBSCRIPTIONS_MAX", 1)
    ask = SimulatedBroker(SimulatedDisk(["/data"])).ask
    one, two = (Resource(ask, CLIENT_METRICS, name) for name in ("one", "two"))
    assert one.altered((INTERVAL, SET, "1000")) == (0, None)
    assert two.altered((INTERVAL, SET, "1000"))[0] == ErrorCode.POLICY_VIOLATION
    assert one.altered((INTERVAL, SET, "2000")) == (0, None)
