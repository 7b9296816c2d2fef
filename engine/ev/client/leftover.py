"""The records of one batch that a consumer has opened, to hand them out one by one, and has not handed out yet."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.fetched import FetchedBatch, Record

    TopicPartition = tuple[str, int]


class Leftover:
    """The next record is at the end of the list."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: list[Record] = []

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def partition(self) -> TopicPartition | None:
        """Where they are from; None when there are none."""
        return (self._records[-1].topic, self._records[-1].partition) if self._records else None

    def open(self, batch: FetchedBatch) -> None:
        """Raises CorruptBatchError, and has nothing then."""
        records = list(batch.records())
        records.reverse()
        self._records = records

    def take(self, count: int) -> list[Record]:
        """The next ones, so many at the most."""
        if count <= 0:
            return []
        taken = self._records[: -count - 1 : -1]
        del self._records[-count:]
        return taken

    def next_offset(self, partition: TopicPartition) -> int | None:
        """The offset of the next one, when they are from there."""
        return self._records[-1].offset if self._records and self.partition == partition else None

    def forget(self) -> None:
        self._records = []
