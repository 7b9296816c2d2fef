"""Rows about Python programs: ev's own client beside confluent-kafka, aiokafka and kafka-python, on the same broker, in this process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

from bench import limits
from bench.clients import CLIENTS, Wanted, confluent_consumer
from bench.figure import Figure, in_turn
from bench.peers import Peer, create_topic, delete_topic
from ev.client.consumer import Consumer
from ev.client.producer import Producer

VALUE_BYTES = 100
SLOWER = 10
"""How many times fewer records the clients get that take one at a time in pure Python."""
PURE_PYTHON = ("kafka-python", "aiokafka")
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
    many.bound = single.bound = limits.written(VALUE_BYTES)

    def measured(figure: Figure, who: str, produce: Callable[[str, str, list[bytes]], None], records: list[bytes]) -> None:
        topic = f"python-{next(numbers)}"
        create_topic(peer, topic)
        began = time.perf_counter()
        produce(peer.address, topic, records)
        figure.add(who, len(records) / (time.perf_counter() - began))
        delete_topic(peer, topic)

    def ours_many(address: str, topic: str, records: list[bytes]) -> None:
        with Producer(address) as producer:
            for start in range(0, len(records), 10_000):
                producer.produce_many(topic, records[start : start + 10_000])

    def by_itself(who: str) -> None:
        measured(single, who, CLIENTS[who].produce, values[: count // SLOWER] if who in PURE_PYTHON else values)

    in_turn(rounds, lambda: measured(many, "ev", ours_many, values), *[lambda who=who: by_itself(who) for who in CLIENTS])
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
    batches.bound = single.bound = limits.read(VALUE_BYTES)

    def measured(figure: Figure, who: str, consume: Callable[[str, Wanted], int], wanted: int) -> None:
        began = time.perf_counter()
        found = consume(peer.address, Wanted(topic, 1, wanted))
        figure.add(who, found / (time.perf_counter() - began))
        assert found >= wanted, f"{who} read {found} of {wanted}"

    def ours_batches(address: str, wanted: Wanted) -> int:
        found = 0
        with Consumer(address) as consumer:
            consumer.assign({(topic, 0): 0})
            while found < wanted.records:
                found += sum(len(batch.columns.values) for batch in consumer.poll_batches(1_000))
        return found

    def confluent_batches(address: str, wanted: Wanted) -> int:
        consumer, found = confluent_consumer(address, wanted), 0
        while found < wanted.records:
            found += len([message.value() for message in consumer.consume(10_000, 0.1)])
        consumer.close()
        return found

    def by_itself(who: str) -> None:
        measured(single, who, CLIENTS[who].consume, count // SLOWER if who in PURE_PYTHON else count)

    in_turn(
        rounds,
        lambda: measured(batches, "ev", ours_batches, count),
        lambda: measured(batches, "confluent-kafka", confluent_batches, count),
        *[lambda who=who: by_itself(who) for who in CLIENTS],
    )
    delete_topic(peer, topic)
    yield from (batches, single)
