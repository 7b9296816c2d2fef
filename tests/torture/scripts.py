"""What a client does while a system call of the engine is made to fail or to kill it: short scripts that meet every kind of change.

All of them begin in a data directory with a bit of everything in it (`Stage`), which is made once and copied.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from ev.disk import RealDisk
from support.damage import said
from support.engine import Engine, NotReadyError
from support.ledger import TRANSACTIONS_IN, Customer, GoneError, Ledger
from support.system_calls import Call, Point, calls, watched, words
from torture.run import Run

SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "ev.checkpoint.interval.ms": "100",
    "ev.checkpoint.bytes": "65536",
    "file.delete.delay.ms": "0",
    "log.retention.check.interval.ms": "100",
}
ORDERS, PROFILES, GROUP = "orders", "profiles", "billing"
COMPACTED = {"cleanup_policy": "compact", "segment_bytes": "3000", "min_cleanable_dirty_ratio": "0.01", "file_delete_delay_ms": "0"}
COMPACTED_WITHIN_S = 1.5
DIES_WITHIN_S = 1.0


def create_topics(customer: Customer, engine: Engine) -> None:
    """Three topics come into being and get a record each."""
    for number in range(3):
        name = f"new-{number}"
        if not customer.create(name, segment_bytes="2000"):
            customer.produce(name, 1)


def produce_and_roll(customer: Customer, engine: Engine) -> None:
    """Batches that fill some segments, with three in flight."""
    for _ in range(4):
        customer.produce(ORDERS, 3, 700)


def commit_offsets(customer: Customer, engine: Engine) -> None:
    """One commit after the other."""
    last = customer.ledger.commits[f"{GROUP}/{ORDERS}"][-1]
    for offset in range(last + 1, last + 11):
        customer.commit(GROUP, ORDERS, offset)


def transact(customer: Customer, engine: Engine) -> None:
    """Transactions with an offset in them, committed and aborted."""
    for number in range(4):
        customer.transact(TRANSACTIONS_IN, 3, commit=number % 2 == 0, group="copying")


def delete_topic(customer: Customer, engine: Engine) -> None:
    """A topic goes, and another one of its name comes."""
    customer.produce(ORDERS, 2, 700)
    if not customer.delete(ORDERS) and not customer.create(ORDERS, segment_bytes="2000"):
        customer.produce(ORDERS, 2)


def delete_records(customer: Customer, engine: Engine) -> None:
    """The beginning of a log goes, and its segments with it."""
    customer.produce(ORDERS, 8, 700)
    told = [sent.offset for sent in customer.ledger.topics[ORDERS].sent if sent.offset is not None]
    customer.delete_records(ORDERS, told[-3] if len(told) > 2 else 0)
    customer.produce(ORDERS, 2)
    time.sleep(0.3)
    customer.produce(ORDERS, 1)


def compact(customer: Customer, engine: Engine) -> None:
    """Values under a few keys, until a compacted segment has taken its place."""
    customer.produce(PROFILES, 24, 300, keys=4)
    directory = engine.directory / f"{PROFILES}-0"
    deadline = time.monotonic() + COMPACTED_WITHIN_S
    before = sizes(directory)
    while time.monotonic() < deadline and sizes(directory) >= before:
        time.sleep(0.05)
        customer.produce(PROFILES, 1, 100, keys=4)


def sizes(directory: pathlib.Path) -> int:
    total = 0
    for path in directory.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def stop(customer: Customer, engine: Engine) -> None:
    """A clean stop with things to be written out."""
    customer.produce(ORDERS, 3)
    customer.commit(GROUP, ORDERS, 1000)
    engine.stop()


def start(customer: Customer, engine: Engine) -> None:
    """Nothing but a start, on what a killed engine has left."""


class Script(NamedTuple):
    """One of them. `at_start`: the calls of the start are the ones that count; else those after it."""

    run: Callable[[Customer, Engine], None]
    at_start: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", " ")


SCRIPTS = (
    Script(start, at_start=True),
    Script(produce_and_roll),
    Script(create_topics),
    Script(transact),
    Script(commit_offsets),
    Script(delete_topic),
    Script(stop),
    Script(delete_records),
    Script(compact),
)


class Stage:
    """Where scripts are played: copies of a data directory that was left by a kill, and of one that was left by a stop."""

    def __init__(self, run: Run) -> None:
        self.killed = run.directory / "killed"
        self.stopped = run.directory / "stopped"
        self.ledger = Ledger()
        engine = run.engine("killed", settings=SETTINGS)
        engine.fault = ""  # what is there before is sound
        engine.start()
        customer = Customer(self.ledger)
        customer.connect(engine.address)
        customer.find_coordinators()
        customer.begin_producing()
        customer.create(ORDERS, segment_bytes="2000")
        customer.create(TRANSACTIONS_IN, segment_bytes="2000")
        customer.create(PROFILES, **COMPACTED)
        customer.produce(ORDERS, 5, 700)
        customer.produce(PROFILES, 5, 300, keys=4)
        customer.commit(GROUP, ORDERS, 1)
        for commits in (True, False):
            customer.transact(TRANSACTIONS_IN, 2, commit=commits)
        time.sleep(0.3)  # a checkpoint, so that there is something before it and behind it
        customer.produce(ORDERS, 4)
        customer.commit(GROUP, ORDERS, 2)
        engine.kill()
        shutil.copytree(self.killed, self.stopped)
        cleaner = run.engine("stopped", settings=SETTINGS)
        cleaner.fault = ""
        cleaner.start()
        cleaner.stop()

    def set(self, run: Run, script: Script) -> tuple[Engine, Customer]:
        """An engine on a fresh copy, not started, and a client with its ledger."""
        place = run.directory / "stage"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.killed if script.at_start else self.stopped, place / "data", copy_function=copied)
        run.engines = [engine for engine in run.engines if engine.directory != place / "data"]  # the one before has ended
        return run.engine("stage/data", settings=SETTINGS), Customer(self.ledger.copy())


def copied(source: str, target: str) -> None:
    """A copy; of the reserve, which is never written, a link is enough."""
    if source.endswith(".ev-reserve"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def points_of(run: Run, stage: Stage, script: Script) -> list[Call]:
    """Run the script to its end: every call that changes the data directory in the part of the life that counts, in an order of chance."""
    engine, customer = stage.set(run, script)
    log = play(engine, customer, script)
    engine.kill()
    found = list({call.point: call for call in calls(log) if call.changes(engine.directory)}.values())
    run.random.shuffle(found)
    return sorted(found, key=lambda call: call.syncs)  # from the end: a short run meets those first at which somebody waits for the disk


def play(engine: Engine, customer: Customer, script: Script, point: Point | None = None, what: str = "") -> pathlib.Path:
    """Run the script, as far as the engine lives, with something happening at a point. Returns what strace has seen."""
    log = engine.directory.with_name("calls")
    log.unlink(missing_ok=True)
    engine.wrapper = tuple(words(log, point, what)) if script.at_start else ()
    try:
        engine.start()
    except NotReadyError as error:
        customer.lost += 1  # whoever has started it waits for it to be ready
        customer.start_said = str(error)
        return log
    finally:
        engine.wrapper = ()
    with contextlib.nullcontext() if script.at_start else watched(engine.pid, log, point, what):
        try:
            customer.connect(engine.address)
            script.run(customer, engine)
        except (GoneError, NotReadyError, AssertionError):  # the last: told to come again until it had enough
            with contextlib.suppress(subprocess.TimeoutExpired):
                engine.wait(DIES_WITHIN_S)
    return log


def verdict(engine: Engine, customer: Customer) -> list[str]:
    """What is wrong with what a killed engine has left, for the next engine and for the client."""
    problems = [f"verify finds damage: {each}" for each in said(RealDisk(), str(engine.directory))]
    try:
        engine.start()
    except NotReadyError as problem:
        return [*problems, f"the next start fails: {problem}"]
    try:
        customer.connect(engine.address)
        problems += customer.judge()
        problems += customer.go_on()
        for name in list(customer.ledger.topics):
            if customer.produce(name, 1, keys=4):
                problems.append(f"{name}: a new record is refused")
        problems += customer.judge()
    except (GoneError, AssertionError, LookupError) as problem:
        problems.append(f"the client cannot go on: {problem!r}: {engine.log()[-1500:]}")
    if engine.stop() != 0:
        problems.append(f"the next engine does not stop cleanly: {engine.log()[-1500:]}")
    problems += [f"after a clean stop verify finds damage: {each}" for each in said(RealDisk(), str(engine.directory))]
    return problems
