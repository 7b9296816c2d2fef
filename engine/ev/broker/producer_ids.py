"""Producer ids: handed out from blocks that the metadata log has claimed, so that none repeats in a data directory's life.

A block is claimed by a record that names the first id after it. The ids of a block are answered only when that record is on
disk; what is left of a block when the engine stops is never used.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ev.broker.topics import RECORD_VERSION, Record

BLOCK_SIZE: Final = 1_000
KEY: Final = b'{"kind":"producer_ids"}'


class ProducerIds:
    """The block in use. `claim()` gives the record to append before `take()` when the block is used up."""

    def __init__(self) -> None:
        self._claimed_to = 0  # every id below may have been handed out, as far as the metadata log knows
        self._next = 0
        self._end = 0

    @property
    def exhausted(self) -> bool:
        return self._next == self._end

    def claim(self) -> Record:
        """The record that claims the next block. Appended and replayed, it makes `take()` possible again."""
        state = {"v": RECORD_VERSION, "next": self._claimed_to + BLOCK_SIZE}
        return KEY, json.dumps(state, separators=(",", ":")).encode()

    def replay(self, state: dict[str, Any]) -> None:
        """One record of kind `producer_ids`. While the log is read at start, each merely says what is used up."""
        self._claimed_to = max(self._claimed_to, state["next"])

    def in_use(self, producer_id: int) -> None:
        """Somebody has this id. A power cut may have left it where it is kept, and taken the claim."""
        self._claimed_to = max(self._claimed_to, producer_id + 1)

    def open_block(self) -> None:
        """Use the block that the newest claim of this run covers."""
        self._next, self._end = self._claimed_to - BLOCK_SIZE, self._claimed_to

    def take(self) -> int:
        assert self._next < self._end, "claim a block first"
        self._next += 1
        return self._next - 1
