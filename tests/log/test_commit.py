"""Commit rounds: what they make durable, in which order, and whom they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ev.disk import File, RealDisk
from ev.log.commit import Committer
from ev.log.journal import Journal, read_entries
from ev.log.segment import Mark, Segment

DISK = RealDisk()


class Log:
    """A partition as far as the committer knows one: it appends to one real file."""

    def __init__(self, directory: Path, committer: Committer, number: int = 0) -> None:
        self.gone = False
        self.journal_key = bytes(16) + number.to_bytes(4, "big")
        self.end_offset = 0
        self.dirty_round = 0
        self.high_watermark = 0
        self.flushed = 0
        self.committer = committer
        self.file: File = DISK.open(str(directory / f"{number}.log"), create=True)
        self.size = 0

    def append(self, size: int = 100) -> int:
        batch = self.end_offset.to_bytes(8, "big") + bytes(size - 8)
        self.file.write_at([batch], self.size)
        self.size += size
        self.end_offset += 1
        return self.committer.wrote(self, self.file, [batch], size)

    def mark(self) -> Mark:
        return Mark(self.end_offset, Segment("", 0), self.size)

    def write_out(self) -> None:
        """Everything is written at once here."""

    def synced_to(self, mark: Mark) -> None:
        self.high_watermark = mark.offset

    def flushed_to(self, mark: Mark) -> None:
        self.flushed = mark.offset


def committer(directory: Path, journaled: bool = True, **options: Any) -> Committer:
    return Committer(DISK, Journal.create(DISK, str(directory), incarnation=1) if journaled else None, **options)


def run(commits: Committer, now_ms: int = 0) -> None:
    taken = commits.take(now_ms)
    assert taken is not None
    taken.run()
    commits.done(taken)


def test_the_high_watermark_moves_when_the_round_is_done_and_not_before(tmp_path: Path) -> None:
    """An appended offset is below the high watermark only after its round was synced."""
    commits = committer(tmp_path)
    log = Log(tmp_path, commits)
    number = log.append()
    taken = commits.take(0)
    assert taken is not None
    assert (log.high_watermark, commits.synced_round) == (0, 0)
    taken.run()
    assert log.high_watermark == 0
    assert commits.done(taken) == [log]
    assert (log.high_watermark, commits.synced_round) == (1, number)


def test_what_is_appended_while_a_round_runs_belongs_to_the_next(tmp_path: Path) -> None:
    """A running round promises nothing about later appends."""
    commits = committer(tmp_path)
    log = Log(tmp_path, commits)
    first = log.append()
    taken = commits.take(0)
    assert taken is not None
    second = log.append()
    assert second == first + 1
    assert commits.take(0) is None, "one round at a time"
    taken.run()
    commits.done(taken)
    assert log.high_watermark == 1
    run(commits)
    assert log.high_watermark == 2


def test_small_rounds_are_in_the_journal_and_large_ones_in_their_files(tmp_path: Path) -> None:
    """The journal holds a round up to the limit; a larger one is synced where it stands and counts as flushed."""
    commits = committer(tmp_path, journaled_bytes_max=1000)
    log = Log(tmp_path, commits)
    log.append(400)
    log.append(600)
    run(commits)
    assert [entry.base_offset for entry in read_entries(DISK, str(tmp_path))] == [0, 1]
    assert log.flushed == 0
    log.append(1001)
    run(commits)
    assert [entry.base_offset for entry in read_entries(DISK, str(tmp_path))] == [0, 1]
    assert (log.flushed, log.high_watermark) == (3, 3)


def test_a_flush_frees_the_retired_half_and_moves_the_recovery_point(tmp_path: Path) -> None:
    """After the interval the covered files are synced in the background; only then is the half used again."""
    commits = committer(tmp_path, flush_interval_ms=5000)
    log = Log(tmp_path, commits)
    log.append()
    run(commits, now_ms=1000)
    assert commits.flush_due_ms() == 6000
    assert commits.take_flush(5999) is None
    flush = commits.take_flush(6000)
    assert flush is not None
    assert commits.take_flush(6000) is None, "one flush at a time"
    flush.run()
    assert log.flushed == 0
    commits.flush_done(flush)
    assert log.flushed == 1
    assert commits.flush_due_ms() is None, "idle costs nothing"


def test_a_full_half_changes_places_and_a_full_journal_falls_back_to_the_files(tmp_path: Path) -> None:
    """Without room in either half a round is synced in its partition files: never refused, never unsynced."""
    commits = committer(tmp_path)
    log = Log(tmp_path, commits)
    rounds = 0
    while not commits.flush_waiting:
        log.append(200_000)
        run(commits)
        rounds += 1
    assert rounds == 11, "ten blocks of 200 kB fit into one half of 2 MiB"
    while log.flushed == 0:
        log.append(200_000)
        run(commits)
        rounds += 1
    assert rounds == 21, "the flush was not run, so the 21st found both halves full"
    assert log.high_watermark == 21
    flush = commits.take_flush(0)
    assert flush is not None
    flush.run()
    commits.flush_done(flush)
    assert flush.half is not None
    assert flush.half.capacity > 2 << 20, "filled quickly: larger the next time"


def test_a_roll_syncs_the_old_segment_before_the_new_one_counts(tmp_path: Path) -> None:
    """The orders of a round come before its batches, whatever way the batches take."""
    commits = committer(tmp_path)
    log = Log(tmp_path, commits)
    calls: list[str] = []

    class Watched:
        def __init__(self, file: File) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def sync_all(self) -> None:
            calls.append("old segment")
            self.file.sync_all()

    commits.rolled(log, Watched(log.file), str(tmp_path))
    log.append()
    taken = commits.take(0)
    assert taken is not None
    assert len(taken.calls) == 2
    taken.calls[0]()
    assert calls == ["old segment"]
    taken.calls[1]()
    commits.done(taken)


def test_without_syncing_a_round_waits_for_nothing(tmp_path: Path) -> None:
    """ev.durability=os: the high watermark moves at once, files are still flushed in the background."""
    commits = committer(tmp_path, journaled=False, synced=False)
    log = Log(tmp_path, commits)
    log.append()
    taken = commits.take(0)
    assert taken is not None
    assert taken.calls == []
    commits.done(taken)
    assert log.high_watermark == 1
    assert commits.flush_due_ms() == 5000


def test_references_are_given_back(tmp_path: Path) -> None:
    """A file that is closed by its owner stays open for the round and the flush that need it, and no longer."""
    commits = committer(tmp_path)
    log = Log(tmp_path, commits)
    log.append()
    log.append()
    run(commits)
    log.append()
    run(commits)
    log.file.release()
    assert not log.file.closed
    flush = commits.take_flush(0, at_once=True)
    assert flush is not None
    flush.run()
    commits.flush_done(flush)
    assert log.file.closed
    commits.close()


@pytest.mark.parametrize("journaled", [True, False])
def test_a_failed_sync_raises_and_moves_nothing(tmp_path: Path, journaled: bool) -> None:
    """The error reaches the runtime; the round stays undone."""
    commits = committer(tmp_path, journaled=journaled)
    log = Log(tmp_path, commits)
    log.append()
    taken = commits.take(0)
    assert taken is not None

    def fail() -> None:
        raise OSError(5, "Input/output error")

    taken.calls[-1] = fail
    with pytest.raises(OSError, match="Input/output"):
        taken.run()
    assert (log.high_watermark, commits.synced_round) == (0, 0)
