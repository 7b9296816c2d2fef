"""How far behind, until when, for how long, and what becomes of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev_cli.model.lag import NEVER, Readings, Times, Verdict, drain_of, eta_s, records_behind, slowest, verdict_of, worst
from ev_cli.model.rates import Rate


def readings(*taken: tuple[float, int, int]) -> Readings:
    found = Readings()
    for reading in taken:
        found.take(*reading)
    return found


def judged(lag: int, progress: float, arrival: float, *, members: bool = True, still_s: float = 0.0) -> Verdict | None:
    return verdict_of(lag, members, Rate(progress, 30), Rate(arrival, 30), still_s)


def test_what_is_behind_the_start_of_the_log_is_no_lag() -> None:
    """Retention has taken it; what cannot be known is None."""
    assert records_behind(10, 0, 100) == 90
    assert records_behind(10, 50, 100) == 50
    assert records_behind(120, 50, 100) == 0
    assert records_behind(None, 0, 100) is None
    assert records_behind(10, None, 100) is None
    assert records_behind(10, 0, None) is None


def test_the_time_to_catch_up_counts_what_arrives_meanwhile() -> None:
    """Progress of 300 a second against 100 that come: 200 a second are gained."""
    seen = readings((0.0, 0, 10_000), (10.0, 3_000, 11_000))
    drain = drain_of(seen.progress, seen.arrival)
    assert drain == Rate(200.0, 10.0)
    assert eta_s(8_000, drain) == 40.0
    assert eta_s(8_000, Rate(-1.0, 10.0)) == NEVER
    assert eta_s(8_000, Rate(0.0, 10.0)) == NEVER
    assert eta_s(0, None) == 0.0
    assert eta_s(8_000, None) is None
    assert eta_s(None, drain) is None


def test_a_group_is_as_slow_as_its_slowest_partition() -> None:
    """Eleven partitions that are done do not hide the one that never will be."""
    assert slowest([0.0] * 11 + [148.0]) == 148.0
    assert slowest([0.0] * 11 + [NEVER]) == NEVER
    assert slowest([0.0, None]) is None
    assert slowest([None, NEVER]) == NEVER
    assert slowest([]) == 0.0


def test_rates_of_a_group_forget_after_half_a_minute() -> None:
    """A window of thirty seconds holds several commits."""
    seen = readings(*[(float(second), min(second, 50) * 10, second * 10) for second in range(0, 101, 2)])
    assert seen.progress is not None
    assert seen.progress.per_s == 0.0
    assert seen.progress.window_s == 30.0
    assert seen.arrival is not None
    assert seen.arrival.per_s == 10.0
    assert seen.moved_at == 50.0


def test_a_group_that_was_put_back_begins_anew() -> None:
    """A reset, or a log that was cut, is no negative progress."""
    seen = readings((0.0, 500, 1_000), (2.0, 600, 1_000), (4.0, 0, 1_000))
    assert seen.progress is None
    seen.take(6.0, 100, 1_000)
    assert seen.progress == Rate(50.0, 2.0)
    assert readings((0.0, 500, 1_000), (2.0, 500, 400)).arrival is None


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=40))
def test_no_readings_give_negative_rates(taken: list[tuple[int, int]]) -> None:
    """Whatever order offsets are in."""
    seen = readings(*[(float(2 * number), committed, end) for number, (committed, end) in enumerate(taken)])
    assert seen.progress is None or seen.progress.per_s >= 0
    assert seen.arrival is None or seen.arrival.per_s >= 0


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (judged(0, 0, 0), Verdict.OK),
        (judged(0, 0, 0, members=False), Verdict.OK),
        (judged(50, 10, 10), Verdict.OK),
        (judged(311_000, 2_105, 100), Verdict.DRAINING),
        (judged(1_000_000, 500, 510), Verdict.STEADY),
        (judged(1_200_000, 8_000, 8_840), Verdict.GROWING),
        (judged(100, 0, 10, still_s=10), Verdict.GROWING),
        (judged(88_000, 0, 0, still_s=31), Verdict.STALLED),
        (judged(88_000, 0, 50, still_s=31), Verdict.STALLED),
        (judged(88_000, 0, 0, members=False, still_s=3_000), Verdict.DEAD),
        (judged(88_000, 0, 0, still_s=5), Verdict.STEADY),
        (verdict_of(None, True, None, None, None), None),
        (verdict_of(5, True, None, None, 2.0), None),
    ],
)
def test_verdicts(verdict: Verdict | None, expected: Verdict | None) -> None:
    """What becomes of a partition, from its lag, its members and two rates."""
    assert verdict is expected


def test_the_worst_partition_speaks_for_the_group() -> None:
    """And a group of which something is not known yet is not called OK."""
    assert worst([Verdict.OK, Verdict.GROWING, Verdict.DRAINING]) is Verdict.GROWING
    assert worst([Verdict.OK, Verdict.OK]) is Verdict.OK
    assert worst([Verdict.OK, None]) is None
    assert worst([Verdict.STALLED, None]) is Verdict.STALLED
    assert worst([]) is None


def test_the_time_of_a_record_lies_between_two_looks() -> None:
    """In proportion; what came before anybody looked, or has not come, has no time."""
    times = Times()
    for end, time_ms in ((100, 0), (100, 10_000), (200, 20_000), (200, 50_000), (210, 60_000)):
        times.take(end, time_ms)
    assert times.time_of(99) is None
    assert times.time_of(100) == 10_000
    assert times.time_of(150) == 15_000
    assert times.time_of(200) == 50_000
    assert times.time_of(205) == 55_000
    assert times.time_of(210) is None
    assert times.needs(50)
    assert not times.needs(150)
    times.learn(50, -20_000)
    times.learn(150, 0)
    assert not times.needs(50)
    assert times.needs(60)
    assert times.time_of(75) == -10_000
    assert times.time_of(49) is None


def test_the_table_of_times_has_a_bound_and_survives_a_new_log() -> None:
    """A day at four looks a second takes no more room than ten minutes; an end that goes back begins a new table."""
    times = Times()
    for number in range(100_000):
        times.take(number * 3, number * 250)
    assert len(times._offsets) <= 600
    early = times.time_of(3_000)
    assert early is not None
    assert early == pytest.approx(250_000, rel=0.5)
    late = times.time_of(299_000)
    assert late is not None
    assert math.isclose(late, 299_000 / 3 * 250, rel_tol=0.01)
    times.take(0, 30_000_000)
    assert times.time_of(3_000) is None
