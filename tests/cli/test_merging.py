"""Records of several partitions in the order of time, and the newest of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli.merging import EVER, HOLD_S, Merge
from ev_cli.newest import Newest

A, B = ("t", 0), ("t", 1)


def test_nothing_leaves_before_something_older_can_still_come() -> None:
    """A partition that has shown nothing yet holds all others back."""
    merge = Merge([A, B])
    merge.add(A, [1, 5], [b"a1", b"a5"], 0)
    assert merge.ready(0) == ([], [])
    merge.add(B, [3], [b"b3"], 0)
    assert merge.ready(0) == ([1, 3], [b"a1", b"b3"])
    merge.at_its_mark(B)
    assert merge.ready(0) == ([5], [b"a5"])


def test_a_partition_that_is_at_its_end_is_not_waited_for() -> None:
    """An empty one neither."""
    merge = Merge([A, B])
    merge.at_its_mark(A)
    merge.add(B, [3], [b"b3"], 0)
    assert merge.ready(0) == ([3], [b"b3"])


def test_what_comes_live_is_held_for_a_moment() -> None:
    """So that the order in which fetches come back is not the order of the records."""
    merge = Merge([A, B])
    merge.at_its_mark(A)
    merge.at_its_mark(B)
    assert merge.ready(0) == ([], [])
    merge.add(A, [10], [b"a"], 1.0)
    assert merge.ready(1.0) == ([], [])
    merge.add(B, [9], [b"b"], 1.1)
    assert merge.ready(1.0 + HOLD_S) == ([9, 10], [b"b", b"a"])


def test_one_partition_waits_for_nobody() -> None:
    """It is in order by itself."""
    merge = Merge([A])
    merge.at_its_mark(A)
    merge.ready(0)
    merge.add(A, [2, 1], [b"x", b"y"], 0)
    assert merge.ready(0) == ([2, 1], [b"x", b"y"])


def test_a_clock_that_goes_back_does_not_reorder_a_partition() -> None:
    """The record stays behind those before it."""
    merge = Merge([A, B])
    merge.add(A, [5, 2, 7], [b"a5", b"a2", b"a7"], 0)
    merge.add(B, [3, 6], [b"b3", b"b6"], 0)
    assert merge.taken(EVER)[1] == [b"b3", b"a5", b"a2", b"b6", b"a7"]


partitions_of_times = some.lists(some.lists(some.integers(0, 50), max_size=20), min_size=1, max_size=4)


@settings(deadline=None)
@given(partitions_of_times, some.integers(1, 7))
def test_the_order_of_time_is_exact(times: list[list[int]], size: int) -> None:
    """However the batches come: every record once, each partition in order, and by time where clocks do not go back."""
    ordered = [sorted(one) for one in times]
    merge = Merge([("t", index) for index in range(len(ordered))])
    found: list[tuple[int, bytes]] = []
    left = {index: list(enumerate(one)) for index, one in enumerate(ordered)}
    while left:
        for index in list(left):
            part, left[index] = left[index][:size], left[index][size:]
            merge.add(("t", index), [time for _, time in part], [b"%d/%d" % (index, place) for place, _ in part], 0)
            if not left[index]:
                del left[index]
                merge.at_its_mark(("t", index))
            found += zip(*merge.ready(0), strict=True)
    assert [time for time, _ in found] == sorted(time for one in ordered for time in one)
    for index, one in enumerate(ordered):
        assert [piece for _, piece in found if piece.startswith(b"%d/" % index)] == [b"%d/%d" % (index, place) for place in range(len(one))]
    assert merge.size == 0


@settings(deadline=None)
@given(partitions_of_times, some.integers(0, 30), some.integers(1, 9))
def test_the_newest_are_the_ends_of_partitions(times: list[list[int]], count: int, window: int) -> None:
    """As many as were asked for, none older than one that was left out, found in whatever windows."""
    ordered = [sorted(one) for one in times]
    newest = Newest(count)
    for index, one in enumerate(ordered):
        upper = len(one)
        more = True
        while upper > 0 and more:
            lower = max(0, upper - window)
            more = newest.add(("t", index), list(enumerate(one))[lower:upper])
            upper = lower
    begins = newest.begins({("t", index): len(one) for index, one in enumerate(ordered)})
    chosen = [time for index, one in enumerate(ordered) for time in one[begins["t", index] :]]
    everything = sorted(time for one in ordered for time in one)
    assert sorted(chosen) == everything[len(everything) - min(count, len(everything)) :]
