"""Consumers that share topics through a group, on real brokers: rebalances, fencing, commits, coordinators that go and come."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.group import GroupSession
from ev.client.results import NewTopic
from ev.errors import ErrorCode, KafkaError, SettingError
from support.engine import Engine
from support.own_members import Member, fill, poll_until, shared_out
from support.waiting import wait_for

MakeTopic = Callable[..., str]


@pytest.fixture
def members() -> Iterator[list[Member]]:
    """Members that a test makes; they leave in the end."""
    made: list[Member] = []
    yield made
    for member in made:
        member.consumer.close()


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_members_come_and_go_and_share_what_there_is(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member], assignor: str
) -> None:
    """Three members, six partitions; one leaves; in the end everything was read, and nobody read what another had committed."""
    topic, group = make_topic(6), fresh("group")
    fill(bootstrap, topic, 6, 50)
    for _ in range(3):
        members.append(Member(bootstrap, group, [topic], commits=True, assignors=[assignor]))
        poll_until(members, lambda: shared_out(members, topic, 6), f"{len(members)} members to share six partitions")
    poll_until(members, lambda: sum(len(member.seen) for member in members) >= 300, "all records")
    for member in members:
        member.consumer.commit()
    members.pop().consumer.close()
    poll_until(members, lambda: shared_out(members, topic, 6), "two members to take over")
    fill(bootstrap, topic, 6, 10)
    before = sum(len(member.seen) for member in members)
    poll_until(members, lambda: sum(len(member.seen) for member in members) >= before + 60, "the new records")
    assert sum(len(member.seen) for member in members) == before + 60


def test_cooperative_members_keep_reading_what_they_keep(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]
) -> None:
    """Only what goes to the newcomer is revoked; eager members let go of everything."""
    topic = make_topic(4)
    for assignor, revoked in (("cooperative-sticky", 2), ("range", 4)):
        group = fresh("group")
        pair = [Member(bootstrap, group, [topic], assignors=[assignor])]
        members += pair
        poll_until(pair, lambda pair=pair: len(pair[0].partitions) == 4, "all partitions")  # type: ignore[misc]
        pair.append(Member(bootstrap, group, [topic], assignors=[assignor]))
        members.append(pair[1])
        poll_until(pair, lambda pair=pair: shared_out(pair, topic, 4), "two each")  # type: ignore[misc]
        assert pair[0].count_of("revoked") == revoked


def test_a_group_goes_on_where_it_has_committed(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]
) -> None:
    """A new member of an empty group begins at the committed offset, not at the reset policy's."""
    topic, group = make_topic(), fresh("group")
    fill(bootstrap, topic, 1, 10)
    first = Member(bootstrap, group, [topic])
    poll_until([first], lambda: len(first.seen) == 10, "ten records")
    first.consumer.commit({(topic, 0): 7})
    first.consumer.close()
    members.append(Member(bootstrap, group, [topic]))
    poll_until(members, lambda: members[0].seen, "records")
    assert [offset for _, offset in members[0].seen] == [7, 8, 9]


def test_a_member_that_does_not_poll_loses_its_place(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]
) -> None:
    """After max_poll_interval_ms the heartbeat thread leaves; the next poll says that partitions were lost, and joins again."""
    topic, group = make_topic(2), fresh("group")
    slow = Member(bootstrap, group, [topic], max_poll_interval_ms=1_000)
    members.append(slow)
    poll_until([slow], lambda: len(slow.partitions) == 2, "both partitions")
    other = Member(bootstrap, group, [topic])
    members.append(other)
    poll_until([slow, other], lambda: shared_out([slow, other], topic, 2), "one each")
    poll_until([other], lambda: len(other.partitions) == 2, "the other to take over")
    with pytest.raises(KafkaError) as caught:
        slow.consumer.commit({(topic, 0): 1})
    assert caught.value.code == ErrorCode.UNKNOWN_MEMBER_ID
    poll_until([slow, other], lambda: shared_out([slow, other], topic, 2), "one each again")
    assert "lost" in [what for what, _ in slow.told]


def test_heartbeats_keep_a_busy_member_in_the_group(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member], admin: Admin
) -> None:
    """A member that works longer than its session lasts, without polling, is still there afterwards."""
    topic, group = make_topic(1), fresh("group")
    busy = Member(bootstrap, group, [topic], session_timeout_ms=6_000, heartbeat_interval_ms=200)
    members.append(busy)
    poll_until([busy], lambda: busy.partitions, "the partition")
    session = busy.consumer._session
    assert isinstance(session, GroupSession)
    heard_ms = session.membership.heard_ms
    wait_for(lambda: session.membership.heard_ms > heard_ms + 6_500, "heartbeats past the session timeout")
    assert [member.partitions for member in admin.describe_groups([group])[0].members] == [[(topic, 0)]]
    busy.poll()
    assert [what for what, _ in busy.told] == ["assigned"]


def test_a_static_member_comes_back_to_its_partitions_without_a_rebalance(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]
) -> None:
    """Its place is kept over a restart; the other member notices nothing."""
    topic, group = make_topic(4), fresh("group")
    stays = Member(bootstrap, group, [topic], group_instance_id="stays")
    goes = Member(bootstrap, group, [topic], group_instance_id="goes")
    members += [stays, goes]
    poll_until(members, lambda: shared_out(members, topic, 4), "two each")
    mine, told = goes.partitions, len(stays.told)
    goes.consumer.close()
    back = Member(bootstrap, group, [topic], group_instance_id="goes")
    members.append(back)
    poll_until([stays, back], lambda: back.partitions, "the old place")
    assert back.partitions == mine
    assert len(stays.told) == told


def test_two_processes_with_one_instance_id_fence_each_other_once(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]
) -> None:
    """The older one is told with FENCED_INSTANCE_ID and does not fight back."""
    topic, group = make_topic(2), fresh("group")
    old = Member(bootstrap, group, [topic], group_instance_id="i")
    members.append(old)
    poll_until([old], lambda: len(old.partitions) == 2, "both partitions")
    new = Member(bootstrap, group, [topic], group_instance_id="i")
    members.append(new)
    poll_until([new], lambda: len(new.partitions) == 2, "the place")
    for _ in range(2):
        with pytest.raises(KafkaError) as caught:
            wait_for(old.poll, "being fenced")
        assert caught.value.code == ErrorCode.FENCED_INSTANCE_ID
    new.poll()
    assert len(new.partitions) == 2


def test_a_member_can_leave_while_the_group_waits_for_others(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member], admin: Admin
) -> None:
    """Its JoinGroup is parked because the other member does not join again: close does not wait for that, and the place is free."""
    topic, group = make_topic(1), fresh("group")
    absent = Member(bootstrap, group, [topic], heartbeat_interval_ms=2_000)
    members.append(absent)
    poll_until([absent], lambda: absent.partitions, "the partition")
    waiting = Consumer(bootstrap, group=group, client_id="waiting")
    waiting.subscribe([topic])
    wait_for(
        lambda: waiting.poll_batches(50) or admin.describe_groups([group])[0].state == "PreparingRebalance", "the rebalance", pause_s=0
    )
    started = waiting._cluster.now_ms()
    waiting.close()
    assert waiting._cluster.now_ms() - started < 4_000
    poll_until([absent], lambda: len(admin.describe_groups([group])[0].members) == 1, "the other to be alone")


def test_new_partitions_are_shared_out(
    bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member], admin: Admin
) -> None:
    """The leader sees in the metadata that a topic has grown, and the group rebalances."""
    topic, group = make_topic(1), fresh("group")
    member = Member(bootstrap, group, [topic], metadata_max_age_ms=200)
    members.append(member)
    poll_until([member], lambda: len(member.partitions) == 1, "one partition")
    admin.create_partitions({topic: 3})[0].or_raise()
    poll_until([member], lambda: len(member.partitions) == 3, "three partitions")


def test_a_subscription_can_change(bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]) -> None:
    """The group hands out the new topics and takes back the old; afterwards partitions can be assigned by hand."""
    one, two, group = make_topic(1), make_topic(1), fresh("group")
    member = Member(bootstrap, group, [one])
    members.append(member)
    poll_until([member], lambda: member.partitions == [(one, 0)], "the first topic")
    with pytest.raises(SettingError):
        member.consumer.assign([(two, 0)])
    member.consumer.subscribe([two])
    poll_until([member], lambda: member.partitions == [(two, 0)], "the second topic")
    member.consumer.unsubscribe()
    member.consumer.assign([(one, 0)])
    assert member.partitions == [(one, 0)]


def test_a_refused_membership_is_raised(bootstrap: str, make_topic: MakeTopic, fresh: Callable[[str], str], members: list[Member]) -> None:
    """A session timeout outside the broker's bounds, or a member that shares no assignor with the group."""
    topic, group = make_topic(1), fresh("group")
    impatient = Member(bootstrap, group, [topic], session_timeout_ms=5)
    members.append(impatient)
    with pytest.raises(KafkaError) as caught:
        wait_for(impatient.poll, "the refusal")
    assert caught.value.code == ErrorCode.INVALID_SESSION_TIMEOUT
    settled = Member(bootstrap, group, [topic], assignors=["range"])
    members.append(settled)
    poll_until([settled], lambda: settled.partitions, "the partition")
    stranger = Member(bootstrap, group, [topic], assignors=["roundrobin"])
    members.append(stranger)
    with pytest.raises(KafkaError) as caught:
        wait_for(stranger.poll, "the refusal")
    assert caught.value.code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_group_survives_a_crash_of_its_coordinator(tmp_path: pathlib.Path, members: list[Member]) -> None:
    """kill -9 and a restart on the same port: the member goes on without an error, and what was committed is committed."""
    with Engine(tmp_path / "engine") as engine:
        with Admin(engine.address) as admin:
            admin.create_topics([NewTopic("t", 2, 1)])[0].or_raise()
        fill(engine.address, "t", 2, 100)
        member = Member(engine.address, "g", ["t"])
        members.append(member)
        poll_until([member], lambda: len(member.seen) == 200, "all records")
        member.consumer.commit()
        engine.kill()
        member.poll()
        engine.start()
        fill(engine.address, "t", 2, 10)
        poll_until([member], lambda: len(member.seen) == 220, "the records after the restart")
        member.consumer.commit()
        committed = member.consumer.committed([("t", 0), ("t", 1)])
        assert [item.offset for item in committed.values()] == [110, 110]
        assert Counter(member.seen).most_common(1)[0][1] == 1
        member.consumer.close()
