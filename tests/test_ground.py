"""The doors: disk, clock and randomness do what everything above them relies upon."""

from __future__ import annotations

import base64
import errno
import os
import pathlib
import stat

import pytest

from ev.clock import ManualClock, SystemClock
from ev.disk import PARTS_MAX, RealDisk
from ev.randomness import SeededRandomness, SystemRandomness


def test_the_system_clock_moves_and_a_manual_one_is_turned() -> None:
    """Two clocks: a wall that may jump, and a span that never goes back."""
    system = SystemClock()
    assert system.wall_ms() > 1_600_000_000_000
    assert system.monotonic_ms() <= system.monotonic_ms()
    clock = ManualClock(1000)
    clock.advance(5)
    clock.set_wall(10)
    assert (clock.wall_ms(), clock.monotonic_ms()) == (10, 5)


@pytest.mark.parametrize("source", [SystemRandomness(), SeededRandomness(1)])
def test_uuids_are_such_as_kafka_makes(source: SystemRandomness | SeededRandomness) -> None:
    """Version 4, 16 bytes, and a text that no tool takes for an option."""
    made = {source.uuid() for _ in range(3000)}
    assert len(made) == 3000
    for value in made:
        assert (len(value), value[6] >> 4, value[8] >> 6) == (16, 4, 2)
        assert not base64.urlsafe_b64encode(value).startswith(b"-")
    assert {source.integer(3) for _ in range(200)} == {0, 1, 2}
    assert len(source.bytes(33)) == 33


def test_the_same_seed_gives_the_same_sequence() -> None:
    """A simulation can be run again."""
    first, second = SeededRandomness(9), SeededRandomness(9)
    assert [first.uuid(), first.bytes(5), first.integer(1000)] == [second.uuid(), second.bytes(5), second.integer(1000)]


def test_files_are_written_and_read_at_positions(tmp_path: pathlib.Path) -> None:
    """Any number of parts in one call; a read is short only at the end of the file."""
    disk = RealDisk()
    path = str(tmp_path / "file")
    file = disk.open(path, create=True)
    parts = [b"%04d" % number for number in range(PARTS_MAX * 2 + 7)]
    file.write_at(parts, 8)
    file.write_synced_at([b"head", b"----"], 0)
    assert file.read_at(1 << 20, 0) == b"head----" + b"".join(parts)
    assert file.read_at(4, 8) == b"0000"
    assert file.size() == 8 + 4 * len(parts) == disk.size(path)
    cached = file.read_cached_at(4, 8)
    assert cached is None or bytes(cached) in (b"0000", b"000", b"00", b"0", b"")
    file.truncate(4)
    file.sync()
    file.sync_all()
    file.drop_cache()
    assert disk.read(path) == b"head"
    file.release()
    assert file.closed


def test_a_file_closes_with_its_last_user(tmp_path: pathlib.Path) -> None:
    """So that deletion may go on under a running sync."""
    disk = RealDisk()
    file = disk.open(str(tmp_path / "file"), create=True)
    file.retain()
    file.release()
    disk.remove(str(tmp_path / "file"))
    file.write_at([b"still here"], 0)
    assert file.read_at(100, 0) == b"still here"
    file.release()
    assert file.closed


def test_files_are_their_owners_and_links_are_not_followed(tmp_path: pathlib.Path) -> None:
    """Nobody else reads a log, and a symbolic link in the data directory leads nowhere."""
    disk = RealDisk()
    disk.open(str(tmp_path / "file"), create=True).release()
    disk.make_directory(str(tmp_path / "directory"))
    assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "directory").st_mode) == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic") as refused:
        disk.open(str(tmp_path / "link"))
    assert refused.value.errno == errno.ELOOP
    assert not disk.is_directory(str(tmp_path / "link"))


def test_exclusive_files_and_replacements(tmp_path: pathlib.Path) -> None:
    """What must be new is new; what is replaced is the old or the new one, and nothing is left beside it."""
    disk = RealDisk()
    path = str(tmp_path / "file")
    disk.open(path, create=True, exclusive=True).release()
    with pytest.raises(FileExistsError):
        disk.open(path, create=True, exclusive=True)
    disk.replace(path, b"one")
    disk.replace(path, memoryview(b"two"))
    assert disk.read(path) == b"two"
    assert disk.list(str(tmp_path)) == ["file"]
    disk.rename(path, path + "-2")
    disk.sync_directory(str(tmp_path))
    assert disk.exists(path + "-2")
    assert not disk.exists(path)
    assert disk.modified_ms(path + "-2") > 1_600_000_000_000
    free, total = disk.free_bytes(str(tmp_path))
    assert 0 <= free <= total


def test_a_lock_is_held_once_and_names_its_holder(tmp_path: pathlib.Path) -> None:
    """The file is the lock, not the number in it."""
    disk = RealDisk()
    path = str(tmp_path / ".lock")
    held = disk.lock(path)
    assert held is not None
    assert disk.lock(path) is None
    assert disk.read(path) == b"%d\n" % os.getpid()
    held.release()
    again = disk.lock(path)
    assert again is not None
    again.release()


def test_space_can_be_taken_in_advance(tmp_path: pathlib.Path) -> None:
    """For the reserve that is given up when the disk is full."""
    disk = RealDisk()
    file = disk.open(str(tmp_path / "file"), create=True)
    file.allocate(100_000)
    assert file.size() == 100_000
    file.release()
