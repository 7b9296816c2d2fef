"""One figure: samples of the engine and of its peers, taken in turn, and what was asked for."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Figure:
    """What one row of the table of figures says. `ours` is compared with `peer`; without a peer the value itself is."""

    name: str
    unit: str
    must: float
    reach: float
    at_least: bool = True  # False: small is good
    ours: str = "ev"
    peer: str | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    def add(self, who: str, value: float) -> None:
        self.samples.setdefault(who, []).append(value)

    def result(self) -> dict[str, Any]:
        medians = {who: statistics.median(values) for who, values in self.samples.items()}
        row: dict[str, Any] = {
            "figure": self.name,
            "unit": self.unit,
            "medians": {who: rounded(value) for who, value in medians.items()},
            "samples": {who: [rounded(value) for value in values] for who, values in self.samples.items()},
        }
        compared = medians.get(self.ours)
        if self.peer is not None:
            peer = medians.get(self.peer)
            compared = compared / peer if compared is not None and peer else None
            row["ratio"] = rounded(compared) if compared is not None else None
        sign = ">=" if self.at_least else "<="
        row |= {"must": f"{sign} {self.must:g}", "reach": f"{sign} {self.reach:g}"}
        if compared is not None:
            row["must_met"] = compared >= self.must if self.at_least else compared <= self.must
            row["reach_met"] = compared >= self.reach if self.at_least else compared <= self.reach
        if self.note:
            row["note"] = self.note
        return row


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def in_turn(rounds: int, *measures: Callable[[], None]) -> None:
    """Run the measures one after the other, `rounds` times, so that a slow minute of the machine hits all of them."""
    for number in range(rounds):
        for measure in measures if number % 2 == 0 else reversed(measures):
            measure()
