"""Finds and reads whole batches of a partition: without waiting for the disk if it can, in a reader thread if it must.

The same few functions serve both. On the loop they use a source that raises `Cold` where the page cache has no answer; then
a `ReadLater` is handed out, which runs them again with a source that waits. A `ReadLater` works on a copy of what it needs and
changes nothing of the partition; what it found out (an open file, an index, a damaged batch) it leaves in a mailbox that the
loop empties.

Batches that this process did not check itself, because an earlier one wrote them, are checked when they are first read. A
damaged one is reported and not served; what lies before it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ev.disk import Buffer, Disk, File
from ev.errors import ErrorCode, KafkaError
from ev.log.epochs import LeaderEpochs
from ev.log.index import OffsetIndex, TimeIndex
from ev.log.scan import HEADER, Scan
from ev.log.segment import LOG, Segment, entry_holds, load_indexes
from ev.wire.records import HEADER_SIZE, LOG_OVERHEAD, MAGIC

LOCATE_CHUNK_BYTES = 16 << 10
UNVERIFIED_BYTES_MAX = 256 << 10
"""The most that is read at once of what has to be checked: checking costs time for every batch."""
PARTIAL_BYTES_MIN = 64 << 10
"""A read that the page cache answers in part is served with that part if it is at least this much."""


class Read(NamedTuple):
    """Whole batches, the first of which contains the offset that was asked for, and the offset that follows them."""

    pieces: list[Buffer]
    next_offset: int


class Cold(Exception):
    """The page cache has no answer."""


class Moved(KafkaError):
    """The segment was compacted before it could be opened: what is to be read has another place now. Read again."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_LEADER_OR_FOLLOWER, "the segment was compacted meanwhile")


class Damage(Exception):
    """Bytes on disk are not what was written."""

    def __init__(self, segment: Segment, position: int, reason: str) -> None:
        super().__init__(f"{segment.path(LOG)} at byte {position}: {reason}")


class Plan(NamedTuple):
    """What is to be read. All of it is settled when the request arrives."""

    offset: int
    bytes_max: int
    at_least_one: bool
    segments: list[Segment]
    number: int  # of the segment to begin in
    position: int | None  # in that segment, where a reader stopped before; None: to be found
    limit_offset: int
    limit_segment: Segment
    limit_position: int
    walk: bool  # whether the limit's position is only an upper bound, so that offsets have to be looked at
    contiguous: bool
    epochs: LeaderEpochs | None
    interval: int


class Found(NamedTuple):
    """What a plan gave, and what the partition should remember of it."""

    read: Read
    segment: Segment
    position: int  # behind what was read
    checked: tuple[int, int] | None
    damage: str | None


class CachedSource:
    """Answers from memory and the page cache, or raises Cold."""

    __slots__ = ()

    def file(self, segment: Segment) -> File:
        if segment.file is None:
            raise Cold
        segment.used = True
        return segment.file

    def index(self, segment: Segment) -> OffsetIndex:
        if segment.index is None:
            raise Cold
        return segment.index

    def times(self, segment: Segment) -> TimeIndex:
        if segment.time_index is None:
            raise Cold
        return segment.time_index

    def without_index(self, segment: Segment) -> OffsetIndex:
        raise Cold

    def read(self, segment: Segment, size: int, position: int) -> Buffer:
        data = self.file(segment).read_cached_at(size, position)
        if data is None:
            raise Cold
        return data


class Arrival(NamedTuple):
    """A segment that a reader thread opened."""

    segment: Segment
    file: File
    indexes: tuple[OffsetIndex, TimeIndex] | None
    rebuilt: bool  # the index files were wrong


class WaitingSource:
    """Answers from the disk. Opens what it needs for itself and keeps it in `arrivals`."""

    __slots__ = ("arrivals", "disk", "interval")

    def __init__(self, disk: Disk, interval: int) -> None:
        self.disk = disk
        self.interval = interval
        self.arrivals: dict[Segment, Arrival] = {}

    def _arrival(self, segment: Segment) -> Arrival:
        arrival = self.arrivals.get(segment)
        if arrival is None:
            file = self._opened(segment)
            arrival = self.arrivals[segment] = Arrival(segment, file, None, False)
        return arrival

    def _opened(self, segment: Segment) -> File:
        try:
            file = self.disk.open(segment.path(LOG), read_only=True)
        except FileNotFoundError:
            if segment.replaced:
                raise Moved from None
            file = self.disk.open(segment.path(LOG), read_only=True)  # a compacted segment has got its name meanwhile
        if segment.replaced:  # set before the files change: what was opened may be the new one
            file.release()
            raise Moved
        return file

    def _loaded(self, segment: Segment) -> tuple[OffsetIndex, TimeIndex]:
        arrival = self._arrival(segment)
        if arrival.indexes is None:
            arrival = arrival._replace(indexes=load_indexes(self.disk, segment, arrival.file, self.interval))
            self.arrivals[segment] = arrival
        assert arrival.indexes is not None
        return arrival.indexes

    def index(self, segment: Segment) -> OffsetIndex:
        return segment.index if segment.index is not None else self._loaded(segment)[0]

    def times(self, segment: Segment) -> TimeIndex:
        return segment.time_index if segment.time_index is not None else self._loaded(segment)[1]

    def without_index(self, segment: Segment) -> OffsetIndex:
        """An index that was made from the .log alone, because the one in the file is wrong."""
        arrival = self._arrival(segment)
        indexes = load_indexes(self.disk, segment, arrival.file, self.interval, from_files=False)
        self.arrivals[segment] = arrival._replace(indexes=indexes, rebuilt=True)
        return indexes[0]

    def read(self, segment: Segment, size: int, position: int) -> Buffer:
        return self._arrival(segment).file.read_at(size, position)

    def close(self) -> None:
        for arrival in self.arrivals.values():
            arrival.file.release()
        self.arrivals.clear()


Source = CachedSource | WaitingSource


class ReadLater:
    """A read that has to wait for the disk. `run` it once, in a thread: it returns the Read, or raises KafkaError or OSError."""

    __slots__ = ("_disk", "_finished", "_plan", "_segment")

    def __init__(self, plan: Plan, disk: Disk, finished: deque[tuple[WaitingSource, Found | str]]) -> None:
        self._plan = plan._replace(segments=plan.segments[plan.number :], number=0)
        self._disk = disk
        self._finished = finished
        self._segment: Segment | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether what was read has been compacted since: what the partition knows of its transactions is no longer about it."""
        return self._segment is not None and self._segment.replaced

    def run(self) -> Read:
        source = WaitingSource(self._disk, self._plan.interval)
        try:
            found = read_batches(self._plan, source)
        except Damage as damage:
            self._finished.append((source, str(damage)))
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, str(damage)) from damage
        except FileNotFoundError as problem:
            source.close()
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, "the segment was deleted before it could be read") from problem
        except (OSError, Moved):
            source.close()
            raise
        self._segment = found.segment
        self._finished.append((source, found))
        return found.read


def read_batches(plan: Plan, source: Source) -> Found:
    """Carry a plan out. Raises Cold (only with a CachedSource), Damage, OSError."""
    number, position = plan.number, plan.position
    while True:
        segment = plan.segments[number]
        last = segment is plan.limit_segment
        end = plan.limit_position if last else segment.size
        if position is None:
            position = locate(plan, source, segment, end)
        if position < end:
            return _read_at(plan, source, number, position, end)
        if last or number + 1 == len(plan.segments):
            return Found(Read([], plan.offset), segment, position, None, None)
        number, position = number + 1, 0


def locate(plan: Plan, source: Source, segment: Segment, end: int) -> int:
    """Where the first batch begins that ends at or after the plan's offset; `end` when there is none."""
    entry = source.index(segment).before_offset(plan.offset)
    if entry is not None and not (0 <= entry[1] < end and entry_holds(source.read(segment, HEADER_SIZE, entry[1]), entry[0])):
        entry = source.without_index(segment).before_offset(plan.offset)
    start = entry[1] if entry is not None else 0
    scan = Scan(
        _reader(source, segment),
        start,
        end,
        segment.base_offset if start == 0 else None,
        contiguous=plan.contiguous,
        checked=False,
        chunk_bytes=LOCATE_CHUNK_BYTES,
    )
    for position, fields in scan:
        if fields[0] + fields[6] >= plan.offset:
            return position
    if scan.problem is not None:
        raise Damage(segment, scan.position, scan.problem)
    return end


def _reader(source: Source, segment: Segment) -> Callable[[int, int], Buffer]:
    def read(size: int, position: int) -> Buffer:
        data = source.read(segment, size, position)
        if len(data) < size and isinstance(source, CachedSource):
            raise Cold
        return data

    return read


def _slices(view: memoryview) -> Callable[[int, int], Buffer]:
    return lambda size, position: view[position : position + size]


def _read_at(plan: Plan, source: Source, number: int, position: int, end: int) -> Found:
    """Read from a batch's beginning."""
    segment = plan.segments[number]
    bytes_max = max(plan.bytes_max, HEADER_SIZE)
    if not segment.is_verified(position, min(position + bytes_max, end)):
        bytes_max = min(bytes_max, UNVERIFIED_BYTES_MAX)
    wanted = min(end - position, bytes_max)
    # Behind what is wanted, one more header: it shows whether the place where an index entry cuts is a batch's beginning.
    data = source.read(segment, min(wanted + HEADER_SIZE, end - position), position)
    if len(data) < wanted:
        if isinstance(source, WaitingSource) and len(data) < end - position:
            raise Damage(segment, position, f"the file ends {end - position - len(data)} bytes too early")
        if len(data) < PARTIAL_BYTES_MIN:
            raise Cold
        wanted = len(data) - HEADER_SIZE
    first_size = _first_size(plan, segment, data, position, end)
    if first_size > wanted:
        if not plan.at_least_one:
            return Found(Read([], plan.offset), segment, position, None, None)
        data = source.read(segment, first_size, position)
        if len(data) < first_size:
            if isinstance(source, WaitingSource):
                raise Damage(segment, position, "the file ends in the middle of a batch")
            raise Cold
        cut = first_size
    else:
        cut = wanted if wanted == end - position else _cut(source, segment, data, position, wanted, end)
    return _checked(plan, number, position, end, data, cut)


def _first_size(plan: Plan, segment: Segment, data: Buffer, position: int, end: int) -> int:
    """The size of the batch that `data` begins with, which must contain the plan's offset or begin behind a hole."""
    if len(data) < HEADER_SIZE:
        raise Damage(segment, position, "the segment ends in the middle of a batch's header")
    fields = HEADER.unpack_from(data)
    size: int = fields[1] + LOG_OVERHEAD
    if fields[3] != MAGIC or not HEADER_SIZE <= size <= end - position or fields[0] + fields[6] < plan.offset:
        raise Damage(segment, position, "no batch begins here that could hold the offset that was asked for")
    if fields[0] > plan.offset and plan.contiguous:
        raise Damage(segment, position, f"a batch begins at offset {fields[0]}, offset {plan.offset} is missing")
    return size


def _cut(source: Source, segment: Segment, data: Buffer, position: int, wanted: int, end: int) -> int:
    """How many of `wanted` bytes are whole batches: by the index if it can tell, else by walking."""
    index = segment.index if isinstance(source, CachedSource) else source.index(segment)
    entry = index.before_position(position + wanted) if index is not None else None
    if entry is not None and entry[1] > position:
        local = entry[1] - position
        if entry_holds(data[local : local + HEADER_SIZE], entry[0]):
            return local
    view = memoryview(data)
    scan = Scan(_slices(view), 0, len(view), None, contiguous=False, checked=False)
    cut = 0
    for place, fields in scan:
        after = place + fields[1] + LOG_OVERHEAD
        if after > wanted:
            break
        cut = after
    return cut


def _checked(plan: Plan, number: int, position: int, end: int, data: Buffer, cut: int) -> Found:
    """The first `cut` bytes as a result, checked if nobody has done so before, and cut where the plan's limit is."""
    segment = plan.segments[number]
    damage = checked = None
    unverified = not segment.is_verified(position, position + cut)
    if not unverified and not plan.walk:
        next_offset = _next_offset(plan, number, position, end, data, cut)
    else:
        view = memoryview(data)[:cut]
        first: int = HEADER.unpack_from(view)[0]
        scan = Scan(_slices(view), 0, cut, first, contiguous=plan.contiguous, checked=unverified, epochs=plan.epochs)
        cut, next_offset = 0, plan.offset
        for place, fields in scan:
            if fields[0] >= plan.limit_offset:
                break
            cut, next_offset = place + fields[1] + LOG_OVERHEAD, fields[0] + fields[6] + 1
        if scan.problem is not None:
            damage = str(Damage(segment, position + scan.position, scan.problem))
            if not cut:
                raise Damage(segment, position + scan.position, scan.problem)
        checked = (position, position + cut) if unverified else None
    pieces: list[Buffer] = [data if cut == len(data) else memoryview(data)[:cut]] if cut else []
    return Found(Read(pieces, next_offset), segment, position + cut, checked, damage)


def _next_offset(plan: Plan, number: int, position: int, end: int, data: Buffer, cut: int) -> int:
    """The offset behind the first `cut` bytes of `data`, which are whole batches."""
    segment = plan.segments[number]
    if position + cut == end:
        if segment is plan.limit_segment:
            return plan.limit_offset
        if number + 1 < len(plan.segments):
            return plan.segments[number + 1].base_offset
    if len(data) - cut >= HEADER_SIZE:
        following: int = HEADER.unpack_from(data, cut)[0]
        return following
    fields = HEADER.unpack_from(data)
    if fields[1] + LOG_OVERHEAD == cut:
        return int(fields[0] + fields[6] + 1)
    view = memoryview(data)[:cut]
    scan = Scan(_slices(view), 0, cut, None, contiguous=False, checked=False)
    for _ in scan:
        pass
    assert scan.offset is not None
    return scan.offset
