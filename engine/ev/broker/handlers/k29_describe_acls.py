"""DescribeAcls (29): there is no authorizer on this engine, and that is the answer, as on a Kafka that was configured without one.

Versions 1-3 (AclApis.handleDescribeAcls).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode
from ev.wire.messages.k29_describe_acls import DescribeAclsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 29
VERSIONS = (1, 3)
NO_AUTHORIZER: Final = "No Authorizer is configured"


def handle(broker: Broker, call: Call) -> None:
    call.reply(DescribeAclsResponse(error_code=ErrorCode.SECURITY_DISABLED, error_message=f"{NO_AUTHORIZER} on the broker"))
