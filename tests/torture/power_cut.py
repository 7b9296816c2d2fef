"""Power cuts on a real file system, ext4, under load: what was acknowledged is there after each of them (R2).

A daemon works on a file system of its own, on a loop device. Clients produce with acks=all and acks=1, fetch, commit offsets, make
topics and delete them. In the middle of it the file system is shut down (FS_IOC_SHUTDOWN, without a flush of its log): what was not synced
is gone. Sometimes a part of it is brought to the disk before, as happens by itself. The file system is mounted again, its log is
replayed, the engine starts, and everything that it shows is read and judged (`support.promises`): nothing that acks=all has acknowledged
and nothing that a consumer was shown may be missing, batches are whole, commits and topics are there. What acks=1 has acknowledged may be
lost, if that was a moment ago. Then the clients go on: they send again what was not answered, and it is there once.
"""

from __future__ import annotations

import time
from typing import Final

from support.file_systems import FileSystem
from support.promises import Promises
from support.raw_load import Load
from torture.run import Run
from torture.workers import in_two, shares

NEEDS = ("root", "loop", "ext4")
FAULTS = (
    "disk.no_sync",
    "order.answered_when_appended",
    "order.shown_before_synced",
    "coordinator.commit_answered_before_synced",
)
CYCLES, CYCLES_QUICK = 1000, 60
WINDOW_MAX_MS = 250.0
"""How long ago something was acknowledged with acks=1 at most, if it is lost."""
HANG_UP_S = 2.0
LOAD_S: Final = (0.02, 0.3)
METHODS: Final = ("auto", "auto", "journal", "file")
STIRS: Final = 0.5
"""How often a part of what is not synced reaches the disk before the cut."""
DISK_FAILED: Final = 74


def torture(run: Run) -> None:
    power_cuts(run, "ext4", CYCLES, CYCLES_QUICK)


def power_cuts(run: Run, kind: str, cycles: int, cycles_quick: int) -> None:
    """So many power cuts on a file system of this kind."""
    in_two(run, lambda part, _: cut_often(part, kind, run.amount(cycles, cycles_quick) // shares(run)))
    run.outcome.bound("acks_1_window_ms", round(run.outcome.figures.pop("acks_1_window", 0.0), 1), WINDOW_MAX_MS)


def cut_often(run: Run, kind: str, cycles: int) -> None:
    """One file system, one engine, one power cut after the other."""
    outcome, promises = run.outcome, Promises()
    load = Load(promises, run.random)
    with FileSystem(run.directory / "disk", kind) as disk:
        engine = run.engine(disk.place / "data")
        engine.log_path = run.directory / "daemon.log"  # the disk must not be held by it, nor the log be lost with the disk
        crashed_s = 0.0
        try:
            for cycle in range(cycles + 1):
                engine.settings = settings(run)
                engine.start()
                load.connect(engine.address)
                for problem in load.judge(crashed_s):
                    outcome.problem(f"after power cut {cycle}, {engine.settings}: {problem}")
                if run.over or cycle == cycles:
                    break
                load.resume()
                crashed_s = cut_once(run, disk, load)
                outcome.add("cycles")
                load.hang_up(HANG_UP_S)
                status = engine.kill()
                if status not in (DISK_FAILED, -9):
                    outcome.problem(f"power cut {cycle}: the engine ended with status {status}:\n{engine.log()[-2000:]}")
                for problem in load.problems:
                    outcome.problem(f"before power cut {cycle}: {problem}")
                disk.unmount()
                disk.mount()
        finally:
            engine.close()
            outcome.add("answered", load.answered)
            outcome.add("acks_1_lost", promises.lost)
            outcome.figures["acks_1_window"] = max(outcome.figures.get("acks_1_window", 0.0), promises.window_ms)


def cut_once(run: Run, disk: FileSystem, load: Load) -> float:
    """Let clients do things, and cut the power in the middle of it. Returns when that was."""
    random = run.random
    seconds = random.uniform(*LOAD_S)
    stir_s = time.monotonic() + random.uniform(0, seconds) if random.random() < STIRS else None

    def stir() -> None:
        nonlocal stir_s
        if stir_s is not None and time.monotonic() >= stir_s:
            stir_s = None
            disk.persist_some(random, disk.place / "data")
            run.outcome.add("partly_persisted")

    load.run(seconds, stir)
    load.disk_fails = True
    disk.cut()
    crashed_s = time.monotonic()
    run.outcome.injected += 1
    run.outcome.in_flight += load.waiting
    return crashed_s


def settings(run: Run) -> dict[str, str]:
    """Those of the next start."""
    random = run.random
    return {
        "offsets.topic.num.partitions": "1",
        "ev.flush.method": random.choice(METHODS),
        "ev.io.uring": random.choice(("true", "true", "false")),
        "ev.checkpoint.interval.ms": random.choice(("20", "100", "5000")),
        "file.delete.delay.ms": "20",
    }
