"""The timer of a coordinator, when the process was stopped meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ev.broker.alarm import EXCUSED_MAX, PATIENCE_MS, STALLED_MS, Alarm
from ev.clock import ManualClock
from support.manual_world import ManualWorld


class Deadline:
    """Something that comes due, and when it was noticed."""

    def __init__(self, due_ms: int | None) -> None:
        self.clock = ManualClock()
        self.world = ManualWorld(self.clock)
        self.due_ms = due_ms
        self.rang: list[int] = []
        runtime: Any = SimpleNamespace(clock=self.clock, call_at=self.world.call_at)
        self.alarm = Alarm(runtime, lambda: self.due_ms, self.ring)
        self.alarm.arm()

    def ring(self) -> None:
        if self.due_ms is not None and self.due_ms <= self.clock.monotonic_ms():
            self.rang.append(self.clock.monotonic_ms())
            self.due_ms = None

    def stand_still(self, ms: int) -> None:
        """The process is stopped: time passes, and no timer runs before it goes on."""
        self.clock.advance(ms)
        self.world.advance(0)


def test_what_comes_due_is_noticed_at_its_time() -> None:
    """Neither earlier nor later."""
    deadline = Deadline(6_000)
    deadline.world.advance(5_999)
    assert deadline.rang == []
    deadline.world.advance(1)
    assert deadline.rang == [6_000]


def test_who_was_not_heard_because_the_engine_stood_still_gets_time_to_be_heard() -> None:
    """The deadline passed in a stop: it counts only when clients had time to be heard since, and one that was heard has another."""
    deadline = Deadline(6_000)
    deadline.stand_still(40_000)
    assert deadline.rang == []
    deadline.alarm.arm()  # somebody else's heartbeat does not bring it forward
    deadline.world.advance(PATIENCE_MS - 1)
    assert deadline.rang == []
    deadline.due_ms = 50_000
    deadline.alarm.arm()
    deadline.world.advance(1)
    assert deadline.rang == []
    deadline.world.advance(10_000)
    assert deadline.rang == [50_000]


def test_whoever_stays_silent_after_a_stop_is_given_up() -> None:
    """A stop is no excuse for ever."""
    deadline = Deadline(6_000)
    deadline.stand_still(40_000)
    deadline.world.advance(PATIENCE_MS)
    assert deadline.rang == [40_000 + PATIENCE_MS]


def test_a_loop_that_is_only_busy_has_no_excuse() -> None:
    """A timer that is a moment late counts."""
    deadline = Deadline(6_000)
    deadline.stand_still(6_000 + STALLED_MS)
    assert deadline.rang == [6_000 + STALLED_MS]


def test_an_engine_that_is_always_late_goes_on_all_the_same() -> None:
    """Stopped again and again, it notices in the end what came due at first."""
    deadline = Deadline(6_000)
    for _ in range(EXCUSED_MAX + 1):
        assert deadline.rang == []
        deadline.stand_still(20_000)
    assert len(deadline.rang) == 1


def test_what_is_overdue_when_the_timer_is_set_counts_at_once() -> None:
    """Such as a transaction that an engine finds open when it starts."""
    deadline = Deadline(None)
    deadline.clock.advance(100_000)
    deadline.due_ms = 5
    deadline.alarm.arm()
    deadline.world.advance(0)
    assert deadline.rang == [100_000]
