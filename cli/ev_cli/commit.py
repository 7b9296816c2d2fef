"""When the offsets of a group are committed: the modes of --commit, and which of them is the default.

    drained   when the reader of our pipe has handled the records: it has come back for more, or waits for more (`drain`)
    proven    the same, but what nothing proves is never committed, at a clean end neither
    written   when a write(2) has carried them; into a regular file, when they are on the disk
    end       once, at the end
    none      never

For the last three a policy stands between what was written and what is committed. The sink tells it what a write(2) has carried; nothing
else makes an offset committable, and no timer runs ahead of it. `due` is asked between writes, `all` at the end, when partitions are taken
away and when stdout has closed.
"""

from __future__ import annotations

import os
import sys

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    Partition = tuple[str, int]

INTERVAL_MS = 500
DRAINED, PROVEN, WRITTEN, END, NONE = "drained", "proven", "written", "end", "none"
MODES = (DRAINED, PROVEN, WRITTEN, END, NONE)
PIPE, FILE, TERMINAL, SOCKET, OTHER = "a pipe", "a file", "a terminal", "a socket", "something else"


def kind_of_stdout() -> str:
    """What stdout is."""
    import stat

    mode = os.fstat(1).st_mode
    if stat.S_ISFIFO(mode):
        return PIPE
    if stat.S_ISSOCK(mode):
        return SOCKET
    if stat.S_ISREG(mode):
        return FILE
    return TERMINAL if os.isatty(1) else OTHER


def commit_mode(asked: str | None, stdout: str, platform: str = sys.platform) -> tuple[str, str]:
    """(the mode of a run with a group, a remark about it or nothing)."""
    can_drain = stdout == PIPE and platform == "linux"
    if asked in (DRAINED, PROVEN) and not can_drain:
        raise UsageFailure(f"--commit {asked} needs a pipe on Linux, and stdout is {stdout}", "written or end")
    if asked is not None:
        return asked, ""
    if can_drain:
        return DRAINED, ""
    if stdout in (PIPE, SOCKET):
        return (
            END,
            "what the reader of our pipe has handled cannot be seen here: offsets are committed at the end (--commit written: earlier)",
        )
    return WRITTEN, ""


class CommitWritten:
    """Commits what was written, twice a second; into a regular file, what is on the disk."""

    def __init__(self, stdout_is_file: bool, interval_ms: int = INTERVAL_MS) -> None:
        self._stdout_is_file = stdout_is_file
        self._interval_ms = interval_ms
        self._written: dict[Partition, int] = {}
        self._next_ms = 0

    def wrote(self, topic: str, partition: int, next_offset: int) -> None:
        """Every record of the partition below next_offset has left by a write(2) that returned."""
        self._written[topic, partition] = next_offset

    def due(self, now_ms: int) -> dict[Partition, int]:
        """What shall be committed now; empty when it is not time."""
        if not self._written or now_ms < self._next_ms:
            return {}
        self._next_ms = now_ms + self._interval_ms
        return self.all()

    def all(self) -> dict[Partition, int]:
        """Everything that may be committed and was not handed out before."""
        if self._written and self._stdout_is_file:
            os.fdatasync(1) if hasattr(os, "fdatasync") else os.fsync(1)
        found, self._written = self._written, {}
        return found

    def keep(self, offsets: dict[Partition, int]) -> None:
        """What could not be committed now, unless there is something later."""
        for partition, offset in offsets.items():
            self._written[partition] = max(offset, self._written.get(partition, 0))

    def forget(self, partitions: set[Partition]) -> None:
        """Nothing of these partitions may be committed any more."""
        for partition in partitions:
            self._written.pop(partition, None)


class CommitAtEnd(CommitWritten):
    """Commits once, when the run ends or a partition is taken away."""

    def due(self, now_ms: int) -> dict[Partition, int]:
        return {}


class CommitNothing(CommitWritten):
    """Leaves the group's offsets as they are."""

    def wrote(self, topic: str, partition: int, next_offset: int) -> None:
        return


POLICIES = {WRITTEN: CommitWritten, END: CommitAtEnd, NONE: CommitNothing}
