"""Which records are wanted: --grep, --key, --per-partition, and what that means for the offsets of a group."""

from __future__ import annotations

import pytest

from ev_cli.failures import UsageFailure
from ev_cli.selection import Selection, grep, with_key
from support.fetched import fetched

BATCH = fetched(
    [b"one two", None, b"three", b"\xff\xfe"],
    [b"a1", b"b2", None, b"a3"],
    [[("kind", b"x"), ("kind", b"y")], [("other", None)], [], [("kind", b"z")]],
)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("v:t", [0, 2]),
        ("v:^t", [2]),
        ("three|one", [0, 2]),
        ("!v:t", [1, 3]),
        ("k:^a", [0, 3]),
        ("!k:^a", [1, 2]),
        ("h:kind=y", [0]),
        ("h:kind=[yz]", [0, 3]),
        ("h:kind", [0, 3]),
        ("h:other", [1]),
        ("h:other=", []),
        ("!h:kind", [1, 2]),
        ("t:^t$", [0, 1, 2, 3]),
        ("t:x", []),
        ("v:\\xff", [3]),
        ("x:y", []),
    ],
)
def test_what_grep_lets_through(text: str, places: list[int]) -> None:
    """Keys, values, headers, topics; ! turns it round; a null matches nothing; without a letter it is the value."""
    assert grep(text)(BATCH) == places


def test_a_wrong_expression_is_a_usage_error() -> None:
    """Before anything is read."""
    with pytest.raises(UsageFailure, match="no regular expression"):
        grep("v:(")


def test_several_filters_must_all_agree() -> None:
    """One after the other, on what is left."""
    chosen = Selection([grep("k:^a"), grep("!v:one")]).of(BATCH, None)
    assert list(chosen.columns.offsets) == [10]
    assert chosen.next_offset == BATCH.next_offset
    assert list(Selection([with_key(b"b2")]).of(BATCH, None).columns.values) == [None]


def test_what_all_filters_let_through_is_the_batch_itself() -> None:
    """No copy where nothing is left out."""
    assert Selection([grep("t:t")]).of(BATCH, None) is BATCH


def test_a_batch_of_which_nothing_is_left_counts_as_read() -> None:
    """A group commits past it."""
    chosen = Selection([grep("v:nothing")]).of(BATCH, None)
    assert (len(chosen), chosen.next_offset) == (0, BATCH.next_offset)


def test_the_end_cuts_before_the_filters() -> None:
    """What lies behind it is neither found nor read."""
    selection = Selection([grep("k:^a")])
    chosen = selection.of(BATCH, 9)
    assert (list(chosen.columns.offsets), chosen.next_offset, selection.found) == ([7], 9, 1)


def test_so_many_of_each_partition() -> None:
    """The rest of the partition is left for another time."""
    selection = Selection([], per_partition=3)
    first = selection.of(fetched([b"1", b"2"], base_offset=0), None)
    assert (len(first), selection.is_full("t", 3)) == (2, False)
    second = selection.of(fetched([b"3", b"4"], base_offset=2), None)
    assert (list(second.columns.values), second.next_offset, selection.is_full("t", 3)) == ([b"3"], 3, True)
    third = selection.of(fetched([b"5"], base_offset=4), None)
    assert (len(third), third.next_offset) == (0, 4)
    assert len(selection.of(fetched([b"6"], partition=4), None)) == 1
