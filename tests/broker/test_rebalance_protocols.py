"""group.coordinator.rebalance.protocols: who wants a protocol of groups that is not served is told so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from support.apache_kafka import Kafka
from support.engine import Engine, NotReadyError
from support.raw_client import RawClient
from support.waiting import wait_for

StartEngine = Callable[..., Engine]
SETTING = "group.coordinator.rebalance.protocols"


@pytest.fixture(params=["ev", pytest.param("kafka", marks=[pytest.mark.java, pytest.mark.slow])])
def client(request: pytest.FixtureRequest, start_engine: StartEngine) -> Iterator[RawClient]:
    """Of a broker that serves classic groups only."""
    if request.param == "ev":
        with RawClient(start_engine(settings={SETTING: "classic"}).address) as client:
            yield client
    else:
        with Kafka(properties={SETTING: "classic"}) as kafka, RawClient(kafka.bootstrap) as client:
            yield client


def test_the_new_protocol_may_be_left_out(client: RawClient) -> None:
    """Its requests are answered, as unsupported; classic groups find their coordinator."""
    join = ConsumerGroupHeartbeatRequest(
        group_id="g", member_id="m", rebalance_timeout_ms=1000, subscribed_topic_names=["t"], topic_partitions=[]
    )
    assert client.ask(68, 0, join).error_code == ErrorCode.UNSUPPORTED_VERSION
    described = client.ask(69, 0, ConsumerGroupDescribeRequest(group_ids=["g"])).groups
    assert [group.error_code for group in described] == [ErrorCode.UNSUPPORTED_VERSION]
    find = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    wait_for(lambda: client.ask(10, 4, find).coordinators[0].error_code == ErrorCode.NONE, "the coordinator of classic groups")


def test_a_protocol_that_nobody_knows_is_refused(start_engine: StartEngine) -> None:
    """The engine says which there are."""
    with pytest.raises(NotReadyError, match="expected a list of classic, consumer"):
        start_engine(settings={SETTING: "classic,democratic"})
