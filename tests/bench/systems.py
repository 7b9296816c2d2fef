"""Rows about whole systems: the engine beside Apache Kafka, NATS JetStream and Redis Streams, each as it keeps what it answers for.

All of them get the same records from the same kind of client: bytes that were made before, in sockets of this process (`bench.pipe`), so
that what is compared are servers. The first rows carry one record in each request. In the rows in bulk a thousand records are in flight, as
each protocol has it: Kafka's in batches, five requests of 200 records, the others in a thousand requests.
"""

from __future__ import annotations

import contextlib
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bench import limits
from bench.figure import Figure, in_turn
from bench.jetstream import MARK, JetStream, JetStreamPipe
from bench.kafka_pipe import KafkaPipe, batch_of, end_offset, fetch_all
from bench.peers import Peer, cpu_seconds, create_topic, delete_topic
from bench.pipe import Driven, Pipe, drive
from bench.redis_stream import RedisPipe, RedisStream
from bench.servers import Server, nats_server, redis_server

SMALL, LARGE = 100, 1000
CONNECTIONS = 16
DEPTH = 256
BULK_IN_FLIGHT, BATCHES_IN_FLIGHT = 1000, 5
WARM_S = 1.5
numbers = itertools.count()


def value_of(size: int) -> bytes:
    return b"x" * (size - 1) + MARK


class ClosedPipe(Pipe, Protocol):
    """A pipe that is closed in the end."""

    def close(self) -> None: ...


class System(Protocol):
    """A system with one empty stream at a time."""

    name: str
    setting: str

    @property
    def pid(self) -> int: ...

    def begin(self) -> None:
        """Make the stream."""

    def pipe(self, value: bytes) -> ClosedPipe:
        """A connection that sends one record in each request."""

    def bulk(self, value: bytes) -> tuple[ClosedPipe, int, int]:
        """A connection for records in bulk, how many are in one request, and how many requests shall be in flight."""

    def stored(self) -> int:
        """How many records are in the stream."""

    def read_all(self, count: int) -> float:
        """Seconds until so many were read from the beginning."""

    def end(self) -> None:
        """Delete the stream."""


class OfKafka:
    """A broker that speaks Kafka's protocol."""

    def __init__(self, peer: Peer, name: str, setting: str, **configs: str) -> None:
        self.peer, self.name, self.setting, self.configs = peer, name, setting, configs
        self.topic = ""

    @property
    def pid(self) -> int:
        return self.peer.pid

    def begin(self) -> None:
        self.topic = f"systems-{next(numbers)}"
        create_topic(self.peer, self.topic, configs={key.replace("_", "."): value for key, value in self.configs.items()})

    def pipe(self, value: bytes) -> KafkaPipe:
        return KafkaPipe(self.peer.address, self.topic, batch_of(value, 1))

    def bulk(self, value: bytes) -> tuple[KafkaPipe, int, int]:
        records = BULK_IN_FLIGHT // BATCHES_IN_FLIGHT
        return KafkaPipe(self.peer.address, self.topic, batch_of(value, records)), records, BATCHES_IN_FLIGHT

    def stored(self) -> int:
        return end_offset(self.peer.address, self.topic)

    def read_all(self, count: int) -> float:
        return fetch_all(self.peer.address, self.topic, count)

    def end(self) -> None:
        delete_topic(self.peer, self.topic)


class OfNats:
    """nats-server with one stream in a file."""

    def __init__(self, server: Server, name: str, setting: str) -> None:
        self.server, self.name, self.setting = server, name, setting

    @property
    def pid(self) -> int:
        return self.server.pid

    @contextlib.contextmanager
    def asked(self) -> Iterator[JetStream]:
        with contextlib.closing(JetStream(self.server.port)) as client:
            yield client

    def begin(self) -> None:
        with self.asked() as client:
            client.create_stream()

    def pipe(self, value: bytes) -> JetStreamPipe:
        return JetStreamPipe(self.server.port, value)

    def bulk(self, value: bytes) -> tuple[JetStreamPipe, int, int]:
        return self.pipe(value), 1, BULK_IN_FLIGHT

    def stored(self) -> int:
        with self.asked() as client:
            return client.stored()

    def read_all(self, count: int) -> float:
        with self.asked() as client:
            return client.read_all(count)

    def end(self) -> None:
        with self.asked() as client:
            client.delete_stream()


class OfRedis:
    """redis-server with one stream; a server of its own for each, as an append-only file only grows."""

    def __init__(self, server: Server, name: str, setting: str) -> None:
        self.server, self.name, self.setting = server, name, setting

    @property
    def pid(self) -> int:
        return self.server.pid

    @contextlib.contextmanager
    def asked(self) -> Iterator[RedisStream]:
        with contextlib.closing(RedisStream(self.server.port)) as client:
            yield client

    def begin(self) -> None:
        self.server.start()

    def pipe(self, value: bytes) -> RedisPipe:
        return RedisPipe(self.server.port, value)

    def bulk(self, value: bytes) -> tuple[RedisPipe, int, int]:
        return self.pipe(value), 1, BULK_IN_FLIGHT

    def stored(self) -> int:
        with self.asked() as client:
            return client.stored()

    def read_all(self, count: int) -> float:
        with self.asked() as client:
            return client.read_all(count)

    def end(self) -> None:
        self.server.forget()


def all_systems(
    ev: Peer, kafka: Peer | None, directory: pathlib.Path, stack: contextlib.ExitStack, left_out: list[str]
) -> Iterator[System]:
    """Those that are on this machine; why the others are not is added to `left_out`."""

    def made(make: Callable[[], Server]) -> Server | None:
        try:
            server = make()
        except LookupError as reason:
            left_out.append(f"systems: {reason}")
            return None
        stack.callback(server.forget)
        return server

    yield OfKafka(ev, "ev", "synced before the answer (acks=all)")
    if kafka is not None:
        yield OfKafka(kafka, "Kafka", "not synced, as is its default (acks=all, one broker)")
        yield OfKafka(kafka, "Kafka, synced", "flush.messages=1: synced before the answer", flush_messages="1")
    if (nats := made(lambda: nats_server(directory / "nats", synced=False))) is not None:
        nats.start()
        yield OfNats(nats, "NATS", "sync_interval 2 min, as is its default")
    if nats and (synced := made(lambda: nats_server(directory / "nats-synced", synced=True))) is not None:
        synced.start()
        yield OfNats(synced, "NATS, synced", "sync_interval always: synced before the answer")
    if (redis := made(lambda: redis_server(directory / "redis", "everysec"))) is not None:
        yield OfRedis(redis, "Redis", "appendonly, appendfsync everysec")
    if redis and (always := made(lambda: redis_server(directory / "redis-synced", "always"))) is not None:
        yield OfRedis(always, "Redis, synced", "appendonly, appendfsync always: synced before the answer")


def systems(ev: Peer, kafka: Peer | None, directory: pathlib.Path, rounds: int, seconds: float, left_out: list[str]) -> Iterator[Figure]:
    """All systems in turn."""
    with contextlib.ExitStack() as stack:
        chosen = list(all_systems(ev, kafka, directory, stack, left_out))
        yield from compared(chosen, rounds, seconds)


def compared(chosen: list[System], rounds: int, seconds: float) -> Iterator[Figure]:
    """Rows of one record a request, then of records in bulk."""
    alone = Figure("1 client, 1 KB, one in flight", "records/s", peer="Kafka", bound=limits.synced())
    late = Figure("1 client, 1 KB, one in flight: p99", "ms", peer="Kafka", at_least=False)
    many = Figure(f"{CONNECTIONS} clients, 1 KB, one in flight each", "records/s", peer="Kafka", bound=limits.synced(CONNECTIONS))
    deep = Figure(f"1 client, 100 B, a record a request, {DEPTH} in flight", "records/s", peer="Kafka", bound=limits.synced(DEPTH))
    rows = [alone, late, many, deep]
    bulk, cost, out, out_cost = {}, {}, {}, {}
    for size in (SMALL, LARGE):
        title = "100 B" if size == SMALL else "1 KB"
        bulk[size] = Figure(f"1 client, {title}, in bulk", "records/s", peer="Kafka", bound=limits.written(size))
        cost[size] = Figure(f"1 client, {title}, in bulk: CPU of the server", "s/million records", peer="Kafka", at_least=False)
        out[size] = Figure(f"1 reader from the beginning, {title}", "records/s", peer="Kafka", bound=limits.read(size))
        out_cost[size] = Figure(
            f"1 reader from the beginning, {title}: CPU of the server", "s/million records", peer="Kafka", at_least=False
        )
        rows += [bulk[size], cost[size], out[size], out_cost[size]]
    for figure in rows:
        figure.settings = {system.name: system.setting for system in chosen}

    def small(system: System, seconds: float = seconds) -> None:
        with stream(system):
            driven = driven_by(system, [system.pipe(value_of(LARGE))], 1, seconds)
            alone.add(system.name, driven.per_second)
            late.add(system.name, driven.percentile(0.99))
        with stream(system):
            pipes = [system.pipe(value_of(LARGE)) for _ in range(CONNECTIONS)]
            many.add(system.name, driven_by(system, pipes, 1, seconds).per_second)
        with stream(system):
            deep.add(system.name, driven_by(system, [system.pipe(value_of(SMALL))], DEPTH, seconds).per_second)

    def large(system: System, size: int, seconds: float = seconds) -> None:
        with stream(system):
            pipe, each, in_flight = system.bulk(value_of(size))
            used = cpu_seconds(system.pid)
            driven = driven_by(system, [pipe], in_flight, seconds, each)
            records = driven.answered * each
            bulk[size].add(system.name, records / driven.took_s)
            cost[size].add(system.name, (cpu_seconds(system.pid) - used) / records * 1e6)
            used = cpu_seconds(system.pid)
            out[size].add(system.name, records / system.read_all(records))
            out_cost[size].add(system.name, (cpu_seconds(system.pid) - used) / records * 1e6)

    for system in chosen:  # warm up: Kafka's code is compiled as it goes
        warm_s = max(seconds, WARM_S) if isinstance(system, OfKafka) else 0.1
        small(system, warm_s)
        for size in (SMALL, LARGE):
            large(system, size, warm_s)
    for figure in rows:
        figure.samples.clear()
    in_turn(rounds, *[lambda system=system: small(system) for system in chosen])
    for size in (SMALL, LARGE):
        in_turn(rounds, *[lambda system=system, size=size: large(system, size) for system in chosen])
    yield from rows


@contextlib.contextmanager
def stream(system: System) -> Iterator[None]:
    """An empty stream for one measurement."""
    system.begin()
    try:
        yield
    finally:
        system.end()


def driven_by(system: System, pipes: Sequence[ClosedPipe], in_flight: int, seconds: float, each: int = 1) -> Driven:
    """Drive the pipes, close them, and see that what was answered is there."""
    driven = drive(pipes, in_flight, seconds=seconds)
    for pipe in pipes:
        pipe.close()
    stored = system.stored()
    if stored < driven.answered * each:
        raise RuntimeError(f"{system.name} answered for {driven.answered * each} records and has {stored}")
    return driven
