"""What was changed from here, as the commands that would have done it, with how it ended; and what the engine's client remarked."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a command and its failure, or a remark."""

    time_ms: int
    text: str
    failure: str | None = None
    is_remark: bool = False


class CommandLog:
    """The newest entries, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)

    def ran(self, command: str, failure: str | None) -> None:
        self.entries.append(Entry(int(time.time() * 1000), command, failure))

    def remark(self, text: str) -> None:
        self.entries.append(Entry(int(time.time() * 1000), text, is_remark=True))
