"""IncrementalAlterConfigs (44): set, delete, append to and subtract from single settings of what has a configuration.

Versions 0-1. Append and subtract work on lists. A setting may be named once per resource. The broker's settings may be
changed by its id, or for all brokers by the empty name, as far as they can be put in force at once; the levels of its loggers by its
id, until it ends.

v1 flexible.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ev.broker.alter import Change, alter
from ev.wire.messages.k44_incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ev.broker.broker import Broker
    from ev.broker.config_rules import Rules
    from ev.broker.runtime import Call

KEY = 44
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    request: IncrementalAlterConfigsRequest = call.request
    changes = [Change(resource.resource_type, resource.resource_name, partial(_new, resource)) for resource in request.resources]
    after = alter(broker, call, changes, validate_only=request.validate_only)
    responses = [
        AlterConfigsResourceResponse(
            error_code=change.code, error_message=change.message, resource_type=change.resource_type, resource_name=change.name
        )
        for change in changes
    ]
    call.reply(IncrementalAlterConfigsResponse(responses=responses), after)


def _new(resource: AlterConfigsResource, rules: Rules, old: Mapping[str, str]) -> dict[str, str]:
    return rules.altered(old, [(config.name, config.config_operation, config.value) for config in resource.configs])
