"""Faults of the start after a crash: it forgets what counts, or looks at everything again."""

from __future__ import annotations

from ev.log.producers import Producers
from ev.log.recovery import Recovery
from ev.log.scan import Fields
from ev.log.segment import Segment
from torture.faults import Patches


def journal_not_applied(patches: Patches) -> None:
    """What only the journal has is left there, if the process was killed and not the power."""
    patches.put(Recovery, "_apply_journal", lambda self, segments, end: end)


def producers_not_learned(patches: Patches) -> None:
    """The producers of the batches behind the checkpoint are not noted: who sends the last one again is not recognised."""
    honest = Recovery._take

    def take(self: Recovery, segment: Segment, position: int, fields: Fields) -> None:
        kept, self.producers = self.producers, Producers()
        honest(self, segment, position, fields)
        self.producers = kept

    patches.put(Recovery, "_take", take)


def checkpoint_not_used(patches: Patches) -> None:
    """Every segment is walked again from its beginning, whatever the checkpoint and the indexes say: a start grows with the log."""
    honest = Recovery._begin

    def begin(self: Recovery, segments: list[Segment]) -> tuple[int, int, int]:
        honest(self, segments)
        return 0, 0, segments[0].base_offset

    patches.put(Recovery, "_begin", begin)
