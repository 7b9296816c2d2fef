"""`kill -9` under load, a thousand times: four idempotent clients and a transactional one write, two groups read (R1).

Each cycle waits until one of the writers, which the seed draws, was answered again, and a drawn moment longer; then the engine is
killed (now and then stopped as an administrator does) and started again, each time with a drawn way of flushing. Nothing that was
acknowledged may be lost, repeated or out of order, nothing that was aborted or taken back may be read, no commit of a group may be
forgotten; the clients get over it by themselves. In the end everything is read from beginning to end.
"""

from __future__ import annotations

import re
import time

from support.final_read import unsettled
from support.history import History, Outcome, Place
from support.traffic import PARTITIONS, TOPIC, Traffic
from support.waiting import wait_for
from torture.run import Run

FAULTS = (
    "rounds.answered_before_it_is_written",
    "rounds.read_before_it_is_written",
    "producers.only_the_newest_batch",
    "transactions.aborted_are_forgotten",
)
CYCLES, CYCLES_QUICK, CYCLES_LEAST = 1000, 60, 8
RATE = 120
CLEAN_STOPS = 0.1
WAITS_S = (0.02, 0.2)
"""How long after a writer got on: soon, when everybody is sending again what was not answered, or later."""
METHODS = ("auto", "auto", "journal", "file")
SETTINGS = {
    "log.segment.bytes": str(1 << 20),
    "ev.checkpoint.interval.ms": "300",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "group.initial.rebalance.delay.ms": "0",
}
RECOGNISED = re.compile(r"a resent batch was recognised")
CYCLE_S = 0.54
"""A thousand cycles are to fit into a whole run."""


def torture(run: Run) -> None:
    try:
        loop(run)
    except AssertionError as error:
        run.outcome.problem(f"somebody did not get on: {error}")


def loop(run: Run) -> None:
    """Crash after crash, and then the judgement."""
    outcome, draw = run.outcome, run.random
    engine = run.engine(settings=SETTINGS).start()
    wanted = CYCLES_LEAST if run.fault else run.amount(CYCLES, CYCLES_QUICK)
    cycles = clean = 0
    with Traffic(run.directory, engine.address, rate=RATE, transactions=True) as traffic:
        for process in traffic.writers:
            traffic.gets_on(process, "before the first crash")  # some clients give up when there is no broker when they begin
        began = time.monotonic()
        while cycles < CYCLES_LEAST or (not run.over and cycles < wanted):
            traffic.gets_on(draw.choice(traffic.writers), f"in cycle {cycles}")
            time.sleep(draw.uniform(0, draw.choice(WAITS_S)))
            if draw.random() < CLEAN_STOPS:
                clean += 1
                if (status := engine.stop()) != 0:
                    outcome.problem(f"cycle {cycles}: a stop ended with status {status}")
            else:
                outcome.in_flight += traffic.in_flight
                outcome.injected += 1
                engine.kill()
            traffic.learn_commits()
            engine.settings["ev.flush.method"] = draw.choice(METHODS)
            engine.start()
            traffic.note()
            for lost in traffic.lost_commits():
                outcome.problem(f"cycle {cycles}: {lost}")
            cycles += 1
        took_s = time.monotonic() - began
        traffic.end()
        places = [Place(TOPIC, partition) for partition in range(PARTITIONS)]
        wait_for(lambda: not unsettled(engine.address, places), "every transaction to be ended")
        for line in traffic.fatal():
            outcome.problem(f"a client did not get over a crash: {line}")
        history = traffic.history()
    judge(run, history, cycles)
    outcome.figures |= {"cycles": cycles, "wanted": wanted, "clean_stops": clean, "recognised": len(RECOGNISED.findall(engine.log()))}
    if cycles:
        outcome.bound("cycle_s", round(took_s / cycles, 3), CYCLE_S)
    if not outcome.problems and engine.stop() != 0:
        outcome.problem("the last stop failed")


def judge(run: Run, history: History, cycles: int) -> None:
    """The history's anomalies, and what must have happened for the run to prove anything."""
    outcome = run.outcome
    for kind, lines in history.anomalies().items():
        for line in lines:
            outcome.problem(f"{kind}: {line} ({cycles} cycles)")
    ended = [transaction.outcome for transaction in history.transactions]
    outcome.figures |= {
        "acknowledged": sum(map(len, history.acked.values())),
        "read": sum(map(len, history.reads.values())),
        "committed": ended.count(Outcome.COMMITTED),
        "aborted": ended.count(Outcome.ABORTED),
    }
    if not (history.reads and all(history.acked.values()) and any(history.commits.values())):
        outcome.problem("somebody was never answered: the run proves nothing")
