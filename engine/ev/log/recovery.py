"""Opens a partition: finds out where its log ends, after a clean stop as after a crash.

A partition's own checkpoint says up to where its files are on disk. Only what lies behind that place is read again: after a
clean stop nothing, after a crash the bytes of the last seconds. The page cache is dropped first, because after a failed sync
it shows what the disk does not have. Batches are walked and checked; then

* a torn tail, which nobody was promised, is cut off and kept aside in a `.torn` file;
* what only the commit journal has is appended, where it continues exactly at the log's end. It may begin in the middle of
  what was cut off: pages reach the disk in any order, so a hole may lie before batches that did;
* everything kept is synced before the high watermark is set to it: until then it may exist in memory only.

Damage *before* the recovery point was once known to be on disk, so no crash explains it. It is never cut: the partition keeps
what can be read, takes no writes and says so.

Without a checkpoint of ev's own (a directory that Apache Kafka wrote) the recovery point of Kafka's checkpoint is used, and
the producers of Kafka's snapshot; without either, the whole log is walked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ev.disk import Buffer, Disk, File
from ev.errors import MalformedError
from ev.log.checkpoint import (
    LEADER_EPOCHS,
    OWN_CHECKPOINT,
    PARTITION_METADATA,
    UNTRUSTED,
    PartitionCheckpoint,
    parse_epochs,
    partition_metadata,
)
from ev.log.config import TopicConfig
from ev.log.epochs import LeaderEpochs
from ev.log.found import Found, KafkaCheckpoints
from ev.log.journal import Entry
from ev.log.partition import Partition, Services
from ev.log.producers import Producers
from ev.log.scan import HEADER, Fields, Scan
from ev.log.segment import (
    DELETED,
    INDEX,
    LOG,
    POSITION_MAX,
    SNAPSHOT,
    TIME_INDEX,
    TRANSACTION_INDEX,
    Mark,
    Segment,
    load_indexes,
)
from ev.log.swapping import finish_swapping
from ev.log.transactions import Transactions, read_marker, sound_entries
from ev.wire.checksum import crc32c
from ev.wire.records import CONTROL, LOG_OVERHEAD, TRANSACTIONAL

LOG_NAME = re.compile(r"\d{20}\.log")
SNAPSHOT_NAME = re.compile(r"\d{20}\.snapshot")
TORN = ".torn"
KEPT = ".journal"


def create(services: Services, topic: str, index: int, topic_id: bytes, directory: str, config: TopicConfig) -> Partition:
    """Make a new, empty partition. Nothing of it is synced: that comes before its first offset counts."""
    disk = services.disk
    disk.make_directory(directory)
    services.root_unsynced = True
    _write(disk, f"{directory}/{PARTITION_METADATA}", partition_metadata(topic_id))
    _write(disk, f"{directory}/{OWN_CHECKPOINT}", PartitionCheckpoint(topic_id).encode())
    segment = Segment(directory, 0)
    partition = _partition(
        services, topic, index, topic_id, directory, config, [segment], 0, 0, LeaderEpochs(), Producers(), Transactions()
    )
    partition.resume(Mark(0, segment, 0), 0)
    return partition


def _write(disk: Disk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    try:
        file.truncate(0)
        file.write_at([data], 0)
    finally:
        file.release()


def _partition(
    services: Services,
    topic: str,
    index: int,
    topic_id: bytes,
    directory: str,
    config: TopicConfig,
    segments: list[Segment],
    log_start: int,
    end: int,
    epochs: LeaderEpochs,
    producers: Producers,
    transactions: Transactions,
) -> Partition:
    return Partition(services, topic, index, topic_id, directory, config, segments, log_start, end, epochs, producers, transactions)


class Recovery:
    """One partition being opened."""

    def __init__(
        self,
        services: Services,
        topic: str,
        index: int,
        topic_id: bytes,
        config: TopicConfig,
        found: Found,
        kafka: KafkaCheckpoints,
        entries: Sequence[Entry],
        epoch_max: int | None,
        now_ms: int,
    ) -> None:
        self.services = services
        self.disk = services.disk
        self.topic = topic
        self.index = index
        self.topic_id = topic_id
        self.config = config
        self.found = found
        self.directory = found.directory
        self.kafka = kafka
        self.entries = entries
        self.epoch_max = epoch_max  # the newest leader epoch that any batch can have; None when it is not known
        self.now_ms = now_ms
        self.name = f"{topic}-{index}"
        self.epochs = LeaderEpochs()
        self.epochs_trusted = True
        self.producers = Producers()
        self.transactions = Transactions()
        self.damaged: str | None = None
        self.noted = True  # whether a checkpoint, ours or Kafka's, may have spoken of the log, so that it may have been compacted
        self.opened: dict[Segment, File] = {}
        self.changed = False  # whether anything has to be synced and noted
        self.names_changed = False  # whether names in the directory may not be on disk

    def run(self) -> Partition:
        """The partition, ready to be served. Raises OSError when the disk fails."""
        if not self.found.metadata_is_sound:
            self._report("partition.metadata was missing or damaged and was written again")
            self.disk.replace(f"{self.directory}/{PARTITION_METADATA}", partition_metadata(self.topic_id))
        segments = self._segments()
        number, position, offset = self._begin(segments)
        log_start = self._log_start(segments)
        self.changed = self.changed or log_start < segments[0].base_offset  # the checkpoint must not wait for the next append
        end = self._walk(segments, number, position, offset)
        end = self._apply_journal(segments, end)
        saved = self.found.checkpoint.recovery_offset if self.found.checkpoint is not None else -1
        self._sync_kept()
        partition = _partition(
            self.services,
            self.topic,
            self.index,
            self.topic_id,
            self.directory,
            self.config,
            segments,
            min(max(log_start, segments[0].base_offset), end),
            end,
            self.epochs,
            self.producers,
            self.transactions,
        )
        partition.damaged = self.damaged
        partition.epochs_trusted = self.epochs_trusted
        partition.resume(Mark(end, segments[-1], segments[-1].size), saved)
        partition.begin_unsaved([segment for segment in segments if segment.sealed and segment.index_saved >= 0])
        if self.changed:
            self.services.dirty[partition] = None
        self._note_leftovers({segment.base_offset for segment in segments})
        return partition

    def _note_leftovers(self, bases: set[int]) -> None:
        """Files that nobody needs any more: dropped segments, and snapshots of earlier stops."""
        snapshots = [name for name in self.found.names if SNAPSHOT_NAME.fullmatch(name) and int(name[:20]) not in bases]
        deleted = [name for name in self.found.names if name.endswith(DELETED)]
        self.services.leftovers += [f"{self.directory}/{name}" for name in (*snapshots[:-1], *deleted)]

    def _report(self, text: str) -> None:
        self.services.report(f"{self.name}: {text}")

    # Where to begin

    def _segments(self) -> list[Segment]:
        if finish_swapping(self.disk, self.directory, self.found.names, by_kafka=self.found.checkpoint is None, report=self._report):
            self.found.names = self.disk.list(self.directory)
            self.changed = self.names_changed = True
        names = self.found.names
        logs = self._finish_dropping([name for name in names if LOG_NAME.fullmatch(name)])
        segments = [Segment(self.directory, int(name[:20]), self.disk.size(f"{self.directory}/{name}"), exists=True) for name in logs]
        if not segments:
            start = self.found.checkpoint.recovery_offset if self.found.checkpoint is not None else 0
            if start:
                self.damaged = f"no segment is left of a log that went up to offset {start}"
                self._report(self.damaged)
            segments.append(Segment(self.directory, start))
        for segment in segments[:-1]:
            segment.sealed = True
            segment.index_saved = segment.time_index_saved = -1
        for segment in segments:
            segment.written_from = segment.size
        return segments

    def _finish_dropping(self, logs: list[str]) -> list[str]:
        """The log files that are part of the log.

        A log loses segments from its beginning, but names reach the disk in any order. A power cut may have kept the renaming of a
        dropped segment and not that of an older one: the older one goes too. And it may have kept a new segment without the one
        before it, when neither counted yet: then the new one goes. What tells the two apart is that a dropped segment's files are
        unlinked only when the checkpoint that says so is on disk.
        """
        names = self.found.names
        dropped = [name.removesuffix(DELETED) for name in names if name.endswith(LOG + DELETED) and OWN_CHECKPOINT in names]
        if self.config.compacted:
            dropped.clear()  # compaction takes segments out of the middle
        newest = max((name for name in dropped if name not in logs), default="")
        for name in logs:
            if name < newest:
                path = f"{self.directory}/{name}"
                self.disk.rename(path, path + DELETED)
                self.services.leftovers.append(path + DELETED)
        rest = [name for name in logs if name > newest]
        if rest and not newest and int(rest[0][:20]) > 0 and self._never_noted():
            for name in rest:
                self._set_aside(Segment(self.directory, int(name[:20]), self.disk.size(f"{self.directory}/{name}"), exists=True))
            return []
        return rest

    def _never_noted(self) -> bool:
        """Whether no checkpoint ever spoke of a segment: it is the one that the partition was made with, or one that only the engine's
        starts have renewed, or what a power cut left of that. Without any, a directory that Kafka wrote is known by its indexes."""
        own = self.found.checkpoint
        if own is not None:
            return own.recovery_offset == own.log_start_offset == 0
        if OWN_CHECKPOINT not in self.found.names:
            return not any(name.endswith(INDEX) for name in self.found.names)
        made = PartitionCheckpoint(self.topic_id).encode()
        return made.startswith(self.disk.read(f"{self.directory}/{OWN_CHECKPOINT}").rstrip(b"\0"))

    def _begin(self, segments: list[Segment]) -> tuple[int, int, int]:
        """(number of the segment, place in it, offset) from which the log has to be walked."""
        own = self.found.checkpoint
        if own is None:
            return self._begin_as_kafka(segments)
        self.epochs = LeaderEpochs(entry for entry in own.epochs if entry != UNTRUSTED)
        self.epochs_trusted = UNTRUSTED not in own.epochs
        self.producers, self.transactions, checks = own.producers()
        self._load_aborted(segments, own.recovery_offset, checks)
        for number, segment in enumerate(segments):
            if segment.base_offset == own.segment_base:
                segment.max_timestamp, segment.max_timestamp_offset = own.max_timestamp, own.max_timestamp_offset
                segment.roll_timestamp = own.roll_timestamp
                segment.times_known = True
                return number, own.position, own.recovery_offset
        if segments[0].base_offset >= own.recovery_offset:  # all up to here was dropped, after more had been written
            if segments[0].base_offset > own.recovery_offset:
                self._forget_unseen()
            return 0, 0, segments[0].base_offset
        self.damaged = f"the segment {own.segment_base:020d}{LOG}, which was on disk, is missing"
        self._report(self.damaged)
        number = max((number for number, segment in enumerate(segments) if segment.base_offset < own.segment_base), default=0)
        return number, 0, segments[number].base_offset

    def _forget_unseen(self) -> None:
        """Batches that nobody has looked at were dropped: transactions may have ended in them, and producers gone on. The walk finds what
        is left of an open transaction; producers keep their epoch and may go on anywhere."""
        self.transactions.open.clear()
        for producer in self.producers.by_id.values():
            producer.forget_batches()

    def _begin_as_kafka(self, segments: list[Segment]) -> tuple[int, int, int]:
        """The beginning of the segment with Kafka's recovery point; everything when there is none."""
        point = self.kafka.recovery_points.get((self.topic, self.index), 0)
        self.names_changed = True
        number = max((number for number, segment in enumerate(segments) if segment.base_offset <= point), default=0)
        self.changed = True
        if number or segments[0].base_offset:
            self.epochs_trusted = False
            if LEADER_EPOCHS in self.found.names:
                self.epochs = LeaderEpochs(parse_epochs(self.disk.read(f"{self.directory}/{LEADER_EPOCHS}")))
                self.epochs.cut_from(segments[number].base_offset)
            self._restore_snapshot(segments[number].base_offset)
            for segment in segments[:number]:
                self.transactions.adopt(segment.base_offset, sound_entries(self._transaction_index(segment)) or b"")
        return number, 0, segments[number].base_offset

    # Aborted transactions

    def _transaction_index(self, segment: Segment) -> Buffer:
        name = segment.path(TRANSACTION_INDEX)
        return self.disk.read(name) if name.rpartition("/")[2] in self.found.names else b""

    def _load_aborted(self, segments: list[Segment], recovery_offset: int, checks: list[tuple[int, int, int]]) -> None:
        """The .txnindex files, as far as the checkpoint vouches for them; they are made again from the log if one is not as it was."""
        by_base = {segment.base_offset: segment for segment in segments}
        for base, size, checksum in checks:
            segment = by_base.get(base)
            if segment is None:
                continue  # dropped since then
            entries = memoryview(self._transaction_index(segment))[:size]
            if len(entries) != size or crc32c(entries) != checksum:
                self._report(f"{segment.path(TRANSACTION_INDEX)} is not as it was written and is made again from the log")
                self._find_aborted(segments, recovery_offset)
                return
            self.transactions.adopt(base, entries)

    def _find_aborted(self, segments: list[Segment], recovery_offset: int) -> None:
        """Walk the log up to the recovery point for the transactions that were aborted in it."""
        walked = Transactions()
        for segment in segments:
            file = self.disk.open(segment.path(LOG), read_only=True)
            try:
                for place, fields in Scan(file.read_at, 0, segment.size, None, contiguous=False, checked=False):
                    if fields[0] >= recovery_offset:
                        break
                    if fields[5] & TRANSACTIONAL:
                        self._take_transactional(walked, segment, place, fields, file)
            finally:
                file.release()
        self.transactions.aborted = walked.aborted
        self.transactions.saved = {}
        self.changed = True

    def _take_transactional(self, transactions: Transactions, segment: Segment, position: int, fields: Fields, file: File) -> None:
        """A batch of a transaction, or its marker, is part of the log."""
        producer_id = fields[9]
        if not fields[5] & CONTROL:
            transactions.begin(producer_id, fields[0], segment, position)
            return
        marker = read_marker(file.read_at(fields[1] + LOG_OVERHEAD, position))
        if marker is not None:
            transactions.end(producer_id, marker, fields[0], segment.base_offset)
            transactions.found[producer_id] = (marker, fields[10])

    def _restore_snapshot(self, offset: int) -> None:
        """The newest of Kafka's producer snapshots up to `offset` that can be read."""
        offsets = [int(name[:20]) for name in self.found.names if SNAPSHOT_NAME.fullmatch(name)]
        for candidate in sorted((each for each in offsets if each <= offset), reverse=True):
            try:
                self.producers.restore(self.disk.read(f"{self.directory}/{candidate:020d}{SNAPSHOT}"), self.transactions, self.now_ms)
                if candidate < offset:
                    self._forget_unseen()
                return
            except MalformedError as problem:
                self._report(f"{candidate:020d}{SNAPSHOT} was passed over: {problem}")

    def _log_start(self, segments: list[Segment]) -> int:
        own = self.found.checkpoint
        return own.log_start_offset if own is not None else self.kafka.log_starts.get((self.topic, self.index), segments[0].base_offset)

    # Walking

    def _walk(self, segments: list[Segment], number: int, position: int, offset: int) -> int:
        """Check everything from here on; cut what is torn. Returns the offset at which the log ends."""
        self.noted = not self._never_noted()
        first = segments[number]
        if position > first.size:
            return self._too_short(segments, number, position)
        for current in range(number, len(segments)):
            segment = segments[current]
            if current > number:
                position = 0
                if segment.base_offset != offset and (not self._may_have_holes or segment.base_offset < offset):
                    problem = f"the next segment begins at {segment.base_offset}"
                    self._cut(segments, current - 1, segments[current - 1].size, problem, offset)
                    return offset
                offset = segment.base_offset
            elif position == segment.size:
                if segment.sealed:
                    self._finish_indexes(segment, position, offset)
                continue
            scan = self._scan(segment, position, offset)
            offset = scan.offset if scan.offset is not None else offset
            if scan.problem is not None:
                self._cut(segments, current, scan.position, scan.problem, offset)
                return offset
        return offset

    @property
    def _may_have_holes(self) -> bool:
        """Whether offsets may be missing where the log is walked: where it may have been compacted, so never behind a checkpoint of ours.

        There a missing offset was torn off, and what follows does not count, as in any other log: the journal may have it.
        """
        return self.config.compacted and ((self.found.checkpoint is None and self.noted) or self.damaged is not None)

    def _open(self, segment: Segment) -> File:
        file = self.opened.get(segment)
        if file is None:
            file = self.opened[segment] = self.disk.open(segment.path(LOG), create=not segment.exists)
            segment.exists = True
            file.drop_cache()
        return file

    def _scan(self, segment: Segment, position: int, offset: int) -> Scan:
        """Walk one segment from `position`, taking its batches into the indexes and tables."""
        file = self._open(segment)
        self.changed = True
        if not position:
            self.names_changed = True  # a segment that no checkpoint knows
        self._prepare_indexes(segment, file, position, offset)
        segment.written_from = position
        scan = Scan(file.read_at, position, segment.size, offset, contiguous=not self._may_have_holes)
        begins_behind_epochs = self.found.checkpoint is not None and self.damaged is None  # a damaged log is walked from further back
        for place, fields in scan:
            if fields[2] != self.epochs.latest and begins_behind_epochs and not self._epoch_is_plausible(fields[2]):
                fields = self._mend_epoch(file, place, fields)
            self._take(segment, place, fields)
        if segment.sealed:
            segment.seal()
        return scan

    def _epoch_is_plausible(self, epoch: int) -> bool:
        return epoch >= self.epochs.latest and (self.epoch_max is None or epoch <= self.epoch_max)

    def _mend_epoch(self, file: File, position: int, fields: Fields) -> Fields:
        """The leader epoch is the one field that no checksum covers and no neighbour contradicts; the batch itself is whole."""
        epoch = max(self.epochs.latest, 0)
        self._report(f"the batch at offset {fields[0]} said leader epoch {fields[2]}, which never was; it was set to {epoch}")
        file.write_at([epoch.to_bytes(4, "big")], position + LOG_OVERHEAD)
        return (*fields[:2], epoch, *fields[3:])

    def _prepare_indexes(self, segment: Segment, file: File, position: int, offset: int) -> None:
        """Indexes that hold exactly what lies before `position`."""
        segment.begin_index()
        segment.index_saved = segment.time_index_saved = 0
        if not position:
            return
        size, segment.size = segment.size, position
        largest, largest_offset = segment.max_timestamp, segment.max_timestamp_offset
        index, times = load_indexes(self.disk, segment, file, self.config.index_interval_bytes)
        segment.size = size
        index.cut(position)
        times.cut(offset)
        if largest < 0:
            last = times.last()
            place = index.before_offset(last[1]) if last is not None else None
            scan = Scan(file.read_at, place[1] if place is not None else 0, position, None, contiguous=False, checked=False)
            for _, fields in scan:
                if fields[8] > largest:
                    largest, largest_offset = fields[8], fields[0] + fields[6]
        segment.max_timestamp, segment.max_timestamp_offset = largest, largest_offset
        segment.index, segment.time_index = index, times
        newest = index.entry(len(index) - 1) if len(index) else None
        segment.since_index = position - (newest[1] if newest is not None else 0)

    def _finish_indexes(self, segment: Segment, position: int, offset: int) -> None:
        """The segment was sealed after its last checkpoint, without a batch more: its indexes may not even have files."""
        self._prepare_indexes(segment, self._open(segment), position, offset)
        segment.seal()
        self.changed = True

    def _take(self, segment: Segment, position: int, fields: Fields) -> None:
        """A sound batch is part of the log."""
        last_offset = fields[0] + fields[6]
        segment.indexed(last_offset, position, fields[1] + LOG_OVERHEAD, fields[8], self.config.index_interval_bytes)
        if fields[2] != self.epochs.latest:
            self.epochs.begin(fields[2], fields[0])
        if fields[9] < 0:
            return
        if fields[11] >= 0:
            count = fields[6] + 1  # compaction may have left fewer records, or none
            self.producers.append(fields[9], fields[10], fields[11], count, fields[0], last_offset, fields[8], self.now_ms)
        elif fields[5] & TRANSACTIONAL:
            self.producers.seen(fields[9], fields[10], self.now_ms)
        if fields[5] & TRANSACTIONAL:
            self._take_transactional(self.transactions, segment, position, fields, self._open(segment))

    # What does not belong to the log

    def _too_short(self, segments: list[Segment], number: int, position: int) -> int:
        """A file lost bytes that were on disk: keep what is there and refuse writes."""
        segment = segments[number]
        self.damaged = f"{segment.path(LOG)} has {segment.size} bytes; {position} were on disk"
        self._report(self.damaged)
        scan = self._scan(segment, 0, segment.base_offset)
        self._end_at(segments, number, scan.position)
        return scan.offset if scan.offset is not None else segment.base_offset

    def _end_at(self, segments: list[Segment], number: int, position: int) -> None:
        """Serve a damaged log up to here, and leave every file as it is."""
        segments[number].size = segments[number].written_from = position
        for later in segments[number + 1 :]:
            self._report(f"{later.path(LOG)} lies behind the damage and is not served")
        del segments[number + 1 :]

    def _cut(self, segments: list[Segment], number: int, position: int, problem: str, offset: int) -> None:
        """Cut the log at a place behind the recovery point, keeping aside what is cut off."""
        if self.damaged is not None:
            self._end_at(segments, number, position)
            return
        self.changed = self.names_changed = True
        segment = segments[number]
        for later in reversed(segments[number + 1 :]):
            self._set_aside(later)
        del segments[number + 1 :]
        if position < segment.size:
            file = self._open(segment)
            tail = file.read_at(segment.size - position, position)
            if tail.strip(b"\0"):
                kept = f"{segment.path(LOG)}.{position}{TORN}"
                _write(self.disk, kept, tail)
                self._sync_file(kept)
                self._report(
                    f"the log was cut at offset {offset}, {len(tail)} bytes that were not known to be on disk are in {kept}: {problem}"
                )
            file.truncate(position)
            segment.size = position
        segment.sealed = False
        if segment.index_saved < 0:
            self._prepare_indexes(segment, self._open(segment), segment.size, offset)

    def _set_aside(self, segment: Segment) -> None:
        """A whole segment behind the cut."""
        path = segment.path(LOG)
        opened = self.opened.pop(segment, None)
        if opened is not None:
            opened.release()
        if segment.size:
            self.disk.rename(path, path + TORN)
            self._report(f"{path} lies behind the end of the log and was renamed to {path}{TORN}")
        else:
            self.disk.remove(path)
        for suffix in (INDEX, TIME_INDEX, TRANSACTION_INDEX):
            if self.disk.exists(segment.path(suffix)):
                self.disk.remove(segment.path(suffix))

    def _sync_file(self, path: str) -> None:
        file = self.disk.open(path)
        try:
            file.sync_all()
        finally:
            file.release()

    # What only the journal has

    def _apply_journal(self, segments: list[Segment], end: int) -> int:
        """Append the journal's batches that continue the log. Returns the offset at which it ends then."""
        applied = 0
        for entry in self._continuing(end) if self.damaged is None else ():
            fields: Fields = HEADER.unpack_from(entry.batch)
            segment = self._room(segments, len(entry.batch), fields[0] + fields[6], end)
            position = segment.size
            self._open(segment).write_at([entry.batch], position)
            segment.size += len(entry.batch)
            self._take(segment, position, fields)
            end = fields[0] + fields[6] + 1
            applied += 1
        if applied:
            self.changed = self.names_changed = True
            self._report(f"{applied} batches came from the commit journal; the log ends at offset {end}")
        self._keep_entries([entry for entry in self.entries if entry.base_offset >= end])
        return end

    def _keep_entries(self, entries: list[Entry]) -> None:
        """Batches that the journal has and the log cannot take. The journal is about to begin anew, so they are kept in a file."""
        if entries:
            kept = f"{self.directory}/{entries[0].base_offset:020d}{KEPT}"
            _write(self.disk, kept, b"".join(entry.batch for entry in entries))
            self._sync_file(kept)
            self.names_changed = self.changed = True
            self._report(f"{len(entries)} batches from the commit journal do not continue the log; they are in {kept}")

    def _continuing(self, end: int) -> Iterable[Entry]:
        for entry in self.entries:
            if entry.base_offset == end:
                yield entry
                end += HEADER.unpack_from(entry.batch)[6] + 1

    def _room(self, segments: list[Segment], size: int, last_offset: int, end: int) -> Segment:
        """The last segment, with its indexes in memory, or a new one behind it if the batch does not fit there."""
        segment = segments[-1]
        limit = min(self.config.segment_bytes, POSITION_MAX)
        if segment.size and (segment.size + size > limit or last_offset - segment.base_offset > POSITION_MAX):
            segment.seal()
            segment = Segment(self.directory, end)
            segments.append(segment)
        if not segment.loaded:
            self._prepare_indexes(segment, self._open(segment), segment.size, end)
        return segment

    def _sync_kept(self) -> None:
        """Everything that the log is made of now is put on disk: some of it may have been in memory only."""
        if not self.changed and not self.opened:
            return
        for file in self.opened.values():
            file.sync()
            file.release()
        self.opened.clear()
        if self.names_changed:
            self.disk.sync_directory(self.directory)
