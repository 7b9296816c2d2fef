"""Configurations as the admin APIs describe them: every setting with its value, its source and its synonyms.

A topic's configuration, or a group's, is what was set for it over the broker's settings; a broker's are the rows of `ev.settings`,
which are given at the start, and some of them at run time too (see `ev.broker.broker_configs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ev.broker.broker_configs import DYNAMIC, THROTTLES
from ev.broker.client_metrics import CLIENT_METRICS_SETTINGS
from ev.broker.loggers import levels
from ev.coordinators.group_config import GROUP_SETTINGS
from ev.errors import ErrorCode, KafkaError
from ev.setting_types import Text
from ev.settings import TOPIC_SETTINGS, rows
from ev.wire.acls import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ev.broker.broker import Broker
    from ev.broker.broker_configs import BrokerConfigs
    from ev.broker.runtime import Call
    from ev.setting_types import Setting
    from ev.settings import ResourceSetting

# Kafka's numbers for the kind of a resource.
TOPIC: Final = 2
BROKER: Final = 4
BROKER_LOGGER: Final = 8
CLIENT_METRICS: Final = 16
GROUP: Final = 32

# Where a value comes from.
DYNAMIC_TOPIC: Final = 1
DYNAMIC_BROKER: Final = 2
DYNAMIC_DEFAULT_BROKER: Final = 3
STATIC_BROKER: Final = 4
DEFAULT: Final = 5
DYNAMIC_BROKER_LOGGER: Final = 6
DYNAMIC_CLIENT_METRICS: Final = 7
DYNAMIC_GROUP: Final = 8


def check_right(broker: Broker, call: Call, operation: int, resource_type: int, name: str) -> None:
    """Whether the client may do this with the configuration of a resource. Raises KafkaError."""
    if resource_type == TOPIC:
        allowed, code = broker.allows(call, operation, Resource.TOPIC, name), ErrorCode.TOPIC_AUTHORIZATION_FAILED
    elif resource_type == GROUP:
        allowed, code = broker.allows(call, operation, Resource.GROUP, name), ErrorCode.GROUP_AUTHORIZATION_FAILED
    else:
        allowed, code = broker.allows_on_cluster(call, operation), ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    if not allowed:
        raise KafkaError(code)


INT: Final = 3
LIST: Final = 7
PLACE_KINDS: Final = {"advertised.listeners": LIST, "log.dirs": LIST, "broker.id": INT, "node.id": INT}
"""Kafka's numbers for the types of what is known only at run time."""


@dataclass(frozen=True, slots=True)
class Synonym:
    """One place where a value may come from, under the name that it has there."""

    name: str
    value: str
    source: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a described configuration."""

    name: str
    value: str
    source: int
    read_only: bool
    kind: int
    doc: str
    synonyms: tuple[Synonym, ...]  # the one that counts comes first


def describe_topic(brokers: BrokerConfigs, config: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every topic setting (or those of `names` that exist) of a topic for which `config` was set."""
    yield from _described(brokers, TOPIC_SETTINGS, config, DYNAMIC_TOPIC, names)


def describe_group(brokers: BrokerConfigs, config: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """The same for a group, whether there is one of this name or not."""
    yield from _described(brokers, GROUP_SETTINGS, config, DYNAMIC_GROUP, names)


def describe_client_metrics(brokers: BrokerConfigs, config: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """The same for a subscription to metrics of clients."""
    yield from _described(brokers, CLIENT_METRICS_SETTINGS, config, DYNAMIC_CLIENT_METRICS, names)


def describe_loggers(names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every logger of the engine with its level."""
    wanted = None if names is None else set(names)
    for name, level in levels().items():
        if wanted is None or name in wanted:
            yield Entry(name, level, DYNAMIC_BROKER_LOGGER, False, 0, "", ())


def _described(
    brokers: BrokerConfigs, table: Mapping[str, ResourceSetting], config: Mapping[str, str], own: int, names: Iterable[str] | None
) -> Iterator[Entry]:
    wanted = None if names is None else set(names)
    for name, setting in table.items():
        if wanted is None or name in wanted:
            yield _entry(brokers, setting, config, own)


def _entry(brokers: BrokerConfigs, setting: ResourceSetting, config: Mapping[str, str], own: int) -> Entry:
    synonyms = list(_broker_synonyms(brokers, setting.broker)) if setting.broker is not None else []
    if setting.name in config:
        value = setting.row.render(setting.parse(config[setting.name]))
        synonyms.insert(0, Synonym(setting.name, value, own))
    source = synonyms[0].source if synonyms else DEFAULT
    value = synonyms[0].value if synonyms else setting.row.render(setting.row.default)
    return Entry(setting.name, value, source, False, setting.row.KIND, setting.row.doc, tuple(synonyms))


def _broker_synonyms(brokers: BrokerConfigs, row: Setting[Any]) -> Iterator[Synonym]:
    for config, source in ((brokers.own, DYNAMIC_BROKER), (brokers.common, DYNAMIC_DEFAULT_BROKER)):
        if row.name in config:
            yield Synonym(row.name, row.render(row.parse(config[row.name])), source)
    if row.name in brokers.given.given:
        yield Synonym(row.name, brokers.given.rendered(row), STATIC_BROKER)
    if row.name not in THROTTLES:
        yield Synonym(row.name, row.render(row.default), DEFAULT)


def describe_broker(brokers: BrokerConfigs, place: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every setting of the broker; `place` holds what is known only at run time (addresses, directories) by Kafka's names."""
    wanted = None if names is None else set(names)
    for row in (*rows(), *THROTTLES.values()):
        if row.name in place:
            continue
        synonyms = tuple(_broker_synonyms(brokers, row)) if wanted is None or row.name in wanted else ()
        if synonyms:
            yield Entry(row.name, synonyms[0].value, synonyms[0].source, row.name not in DYNAMIC, row.KIND, row.doc, synonyms)
    for name, value in place.items():
        if wanted is None or name in wanted:
            yield Entry(name, value, STATIC_BROKER, True, PLACE_KINDS.get(name, Text.KIND), "", (Synonym(name, value, STATIC_BROKER),))


def describe_all_brokers(brokers: BrokerConfigs, names: Iterable[str] | None = None) -> Iterator[Entry]:
    """What was set at run time for all brokers, and nothing else."""
    wanted = None if names is None else set(names)
    for name in brokers.common:
        if wanted is None or name in wanted:
            row = DYNAMIC[name]
            (synonym,) = (each for each in _broker_synonyms(brokers, row) if each.source == DYNAMIC_DEFAULT_BROKER)
            yield Entry(name, synonym.value, DYNAMIC_DEFAULT_BROKER, False, row.KIND, row.doc, (synonym,))
