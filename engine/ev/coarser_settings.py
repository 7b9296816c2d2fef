"""Kafka's names for some times in minutes and hours: each is another way to say a setting that counts milliseconds.

Of several that say the same the finest unit counts, whatever the order: log.retention.ms, then .minutes, then .hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ev.errors import SettingError
from ev.setting_types import INT_MAX, Number
from ev.setting_units import HOUR_MS, MINUTE_MS


class Coarser(Number):
    """One of these names. `of` is the setting in milliseconds that it stands for."""

    KIND_NAME = "int"

    def __init__(self, name: str, of: str, unit: str, unit_ms: int, default: int, *, low: int) -> None:
        doc = f"{of} in {unit}; what is said in a finer unit counts more."
        super().__init__(name, default, doc, low=low, high=INT_MAX, unit=unit)
        self.of = of
        self.unit_ms = unit_ms

    def milliseconds(self, text: str) -> str:
        """The text that the setting in milliseconds would have. Below 0 is without an end, in any unit."""
        value = self.parse(text)
        return str(value * self.unit_ms if value >= 0 else value)


COARSER: Final[dict[str, Coarser]] = {
    row.name: row
    for row in (
        Coarser("log.retention.minutes", "log.retention.ms", "minutes", MINUTE_MS, 7 * 24 * 60, low=-1),
        Coarser("log.retention.hours", "log.retention.ms", "hours", HOUR_MS, 7 * 24, low=-1),
        Coarser("log.roll.hours", "log.roll.ms", "hours", HOUR_MS, 7 * 24, low=1),
        Coarser("log.roll.jitter.hours", "log.roll.jitter.ms", "hours", HOUR_MS, 0, low=0),
    )
}
"""The finer unit first."""


def in_milliseconds(texts: Mapping[str, str]) -> dict[str, str]:
    """The settings that a person wrote, without coarser names. SettingError for a value that one of those cannot have."""
    found = {name: text for name, text in texts.items() if name not in COARSER}
    for name, row in COARSER.items():
        if name in texts:
            found.setdefault(row.of, row.milliseconds(texts[name]))
    return found


def refuse_coarser(name: str) -> None:
    """Where only the setting in milliseconds can stand: say which that is."""
    row = COARSER.get(name)
    if row is not None:
        raise SettingError(f"{name} cannot be set here: set {row.of}, in milliseconds")
