"""The broker is killed while ev's client copies in transactions: the copy equals its source, whatever was lost on the way."""

from __future__ import annotations

import pathlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ev.client.producer import Producer
from support.apache_kafka import Kafka
from support.engine import Engine
from support.exact_copy import ExactCopier, make_topics, read_committed, read_committed_by_librdkafka
from support.waiting import wait_for

pytestmark = pytest.mark.crash
RECORDS = 4000


def expected(partition: int) -> list[bytes]:
    return [b"%d/%d" % (partition, number) for number in range(RECORDS)]


def copy_through_crashes(address: str, crash: Callable[[], None], crashes: int, seed: int) -> ExactCopier:
    """Copy everything while another thread crashes the broker, each time after some more transactions, at a moment that the seed draws."""
    make_topics(address, 2, "source", "target")
    with Producer(address, batch_bytes=500) as feeder:
        for partition in range(2):
            feeder.produce_many("source", expected(partition), partition=partition)
    copier = ExactCopier(address, "source", "target", "copier", batch_bytes=400)
    generator = random.Random(seed)
    over = threading.Event()

    def destroy() -> None:
        for _ in range(crashes):
            seen = copier.transactions
            wait_for(lambda seen=seen: over.is_set() or copier.transactions > seen + 3, "the copy to get on", 60)  # type: ignore[misc]
            over.wait(generator.uniform(0, 0.05))
            crash()

    with ThreadPoolExecutor(1) as pool:
        destroyer = pool.submit(destroy)
        try:
            while copier.copied < 2 * RECORDS or not destroyer.done():
                copier.turn()
        finally:
            over.set()
        destroyer.result()
    copier.close()
    return copier


def check(address: str, copier: ExactCopier, seed: int) -> None:
    """Per partition the same values in the same order, to every client."""
    summary = f"seed {seed}: {copier.aborted} aborted, {copier.asked_again} asked again, {copier.renewed} new producers"
    source = {partition: expected(partition) for partition in range(2)}
    assert read_committed(address, "target", 2) == source, summary
    assert read_committed_by_librdkafka(address, "target", 2) == source, summary
    assert copier.aborted > 0, summary


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_a_copy_is_exact_although_the_engine_is_killed(tmp_path: pathlib.Path, seed: int) -> None:
    """kill -9 four times, within reading, writing, committing and aborting."""
    with Engine(tmp_path / "engine") as engine:

        def crash() -> None:
            engine.kill()
            engine.start()

        check(engine.address, copy_through_crashes(engine.address, crash, 4, seed), seed)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_copy_is_exact_although_apache_kafka_is_killed(tmp_path: pathlib.Path) -> None:
    """The same on the broker that everybody knows."""
    with Kafka(directory=tmp_path / "kafka") as kafka:

        def crash() -> None:
            kafka.kill(1)
            kafka.start(1)
            kafka.wait_until_ready()

        check(kafka.bootstrap, copy_through_crashes(kafka.bootstrap, crash, 1, 9), 9)
