"""AlterConfigs (33): a whole new configuration for a topic, a group or the broker; what is not named goes back to its default.

Versions 0-2. The broker's settings may be changed by its id, or
for all brokers by the empty name, as far as they can be put in force at once.

v2 flexible.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ev.broker.alter import Change, alter
from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k33_alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ev.broker.broker import Broker
    from ev.broker.config_rules import Rules
    from ev.broker.runtime import Call

KEY = 33
VERSIONS = (0, 2)


def handle(broker: Broker, call: Call) -> None:
    request: AlterConfigsRequest = call.request
    changes = [Change(resource.resource_type, resource.resource_name, partial(_new, resource)) for resource in request.resources]
    after = alter(broker, call, changes, validate_only=request.validate_only)
    responses = [
        AlterConfigsResourceResponse(
            error_code=change.code, error_message=change.message, resource_type=change.resource_type, resource_name=change.name
        )
        for change in changes
    ]
    call.reply(AlterConfigsResponse(responses=responses), after)


def _new(resource: AlterConfigsResource, rules: Rules, _config: Mapping[str, str]) -> dict[str, str]:
    """The new configuration, which does not depend on the old one."""
    config = {config.name: config.value for config in resource.configs}
    if len(config) < len(resource.configs):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    return rules.checked(config)
