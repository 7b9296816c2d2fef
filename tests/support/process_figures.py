"""What a process takes of the machine, as Linux tells it: memory now and at its most, open descriptors."""

from __future__ import annotations

import contextlib
import os
import pathlib

FORGET_PEAK = "5"
"""Written to clear_refs, it makes the peak what the memory is now (proc(5))."""


def resident_bytes(pid: int | str = "self") -> int:
    """The memory that the process holds now."""
    return _status_bytes(pid, "VmRSS:")


def peak_bytes(pid: int | str = "self") -> int:
    """The most that it held since it began, or since `forget_peak`."""
    return _status_bytes(pid, "VmHWM:")


def forget_peak(pid: int | str = "self") -> None:
    """Let the peak be what is held now; where that is not allowed it stays."""
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text(FORGET_PEAK)


def descriptors(pid: int) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid: int) -> list[int]:
    """Its child processes."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _status_bytes(pid: int | str, name: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    raise LookupError(f"{name} of process {pid}")
