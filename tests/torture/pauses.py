"""SIGSTOP of the engine and of its clients, for up to 40 s, while producers, groups and a transactional writer are at work (R13).

A stopped process hears nobody and says nothing, and goes on as if no time had passed; two and more may be stopped at once. Nothing that
was acknowledged may be lost, twice or out of order, nothing that was aborted be read, every record is handled by the group. Sessions end
when they should: a member whose process is stopped for longer than its session is gone, and when it goes on it commits nothing any more
but rejoins; and nobody loses a session for time in which it was the engine that stood still.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random

from support.engine import Engine
from support.final_read import records_of, unsettled
from support.history import Place
from support.processes import Process
from support.raw_client import RawClient
from support.raw_members import Topic
from support.raw_transactions import asked_over, committed_offset
from support.tireless_client import TirelessClient
from support.traffic import PARTITIONS, TOPIC, Traffic
from support.waiting import wait_for
from torture import sessions
from torture.outcome import Outcome
from torture.run import Run

FAULTS = (
    "stops.deadlines_pass_while_it_stands",
    "stops.expired_on_arrival",
    "stops.excused_for_ever",
    "stops.empty_group_takes_any_commit",
)
PAUSES, PAUSES_QUICK = 50, 20
PAUSES_MIN = 4
"""So many also where the start alone took the time that there was."""
PAUSE_S, PAUSE_QUICK_S = (1.0, 40.0), (0.3, 3.0)
GAP_S, GAP_QUICK_S = (1.0, 9.0), (0.1, 0.8)
ENGINES_SHARE = 0.35
RATE = 60
CLIENTS, GROUPS = ("librdkafka", "ev", "aiokafka", "kafka-python"), {"billing": "read_committed"}
GROUP, MEMBERS, SESSION_MS = "shared", 2, 2000
PATIENCE_S = 3.5
"""By how much a session may be longer for each stop of the engine in it: its clients have to be heard first."""
SETTINGS = {
    **sessions.SETTINGS,
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "group.initial.rebalance.delay.ms": "0",
    "log.segment.bytes": str(1 << 20),
}


class Victim:
    """A process that can be stopped."""

    def __init__(self, name: str, pid: Callable[[], int]) -> None:
        self.name, self.pid = name, pid
        self.stopped_at: float | None = None
        self.stopped_s = 0.0
        self.stops = 0

    def stop(self) -> None:
        os.kill(self.pid(), signal.SIGSTOP)
        self.stopped_at = time.monotonic()
        self.stops += 1

    def go_on(self) -> None:
        if self.stopped_at is not None:
            os.kill(self.pid(), signal.SIGCONT)
            self.stopped_s += time.monotonic() - self.stopped_at
            self.stopped_at = None

    def clock(self) -> float:
        """A clock that goes while the process does."""
        now, stopped_at = time.monotonic(), self.stopped_at
        return (now if stopped_at is None else stopped_at) - self.stopped_s


class Monitor(sessions.Watched):
    """Looks at what the group has committed: it never goes back, as it would if a member that has lost a partition had its way."""

    def __init__(self, outcome: Outcome, address: Callable[[], str]) -> None:
        super().__init__(outcome, address, "monitor")
        self.found = [-1] * PARTITIONS

    def step(self) -> None:
        now = [committed_offset(self.ask, GROUP, TOPIC, partition)[0] for partition in range(PARTITIONS)]
        for partition, (before, after) in enumerate(zip(self.found, now, strict=True)):
            if after < before:
                self.outcome.problem(f"what {GROUP} has committed of partition {partition} went from {before} back to {after}")
        self.found = now
        self.ending.wait(0.05)


def torture(run: Run) -> None:
    outcome = run.outcome
    engine = run.engine(settings=SETTINGS).start()
    auditor = TirelessClient(lambda: engine.address)
    watched = Topic(auditor.ask, "watched", 1)
    daemon = Victim("engine", lambda: engine.pid)
    grace: dict[str, Callable[[], float]] = {"clock": daemon.clock, "grace_s": lambda: PATIENCE_S * daemon.stops}
    clients = CLIENTS[:2] if run.quick else CLIENTS
    with Traffic(run.directory, engine.address, rate=RATE, transactions=True, groups=GROUPS, clients=clients) as traffic:
        people = sessions.everybody(outcome, lambda: engine.address, watched, **grace)
        monitor = Monitor(outcome, lambda: engine.address)
        monitor.start()
        options = (engine.address, TOPIC, GROUP, "read_committed", str(SESSION_MS))
        members = [Process(run.directory, f"member-{number}", "support.verifying_consumer", *options) for number in range(MEMBERS)]
        processes = [*traffic.writers, *traffic.readers, *members]
        try:
            for writer in traffic.writers:
                traffic.gets_on(writer, "before the first pause")
            victims = [daemon, *(Victim(process.name, lambda process=process: process.process.pid) for process in processes)]  # type: ignore[misc]

            def in_flight() -> int:
                return sum(process.tally.open for process in processes) + sum(one.client.asking for one in people)

            pauses(run, victims, in_flight)
            traffic.note()
            for writer in traffic.writers:
                traffic.gets_on(writer, "after the last pause")
            for one in people:
                one.end()
            if outcome.problems:
                return
            traffic.end()
            places = [Place(TOPIC, partition) for partition in range(PARTITIONS)]
            wait_for(lambda: not unsettled(engine.address, places), "every transaction to be ended", 60)
            handled_all(engine)
            monitor.end()
            for process in members:
                process.end()
            for process in members:
                process.wait()
        finally:
            for process in members:
                process.kill()
    for one in people:
        one.judge()
    auditor.close()
    history = traffic.history()
    handled = {(int(line[1]), int(line[2])) for process in members for line in process.lines() if line[0] == "read"}
    for place, records in history.final.items():
        for offset, value in records:
            if (place.partition, offset) not in handled:
                outcome.problem(f"{GROUP} has committed everything, and nobody has read {place}@{offset} {value!r}")
                break
    for kind, lines in history.anomalies().items():
        for line in lines:
            outcome.problem(f"{kind}: {line}")
    gave_up = [line for line in traffic.fatal() if " record " in line]  # a client may have less patience than a pause is long
    for line in traffic.fatal():
        if line not in gave_up:
            outcome.problem(f"a client did not get over a pause: {line}")
    outcome.figures |= {"acknowledged": sum(map(len, history.acked.values())), "given_up_by_clients": len(gave_up)}
    if not outcome.problems and (status := engine.stop()):
        outcome.problem(f"the engine ended with status {status}")


def pauses(run: Run, victims: list[Victim], in_flight: Callable[[], int]) -> None:
    """Stop somebody, again and again; everybody goes on in the end."""
    random, outcome = run.random, run.outcome
    due: list[tuple[float, int, Victim]] = []
    numbers = count()
    try:
        while outcome.injected < run.amount(PAUSES, PAUSES_QUICK) and not (run.over and outcome.injected >= PAUSES_MIN):
            if outcome.problems:
                break
            until = time.monotonic() + random.uniform(*(GAP_QUICK_S if run.quick else GAP_S))
            while (now := time.monotonic()) < until and not outcome.problems:
                if due and due[0][0] <= now:
                    heappop(due)[2].go_on()
                time.sleep(0.01)
            victim = victims[0] if random.random() < ENGINES_SHARE else random.choice(victims[1:])
            length_s = drawn_s(random, *(PAUSE_QUICK_S if run.quick else PAUSE_S))
            if outcome.injected == 0:
                victim, length_s = victims[0], max(length_s, sessions.SESSION_S + 0.5)  # whatever is drawn: longer than a session
            if victim.stopped_at is not None:
                continue
            outcome.in_flight += in_flight()
            victim.stop()
            outcome.injected += 1
            outcome.add("engine_stops" if victim is victims[0] else "client_stops")
            heappush(due, (time.monotonic() + length_s, next(numbers), victim))
        while due and not outcome.problems:
            wait_s = due[0][0] - time.monotonic()
            if wait_s <= 0:
                heappop(due)[2].go_on()
            else:
                time.sleep(min(wait_s, 0.05))
    finally:
        for victim in victims:
            victim.go_on()
    outcome.figures["stopped_s"] = round(sum(victim.stopped_s for victim in victims), 1)


def drawn_s(random: Random, least: float, most: float) -> float:
    """Short ones as often as long ones, by orders of magnitude."""
    return math.exp(random.uniform(math.log(least), math.log(most)))


def handled_all(engine: Engine) -> None:
    """Wait until the group has committed everything that is committed in the topic."""
    places = [Place(TOPIC, partition) for partition in range(PARTITIONS)]
    ends = {place.partition: max((offset for offset, _ in records_of(engine.address, place)), default=-1) + 1 for place in places}
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        wait_for(
            lambda: all(committed_offset(ask, GROUP, TOPIC, partition)[0] >= end for partition, end in ends.items()),
            "the group to handle everything",
            60,
        )
