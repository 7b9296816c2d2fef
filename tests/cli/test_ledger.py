"""Which offsets may be committed, given the bytes that a reader has handled or the records that have finished."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from ev_cli.ledger import Ledger, Stretch, Track, Unfinished, stretch_of

PARTITIONS = (("t", 0), ("t", 1), ("u", 0))


def stretch(partition: tuple[str, int], sizes: list[int], first: int, gap: int = 0) -> Stretch:
    """Records of these sizes (with their line end) from an offset on; compaction has removed `gap` offsets behind them."""
    offsets = list(range(first, first + len(sizes)))
    return stretch_of(partition, [b"x" * (size - 1) for size in sizes], b"\n", offsets, first + len(sizes) + gap)


@some.composite
def streams(draw: some.DrawFn) -> list[Stretch]:
    """What is written into a pipe: stretches of several partitions, one behind the other."""
    found: list[Stretch] = []
    following = dict.fromkeys(PARTITIONS, 0)
    begin = 0
    for _ in range(draw(some.integers(0, 6))):
        partition = draw(some.sampled_from(PARTITIONS))
        one = stretch(partition, draw(some.lists(some.integers(1, 9), max_size=5)), following[partition], draw(some.integers(0, 3)))
        following[partition] = one.next_offset
        one.begin = begin
        begin += one.size
        found.append(one)
    return found


def ends_of(stream: list[Stretch]) -> list[tuple[int, tuple[str, int], int]]:
    """(where it ends in the stream, partition, offset) of every record."""
    return [
        (one.begin + end, one.partition, offset)
        for one in stream
        for end, offset in zip(one.ends, one.offsets, strict=True)
        if one.partition is not None
    ]


@given(streams(), some.lists(some.integers(0, 300), max_size=8))
def test_only_what_lies_wholly_within_the_handled_bytes_is_committed(stream: list[Stretch], handled: list[int]) -> None:
    """Whatever was committed, every record below it has been handled; and nothing that was handled is left out."""
    ledger = Ledger()
    for one in stream:
        ledger.add(one)
    records = ends_of(stream)
    size = sum(one.size for one in stream)
    committed: dict[tuple[str, int], int] = {}
    for place in sorted(min(place, size) for place in handled):
        ledger.settle(place)
        committed.update(ledger.take())
        for end, partition, offset in records:
            assert (end <= place) == (offset < committed.get(partition, 0))
        assert ledger.unsettled == sum(end > place for end, _, _ in records)
    ledger.settle(size)
    committed.update(ledger.take())
    assert all(committed[one.partition] >= one.next_offset for one in stream if one.partition is not None)


@given(streams(), some.integers(0, 300))
def test_what_was_not_handled_is_given_back(stream: list[Stretch], handled: int) -> None:
    """To be handed over once more: exactly the bytes of the records that were not handled, in their order."""
    ledger = Ledger()
    for one in stream:
        ledger.add(one)
    records = ends_of(stream)
    whole = b"".join(one.data for one in stream)
    ledger.settle(min(handled, len(whole)))
    done = max((end for end, _, _ in records if end <= handled), default=0)
    assert b"".join(one.data for one in ledger.give_back()) == whole[done:]


def test_a_partition_that_belongs_to_others_is_committed_no_more() -> None:
    """Its bytes still count."""
    ledger = Ledger()
    first, second = stretch(("t", 0), [5, 5], 10), stretch(("t", 1), [5], 70)
    second.begin = 10
    ledger.add(first)
    ledger.add(second)
    ledger.settle(5)
    ledger.forget([("t", 0)])
    assert ledger.take() == {}
    ledger.settle(15)
    assert ledger.take() == {("t", 1): 71}


def test_a_batch_that_has_nothing_for_us_is_passed() -> None:
    """What a filter took out is done when everything before it is."""
    ledger = Ledger()
    first, nothing = stretch(("t", 0), [5], 0), Stretch(("t", 0), b"", [], [], 9)
    nothing.begin = 5
    ledger.add(first)
    ledger.add(nothing)
    ledger.settle(4)
    assert ledger.take() == {}
    ledger.settle(5)
    assert ledger.take() == {("t", 0): 9}


def test_what_could_not_be_committed_is_kept_unless_there_is_something_later() -> None:
    """A group that rebalances just then takes it the next time."""
    ledger = Ledger()
    ledger.keep({("t", 0): 5})
    ledger.add(stretch(("t", 0), [2], 7))
    ledger.settle(2)
    ledger.keep({("t", 0): 3, ("t", 1): 2})
    assert ledger.take() == {("t", 0): 8, ("t", 1): 2}


@given(some.lists(some.tuples(some.sampled_from(PARTITIONS), some.integers(0, 2)), max_size=20), some.randoms(use_true_random=False))
def test_a_partition_is_committed_up_to_its_lowest_unfinished_record(begun: list[tuple[tuple[str, int], int]], chance: object) -> None:
    """In whatever order records finish."""
    unfinished = Unfinished()
    following = dict.fromkeys(PARTITIONS, 0)
    open_records: list[tuple[Track, int, int]] = []
    for partition, gap in begun:
        offset = following[partition]
        following[partition] = offset + 1 + gap
        open_records.append((unfinished.begin(partition, offset, offset + 1 + gap), offset, offset + 1 + gap))
    chance.shuffle(open_records)  # type: ignore[attr-defined]
    committed: dict[tuple[str, int], int] = {}
    while open_records:
        track, offset, _ = open_records.pop()
        unfinished.finish(track, offset)
        committed.update(unfinished.take())
        for partition in PARTITIONS:
            lowest = min((first for other, first, _ in open_records if other.partition == partition), default=following[partition])
            assert committed.get(partition, 0) <= lowest
            before = [n for other, first, n in open_records if other.partition == partition and first < lowest]
            assert not before
        assert unfinished.count == len(open_records)
    assert {partition: offset for partition, offset in following.items() if offset} == committed


def test_what_finishes_after_its_partition_was_taken_away_counts_for_nothing() -> None:
    """Also when the partition has come back meanwhile."""
    unfinished = Unfinished()
    before = unfinished.begin(("t", 0), 5, 6)
    unfinished.forget([("t", 0)])
    after = unfinished.begin(("t", 0), 3, 4)
    unfinished.finish(before, 5)
    assert unfinished.take() == {}
    assert not unfinished.is_ours(before)
    unfinished.finish(after, 3)
    assert unfinished.take() == {("t", 0): 4}
