"""A group coordinator without a broker, with its log and its time, and members of the new protocol that live in its groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ev.coordinators.decision import Caller, Decision, Now
from ev.coordinators.group_config import GroupConfigs
from ev.coordinators.groups import Groups
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions
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
        self.starts = 1
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
        caller = Caller(None, 1, "client", "/host", lambda code: ConsumerGroupHeartbeatResponse(error_code=code))
        return self.carry_out(self.groups.consumer_heartbeat(request, caller, self.now))

    def pass_time(self, delay_ms: int) -> None:
        self.now_ms += delay_ms
        while (decision := self.groups.pass_time(self.now)) is not None:
            self.carry_out(decision)

    def restart(self) -> None:
        self.starts += 1  # nobody gets an id that somebody else has got before
        self.groups = Groups(self.settings, SeededRandomness(self.starts), self.topics, GroupConfigs(self.settings))
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
