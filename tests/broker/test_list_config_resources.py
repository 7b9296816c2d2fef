"""ListConfigResources (KIP-1142), on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid

import pytest

from ev.broker.configs import BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC
from ev.errors import ErrorCode
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k74_list_config_resources import ListConfigResourcesRequest
from support.configured import DELETE, SET, Resource
from support.raw_transactions import Ask
from support.waiting import wait_for

SESSION = "consumer.session.timeout.ms"


def listed(ask: Ask, *kinds: int, version: int = 1) -> list[tuple[int, str]]:
    answer = ask(ListConfigResourcesRequest(resource_types=list(kinds)), version)
    assert answer.error_code == 0
    return [(each.resource_type, each.resource_name) for each in answer.config_resources]


def test_topics_are_listed_whether_or_not_something_is_set_for_them(ask: Ask) -> None:
    """And no longer when they are asked for nothing but others."""
    name = f"t-{uuid.uuid4().hex}"
    topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    assert ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 5).topics[0].error_code == 0
    wait_for(lambda: (TOPIC, name) in listed(ask, TOPIC), "the topic")
    assert (TOPIC, name) not in listed(ask, GROUP, BROKER)


def test_groups_are_listed_while_something_is_set_for_them(ask: Ask) -> None:
    """Whether or not there is such a group."""
    group = Resource(ask, GROUP, f"g-{uuid.uuid4().hex}")
    assert (GROUP, group.name) not in listed(ask, GROUP)
    assert group.altered((SESSION, SET, "50000")) == (0, None)
    wait_for(lambda: (GROUP, group.name) in listed(ask, GROUP), "the group")
    assert {kind for kind, _ in listed(ask, GROUP)} == {GROUP}
    assert group.altered((SESSION, DELETE, None)) == (0, None)
    wait_for(lambda: (GROUP, group.name) not in listed(ask, GROUP), "the group to be gone")


def test_the_broker_and_its_loggers_are_always_there(ask: Ask) -> None:
    """Under the broker's id; what is listed of one kind is of no other."""
    assert listed(ask, BROKER) == [(BROKER, "1")]
    assert listed(ask, BROKER_LOGGER, BROKER_LOGGER) == [(BROKER_LOGGER, "1")]
    assert {kind for kind, _ in listed(ask, CLIENT_METRICS)} <= {CLIENT_METRICS}


def test_nothing_asked_for_means_everything_in_kafkas_order(ask: Ask) -> None:
    """Groups, loggers, brokers, topics; the oldest version knows client metrics only."""
    name = f"all-{uuid.uuid4().hex}"
    topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    assert ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 5).topics[0].error_code == 0
    assert Resource(ask, GROUP, name).altered((SESSION, SET, "50000")) == (0, None)
    wait_for(lambda: len([each for each in listed(ask) if each[1] == name]) == 2, "both")
    found = [kind for kind, _ in listed(ask) if kind != CLIENT_METRICS]  # another test may have set some, on the same Kafka
    assert list(dict.fromkeys(found)) == [GROUP, BROKER_LOGGER, BROKER, TOPIC]
    assert {kind for kind, _ in listed(ask, version=0)} <= {CLIENT_METRICS}


@pytest.mark.parametrize("kind", [0, 1, 3, 64])
def test_an_unknown_kind_is_refused(ask: Ask, kind: int) -> None:
    """Also beside known ones."""
    answer = ask(ListConfigResourcesRequest(resource_types=[TOPIC, kind]), 1)
    assert (answer.error_code, answer.config_resources) == (ErrorCode.UNSUPPORTED_VERSION, [])
