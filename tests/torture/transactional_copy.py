"""A topic is copied in transactions under `kill -9`, pauses and a bad network: the output is the input, exactly once (R14).

Two copiers of one group share the source's partitions. In each round one thing happens, which the seed draws: the engine is killed or
paused, a copier is killed or paused, or its network is stalled (each of these also for longer than a session), cut or slow; then somebody
must have committed again. A copier that is paused in the middle of a transaction loses its partitions to the other one and must not be
able to commit what it has read. A reader of committed records follows the output.

In the end a copier is killed with a transaction open, the engine too, and only the engine comes back: within the transaction's time-out
and ten seconds nothing may be open any more. Then the output has the values of the input, each once, in their order.
"""

from __future__ import annotations

import os
import signal
import time

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from support.engine import Engine
from support.final_read import LATEST, final_read, offset_of, records_of
from support.history import History, Place
from support.processes import Process
from support.proxy import Proxy
from support.raw_client import RawClient
from support.raw_transactions import asked_over, committed_offset
from support.waiting import wait_for
from support.ways import ways_to
from torture.run import Run

FAULTS = (
    "transactions.lost_members_commit",
    "transactions.pending_offsets_are_told",
    "transactions.begun_in_memory_only",
    "transactions.time_outs_end_with_a_start",
)
SOURCE, TARGET, PARTITIONS, RATE, GROUP = "source", "target", 4, 100, "copiers"
PLACES = [Place(TARGET, partition) for partition in range(PARTITIONS)]
COPIERS = ("copier-a", "copier-b")
ROUNDS, ROUNDS_QUICK = 100, 24
DECK = ("kill", "kill", "pause", "copier kill", *("copier pause",) * 3, *("copier stall",) * 2, "copier cut", "copier slow")
"""What happens in so many rounds, in an order that is drawn; that many there are at the least."""
SESSION_MS, TIMEOUT_MS, WORK_S = 600, 4000, 0.1
SHORT_S, LONG_S = 0.3, 3.0
"""How long a fault lasts: shorter than a session, or until the other copier has taken over, if that does not take longer."""
MOSTLY = 0.85
AIM_S = 0.5
LATE_S = 10.0
"""How much later than its time-out a transaction may be aborted."""
SETTINGS = {
    "log.segment.bytes": str(1 << 20),
    "ev.checkpoint.interval.ms": "300",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "50",
    "group.consumer.heartbeat.interval.ms": "200",
}


class Scene:
    """The engine, who feeds the source, who copies, and who reads the target."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.engine: Engine = run.engine(settings=SETTINGS)
        self.ways: list[Proxy] = ways_to(self.engine, len(COPIERS))
        self.engine.start()
        self.protocol = run.random.choice(("classic", "consumer"))
        admin = AdminClient({"bootstrap.servers": self.engine.address})
        for created in admin.create_topics([NewTopic(SOURCE, PARTITIONS, 1), NewTopic(TARGET, PARTITIONS, 1)]).values():
            created.result(30)
        directory, address = run.directory, self.engine.address
        names = ("librdkafka", address, SOURCE, str(PARTITIONS), "fed", str(RATE))
        self.feeder = Process(directory, "feeder", "support.verifying_producer", *names)
        self.reader = Process(directory, "reader", "support.verifying_consumer", address, TARGET, "reader", "read_committed")
        self.ended: list[Process] = []
        self.copiers: list[Process] = []
        self.copiers += [self.copier(number) for number in range(len(COPIERS))]

    def copier(self, number: int) -> Process:
        """A new process under the same transactional id, on the same way."""
        group = ("--group", GROUP, "--protocol", self.protocol, "--session", str(SESSION_MS))
        options = (*group, "--timeout", str(TIMEOUT_MS), "--work", str(WORK_S), "--most", "400")
        name = f"{COPIERS[number]}-{len(self.ended)}"
        return Process(
            self.run.directory,
            name,
            "support.transactional_copier",
            self.ways[number].address,
            SOURCE,
            TARGET,
            COPIERS[number],
            *options,
        )

    def replace(self, number: int) -> None:
        self.copiers[number].kill()
        self.ended.append(self.copiers[number])
        self.copiers[number] = self.copier(number)

    @property
    def everyone(self) -> list[Process]:
        return [self.feeder, self.reader, *self.copiers, *self.ended]

    @property
    def in_flight(self) -> int:
        return sum(process.tally.open for process in (self.feeder, *self.copiers))

    def close(self) -> None:
        for process in self.everyone:
            process.kill()
        for way in self.ways:
            way.close()

    # ---- rounds

    def round(self, number: int, kind: str) -> None:
        """One fault, in the middle of a transaction if it can be, and somebody who has committed after it."""
        draw, outcome = self.run.random, self.run.outcome
        which = self.in_a_transaction(draw.randrange(len(COPIERS)))
        long = kind in ("copier pause", "copier stall") and draw.random() < MOSTLY
        lasts_s = draw.uniform(0, SHORT_S)
        time.sleep(draw.uniform(0, 1.5 * WORK_S))
        outcome.injected += 1
        outcome.in_flight += self.in_flight
        outcome.add(kind.replace(" ", "_"))
        match kind:
            case "kill":
                self.engine.kill()
                self.engine.start()
            case "pause":
                os.killpg(self.engine.pid, signal.SIGSTOP)
                time.sleep(lasts_s)
                os.killpg(self.engine.pid, signal.SIGCONT)
            case "copier kill":
                self.copiers[which].kill()
                time.sleep(lasts_s)
                self.replace(which)
            case "copier pause":
                self.copiers[which].pause()
                self.taken_over() if long else time.sleep(lasts_s)
                self.copiers[which].resume()
            case "copier stall":
                self.ways[which].stall()
                self.taken_over() if long else time.sleep(lasts_s)
                self.ways[which].heal()
            case "copier slow":
                self.ways[which].delay(0.02)
                time.sleep(lasts_s)
                self.ways[which].heal()
            case _:
                self.ways[which].cut()
        for process in self.copiers:
            process.note()
        wait_for(self.has_copied, f"a copier to get on after round {number} ({kind})", 60)

    def in_a_transaction(self, rather: int) -> int:
        """A copier that has a transaction open, if there is one: rather this one."""
        until = time.monotonic() + AIM_S
        while not self.copiers[rather].tally.open and time.monotonic() < until:
            time.sleep(0.001)
        found = [number for number, copier in enumerate(self.copiers) if copier.tally.open]
        return rather if rather in found or not found else found[0]

    def taken_over(self) -> None:
        """Wait until the group is further in every partition, which takes one that has lost nobody; not for longer than LONG_S."""
        began = time.monotonic()
        with RawClient(self.engine.address) as client:
            ask = asked_over(client)
            before = [committed_offset(ask, GROUP, SOURCE, index)[0] for index in range(PARTITIONS)]
            left = set(range(PARTITIONS))
            while left and time.monotonic() < began + LONG_S:
                time.sleep(0.05)
                left = {index for index in left if committed_offset(ask, GROUP, SOURCE, index)[0] <= before[index]}

    def has_copied(self) -> bool:
        """Whether a transaction was committed since the last note."""
        for process in self.copiers:
            with process.path.open("rb") as file:
                file.seek(process.noted)
                if b"copied" in file.read():
                    return True
        return False

    # ---- the end

    def die_in_a_transaction(self) -> None:
        """A copier is killed with a transaction open, the engine too, and only the engine comes back. What was open does not stay so."""
        outcome, limit_s = self.run.outcome, TIMEOUT_MS / 1000 + LATE_S
        written = wait_for(self.paused_in_a_transaction, "a transaction of a copier to have written something", 60, pause_s=0.05)
        self.copiers[0].kill()
        self.engine.kill()
        self.engine.start()
        began = time.monotonic()
        stable = self.stable()
        left = {place: stable[place] for place in written}
        while left and time.monotonic() < began + limit_s:
            time.sleep(0.05)
            now = self.stable()
            left = {place: offset for place, offset in left.items() if now[place] == offset}
        for place, offset in left.items():
            outcome.problem(f"{limit_s:.0f} s after its producer died a transaction is still open at {place}@{offset} ({self.protocol})")
        outcome.figures["ended_after_s"] = round(time.monotonic() - began, 1)

    def paused_in_a_transaction(self) -> list[Place]:
        """Pause the first copier; the partitions that its transaction has in the target. It goes on if there are none."""
        if not self.copiers[0].tally.open:
            return []
        self.copiers[0].pause()
        with RawClient(self.engine.address) as client:
            (found,) = asked_over(client)(DescribeTransactionsRequest(transactional_ids=[COPIERS[0]]), 0).transaction_states
        written = [Place(TARGET, index) for topic in found.topics if topic.topic == TARGET for index in topic.partitions]
        if found.transaction_state == "Ongoing" and written:
            return written
        self.copiers[0].resume()
        return []

    def stable(self) -> dict[Place, int]:
        """The last stable offsets of the target."""
        with RawClient(self.engine.address) as client:
            ask = asked_over(client)
            return {place: offset_of(ask, place, LATEST, committed=True) for place in PLACES}

    def settle(self) -> None:
        """The copier that is left copies the rest."""
        self.feeder.end()
        self.feeder.wait()
        sent = self.sent()

        def copied_all() -> bool:
            with RawClient(self.engine.address) as client:
                ask = asked_over(client)
                return sum(max(0, committed_offset(ask, GROUP, SOURCE, index)[0]) for index in range(PARTITIONS)) >= sent

        wait_for(copied_all, f"all of {sent} records to be copied", 90, pause_s=0.05)
        for process in (self.copiers[1], self.reader):
            process.end()
            process.wait()

    def sent(self) -> int:
        return next(int(line[1]) for line in self.feeder.lines() if line[0] == "sent")


def torture(run: Run) -> None:
    outcome = run.outcome
    scene = Scene(run)
    wanted, rounds = len(DECK) if run.fault else run.amount(ROUNDS, ROUNDS_QUICK), 0
    outcome.figures["protocol"] = scene.protocol
    try:
        for copier in scene.copiers:
            wait_for(lambda copier=copier: copier.tally.answered, f"the first transaction of {copier.name}", 60)  # type: ignore[misc]
        deck: list[str] = []
        while rounds < len(DECK) or (not run.over and rounds < wanted):
            deck = deck or run.random.sample(DECK, len(DECK))
            scene.round(rounds, deck.pop())
            rounds += 1
        outcome.figures |= {"rounds": rounds, "wanted": wanted}
        scene.die_in_a_transaction()
        if not outcome.problems:
            scene.settle()
            judge(run, scene, rounds)
    except AssertionError as error:
        outcome.problem(f"somebody did not get on: {error}")
    finally:
        scene.close()


def judge(run: Run, scene: Scene, rounds: int) -> None:
    """The output against the input, and what the reader got on the way."""
    outcome, address, history = run.outcome, scene.engine.address, History()
    for index, place in enumerate(PLACES):
        for _, copied in records_of(address, Place(SOURCE, index)):
            history.send(SOURCE, place, copied)
            history.acknowledge(place, copied)
    assignment = 0
    for line in scene.reader.lines():
        match line:
            case ["assigned", *_]:
                assignment += 1
            case ["read", partition, offset, value]:
                history.read(f"reader-{assignment}", PLACES[int(partition)], [(int(offset), value.encode())])
    final_read(history, address, TARGET, PARTITIONS, transactions=True)
    said = [line for process in (*scene.copiers, *scene.ended) for line in process.lines()]
    for kind, found in history.anomalies().items():
        for anomaly in found:
            outcome.problem(f"{kind}: {anomaly} ({rounds} rounds, {scene.protocol})")
    for process in scene.everyone:
        for line in process.lines():
            if line[0] == "fatal":
                outcome.problem(f"a client did not get over it: {process.name}: {' '.join(line)}")
    outcome.figures |= {
        "copied": sum(map(len, history.final.values())),
        "written": sum(map(len, history.final_uncommitted.values())),
        "aborted": sum(line[0] == "aborted" for line in said),
        "began_anew": sum(line[0] == "again" for line in said),
    }
