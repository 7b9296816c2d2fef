"""Topics: made, looked at, changed and deleted."""

from __future__ import annotations

from differential.conversation import NEW, Own, Step, Steps, about, kept
from differential.table.given import topic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k37_create_partitions import CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic
from ev.wire.messages.k75_describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest, TopicRequest
from support.rules import rule

NO_ID = bytes(16)
UNKNOWN_ID = bytes(range(16))
GONE = 3
NAMES = ("", ".", "..", "a b", "é", "x" * 249, "x" * 250)


def named(*names: str | None, topic_id: bytes = NO_ID) -> list[MetadataRequestTopic]:
    return [MetadataRequestTopic(topic_id=topic_id, name=name) for name in names]


@about(3, "topics by name")
def by_name(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 3)
    yield from topic(own("b"))
    ask = MetadataRequest(topics=named(own("b"), own("a"), own("absent")), allow_auto_topic_creation=False)
    yield Step(ask, max(version, 4))  # before version 4 a topic that is absent is made
    yield Step(MetadataRequest(topics=named(own("b"), own("a"))), version)
    yield Step(MetadataRequest(topics=named(own("a"), own("a")), allow_auto_topic_creation=False), version)
    yield Step(MetadataRequest(topics=named("a b")), version)


@about(3, "every topic")
@rule(15)
def every_topic(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield from topic(own("b"))
    yield Step(MetadataRequest(topics=None if version else []), version, everything=True)


@about(3, "no topic", since=1)
@rule(15)
def no_topic(version: int, own: Own) -> Steps:
    yield Step(MetadataRequest(topics=[]), version)


@about(3, "a topic is made when it is asked for")
@rule(16)
def auto_create(version: int, own: Own) -> Steps:
    yield Step(
        MetadataRequest(topics=named(own("new"))), version, until=lambda answer: answer.topics[0].partitions, again=frozenset({3, 5})
    )


@about(3, "a topic is not made when nobody wants it", since=4)
@rule(16)
def no_auto_create(version: int, own: Own) -> Steps:
    yield Step(MetadataRequest(topics=named(own("new")), allow_auto_topic_creation=False), version)
    yield Step(MetadataRequest(topics=named(own("new")), allow_auto_topic_creation=False), version)


@about(3, "names that no topic can have")
@rule(17)
def bad_names(version: int, own: Own) -> Steps:
    for name in NAMES:
        yield Step(MetadataRequest(topics=named(name), allow_auto_topic_creation=False), max(version, 4))
    for name in (".", "a b", "x" * 250):
        yield Step(MetadataRequest(topics=named(name)), version)


@about(3, "what may be done", since=8)
def authorized_operations(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    ask = MetadataRequest(
        topics=named(own("a")), include_cluster_authorized_operations=version < 11, include_topic_authorized_operations=True
    )
    yield Step(ask, version)


@about(3, "topics by id", since=10)
@rule(18)
def by_id(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield Step(MetadataRequest(topics=named(None, topic_id=kept("topic id"))), max(version, 12))
    yield Step(MetadataRequest(topics=named(None, topic_id=UNKNOWN_ID)), max(version, 12))
    yield Step(MetadataRequest(topics=named(own("a"), topic_id=kept("topic id"))), version)
    yield Step(MetadataRequest(topics=named(own("a"), topic_id=UNKNOWN_ID)), version)


@about(3, "neither a name nor an id", since=12)
def neither(version: int, own: Own) -> Steps:
    yield Step(MetadataRequest(topics=named(None)), version)


def create(*topics: CreatableTopic, validate_only: bool = False) -> CreateTopicsRequest:
    return CreateTopicsRequest(topics=list(topics), timeout_ms=20_000, validate_only=validate_only)


def wanted(name: str, partitions: int = 1, replicas: int = 1, **configs: str | None) -> CreatableTopic:
    given = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=replicas, configs=given)


@about(19, "made")
@rule(19)
def made(version: int, own: Own) -> Steps:
    yield Step(create(wanted(own("a"), 3), wanted(own("b"), 1, cleanup_policy="compact", retention_ms="-1")), version)
    yield Step(create(wanted(own("a"), 3)), version)
    yield Step(create(), version)


@about(19, "with the broker's numbers")
@rule(19)
def defaults(version: int, own: Own) -> Steps:
    yield Step(create(wanted(own("a"), -1, -1)), version)
    yield Step(create(wanted(own("b"), -1, 1)), version)
    yield Step(create(wanted(own("c"), 1, -1)), version)


@about(19, "numbers that cannot be")
@rule(19)
def bad_numbers(version: int, own: Own) -> Steps:
    for partitions, replicas in ((0, 1), (-2, 1), (1, 0), (1, -2), (1, 2), (1, 32767)):
        yield Step(create(wanted(own("a"), partitions, replicas)), version)


@about(19, "names that cannot be")
@rule(17)
def impossible_names(version: int, own: Own) -> Steps:
    for name in NAMES:
        yield Step(create(wanted(name), validate_only=True), version)
    yield Step(create(wanted(own("with.dot"))), version)
    yield Step(create(wanted(own("with_dot"))), version)


@about(19, "the same name twice")
@rule(19)
def twice(version: int, own: Own) -> Steps:
    yield Step(create(wanted(own("a")), wanted(own("a"), 2), wanted(own("b"))), version)


@about(19, "only checked")
@rule(19)
def only_checked(version: int, own: Own) -> Steps:
    yield Step(create(wanted(own("a"), 2), validate_only=True), version)
    yield Step(create(wanted(own("a"), 0), validate_only=True), version)
    yield Step(create(wanted(own("a"), 2)), version)
    yield Step(create(wanted(own("a"), 2), validate_only=True), version)


@about(19, "settings that cannot be")
def bad_settings(version: int, own: Own) -> Steps:
    yield Step(create(wanted(own("a"), no_such_thing="1")), version)
    yield Step(create(wanted(own("a"), retention_ms="much")), version)
    yield Step(create(wanted(own("a"), retention_ms=None)), version)
    yield Step(create(wanted(own("a"), retention_ms="-2")), version)
    yield Step(create(wanted(own("a"), cleanup_policy="shred")), version)
    yield Step(create(wanted(own("a"), cleanup_policy="")), version)
    yield Step(create(wanted(own("a"), segment_bytes="1")), version)
    yield Step(create(wanted(own("a"), max_message_bytes="-1")), version)
    yield Step(create(wanted(own("a"), min_insync_replicas="0")), version)
    yield Step(create(wanted(own("a"), compression_type="zip")), version)
    yield Step(create(wanted(own("a"), unclean_leader_election_enable="perhaps")), version)


@about(19, "replicas where they are to be")
@rule(19)
def assignments(version: int, own: Own) -> Steps:
    def placed(name: str, *brokers: list[int], partitions: int = -1, replicas: int = -1, first: int = 0) -> CreatableTopic:
        given = [CreatableReplicaAssignment(number, each) for number, each in enumerate(brokers, first)]
        return CreatableTopic(name=own(name), num_partitions=partitions, replication_factor=replicas, assignments=given)

    yield Step(create(placed("a", [1], [1])), version)
    yield Step(create(placed("b", [1], partitions=1, replicas=1)), version)
    yield Step(create(placed("c", [9])), version)
    yield Step(create(placed("d", [1, 1])), version)
    yield Step(create(placed("e", [])), version)
    yield Step(create(placed("f", [1], first=1)), version)


def delete(version: int, *names: str) -> DeleteTopicsRequest:
    if version < 6:
        return DeleteTopicsRequest(topic_names=list(names), timeout_ms=20_000)
    return DeleteTopicsRequest(topics=[DeleteTopicState(name=name) for name in names], timeout_ms=20_000)


@about(20, "by name")
@rule(23)
def deleted(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield from topic(own("b"))
    yield Step(delete(version, own("a"), own("b"), own("absent")), version)
    yield Step(delete(version, own("a")), version)
    gone = MetadataRequest(topics=named(own("a")), allow_auto_topic_creation=False)
    yield Step(gone, 12, until=lambda answer: answer.topics[0].error_code == GONE)
    yield Step(delete(version), version)


@about(20, "the same name twice")
def deleted_twice(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(delete(version, own("a"), own("a")), version)
    yield Step(delete(version, own("absent"), own("absent")), version)
    yield Step(delete(version, "a b"), version)
    yield Step(delete(version, ""), version)


@about(20, "by id", since=6)
def deleted_by_id(version: int, own: Own) -> Steps:
    def states(*pairs: tuple[str | None, bytes]) -> DeleteTopicsRequest:
        return DeleteTopicsRequest(topics=[DeleteTopicState(name=name, topic_id=each) for name, each in pairs], timeout_ms=20_000)

    yield from topic(own("a"))
    yield Step(states((None, UNKNOWN_ID)), version)
    yield Step(states((own("a"), kept("topic id"))), version)
    yield Step(states((None, kept("topic id")), (None, kept("topic id"))), version)
    yield Step(states((None, kept("topic id")), (own("a"), NO_ID)), version)
    yield Step(states((None, kept("topic id"))), version)
    yield Step(states((None, kept("topic id"))), version)


def grow(name: str, count: int, brokers: list[list[int]] | None = None) -> CreatePartitionsTopic:
    given = None if brokers is None else [CreatePartitionsAssignment(each) for each in brokers]
    return CreatePartitionsTopic(name=name, count=count, assignments=given)


def growth(*topics: CreatePartitionsTopic, validate_only: bool = False) -> CreatePartitionsRequest:
    return CreatePartitionsRequest(topics=list(topics), timeout_ms=20_000, validate_only=validate_only)


@about(37, "more of them")
@rule(22)
def more_partitions(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(growth(grow(own("a"), 3), grow(own("absent"), 2)), version)
    more = MetadataRequest(topics=named(own("a")), allow_auto_topic_creation=False)
    yield Step(more, 12, until=lambda answer: len(answer.topics[0].partitions) == 3, again=NEW)
    yield Step(growth(grow(own("a"), 5), validate_only=True), version)
    yield Step(more, 12)
    yield Step(growth(), version)


@about(37, "not fewer")
@rule(22)
def not_fewer(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    for count in (2, 1, 0, -1):
        yield Step(growth(grow(own("a"), count)), version)
    yield Step(growth(grow(own("a"), 3), grow(own("a"), 4)), version)
    yield Step(growth(grow("", 3)), version)
    yield Step(growth(grow("__cluster_metadata", 3)), version)


@about(37, "where they are to be")
def placed_partitions(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    places: list[list[list[int]]] = [[[1], [1]], [[9]], [[1, 1]], [[]], [], [[1]]]
    for brokers in places:
        yield Step(growth(grow(own("a"), 2, brokers)), version)


def describe(*names: str, limit: int = 2000, cursor: Cursor | None = None) -> DescribeTopicPartitionsRequest:
    return DescribeTopicPartitionsRequest(topics=[TopicRequest(name) for name in names], response_partition_limit=limit, cursor=cursor)


@about(75, "by name")
def described(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 3)
    yield from topic(own("b"))
    yield Step(describe(own("b"), own("a"), own("absent")), version)
    yield Step(describe(own("a"), own("a")), version)
    for name in ("", "a b", "x" * 250):
        yield Step(describe(name), version)


@about(75, "page by page")
def pages(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 3)
    yield from topic(own("b"), 2)
    both = own("a"), own("b")
    yield Step(describe(*both, limit=2), version)
    yield Step(describe(*both, limit=2, cursor=Cursor(own("a"), 2)), version)
    yield Step(describe(*both, limit=2, cursor=Cursor(own("b"), 1)), version)
    yield Step(describe(*both, limit=3), version)
    yield Step(describe(*both, cursor=Cursor(own("b"), 0)), version)
    yield Step(describe(*both, cursor=Cursor(own("aa"), 0)), version)
    yield Step(describe(*both, cursor=Cursor(own("c"), 0)), version)
    yield Step(describe(*both, cursor=Cursor(own("a"), 3)), version)


@about(75, "pages that cannot be")
def bad_pages(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield Step(describe(own("a"), cursor=Cursor(own("a"), -1)), version)
    yield Step(describe(own("a"), limit=0), version)
    yield Step(describe(own("a"), limit=-1), version)
    yield Step(describe(own("a"), cursor=Cursor("", 0)), version)
