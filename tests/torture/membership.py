"""Members of groups killed, paused and partitioned from the engine in a loop: every record is handled, none is passed over (R1's groups).

A classic group and one of the new protocol (KIP-848) read a topic that is written to all the time, with three clients. A member handles
what it polled, which takes a moment, and then commits it. To a drawn member a drawn thing happens: `kill -9`, a pause that is shorter or
longer than its session, a network that is stalled for as long, cut, or slow, or it leaves; then another one comes, or it goes on where
it was. What must hold:

* in the end every record was handled in each group;
* a member that is given a partition begins where the group is: not behind it, and before it only by what nobody had been told is
  committed;
* of a member that has lost a partition no commit is taken any more;
* nothing waits longer for a member that is gone than its session and a rebalance take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.final_read import LATEST, final_read, offset_of
from support.history import History, Place
from support.membership import SESSION_MS, SETTINGS, Seat, record_member
from support.processes import Process
from support.raw_client import RawClient
from support.raw_transactions import asked_over, committed_offset
from support.traffic import record_sends
from support.waiting import wait_for
from support.ways import ways_to
from torture.run import Run

FAULTS = (
    "groups.commits_of_lost_members",
    "groups.given_before_it_is_let_go",
    "groups.commits_in_a_rebalance_are_dropped",
    "groups.silent_members_stay",
)
TOPIC, PARTITIONS, RATE = "payments", 3, 240
FAULTS_WANTED, FAULTS_QUICK, FAULTS_LEAST = 1500, 90, 20
SEATS = (
    ("librdkafka", "classic", "classic"),
    ("aiokafka", "classic", "classic"),
    ("ev", "classic", "classic"),
    ("librdkafka", "consumer", "consumer"),
    ("ev", "consumer", "consumer"),
    ("librdkafka", "consumer", "consumer"),
)
GROUPS = ("classic", "consumer")
DECK = ("kill", "kill", "leave", "leave", "pause", "long pause", "long pause", "stall", "long stall", "cut", "slow", "kill")
"""What happens to the members of a group, in an order that is drawn, again and again."""
PERIOD_S = 0.2
SHORT_S, LONG_S = 0.5, SESSION_MS / 1000 + 0.8
END_S, END_MOST_S = 10.0, 25.0
"""How long the groups may take for the rest when everybody is left alone, on a quiet machine and on any."""


class Struck:
    """What is done to whom, and until when."""

    def __init__(self, run: Run, seats: list[Seat]) -> None:
        self.run = run
        self.seats = seats
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.busy: set[int] = set()
        self.decks: dict[str, list[str]] = {group: [] for group in GROUPS}

    def strike(self) -> None:
        """Do something to a member that is at work, unless all others of its group are struck at the moment."""
        draw, outcome = self.run.random, self.run.outcome
        number = draw.randrange(len(self.seats))
        short, long = draw.uniform(0.05, SHORT_S), draw.uniform(LONG_S - 0.5, LONG_S)
        group = self.seats[number].group
        others = [other for other, seat in enumerate(self.seats) if seat.group == group and other != number]
        if number in self.busy or self.busy.issuperset(others) or not self.seats[number].member.tally.answered:
            return
        self.decks[group] = self.decks[group] or draw.sample(DECK, len(DECK))
        kind, seat = self.decks[group].pop(), self.seats[number]
        outcome.injected += 1
        outcome.in_flight += seat.member.tally.open
        outcome.add(kind.replace(" ", "_"))
        match kind:
            case "kill":
                seat.member.kill()
                self.later(number, short, lambda: self.sit_down(seat))
            case "leave":
                seat.member.end()
                self.later(number, short, lambda: self.sit_down(seat))
            case "pause" | "long pause":
                seat.member.pause()
                self.later(number, long if kind.startswith("long") else short, seat.member.resume)
            case "stall" | "long stall":
                seat.way.stall()
                self.later(number, long if kind.startswith("long") else short, seat.way.heal)
            case "slow":
                seat.way.delay(0.02)
                self.later(number, 2 * short, seat.way.heal)
            case _:
                seat.way.cut()

    def sit_down(self, seat: Seat) -> None:
        seat.member.kill()
        seat.sit_down(self.run.directory, f"{seat.group}-{self.seats.index(seat)}-{len(seat.members)}", TOPIC)

    def later(self, number: int, seconds: float, undo: Callable[[], None]) -> None:
        def undone() -> None:
            undo()
            self.busy.discard(number)

        self.busy.add(number)
        heappush(self.due, (time.monotonic() + seconds, next(self.numbers), undone))

    def go_on(self, *, everything: bool = False) -> None:
        """End what is due."""
        while self.due and (everything or self.due[0][0] <= time.monotonic()):
            heappop(self.due)[2]()


def torture(run: Run) -> None:
    try:
        loop(run)
    except AssertionError as error:
        run.outcome.problem(f"somebody did not get on: {error}")


def loop(run: Run) -> None:
    """Fault after fault, the rest, and then the judgement."""
    outcome, draw = run.outcome, run.random
    engine = run.engine(settings={"offsets.topic.num.partitions": "2", **SETTINGS})
    seats = [Seat(*place, way) for place, way in zip(SEATS, ways_to(engine, len(SEATS)), strict=True)]
    engine.start()
    admin = AdminClient({"bootstrap.servers": engine.address})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
    names = ("librdkafka", engine.address, TOPIC, str(PARTITIONS), "feeder", str(RATE))
    feeder = Process(run.directory, "feeder", "support.verifying_producer", *names)
    struck = Struck(run, seats)
    wanted = FAULTS_LEAST if run.fault else run.amount(FAULTS_WANTED, FAULTS_QUICK)
    try:
        for number, seat in enumerate(seats):
            seat.sit_down(run.directory, f"{seat.group}-{number}-0", TOPIC)
        for seat in seats:
            wait_for(lambda seat=seat: seat.member.tally.answered, f"{seat.member.name} to commit", 60)  # type: ignore[misc]
        while outcome.injected < FAULTS_LEAST or (not run.over and outcome.injected < wanted):
            time.sleep(draw.uniform(0, PERIOD_S))
            struck.go_on()
            struck.strike()
        struck.go_on(everything=True)
        feeder.end()
        feeder.wait()
        came_to_the_end(run, engine.address)
        if outcome.problems:
            return  # a group that is stuck does not let its members go either
        for seat in seats:
            wait_for(seat.member.path.read_bytes, f"{seat.member.name} to be there")
            seat.member.end()
        for seat in seats:
            seat.member.wait()
    finally:
        for process in (feeder, *(member for seat in seats for member in seat.members)):
            process.kill()
        for seat in seats:
            seat.way.close()
    history = History()
    record_sends(history, feeder)
    for seat in seats:
        for member in seat.members:
            record_member(history, member, seat.group, TOPIC)
    final_read(history, engine.address, TOPIC, PARTITIONS, groups=GROUPS)
    for kind, lines in history.anomalies().items():
        for line in lines:
            outcome.problem(f"{kind}: {line} ({outcome.injected} faults)")
    turns = [turn for found in history.turns.values() for turn in found]
    handled = sum(len(turn.offsets) for turn in turns)
    records = sum(map(len, history.final.values()))
    outcome.figures |= {"records": records, "turns": len(turns), "handled_again": handled - len(GROUPS) * records, "wanted": wanted}


def came_to_the_end(run: Run, address: str) -> None:
    """Wait until each group has committed the end of each partition."""
    began = time.monotonic()
    with RawClient(address) as client:
        ask = asked_over(client)
        last = [offset_of(ask, Place(TOPIC, index), LATEST) for index in range(PARTITIONS)]
        ends = {(group, index): end for group in GROUPS for index, end in enumerate(last)}
        while True:
            left = {place: end for place, end in ends.items() if committed_offset(ask, place[0], TOPIC, place[1])[0] < end}
            if not left:
                break
            if time.monotonic() > began + END_MOST_S:
                found = {place: committed_offset(ask, place[0], TOPIC, place[1])[0] for place in left}
                run.outcome.problem(f"{END_MOST_S:.0f} s after the last fault not everything is handled: committed {found} of {left}")
                return
            time.sleep(0.05)
    run.outcome.bound("end_s", round(time.monotonic() - began, 1), END_S)
