"""Rows about transactions: how many a second, what they cost records in bulk, and how fast committed records are read."""

from __future__ import annotations

import itertools
import pathlib
import time
from collections.abc import Iterator

from confluent_kafka import Producer

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import Peer, create_topic, delete_topic, run_timed
from bench.throughput import NO_PAUSE, kcat_consume, kcat_produce, lines_file
from ev.client.producer import Producer as OurProducer

VALUE = bytes(1024)
RECORDS_OF_BULK = 1000
CODECS = ("lz4", "zstd")
numbers = itertools.count()


def transactions(ev: Peer, kafka: Peer | None, directory: pathlib.Path, count: int, rounds: int, seconds: float) -> Iterator[Figure]:
    """Both brokers under one transactional producer (librdkafka), and under kcat that reads what was committed."""
    peers = [ev] + ([kafka] if kafka else [])
    single = Figure("transactions of 1 record, against Kafka", "transactions/s", 2.0, 5.0, peer="kafka")
    bulk = Figure("records of 1 KiB in transactions of 1,000, against Kafka", "records/s", 1.0, 1.3, peer="kafka")
    own = Figure("transactions of 1 record of ev's own client, against librdkafka, on ev", "transactions/s", 1.0, 1.5, peer="librdkafka")
    committed = Figure(
        "kcat -C, read_committed, that does not pause, over such transactions, against Kafka", "records/s", 1.0, 1.3, peer="kafka"
    )
    compressed = {
        codec: Figure(f"kcat -P acks=all with {codec} from the producer, against Kafka", "records/s", 1.0, 1.3, peer="kafka")
        for codec in CODECS
    }
    single.bound, bulk.bound, committed.bound = limits.synced(), limits.written(len(VALUE)), limits.read(len(VALUE))
    lines = lines_file(directory, count)
    topics = {peer.name: f"committed-{next(numbers)}" for peer in peers}

    def write(peer: Peer) -> None:
        topic = f"transactions-{next(numbers)}"
        create_topic(peer, topic)
        alone = rate(peer, topic, 1, seconds)
        single.add(peer.name, alone)
        own.add(peer.name if peer is ev else f"ev's client on {peer.name}", rate_of_ours(peer, topic + "-ours", topic, seconds))
        own.add("librdkafka" if peer is ev else f"librdkafka on {peer.name}", alone)
        bulk.add(peer.name, rate(peer, topic, RECORDS_OF_BULK, seconds))
        delete_topic(peer, topic)

    def read(peer: Peer) -> None:
        command = [*kcat_consume(peer, topics[peer.name]), "-X", "isolation.level=read_committed", *NO_PAUSE]
        committed.add(peer.name, filled[peer.name] / run_timed(command))

    def compress(peer: Peer) -> None:
        for codec, figure in compressed.items():
            topic = f"compressed-{next(numbers)}"
            create_topic(peer, topic)
            figure.add(peer.name, count / run_timed([*kcat_produce(peer, topic), "-z", codec], source=lines))
            delete_topic(peer, topic)

    def warm(peer: Peer) -> int:
        create_topic(peer, topics[peer.name])
        write(peer)
        compress(peer)
        return fill(peer, topics[peer.name], count // 4)

    filled = {peer.name: warm(peer) for peer in peers}
    for peer in peers:
        read(peer)
    for figure in (single, own, bulk, committed, *compressed.values()):
        figure.samples.clear()
    for measure in (write, read, compress):
        in_turn(rounds, *[lambda peer=peer, measure=measure: measure(peer) for peer in peers])
    yield from (single, own, bulk, committed, *compressed.values())


def transactional(peer: Peer, transactional_id: str) -> Producer:
    producer = Producer({"bootstrap.servers": peer.address, "transactional.id": transactional_id, "linger.ms": 0})
    producer.init_transactions(30)
    return producer


def commit(producer: Producer, topic: str, records: int) -> None:
    producer.begin_transaction()
    for _ in range(records):
        producer.produce(topic, VALUE, partition=0)
    producer.commit_transaction(30)


def rate(peer: Peer, topic: str, records: int, seconds: float) -> float:
    """Committed a second: records, or transactions when each holds one."""
    producer = transactional(peer, topic)
    commit(producer, topic, records)
    began, done = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        commit(producer, topic, records)
        done += records
    return done / (time.perf_counter() - began)


def rate_of_ours(peer: Peer, transactional_id: str, topic: str, seconds: float) -> float:
    """Transactions of one record that ev's client commits in a second."""
    with OurProducer(peer.address, transactional_id=transactional_id, linger_ms=0) as producer:
        producer.init_transactions()
        began, done = 0.0, -1
        while done < 0 or time.perf_counter() < began + seconds:
            with producer.transaction():
                producer.produce(topic, VALUE, partition=0)
            done += 1
            began = began or time.perf_counter()
        return done / (time.perf_counter() - began)


def fill(peer: Peer, topic: str, count: int) -> int:
    """Write about `count` records in committed transactions of 1,000, and return how many."""
    producer = transactional(peer, topic)
    rounds = count // RECORDS_OF_BULK
    for _ in range(rounds):
        commit(producer, topic, RECORDS_OF_BULK)
    return rounds * RECORDS_OF_BULK
