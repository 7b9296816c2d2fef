"""Copies of the file system of a running engine, each made in a moment (FICLONE): recovery from each of them keeps every promise (R3).

The engine's file system, xfs, lies in a file, and that file on another xfs, which copies files by sharing their blocks. A copy is what a
power cut would have left at that moment on a disk that writes in order. Under load a copy is made every few milliseconds; it is mounted,
which replays the file system's log, the real recovery runs on it in a process of its own, with the whole broker, and everything that this
shows is read and judged by what had been acknowledged or shown when the copy was begun (`support.promises`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import select
import time
import traceback
from typing import Final

from ev.clock import ManualClock
from ev.disk import RealDisk
from support.file_systems import FileSystem, clone
from support.promises import Judgement, Promises
from support.raw_load import Load
from support.simulated_broker import SimulatedBroker
from torture import faults
from torture.power_cut import settings
from torture.run import Run

NEEDS = ("root", "loop", "xfs")
FAULTS = (
    "disk.no_sync",
    "order.answered_when_appended",
    "order.shown_before_synced",
    "coordinator.commit_answered_before_synced",
)
IMAGES, IMAGES_QUICK = 5000, 150
VERIFIERS: Final = 2
OUTER_BYTES: Final = 3 << 30
LOAD_S: Final = (0.003, 0.04)
WARM_UP_S: Final = 0.3
RESTART_EVERY, RESTART_EVERY_QUICK = 200, 20
GOES_ON: Final = 0.2
"""In how many images clients go on as well."""
AGE_MAX: Final = 40
VERIFY_MAX_S: Final = 60


class Verifier:
    """A process that recovers from one copy and judges what it finds; forked, so that it has the promises as of that moment."""

    def __init__(self, run: Run, copy: pathlib.Path, promises: Promises, given: dict[str, str], number: int) -> None:
        self.number = number
        self.disk = FileSystem(run.directory / f"copy-{number}", "xfs", options="nouuid")
        self.disk.image = copy
        self.reader, writer = os.pipe()
        goes_on, seed = run.random.random() < GOES_ON, run.random.getrandbits(32)
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            return
        problems = []
        try:
            problems = verified(self.disk, promises, given, seed, goes_on=goes_on)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it and nothing else may happen here
            problems = [f"recovery failed: {error!r} {''.join(traceback.format_exception(error))[-1500:]}"]
        finally:
            with contextlib.suppress(OSError):
                os.write(writer, json.dumps([problem[:3000] for problem in problems[:5]]).encode())
            os._exit(0)

    def result(self) -> list[str]:
        """What was wrong; waits for the end."""
        data = b""
        while piece := os.read(self.reader, 1 << 16):
            data += piece
        os.close(self.reader)
        os.waitpid(self.pid, 0)
        if self.disk.place.is_mount():
            self.disk.unmount()
        self.disk.image.unlink(missing_ok=True)
        found: list[str] = json.loads(data or b'["the process that verified it ended without a word"]')
        return found


def verified(disk: FileSystem, promises: Promises, given: dict[str, str], seed: int, *, goes_on: bool) -> list[str]:
    """Mount the copy, recover, judge. It stays mounted: files are open until the process has ended."""
    disk.mount()
    clock = ManualClock(time.time_ns() // 1_000_000)
    broker = SimulatedBroker(RealDisk(), seed=seed, settings=given, directory=str(disk.place / "data"), clock=clock)
    judgement = Judgement(promises, broker.ask, time.monotonic())
    problems = judgement.problems
    if goes_on and not problems:
        problems += judgement.goes_on(clock.wall_ms())
    return problems


def torture(run: Run) -> None:
    """One engine, copied again and again."""
    outcome, promises = run.outcome, Promises()
    load = Load(promises, run.random, age_max=AGE_MAX)
    wanted = run.amount(IMAGES, IMAGES_QUICK)
    logging.disable(logging.CRITICAL)
    with (
        faults.seeded(run.fault),
        FileSystem(run.directory / "outer", "xfs", size=OUTER_BYTES) as outer,
        FileSystem(outer.place / "inner", "xfs") as inner,
    ):
        engine = run.engine(inner.place / "data")
        engine.log_path = run.directory / "daemon.log"
        verifiers: list[Verifier] = []
        clone_ms = 0.0
        try:
            number = 0
            while number < wanted and not run.over:
                if number % run.amount(RESTART_EVERY, RESTART_EVERY_QUICK) == 0:
                    collect(run, verifiers, 0)
                    if engine.running:
                        load.hang_up(0.01)
                        engine.kill()
                    engine.settings = settings(run)
                    engine.start()
                    load.connect(engine.address)
                    for problem in load.judge(time.monotonic()):
                        outcome.problem(f"after copy {number}, the engine was killed and started with {engine.settings}: {problem}")
                    load.resume()
                    load.run(WARM_UP_S)
                load.run(run.random.uniform(*LOAD_S))
                copy = outer.place / f"copy-{number}.img"
                began = time.monotonic()
                clone(inner.image, copy)
                clone_ms = max(clone_ms, 1000 * (time.monotonic() - began))
                outcome.injected += 1
                outcome.in_flight += load.waiting
                verifiers.append(Verifier(run, copy, promises, engine.settings, number))
                number += 1
                collect(run, verifiers, VERIFIERS - 1)
                for problem in load.problems:
                    outcome.problem(f"before copy {number}: {problem}")
        finally:
            collect(run, verifiers, 0)
            load.hang_up(0.01)
            engine.close()
            logging.disable(logging.NOTSET)
    outcome.figures |= {"images": outcome.injected, "wanted": wanted, "answered": load.answered, "slowest_copy_ms": round(clone_ms, 1)}


def collect(run: Run, verifiers: list[Verifier], most: int) -> None:
    """Take the results of those that are ready, until no more than so many are at work."""
    while verifiers:
        wait_s = VERIFY_MAX_S if len(verifiers) > most else 0
        ready, _, _ = select.select([verifier.reader for verifier in verifiers], [], [], wait_s)
        if not ready:
            return
        for verifier in [each for each in verifiers if each.reader in ready]:
            verifiers.remove(verifier)
            for problem in verifier.result():
                run.outcome.problem(f"copy {verifier.number}: {problem}")
