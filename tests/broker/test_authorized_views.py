"""What a client sees, and gets, who may see and have only part of it; on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from conftest import StartEngine
from ev.broker.topics import OFFSETS_TOPIC
from ev.errors import ErrorCode
from ev.wire.acls import Operation as Op
from ev.wire.acls import Pattern, Resource
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k60_describe_cluster import DescribeClusterRequest
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ev.wire.messages.k66_list_transactions import ListTransactionsRequest
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from ev.wire.messages.k75_describe_topic_partitions import DescribeTopicPartitionsRequest
from ev.wire.records import encode_batch
from support.guarded import SETTINGS, Guarded
from support.guarded_requests import (
    World,
    add_partitions,
    codes,
    commit,
    coordinator,
    create,
    delete,
    fetch,
    heartbeat,
    list_offsets,
    named,
    new_world,
    offsets_of,
    produce,
    producer_id,
)
from support.raw_client import RawClient
from support.raw_transactions import Ask, TransactionalProducer, until_coordinators_are_there, until_settled
from support.rules import rule
from support.waiting import wait_for

NO_TOPIC = ErrorCode.TOPIC_AUTHORIZATION_FAILED
NO_GROUP = ErrorCode.GROUP_AUTHORIZATION_FAILED
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.fixture
def world(guarded: Guarded) -> World:
    return new_world(guarded)


@pytest.fixture
def other(guarded: Guarded) -> World:
    """A second one, of which the user is told nothing."""
    return new_world(guarded)


def bits(*operations: int) -> int:
    return sum(1 << operation for operation in operations)


# ---- metadata


@rule(24)
def test_all_topics_are_those_that_may_be_described(world: World, other: World) -> None:
    """The others are left out without a word."""
    world.guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.topic)
    for version in (0, 9, 12):
        everything = MetadataRequest(topics=[] if version == 0 else None)
        assert {each.name for each in world.guarded.user(everything, version).topics} == {world.topic}
        seen = {each.name for each in world.guarded.admin(everything, version).topics}
        assert {world.topic, other.topic} <= seen


@rule(24)
def test_a_hidden_topic_is_answered_as_one_that_does_not_exist(world: World) -> None:
    """The same error, no id, no partitions, nothing to tell them apart by; an id does not tell the name."""
    there, missing = world.guarded.user(named(world.topic, world.fresh), 12).topics
    for each in (there, missing):
        each.name = ""
        assert each.error_code == NO_TOPIC
        assert bytes(each.topic_id) == bytes(16)
    assert repr(there) == repr(missing)
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=world.topic_id)])
    (by_id,) = world.guarded.user(asked, 12).topics
    assert (by_id.error_code, by_id.name, by_id.partitions) == (NO_TOPIC, None, [])


def test_what_may_be_done_with_a_topic_is_told_in_bits(world: World) -> None:
    """Reading implies describing; what is denied is not there."""
    asked = named(world.topic, include_topic_authorized_operations=True)
    world.guarded.allow(Op.READ, Resource.TOPIC, world.topic)
    world.guarded.allow(Op.ALTER_CONFIGS, Resource.TOPIC, world.topic)
    (topic,) = world.guarded.user(asked, 9).topics
    assert topic.topic_authorized_operations == bits(Op.READ, Op.DESCRIBE, Op.DESCRIBE_CONFIGS, Op.ALTER_CONFIGS)
    (topic,) = world.guarded.user(DescribeTopicPartitionsRequest(response_partition_limit=10), 0).topics
    assert topic.name == world.topic
    assert topic.topic_authorized_operations == bits(Op.READ, Op.DESCRIBE, Op.DESCRIBE_CONFIGS, Op.ALTER_CONFIGS)
    world.guarded.allow(Op.ALL, Resource.TOPIC, world.topic)
    world.guarded.deny(Op.DELETE, Resource.TOPIC, world.topic)
    (topic,) = world.guarded.user(asked, 9).topics
    everything = (Op.READ, Op.WRITE, Op.CREATE, Op.ALTER, Op.DESCRIBE, Op.DESCRIBE_CONFIGS, Op.ALTER_CONFIGS)
    assert topic.topic_authorized_operations == bits(*everything)


def test_what_may_be_done_with_the_cluster_is_told_to_whoever_may_describe_it(world: World) -> None:
    """To others it is nothing."""

    def told() -> list[int]:
        metadata = world.guarded.user(named(include_cluster_authorized_operations=True), 10)
        cluster = world.guarded.user(DescribeClusterRequest(include_cluster_authorized_operations=True), 1)
        return [metadata.cluster_authorized_operations, cluster.cluster_authorized_operations]

    assert told() == [0, 0]
    world.guarded.allow(Op.CREATE, Resource.CLUSTER)
    assert told() == [0, 0]
    world.guarded.allow(Op.ALTER, Resource.CLUSTER)
    assert told() == [bits(Op.CREATE, Op.ALTER, Op.DESCRIBE)] * 2


def test_a_topic_is_created_on_demand_for_whoever_may_create_it(world: World) -> None:
    """To describe it is not enough."""
    asked = named(world.fresh, create=True)
    assert codes(world.guarded.user(asked, 9)) == {NO_TOPIC}
    world.guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.fresh)
    assert codes(world.guarded.user(asked, 9)) == {NO_TOPIC}
    assert codes(world.guarded.user(named(world.fresh), 9)) == {UNKNOWN}
    world.guarded.allow(Op.CREATE, Resource.TOPIC, world.fresh)
    wait_for(lambda: not codes(world.guarded.user(asked, 9)), "the topic")


def test_a_created_topic_tells_its_configuration_to_whoever_may_describe_it(world: World) -> None:
    """It is created all the same."""
    for allowed in (False, True):
        name = f"c-{uuid.uuid4().hex}"
        world.guarded.allow(Op.CREATE, Resource.TOPIC, name)
        if allowed:
            world.guarded.allow(Op.DESCRIBE_CONFIGS, Resource.TOPIC, name)
        (topic,) = world.guarded.user(create(name), 7).topics
        assert topic.error_code == 0
        told = (topic.topic_config_error_code, bool(topic.configs), topic.num_partitions, topic.replication_factor)
        assert told == ((0, True, 1, 1) if allowed else (NO_TOPIC, False, -1, -1))


def test_who_may_not_delete_a_topic_does_not_learn_whether_it_exists(world: World) -> None:
    """Unless it may be described."""
    for name in (world.topic, world.fresh):
        assert codes(world.guarded.user(delete(name), 5)) == {NO_TOPIC}
    (hidden,) = world.guarded.user(delete(topic_id=world.topic_id), 6).responses
    assert (hidden.error_code, hidden.name) == (NO_TOPIC, None)
    for name in (world.topic, world.fresh):
        world.guarded.allow(Op.DESCRIBE, Resource.TOPIC, name)
    assert codes(world.guarded.user(delete(world.topic), 5)) == {NO_TOPIC}
    assert codes(world.guarded.user(delete(world.fresh), 5)) == {UNKNOWN}
    (known,) = world.guarded.user(delete(topic_id=world.topic_id), 6).responses
    assert (known.error_code, known.name) == (NO_TOPIC, world.topic)


def test_who_may_not_delete_a_topic_does_not_learn_its_id(world: World) -> None:
    """Named both ways in one request it is two topics that may not be deleted; to whoever may, it is one that is named twice."""
    states = [DeleteTopicState(name=world.topic), DeleteTopicState(name=None, topic_id=world.topic_id)]
    both = DeleteTopicsRequest(topics=states, timeout_ms=10_000)
    told = {(each.name, bytes(each.topic_id), each.error_code) for each in world.guarded.user(both, 6).responses}
    assert told == {(world.topic, bytes(16), NO_TOPIC), (None, world.topic_id, NO_TOPIC)}
    world.guarded.allow(Op.DELETE, Resource.TOPIC, world.topic)
    assert codes(world.guarded.user(both, 6)) == {ErrorCode.INVALID_REQUEST}
    assert codes(world.guarded.admin(named(world.topic), 9)) == set()


# ---- requests about several topics


def by_topic(answers: Any) -> dict[str, set[int]]:
    return {getattr(each, "name", None) or each.topic: codes(each) for each in answers}


def test_of_several_topics_those_that_are_allowed_are_served(world: World, other: World) -> None:
    """Produce, Fetch, ListOffsets, OffsetCommit and OffsetFetch answer topic by topic."""
    guarded = world.guarded
    mixed = {world.topic: set[int](), other.topic: {NO_TOPIC}}
    for operation in (Op.READ, Op.WRITE):
        guarded.allow(operation, Resource.TOPIC, world.topic)
    guarded.allow(Op.READ, Resource.GROUP, world.group)
    both: Any = produce(world)
    both.topic_data += produce(other).topic_data  # type: ignore[attr-defined]
    assert by_topic(guarded.user(both, 9).responses) == mixed
    both = fetch(world.topic)
    both.topics += fetch(other.topic).topics
    answer = guarded.user(both, 11)
    assert by_topic(answer.responses) == mixed
    assert {each.topic: bool(each.partitions[0].records) for each in answer.responses} == {world.topic: True, other.topic: False}
    both = list_offsets(world.topic)
    both.topics += list_offsets(other.topic).topics  # type: ignore[attr-defined]
    assert by_topic(guarded.user(both, 5).topics) == mixed
    assert by_topic(guarded.user(commit(world, world.topic, other.topic), 7).topics) == mixed
    both = offsets_of(world)
    both.topics += offsets_of(other).topics  # type: ignore[attr-defined]
    assert by_topic(guarded.user(both, 7).topics) == mixed
    assert world.state()[2] == 2, "the record of the world, and this one"
    assert other.state()[2] == 1


def test_all_offsets_of_a_group_are_those_on_topics_that_may_be_described(world: World, other: World) -> None:
    """The rest is left out."""
    guarded = world.guarded
    assert codes(guarded.admin(commit(world, world.topic, other.topic), 7)) == set()
    guarded.allow(Op.DESCRIBE, Resource.GROUP, world.group)
    guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.topic)
    wanted = [OffsetFetchRequestGroup(group_id=world.group, topics=None), OffsetFetchRequestGroup(group_id=other.group, topics=None)]
    seen, hidden = sorted(guarded.user(OffsetFetchRequest(groups=wanted), 8).groups, key=lambda group: bool(group.error_code))
    assert (seen.error_code, [topic.name for topic in seen.topics]) == (0, [world.topic])
    assert (hidden.group_id, hidden.error_code, hidden.topics) == (other.group, NO_GROUP, [])
    one = guarded.user(OffsetFetchRequest(group_id=world.group, topics=None), 7)
    assert [topic.name for topic in one.topics] == [world.topic]


def test_produce_without_an_answer_is_told_by_closing_the_connection(world: World) -> None:
    """As with every error of acks=0; nothing is written."""
    request: Any = produce(world)
    request.acks = 0
    with RawClient(world.guarded.address, source="127.0.0.2") as client:
        client.send(client.frame(0, 9, request))
        assert client.closed()
    assert world.state()[2] == 1


# ---- rules


def test_a_denial_wins_over_everything_that_allows(world: World) -> None:
    """And denies just what it says: who may not read may still describe."""
    guarded = world.guarded
    guarded.allow(Op.ALL, Resource.TOPIC, world.topic[:5], pattern=Pattern.PREFIXED)
    guarded.allow(Op.READ, Resource.TOPIC, world.topic)
    assert codes(guarded.user(fetch(world.topic), 11)) == set()
    guarded.deny(Op.READ, Resource.TOPIC, "*")
    assert codes(guarded.user(fetch(world.topic), 11)) == {NO_TOPIC}
    assert codes(guarded.user(list_offsets(world.topic), 5)) == set()
    guarded.forbid(permission_type=2)
    assert codes(guarded.user(fetch(world.topic), 11)) == set()


def test_a_prefix_allows_the_names_that_it_fits(world: World, other: World) -> None:
    """And a literal name, which is no prefix, only itself."""
    guarded = world.guarded
    guarded.allow(Op.READ, Resource.TOPIC, world.topic[:-1])
    assert codes(guarded.user(fetch(world.topic), 11)) == {NO_TOPIC}
    guarded.allow(Op.READ, Resource.TOPIC, world.topic[:-1], pattern=Pattern.PREFIXED)
    assert codes(guarded.user(fetch(world.topic), 11)) == set()
    assert codes(guarded.user(fetch(other.topic), 11)) == {NO_TOPIC}
    guarded.allow(Op.READ, Resource.TOPIC, "*")
    assert codes(guarded.user(fetch(other.topic), 11)) == set()


def test_an_idempotent_producer_needs_a_topic_that_it_may_write_to(world: World) -> None:
    """A topic that is allowed and denied again does not count."""
    guarded = world.guarded

    def told() -> int:
        return int(until_settled(lambda: guarded.user(producer_id(None), 4), lambda answer: answer.error_code).error_code)

    refused = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    guarded.allow(Op.WRITE, Resource.TOPIC, world.fresh)
    assert told() == 0
    guarded.deny(Op.WRITE, Resource.TOPIC, world.fresh)
    assert told() == refused
    guarded.allow(Op.WRITE, Resource.TOPIC, world.fresh[:3], pattern=Pattern.PREFIXED)
    assert told() == 0
    guarded.deny(Op.WRITE, Resource.TOPIC, "*")
    assert told() == refused


def test_the_coordinators_own_topics_are_not_added_to_a_transaction_by_clients(ask: Ask) -> None:
    """Whatever is allowed, with an authorizer or without."""
    until_coordinators_are_there(ask)
    producer = TransactionalProducer(ask, f"x-{uuid.uuid4().hex}")
    assert producer.begin() == 0
    assert producer.add(OFFSETS_TOPIC, 0) == {0: NO_TOPIC}


# ---- fetch sessions


def session_fetch(world: World, session_id: int, epoch: int, *, topics: bool = False) -> Any:
    asked = [FetchTopic(topic=world.topic, partitions=[FetchPartition(partition=0, fetch_offset=1, partition_max_bytes=1 << 20)])]
    request = fetch(max_wait_ms=20, min_bytes=1, session_id=session_id, session_epoch=epoch)
    request.topics = asked if topics else []
    return world.guarded.user(request, 11)


def test_a_fetch_session_is_checked_at_every_fetch(world: World) -> None:
    """A right that is taken away ends reading at once, in the middle of a session, and one that comes back lets it go on."""
    guarded = world.guarded
    guarded.allow(Op.READ, Resource.TOPIC, world.topic)
    begun = session_fetch(world, 0, 0, topics=True)
    assert (codes(begun), begun.session_id != 0) == (set(), True)
    for epoch in (1, 2, 3):  # nothing new: the quick way of an idle consumer
        assert session_fetch(world, begun.session_id, epoch).responses == []
    guarded.forbid()
    assert codes(session_fetch(world, begun.session_id, 4)) == {NO_TOPIC}
    assert codes(session_fetch(world, begun.session_id, 5)) == {NO_TOPIC}
    guarded.allow(Op.READ, Resource.TOPIC, world.topic)
    assert codes(session_fetch(world, begun.session_id, 6)) == set()
    assert codes(guarded.admin(produce(world), 9)) == set()
    answer = session_fetch(world, begun.session_id, 7)
    assert codes(answer) == set()
    assert answer.responses[0].partitions[0].records


def test_a_fetch_without_a_session_that_comes_again_is_checked_again(world: World) -> None:
    """The same bytes twice, with nothing to read, and a right that goes in between."""
    guarded = world.guarded
    guarded.allow(Op.READ, Resource.TOPIC, world.topic)
    request = fetch(world.topic, max_wait_ms=20, min_bytes=1)
    request.topics[0].partitions[0].fetch_offset = 1
    for _ in range(3):
        assert codes(guarded.user(request, 11)) == set()
    guarded.forbid()
    assert codes(guarded.user(request, 11)) == {NO_TOPIC}


# ---- groups


def test_groups_are_listed_that_may_be_described(world: World, other: World) -> None:
    """All of them to whoever may describe the cluster."""

    def listed() -> set[str]:
        answer = world.guarded.user(ListGroupsRequest(), 3)
        assert answer.error_code == 0
        return {group.group_id for group in answer.groups} & {world.group, other.group}

    assert listed() == set()
    world.guarded.allow(Op.DESCRIBE, Resource.GROUP, world.group)
    assert listed() == {world.group}
    world.guarded.allow(Op.DESCRIBE, Resource.CLUSTER)
    assert listed() == {world.group, other.group}


def test_what_may_be_done_with_a_group_is_told_in_bits(world: World, other: World) -> None:
    """And a group that is hidden is refused beside one that is described."""
    world.guarded.allow(Op.READ, Resource.GROUP, world.group)
    asked = DescribeGroupsRequest([other.group, world.group], include_authorized_operations=True)
    answers = {group.group_id: group for group in world.guarded.user(asked, 5).groups}
    assert (answers[other.group].error_code, answers[other.group].group_state) == (NO_GROUP, "")
    assert answers[world.group].error_code == 0
    assert answers[world.group].authorized_operations == bits(Op.READ, Op.DESCRIBE)


def assigned(world: World, regex: str) -> set[bytes]:
    """Join with a regular expression as the user; the ids of the topics that the member has in the end."""
    wait_for(lambda: not codes(world.guarded.user(coordinator(0, world.fresh), 4)), "the coordinator")
    member, epoch, topics = uuid.uuid4().hex, 0, set[bytes]()

    def has_some() -> bool:
        nonlocal epoch, topics
        answer = world.guarded.user(heartbeat(world, regex=regex if epoch == 0 else None, member=member, epoch=epoch), 1)
        assert answer.error_code == 0, answer.error_message
        epoch = answer.member_epoch
        if answer.assignment is not None:
            topics = {bytes(part.topic_id) for part in answer.assignment.topic_partitions}
        return bool(topics)

    wait_for(has_some, "an assignment")
    return topics


def test_a_regular_expression_finds_only_topics_that_may_be_described(world: World, other: World) -> None:
    """What the member may not know of, it is not given."""
    world.guarded.allow(Op.READ, Resource.GROUP, world.fresh)
    world.guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.topic)
    assert assigned(world, f"{world.topic}|{other.topic}") == {world.topic_id}


def test_a_group_with_topics_that_are_hidden_is_not_described(world: World) -> None:
    """Its members would tell their names."""
    guarded = world.guarded
    guarded.allow(Op.READ, Resource.GROUP, world.fresh)
    guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.topic)
    assert assigned(world, world.topic) == {world.topic_id}
    asked = ConsumerGroupDescribeRequest([world.fresh], include_authorized_operations=True)
    (seen,) = guarded.user(asked, 1).groups
    assert (seen.error_code, len(seen.members), seen.authorized_operations) == (0, 1, bits(Op.READ, Op.DESCRIBE))
    guarded.forbid(resource_type_filter=Resource.TOPIC)
    (hidden,) = guarded.user(asked, 1).groups
    assert (hidden.error_code, hidden.members) == (NO_TOPIC, [])
    assert hidden.error_message == "The group has described topic(s) that the client is not authorized to describe."


def test_a_member_keeps_what_its_pattern_found_after_a_crash(start_engine: StartEngine) -> None:
    """Who it is, is known again at its next heartbeat; until then nothing moves, and a right that has gone counts then."""
    engine = start_engine(settings=SETTINGS)
    guarded = Guarded(engine.address)
    guarded.found()
    world, other = new_world(guarded), new_world(guarded)
    guarded.allow(Op.READ, Resource.GROUP, world.fresh)
    for each in (world, other):
        guarded.allow(Op.DESCRIBE, Resource.TOPIC, each.topic)
    joined = guarded.user(heartbeat(world, regex="t-.*", member="a"), 1)
    assert {bytes(part.topic_id) for part in joined.assignment.topic_partitions} == {world.topic_id, other.topic_id}
    guarded.close()
    engine.kill()
    engine.start()
    guarded = Guarded(engine.address)
    again = guarded.user(heartbeat(world, member="a", epoch=joined.member_epoch), 1)
    assert (again.error_code, again.member_epoch) == (0, joined.member_epoch)
    guarded.forbid(resource_name_filter=other.topic)
    owned: Any = heartbeat(world, member="a", epoch=joined.member_epoch)
    told = guarded.user(owned, 1)
    assert {bytes(part.topic_id) for part in told.assignment.topic_partitions} == {world.topic_id}
    guarded.close()


# ---- transactions


def test_transactions_are_listed_and_described_as_far_as_they_may_be(world: World, other: World) -> None:
    """Of a transaction that may be described, the topics that may not be are left out."""
    guarded = world.guarded
    for each in (world, other):
        producer = TransactionalProducer(guarded.admin, each.transactional_id)
        assert producer.begin() == 0
        for topic in (world.topic, other.topic):
            assert producer.add(topic, 0) == {0: 0}
    ids = {world.transactional_id, other.transactional_id}

    def listed() -> set[str]:
        answer = guarded.user(ListTransactionsRequest(), 1)
        assert answer.error_code == 0
        return {each.transactional_id for each in answer.transaction_states} & ids

    assert listed() == set()
    guarded.allow(Op.DESCRIBE, Resource.TRANSACTIONAL_ID, world.transactional_id)
    guarded.allow(Op.DESCRIBE, Resource.TOPIC, world.topic)
    assert listed() == {world.transactional_id}
    answer = guarded.user(DescribeTransactionsRequest(sorted(ids)), 0)
    states = {each.transactional_id: each for each in answer.transaction_states}
    assert states[other.transactional_id].error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    seen = states[world.transactional_id]
    assert (seen.error_code, [topic.topic for topic in seen.topics]) == (0, [world.topic])


def test_a_batch_of_a_transaction_needs_the_id_of_the_transaction(world: World) -> None:
    """Named in the request: without it nobody may write such a batch."""
    world.guarded.allow(Op.WRITE, Resource.TOPIC, world.topic)
    batch = encode_batch([b"x"], producer_id=1, producer_epoch=0, base_sequence=0, attributes=0x10)
    data = [TopicProduceData(name=world.topic, partition_data=[PartitionProduceData(index=0, records=batch)])]
    answer = world.guarded.user(ProduceRequest(transactional_id=None, acks=-1, timeout_ms=1000, topic_data=data), 9)
    assert codes(answer) == {ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED}
    assert world.state()[2] == 1


def test_a_partition_that_is_forbidden_keeps_the_others_out_of_the_transaction(world: World, other: World) -> None:
    """None of the request is added, and each partition says why."""
    world.guarded.allow(Op.WRITE, Resource.TRANSACTIONAL_ID, world.transactional_id)
    world.guarded.allow(Op.WRITE, Resource.TOPIC, world.topic)
    request: Any = add_partitions(world)
    request.v3_and_below_topics += add_partitions(other).v3_and_below_topics  # type: ignore[attr-defined]
    answers = {each.name: codes(each) for each in world.guarded.user(request, 3).results_by_topic_v3_and_below}
    assert answers == {world.topic: {ErrorCode.OPERATION_NOT_ATTEMPTED}, other.topic: {NO_TOPIC}}
