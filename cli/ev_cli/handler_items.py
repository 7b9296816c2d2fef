"""One record on its way through a handler, and how a batch becomes such records."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev.client.fetched import FetchedBatch
    from ev_cli.ledger import Track, Unfinished

    Headers = Sequence[tuple[str, bytes | None]]


class Item:
    """A record, as it is given to the handler, and where its end has to be told."""

    __slots__ = ("attempts", "data", "headers", "key", "offset", "partition", "timestamp", "topic", "track", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        data: bytes,
        track: Track,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
        self.data = data
        """Rendered, with the delimiter behind it."""
        self.track = track
        self.attempts = 0

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


def items_of(batch: FetchedBatch, pieces: Sequence[bytes], delimiter: bytes, unfinished: Unfinished) -> Iterator[Item]:
    """The first records of a batch, one for each piece, begun in the account of what is unfinished.

    A batch of which no record is wanted is passed as a whole.
    """
    partition = (batch.topic, batch.partition)
    columns = batch.columns
    offsets, count = columns.offsets, len(pieces)
    if not len(batch):
        unfinished.finish(unfinished.begin(partition, batch.base_offset, batch.next_offset), batch.base_offset)
        return
    for place in range(count):
        offset = offsets[place]
        following = batch.next_offset if place == len(offsets) - 1 else offset + 1
        yield Item(
            batch.topic,
            batch.partition,
            offset,
            columns.timestamps[place],
            columns.keys[place],
            columns.values[place],
            columns.headers[place],
            pieces[place] + delimiter,
            unfinished.begin(partition, offset, following),
        )
