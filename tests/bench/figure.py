"""One figure: samples of the engine and of its peers, taken in turn, what was asked for, and what the machine itself could do at most."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Bound:
    """The limit of the machine that no broker on it can pass, and how it is counted in the unit of the figure.

    A limit in MB/s is worth `1e6 / bytes_each` of a figure that counts something of so many bytes; one per second is worth `times` as
    much (sixteen clients that each wait for their own sync). A figure in seconds names in `bytes_each` how much it moves in all.
    """

    limit: str
    bytes_each: float = 0.0
    times: float = 1.0

    def most(self, limits: Mapping[str, float]) -> float | None:
        """The limit in the unit of a figure of things a second; None when it was not measured."""
        if self.limit not in limits:
            return None
        return limits[self.limit] * self.times * (1e6 / self.bytes_each if self.bytes_each else 1.0)

    def percent(self, value: float, limits: Mapping[str, float], at_least: bool) -> float | None:
        """How much of the limit a value is: of things a second, or (`at_least` False) in seconds."""
        most = self.most(limits)
        if not most or not value:
            return None
        return 100 * (value / most if at_least else 1 / most / value)


@dataclass(slots=True)
class Figure:
    """What one row of the table of figures says. `ours` is compared with `peer`; without a peer the value itself is.

    `must` and `reach` are None where nothing was promised. `settings` says of those who were measured how safely they keep what they
    answer for. `points` are the places of a curve: [how many, cost in CPU, cost in time].
    """

    name: str
    unit: str
    must: float | None = None
    reach: float | None = None
    at_least: bool = True  # False: small is good
    ours: str = "ev"
    peer: str | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""
    bound: Bound | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Sequence[float]] = ()

    def add(self, who: str, value: float) -> None:
        self.samples.setdefault(who, []).append(value)

    def result(self, limits: Mapping[str, float] | None = None) -> dict[str, Any]:
        """The row as it is printed and kept; `limits` are what the machine could do in the same run."""
        samples = dict(sorted(self.samples.items(), key=lambda each: each[0] != self.ours))  # ours first
        medians = {who: statistics.median(values) for who, values in samples.items()}
        row: dict[str, Any] = {
            "figure": self.name,
            "unit": self.unit,
            "medians": {who: rounded(value) for who, value in medians.items()},
            "samples": {who: [rounded(value) for value in values] for who, values in samples.items()},
            "small_is_good": not self.at_least,
        }
        own = medians.get(self.ours)
        compared = own
        if self.peer is not None:
            peer = medians.get(self.peer)
            compared = own / peer if own is not None and peer else None
            row |= {"peer": self.peer, "ratio": rounded(compared) if compared is not None else None}
        sign = ">=" if self.at_least else "<="
        for wish, value in (("must", self.must), ("reach", self.reach)):
            if value is None:
                continue
            row[wish] = f"{sign} {value:g}"
            if compared is not None:
                row[f"{wish}_met"] = compared >= value if self.at_least else compared <= value
        if self.bound is not None and own is not None:
            percent = self.bound.percent(own, limits or {}, self.at_least)
            if percent is not None:
                row |= {"machine_percent": rounded(percent), "machine_limit": self.bound.limit}
        if self.settings:
            row["settings"] = dict(self.settings)
        if self.points:
            row["points"] = [[rounded(value) for value in point] for point in self.points]
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


def growth_per_tenfold(points: Sequence[tuple[float, float]]) -> float:
    """By how much a cost is multiplied when its cause is: 1 is flat, 10 is linear. The slope of the line through the logarithms."""
    xs = [math.log10(x) for x, _ in points]
    ys = [math.log10(y) for _, y in points]
    return float(10 ** statistics.linear_regression(xs, ys).slope)
