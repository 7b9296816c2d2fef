"""Configurations as the admin APIs see them: described with source and synonyms, and altered with Kafka's rules.

A topic's configuration is what was set for it over the broker's settings; a broker's are the rows of `ev.settings`, which are
given at the start and read-only after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ev.errors import ErrorCode, KafkaError, SettingError
from ev.settings import BY_NAME, TOPIC_SETTINGS, Words, rows, topic_setting_named, topic_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ev.settings import Setting, Settings, TopicSetting

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

# Operations of IncrementalAlterConfigs.
SET: Final = 0
DELETE: Final = 1
APPEND: Final = 2
SUBTRACT: Final = 3


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
    wanted = None if names is None else set(names)
    for name, setting in TOPIC_SETTINGS.items():
        if wanted is None or name in wanted:
            yield _topic_entry(settings, setting, config)


def _topic_entry(settings: Settings, setting: TopicSetting, config: Mapping[str, str]) -> Entry:
    synonyms = list(_broker_synonyms(settings, setting.broker)) if setting.broker is not None else []
    if setting.name in config:
        value = setting.row.render(setting.parse(config[setting.name]))
        synonyms.insert(0, Synonym(setting.name, value, DYNAMIC_TOPIC))
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


def checked(settings: Settings, config: Mapping[str, str | None]) -> dict[str, str]:
    """A whole new configuration for a topic, as it is stored. Raises KafkaError INVALID_CONFIG."""
    for name, value in config.items():
        if value is None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {name}")
    texts = {name: value for name, value in config.items() if value is not None}
    try:
        topic_values(settings, texts)
    except SettingError as error:
        raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from error
    return dict(sorted(texts.items()))


def altered(settings: Settings, config: Mapping[str, str], operations: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
    """What `config` becomes by (name, operation, value)s, in order. Raises KafkaError."""
    new: dict[str, str | None] = dict(config)
    named: set[str] = set()
    for name, operation, value in operations:
        if name in named:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate config keys: {name}")
        named.add(name)
        _alter(settings, new, name, operation, value)
    return checked(settings, new)


def _alter(settings: Settings, config: dict[str, str | None], name: str, operation: int, value: str | None) -> None:
    if operation == DELETE:
        config.pop(name, None)
        return
    if value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
    if operation == SET:
        config[name] = value
    elif operation in (APPEND, SUBTRACT):
        config[name] = _with_words(settings, config.get(name), name, operation, value)
    else:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown config operation {operation} for {name}")


def _with_words(settings: Settings, text: str | None, name: str, operation: int, value: str) -> str:
    """A list with words appended or taken away; a list that was not set begins as its default."""
    try:
        setting = topic_setting_named(name)
        if not isinstance(setting.row, Words):
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Can't append or subtract: {name} is not a list")
        words = setting.default(settings) if text is None else setting.parse(text)
        changed = setting.parse(value)
    except SettingError as error:
        raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from error
    if operation == APPEND:
        return setting.row.render(tuple(dict.fromkeys((*words, *changed))))
    return setting.row.render(tuple(word for word in words if word not in changed))


def broker_refusal(names: Iterable[str]) -> KafkaError:
    """Why a broker's settings are not altered while it runs."""
    listed = ", ".join(sorted(names))
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        return KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown broker settings: {', '.join(sorted(unknown))}")
    return KafkaError(ErrorCode.INVALID_REQUEST, f"Cannot update these configs dynamically: {listed}; give them when the engine starts")
