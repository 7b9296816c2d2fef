"""The power cuts of `power-cut` on xfs: what was acknowledged is there after each of them (R2)."""

from __future__ import annotations

from torture.power_cut import FAULTS, power_cuts
from torture.run import Run

__all__ = ["FAULTS", "NEEDS", "torture"]

NEEDS = ("root", "loop", "xfs")
CYCLES, CYCLES_QUICK = 500, 40


def torture(run: Run) -> None:
    power_cuts(run, "xfs", CYCLES, CYCLES_QUICK)
