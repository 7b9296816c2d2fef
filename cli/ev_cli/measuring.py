"""What one client of a benchmark does, in a process of its own: produce, consume, or send records that it reads itself.

Each tells how many records are done, several times a second, and what it measured at the end.
"""

from __future__ import annotations

import os
import time

from ev_cli.latency import Latencies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ev.client.consumer import Consumer
    from ev.client.producer import Producer

    Partition = tuple[str, int]
    Tell = Callable[[int, int], None]

TELL_EVERY_S = 0.1
CHUNK_BYTES = 256 * 1024
"""About so many bytes are handed to the producer in one call when it shall go as fast as it can."""
TICK_S = 0.005
"""With a rate, records are sent so often; a client that sleeps for less spends its time with falling asleep."""
KINDS_OF_VALUES = 64


class Share:
    """What one of the clients does of the whole. `rate` is in records a second; None: as many as go."""

    def __init__(self, topic: str, count: int, size: int = 0, rate: float | None = None, partitions: list[Partition] | None = None) -> None:
        self.topic = topic
        self.count = count
        self.size = size
        self.rate = rate
        self.partitions = partitions or []


class Measured:
    """Records and their bytes that are done, from the first to the last, and how long each took."""

    def __init__(self) -> None:
        self.records = self.bytes = 0
        self.began = self.ended = time.monotonic()
        self.latencies = Latencies()


def values_of(size: int) -> list[bytes]:
    """Some values of random letters: they compress, but not to nothing."""
    letters = os.urandom(size * KINDS_OF_VALUES).translate(bytes(33 + number % 64 for number in range(256)))
    return [letters[size * number : size * (number + 1)] for number in range(KINDS_OF_VALUES)]


def produce(producer: Producer, share: Share, tell: Tell) -> Measured:
    """Send the records of a share, and wait until all are acknowledged."""
    measured = Measured()
    kinds = values_of(share.size)
    chunk = max(1, CHUNK_BYTES // (share.size + 20))
    values = [kinds[number % KINDS_OF_VALUES] for number in range(chunk)]
    sent, told_at = 0, measured.began

    def take(timeout_ms: int) -> None:
        nonlocal told_at
        deliveries = producer.poll(timeout_ms)
        now = time.monotonic()
        for delivery in deliveries:
            if delivery.error is not None:
                raise delivery.error
            measured.latencies.add(now - delivery.tag, delivery.count)  # type: ignore[operator]
            measured.records += delivery.count
            measured.ended = now
        if now - told_at >= TELL_EVERY_S:
            told_at = now
            tell(measured.records, measured.records * share.size)

    while sent < share.count:
        now = time.monotonic()
        due = share.count if share.rate is None else min(share.count, int((now - measured.began) * share.rate) + 1)
        size = min(due - sent, chunk)
        if size > 0:
            producer.produce_many(share.topic, values if size == chunk else values[:size], tag=now)
            sent += size
            take(0)
        else:
            take(max(1, int(TICK_S * 1000)))
            time.sleep(max(0.0, min(TICK_S, measured.began + sent / (share.rate or 1) - time.monotonic())))
    while producer.buffered:
        take(50)
    take(0)
    measured.bytes = measured.records * share.size
    return measured


def consume(consumer: Consumer, share: Share, tell: Tell) -> Measured:
    """Read the partitions of a share from their beginning to where they end now, or until there were enough records."""
    ends = consumer.end_offsets(share.partitions)
    consumer.assign(share.partitions)
    consumer.seek_to_beginning()
    left = {partition for partition in share.partitions if consumer.position(partition) < ends[partition]}
    measured = Measured()
    told_at = measured.began
    while left and measured.records < share.count:
        for batch in consumer.poll_batches(200):
            columns = batch.columns
            measured.records += len(columns)
            measured.bytes += batch.size
            partition = (batch.topic, batch.partition)
            if batch.next_offset >= ends[partition] and partition in left:
                left.discard(partition)
                consumer.pause(partition)
        measured.ended = time.monotonic()
        if measured.ended - told_at >= TELL_EVERY_S:
            told_at = measured.ended
            tell(measured.records, measured.bytes)
    return measured


def end_to_end(producer: Producer, consumer: Consumer, share: Share, tell: Tell) -> Measured:
    """Send one record at a time and wait until it comes back."""
    partition = share.partitions[0]
    consumer.assign([partition])
    consumer.seek_to_end(partition)
    consumer.position(partition)
    kinds = values_of(max(share.size, 16))
    measured = Measured()
    told_at = measured.began
    for number in range(share.count):
        if share.rate is not None:
            time.sleep(max(0.0, measured.began + number / share.rate - time.monotonic()))
        value = os.urandom(8).hex().encode() + kinds[number % KINDS_OF_VALUES][16:]
        sent_at = time.monotonic()
        producer.produce(share.topic, value, partition=partition[1])
        producer.flush()
        for delivery in producer.poll():
            if delivery.error is not None:
                raise delivery.error
        while not any(value in batch.columns.values for batch in consumer.poll_batches(1000)):
            pass
        measured.ended = time.monotonic()
        measured.latencies.add(measured.ended - sent_at)
        measured.records += 1
        measured.bytes += len(value)
        if measured.ended - told_at >= TELL_EVERY_S:
            told_at = measured.ended
            tell(measured.records, measured.bytes)
    return measured


def plain(measured: Measured) -> dict[str, Any]:
    """What a client measured, as JSON has it. Its times are those of the one clock that all processes of a machine share."""
    return {
        "records": measured.records,
        "bytes": measured.bytes,
        "began": measured.began,
        "ended": measured.ended,
        "latencies": list(measured.latencies.buckets.items()),
    }
