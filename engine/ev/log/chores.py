"""Work of the store that can wait and must not hold up the loop: checkpoints, unlinking, the reserve file.

A chore is made on the loop from plain values, `run` does system calls only and may run in a thread, `done` is called on the
loop afterwards. A disk that is full only means that a chore has to be done again later; any other failure of the disk is
raised, and ends the process.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable
from typing import Protocol

from ev.disk import Disk, File
from ev.log.saving import Checkpoint, swap_in
from ev.log.services import OUT_OF_SPACE

RESERVE = ".ev-reserve"
RESERVE_BYTES = 16 << 20


class Chore(Protocol):
    def run(self) -> None:
        """The system calls. Raises OSError when the disk fails."""

    def done(self) -> None:
        """What follows from it."""


class WriteCheckpoints:
    """The checkpoints of some partitions, and Kafka's over all partitions."""

    def __init__(self, disk: Disk, directory: str, works: list[Checkpoint], totals: dict[str, bytes], finished: Callable[[], None]) -> None:
        self._disk = disk
        self._directory = directory
        self._works = works
        self._totals = totals
        self._finished = finished
        self._written: list[Checkpoint] = []
        self.failed: OSError | None = None

    def run(self) -> None:
        try:
            for work in self._works:
                self._run_one(work)
            for name, data in self._totals.items():
                swap_in(self._disk, f"{self._directory}/{name}", data)
        except OSError as problem:
            if problem.errno not in OUT_OF_SPACE:
                raise
            self.failed = problem

    def _run_one(self, work: Checkpoint) -> None:
        if work.partition.gone:
            return  # its directory has another name by now, and the old name may be a new topic's
        try:
            work.run()
        except FileNotFoundError:
            if not work.partition.gone:
                raise
        self._written.append(work)

    def done(self) -> None:
        for work in self._works:
            if work in self._written:
                work.partition.checkpointed(work)
            else:
                work.partition.checkpoint_failed(work)
        self._finished()


class Unlink:
    """Files and directories that were renamed out of the way some time ago."""

    def __init__(self, disk: Disk, parent: str, paths: Iterable[str], finished: Callable[[], None]) -> None:
        self._disk = disk
        self._parent = parent
        self._paths = list(paths)
        self._finished = finished

    def run(self) -> None:
        # The renames first: nothing may go while a power cut could bring its old name back.
        for parent in sorted({path.rpartition("/")[0] for path in self._paths}):
            with contextlib.suppress(FileNotFoundError):  # deleted since then, and renamed away
                self._disk.sync_directory(parent)
        for path in self._paths:
            self._remove(path)

    def _remove(self, path: str) -> None:
        try:
            if self._disk.is_directory(path):
                for name in self._disk.list(path):
                    self._disk.remove(f"{path}/{name}")
                self._disk.remove_directory(path)
            else:
                self._disk.remove(path)
        except FileNotFoundError:
            pass
        except OSError as problem:
            if problem.errno not in (errno.EISDIR, errno.EPERM, errno.ENOTEMPTY, errno.EACCES):
                raise

    def done(self) -> None:
        self._finished()


class Release:
    """Files that have no name any more: the room of a large one is given back when it is closed, which takes a while."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files = list(files)

    def run(self) -> None:
        for file in self._files:
            file.release()

    def done(self) -> None:
        """Nothing follows."""


class SyncDirectory:
    """Makes renames in a directory durable."""

    def __init__(self, disk: Disk, directory: str, finished: Callable[[], None]) -> None:
        self._disk = disk
        self._directory = directory
        self._finished = finished

    def run(self) -> None:
        self._disk.sync_directory(self._directory)

    def done(self) -> None:
        self._finished()


class MakeReserve:
    """The file whose space is given back when the disk is full, so that groups and the metadata can still be written."""

    def __init__(self, disk: Disk, directory: str, finished: Callable[[bool], None]) -> None:
        self._disk = disk
        self._path = f"{directory}/{RESERVE}"
        self._finished = finished
        self._made = False

    def run(self) -> None:
        try:
            file = self._disk.open(self._path, create=True)
            try:
                file.allocate(RESERVE_BYTES)
            finally:
                file.release()
            self._made = True
        except OSError as problem:
            if problem.errno not in (*OUT_OF_SPACE, errno.EFBIG, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            if self._disk.exists(self._path):
                self._disk.remove(self._path)

    def done(self) -> None:
        self._finished(self._made)
