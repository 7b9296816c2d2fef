"""The engine is killed at each system call that writes, syncs, renames, makes or removes something (R5).

Nine short scripts (`torture.scripts`) are run under strace: first to the end, which shows every call that changes the data directory; then
once for each of these calls, and at that call the process is killed before the call is done. What was written before is there, synced or
not, so what is tortured is the order of things and what a start makes of a half. After each kill `ev server verify` finds no damage, the
next start serves what was acknowledged, nothing twice and nothing that was refused or aborted, and the client goes on where it was.

A point counts only if strace says that it was met. Calls of the loop, its threads and the child that compacts are points alike; where the
child is killed the engine goes on.
"""

from __future__ import annotations

import pathlib
from collections import deque

from support.system_calls import Call, Point, calls
from torture.run import Run
from torture.scripts import SCRIPTS, Script, Stage, play, points_of, verdict
from torture.side_by_side import side_by_side

NEEDS = ("strace",)
FAULTS = ("disk.answered_too_early", "log.journal_passed_over", "log.clean_marker_kept", "log.producers_not_recovered")
PROCESSES, PROCESSES_QUICK = 2, 1
A_TURN = 2
"""Points of one script before the next one has its turn."""
POINTS_MIN = 5
"""So many even if time is up: on a busy machine the stage alone takes seconds."""


def torture(run: Run) -> None:
    """Script after script, some points of each in turn, until all are done or time is up."""
    stage = Stage(run)
    count = run.amount(PROCESSES, PROCESSES_QUICK)
    known = {script.name: [call.point for call in points_of(run, stage, script)] for script in SCRIPTS} if count > 1 else {}

    def work(run: Run, share: int) -> None:
        def over() -> bool:
            return run.over and bool(run.outcome.problems or run.outcome.injected >= POINTS_MIN)

        left = {name: points[share::count] for name, points in known.items()}
        turns = deque(SCRIPTS)
        while turns and not over():
            script = turns.popleft()
            if script.name not in left:
                left[script.name] = [call.point for call in points_of(run, stage, script)]
            for _ in range(A_TURN):
                if left[script.name] and not over():
                    kill_at(run, stage, script, left[script.name].pop())
            if left[script.name]:
                turns.append(script)
        run.outcome.add("points_left", sum(map(len, left.values())))

    side_by_side(run, count, work)


def kill_at(run: Run, stage: Stage, script: Script, point: Point) -> None:
    """Run the script until the call kills the engine, then judge what the next one finds."""
    outcome = run.outcome
    engine, customer = stage.set(run, script)
    log = play(engine, customer, script, point, "signal=KILL")
    met = point_of_death(log, point)
    engine.kill()
    if met is None:
        outcome.add("points_not_met")
        return
    outcome.injected += 1
    outcome.in_flight += customer.lost
    outcome.add("points")
    outcome.add(f"at_{point.call}")
    for problem in verdict(engine, customer):
        outcome.problem(f"seed {run.seed}: {script.name}, killed at {point.call} number {point.number} ({met.text[:160]}): {problem}")


def point_of_death(log: pathlib.Path, point: Point) -> Call | None:
    """The call at which the engine, or a child of it, was killed."""
    if "killed by SIGKILL" not in log.read_text(errors="replace"):
        return None
    return next((call for call in calls(log) if call.point == point), None)
