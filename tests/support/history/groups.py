"""What groups promise: what is committed stays, who has lost a partition changes nothing about it, and nobody's turn leaves a hole."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.history.facts import Anomaly, Commit, Place, Turn
    from support.history.record import History


def of_groups(history: History) -> Iterator[Anomaly]:
    for (group, place), commits in history.commits.items():
        yield from _commits(history, group, place, commits)
    for (group, place), offset in history.final_commits.items():
        if place in history.final and offset > history.end(place):
            yield "ahead", f"{group} {place} has {offset} at the end, the log ends at {history.end(place)}"
    for (group, place), turns in history.turns.items():
        yield from _turns(history, group, place, turns)
        handled = {offset for turn in turns for offset in turn.offsets}
        for offset, value in history.final.get(place, ()):
            if offset not in handled:
                yield "unhandled", f"{group} {place}@{offset} {value!r}"


def _commits(history: History, group: str, place: Place, commits: list[Commit]) -> Iterator[Anomaly]:
    kept = history.final_commits.get((group, place), -1)
    taken = [commit for commit in commits if commit.answered < inf]
    highest = max(taken, key=lambda commit: commit.offset, default=None)
    if highest is not None and (group, place) not in history.turns:
        highest = taken[-1]  # a reader alone may commit what it likes: the last one counts
    if highest is not None and kept < highest.offset:
        yield "regressed", f"{group} {place} committed {highest.offset}, found {kept}"
    if place in history.final:
        end = history.end(place)
        yield from (
            ("ahead", f"{group} {place} committed {commit.offset}, the log ends at {end}") for commit in taken if commit.offset > end
        )
    if (group, place) in history.turns:
        yield from _overtaken(group, place, taken, history.turns[group, place])


def _overtaken(group: str, place: Place, taken: list[Commit], turns: list[Turn]) -> Iterator[Anomaly]:
    """Commits that a member asked for when it was another's turn already, and that were taken all the same."""
    turns = sorted(turns, key=lambda turn: turn.given)
    begins = [turn.given for turn in turns]
    for commit in taken:
        number = bisect_left(begins, commit.asked) - 1
        if number >= 0 and turns[number].member != commit.member:
            owner = turns[number]
            late_s = commit.asked - owner.given
            yield (
                "overtaken",
                f"{group} {place}: {commit.member} committed {commit.offset} {late_s:.3f} s after {owner.member} was given it",
            )


def _turns(history: History, group: str, place: Place, turns: list[Turn]) -> Iterator[Anomaly]:
    """Where members began that were given the partition."""
    commits, start = history.commits.get((group, place), []), history.starts.get(place, 0)
    for turn in turns:
        if not turn.offsets:
            continue
        first = turn.offsets[0]
        committed = max((commit.offset for commit in commits if commit.answered < turn.given), default=start)
        if first < committed:
            yield "redelivered", f"{group} {place}: {turn.member} began at {first}, {committed} was committed"
        asked = max((commit.offset for commit in commits if commit.asked < turn.began), default=start)
        if first > asked:
            yield "passed over", f"{group} {place}: {turn.member} began at {first}, nobody had asked to commit more than {asked}"
