"""When what is asked: what is on screen first, a slow cluster less often, and never more of this machine than a hundredth of a core."""

from __future__ import annotations

from ev_cli.model.asking import Sweep
from ev_cli.model.schedule import CPU_FACTOR, QUIET_ROUNDS, REFUSED_S, SLOW_FACTOR, Question, Schedule, retry_s


def settled(*, is_local: bool = False) -> Schedule:
    schedule = Schedule(is_local=is_local)
    for question in Question:
        schedule.asked(question, 0.0, 0.0, 0.0)
    return schedule


def test_all_is_due_at_first_and_what_there_is_comes_first() -> None:
    """Nothing can be asked about topics that are not known yet."""
    schedule = Schedule(is_local=False)
    asked = []
    while (question := schedule.next(0.0)) is not None:
        asked.append(question)
        schedule.asked(question, 0.0, 0.0, 0.0)
    assert asked[:3] == [Question.METADATA, Question.VISIBLE, Question.GROUPS]
    assert set(asked) == set(Question)
    assert schedule.wait_s(0.0) == 2.0


def test_the_local_engine_is_asked_four_times_a_second() -> None:
    """About what is on screen; once a second when nothing moves, and four times again when something does."""
    schedule = settled(is_local=True)
    assert schedule.wait_s(0.0) == 0.25
    for _ in range(QUIET_ROUNDS):
        schedule.moved(False)
    schedule.asked(Question.VISIBLE, 0.0, 0.0, 0.0)
    for question in set(Question) - {Question.VISIBLE}:
        schedule.asked(question, 100.0, 0.0, 0.0)
    assert schedule.wait_s(0.0) == 1.0
    schedule.moved(True)
    schedule.asked(Question.VISIBLE, 0.0, 0.0, 0.0)
    assert schedule.wait_s(0.0) == 0.25


def test_where_nothing_moves_what_is_due_soon_is_asked_along() -> None:
    """One waking for several questions; where something moves, and of other clusters, nothing is asked before its time."""
    for is_local, is_quiet, asked in ((True, True, Question.GROUPS), (True, False, None), (False, True, None)):
        schedule = settled(is_local=is_local)
        for question in Question:
            schedule.asked(question, 100.0, 0.0, 0.0)
        for _ in range(QUIET_ROUNDS if is_quiet else 0):
            schedule.moved(False)
        schedule.hasten((Question.GROUPS,), 50.3)
        assert schedule.next(50.0) == asked
        assert schedule.next(50.3) == Question.GROUPS


def test_a_slow_answer_is_not_asked_for_again_at_once() -> None:
    """A cluster that takes a second has four to recover; our own time counts a hundredfold."""
    schedule = settled()
    schedule.asked(Question.VISIBLE, 10.0, took_s=1.0, cpu_s=0.0)
    assert schedule.next(10.0 + 0.9 * SLOW_FACTOR) is not Question.VISIBLE
    assert schedule.next(10.0 + SLOW_FACTOR) is not None
    busy = settled()
    busy.asked(Question.TOPICS, 0.0, took_s=0.2, cpu_s=0.2)
    due = [now for now in range(100) if busy.next(float(now)) is Question.TOPICS or now >= 0.2 * CPU_FACTOR]
    assert due[0] == 0.2 * CPU_FACTOR


def test_more_of_the_same_comes_at_once_unless_the_cluster_is_slow() -> None:
    """The first sweep goes through without a pause."""
    schedule = settled()
    schedule.asked(Question.TOPICS, 1.0, 0.05, 0.05, again=True)
    assert schedule.next(1.0) is Question.TOPICS
    schedule.asked(Question.TOPICS, 1.0, 2.0, 0.05, again=True)
    assert schedule.next(1.9) is None


def test_what_was_refused_is_left_alone_for_a_while_and_what_is_wanted_comes_at_once() -> None:
    """A key asks for everything now."""
    schedule = settled()
    schedule.refused(Question.DIRECTORIES, 0.0)
    for question in set(Question) - {Question.DIRECTORIES}:
        schedule.asked(question, 1_000.0, 0.0, 0.0)
    assert schedule.next(REFUSED_S - 1) is None
    assert schedule.next(REFUSED_S) is Question.DIRECTORIES
    schedule.hasten(Question, 2.0)
    assert schedule.next(2.0) is Question.METADATA


def test_a_cluster_that_is_away_is_tried_less_and_less_often() -> None:
    """But never less than every ten seconds; the local engine each second."""
    waits = [retry_s(attempts, is_local=False) for attempts in range(100)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waits) == 10.0
    assert max(retry_s(attempts, is_local=True) for attempts in range(100)) == 1.0


def test_a_sweep_goes_round_while_names_come_and_go() -> None:
    """Nobody is left out, and nobody is seen twice in a round."""
    sweep = Sweep()
    names = [f"t{number:02}" for number in range(10)]
    assert sweep.some(names, 4) == names[:4]
    names.remove("t03")
    names.insert(0, "a")
    assert sweep.some(names, 4) == ["t04", "t05", "t06", "t07"]
    assert not sweep.is_round
    assert sweep.some(names, 4) == ["t08", "t09"]
    assert sweep.is_round
    assert sweep.some(names, 2) == ["a", "t00"]
    assert Sweep().some([], 5) == []
