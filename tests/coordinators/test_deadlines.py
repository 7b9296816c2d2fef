"""Deadlines by key: each comes due once, at its own time, and moving one costs nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ev.coordinators.deadlines import Deadlines

ACTIONS = st.lists(
    st.tuples(st.sampled_from(["set", "cancel", "pass"]), st.sampled_from("abc"), st.integers(min_value=0, max_value=50)), max_size=60
)


def due_until(deadlines: Deadlines[str], now_ms: int) -> list[str]:
    keys = []
    while (key := deadlines.pop_due(now_ms)) is not None:
        keys.append(key)
    return keys


def test_nothing_is_awaited_where_there_is_no_deadline() -> None:
    """Idle costs nothing: no deadline, no timer."""
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next_ms() is None
    deadlines.set("a", 10)
    deadlines.cancel("a")
    assert deadlines.next_ms() is None
    assert deadlines.pop_due(100) is None


def test_a_moved_deadline_comes_due_at_its_new_time() -> None:
    """Heartbeats move a session's end; the old end means nothing any more, in either direction."""
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 10)
    deadlines.set("a", 30)
    assert due_until(deadlines, 29) == []
    assert due_until(deadlines, 30) == ["a"]
    deadlines.set("a", 60)
    deadlines.set("a", 40)
    assert due_until(deadlines, 40) == ["a"]
    assert due_until(deadlines, 100) == []


def test_a_deadline_moved_many_times_is_one_entry() -> None:
    """A million heartbeats leave no trace behind."""
    deadlines: Deadlines[str] = Deadlines()
    for moment in range(1_000):
        deadlines.set("a", 10 + moment)
    assert len(deadlines._heap) == 1


@given(ACTIONS)
def test_keys_come_due_as_in_a_plain_table(actions: list[tuple[str, str, int]]) -> None:
    """Whatever is set, moved and cancelled: exactly the keys whose time has come are due, and `next_ms` never oversleeps."""
    deadlines: Deadlines[str] = Deadlines()
    table: dict[str, int] = {}
    now_ms = 0
    for action, key, number in actions:
        if action == "set":
            deadlines.set(key, now_ms + number)
            table[key] = now_ms + number
        elif action == "cancel":
            deadlines.cancel(key)
            table.pop(key, None)
        else:
            now_ms += number
            due = sorted(each for each, deadline_ms in table.items() if deadline_ms <= now_ms)
            assert sorted(due_until(deadlines, now_ms)) == due
            for each in due:
                del table[each]
        next_ms = deadlines.next_ms()
        assert (next_ms is None) == (not table)
        assert next_ms is None or next_ms <= min(table.values())
