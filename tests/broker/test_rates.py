"""How quotas are measured: Kafka's arithmetic, with the time passed in."""

from __future__ import annotations

import pytest

from ev.broker.rates import Bucket, Rate, Windows

WINDOWS = Windows(11, 1000)


def test_ten_windows_are_free_for_who_begins_with_a_burst() -> None:
    """What is above that is answered by the time in which the rate falls to the bound: (30 + 30 + 30 + 30 - 100) KB at 10 KB/s."""
    rate = Rate(WINDOWS)
    held = []
    for _ in range(4):
        rate.record(30_000, 5000)
        held.append(rate.throttle_ms(10_000, 5000))
    assert held == [0, 0, 0, 2000]
    assert [rate.throttle_ms(10_000, now_ms) for now_ms in (7000, 15_000, 15_500)] == [2000, 2000, 1500]


def test_what_is_older_than_all_windows_does_not_count() -> None:
    """A sample is forgotten as a whole, eleven windows after its last event."""
    rate = Rate(WINDOWS)
    rate.record(1_000_000, 500)
    assert rate.throttle_ms(10_000, 11_499) == 1_000_000 // 10 - 10_999
    assert rate.throttle_ms(10_000, 11_500) == 0
    assert rate.is_idle(11_500)


def test_what_is_taken_back_never_was() -> None:
    """A fetch whose records are not sent."""
    rate = Rate(WINDOWS)
    rate.record(50_000, 0)
    before = rate.throttle_ms(1000, 10)
    rate.record(70_000, 10)
    rate.record(-70_000, 10)
    assert rate.throttle_ms(1000, 10) == before
    rate.record(-50_000, 10)
    assert rate.is_idle(10)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("bound", [1000, 1_000_000])
def test_who_waits_as_it_is_told_is_held_to_the_bound(bound: int, share: float) -> None:
    """Over a minute, after the windows that are free, however fast it could send."""
    rate = Rate(WINDOWS)
    size = int(bound * share)
    now_ms = sent = 0
    while now_ms < 60_000:
        rate.record(size, now_ms)
        sent += size
        now_ms += max(1, rate.throttle_ms(bound, now_ms))
    assert sent - 10 * bound == pytest.approx(bound * now_ms / 1000, rel=0.2)


def test_a_bucket_is_full_at_first_and_may_be_overdrawn_once() -> None:
    """Then it has to fill up to nothing again."""
    bucket = Bucket(WINDOWS)
    now_ms = 1_000_000
    bucket.take(20, 2, now_ms)
    assert bucket.throttle_ms(2, now_ms) == 0
    bucket.take(4, 2, now_ms)
    assert bucket.throttle_ms(2, now_ms) == 1000
    assert bucket.throttle_ms(2, now_ms + 400) == 600
    assert bucket.throttle_ms(2, now_ms + 1000) == 0
    assert not bucket.is_full(2, now_ms + 11_000)
    assert bucket.is_full(2, now_ms + 12_000)


@pytest.mark.parametrize("bound", [0.5, 3, 1000])
def test_a_bucket_never_holds_more_than_all_windows_together(bound: float) -> None:
    bucket = Bucket(WINDOWS)
    bucket.take(0, bound, 10**9)
    bucket.take(12 * bound, bound, 10**9)
    assert bucket.throttle_ms(bound, 10**9) == 1000
