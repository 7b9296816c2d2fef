"""Whatever clients do, in whatever order: the group coordinator keeps its promises.

Three clients, one of them static, do the things that clients do, right or wrong, while time passes, the log fills up and the
coordinator restarts. After each event the group's books must balance; in the end everybody must have been answered.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ev.coordinators.classic import ClassicGroup, State
from ev.coordinators.decision import Decision
from ev.coordinators.group_records import GroupKey, read_group_value, read_key
from ev.coordinators.groups import Groups
from support.conversation import Conversation

CLIENTS = ("a", "b", "c")
STEPS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(CLIENTS), st.integers(0, 5)), max_size=40)
LONG_MS = 4 * 60 * 60_000


class Client:
    """Remembers what it was told, and mostly acts on it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.member = ""
        self.generation = 0
        self.leads = False
        self.members: list[str] = []

    def hear(self, verb: str, message: Any) -> None:
        if verb == "join":
            self.member = message.member_id or self.member
            if not message.error_code:
                self.generation = message.generation_id
                self.leads = message.leader == message.member_id
                self.members = [member.member_id for member in message.members]
        if message_error(verb, message) == 25:  # UNKNOWN_MEMBER_ID: start anew
            self.member = ""


def message_error(verb: str, message: Any) -> int:
    return message.error_code if verb in ("join", "sync", "heartbeat") else 0


class Play(Conversation):
    """A conversation whose replies reach the clients, and that keeps account of who was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.clients = {name: Client(name) for name in CLIENTS}
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.leaders: dict[int, str] = {}
        self.topics.create("t", 2)

    def _carry_out(self, decision: Decision) -> None:
        self.now_ms += 1  # no two decisions at one time, so that a deadline is never in the past
        super()._carry_out(decision)

    def _reply(self, caller: Any, message: Any) -> str:
        client, verb = caller.token
        self.answered[f"{client} {verb}"] += 1
        self.clients[client].hear(verb, message)
        return super()._reply(caller, message)

    def step(self, kind: int, name: str, number: int) -> None:
        client = self.clients[name]
        instance = " instance=i" if name == "c" else ""
        member = f" member={client.member}" if client.member and not (name == "c" and number == 0) else ""
        who = f"{member}{instance} generation={client.generation}"
        match kind:
            case 0 | 1 | 2:
                wish = " sticky:t range:t" if number == 5 else f" range:{'t,u' if number == 4 else 't'}"
                self.ask(name, "join", f"g v={(9, 3, 4)[number % 3]}{member}{instance}{wish}")
            case 3 | 4 | 5:
                gifts = "".join(f" {each}=gift-{each}" for each in client.members) if client.leads else ""
                self.ask(name, "sync", f"g{who}{gifts}")
            case 6:
                self.ask(name, "heartbeat", f"g{who}")
            case 7:
                self.ask(name, "commit", f"g{who} t/{number % 2}={number}")
            case 8:
                self.ask(name, "leave", f"g {client.member or 'ghost-1'}" if name != "c" else "g anyone=i")
            case 9:
                self.play(f"time {(1, 1_000, 6_000, 10_000, 30_000, 400_000)[number]}")
            case 10:
                self.full = number == 0
            case 11:
                self.lost += self.asked - self.answered - self.lost
                self.play("restart")

    def ask(self, name: str, verb: str, rest: str) -> None:
        self.asked[f"{name} {verb}"] += 1
        self.play(f"{name}> {verb} {rest}")

    def balance(self) -> None:
        groups = self.groups
        group = groups._groups.get("g")
        if group is not None:
            check(group)
            check_deadlines(groups, group)
        for line in self.heard:
            if "< joined" in line:
                words = dict(word.split("=", 1) for word in line.split() if "=" in word)
                assert "members" not in words or words["leader"] == words["member"], "only the leader is told who is there"


def check(group: ClassicGroup) -> None:
    members = group.members
    assert all(member_id == member.member_id for member_id, member in members.items())
    assert group.joining_count == sum(member.joining is not None for member in members.values())
    support = Counter(name for member in members.values() for name in {offered.name for offered in member.protocols})
    assert dict(group.support) == dict(support)
    instances = {member.group_instance_id: member.member_id for member in members.values() if member.group_instance_id}
    assert group.static_members == instances
    assert group.pending_syncs <= set(members)
    assert (group.leader in members) == bool(members)
    match group.state:
        case State.EMPTY:
            assert not members
        case State.STABLE | State.COMPLETING_REBALANCE:
            assert members
            assert group.joining_count == 0
            assert group.protocol in group.support
        case State.PREPARING_REBALANCE:
            assert not any(member.syncing for member in members.values())
    if group.state is State.STABLE:
        assert not any(member.syncing for member in members.values())
        assert group.persisted is not None
        written = read_group_value(group.persisted)
        assert written.generation == group.generation
        assert {member.member_id: bytes(member.assignment) for member in written.members} == {
            member.member_id: member.assignment for member in members.values()
        }


def check_deadlines(groups: Groups, group: ClassicGroup) -> None:
    """Everybody who can be waited for is, and nobody else."""
    kinds = [key for key in groups._deadlines._deadline_ms if key.kind != "expire"]
    sessions = {key.member_id for key in kinds if key.kind == "session"}
    parked = {member.member_id for member in group.members.values() if member.joining or member.syncing}
    assert set(group.members) - parked <= sessions <= set(group.members)
    assert {key.member_id for key in kinds if key.kind == "pending"} == group.pending_members
    assert ("join" in {key.kind for key in kinds}) == (group.state is State.PREPARING_REBALANCE)
    assert ("sync" in {key.kind for key in kinds}) == bool(group.pending_syncs)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_the_books_of_a_group_balance_and_nobody_waits_for_ever(steps: list[tuple[int, str, int]]) -> None:
    """Every request is answered exactly once, unless the coordinator restarted meanwhile."""
    play = Play()
    for kind, name, number in steps:
        play.step(kind, name, number)
        play.balance()
        assert not play.answered - play.asked, "nobody is answered twice"
    play.full = False
    play.play(f"time {LONG_MS}")
    play.balance()
    assert play.asked - play.answered - play.lost == Counter()
    assert "g" not in play.groups._groups or not play.groups._groups["g"].members, "silent members are gone"


@pytest.mark.parametrize("seed", range(4))
def test_long_conversations_balance_too(seed: int) -> None:
    """What takes many steps to go wrong: restarts in the middle of rebalances after restarts."""
    for number in range(100):
        random = Random(seed * 1_000 + number)
        play = Play()
        for _ in range(80):
            play.step(random.choice((0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11)), random.choice(CLIENTS), random.randrange(6))
            play.balance()
            assert not play.answered - play.asked
        play.full = False
        play.play(f"time {LONG_MS}")
        play.balance()
        assert play.asked - play.answered - play.lost == Counter()


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_a_restart_finds_what_was_written_last(steps: list[tuple[int, str, int]]) -> None:
    """The generation, the members and the assignments of the newest group record; the newest offset of each partition."""
    play = Play()
    for kind, name, number in steps:
        play.step(kind, name, number)
    newest = dict(play.log)
    before = {(topic, partition): each.offset for topic, partition, each in play.groups._offsets.each("g")}
    play.full = True  # so that nothing but reading happens
    play.play("restart")
    group = play.groups._groups.get("g")
    after = {(topic, partition): each.offset for topic, partition, each in play.groups._offsets.each("g")}
    assert after == before
    records = [value for key, value in newest.items() if isinstance(read_key(key), GroupKey) and value is not None]
    if not records:
        assert group is None or not group.members
        return
    written = read_group_value(records[0])
    assert group is not None
    assert group.generation == written.generation
    assert group.state is (State.STABLE if written.members else State.EMPTY)
    assert {member.member_id: member.assignment for member in group.members.values()} == {
        member.member_id: bytes(member.assignment) for member in written.members
    }
