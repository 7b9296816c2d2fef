"""A producer process that says what it was told: one of four clients, idempotent, acks=all, five requests in flight.

    python -m support.verifying_producer CLIENT ADDRESS TOPIC PARTITIONS NAME RATE

Record number n goes to partition n mod PARTITIONS and holds `NAME:n:` and some filling. stdout gets a line `acked PARTITION OFFSET n` for
each acknowledged record and `fatal WHAT` for anything that a client must survive and did not; SIGTERM ends it, after a flush, with
a line `sent COUNT`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from support.tally import Tally

FILLING = b"." * 380
BATCH_RECORDS = 4
BATCH_BYTES = BATCH_RECORDS * 420
"""Small, so that after a crash a producer has several batches in flight to each partition."""
OUTSTANDING_MAX = 1000
FLUSH_S = 60


class Script:
    """What all four send: paced, bounded, until they are told to stop."""

    def __init__(self, topic: str, partitions: int, name: str, rate: int) -> None:
        self.topic = topic
        self.partitions = partitions
        self.name = name
        self.rate = rate
        self.stopped = self.broken = False
        self.sent = 0
        self.answered = 0
        self.tally = Tally.own()
        self.began = time.monotonic()
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def next_record(self) -> tuple[int, int, bytes] | None:
        """(number, partition, value) when the next record is due and may be sent."""
        if self.sent - self.answered >= OUTSTANDING_MAX or self.sent >= (time.monotonic() - self.began) * self.rate:
            return None
        number = self.sent
        self.sent += 1
        self.tally.put(self.sent, self.answered)
        return number, number % self.partitions, b"%s:%d:" % (self.name.encode(), number) + FILLING

    def acked(self, number: int, partition: int, offset: int) -> None:
        self.answered += 1
        self.tally.put(self.sent, self.answered)
        say(f"acked {partition} {offset} {number}")

    def failed(self, number: int, problem: object) -> None:
        self.answered += 1
        self.tally.put(self.sent, self.answered)
        say(f"fatal record {number}: {problem!r}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def librdkafka(address: str, script: Script) -> None:
    from confluent_kafka import KafkaException, Producer

    def complain(error: Any) -> None:
        if error.fatal() and not script.broken:
            script.broken = True
            say(f"fatal {error}")

    def told(number: int) -> Callable[[Any, Any], None]:
        def callback(error: Any, message: Any) -> None:
            if error is None:
                script.acked(number, message.partition(), message.offset())
            else:
                script.failed(number, error)

        return callback

    settings: dict[str, Any] = {"enable.idempotence": True, "acks": "all", "max.in.flight.requests.per.connection": 5}
    settings |= {"linger.ms": 2, "batch.num.messages": BATCH_RECORDS, "message.timeout.ms": 120_000, "reconnect.backoff.ms": 20}
    settings |= {"reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "error_cb": complain}
    producer = Producer({"bootstrap.servers": address, "log_level": 0, **settings})
    while not script.stopped and not script.broken:
        record = script.next_record()
        if record is None:
            producer.poll(0.002)
            continue
        try:
            producer.produce(script.topic, record[2], partition=record[1], on_delivery=told(record[0]))
            producer.poll(0)
        except KafkaException as problem:
            script.failed(record[0], problem)
            script.broken = True
    producer.flush(1 if script.broken else FLUSH_S)


def kafka_python(address: str, script: Script) -> None:
    from kafka import KafkaProducer

    settings: dict[str, Any] = {"enable_idempotence": True, "acks": "all", "max_in_flight_requests_per_connection": 5, "linger_ms": 2}
    settings |= {"batch_size": BATCH_BYTES, "reconnect_backoff_ms": 20, "reconnect_backoff_max_ms": 200, "retry_backoff_ms": 20}
    producer = KafkaProducer(bootstrap_servers=address, **settings)
    while not script.stopped:
        record = script.next_record()
        if record is None:
            time.sleep(0.002)
            continue
        number = record[0]
        future = producer.send(script.topic, record[2], partition=record[1])
        future.add_callback(lambda told, number=number: script.acked(number, told.partition, told.offset))
        future.add_errback(lambda problem, number=number: script.failed(number, problem))
    producer.flush(FLUSH_S)
    producer.close(5)


def aiokafka(address: str, script: Script) -> None:
    asyncio.run(aiokafka_loop(address, script))


async def aiokafka_loop(address: str, script: Script) -> None:
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(
        bootstrap_servers=address, enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=BATCH_BYTES, retry_backoff_ms=20
    )
    await producer.start()
    open_answers: set[asyncio.Future[Any]] = set()

    def told(number: int) -> Callable[[asyncio.Future[Any]], None]:
        def callback(future: asyncio.Future[Any]) -> None:
            open_answers.discard(future)
            if future.exception() is None:
                script.acked(number, future.result().partition, future.result().offset)
            else:
                script.failed(number, future.exception())

        return callback

    while not script.stopped:
        record = script.next_record()
        if record is None:
            await asyncio.sleep(0.002)
            continue
        future = await producer.send(script.topic, record[2], partition=record[1])
        open_answers.add(future)
        future.add_done_callback(told(record[0]))
    await asyncio.wait_for(producer.flush(), FLUSH_S)
    if open_answers:
        await asyncio.wait(open_answers, timeout=FLUSH_S)
    await producer.stop()


def ev(address: str, script: Script) -> None:
    from ev.client import Producer

    producer = Producer(address, acks="all", idempotence=True, linger_ms=2, batch_bytes=BATCH_BYTES, in_flight=5)

    def take(deliveries: Iterator[Any]) -> None:
        for delivery in deliveries:
            if delivery.error is not None:
                script.failed(delivery.tag, delivery.error)
            else:
                script.acked(delivery.tag, delivery.partition, delivery.base_offset)

    while not script.stopped:
        record = script.next_record()
        if record is None:
            take(iter(producer.poll(2)))
            continue
        producer.produce_many(script.topic, [record[2]], partition=record[1], tag=record[0])
        take(iter(producer.poll(0)))
    deadline = time.monotonic() + FLUSH_S
    while producer.buffered and time.monotonic() < deadline:
        take(iter(producer.poll(100)))
    take(iter(producer.poll(0)))
    producer.close()


CLIENTS = {"librdkafka": librdkafka, "kafka-python": kafka_python, "aiokafka": aiokafka, "ev": ev}


def main(arguments: list[str]) -> int:
    client, address, topic, partitions, name, rate = arguments
    script = Script(topic, int(partitions), name, int(rate))
    CLIENTS[client](address, script)
    if script.answered != script.sent:
        say(f"fatal {script.sent - script.answered} records were neither acknowledged nor refused")
    say(f"sent {script.sent}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
