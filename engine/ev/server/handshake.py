"""The door of a TLS listener: a client counts as a connection from the moment when it is accepted, and has ten seconds for its handshake.

When both sides have agreed on keys the transport is the connection's; where they do not, a line in the log says why.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.server.connection_quotas import Admission
    from ev.server.listener import Listener
    from ev.server.tls import Tls

log = logging.getLogger("ev.tls")

TIME_MAX_S: Final = 10.0
SHUTDOWN_MAX_S: Final = 5.0
ACCEPTED_AT_ONCE_MAX: Final = 100
NO_MORE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
REST_S: Final = 0.5
"""For so long nobody is accepted when the process has no descriptor left."""


class Handshake:
    """A client that was accepted and has no keys yet."""

    __slots__ = ("_client", "_task", "admission", "client_host")

    def __init__(self, client: socket.socket, host: str) -> None:
        self.client_host = host
        self.admission: Admission | None = None
        self._client = client
        self._task: asyncio.Task[None] | None = None

    def begin(self, door: Door) -> None:
        self._task = door.loop.create_task(door.agree(self, self._client))

    def hold(self, _throttle_ms: int) -> None:
        """Nothing is read of it before it begins."""

    def abort(self) -> None:
        if self._task is None:
            self._client.close()
        else:
            self._task.cancel()


class Door:
    """Accepts the clients of one listener."""

    def __init__(self, listener: Listener, sockets: Sequence[socket.socket], tls: Tls, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.handshakes: set[Handshake] = set()
        self._listener = listener
        self._sockets = sockets
        self._tls = tls
        self._failed = 0
        self._is_closed = False

    def open(self) -> None:
        if not self._is_closed:
            for one in self._sockets:
                self.loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Accept nobody any more. Handshakes that have begun go on."""
        self._is_closed = True
        for one in self._sockets:
            self.loop.remove_reader(one)
            one.close()

    def abort(self) -> None:
        for handshake in list(self.handshakes):
            handshake.abort()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE_MAX):
            try:
                client, place = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_MORE:
                    raise
                log.error("%s: nobody can be accepted: %s", self._listener.name, error.strerror)
                for one in self._sockets:
                    self.loop.remove_reader(one)
                self.loop.call_later(REST_S, self.open)
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._take(Handshake(client, place[0]))

    def _take(self, handshake: Handshake) -> None:
        admission = self._listener.admitted(handshake)
        if admission is not None:
            self.handshakes.add(handshake)
            handshake.admission = admission
            handshake.begin(self)

    async def agree(self, handshake: Handshake, client: socket.socket) -> None:
        """Make a connection of the client, or close it."""
        listener = self._listener
        try:
            await self.loop.connect_accepted_socket(
                lambda: listener.protocol(handshake.admission),
                client,
                ssl=self._tls.context,
                ssl_handshake_timeout=TIME_MAX_S,
                ssl_shutdown_timeout=SHUTDOWN_MAX_S,
            )
        except OSError as error:
            listener.left(handshake.client_host)
            if not isinstance(error, ConnectionResetError):
                self._say(handshake.client_host, error)
        except asyncio.CancelledError:
            listener.left(handshake.client_host)
        finally:
            self.handshakes.discard(handshake)

    def _say(self, host: str, error: OSError) -> None:
        """The 1st, 2nd, 4th, 8th, … failure is a line in the log: a flood of clients is no flood of lines."""
        self._listener.traffic.authentications_failed += 1
        self._failed += 1
        if self._failed.bit_count() == 1:
            log.warning("%s: TLS with %s failed, the %d. time so far: %s", self._listener.name, host, self._failed, reason_of(error))


def reason_of(error: OSError) -> str:
    """Why there was no agreement, in words."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return f"it took more than {TIME_MAX_S:g} seconds" if isinstance(error, ConnectionAbortedError) else str(error)
