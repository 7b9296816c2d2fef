"""How many operations a client process has asked for and how many were answered, for whoever looks from outside, at any moment."""

from __future__ import annotations

import mmap
import os
import pathlib
from struct import Struct

VARIABLE = "TALLY"
PAIR = Struct("=qq")


class Tally:
    """Two numbers in a file that both processes map. Without a file they are the process's own."""

    def __init__(self, path: pathlib.Path | None) -> None:
        self._numbers: bytearray | mmap.mmap = bytearray(PAIR.size)
        if path is not None:
            with path.open("r+b") as file:
                self._numbers = mmap.mmap(file.fileno(), PAIR.size)

    @classmethod
    def own(cls) -> Tally:
        """That of this process, as whoever started it has said."""
        name = os.environ.get(VARIABLE)
        return cls(pathlib.Path(name) if name else None)

    @classmethod
    def created(cls, path: pathlib.Path) -> Tally:
        path.write_bytes(bytes(PAIR.size))
        return cls(path)

    def put(self, asked: int, answered: int) -> None:
        PAIR.pack_into(self._numbers, 0, asked, answered)

    @property
    def answered(self) -> int:
        return int(PAIR.unpack_from(self._numbers)[1])

    @property
    def open(self) -> int:
        """Asked for, and not answered."""
        asked, answered = PAIR.unpack_from(self._numbers)
        return max(0, int(asked) - int(answered))
