"""Membership of a group of the new protocol, as conversations: what the heartbeat says, what the coordinator answers, what follows."""

from __future__ import annotations

from typing import Any

import pytest

from ev.client.consumer_membership import (
    FAILED,
    JOINING,
    OUT,
    STABLE,
    UNRELEASED_MS_MAX,
    ConsumerMembership,
    new_member_id,
)
from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k68_consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)

A, B = b"a" * 16, b"b" * 16


def member_of(group: str = "g", **options: Any) -> ConsumerMembership:
    """It doubles its pauses from 100 ms on, and wants topic `t`."""
    member = ConsumerMembership(group, "m", backoff=lambda failures: 100 << failures, **options)
    member.subscribe(["t"], None)
    return member


def answer(epoch: int = 1, assigned: dict[bytes, list[int]] | None = None, *, code: int = 0, interval_ms: int = 5_000) -> Any:
    assignment = None if assigned is None else Assignment([TopicPartitions(topic, indexes) for topic, indexes in assigned.items()])
    return ConsumerGroupHeartbeatResponse(
        error_code=code, member_id="m", member_epoch=epoch, heartbeat_interval_ms=interval_ms, assignment=assignment
    )


def refusal(code: int) -> Any:
    return ConsumerGroupHeartbeatResponse(error_code=code, error_message="the broker says why")


def beat(member: ConsumerMembership, now_ms: int) -> ConsumerGroupHeartbeatRequest:
    """The heartbeat that is due by now."""
    request = member.heartbeat_request(now_ms)
    assert request is not None
    return request


def stable_member(assigned: dict[bytes, list[int]] | None = None, now_ms: int = 0, **options: Any) -> ConsumerMembership:
    """It has joined in epoch 1, has what it was told to have, and has said so."""
    given = {A: [0]} if assigned is None else assigned
    member = member_of(**options)
    member.polled(now_ms)
    beat(member, now_ms)
    member.answered(answer(1, given), now_ms)
    member.owns(given)
    beat(member, now_ms)
    member.answered(answer(1), now_ms)
    return member


def said(request: ConsumerGroupHeartbeatRequest) -> dict[str, Any]:
    """What a heartbeat says beyond who speaks in which epoch."""
    owned = request.topic_partitions
    found = {
        "names": request.subscribed_topic_names,
        "regex": request.subscribed_topic_regex,
        "assignor": request.server_assignor,
        "rack": request.rack_id,
        "timeout": None if request.rebalance_timeout_ms < 0 else request.rebalance_timeout_ms,
        "owned": None if owned is None else {item.topic_id: item.partitions for item in owned},
    }
    return {name: value for name, value in found.items() if value is not None}


def test_a_member_joins_with_everything_and_then_says_only_what_is_new() -> None:
    """The id is its own (KIP-1082), the epoch 0; then its partitions at once, and nothing more by the coordinator's interval."""
    member = member_of(instance_id="i", remote_assignor="range", rack="r", poll_timeout_ms=60_000)
    joins = beat(member, 0)
    assert (joins.group_id, joins.member_id, joins.member_epoch, joins.instance_id) == ("g", "m", 0, "i")
    assert said(joins) == {"names": ["t"], "assignor": "range", "rack": "r", "timeout": 60_000, "owned": {}}
    member.answered(answer(3, {A: [1, 0]}, interval_ms=4_000), 10)
    assert (member.state, member.epoch, member.target) == (STABLE, 3, {A: [0, 1]})
    assert member.heartbeat_request(3_999) is None
    member.owns({A: [0, 1]})
    reports = beat(member, 20)
    assert (reports.member_epoch, said(reports)) == (3, {"owned": {A: [0, 1]}})
    member.answered(answer(3, interval_ms=4_000), 30)
    assert member.heartbeat_request(4_019) is None
    assert said(beat(member, 4_020)) == {}


def test_one_heartbeat_is_on_its_way_at_a_time() -> None:
    """Whatever happens meanwhile goes with the next one."""
    member = stable_member()
    member.owns({})
    assert said(beat(member, 0)) == {"owned": {}}
    member.subscribe(["t", "u"], None)
    assert member.heartbeat_request(10**9) is None
    member.answered(answer(1), 50)
    assert said(beat(member, 50)) == {"names": ["t", "u"]}


def test_a_heartbeat_that_was_not_answered_is_followed_by_one_that_says_everything() -> None:
    """The coordinator may have taken it or not, and may have gone on by an epoch; pauses double until somebody answers."""
    member = stable_member({A: [0, 1]})
    now_ms = 5_000
    for pause_ms in (100, 200, 400):
        beat(member, now_ms)
        member.unanswered(now_ms)
        assert member.heartbeat_request(now_ms + pause_ms - 1) is None
        now_ms += pause_ms
    again = beat(member, now_ms)
    assert again.member_epoch == 1
    assert said(again) == {"names": ["t"], "timeout": 300_000, "owned": {A: [0, 1]}}
    member.answered(answer(2, {A: [0]}), now_ms)
    assert (member.epoch, member.target, member.lost) == (2, {A: [0]}, False)
    member.owns({A: [0]})
    assert said(beat(member, now_ms)) == {"owned": {A: [0]}}


def test_a_join_that_was_not_answered_is_made_again_under_the_same_id() -> None:
    """So that the group does not get a ghost."""
    member = member_of()
    beat(member, 0)
    member.unanswered(0)
    again = beat(member, 100)
    assert (again.member_id, again.member_epoch, said(again)["owned"]) == ("m", 0, {})


@pytest.mark.parametrize("code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND])
def test_a_fenced_member_tells_the_application_before_it_joins_again(code: int) -> None:
    """Everything is lost, nothing can be committed; it joins with its id, in epoch 0, with nothing."""
    member = stable_member()
    beat(member, 5_000)
    member.answered(refusal(code), 5_001)
    assert (member.state, member.lost, member.target, member.may_speak) == (OUT, True, None, False)
    assert member.heartbeat_request(10**9) is None
    with pytest.raises(KafkaError, match="UNKNOWN_MEMBER_ID"):
        member.commit_epoch()
    member.partitions_lost_told()
    assert (member.state, member.lost) == (JOINING, False)
    again = beat(member, 5_101)
    assert (again.member_id, again.member_epoch, said(again)["owned"]) == ("m", 0, {})


def test_an_answer_that_comes_after_the_place_was_lost_says_nothing() -> None:
    """A commit was refused meanwhile: what the heartbeat before it brought is void."""
    member = stable_member()
    beat(member, 5_000)
    member.commit_refused(ErrorCode.UNKNOWN_MEMBER_ID, 1)
    member.answered(answer(2, {A: [0, 1]}), 5_001)
    assert (member.state, member.target) == (OUT, None)


def test_a_commit_in_an_epoch_that_has_passed_asks_for_the_new_one() -> None:
    """STALE_MEMBER_EPOCH costs no partition: the next heartbeat leaves at once, says everything and brings the epoch to commit in."""
    member = stable_member()
    assert member.commit_epoch() == 1
    member.commit_refused(ErrorCode.STALE_MEMBER_EPOCH, 1)
    asks = beat(member, 1)
    assert (asks.member_epoch, said(asks)["owned"]) == (1, {A: [0]})
    member.answered(answer(2), 2)
    assert (member.commit_epoch(), member.lost) == (2, False)
    member.commit_refused(ErrorCode.STALE_MEMBER_EPOCH, 1)
    assert member.heartbeat_request(3) is None, "it is about an epoch that has passed, which we know"


@pytest.mark.parametrize("code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID])
def test_a_refused_commit_fences_and_one_from_an_earlier_epoch_does_not(code: int) -> None:
    """Late news about an epoch that has passed is no news."""
    member = stable_member()
    member.commit_refused(code, 0)
    assert member.state == STABLE
    member.commit_refused(code, 1)
    assert (member.state, member.lost) == (OUT, True)


@pytest.mark.parametrize("code", [ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_moved_is_looked_up_and_told_everything(code: int) -> None:
    """By heartbeat and by commit. The member keeps its place."""
    member = stable_member()
    beat(member, 5_000)
    member.answered(refusal(code), 5_000)
    assert (member.coordinator_lost, member.state) == (True, STABLE)
    assert said(beat(member, 5_100))["names"] == ["t"]
    other = stable_member()
    other.commit_refused(code, 1)
    assert (other.coordinator_lost, other.state) == (True, STABLE)


def test_a_loading_coordinator_is_asked_again_after_a_pause() -> None:
    """It is neither a failure nor a reason to look for another one."""
    member = member_of()
    beat(member, 0)
    member.answered(refusal(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), 0)
    assert not member.coordinator_lost
    assert member.heartbeat_request(99) is None
    assert beat(member, 100).member_epoch == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, "the broker says why"),
        (ErrorCode.GROUP_MAX_SIZE_REACHED, "the broker says why"),
        (ErrorCode.INVALID_REGULAR_EXPRESSION, "the broker says why"),
        (ErrorCode.UNSUPPORTED_ASSIGNOR, "the broker says why"),
        (ErrorCode.FENCED_INSTANCE_ID, "the broker says why"),
        (ErrorCode.GROUP_ID_NOT_FOUND, "another protocol"),
        (ErrorCode.UNSUPPORTED_VERSION, "4.0"),
    ],
)
def test_what_another_heartbeat_cannot_heal_ends_the_membership(code: int, told: str) -> None:
    """The error says what the broker said, or what it means; no heartbeat follows."""
    member = member_of(instance_id="i")
    beat(member, 0)
    member.answered(refusal(code), 1)
    assert isinstance(member.failure, KafkaError)
    assert (member.failure.code, told in str(member.failure), member.state) == (code, True, FAILED)
    member.partitions_lost_told()
    assert member.heartbeat_request(10**9) is None


def test_topics_that_may_not_be_read_are_reported_and_asked_for_again() -> None:
    """An administrator may allow it any time: TOPIC_AUTHORIZATION_FAILED does not end the membership."""
    member = stable_member()
    beat(member, 5_000)
    member.answered(refusal(ErrorCode.TOPIC_AUTHORIZATION_FAILED), 5_000)
    assert isinstance(member.problem, KafkaError)
    assert (member.state, member.failure) == (STABLE, None)
    assert beat(member, 5_100).member_epoch == 1


def test_who_succeeds_a_static_member_that_died_waits_for_its_session_to_end() -> None:
    """UNRELEASED_INSTANCE_ID passes when the coordinator gives the dead one up; if it never does, the other one is alive."""
    member = member_of(instance_id="i")
    beat(member, 0)
    member.answered(refusal(ErrorCode.UNRELEASED_INSTANCE_ID), 0)
    assert member.failure is None
    beat(member, 45_000)
    member.answered(answer(7, {A: [0]}), 45_000)
    assert (member.state, member.epoch) == (STABLE, 7)
    in_vain = member_of(instance_id="i")
    for now_ms in (0, UNRELEASED_MS_MAX - 1, UNRELEASED_MS_MAX + 1_000):
        assert in_vain.failure is None
        beat(in_vain, now_ms)
        in_vain.answered(refusal(ErrorCode.UNRELEASED_INSTANCE_ID), now_ms)
    assert "alive under the instance id 'i'" in str(in_vain.failure)


def test_a_pattern_is_taken_back_with_an_empty_one() -> None:
    """Null would say: nothing new."""
    member = member_of()
    member.subscribe([], "^t-.*")
    assert said(beat(member, 0)) == {"names": [], "regex": "^t-.*", "timeout": 300_000, "owned": {}}
    member.answered(answer(1, {}), 0)
    assert not member.subscribe([], "^t-.*")
    assert member.subscribe(["u"], None)
    assert said(beat(member, 0)) == {"names": ["u"], "regex": ""}
    member.unanswered(0)
    assert said(beat(member, 100))["regex"] == ""


def test_an_application_that_stays_away_gives_its_place_up_until_it_comes_back() -> None:
    """By poll_timeout_ms: the member leaves, and joins again when the application polls and knows."""
    member = stable_member(poll_timeout_ms=60_000)
    assert not member.poll_overdue(60_000)
    assert member.poll_overdue(60_001)
    leaves = member.place_given_up()
    assert leaves is not None
    assert (leaves.member_epoch, member.state, member.lost) == (-1, OUT, True)
    assert not member.poll_overdue(10**9)
    member.polled(70_000)
    member.partitions_lost_told()
    assert beat(member, 70_000).member_epoch == 0


def test_a_member_leaves_with_epoch_minus_1_and_a_static_one_with_minus_2() -> None:
    """Once; who never joined has nothing to leave, who may have joined leaves."""
    for instance_id, epoch in ((None, -1), ("i", -2)):
        leaves = stable_member(instance_id=instance_id).leave_request()
        assert leaves is not None
        assert (leaves.member_id, leaves.member_epoch, leaves.instance_id, said(leaves)) == ("m", epoch, instance_id, {})
    assert member_of().leave_request() is None
    asked = member_of()
    beat(asked, 0)
    assert asked.leave_request() is not None
    assert asked.leave_request() is None


def test_member_ids_are_made_by_chance() -> None:
    """As Kafka writes a UUID."""
    assert new_member_id(bytes(16)) == "A" * 22
    assert new_member_id(bytes(range(240, 256))) == "8PHy8_T19vf4-fr7_P3-_w"
