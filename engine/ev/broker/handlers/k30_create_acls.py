"""CreateAcls (30): refused one by one, because there is no authorizer that would keep them.

Versions 1-3 (AclApis.handleCreateAcls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k29_describe_acls import NO_AUTHORIZER
from ev.errors import ErrorCode
from ev.wire.messages.k30_create_acls import AclCreationResult, CreateAclsRequest, CreateAclsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 30
VERSIONS = (1, 3)


def handle(broker: Broker, call: Call) -> None:
    request: CreateAclsRequest = call.request
    refused = [AclCreationResult(error_code=ErrorCode.SECURITY_DISABLED, error_message=f"{NO_AUTHORIZER}.") for _ in request.creations]
    call.reply(CreateAclsResponse(results=refused))
