"""When an open transaction is aborted: by the time that has passed, whatever the wall clock says."""

from __future__ import annotations

import pytest

from ev.coordinators.decision import Now
from ev.coordinators.transaction_records import State, Transaction, transaction_value
from ev.coordinators.transactions import Transactions
from ev.settings import Settings

HOUR_MS, TIMEOUT_MS, WALL_MS = 3_600_000, 60_000, 1_700_000_000_000
ID = "payments"


def transactions() -> Transactions:
    return Transactions(Settings(), lambda: 8)


def opened(partitions: int, now: Now, started_ms: int) -> bytes:
    places = frozenset(("t", index) for index in range(partitions))
    return transaction_value(
        Transaction(7, 0, TIMEOUT_MS, State.ONGOING, places, started_ms=started_ms, updated_ms=now.wall_ms, client_version=1)
    )


def aborted_at(coordinator: Transactions, wall_ms: int) -> int:
    """The monotonic time at which it is aborted, while the wall clock stands."""
    while True:
        due_ms = coordinator.next_deadline_ms()
        assert due_ms is not None, "nothing is due any more"
        decision = coordinator.pass_time(Now(wall_ms, due_ms))
        if decision is not None and decision.transaction is not None:
            assert decision.transaction.state is State.PREPARE_ABORT
            return due_ms


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, -1, 0, 1, HOUR_MS])
def test_a_clock_that_jumps_ends_no_transaction_and_keeps_none_open(jump_ms: int) -> None:
    """Not where it only waits for its end, nor where another partition is added after the jump."""
    for adds in (False, True):
        coordinator = transactions()
        coordinator.replay(ID, opened(1, Now(WALL_MS, 1_000), WALL_MS), Now(WALL_MS, 1_000))
        if adds:
            after = Now(WALL_MS + 500 + jump_ms, 1_500)
            coordinator.replay(ID, opened(2, after, WALL_MS), after)
        assert coordinator.pass_time(Now(WALL_MS + 600 + jump_ms, 1_600)) is None
        assert aborted_at(coordinator, WALL_MS + jump_ms) == 1_000 + TIMEOUT_MS


@pytest.mark.parametrize(("passed_ms", "left_ms"), [(0, 60_000), (20_000, 40_000), (HOUR_MS, 0), (-HOUR_MS, 60_000)])
def test_one_that_an_earlier_run_has_begun_is_as_old_as_the_wall_clock_says(passed_ms: int, left_ms: int) -> None:
    """But never younger than nothing: a clock that was set back meanwhile does not keep it open for an hour more."""
    coordinator = transactions()
    now = Now(WALL_MS + passed_ms, 5_000)
    coordinator.replay(ID, opened(1, now, WALL_MS), now)
    assert aborted_at(coordinator, now.wall_ms) == 5_000 + left_ms


def test_the_next_transaction_has_all_its_time() -> None:
    """The time of one does not count for the one after it."""
    coordinator = transactions()
    coordinator.replay(ID, opened(1, Now(WALL_MS, 0), WALL_MS), Now(WALL_MS, 0))
    done = Transaction(7, 0, TIMEOUT_MS, State.COMPLETE_COMMIT, started_ms=WALL_MS, updated_ms=WALL_MS + 50_000)
    coordinator.replay(ID, transaction_value(done), Now(WALL_MS + 50_000, 50_000))
    coordinator.replay(ID, opened(1, Now(WALL_MS + 55_000, 55_000), WALL_MS + 55_000), Now(WALL_MS + 55_000, 55_000))
    assert aborted_at(coordinator, WALL_MS) == 55_000 + TIMEOUT_MS
