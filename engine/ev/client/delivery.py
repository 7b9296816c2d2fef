"""What became of records that a producer took: they are in the log, or an error says why not."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.errors import EvError


class Delivery:
    """What became of `count` consecutive records. `base_offset` is -1 where the broker does not tell it (acks=0, some retries)."""

    __slots__ = ("base_offset", "count", "error", "partition", "tag", "topic")

    def __init__(self, topic: str, partition: int, base_offset: int, count: int, tag: object, error: EvError | None) -> None:
        self.topic = topic
        self.partition = partition
        self.base_offset = base_offset
        self.count = count
        self.tag = tag
        self.error = error

    def __repr__(self) -> str:
        outcome = f"offset {self.base_offset}" if self.error is None else repr(self.error)
        return f"Delivery({self.topic}-{self.partition}, {self.count} records, {outcome}, tag={self.tag!r})"
