"""Tells whether a fetch request says what an earlier one said, only in another order.

A consumer that has read everything asks the same again and again. librdkafka begins each time with the next partition, so that
none is always last, and then the bytes of two such requests differ:

    head, topic, count | partition 0 | partition 1 | partition 2 | tail
    head, topic, count | partition 1 | partition 2 | partition 0 | tail

What stands for a partition has the same size each time, so that this can be seen without decoding anything.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.wire.messages.k01_fetch import FetchRequest

ENTRY_BYTES = ((12, 33), (9, 28), (5, 24), (0, 16))
"""(first version, bytes for one partition without tagged fields)"""


def is_rotated(request: FetchRequest, version: int, body: bytes, later: bytes) -> bool:
    """Whether `later` is `body`, which was decoded to `request`, with the partitions of its one topic rotated."""
    if len(request.topics) != 1 or len(later) != len(body):
        return False
    topic = request.topics[0]
    count, name_bytes = len(topic.partitions), len(topic.topic.encode())
    head = 17 + (8 if version >= 7 else 0) - (4 if version >= 15 else 0)
    if version >= 12:
        head += 1 + (16 if version >= 13 else uvarint_bytes(name_bytes + 1) + name_bytes) + uvarint_bytes(count + 1)
    else:
        head += 4 + 2 + name_bytes + 4
    size = next(size for first, size in ENTRY_BYTES if version >= first)
    end = head + count * size
    if end > len(body) or body[:head] != later[:head] or body[end:] != later[end:]:
        return False
    place = (body[head:end] * 2).find(later[head:end])
    return place >= 0 and place % size == 0


def uvarint_bytes(value: int) -> int:
    """How many bytes an unsigned varint takes."""
    return max(1, -(-value.bit_length() // 7))
