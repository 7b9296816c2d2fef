"""The real broker without sockets, threads or a clock of its own: a test turns every wheel by hand.

`SimulatedBroker` opens a store on any Disk and puts a Broker in a `ManualWorld` and the server's own Connection on top, so that
requests take the path that they take in the daemon, from bytes to bytes.

    broker = SimulatedBroker(disk, seed=1, settings={...})
    client = broker.connect()
    token = client.send(ProduceRequest(...), 9)
    client.replies                       {} for as long as the round is not on disk
    broker.world.settle()
    client.replies[token]                a ProduceResponse
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from ev.broker.broker import Broker
from ev.clock import ManualClock
from ev.disk import Disk
from ev.log.store import Store
from ev.randomness import SeededRandomness
from ev.server.budget import Answers, Budget
from ev.server.connection import Connection
from ev.server.traffic import Traffic
from ev.settings import Settings
from ev.wire.catalog import API
from ev.wire.codec import Message, decoder, encode
from ev.wire.header import encode_request_header, response_header_size
from support.manual_world import ManualWorld

KEYS = {api.request: api.key for api in API.values()}


def run_one(world: ManualWorld, random: Random) -> bool:
    """Let one of the things happen that may happen now; False when there is none, or when the disk has failed."""
    queues: list[tuple[object, Callable[[], None]]] = [
        (world.soon, world.turn),
        (world.commits, world.run_commit),
        (world.flushes, world.run_flush),
        (world.reads, world.run_read),
        (world.computations, world.run_computation),
    ]
    possible = [run for queue, run in queues if queue]
    if not possible or world.failure is not None:
        return False
    random.choice(possible)()
    return True


class Wire:
    """The transport of a connection whose other end is a test."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.closed = False

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 50_000 if name == "peername" else 9092)

    def set_write_buffer_limits(self, high: int) -> None:
        """Nothing is ever buffered here."""

    def write(self, data: bytes) -> None:
        self.out += data

    def writelines(self, parts: list[bytes]) -> None:
        for part in parts:
            self.out += part

    def pause_reading(self) -> None:
        """The test does not send faster than it is read."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def abort(self) -> None:
        self.closed = True


class Door:
    """The listener of connections that nobody listens for."""

    name = "PLAINTEXT"
    security = None

    def __init__(self) -> None:
        self.budget = Budget(1 << 40)
        self.answers = Answers()
        self.traffic = Traffic()

    def opened(self, connection: Connection) -> None:
        """Nothing is counted here."""

    def closed(self, connection: Connection) -> None:
        """Nothing is counted here."""


class SimulatedClient:
    """A client's end of a connection: requests go in as bytes, replies are kept by token."""

    def __init__(self, broker: Broker) -> None:
        self.wire = Wire()
        self.connection = Connection(broker, Door())  # type: ignore[arg-type]
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        self.open: dict[int, tuple[type[Message], int, int]] = {}
        self.answered: dict[int, Any] = {}
        self.tokens = itertools.count(1)

    def send(self, request: Message, version: int) -> int:
        """Send one request; returns the token under which its reply will be found."""
        token, key = next(self.tokens), KEYS[type(request)]
        frame = encode_request_header(key, version, token, "test") + encode(request, version)
        self.open[token] = (API[key].response, key, version)
        self.connection.data_received(len(frame).to_bytes(4, "big") + frame)
        return token

    @property
    def replies(self) -> dict[int, Any]:
        """Every reply so far, by token."""
        out = self.wire.out
        while len(out) >= 4 and len(out) >= 4 + int.from_bytes(out[:4], "big"):
            end = 4 + int.from_bytes(out[:4], "big")
            token = int.from_bytes(out[4:8], "big")
            response, key, version = self.open.pop(token)
            self.answered[token], _ = decoder(response, version)(bytes(out[:end]), 4 + response_header_size(key, version))
            del out[:end]
        return self.answered

    @property
    def closed(self) -> bool:
        return self.wire.closed


class SimulatedBroker:
    """A broker over a store on this disk, from its start (recovery included) to wherever the test takes it."""

    def __init__(
        self,
        disk: Disk,
        *,
        seed: int = 0,
        settings: Mapping[str, str] | None = None,
        directory: str = "/data",
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.settings = Settings.from_mapping(dict(settings or {}))
        self.randomness = SeededRandomness(seed)
        self.world = ManualWorld(self.clock)
        self.store = Store.open(disk, directory, self.settings, self.clock, self.randomness)
        self.broker = Broker(settings=self.settings, clock=self.clock, randomness=self.randomness, store=self.store, world=self.world)

    def connect(self) -> SimulatedClient:
        return SimulatedClient(self.broker)

    def ask(self, request: Message, version: int) -> Any:
        """Send a request on a connection of its own, run until it is answered, return the reply."""
        client = self.connect()
        token = client.send(request, version)
        self.world.settle()
        return client.replies[token]
