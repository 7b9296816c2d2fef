"""The runtime's world in a test: nothing happens until the test says so.

world = ManualWorld(clock)
...                     the runtime hands over callbacks, rounds, flushes and reads
world.turn()            run what was called soon, and nothing else
world.run_commit()      the next round's system calls, then its callback
world.settle()          everything that can happen without time passing
world.advance(500)      let time pass: timers that are due run
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from ev.broker.runtime import Job
from ev.clock import ManualClock
from ev.disk import Disk
from ev.errors import KafkaError, MalformedError


class Timer:
    """A callback at a time, until it is cancelled."""

    def __init__(self, deadline_ms: int, order: int, callback: Callable[[], None]) -> None:
        self.deadline_ms = deadline_ms
        self.order = order
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return (self.deadline_ms, self.order) < (other.deadline_ms, other.order)


class ManualWorld:
    """A `World` that is worked by hand. An OSError ends it: `failure` holds the error and nothing runs any more."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.soon: deque[Callable[[], None]] = deque()
        self.commits: deque[tuple[Callable[[], None], Callable[[], None]]] = deque()
        self.flushes: deque[tuple[Callable[[], None], Callable[[], None]]] = deque()
        self.reads: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self.computations: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self.timers: list[Timer] = []
        self.failure: OSError | None = None
        self._order = 0

    # What the runtime calls.

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_at(self, monotonic_ms: int, callback: Callable[[], None]) -> Timer:
        self._order += 1
        timer = Timer(monotonic_ms, self._order, callback)
        heapq.heappush(self.timers, timer)
        return timer

    def commit(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        self.commits.append((work, done))

    def flush(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        self.flushes.append((work, done))

    def read(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.reads.append((work, done))

    def digest(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.reads.append((work, done))

    def compute(self, job: Job, disk: Disk, done: Callable[[Any], None]) -> None:
        self.computations.append((lambda: job.run(disk), done))

    def fail(self, error: OSError) -> None:
        self.failure = self.failure or error

    # What the test calls.

    @property
    def armed(self) -> list[Timer]:
        """The timers that would wake the engine."""
        return [timer for timer in self.timers if timer.callback is not None]

    def turn(self) -> None:
        """One turn of the loop: what was asked for before it began."""
        for _ in range(len(self.soon)):
            if self.failure is None:
                self.soon.popleft()()

    def run_commit(self) -> None:
        self._run(self.commits)

    def run_flush(self) -> None:
        self._run(self.flushes)

    def _run(self, queue: deque[tuple[Callable[[], None], Callable[[], None]]]) -> None:
        work, done = queue.popleft()
        try:
            work()
        except OSError as error:
            self.fail(error)
        if self.failure is None:
            done()

    def run_read(self) -> None:
        work, done = self.reads.popleft()
        result: Any
        try:
            result = work()
        except (OSError, KafkaError) as error:
            result = error
        if self.failure is None:
            done(result)

    def run_computation(self) -> None:
        work, done = self.computations.popleft()
        result: Any
        try:
            result = work()
        except (OSError, MalformedError) as error:
            result = error
        if self.failure is None:
            done(result)

    def settle(self) -> None:
        """Run everything until only time is missing."""
        while self.failure is None:
            if self.soon:
                self.turn()
            elif self.commits:
                self.run_commit()
            elif self.reads:
                self.run_read()
            elif self.flushes:
                self.run_flush()
            elif self.computations:
                self.run_computation()
            else:
                return

    def advance(self, delay_ms: int) -> None:
        """Let time pass, with every timer at its own time."""
        end_ms = self.clock.monotonic_ms() + delay_ms
        while self.timers and self.timers[0].deadline_ms <= end_ms and self.failure is None:
            timer = heapq.heappop(self.timers)
            self.clock.advance(max(0, timer.deadline_ms - self.clock.monotonic_ms()))
            if timer.callback is not None:
                timer.callback()
        self.clock.advance(end_ms - self.clock.monotonic_ms())
