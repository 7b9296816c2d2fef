"""Configurations over a socket: described, altered one by one or as a whole, listed."""

from __future__ import annotations

from typing import Any

from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ev.wire.messages.k33_alter_configs import AlterableConfig as WholeConfig
from ev.wire.messages.k33_alter_configs import AlterConfigsRequest
from ev.wire.messages.k33_alter_configs import AlterConfigsResource as WholeResource
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from support.raw_transactions import Ask
from support.waiting import wait_for

SET, DELETE, APPEND = 0, 1, 2


class Resource:
    """One resource of some kind, by its name."""

    def __init__(self, ask: Ask, kind: int, name: str) -> None:
        self.ask = ask
        self.kind = kind
        self.name = name

    def described(self, *names: str) -> Any:
        """The whole answer; no names: everything."""
        asked = DescribeConfigsResource(resource_type=self.kind, resource_name=self.name, configuration_keys=list(names) or None)
        return self.ask(DescribeConfigsRequest(resources=[asked], include_synonyms=True), 4).results[0]

    def entry(self, name: str) -> tuple[str | None, int, list[tuple[str, str | None, int]]]:
        """(value, source, synonyms) of one setting."""
        (found,) = self.described(name).configs
        return found.value, found.config_source, [(each.name, each.value, each.source) for each in found.synonyms]

    def becomes(self, name: str, value: str, source: int) -> None:
        """Wait until the setting has this value from there: in Kafka who describes hears of a change a moment later."""

        def heard() -> bool:
            return [(each.value, each.config_source) for each in self.described(name).configs] == [(value, source)]

        wait_for(heard, f"{name}={value} of source {source}")

    def altered(self, *operations: tuple[str, int, str | None], validate_only: bool = False) -> tuple[int, str | None]:
        """(error, message) of IncrementalAlterConfigs."""
        configs = [AlterableConfig(name=name, config_operation=operation, value=value) for name, operation, value in operations]
        resource = AlterConfigsResource(resource_type=self.kind, resource_name=self.name, configs=configs)
        (answer,) = self.ask(IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only), 1).responses
        return answer.error_code, answer.error_message

    def replaced(self, config: dict[str, str | None]) -> tuple[int, str | None]:
        """(error, message) of AlterConfigs."""
        configs = [WholeConfig(name=name, value=value) for name, value in config.items()]
        resource = WholeResource(resource_type=self.kind, resource_name=self.name, configs=configs)
        (answer,) = self.ask(AlterConfigsRequest(resources=[resource], validate_only=False), 2).responses
        return answer.error_code, answer.error_message
