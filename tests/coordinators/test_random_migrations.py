"""Members of both protocols in one group, at random: no partition ever has two readers, and in the end all are read.

Classic clients do what real ones do, by their own leader's assignments or by the broker's; the group changes its protocol whenever
the first member of the new one comes or the last one goes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ev.coordinators.classic_replies import join_refused, sync_refused
from ev.coordinators.decision import Caller, Decision
from ev.coordinators.subscriptions import assignment_value, read_assignment, read_subscription
from ev.errors import ErrorCode
from ev.wire.codec import encode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription, TopicPartition
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from support.simulated_members import GROUP, REBALANCE_MS, SESSION_MS, Client, Coordinator, Holding

CLASSIC_SESSION_MS = 30_000


class Mixed(Coordinator):
    """A coordinator whose replies may come later, and that keeps the numbers of its group."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.full = False

    def carry_out(self, decision: Decision) -> Any:
        if decision.records and self.full:
            decision = self.groups.refused(decision, ErrorCode.KAFKA_STORAGE_ERROR, self.now)
            self.number = 0  # a classic group goes back to its last generation that was written down
        heard = super().carry_out(decision)
        for caller, message in decision.replies:
            if isinstance(caller.token, ClassicClient):
                caller.token.hear(message)
        self._check_number()
        return heard

    def restart(self) -> None:
        self.number = 0  # a generation that nobody was given yet is not in the log
        super().restart()

    def _check_number(self) -> None:
        consumers = self.groups._consumers.groups.get(GROUP)
        classic = self.groups._groups.get(GROUP)
        assert consumers is None or classic is None, "a group is of one protocol"
        members = consumers.members if consumers is not None else classic.members if classic is not None else {}
        number = consumers.epoch if consumers is not None else classic.generation if classic is not None else 0
        if members:
            assert number >= self.number, "generations and epochs only rise"
        self.number = number if members else 0

    def member_ids(self) -> set[str]:
        consumers = self.groups._consumers.groups.get(GROUP)
        if consumers is not None:
            return set(consumers.members)
        classic = self.groups._groups.get(GROUP)
        return set() if classic is None else set(classic.members)


class ClassicClient:
    """A consumer of the classic protocol, request by request; a cooperative one keeps what it may over a rebalance."""

    def __init__(self, coordinator: Mixed, name: str, topics: list[str], *, cooperative: bool) -> None:
        self.coordinator = coordinator
        self.name = name
        self.topics = topics
        self.cooperative = cooperative
        self.id = ""
        self.generation = -1
        self.has: Holding = set()
        self.next = self.idle
        self.waits = False
        self.last_ms = 0
        self.leads: list[tuple[str, bytes]] = []

    # ---- what it does next

    def step(self) -> None:
        if not self.waits:
            self.next()

    def idle(self) -> None:
        self.next = self.join

    def join(self) -> None:
        if not self.cooperative:
            self.has = set()
        topics = self.coordinator.topics
        owned: dict[str, list[int]] = {}
        for topic_id, index in sorted(self.has):
            owned.setdefault(topics.topic_name(topic_id) or "gone", []).append(index)
        subscription = ConsumerProtocolSubscription(
            topics=self.topics, owned_partitions=[TopicPartition(topic, indexes) for topic, indexes in owned.items()]
        )
        request = JoinGroupRequest(
            group_id=GROUP,
            session_timeout_ms=CLASSIC_SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            member_id=self.id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="coop" if self.cooperative else "eager", metadata=b"\0\1" + encode(subscription, 1))],
        )
        self._ask(self.coordinator.groups.join, request, 9, lambda code: join_refused(9, code, ""))

    def sync(self) -> None:
        request = SyncGroupRequest(group_id=GROUP, member_id=self.id, generation_id=self.generation)
        request.assignments = [SyncGroupRequestAssignment(member_id=each, assignment=value) for each, value in self._assignments().items()]
        self._ask(self.coordinator.groups.sync, request, 4, sync_refused)

    def beat(self) -> None:
        request = HeartbeatRequest(group_id=GROUP, member_id=self.id, generation_id=self.generation)
        self._ask(self.coordinator.groups.heartbeat, request, 4, lambda code: HeartbeatResponse(error_code=code))

    def leave(self) -> None:
        if self.waits or not self.id:
            return
        request = LeaveGroupRequest(group_id=GROUP, members=[MemberIdentity(member_id=self.id)])
        self._ask(self.coordinator.groups.leave, request, 5, lambda code: LeaveGroupResponse(error_code=code, members=[]))
        self.lose()

    def lose(self) -> None:
        self.id, self.generation, self.has, self.next, self.waits = "", -1, set(), self.idle, False

    def _ask(self, method: Callable[..., Decision], request: Any, version: int, error: Callable[[int], Any]) -> None:
        self.waits = True
        self.last_ms = self.coordinator.now_ms
        caller = Caller(self, version, self.name, "/host", error)
        self.coordinator.carry_out(method(request, caller, self.coordinator.now))

    def _assignments(self) -> dict[str, bytes]:
        """As a leader: everything in turn; what a cooperative member has goes to another only when it is free."""
        if not self.leads:
            return {}
        subscriptions = {member_id: read_subscription(metadata) for member_id, metadata in self.leads}
        given: dict[str, dict[str, list[int]]] = {member_id: {} for member_id in subscriptions}
        owners: dict[tuple[str, int], str] = {}
        for member_id, subscription in subscriptions.items():
            assert subscription is not None
            for part in subscription.owned_partitions:
                owners |= {(part.topic, index): member_id for index in part.partitions}
        for topic, count in self.coordinator.topics.partitions.items():
            readers = sorted(each for each, said in subscriptions.items() if said is not None and topic in said.topics)
            for index in range(count if readers else 0):
                reader = readers[index % len(readers)]
                if owners.get((topic, index), reader) == reader:
                    given[reader].setdefault(topic, []).append(index)
        return {member_id: assignment_value(parts, bytes(2)) for member_id, parts in given.items()}

    # ---- what it hears

    def hear(self, message: Any) -> None:
        self.waits = False
        code = getattr(message, "error_code", 0)
        verb = type(message).__name__
        if code == ErrorCode.MEMBER_ID_REQUIRED:
            self.id = message.member_id
        elif code == ErrorCode.REBALANCE_IN_PROGRESS:
            self.next = self.join
        elif code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION):
            self.lose()
        elif code == ErrorCode.COORDINATOR_NOT_AVAILABLE:
            pass  # the same again
        elif code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL:
            raise AssertionError("all speak the same")
        elif verb == "JoinGroupResponse":
            self.id, self.generation, self.next = message.member_id, message.generation_id, self.sync
            self.leads = [(member.member_id, bytes(member.metadata)) for member in message.members]
        elif verb == "SyncGroupResponse":
            read = read_assignment(bytes(message.assignment))
            parts = [] if read is None else read.assigned_partitions
            told = {(self.coordinator.topics.ids[part.topic], index) for part in parts for index in part.partitions}
            gives_up = self.has - told
            self.has = told
            self.next = self.join if gives_up and self.cooperative else self.beat


def assert_disjoint(consumers: list[Client], classics: list[ClassicClient], coordinator: Mixed) -> None:
    members = coordinator.member_ids()
    owners: dict[tuple[bytes, int], str] = {}
    everybody: list[Client | ClassicClient] = [*consumers, *classics]
    for client in everybody:
        if client.id in members:
            for place in client.has:
                assert place not in owners, f"{place} is read by {owners[place]} and {client.id}"
                owners[place] = client.id


@pytest.mark.parametrize("seed", range(50))
def test_no_partition_has_two_readers_whatever_their_protocol(seed: int) -> None:
    """Members of either protocol come, go and fall silent; the coordinator restarts; topics grow; the log is full for a while."""
    random = Random(seed)
    coordinator = Mixed()
    coordinator.topics.create("a", 5)
    coordinator.topics.create("b", 3)
    cooperative = random.random() < 0.5
    wishes: list[list[str]] = [["a"], ["b"], ["a", "b"]]
    consumers = [Client(coordinator, f"m{number}", random.choice(wishes)) for number in range(2)]
    classics = [ClassicClient(coordinator, f"c{number}", random.choice(wishes), cooperative=cooperative) for number in range(3)]
    events = ["beat"] * 4 + ["step"] * 12 + ["leave", "leave", "away", "time", "time", "long", "restart", "grow", "full", "room", "room"]
    for _ in range(400):
        match random.choice(events):
            case "beat":
                random.choice(consumers).beat()
            case "step":
                random.choice(classics).step()
            case "leave":
                client = random.choice(consumers)
                if client.epoch:
                    client.leave()
            case "away":
                random.choice(classics).leave()
            case "time":
                coordinator.pass_time(random.randint(1, 3000))
            case "long":
                coordinator.pass_time(CLASSIC_SESSION_MS // 2)
            case "restart":
                coordinator.restart()
                for waiting in classics:
                    if waiting.waits:  # its connection is gone, and with it the reply
                        waiting.waits, waiting.next = False, waiting.join
            case "full" | "room" as space:
                coordinator.full = space == "full"
            case "grow":
                coordinator.topics.create("a", min(coordinator.topics.partitions["a"] + 1, 9))
        for each in consumers:
            if coordinator.now_ms - each.last_ms >= SESSION_MS:
                each.has, each.says, each.epoch = set(), False, 0
        for one in classics:
            if one.id and not one.waits and coordinator.now_ms - one.last_ms >= CLASSIC_SESSION_MS:
                one.lose()
        assert_disjoint(consumers, classics, coordinator)
    coordinator.full = False
    settle(consumers, classics, coordinator, random)


def settle(consumers: list[Client], classics: list[ClassicClient], coordinator: Mixed, random: Random) -> None:
    """Everybody goes on; once with a member of the new protocol in the group, once without."""
    goes = random.random() < 0.5
    for _ in range(150):
        for client in consumers:
            if goes and client.epoch:
                client.leave()
            elif not goes:
                client.says = True
                client.beat()
        for one in classics:
            one.step()
            assert_disjoint(consumers, classics, coordinator)
        coordinator.pass_time(1000)
    assert not any(one.waits for one in classics), "nobody waits for ever"
    everybody: list[Client | ClassicClient] = [*classics] if goes else [*consumers, *classics]
    read = {place for client in everybody for place in client.has}
    wanted = {name for client in everybody for name in client.topics}
    assert len(read) == sum(coordinator.topics.partitions[name] for name in wanted)
    assert (GROUP in coordinator.groups._consumers.groups) != goes
