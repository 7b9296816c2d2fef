"""The names of the tortures, in the order in which `list` shows them, and the module of each."""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = {
    "kill": "kill",
    "power-cut": "power_cut",
    "power-cut-xfs": "power_cut_xfs",
    "snapshots": "snapshots",
    "simulated-disk": "simulated_disk",
    "kill-points": "kill_points",
    "bit-flips": "bit_flips",
    "io-errors": "io_errors",
    "fuzz": "fuzz",
    "connections": "connections",
    "hostile-clients": "hostile_clients",
    "bombs": "bombs",
    "pauses": "pauses",
    "frozen-disk": "frozen_disk",
    "clock-jumps": "clock_jumps",
    "transactional-copy": "transactional_copy",
    "membership": "membership",
    "recovery": "recovery",
    "soak": "soak",
    "security": "security",
    "old-data": "old_data",
}


def module(name: str) -> ModuleType:
    """The module of a torture: a function `torture(run)`, the names FAULTS of what it must catch, perhaps NEEDS."""
    return importlib.import_module(f"torture.{NAMES[name]}")


def title(name: str) -> str:
    """The first line of the module's docstring."""
    return (module(name).__doc__ or "").strip().split("\n")[0]
