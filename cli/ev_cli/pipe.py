"""A pipe seen from its writing end on Linux: how much is unread, who reads it, and whether they wait for more.

FIONREAD on either end of a pipe tells the unread bytes. /proc tells who holds the reading end and what each of them sleeps in. A process
with one thread that sleeps in a read of our empty pipe has done everything that it took: that is a proof. It takes that nobody else holds
the reading end, that the process has no other pipe which it could be reading from instead, and that it did not wake while we looked.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARKED, WORKING, UNKNOWN = "parked", "working", "unknown"
"""All readers wait for more; some reader works; nobody can tell."""

PIPE_BYTES = 1 << 16
ATOMIC_BYTES = 4096
"""What a pipe takes without blocking when poll(2) says that it takes something."""
_F_GETPIPE_SZ = 1032
_READ_ONLY, _READ_WRITE = os.O_RDONLY, os.O_RDWR
ANOTHER_PIPE = "another pipe"
_READ_CALLS = {"x86_64": "0", "aarch64": "63"}
_WAITS_FOR_ANYTHING = ("poll", "select", "futex")


def unread(descriptor: int) -> int:
    """How many bytes lie in the pipe."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder, signed=True)


def capacity(descriptor: int) -> int:
    """How many bytes the pipe holds."""
    import fcntl

    try:
        return int(fcntl.fcntl(descriptor, _F_GETPIPE_SZ))
    except OSError:
        return PIPE_BYTES


class Holder:
    """A process that holds the reading end, as far as it can be seen."""

    __slots__ = ("elsewhere", "parent", "pid", "state", "steady", "threads", "wait")

    def __init__(self, pid: int, parent: int, state: str, threads: int, wait: str, *, steady: bool = True, elsewhere: bool = False) -> None:
        self.pid = pid
        self.parent = parent
        self.state = state
        """R, S, D, T …, as in ps."""
        self.threads = threads
        self.wait = wait
        """The function of the kernel in which it sleeps."""
        self.steady = steady
        """It did not wake while it was looked at."""
        self.elsewhere = elsewhere
        """It has another pipe to read from, too."""

    @property
    def waits_for_more(self) -> bool:
        return "pipe_read" in self.wait and self.threads == 1 and self.steady and not self.elsewhere and self.state == "S"

    @property
    def waits_for_child(self) -> bool:
        return "do_wait" in self.wait and self.threads == 1 and self.state == "S"

    @property
    def is_opaque(self) -> bool:
        """It sleeps in something that could be the wait for more as well as work."""
        if self.state in ("R", "T", "t", "D"):
            return False
        if self.threads != 1 or not self.wait or self.wait == "0":
            return True
        return "pipe_read" in self.wait or any(name in self.wait for name in _WAITS_FOR_ANYTHING)


def verdict(holders: Sequence[Holder]) -> str:
    """What the holders of the reading end do, all taken together.

    A shell that waits for the child which does the reading waits as its child does.
    """
    waiting = [holder for holder in holders if holder.waits_for_more]
    parents = {holder.pid: holder.parent for holder in holders}
    behind: set[int] = set()
    for holder in waiting:
        above = holder.parent
        while above in parents and above not in behind:
            behind.add(above)
            above = parents[above]
    others = [holder for holder in holders if not holder.waits_for_more and not (holder.waits_for_child and holder.pid in behind)]
    if waiting and not others:
        return PARKED
    return UNKNOWN if all(holder.is_opaque for holder in others) else WORKING


class Readers:
    """The processes that hold the reading end of one pipe."""

    def __init__(self, descriptor: int) -> None:
        self._link = f"pipe:[{os.fstat(descriptor).st_ino}]"
        self._me = os.getpid()
        self._known: list[int] = []

    def state(self) -> str:
        """PARKED, WORKING or UNKNOWN. Those seen the last time are looked at first, as a look at all processes costs milliseconds."""
        if self._known:
            found = [holder for holder in map(self._holder, self._known) if holder is not None]
            if found and verdict(found) == WORKING:
                return WORKING
        self._known = list(self.find())
        return verdict([holder for holder in map(self._holder, self._known) if holder is not None])

    def find(self) -> Iterator[int]:
        """Every process of ours that can read from the pipe."""
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != self._me and any(link == self._link for link in readable_pipes(int(name))):
                yield int(name)

    def _holder(self, pid: int) -> Holder | None:
        before = _status(pid)
        wait = _read(f"/proc/{pid}/wchan")
        elsewhere = any(link != self._link for link in readable_pipes(pid))
        if elsewhere and "pipe_read" in wait:
            read_from = _pipe_that_is_read(pid)
            elsewhere = read_from != self._link
            wait = wait if read_from in ("", self._link) else ANOTHER_PIPE
        after = _status(pid)
        if before is None or after is None:
            return None
        parent, state, threads, switches = before
        steady = (state, switches) == (after[1], after[3])
        return Holder(pid, parent, after[1], threads, wait, steady=steady, elsewhere=elsewhere)

    def stages(self) -> list[int]:
        """The process that reads our pipe, the one that reads what it writes, and so on, as long as it is one."""
        found: list[int] = []
        link = self._link
        while True:
            readers = [int(name) for name in os.listdir("/proc") if name.isdigit() and link in readable_pipes(int(name))]
            readers = [pid for pid in readers if pid not in (self._me, *found)]
            if not readers:
                return found
            found.append(_first_of(readers))
            link = _link(found[-1], 1)
            if not link.startswith("pipe:"):
                return found


def readable_pipes(pid: int) -> set[str]:
    """The pipes that a process can read from."""
    links: set[str] = set()
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return links
    for descriptor in descriptors:
        link = _link(pid, descriptor)
        if link.startswith("pipe:") and link not in links and _access(pid, descriptor) in (_READ_ONLY, _READ_WRITE):
            links.add(link)
    return links


def command_line(pid: int) -> list[str]:
    """The arguments of a process; empty when they cannot be seen."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def parent_of(pid: int) -> int:
    """0 when nobody knows."""
    found = _status(pid)
    return 0 if found is None else found[0]


def _first_of(pids: list[int]) -> int:
    """Of a shell and what it has started the shell."""
    parents = {pid: parent_of(pid) for pid in pids}
    return next((pid for pid in pids if parents[pid] not in parents), pids[0])


def _pipe_that_is_read(pid: int) -> str:
    """The pipe from which the process reads just now; empty where the kernel does not tell."""
    words = _read(f"/proc/{pid}/syscall").split()
    if len(words) < 2 or words[0] != _READ_CALLS.get(os.uname().machine):
        return ""
    return _link(pid, int(words[1], 16))


def _link(pid: int, descriptor: int | str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return ""


def _access(pid: int, descriptor: str) -> int:
    for line in _read(f"/proc/{pid}/fdinfo/{descriptor}").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE
    return -1


def _status(pid: int) -> tuple[int, str, int, str] | None:
    """(parent, state, threads, how often it gave up the processor)."""
    fields: dict[str, str] = {}
    for line in _read(f"/proc/{pid}/status").splitlines():
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    try:
        switches = f"{fields['voluntary_ctxt_switches']} {fields['nonvoluntary_ctxt_switches']}"
        return int(fields["PPid"]), fields["State"][:1], int(fields["Threads"]), switches
    except (KeyError, ValueError):
        return None


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
