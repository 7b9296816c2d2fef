"""Watches the system calls with which an engine changes its data directory, and has the kernel do something else at one of them: strace.

    words(log)                                          only watch: what `calls(log)` shows afterwards
    words(log, Point("fdatasync", 7), "signal=KILL")    at the seventh fdatasync of a thread the process is killed, before it is done
    watched(pid, log, Point("rename", 2), "error=EIO")  the second rename of a thread from now on fails

strace counts by thread and by call: a point is met by the first thread that comes so far.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from support.waiting import wait_for

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "io_uring_enter", "fallocate", "ftruncate")
SYNCS = ("fsync", "fdatasync")
NAMES = ("openat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat")
CALLS = (*WRITES, *SYNCS, *NAMES)
LINE = re.compile(r"(\d+) +(\d+\.\d+) (\w+)\((.*)")


class Point(NamedTuple):
    """The so-manyth call of this name in a thread, from 1 on."""

    call: str
    number: int


class Call(NamedTuple):
    """One call as strace has shown it."""

    point: Point
    at: float  # by the wall clock, in seconds
    text: str  # arguments and result
    injected: bool

    def changes(self, directory: pathlib.Path) -> bool:
        """Whether it changes something in the data directory. A write that the kernel does by itself shows no path."""
        if self.point.call == "io_uring_enter":
            return "GETEVENTS" not in self.text  # the loop has a ring of its own, for other things
        return f"{directory}/" in self.text and (self.point.call != "openat" or "O_CREAT" in self.text)

    @property
    def syncs(self) -> bool:
        """Whether somebody waits for the disk here: a sync, or a write into the journal."""
        return self.point.call in (*SYNCS, "io_uring_enter") or "RWF_DSYNC" in self.text


def words(log: pathlib.Path, point: Point | None = None, what: str = "") -> list[str]:
    """strace, up to where the process is named."""
    quickly = () if what.startswith("signal") else ("--seccomp-bpf",)  # with which strace sends no signals
    found = ["strace", "-f", *quickly, "-y", "-ttt", "-s", "0", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    return found if point is None else [*found, "-e", f"inject={point.call}:{what}:when={point.number}"]


@contextmanager
def watched(pid: int, log: pathlib.Path, point: Point | None = None, what: str = "") -> Iterator[None]:
    """The same with a process that runs already: its calls are counted from now on."""
    complaints = log.with_suffix(".err")
    with complaints.open("wb") as err:
        command = [word for word in words(log, point, what) if word != "--seccomp-bpf"]
        tracer = subprocess.Popen([*command, "-p", str(pid)], stdin=subprocess.DEVNULL, stdout=err, stderr=err)
    try:
        wait_for(lambda: "attached" in complaints.read_text() or tracer.poll() is not None, "strace to attach")
        assert tracer.poll() is None, f"strace cannot attach: {complaints.read_text()}"
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def calls(log: pathlib.Path) -> list[Call]:
    """Every call so far, in the order in which they began."""
    counts: Counter[tuple[str, str]] = Counter()
    found: list[Call] = []
    for line in log.read_text(errors="replace").splitlines():
        matched = LINE.match(line)
        if matched is None:
            if "INJECTED" in line and found:  # the end of a call that was shown in two pieces
                found[-1] = found[-1]._replace(injected=True)
            continue
        thread, at, name, text = matched.groups()
        counts[thread, name] += 1
        found.append(Call(Point(name, counts[thread, name]), float(at), text, "INJECTED" in text))
    return found
