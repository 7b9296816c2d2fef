"""The admin client on real brokers: what was asked for is there, and what a broker refuses comes back with its item."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import CommittedOffset, NewTopic
from ev.errors import ErrorCode, KafkaError
from support.waiting import wait_for

MakeTopic = Callable[..., str]
Fresh = Callable[[str], str]


def code(error: KafkaError | None) -> int:
    return 0 if error is None else error.code


def fill(bootstrap: str, topic: str, count: int, **options: object) -> None:
    producer = Producer(bootstrap)
    producer.produce_many(topic, [b"x"] * count, partition=0, **options)  # type: ignore[arg-type]
    producer.flush(timeout_ms=20_000)
    producer.close()


def test_topics_are_made_listed_described_and_deleted(admin: Admin, fresh: Fresh) -> None:
    """With partitions, configs and an id; a second time is an error of that item only."""
    one, two = fresh("topic"), fresh("topic")
    made = admin.create_topics([NewTopic(one, 3, 1, {"retention.ms": "60000"}), NewTopic("no spaces", 1, 1)])
    assert [(topic.name, code(topic.error)) for topic in made] == [(one, 0), ("no spaces", ErrorCode.INVALID_TOPIC_EXCEPTION)]
    assert made[0].partitions == 3
    again = admin.create_topics([NewTopic(one, 3, 1), NewTopic(two)])
    assert [code(topic.error) for topic in again] == [ErrorCode.TOPIC_ALREADY_EXISTS, 0]
    with pytest.raises(KafkaError):
        again[0].or_raise()
    wait_for(lambda: all(topic.error is None for topic in admin.describe_topics([one, two])), "the brokers to know the topics")
    described = admin.describe_topics([two, "missing", one])
    assert [(topic.name, code(topic.error)) for topic in described] == [
        (two, 0),
        ("missing", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (one, 0),
    ]
    assert described[2].topic_id == made[0].topic_id
    assert [(p.index, len(p.replicas), p.leader in p.in_sync) for p in described[2].partitions] == [
        (0, 1, True),
        (1, 1, True),
        (2, 1, True),
    ]
    assert described[2].replication_factor == 1
    assert {one, two} <= {topic.name for topic in admin.topics()}
    outcomes = admin.delete_topics([one, "missing"])
    assert [code(outcome.error) for outcome in outcomes] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    wait_for(lambda: one not in {topic.name for topic in admin.topics()}, "the topic to be gone")


def test_validating_makes_nothing(admin: Admin, fresh: Fresh) -> None:
    """validate_only says what would happen."""
    name = fresh("topic")
    assert admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)[0].error is None
    assert admin.create_topics([NewTopic(name, 1, 1, {"retention.ms": "soon"})], validate_only=True)[0].error is not None
    assert name not in {topic.name for topic in admin.topics()}


def test_internal_topics_are_shown_only_when_asked_for(bootstrap: str, admin: Admin, make_topic: MakeTopic, fresh: Fresh) -> None:
    """__consumer_offsets exists once a group has committed."""
    admin.alter_committed_offsets(fresh("group"), {(make_topic(), 0): 0})
    assert "__consumer_offsets" not in {topic.name for topic in admin.topics()}
    internal = {topic.name: topic for topic in admin.topics(internal=True)}
    assert internal["__consumer_offsets"].internal


def test_topics_grow_and_never_shrink(admin: Admin, make_topic: MakeTopic) -> None:
    """create_partitions takes the total; fewer than there are is refused."""
    topic = make_topic(2)
    outcomes = admin.create_partitions({topic: 4, "missing": 2})
    assert [code(outcome.error) for outcome in outcomes] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    wait_for(lambda: len(admin.describe_topics([topic])[0].partitions) == 4, "four partitions")
    assert code(admin.create_partitions({topic: 3})[0].error) == ErrorCode.INVALID_PARTITIONS


def test_configs_are_described_set_and_put_back(admin: Admin, make_topic: MakeTopic) -> None:
    """One setting at a time: the others stay. What nobody set is a default."""
    topic = make_topic(1, retention_ms="60000")

    def value(name: str) -> str | None:
        (row,) = admin.describe_configs("topic", [topic])
        return row.entries[name].value if name in row.entries else None

    # A broker of Apache Kafka hears of a change a moment after it was answered.
    wait_for(lambda: value("retention.ms") == "60000", "the topic's configuration")
    (described,) = admin.describe_configs("topic", [topic])
    assert (described.entries["retention.ms"].value, described.entries["retention.ms"].is_default) == ("60000", False)
    assert described.entries["cleanup.policy"].is_default
    admin.alter_configs("topic", topic, {"max.message.bytes": "5000"}, append={"cleanup.policy": "compact"}).or_raise()
    wait_for(lambda: value("max.message.bytes") == "5000", "the change")
    (described,) = admin.describe_configs("topic", [topic], keys=["retention.ms", "max.message.bytes", "cleanup.policy"])
    assert {name: entry.value for name, entry in described.entries.items()} == {
        "cleanup.policy": "delete,compact",
        "max.message.bytes": "5000",
        "retention.ms": "60000",
    }
    admin.alter_configs("topic", topic, unset=["retention.ms"], subtract={"cleanup.policy": "compact"}).or_raise()
    wait_for(lambda: value("cleanup.policy") == "delete", "the second change")
    (described,) = admin.describe_configs("topic", [topic])
    assert described.entries["retention.ms"].is_default
    assert described.entries["cleanup.policy"].value == "delete"
    assert admin.alter_configs("topic", topic, {"no.such.setting": "1"}).error is not None
    assert [code(row.error) for row in admin.describe_configs("topic", [topic, "missing"])] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


def test_brokers_have_configs_too(admin: Admin) -> None:
    """Asked of the broker itself, with documentation."""
    node = admin.cluster().brokers[0].node_id
    (described,) = admin.describe_configs("broker", [str(node)], documentation=True)
    entry = described.entries["num.partitions"]
    assert entry.value == "1"
    assert entry.documentation


def test_the_cluster_says_who_it_is(bootstrap: str, admin: Admin) -> None:
    """An id, a controller, and brokers at the addresses they advertise."""
    cluster = admin.cluster()
    assert cluster.cluster_id
    assert [f"{broker.host}:{broker.port}" for broker in cluster.brokers] == [bootstrap]
    assert cluster.controller_id == cluster.brokers[0].node_id


def test_offsets_at_both_ends_at_a_time_and_of_the_newest_record(bootstrap: str, admin: Admin, make_topic: MakeTopic) -> None:
    """And an error for the partition that is not there, beside the answers for those that are."""
    topic = make_topic()
    fill(bootstrap, topic, 3, timestamps=[1_000_000, 3_000_000, 2_000_000])
    partition = (topic, 0)
    assert admin.list_offsets({partition: "earliest"})[partition].offset == 0
    assert admin.list_offsets({partition: "latest"})[partition].offset == 3
    newest = admin.list_offsets({partition: "max-timestamp"})[partition]
    assert (newest.offset, newest.timestamp) == (1, 3_000_000)
    found = admin.list_offsets({partition: 1_500_000, (topic, 9): "latest", ("missing", 0): "latest"})
    assert found[partition].offset == 1
    assert code(found[topic, 9].error) == code(found["missing", 0].error) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_records_are_deleted_up_to_an_offset(bootstrap: str, admin: Admin, make_topic: MakeTopic) -> None:
    """-1 means all; an offset that is not there yet is refused."""
    topic = make_topic()
    fill(bootstrap, topic, 5)
    partition = (topic, 0)
    assert admin.delete_records({partition: 2})[partition].low_watermark == 2
    assert code(admin.delete_records({partition: 99})[partition].error) == ErrorCode.OFFSET_OUT_OF_RANGE
    assert admin.delete_records({partition: -1})[partition].low_watermark == 5
    assert admin.list_offsets({partition: "earliest"})[partition].offset == 5


def test_committed_offsets_of_an_empty_group_can_be_set_read_and_deleted(admin: Admin, make_topic: MakeTopic, fresh: Fresh) -> None:
    """The group is made by its first commit, and gone when it is deleted."""
    topic, group = make_topic(2), fresh("group")
    assert admin.committed_offsets(group) == {}
    assert admin.alter_committed_offsets(group, {(topic, 0): 3, (topic, 1): CommittedOffset(5, metadata="why")}) == {
        (topic, 0): None,
        (topic, 1): None,
    }
    assert admin.committed_offsets(group) == {
        (topic, 0): CommittedOffset(3),
        (topic, 1): CommittedOffset(5, metadata="why"),
    }
    assert admin.committed_offsets(group, [(topic, 1)])[topic, 1].offset == 5
    (described,) = admin.describe_groups([group])
    assert (described.state, described.members, described.error) == ("Empty", [], None)
    assert group in {listing.group for listing in admin.groups()}
    assert group not in {listing.group for listing in admin.groups(states=["Stable"])}
    assert admin.delete_committed_offsets(group, [(topic, 0)]) == {(topic, 0): None}
    assert list(admin.committed_offsets(group)) == [(topic, 1)]
    outcomes = admin.delete_groups([group, "missing"])
    assert [code(outcome.error) for outcome in outcomes] == [0, ErrorCode.GROUP_ID_NOT_FOUND]
    assert admin.committed_offsets(group) == {}


def test_a_group_that_does_not_exist_is_dead(admin: Admin, fresh: Fresh) -> None:
    """Whatever version the broker speaks."""
    (described,) = admin.describe_groups([fresh("nobody")])
    assert (described.state, code(described.error)) == ("Dead", ErrorCode.GROUP_ID_NOT_FOUND)


def test_a_living_group_shows_its_members_and_is_not_deleted(bootstrap: str, admin: Admin, make_topic: MakeTopic, fresh: Fresh) -> None:
    """Who they are, what they subscribed to, what they have; its offsets and the group itself are protected."""
    topic, group = make_topic(2), fresh("group")
    with Consumer(bootstrap, group=group, client_id="me", assignors=["range"], max_wait_ms=50) as consumer:
        consumer.subscribe([topic])
        wait_for(lambda: consumer.poll_batches(50) or consumer.assignment(), "the assignment", pause_s=0)
        (described,) = admin.describe_groups([group])
        assert (described.state, described.protocol, described.protocol_type) == ("Stable", "range", "consumer")
        (member,) = described.members
        assert (member.client_id, member.topics, member.partitions) == ("me", [topic], [(topic, 0), (topic, 1)])
        assert member.member_id.startswith("me-")
        assert code(admin.delete_groups([group])[0].error) == ErrorCode.NON_EMPTY_GROUP
        assert code(admin.alter_committed_offsets(group, {(topic, 0): 1})[topic, 0]) == ErrorCode.UNKNOWN_MEMBER_ID
        consumer.commit({(topic, 0): 1})
        assert code(admin.delete_committed_offsets(group, [(topic, 0)])[topic, 0]) == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    (described,) = admin.describe_groups([group])
    assert described.state == "Empty"
