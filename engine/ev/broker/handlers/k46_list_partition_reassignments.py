"""ListPartitionReassignments (46): none is ever in progress.

Version 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k46_list_partition_reassignments import ListPartitionReassignmentsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 46
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    call.reply(ListPartitionReassignmentsResponse(error_message=None, topics=[]))
