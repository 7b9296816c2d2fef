"""DeleteAcls (31): refused filter by filter, because there is no authorizer that could have any.

Versions 1-3 (AclApis.handleDeleteAcls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k29_describe_acls import NO_AUTHORIZER
from ev.errors import ErrorCode
from ev.wire.messages.k31_delete_acls import DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 31
VERSIONS = (1, 3)


def handle(broker: Broker, call: Call) -> None:
    request: DeleteAclsRequest = call.request
    refused = [DeleteAclsFilterResult(error_code=ErrorCode.SECURITY_DISABLED, error_message=f"{NO_AUTHORIZER}.") for _ in request.filters]
    call.reply(DeleteAclsResponse(filter_results=refused))
