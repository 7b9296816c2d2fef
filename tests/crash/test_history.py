"""The checker of histories finds each anomaly that it names, and nothing in a sound history."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

import pytest

from support.history import History, Outcome, Place, Transaction

P, Q = Place("t", 0), Place("t", 1)


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


def lose(history: History) -> None:
    history.acknowledge(P, b"d")


def lose_in_the_middle(history: History) -> None:
    history.acknowledge(P, b"d", 1)


def lose_the_end(history: History) -> None:
    history.acknowledge(P, b"d", 3)


def lose_partition(history: History) -> None:
    history.acknowledge(Q, b"d", 3)


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


def swap_where_nobody_has_read(history: History) -> None:
    history.sent["s3"] = [(Q, b"x"), (Q, b"y")]
    history.acknowledge(Q, b"x", 7)
    history.acknowledge(Q, b"y", 6)


def leave_a_gap(history: History) -> None:
    history.read_all(P, [(0, b"a"), (1, b"b"), (3, b"c")])


def read_again(history: History) -> None:
    history.read("r", P, [(1, b"b")])


def pass_over(history: History) -> None:
    history.read("s", P, [(0, b"a"), (2, b"c")])


def read_what_does_not_stay(history: History) -> None:
    history.read("r", P, [(2, b"c"), (3, b"d")])


def commit_ahead(history: History) -> None:
    history.commit_found("g", P, 4)


def forget_a_commit(history: History) -> None:
    history.commit_found("g", P, 1)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose, "lost"),
        (lose_in_the_middle, "lost"),
        (lose_the_end, "unseen"),
        (lose_partition, "unseen"),
        (duplicate, "duplicate"),
        (contradict_the_answer, "conflict"),
        (contradict_a_reader, "conflict"),
        (invent, "phantom"),
        (keep_what_was_refused, "rejected"),
        (swap, "reordered"),
        (swap_where_nobody_has_read, "reordered"),
        (leave_a_gap, "gap"),
        (read_again, "backwards"),
        (pass_over, "skipped"),
        (read_what_does_not_stay, "vanished"),
        (commit_ahead, "ahead"),
        (forget_a_commit, "regressed"),
    ],
)
def test_each_anomaly_is_found(damage: Callable[[History], None], kind: str) -> None:
    """A sound history with one thing made wrong is found to have just that wrong."""
    history = sound()
    assert history.anomalies() == {}
    damage(history)
    assert kind in history.anomalies()


def test_what_was_never_answered_may_be_there_or_not() -> None:
    """A time-out is "maybe": of a sender, of a transaction, of a commit."""
    history = sound()
    history.send("s2", P, b"e")
    history.transaction(Transaction("t1", Outcome.UNKNOWN, [(P, b"f"), (P, b"g")]))
    history.commit("g", P, 3, asked=5.0)
    assert history.anomalies() == {}
    history.read_all(P, [(0, b"a"), (1, b"b"), (2, b"c"), (3, b"f"), (4, b"g"), (5, b"e")])
    assert history.anomalies() == {}


# ---- transactions

COMMITTED, ABORTED, UNKNOWN = Outcome.COMMITTED, Outcome.ABORTED, Outcome.UNKNOWN


def sound_transactions() -> History:
    """Two partitions: one transaction was committed in both, one aborted, one committed that has read the first; markers between."""
    history = History()
    history.transaction(Transaction("t1", COMMITTED, [(P, b"a"), (Q, b"b")]))
    history.transaction(Transaction("t2", ABORTED, [(P, b"c"), (Q, b"d")]))
    history.transaction(Transaction("t3", COMMITTED, [(P, b"e"), (P, b"f")], [(P, 0, b"a"), (Q, 0, b"b")]))
    history.read_all(P, [(0, b"a"), (4, b"e"), (5, b"f")])
    history.read_uncommitted(P, [(0, b"a"), (2, b"c"), (4, b"e"), (5, b"f")], [1, 3, 6])
    history.read_all(Q, [(0, b"b")])
    history.read_uncommitted(Q, [(0, b"b"), (2, b"d")], [1, 3])
    history.read("committed", P, [(0, b"a"), (4, b"e")])
    history.read("uncommitted", P, [(0, b"a"), (2, b"c"), (4, b"e")], committed=False)
    return history


def show_what_was_aborted(history: History) -> None:
    history.read_all(P, [(0, b"a"), (2, b"c"), (4, b"e"), (5, b"f")])


def read_what_was_aborted(history: History) -> None:
    history.read("other", P, [(2, b"c")])


def read_an_aborted_value_in_a_transaction(history: History) -> None:
    history.transaction(Transaction("t4", UNKNOWN, [], [(Q, 2, b"d")]))


def read_what_nobody_has_ended(history: History) -> None:
    history.transaction(Transaction("t4", UNKNOWN, [(Q, b"g")]))
    history.read_uncommitted(Q, [(0, b"b"), (2, b"d"), (4, b"g")], [1, 3, 5])
    history.read("committed", Q, [(4, b"g")])


def commit_a_half(history: History) -> None:
    history.read_all(Q, [])


def keep_a_half_of_what_may_be(history: History) -> None:
    history.transaction(Transaction("t4", UNKNOWN, [(Q, b"h"), (P, b"g")]))
    history.read_all(Q, [(0, b"b"), (4, b"h")])
    history.read_uncommitted(Q, [(0, b"b"), (2, b"d"), (4, b"h")], [1, 3, 5])


def lose_a_whole_transaction(history: History) -> None:
    history.read_all(P, [(0, b"a")])
    history.reads.clear()


def read_the_own(history: History) -> None:
    history.transaction(Transaction("t4", COMMITTED, [(P, b"e")], [(P, 4, b"e")]))


def go_back_inside(history: History) -> None:
    history.transaction(Transaction("t4", UNKNOWN, [], [(P, 4, b"e"), (P, 0, b"a")]))


def pass_over_inside(history: History) -> None:
    history.transaction(Transaction("t4", UNKNOWN, [], [(P, 0, b"a"), (P, 5, b"f")]))


def pass_over_what_is_aborted_without_a_transaction(history: History) -> None:
    history.read("other", P, [(0, b"a"), (4, b"e")], committed=False)


def go_round(history: History) -> None:
    history.transactions[0] = Transaction("t1", COMMITTED, [(P, b"a"), (Q, b"b")], [(P, 4, b"e")])


def go_round_in_three(history: History) -> None:
    history.transactions[0] = Transaction("t1", COMMITTED, [(P, b"a"), (Q, b"b")], [(Q, 4, b"g")])
    history.transactions.append(Transaction("t4", COMMITTED, [(Q, b"g")], [(P, 5, b"f")]))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (show_what_was_aborted, "aborted"),
        (read_what_was_aborted, "aborted"),
        (read_an_aborted_value_in_a_transaction, "aborted"),
        (read_what_nobody_has_ended, "aborted"),
        (commit_a_half, "torn"),
        (keep_a_half_of_what_may_be, "torn"),
        (lose_a_whole_transaction, "lost"),
        (read_the_own, "precommitted"),
        (go_back_inside, "backwards inside"),
        (pass_over_inside, "skipped inside"),
        (pass_over_what_is_aborted_without_a_transaction, "skipped"),
        (go_round, "circular"),
        (go_round_in_three, "circular"),
    ],
)
def test_each_anomaly_of_transactions_is_found(damage: Callable[[History], None], kind: str) -> None:
    """Markers and what was aborted are no gaps for who reads committed records; everything else is told."""
    history = sound_transactions()
    assert history.anomalies() == {}
    damage(history)
    assert kind in history.anomalies()


# ---- groups


def sound_group() -> History:
    """m1 has handled two records and committed one when the partition goes to m2, which begins with the other."""
    history = History()
    values = [b"%d" % number for number in range(4)]
    for value in values:
        history.send("s", P, value)
    history.read_all(P, enumerate(values))
    first = history.turn("g", P, "m1", 1.0)
    first.began, first.offsets = 1.5, [0, 1]
    history.commit("g", P, 1, member="m1", asked=2.0, answered=2.5)
    second = history.turn("g", P, "m2", 3.0)
    second.began, second.offsets = 3.5, [1, 2, 3]
    history.commit("g", P, 2, member="m1", asked=3.2)  # refused, or never answered
    history.commit("g", P, 3, member="m2", asked=4.0, answered=4.5)
    history.commit("g", P, 4, member="m2", asked=5.0, answered=5.5)
    history.commit_found("g", P, 4)
    return history


def take_from_who_has_lost_it(history: History) -> None:
    history.commit("g", P, 2, member="m1", asked=6.0, answered=6.5)


def deliver_again(history: History) -> None:
    third = history.turn("g", P, "m3", 7.0)
    third.began, third.offsets = 7.5, [2, 3]


def begin_too_far(history: History) -> None:
    history.turns["g", P][1].offsets = [3]
    history.turns["g", P][0].offsets = [0, 1, 2]


def leave_one_out(history: History) -> None:
    history.turns["g", P][1].offsets = [1, 2]


def forget_the_highest(history: History) -> None:
    history.commit_found("g", P, 3)


def commit_more_than_there_is(history: History) -> None:
    history.commit("g", P, 9, member="m2", asked=6.0, answered=6.5)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (take_from_who_has_lost_it, "overtaken"),
        (deliver_again, "redelivered"),
        (begin_too_far, "passed over"),
        (leave_one_out, "unhandled"),
        (forget_the_highest, "regressed"),
        (commit_more_than_there_is, "ahead"),
    ],
)
def test_each_anomaly_of_groups_is_found(damage: Callable[[History], None], kind: str) -> None:
    """What was not committed may be handled again by who gets the partition; nothing else may."""
    history = sound_group()
    assert history.anomalies() == {}
    damage(history)
    assert kind in history.anomalies()


def test_commits_that_cross_are_no_anomaly() -> None:
    """Who loses a partition may be answered late, and be refused later still."""
    history = sound_group()
    history.commit("g", P, 2, member="m1", asked=2.9, answered=9.0)
    history.commit("g", P, 4, member="m1", asked=9.0, answered=inf)
    assert history.anomalies() == {}


def test_a_long_history_is_checked_quickly() -> None:
    """200,000 sends over six partitions, each read by two readers, are judged in a few seconds."""
    history, places = History(), [Place("t", number) for number in range(6)]
    values = [b"%d" % number for number in range(200_000)]
    for number, value in enumerate(values):
        history.send(f"s{number % 8}", places[number % 6], value)
        history.acknowledge(places[number % 6], value, number // 6)
    for index, place in enumerate(places):
        history.read_all(place, enumerate(values[index::6]))
        for reader in ("one", "two"):
            history.read(reader, place, enumerate(values[index::6]))
    began = time.process_time()
    assert history.anomalies() == {}
    assert time.process_time() - began < 10
