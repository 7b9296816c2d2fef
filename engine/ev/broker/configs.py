"""Configurations as the admin APIs describe them: every setting with its value, its source and its synonyms.

A topic's configuration, or a group's, is what was set for it over the broker's settings; a broker's are the rows of `ev.settings`,
which are given at the start and read-only after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ev.coordinators.group_config import GROUP_SETTINGS
from ev.settings import TOPIC_SETTINGS, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ev.setting_types import Setting
    from ev.settings import ResourceSetting, Settings

# Kafka's numbers for the kind of a resource.
TOPIC: Final = 2
BROKER: Final = 4
BROKER_LOGGER: Final = 8
CLIENT_METRICS: Final = 16
GROUP: Final = 32

# Where a value comes from.
DYNAMIC_TOPIC: Final = 1
STATIC_BROKER: Final = 4
DEFAULT: Final = 5
DYNAMIC_GROUP: Final = 8


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


def describe_topic(settings: Settings, config: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every topic setting (or those of `names` that exist) of a topic for which `config` was set."""
    yield from _described(settings, TOPIC_SETTINGS, config, DYNAMIC_TOPIC, names)


def describe_group(settings: Settings, config: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """The same for a group, whether there is one of this name or not."""
    yield from _described(settings, GROUP_SETTINGS, config, DYNAMIC_GROUP, names)


def _described(
    settings: Settings, table: Mapping[str, ResourceSetting], config: Mapping[str, str], own: int, names: Iterable[str] | None
) -> Iterator[Entry]:
    wanted = None if names is None else set(names)
    for name, setting in table.items():
        if wanted is None or name in wanted:
            yield _entry(settings, setting, config, own)


def _entry(settings: Settings, setting: ResourceSetting, config: Mapping[str, str], own: int) -> Entry:
    synonyms = list(_broker_synonyms(settings, setting.broker)) if setting.broker is not None else []
    if setting.name in config:
        value = setting.row.render(setting.parse(config[setting.name]))
        synonyms.insert(0, Synonym(setting.name, value, own))
    source = synonyms[0].source if synonyms else DEFAULT
    value = synonyms[0].value if synonyms else setting.row.render(setting.row.default)
    return Entry(setting.name, value, source, False, setting.row.KIND, setting.row.doc, tuple(synonyms))


def _broker_synonyms(settings: Settings, row: Setting[Any]) -> Iterator[Synonym]:
    if row.name in settings.given:
        yield Synonym(row.name, settings.rendered(row), STATIC_BROKER)
    yield Synonym(row.name, row.render(row.default), DEFAULT)


def describe_broker(settings: Settings, place: Mapping[str, str], names: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every setting of the broker; `place` holds what is known only at run time (addresses, directories) by Kafka's names."""
    wanted = None if names is None else set(names)
    for row in rows():
        if wanted is None or row.name in wanted:
            synonyms = tuple(_broker_synonyms(settings, row))
            yield Entry(row.name, synonyms[0].value, synonyms[0].source, True, row.KIND, row.doc, synonyms)
    for name, value in place.items():
        if wanted is None or name in wanted:
            yield Entry(name, value, STATIC_BROKER, True, 2, "", (Synonym(name, value, STATIC_BROKER),))
