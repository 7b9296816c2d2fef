"""What may be set for each kind of resource, by Kafka's rules: a whole configuration checked, single settings altered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from ev.broker.broker_configs import DYNAMIC, THROTTLES
from ev.coarser_settings import COARSER
from ev.coordinators.group_config import check_group_config, group_setting_named
from ev.errors import ErrorCode, KafkaError, SettingError
from ev.setting_types import Words
from ev.settings import BY_NAME, ResourceSetting, did_you_mean, topic_setting_named, topic_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.settings import Settings

# Operations of IncrementalAlterConfigs.
SET: Final = 0
DELETE: Final = 1
APPEND: Final = 2
SUBTRACT: Final = 3


class Rules(ABC):
    """The rules of one kind of resource."""

    @abstractmethod
    def checked(self, config: Mapping[str, str | None]) -> dict[str, str]:
        """A whole new configuration as it is stored. Raises KafkaError."""

    @abstractmethod
    def altered(self, config: Mapping[str, str], operations: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
        """What `config` becomes by (name, operation, value)s, in order. Raises KafkaError."""


class SettingRules(Rules):
    """The rules of what has settings."""

    REFUSED: int = ErrorCode.INVALID_CONFIG  # the error of a name or a value that is not permitted

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @abstractmethod
    def _named(self, name: str) -> ResourceSetting:
        """The setting of this name. Raises SettingError."""

    @abstractmethod
    def _check(self, config: Mapping[str, str]) -> None:
        """Whether all of it may be set together. Raises SettingError."""

    def checked(self, config: Mapping[str, str | None]) -> dict[str, str]:
        for name, value in config.items():
            if value is None:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
        texts = {name: value for name, value in config.items() if value is not None}
        try:
            self._check(texts)
        except SettingError as error:
            raise KafkaError(self.REFUSED, str(error)) from error
        return dict(sorted(texts.items()))

    def altered(self, config: Mapping[str, str], operations: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
        new: dict[str, str | None] = dict(config)
        named: set[str] = set()
        for name, operation, value in operations:
            if name in named:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Error due to duplicate config keys: {name}")
            named.add(name)
            self._alter(new, name, operation, value)
        return self.checked(new)

    def _alter(self, config: dict[str, str | None], name: str, operation: int, value: str | None) -> None:
        if operation == DELETE:
            config.pop(name, None)
            return
        if value is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
        if operation == SET:
            config[name] = value
        elif operation in (APPEND, SUBTRACT):
            config[name] = self._with_words(config.get(name), name, operation, value)
        else:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown config operation {operation} for {name}")

    def _with_words(self, text: str | None, name: str, operation: int, value: str) -> str:
        """A list with words appended or taken away; a list that was not set begins as its default."""
        try:
            setting = self._named(name)
            if not isinstance(setting.row, Words):
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"Can't append or subtract: {name} is not a list")
            words = setting.default(self._settings) if text is None else setting.parse(text)
            changed = setting.parse(value)
        except SettingError as error:
            raise KafkaError(self.REFUSED, str(error)) from error
        if operation == APPEND:
            return setting.row.render(tuple(dict.fromkeys((*words, *changed))))
        return setting.row.render(tuple(word for word in words if word not in changed))


class TopicRules(SettingRules):
    """A topic that is there may be given every setting of topics."""

    def _named(self, name: str) -> ResourceSetting:
        return topic_setting_named(name)

    def _check(self, config: Mapping[str, str]) -> None:
        topic_values(self._settings, config)


class NewTopicRules(TopicRules):
    """One that is to be created may be given the same; what is refused is the configuration, null too."""

    def checked(self, config: Mapping[str, str | None]) -> dict[str, str]:
        for name, value in config.items():
            if value is None:
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {name}")
        return super().checked(config)


class GroupRules(SettingRules):
    """A group may be given timeouts within the broker's bounds."""

    def _named(self, name: str) -> ResourceSetting:
        return group_setting_named(name)

    def _check(self, config: Mapping[str, str]) -> None:
        check_group_config(self._settings, config)


class BrokerRules(SettingRules):
    """A broker may be given, at run time, what can be put in force at once."""

    REFUSED = ErrorCode.INVALID_REQUEST

    def _named(self, name: str) -> ResourceSetting:
        row = DYNAMIC.get(name)
        if row is None:
            raise SettingError(f"Cannot update these configs dynamically: [{name}]")
        return ResourceSetting(name, row, broker=name not in THROTTLES)

    def _check(self, config: Mapping[str, str]) -> None:
        coarser = [name for name in config if name in COARSER]
        if coarser:
            instead = ", ".join(COARSER[name].of for name in coarser)
            raise SettingError(f"Cannot update these configs dynamically: [{', '.join(coarser)}]; set {instead}")
        unknown = [name for name in config if name not in DYNAMIC and name not in BY_NAME]
        if unknown:
            raise SettingError(f"Unknown broker settings: {', '.join(unknown)}{did_you_mean(unknown[0], DYNAMIC)}")
        fixed = [name for name in config if name not in DYNAMIC]
        if fixed:
            raise SettingError(f"Cannot update these configs dynamically: [{', '.join(fixed)}]")
        for name, text in config.items():
            self._named(name).parse(text)
