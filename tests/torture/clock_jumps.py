"""The wall clock jumps by up to an hour, forth and back, while everything that has a time-out is under way (R13).

The machine's clock is left alone: the engine is one of the test build, whose wall clock is the machine's plus what this torture says; its
monotonic clock goes on. Some backward jumps come with a `kill -9`, as if the clock had been set while the engine was away.

    sessions       members that beat their hearts are never lost, those that fall silent are gone in time
    transactions   a long one, open across jumps, can be committed; one that is left alone is aborted at its time-out
    retention      by time: nothing goes that is younger than it says, by any clock; by size: it goes on after every jump
    timestamps     LogAppendTime is the broker's wall clock at that moment, CreateTime is left as it was
    look-up        by timestamp, over records whose times go back and forth, finds what a naive search finds
    log            nothing acknowledged is lost, twice, or out of order
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from random import Random

from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from support.engine import Engine
from support.raw_members import Topic
from support.raw_transactions import Ask, TransactionalProducer, fetched
from support.tireless_client import TirelessClient
from torture import sessions
from torture.faults.switches import SHIFT, Shift
from torture.feeders import Feeder, Found, read_all
from torture.outcome import Outcome
from torture.run import Run
from torture.sessions import Watched

FAULTS = (
    "clock.sessions_by_the_wall",
    "clock.transactions_by_the_wall",
    "clock.transaction_timer_by_the_wall",
    "clock.upkeep_by_the_wall",
    "clock.newest_timestamp_for_largest",
    "clock.append_time_never_goes_back",
)
HOUR_MS = 3_600_000
JUMPS, JUMPS_QUICK, JUMPS_SEEDED = 100, 20, 6
"""The last is for engines with a seeded fault: the first two jumps go the whole way, and some faults are seen at the end only."""
GAP_S = (0.4, 1.0)
GAP_WHOLE_S = (1.0, 6.0)
LONG_MS = 60_000
SHORT_S = 1.2
SLACK_S = 2.0
TRIMMED_S = 5.0
LOOK_UPS = 60
YOUNG = {"retention.ms": str(3 * HOUR_MS), "segment.bytes": "65536", "index.interval.bytes": "1000"}
TOPICS = {
    "created": YOUNG,
    "appended": {**YOUNG, "message.timestamp.type": "LogAppendTime"},
    "trimmed": {"retention.ms": "-1", "retention.bytes": "131072", "segment.bytes": "32768"},
    "long": {},
    "short": {},
}
SETTINGS = {
    **sessions.SETTINGS,
    "log.retention.check.interval.ms": "200",
    "ev.checkpoint.interval.ms": "200",
    "file.delete.delay.ms": "100",
    "log.message.timestamp.after.max.ms": str(3 * HOUR_MS),
    "producer.id.expiration.ms": str(3 * HOUR_MS),
    "transactional.id.expiration.ms": str(3 * HOUR_MS),
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "2",
}


class Shifts:
    """What the clock was set to, and when."""

    def __init__(self, shift: Shift) -> None:
        self._shift = shift
        self._times, self._values = [0.0], [0]

    @property
    def ms(self) -> int:
        return self._values[-1]

    def set(self, ms: int) -> None:
        self._times.append(time.monotonic())
        self._values.append(ms)
        self._shift.ms = ms

    def between(self, begin_s: float, end_s: float) -> list[int]:
        """Everything that it was set to in this time, and a moment before."""
        first = bisect_right(self._times, begin_s - 0.01) - 1
        return self._values[first : bisect_right(self._times, end_s)]


class LongTransactions(Watched):
    """Transactions that write, wait, write elsewhere, and commit. Their time-out is far away."""

    def __init__(self, outcome: Outcome, address: Callable[[], str], random: Random) -> None:
        super().__init__(outcome, address, "long")
        self.random = random
        self.producer = TransactionalProducer(self.ask, "long", timeout_ms=LONG_MS)
        self.committed: dict[int, list[bytes]] = {0: [], 1: []}
        self.number = 0

    def step(self) -> None:
        if not self.number and (code := self.producer.begin()):
            self.outcome.problem(f"InitProducerId was answered {code}")
        self.number += 1
        written = {index: b"%d in %d" % (self.number, index) for index in (0, 1)}
        codes = []
        for index, value in written.items():
            codes.append(self.producer.write("long", index, value))
            self.ending.wait(self.random.uniform(0.1, 0.8))
        codes.append(self.producer.end(commit=True))
        if any(codes):
            self.outcome.problem(f"transaction {self.number}, with a time-out of {LONG_MS} ms, took a second or two and ended in {codes}")
        for index, value in written.items():
            self.committed[index].append(value)

    def judge(self, ask: Ask) -> None:
        for index, values in self.committed.items():
            found = [record.value for record in read_all(ask, "long", 0, index, committed=True)]
            if found != values:
                self.outcome.problem(f"partition {index} of the transactions has {len(found)} records, {len(values)} were committed")
        self.outcome.add("transactions", self.number)


class ShortTransactions(Watched):
    """Transactions that nobody ends: they are aborted at their time-out, so that readers get on."""

    def __init__(self, outcome: Outcome, address: Callable[[], str], grace_s: Callable[[], float]) -> None:
        super().__init__(outcome, address, "short")
        self.grace_s = grace_s
        self.aborted = 0

    def step(self) -> None:
        producer = TransactionalProducer(self.ask, f"short-{self.aborted}", timeout_ms=round(SHORT_S * 1000))
        grace_s = self.grace_s()
        codes = [producer.begin()]
        began = time.monotonic()
        codes.append(producer.write("short", 0, b"left alone"))
        latest = time.monotonic()
        if any(codes):
            self.outcome.problem(f"a new transaction was answered {codes}")
            return
        while self._is_open():
            late_s = time.monotonic() - latest - SHORT_S - SLACK_S - (self.grace_s() - grace_s)
            if late_s > 0:
                self.outcome.problem(f"a transaction with a time-out of {SHORT_S} s is open {late_s + SLACK_S:.1f} s after it")
                return
            time.sleep(0.04)
        took_s = time.monotonic() - began
        if took_s < SHORT_S - 0.1:
            self.outcome.problem(f"a transaction with a time-out of {SHORT_S} s was over after {took_s:.2f} s")
        self.aborted += 1

    def _is_open(self) -> bool:
        answer = fetched(self.ask, "short", 0, committed=True, offset=0)
        return bool(answer.last_stable_offset < answer.high_watermark)

    def judge(self) -> None:
        self.outcome.add("transactions_timed_out", self.aborted)


def torture(run: Run) -> None:
    shift = Shift(run.directory / "clock")
    engine = run.engine(settings=SETTINGS, variables={SHIFT: str(shift.path)})
    engine.fault = "+".join(filter(None, ("switches.shifted_clock", run.fault)))
    engine.start()
    shifts, outcome = Shifts(shift), run.outcome
    grace = [0.0]

    def address() -> str:
        return engine.address

    auditor = TirelessClient(address)
    for name, configs in TOPICS.items():
        given = [CreatableTopicConfig(*config) for config in configs.items()]
        wanted = CreatableTopic(name=name, num_partitions=2 if name == "long" else 1, replication_factor=1, configs=given)
        assert auditor.ask(CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 5).topics[0].error_code == 0
    feeders = {name: Feeder(outcome, address, name, Random(run.random.random()), 0.04) for name in ("created", "appended", "trimmed")}
    people = sessions.everybody(outcome, address, Topic(auditor.ask, "members", 1), grace_s=lambda: grace[0])
    transactions = LongTransactions(outcome, address, Random(run.random.random())), ShortTransactions(outcome, address, lambda: grace[0])
    for one in (*feeders.values(), *transactions):
        one.start()
    everybody: list[Watched] = [*feeders.values(), *people, *transactions]
    jumps(run, engine, shifts, auditor, [one.client for one in everybody], grace)
    for one in everybody:
        one.end()
    if outcome.problems:
        return
    for one in people:
        one.judge()
    transactions[0].judge(auditor.ask)
    transactions[1].judge()
    for name, feeder in feeders.items():
        start = offset_at(auditor.ask, name, -2)[0]
        if name != "trimmed" and start != 0:
            outcome.problem(
                f"{name} begins at {start}: records went that were at most two hours old, of {3 * HOUR_MS} ms that they may stay"
            )
        found = feeder.judge(auditor.ask, start)
        judge_timestamps(outcome, feeder, found, shifts)
        judge_look_ups(run, auditor.ask, name, found)
    auditor.close()
    outcome.figures["shift_ms"] = shifts.ms
    if not outcome.problems and (status := engine.stop()):
        outcome.problem(f"the engine ended with status {status}")


def jumps(run: Run, engine: Engine, shifts: Shifts, auditor: TirelessClient, clients: list[TirelessClient], grace: list[float]) -> None:
    """Set the clock, again and again; `grace` counts by how much time-outs may have been prolonged."""
    random, done = run.random, 0
    wanted_jumps = JUMPS_SEEDED if run.fault else run.amount(JUMPS, JUMPS_QUICK)
    while done < wanted_jumps and not run.over:
        time.sleep(random.uniform(*(GAP_S if run.quick else GAP_WHOLE_S)))
        wanted = random.choice((-HOUR_MS, HOUR_MS, 0, random.randint(-HOUR_MS, HOUR_MS), random.randint(-HOUR_MS, HOUR_MS)))
        if done in (0, 1):
            wanted = (HOUR_MS, -HOUR_MS)[done]  # whatever is drawn: the whole way forth, and twice that back
        before = offset_at(auditor.ask, "trimmed", -2)[0]
        in_flight = sum(client.asking for client in clients)
        if wanted < shifts.ms and random.random() < 0.2:
            engine.kill()
            shifts.set(wanted)
            engine.start()
            grace[0] += sessions.SESSION_S + 3  # sessions begin anew, and the start takes its time
            run.outcome.add("kills")
        else:
            shifts.set(wanted)
        run.outcome.injected += wanted != 0
        run.outcome.in_flight += in_flight
        done += 1
        wait_until_trimmed(run, auditor.ask, before)
    run.outcome.figures["jumps"] = done


def wait_until_trimmed(run: Run, ask: Ask, before: int) -> None:
    """Retention by size goes on: the log's start moves."""
    deadline = time.monotonic() + TRIMMED_S
    while offset_at(ask, "trimmed", -2)[0] <= before and not run.outcome.problems:
        if time.monotonic() > deadline:
            run.outcome.problem(f"{TRIMMED_S} s after a jump nothing was deleted of a topic that is larger than its retention.bytes")
            return
        time.sleep(0.02)


def offset_at(ask: Ask, topic: str, timestamp: int) -> tuple[int, int]:
    """(offset, timestamp) of the first record that is not older; -2 and -1 mean the start and the end."""
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[partition])])
    answer = ask(request, 5).topics[0].partitions[0]
    assert answer.error_code == 0, answer.error_code
    return answer.offset, answer.timestamp


def judge_timestamps(outcome: Outcome, feeder: Feeder, found: list[Found], shifts: Shifts) -> None:
    """Each record has the time that its sender gave it, or that the broker's clock showed between request and answer."""
    stamps = {record.offset: record.timestamp for record in found}
    for batch in feeder.sent:
        stamp = stamps.get(batch.offset)
        if stamp is None:
            continue
        if feeder.topic != "appended":
            low = high = batch.timestamp
        else:
            now_ms = time.time() * 1000 - time.monotonic() * 1000
            possible = shifts.between(batch.sent_s, batch.acked_s)
            low = round(now_ms + batch.sent_s * 1000 + min(possible)) - 20
            high = round(now_ms + batch.acked_s * 1000 + max(possible)) + 20
        if not low <= stamp <= high:
            outcome.problem(f"{feeder.topic}: the batch at {batch.offset} has the time {stamp}, {low} to {high} was due")
            return


def judge_look_ups(run: Run, ask: Ask, topic: str, found: list[Found]) -> None:
    """The first record that is not older than a time: as a search from the beginning finds it."""
    stamps = [record.timestamp for record in found]
    if not stamps:
        return
    for _ in range(LOOK_UPS):
        wanted = run.random.choice((run.random.choice(stamps), run.random.choice(stamps) + 1, run.random.randint(min(stamps), max(stamps))))
        expected = next(((record.offset, record.timestamp) for record in found if record.timestamp >= wanted), (-1, -1))
        if (told := offset_at(ask, topic, wanted)) != expected:
            run.outcome.problem(f"{topic}: the first record at or after {wanted} is {expected}, the broker says {told}")
            return
    run.outcome.add("look_ups", LOOK_UPS)
