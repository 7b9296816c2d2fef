"""OffsetFetch (9): how far a group has read.

Versions 1-10. A partition without a commit has offset -1 and no error; null topics ask for every commit of the group. The answer
leaves when all that is known of the group is on disk. With `require_stable` a partition for which a transaction has committed and
not ended yet is answered with UNSTABLE_OFFSET_COMMIT (KIP-447).

v2 adds the group's error and null topics, v5 the leader epoch, v6 is flexible, v7 adds require_stable, v8 takes several groups,
v9 the member that asks, v10 names topics by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.wire.messages.k09_offset_fetch import OffsetFetchResponse, OffsetFetchResponseGroup

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest

KEY = 9
VERSIONS = (1, 10)


def handle(broker: Broker, call: Call) -> None:
    request: OffsetFetchRequest = call.request
    broker.groups.decide(call, broker.groups.groups.fetch_offsets, lambda code: refused(request, code))


def refused(request: OffsetFetchRequest, error_code: int) -> OffsetFetchResponse:
    groups = [OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=error_code) for group in request.groups]
    return OffsetFetchResponse(topics=[], error_code=error_code, groups=groups)
