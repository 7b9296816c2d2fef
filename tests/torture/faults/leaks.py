"""Faults of what is over and not let go: connections, tasks, descriptors, directories, fetch sessions."""

from __future__ import annotations

import asyncio
from typing import Any

from ev.broker.fetch_sessions import FetchSessions
from ev.disk import RealFile
from ev.log.chores import Unlink
from ev.server.connection import Connection
from torture.faults import Patches


def connection_kept(patches: Patches) -> None:
    """A connection that has ended is still known to somebody."""
    kept: list[Connection] = []
    honest = Connection.connection_lost

    def connection_lost(self: Connection, exc: Exception | None) -> None:
        kept.append(self)
        honest(self, exc)

    patches.put(Connection, "connection_lost", connection_lost)


def task_never_ends(patches: Patches) -> None:
    """Each connection has a task that looks after it, and that does not notice when it ends."""
    tasks: set[asyncio.Task[None]] = set()
    honest = Connection.connection_made

    async def look_after(connection: Connection) -> None:
        await asyncio.Event().wait()
        connection.close("it was never told to")

    def connection_made(self: Connection, transport: Any) -> None:
        honest(self, transport)
        tasks.add(asyncio.get_running_loop().create_task(look_after(self)))

    patches.put(Connection, "connection_made", connection_made)


def descriptor_kept(patches: Patches) -> None:
    """Whoever opens the log of a topic for the first time keeps it open, and does not hear that the topic is gone."""
    kept: list[RealFile] = []
    honest = RealFile.__init__

    def begin(self: RealFile, path: str, fd: int) -> None:
        honest(self, path, fd)
        if path.endswith("/00000000000000000000.log"):
            self.retain()
            kept.append(self)

    patches.put(RealFile, "__init__", begin)


def deleted_topic_stays(patches: Patches) -> None:
    """The directory of a deleted topic is renamed, and never removed."""
    honest = Unlink._remove

    def remove(self: Unlink, path: str) -> None:
        if not path.endswith("-delete"):
            honest(self, path)

    patches.put(Unlink, "_remove", remove)


def fetch_sessions_without_bound(patches: Patches) -> None:
    """However many fetch sessions there are, another one is begun."""
    honest = FetchSessions.make

    def make(self: FetchSessions, *arguments: Any) -> Any:
        slots, self._slots = self._slots, 1 << 30
        try:
            return honest(self, *arguments)
        finally:
            self._slots = slots

    patches.put(FetchSessions, "make", make)
