"""A store on a real or simulated disk, driven by hand: rounds, flushes and chores run when the test says so."""

from __future__ import annotations

from collections.abc import Mapping

from ev.clock import ManualClock
from ev.disk import Disk, RealDisk
from ev.log.config import TopicConfig
from ev.log.partition import Partition
from ev.log.reading import ReadLater
from ev.log.store import Store
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.records import check_crc, decode_batch, headers

TOPIC = "events"
TOPIC_ID = bytes(range(16, 32))


class HandStore:
    """One topic of one partition (or more), in a directory that can be opened again and again."""

    def __init__(
        self,
        directory: str,
        *,
        disk: Disk | None = None,
        config: TopicConfig | None = None,
        settings: Mapping[str, str] | None = None,
        clock: ManualClock | None = None,
        partitions: int = 1,
        open_files_max: int = 1000,
    ) -> None:
        self.directory = directory
        self.disk = disk or RealDisk()
        self.config = config or TopicConfig()
        self.settings = Settings.from_mapping(dict(settings or {}))
        self.clock = clock or ManualClock()
        self.partitions = partitions
        self.open_files_max = open_files_max
        self.starts = 0
        self.store: Store
        self.open()

    @property
    def partition(self) -> Partition:
        found = self.store.partition(TOPIC, 0)
        assert found is not None
        return found

    def open(self) -> None:
        """Start the engine's log on the directory."""
        randomness = SeededRandomness(self.starts)
        self.starts += 1
        self.store = Store.open(self.disk, self.directory, self.settings, self.clock, randomness, open_files_max=self.open_files_max)
        self.store.open_topics({TOPIC: (TOPIC_ID, self.partitions, self.config)})

    def restart(self, *, clean: bool) -> None:
        """Stop, cleanly or as kill -9 does (what was written stays written), and start again."""
        self.store.close(clean=clean)
        self.open()

    def commit(self) -> None:
        """Sync everything that was appended."""
        committer = self.store.committer
        while committer.dirty:
            taken = committer.take(self.clock.monotonic_ms())
            assert taken is not None
            taken.run()
            committer.done(taken)

    def flush(self) -> None:
        """Bring everything to the partitions' own files."""
        committer = self.store.committer
        flush = committer.take_flush(self.clock.monotonic_ms(), at_once=True)
        if flush is not None:
            flush.run()
            committer.flush_done(flush)

    def chores(self) -> int:
        """Do what is due; how many chores that were."""
        chores = self.store.chores(self.clock.monotonic_ms())
        for chore in chores:
            chore.run()
            chore.done()
        return len(chores)

    def checkpoint(self) -> None:
        """Commit, flush, and write every checkpoint that is behind."""
        self.commit()
        self.flush()
        self.clock.advance(self.settings.ev_checkpoint_interval_ms)
        self.chores()

    def append(self, batch: bytes) -> int:
        """Append and commit a batch; its offset."""
        appended = self.partition.append(batch, self.clock.wall_ms())
        self.commit()
        return appended.base_offset


def read_bytes(partition: Partition, offset: int | None = None, *, bytes_max: int = 1 << 20) -> bytes:
    """Every batch from `offset` (default: the beginning) to the high watermark, as it would be fetched."""
    position = partition.log_start_offset if offset is None else offset
    pieces = []
    while position < partition.high_watermark:
        answer = partition.read(position, bytes_max, at_least_one=True)
        read = answer.run() if isinstance(answer, ReadLater) else answer
        assert read.next_offset > position, f"a read at {position} gave nothing"
        pieces += [bytes(piece) for piece in read.pieces]
        position = read.next_offset
    return b"".join(pieces)


def records_of(data: bytes) -> list[tuple[int, int, bytes | None, bytes | None]]:
    """(offset, timestamp, key, value) of every record; asserts that the batches are whole and sound."""
    found: list[tuple[int, int, bytes | None, bytes | None]] = []
    end = 0
    for position, header in headers(data):
        assert position == end
        assert check_crc(data, position, header.size)
        columns = decode_batch(data, position)
        found += zip(columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True)
        end = position + header.size
    assert end == len(data), "a read returns whole batches"
    return found


def read_records(
    partition: Partition, offset: int | None = None, *, bytes_max: int = 1 << 20
) -> list[tuple[int, int, bytes | None, bytes | None]]:
    """Every record from `offset` (default: the beginning) on."""
    start = partition.log_start_offset if offset is None else offset
    return [record for record in records_of(read_bytes(partition, start, bytes_max=bytes_max)) if record[0] >= start]
