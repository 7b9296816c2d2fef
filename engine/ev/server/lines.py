"""What a program beside the engine says to the command that started it: lines of JSON on stdout."""

from __future__ import annotations

import json
import os
from typing import Any, Final

LINE_BYTES_MAX: Final = 4096


def say(**line: Any) -> None:
    """One line, in one write: that of another process cannot come into its middle."""
    data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    assert len(data) <= LINE_BYTES_MAX, "a line is written whole only if it fits a pipe"
    os.write(1, data)


class Progress:
    """Says how many bytes are done, now and then."""

    def __init__(self, name: str, step_bytes: int = 16 << 20) -> None:
        self._name = name
        self._step_bytes = step_bytes
        self._unsaid = 0

    def __call__(self, count: int) -> None:
        self._unsaid += count
        if self._unsaid >= self._step_bytes:
            self.end()

    def end(self) -> None:
        """Say what was not said yet."""
        say(**{self._name: self._unsaid})
        self._unsaid = 0
