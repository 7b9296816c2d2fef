"""ListPartitionReassignments (46): none is ever in progress.

Version 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k46_list_partition_reassignments import ListPartitionReassignmentsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 46
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    if not broker.allows_on_cluster(call, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(ListPartitionReassignmentsResponse(error_code=code, error_message=error_message(code), topics=[]))
        return
    call.reply(ListPartitionReassignmentsResponse(error_message=None, topics=[]))
