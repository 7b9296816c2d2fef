"""Patterns match as Python's own do, where both understand them, and never take long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ev.coordinators.patterns import Pattern, PatternError

LETTERS = "abAB-."
ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "-",
        r"\.",
        ".",
        "[ab]",
        "[^a]",
        "[a-b-]",
        r"\w",
        r"\d",
        r"\s",
        "[.]",
        "^",
        "$",
        "(?i:b)",
        "(?i:[a-]|1)",
        r"\D",
        r"[\Wa]",
        "(?s:.)",
        "(?P<n>a)",
    ]
)


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]}|)"),
        st.tuples(inner, quantifiers).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


@settings(max_examples=600, deadline=None)
@given(pattern=st.recursive(ATOMS, combined, max_leaves=8), names=st.lists(st.text(LETTERS + "1 \n", max_size=7), max_size=12))
def test_it_matches_what_pythons_own_matches(pattern: str, names: list[str]) -> None:
    """Whole names, by any pattern that both understand."""
    ours = Pattern(pattern)
    theirs = re.compile(re.sub(r"\?P<n>", "", pattern).replace("$", r"\Z"), re.ASCII)  # in Python $ is also before a last newline
    for name in names:
        if "\\s" in pattern and "\x0b" in name:
            continue
        assert ours.matches(name) == bool(theirs.fullmatch(name)), (pattern, name)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "(a",
        "[a",
        "[]",
        "*a",
        "a**",
        "a{2}{3}",
        "a{3,2}",
        "a{2000}",
        "\\",
        r"\1",
        r"\b",
        "(?=a)",
        "(?P<n",
        "(?P<>a)",
        "(?i",
        "(?x)a",
        "[[:nothing:]]",
        "[b-a]",
        "a{x}",
        "a{",
    ],
)
def test_nonsense_is_refused(pattern: str) -> None:
    """And what would need more than a machine of states."""
    with pytest.raises(PatternError):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("(?i)orders-[a-c]", ["ORDERS-a", "Orders-C"], ["orders-d"]),
        ("(a(?i)b)c", ["abc", "aBc"], ["Abc", "abC"]),
        ("(?i:a(?-i)b)", ["Ab"], ["aB"]),
        ("(?i)(ab){2}", ["ABab"], ["AB"]),
        ("[[:alpha:]_]+", ["aZ_"], ["a1"]),
        ("[^[:digit:]]+", ["a-b"], ["a1"]),
        ("[[:^upper:]]+", ["a1."], ["aB"]),
        (r"\Aorders\z", ["orders"], ["orders1"]),
    ],
)
def test_what_re2_has_and_python_has_not(pattern: str, matched: list[str], others: list[str]) -> None:
    """Flags for the rest of a group, classes with names, other names of the two ends."""
    ours = Pattern(pattern)
    assert [name for name in [*matched, *others] if ours.matches(name)] == matched


@pytest.mark.parametrize("pattern", ["a" * 1001, "(a{1000}){1000}", "(" * 60 + "a" + ")" * 60])
def test_what_is_too_large_is_refused(pattern: str) -> None:
    """Quickly: it comes from whoever can connect."""
    with pytest.raises(PatternError):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*b", "(a*)*(a*)*(a*)*b", "(.*)*x"])
def test_patterns_that_take_others_forever_take_no_time(pattern: str) -> None:
    """A backtracking matcher would need longer than the universe is old."""
    began = time.monotonic()
    Pattern(pattern).matches("a" * 248 + "!")
    assert time.monotonic() - began < 2
