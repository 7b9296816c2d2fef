"""Rates and histories: what they say, over how long, and what they do not say."""

from __future__ import annotations

import pytest

from ev_cli.model.rates import BUCKET_S, History, Meter


def test_one_reading_is_no_rate() -> None:
    """Unknown is not zero; two readings are a rate, over the time between them."""
    meter = Meter()
    meter.take(1_000, 100.0)
    assert meter.rate is None
    meter.take(1_100, 102.0)
    assert meter.rate is not None
    assert (meter.rate.per_s, meter.rate.window_s) == (50.0, 2.0)


def test_a_rate_follows_within_ten_seconds_and_ends_at_zero() -> None:
    """What is older than the window counts little; a topic that gets nothing any more has the rate 0, not nearly 0."""
    meter = Meter()
    for second in range(20):
        meter.take(second * 1_000, float(second))
    assert meter.rate is not None
    assert meter.rate.per_s == pytest.approx(1_000)
    assert meter.rate.window_s == pytest.approx(10)
    for second in range(20, 30):
        meter.take(19_000, float(second))
    assert 100 < meter.rate.per_s < 400
    for second in range(30, 300):
        meter.take(19_000, float(second))
    assert meter.rate.per_s == 0.0


def test_a_long_gap_is_the_window() -> None:
    """A mean over a minute says that it is one."""
    meter = Meter()
    meter.take(0, 0.0)
    meter.take(10, 1.0)
    meter.take(70, 61.0)
    assert meter.rate is not None
    assert meter.rate.window_s == 60.0


@pytest.mark.parametrize("smaller", [0, 999])
def test_a_count_that_goes_back_gives_no_negative_rate(smaller: int) -> None:
    """A topic made anew, a log that was cut: it begins again, and what is known of before is not subtracted."""
    meter = Meter(History())
    meter.take(500, 0.0)
    meter.take(1_000, 5.0)
    assert meter.take(smaller, 10.0) == 0
    assert meter.rate is None
    meter.take(smaller + 10, 15.0)
    assert meter.rate is not None
    assert meter.rate.per_s == 2.0
    assert meter.history is not None
    assert all(mean is None or mean >= 0 for mean in meter.history.means(15.0))


def test_a_history_has_holes_where_nothing_was_seen() -> None:
    """Means of ten seconds, newest last; what lies between two readings is spread evenly."""
    history = History(6)
    history.spread(100.0, 120.0, 200)
    assert history.means(119.0) == (None, None, None, None, 10.0, 10.0)
    assert history.means(145.0) == (None, 10.0, 10.0, None, None, None)
    history.spread(150.0, 160.0, 50)
    assert history.means(155.0) == (10.0, 10.0, None, None, None, 5.0)
    assert history.means(1_000.0) == (None,) * 6
    history.spread(1_000.0, 1_001.0, 7)
    assert history.means(1_001.0) == (None, None, None, None, None, 7.0)


def test_a_history_keeps_its_size_and_notes_values() -> None:
    """However long it goes on; of values that are no counts a bucket has the mean."""
    history = History(3)
    for bucket in range(1_000):
        history.note(bucket * BUCKET_S, bucket)
        history.note(bucket * BUCKET_S + 5, bucket + 1)
    assert history.means(999 * BUCKET_S + 9) == (997.5, 998.5, 999.5)
    assert len(history._amounts) == 3


def test_a_very_long_gap_fills_no_more_than_there_is_room_for() -> None:
    """And does not take long."""
    history = History(5)
    history.spread(0.0, 10.0, 10)
    history.spread(10.0, 1_000_010.0, 1_000_000)
    assert history.means(1_000_009.0)[-2:] == pytest.approx((1.0, 1.0))
