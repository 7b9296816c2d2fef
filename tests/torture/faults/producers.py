"""Faults of what a partition remembers of its producers: batches that are sent again are not recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev.log.recovery import Recovery
from torture.faults import Patches


def only_the_newest_batch(patches: Patches) -> None:
    """After a start only the newest batch of each producer is remembered, as Kafka's snapshot has it, and not five."""
    honest: Callable[..., Any] = Recovery.run

    def run(self: Recovery) -> Any:
        partition = honest(self)
        for producer in partition.producers.by_id.values():
            while len(producer.batches) > 1:
                producer.batches.popleft()
        return partition

    patches.put(Recovery, "run", run)
