"""The records of one batch that a consumer has opened, to hand them out one by one, and has not handed out yet."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.fetched import FetchedBatch, Record

    TopicPartition = tuple[str, int]


class Leftover:
    """Records are made when they are taken: thousands that nobody has asked for yet would be work for the garbage collector."""

    __slots__ = ("_batch", "_place")

    def __init__(self) -> None:
        self._batch: FetchedBatch | None = None
        self._place = 0

    def __bool__(self) -> bool:
        return self._batch is not None

    @property
    def partition(self) -> TopicPartition | None:
        """Where they are from; None when there are none."""
        return None if self._batch is None else (self._batch.topic, self._batch.partition)

    def open(self, batch: FetchedBatch) -> None:
        """Raises CorruptBatchError, and has nothing then."""
        self._batch = None
        self._place = 0
        if len(batch.columns):
            self._batch = batch

    def take(self, count: int) -> list[Record]:
        """The next ones, so many at the most."""
        batch = self._batch
        if count <= 0 or batch is None:
            return []
        begin = self._place
        self._place = begin + count
        if self._place >= len(batch):
            self._batch = None
        return batch.records_between(begin, begin + count)

    def next_offset(self, partition: TopicPartition) -> int | None:
        """The offset of the next one, when they are from there."""
        return self._batch.columns.offsets[self._place] if self._batch is not None and self.partition == partition else None

    def forget(self) -> None:
        self._batch = None
