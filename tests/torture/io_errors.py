"""System calls fail: EIO and ENOSPC at every call that changes the data directory, a full disk, short writes (R7).

Three ways, in turn:

* each call that changes the data directory in the scripts (`torture.scripts`) is answered with EIO or ENOSPC by strace, once. After a sync
  that failed nothing more is acknowledged and the engine ends with status 74 within a second: what the page cache holds is not what the
  disk holds. After any other call it may go on, or end in the same way. Then it is killed, and the next start serves what was acknowledged
  and nothing that was refused;
* a file system in memory is filled up: records are refused, fetches, commits of offsets and deletions go on, an engine that is killed
  starts again, and when there is room records are taken again within five seconds, without anybody's doing;
* a file may grow no further than to somewhere within the next batch (RLIMIT_FSIZE), so that its write is short: the batch is refused, and
  what was written of it is cut off at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import resource
import subprocess
import time
from collections.abc import Iterator

from support.engine import Engine
from support.ledger import WINDOW, Customer, GoneError, Ledger
from support.raw_transactions import fetched
from support.system_calls import Call, calls
from torture.run import Run
from torture.scripts import SCRIPTS, Script, Stage, play, points_of, verdict
from torture.side_by_side import side_by_side

NEEDS = ("strace", "root")
FAULTS = ("disk.sync_retried", "log.no_cut_back", "log.full_for_ever")
PROCESSES, PROCESSES_QUICK = 2, 1
A_TURN = 4
ERRORS = ("EIO", "ENOSPC")
EXIT_DISK = 74
ENDS_WITHIN_S = 1.0
ANSWERS_ON_THEIR_WAY_S = 0.1
RESUMES_WITHIN_S, WAITED_S = 5.0, 12.0
SMALL_BYTES = 96 << 20
LARGE = 300_000
"""Bytes of a record that goes to its file at once, in one write."""
BIG, GROUP = "big", "group"
SETTINGS = {"offsets.topic.num.partitions": "1", "file.delete.delay.ms": "0"}


def torture(run: Run) -> None:
    """The three ways in turn, until all calls are done or time is up."""
    stage = Stage(run)
    count = run.amount(PROCESSES, PROCESSES_QUICK)
    known = {script.name: points_of(run, stage, script) for script in SCRIPTS} if count > 1 else {}

    def work(run: Run, share: int) -> None:
        errors = at_calls(run, stage, {name: points[share::count] for name, points in known.items()})
        with small_disk(run) as place:
            ways: list[Iterator[None]] = [errors, short_writes(run), full_disk(run, place)]
            for way in ways:  # each once, even if time is up: on a busy machine the stage alone takes seconds
                if not run.outcome.problems:
                    next(way)
            ways.append(errors)
            while ways and not run.over:
                ways = [way for way in ways if not run.over and next(way, run) is None]

    side_by_side(run, count, work)


# Errors at calls.


def at_calls(run: Run, stage: Stage, left: dict[str, list[Call]]) -> Iterator[None]:
    """A few calls of each script in turn; of each both errors, one after the other."""
    turns = list(SCRIPTS)
    while turns:
        script = turns.pop(0)
        if script.name not in left:
            left[script.name] = points_of(run, stage, script)
        points = left[script.name]
        for number in range(A_TURN):
            wanted = [call for call in points if call.syncs == (number % 2 == 0)] or points
            if wanted and not run.over:
                points.remove(wanted[-1])
                for error in ERRORS if run.random.random() < 0.3 else (run.random.choice(ERRORS),):
                    fail_at(run, stage, script, wanted[-1], error)
                yield
        if points:
            turns.append(script)


def fail_at(run: Run, stage: Stage, script: Script, call: Call, error: str) -> None:
    """Run the script with one call failing; judge how the engine takes it, and what the next one finds."""
    outcome = run.outcome
    engine, customer = stage.set(run, script)
    log = play(engine, customer, script, call.point, f"error={error}")
    met = next((each for each in calls(log) if each.injected), None)
    if met is None:
        engine.kill()
        outcome.add("calls_not_met")
        return
    outcome.injected += 1
    outcome.in_flight += customer.lost + customer.refusals
    outcome.add(f"{error}_at_{met.point.call}")
    label = f"seed {run.seed}: {script.name}, {error} at {met.point.call} number {met.point.number} ({met.text[:160]})"
    for problem in how_it_was_taken(run, engine, customer, script, met, error):
        outcome.problem(f"{label}: {problem}; {engine.log()[-1000:]}")
    engine.kill()
    for problem in verdict(engine, customer):
        outcome.problem(f"{label}: {problem}")


def how_it_was_taken(run: Run, engine: Engine, customer: Customer, script: Script, met: Call, error: str) -> Iterator[str]:
    """What is wrong with how the engine goes on, or does not, after the call has failed."""
    fatal = met.syncs and ".cleaned" not in met.text  # what a compaction could not write is written again, to another file
    if fatal:
        left_s = met.at + ENDS_WITHIN_S - time.time()
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(max(left_s, 0.2))
        if engine.running:
            yield "the sync failed, and the engine goes on"
            return
        late = [sent for topic in customer.ledger.topics.values() for sent in topic.sent if sent.told_at > met.at + ANSWERS_ON_THEIR_WAY_S]
        if late:
            yield f"{len(late)} batches were acknowledged after the failed sync"
    if customer.start_said:
        if f"failed {EXIT_DISK}" not in customer.start_said and engine.wait() != EXIT_DISK:
            yield f"the start has not said that the disk failed: {customer.start_said[:300]}"
    elif not engine.running:
        status = engine.wait()
        if status != EXIT_DISK and not (status == 0 and script.name == "stop" and not fatal):
            yield f"the engine has ended with status {status}"
    elif error == "ENOSPC":
        yield from resumes(run, customer)


def resumes(run: Run, customer: Customer) -> Iterator[str]:
    """Whether records are taken again by themselves."""
    name = next((name for name, topic in customer.ledger.topics.items() if topic.there), None)
    if name is None:
        return
    began = time.monotonic()
    try:
        while customer.produce(name, 1, keys=4):
            if time.monotonic() - began > WAITED_S:
                yield f"there is room, and after {WAITED_S} s {name} still takes no records"
                return
            time.sleep(0.05)
    except GoneError as problem:
        yield f"the engine went away while it was full: {problem}"
        return
    resumed_s = max(round(time.monotonic() - began, 2), run.outcome.figures.get("resumed_s", 0.0))
    run.outcome.bound("resumed_s", resumed_s, RESUMES_WITHIN_S)


# A full disk.


@contextlib.contextmanager
def small_disk(run: Run) -> Iterator[pathlib.Path]:
    """A small file system in memory."""
    place = run.directory / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        for engine in run.engines:
            engine.close()
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def lived(run: Run, directory: pathlib.Path, least: str) -> tuple[Engine, Customer]:
    """An engine with one topic for large records, and a client."""
    engine = run.engine(directory, settings={**SETTINGS, "ev.disk.min.free.bytes": least})
    engine.start()
    customer = Customer(Ledger())
    customer.connect(engine.address)
    customer.find_coordinators()
    customer.begin_producing()
    assert customer.create(BIG, segment_bytes=str(16 << 20)) == 0
    assert customer.commit(GROUP, BIG, 0) == 0  # the topic for offsets is made when it is first needed
    return engine, customer


def full_disk(run: Run, place: pathlib.Path) -> Iterator[None]:
    """Fill the disk, look at what goes on, make room; with a default reserve, and to the last byte."""
    for life in itertools.count():
        least = ("0", str(256 << 20))[life % 2]
        directory = place / f"data-{life}"
        engine, customer = lived(run, directory, least)
        for number in range(4):
            try:
                problems = list(fill(run, engine, customer, place, kill=number % 2 == 1))
            except (GoneError, AssertionError, LookupError) as error:
                problems = [f"the client cannot go on: {error!r}"]
            for problem in problems:
                run.outcome.problem(
                    f"seed {run.seed}: full disk, ev.disk.min.free.bytes={least}, time {number}: {problem}; {engine.log()[-1500:]}"
                )
            yield
        engine.kill()
        for problem in verdict(engine, customer):
            run.outcome.problem(f"seed {run.seed}: after a full disk: {problem}")
        run.engines.remove(engine)
        subprocess.run(["rm", "-rf", str(directory)], check=True)


def fill(run: Run, engine: Engine, customer: Customer, place: pathlib.Path, *, kill: bool) -> Iterator[str]:
    """Once: something else takes the room, records are refused, all the rest goes on; then it gives the room back."""
    ballast = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - run.random.randrange(8 << 20), 1))
    for _ in range(SMALL_BYTES // LARGE):
        if customer.produce(BIG, WINDOW, LARGE):
            break
    else:
        yield "the disk is full and records are taken"
    run.outcome.injected += 1
    run.outcome.in_flight += WINDOW
    run.outcome.add("times_full")
    if kill:
        engine.kill()
        engine.start()
        customer.connect(engine.address)
        if not customer.produce(BIG, 1, LARGE) and not customer.produce(BIG, SMALL_BYTES // LARGE, LARGE):
            yield "the disk is full and records are taken after a start"
    yield from goes_on(customer)
    ballast.unlink()
    yield from resumes(run, customer)


def goes_on(customer: Customer) -> Iterator[str]:
    """What a full disk is no reason to refuse."""
    told = [sent for sent in customer.ledger.topics[BIG].sent if sent.offset is not None]
    answer = fetched(customer.ask, BIG, 0, committed=False, offset=told[-1].offset or 0)
    if answer.error_code or told[-1].value not in bytes(answer.records or b""):
        yield f"the last record cannot be fetched: error {answer.error_code}"
    for _ in range(20):
        if code := customer.commit(GROUP, BIG, customer.ledger.number):
            yield f"a commit of offsets is refused: error {code}"
            return
        customer.ledger.number += 1
    if code := customer.delete_records(BIG, max((told[-1].offset or 0) - 3, 0)):
        yield f"records cannot be deleted: error {code}"


# Short writes.


def short_writes(run: Run) -> Iterator[None]:
    """A log may grow to somewhere within the next batch: the write of it is short, what follows is refused by the system."""
    for life in itertools.count():
        engine, customer = lived(run, run.directory / f"short-{life}", "0")
        customer.produce(BIG, 10, LARGE)  # beyond the journal's files, which must not hit the limit
        for number in range(12):
            try:
                problems = list(write_short(run, engine, customer))
            except (GoneError, AssertionError) as error:
                problems = [f"the client cannot go on: {error!r}"]
            for problem in problems:
                run.outcome.problem(f"seed {run.seed}: short write {number}: {problem}; {engine.log()[-1000:]}")
            if number % 4 == 3:
                yield
        engine.kill()
        for problem in verdict(engine, customer):
            run.outcome.problem(f"seed {run.seed}: after short writes: {problem}")
        run.engines.remove(engine)
        subprocess.run(["rm", "-rf", str(engine.directory)], check=True)


def write_short(run: Run, engine: Engine, customer: Customer) -> Iterator[str]:
    path = max((engine.directory / f"{BIG}-0").glob("*.log"))
    before = path.stat().st_size
    if before < 3 << 20:
        customer.produce(BIG, 10, LARGE)
        before = path.stat().st_size
    hard = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (before + run.random.randrange(1, LARGE), hard))
    refused = customer.produce(BIG, WINDOW, LARGE)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (hard, hard))
    if refused != WINDOW:
        return  # a new segment was begun
    run.outcome.injected += 1
    run.outcome.in_flight += WINDOW
    run.outcome.add("short_writes")
    after = path.stat().st_size
    if after != before:
        yield f"{path.name} had {before} bytes before a batch was refused, and has {after} now"
    if customer.produce(BIG, 1, LARGE):
        yield "there is room, and a record is refused"
