"""Groups of the classic protocol, and their offsets."""

from __future__ import annotations

from typing import Any

from differential.conversation import Heard, Own, Step, Steps, about, kept
from differential.table.given import coordinator, topic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ev.wire.messages.k26_end_txn import EndTxnRequest
from ev.wire.messages.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from ev.wire.messages.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic
from support.rules import rule

REBALANCE_IN_PROGRESS = 27
UNKNOWN_ID = bytes(range(16))


@about(10, "of one group or id", until=3)
@rule(90)
def one_coordinator(version: int, own: Own) -> Steps:
    yield Step(FindCoordinatorRequest(key=own("group")), version)
    if version:
        yield Step(FindCoordinatorRequest(key=own("id"), key_type=1), version)
        yield Step(FindCoordinatorRequest(key=own("what"), key_type=9), version)
        yield Step(FindCoordinatorRequest(key="g:AAAAAAAAAAAAAAAAAAAAAQ:0", key_type=2), version)


@about(10, "of several", since=4)
@rule(90)
def several_coordinators(version: int, own: Own) -> Steps:
    for kind in (0, 1, 9):
        yield Step(FindCoordinatorRequest(coordinator_keys=[own("b"), own("a"), own("a")], key_type=kind), version)
    yield Step(FindCoordinatorRequest(coordinator_keys=[""]), version)
    yield Step(FindCoordinatorRequest(coordinator_keys=[]), version)


def join(
    group: str, member: Any = "", *, protocols: tuple[str, ...] = ("range",), data: bytes = b"data", **options: Any
) -> JoinGroupRequest:
    offered = [JoinGroupRequestProtocol(name, data) for name in protocols]
    given = {"session_timeout_ms": 30_000, "rebalance_timeout_ms": 60_000, "protocol_type": "consumer", **options}
    return JoinGroupRequest(group_id=group, member_id=member, protocols=offered, **given)


def sync(group: str, member: Any, generation: int, assignment: bytes | None = None, **options: Any) -> SyncGroupRequest:
    given = [] if assignment is None else [SyncGroupRequestAssignment(member, assignment)]
    return SyncGroupRequest(group_id=group, generation_id=generation, member_id=member, assignments=given, **options)


def joined(group: str, **options: Any) -> list[Step]:
    """One member, "member", in generation 1, without an assignment."""
    return [coordinator(group), Step(join(group, **options), 3, keep={"member": "member_id"})]


def stable(group: str, **options: Any) -> list[Step]:
    """One member, "member", in generation 1, with an assignment."""
    return [*joined(group, **options), Step(sync(group, kept("member"), 1, b"assigned"), 3)]


# JoinGroup


@about(11, "the first member")
@rule(72, 77)
def first_member(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    member: Any = ""
    if version >= 4:
        yield Step(join(own("group")), version, keep={"member": "member_id"})
        member = kept("member")
    yield Step(join(own("group"), member, protocols=("range", "sticky")), version, keep={"member": "member_id"})
    yield Step(join(own("group"), kept("member"), protocols=("range", "sticky")), version)
    yield Step(sync(own("group"), kept("member"), 2, b"assigned"), min(version, 3))
    yield Step(join(own("group"), kept("member"), protocols=("sticky",)), version)


@about(11, "what is refused")
@rule(74, 75, 78)
def refused(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    yield Step(join(""), version)
    yield Step(join(own("group"), session_timeout_ms=1), version)
    yield Step(join(own("group"), session_timeout_ms=3_600_000), version)
    yield Step(join(own("group"), "nobody"), version)
    yield Step(join(own("group"), protocols=()), version)
    yield Step(join(own("group"), protocol_type=""), version)
    yield Step(join(own("group")), min(version, 3), keep={"member": "member_id"})
    yield Step(join(own("group"), protocols=("sticky",)), version)
    yield Step(join(own("group"), protocol_type="connect"), version)
    yield Step(join(own("group"), "nobody"), version)


@about(11, "a second member")
@rule(79, 80, 77)
def second_member(version: int, own: Own) -> Steps:
    yield from stable(own("group"))
    member: Any = ""
    if version >= 4:
        yield Step(join(own("group")), version, on="b", keep={"second": "member_id"})
        member = kept("second")
    yield Step(join(own("group"), member, protocols=("sticky", "range")), version, on="b", answer="later")
    beat = HeartbeatRequest(group_id=own("group"), member_id=kept("member"), generation_id=1)
    yield Step(beat, 3, until=lambda answer: answer.error_code == REBALANCE_IN_PROGRESS)
    yield Step(join(own("group"), kept("member"), data=b"other"), version)
    yield Heard("b", keep={"second": "member_id"})
    yield Step(sync(own("group"), kept("second"), 2), 3, on="b", answer="later")
    yield Step(sync(own("group"), kept("member"), 2, b"mine"), 3)
    yield Heard("b")


@about(11, "a static member", since=5)
@rule(83)
def static_member(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    static: dict[str, Any] = {"group_instance_id": own("instance")}
    yield Step(join(own("group"), **static), version, keep={"member": "member_id"})
    yield Step(sync(own("group"), kept("member"), 1, b"assigned", **static), 3)
    yield Step(join(own("group"), **static), version, keep={"new": "member_id"})
    yield Step(sync(own("group"), kept("new"), 1, **static), 3)
    yield Step(join(own("group"), kept("member"), **static), version)
    yield Step(join(own("group"), "nobody", group_instance_id=own("other")), version)
    yield Step(HeartbeatRequest(own("group"), 1, kept("member"), own("instance")), 3)


# Heartbeat


@about(12, "a member lives")
@rule(80)
def heartbeats(version: int, own: Own) -> Steps:
    def beat(member: Any, generation: int, group: str = own("group")) -> Step:
        return Step(HeartbeatRequest(group_id=group, member_id=member, generation_id=generation), version)

    yield from joined(own("group"))
    yield beat(kept("member"), 1)
    yield Step(sync(own("group"), kept("member"), 1, b"assigned"), 3)
    yield beat(kept("member"), 1)
    yield beat(kept("member"), 0)
    yield beat(kept("member"), 2)
    yield beat("nobody", 1)
    yield beat("", 1)
    yield beat(kept("member"), 1, own("absent"))
    yield beat(kept("member"), 1, "")


@about(12, "a static member lives", since=3)
@rule(83)
def static_heartbeats(version: int, own: Own) -> Steps:
    yield from joined(own("group"))
    yield Step(HeartbeatRequest(own("group"), 1, kept("member"), own("unknown")), version)
    yield coordinator(own("static"))
    yield Step(join(own("static"), group_instance_id=own("one")), 5, keep={"static": "member_id"})
    yield Step(HeartbeatRequest(own("static"), 1, kept("static"), own("one")), version)
    yield Step(HeartbeatRequest(own("static"), 1, "somebody else", own("one")), version)
    yield Step(HeartbeatRequest(own("static"), 5, kept("static"), own("one")), version)


# LeaveGroup


def leave(version: int, group: str, *members: Any) -> LeaveGroupRequest:
    if version < 3:
        return LeaveGroupRequest(group_id=group, member_id=members[0])
    return LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=member) for member in members])


@about(13, "a member leaves")
def leaves(version: int, own: Own) -> Steps:
    yield from stable(own("group"))
    yield Step(leave(version, own("group"), "nobody"), version)
    yield Step(leave(version, own("absent"), "nobody"), version)
    yield Step(leave(version, "", "nobody"), version)
    yield Step(leave(version, own("group"), kept("member")), version)
    yield Step(leave(version, own("group"), kept("member")), version)


@about(13, "several leave", since=3)
@rule(83)
def several_leave(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    yield Step(join(own("group"), group_instance_id=own("one")), 5, keep={"member": "member_id"})

    def asked(*members: MemberIdentity) -> Step:
        return Step(LeaveGroupRequest(group_id=own("group"), members=list(members)), version)

    yield asked()
    yield asked(MemberIdentity(member_id="nobody"), MemberIdentity(member_id="", group_instance_id=own("other")))
    yield asked(MemberIdentity(member_id="somebody", group_instance_id=own("one")))
    yield asked(MemberIdentity(member_id="", group_instance_id=own("one"), reason="enough"))
    yield asked(MemberIdentity(member_id="", group_instance_id=own("one")))


# SyncGroup


@about(14, "an assignment")
@rule(79)
def assignments(version: int, own: Own) -> Steps:
    yield from joined(own("group"))

    def asked(member: Any, generation: int, data: bytes | None = None, group: str = own("group"), **options: Any) -> Step:
        names: dict[str, Any] = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
        return Step(sync(group, member, generation, data, **(names | options)), version)

    yield asked(kept("member"), 0)
    yield asked(kept("member"), 2)
    yield asked("nobody", 1)
    yield asked(kept("member"), 1, group=own("absent"))
    yield asked(kept("member"), 1, group="")
    if version >= 5:
        yield asked(kept("member"), 1, b"x", protocol_type="connect")
        yield asked(kept("member"), 1, b"x", protocol_name="sticky")
        yield asked(kept("member"), 1, b"x", protocol_type=None, protocol_name=None)
    yield asked(kept("member"), 1, b"assigned")
    yield asked(kept("member"), 1, b"something else")
    yield asked(kept("member"), 1)
    if version >= 3:
        yield asked(kept("member"), 1, group_instance_id=own("unknown"))


@about(14, "none for me")
@rule(79)
def no_assignment(version: int, own: Own) -> Steps:
    yield from joined(own("group"))
    names: dict[str, Any] = {"protocol_type": "consumer", "protocol_name": "range"} if version >= 5 else {}
    yield Step(sync(own("group"), kept("member"), 1, **names), version)


# DescribeGroups, ListGroups, DeleteGroups


@about(15, "groups in every state")
@rule(89)
def described(version: int, own: Own) -> Steps:
    yield from stable(own("stable"))
    yield Step(DescribeGroupsRequest(groups=[own("stable")]), version, until=lambda answer: answer.groups[0].group_state == "Stable")
    yield from joined(own("rebalancing"))
    yield Step(DescribeGroupsRequest(groups=[own("rebalancing"), own("absent")]), version)
    yield from stable(own("empty"))
    yield Step(leave(3, own("empty"), kept("member")), 3)
    yield Step(DescribeGroupsRequest(groups=[own("empty")]), version, until=lambda answer: answer.groups[0].group_state == "Empty")
    yield Step(DescribeGroupsRequest(groups=[own("empty"), own("empty")]), version)
    yield Step(DescribeGroupsRequest(groups=[]), version)
    if version >= 3:
        yield Step(DescribeGroupsRequest(groups=[own("empty"), own("absent")], include_authorized_operations=True), version)


@about(15, "a static member", since=4)
def described_static(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    yield Step(join(own("group"), group_instance_id=own("one")), 5, keep={"member": "member_id"})
    yield Step(sync(own("group"), kept("member"), 1, b"assigned"), 3)
    yield Step(DescribeGroupsRequest(groups=[own("group")]), version, until=lambda answer: answer.groups[0].group_state == "Stable")


def names_of(answer: Any) -> set[str]:
    return {each.group_id for each in answer.groups}


@about(16, "every group")
@rule(89)
def listed(version: int, own: Own) -> Steps:
    yield from stable(own("stable"))
    yield from joined(own("rebalancing"))
    yield from stable(own("empty"))
    yield Step(leave(3, own("empty"), kept("member")), 3)
    everyone = {own("stable"), own("rebalancing"), own("empty")}
    described = DescribeGroupsRequest(groups=[own("stable"), own("empty")])
    settled = [["Stable", "Empty"]]
    yield Step(described, 4, until=lambda answer: [each.group_state for each in answer.groups] in settled)
    yield Step(ListGroupsRequest(), version, until=lambda answer: names_of(answer) >= everyone, everything=True)
    if version >= 4:
        for states in (["Stable"], ["Empty", "CompletingRebalance"], ["stable"], ["NoSuchState"], [""]):
            yield Step(ListGroupsRequest(states_filter=states), version, everything=True)
    if version >= 5:
        for types in (["classic"], ["consumer"], ["Classic"], ["nothing"], ["classic", "consumer"]):
            yield Step(ListGroupsRequest(types_filter=types), version, everything=True)
        yield Step(ListGroupsRequest(states_filter=["Stable"], types_filter=["classic"]), version, everything=True)


@about(42, "groups that may go, and others")
@rule(88)
def groups_deleted(version: int, own: Own) -> Steps:
    yield from stable(own("stable"))
    yield from stable(own("empty"))
    yield Step(leave(3, own("empty"), kept("member")), 3)
    yield Step(DeleteGroupsRequest([own("stable"), own("empty"), own("absent")]), version)
    yield Step(DeleteGroupsRequest([own("empty")]), version)
    yield Step(DeleteGroupsRequest([]), version)
    yield Step(DeleteGroupsRequest([own("absent"), own("absent")]), version)


# OffsetCommit, OffsetFetch, OffsetDelete


def commit(
    version: int,
    own: Own,
    *parts: tuple[int, int, str | None],
    member: Any = "",
    generation: int = -1,
    group: str = "group",
    **options: Any,
) -> OffsetCommitRequest:
    given = [OffsetCommitRequestPartition(index, offset, 3, text) for index, offset, text in parts]
    by_id = version >= 10
    name = (
        OffsetCommitRequestTopic(topic_id=kept("topic id"), partitions=given)
        if by_id
        else OffsetCommitRequestTopic(own("a"), partitions=given)
    )
    return OffsetCommitRequest(
        group_id=own(group) if group else "", generation_id_or_member_epoch=generation, member_id=member, topics=[name], **options
    )


def fetch(version: int, own: Own, *indexes: int, group: str = "group", every: bool = False, **options: Any) -> OffsetFetchRequest:
    if version < 8:
        topics = None if every else [OffsetFetchRequestTopic(own("a"), list(indexes))]
        return OffsetFetchRequest(group_id=own(group), topics=topics, **options)
    by_id = version >= 10
    asked = OffsetFetchRequestTopics(topic_id=kept("topic id"), partition_indexes=list(indexes)) if by_id else None
    asked = asked or OffsetFetchRequestTopics(name=own("a"), partition_indexes=list(indexes))
    return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=own(group), topics=None if every else [asked])], **options)


@about(8, "without a group")
@rule(84, 85)
def commit_alone(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield coordinator(own("group"))
    yield Step(commit(version, own, (0, 5, "five"), (1, 0, None)), version)
    yield Step(commit(version, own, (0, 7, ""), (9, 1, "")), version)
    yield Step(commit(version, own, (0, -1, "")), version)
    yield Step(commit(version, own, (0, 1, "x" * 4096), (1, 1, "x" * 4097)), version)
    yield Step(commit(version, own, (0, 1, ""), generation=0), version)
    yield Step(commit(version, own, (0, 1, ""), member="nobody"), version)
    yield Step(commit(version, own, (0, 1, ""), member="nobody", generation=3, group="absent"), version)
    yield Step(commit(version, own, (0, 1, ""), generation=3, group="absent"), version)
    yield Step(commit(version, own, (0, 1, ""), group=""), version)
    yield Step(OffsetCommitRequest(group_id=own("group")), version)
    yield Step(fetch(9, own, 0, 1), 9)


@about(8, "topics that are not there")
def commit_nowhere(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield coordinator(own("group"))
    part = [OffsetCommitRequestPartition(0, 1, -1, "")]
    absent = (
        OffsetCommitRequestTopic(topic_id=UNKNOWN_ID, partitions=part)
        if version >= 10
        else OffsetCommitRequestTopic(own("no"), partitions=part)
    )
    known = commit(version, own, (0, 1, "")).topics[0]
    yield Step(OffsetCommitRequest(group_id=own("group"), topics=[absent, known]), version)
    if version >= 10:
        yield Step(OffsetCommitRequest(group_id=own("group"), topics=[OffsetCommitRequestTopic(partitions=part)]), version)


@about(8, "as a member")
@rule(84)
def commit_member(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield from joined(own("group"))
    member = {"member": kept("member")}
    yield Step(commit(version, own, (0, 1, ""), generation=1, **member), version)
    yield Step(sync(own("group"), kept("member"), 1, b"assigned"), 3)
    yield Step(commit(version, own, (0, 1, ""), generation=1, **member), version)
    yield Step(commit(version, own, (0, 2, ""), generation=0, **member), version)
    yield Step(commit(version, own, (0, 2, ""), generation=2, **member), version)
    yield Step(commit(version, own, (0, 2, ""), generation=1, member="nobody"), version)
    yield Step(commit(version, own, (0, 2, "")), version)
    if version >= 7:
        yield Step(commit(version, own, (0, 2, ""), generation=1, group_instance_id=own("unknown"), **member), version)


@about(9, "what was committed")
@rule(86)
def fetched(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 3)
    yield coordinator(own("group"))
    yield Step(commit(6, own, (0, 5, "five"), (1, 0, None)), 6)
    yield Step(fetch(version, own, 0, 1, 2, 9), version)
    yield Step(fetch(version, own), version)
    if version >= 2:
        yield Step(fetch(version, own, every=True), version)
        yield Step(fetch(version, own, every=True, group="absent"), version)
    yield Step(fetch(version, own, 0, group="absent"), version)
    if version >= 7:
        yield Step(fetch(version, own, 0, 2, require_stable=True), version)


@about(9, "of several groups", since=8)
@rule(86)
def fetched_of_several(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield coordinator(own("group"))
    yield Step(commit(6, own, (0, 5, "five")), 6)
    one, other = fetch(version, own, 0).groups[0], fetch(version, own, 0, group="other").groups[0]
    yield Step(OffsetFetchRequest(groups=[one, other]), version)
    yield Step(OffsetFetchRequest(groups=[]), version)
    yield Step(OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="", topics=one.topics)]), version)


@about(9, "while a transaction holds them", since=7)
@rule(87)
def fetched_unstable(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield coordinator(own("group"))
    yield coordinator(own("id"), 1)
    yield Step(InitProducerIdRequest(own("id"), 60_000), 4, keep={"producer": "producer_id", "epoch": "producer_epoch"})
    yield Step(AddOffsetsToTxnRequest(own("id"), kept("producer"), kept("epoch"), own("group")), 3)
    pending = TxnOffsetCommitRequestTopic(own("a"), [TxnOffsetCommitRequestPartition(0, 5, -1, "")])
    who = {"producer_id": kept("producer"), "producer_epoch": kept("epoch")}
    yield Step(TxnOffsetCommitRequest(transactional_id=own("id"), group_id=own("group"), topics=[pending], **who), 3)
    yield Step(fetch(version, own, 0, 1, require_stable=True), version)
    yield Step(fetch(version, own, 0, 1), version)
    yield Step(EndTxnRequest(own("id"), kept("producer"), kept("epoch"), False), 3)


@about(9, "of topics that are not there")
@rule(86)
def fetched_nowhere(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield coordinator(own("group"))
    if version < 8:
        yield Step(OffsetFetchRequest(group_id=own("group"), topics=[OffsetFetchRequestTopic(own("no"), [0, 1])]), version)
        return
    asked = OffsetFetchRequestTopics(topic_id=UNKNOWN_ID, partition_indexes=[0, 1])
    if version < 10:
        asked = OffsetFetchRequestTopics(name=own("no"), partition_indexes=[0, 1])
    yield Step(OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=own("group"), topics=[asked])]), version)


@about(9, "as a member", since=9)
def fetched_member(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield from stable(own("group"))

    def asked(member: Any, epoch: int) -> Step:
        group = fetch(version, own, 0).groups[0]
        made = OffsetFetchRequestGroup(group_id=own("group"), member_id=member, member_epoch=epoch, topics=group.topics)
        return Step(OffsetFetchRequest(groups=[made]), version)

    yield asked(kept("member"), 1)
    yield asked(kept("member"), 5)
    yield asked("nobody", 1)


@about(47, "offsets that may go, and others")
@rule(88)
def offsets_deleted(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield coordinator(own("group"))
    yield Step(commit(6, own, (0, 5, "five"), (1, 6, None)), 6)

    def asked(group: str, name: str, *indexes: int) -> Step:
        parts = [OffsetDeleteRequestPartition(index) for index in indexes]
        return Step(OffsetDeleteRequest(group, [OffsetDeleteRequestTopic(name, parts)]), version)

    yield asked(own("group"), own("a"), 0, 9)
    yield asked(own("group"), own("a"), 0)
    yield asked(own("group"), own("no"), 0)
    yield asked(own("absent"), own("a"), 0)
    yield asked("", own("a"), 0)
    yield Step(fetch(9, own, 0, 1), 9)
    yield from stable(own("stable"))
    yield asked(own("stable"), own("a"), 0)
    yield Step(OffsetDeleteRequest(own("group")), version)
