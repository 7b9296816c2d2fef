"""The commit journal keeps what was written to it, and never takes old content for new."""

from __future__ import annotations

from pathlib import Path

import pytest

from ev.disk import RealDisk
from ev.log.journal import BLOCK_HEAD, ENTRY_HEAD, HALF_BYTES_MIN, SECTOR_BYTES, Entry, Journal, block_size, read_entries

TOPIC_ID = bytes(range(16))
DISK = RealDisk()


def batch(offset: int, size: int = 100) -> bytes:
    """Something with a base offset in front, as a record batch has."""
    return offset.to_bytes(8, "big") + bytes([offset % 251]) * (size - 8)


def write(journal: Journal, *batches: bytes, partition: int = 0) -> None:
    parts: list[bytes] = []
    for content in batches:
        parts += [ENTRY_HEAD.pack(TOPIC_ID, partition, len(content)), content]
    file, block, position = journal.place(parts, len(batches), sum(map(len, parts)))
    file.write_synced_at([block], position)


def offsets(directory: Path) -> list[int]:
    return [entry.base_offset for entry in read_entries(DISK, str(directory))]


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    """Entries come back oldest first, with their topic id, partition and bytes."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    write(journal, batch(0), batch(1), partition=3)
    write(journal, batch(2, 2000), partition=3)
    entries = read_entries(DISK, str(tmp_path))
    assert entries == [Entry(TOPIC_ID, 3, n, memoryview(batch(n, size))) for n, size in ((0, 100), (1, 100), (2, 2000))]


def test_a_new_journal_and_a_missing_one_hold_nothing(tmp_path: Path) -> None:
    """A first start finds no entries, and neither does the start after a creation."""
    assert offsets(tmp_path) == []
    Journal.create(DISK, str(tmp_path), incarnation=7)
    assert offsets(tmp_path) == []


def test_opening_a_journal_forgets_what_it_held(tmp_path: Path) -> None:
    """Recovery reads first and opens then: what has been recovered is not recovered twice."""
    write(Journal.create(DISK, str(tmp_path), incarnation=7), batch(0), batch(1))
    Journal.create(DISK, str(tmp_path), incarnation=8)
    assert offsets(tmp_path) == []


def test_blocks_of_an_earlier_use_of_the_half_are_not_taken_for_new(tmp_path: Path) -> None:
    """A half that is used again from its beginning shows only what was written since."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    for n in range(10):
        write(journal, batch(n))
    journal.switch()
    write(journal, batch(10))
    journal.switch()
    write(journal, batch(11))
    assert offsets(tmp_path) == [10, 11]


def test_blocks_of_an_earlier_start_are_not_taken_for_new(tmp_path: Path) -> None:
    """After a restart the blocks behind the first new one are another incarnation's, even where the sequence would fit."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    for n in range(5):
        write(journal, batch(n))
    journal = Journal.create(DISK, str(tmp_path), incarnation=8)
    write(journal, batch(100))
    assert offsets(tmp_path) == [100]


@pytest.mark.parametrize("damage_at", [0, 5, 9, 20, 26, 30, BLOCK_HEAD.size + 3, BLOCK_HEAD.size + 60])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_damaged_block_does_not_count_and_is_reported(tmp_path: Path, number: int, damage_at: int) -> None:
    """One flipped byte anywhere in it: what stands before it and behind it counts. Nobody can tell whether the last one was torn."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    for base_offset in range(3):
        write(journal, batch(base_offset))
    path = tmp_path / "journal-0"
    content = bytearray(path.read_bytes())
    place = number * block_size(ENTRY_HEAD.size + 100)
    content[place + damage_at] ^= 0x40
    path.write_bytes(content)
    reports: list[str] = []
    assert [entry.base_offset for entry in read_entries(DISK, str(tmp_path), reports.append)] == [n for n in range(3) if n != number]
    (report,) = reports
    assert f"byte {place} of {path}" in report
    assert ("torn" in report) == (number == 2)


def test_a_block_that_an_earlier_start_has_left_torn_is_no_damage(tmp_path: Path) -> None:
    """It lies just where the next block would begin, with the sequence number that this would have."""
    for incarnation in (7, 1 << 40):
        journal = Journal.create(DISK, str(tmp_path), incarnation=incarnation)
        for base_offset in range(3 if incarnation == 7 else 2):
            entry = ENTRY_HEAD.pack(TOPIC_ID, 0, 100) + batch(base_offset)
            file, block, position = journal.place([entry], 1, len(entry))
            if base_offset == 2:
                block[BLOCK_HEAD.size + 60] ^= 1
            file.write_synced_at([block], position)
    reports: list[str] = []
    assert [entry.base_offset for entry in read_entries(DISK, str(tmp_path), reports.append)] == [0, 1]
    assert reports == []


def test_a_synced_sector_is_never_written_again_before_its_half_is_free(tmp_path: Path) -> None:
    """Each block begins on a sector of its own, so that a torn write can not reach into an acknowledged block."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    positions = []
    for size in (8, 100, 488 - BLOCK_HEAD.size, 5000):
        _, block, position = journal.place([bytes(size)], 1, size)
        positions.append(position)
        assert len(block) % SECTOR_BYTES == 0
    assert all(position % SECTOR_BYTES == 0 for position in positions)
    assert sorted(set(positions)) == positions


def test_a_half_takes_no_more_than_it_holds(tmp_path: Path) -> None:
    """A block fits or it does not; nothing is ever written past the part that was written before."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    body = HALF_BYTES_MIN - BLOCK_HEAD.size
    assert journal.active.fits(body)
    assert not journal.active.fits(body + 1)
    journal.place([bytes(body)], 1, body)
    assert not journal.active.fits(0)


def test_a_half_can_grow_and_keeps_its_size(tmp_path: Path) -> None:
    """A half that was made larger is opened with its larger size the next time."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    journal.idle.grow(3 * HALF_BYTES_MIN)
    assert Journal.create(DISK, str(tmp_path), incarnation=8).halves[1].capacity == 3 * HALF_BYTES_MIN


def test_closing_forgets_everything(tmp_path: Path) -> None:
    """After a clean stop the next start finds an empty journal."""
    journal = Journal.create(DISK, str(tmp_path), incarnation=7)
    write(journal, batch(0))
    journal.close()
    assert offsets(tmp_path) == []
