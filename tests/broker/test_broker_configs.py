"""The broker's settings, changed while it runs, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ev.broker.broker_configs import ALL_BROKERS, THROTTLES
from ev.broker.configs import BROKER, DEFAULT, DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, DYNAMIC_TOPIC, STATIC_BROKER, TOPIC
from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import encode_batch
from support.configured import APPEND, DELETE, SET, Resource
from support.engine import Engine, NotReadyError
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.simulated_broker import SimulatedBroker
from support.simulated_disk import SimulatedDisk
from support.waiting import wait_for

LARGEST = "message.max.bytes"
DEFAULT_LARGEST = "1048588"


@pytest.fixture
def this(ask: Ask) -> Iterator[Resource]:
    """What is set for this broker alone; nothing afterwards."""
    this = Resource(ask, BROKER, "1")
    yield this
    assert this.replaced({}) == (0, None)


@pytest.fixture
def everyone(ask: Ask) -> Iterator[Resource]:
    """What is set for all brokers; what it was before afterwards: Kafka 4.3 sets min.insync.replicas there itself."""
    everyone = Resource(ask, BROKER, ALL_BROKERS)
    before = {each.name for each in everyone.described().configs}
    yield everyone
    added = {each.name for each in everyone.described().configs} - before
    assert everyone.altered(*((name, DELETE, None) for name in added)) == (0, None)
    wait_for(lambda: {each.name for each in everyone.described().configs} == before, "everything to be as before")


def new_topic(ask: Ask, **config: str) -> Resource:
    configs = [CreatableTopicConfig(name=name.replace("_", "."), value=value) for name, value in config.items()]
    topic = CreatableTopic(name=f"t-{uuid.uuid4().hex}", num_partitions=1, replication_factor=1, configs=configs)
    assert ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 5).topics[0].error_code == 0
    found = Resource(ask, TOPIC, topic.name)
    wait_for(lambda: found.described().error_code == 0, "the topic")
    return found


def produced(topic: Resource, size: int) -> int:
    """The error code when one record of this size is produced."""
    data = TopicProduceData(name=topic.name, partition_data=[PartitionProduceData(index=0, records=encode_batch([bytes(size)]))])
    answer = topic.ask(ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data]), 9)
    return int(answer.responses[0].partition_responses[0].error_code)


def test_what_is_set_for_this_broker_comes_before_what_is_set_for_all(ask: Ask, this: Resource, everyone: Resource) -> None:
    """Each layer shows what is under it, in a topic's synonyms too; deleted, it lets the next one count."""
    topic = new_topic(ask)
    assert this.entry(LARGEST) == (DEFAULT_LARGEST, DEFAULT, [(LARGEST, DEFAULT_LARGEST, DEFAULT)])
    assert everyone.described(LARGEST).configs == []
    assert everyone.altered((LARGEST, SET, "2000000")) == (0, None)
    assert this.altered((LARGEST, SET, "3000000")) == (0, None)
    this.becomes(LARGEST, "3000000", DYNAMIC_BROKER)
    everyone.becomes(LARGEST, "2000000", DYNAMIC_DEFAULT_BROKER)
    layers = [(LARGEST, "3000000", DYNAMIC_BROKER), (LARGEST, "2000000", DYNAMIC_DEFAULT_BROKER), (LARGEST, DEFAULT_LARGEST, DEFAULT)]
    assert this.entry(LARGEST)[2] == layers
    assert everyone.entry(LARGEST)[2] == [layers[1]]
    assert topic.entry("max.message.bytes") == ("3000000", DYNAMIC_BROKER, layers)
    assert this.altered((LARGEST, DELETE, None)) == (0, None)
    this.becomes(LARGEST, "2000000", DYNAMIC_DEFAULT_BROKER)
    assert everyone.altered((LARGEST, DELETE, None)) == (0, None)
    this.becomes(LARGEST, DEFAULT_LARGEST, DEFAULT)


def test_a_change_is_in_force_at_once_for_topics_that_have_no_value_of_their_own(ask: Ask, this: Resource, everyone: Resource) -> None:
    """Topics that are there already, and new ones."""
    topic, other = new_topic(ask), new_topic(ask, max_message_bytes="100000")
    assert wait_for(lambda: produced(topic, 5000) == 0, "the topic to be served")
    assert wait_for(lambda: produced(other, 5000) == 0, "the other topic to be served")
    assert everyone.altered((LARGEST, SET, "1000")) == (0, None)
    everyone.becomes(LARGEST, "1000", DYNAMIC_DEFAULT_BROKER)
    wait_for(lambda: produced(topic, 5000) == ErrorCode.MESSAGE_TOO_LARGE, "the limit to be in force")
    assert produced(other, 5000) == 0
    assert other.entry("max.message.bytes")[:2] == ("100000", DYNAMIC_TOPIC)
    later = new_topic(ask)
    wait_for(lambda: produced(later, 5000) == ErrorCode.MESSAGE_TOO_LARGE, "the new topic to be served")
    assert this.altered((LARGEST, SET, "10000")) == (0, None)
    wait_for(lambda: produced(topic, 5000) == 0, "the broker's own limit to be in force")


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([("num.partitions", SET, "3")], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, SET, "2000000"), ("num.partitions", SET, "3")], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, SET, "soon")], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, SET, "-5")], ErrorCode.INVALID_REQUEST),
        ([("compression.type", SET, "burn")], ErrorCode.INVALID_REQUEST),
        ([("min.insync.replicas", SET, "0")], ErrorCode.INVALID_REQUEST),
        ([("unclean.leader.election.enable", SET, "maybe")], ErrorCode.INVALID_REQUEST),
        ([("leader.replication.throttled.rate", SET, "-1")], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, SET, None)], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, SET, "1"), (LARGEST, SET, "2")], ErrorCode.INVALID_REQUEST),
        ([(LARGEST, APPEND, "5")], ErrorCode.INVALID_CONFIG),
    ],
)
@pytest.mark.parametrize("name", ["1", ALL_BROKERS])
def test_what_a_broker_may_not_be_given_is_refused_as_a_whole(
    ask: Ask, name: str, operations: list[tuple[str, int, str | None]], code: int
) -> None:
    """What is given at the start, and values that make no sense."""
    assert Resource(ask, BROKER, name).altered(*operations)[0] == code
    assert Resource(ask, BROKER, "1").entry(LARGEST)[:2] == (DEFAULT_LARGEST, DEFAULT)


def test_what_cannot_be_changed_is_named(ask: Ask, this: Resource) -> None:
    """In Kafka's words; to delete what cannot be set changes nothing and is no error."""
    refused = (ErrorCode.INVALID_REQUEST, "Cannot update these configs dynamically: [num.partitions]")
    assert this.altered(("num.partitions", SET, "3"), (LARGEST, SET, "2000000")) == refused
    assert this.replaced({"num.partitions": "3", LARGEST: "2000000"}) == refused
    assert this.altered(("num.partitions", DELETE, None)) == (0, None)


def test_a_dry_run_and_another_broker_change_nothing(ask: Ask, this: Resource) -> None:
    """There is one broker here."""
    assert this.altered((LARGEST, SET, "2000000"), validate_only=True) == (0, None)
    refused = (ErrorCode.INVALID_REQUEST, "Unexpected broker id, expected 1, but received 2")
    assert Resource(ask, BROKER, "2").altered((LARGEST, SET, "2000000")) == refused
    assert Resource(ask, BROKER, "x").altered((LARGEST, SET, "2000000"))[0] == ErrorCode.INVALID_REQUEST
    text = "Unexpected broker id, expected 1 or empty string, but received 2"
    assert (Resource(ask, BROKER, "2").described().error_code, Resource(ask, BROKER, "2").described().error_message) == (42, text)
    assert this.entry(LARGEST)[:2] == (DEFAULT_LARGEST, DEFAULT)


def test_as_a_whole_what_is_not_named_goes_back(this: Resource) -> None:
    """To what is under it."""
    assert this.altered((LARGEST, SET, "2000000"), ("compression.type", SET, "lz4")) == (0, None)
    this.becomes("compression.type", "lz4", DYNAMIC_BROKER)
    assert this.replaced({LARGEST: "3000000"}) == (0, None)
    this.becomes(LARGEST, "3000000", DYNAMIC_BROKER)
    this.becomes("compression.type", "producer", DEFAULT)


def test_a_list_grows_from_its_default(everyone: Resource) -> None:
    """Only lists do."""
    assert everyone.altered(("log.cleanup.policy", APPEND, "compact")) == (0, None)
    everyone.becomes("log.cleanup.policy", "delete,compact", DYNAMIC_DEFAULT_BROKER)


def test_what_can_be_changed_is_not_read_only(this: Resource) -> None:
    """And the rest is."""
    read_only = {each.name: each.read_only for each in this.described().configs}
    names = "message.max.bytes log.retention.ms log.retention.bytes log.segment.bytes log.roll.ms compression.type min.insync.replicas"
    assert not any(read_only[name] for name in names.split())
    assert all(read_only[name] for name in ("num.partitions", "broker.id", "group.consumer.session.timeout.ms"))


def test_throttles_are_kept_and_listed_where_they_are_set(this: Resource) -> None:
    """Kafka's tools set them around every reassignment."""
    assert this.described(*THROTTLES).configs == []
    assert this.altered(*((name, SET, "1000") for name in THROTTLES)) == (0, None)
    for name in THROTTLES:
        this.becomes(name, "1000", DYNAMIC_BROKER)
        assert this.entry(name)[2] == [(name, "1000", DYNAMIC_BROKER)]
    assert this.altered(*((name, DELETE, None) for name in THROTTLES)) == (0, None)
    wait_for(lambda: this.described(*THROTTLES).configs == [], "the throttles to be gone")


def test_changes_survive_a_restart_and_come_before_what_is_given_then(start_engine: Any) -> None:
    """A kill too. All four layers, in order."""
    name = "log.retention.ms"
    engine: Engine = start_engine(settings={name: "1000000"})
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert Resource(ask, BROKER, ALL_BROKERS).altered((name, SET, "2000000"), (LARGEST, SET, "1000")) == (0, None)
        assert Resource(ask, BROKER, "1").altered((name, SET, "3000000"), ("compression.type", SET, "lz4")) == (0, None)
        assert Resource(ask, BROKER, "1").altered(("compression.type", DELETE, None)) == (0, None)
        topic = new_topic(ask)
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        topic.ask = ask = asked_over(client)
        layers = [(name, "3000000", DYNAMIC_BROKER), (name, "2000000", DYNAMIC_DEFAULT_BROKER)]
        layers += [(name, "1000000", STATIC_BROKER), (name, "604800000", DEFAULT)]
        assert Resource(ask, BROKER, "1").entry(name) == ("3000000", DYNAMIC_BROKER, layers)
        assert topic.entry("retention.ms") == ("3000000", DYNAMIC_BROKER, layers)
        assert Resource(ask, BROKER, "1").entry("compression.type")[:2] == ("producer", DEFAULT)
        assert produced(topic, 5000) == ErrorCode.MESSAGE_TOO_LARGE


def test_no_topic_ends_up_with_settings_that_contradict_each_other() -> None:
    """A change for all topics is refused when one of them could not live with it, also one that is changed in the same request."""
    broker = SimulatedBroker(SimulatedDisk(["/data"]))
    topic = new_topic(broker.ask, min_compaction_lag_ms="100")
    everyone = Resource(broker.ask, BROKER, ALL_BROKERS)
    assert everyone.altered(("log.cleaner.max.compaction.lag.ms", SET, "50"))[0] == ErrorCode.INVALID_REQUEST
    assert everyone.described().configs == []
    assert topic.altered(("min.compaction.lag.ms", SET, "40")) == (0, None)
    assert everyone.altered(("log.cleaner.max.compaction.lag.ms", SET, "50")) == (0, None)
    assert topic.altered(("min.compaction.lag.ms", SET, "60"))[0] == ErrorCode.INVALID_CONFIG
    assert everyone.altered(("log.cleaner.min.compaction.lag.ms", SET, "51"))[0] == ErrorCode.INVALID_REQUEST


def test_a_start_with_settings_that_contradict_them_says_so(start_engine: Any) -> None:
    """And with others it starts again."""
    engine: Engine = start_engine()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        new_topic(ask)
        assert Resource(ask, BROKER, ALL_BROKERS).altered(("log.cleaner.max.compaction.lag.ms", SET, "50")) == (0, None)
    engine.stop()
    engine.settings = {"log.cleaner.min.compaction.lag.ms": "100"}
    with pytest.raises(NotReadyError, match=r"failed 1 .*contradict what was set at run time.*min.compaction.lag.ms"):
        engine.start()
    engine.settings = {}
    engine.start()


def test_an_unknown_setting_is_refused() -> None:
    """Kafka would keep it for a plug-in; there are none here, and nothing is kept that has no effect."""
    broker = SimulatedBroker(SimulatedDisk(["/data"]))
    assert Resource(broker.ask, BROKER, "1").altered(("no.such", SET, "1"))[0] == ErrorCode.INVALID_REQUEST


def test_the_log_is_told() -> None:
    """How long a silent producer is remembered is the store's own affair."""
    broker = SimulatedBroker(SimulatedDisk(["/data"]))
    this = Resource(broker.ask, BROKER, "1")
    assert this.altered(("producer.id.expiration.ms", SET, "1000")) == (0, None)
    assert broker.store.settings.producer_id_expiration_ms == 1000
    assert this.altered(("producer.id.expiration.ms", DELETE, None)) == (0, None)
    assert broker.store.settings.producer_id_expiration_ms == 86_400_000
