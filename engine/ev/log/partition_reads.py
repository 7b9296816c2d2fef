"""Reads a partition: whole batches from an offset, and searches by time.

Nothing here waits for the disk: where the page cache has no answer, what is returned (`ReadLater`, `SearchLater`) does, in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.log.partition_appends import PartitionAppends
from ev.log.reading import Arrival, CachedSource, Cold, Damage, Found, Plan, Read, ReadLater, WaitingSource, read_batches
from ev.log.segment import INDEX, Mark
from ev.log.tail import Served
from ev.log.times import first_at_or_after, largest_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Search: TypeAlias = Callable[[CachedSource | WaitingSource], tuple[int, int] | None]

CURSORS_MAX = 64
_CACHED = CachedSource()


class PartitionReads(PartitionAppends):
    """A partition that can be read as well."""

    __slots__ = ()

    def read(
        self, offset: int, bytes_max: int, *, at_least_one: bool, end_offset: int | None = None, committed: bool = False
    ) -> Read | ReadLater:
        """Whole batches from the one that contains `offset` on, below the high watermark (or below `end_offset`).

        `committed`: below the last stable offset; whose records to leave out there says `aborted_transactions`.

        Raises KafkaError: OFFSET_OUT_OF_RANGE, or CORRUPT_MESSAGE where the disk does not hold what was written.
        """
        if self._arrivals:
            self._learn_arrivals()
        limit = self._hw
        walk = False
        if end_offset is not None and end_offset != limit.offset:
            walk = end_offset < self.end_offset
            limit = Mark(min(end_offset, self.end_offset), self.active, self.active.size)
        elif committed:
            unstable = self.transactions.first_unstable(limit.offset)
            if unstable is not None and unstable.offset < limit.offset:
                walk = unstable.segment not in self.segments
                if walk or unstable.segment is None:
                    limit = Mark(unstable.offset, limit.segment, limit.position)
                else:
                    limit = Mark(unstable.offset, unstable.segment, unstable.position)
        if offset < self.log_start_offset or offset > self.end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"{self.name} holds offsets {self.log_start_offset} to {self.end_offset}, not {offset}"
            )
        if offset >= limit.offset:
            return Read([], offset)
        cursor = self._cursors.get(offset)
        tail = self._tail
        if tail.size:
            if walk:
                self.write_out()
            elif offset >= tail.first_offset:
                return self._follow(tail.read(offset, limit.position, bytes_max, at_least_one), offset)
            elif limit.offset > tail.first_offset:  # what waits is for the next read: this one needs only what is in the file
                limit = Mark(tail.first_offset, self.active, self.active.size - tail.size)
        number: int
        position: int | None
        if cursor is not None and cursor.segment is self.active:
            number, position = len(self.segments) - 1, cursor.position
        else:
            number, position = self._place(offset, cursor)
        plan = Plan(
            offset,
            bytes_max,
            at_least_one,
            self.segments,
            number,
            position,
            limit.offset,
            limit.segment,
            limit.position,
            walk,
            not self.config.compacted,
            self.epochs if self.epochs_trusted else None,
            self._index_interval,
        )
        try:
            if limit.segment is self.active and number == len(self.segments) - 1 and self.active.file is None and self.active.exists:
                self._open_active(0)
            found = read_batches(plan, _CACHED)
        except Cold:
            return ReadLater(plan, self.services.disk, self._arrivals)
        except Damage as damage:
            self._found_damage(str(damage))
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(damage)) from damage
        self._learn(found)
        return found.read

    def aborted_transactions(self, start: int, end: int) -> list[tuple[int, int]]:
        """(producer id, first offset) of the aborted transactions that have records from `start` on and before `end`."""
        transactions = self.transactions
        if not transactions.aborted:
            return []
        number, _ = self._place(start, None)
        return transactions.aborted_between((segment.base_offset for segment in self.segments[number:]), start, end)

    def _follow(self, served: Served, offset: int) -> Read:
        """A reader that follows the end of the log has been served from memory."""
        if not served.pieces:
            return Read([], offset)
        self._remember(Mark(served.next_offset, self.active, served.position))
        return Read(served.pieces, served.next_offset)

    def _remember(self, mark: Mark) -> None:
        """Remember where a reader stopped."""
        cursors = self._cursors
        if len(cursors) >= CURSORS_MAX:
            del cursors[next(iter(cursors))]
        cursors[mark.offset] = mark

    def _place(self, offset: int, cursor: Mark | None) -> tuple[int, int | None]:
        """(number of the segment that holds an offset, where in it a reader stopped before)."""
        segments = self.segments
        if offset >= self.active.base_offset:
            number = len(segments) - 1
        else:
            low, high = 0, len(segments)
            while low < high:
                middle = (low + high) // 2
                if segments[middle].base_offset <= offset:
                    low = middle + 1
                else:
                    high = middle
            number = max(low - 1, 0)
        if cursor is not None and cursor.segment is segments[number]:
            return number, cursor.position
        return number, 0 if segments[number].base_offset >= offset else None

    def _learn(self, found: Found) -> None:
        """Remember where a reader stopped, and what was checked on the way."""
        if found.checked is not None:
            found.segment.learn_verified(*found.checked)
        if found.damage is not None:
            self._found_damage(found.damage)
        if found.read.pieces:
            self._remember(Mark(found.read.next_offset, found.segment, found.position))

    def _learn_arrivals(self) -> None:
        """Take over what reader threads opened and found out."""
        while self._arrivals:
            source, found = self._arrivals.popleft()
            if isinstance(found, str):
                self._found_damage(found)
            else:
                self._learn(found)
            for arrival in source.arrivals.values():
                self._adopt(arrival)

    def _adopt(self, arrival: Arrival) -> None:
        segment = arrival.segment
        if segment not in self.segments or self.gone:
            arrival.file.release()
            return
        if segment.file is None:
            self.services.files.adopt(segment, arrival.file)
        else:
            arrival.file.release()
        if arrival.indexes is not None and (not segment.loaded or arrival.rebuilt) and segment is not self.active:
            segment.index, segment.time_index = arrival.indexes
            segment.index_saved = segment.time_index_saved = -1
            if arrival.rebuilt:
                segment.index_saved = segment.time_index_saved = 0
                self._unsaved.append(segment)
                self._changed()
                self.services.report(f"{segment.path(INDEX)} did not agree with its log and was made again")

    def bytes_available(self, offset: int, limit: int, *, committed: bool = False) -> int:
        """About how many bytes lie between `offset` and the high watermark; `limit` when it is at least that or hard to tell.

        `committed`: and the last stable offset instead.
        """
        if offset >= self.high_watermark:
            return 0
        if committed and (stable := self.last_stable_offset) != self.high_watermark:
            return limit if offset < stable else 0
        cursor = self._cursors.get(offset)
        if cursor is None or cursor.segment is not self._hw.segment:
            if offset < self._hw.segment.base_offset or self._hw.segment.index is None:
                return limit
            entry = self._hw.segment.index.before_offset(offset)
            return min(limit, self._hw.position - (entry[1] if entry is not None else 0))
        return min(limit, self._hw.position - cursor.position)

    # By time and by epoch

    def offset_for_timestamp(self, timestamp: int, *, end_offset: int | None = None) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record that is not older than `timestamp`; None when there is none. May wait for the disk."""
        return self._search(self._search_for(timestamp, end_offset))

    def max_timestamp(self) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record that has the largest timestamp. May wait for the disk."""
        return self._search(self._search_for(None, None))

    def search_by_time(self, timestamp: int | None, *, committed: bool = False) -> tuple[int, int] | SearchLater | None:
        """`offset_for_timestamp`, or `max_timestamp` for None, without waiting: a SearchLater when it has to wait for the disk.

        `committed`: below the last stable offset.
        """
        search = self._search_for(timestamp, self.last_stable_offset if committed else None)
        try:
            return search(_CACHED)
        except Cold:
            return SearchLater(self, search, WaitingSource(self.services.disk, self._index_interval))

    def _search_for(self, timestamp: int | None, end_offset: int | None) -> Search:
        """The search, on a copy of what it needs, so that a thread may do it."""
        self.write_out()
        segments, start, report = list(self.segments), self.log_start_offset, self.services.report
        limit = self.high_watermark if end_offset is None else end_offset

        def search(source: CachedSource | WaitingSource) -> tuple[int, int] | None:
            wanted = max(largest_timestamp(segment, source) for segment in segments) if timestamp is None else timestamp
            if timestamp is None and wanted < 0:
                return None
            return first_at_or_after(segments, source, wanted, start, limit, report)

        return search

    def _search(self, search: Search) -> tuple[int, int] | None:
        """Search in memory if that will do, else on the disk."""
        try:
            return search(_CACHED)
        except Cold:
            later = SearchLater(self, search, WaitingSource(self.services.disk, self._index_interval))
            try:
                return later.run()
            finally:
                later.learn()

    def adopt(self, source: WaitingSource) -> None:
        """Take over what was opened elsewhere."""
        for arrival in source.arrivals.values():
            self._adopt(arrival)


class SearchLater:
    """A search by time that has to wait for the disk: `run` it once, in a thread, then `learn` on the loop, whatever came of it."""

    __slots__ = ("_partition", "_search", "_source")

    def __init__(self, partition: PartitionReads, search: Search, source: WaitingSource) -> None:
        self._partition = partition
        self._search = search
        self._source = source

    def run(self) -> tuple[int, int] | None:
        """The result of the search. Raises OSError."""
        return self._search(self._source)

    def learn(self) -> None:
        """Let the partition keep what was opened."""
        self._partition.adopt(self._source)
