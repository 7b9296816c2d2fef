"""What an open data directory would be after a clean stop at this very moment, as a list of files. The heart of a backup.

Everything that an engine appends, it appends on one thread, one batch after the other. So what all logs hold at one moment is a prefix
of that history: nothing in it speaks of anything that is not in it too, neither a marker of a decision nor a committed offset of a
record. It has everything that was acknowledged by then, because what is acknowledged was appended before. A directory with exactly these
bytes is what a crash at that moment would have left if every write had reached the disk, and one more step: its indexes,
checkpoints and producers' tables are written as at a clean stop, from what memory knows at that same moment.

Whoever makes the list and whoever carries it out must see one moment: the process does both in a fork of itself (`ev.server.image`),
whose memory stands still. Only files go on changing, in ways that do no harm:

* a segment's .log only grows behind the size that is on the list; what waits in memory to be written to it is on the list too;
* sealed segments, their indexes and snapshots do not change. They may be renamed (`.deleted`, `-delete`), but nothing is unlinked,
  swapped in by compaction or noted in a checkpoint while the store `holds_files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ev.log.checkpoint import (
    CLEAN_SHUTDOWN,
    CLEAN_SHUTDOWN_TEXT,
    CLEANER_OFFSETS,
    HIGH_WATERMARKS,
    LEADER_EPOCHS,
    LOG_STARTS,
    META_PROPERTIES,
    OWN_CHECKPOINT,
    PARTITION_METADATA,
    RECOVERY_POINTS,
    STATE,
    State,
    encode_epochs,
    encode_offsets,
    partition_metadata,
)
from ev.log.compaction import SWAP
from ev.log.segment import DELETED, INDEX, LOG, SNAPSHOT, TIME_INDEX, TRANSACTION_INDEX, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.disk import Disk
    from ev.log.partition import Partition
    from ev.log.store import Store

WHOLE: Final = -1


class Linked(NamedTuple):
    """A file that has what is wanted as its first `size` bytes (WHOLE: all of it), under the first of these names that is there."""

    name: str
    candidates: tuple[str, ...]
    size: int
    rest: bytes  # what follows them
    topic_id: bytes  # of the directory that it is in, should that have got another name
    may_be_missing: bool


class Written(NamedTuple):
    """A small file."""

    name: str
    data: bytes


Entry = Linked | Written


def image_of(store: Store) -> Iterator[Entry]:
    """Every file of the image; `name` is its place below the data directory."""
    everything = store.partitions()
    for partition in everything:
        yield from (_as_it_is if partition.damaged is not None else _partition)(store.disk, partition)
    yield Written(META_PROPERTIES, store.disk.read(f"{store.directory}/{META_PROPERTIES}"))
    yield Written(STATE, State(store.format, store.epoch).encode())
    ends = encode_offsets({(each.topic, each.index): each.end_offset for each in everything})
    yield Written(RECOVERY_POINTS, ends)
    yield Written(HIGH_WATERMARKS, ends)
    starts = {(each.topic, each.index): each.log_start_offset for each in everything if each.log_start_offset}
    yield Written(LOG_STARTS, encode_offsets(starts))
    cleaned = {(each.topic, each.index): each.cleaned_to for each in everything if each.cleaned_to >= 0}
    yield Written(CLEANER_OFFSETS, encode_offsets(cleaned))
    yield Written(CLEAN_SHUTDOWN, CLEAN_SHUTDOWN_TEXT)


def _partition(disk: Disk, partition: Partition) -> Iterator[Entry]:
    folder = partition.name
    for segment in partition.segments:
        yield from _segment(disk, partition, segment)
    for base, entries in partition.transactions.aborted.items():
        yield Written(f"{folder}/{base:020d}{TRANSACTION_INDEX}", bytes(entries))
    snapshots = {f"{partition.end_offset:020d}{SNAPSHOT}": partition.producers.snapshot(partition.transactions)}
    snapshots |= {path.rpartition("/")[2]: data for path, data in partition.unwritten_files if path.endswith(SNAPSHOT)}
    for name, data in snapshots.items():
        yield Written(f"{folder}/{name}", data)
    for base in [segment.base_offset for segment in partition.segments if segment.base_offset]:
        name = f"{base:020d}{SNAPSHOT}"
        if name not in snapshots:
            yield _linked(partition, name, WHOLE, may_be_missing=True)
    yield Written(f"{folder}/{LEADER_EPOCHS}", encode_epochs(partition.epochs.entries))
    yield Written(f"{folder}/{PARTITION_METADATA}", partition_metadata(partition.topic_id))
    yield Written(f"{folder}/{OWN_CHECKPOINT}", partition.checkpoint_at_end())


def _segment(disk: Disk, partition: Partition, segment: Segment) -> Iterator[Entry]:
    base = f"{segment.base_offset:020d}"
    if segment.exists:
        waiting = partition.waiting_bytes if segment is partition.active else b""
        yield _linked(partition, base + LOG, segment.size - len(waiting), rest=waiting, swapping=segment.swapping)
    index, times = segment.index, segment.time_index
    if index is not None and times is not None:
        yield Written(f"{partition.name}/{base}{INDEX}", bytes(index.data))
        yield Written(f"{partition.name}/{base}{TIME_INDEX}", bytes(times.data))
        return
    for suffix in (INDEX, TIME_INDEX):
        if segment.sealed:
            yield _linked(partition, base + suffix, WHOLE, swapping=segment.swapping, may_be_missing=True)
        elif disk.exists(segment.path(suffix)):
            yield Written(f"{partition.name}/{base}{suffix}", disk.read(segment.path(suffix)))


def _linked(
    partition: Partition, name: str, size: int, *, rest: bytes = b"", swapping: bool = False, may_be_missing: bool = False
) -> Linked:
    path = f"{partition.directory}/{name}"
    candidates = (path + SWAP, path) if swapping else (path, path + DELETED)
    return Linked(f"{partition.name}/{name}", candidates, size, rest, partition.topic_id, may_be_missing)


def _as_it_is(disk: Disk, partition: Partition) -> Iterator[Entry]:
    """A damaged partition takes no writes: it is carried as it is, for whoever repairs it."""
    for name in disk.list(partition.directory):
        yield _linked(partition, name, WHOLE)
