"""Rows about small requests: how many per second, how late, end to end."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import EvPeer, Peer, create_topic
from support.engine import environment
from support.waiting import wait_for

numbers = itertools.count()


def load(
    program: str, peer: Peer, topic: str, connections: int, partitions: int, size: int, seconds: float, acks: int, depth: int
) -> dict[str, float]:
    """One run of load.c; RuntimeError when a request was refused."""
    port = peer.address.rpartition(":")[2]
    words = [port, topic, connections, partitions, size, seconds, acks, depth]
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"load against {peer.name}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    if found["errors"]:
        raise RuntimeError(f"load against {peer.name}: {found['errors']} requests failed, the first with {found['first_error']}")
    return found


def warm_up(program: str, peer: Peer, topic: str, seconds: float) -> None:
    """Load a new topic until no partition says any more that it has no leader yet."""

    def served() -> bool:
        try:
            load(program, peer, topic, 16, 100, 1024, seconds, -1, 1)
        except RuntimeError:
            return False
        return True

    wait_for(served, f"{topic} to be served by {peer.name}", 60)


def closed_loop(ev: Peer, kafka: Peer | None, program: str, rounds: int, seconds: float) -> Iterator[Figure]:
    """Requests per second and the 99th percentile with one record per request, in six shapes."""
    peers = [ev] + ([kafka] if kafka else [])
    one, hundred = f"one-{next(numbers)}", f"hundred-{next(numbers)}"
    for peer in peers:
        create_topic(peer, one)
        create_topic(peer, hundred, 100)
    shapes: list[tuple[str, str, int, int, int, int, int, float, float, bool]] = [
        ("one connection, 100 B, 50 in flight, acks=all", one, 1, 1, 100, -1, 50, 2.0, 4.0, False),
        ("one connection, 100 B, one in flight, acks=1", one, 1, 1, 100, 1, 1, 0.7, 1.0, False),
        ("one connection, 100 B, one in flight, acks=all", one, 1, 1, 100, -1, 1, 0.35, 0.5, False),
        ("16 connections, one partition, 1 KB, acks=all", one, 16, 1, 1024, -1, 1, 0.6, 0.9, True),
        ("16 connections, 100 partitions, 1 KB, acks=all", hundred, 16, 100, 1024, -1, 1, 0.5, 0.9, True),
        ("100 connections, 100 partitions, 1 KB, acks=all", hundred, 100, 100, 1024, -1, 1, 0.5, 0.9, True),
    ]
    for peer in peers:
        warm_up(program, peer, hundred, 2 * seconds)
    for name, topic, connections, partitions, size, acks, depth, must, reach, with_p99 in shapes:
        rate = Figure(f"{name}, against Kafka", "requests/s", must, reach, peer="kafka")
        rate.bound = limits.synced(connections * depth) if acks == -1 else limits.answered(connections * depth)
        late_reach = 0.5 if partitions == 1 else 0.6
        late = Figure(f"{name}, against Kafka: p99", "ms", 1.0, late_reach, at_least=False, peer="kafka")

        def measure(
            peer: Peer,
            rate: Figure = rate,
            late: Figure = late,
            topic: str = topic,
            connections: int = connections,
            partitions: int = partitions,
            size: int = size,
            acks: int = acks,
            depth: int = depth,
        ) -> None:
            before = rounds_of(peer)
            found = load(program, peer, topic, connections, partitions, size, seconds, acks, depth)
            rate.add(peer.name, found["requests_s"])
            late.add(peer.name, found["p99_ms"])
            after = rounds_of(peer)
            if after is not None and before is not None:
                count = max(after[0] - before[0], 1)
                rate.note = f"ev: {count / seconds:.0f} rounds/s, {(after[1] - before[1]) / count:.1f} dirty files a round"

        in_turn(rounds, *[lambda peer=peer, measure=measure: measure(peer) for peer in peers])
        yield rate
        if with_p99:
            yield late


def rounds_of(peer: Peer) -> tuple[float, float] | None:
    """(rounds, the partitions of each of them added up) of the engine so far; None for another broker."""
    return (peer.figure("ev_commit_rounds_total"), peer.figure("ev_commit_partitions_total")) if isinstance(peer, EvPeer) else None


def end_to_end(ev: Peer, kafka: Peer | None, rounds: int, seconds: float) -> Iterator[Figure]:
    """From produce() to the record in another process's hands at 1,000 records/s, through librdkafka on both sides."""
    peers = [ev] + ([kafka] if kafka else [])
    middle = Figure("end to end at 1,000 records/s, against Kafka: p50", "ms", 1.5, 1.0, at_least=False, peer="kafka")
    late = Figure("end to end at 1,000 records/s, against Kafka: p99", "ms", 1.0, 0.5, at_least=False, peer="kafka")

    def measure(peer: Peer) -> None:
        topic = f"end-to-end-{next(numbers)}"
        create_topic(peer, topic)
        took_ms = sorted(journey(peer.address, topic, seconds))
        middle.add(peer.name, statistics.median(took_ms))
        late.add(peer.name, took_ms[int(len(took_ms) * 0.99)])

    for peer in peers:
        measure(peer)
    middle.samples.clear()
    late.samples.clear()
    in_turn(rounds, *[lambda peer=peer: measure(peer) for peer in peers])
    yield from (middle, late)


def journey(address: str, topic: str, seconds: float) -> list[float]:
    """Milliseconds from produce to poll for each record of a paced stream; the sender is a process of its own."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "enable.auto.commit": "false", "fetch.wait.max.ms": "500"})
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    variables = environment(PYTHONPATH=os.pathsep.join(sys.path))
    sender = subprocess.Popen([sys.executable, "-P", __file__, address, topic, str(seconds)], env=variables)
    took_ms: list[float] = []
    deadline = time.monotonic() + seconds + 20
    wanted = int(seconds * 1000)
    warm = min(500, wanted // 4)
    while len(took_ms) < wanted and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            took_ms.append((time.monotonic_ns() - int(message.value() or b"0")) / 1e6)
        elif sender.poll() is not None and message is None:
            break
    consumer.close()
    sender.wait()
    return took_ms[warm:]


def send_paced(address: str, topic: str, seconds: float) -> None:
    """Send 1,000 records a second, each holding the time of its sending."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": "0", "acks": "all"})
    answered: list[object] = []
    producer.produce(topic, str(time.monotonic_ns()), on_delivery=lambda error, message: answered.append(error))
    wait_for(lambda: producer.poll(0.1) >= 0 and bool(answered), "the first record")
    began = time.monotonic()
    for number in range(int(seconds * 1000)):
        pause_s = began + number / 1000 - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)
        producer.produce(topic, str(time.monotonic_ns()))
        producer.poll(0)
    producer.flush(30)


if __name__ == "__main__":
    send_paced(sys.argv[1], sys.argv[2], float(sys.argv[3]))
