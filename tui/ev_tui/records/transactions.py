"""What became of each transaction: its batches are open until the marker of their producer comes behind them in the same partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_tui.records.ring import ABORTED, COMMITTED, OPEN

if TYPE_CHECKING:
    from ev_tui.records.ring import Origin

BATCHES_MAX = 100_000
"""So many batches of open transactions are remembered: as many as the ring has records. Older ones stay open on the screen."""
ABORT, COMMIT = b"\0\0", b"\0\1"
"""What the key of a marker says behind its version."""


class Transactions:
    """The batches whose outcome is not known yet, by partition and producer."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int, int], list[Origin]] = {}
        self._count = 0

    def note(self, origin: Origin) -> None:
        """A batch of a transaction, before its records are shown."""
        origin.state = OPEN
        if self._count >= BATCHES_MAX:
            oldest = next(iter(self._open))
            self._count -= len(self._open.pop(oldest))
        self._open.setdefault((origin.topic, origin.partition, origin.producer_id), []).append(origin)
        self._count += 1

    def end(self, marker: Origin, key: bytes) -> None:
        """A marker: it settles every batch of its producer that came before it."""
        state = {ABORT: ABORTED, COMMIT: COMMITTED}.get(key[2:4])
        if state is None:
            return
        marker.state = state
        settled = self._open.pop((marker.topic, marker.partition, marker.producer_id), [])
        self._count -= len(settled)
        for origin in settled:
            origin.state = state

    def forget(self) -> None:
        """Reading begins anew somewhere else."""
        self._open.clear()
        self._count = 0

    @property
    def open_count(self) -> int:
        """How many transactions have no end that was seen."""
        return len(self._open)
