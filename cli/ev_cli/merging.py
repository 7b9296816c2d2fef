"""Records of several partitions in the order of their timestamps.

A partition is an ordered log, so its next record is never before its last one; where a producer's clock went back, the record keeps its
place behind those before it. What is held back here may leave as soon as no partition can still bring something older. A partition that
has come to its mark (its end, or where it ended when reading began) is waited for no longer: what comes after that is live, and live
records are held for a moment, so that the partitions' fetches do not decide the order.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.formats import Renderer
    from ev_cli.writing import Writing

    Partition = tuple[str, int]
    Finish = Callable[[list[int], list[bytes]], list[bytes]]

HELD_BYTES_MAX = 32 << 20
RECORD_OVERHEAD = 150
"""What a held record takes besides its bytes: two objects' heads, a key, a timestamp."""
HOLD_S = 0.25
LONG_AGO = -(1 << 63)
EVER = 1 << 63


class Held:
    """What one partition has brought and what has not left yet, oldest first."""

    __slots__ = ("keys", "newest", "pieces", "size", "timestamps", "waited_for")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.timestamps: list[int] = []
        self.pieces: list[bytes] = []
        self.size = 0
        self.newest = LONG_AGO
        """Nothing older than this will come from the partition."""
        self.waited_for = True

    def add(self, timestamps: list[int], pieces: list[bytes]) -> None:
        keys = list(accumulate(timestamps, max, initial=self.newest))
        self.keys += keys[1:]
        self.newest = keys[-1]
        self.timestamps += timestamps
        self.pieces += pieces
        self.size += sum(map(len, pieces)) + RECORD_OVERHEAD * len(pieces)

    def take(self, until: int) -> tuple[list[int], list[int], list[bytes]]:
        """(keys, timestamps, pieces) of what is not newer than `until`."""
        place = bisect_right(self.keys, until)
        taken = self.keys[:place], self.timestamps[:place], self.pieces[:place]
        del self.keys[:place], self.timestamps[:place], self.pieces[:place]
        self.size -= sum(map(len, taken[2])) + RECORD_OVERHEAD * place
        return taken


class Merge:
    """Decides what may leave. No I/O; the time is passed in."""

    def __init__(self, partitions: Iterable[Partition]) -> None:
        self.held = {partition: Held() for partition in partitions}
        self._waits = True
        self._since = 0.0
        """When the oldest of the live records came."""

    def add(self, partition: Partition, timestamps: list[int], pieces: list[bytes], now: float) -> None:
        if not any(held.pieces for held in self.held.values()):
            self._since = now
        self.held[partition].add(timestamps, pieces)

    def at_its_mark(self, partition: Partition) -> None:
        """Nothing that comes from this partition from now on is waited for."""
        self.held[partition].waited_for = False

    @property
    def size(self) -> int:
        return sum(held.size for held in self.held.values())

    def ready(self, now: float) -> tuple[list[int], list[bytes]]:
        """(timestamps, pieces) that may leave now, in order."""
        waited_for = [held.newest for held in self.held.values() if held.waited_for]
        if waited_for:
            return self.taken(min(waited_for))
        caught_up, self._waits = self._waits, False
        if caught_up or len(self.held) == 1 or now - self._since >= HOLD_S or self.size > HELD_BYTES_MAX:
            return self.taken(EVER)
        return [], []

    def taken(self, until: int) -> tuple[list[int], list[bytes]]:
        """Everything that is not newer than `until`, in order."""
        parts = [held.take(until) for held in self.held.values() if held.keys and held.keys[0] <= until]
        if len(parts) == 1:
            return parts[0][1:]
        keys = [key for part in parts for key in part[0]]
        timestamps = [timestamp for part in parts for timestamp in part[1]]
        pieces = [piece for part in parts for piece in part[2]]
        # What is sorted are a few runs that are in order already, which costs little; equal times stay in the order of partitions.
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return [timestamps[place] for place in order], [pieces[place] for place in order]


class MergedWriting(Sink):
    """Stands before a Writing and brings its records into the order of time. Only for runs without a group: nothing is committed."""

    def __init__(self, writing: Writing, renderer: Renderer, finish: Finish | None = None) -> None:
        self._writing = writing
        super().__init__(renderer, writing.left)
        self._consumer: Consumer | None = None
        self._stopped = False
        self._finish = finish
        self._merge = Merge(())
        self._marks: dict[Partition, int] = {}
        self._paused: set[Partition] = set()

    @property
    def left(self) -> int | None:
        return self._writing.left

    @left.setter
    def left(self, count: int | None) -> None:
        self._writing.left = count

    def reads_from(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def waits_for(self, marks: dict[Partition, int]) -> None:
        self._merge = Merge(sorted(marks))
        self._marks = dict(marks)

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        from time import monotonic

        from ev_cli.formats import filled

        columns = batch.columns
        pieces = filled(self.renderer.pieces(batch), self.renderer.null)
        timestamps = columns.timestamps
        if end is not None and batch.next_offset > end:
            count = sum(offset < end for offset in columns.offsets)
            timestamps, pieces = timestamps[:count], pieces[:count]
        self._merge.add((batch.topic, batch.partition), timestamps, pieces, monotonic())

    def flush(self) -> None:
        """Write what may leave; partitions that are far ahead of the others pause meanwhile."""
        from time import monotonic

        assert self._consumer is not None
        for partition in [partition for partition, mark in self._marks.items() if self._consumer.position(partition) >= mark]:
            del self._marks[partition]
            self._merge.at_its_mark(partition)
        self._write(*self._merge.ready(monotonic()))
        self._balance()

    def turn(self) -> None:
        self.flush()
        self._writing.turn()

    def due(self, now_ms: int) -> dict[Partition, int]:
        return {}

    def all(self) -> dict[Partition, int]:
        return {}

    def stop(self) -> None:
        self._stopped = True

    def ended(self) -> bool:
        """Nothing is waited for any more: what is held back leaves, unless a signal has come."""
        if not self._stopped:
            self._write(*self._merge.taken(EVER))
        return True

    def _write(self, timestamps: list[int], pieces: list[bytes]) -> None:
        if pieces and self.left != 0:
            self._writing.write_pieces(pieces if self._finish is None else self._finish(timestamps, pieces))

    def _balance(self) -> None:
        assert self._consumer is not None
        held = self._merge.held
        share = HELD_BYTES_MAX // max(1, len(held))
        far = {partition for partition in held if held[partition].size > share and partition in self._marks}
        near = {partition for partition in self._paused if held[partition].size <= share // 2 or partition not in self._marks}
        if far - self._paused:
            self._consumer.pause(*(far - self._paused))
        if near:
            self._consumer.resume(*near)
        self._paused = (self._paused | far) - near
