"""Members of groups whose sessions are watched: some always say that they live, some fall silent.

A witness beats its heart all the time, commits, and may never be told that it is no member any more, or that its group begins anew.
A sleeper joins a group of its own and says nothing more: when its session is over it has to be gone, not earlier and not much later, and
what it commits then has to be refused. Both are there in the classic protocol and in the new one (KIP-848).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ev.errors import ErrorCode
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from support.raw_members import ClassicMember, Member, Topic, commit, described, fetch
from support.raw_transactions import Ask
from support.tireless_client import TirelessClient
from torture.outcome import Outcome

SESSION_S = 2.0
BEAT_S = 0.15
EARLY_S = 0.1
SLACK_S = 2.0
LOOK_AGAIN_S = 0.04
STALE = frozenset(
    (
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
        ErrorCode.GROUP_ID_NOT_FOUND,
    )
)
UNEXPECTED = (OSError, AssertionError, LookupError, ValueError, TypeError, AttributeError)
"""What an answer that should not be brings about, or none."""
SETTINGS = {
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": str(round(SESSION_S * 1000)),
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "500",
}
"""What an engine needs for sessions that are over soon."""


class Watched(threading.Thread):
    """A thread with a connection of its own, until it is told to end."""

    def __init__(self, outcome: Outcome, address: Callable[[], str], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.outcome = outcome
        self.client = TirelessClient(address, client_id=name)
        self.ask: Ask = self.client.ask
        self.ending = threading.Event()

    def run(self) -> None:
        try:
            while not self.ending.is_set() and not self.outcome.problems:
                self.step()
        except UNEXPECTED as error:
            self.outcome.problem(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self.client.close()

    def step(self) -> None:
        raise NotImplementedError

    def end(self, timeout_s: float = 60) -> None:
        self.ending.set()
        self.join(timeout_s)
        if self.is_alive():
            self.outcome.problem(f"{self.name} still waits for an answer after {timeout_s} s")


class Witness(Watched):
    """A member that lives, in a group of its own."""

    def __init__(self, outcome: Outcome, address: Callable[[], str], topic: Topic, *, classic: bool) -> None:
        super().__init__(outcome, address, f"witness-{'classic' if classic else 'consumer'}")
        self.topic = topic
        self.group = self.name
        self.member = new_member(self.ask, self.group, topic, classic=classic)
        self.committed = 0
        self.beats = 0
        join_now(self.member, topic)

    def step(self) -> None:
        code = beat(self.member)
        self.beats += 1
        if code:
            self.outcome.problem(f"{self.name} beats its heart every {BEAT_S} s and was told {code} at beat {self.beats}")
            return
        wanted = self.committed + 1
        code = commit(self.ask, self.group, self.topic, wanted, member=identity(self.member))
        if code:
            self.outcome.problem(f"{self.name} is a member, and its commit was answered {code}")
        self.committed = wanted
        self.ending.wait(BEAT_S)

    def judge(self) -> None:
        """What it committed last is what the group has; to be asked when it has ended."""
        found = fetch(self.ask, self.group, self.topic)
        self.client.close()
        if found != (self.committed, 0):
            self.outcome.problem(f"{self.name} has committed {self.committed}, its group has {found}")
        self.outcome.add("heartbeats", self.beats)


class Sleeper(Watched):
    """Members that fall silent, one after the other.

    `clock` goes while members can be heard; `grace_s` is by how much a session may have been prolonged so far, for good reasons.
    """

    def __init__(
        self,
        outcome: Outcome,
        address: Callable[[], str],
        topic: Topic,
        *,
        classic: bool,
        clock: Callable[[], float] = time.monotonic,
        grace_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__(outcome, address, f"sleeper-{'classic' if classic else 'consumer'}")
        self.topic, self.is_classic, self.clock, self.grace_s = topic, classic, clock, grace_s
        self.expired = 0

    def step(self) -> None:
        group = f"{self.name}-{self.expired}"
        member = new_member(self.ask, group, self.topic, classic=self.is_classic)
        grace_s = self.grace_s()
        join_now(member, self.topic)
        who = identity(member)
        code = commit(self.ask, group, self.topic, 1, member=who)
        if code:
            self.outcome.problem(f"{group}: a new member's commit was answered {code}")
        asleep = self.clock()
        if code := beat(member):
            self.outcome.problem(f"{group}: a new member's heartbeat was answered {code}")
        latest = self.clock()
        while self._is_there(group):
            late_s = self.clock() - latest - SESSION_S - SLACK_S - (self.grace_s() - grace_s)
            if late_s > 0:
                self.outcome.problem(f"{group}: a session of {SESSION_S} s goes on {late_s + SLACK_S:.1f} s after its end")
                return
            time.sleep(LOOK_AGAIN_S)
        took_s = self.clock() - asleep
        if took_s < SESSION_S - EARLY_S:
            self.outcome.problem(f"{group}: a session of {SESSION_S} s was over after {took_s:.2f} s")
        code = commit(self.ask, group, self.topic, 7, member=who)
        if code not in STALE:
            self.outcome.problem(f"{group}: the commit of a member whose session is over was answered {code}")
        if (found := fetch(self.ask, group, self.topic)) != (1, 0):
            self.outcome.problem(f"{group}: a member whose session was over has changed what is committed to {found}")
        self.expired += 1

    def _is_there(self, group: str) -> bool:
        if self.is_classic:
            return bool(self.ask(DescribeGroupsRequest([group]), 5).groups[0].members)
        return bool(described(self.ask, group).members)

    def judge(self) -> None:
        self.outcome.add("sessions_expired", self.expired)


def new_member(ask: Ask, group: str, topic: Topic, *, classic: bool) -> ClassicMember | Member:
    if classic:
        return ClassicMember(ask, group, topic, assignor="range", session_timeout_ms=round(SESSION_S * 1000))
    return Member(ask, group)


def join_now(member: ClassicMember | Member, topic: Topic) -> None:
    """Join, and have what there is."""
    if isinstance(member, ClassicMember):
        codes = member.join(), member.sync(mine=[0])
        assert codes == (0, 0), f"a new member could not join: {codes}"
    else:
        member.join(topic)
        member.settle()


def beat(member: ClassicMember | Member) -> int:
    """A heartbeat; the error code."""
    return member.beat() if isinstance(member, ClassicMember) else int(member.beat().error_code)


def identity(member: ClassicMember | Member) -> tuple[str, int]:
    return (member.id, member.generation) if isinstance(member, ClassicMember) else (member.id, member.epoch)


def everybody(outcome: Outcome, address: Callable[[], str], topic: Topic, **options: Any) -> list[Witness | Sleeper]:
    """Witnesses and sleepers of both protocols, begun."""
    people: list[Witness | Sleeper] = []
    for classic in (True, False):
        people += [Witness(outcome, address, topic, classic=classic), Sleeper(outcome, address, topic, classic=classic, **options)]
    for one in people:
        one.start()
    return people
