"""The checker of histories finds each anomaly that it names, and nothing in a sound history."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from support.history import History, Place

P = Place("t", 0)


def sound() -> History:
    """Two senders, one reader, one group; c was never answered and is there, d was never answered and is not."""
    history = History()
    for sender, value in (("s1", b"a"), ("s2", b"b"), ("s1", b"c"), ("s1", b"d")):
        history.send(sender, P, value)
    history.acknowledge(P, b"a", 0)
    history.acknowledge(P, b"b")
    history.read("r", P, [(0, b"a"), (1, b"b")])
    history.read_all(P, [(0, b"a"), (1, b"b"), (2, b"c")])
    history.commit("g", P, 2)
    history.commit_found("g", P, 2)
    return history


def test_a_sound_history_has_no_anomaly() -> None:
    """Unanswered sends may be there or not."""
    assert sound().anomalies() == {}


def lose(history: History) -> None:
    history.acknowledge(P, b"d", 3)


def lose_partition(history: History) -> None:
    history.acknowledge(Place("t", 1), b"d", 3)


def duplicate(history: History) -> None:
    history.read_all(P, [(0, b"a"), (1, b"b"), (2, b"c"), (3, b"a")])


def contradict_the_answer(history: History) -> None:
    history.acknowledge(P, b"c", 5)


def contradict_a_reader(history: History) -> None:
    history.read("other", P, [(2, b"d")])


def invent(history: History) -> None:
    history.read_all(P, [(0, b"a"), (1, b"b"), (2, b"?")])


def keep_what_was_refused(history: History) -> None:
    history.refuse(P, b"c")


def swap(history: History) -> None:
    history.sent["s1"] = [(P, b"c"), (P, b"a")]


def leave_a_gap(history: History) -> None:
    history.read_all(P, [(0, b"a"), (1, b"b"), (3, b"c")])


def read_again(history: History) -> None:
    history.read("r", P, [(1, b"b")])


def pass_over(history: History) -> None:
    history.read("s", P, [(0, b"a"), (2, b"c")])


def commit_ahead(history: History) -> None:
    history.commit_found("g", P, 4)


def forget_a_commit(history: History) -> None:
    history.commit_found("g", P, 1)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose, "lost"),
        (lose_partition, "lost"),
        (duplicate, "duplicate"),
        (contradict_the_answer, "conflict"),
        (contradict_a_reader, "conflict"),
        (invent, "phantom"),
        (keep_what_was_refused, "rejected"),
        (swap, "reordered"),
        (leave_a_gap, "gap"),
        (read_again, "backwards"),
        (pass_over, "skipped"),
        (commit_ahead, "ahead"),
        (forget_a_commit, "regressed"),
    ],
)
def test_each_anomaly_is_found(damage: Callable[[History], None], kind: str) -> None:
    """A sound history with one thing made wrong is found to have just that wrong."""
    history = sound()
    damage(history)
    assert kind in history.anomalies()


def test_a_long_history_is_checked_quickly() -> None:
    """200,000 sends over six partitions are judged in seconds."""
    history, places = History(), [Place("t", number) for number in range(6)]
    values = [b"%d" % number for number in range(200_000)]
    for number, value in enumerate(values):
        history.send(f"s{number % 8}", places[number % 6], value)
        history.acknowledge(places[number % 6], value, number // 6)
    for index, place in enumerate(places):
        history.read_all(place, enumerate(values[index::6]))
    began = time.process_time()
    assert history.anomalies() == {}
    assert time.process_time() - began < 10
