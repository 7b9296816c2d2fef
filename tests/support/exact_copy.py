"""Copies a topic with ev's own client in transactions, with the offsets that a group has read, and reads the copy back.

copier = ExactCopier(address, "source", "target", "name")
while copier.copied < 1000:
    copier.turn()                 one transaction, at most; survives brokers that go away
copier.close()
read_committed(address, "target", 2)              {partition: values}, read by ev's consumer
read_committed_by_librdkafka(address, "target", 2)
"""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import confluent_kafka

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.fetched import FetchedBatch
from ev.client.producer import Producer
from ev.client.results import NewTopic
from ev.client.transport import Transport, open_transport
from ev.errors import (
    EvError,
    KafkaError,
    TimedOutError,
    TransactionFatalError,
    TransactionUnknownError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.transport import Address, OpenTransport
    from ev.wire.primitives import Buffer

QUICK: dict[str, Any] = {"retry_backoff_ms": 20, "retry_backoff_max_ms": 200}
PATIENCE_MS = 60_000
TRANSACTION_BYTES = 1000


def make_topics(address: str, partitions: int, *names: str) -> None:
    with Admin(address) as admin:
        for created in admin.create_topics([NewTopic(name, partitions, 1) for name in names]):
            created.or_raise()


class ExactCopier:
    """Each record goes to the partition of the same number. Every `aborts_every`th transaction is aborted on purpose."""

    def __init__(
        self,
        address: str,
        source: str,
        target: str,
        name: str,
        *,
        aborts_every: int = 5,
        batch_bytes: int = 1_000_000,
        open_transport: OpenTransport = open_transport,
        group: str | None = None,
        group_protocol: str = "classic",
        request_timeout_ms: int = 30_000,
    ) -> None:
        self.request_timeout_ms = request_timeout_ms
        self.group = group or name
        self.membership: dict[str, Any] = {"group_protocol": group_protocol}
        if group_protocol == "classic":
            self.membership |= {"heartbeat_interval_ms": 200, "session_timeout_ms": 10_000}
        self.address, self.source, self.target, self.name = address, source, target, name
        self.aborts_every = aborts_every
        self.batch_bytes = batch_bytes
        self.open_transport = open_transport
        self.copied = self.transactions = self.aborted = self.asked_again = self.renewed = 0
        self.start()

    def start(self) -> None:
        """A producer that fences the one before, and a member of the group."""
        self.producer = Producer(
            self.address,
            transactional_id=self.name,
            linger_ms=1,
            batch_bytes=self.batch_bytes,
            open_transport=self.open_transport,
            request_timeout_ms=self.request_timeout_ms,
            **QUICK,
        )
        self.producer.init_transactions(timeout_ms=PATIENCE_MS)
        self.consumer = Consumer(
            self.address,
            group=self.group,
            isolation="read_committed",
            max_wait_ms=50,
            partition_max_bytes=4096,
            open_transport=self.open_transport,
            request_timeout_ms=self.request_timeout_ms,
            **self.membership,
            **QUICK,
        )
        self.consumer.subscribe([self.source])

    def turn(self) -> None:
        """What is there to copy, copied or given up as a whole."""
        try:
            batches = self.consumer.poll_batches(100, bytes_max=TRANSACTION_BYTES)
        except (KafkaError, UnreachableError, TimedOutError):
            return
        if not batches:
            return
        self.transactions += 1
        try:
            self.copy(batches)
        except TransactionFatalError as error:
            if error.committed is not False:
                raise  # the copy would hold these records twice, or not at all, and nobody could tell
            self.renewed += 1
            self.close()
            self.start()
            return
        except (EvError, GaveUpError):
            self.aborted += 1
            self.consumer.seek_to_committed()
            return
        self.copied += sum(len(batch) for batch in batches)

    def copy(self, batches: list[FetchedBatch]) -> None:
        try:
            with self.producer.transaction(timeout_ms=PATIENCE_MS):
                for batch in batches:
                    self.producer.produce_many(self.target, batch.columns.values, partition=batch.partition)
                offsets = {(batch.topic, batch.partition): batch.next_offset for batch in batches}
                self.producer.send_offsets_to_transaction(offsets, self.consumer.group_metadata(), timeout_ms=PATIENCE_MS)
                if self.aborts_every and self.transactions % self.aborts_every == 0:
                    self.producer.flush(PATIENCE_MS)
                    raise GaveUpError
        except TransactionUnknownError:
            self.asked_again += 1
            self.producer.commit_transaction(timeout_ms=PATIENCE_MS)

    def close(self) -> None:
        with contextlib.suppress(EvError):
            self.consumer.close()
        self.producer.close(timeout_ms=0)


class BreakingTransport(Transport):
    """A connection that breaks now and then: with the request half sent, or taken and the answer lost."""

    __slots__ = ("chance", "generator")

    def __init__(self, address: Address, generator: random.Random, chance: float) -> None:
        super().__init__(address)
        self.generator = generator
        self.chance = chance

    def receive_into(self, view: memoryview) -> int | None:
        self.perhaps_break()
        return super().receive_into(view)

    def send(self, buffers: Sequence[Buffer]) -> int:
        sent = super().send(buffers)
        self.perhaps_break()
        return sent

    def perhaps_break(self) -> None:
        if self.generator.random() < self.chance:
            raise ConnectionResetError(104, "the test broke the connection")


def breaking(seed: int, chance: float) -> OpenTransport:
    """Connections of which so many of a thousand reads and writes break."""
    generator = random.Random(seed)
    return lambda address, host: BreakingTransport(address, generator, chance)


class GaveUpError(Exception):
    """The transaction is aborted on purpose."""


def read_committed(address: str, topic: str, partitions: int) -> dict[int, list[bytes | None]]:
    """Everything, by ev's consumer."""
    found: dict[int, list[bytes | None]] = {index: [] for index in range(partitions)}
    places = [(topic, index) for index in range(partitions)]
    with Consumer(address, isolation="read_committed", max_wait_ms=50) as consumer:
        consumer.assign(dict.fromkeys(places, 0))
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for batch in consumer.poll_batches(100):
                found[batch.partition] += batch.columns.values
    return found


def read_committed_by_librdkafka(address: str, topic: str, partitions: int) -> dict[int, list[bytes | None]]:
    """The same, by somebody else's."""
    settings = {"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = confluent_kafka.Consumer({**settings, "isolation.level": "read_committed"})
    found: dict[int, list[bytes | None]] = {index: [] for index in range(partitions)}
    open_ends = set(range(partitions))
    deadline = time.monotonic() + 60
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, index, 0) for index in range(partitions)])
        while open_ends:
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            for message in consumer.consume(5000, 0.2):
                if message.error() is not None:
                    open_ends.discard(message.partition() or 0)
                else:
                    found[message.partition() or 0].append(message.value())
    finally:
        consumer.close()
    return found
