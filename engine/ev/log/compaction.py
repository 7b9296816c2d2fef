"""Compacts sealed segments: of each key only the newest record stays (Kafka's Cleaner.java).

This is work for a process of its own: it reads and writes files, knows no partition and changes nothing that is in use. What it
leaves are new segments beside the old ones, complete and synced, under names that say that they are to replace them:

    00000000000000000000.log.cleaned    while it is written; worth nothing after a crash
    00000000000000000000.log.swap       it replaces the segments from its base offset to its last offset; also after a crash

First the newest offset of every key in the part that was not compacted yet is learned. Then all segments from the log's beginning
are copied, without the records that have a newer one. Offsets and batches keep their places:

* a batch of which everything stays is copied byte for byte; one of which some stays is made anew with its base offset, last offset,
  producer and codec; one of which nothing stays is left out, but for the last batch of each producer, which stays as an empty one;
* a record without a value (a tombstone) stays until its *delete horizon*, `delete.retention.ms` after it was first copied; the
  horizon is kept in the batch, in the place of its base timestamp, and an attribute bit says so (KIP-534);
* a batch that matches its checksum and cannot be opened (its producer lied, or it grows without end) stays as it is, and is told of;
* what an aborted transaction wrote goes; a marker goes when a copy has found nothing of its transaction, at its delete horizon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ev.errors import MalformedError
from ev.log.scan import HEADER, Scan
from ev.log.segment import INDEX, LOG, TIME_INDEX, Segment
from ev.log.transactions import read_marker
from ev.wire import compression as codecs
from ev.wire.batch_header import AFTER_CRC, BEFORE_CRC, CRC_START
from ev.wire.checksum import crc32c
from ev.wire.record_varints import varint
from ev.wire.records import (
    CODEC_MASK,
    CONTROL,
    DELETE_HORIZON,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    LOG_OVERHEAD,
    MAGIC,
    TRANSACTIONAL,
    Columns,
    decode_batch,
    read_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev.disk import Disk, File
    from ev.log.scan import Fields
    from ev.wire.primitives import Buffer

CLEANED = ".cleaned"
SWAP = ".swap"
KEY_OVERHEAD_BYTES = 120
"""About what a key takes in memory beside its bytes."""
KEYS_BYTES_MAX = 256 << 20
WRITE_BYTES = 1 << 20
SPAN_MAX = (1 << 31) - 1
UNOPENED_TOLD = 10


class Part(NamedTuple):
    """An old segment."""

    base_offset: int
    size: int


class CleaningPlan(NamedTuple):
    """What is to be compacted. Plain values: it goes to another process."""

    directory: str
    parts: tuple[Part, ...]  # all segments from the log's beginning to the limit
    dirty_from: int  # what lies before was compacted already
    limit: int  # the offset behind the last part
    aborted: tuple[tuple[int, int], ...]  # (producer id, first offset) of aborted transactions with records there
    last_offsets: dict[int, int]  # of each producer that is remembered, the offset of its last record
    segment_bytes: int
    index_interval_bytes: int
    delete_retention_ms: int
    now_ms: int
    keys_bytes_max: int = KEYS_BYTES_MAX


class CleanedSegment(NamedTuple):
    """A new segment, ready to take the place of old ones."""

    base_offset: int
    covers: tuple[int, ...]  # the base offsets of these
    size: int
    max_timestamp: int
    max_timestamp_offset: int
    roll_timestamp: int


class Cleaned(NamedTuple):
    """What came of a plan."""

    dirty_from: int
    segments: tuple[CleanedSegment, ...]
    bytes_before: int
    bytes_after: int
    unopened: tuple[str, ...] = ()  # batches that could not be opened, and why


class Compaction:
    """One plan, carried out. A job for a child process: `run` it with that process's disk."""

    def __init__(self, plan: CleaningPlan) -> None:
        self.plan = plan
        self._newest: dict[bytes, int] = {}
        self._unopened: dict[int, str] = {}
        self._mapped_end = plan.dirty_from
        # Of the copy:
        self._aborted: list[tuple[int, int]] = []
        self._aborting: set[int] = set()  # producers whose aborted transaction is being passed
        self._has_data: set[int] = set()  # producers of whose open transaction something was there to copy

    def run(self, disk: Disk) -> Cleaned:
        """Raises OSError, MalformedError."""
        self._learn(disk)
        segments = []
        before = after = 0
        self._begin_pass()
        for group in self._groups():
            made = self._copy(disk, group)
            size = sum(part.size for part in group)
            before += size
            after += made.size if made is not None else size
            if made is not None:
                segments.append(made)
        if segments:
            # The checkpoint first that lets recovery begin behind them: before it, nothing that is missing counts as compacted.
            disk.sync_directory(self.plan.directory)
            for made in segments:
                for suffix in (INDEX, TIME_INDEX, LOG):
                    path = self._path(made.base_offset, suffix)
                    disk.rename(path + CLEANED, path + SWAP)
            disk.sync_directory(self.plan.directory)
        return Cleaned(self._mapped_end, tuple(segments), before, after, tuple(self._unopened.values()))

    def _path(self, base_offset: int, suffix: str) -> str:
        return f"{self.plan.directory}/{base_offset:020d}{suffix}"

    # The newest offset of every key.

    def _begin_pass(self) -> None:
        self._aborted = sorted(self.plan.aborted, key=lambda each: -each[1])
        self._aborting.clear()
        self._has_data.clear()

    def _learn(self, disk: Disk) -> None:
        plan = self.plan
        self._begin_pass()
        used = 0
        for part in plan.parts:
            for batch, fields in self._batches(disk, part):
                last_offset = fields[0] + fields[6]
                if self._is_not_data(batch, fields) or last_offset < plan.dirty_from:
                    continue
                columns = self._opened(batch, fields)
                if columns is None:
                    continue
                for key, offset in zip(columns.keys, columns.offsets, strict=True):
                    if key is not None and offset >= plan.dirty_from:
                        if key not in self._newest:
                            used += len(key) + KEY_OVERHEAD_BYTES
                        self._newest[key] = offset
                self._mapped_end = last_offset + 1
                if used > plan.keys_bytes_max:
                    return
        self._mapped_end = plan.limit

    def _batches(self, disk: Disk, part: Part) -> Iterator[tuple[memoryview, Fields]]:
        """Every batch of a segment, checked: what is damaged is not compacted."""
        file = disk.open(self._path(part.base_offset, LOG), read_only=True)
        chunk: list[tuple[int, memoryview]] = []

        def read(size: int, position: int) -> Buffer:
            data = memoryview(file.read_at(size, position))
            chunk[:] = [(position, data)]
            return data

        try:
            scan = Scan(read, 0, part.size, None, contiguous=False)
            for position, fields in scan:
                start, data = chunk[0]
                yield data[position - start : position - start + fields[1] + LOG_OVERHEAD], fields
            if scan.problem is not None:
                raise MalformedError(f"{self._path(part.base_offset, LOG)} at byte {scan.position}: {scan.problem}")
        finally:
            file.release()

    def _opened(self, batch: Buffer, fields: Fields) -> Columns | None:
        """The records of a batch, if it has those that it says."""
        try:
            return decode_batch(batch)
        except MalformedError as problem:
            if len(self._unopened) < UNOPENED_TOLD:
                self._unopened[fields[0]] = str(problem)
            return None

    def _is_not_data(self, batch: Buffer, fields: Fields) -> bool:
        """Whether the batch is a marker, or what an aborted transaction has written; follows the transactions batch by batch."""
        while self._aborted and self._aborted[-1][1] <= fields[0] + fields[6]:
            self._aborting.add(self._aborted.pop()[0])
        if fields[5] & CONTROL:
            marker = read_marker(batch)
            if marker is not None and not marker.commits:
                self._aborting.discard(fields[9])
            return True
        if not fields[5] & TRANSACTIONAL:
            return False
        self._has_data.add(fields[9])
        return fields[9] in self._aborting

    # The copy.

    def _groups(self) -> Iterator[list[Part]]:
        """Neighbouring segments that make one new one together."""
        group: list[Part] = []
        size = 0
        for part in self.plan.parts:
            if part.base_offset >= self._mapped_end and part.base_offset > self.plan.dirty_from:
                break
            fits = size + part.size <= self.plan.segment_bytes and part.base_offset - (group[0].base_offset if group else 0) < SPAN_MAX
            if group and not fits:
                yield group
                group, size = [], 0
            group.append(part)
            size += part.size
        if group:
            yield group

    def _copy(self, disk: Disk, group: Sequence[Part]) -> CleanedSegment | None:
        """The new segment for some old ones; None when it would be the one that is there."""
        segment = Segment(self.plan.directory, group[0].base_offset)
        segment.begin_index()
        log = self._path(segment.base_offset, LOG) + CLEANED
        file = disk.open(log, create=True)
        changed = len(group) > 1
        pending: list[Buffer] = []
        waiting = written = 0
        try:
            file.truncate(0)
            for part in group:
                for batch, fields in self._batches(disk, part):
                    kept = self._kept(batch, fields)
                    changed = changed or kept is not batch
                    if kept is None:
                        continue
                    last_offset = fields[0] + fields[6]
                    stamp = HEADER.unpack_from(kept)[8]
                    segment.indexed(last_offset, segment.size, len(kept), stamp, self.plan.index_interval_bytes)
                    segment.size += len(kept)
                    pending.append(bytes(kept))
                    waiting += len(kept)
                    if waiting >= WRITE_BYTES:
                        file.write_at(pending, written)
                        written += waiting
                        pending, waiting = [], 0
            if pending:
                file.write_at(pending, written)
            if changed:
                file.sync_all()
        finally:
            file.release()
        if not changed:
            disk.remove(log)
            return None
        segment.seal()
        assert segment.index is not None
        assert segment.time_index is not None
        for suffix, data in ((INDEX, segment.index.data), (TIME_INDEX, segment.time_index.data)):
            self._write(disk, self._path(segment.base_offset, suffix) + CLEANED, data)
        covers = tuple(part.base_offset for part in group)
        stamps = (segment.max_timestamp, segment.max_timestamp_offset, segment.roll_timestamp)
        return CleanedSegment(segment.base_offset, covers, segment.size, *stamps)

    @staticmethod
    def _write(disk: Disk, path: str, data: Buffer) -> None:
        file: File = disk.open(path, create=True)
        try:
            file.truncate(0)
            file.write_at([data], 0)
            file.sync_all()
        finally:
            file.release()

    def _kept(self, batch: memoryview, fields: Fields) -> Buffer | None:
        """What stays of a batch: the same object when all of it does, None when nothing does."""
        is_data = not self._is_not_data(batch, fields)
        if fields[5] & CONTROL:
            return self._kept_marker(batch, fields)
        if not is_data:
            return self._empty(batch, fields)
        if not fields[12]:
            return batch if self._is_last(fields) else None
        columns = self._opened(batch, fields)
        if columns is None:
            return batch
        horizon = fields[7] if fields[5] & DELETE_HORIZON else None
        keeps_tombstones = horizon is None or self.plan.now_ms < horizon
        stays = [
            index
            for index, (key, value, offset) in enumerate(zip(columns.keys, columns.values, columns.offsets, strict=True))
            if key is not None and offset >= self._newest.get(key, -1) and (value is not None or keeps_tombstones)
        ]
        if not stays:
            return self._empty(batch, fields)
        sets_horizon = horizon is None and any(columns.values[index] is None for index in stays)
        if len(stays) == len(columns) and not sets_horizon:
            return batch
        new_horizon = self.plan.now_ms + self.plan.delete_retention_ms if sets_horizon else horizon
        return rebuilt(batch, columns, stays, new_horizon)

    def _kept_marker(self, batch: memoryview, fields: Fields) -> Buffer | None:
        had_data = fields[9] in self._has_data
        self._has_data.discard(fields[9])
        if had_data or read_marker(batch) is None:
            return batch
        if not fields[5] & DELETE_HORIZON:
            return rebuilt(batch, decode_batch(batch), [0], self.plan.now_ms + self.plan.delete_retention_ms)
        return batch if self.plan.now_ms < fields[7] else None

    def _is_last(self, fields: Fields) -> bool:
        """Whether the batch is the last one of a producer that is still remembered."""
        return fields[9] >= 0 and fields[11] >= 0 and self.plan.last_offsets.get(fields[9]) == fields[0] + fields[6]

    def _empty(self, batch: memoryview, fields: Fields) -> Buffer | None:
        return rebuilt(batch, Columns(fields[0], [], [], [], [], []), [], None) if self._is_last(fields) else None


def rebuilt(batch: Buffer, columns: Columns, stays: Sequence[int], horizon: int | None) -> bytes:
    """The batch with these of its records only, in its place and of its producer. `horizon`: its delete horizon, if it has one."""
    header = read_header(batch)
    base = header.base_offset
    times = [columns.timestamps[index] for index in stays]
    base_timestamp = horizon if horizon is not None else times[0] if times else header.base_timestamp
    max_timestamp = header.max_timestamp if header.attributes & LOG_APPEND_TIME or not times else max(times)
    parts: list[bytes] = []
    for index in stays:
        key, value = columns.keys[index], columns.values[index]
        body: list[bytes] = [b"\0", varint(columns.timestamps[index] - base_timestamp), varint(columns.offsets[index] - base)]
        body += (b"\1",) if key is None else (varint(len(key)), key)
        body += (b"\1",) if value is None else (varint(len(value)), value)
        record_headers = columns.headers[index]
        body.append(varint(len(record_headers)))
        for name, text in record_headers:
            encoded = name.encode()
            body += (varint(len(encoded)), encoded)
            body += (b"\1",) if text is None else (varint(len(text)), text)
        record = b"".join(body)
        parts += (varint(len(record)), record)
    records = b"".join(parts)
    if header.codec and records:
        records = codecs.compress(header.codec, records, None)
    attributes = header.attributes & ~DELETE_HORIZON | (DELETE_HORIZON if horizon is not None else 0)
    if not records:
        attributes &= ~CODEC_MASK
    new = bytearray(HEADER_SIZE) + records
    AFTER_CRC.pack_into(
        new,
        CRC_START,
        attributes,
        header.last_offset_delta,
        base_timestamp,
        max_timestamp,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        len(stays),
    )
    with memoryview(new) as view:
        crc = crc32c(view[CRC_START:])
    BEFORE_CRC.pack_into(new, 0, base, len(new) - LOG_OVERHEAD, header.leader_epoch, MAGIC, crc)
    return bytes(new)
