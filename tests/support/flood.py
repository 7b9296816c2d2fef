"""A session whose consumer gives so many records a second: real batches, decoded and filtered like any others, but from no cluster.

flood = Flood(rate=50_000, partitions=12)
reader = Reader(flood, ["orders"], ring)
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ev.client.fetched import FetchedBatch
from ev.wire.records import encode_batch, read_header

Partition = tuple[str, int]

PAYLOAD = (
    b'{"order_id":%d,"customer":"c-%d","status":"PAID","amount":%d.50,"currency":"EUR",'
    b'"items":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"ts":"2026-08-27T10:00:00Z"}'
)
BATCH = 250
"""Records of one batch."""


class Target:
    is_local = False


class Flood:
    """In the place of an `ev_cli.session.Session`."""

    where = "a flood"
    timeout_ms = 5000
    target = Target()

    def __init__(self, rate: int, partitions: int = 12, records_max: int | None = None) -> None:
        self.rate = rate
        self.partitions = partitions
        self.records_max = records_max
        self.given = 0
        """How many records were handed out."""
        self._templates = [self._batch(number) for number in range(64)]

    def consumer(self, **settings: object) -> FloodConsumer:
        return FloodConsumer(self)

    def _batch(self, number: int) -> bytes:
        numbers = range(number * BATCH, (number + 1) * BATCH)
        return encode_batch(
            [PAYLOAD % (place, place % 9973, place % 500) for place in numbers],
            keys=[b"k-%d" % (place % 9973) for place in numbers],
            timestamps=[1_788_000_000_000 + place for place in numbers],
        )

    def batch(self, number: int) -> FetchedBatch:
        """The batch of this number; the partitions take turns."""
        data = self._templates[number % len(self._templates)]
        header = read_header(data)
        header.base_offset = number // self.partitions * BATCH
        return FetchedBatch("orders", number % self.partitions, data, 0, header, 0, header.base_offset + BATCH)


class FloodConsumer:
    """What the reader asks a consumer."""

    connected = True

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._began_s = time.monotonic()
        self._batches = 0
        self._is_paused = False

    def poll_batches(self, timeout_ms: int, bytes_max: int | None = None) -> list[FetchedBatch]:
        flood = self._flood
        due = int((time.monotonic() - self._began_s) * flood.rate) // BATCH
        if flood.records_max is not None:
            due = min(due, flood.records_max // BATCH)
        count = 0 if self._is_paused else min(due - self._batches, 20)
        if count <= 0:
            time.sleep(min(timeout_ms, 5) / 1000)
            return []
        found = [flood.batch(number) for number in range(self._batches, self._batches + count)]
        self._batches += count
        flood.given += count * BATCH
        return found

    def partitions_for(self, topic: str, timeout_ms: int | None = None) -> list[int]:
        return list(range(self._flood.partitions))

    def assignment(self) -> list[Partition]:
        return [("orders", index) for index in range(self._flood.partitions)]

    def beginning_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    def offsets_for_times(self, timestamps: Mapping[Partition, int]) -> dict[Partition, None]:
        return dict.fromkeys(timestamps)

    def position(self, partition: Partition, timeout_ms: int | None = None) -> int:
        return 0

    def assign(self, offsets: Mapping[Partition, int | None]) -> None:
        """It always gives all of them."""

    def seek(self, partition: Partition, offset: int) -> None:
        """It only goes forward."""

    def pause(self, *partitions: Partition) -> None:
        self._is_paused = True

    def resume(self, *partitions: Partition) -> None:
        self._is_paused = False

    def close(self) -> None:
        """There is nothing to close."""
