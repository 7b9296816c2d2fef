"""What a partition's checkpoint writes, in the order that keeps it true: indexes, snapshots, names, and last its own file.

A checkpoint is made on the loop from what is synced by then, and written in a thread; the partition is told afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.log.checkpoint import LEADER_EPOCHS, OWN_CHECKPOINT
from ev.log.segment import INDEX, TIME_INDEX, TRANSACTION_INDEX, Mark, Segment

if TYPE_CHECKING:
    from ev.disk import Disk
    from ev.log.partition import Partition
    from ev.wire.primitives import Buffer


class IndexSave:
    """The part of an index that its file does not have yet."""

    __slots__ = ("data", "is_time", "path", "position", "segment")

    def __init__(self, segment: Segment, *, is_time: bool, position: int, data: bytes) -> None:
        self.segment = segment
        self.is_time = is_time
        self.path = segment.path(TIME_INDEX if is_time else INDEX)
        self.position = position
        self.data = data

    def run(self, disk: Disk) -> None:
        file = disk.open(self.path, create=True)
        try:
            file.write_at([self.data], self.position)
            file.truncate(self.position + len(self.data))
            if self.segment.sealed:
                file.sync()  # no start makes it again
        finally:
            file.release()

    def done(self) -> None:
        saved = self.position + len(self.data)
        if self.is_time:
            self.segment.time_index_saved = saved
        else:
            self.segment.index_saved = saved


def index_saves(segment: Segment, mark: Mark) -> list[IndexSave]:
    """What is missing in the index files of a segment, up to the mark if it lies in it."""
    index, times = segment.index, segment.time_index
    if index is None or times is None or segment.index_saved < 0:
        return []
    index_end, times_end = len(index.data), len(times.data)
    if segment is mark.segment and not segment.sealed:
        # No entry may lie behind the mark: what is there is not known to be on disk.
        while index_end and index.entry(index_end // 8 - 1)[1] >= mark.position:
            index_end -= 8
        while times_end and times.entry(times_end // 12 - 1)[1] >= mark.offset:
            times_end -= 12
    saves = []
    has_times = times_end > segment.time_index_saved or (segment.sealed and not segment.time_index_saved)
    # Kafka's tools do not read a time index that has no offset index beside it, however empty.
    if index_end > segment.index_saved or ((has_times or segment.sealed) and not segment.index_saved):
        start = segment.index_saved
        saves.append(IndexSave(segment, is_time=False, position=start, data=bytes(index.data[start:index_end])))
    if has_times:
        start = segment.time_index_saved
        saves.append(IndexSave(segment, is_time=True, position=start, data=bytes(times.data[start:times_end])))
    return saves


class AbortedSave:
    """The entries of a .txnindex that its file does not have yet. No start makes them again, so they are synced."""

    __slots__ = ("base_offset", "data", "partition", "path", "position")

    def __init__(self, partition: Partition, base_offset: int, position: int, data: bytes) -> None:
        self.partition = partition
        self.base_offset = base_offset
        self.path = f"{partition.directory}/{base_offset:020d}{TRANSACTION_INDEX}"
        self.position = position
        self.data = data

    def run(self, disk: Disk) -> None:
        file = disk.open(self.path, create=True)
        try:
            file.write_at([self.data], self.position)
            file.truncate(self.position + len(self.data))
            file.sync_all()
        finally:
            file.release()

    def done(self) -> None:
        if self.base_offset in self.partition.transactions.aborted:
            self.partition.transactions.saved[self.base_offset] = self.position + len(self.data)


def aborted_saves(partition: Partition, mark: Mark) -> list[AbortedSave]:
    """What is missing in the .txnindex files up to the mark."""
    transactions = partition.transactions
    saves = []
    for base_offset, entries in transactions.aborted.items():
        saved = transactions.saved.get(base_offset, 0)
        if saved < len(entries):
            data = transactions.entries_below(base_offset, mark.offset)[saved:]
            if data:
                saves.append(AbortedSave(partition, base_offset, saved, data))
    return saves


class Checkpoint:
    """One partition's checkpoint: made on the loop, written in a thread."""

    __slots__ = (
        "aborted",
        "directory",
        "disk",
        "epochs",
        "files",
        "indexes",
        "log_start_offset",
        "mark",
        "names_unsynced",
        "own",
        "partition",
        "unnamed",
    )

    def __init__(
        self,
        partition: Partition,
        mark: Mark,
        indexes: list[IndexSave],
        aborted: list[AbortedSave],
        files: list[tuple[str, bytes]],
        own: bytes,
        names_unsynced: bool,
    ) -> None:
        self.partition = partition
        self.disk = partition.services.disk
        self.directory = partition.directory
        self.log_start_offset = partition.log_start_offset
        self.mark = mark
        self.indexes = indexes
        self.aborted = aborted
        self.files = files
        self.own = own
        self.names_unsynced = names_unsynced
        self.unnamed: list[Segment] = []  # segments whose names this puts on disk
        self.epochs: bytes | None = None

    def run(self) -> None:
        """Write everything. The own checkpoint comes last: it says that the rest is there."""
        disk = self.disk
        for save in self.indexes:
            save.run(disk)
        for entries in self.aborted:
            entries.run(disk)
        for path, data in self.files:
            swap_in(disk, path, data, synced=False)
        if self.epochs is not None:
            swap_in(disk, f"{self.directory}/{LEADER_EPOCHS}", self.epochs, synced=False)
        if self.names_unsynced:
            disk.sync_directory(self.directory)
        swap_in(disk, f"{self.directory}/{OWN_CHECKPOINT}", self.own)


def swap_in(disk: Disk, path: str, data: Buffer, *, synced: bool = True) -> None:
    """Replace a file as a whole. After a power cut it is the old one or the new one; nothing waits for it to be the new one.

    Not `synced`, it may also be damaged then: for files with a checksum, or that only Kafka's tools read.
    """
    temporary = path + ".tmp"
    file = disk.open(temporary, create=True)
    try:
        file.truncate(0)
        file.write_at([data], 0)
        if synced:
            file.sync()
    finally:
        file.release()
    disk.rename(temporary, path)
