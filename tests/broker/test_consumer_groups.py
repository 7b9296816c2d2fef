"""Groups of the new protocol (KIP-848) over a socket, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from ev.wire.messages.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from support.raw_members import LEAVE, LEAVE_FOR_A_WHILE, Member, Topic, commit, described, fetch, group_name, settled
from support.raw_transactions import Ask, TransactionalProducer, until_coordinators_are_there, until_settled
from support.waiting import wait_for


@pytest.fixture
def ask(ask: Ask) -> Ask:
    """To a broker whose coordinators are there: Kafka makes their topics when they are first asked for."""
    until_coordinators_are_there(ask)
    return ask


@pytest.fixture
def topic(ask: Ask) -> Topic:
    return Topic(ask)


def test_one_member_has_everything_at_once(ask: Ask, topic: Topic) -> None:
    """And is told so only when it changes."""
    member = Member(ask, group_name())
    answer = member.join(topic)
    assert (answer.member_id, answer.member_epoch > 0, answer.heartbeat_interval_ms) == (member.id, True, 5000)
    assert member.has == {topic.id: [0, 1, 2]}
    assert member.beat().assignment is None
    assert member.beat(owned=member.has).assignment is None


def test_partitions_are_given_up_before_they_are_taken(ask: Ask, topic: Topic) -> None:
    """The newcomer gets nothing until the first has said that it let go; then they share."""
    group = group_name()
    first, second = Member(ask, group), Member(ask, group)
    first.join(topic)
    epoch = first.epoch
    second.join(topic)
    assert second.has == {}
    assert second.epoch == epoch + 1
    answer = first.beat()
    assert answer.member_epoch == epoch, "not yet in the new epoch"
    kept = first.has[topic.id]
    assert len(kept) == 2
    assert second.beat().assignment is None, "the first has not let go"
    assert first.beat(owned={topic.id: [0, 1, 2]}).member_epoch == epoch, "it says that it has not"
    assert first.beat(owned={topic.id: kept}).member_epoch == epoch + 1
    second.settle()
    assert second.has == {topic.id: sorted({0, 1, 2} - set(kept))}
    assert settled(first, second) == {0: 2, 1: 1}


def test_who_leaves_leaves_its_partitions(ask: Ask, topic: Topic) -> None:
    """The others get them with their next heartbeats."""
    group = group_name()
    members = [Member(ask, group) for _ in range(3)]
    for member in members:
        member.join(topic)
    assert settled(*members) == {0: 1, 1: 1, 2: 1}
    assert members[1].leave() == 0
    assert members[1].beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert sum(settled(members[0], members[2]).values()) == 3
    assert members[0].leave() == members[2].leave() == 0
    assert described(ask, group).group_state == "Empty"


def test_new_topics_and_partitions_are_given_out(ask: Ask, topic: Topic) -> None:
    """Also a topic that is made after somebody subscribed to it, and partitions that are added."""
    member = Member(ask, group_name())
    later = f"t-{uuid.uuid4().hex}"
    request_topic = Topic.__new__(Topic)
    request_topic.name = later
    member.join(topic, request_topic)
    assert set(member.has) == {topic.id}
    made = Topic(ask, later, 2)

    def has_all() -> bool:
        member.settle()
        return member.has == {topic.id: [0, 1, 2], made.id: [0, 1]}

    wait_for(has_all, "the new topic")
    topic.grow(5)

    def has_more() -> bool:
        member.settle()
        return member.has == {topic.id: [0, 1, 2, 3, 4], made.id: [0, 1]}

    wait_for(has_more, "the new partitions")


def test_a_subscription_may_change(ask: Ask, topic: Topic) -> None:
    """What is no longer read is given up first."""
    other = Topic(ask)
    member = Member(ask, group_name())
    member.join(topic)
    member.beat(other, owned=member.has)
    assert topic.id not in member.has
    assert settled(member) == {0: 3}
    assert set(member.has) == {other.id}


def test_a_subscription_may_be_a_pattern(ask: Ask, topic: Topic) -> None:
    """It matches whole names; topics that come later belong to it too; nonsense is refused."""
    prefix = f"p{uuid.uuid4().hex}"
    one = Topic(ask, f"{prefix}-1")
    member = Member(ask, group_name())
    member.join(regex=f"{prefix}-[0-9]+")

    def has(*topics: Topic) -> bool:
        member.settle()
        return set(member.has) == {each.id for each in topics}

    wait_for(lambda: has(one), "the topic that matches")
    Topic(ask, f"{prefix}-1-more")
    two = Topic(ask, f"{prefix}-22")
    wait_for(lambda: has(one, two), "the new topic that matches", 30)
    refused = Member(ask, group_name()).beat(epoch=0, regex="a(b")
    assert refused.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION


def test_epochs_fence(ask: Ask, topic: Topic) -> None:
    """A member from the future, or too far in the past, has to join again; one that lost an answer goes on."""
    group = group_name()
    first = Member(ask, group)
    first.join(topic)
    before, had = first.epoch, dict(first.has)
    assert first.beat(epoch=before + 5).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    second = Member(ask, group)
    second.join(topic)
    first.beat()
    kept = dict(first.has)
    first.settle()
    assert first.epoch == before + 1
    assert first.beat(epoch=before, owned=kept).error_code == 0, "the answer to its last heartbeat was lost"
    assert first.epoch == before + 1
    assert first.beat(epoch=before, owned=had).error_code == ErrorCode.FENCED_MEMBER_EPOCH, "it has what it must not have"
    assert first.beat(epoch=before).error_code == ErrorCode.FENCED_MEMBER_EPOCH, "it does not say what it has"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"instance_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rack_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
        ({"topic_partitions": None}, ErrorCode.INVALID_REQUEST),
        ({"topic_partitions": [TopicPartitions(bytes(16), [0])]}, ErrorCode.INVALID_REQUEST),
        ({"subscribed_topic_names": None}, ErrorCode.INVALID_REQUEST),
        ({"server_assignor": "mine"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
        ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": LEAVE_FOR_A_WHILE}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": 7}, ErrorCode.GROUP_ID_NOT_FOUND),
        ({"member_epoch": LEAVE}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_what_a_first_heartbeat_must_say(ask: Ask, change: dict[str, Any], code: int) -> None:
    """Anything else is refused, and no group comes of it."""
    group = group_name()
    fields: dict[str, Any] = {"group_id": group, "member_id": str(uuid.uuid4()), "member_epoch": 0, "rebalance_timeout_ms": 5000}
    fields |= {"subscribed_topic_names": ["t"], "topic_partitions": []}
    request = ConsumerGroupHeartbeatRequest(**{**fields, **change})
    answer = until_settled(lambda: ask(request, 1), lambda answer: answer.error_code)
    assert answer.error_code == code, answer.error_message
    assert described(ask, group).error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_version_0_gets_its_id_from_the_broker(ask: Ask, topic: Topic) -> None:
    """Later ones choose it themselves."""
    request = ConsumerGroupHeartbeatRequest(
        group_id=group_name(), member_epoch=0, rebalance_timeout_ms=5000, subscribed_topic_names=[topic.name], topic_partitions=[]
    )
    answer = ask(request, 0)
    assert answer.error_code == 0
    assert answer.member_id


def test_static_members_keep_their_place(ask: Ask, topic: Topic) -> None:
    """While one is away for a while nothing moves; its instance id belongs to one process at a time."""
    group = group_name()
    first, other = Member(ask, group, instance="one"), Member(ask, group, instance="two")
    first.join(topic)
    other.join(topic)
    assert settled(first, other) == {0: 2, 1: 1}
    thief = Member(ask, group, instance="one")
    assert thief.beat(topic, epoch=0).error_code == ErrorCode.UNRELEASED_INSTANCE_ID
    assert first.leave(LEAVE_FOR_A_WHILE) == 0
    assert settled(other) == {0: 1}
    again = Member(ask, group, instance="one")
    again.join(topic)
    assert again.has == first.has
    assert settled(again, other) == {0: 2, 1: 1}
    first.epoch = again.epoch
    assert first.beat().error_code == ErrorCode.FENCED_INSTANCE_ID
    assert Member(ask, group, instance="three").beat(epoch=5).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert again.leave() == 0
    assert settled(other) == {0: 3}


def test_members_commit_in_their_epoch(ask: Ask, topic: Topic) -> None:
    """Others do not, and simple consumers only while nobody is in the group."""
    group = group_name()
    member = Member(ask, group)
    member.join(topic)
    here = (member.id, member.epoch)
    assert commit(ask, group, topic, 5, member=here) == 0
    assert commit(ask, group, topic, 6, member=(member.id, member.epoch + 1)) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(ask, group, topic, 6, member=("nobody", 1)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(ask, group, topic, 6) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(ask, group, topic, 6, member=here, version=8) == ErrorCode.UNSUPPORTED_VERSION
    assert fetch(ask, group, topic) == (5, 0)
    assert fetch(ask, group, topic, member=here) == (5, 0)
    assert fetch(ask, group, topic, member=(member.id, member.epoch + 1)) == (-1, ErrorCode.STALE_MEMBER_EPOCH)
    assert fetch(ask, group, topic, member=("nobody", 1)) == (-1, ErrorCode.UNKNOWN_MEMBER_ID)
    assert member.leave() == 0
    assert commit(ask, group, topic, 7) == 0
    assert fetch(ask, group, topic) == (7, 0)


def test_a_member_commits_in_an_older_epoch_for_what_it_has_had_since(ask: Ask, topic: Topic) -> None:
    """It has not heard of the newest yet (KIP-1251); not for what it had not then, and not for what it no longer has."""
    group = group_name()
    first, second = Member(ask, group), Member(ask, group)
    first.join(topic)
    before = first.epoch
    second.join(topic)
    assert settled(first, second) == {0: 2, 1: 1}
    assert first.epoch > before
    (kept, also_kept), (given_up,) = first.has[topic.id], second.has[topic.id]
    for partition, code in ((kept, 0), (also_kept, 0), (given_up, ErrorCode.STALE_MEMBER_EPOCH)):
        assert commit(ask, group, topic, 5, member=(first.id, before), partition=partition) == code
    assert commit(ask, group, topic, 5, member=(second.id, before), partition=given_up) == ErrorCode.STALE_MEMBER_EPOCH
    assert second.leave() == 0
    assert settled(first) == {0: 3}
    assert commit(ask, group, topic, 5, member=(first.id, before), partition=kept) == 0
    assert commit(ask, group, topic, 5, member=(first.id, before), partition=given_up) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(ask, group, topic, 5, member=(first.id, first.epoch), partition=given_up) == 0
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert producer.begin() == 0
    assert producer.commit_offset(group, topic.name, given_up, 9, member=(first.id, before)) == ErrorCode.ILLEGAL_GENERATION
    assert producer.commit_offset(group, topic.name, kept, 9, member=(first.id, before)) == 0
    assert producer.end(commit=True) == 0


def test_members_commit_in_transactions_too(ask: Ask, topic: Topic) -> None:
    """With their epoch in the place of the generation."""
    group = group_name()
    member = Member(ask, group)
    member.join(topic)
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert producer.begin() == 0
    assert producer.commit_offset(group, topic.name, 0, 9, member=(member.id, member.epoch + 1)) == ErrorCode.ILLEGAL_GENERATION
    assert producer.commit_offset(group, topic.name, 0, 9, member=(member.id, member.epoch)) == 0
    assert producer.end(commit=True) == 0
    wait_for(lambda: fetch(ask, group, topic) == (9, 0), "the commit")


def test_groups_are_described_listed_and_deleted(ask: Ask, topic: Topic) -> None:
    """As what they are: the APIs of classic groups do not know them."""
    group = group_name()
    member = Member(ask, group, assignor="range")
    member.join(topic)
    found = described(ask, group)
    assert (found.error_code, found.group_state, found.assignor_name) == (0, "Stable", "range")
    assert found.group_epoch == found.assignment_epoch == member.epoch
    (seen,) = found.members
    assert (seen.member_id, seen.member_epoch, seen.subscribed_topic_names) == (member.id, member.epoch, [topic.name])
    assert [(part.topic_name, sorted(part.partitions)) for part in seen.assignment.topic_partitions] == [(topic.name, [0, 1, 2])]
    assert [(part.topic_name, sorted(part.partitions)) for part in seen.target_assignment.topic_partitions] == [(topic.name, [0, 1, 2])]
    listed = {each.group_id: each for each in ask(ListGroupsRequest(states_filter=[], types_filter=["Consumer"]), 5).groups}
    assert (listed[group].group_state, listed[group].group_type, listed[group].protocol_type) == ("Stable", "consumer", "consumer")
    assert group not in {each.group_id for each in ask(ListGroupsRequest(states_filter=[], types_filter=["classic"]), 5).groups}
    assert ask(DescribeGroupsRequest(groups=[group]), 6).groups[0].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert commit(ask, group, topic, 5, member=(member.id, member.epoch)) == 0
    assert ask(DeleteGroupsRequest(groups_names=[group]), 2).results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    place = OffsetDeleteRequestTopic(name=topic.name, partitions=[OffsetDeleteRequestPartition(partition_index=0)])
    refused = ask(OffsetDeleteRequest(group_id=group, topics=[place]), 0)
    assert refused.topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert member.leave() == 0
    assert ask(DeleteGroupsRequest(groups_names=[group]), 2).results[0].error_code == 0
    assert described(ask, group).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert fetch(ask, group, topic) == (-1, 0)


def classic_join(ask: Ask, group: str, version: int = 3) -> Any:
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"\0\1\0\0\0\0\xff\xff\xff\xff")]
    request = JoinGroupRequest(
        group_id=group, session_timeout_ms=10_000, rebalance_timeout_ms=10_000, member_id="", protocol_type="consumer", protocols=protocols
    )
    return ask(request, version)


def test_an_empty_group_may_change_its_protocol(ask: Ask, topic: Topic) -> None:
    """Offsets stay; whoever is in it decides what it is."""
    group = group_name()
    assert commit(ask, group, topic, 5) == 0
    member = Member(ask, group)
    member.join(topic)
    assert fetch(ask, group, topic) == (5, 0)
    assert member.leave() == 0
    joined = classic_join(ask, group)
    assert joined.error_code == 0
    assert described(ask, group).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert fetch(ask, group, topic) == (5, 0)
