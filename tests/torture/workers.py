"""Lets a whole run use both processors: the same work in two processes, each with a seed, a directory and an outcome of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from random import Random

from torture.outcome import Outcome
from torture.run import Run

WORKERS = 2


def in_two(run: Run, work: Callable[[Run, int], None]) -> None:
    """Do the work twice at the same time, with the numbers 0 and 1, in a whole run; once, here, in a quick one.

    `work` divides what is wanted by `shares(run)`.
    """
    if shares(run) == 1:
        work(run, 0)
        return
    context = multiprocessing.get_context("fork")
    ends = []
    for number in range(WORKERS):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(run, work, number, theirs))
        process.start()
        theirs.close()
        ends.append((mine, process))
    for mine, process in ends:
        try:
            add(run.outcome, mine.recv())
        except EOFError:
            run.outcome.problem(f"the process {process.pid} of the torture itself ended without a word")
        process.join()


def shares(run: Run) -> int:
    """Into how many equal parts the work is divided."""
    return 1 if run.quick else WORKERS


def _work(run: Run, work: Callable[[Run, int], None], number: int, end: Connection) -> None:
    run.random = Random(f"{run.name} {run.seed} {number}")
    run.directory = run.directory / f"worker-{number}"
    run.directory.mkdir()
    run.outcome = Outcome()
    run.engines = []
    try:
        work(run, number)
    except Exception as error:
        run.outcome.problem(f"{type(error).__name__}: {error}")
        raise
    finally:
        for engine in run.engines:
            engine.close()
        end.send(run.outcome)


def add(whole: Outcome, part: Outcome) -> None:
    """What a part of the work found. Counts add up; of what was measured, the largest figure counts."""
    whole.injected += part.injected
    whole.in_flight += part.in_flight
    whole.problems += part.problems
    whole.missed += part.missed
    for name, value in part.figures.items():
        before = whole.figures.get(name, 0)
        whole.figures[name] = max(before, value) if isinstance(value, float) else before + value
