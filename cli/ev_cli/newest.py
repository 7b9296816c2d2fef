"""--tail: where to begin in each partition, so that the N newest records over all of them are read.

Every partition is read from its end backwards, in windows that grow, until no record before could be among the newest any more. What
counts is the oldest timestamp from a record on to the end: so the records that are chosen of a partition are always its last ones.
"""

from __future__ import annotations

import heapq

from ev_cli.failures import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.interrupts import Interrupts
    from ev_cli.selection import Selection

    Partition = tuple[str, int]
    Rows = list[tuple[int, int]]

COUNT_MAX = 100_000
ROWS_AT_ONCE = 100_000
POLL_MS = 200
GROWTH = 4


class Newest:
    """The newest records that were found so far: a heap with the oldest of them on top."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[int, int, Partition]] = []
        self._oldest: dict[Partition, int] = {}

    def add(self, partition: Partition, rows: Rows) -> bool:
        """Rows of (offset, timestamp) from before those added last. Whether still older ones could be among the newest."""
        if not self._count:
            return False
        oldest = self._oldest.get(partition)
        for offset, timestamp in reversed(rows):
            oldest = timestamp if oldest is None else min(oldest, timestamp)
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, (oldest, offset, partition))
            elif oldest > self._heap[0][0]:
                heapq.heapreplace(self._heap, (oldest, offset, partition))
            else:
                return False
        if oldest is not None:
            self._oldest[partition] = oldest
        return True

    def begins(self, ends: dict[Partition, int]) -> dict[Partition, int]:
        """The offset of the first chosen record of each partition; its end where none was chosen."""
        found = dict(ends)
        for _, offset, partition in self._heap:
            found[partition] = min(found[partition], offset)
        return found


def begins_of_newest(
    consumer: Consumer,
    starts: dict[Partition, int],
    ends: dict[Partition, int],
    count: int,
    selection: Selection | None,
    interrupts: Interrupts,
) -> dict[Partition, int]:
    """Where to begin so that the `count` newest records (of those that are selected) before `ends` are read."""
    newest = Newest(count)
    window = max(count, 1)
    left = dict(ends)
    while left:
        group = list(left)[: max(1, ROWS_AT_ONCE // window)]
        rest = {partition: left[partition] for partition in left if partition not in group}
        upper = {partition: left[partition] for partition in group}
        lower = {partition: max(starts[partition], upper[partition] - window) for partition in group}
        rows = _read(consumer, lower, upper, selection, interrupts)
        again = {
            partition: lower[partition]
            for partition in group
            if newest.add(partition, rows[partition]) and lower[partition] > starts[partition]
        }
        left = {**rest, **again}
        if not rest:
            window *= GROWTH
    return newest.begins(ends)


def _read(
    consumer: Consumer, lower: dict[Partition, int], upper: dict[Partition, int], selection: Selection | None, interrupts: Interrupts
) -> dict[Partition, Rows]:
    """(offset, timestamp) of the selected records of each partition from `lower` on and before `upper`."""
    rows: dict[Partition, Rows] = {partition: [] for partition in lower}
    open_ones = {partition for partition in lower if lower[partition] < upper[partition]}
    consumer.assign({partition: lower[partition] for partition in open_ones})
    consumer.resume(*open_ones)
    while open_ones:
        batches = consumer.poll_batches(POLL_MS)
        while batches:
            batch = batches.pop(0)
            partition = batch.topic, batch.partition
            chosen = batch if selection is None else selection.filtered(batch)
            rows[partition] += _rows(chosen, lower[partition], upper[partition])
        if interrupts:
            raise Interrupted
        reached = [partition for partition in open_ones if consumer.position(partition) >= upper[partition]]
        open_ones.difference_update(reached)
        consumer.pause(*reached)
    consumer.resume(*consumer.assignment())
    return rows


def _rows(batch: FetchedBatch, lower: int, upper: int) -> Rows:
    columns = batch.columns
    return [(offset, timestamp) for offset, timestamp in zip(columns.offsets, columns.timestamps, strict=True) if lower <= offset < upper]
