"""The configuration of single groups: what was set for a group of the new protocol over the broker's settings.

It is kept by the group's name, may be there before the group, and outlives it, as in Kafka. The broker's least and most bound what
may be set; when they were moved since, a value outside counts as the nearest one inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import SettingError
from ev.settings import ResourceSetting, Settings, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ev.setting_types import Number

HEARTBEAT_INTERVAL: Final = ResourceSetting("consumer.heartbeat.interval.ms", Settings.group_consumer_heartbeat_interval_ms)
SESSION_TIMEOUT: Final = ResourceSetting("consumer.session.timeout.ms", Settings.group_consumer_session_timeout_ms)
ASSIGNMENT_INTERVAL: Final = ResourceSetting("consumer.assignment.interval.ms", Settings.group_consumer_assignment_interval_ms)
GROUP_SETTINGS: Final = {setting.name: setting for setting in (ASSIGNMENT_INTERVAL, HEARTBEAT_INTERVAL, SESSION_TIMEOUT)}
BOUNDS: Final[dict[str, tuple[Number, Number]]] = {
    ASSIGNMENT_INTERVAL.name: (Settings.group_consumer_min_assignment_interval_ms, Settings.group_consumer_max_assignment_interval_ms),
    HEARTBEAT_INTERVAL.name: (Settings.group_consumer_min_heartbeat_interval_ms, Settings.group_consumer_max_heartbeat_interval_ms),
    SESSION_TIMEOUT.name: (Settings.group_consumer_min_session_timeout_ms, Settings.group_consumer_max_session_timeout_ms),
}

CONFIGURED_GROUPS_MAX: Final = 100_000
"""How many groups may have a configuration of their own."""


def group_setting_named(name: str) -> ResourceSetting:
    setting = GROUP_SETTINGS.get(name)
    if setting is None:
        raise SettingError(f"Unknown group config name: {name}{did_you_mean(name, GROUP_SETTINGS)}")
    return setting


def check_group_config(settings: Settings, config: Mapping[str, str]) -> None:
    """Whether a group may be configured so. Raises SettingError."""
    values = {name: group_setting_named(name).parse(text) for name, text in config.items()}
    for name, value in values.items():
        low, high = BOUNDS[name]
        if value < _broker_value(settings, low):
            raise SettingError(f"{name} must be greater than or equal to {low.name}")
        if value > _broker_value(settings, high):
            raise SettingError(f"{name} must be less than or equal to {high.name}")
    session_ms, interval_ms = (values.get(each.name, each.default(settings)) for each in (SESSION_TIMEOUT, HEARTBEAT_INTERVAL))
    if values and session_ms <= interval_ms:
        raise SettingError(f"{SESSION_TIMEOUT.name} must be greater than {HEARTBEAT_INTERVAL.name}")


def _broker_value(settings: Settings, row: Number) -> int:
    value: int = settings.value_of(row)
    return value


class GroupConfigs:
    """What was set for which group. Changes in `replay()` only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_group: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._by_group)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_group)

    def of(self, group_id: str) -> Mapping[str, str]:
        return self._by_group.get(group_id, {})

    def replay(self, group_id: str, config: Mapping[str, str] | None) -> None:
        """One record of the metadata log; None: nothing is set for the group any more."""
        if config is None:
            self._by_group.pop(group_id, None)
        else:
            self._by_group[group_id] = dict(config)

    def session_timeout_ms(self, group_id: str) -> int:
        """How long a member of the group may be silent."""
        return self._value(group_id, SESSION_TIMEOUT)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        """How often the group's members are told to report."""
        return self._value(group_id, HEARTBEAT_INTERVAL)

    def assignment_interval_ms(self, group_id: str) -> int:
        """How long after an assignment the group gets the next one at the earliest."""
        return self._value(group_id, ASSIGNMENT_INTERVAL)

    def _value(self, group_id: str, setting: ResourceSetting) -> int:
        text = self.of(group_id).get(setting.name)
        value: int = setting.default(self._settings) if text is None else setting.parse(text)
        if text is None:
            return value
        low, high = (_broker_value(self._settings, row) for row in BOUNDS[setting.name])
        return min(max(value, low), high)
