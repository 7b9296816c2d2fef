"""Configurations: described with sources and synonyms as Kafka does it, altered with Kafka's rules."""

from __future__ import annotations

import pytest

from ev.broker import configs
from ev.broker.broker_configs import DYNAMIC, THROTTLES, BrokerConfigs
from ev.broker.config_rules import APPEND, DELETE, SET, SUBTRACT, NewTopicRules, TopicRules
from ev.broker.configs import DEFAULT, DYNAMIC_TOPIC, STATIC_BROKER, describe_broker, describe_topic
from ev.errors import ErrorCode, KafkaError
from ev.settings import TOPIC_SETTINGS, Settings

KAFKA_TOPIC_CONFIGS = """
    cleanup.policy compression.gzip.level compression.lz4.level compression.type compression.zstd.level delete.retention.ms
    file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas index.interval.bytes
    leader.replication.throttled.replicas local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes
    message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type min.cleanable.dirty.ratio
    min.compaction.lag.ms min.insync.replicas preallocate remote.log.copy.disable remote.log.delete.on.disable
    remote.storage.enable retention.bytes retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms
    unclean.leader.election.enable
"""


def entry(name: str, settings: Settings | None = None, config: dict[str, str] | None = None) -> configs.Entry:
    (found,) = describe_topic(BrokerConfigs(settings or Settings(), 1), config or {}, [name])
    return found


def test_every_topic_config_of_kafka_is_described() -> None:
    """Tools ask for them by name and break when one is missing."""
    described = {one.name for one in describe_topic(BrokerConfigs(Settings(), 1), {})}
    assert described == set(KAFKA_TOPIC_CONFIGS.split()) == TOPIC_SETTINGS.keys()


def test_a_default_says_that_it_is_one_and_by_which_name() -> None:
    """The synonym is the broker's setting behind it."""
    found = entry("retention.ms")
    assert (found.value, found.source, found.read_only) == ("604800000", DEFAULT, False)
    assert [(one.name, one.value, one.source) for one in found.synonyms] == [("log.retention.ms", "604800000", DEFAULT)]


def test_a_value_of_the_topic_hides_the_brokers_and_the_default() -> None:
    """All three are listed, the one that counts first."""
    settings = Settings.from_mapping({"log.retention.ms": "1000"})
    found = entry("retention.ms", settings, {"retention.ms": "5"})
    assert (found.value, found.source) == ("5", DYNAMIC_TOPIC)
    assert [(one.name, one.value, one.source) for one in found.synonyms] == [
        ("retention.ms", "5", DYNAMIC_TOPIC),
        ("log.retention.ms", "1000", STATIC_BROKER),
        ("log.retention.ms", "604800000", DEFAULT),
    ]
    assert entry("retention.ms", settings).source == STATIC_BROKER


def test_the_broker_describes_every_setting_and_where_it_is() -> None:
    """Those that cannot be put in force while it runs are read-only."""
    settings = Settings.from_mapping({"ev.durability": "os"})
    found = {one.name: one for one in describe_broker(BrokerConfigs(settings, 1), {"log.dirs": "/data"})}
    assert (found["ev.durability"].value, found["ev.durability"].source) == ("os", STATIC_BROKER)
    assert (found["num.partitions"].value, found["num.partitions"].source) == ("1", DEFAULT)
    assert found["log.dirs"].value == "/data"
    assert {name for name, one in found.items() if not one.read_only} == DYNAMIC.keys() - THROTTLES.keys()
    assert found["num.partitions"].read_only


def test_a_stored_configuration_is_checked_whole() -> None:
    """Unknown names, wrong values and null are refused before anything is written."""
    rules = NewTopicRules(Settings())
    assert rules.checked({"retention.ms": "1", "cleanup.policy": "compact"}) == {"cleanup.policy": "compact", "retention.ms": "1"}
    for bad in ({"retention.minutes": "1"}, {"retention.ms": "soon"}, {"retention.ms": None}):
        with pytest.raises(KafkaError) as caught:
            rules.checked(bad)
        assert caught.value.code == ErrorCode.INVALID_CONFIG


def test_single_settings_are_set_and_deleted() -> None:
    """What is not named stays as it is; a deleted setting has its default again."""
    config = {"retention.ms": "1", "segment.ms": "2"}
    assert TopicRules(Settings()).altered(config, [("retention.ms", SET, "9"), ("segment.ms", DELETE, None)]) == {"retention.ms": "9"}
    assert TopicRules(Settings()).altered({}, [("segment.ms", DELETE, None)]) == {}


def test_lists_grow_and_shrink() -> None:
    """A list that was not set begins as its default; what is there already is not added twice."""
    assert TopicRules(Settings()).altered({}, [("cleanup.policy", APPEND, "compact")]) == {"cleanup.policy": "delete,compact"}
    both = {"cleanup.policy": "delete,compact"}
    assert TopicRules(Settings()).altered(both, [("cleanup.policy", SUBTRACT, "delete")]) == {"cleanup.policy": "compact"}
    assert TopicRules(Settings()).altered(both, [("cleanup.policy", APPEND, "delete")]) == both


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([("retention.ms", SET, "1"), ("retention.ms", DELETE, None)], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", SET, None)], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", 7, "1")], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ([("cleanup.policy", APPEND, "burn")], ErrorCode.INVALID_CONFIG),
        ([("no.such", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ([("no.such", SET, "1")], ErrorCode.INVALID_CONFIG),
    ],
)
def test_what_cannot_be_altered_is_refused(operations: list[tuple[str, int, str | None]], code: int) -> None:
    """With Kafka's error for each."""
    with pytest.raises(KafkaError) as caught:
        TopicRules(Settings()).altered({}, operations)
    assert caught.value.code == code
