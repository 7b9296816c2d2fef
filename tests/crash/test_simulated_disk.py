"""The simulated disk is itself shown to keep what a disk keeps and to lose what a disk may lose."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from random import Random

import pytest

from ev.disk import Disk, RealDisk
from support.simulated_disk import PAGE, SECTOR, SimulatedDisk

IMAGES = 300


def images(disk: SimulatedDisk, count: int = IMAGES) -> list[SimulatedDisk]:
    random = Random(11)
    return [disk.crash_image(random) for _ in range(count)]


def contents(disk: SimulatedDisk, path: str) -> set[bytes | None]:
    return {image.read(path) if image.exists(path) else None for image in images(disk)}


def written(disk: SimulatedDisk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    file.write_at([data], 0)
    file.sync()
    disk.sync_directory("/data")
    file.release()


def test_what_was_synced_survives() -> None:
    """A file whose data and name were synced is the same in every image."""
    disk = SimulatedDisk(["/data"])
    written(disk, "/data/a", b"x" * 10_000)
    assert contents(disk, "/data/a") == {b"x" * 10_000}


def test_a_name_needs_its_directory_synced() -> None:
    """A synced file whose directory was not synced is there or not."""
    disk = SimulatedDisk(["/data"])
    file = disk.open("/data/a", create=True)
    file.write_at([b"x"], 0)
    file.sync()
    assert contents(disk, "/data/a") == {None, b"x"}


def test_unsynced_pages_survive_in_any_subset_torn_at_sectors() -> None:
    """Old and new pages mix, within a page at 512 bytes, and the size is the old one, the new one or between."""
    disk = SimulatedDisk(["/data"])
    written(disk, "/data/a", b"o" * (3 * PAGE))
    file = disk.open("/data/a")
    file.write_at([b"n" * (2 * PAGE), b"n" * (2 * PAGE)], 0)
    found = contents(disk, "/data/a")
    assert {b"o" * (3 * PAGE), b"n" * (4 * PAGE)} <= found
    assert any(data and data[:PAGE] == b"o" * PAGE and data[PAGE : 2 * PAGE] == b"n" * PAGE for data in found)
    for data in found:
        assert data is not None
        assert 3 * PAGE <= len(data) <= 4 * PAGE
        sectors = [set(data[start : start + SECTOR]) for start in range(0, len(data), SECTOR)]
        assert all(len(values) == 1 for values in sectors[:-1]), "a sector is written whole or not at all"
    assert any(data and 0 in data for data in found), "a size without its data reads as zeros"


def test_a_synced_write_covers_its_own_pages_only() -> None:
    """write_synced_at keeps its range; another dirty page of the file stays at risk."""
    disk = SimulatedDisk(["/data"])
    written(disk, "/data/a", b"o" * (2 * PAGE))
    file = disk.open("/data/a")
    file.write_at([b"n" * PAGE], 0)
    file.write_synced_at([b"s" * PAGE], PAGE)
    found = contents(disk, "/data/a")
    assert all(data and data.endswith(b"s" * PAGE) for data in found)
    assert len(found) > 2


def test_changes_of_names_are_independent_and_a_rename_is_one() -> None:
    """Two unsynced changes appear in all four combinations; a renamed file has one name, never none or both."""
    disk = SimulatedDisk(["/data"])
    for name in ("a", "b"):
        written(disk, f"/data/{name}", name.encode())
    disk.rename("/data/a", "/data/c")
    disk.remove("/data/b")
    assert {tuple(image.list("/data")) for image in images(disk)} == {("a", "b"), ("a",), ("b", "c"), ("c",)}


def test_a_directory_that_was_not_synced_into_its_parent_may_be_gone_with_all_it_holds() -> None:
    """Children synced into a directory that has no durable name do not count."""
    disk = SimulatedDisk(["/data"])
    disk.make_directory("/data/d")
    disk.open("/data/d/f", create=True).sync()
    disk.sync_directory("/data/d")
    assert {(image.exists("/data/d"), image.exists("/data/d/f")) for image in images(disk)} == {(False, False), (True, True)}


def test_replace_is_old_or_new() -> None:
    """Whenever the power goes during replace(), the file has one whole content."""
    disk = SimulatedDisk(["/data"])
    disk.replace("/data/a", b"old" * 2000)
    found: set[bytes] = set()
    disk.before_change = lambda operation, path: found.update(image.read("/data/a") for image in images(disk, 50))
    disk.replace("/data/a", b"new" * 3000)
    assert found == {b"old" * 2000, b"new" * 3000}


def test_a_failed_sync_shows_the_new_bytes_until_the_cache_is_dropped() -> None:
    """After EIO a second sync succeeds, and the data is lost all the same: what Linux does."""
    disk = SimulatedDisk(["/data"])
    written(disk, "/data/a", b"old")
    file = disk.open("/data/a")
    file.write_at([b"new"], 0)
    disk.fail("sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    assert file.read_at(3, 0) == b"new"
    file.drop_cache()
    assert file.read_at(3, 0) == b"old"


def test_a_short_write_leaves_its_beginning() -> None:
    """ENOSPC in the middle of a write: some bytes are there, and the error is raised."""
    disk = SimulatedDisk(["/data"])
    file = disk.open("/data/a", create=True)
    disk.fail("write", errno.ENOSPC, after_bytes=5)
    with pytest.raises(OSError, match="No space"):
        file.write_at([b"0123456789"], 0)
    assert disk.read("/data/a") == b"01234"
    file.write_at([b"ab"], 0)
    assert disk.read("/data/a") == b"ab234"


def test_a_sync_can_be_held() -> None:
    """A held sync returns when it is let go, not before."""
    disk = SimulatedDisk(["/data"])
    file = disk.open("/data/a", create=True)
    disk.hold_syncs()
    returned = threading.Event()

    def sync() -> None:
        file.sync()
        returned.set()

    thread = threading.Thread(target=sync)
    thread.start()
    assert disk.syncs_held.acquire(timeout=5)
    assert not returned.is_set()
    disk.let_syncs_pass()
    thread.join(5)
    assert returned.is_set()


@pytest.mark.parametrize("lie", ["skip_fsync", "skip_directory_fsync"])
def test_a_disk_that_lies_loses_synced_things(lie: str) -> None:
    """The seeded faults do what they say, or they would prove nothing."""
    disk = SimulatedDisk(["/data"], lies=[lie])
    written(disk, "/data/a", b"x" * 100)
    assert contents(disk, "/data/a") - {b"x" * 100}


def script(disk: Disk, top: str) -> list[object]:
    """Everything that Disk and File promise, on names below `top`."""
    seen: list[object] = []

    def attempt(call: Callable[[], object]) -> None:
        try:
            seen.append(call())
        except OSError as problem:
            seen.append(type(problem).__name__)

    disk.make_directory(f"{top}/d")
    attempt(lambda: disk.make_directory(f"{top}/d"))
    attempt(lambda: disk.open(f"{top}/missing"))
    file = disk.open(f"{top}/d/f", create=True, exclusive=True)
    attempt(lambda: disk.open(f"{top}/d/f", create=True, exclusive=True))
    file.write_at([b"hello", memoryview(b" "), bytearray(b"world")], 3)
    attempt(lambda: bytes(file.read_at(100, 0)))
    attempt(lambda: file.read_at(2, 4))
    attempt(lambda: file.read_at(2, 400))
    file.truncate(6)
    file.write_at([b"z"], 5000)
    attempt(lambda: file.read_at(10_000, 0))
    file.truncate(9000)
    attempt(lambda: file.read_at(10_000, 4990))
    file.allocate(10_000)
    file.sync()
    file.sync_all()
    file.write_synced_at([b"q" * 5000], 100)
    attempt(lambda: (file.size(), disk.size(f"{top}/d/f"), file.path.removeprefix(top), file.closed))
    attempt(lambda: disk.read(f"{top}/d/f"))
    file.retain()
    file.release()
    disk.remove(f"{top}/d/f")
    attempt(lambda: file.read_at(2, 100))
    file.release()
    seen.append(file.closed)
    disk.replace(f"{top}/d/r", b"first")
    disk.replace(f"{top}/d/r", b"2nd")
    attempt(lambda: disk.read(f"{top}/d/r"))
    attempt(lambda: disk.list(f"{top}/d"))
    attempt(lambda: disk.remove_directory(f"{top}/d"))
    attempt(lambda: disk.rename(f"{top}/d", f"{top}/e"))
    attempt(lambda: (disk.exists(f"{top}/d"), disk.exists(f"{top}/e/r"), disk.is_directory(f"{top}/e"), disk.is_directory(f"{top}/e/r")))
    disk.open(f"{top}/e/s", create=True).release()
    disk.rename(f"{top}/e/r", f"{top}/e/s")
    attempt(lambda: (disk.list(f"{top}/e"), disk.read(f"{top}/e/s")))
    disk.remove(f"{top}/e/s")
    attempt(lambda: disk.remove(f"{top}/e/s"))
    disk.sync_directory(f"{top}/e")
    disk.remove_directory(f"{top}/e")
    attempt(lambda: disk.list(f"{top}/e"))
    lock = disk.lock(f"{top}/lock")
    assert lock is not None
    attempt(lambda: disk.lock(f"{top}/lock"))
    lock.release()
    again = disk.lock(f"{top}/lock")
    assert again is not None
    again.release()
    return seen


def test_it_behaves_as_the_real_disk_does(tmp_path: object) -> None:
    """The same calls give the same results and the same errors on the real disk."""
    assert script(SimulatedDisk(["/data"]), "/data") == script(RealDisk(), str(tmp_path))


def test_images_are_cheap() -> None:
    """Twenty files, two of them dirty: an image takes well under a millisecond, so that a hundred thousand are affordable."""
    disk = SimulatedDisk(["/data"])
    for number in range(20):
        written(disk, f"/data/{number}", b"x" * 20_000)
    for number in range(2):
        disk.open(f"/data/{number}").write_at([b"y" * 9000], 5000)
    began = time.process_time()
    images(disk, 2000)
    assert (time.process_time() - began) / 2000 < 0.002
