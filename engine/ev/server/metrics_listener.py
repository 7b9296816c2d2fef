"""Where Prometheus asks: `GET /metrics` over HTTP/1.1 on `ev.metrics.listen`, and nothing else.

Browsers must not get at it for somebody else's page: a request is answered only if its Host is one that this listener is known by
(a page that has a name of its own resolved to this machine sends that name), and no answer allows other origins to read it. Everything
is bounded: the size of a request, the time it may take, the number of connections; each connection has one answer.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from ev.server.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Sequence

log = logging.getLogger("ev.metrics")

REQUEST_BYTES_MAX: Final = 8 << 10
HEADERS_MAX: Final = 100
CONNECTIONS_MAX: Final = 16
WITHIN_S: Final = 5.0
LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
PATH: Final = "/metrics"
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}


class MetricsListener:
    """The listening sockets and their connections."""

    def __init__(self, sockets: Sequence[socket.socket], hosts: Collection[str], text: Callable[[], str]) -> None:
        self.hosts = frozenset(host.lower() for host in hosts)
        self.text = text
        self.connections: set[MetricsConnection] = set()
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._sockets[0].getsockname()[:2]
        return host, port

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        for one in self._sockets:
            self._servers.append(await loop.create_server(lambda: MetricsConnection(self, loop), sock=one))

    def stop(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.abort()


class MetricsConnection(asyncio.Protocol):
    """One request and its answer."""

    def __init__(self, listener: MetricsListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._listener.connections) >= CONNECTIONS_MAX:
            self._transport.abort()
            return
        self._listener.connections.add(self)
        self._timer = self._loop.call_later(WITHIN_S, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._received += data
        if b"\r\n\r\n" in self._received:
            head = bytes(self._received[: self._received.index(b"\r\n\r\n")])
            self._answer(*decide(head, self._listener.hosts))
        elif len(self._received) > REQUEST_BYTES_MAX:
            self._answer(431, sends_body=True)

    def _answer(self, status: int, sends_body: bool) -> None:
        self._answered = True
        transport = self._transport
        assert transport is not None, "bytes come over a connection"
        body = (self._listener.text() if status == 200 else f"{status} {REASONS[status]}\n").encode()
        kind = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
        head = [
            f"HTTP/1.1 {status} {REASONS[status]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            *(["Allow: GET, HEAD"] if status == 405 else []),
        ]
        transport.write("\r\n".join([*head, "", ""]).encode() + (body if sends_body else b""))
        transport.close()  # what is not taken within the time is cut off by the timer

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def decide(head: bytes, hosts: Collection[str]) -> tuple[int, bool]:
    """(status, whether the answer has a body) for the request with this head, which ends before the empty line."""
    if len(head) > REQUEST_BYTES_MAX:
        return 431, True
    try:
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, version = first.split(" ")
    except ValueError:
        return 400, True
    sends_body = method != "HEAD"
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        return (505 if version.startswith("HTTP/") else 400), sends_body
    named = [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].lower() == "host"]
    malformed = any(":" not in line or line[:1] in " \t" for line in lines)
    if len(lines) > HEADERS_MAX or len(named) > 1 or (not named and version == "HTTP/1.1") or malformed:
        return 400, sends_body
    if not named or host_of(named[0]) not in hosts:
        return 403, sends_body
    if method not in ("GET", "HEAD"):
        return 405, sends_body
    return (200 if target.partition("?")[0] == PATH else 404), sends_body


def host_of(text: str) -> str:
    """The host of a Host header, without its port, in lower case."""
    if text.startswith("["):
        return text.partition("]")[0].lower() + "]"
    return text.partition(":")[0].lower()
