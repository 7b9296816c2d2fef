"""Subscriptions to the metrics of clients (KIP-714), which are kept for Kafka's tools: nobody here receives metrics.

A broker without a receiver does not offer its clients the APIs for them (71 and 72), and neither does this one, but lets subscriptions
be set, described, listed and deleted. (ClientMetricsConfigs.java)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ev.broker.config_rules import APPEND, SettingRules
from ev.errors import ErrorCode, KafkaError, SettingError
from ev.setting_types import Number, Words
from ev.settings import ResourceSetting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INTERVAL: Final = Number(
    "interval.ms", 300_000, "How often a client is to push its metrics.", low=-(1 << 31), high=(1 << 31) - 1, unit="ms"
)
_MATCH: Final = Words("match", (), "Which clients are meant: name=pattern, for each of some names.")
_METRICS: Final = Words("metrics", (), "The prefixes of the metrics that are wanted; * for all.")
CLIENT_METRICS_SETTINGS: Final = {row.name: ResourceSetting(row.name, row, broker=False) for row in (_INTERVAL, _MATCH, _METRICS)}
INTERVAL_MIN_MS: Final = 100
INTERVAL_MAX_MS: Final = 3_600_000
MATCHED: Final = frozenset(
    {"client_instance_id", "client_id", "client_software_name", "client_software_version", "client_source_address", "client_source_port"}
)
SUBSCRIPTIONS_MAX: Final = 10_000
"""How many subscriptions there may be."""


class ClientMetrics:
    """The subscriptions that are set. Changes in `replay()` only."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def of(self, name: str) -> Mapping[str, str]:
        return self._by_name.get(name, {})

    def replay(self, name: str, config: Mapping[str, str] | None) -> None:
        """One record of the metadata log; None: there is no such subscription any more."""
        if config is None:
            self._by_name.pop(name, None)
        else:
            self._by_name[name] = dict(config)


class ClientMetricsRules(SettingRules):
    """A subscription may be given an interval within bounds, names of metrics, and patterns of clients."""

    def _named(self, name: str) -> ResourceSetting:
        setting = CLIENT_METRICS_SETTINGS.get(name)
        if setting is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {name}")
        return setting

    def _check(self, config: Mapping[str, str]) -> None:
        values = {name: self._named(name).parse(text) for name, text in config.items()}
        interval_ms = values.get(_INTERVAL.name, _INTERVAL.default)
        if not INTERVAL_MIN_MS <= interval_ms <= INTERVAL_MAX_MS:
            message = f"Invalid value {interval_ms} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
            raise KafkaError(ErrorCode.INVALID_REQUEST, message)
        for word in values.get(_MATCH.name, ()):
            name, equals, pattern = word.partition("=")
            if not equals or "=" in pattern or name.strip() not in MATCHED or not _is_pattern(pattern.strip()):
                raise SettingError(f"Illegal client matching pattern: {word}")

    def _with_words(self, text: str | None, name: str, operation: int, value: str) -> str:
        verb = "APPEND" if operation == APPEND else "SUBTRACT"
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Can't {verb} to key {name} because its type is not LIST.")


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return bool(text)
