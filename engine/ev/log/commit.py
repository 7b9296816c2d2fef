"""Commit rounds: which appends one wait for the disk makes durable.

Every append belongs to the open round. The runtime takes the open round, has its system calls run off the loop (one round at
a time, in order), and reports it done. So a single number says what is on disk: everything appended in a round up to
`synced_round` is. A reply that depends on some state carries the number of the newest round that this state is part of, and
leaves when that round is synced; nothing else has to be remembered about it.

What a round does, in this order:

1. the *orders* of the segments that were rolled in it: the old segment is synced, and the directory with the new one's name;
2. the batches: as one block of the commit journal if they are small, by syncing each partition file that was written if not.

Files that only the journal covers are synced later by a `Flush`, which gives the retired half of the journal back. When a
round is taken, each partition in it marks its end; the mark comes back twice: `synced_to(mark)` is its high watermark, and
`flushed_to(mark)` says how far its own files are synced, from which its recovery point follows.

A round that fails is not tried again: what the page cache holds after a failed sync is not what the disk holds. The runtime
ends the process; waiters get no answer, and the next start believes only what it reads from the disk.

With `ev.durability=os` a round waits for nothing; files are still flushed in the background, so that recovery stays short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ev.log.journal import ENTRY_HEAD, HALF_BYTES_MAX, Half, Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.disk import Disk, File
    from ev.log.segment import Mark
    from ev.wire.primitives import Buffer

JOURNALED_BYTES_MAX = 256 << 10
FLUSH_BYTES_MAX = 64 << 20
COVERED_FILES_MAX = 1000
"""Files that only the journal covers stay open until they are flushed: so many descriptors at most, and as many while a flush runs."""


class Committed(Protocol):
    """What the committer knows of a partition."""

    journal_key: bytes  # topic id (16 bytes) and partition number (int32)
    high_watermark: int  # everything below is on disk
    dirty_round: int  # the newest round that it has appended in
    gone: bool  # its topic was deleted; set before its directory is renamed away

    def mark(self) -> Mark:
        """Where the log ends now."""

    def write_out(self) -> None:
        """Bring to its files what waits to be written: they are about to be synced."""

    def synced_to(self, mark: Mark) -> None: ...

    def flushed_to(self, mark: Mark) -> None: ...


class SyncedWrite:
    """One write into the journal that is on stable storage when the call returns."""

    __slots__ = ("data", "file", "position")

    def __init__(self, file: File, data: bytearray, position: int) -> None:
        self.file = file
        self.data = data
        self.position = position

    def __call__(self) -> None:
        self.file.write_synced_at([self.data], self.position)


class Round:
    """The system calls that make the appends of one round durable. Made on the loop, run off it."""

    __slots__ = ("calls", "direct", "ends", "files", "number")

    def __init__(self, number: int, ends: dict[Committed, Mark], files: list[File], calls: list[Callable[[], None]], direct: bool) -> None:
        self.number = number
        self.ends = ends
        self.files = files
        self.calls = calls
        self.direct = direct

    @property
    def work(self) -> Callable[[], None]:
        """What is to be called for the round to be durable: a lone SyncedWrite if it is one, which may be done in other ways too."""
        return self.calls[0] if len(self.calls) == 1 else self.run

    def run(self) -> None:
        """Make the round durable, or raise OSError: then nothing more may be written or answered."""
        for call in self.calls:
            call()


class Flush:
    """Background work: sync the files that a retired half of the journal covers, then make the half larger if asked to."""

    __slots__ = ("capacity", "covered", "half")

    def __init__(self, covered: dict[File, tuple[Committed, Mark]], half: Half | None, capacity: int) -> None:
        self.covered = covered
        self.half = half
        self.capacity = capacity

    def run(self) -> None:
        """Sync every file; raises OSError as a round does."""
        for file in self.covered:
            file.sync()
        if self.half is not None and self.capacity > self.half.capacity:
            self.half.grow(self.capacity)


class Committer:
    """Collects appends into rounds. Plain state: the runtime decides when a round is taken and where it runs."""

    def __init__(
        self,
        disk: Disk,
        journal: Journal | None,
        *,
        synced: bool = True,
        journaled_bytes_max: int = JOURNALED_BYTES_MAX,
        flush_interval_ms: int = 5000,
        flush_bytes_max: int = FLUSH_BYTES_MAX,
    ) -> None:
        self.disk = disk
        self.journal = journal  # None: partition files are synced directly, always (ev.flush.method=file)
        self.synced = synced  # False: ev.durability=os
        self.journaled_bytes_max = journaled_bytes_max
        self.flush_interval_ms = flush_interval_ms
        self.flush_bytes_max = flush_bytes_max
        self.on_dirty: Callable[[], None] | None = None  # called when the open round gets its first bytes
        self.covered_files_max = COVERED_FILES_MAX
        self.open_round = 1
        self.synced_round = 0
        self.bytes_total = 0  # of all rounds that were taken
        self.records_total = 0  # of all that are on disk
        self.partitions_total = 0  # those of each round, added up
        self._running: Round | None = None
        self._flush: Flush | None = None  # made but not yet done
        self._flush_taken = False
        self._covered: dict[File, tuple[Committed, Mark]] = {}  # files with bytes that their own sync does not cover yet
        self._covered_bytes = 0
        self._covered_since_ms = 0
        self._open()

    def _open(self) -> None:
        self._appended: list[Committed] = []
        self._files: dict[File, Committed] = {}
        self._orders: list[Callable[[], None]] = []
        self._entries: list[Buffer] = []
        self._entry_count = 0
        self._bytes = 0

    # What appends report.

    def wrote(self, partition: Committed, file: File, parts: list[Buffer], size: int) -> int:
        """A batch of `size` bytes was written to `file`, or waits to be, and the partition's end has moved. Returns the round it is in.

        The parts are kept, not copied, until the round is done: they must not change.
        """
        number = self.open_round
        if partition.dirty_round != number:
            partition.dirty_round = number
            if not self._appended and self.on_dirty is not None:
                self.on_dirty()
            self._appended.append(partition)
        if file not in self._files:
            self._files[file] = partition
            file.retain()
        self._bytes += size
        if self._bytes <= self.journaled_bytes_max and self.journal is not None:
            self._entries.append(partition.journal_key + size.to_bytes(4, "big"))
            self._entries += parts
            self._entry_count += 1
        return number

    def rolled(self, partition: Committed, old: File, directory: str) -> None:
        """The partition began a segment in `directory`: before its first offset counts, the old one is synced, and the new one's name."""
        if not self.synced:
            return
        old.retain()

        def sync_old() -> None:
            old.sync_all()
            try:
                self.disk.sync_directory(directory)
            except FileNotFoundError:
                if not partition.gone:  # deleted since then: its directory has another name, and nothing in it counts any more
                    raise
            old.release()

        self._orders.append(sync_old)

    # What the runtime asks for.

    @property
    def dirty(self) -> bool:
        """Whether the open round holds anything."""
        return bool(self._appended) or bool(self._orders)

    @property
    def running(self) -> bool:
        """Whether a round was taken and is not done."""
        return self._running is not None

    def take(self, now_ms: int) -> Round | None:
        """Close the open round and return it to be run; None when it is empty or another one is still running."""
        if self._running is not None or not self.dirty:
            return None
        calls = self._orders
        ends = {partition: partition.mark() for partition in self._appended}
        direct = self.synced and not self._fits_journal(now_ms)
        if direct:
            for partition in ends:
                partition.write_out()
            calls += [file.sync for file in self._files]
        elif self.synced:
            calls.append(self._journal_write())
        if not direct:
            self._cover(ends, now_ms)
        self._running = Round(self.open_round, ends, list(self._files), calls, direct)
        self.open_round += 1
        self.bytes_total += self._bytes
        self._open()
        return self._running

    def done(self, finished: Round) -> list[Committed]:
        """The round ran without an error: move the high watermarks. Returns the partitions that moved."""
        assert finished is self._running, "rounds are run one at a time, in order"
        self._running = None
        self.synced_round = finished.number
        self.partitions_total += len(finished.ends)
        for partition, mark in finished.ends.items():
            self.records_total += mark.offset - partition.high_watermark
            partition.synced_to(mark)
            if finished.direct:
                partition.flushed_to(mark)
        if finished.direct:
            for file in finished.files:
                file.release()
        return list(finished.ends)

    def flush_due_ms(self) -> int | None:
        """When `take_flush` will have something to do, in monotonic ms; None while there is nothing that waits for a flush."""
        if self._flush_taken:
            return None
        if self._flush is not None:
            return 0
        return self._covered_since_ms + self.flush_interval_ms if self._covered else None

    @property
    def flushing(self) -> bool:
        """Whether a flush was taken and is not done."""
        return self._flush_taken

    @property
    def flush_waiting(self) -> bool:
        """Whether a flush was made, because the journal needs the room, and nobody has taken it yet."""
        return self._flush is not None and not self._flush_taken

    def take_flush(self, now_ms: int, *, at_once: bool = False) -> Flush | None:
        """The background work that is due, to be run in a thread; None when there is none or some is running."""
        if self._flush_taken:
            return None
        if self._flush is None and self._covered and (at_once or now_ms >= self._covered_since_ms + self.flush_interval_ms):
            self._retire(now_ms)
        self._flush_taken = self._flush is not None
        return self._flush

    def flush_done(self, finished: Flush) -> None:
        """The flush ran without an error: its half of the journal is free again."""
        assert finished is self._flush, "one flush at a time"
        self._flush = None
        self._flush_taken = False
        for file, (partition, mark) in finished.covered.items():
            partition.flushed_to(mark)
            file.release()

    def close(self) -> None:
        """Forget the journal's content; everything is synced in the partition files by now."""
        assert not self.dirty, "close after the last round"
        assert not self._covered, "close after the last flush"
        if self.journal is not None:
            self.journal.close()

    # How a round is made durable.

    def _fits_journal(self, now_ms: int) -> bool:
        """Whether the open round may go through the journal, changing halves if that makes room."""
        if self.journal is None or self._bytes > self.journaled_bytes_max:
            return False
        body = self._body_size()
        too_much = self._covered_bytes > self.flush_bytes_max or len(self._covered) >= self.covered_files_max
        if too_much or not self.journal.active.fits(body):
            if self._flush is not None:
                return False
            self._retire(now_ms)
        return self.journal.active.fits(body)

    def _body_size(self) -> int:
        return self._bytes + self._entry_count * ENTRY_HEAD.size

    def _journal_write(self) -> SyncedWrite:
        assert self.journal is not None
        return SyncedWrite(*self.journal.place(self._entries, self._entry_count, self._body_size()))

    def _cover(self, ends: dict[Committed, Mark], now_ms: int) -> None:
        """The open round's files wait for a flush from now on; each keeps one reference until then."""
        if not self._covered:
            self._covered_since_ms = now_ms
        self._covered_bytes += self._bytes
        covered = self._covered
        for file, partition in self._files.items():
            if file in covered:
                file.release()
            covered[file] = (partition, ends[partition])

    def _retire(self, now_ms: int) -> None:
        """Hand what is covered to a flush, and let the other half of the journal take over."""
        for partition, _ in self._covered.values():
            partition.write_out()
        half = self.journal.switch() if self.journal is not None else None
        filled_quickly = now_ms - self._covered_since_ms < self.flush_interval_ms
        capacity = min(2 * half.capacity, HALF_BYTES_MAX) if half is not None and filled_quickly else 0
        self._flush = Flush(self._covered, half, capacity)
        self._covered = {}
        self._covered_bytes = 0
