"""The broker's settings in layers: what was set at run time for this broker, for all brokers, what was given at the start, the default.

The first that has a value counts. What may be set at run time is what Kafka lets one set and what this engine puts in force at once:
everything that is the default of a topic's setting, and a few more. The throttles of replication are kept for Kafka's tools, which set
and delete them around every reassignment; there is no replication to throttle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ev.setting_types import LONG_MAX, Number, Setting
from ev.settings import TOPIC_SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL_BROKERS: Final = ""
"""The name of the defaults of all brokers, where a broker's name is its id."""

THROTTLES: Final[dict[str, Number]] = {
    name: Number(name, LONG_MAX, "Kept for Kafka's tools; there is no replication to throttle.", unit="bytes per second")
    for name in (
        "follower.replication.throttled.rate",
        "leader.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    )
}
"""They are listed only where they are set."""

_SETTINGS: Final[tuple[Setting[Any], ...]] = (
    *(setting.broker for setting in TOPIC_SETTINGS.values() if setting.broker is not None),
    Settings.max_connection_creation_rate,
    Settings.max_connections,
    Settings.max_connections_per_ip,
    Settings.max_connections_per_ip_overrides,
    Settings.producer_id_expiration_ms,
    Settings.transaction_partition_verification_enable,
)
DYNAMIC: Final[dict[str, Setting[Any]]] = {**THROTTLES, **{row.name: row for row in _SETTINGS}}
"""What may be set at run time."""


class BrokerConfigs:
    """What is set for this broker, and what counts. Changes in `replay()` only."""

    def __init__(self, given: Settings, node_id: int) -> None:
        self.given = given
        self.settings = given  # what counts now
        self.own_name = str(node_id)
        self._by_name: dict[str, dict[str, str]] = {}

    def of(self, name: str) -> Mapping[str, str]:
        return self._by_name.get(name, {})

    @property
    def own(self) -> Mapping[str, str]:
        return self.of(self.own_name)

    @property
    def common(self) -> Mapping[str, str]:
        return self.of(ALL_BROKERS)

    def replay(self, name: str, config: Mapping[str, str] | None) -> None:
        """One record of the metadata log; None: nothing is set under this name any more."""
        self.settings = self.settings_with({name: config or {}})
        self._by_name[name] = dict(config or {})

    def settings_with(self, changed: Mapping[str, Mapping[str, str]]) -> Settings:
        """What would count if this were set. Raises SettingError."""
        texts = {**changed.get(ALL_BROKERS, self.common), **changed.get(self.own_name, self.own)}
        return self.given.overridden({name: text for name, text in texts.items() if name not in THROTTLES})
