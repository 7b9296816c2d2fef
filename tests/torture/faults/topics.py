"""Faults of topics: what is on record, and when their directories follow."""

from __future__ import annotations

from collections.abc import Callable

from ev.broker.runtime import Runtime
from torture.faults import Patches


def directories_before_record(patches: Patches) -> None:
    """Directories are made and renamed away before the record that says so is on disk: a topic may come back without them."""

    def at_once(self: Runtime, number: int, callback: Callable[[], None]) -> None:
        callback()

    patches.put(Runtime, "after_round", at_once)
