"""The records of one partition that travel together: columns while it is open, bytes from the first time it is sent."""

from __future__ import annotations

from ev.wire.records import decode_batch, encode_batch, with_producer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.errors import EvError

    Headers = Sequence[tuple[str | bytes, bytes | None]]

RECORD_OVERHEAD = 14
"""What a record takes beside key, value and headers, counted generously. A batch that is too large all the same is split on the way."""
BATCH_OVERHEAD = 61
NO_SEQUENCE = -1


class Batch:
    """`order` sorts the batches of a partition; `ambiguous` says that an attempt ended without an answer, so the broker may have it."""

    __slots__ = (
        "ambiguous",
        "attempts",
        "base_sequence",
        "count",
        "created_ms",
        "encoded",
        "headers",
        "keys",
        "last_error",
        "order",
        "producer_epoch",
        "producer_id",
        "retry_at_ms",
        "size",
        "tags",
        "timestamps",
        "values",
    )

    def __init__(self, order: tuple[int, ...], created_ms: int) -> None:
        self.order = order
        self.created_ms = created_ms
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] | None = None
        self.headers: list[Headers] | None = None
        self.timestamps: int | list[int] = -1
        self.size = BATCH_OVERHEAD
        self.count = 0
        self.tags: list[tuple[object, int]] = []
        self.encoded: bytes | None = None
        self.producer_id = -1
        self.producer_epoch = -1
        self.base_sequence = NO_SEQUENCE
        self.attempts = 0
        self.retry_at_ms = 0
        self.ambiguous = False
        self.last_error: EvError | None = None

    def __repr__(self) -> str:
        return f"Batch({self.order}, {self.count} records, sequence {self.base_sequence}, attempt {self.attempts})"

    def add(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Sequence[Headers] | None,
        timestamps: int | Sequence[int],
        size: int,
        tag: object,
    ) -> None:
        """Append columns of one length; `size` is what they will take, counted generously."""
        count = len(values)
        if keys is not None or self.keys is not None:
            if self.keys is None:
                self.keys = [None] * self.count
            self.keys += [None] * count if keys is None else keys
        if headers is not None or self.headers is not None:
            if self.headers is None:
                self.headers = [()] * self.count
            self.headers += [()] * count if headers is None else headers
        self._add_timestamps(timestamps, count)
        self.values += values
        self.count += count
        self.size += size
        if self.tags and self.tags[-1][0] is tag:
            self.tags[-1] = tag, self.tags[-1][1] + count
        else:
            self.tags.append((tag, count))

    def carry(self, encoded: bytes, count: int, tag: object) -> None:
        """Be a batch that was made before, with all of its records; it has no sequence number yet."""
        self.encoded = encoded
        self.count = count
        self.size = len(encoded)
        self.tags = [(tag, count)]

    def timestamp(self, wall_ms: int, tolerance_ms: int) -> int:
        """The timestamp for records that come now: the batch's own when that is close, as one timestamp for all is both small and fast."""
        if self.count and isinstance(self.timestamps, int) and 0 <= wall_ms - self.timestamps <= tolerance_ms:
            return self.timestamps
        return wall_ms

    def _add_timestamps(self, timestamps: int | Sequence[int], count: int) -> None:
        if isinstance(timestamps, int) and (not self.count or timestamps == self.timestamps):
            self.timestamps = timestamps
            return
        if isinstance(self.timestamps, int):
            self.timestamps = [self.timestamps] * self.count
        self.timestamps += [timestamps] * count if isinstance(timestamps, int) else timestamps

    def encode(self, compression: int, level: int | None, attributes: int = 0) -> bytes:
        """The bytes to send: made once, sent again as they are. The columns are let go."""
        if self.encoded is None:
            self.encoded = encode_batch(
                self.values,
                keys=self.keys,
                headers=self.headers,
                timestamps=self.timestamps,
                compression=compression,
                level=level,
                producer_id=self.producer_id,
                producer_epoch=self.producer_epoch,
                base_sequence=self.base_sequence,
                attributes=attributes,
            )
            self.values, self.keys, self.headers, self.timestamps = [], None, None, -1
        return self.encoded

    def renumber(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        """Give the batch its place in a producer's sequence, before the first attempt or, when it is known to be in no log, again."""
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        if self.encoded is not None:
            self.encoded = with_producer(self.encoded, producer_id, producer_epoch, base_sequence)

    def split(self) -> list[Batch]:
        """Two halves, in the same place of the order and of the sequence, not encoded."""
        assert self.encoded is not None
        columns = decode_batch(self.encoded)
        halves: list[Batch] = []
        middle = self.count // 2
        for index, (start, stop) in enumerate(((0, middle), (middle, self.count))):
            half = Batch((*self.order, index), self.created_ms)
            half.values = columns.values[start:stop]
            half.keys = columns.keys[start:stop]
            half.headers = list(columns.headers[start:stop])
            half.timestamps = columns.timestamps[start:stop]
            half.count = stop - start
            half.size = self.size * half.count // self.count
            half.tags = _slice_tags(self.tags, start, stop)
            half.producer_id = self.producer_id
            half.producer_epoch = self.producer_epoch
            half.base_sequence = NO_SEQUENCE if self.base_sequence < 0 else following(self.base_sequence, start)
            half.last_error = self.last_error
            halves.append(half)
        return halves


def following(sequence: int, count: int) -> int:
    """The sequence number `count` records later: after 2^31 - 1 comes 0."""
    return (sequence + count) & 0x7FFFFFFF


def _slice_tags(tags: list[tuple[object, int]], start: int, stop: int) -> list[tuple[object, int]]:
    result: list[tuple[object, int]] = []
    position = 0
    for tag, count in tags:
        overlap = min(stop, position + count) - max(start, position)
        if overlap > 0:
            result.append((tag, overlap))
        position += count
    return result
