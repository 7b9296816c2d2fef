"""Runs one torture: its seed, its directory, its time, the engines it starts, and the faults that are seeded on purpose."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from support.engine import ROOT, Engine
from torture import faults, names
from torture.needs import missing
from torture.outcome import Outcome

QUICK_S, WHOLE_S = 30.0, 540.0
QUICK_MAX_S, WHOLE_MAX_S, ENDING_S = 45.0, 600.0, 10.0
SEEDS_FOR_A_FAULT = 3
"""A fault that shows only when certain things meet is looked for with so many seeds."""


class Limits(NamedTuple):
    """How much is wanted: quick or whole, how long new faults are drawn (None: as long as that allows), where to work."""

    quick: bool = False
    seconds: float | None = None
    directory: pathlib.Path | None = None


@dataclass(slots=True)
class Run:
    """What a torture is given. Everything that it draws comes from `random`; it stops drawing when `over`."""

    name: str
    seed: int
    quick: bool
    directory: pathlib.Path
    deadline: float
    latest: float
    fault: str | None = None
    random: Random = field(init=False)
    outcome: Outcome = field(default_factory=Outcome)
    engines: list[Engine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(f"{self.name} {self.seed}")

    @property
    def over(self) -> bool:
        """Whether no new fault is to be drawn: time is up, or a problem was found (one is enough, with its seed).

        A machine that is slow today gets more time, to a limit, until a fault has fired while something was in flight.
        """
        if self.outcome.problems:
            return True
        now = time.monotonic()
        return now >= (self.deadline if self.outcome.proves_something else self.latest)

    def amount(self, whole: int, quick: int) -> int:
        """How many of something are wanted, by the kind of run."""
        return quick if self.quick else whole

    def engine(
        self, directory: str | pathlib.Path = "data", *, settings: Mapping[str, str] | None = None, wrapper: Sequence[str] = (), **more: Any
    ) -> Engine:
        """An engine of this run's own, not started yet, with the seeded fault if there is one; it ends with the run at the latest."""
        engine = Engine(self.directory / directory, settings=settings, wrapper=wrapper, fault=self.fault or "", **more)
        self.engines.append(engine)
        return engine

    def say(self, text: str) -> None:
        """Tell on stderr how far it is."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


def one(name: str, seed: int, limits: Limits, fault: str | None = None) -> dict[str, Any]:
    """Run one torture; the object that is printed about it."""
    module = names.module(name)
    facts: dict[str, Any] = {"name": name, "seed": seed, "quick": limits.quick, **({"fault": fault} if fault else {})}
    reasons = [reason for need in getattr(module, "NEEDS", ()) if (reason := missing(need))]
    if reasons:
        return {**facts, "ok": False, "injected": 0, "ops_in_flight_at_fault": 0, "skipped": "; ".join(reasons)}
    with faults.seeded(fault):
        pass  # a fault that cannot be seeded must not pass for one that was caught
    began = time.monotonic()
    seconds = limits.seconds if limits.seconds is not None else QUICK_S if limits.quick else WHOLE_S
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"ev-torture-{name}-", dir=limits.directory))
    latest = began + (QUICK_MAX_S if limits.quick else WHOLE_MAX_S) - ENDING_S
    run = Run(name, seed, limits.quick, place, began + seconds, max(latest, began + seconds), fault)
    try:
        module.torture(run)
    except Exception as error:
        if fault is None:
            raise
        run.outcome.problem(f"{type(error).__name__}: {error}")  # a faulty engine may also make the torture itself stumble
    finally:
        for engine in run.engines:
            engine.close()
        shutil.rmtree(place, ignore_errors=True)
    took_s = time.monotonic() - began
    return {**facts, **run.outcome.result(limits.quick), "took_s": round(took_s, 1)}


def prove(name: str, seed: int, limits: Limits) -> dict[str, Any]:
    """Run a torture against each of the faults that it must catch, each in a process of its own; ok when none is missed."""
    module = names.module(name)
    facts: dict[str, Any] = {"name": f"prove {name}", "seed": seed}
    if reasons := [reason for need in getattr(module, "NEEDS", ()) if (reason := missing(need))]:
        return {**facts, "ok": False, "skipped": "; ".join(reasons)}
    caught: dict[str, str] = {}
    missed: list[str] = []
    for fault in module.FAULTS:
        for tried in range(SEEDS_FOR_A_FAULT):
            done, result = _with_fault(name, seed + tried, limits, fault)
            if done.returncode == 1 and result.get("problems"):
                caught[fault] = f"seed {seed + tried}: {result['problems'][0]}"
                break
        else:
            missed.append(fault)
            print(f"{name}: {fault} ({faults.says(fault)}) was NOT caught: {done.stdout[-500:]} {done.stderr[-2000:]}", file=sys.stderr)
    return {**facts, "ok": not missed and len(caught) >= 3, "faults": len(module.FAULTS), "caught": caught, "missed": missed}


def _with_fault(name: str, seed: int, limits: Limits, fault: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A quick run against a seeded fault, in a process of its own, and what it printed last."""
    command = [sys.executable, "-m", "tests.torture", name, "--seed", str(seed), "--quick", "--fault", fault]
    command += ["--seconds", str(limits.seconds)] if limits.seconds is not None else []
    command += ["--dir", str(limits.directory)] if limits.directory is not None else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done, json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
