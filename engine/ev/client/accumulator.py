"""Where records wait: columns poured into batches per partition, and the time after which a batch leaves although it is not full.

Pure: what is full or due is put into its Outbox; `ev.client.sender` takes it from there.
"""

from __future__ import annotations

from _operator import add  # all of `operator` is more than a start needs
from bisect import bisect_right
from itertools import accumulate

from ev.client.batch import RECORD_OVERHEAD
from ev.client.outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.batch import Headers
    from ev.client.metadata import Metadata
    from ev.client.partitioner import TopicPartitioner

_TIMESTAMP_TOLERANCE_MS = 20


class Accumulator:
    """`busy` are the outboxes of partitions that have something to send or on its way."""

    def __init__(self, metadata: Metadata, *, linger_ms: int, batch_bytes: int, transactional: bool = False) -> None:
        self.metadata = metadata
        self.linger_ms = linger_ms
        self.batch_bytes = batch_bytes
        self.transactional = transactional
        self.outboxes: dict[tuple[str, int], Outbox] = {}
        self.busy: dict[tuple[str, int], Outbox] = {}
        self.linger_at_ms: int | None = None
        """When an open batch has waited long enough."""
        self.buffered = 0
        """Records that were taken and are neither acknowledged nor given up."""
        self.buffered_bytes = 0

    def outbox(self, topic: str, index: int) -> Outbox:
        """That of a partition, which has something to do from now on."""
        key = topic, index
        outbox = self.outboxes.get(key)
        if outbox is None:
            outbox = self.outboxes[key] = Outbox(topic, index, self.batch_bytes, transactional=self.transactional)
        self.busy[key] = outbox
        return outbox

    def add(
        self,
        topic: str,
        partition: int | None,
        chooser: TopicPartitioner,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Sequence[Headers] | None,
        timestamps: int | Sequence[int] | None,
        size: int,
        tag: object,
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """Take columns for one partition, or for those that the chooser names. `size` is that of `total_size`, and `wall_ms` (since
        1970) is when records without timestamps came."""
        if partition is not None:
            self._fill(self.outbox(topic, partition), None, values, keys, headers, timestamps, size, tag, now_ms, wall_ms)
        elif chooser.ignores_keys(keys):
            self._fill(None, (topic, chooser), values, keys, headers, timestamps, size, tag, now_ms, wall_ms)
        else:
            for index, rows in _group(chooser.partitions(keys, len(values))).items():
                some = [values[row] for row in rows]
                some_keys = None if keys is None else [keys[row] for row in rows]
                some_headers = None if headers is None else [headers[row] for row in rows]
                self._fill(
                    self.outbox(topic, index),
                    None,
                    some,
                    some_keys,
                    some_headers,
                    timestamps if timestamps is None or isinstance(timestamps, int) else [timestamps[row] for row in rows],
                    total_size(some, some_keys, some_headers),
                    tag,
                    now_ms,
                    wall_ms,
                )

    def carry(self, topic: str, partition: int, encoded: bytes, count: int, tag: object, now_ms: int) -> None:
        """Take a whole batch as it is; it is full from the beginning."""
        outbox = self.outbox(topic, partition)
        outbox.close_batch()
        batch = outbox.open_batch(now_ms)
        batch.carry(encoded, count, tag)
        outbox.close_batch()
        self.buffered += count
        self.buffered_bytes += batch.size

    def _fill(
        self,
        outbox: Outbox | None,
        sticky: tuple[str, TopicPartitioner] | None,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Sequence[Headers] | None,
        timestamps: int | Sequence[int] | None,
        size: int,
        tag: object,
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """Pour columns into batches of one partition, or of the sticky one, which changes when a batch is full."""
        count = len(values)
        total = size + count * RECORD_OVERHEAD
        sums: list[int] = []
        start = 0
        while start < count:
            if sticky is not None:
                outbox = self.outbox(sticky[0], sticky[1].current)
            assert outbox is not None
            batch = outbox.open_batch(now_ms)
            room = outbox.batch_bytes - batch.size
            if start == 0 and total <= room:
                stop, size = count, total
            else:
                sums = sums or list(accumulate(record_sizes(values, keys, headers), initial=0))
                stop, size = _fitting(sums, start, room)
                if stop == start and not batch.count:
                    stop, size = start + 1, sums[start + 1] - sums[start] + RECORD_OVERHEAD
            if stop > start:
                whole = start == 0 and stop == count
                batch.add(
                    values if whole else values[start:stop],
                    keys if whole or keys is None else keys[start:stop],
                    headers if whole or headers is None else headers[start:stop],
                    batch.timestamp(wall_ms, max(self.linger_ms, _TIMESTAMP_TOLERANCE_MS))
                    if timestamps is None
                    else timestamps
                    if whole or isinstance(timestamps, int)
                    else timestamps[start:stop],
                    size,
                    tag,
                )
                self.buffered += stop - start
                self.buffered_bytes += size
                start = stop
            if start < count or batch.size >= outbox.batch_bytes - RECORD_OVERHEAD:
                outbox.close_batch()
                if sticky is not None:
                    sticky[1].next_batch(self._available(sticky[0]))
        if outbox is not None and outbox.open is not None:
            due_ms = outbox.open.created_ms + self.linger_ms
            self.linger_at_ms = due_ms if self.linger_at_ms is None else min(self.linger_at_ms, due_ms)

    def _available(self, topic: str) -> list[int]:
        info = self.metadata.topics.get(topic)
        return [] if info is None else [index for index in info.partitions if self.metadata.leader(topic, index) is not None]

    def close_open_batches(self, now_ms: int | None) -> None:
        """Those that have waited for linger_ms, or all of them."""
        if now_ms is not None and (self.linger_at_ms is None or now_ms < self.linger_at_ms):
            return
        self.linger_at_ms = None
        for outbox in self.busy.values():
            if outbox.open is None:
                continue
            due_ms = outbox.open.created_ms + self.linger_ms
            if now_ms is None or due_ms <= now_ms:
                outbox.close_batch()
            else:
                self.linger_at_ms = due_ms if self.linger_at_ms is None else min(self.linger_at_ms, due_ms)

    def has_pending(self) -> bool:
        """Whether a batch waits to be sent."""
        for outbox in self.busy.values():  # noqa: SIM110 - asked after every record, and a generator costs more than the question
            if outbox.pending:
                return True
        return False


def total_size(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None, headers: Sequence[Headers] | None) -> int:
    """Bytes of values, keys and headers of all records together, for less than their sizes one by one cost."""
    if headers is not None:
        return sum(record_sizes(values, keys, headers))
    return _total(values) + (0 if keys is None else _total(keys))


def _total(column: Sequence[bytes | None]) -> int:
    try:
        return sum(map(len, column))  # type: ignore[arg-type]
    except TypeError:
        return sum([len(item) for item in column if item is not None])


def record_sizes(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None, headers: Sequence[Headers] | None) -> list[int]:
    """Bytes of value, key and headers of each record."""
    sizes = _sizes(values)
    if keys is not None:
        sizes = list(map(add, sizes, _sizes(keys)))
    if headers is not None:
        sizes = [
            size + sum(len(name) * 4 + len(value or b"") + 20 for name, value in pairs) for size, pairs in zip(sizes, headers, strict=True)
        ]
    return sizes


def _sizes(column: Sequence[bytes | None]) -> list[int]:
    try:
        return list(map(len, column))  # type: ignore[arg-type]
    except TypeError:
        return [0 if item is None else len(item) for item in column]


def _fitting(sums: list[int], start: int, room: int) -> tuple[int, int]:
    """Where the records from start on that fit into room end, and the upper bound of what they take."""

    def needed(stop: int) -> int:
        return sums[stop] - sums[start] + (stop - start) * RECORD_OVERHEAD

    stop = start + bisect_right(range(start + 1, len(sums)), room, key=needed)
    return stop, needed(stop)


def _group(partitions: list[int]) -> dict[int, list[int]]:
    """Row numbers by partition."""
    rows: dict[int, list[int]] = {}
    for row, partition in enumerate(partitions):
        if partition in rows:
            rows[partition].append(row)
        else:
            rows[partition] = [row]
    return rows
