"""Faults of the broker: what it makes of its own records."""

from __future__ import annotations

from ev.broker.broker import Broker
from ev.broker.producer_ids import ProducerIds
from torture.faults import Patches


def producer_ids_begin_anew(patches: Patches) -> None:
    """A start does not know which producer ids were given before: two producers get the same one."""
    honest = Broker._replay_metadata

    def forgetful(self: Broker) -> None:
        honest(self)
        self.producer_ids = ProducerIds()

    patches.put(Broker, "_replay_metadata", forgetful)
