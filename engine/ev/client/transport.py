"""The byte pipe under a connection: a non-blocking socket, and the wait for several of them.

`open_transport` makes one; `ev.client.tls` has another that makes those that speak TLS, with the same methods. The C modules
`_socket` and `select` are used as they are: the module `socket` brings enum, selectors and collections with it, 6 ms of start-up
that a one-shot `ev produce` would feel, for conveniences that a non-blocking client has no use for.
"""

from __future__ import annotations

import select
from _socket import (
    AF_UNSPEC,
    IPPROTO_TCP,
    SO_ERROR,
    SO_KEEPALIVE,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    getaddrinfo,
)
from _socket import socket as Socket
from errno import EAGAIN, EALREADY, EINPROGRESS, EWOULDBLOCK
from os import strerror

from ev.errors import UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ev.wire.primitives import Buffer

    Address = tuple[int, Any]
    """Address family and socket address, as the resolver gives them."""
    OpenTransport = Callable[[Address, str], "Transport"]
    """The second argument is the host's name, as the caller wrote it."""

_UNDER_WAY = frozenset((EINPROGRESS, EALREADY, EAGAIN, EWOULDBLOCK))
_BUFFERS_MAX = 512
"""Buffers in one system call; the systems' own bound is 1,024."""


def resolve(host: str, port: int) -> list[Address]:
    """Every address of a host, in the resolver's order. Asks the resolver, so it may block."""
    try:
        # As bytes where that is the same: for a text, getaddrinfo imports the IDNA codec and with it `re`, 10 ms of start-up.
        rows = getaddrinfo(host.encode() if host.isascii() else host, port, AF_UNSPEC, SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"no address for {host!r}: {getattr(error, 'strerror', None) or error}") from error
    return [(int(row[0]), row[4]) for row in rows]


class Transport:
    """A TCP connection that never blocks. Every method raises OSError when the connection is gone."""

    __slots__ = ("_socket", "wants_write")

    encrypted = False
    """Whether nobody on the way can read what is sent."""
    pending = False
    """Whether bytes have come that the socket does not announce any more: receive again."""

    def __init__(self, address: Address) -> None:
        family, where = address
        self.wants_write = True
        """The transport has to write before it can go on, whether or not its user has something to send."""
        self._socket = Socket(family, SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
            error = self._socket.connect_ex(where)
            if error and error not in _UNDER_WAY:
                raise OSError(error, strerror(error))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def finish_connect(self) -> bool:
        """True when it is connected. Called when the socket became writable for the first time, and until then as often as it is ready."""
        error = self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if error:
            raise OSError(error, strerror(error))
        self.wants_write = False
        return True

    def peer(self) -> tuple[str, int]:
        """Host, as digits, and port of the other side."""
        name = self._socket.getpeername()
        return name[0], name[1]

    def receive_into(self, view: memoryview) -> int | None:
        """Bytes received, 0 at the end of the stream, None when there is nothing at the moment."""
        try:
            return self._socket.recv_into(view)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, buffers: Sequence[Buffer]) -> int:
        """Bytes that the system took, perhaps none."""
        try:
            return self._socket.sendmsg(buffers[:_BUFFERS_MAX])
        except (BlockingIOError, InterruptedError):
            return 0

    def close(self) -> None:
        self._socket.close()


def open_transport(address: Address, host: str) -> Transport:
    """Begin to connect; the transport is connected when it becomes writable and finish_connect() does not raise."""
    return Transport(address)


class Poller:
    """Waits until one of several transports can be read or written."""

    __slots__ = ("_poll", "_writing")

    def __init__(self) -> None:
        self._writing: dict[int, bool] = {}
        # Windows has no poll(); its select() has no limit that matters here.
        self._poll = select.poll() if hasattr(select, "poll") else None

    def set(self, descriptor: int, *, writing: bool) -> None:
        """Watch for incoming bytes, and for room for outgoing ones when there are some."""
        if self._writing.get(descriptor) == writing:
            return
        self._writing[descriptor] = writing
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN | (select.POLLOUT if writing else 0))

    def forget(self, descriptor: int) -> None:
        if self._writing.pop(descriptor, None) is not None and self._poll is not None:
            self._poll.unregister(descriptor)

    def wait(self, timeout_ms: int) -> list[tuple[int, bool, bool]]:
        """Descriptor, readable, writable; errors count as both, so that the next call on the transport raises them."""
        if self._poll is not None:
            failed = select.POLLERR | select.POLLHUP | select.POLLNVAL
            return [
                (descriptor, bool(events & (select.POLLIN | failed)), bool(events & (select.POLLOUT | failed)))
                for descriptor, events in self._poll.poll(timeout_ms)
            ]
        writing = [descriptor for descriptor, wanted in self._writing.items() if wanted]
        readable, writable, failed_ones = select.select(list(self._writing), writing, writing, timeout_ms / 1000)
        ready = {*readable, *writable, *failed_ones}
        return [(one, one in readable or one in failed_ones, one in writable or one in failed_ones) for one in ready]
