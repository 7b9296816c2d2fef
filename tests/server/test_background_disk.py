"""The disk of work that can wait: every piece is on the disk before the next, and everybody else goes first."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from typing import ClassVar

import pytest

from ev.server.background_disk import BackgroundDisk, BackgroundFile
from support.engine import SOURCES

IOPRIO_GET = {"x86_64": 252, "aarch64": 31}
IDLE = 3


class Watched(BackgroundFile):
    """Notes what was synced, and when."""

    __slots__ = ()
    synced: ClassVar[list[float]] = []

    def sync(self) -> None:
        time.sleep(0.02)  # a slow disk
        super().sync()
        self.synced.append(time.monotonic())


class WatchedDisk(BackgroundDisk):
    __slots__ = ()
    file_class = Watched

    def __init__(self) -> None:
        """As this process is."""


def test_each_piece_is_synced_and_followed_by_a_rest_as_long(tmp_path: pathlib.Path) -> None:
    Watched.synced.clear()
    file = WatchedDisk().open(str(tmp_path / "log"), create=True)
    for number in range(3):
        file.write_at([b"x" * 1000, b"y"], 1001 * number)
    assert len(Watched.synced) == 3
    pauses = [later - earlier for earlier, later in zip(Watched.synced, Watched.synced[1:], strict=False)]
    assert min(pauses) > 0.035, "as long again as the write and its sync took"
    assert file.read_at(5000, 0) == (b"x" * 1000 + b"y") * 3
    file.release()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's classes of input and output")
def test_what_others_want_of_the_disk_goes_first() -> None:
    """The process that uses it is in the idle class."""
    number = IOPRIO_GET[os.uname().machine]
    asks = "import ctypes; from ev.server.background_disk import BackgroundDisk; BackgroundDisk(); "
    asks += f"print(ctypes.CDLL(None).syscall({number}, 1, 0))"
    said = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True, env={"PYTHONPATH": SOURCES})
    assert int(said.stdout) >> 13 == IDLE
