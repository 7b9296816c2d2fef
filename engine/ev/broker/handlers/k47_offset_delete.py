"""OffsetDelete (47): forget committed offsets of partitions that the group does not read.

Version 0. GROUP_SUBSCRIBED_TO_TOPIC for a topic that a member reads; a partition without a commit is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k47_offset_delete import OffsetDeleteResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 47
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    broker.groups.decide(call, broker.groups.groups.delete_offsets, lambda code: OffsetDeleteResponse(error_code=code, topics=[]))
