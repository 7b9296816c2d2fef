"""Has the store's background work done: checkpoints, retention, unlinking, the reserve file.

The store knows what is due and when; this keeps one timer for it, and none while nothing has a deadline. The work itself
leaves the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ev.broker.runtime import Handle, Runtime
    from ev.clock import Clock
    from ev.log.chores import Chore
    from ev.log.cleaner import Cleaning
    from ev.log.store import Store


class Upkeep:
    """One timer for everything that the store wants done."""

    def __init__(self, store: Store, runtime: Runtime, clock: Clock) -> None:
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._timer: Handle | None = None
        self._due_ms = 0
        self._asked = False
        self._knocking = False
        self._stopped = False
        store.on_chores = self.ask

    def ask(self) -> None:
        """Something may be due earlier than was known. Many partitions may say so in one turn; it is looked at once."""
        if not self._asked and not self._stopped:
            self._asked = True
            self._runtime.world.call_soon(self._arm)

    def stop(self) -> None:
        """Begin nothing any more; closing the store does what is left."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._asked = False
        if self._stopped or self._knocking:
            return
        due_ms = self._store.next_chore_ms(self._clock.monotonic_ms())
        if self._timer is not None:
            if due_ms is not None and self._due_ms <= due_ms:
                return
            self._timer.cancel()
            self._timer = None
        if due_ms is not None:
            self._due_ms = due_ms
            self._timer = self._runtime.call_at(due_ms, self._knock)

    def _knock(self) -> None:
        """Some of what is due is done on the loop."""
        self._timer = None
        self._knocking = True
        self._runtime.when_disk_moves(self._run)

    def _run(self) -> None:
        self._knocking = False
        if self._stopped:
            return
        try:
            chores = self._store.chores(self._clock.monotonic_ms())
        except OSError as error:
            self._runtime.world.fail(error)
            return
        for chore in chores:
            self._runtime.world.flush(chore.run, lambda chore=chore: self._done(chore))  # type: ignore[misc]
        cleaning = self._store.next_cleaning(self._clock.monotonic_ms())
        if cleaning is not None:
            self._runtime.world.compute(cleaning.job, self._store.disk, lambda result: self._cleaned(cleaning, result))
        self._arm()

    def _cleaned(self, cleaning: Cleaning, result: Any) -> None:
        if not self._stopped:
            cleaning.done(result)
            self.ask()

    def _done(self, chore: Chore) -> None:
        chore.done()
        self.ask()
