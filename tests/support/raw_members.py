"""A topic and members of groups, of the new protocol (KIP-848) and the classic one, request by request, over whatever answers."""

from __future__ import annotations

import uuid
from typing import Any

from ev.coordinators.subscriptions import assignment_value, read_assignment
from ev.errors import ErrorCode
from ev.wire.codec import encode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription, TopicPartition
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from support.raw_transactions import Ask, until_settled
from support.waiting import wait_for

LEAVE, LEAVE_FOR_A_WHILE = -1, -2


class Topic:
    """A topic of three partitions, its id, and what a group has of it."""

    def __init__(self, ask: Ask, name: str = "", partitions: int = 3) -> None:
        self.ask = ask
        self.name = name or f"t-{uuid.uuid4().hex}"
        asked = CreatableTopic(name=self.name, num_partitions=partitions, replication_factor=1)
        assert ask(CreateTopicsRequest(topics=[asked], timeout_ms=10_000), 5).topics[0].error_code == 0
        wanted = MetadataRequest(topics=[MetadataRequestTopic(name=self.name)])

        def served() -> Any:
            (found,) = ask(wanted, 12).topics
            return found.error_code == 0 and len(found.partitions) == partitions and found

        self.id = bytes(wait_for(served, f"{self.name} to be served").topic_id)
        self.known(partitions)

    def known(self, partitions: int) -> None:
        """Wait until the coordinator knows it: in Kafka that is not the one who answers Metadata."""
        probe = Member(self.ask, group_name())
        probe.join(self)

        def assigned() -> bool:
            probe.settle()
            return len(probe.has.get(self.id, ())) == partitions

        wait_for(assigned, f"the coordinator to know {self.name}")
        assert probe.leave() == 0

    def grow(self, count: int) -> None:
        asked = CreatePartitionsTopic(name=self.name, count=count, assignments=None)
        assert self.ask(CreatePartitionsRequest(topics=[asked], timeout_ms=10_000), 3).results[0].error_code == 0


class Member:
    """A member, heartbeat by heartbeat. It reports to have what it was told to have, unless told otherwise."""

    def __init__(self, ask: Ask, group: str, *, instance: str | None = None, assignor: str | None = None) -> None:
        self.ask = ask
        self.group = group
        self.id = str(uuid.uuid4())
        self.instance = instance
        self.assignor = assignor
        self.epoch = 0
        self.has: dict[bytes, list[int]] = {}

    def beat(self, *topics: Topic, epoch: int | None = None, owned: dict[bytes, list[int]] | None = None, regex: str | None = None) -> Any:
        """One heartbeat; joins when the epoch is 0."""
        epoch = self.epoch if epoch is None else epoch
        joins = epoch == 0
        reported = {} if joins else owned
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.id,
            member_epoch=epoch,
            instance_id=self.instance,
            rebalance_timeout_ms=60_000 if joins else -1,
            subscribed_topic_names=[each.name for each in topics] if topics else None,
            subscribed_topic_regex=regex,
            server_assignor=self.assignor if joins else None,
            topic_partitions=None if reported is None else [TopicPartitions(key, part) for key, part in reported.items()],
        )
        answer = until_settled(lambda: self.ask(request, 1), lambda answer: answer.error_code)
        if answer.error_code == 0:
            self.epoch = answer.member_epoch
            if answer.assignment is not None:
                self.has = {bytes(part.topic_id): sorted(part.partitions) for part in answer.assignment.topic_partitions}
        return answer

    def join(self, *topics: Topic, regex: str | None = None) -> Any:
        answer = self.beat(*topics, epoch=0, regex=regex)
        assert answer.error_code == 0, (answer.error_code, answer.error_message)
        return answer

    def settle(self) -> None:
        """A heartbeat that says what it has."""
        assert self.beat(owned=self.has).error_code == 0

    def leave(self, epoch: int = LEAVE) -> int:
        return int(self.beat(epoch=epoch).error_code)


class ClassicMember:
    """A consumer of the classic protocol. It says in its subscription what it has."""

    def __init__(
        self,
        ask: Ask,
        group: str,
        topic: Topic,
        *,
        instance: str | None = None,
        assignor: str = "cooperative-sticky",
        notes: bytes = b"",
        session_timeout_ms: int = 10_000,
    ) -> None:
        self.ask = ask
        self.group = group
        self.topic = topic
        self.instance = instance
        self.assignor = assignor
        self.notes = notes  # the assignor's own, in what it hands out
        self.session_timeout_ms = session_timeout_ms
        self.id = ""
        self.generation = -1
        self.leader = ""
        self.has: list[int] = []

    def join(self) -> int:
        """An error code."""
        owned = [TopicPartition(self.topic.name, self.has)] if self.has else []
        metadata = b"\0\1" + encode(ConsumerProtocolSubscription([self.topic.name], owned_partitions=owned), 1)
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=10_000,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name=self.assignor, metadata=metadata)],
        )
        answer = until_settled(lambda: self.ask(request, 9), lambda answer: answer.error_code)
        if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.id = answer.member_id
            return self.join()
        if answer.error_code == 0:
            self.id, self.generation, self.leader = answer.member_id, answer.generation_id, answer.leader
        return int(answer.error_code)

    def sync(self, **given: list[int]) -> int:
        """An error code. `given`: as a leader, what this member itself is to have, as `mine`."""
        assignments = []
        if given:
            value = assignment_value({self.topic.name: given["mine"]}, b"\0\1")
            value = value[:-4] + len(self.notes).to_bytes(4, "big") + self.notes if self.notes else value
            assignments = [SyncGroupRequestAssignment(self.id, value)]
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocol_name=self.assignor,
            assignments=assignments,
        )
        answer = self.ask(request, 5)
        if answer.error_code == 0:
            read = read_assignment(bytes(answer.assignment))
            assert read is not None
            self.has = [index for part in read.assigned_partitions for index in part.partitions]
        return int(answer.error_code)

    def beat(self, generation: int | None = None) -> int:
        generation = self.generation if generation is None else generation
        request = HeartbeatRequest(group_id=self.group, generation_id=generation, member_id=self.id, group_instance_id=self.instance)
        return int(self.ask(request, 4).error_code)

    def leave(self) -> int:
        identity = MemberIdentity(member_id=self.id, group_instance_id=self.instance)
        return int(self.ask(LeaveGroupRequest(group_id=self.group, members=[identity]), 5).members[0].error_code)


def settled(*members: Member) -> dict[int, int]:
    """Let all report until nobody is told anything new; how many partitions each has."""
    for _ in range(6):
        for member in members:
            member.settle()
    return {number: sum(map(len, member.has.values())) for number, member in enumerate(members)}


def group_name() -> str:
    return f"g-{uuid.uuid4().hex}"


def described(ask: Ask, group: str) -> Any:
    """As its coordinator says it, which on Kafka may have to load it first."""
    return until_settled(lambda: ask(ConsumerGroupDescribeRequest([group]), 1).groups[0], lambda found: found.error_code)


def commit(
    ask: Ask, group: str, topic: Topic, offset: int, *, member: tuple[str, int] = ("", -1), version: int = 9, partition: int = 0
) -> int:
    place = OffsetCommitRequestPartition(partition_index=partition, committed_offset=offset, committed_metadata="")
    request = OffsetCommitRequest(
        group_id=group,
        member_id=member[0],
        generation_id_or_member_epoch=member[1],
        topics=[OffsetCommitRequestTopic(name=topic.name, partitions=[place])],
    )
    answer = ask(request, version)
    return int(answer.topics[0].partitions[0].error_code)


def fetch(ask: Ask, group: str, topic: Topic, *, member: tuple[str | None, int] = (None, -1)) -> tuple[int, int]:
    """(offset, error code)."""
    wanted = OffsetFetchRequestTopics(name=topic.name, partition_indexes=[0])
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, member_id=member[0], member_epoch=member[1], topics=[wanted])]
    )
    (found,) = ask(request, 9).groups
    if found.error_code:
        return -1, found.error_code
    return found.topics[0].partitions[0].committed_offset, 0
