"""The listening sockets: who may connect, how many at a time, and which address they are told."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from typing import TYPE_CHECKING, Final, Protocol

from ev.endpoints import PLAINTEXT, format_address
from ev.loopback import exposed, is_loopback
from ev.server.budget import Answers, Budget
from ev.server.connection import Connection
from ev.server.traffic import Traffic

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ev.broker.broker import Broker
    from ev.broker.runtime import Handle
    from ev.endpoints import Address
    from ev.server.connection_quotas import Admission, ConnectionQuotas
    from ev.server.handshake import Door
    from ev.server.security import Security

log = logging.getLogger("ev.listener")

BACKLOG: Final = 4096
MUCH_LATER_MS: Final = 60_000
LINGERING_MAX: Final = 100
"""So many connections that are refused may be open for a while; more are closed at once."""
MAPPED_PREFIX: Final = "::ffff:"
STRANGERS_BYTES_MAX: Final = 16 << 20
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def local_address(address: Address) -> Address:
    """The address by which a client on this machine reaches a socket that is bound to `address`."""
    host, port = address
    return WILDCARDS.get(host, host), port


class Taken(Protocol):
    """A client that has connected, as far as it is taken or refused."""

    client_host: str

    def hold(self, throttle_ms: int, /) -> None:
        """Read nothing of it for so long."""

    def abort(self) -> None:
        """Close it now."""


class PortTakenError(Exception):
    """Somebody else listens at the address."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"{format_address(address)} is in use")
        self.address = address


def bind(host: str, port: int, *, insecure: bool = False) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port.

    Raises PortTakenError, OSError for any other reason, and SettingError, before anything is bound, if others may reach one of the
    addresses and this is not to be `insecure`.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    reached = [str(place[0]) for *_, place in found if not is_loopback(str(place[0]))]
    if reached and not insecure:
        raise exposed(host, reached[0])
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, place in dict.fromkeys(found):
            chosen_port = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(_bind_one(family, kind, protocol, (place[0], chosen_port, *place[2:])))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTakenError((str(place[0]), chosen_port)) from error
                if not bound:
                    raise
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def _bind_one(family: int, kind: int, protocol: int, place: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(place)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


class Limits:
    """Which connections all listeners together take, how long one may be silent, and how much memory requests may hold."""

    def __init__(self, connection_quotas: ConnectionQuotas, idle_max_ms: int, request_bytes_max: int) -> None:
        self.connection_quotas = connection_quotas
        self.idle_max_ms = idle_max_ms
        self.budget = Budget(request_bytes_max)
        self.answers = Answers()
        self.strangers = Budget(STRANGERS_BYTES_MAX)  # what clients have sent that have not said who they are
        self.traffic = Traffic()
        self.refused = 0
        self.lingering = 0  # connections that are refused and will be closed


class Listener:
    """One listener: its sockets, its connections, the address that its clients are told, and how they say who they are."""

    def __init__(
        self,
        broker: Broker,
        sockets: Sequence[socket.socket],
        advertise: Address | None,
        limits: Limits,
        *,
        name: str = PLAINTEXT,
        security: Security | None = None,
    ) -> None:
        self.broker = broker
        self.name = name
        self.security = security
        self.advertise = advertise
        self.limits = limits
        self.budget = limits.budget
        self.answers = limits.answers
        self.traffic = limits.traffic
        self.connections: set[Connection] = set()
        self._door: Door | None = None  # of a listener with TLS
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self._stopped = False
        self.on_changed: Callable[[], None] = lambda: None  # called when a file of the security has changed
        self._idle_timer: Handle | None = None

    @property
    def address(self) -> Address:
        """Where the first socket is bound."""
        host, port = self._sockets[0].getsockname()[:2]
        return host, port

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.security is None or self.security.tls is None:
            for one in self._sockets:
                self._servers.append(await loop.create_server(self.protocol, sock=one, backlog=BACKLOG))
            return
        from ev.server.handshake import Door  # noqa: PLC0415 - most engines do without

        self._door = Door(self, self._sockets, self.security.tls, loop)
        self._door.open()

    def load_again(self) -> None:
        """New connections get what the files of the security hold now; those that are there stay as they are."""
        if self.security is not None and not self._stopped:
            self.security.load_again()

    def protocol(self, admission: Admission | None = None) -> asyncio.Protocol:
        """What a new client talks to; `admission`: it was taken before, and this is what was said."""
        connection = Connection(self.broker, self)
        connection.admission = admission
        return connection if self.security is None else self.security.protocol(connection)

    def stop_taking(self) -> None:
        """No new connections, no new requests; what was taken is still answered."""
        self._stopped = True
        for server in self._servers:
            server.close()
        if self._door is not None:
            self._door.close()
        for connection in self.connections:
            connection.stop_reading()

    def finish_connections(self) -> None:
        """Close every connection when its answers have been sent."""
        for connection in list(self.connections):
            connection.finish()

    def abort_connections(self) -> None:
        for connection in list(self.connections):
            connection.abort()
        if self._door is not None:
            self._door.abort()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    # What connections report.

    def admitted(self, client: Taken) -> Admission | None:
        """Count a client that has connected; None when it is refused: then it is closed, now or later."""
        admission = self.limits.connection_quotas.admit(client.client_host, self.broker.settings, self.broker.clock.monotonic_ms())
        if admission.refusal is not None:
            self._refuse(client, admission.refusal, admission.wait_ms)
            return None
        return admission

    def left(self, host: str) -> None:
        """A client that was counted is gone."""
        self.limits.connection_quotas.closed(host)

    def opened(self, connection: Connection) -> None:
        admission = connection.admission or self.admitted(connection)
        if admission is None:
            return
        self.traffic.connections_opened += 1
        self.connections.add(connection)
        connection.local_address = self._told(connection.local_address)
        if self.security is not None and self.security.has_changed():
            self.on_changed()
        if admission.wait_ms:
            connection.hold(admission.wait_ms)
            connection.drain()
        if self._idle_timer is None and self.limits.idle_max_ms > 0:
            self._arm_idle_timer()

    def closed(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self.left(connection.client_host)

    def _refuse(self, client: Taken, why: str, linger_ms: int) -> None:
        """Close it, or first leave it open for a while, unread."""
        self.limits.refused += 1
        if self.limits.refused.bit_count() == 1:  # the 1st, 2nd, 4th, 8th, …: a flood of connections is no flood of lines
            log.warning(
                "connection from %s refused, the %d. so far: %s",
                client.client_host,
                self.limits.refused,
                why,
            )
        if not linger_ms or self.limits.lingering >= LINGERING_MAX:
            client.abort()
            return

        def close() -> None:
            self.limits.lingering -= 1
            client.abort()

        self.limits.lingering += 1
        client.hold(linger_ms + MUCH_LATER_MS)
        self.broker.runtime.call_at(self.broker.clock.monotonic_ms() + linger_ms, close)

    def _told(self, local: Address) -> Address:
        """The address that a client which connected to `local` is told to use."""
        if self.advertise is not None:
            return self.advertise
        host, port = local
        return host.removeprefix(MAPPED_PREFIX) if host.startswith(MAPPED_PREFIX) and "." in host else host, port

    # Connections that have been silent for too long. The timer runs only while there are connections.

    def _arm_idle_timer(self) -> None:
        clock = self.broker.clock
        self._idle_timer = self.broker.runtime.call_at(clock.monotonic_ms() + self.limits.idle_max_ms, self._close_idle)

    def _close_idle(self) -> None:
        self._idle_timer = None
        for connection in list(self.connections):
            if connection.takes_nothing():
                connection.drop(f"it has taken nothing of its answers for {self.limits.idle_max_ms} ms")
            elif connection.active or connection.calls:
                connection.active = False
            else:
                connection.abort()
        if self.connections:
            self._arm_idle_timer()


def bind_all(addresses: Sequence[tuple[Address, bool]]) -> list[list[socket.socket]]:
    """`bind` for each address, all or none; with each of them whether others may reach it."""
    with contextlib.ExitStack() as undo:
        bound = []
        for (host, port), insecure in addresses:
            sockets = bind(host, port, insecure=insecure)
            bound.append(sockets)
            for one in sockets:
                undo.callback(one.close)
        undo.pop_all()
    return bound
