"""The disk as a child process uses it whose work can wait, while others wait for every write of theirs.

What is written to a page cache and synced at its end stands before everybody else's writes as one long queue. So each piece is on its
way to the disk before the next one is written, the disk is used half of the time at most, and, where the system knows such a thing, what
others want goes first.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from ev.disk import RealDisk, RealFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.disk import Buffer

IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
"""The number of Linux's system call, which the C library has no function for."""
WHOLE_PROCESS: Final = 1
IDLE_CLASS: Final = 3 << 13


class BackgroundFile(RealFile):
    """A file that is read and written with rests."""

    __slots__ = ()

    def write_at(self, parts: Sequence[Buffer], position: int) -> None:
        began = time.monotonic()
        super().write_at(parts, position)
        self.sync()
        time.sleep(time.monotonic() - began)

    def read_at(self, size: int, position: int) -> bytes:
        began = time.monotonic()
        data = super().read_at(size, position)
        time.sleep(time.monotonic() - began)
        return data


class BackgroundDisk(RealDisk):
    """The disk of this process from now on."""

    __slots__ = ()

    file_class = BackgroundFile

    def __init__(self) -> None:
        number = IOPRIO_SET.get(os.uname().machine) if sys.platform == "linux" else None
        if number is not None:
            ctypes.CDLL(None).syscall(number, WHOLE_PROCESS, 0, IDLE_CLASS)  # without it the rests have to do
