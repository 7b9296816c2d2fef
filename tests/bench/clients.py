"""The Python clients side by side: each with one function that produces (acks=all) and one that reads from the beginning.

As a program it is one client in a process of its own, for as many at once as a row wants. It is told what to do in lines of JSON on stdin
and answers each with a line: `python clients.py NAME ADDRESS`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import aiokafka
import confluent_kafka
import kafka

from ev.client.consumer import Consumer
from ev.client.producer import Producer

TIME_LOOKED_AT = 16


class Wanted(NamedTuple):
    """What a reader shall read: a number of records of all partitions of a topic, or what it gets within the time."""

    topic: str
    partitions: int
    records: int
    seconds: float = 600.0

    @property
    def until(self) -> float:
        return time.perf_counter() + self.seconds


class Client(NamedTuple):
    """`produce(address, topic, values)` returns when all are acknowledged, `consume(address, wanted)` with how many it has read."""

    produce: Callable[[str, str, Iterable[bytes]], None]
    consume: Callable[[str, Wanted], int]


# ---- ev


def produce_with_ev(address: str, topic: str, values: Iterable[bytes]) -> None:
    with Producer(address) as producer:
        for value in values:
            producer.produce(topic, value)


def consume_with_ev(address: str, wanted: Wanted) -> int:
    found, until = 0, wanted.until
    with Consumer(address) as consumer:
        consumer.assign({(wanted.topic, index): 0 for index in range(wanted.partitions)})
        while found < wanted.records and time.perf_counter() < until:
            for record in consumer.poll(1_000):
                found += record.value is not None
    return found


# ---- confluent-kafka


def produce_with_confluent(address: str, topic: str, values: Iterable[bytes]) -> None:
    settings = {"bootstrap.servers": address, "acks": "all", "enable.idempotence": True, "queue.buffering.max.messages": 1_000_000}
    producer = confluent_kafka.Producer(settings)
    for value in values:
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.01)
    assert producer.flush(60) == 0


def confluent_consumer(address: str, wanted: Wanted) -> confluent_kafka.Consumer:
    settings = {"bootstrap.servers": address, "group.id": wanted.topic, "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer({**settings, "queued.min.messages": 10_000_000, "queued.max.messages.kbytes": 2_097_151})
    consumer.assign([confluent_kafka.TopicPartition(wanted.topic, index, 0) for index in range(wanted.partitions)])
    return consumer


def consume_with_confluent(address: str, wanted: Wanted) -> int:
    consumer, found, until = confluent_consumer(address, wanted), 0, wanted.until
    while found < wanted.records and time.perf_counter() < until:
        message = consumer.poll(1)
        if message is not None:
            found += message.value() is not None
    consumer.close()
    return found


# ---- kafka-python


def produce_with_kafka_python(address: str, topic: str, values: Iterable[bytes]) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=address, acks="all")
    for value in values:
        producer.send(topic, value)
    producer.flush(60)
    producer.close()


def consume_with_kafka_python(address: str, wanted: Wanted) -> int:
    consumer, found, until = kafka.KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest"), 0, wanted.until
    consumer.assign([kafka.TopicPartition(wanted.topic, index) for index in range(wanted.partitions)])
    consumer.seek_to_beginning()
    while found < wanted.records and time.perf_counter() < until:
        found += sum(len(records) for records in consumer.poll(1_000).values())
    consumer.close()
    return found


# ---- aiokafka


def produce_with_aiokafka(address: str, topic: str, values: Iterable[bytes]) -> None:
    async def produce() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=address, acks="all", linger_ms=5)
        await producer.start()
        last = [await producer.send(topic, value) for value in values][-1]
        await last
        await producer.stop()  # also sends what other partitions still have

    asyncio.run(produce())


def consume_with_aiokafka(address: str, wanted: Wanted) -> int:
    async def consume() -> int:
        consumer, found, until = aiokafka.AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest"), 0, wanted.until
        await consumer.start()
        consumer.assign([aiokafka.TopicPartition(wanted.topic, index) for index in range(wanted.partitions)])
        while found < wanted.records and time.perf_counter() < until:
            found += sum(len(records) for records in (await consumer.getmany(timeout_ms=1_000)).values())
        await consumer.stop()
        return found

    return asyncio.run(consume())


CLIENTS = {
    "ev": Client(produce_with_ev, consume_with_ev),
    "confluent-kafka": Client(produce_with_confluent, consume_with_confluent),
    "aiokafka": Client(produce_with_aiokafka, consume_with_aiokafka),
    "kafka-python": Client(produce_with_kafka_python, consume_with_kafka_python),
}


# ---- one of them as a process


class Stream:
    """The same value again and again, at most so often and for so many seconds; `count` says how many it were."""

    def __init__(self, value: bytes, most: int, seconds: float) -> None:
        self.value, self.most, self.seconds, self.count = value, most, seconds, 0

    def __iter__(self) -> Iterator[bytes]:
        until = time.perf_counter() + self.seconds
        while self.count < self.most and (self.count % TIME_LOOKED_AT or time.perf_counter() < until):
            self.count += 1
            yield self.value


def done(client: Client, address: str, told: dict[str, Any]) -> int:
    """How many records the client has written or read."""
    if told["do"] == "produce":
        values = Stream(b"x" * told["size"], told["records"], told["seconds"])
        client.produce(address, told["topic"], values)
        return values.count
    return client.consume(address, Wanted(told["topic"], told["partitions"], told["records"], told["seconds"]))


def main(name: str, address: str) -> None:
    client = CLIENTS[name]
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"records": done(client, address, json.loads(line))}
        except (Exception, asyncio.CancelledError) as error:  # any of four libraries
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
