"""Groups that change their protocol while members are in them, over a socket, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_members import ClassicMember, Member, Topic, commit, described, fetch, group_name
from support.raw_transactions import Ask, TransactionalProducer, asked_over, until_coordinators_are_there
from support.waiting import wait_for

CLASSIC, CONSUMER = 0, 1


@pytest.fixture
def ask(ask: Ask) -> Ask:
    """To a broker whose coordinators are there: Kafka makes their topics when they are first asked for."""
    until_coordinators_are_there(ask)
    return ask


@pytest.fixture
def topic(ask: Ask) -> Topic:
    return Topic(ask)


def classic_group(ask: Ask, topic: Topic) -> ClassicMember:
    """One member that has all three partitions in generation 1."""
    member = ClassicMember(ask, group_name(), topic)
    assert member.join() == 0
    assert member.leader == member.id
    assert member.sync(mine=[0, 1, 2]) == 0
    return member


def shared(classic: ClassicMember, member: Member) -> None:
    """Let both take all their steps."""
    for _ in range(4):
        member.settle()
        if classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS:
            assert classic.join() == 0
            assert classic.sync() == 0
    assert sorted([*classic.has, *member.has[member_topic(member)]]) == [0, 1, 2]


def member_topic(member: Member) -> bytes:
    (topic_id,) = member.has
    return topic_id


def kind(ask: Ask, group: str) -> str:
    (found,) = [each for each in ask(ListGroupsRequest(), 5).groups if each.group_id == group]
    return str(found.group_type)


def test_a_group_goes_there_and_back(ask: Ask, topic: Topic) -> None:
    """It is one group all the time: its number goes on, its offsets stay, nothing has two owners."""
    classic = classic_group(ask, topic)
    group = classic.group
    assert commit(ask, group, topic, 5, member=(classic.id, 1)) == 0
    member = Member(ask, group)
    member.join(topic)
    assert member.has == {}, "the classic member has them still"
    assert member.epoch == 2
    assert fetch(ask, group, topic) == (5, 0)
    shared(classic, member)
    assert (classic.generation, member.epoch) == (2, 2)
    assert classic.leader == ""
    found = described(ask, group)
    assert (found.group_state, found.group_epoch, found.assignor_name) == ("Stable", 2, "uniform")
    assert {each.member_id: each.member_type for each in found.members} == {classic.id: CLASSIC, member.id: CONSUMER}
    assert kind(ask, group) == "consumer"
    assert member.leave() == 0
    assert kind(ask, group) == "classic"
    assert described(ask, group).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert classic.join() == 0
    assert (classic.generation, classic.leader) == (3, classic.id)
    assert classic.sync(mine=[0, 1, 2]) == 0
    assert classic.beat() == 0
    assert fetch(ask, group, topic) == (5, 0)
    assert ask(DeleteGroupsRequest(groups_names=[group]), 2).results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    assert classic.leave() == 0
    assert ask(DeleteGroupsRequest(groups_names=[group]), 2).results[0].error_code == 0


@pytest.mark.parametrize("assignor", ["cooperative-sticky", "of-our-own"])
def test_notes_of_an_assignor_in_what_it_handed_out(ask: Ask, topic: Topic, request: pytest.FixtureRequest, assignor: str) -> None:
    """Nobody here knows what an assignor of somebody's own means by them. librdkafka's sticky one means nothing that is needed again;
    Apache Kafka keeps that group from the new protocol too, and for librdkafka this is fatal.
    """
    classic = ClassicMember(ask, group_name(), topic, assignor=assignor, notes=b"notes")
    assert classic.join() == 0
    assert classic.sync(mine=[0, 1, 2]) == 0
    member = Member(ask, classic.group)
    code = member.beat(topic, epoch=0).error_code
    goes = request.node.callspec.params["address"] == "ev" and assignor == "cooperative-sticky"
    assert code == (0 if goes else ErrorCode.GROUP_ID_NOT_FOUND)


def test_classic_members_commit_by_their_own_rules(ask: Ask, topic: Topic) -> None:
    """In any version of OffsetCommit, and a wrong generation is called so."""
    classic = classic_group(ask, topic)
    group = classic.group
    member = Member(ask, group)
    member.join(topic)
    shared(classic, member)
    here, wrong = (classic.id, classic.generation), (classic.id, classic.generation + 1)
    assert commit(ask, group, topic, 6, member=here, version=7) == 0
    kept, given_up = classic.has[0], member.has[topic.id][0]
    assert commit(ask, group, topic, 6, member=(classic.id, 1), partition=kept) == 0
    assert commit(ask, group, topic, 6, member=(classic.id, 1), partition=given_up) == ErrorCode.ILLEGAL_GENERATION
    assert commit(ask, group, topic, 7, member=wrong) == ErrorCode.ILLEGAL_GENERATION
    assert commit(ask, group, topic, 7, member=(member.id, member.epoch), version=8) == ErrorCode.UNSUPPORTED_VERSION
    assert commit(ask, group, topic, 7, member=(member.id, member.epoch + 1)) == ErrorCode.STALE_MEMBER_EPOCH
    assert fetch(ask, group, topic, member=here) == (6, 0)
    assert fetch(ask, group, topic, member=wrong) == (-1, ErrorCode.ILLEGAL_GENERATION)
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert producer.begin() == 0
    assert producer.commit_offset(group, topic.name, 0, 9, member=wrong) == ErrorCode.ILLEGAL_GENERATION
    assert producer.commit_offset(group, topic.name, 0, 9, member=here) == 0
    assert producer.end(commit=True) == 0
    wait_for(lambda: fetch(ask, group, topic) == (9, 0), "the commit")


def test_static_members_change_their_protocol_one_by_one(ask: Ask, topic: Topic) -> None:
    """Each takes its own place, with what it had; whoever it was before is fenced."""
    group = group_name()
    old = ClassicMember(ask, group, topic, instance="one")
    assert old.join() == 0
    assert old.sync(mine=[0, 1, 2]) == 0
    new = Member(ask, group, instance="one")
    new.join(topic)
    assert new.has == {topic.id: [0, 1, 2]}
    assert old.beat() == ErrorCode.FENCED_INSTANCE_ID
    assert [each.member_id for each in described(ask, group).members] == [new.id]
    back = ClassicMember(ask, group, topic, instance="one")
    assert back.join() == 0
    assert new.beat().error_code in (ErrorCode.FENCED_INSTANCE_ID, ErrorCode.GROUP_ID_NOT_FOUND)
    assert kind(ask, group) == "classic"
    assert back.sync() == 0
    assert back.has == [0, 1, 2]


@pytest.mark.parametrize("step", ["upgraded", "gave up", "shared", "downgraded", "rejoined"])
def test_a_killed_engine_finds_the_group_as_it_was(start_engine: Callable[..., Engine], step: str) -> None:
    """After every step of the way there and back."""
    engine = start_engine(settings={"offsets.topic.num.partitions": "1"})
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        topic = Topic(ask)
        classic = classic_group(ask, topic)
        group = classic.group
        assert commit(ask, group, topic, 5, member=(classic.id, 1)) == 0
        member = Member(ask, group)
        member.join(topic)
        if step != "upgraded":
            assert classic.join() == 0
            assert classic.sync() == 0
        if step in ("shared", "downgraded", "rejoined"):
            shared(classic, member)
        if step in ("downgraded", "rejoined"):
            assert member.leave() == 0
        if step == "rejoined":
            assert classic.join() == 0
            assert classic.sync(mine=[0, 1, 2]) == 0
        before = described(ask, group)
        before.members.sort(key=lambda each: each.member_id)
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        ask = classic.ask = member.ask = asked_over(client)
        after = described(ask, group)
        after.members.sort(key=lambda each: each.member_id)
        assert after == before
        assert fetch(ask, group, topic) == (5, 0)
        if step == "rejoined":
            assert classic.beat() == 0
        elif step == "downgraded":
            assert classic.beat() == ErrorCode.REBALANCE_IN_PROGRESS
            assert classic.join() == 0
            assert classic.sync(mine=[0, 1, 2]) == 0
        else:
            shared(classic, member)
