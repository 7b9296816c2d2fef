"""Groups of the consumer protocol (KIP-848)."""

from __future__ import annotations

from typing import Any

from differential.conversation import Own, Step, Steps, about, kept
from differential.table.given import coordinator, topic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from support.rules import rule

MEMBER = "AAAAAAAAAAAAAAAAAAAAAQ"
OTHER = "AAAAAAAAAAAAAAAAAAAAAg"


def beat(group: str, epoch: Any, member: str = MEMBER, **options: Any) -> ConsumerGroupHeartbeatRequest:
    return ConsumerGroupHeartbeatRequest(group_id=group, member_id=member, member_epoch=epoch, **options)


def joining(group: str, *topics: str, member: str = MEMBER, **options: Any) -> ConsumerGroupHeartbeatRequest:
    given = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": list(topics), "topic_partitions": [], **options}
    return beat(group, 0, member, **given)


def known(own: Own, partitions: int = 1) -> list[Step]:
    """A topic "a" that the coordinator knows, which in Kafka is a moment after the brokers do."""
    has_it = Step(
        joining(own("probe"), own("a"), member=OTHER), 1, until=lambda answer: answer.assignment and answer.assignment.topic_partitions
    )
    return [*topic(own("a"), partitions), coordinator(own("probe")), has_it, coordinator(own("group"))]


def joined(own: Own, partitions: int = 2) -> list[Step]:
    """A topic "a" and a group with one member that has all of it."""
    return [
        *known(own, partitions),
        Step(joining(own("group"), own("a")), 1, keep={"epoch": "member_epoch"}),
    ]


@about(68, "one member")
def one_member(version: int, own: Own) -> Steps:
    yield from known(own, 2)
    yield Step(joining(own("group"), own("a")), version, keep={"epoch": "member_epoch"})
    yield Step(beat(own("group"), kept("epoch")), version)
    have = [TopicPartitions(kept("topic id"), [0, 1])]
    yield Step(beat(own("group"), kept("epoch"), topic_partitions=have), version)
    yield Step(
        beat(own("group"), kept("epoch"), rebalance_timeout_ms=60_000, subscribed_topic_names=[own("a")], topic_partitions=have), version
    )
    yield Step(beat(own("group"), kept("epoch"), subscribed_topic_names=[]), version, keep={"epoch": "member_epoch"})
    yield Step(beat(own("group"), kept("epoch", 1)), version)
    yield Step(beat(own("group"), -1), version)
    yield Step(beat(own("group"), kept("epoch")), version)


@about(68, "what is refused")
def refused(version: int, own: Own) -> Steps:
    yield from known(own)
    group, name = own("group"), own("a")
    yield Step(joining("", name), version)
    yield Step(joining(group, name, rebalance_timeout_ms=-1), version)
    yield Step(joining(group, name, topic_partitions=None), version)
    yield Step(joining(group, name, topic_partitions=[TopicPartitions(kept("topic id"), [0])]), version)
    yield Step(joining(group, name, subscribed_topic_names=None), version)
    yield Step(joining(group, name, server_assignor="no such"), version)
    yield Step(joining(group, name, server_assignor=""), version)
    yield Step(joining(group, name, instance_id=""), version)
    yield Step(joining(group, name, rack_id=""), version)
    if version >= 1:
        yield Step(joining(group, name, member=""), version)
        yield Step(joining(group, member=MEMBER, subscribed_topic_names=None, subscribed_topic_regex="("), version)
    yield Step(beat(group, 1), version)
    yield Step(beat(group, 1, ""), version)
    yield Step(beat(group, -1), version)
    yield Step(beat(group, -2), version)
    yield Step(beat(group, -3), version)


@about(68, "a second member")
def second(version: int, own: Own) -> Steps:
    yield from joined(own, 4)
    yield Step(joining(own("group"), own("a"), member=OTHER, server_assignor="range"), version, keep={"second": "member_epoch"})
    yield Step(beat(own("group"), kept("epoch"), topic_partitions=[TopicPartitions(kept("topic id"), [0, 1, 2, 3])]), version)
    yield Step(beat(own("group"), kept("second"), OTHER), version)
    yield Step(
        beat(own("group"), kept("epoch"), topic_partitions=[TopicPartitions(kept("topic id"), [0, 1])]),
        version,
        keep={"epoch": "member_epoch"},
    )
    yield Step(beat(own("group"), kept("second"), OTHER), version)
    yield Step(beat(own("group"), -1), version)
    yield Step(beat(own("group"), kept("second"), OTHER), version)


@about(68, "a static member")
def static(version: int, own: Own) -> Steps:
    yield from known(own)
    one = {"instance_id": own("one")}
    yield Step(joining(own("group"), own("a"), **one), version, keep={"epoch": "member_epoch"})
    yield Step(joining(own("group"), own("a"), member=OTHER, **one), version)
    yield Step(beat(own("group"), -2, **one), version)
    yield Step(joining(own("group"), own("a"), member=OTHER, **one), version, keep={"epoch": "member_epoch"})
    yield Step(beat(own("group"), kept("epoch"), MEMBER, **one), version)
    yield Step(beat(own("group"), kept("epoch"), OTHER, **one), version)
    yield Step(beat(own("group"), kept("epoch"), OTHER, instance_id=own("unknown")), version)
    yield Step(beat(own("group"), -1, OTHER, **one), version)


@about(68, "topics that are not there yet")
def later(version: int, own: Own) -> Steps:
    yield coordinator(own("group"))
    yield Step(joining(own("group"), own("a")), version, keep={"epoch": "member_epoch"})
    yield Step(beat(own("group"), kept("epoch")), version)


@about(69, "groups in every state")
def described(version: int, own: Own) -> Steps:
    def asked(*groups: str, state: str = "", **options: Any) -> Step:
        request = ConsumerGroupDescribeRequest(group_ids=list(groups), **options)
        return Step(request, version, until=(lambda answer: answer.groups[0].group_state == state) if state else None)

    yield from joined(own)
    yield asked(own("group"), state="Stable")
    yield Step(beat(own("group"), kept("epoch"), topic_partitions=[TopicPartitions(kept("topic id"), [0, 1])]), 1)
    yield asked(own("group"), own("absent"))
    yield asked(own("group"), include_authorized_operations=True)
    yield Step(beat(own("group"), -1), 1)
    yield asked(own("group"), state="Empty")
    yield asked(own("group"), own("group"))
    yield asked()
    offered = [JoinGroupRequestProtocol("range", b"")]
    yield coordinator(own("classic"))
    classic = JoinGroupRequest(own("classic"), 30_000, 60_000, "", None, "consumer", offered)
    yield Step(classic, 3, keep={"classic": "member_id"})
    yield asked(own("classic"))


@about(68, "seen by the other requests")
@rule(84)
def seen(version: int, own: Own) -> Steps:
    yield from joined(own)
    is_stable = ConsumerGroupDescribeRequest(group_ids=[own("group")])
    yield Step(is_stable, 1, until=lambda answer: answer.groups[0].group_state == "Stable")
    yield Step(ListGroupsRequest(types_filter=["consumer"]), 5, everything=True)
    for old in (5, 6):
        yield Step(DescribeGroupsRequest(groups=[own("group")]), old)
    yield Step(DeleteGroupsRequest([own("group")]), 2)
    yield Step(HeartbeatRequest(own("group"), 1, MEMBER), 4)
    offered = [JoinGroupRequestProtocol("range", b"")]
    yield Step(JoinGroupRequest(own("group"), 30_000, 60_000, "", None, "connect", offered), 3)

    def commit(epoch: Any, member: str, commit_version: int) -> Step:
        parts = [OffsetCommitRequestPartition(0, 5, -1, "")]
        return Step(
            OffsetCommitRequest(own("group"), epoch, member, topics=[OffsetCommitRequestTopic(own("a"), partitions=parts)]), commit_version
        )

    for commit_version in (8, 9):
        yield commit(kept("epoch"), MEMBER, commit_version)
        yield commit(kept("epoch", 1), MEMBER, commit_version)
        yield commit(kept("epoch", -1), MEMBER, commit_version)
        yield commit(kept("epoch"), OTHER, commit_version)
        yield commit(-1, "", commit_version)

    def fetch(epoch: Any, member: str) -> Step:
        topics = [OffsetFetchRequestTopics(own("a"), partition_indexes=[0])]
        return Step(OffsetFetchRequest(groups=[OffsetFetchRequestGroup(own("group"), member, epoch, topics)]), 9)

    yield fetch(kept("epoch"), MEMBER)
    yield fetch(kept("epoch", 1), MEMBER)
    yield fetch(kept("epoch"), OTHER)
    yield fetch(-1, "")
