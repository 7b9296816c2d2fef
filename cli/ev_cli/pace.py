"""--rate: so many records a second, and no burst of more than a tenth of a second."""

from __future__ import annotations

import math

from ev_cli.failures import UsageFailure

_UNITS = {"s": 1, "m": 60, "h": 3600}


class Pace:
    """How many records may go at a time. The caller tells what it sends."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s / 10)
        self._allowed = 1.0
        self._asked_at: float | None = None

    def allowed(self, now: float) -> int:
        """So many may go now."""
        if self._asked_at is not None:
            self._allowed = min(self._allowed + (now - self._asked_at) * self._per_s, self._burst)
        self._asked_at = now
        return math.floor(self._allowed + 1e-9)

    def sent(self, count: int) -> None:
        self._allowed -= count

    def wait_s(self) -> float:
        """How long to wait until at least one may go; where many may go in a second, until there are some."""
        wanted = min(self._burst, max(1.0, self._per_s / 50))
        return max(0.0, (wanted - self._allowed) / self._per_s)


def pace_of(text: str) -> Pace:
    """`100`, `100/s`, `6000/m`."""
    number, slash, unit = text.partition("/")
    try:
        per_s = float(number) / _UNITS[unit if slash else "s"]
    except (ValueError, KeyError):
        per_s = 0.0
    if not 0 < per_s < 1e9:
        raise UsageFailure(f"--rate {text!r} is no rate", "so many records a second: 100 or 100/s; 6000/m, 10/h")
    return Pace(per_s)
