"""Rows about Python programs: ev's own client beside confluent-kafka, aiokafka and kafka-python, on the same broker, in this process."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator

import aiokafka
import confluent_kafka
import kafka

from bench.figure import Figure, in_turn
from bench.peers import Peer, create_topic, delete_topic
from ev.client.consumer import Consumer
from ev.client.producer import Producer

VALUE_BYTES = 100
SLOWER = 10
"""How many times fewer records the clients get that take one at a time in pure Python."""
numbers = itertools.count()


def values_of(count: int) -> list[bytes]:
    """`count` different values of 100 bytes."""
    return [b"%0*d" % (VALUE_BYTES, number) for number in range(count)]


def python_clients(peers: list[Peer], count: int, rounds: int) -> Iterator[Figure]:
    for peer in peers:
        yield from producing(peer, count, rounds)
        yield from consuming(peer, count, rounds)


def producing(peer: Peer, count: int, rounds: int) -> Iterator[Figure]:
    """From lists that are there to everything acknowledged (acks=all)."""
    values = values_of(count)
    unit = "records/s"
    many = Figure(f"produce_many in Python on {peer.name}, against confluent-kafka's produce", unit, 3.0, 5.0, peer="confluent-kafka")
    single = Figure(f"produce record by record in Python on {peer.name}, against confluent-kafka", unit, 1.0, 1.5, peer="confluent-kafka")

    def measured(figure: Figure, who: str, produce: Callable[[str, list[bytes]], None], records: list[bytes]) -> None:
        topic = f"python-{next(numbers)}"
        create_topic(peer, topic)
        began = time.perf_counter()
        produce(topic, records)
        figure.add(who, len(records) / (time.perf_counter() - began))
        delete_topic(peer, topic)

    def ours_many(topic: str, records: list[bytes]) -> None:
        with Producer(peer.address) as producer:
            for start in range(0, len(records), 10_000):
                producer.produce_many(topic, records[start : start + 10_000])

    def ours_single(topic: str, records: list[bytes]) -> None:
        with Producer(peer.address) as producer:
            for value in records:
                producer.produce(topic, value)

    def confluent(topic: str, records: list[bytes]) -> None:
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": peer.address, "acks": "all", "enable.idempotence": True, "queue.buffering.max.messages": 1_000_000}
        )
        for value in records:
            while True:
                try:
                    producer.produce(topic, value)
                    break
                except BufferError:
                    producer.poll(0.01)
        assert producer.flush(60) == 0

    def older(topic: str, records: list[bytes]) -> None:
        producer = kafka.KafkaProducer(bootstrap_servers=peer.address, acks="all")
        for value in records:
            producer.send(topic, value)
        producer.flush(60)
        producer.close()

    def asynchronous(topic: str, records: list[bytes]) -> None:
        async def produce() -> None:
            producer = aiokafka.AIOKafkaProducer(bootstrap_servers=peer.address, acks="all", linger_ms=5)
            await producer.start()
            last = [await producer.send(topic, value) for value in records][-1]
            await last
            await producer.stop()

        asyncio.run(produce())

    few = values[: count // SLOWER]
    in_turn(
        rounds,
        lambda: measured(many, "ev", ours_many, values),
        lambda: measured(single, "ev", ours_single, values),
        lambda: measured(single, "confluent-kafka", confluent, values),
        lambda: measured(single, "kafka-python", older, few),
        lambda: measured(single, "aiokafka", asynchronous, few),
    )
    many.samples["confluent-kafka"] = list(single.samples["confluent-kafka"])
    yield from (many, single)


def consuming(peer: Peer, count: int, rounds: int) -> Iterator[Figure]:
    """Every value of a topic in one partition, in the hands of the program, from the first to the last."""
    topic = f"python-{next(numbers)}"
    create_topic(peer, topic)
    with Producer(peer.address) as producer:
        producer.produce_many(topic, values_of(count))
    unit = "records/s"
    batches = Figure(f"poll_batches in Python on {peer.name}, against confluent-kafka's consume", unit, 2.0, 3.0, peer="confluent-kafka")
    single = Figure(f"records one by one in Python on {peer.name}, against confluent-kafka's poll", unit, 1.0, 1.5, peer="confluent-kafka")

    def measured(figure: Figure, who: str, consume: Callable[[int], int], wanted: int) -> None:
        began = time.perf_counter()
        found = consume(wanted)
        figure.add(who, found / (time.perf_counter() - began))
        assert found >= wanted, f"{who} read {found} of {wanted}"

    def ours_batches(wanted: int) -> int:
        found = 0
        with Consumer(peer.address) as consumer:
            consumer.assign({(topic, 0): 0})
            while found < wanted:
                found += sum(len(batch.columns.values) for batch in consumer.poll_batches(1_000))
        return found

    def ours_single(wanted: int) -> int:
        found = size = 0
        with Consumer(peer.address) as consumer:
            consumer.assign({(topic, 0): 0})
            while found < wanted:
                for record in consumer.poll(1_000):
                    found += 1
                    size += len(record.value or b"")
        return found

    def confluent_consumer() -> confluent_kafka.Consumer:
        settings = {"bootstrap.servers": peer.address, "group.id": topic, "enable.auto.commit": False}
        consumer = confluent_kafka.Consumer({**settings, "queued.min.messages": 10_000_000, "queued.max.messages.kbytes": 2_097_151})
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        return consumer

    def confluent_batches(wanted: int) -> int:
        consumer, found = confluent_consumer(), 0
        while found < wanted:
            found += len([message.value() for message in consumer.consume(10_000, 0.1)])
        consumer.close()
        return found

    def confluent_single(wanted: int) -> int:
        consumer, found, size = confluent_consumer(), 0, 0
        while found < wanted:
            message = consumer.poll(1)
            if message is not None:
                found += 1
                size += len(message.value() or b"")
        consumer.close()
        return found

    def older(wanted: int) -> int:
        consumer, found = kafka.KafkaConsumer(bootstrap_servers=peer.address, auto_offset_reset="earliest"), 0
        consumer.assign([kafka.TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        while found < wanted:
            found += sum(len(records) for records in consumer.poll(1_000).values())
        consumer.close()
        return found

    def asynchronous(wanted: int) -> int:
        async def consume() -> int:
            consumer, found = aiokafka.AIOKafkaConsumer(bootstrap_servers=peer.address, auto_offset_reset="earliest"), 0
            await consumer.start()
            consumer.assign([aiokafka.TopicPartition(topic, 0)])
            while found < wanted:
                found += sum(len(records) for records in (await consumer.getmany(timeout_ms=1_000)).values())
            await consumer.stop()
            return found

        return asyncio.run(consume())

    few = count // SLOWER
    in_turn(
        rounds,
        lambda: measured(batches, "ev", ours_batches, count),
        lambda: measured(batches, "confluent-kafka", confluent_batches, count),
        lambda: measured(single, "ev", ours_single, count),
        lambda: measured(single, "confluent-kafka", confluent_single, count),
        lambda: measured(single, "kafka-python", older, few),
        lambda: measured(single, "aiokafka", asynchronous, few),
    )
    delete_topic(peer, topic)
    yield from (batches, single)
