"""Finds records by timestamp.

The first record whose timestamp is at least the wanted one: not the batch, and not the closest. Timestamps need not rise with
offsets; the time index holds running maxima, so it says where the search may begin, and from there batches are passed over by
their largest timestamp until one has to be opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ev.disk import Buffer
from ev.errors import MalformedError
from ev.log.reading import LOCATE_CHUNK_BYTES, CachedSource, Cold, Source
from ev.log.scan import HEADER, Scan
from ev.log.segment import Segment, entry_holds
from ev.wire.records import CODEC_MASK, HEADER_SIZE, LOG_APPEND_TIME, LOG_OVERHEAD, decode_batch

OPENED_AT_ONCE_MAX = 1 << 13
"""A batch of more records, or one that may grow, is opened in a thread: everybody would wait."""


def largest_timestamp(segment: Segment, source: Source) -> int:
    """The largest timestamp in a segment, -1 when its records have none.

    Retention drops segments by it, so the time index, which has no checksum, is believed only if the batch that its last
    entry names has that time. An empty one may have lost what it held.
    """
    if not segment.times_known and segment.size:
        last = source.times(segment).last()
        read = _reader(source, segment)
        if last is None or _place_of(segment, source, last, read) is None:
            last = _largest_of_all(segment, read)
        segment.max_timestamp, segment.max_timestamp_offset = last
        segment.times_known = True
    return segment.max_timestamp


def _reader(source: Source, segment: Segment) -> Callable[[int, int], Buffer]:
    def read(size: int, position: int) -> Buffer:
        data = source.read(segment, size, position)
        if len(data) < size and isinstance(source, CachedSource):
            raise Cold
        return data

    return read


def _place_of(segment: Segment, source: Source, entry: tuple[int, int], read: Callable[[int, int], Buffer]) -> int | None:
    """A place at or before the batch that a time index entry names; None when there is no such batch."""
    timestamp, last_offset = entry
    indexed = source.index(segment).before_offset(last_offset)
    start = 0
    if indexed is not None:
        if not 0 <= indexed[1] < segment.size or not entry_holds(read(HEADER_SIZE, indexed[1]), indexed[0]):
            return None
        start = indexed[1]
    for _, fields in Scan(read, start, segment.size, None, contiguous=False, checked=False, chunk_bytes=LOCATE_CHUNK_BYTES):
        if fields[0] + fields[6] >= last_offset:
            return start if fields[0] + fields[6] == last_offset and fields[8] == timestamp else None
    return None


def _largest_of_all(segment: Segment, read: Callable[[int, int], Buffer]) -> tuple[int, int]:
    """(the largest timestamp, the last offset of its batch), from the batches themselves."""
    largest = (-1, -1)
    for _, fields in Scan(read, 0, segment.size, None, contiguous=False, checked=False):
        if fields[8] > largest[0]:
            largest = (fields[8], fields[0] + fields[6])
    return largest


def first_at_or_after(
    segments: Sequence[Segment], source: Source, timestamp: int, start_offset: int, limit_offset: int, report: Callable[[str], None]
) -> tuple[int, int] | None:
    """(offset, timestamp) of the first record from `start_offset` on that is not older; None when there is none below `limit_offset`."""
    for segment in segments:
        if segment.base_offset >= limit_offset:
            return None
        if segment.size and largest_timestamp(segment, source) >= timestamp:
            found = _in_segment(segment, source, timestamp, start_offset, limit_offset, report)
            if found is not None:
                return found
    return None


def _in_segment(
    segment: Segment, source: Source, timestamp: int, start_offset: int, limit_offset: int, report: Callable[[str], None]
) -> tuple[int, int] | None:
    read = _reader(source, segment)
    scan = Scan(read, _start(segment, source, timestamp, read), segment.size, None, contiguous=False, checked=False)
    for position, fields in scan:
        if fields[0] >= limit_offset:
            return None
        if fields[8] < timestamp or fields[0] + fields[6] < start_offset:
            continue
        batch = read(fields[1] + LOG_OVERHEAD, position)
        if isinstance(source, CachedSource) and (fields[12] > OPENED_AT_ONCE_MAX or fields[5] & CODEC_MASK):
            raise Cold
        try:
            found = _in_batch(batch, timestamp, start_offset, fields[5])
        except MalformedError as problem:
            report(f"{segment.path('.log')} at byte {position}: passed over in a search by time: {problem}")
            continue
        if found is not None:
            return found if found[0] < limit_offset else None
    return None


def _start(segment: Segment, source: Source, timestamp: int, read: Callable[[int, int], Buffer]) -> int:
    """A place before which every record is older. The indexes are believed only where the log agrees."""
    older = source.times(segment).before(timestamp)
    place = _place_of(segment, source, older, read) if older is not None else None
    return place or 0


def _in_batch(batch: Buffer, timestamp: int, start_offset: int, attributes: int) -> tuple[int, int] | None:
    if attributes & LOG_APPEND_TIME:
        fields = HEADER.unpack_from(batch)
        return max(fields[0], start_offset), fields[8]
    columns = decode_batch(batch)
    for offset, stamp in zip(columns.offsets, columns.timestamps, strict=True):
        if stamp >= timestamp and offset >= start_offset:
            return offset, stamp
    return None
