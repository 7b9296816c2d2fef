"""Membership of a classic group, as conversations: what the member asks, what the coordinator answers, what follows."""

from __future__ import annotations

import pytest

from ev.client.assignors import Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription
from ev.client.membership import JOINED, JOINING, STABLE, SYNCING, UNJOINED, Membership
from ev.errors import ErrorCode, KafkaError, SettingError
from ev.wire.messages.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from ev.wire.messages.k14_sync_group import SyncGroupResponse


def join_answer(
    member: str = "m1", leader: str = "m1", generation: int = 1, protocol: str = "range", **members: Subscription
) -> JoinGroupResponse:
    listed = [JoinGroupResponseMember(m, s.instance_id, encode_subscription(s)) for m, s in members.items()]
    return JoinGroupResponse(
        generation_id=generation, protocol_type="consumer", protocol_name=protocol, leader=leader, member_id=member, members=listed
    )


def stable_member(*, owned: list[tuple[str, int]] | None = None, now_ms: int = 0, **options: object) -> Membership:
    """A follower `m1` of generation 1."""
    member = Membership("g", **options)  # type: ignore[arg-type]
    member.join_request(["t"], [])
    member.joined(join_answer(leader="m0", protocol=member.assignors[0]), now_ms)
    member.sync_request({})
    member.synced(SyncGroupResponse(assignment=encode_assignment(owned or [("t", 0)])), now_ms)
    member.polled(now_ms)
    return member


def test_a_new_member_joins_a_second_time_with_the_id_it_was_given() -> None:
    """MEMBER_ID_REQUIRED (KIP-394): the id comes back with the refusal and is used at once."""
    member = Membership("g")
    assert member.wants_to_join(0)
    assert member.join_request(["t"], []).member_id == ""
    assert not member.wants_to_join(0)
    member.joined(JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id="m1"), 5)
    assert member.wants_to_join(5)
    assert member.join_request(["t"], []).member_id == "m1"


def test_the_leader_assigns_for_all_and_a_follower_for_nobody() -> None:
    """The leader gets the members' subscriptions and sends everyone's partitions; a follower sends none and gets its own."""
    leader = Membership("g")
    leader.join_request(["t"], [])
    leader.joined(join_answer(m1=Subscription(["t"]), m2=Subscription(["t", "u"])), 0)
    assert leader.state == JOINED
    assert leader.topics_of_group() == {"t", "u"}
    sent = {a.member_id: decode_assignment(a.assignment) for a in leader.sync_request({"t": 3, "u": 1}).assignments}
    assert sent == {"m1": [("t", 0), ("t", 1)], "m2": [("t", 2), ("u", 0)]}
    assert leader.state == SYNCING

    follower = Membership("g")
    follower.join_request(["t"], [])
    follower.joined(join_answer(member="m2", leader="m1"), 0)
    assert follower.sync_request({}).assignments == []
    assert follower.synced(
        SyncGroupResponse(protocol_type="consumer", protocol_name="range", assignment=encode_assignment([("t", 2)])), 0
    ) == [("t", 2)]
    assert follower.state == STABLE
    assert not follower.wants_to_join(10**9)


def test_only_cooperative_members_say_what_they_own() -> None:
    """An eager member has let go of everything before it joins; a cooperative one keeps reading and says so, with its generation."""
    eager = stable_member()
    request = eager.join_request(["t"], [("t", 0)])
    assert decode_subscription(request.protocols[0].metadata).owned == []
    cooperative = stable_member(assignors=["cooperative-sticky"])
    assert cooperative.cooperative
    told = decode_subscription(cooperative.join_request(["t"], [("t", 0)]).protocols[0].metadata)
    assert (told.owned, told.generation) == ([("t", 0)], 1)
    assert not Membership("g", assignors=["range", "cooperative-sticky"]).cooperative


def test_sticky_members_let_go_and_note_what_they_had() -> None:
    """Nothing is owned while they join; the leader reads the notes, and everyone keeps what it had."""
    member = stable_member(owned=[("t", 1)], assignors=["sticky"])
    assert not member.cooperative
    told = decode_subscription(member.join_request(["t"], []).protocols[0].metadata)
    assert told.owned == []
    newcomer = Subscription(["t"])
    member.joined(join_answer(leader="m1", generation=2, protocol="sticky", m1=told, m0=newcomer), 0)
    sent = {a.member_id: decode_assignment(a.assignment) for a in member.sync_request({"t": 2}).assignments}
    assert sent == {"m1": [("t", 1)], "m0": [("t", 0)]}


def test_a_static_leader_that_comes_back_assigns_nothing_anew() -> None:
    """skip_assignment (KIP-814): the group is stable, the returning leader only watches over it."""
    leader = Membership("g", instance_id="i")
    leader.join_request(["t"], [])
    answer = join_answer(m1=Subscription(["t"], instance_id="i"))
    answer.skip_assignment = True
    leader.joined(answer, 0)
    assert leader.sync_request({"t": 4}).assignments == []


def test_heartbeats_are_due_by_the_interval_and_only_when_stable() -> None:
    """Time is passed in: the first heartbeat is due one interval after the sync, the next one interval after that."""
    member = stable_member(heartbeat_interval_ms=3000, now_ms=1000)
    assert member.heartbeat_request(3999) is None
    request = member.heartbeat_request(4000)
    assert request is not None
    assert (request.group_id, request.generation_id, request.member_id) == ("g", 1, "m1")
    assert member.heartbeat_request(6999) is None
    assert member.heartbeat_request(7000) is not None
    member.join_request(["t"], [])
    assert member.heartbeat_request(10**9) is None


def test_a_rebalance_keeps_the_generation_until_the_member_joins_again() -> None:
    """What was processed can be committed after REBALANCE_IN_PROGRESS: nothing is lost yet."""
    member = stable_member()
    member.heartbeat_answered(ErrorCode.REBALANCE_IN_PROGRESS, 1, 100)
    assert member.wants_to_join(100)
    assert (member.generation, member.lost, member.state) == (1, False, STABLE)


@pytest.mark.parametrize(("code", "kept_id"), [(ErrorCode.UNKNOWN_MEMBER_ID, ""), (ErrorCode.ILLEGAL_GENERATION, "m1")])
def test_a_fenced_member_has_lost_its_partitions(code: int, kept_id: str) -> None:
    """The coordinator gave the member up: no generation, partitions lost, join again (with the id, when only the generation has passed)."""
    member = stable_member()
    member.heartbeat_answered(code, 1, 100)
    assert (member.lost, member.generation, member.member_id, member.state) == (True, -1, kept_id, UNJOINED)
    assert member.wants_to_join(100)


def test_the_answer_to_an_old_heartbeat_says_nothing_about_the_new_generation() -> None:
    """A late refusal for generation 1 does not fence the member of generation 2."""
    member = stable_member()
    member.join_request(["t"], [])
    member.joined(join_answer(leader="m0", generation=2), 0)
    member.sync_request({})
    member.synced(SyncGroupResponse(assignment=encode_assignment([("t", 0)])), 0)
    member.heartbeat_answered(ErrorCode.ILLEGAL_GENERATION, 1, 10)
    member.commit_refused(ErrorCode.UNKNOWN_MEMBER_ID, 1)
    assert (member.lost, member.generation, member.state) == (False, 2, STABLE)


def test_nothing_is_committed_while_the_member_joins_again() -> None:
    """The coordinator may be a generation ahead already: a commit would fence a member that is about to have its place again."""
    member = stable_member(assignors=["cooperative-sticky"])
    assert member.commit_generation() == 1
    member.heartbeat_answered(ErrorCode.REBALANCE_IN_PROGRESS, 1, 10)
    assert member.commit_generation() == 1
    member.join_request(["t"], [("t", 0)])
    with pytest.raises(KafkaError) as caught:
        member.commit_generation()
    assert caught.value.code == ErrorCode.REBALANCE_IN_PROGRESS
    member.commit_refused(ErrorCode.ILLEGAL_GENERATION, 1)
    assert (member.state, member.lost) == (JOINING, False)
    fenced = stable_member()
    fenced.heartbeat_answered(ErrorCode.UNKNOWN_MEMBER_ID, 1, 10)
    with pytest.raises(KafkaError) as caught:
        fenced.commit_generation()
    assert caught.value.code == ErrorCode.UNKNOWN_MEMBER_ID


def test_another_process_with_our_instance_id_ends_the_membership() -> None:
    """FENCED_INSTANCE_ID is not answered by joining again: the two would throw each other out for ever."""
    member = stable_member(instance_id="i")
    member.heartbeat_answered(ErrorCode.FENCED_INSTANCE_ID, 1, 10)
    assert isinstance(member.failure, KafkaError)
    assert member.failure.code == ErrorCode.FENCED_INSTANCE_ID
    assert member.lost


@pytest.mark.parametrize("code", [ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_moved_is_looked_up_again(code: int) -> None:
    """A heartbeat or commit that reaches the wrong broker costs no generation; a join is asked again after a pause."""
    member = stable_member()
    member.heartbeat_answered(code, 1, 10)
    assert member.coordinator_lost
    assert member.state == STABLE
    joining = Membership("g", backoff=lambda failures: 100 << failures)
    joining.join_request(["t"], [])
    joining.joined(JoinGroupResponse(error_code=code), 50)
    assert joining.coordinator_lost
    assert not joining.wants_to_join(149)
    assert joining.wants_to_join(150)


def test_a_loading_coordinator_is_asked_again_after_a_pause() -> None:
    """COORDINATOR_LOAD_IN_PROGRESS is neither a failure nor a reason to look for another coordinator."""
    member = Membership("g", backoff=lambda failures: 100 << failures)
    member.join_request(["t"], [])
    member.joined(JoinGroupResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), 0)
    assert not member.coordinator_lost
    assert not member.wants_to_join(99)
    assert member.wants_to_join(100)


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.GROUP_MAX_SIZE_REACHED,
    ],
)
def test_what_joining_again_cannot_heal_is_raised(code: int) -> None:
    """The application gets Kafka's error and may try again; the member is where it was before."""
    member = Membership("g")
    member.join_request(["t"], [])
    with pytest.raises(KafkaError) as caught:
        member.joined(JoinGroupResponse(error_code=code), 0)
    assert caught.value.code == code
    assert member.wants_to_join(0)


def test_a_sync_that_comes_too_late_joins_again() -> None:
    """REBALANCE_IN_PROGRESS from SyncGroup: the group has moved on meanwhile, the generation of the join still stands."""
    member = Membership("g", backoff=lambda failures: 100 << failures)
    member.join_request(["t"], [])
    member.joined(join_answer(leader="m0"), 0)
    member.sync_request({})
    assert member.synced(SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS), 0) is None
    assert member.wants_to_join(100)
    assert not member.lost


def test_a_broken_connection_while_joining_joins_again_with_the_same_id() -> None:
    """The member id survives, so that the group does not get a second ghost of this member."""
    member = Membership("g", backoff=lambda failures: 100 << failures)
    member.join_request(["t"], [])
    member.joined(JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id="m1"), 0)
    member.join_request(["t"], [])
    member.connection_broke(10)
    assert member.coordinator_lost
    assert member.wants_to_join(110)
    assert member.join_request(["t"], []).member_id == "m1"


def test_the_application_must_poll_and_the_coordinator_must_answer() -> None:
    """max.poll.interval and session timeout are both measured against the time passed in."""
    member = stable_member(poll_timeout_ms=60_000, session_timeout_ms=10_000)
    assert not member.poll_overdue(60_000)
    assert member.poll_overdue(60_001)
    assert member.session_overdue(10_001)
    member.heartbeat_answered(ErrorCode.NONE, 1, 9_000)
    assert not member.session_overdue(10_001)


def test_a_dynamic_member_leaves_and_a_static_one_stays() -> None:
    """A static member's place is kept for its return; a member that never joined has nothing to leave."""
    dynamic = stable_member()
    request = dynamic.leave_request("closed")
    assert request is not None
    assert [(m.member_id, m.reason) for m in request.members] == [("m1", "closed")]
    assert dynamic.leave_request("closed") is None
    assert stable_member(instance_id="i").leave_request("closed") is None
    assert Membership("g").leave_request("closed") is None


def test_an_assignor_that_does_not_exist_is_refused_at_once() -> None:
    """The message names what there is."""
    with pytest.raises(SettingError, match="cooperative-sticky"):
        Membership("g", assignors=["stickyish"])
    with pytest.raises(SettingError):
        Membership("g", assignors=[])
