"""Faults of who takes which clock for what."""

from __future__ import annotations

from typing import Any

from ev.broker.group_runtime import GroupRuntime
from ev.broker.transaction_runtime import TransactionRuntime
from ev.broker.upkeep import Upkeep
from ev.clock import Clock, SystemClock
from ev.coordinators.decision import Now
from ev.coordinators.transaction_records import State, Transaction
from ev.coordinators.transactions import TransactionDecision, Transactions
from ev.log.partition import Partition
from ev.log.segment import Segment
from torture.faults import Patches


def _monotonic_by_the_wall() -> Any:
    """A monotonic clock that goes by the wall: the same as the true one until somebody sets the wall clock."""
    clock = SystemClock()
    difference_ms = clock.wall_ms() - clock.monotonic_ms()
    return lambda: clock.wall_ms() - difference_ms


def sessions_by_the_wall(patches: Patches) -> None:
    """Sessions of group members are counted by the wall clock."""
    monotonic_ms = _monotonic_by_the_wall()
    patches.put(GroupRuntime, "_now", lambda self: Now(self._broker.clock.wall_ms(), monotonic_ms()))


def transactions_by_the_wall(patches: Patches) -> None:
    """A transaction is as old as the wall clock says, whenever it is looked at."""
    honest = Transactions.pass_time

    def expect(self: Transactions, transactional_id: str, known: Transaction, now: Now) -> None:
        due_ms = known.started_ms + known.timeout_ms if known.state is State.ONGOING else now.wall_ms + (1 << 40)
        self._deadlines.set(transactional_id, now.monotonic_ms + max(due_ms - now.wall_ms, 1))

    def pass_time(self: Transactions, now: Now) -> TransactionDecision | None:
        for transactional_id, known in self._transactions.items():
            if known.state is State.ONGOING:
                expect(self, transactional_id, known, now)
        return honest(self, now)

    patches.put(Transactions, "_expect", expect)
    patches.put(Transactions, "pass_time", pass_time)


def transaction_timer_by_the_wall(patches: Patches) -> None:
    """The coordinator of transactions asks the wall clock what is due."""
    monotonic_ms = _monotonic_by_the_wall()
    patches.put(TransactionRuntime, "_now", lambda self: Now(self._broker.clock.wall_ms(), monotonic_ms()))


class WallUpkeep:
    """A clock whose monotonic time is the wall's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic_ms = _monotonic_by_the_wall()

    def monotonic_ms(self) -> int:
        found: int = self._monotonic_ms()
        return found


def upkeep_by_the_wall(patches: Patches) -> None:
    """Retention, checkpoints and unlinking are due when the wall clock says so: after it was set back they do not come for an hour."""
    honest = Upkeep.__init__

    def begin(self: Upkeep, store: Any, runtime: Any, clock: Clock) -> None:
        honest(self, store, runtime, clock)
        self._clock = WallUpkeep(clock)  # type: ignore[assignment]

    patches.put(Upkeep, "__init__", begin)


def newest_timestamp_for_largest(patches: Patches) -> None:
    """A segment's largest timestamp is taken to be that of its newest batch, as if clocks went forwards only."""
    honest = Segment.indexed

    def indexed(self: Segment, last_offset: int, position: int, size: int, max_timestamp: int, interval: int) -> None:
        self.max_timestamp = -1
        honest(self, last_offset, position, size, max_timestamp, interval)

    patches.put(Segment, "indexed", indexed)


def append_time_never_goes_back(patches: Patches) -> None:
    """LogAppendTime is never before that of the batch before it: after the clock was set back, records are stamped with the future."""
    honest = Partition.append
    newest: dict[Partition, int] = {}

    def append(self: Partition, batch: Any, now_ms: int, *arguments: Any, **options: Any) -> Any:
        if self.config.log_append_time:
            now_ms = newest[self] = max(newest.get(self, 0), now_ms)
        return honest(self, batch, now_ms, *arguments, **options)

    patches.put(Partition, "append", append)
