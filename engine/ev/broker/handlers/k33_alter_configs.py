"""AlterConfigs (33): a whole new configuration for a topic; what is not named goes back to its default.

Versions 0-2. The broker's own settings are given at its start and refused here.

v2 flexible.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ev.broker.alter import Change, alter
from ev.broker.configs import checked
from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k33_alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.topics import Topic

KEY = 33
VERSIONS = (0, 2)


def handle(broker: Broker, call: Call) -> None:
    request: AlterConfigsRequest = call.request
    changes = [
        Change(
            resource.resource_type, resource.resource_name, [config.name for config in resource.configs], partial(_new, broker, resource)
        )
        for resource in request.resources
    ]
    after = alter(broker, changes, call.now_ms, validate_only=request.validate_only)
    responses = [
        AlterConfigsResourceResponse(
            error_code=change.code, error_message=change.message, resource_type=change.resource_type, resource_name=change.name
        )
        for change in changes
    ]
    call.reply(AlterConfigsResponse(responses=responses), after)


def _new(broker: Broker, resource: AlterConfigsResource, _topic: Topic) -> dict[str, str]:
    """The topic's new configuration, which does not depend on its old one."""
    config = {config.name: config.value for config in resource.configs}
    if len(config) < len(resource.configs):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    return checked(broker.settings, config)
