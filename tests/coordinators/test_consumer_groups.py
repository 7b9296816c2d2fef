"""Groups of the new protocol under random members: no partition ever has two owners, and in the end everything is given out."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from ev.coordinators.decision import Caller, Decision, Now
from ev.coordinators.group_config import GroupConfigs
from ev.coordinators.groups import Groups
from ev.errors import ErrorCode
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from support.conversation import TopicTable

GROUP = "g"
SESSION_MS, REBALANCE_MS = 45_000, 20_000
Holding = set[tuple[bytes, int]]


class Coordinator:
    """The groups, their log, and time; `restart` knows nothing but the log."""

    def __init__(self) -> None:
        self.settings = Settings.from_mapping({})
        self.topics = TopicTable()
        self.now_ms = 1_000_000
        self.log: list[tuple[bytes, bytes | None]] = []
        self.groups = Groups(self.settings, SeededRandomness(1), self.topics, GroupConfigs(self.settings))

    @property
    def now(self) -> Now:
        return Now(self.now_ms, self.now_ms)

    def carry_out(self, decision: Decision) -> Any:
        for record in decision.records:
            self.log.append((record.key, record.value))
            self.groups.replay(record.key, record.value, self.now)
        return decision.replies[0].message if decision.replies else None

    def beat(self, request: ConsumerGroupHeartbeatRequest) -> Any:
        caller = Caller(None, 1, "client", "/host", lambda code: code)
        return self.carry_out(self.groups.consumer_heartbeat(request, caller, self.now))

    def pass_time(self, delay_ms: int) -> None:
        self.now_ms += delay_ms
        while (decision := self.groups.pass_time(self.now)) is not None:
            self.carry_out(decision)

    def restart(self) -> None:
        self.groups = Groups(self.settings, SeededRandomness(2 + len(self.log)), self.topics, GroupConfigs(self.settings))
        newest = dict(self.log)
        for key, value in newest.items():
            if value is not None:
                self.groups.replay(key, value, self.now)
        self.carry_out(self.groups.loaded(self.now))

    def described(self) -> Any:
        caller = Caller(None, 1, "client", "/host", lambda code: code)
        return self.carry_out(self.groups.describe_consumer_groups(ConsumerGroupDescribeRequest([GROUP]), caller, self.now)).groups[0]


@dataclass
class Client:
    """A consumer: what it has been told to have, and has. It lets go at once, and says so with its next heartbeat."""

    coordinator: Coordinator
    id: str
    topics: list[str]
    epoch: int = 0
    has: Holding = field(default_factory=set)
    says: bool = False  # whether its next heartbeat reports what it has
    says_all: bool = False  # and everything else: it did not hear the last answer
    last_ms: int = 0

    def beat(self, *, answer_is_lost: bool = False, lets_go: bool = True) -> int:
        joins = self.epoch == 0
        parts: dict[bytes, list[int]] = {}
        for topic_id, index in sorted(self.has):
            parts.setdefault(topic_id, []).append(index)
        report = [] if joins else [TopicPartitions(topic_id, indexes) for topic_id, indexes in parts.items()] if self.says else None
        full = joins or self.says_all
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP,
            member_id=self.id,
            member_epoch=self.epoch,
            rebalance_timeout_ms=REBALANCE_MS if full else -1,
            subscribed_topic_names=self.topics if full else None,
            topic_partitions=report,
        )
        self.last_ms = self.coordinator.now_ms
        answer = self.coordinator.beat(request)
        if answer_is_lost:
            self.says = self.says_all = True
            return int(answer.error_code)
        if answer.error_code:
            self.epoch, self.has, self.says = 0, set(), False  # fenced: it lets go of all, and joins again
            return int(answer.error_code)
        self.epoch = answer.member_epoch
        self.says = self.says_all = False
        if answer.assignment is not None:
            told = {(bytes(part.topic_id), index) for part in answer.assignment.topic_partitions for index in part.partitions}
            if lets_go or told >= self.has:
                self.says = told != self.has
                self.has = told
        return 0

    def leave(self) -> None:
        self.coordinator.beat(ConsumerGroupHeartbeatRequest(group_id=GROUP, member_id=self.id, member_epoch=-1))
        self.epoch, self.has, self.says = 0, set(), False


def assert_disjoint(clients: list[Client], coordinator: Coordinator) -> None:
    owners: dict[tuple[bytes, int], str] = {}
    members = {member.member_id for member in coordinator.described().members}
    for client in clients:
        if client.id not in members:
            continue  # it was too late with something, and learns with its next heartbeat that it lost everything
        for place in client.has:
            assert place not in owners, f"{place} is read by {owners[place]} and {client.id}"
            owners[place] = client.id


@pytest.mark.parametrize("seed", range(60))
def test_no_partition_has_two_readers_and_all_are_read_in_the_end(seed: int) -> None:
    """Members come, go, fall silent and lose answers; topics grow and come and go; the coordinator restarts."""
    random = Random(seed)
    coordinator = Coordinator()
    coordinator.topics.create("a", 5)
    coordinator.topics.create("b", 3)
    clients = [Client(coordinator, f"m{number}", random.choice([["a"], ["b"], ["a", "b"]])) for number in range(5)]
    for _ in range(300):
        client = random.choice(clients)
        match random.choice(["beat"] * 14 + ["lose"] * 2 + ["leave", "time", "time", "long", "restart", "grow"]):
            case "beat":
                client.beat()
            case "lose":
                client.beat(answer_is_lost=True)
            case "leave":
                if client.epoch:
                    client.leave()
            case "time":
                coordinator.pass_time(random.randint(1, 3000))
            case "long":
                coordinator.pass_time(SESSION_MS // 2)
            case "restart":
                coordinator.restart()
            case "grow":
                if random.random() < 0.5:
                    coordinator.topics.create("a", min(coordinator.topics.partitions["a"] + 1, 12))
                elif "c" in coordinator.topics.partitions:
                    coordinator.topics.delete("c")
                else:
                    coordinator.topics.create("c", 2)
        for each in clients:
            if coordinator.now_ms - each.last_ms >= SESSION_MS:
                each.has, each.says, each.epoch = set(), False, 0
        assert_disjoint(clients, coordinator)
    for client in clients:
        client.beat()
    for _ in range(12):
        for client in clients:
            client.says = True
            client.beat()
            coordinator.pass_time(10)
            assert_disjoint(clients, coordinator)
    read = {place for client in clients for place in client.has}
    wanted = {name for client in clients for name in client.topics if name in coordinator.topics.partitions}
    assert len(read) == sum(coordinator.topics.partitions[name] for name in wanted)
    described = coordinator.described()
    assert described.group_state == "Stable"
    assert {client.epoch for client in clients} == {described.group_epoch}
    coordinator.restart()
    again = coordinator.described()
    assert (again.group_state, again.group_epoch, len(again.members)) == ("Stable", described.group_epoch, len(clients))


def two_members() -> tuple[Coordinator, Client, Client]:
    coordinator = Coordinator()
    coordinator.topics.create("a", 4)
    first, second = Client(coordinator, "first", ["a"]), Client(coordinator, "second", ["a"])
    first.beat()
    second.beat()
    return coordinator, first, second


def test_who_does_not_let_go_in_time_is_thrown_out() -> None:
    """After its rebalance timeout, though its heartbeats come; then the other one gets everything."""
    coordinator, first, second = two_members()
    for _ in range(4):
        first.says = True
        assert first.beat(lets_go=False) == 0
        assert second.beat() == 0
        coordinator.pass_time(REBALANCE_MS // 4 + 1)
    assert first.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    second.beat()
    assert len(second.has) == 4


def test_who_is_silent_is_thrown_out() -> None:
    """After the session timeout; a heartbeat in time keeps it."""
    coordinator, first, second = two_members()
    coordinator.pass_time(SESSION_MS - 1)
    assert second.beat() == 0
    coordinator.pass_time(1)
    assert first.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    second.beat()
    assert len(second.has) == 4


def test_sessions_begin_anew_at_a_start() -> None:
    """Whoever lives has a session timeout to show it, and goes on in its epoch."""
    coordinator, first, second = two_members()
    first.beat()
    first.beat()
    second.beat()
    coordinator.pass_time(SESSION_MS - 1)
    coordinator.restart()
    coordinator.pass_time(SESSION_MS - 1)
    epochs = first.epoch, second.epoch
    assert first.beat() == second.beat() == 0
    assert (first.epoch, second.epoch) == epochs
    assert len(first.has | second.has) == 4
