"""Rows about consumer groups: how soon a large group is settled, and what many small ones that commit cost the broker.

The members are sockets and no clients, so that two cores are the broker's: each sends what a consumer sends, and reports twice a
second until it has its part. They come one after the other, as processes do, within the time between two reports.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench.figure import Figure, in_turn
from bench.peers import Peer, cpu_seconds, create_topic, delete_topic
from ev.coordinators.subscriptions import assignment_value, read_assignment
from ev.errors import ErrorCode
from ev.wire.codec import encode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from support.raw_client import RawClient
from support.waiting import wait_for

MEMBERS = 50
PARTITIONS = 100
SMALL_GROUPS = 200
REPORT_S = 0.5
"""How often members report; ten times as often as they would."""
TIMES = 3
"""How often a group is settled for one sample: chance decides who reports before whom."""
SETTLED_WITHIN_S = 60
numbers = itertools.count()


def groups(ev: Peer, kafka: Peer | None, rounds: int, seconds: float) -> Iterator[Figure]:
    """Both brokers under the same members."""
    peers = [ev] + ([kafka] if kafka else [])
    kinds: dict[str, type[Member]] = {"classic members": ClassicMember, "members of the new protocol": ModernMember}
    settles = {
        name: Figure(f"a group of {MEMBERS} {name} is settled, against Kafka", "s", 1.0, 0.9, at_least=False, peer="kafka")
        for name in kinds
    }
    costs = {
        name: Figure(f"processor time of the broker until then, {name}, against Kafka", "CPU s", 1.0, 0.5, at_least=False, peer="kafka")
        for name in kinds
    }
    commits = Figure(
        f"{SMALL_GROUPS} groups of one member that commits once a second, processor time of the broker, against Kafka",
        "CPU s/s",
        1.0,
        0.5,
        at_least=False,
        peer="kafka",
    )
    topics = {peer.name: f"groups-{next(numbers)}" for peer in peers}
    for peer in peers:
        create_topic(peer, topics[peer.name], PARTITIONS)
        wait_for_coordinators(peer)

    def settle(peer: Peer) -> None:
        for name, kind in kinds.items():
            used = cpu_seconds(peer.pid)
            times = [settled_after(kind, peer, f"settles-{next(numbers)}", topics[peer.name]) for _ in range(TIMES)]
            settles[name].add(peer.name, statistics.median(times))
            costs[name].add(peer.name, (cpu_seconds(peer.pid) - used) / TIMES)

    def commit(peer: Peer) -> None:
        commits.add(peer.name, cpu_of_commits(peer, topics[peer.name], seconds))

    for _ in range(3):  # until the code of Kafka is compiled
        for peer in peers:
            settle(peer)
            commit(peer)
    everything = [*settles.values(), *costs.values(), commits]
    for figure in everything:
        figure.samples.clear()
    in_turn(rounds, *[lambda peer=peer: settle(peer) for peer in peers])
    in_turn(rounds, *[lambda peer=peer: commit(peer) for peer in peers])
    for peer in peers:
        delete_topic(peer, topics[peer.name])
    yield from everything


def wait_for_coordinators(peer: Peer) -> None:
    """Kafka makes their topics when they are first asked for, and says meanwhile that they are not there."""
    with RawClient(peer.address) as client:
        client.ask(10, 4, FindCoordinatorRequest(coordinator_keys=["first"]))
        for number in range(64):
            absent = HeartbeatRequest(group_id=f"group-{number}", member_id="nobody", generation_id=1)
            wait_for(partial(knows_nobody, client, absent), "the coordinator", 60)


def knows_nobody(client: RawClient, absent: HeartbeatRequest) -> bool:
    code: int = client.ask(12, 4, absent).error_code
    return code == ErrorCode.UNKNOWN_MEMBER_ID


class Member:
    """One member on a connection of its own; `hear` is given its answers, and `report` is called when it has to say something."""

    def __init__(self, peer: Peer, group: str, topic: str) -> None:
        self.peer, self.group, self.topic = peer, group, topic
        self.client = RawClient(peer.address)
        self.asked: tuple[int, int] = (0, 0)
        self.generation = -1
        self.id = ""
        self.has = 0
        self.report_at: float | None = 0.0

    def send(self, key: int, version: int, request: Any) -> None:
        self.asked = (key, version)
        self.report_at = None
        self.client.send(self.client.frame(key, version, request))

    def receive(self) -> None:
        self.hear(self.client.answer(*self.asked))

    def later(self) -> None:
        self.report_at = time.perf_counter() + REPORT_S

    def report(self) -> None:
        raise NotImplementedError

    def hear(self, answer: Any) -> None:
        raise NotImplementedError


class ClassicMember(Member):
    """Joins, gives out the partitions if it leads, and joins again whenever it is told to."""

    def report(self) -> None:
        if self.generation < 0:
            self.join()
        else:
            self.send(12, 4, HeartbeatRequest(group_id=self.group, generation_id=self.generation, member_id=self.id))

    def join(self) -> None:
        self.generation, self.has = -1, 0
        metadata = bytes(2) + encode(ConsumerProtocolSubscription([self.topic]), 0)
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=30_000,
            member_id=self.id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=metadata)],
        )
        self.send(11, 9, request)

    def hear(self, answer: Any) -> None:
        key, _ = self.asked
        if key == 11:
            self.id = answer.member_id or self.id
        if answer.error_code in (ErrorCode.MEMBER_ID_REQUIRED, ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
            self.join()
        elif answer.error_code:
            raise RuntimeError(f"{self.peer.name} answers a member with error {answer.error_code}")
        elif key == 11:
            self.generation = answer.generation_id
            self.sync([member.member_id for member in answer.members])
        elif key == 14:
            read = read_assignment(bytes(answer.assignment))
            self.has = sum(len(part.partitions) for part in read.assigned_partitions) if read is not None else 0
            self.later()
        else:
            self.later()

    def sync(self, members: list[str]) -> None:
        given = [
            SyncGroupRequestAssignment(member_id, assignment_value({self.topic: range(PARTITIONS)[number :: len(members)]}, bytes(2)))
            for number, member_id in enumerate(members)
        ]
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=given,
        )
        self.send(14, 5, request)


class ModernMember(Member):
    """Reports, and lets go at once of what it is told to give up."""

    def __init__(self, peer: Peer, group: str, topic: str) -> None:
        super().__init__(peer, group, topic)
        self.id = str(uuid.uuid4())
        self.parts: list[TopicPartitions] = []
        self.says = False

    def report(self) -> None:
        joins = self.generation < 0
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.id,
            member_epoch=0 if joins else self.generation,
            rebalance_timeout_ms=30_000 if joins else -1,
            subscribed_topic_names=[self.topic] if joins else None,
            topic_partitions=[] if joins else self.parts if self.says else None,
        )
        self.says = False
        self.send(68, 1, request)

    def hear(self, answer: Any) -> None:
        if answer.error_code:
            raise RuntimeError(f"{self.peer.name} answers a member with error {answer.error_code}: {answer.error_message}")
        self.generation = answer.member_epoch
        self.later()
        if answer.assignment is not None:
            gives_up = self.has > sum(len(part.partitions) for part in answer.assignment.topic_partitions)
            self.parts = answer.assignment.topic_partitions
            self.has = sum(len(part.partitions) for part in self.parts)
            self.says = True
            if gives_up:
                self.report_at = 0.0


def settled_after(kind: type[Member], peer: Peer, group: str, topic: str) -> float:
    """Seconds until all members of a new group have the same number of partitions, in one generation."""
    members = [kind(peer, group, topic) for _ in range(MEMBERS)]
    for number, member in enumerate(members):
        member.report_at = time.perf_counter() + REPORT_S * number / MEMBERS

    def settled() -> bool:
        return all(member.has == PARTITIONS // MEMBERS for member in members) and len({member.generation for member in members}) == 1

    try:
        return drive(members, settled)
    finally:
        for member in members:
            member.client.close()


def drive(members: Sequence[Member], done: Callable[[], bool]) -> float:
    """Let them talk until it is so; the seconds that it took."""
    with selectors.DefaultSelector() as selector:
        for member in members:
            selector.register(member.client.socket, selectors.EVENT_READ, member)
        began = now = time.perf_counter()
        while not done():
            if now - began > SETTLED_WITHIN_S:
                raise RuntimeError(f"{members[0].group} is not settled after {SETTLED_WITHIN_S} s")
            due = [member for member in members if member.report_at is not None and member.report_at <= now]
            for member in due:
                member.report()
            soonest = min((member.report_at for member in members if member.report_at is not None), default=now + 1)
            for key, _ in selector.select(max(soonest - time.perf_counter(), 0)):
                key.data.receive()
            now = time.perf_counter()
        return now - began


def cpu_of_commits(peer: Peer, topic: str, seconds: float) -> float:
    """Processor time of the broker in each second of it."""
    prefix = f"small-{next(numbers)}"
    members = [ClassicMember(peer, f"{prefix}-{number}", topic) for number in range(SMALL_GROUPS)]
    with contextlib.ExitStack() as stack:
        for member in members:
            stack.callback(member.client.close)
        drive(members, lambda: all(member.has == PARTITIONS for member in members))
        for member in members:
            if member.report_at is None:
                member.receive()  # what it has asked last
        return committing(peer, members, seconds)


def committing(peer: Peer, members: list[ClassicMember], seconds: float) -> float:
    """Each commits once a second, evenly spread, and waits for the answer before its next one."""
    began = time.perf_counter()
    due = [(began + number / len(members), number) for number in range(len(members))]
    heapq.heapify(due)
    waiting = 0
    with selectors.DefaultSelector() as selector:
        for member in members:
            selector.register(member.client.socket, selectors.EVENT_READ, member)
        frames = [commit_frame(member) for member in members]
        used = cpu_seconds(peer.pid)
        while (now := time.perf_counter()) < began + seconds:
            while due[0][0] <= now:
                at, number = heapq.heappop(due)
                members[number].asked = (8, 9)
                members[number].client.send(frames[number])
                waiting += 1
                heapq.heappush(due, (at + 1, number))
            for key, _ in selector.select(max(due[0][0] - now, 0)):
                answer = key.data.client.answer(8, 9)
                waiting -= 1
                if answer.topics[0].partitions[0].error_code:
                    raise RuntimeError(f"{peer.name} refuses a commit with error {answer.topics[0].partitions[0].error_code}")
        took = time.perf_counter() - began
        used = cpu_seconds(peer.pid) - used
        if waiting > len(members) // 2:
            raise RuntimeError(f"{peer.name} does not keep up: {waiting} commits are not answered")
        return used / took


def commit_frame(member: ClassicMember) -> bytes:
    place = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
    request = OffsetCommitRequest(
        group_id=member.group,
        member_id=member.id,
        generation_id_or_member_epoch=member.generation,
        topics=[OffsetCommitRequestTopic(name=member.topic, partitions=[place])],
    )
    return member.client.frame(8, 9, request)
