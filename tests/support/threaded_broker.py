"""The server's own parts in this process, on sockets and threads as in the daemon, but on the test's disk.

with ThreadedBroker(disk) as broker, RawClient(broker.address) as client:
    disk.hold_syncs()
    client.send(client.frame(0, 9, request))
    broker.wait_for_unanswered(1)        the request was taken, and waits
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from ev.broker.broker import Broker
from ev.clock import SystemClock
from ev.endpoints import PLAINTEXT, Endpoint
from ev.log.store import Store
from ev.randomness import SystemRandomness
from ev.server.connection_quotas import ConnectionQuotas
from ev.server.listener import Limits, Listener
from ev.server.security import Security
from ev.server.world import LoopWorld
from ev.settings import Settings
from support.simulated_disk import SimulatedDisk
from support.waiting import wait_for

T = TypeVar("T")


class ThreadedBroker:
    """A broker that listens on a loopback port, in a thread of its own."""

    def __init__(
        self, disk: SimulatedDisk, settings: Mapping[str, str] | None = None, directory: str = "/data", protocol: str = PLAINTEXT
    ) -> None:
        self.disk = disk
        self.directory = directory
        self.protocol = protocol
        self.settings = Settings.from_mapping(dict(settings or {}))
        self.failure: OSError | None = None
        self.problems: list[object] = []
        self.broker: Broker
        self.listener: Listener
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._world: LoopWorld
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker")

    def __enter__(self) -> ThreadedBroker:
        self._thread.start()
        assert self._ready.wait(20), "the broker did not start"
        assert self.address, "the broker failed to start"
        return self

    def __exit__(self, *exc: object) -> None:
        self.disk.let_syncs_pass()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the broker did not stop"

    def _run(self) -> None:
        self._loop.set_exception_handler(lambda loop, context: self.problems.append(context))
        try:
            self._loop.run_until_complete(self._start())
        finally:
            self._ready.set()
        self._loop.run_forever()
        self.listener.stop_taking()
        self.broker.upkeep.stop()
        self.listener.abort_connections()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._world.stop()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _start(self) -> None:
        clock, randomness = SystemClock(), SystemRandomness()
        store = Store.open(self.disk, self.directory, self.settings, clock, randomness)
        self._world = LoopWorld(self._loop, clock, self._fail)
        self.broker = Broker(settings=self.settings, clock=clock, randomness=randomness, store=store, world=self._world)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        endpoint = Endpoint(self.protocol, self.protocol, ("127.0.0.1", 0))
        security = None if self.protocol == PLAINTEXT else Security(self.broker, endpoint, self.settings)
        quotas = ConnectionQuotas(self.broker.client_quotas, self.settings, 1000)
        limits = Limits(quotas, 0, 64 << 20)
        self.listener = Listener(self.broker, [listening], None, limits, name=endpoint.name, security=security)
        await self.listener.start(self._loop)
        self.address = "{}:{}".format(*self.listener.address)

    def _fail(self, error: OSError) -> None:
        self.failure = error

    def on_loop(self, call: Callable[[], T]) -> T:
        """Run a call on the broker's loop, between two requests, and return its result."""

        async def run() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def principals(self) -> list[str]:
        """Who its clients are, sorted."""
        return self.on_loop(lambda: sorted(connection.principal for connection in self.listener.connections))

    def unanswered(self) -> int:
        """Requests that were taken and whose replies have not left."""
        return self.on_loop(lambda: sum(len(connection.calls) for connection in self.listener.connections))

    def wait_for_unanswered(self, count: int) -> None:
        wait_for(lambda: self.unanswered() == count, f"{count} requests that wait")
