"""What a torture found, and when that is good enough."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

PROBLEMS_TOLD = 10


@dataclass(slots=True)
class Outcome:
    """Filled while a torture runs.

    `injected` counts the faults that really fired, `in_flight` the operations that were asked for and not answered when one did. A
    torture whose point is not a fault in the middle of work (an upgrade, a soak) sets `without_faults`: then neither must be above 0.
    `problems` are broken promises. `missed` are bounds of time that were not kept: they decide in whole runs, in quick ones (beside
    whatever else the machine does) they are only told.
    """

    injected: int = 0
    in_flight: int = 0
    without_faults: bool = False
    problems: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def problem(self, text: str) -> None:
        """A promise was broken; `text` says where and how, with what is needed to see it again."""
        self.problems.append(text)
        print(f"PROBLEM: {text}", file=sys.stderr, flush=True)

    def bound(self, name: str, value: float, most: float) -> None:
        """A figure and the most that it may be."""
        self.figures[name] = value
        if value > most:
            self.missed.append(f"{name} is {value:g}, at most {most:g} was promised")

    @property
    def proves_something(self) -> bool:
        """Whether a fault fired while something was in flight, where that is the point."""
        return self.without_faults or bool(self.injected and self.in_flight)

    def add(self, name: str, number: int = 1) -> None:
        """Count something."""
        self.figures[name] = self.figures.get(name, 0) + number

    def result(self, quick: bool) -> dict[str, Any]:
        """The object of the last line, without name and seed."""
        idle = not self.proves_something
        ok = not self.problems and not idle and (quick or not self.missed)
        found: dict[str, Any] = {"ok": ok, "injected": self.injected, "ops_in_flight_at_fault": self.in_flight, **self.figures}
        if self.missed:
            found["missed"] = self.missed
        if self.problems:
            told = [text.split("\n")[0][:500] for text in self.problems[:PROBLEMS_TOLD]]
            found |= {"problems": told, "problems_found": len(self.problems)}
        if idle:
            found["proved_nothing"] = "no fault fired while something was in flight"
        return found
