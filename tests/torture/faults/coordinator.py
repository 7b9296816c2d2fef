"""Faults of what the group coordinator answers, and when."""

from __future__ import annotations

from collections.abc import Iterable

from ev.broker.internal_topic import InternalTopic
from ev.broker.topics import OFFSETS_TOPIC
from torture.faults import Patches


def commit_answered_before_synced(patches: Patches) -> None:
    """What the group coordinator has written is answered before it is on disk."""
    honest = InternalTopic.round_of

    def round_of(self: InternalTopic, names: Iterable[str] | None) -> int:
        return 0 if self.name == OFFSETS_TOPIC else honest(self, names)

    patches.put(InternalTopic, "round_of", round_of)


def every_answer_waits(patches: Patches) -> None:
    """Every answer of the coordinator waits for the newest round, whatever that holds: a heartbeat waits for other people's records."""

    def round_of(self: InternalTopic, names: Iterable[str] | None) -> int:
        return self._broker.committer.open_round - (0 if self._broker.committer.dirty else 1)

    patches.put(InternalTopic, "round_of", round_of)
