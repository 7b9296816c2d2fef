"""The world of the runtime in a daemon: an asyncio loop, the kernel, and threads that wait for the disk.

The write of a commit round into the journal goes to the kernel where there is io_uring (see `ev.server.ring`). Threads run
system calls that release the interpreter lock, and nothing else: one thread for other commit rounds, one for background
flushes and chores, a few for reads that the page cache cannot answer, one that checks passwords. Each is started when it is first needed.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from ev.disk import RealFile
from ev.errors import KafkaError
from ev.log.commit import SyncedWrite
from ev.log.journal import SECTOR_BYTES
from ev.server.child import Child
from ev.server.ring import DIRECT_BYTES_MAX
from ev.server.traffic import Durations

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ev.broker.runtime import Handle
    from ev.broker.runtime import Job as ChildJob
    from ev.clock import Clock
    from ev.disk import Disk
    from ev.server.ring import Ring

READERS = 4
TRY_AGAIN = frozenset((errno.EINTR, errno.EAGAIN, errno.ECANCELED))

Job = tuple["Callable[[], Any]", "Callable[[Any], None]"]


class Worker:
    """Threads that take jobs from one queue and report each result on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, thread_count: int = 1) -> None:
        self._loop = loop
        self._name = name
        self._threads_left = thread_count
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._stopped = False
        self.longest_stall_s = 0.0  # between the end of a job and its report on the loop: for so long the loop was busy

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` in a thread, then `done(result)` on the loop; an OSError or KafkaError is a result too."""
        if self._stopped:
            done(self._result(work))
            return
        if self._threads_left and self._busy >= len(self._threads):
            self._threads_left -= 1
            thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._busy += 1
        self._jobs.put((work, done))

    def _run(self) -> None:
        take, call_soon = self._jobs.get, self._loop.call_soon_threadsafe
        while (job := take()) is not None:
            work, done = job
            call_soon(self._finished, done, self._result(work), monotonic())

    @staticmethod
    def _result(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (OSError, KafkaError) as error:
            return error

    def _finished(self, done: Callable[[Any], None], result: Any, ended_s: float) -> None:
        self._busy -= 1
        self.longest_stall_s = max(self.longest_stall_s, monotonic() - ended_s)
        done(result)

    def stop(self) -> None:
        """Let the threads end when their queue is empty, and wait for them. What is submitted after that is done at once."""
        self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []


class RingWriter:
    """Journal writes by io_uring, past the page cache if the disk takes them so. What the kernel does only in part, a thread finishes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Ring, fallback: Worker) -> None:
        self._loop = loop
        self._ring = ring
        self._fallback = fallback
        self._write: SyncedWrite | None = None
        self._size = 0
        self._direct = False  # whether the write on its way goes past the page cache
        self._direct_works = True
        self._done: Callable[[Any], None] | None = None
        loop.add_reader(ring.event_descriptor, self._completed)

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Begin the write; `done` gets None, or the OSError, on the loop."""
        assert isinstance(work, SyncedWrite)
        assert isinstance(work.file, RealFile)
        self._write, self._size, self._done = work, len(work.data), done
        suits = self._size <= DIRECT_BYTES_MAX and not (self._size % SECTOR_BYTES or work.position % SECTOR_BYTES)
        self._direct = suits and self._direct_works and work.file.direct_descriptor >= 0
        try:
            if self._direct:
                self._ring.write_direct(work.file.direct_descriptor, work.data, work.position)
            else:
                self._ring.write_synced(work.file.descriptor, work.data, work.position)
        except OSError as error:
            self._end(error)

    def _completed(self) -> None:
        result = self._ring.completed()
        if result is None or self._write is None or self._done is None:
            return
        refused = self._direct and result == -errno.EINVAL
        if refused:
            self._direct_works = False  # the disk's sectors are larger than ours
        if result == self._size:
            self._end(None)
        elif result >= 0 or refused or -result in TRY_AGAIN:
            self._fallback.submit(self._write, self._done)
            self._write = self._done = None
        else:
            self._end(OSError(-result, os.strerror(-result)))

    def _end(self, result: OSError | None) -> None:
        done, self._write, self._done = self._done, None, None
        assert done is not None
        done(result)

    def stop(self) -> None:
        """Wait for the write that is on its way."""
        while self._write is not None:
            select.select([self._ring.event_descriptor], [], [])
            self._completed()
        self._loop.remove_reader(self._ring.event_descriptor)
        self._ring.close()


class LoopWorld:
    """`World` on a running asyncio loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, on_failure: Callable[[OSError], None], ring: Ring | None = None
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._on_failure = on_failure
        self._committer = Worker(loop, "commit")
        self._journal = RingWriter(loop, ring, self._committer) if ring is not None else None
        self._flusher = Worker(loop, "flush")
        self._readers = Worker(loop, "read", READERS)
        self._digester = Worker(loop, "digest")
        self.syncs = Durations()
        self._child: Child | None = None
        self._imager: Child | None = None

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def call_at(self, monotonic_ms: int, callback: Callable[[], None]) -> Handle:
        delay_ms = max(0, monotonic_ms - self._clock.monotonic_ms())
        return self._loop.call_later(delay_ms / 1000, callback)

    def commit(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        submit = self._committer.submit
        if self._journal is not None and isinstance(work, SyncedWrite) and isinstance(work.file, RealFile):
            submit = self._journal.submit
        begun = monotonic()

        def committed(result: Any) -> None:
            self.syncs.add(monotonic() - begun)
            self._finish(result, done)

        submit(work, committed)

    def flush(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        self._flusher.submit(work, lambda result: self._finish(result, done))

    def read(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._readers.submit(work, done)

    def digest(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._digester.submit(work, done)

    def compute(self, job: ChildJob, disk: Disk, done: Callable[[Any], None]) -> None:
        def ended(result: Any) -> None:
            self._child = None
            done(result)

        assert self._child is None, "one job at a time"
        try:
            self._child = Child(self._loop, job, ended)
        except OSError as error:  # no process, no memory, no descriptors: another time
            done(error)

    def image(self, job: ChildJob, done: Callable[[Any], None]) -> None:
        """Run a job that has to see what the memory holds now; one at a time. Nobody waits for it when the world stops."""

        def ended(result: Any) -> None:
            self._imager = None
            done(result)

        assert self._imager is None, "one image at a time"
        try:
            self._imager = Child(self._loop, job, ended)
        except OSError as error:
            done(error)

    def _finish(self, result: Any, done: Callable[[], None]) -> None:
        if isinstance(result, OSError):
            self.fail(result)
        else:
            done()

    def fail(self, error: OSError) -> None:
        self._on_failure(error)

    @property
    def longest_stall_ms(self) -> int:
        """The longest that the loop was seen to be busy with one thing; measured whenever a thread reports, so that it costs no timer."""
        return round(1000 * max(worker.longest_stall_s for worker in (self._committer, self._flusher, self._readers, self._digester)))

    def stop(self) -> None:
        """Wait for everything that was handed to a thread or the kernel. Callbacks of threads run when the loop does."""
        for child in (self._child, self._imager):
            if child is not None:
                child.kill()
        self._child = self._imager = None
        if self._journal is not None:
            self._journal.stop()
            self._journal = None
        for worker in (self._committer, self._flusher, self._readers, self._digester):
            worker.stop()
