"""io_uring writes what it is given, says how it ended, and is not needed where it does not exist."""

from __future__ import annotations

import asyncio
import errno
import os
import select
from pathlib import Path
from typing import Any

import pytest

from ev.clock import SystemClock
from ev.disk import RealDisk, RealFile
from ev.log.commit import SyncedWrite
from ev.server.ring import DIRECT_BYTES_MAX, INLINE_BYTES_MAX, Ring
from ev.server.world import LoopWorld

DISK = RealDisk()


@pytest.fixture
def ring() -> Any:
    opened = Ring.open()
    if opened is None:
        pytest.skip("this system gives no io_uring (another system than Linux, or a container that forbids it)")
    yield opened
    opened.close()


def finish(ring: Ring) -> int:
    result = ring.completed()
    while result is None:
        select.select([ring.event_descriptor], [], [], 10)
        result = ring.completed()
    return result


def test_writes_land_where_they_were_sent(ring: Ring, tmp_path: Path) -> None:
    """Many writes, one after the other, over the end of the queues and back to their beginning."""
    path = tmp_path / "journal"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    expected = bytearray(512 * 50)
    for number in range(200):
        place = 512 * (number * 7 % 50)
        data = bytearray([number]) * 512
        ring.write_synced(descriptor, data, place)
        assert finish(ring) == 512
        expected[place : place + 512] = data
    os.close(descriptor)
    assert path.read_bytes() == bytes(expected)


@pytest.mark.parametrize("size", [512, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 512, DIRECT_BYTES_MAX])
def test_writes_past_the_page_cache_land_where_they_were_sent(ring: Ring, tmp_path: Path, size: int) -> None:
    """Those that begin in the submission and those of a worker; the page cache shows them, although it was full of something else."""
    path = tmp_path / "journal"
    path.write_bytes(bytes(10 * size))
    file = DISK.open(str(path))
    assert isinstance(file, RealFile)
    assert file.direct_descriptor >= 0, "the disk under the temporary directory has no O_DIRECT"
    assert file.read_at(10 * size, 0) == bytes(10 * size)
    for number in (3, 7, 4):
        ring.write_direct(file.direct_descriptor, bytearray([number]) * size, number * size)
        assert finish(ring) == size
    expected = b"".join(bytes([number if number in (3, 4, 7) else 0]) * size for number in range(10))
    assert file.read_at(10 * size, 0) == expected
    file.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.direct_descriptor)


class LargeSectors(Ring):
    """Hands direct writes to the kernel in a form that it refuses, as it does where the disk's sectors are larger than ours."""

    asked = 0

    def write_direct(self, descriptor: int, data: bytearray, position: int) -> None:
        self.asked += 1
        self._submit(0, descriptor, data, self._aligned_address + 1, len(data) - 1, position)


def test_a_disk_that_refuses_writes_past_the_page_cache_gets_others(tmp_path: Path) -> None:
    """The refused write is done all the same, and the next one goes the other way at once."""
    ring = LargeSectors.open()
    assert isinstance(ring, LargeSectors)

    async def scenario() -> list[str]:
        reported: asyncio.Queue[str] = asyncio.Queue()
        world = LoopWorld(asyncio.get_running_loop(), SystemClock(), lambda error: reported.put_nowait(str(error)), ring)
        file = DISK.open(str(tmp_path / "journal"), create=True)
        heard = []
        for number in range(3):
            world.commit(SyncedWrite(file, bytearray([number]) * 512, 512 * number), lambda: reported.put_nowait("written"))
            heard.append(await reported.get())
        world.stop()
        file.release()
        return heard

    assert asyncio.run(scenario()) == ["written"] * 3
    assert ring.asked == 1
    assert (tmp_path / "journal").read_bytes() == bytes(512) + b"\1" * 512 + b"\2" * 512


def test_a_write_that_fails_says_so(ring: Ring, tmp_path: Path) -> None:
    """A descriptor that may not be written gives the error number, not an exception and not silence."""
    (tmp_path / "journal").write_bytes(b"x")
    descriptor = os.open(tmp_path / "journal", os.O_RDONLY)
    ring.write_synced(descriptor, bytearray(b"data"), 0)
    assert finish(ring) == -errno.EBADF
    os.close(descriptor)


def test_nothing_is_completed_before_something_was_begun(ring: Ring) -> None:
    assert ring.completed() is None


async def commits(path: Path, ring: Ring | None) -> list[Any]:
    """What a world reports of a journal write, a failing one, and a call that is no journal write."""
    failures: list[OSError] = []
    events: asyncio.Queue[str] = asyncio.Queue()

    def failed(error: OSError) -> None:
        failures.append(error)
        events.put_nowait("failed")

    world = LoopWorld(asyncio.get_running_loop(), SystemClock(), failed, ring)
    file = DISK.open(str(path), create=True)
    world.commit(SyncedWrite(file, bytearray(b"onetwo"), 4), lambda: events.put_nowait("written"))
    reported = [await events.get()]
    world.commit(lambda: None, lambda: events.put_nowait("called"))
    reported.append(await events.get())
    closed = DISK.open(str(path), read_only=True)
    world.commit(SyncedWrite(closed, bytearray(b"data"), 0), lambda: events.put_nowait("impossible"))
    reported.append(await events.get())
    world.stop()
    file.release()
    closed.release()
    return [*reported, failures[0].errno]


@pytest.mark.parametrize("with_ring", [True, False])
def test_a_world_commits_alike_with_and_without_a_ring(tmp_path: Path, with_ring: bool) -> None:
    """The same reports, the same bytes, the same failure: how the write reached the disk is nobody's business."""
    assert asyncio.run(commits(tmp_path / "journal", Ring.open() if with_ring else None)) == ["written", "called", "failed", errno.EBADF]
    assert (tmp_path / "journal").read_bytes() == bytes(4) + b"onetwo"


def test_stopping_waits_for_the_write_on_its_way(tmp_path: Path) -> None:
    """After stop() the write is on disk and reported, and later ones are done at once."""

    async def scenario() -> list[str]:
        reported: list[str] = []
        world = LoopWorld(asyncio.get_running_loop(), SystemClock(), lambda error: None, Ring.open())
        file = DISK.open(str(tmp_path / "journal"), create=True)
        world.commit(SyncedWrite(file, bytearray(b"first"), 0), lambda: reported.append("first"))
        world.stop()
        world.commit(SyncedWrite(file, bytearray(b"second"), 5), lambda: reported.append("second"))
        await asyncio.sleep(0)
        file.release()
        return reported

    assert asyncio.run(scenario()) == ["first", "second"]
    assert (tmp_path / "journal").read_bytes() == b"firstsecond"
