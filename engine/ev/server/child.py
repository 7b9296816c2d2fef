"""Runs a job in a child process: heavy work in Python must not hold the interpreter that answers clients.

The child is a fork, so that it needs no file of the package, which may have been replaced by then. It lets go of everything that it
has inherited, takes the least of the processor's time and of the disk's, and ends with its parent. Its result comes through a pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ev.errors import MalformedError
from ev.server.background_disk import BackgroundDisk

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ev.broker.runtime import Job

NICENESS: Final = 10
SET_PARENT_DEATH_SIGNAL: Final = 1
PIPE_BYTES: Final = 1 << 16


class Child:
    """One child with its job."""

    def __init__(self, loop: asyncio.AbstractEventLoop, job: Job, done: Callable[[Any], None]) -> None:
        self._loop = loop
        self._done = done
        self._parts: list[bytes] = []
        self._reader, writer = os.pipe()
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads: the child uses none of what they hold
            self.pid = os.fork()
        if not self.pid:
            _be_child(job, writer, parent)
        os.close(writer)
        os.set_blocking(self._reader, False)
        loop.add_reader(self._reader, self._read)

    def _read(self) -> None:
        try:
            while part := os.read(self._reader, PIPE_BYTES):
                self._parts.append(part)
        except BlockingIOError:
            return
        self._close()
        try:
            result = pickle.loads(b"".join(self._parts))
        except (pickle.UnpicklingError, EOFError):
            result = ChildProcessError("the child process ended without a result")
        self._done(result)

    def _close(self) -> None:
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        os.waitpid(self.pid, 0)

    def kill(self) -> None:
        """End it now; nobody hears of its result."""
        os.kill(self.pid, signal.SIGKILL)
        self._close()


def _be_child(job: Job, writer: int, parent: int) -> NoReturn:
    """What the child does, to its end."""
    status = 1
    try:
        _die_with(parent)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.closerange(3, writer)
        os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
        data = pickle.dumps(_result(job))
        while data:
            data = data[os.write(writer, data) :]
        status = 0
    finally:
        os._exit(status)


def _result(job: Job) -> Any:
    """What came of the job, or an exception that gets through a pipe."""
    try:
        return job.run(BackgroundDisk())
    except OSError as problem:
        return OSError(problem.errno, problem.strerror, problem.filename)
    except MalformedError as problem:
        return MalformedError(str(problem))
    except Exception as problem:  # noqa: BLE001  # the parent is told
        return RuntimeError(f"{problem!r}: {traceback.format_exc()}")


def _die_with(parent: int) -> None:
    """A child that outlives its engine would work on files that the next engine has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
