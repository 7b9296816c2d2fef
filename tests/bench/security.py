"""Rows about security: what it takes to come in with a password over TLS, and what TLS costs records in bulk."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import statistics
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import run_timed
from bench.throughput import LINE_BYTES, NO_PAUSE, lines_file
from support.certificates import Authority
from support.secure_brokers import PASSWORD, USER, SecureBroker, secure_engine, secure_kafka

CONNECTIONS = 20
TOPIC = "first"
numbers = itertools.count()


def security(directory: pathlib.Path, with_kafka: bool, count: int, rounds: int) -> Iterator[Figure]:
    """A client that comes in with SCRAM over TLS, on both brokers; kcat with TLS and without, on the engine."""
    place = directory / "security"
    place.mkdir()
    authority = Authority(place)
    first = Figure(
        "TLS and SCRAM-SHA-512, from no connection to the first acknowledged record, against Kafka", "ms", 1.0, 0.7, peer="kafka"
    )
    first.at_least = False
    produced = Figure("kcat -P acks=all over TLS, against without", "records/s", 0.5, 0.8, ours="tls", peer="plain")
    consumed = Figure("kcat -C that does not pause over TLS, against without", "records/s", 0.5, 0.8, ours="tls", peer="plain")
    produced.bound, consumed.bound = limits.written(LINE_BYTES), limits.read(LINE_BYTES)
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(secure_engine(place / "ev", authority=authority))
        brokers = {"ev": engine}
        if with_kafka:
            brokers["kafka"] = stack.enter_context(secure_kafka(authority))
        for broker in brokers.values():
            create(broker, TOPIC)

        def connect(who: str) -> None:
            first.add(who, statistics.median(1000 * time_to_first(brokers[who], authority) for _ in range(CONNECTIONS)))

        for who in brokers:  # warm up
            connect(who)
        first.samples.clear()
        in_turn(rounds, *[lambda who=who: connect(who) for who in brokers])
    yield first

    lines = lines_file(directory, count)
    with secure_engine(place / "bulk", authority=authority) as engine:
        ways = {
            "plain": ["-b", engine.open],
            "tls": ["-b", engine.tls, "-X", "security.protocol=ssl", "-X", f"ssl.ca.location={authority.certificate}"],
        }
        kept = {who: f"kept-{who}" for who in ways}

        def produce(who: str, topic: str) -> None:
            create(engine, topic)
            produced.add(who, count / run_timed(["kcat", *ways[who], "-P", "-t", topic, "-X", "acks=all"], source=lines))

        def consume(who: str) -> None:
            command = ["kcat", *ways[who], "-C", "-t", kept[who], "-p", "0", "-o", "beginning", "-e", "-q", *NO_PAUSE]
            consumed.add(who, count / run_timed(command))

        for who, topic in kept.items():
            produce(who, topic)
        produced.samples.clear()
        in_turn(rounds, *[lambda who=who: produce(who, f"bulk-{next(numbers)}") for who in ways])
        in_turn(rounds, *[lambda who=who: consume(who) for who in ways])
    yield from (produced, consumed)


def create(broker: SecureBroker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.open})
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(60)


def time_to_first(broker: SecureBroker, authority: Authority) -> float:
    """Seconds that a new client takes until its record is acknowledged."""
    failures: list[KafkaError | None] = []
    settings: dict[str, Any] = {"security.protocol": "SASL_SSL", "ssl.ca.location": str(authority.certificate), "linger.ms": 0}
    sasl = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "sasl.password": PASSWORD}
    began = time.perf_counter()
    producer = Producer({**settings, **sasl, "bootstrap.servers": broker.sasl_tls})
    producer.produce(TOPIC, b"value", on_delivery=lambda error, _: failures.append(error))
    left = producer.flush(30)
    took = time.perf_counter() - began
    if left or failures != [None]:
        raise RuntimeError(f"the record was not acknowledged: {failures}")
    return took
