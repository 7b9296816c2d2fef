"""What a consumer hands out: batches as columns, and single records for who wants them one by one."""

from __future__ import annotations

from itertools import repeat

from ev.errors import CorruptBatchError
from ev.wire.batch_header import MAGIC, as_new
from ev.wire.records import check_crc, decode_batch, read_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev.wire.primitives import Buffer
    from ev.wire.records import BatchHeader, Columns

CREATE_TIME, LOG_APPEND_TIME = "create", "append"
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
"""By the number that a batch's header has."""


class Record:
    """One event with the place it has in its topic."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "timestamp_type", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp_type: str = CREATE_TIME,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp_type = timestamp_type

    def __repr__(self) -> str:
        return f"Record({self.topic}/{self.partition}@{self.offset}, key={self.key!r}, value={self.value!r})"


class FetchedBatch:
    """One record batch as the broker stored it, opened when its columns are asked for.

    `next_offset` is where reading goes on after it: one more than its last offset, also when compaction has removed that record.
    `size` is what it takes on the wire.
    """

    __slots__ = (
        "_buffer",
        "_columns",
        "_first_wanted",
        "_header",
        "_position",
        "base_offset",
        "high_watermark",
        "last_stable_offset",
        "log_start_offset",
        "next_offset",
        "partition",
        "size",
        "timestamp_type",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        buffer: Buffer,
        position: int,
        header: BatchHeader,
        first_wanted: int,
        high_watermark: int,
        last_stable_offset: int = -1,
        log_start_offset: int = -1,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.base_offset = header.base_offset
        self.next_offset = header.last_offset + 1
        self.size = header.size
        self.timestamp_type = LOG_APPEND_TIME if header.is_log_append_time else CREATE_TIME
        self.high_watermark = high_watermark
        self.last_stable_offset = last_stable_offset
        self.log_start_offset = log_start_offset
        self._buffer = buffer
        self._position = position
        self._header = header
        self._first_wanted = first_wanted
        self._columns: Columns | None = None

    @property
    def first_offset(self) -> int:
        """Where the wanted part begins: the batch may begin before the offset that was asked for."""
        return max(self.base_offset, self._first_wanted)

    @property
    def columns(self) -> Columns:
        """Offsets, timestamps, keys, values and headers. Raises CorruptBatchError when the records contradict the batch's header."""
        if self._columns is None:
            columns = decode_batch(self._buffer, self._position, header=self._header)
            if self._first_wanted > self.base_offset:
                columns = columns_from(columns, self._first_wanted)
            self._columns = columns
        return self._columns

    @property
    def leader_epoch(self) -> int:
        return self._header.leader_epoch

    @property
    def producer_id(self) -> int:
        """-1 when the producer has none."""
        return self._header.producer_id

    @property
    def producer_epoch(self) -> int:
        return self._header.producer_epoch

    @property
    def codec(self) -> int:
        """How it is compressed on disk, as a place in COMPRESSIONS."""
        return self._header.codec

    @property
    def data(self) -> bytes:
        """The whole batch as the broker keeps it, for `kept_batch`."""
        with memoryview(self._buffer) as view:
            return bytes(view[self._position : self._position + self.size])

    @property
    def count(self) -> int:
        """How many records the whole batch has, without opening it."""
        return self._header.record_count

    def carried(self, attributes: int = 0) -> bytes | None:
        """The batch as it can be produced again without opening it, or None: where a part of it is wanted, where compaction has taken
        records out, and where the broker has set the time, which is then not in the records."""
        header = self._header
        has_holes = header.record_count != header.last_offset_delta + 1
        if has_holes or header.is_log_append_time or header.magic != MAGIC or self._first_wanted > self.base_offset:
            return None
        with memoryview(self._buffer) as view:
            return as_new(view[self._position : self._position + header.size], header.codec | attributes)

    @property
    def is_transactional(self) -> bool:
        return self._header.is_transactional

    @property
    def is_control(self) -> bool:
        """Whether its record ends a transaction, and is nobody's event."""
        return self._header.is_control

    def with_columns(self, columns: Columns) -> FetchedBatch:
        """This batch with other records in it: some of them, or the same ones in another form."""
        other = FetchedBatch.__new__(FetchedBatch)
        for name in FetchedBatch.__slots__:
            setattr(other, name, getattr(self, name))
        other._columns = columns
        return other

    def only(self, places: Sequence[int]) -> FetchedBatch:
        """This batch with some of its records, by their places in the columns."""
        columns = self.columns
        return self.with_columns(
            type(columns)(
                columns.base_offset,
                [columns.offsets[place] for place in places],
                [columns.timestamps[place] for place in places],
                [columns.keys[place] for place in places],
                [columns.values[place] for place in places],
                [columns.headers[place] for place in places],
            )
        )

    def records(self) -> Iterator[Record]:
        """The same, one by one."""
        return self._records(self.columns)

    def records_between(self, begin: int, end: int) -> list[Record]:
        """Those from one place in the columns to before another."""
        columns = self.columns
        part = slice(begin, end)
        return list(
            self._records(
                type(columns)(
                    columns.base_offset,
                    columns.offsets[part],
                    columns.timestamps[part],
                    columns.keys[part],
                    columns.values[part],
                    columns.headers[part],
                )
            )
        )

    def _records(self, columns: Columns) -> Iterator[Record]:
        return map(
            Record,
            repeat(self.topic),
            repeat(self.partition),
            columns.offsets,
            columns.timestamps,
            columns.keys,
            columns.values,
            columns.headers,
            repeat(self.timestamp_type),
        )

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return f"FetchedBatch({self.topic}/{self.partition}@{self.base_offset}..{self.next_offset - 1})"


def kept_batch(topic: str, partition: int, data: bytes, first_wanted: int = 0) -> FetchedBatch:
    """A batch that was kept as its `data`, without the records before an offset. CorruptBatchError when it is not what it was."""
    header = read_header(data)
    if header.size != len(data) or not check_crc(data, 0, header.size):
        raise CorruptBatchError(f"the batch at offset {header.base_offset} of {topic}/{partition} is damaged")
    return FetchedBatch(topic, partition, data, 0, header, first_wanted, -1)


def columns_from(columns: Columns, first_wanted: int) -> Columns:
    """The columns without the records before an offset: a fetch returns the whole batch that holds the offset asked for."""
    skip = sum(offset < first_wanted for offset in columns.offsets)
    cls = type(columns)
    return cls(
        columns.base_offset,
        columns.offsets[skip:],
        columns.timestamps[skip:],
        columns.keys[skip:],
        columns.values[skip:],
        columns.headers[skip:],
    )
