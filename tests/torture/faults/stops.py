"""Faults of an engine that was stopped for a while: time in which it could hear nobody counts against those whom it did not hear."""

from __future__ import annotations

from typing import Any

from ev.broker import alarm
from ev.broker.group_runtime import GroupRuntime
from torture.faults import Patches


def deadlines_pass_while_it_stands(patches: Patches) -> None:
    """What has come due in a stop is carried out before anything is read that has come meanwhile."""
    patches.put(alarm, "STALLED_MS", 1 << 60)


def expired_on_arrival(patches: Patches) -> None:
    """Whenever a request comes it is looked first whose session is over: after a stop the first heartbeat ends those behind it."""
    honest = GroupRuntime.decide

    def decide(self: GroupRuntime, *arguments: Any, **options: Any) -> None:
        self._pass_time()
        honest(self, *arguments, **options)

    patches.put(GroupRuntime, "decide", decide)
