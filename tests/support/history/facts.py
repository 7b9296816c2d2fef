"""What a history is made of: places, transactions and how they ended, commits, turns of a group's members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import NamedTuple


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


class Outcome(Enum):
    """What the client of a transaction was told."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class Transaction(NamedTuple):
    """What one transaction sent and, between its beginning and its end, polled: (place, value) and (place, offset, value), in order."""

    process: str
    outcome: Outcome
    sends: Sequence[tuple[Place, bytes]] = ()
    polls: Sequence[tuple[Place, int, bytes]] = ()


class Commit(NamedTuple):
    """An offset that a member of a group asked to commit, when, and when it was told that this was done (`inf`: it was not told)."""

    member: str
    offset: int
    asked: float = 0.0
    answered: float = inf


@dataclass(slots=True)
class Turn:
    """A member's time with a partition: when it was given it, when it handled the first record, and what it handled, in order."""

    member: str
    given: float
    began: float = inf
    offsets: list[int] = field(default_factory=list)


Records = list[tuple[int, bytes]]
Anomaly = tuple[str, str]
"""The kind, and a line that says where and how."""
