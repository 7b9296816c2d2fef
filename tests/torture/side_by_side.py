"""A torture's work in two processes: each draws for itself, what they found is put together."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from torture.outcome import Outcome
from torture.run import Run


def side_by_side(run: Run, count: int, work: Callable[[Run, int], None]) -> None:
    """`work(run, share)` for each share: the first one in this process, the others in forks of it. All end before this returns."""
    fork = multiprocessing.get_context("fork")  # a seeded fault and what was made before are there already
    others = []
    for share in range(1, count):
        reader, writer = fork.Pipe(duplex=False)
        process = fork.Process(target=_in_fork, args=(run, share, work, writer))
        process.start()
        writer.close()
        others.append((process, reader))
    try:
        work(run, 0)
    finally:
        for process, reader in others:
            try:
                merge(run.outcome, reader.recv())
            except EOFError:
                run.outcome.problem("a process of the torture itself ended before its work did")
            process.join()


def _in_fork(run: Run, share: int, work: Callable[[Run, int], None], writer: Connection) -> None:
    run.outcome, run.engines = Outcome(), []
    run.directory = run.directory / f"share-{share}"
    run.directory.mkdir()
    try:
        work(run, share)
    finally:
        for engine in run.engines:
            engine.close()
    writer.send((run.outcome.injected, run.outcome.in_flight, run.outcome.problems, run.outcome.missed, run.outcome.figures))


def merge(outcome: Outcome, found: tuple[int, int, list[str], list[str], dict[str, Any]]) -> None:
    """Add what another process found; figures are counts, or the longest time that something took (`_s`)."""
    injected, in_flight, problems, missed, figures = found
    outcome.injected += injected
    outcome.in_flight += in_flight
    outcome.problems += problems
    outcome.missed += missed
    for name, value in figures.items():
        known = outcome.figures.get(name)
        if known is None:
            outcome.figures[name] = value
        elif name.endswith("_s"):
            outcome.figures[name] = max(known, value)
        else:
            outcome.figures[name] = dict(Counter(known) + Counter(value)) if isinstance(value, dict) else known + value
