"""The newest records that were read, so many of them and no more, with an account of those that are gone.

A record is known by its sequence, which counts from the first one that was added and never goes back. Slot `sequence % records_max` of
each column holds it, so adding a batch costs a few slices, however many records it has, and no object is made for a record:

    sequence     … 99,998  99,999 │ 100,000  100,001  …
    slot         … 99,998  99,999 │       0        1  …        the oldest one is overwritten

One thread adds, another one reads: both hold the lock for as long as a slice takes.
"""

from __future__ import annotations

import threading
from array import array
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

    from ev.client.fetched import FetchedBatch

    Headers = Sequence[tuple[str, bytes | None]]

T = TypeVar("T")

RECORDS_MAX = 100_000
BYTES_MAX = 64 << 20
RECORD_COST = 160
"""What a record takes besides its bytes: two objects for key and value, and its slots."""
HEADER_COST = 160

NO_TRANSACTION, OPEN, COMMITTED, ABORTED = " ", "?", "C", "A"


class Origin:
    """What all records of one batch have in common: where the batch stands, who wrote it, and what became of its transaction."""

    __slots__ = (
        "base_offset",
        "codec",
        "count",
        "is_control",
        "is_transactional",
        "leader_epoch",
        "next_offset",
        "partition",
        "producer_epoch",
        "producer_id",
        "size",
        "state",
        "timestamp_type",
        "topic",
    )

    def __init__(self, batch: FetchedBatch) -> None:
        self.topic = batch.topic
        self.partition = batch.partition
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.count = batch.count
        self.size = batch.size
        self.codec = batch.codec
        self.leader_epoch = batch.leader_epoch
        self.producer_id = batch.producer_id
        self.producer_epoch = batch.producer_epoch
        self.timestamp_type = batch.timestamp_type
        self.is_transactional = batch.is_transactional
        self.is_control = batch.is_control
        self.state = NO_TRANSACTION


class Row(NamedTuple):
    """One record, taken out of the ring to be shown."""

    sequence: int
    origin: Origin
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition, offset: what the record is called wherever it is kept."""
        return self.origin.topic, self.origin.partition, self.offset


class Ring:
    """Columns of `records_max` slots."""

    def __init__(self, records_max: int = RECORDS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.records_max = records_max
        self.bytes_max = bytes_max
        self.start = 0
        """The sequence of the oldest record that is here."""
        self.end = 0
        """The sequence that the next record will have."""
        self.size = 0
        """About so many bytes of memory."""
        self.forgotten = 0
        """How many records were here and had to go for newer ones."""
        self.keep_from: int | None = None
        """The sequence of the oldest record that somebody looks at: who adds waits before it would go. None: nobody looks back."""
        self._lock = threading.Lock()
        self._origins: list[Origin | None] = [None] * records_max
        self._offsets = array("q", bytes(8 * records_max))
        self._timestamps = array("q", bytes(8 * records_max))
        self._keys: list[bytes | None] = [None] * records_max
        self._values: list[bytes | None] = [None] * records_max
        self._headers: list[Headers] = [()] * records_max
        self._pieces: deque[tuple[int, int]] = deque()
        """(sequence after it, bytes) of each addition that is not wholly gone, the oldest one first."""

    def __len__(self) -> int:
        return self.end - self.start

    def add(self, origin: Origin, batch: FetchedBatch) -> None:
        """The records of a batch, all of which come from `origin`."""
        columns = batch.columns
        offsets, timestamps, keys = array("q", columns.offsets), array("q", columns.timestamps), columns.keys
        values, headers = columns.values, columns.headers
        count = len(offsets)
        size = _size(keys, values, headers)
        too_many = max(count - self.records_max, 0)
        while size > self.bytes_max and count - too_many > 1:  # one batch that is more than everything: its newest records
            too_many += (count - too_many + 1) // 2
            size = _size(keys[too_many:], values[too_many:], headers[too_many:])
        if too_many:
            offsets, timestamps, keys = offsets[too_many:], timestamps[too_many:], keys[too_many:]
            values, headers = values[too_many:], headers[too_many:]
        with self._lock:
            self._skip(too_many)
            count -= too_many
            if not count:
                return
            self._make_room(count, size)
            place = self.end % self.records_max
            self._put(self._origins, place, [origin] * count)
            self._put(self._offsets, place, offsets)
            self._put(self._timestamps, place, timestamps)
            self._put(self._keys, place, keys)
            self._put(self._values, place, values)
            self._put(self._headers, place, headers)
            self.end += count
            self.size += size
            self._pieces.append((self.end, size))

    def rows(self, first: int, count: int) -> list[Row]:
        """Those of these sequences that are here, in their order."""
        with self._lock:
            found = []
            for sequence in range(max(first, self.start), min(first + count, self.end)):
                slot = sequence % self.records_max
                origin = self._origins[slot]
                assert origin is not None, "every slot between start and end is filled"
                found.append(
                    Row(
                        sequence,
                        origin,
                        self._offsets[slot],
                        self._timestamps[slot],
                        self._keys[slot],
                        self._values[slot],
                        self._headers[slot],
                    )
                )
            return found

    def row(self, sequence: int) -> Row | None:
        """The record of this sequence, None when it is not here (any more)."""
        return next(iter(self.rows(sequence, 1)), None)

    def sequence_at(self, timestamp: int) -> int | None:
        """The first record that is here and has this time or a later one."""
        with self._lock:
            slots = self.records_max
            return next((number for number in range(self.start, self.end) if self._timestamps[number % slots] >= timestamp), None)

    def clear(self) -> None:
        """Empty, because something else is wanted: what goes now was not pushed out, so it does not count as forgotten."""
        with self._lock:
            self._drop_until(self.end)
            self._pieces.clear()
            self.size = 0

    # -- inside ----------------------------------------------------------------------------------------------------------------

    def _skip(self, count: int) -> None:
        """Records that are over the bound by themselves have a sequence, and were here for no time at all."""
        if count:
            self.forgotten += count + len(self)
            self._drop_until(self.end)
            self._pieces.clear()
            self.size = 0
            self.start = self.end = self.end + count

    def _make_room(self, count: int, size: int) -> None:
        too_many = self.end + count - self.records_max
        before = self.start
        while self._pieces and (self._pieces[0][0] <= too_many or self.size + size > self.bytes_max):
            end, gone = self._pieces.popleft()
            self.size -= gone
            self._drop_until(end)
        if self._pieces and self.start < too_many:  # the oldest piece loses a part
            end, held = self._pieces[0]
            gone = held * (too_many - self.start) // (end - self.start)
            self._pieces[0] = end, held - gone
            self.size -= gone
            self._drop_until(too_many)
        self.forgotten += self.start - before

    def _drop_until(self, end: int) -> None:
        """Let go of what the slots before this sequence hold."""
        count = end - self.start
        if count <= 0:
            return
        place = self.start % self.records_max
        self._put(self._origins, place, [None] * count)
        self._put(self._keys, place, [None] * count)
        self._put(self._values, place, [None] * count)
        self._put(self._headers, place, [()] * count)
        self.start = end

    def _put(self, column: MutableSequence[T], place: int, new: Sequence[T]) -> None:
        """A slice of a column, around its end where need be."""
        first = min(len(new), self.records_max - place)
        column[place : place + first] = new[:first]
        if first < len(new):
            column[: len(new) - first] = new[first:]


def _size(keys: Sequence[bytes | None], values: Sequence[bytes | None], headers: Sequence[Headers]) -> int:
    size = RECORD_COST * len(keys) + sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
    for named in filter(None, headers):
        size += sum([HEADER_COST + len(name) + len(data or b"") for name, data in named])
    return size
