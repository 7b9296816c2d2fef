"""Who has the memory for many records: one screen at a time. The others keep what is small, and begin anew when one comes back to them."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ev_tui.records.ring import Ring

SMALL_BYTES = 1 << 20


class Owner(Protocol):
    """A screen with a ring."""

    ring: Ring

    def give_up(self) -> None:
        """Let go of the records."""


_owner: weakref.ref[Owner] | None = None


def take(owner: Owner) -> None:
    """The screen is seen: whoever had the room before gives it up."""
    global _owner
    before = None if _owner is None else _owner()
    if before is not None and before is not owner and before.ring.size > SMALL_BYTES:
        before.give_up()
    _owner = weakref.ref(owner)
