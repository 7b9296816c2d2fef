"""A member of a consumer group, in one of three clients, that says when it was given what, what it handled and what it committed.

    python -m support.group_reader CLIENT ADDRESS TOPIC GROUP [--protocol classic|consumer] [--session MS] [--work S]

Records are handled (that takes up to S seconds for each batch), and then committed. Times are of the monotonic clock, which all processes
of a machine share. stdout gets

    ready TIME                              it can be told to stop
    given TIME PARTITION                    a turn begins: this partition is the member's from now on
    handled TIME PARTITION TURN FIRST LAST  these records, one after the other, polled in its so-manieth turn with the partition
    commit TIME PARTITION OFFSET            the member asks to commit this
    committed TIME PARTITION OFFSET         it was told that this is done: what it had asked last for the partition

SIGTERM makes it leave the group and end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from support.tally import Tally

BATCH_MAX = 50


Records = list[tuple[int, int]]
"""(partition, offset), in the order in which they came."""


class Report:
    """What a member says, and when it has to stop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random()  # only how long work takes
        self.tally = Tally.own()
        self.polled_count = self.committed_count = 0
        self.turns: Counter[int] = Counter()
        self.owned: set[int] = set()
        self.stopped = False
        signal.signal(signal.SIGTERM, self._stop)
        self._say("ready", [""])

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def given(self, partitions: Iterable[int]) -> None:
        named = list(partitions)
        self.turns.update(named)
        self.owned.update(named)
        self._say("given", [str(partition) for partition in named])

    def taken(self, partitions: Iterable[int]) -> None:
        self.owned.difference_update(partitions)

    def polled(self, count: int) -> tuple[float, Counter[int]]:
        """So many records came: how long they take, and the turns in which they came."""
        self.polled_count += count
        self.tally.put(self.polled_count, self.committed_count)
        return self.random.uniform(0, self.options.work), self.turns.copy()

    def handled(self, records: Records, turns: Counter[int]) -> dict[int, int]:
        """`turns`: as they were when the records were polled. Returns what is to be committed: what is still the member's."""
        runs: list[list[int]] = []
        ends: dict[int, int] = {}
        for partition, offset in records:
            if runs and runs[-1][0] == partition and runs[-1][2] + 1 == offset:
                runs[-1][2] = offset
            else:
                runs.append([partition, offset, offset])
            ends[partition] = offset + 1
        self._say("handled", [f"{partition} {turns[partition]} {first} {last}" for partition, first, last in runs])
        mine = {partition for partition in self.owned if turns[partition] == self.turns[partition]}
        ends = {partition: end for partition, end in ends.items() if partition in mine}
        self._say("commit", [f"{partition} {end}" for partition, end in ends.items()])
        return ends

    def committed(self, ends: dict[int, int]) -> None:
        self.committed_count = self.polled_count
        self.tally.put(self.polled_count, self.committed_count)
        self._say("committed", [f"{partition} {end}" for partition, end in ends.items()])

    @staticmethod
    def _say(word: str, lines: list[str]) -> None:
        now = time.monotonic()
        sys.stdout.write("".join(f"{word} {now:.6f} {line}\n" for line in lines))
        sys.stdout.flush()


def librdkafka(report: Report) -> None:
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    from support.transactional_copier import membership

    options = report.options
    settings: dict[str, Any] = {
        "bootstrap.servers": options.address,
        "group.id": options.group,
        "enable.auto.commit": False,
        "log_level": 0,
    }
    settings |= {"auto.offset.reset": "earliest", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}
    if options.protocol == "classic":
        settings["partition.assignment.strategy"] = "range"
    consumer = Consumer({**settings, **membership(options.protocol, options.session), "socket.timeout.ms": 5000})

    def taken(_: Any, places: Any) -> None:
        report.taken(place.partition for place in places)

    consumer.subscribe(
        [options.topic],
        on_assign=lambda _, places: report.given(place.partition for place in places),
        on_revoke=taken,
        on_lost=taken,
    )
    while not report.stopped:
        polled = [message for message in consumer.consume(BATCH_MAX, 0.1) if message.error() is None]
        if not polled:
            continue
        work_s, turns = report.polled(len(polled))
        time.sleep(work_s)
        ends = report.handled([(message.partition() or 0, message.offset() or 0) for message in polled], turns)
        if not ends:
            continue
        try:
            told = consumer.commit(
                offsets=[TopicPartition(options.topic, partition, end) for partition, end in ends.items()], asynchronous=False
            )
        except KafkaException:
            continue  # the group has moved on, or the broker is away: whoever reads it again commits it
        report.committed({place.partition: place.offset for place in told or () if place.error is None})
    consumer.close()


def aiokafka(report: Report) -> None:
    asyncio.run(aiokafka_loop(report))


async def aiokafka_loop(report: Report) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.errors import KafkaError

    options = report.options

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        async def on_partitions_revoked(self, revoked: Any) -> None:
            report.taken(place.partition for place in revoked)  # what was polled before is handled all the same, and not committed

        async def on_partitions_assigned(self, assigned: Any) -> None:
            report.given(place.partition for place in assigned)

    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.address,
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=options.session,
        heartbeat_interval_ms=max(1, options.session // 5),
        request_timeout_ms=5000,
        retry_backoff_ms=50,
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    consumer.subscribe([options.topic], listener=Listener())
    await consumer.start()
    while not report.stopped:
        polled = await consumer.getmany(timeout_ms=100, max_records=BATCH_MAX)
        records = [(place.partition, record.offset) for place, found in polled.items() for record in found]
        if not records:
            continue
        work_s, turns = report.polled(len(records))
        await asyncio.sleep(work_s)
        ends = report.handled(records, turns)
        if not ends:
            continue
        try:
            await consumer.commit({TopicPartition(options.topic, partition): end for partition, end in ends.items()})
        except (KafkaError, TimeoutError):
            continue
        report.committed(ends)
    with contextlib.suppress(KafkaError):  # its last heartbeat may find the group rebalancing
        await consumer.stop()


def ev(report: Report) -> None:
    from ev.client import Consumer
    from ev.errors import KafkaError, TimedOutError, UnreachableError

    options = report.options
    own: dict[str, Any] = {"session_timeout_ms": options.session, "heartbeat_interval_ms": max(1, options.session // 5)}
    consumer = Consumer(
        options.address,
        group=options.group,
        group_protocol=options.protocol,
        timeout_ms=5000,
        request_timeout_ms=5000,
        max_wait_ms=100,
        **(own if options.protocol == "classic" else {}),
    )

    consumer.subscribe(
        [options.topic],
        on_assigned=lambda places: report.given(partition for _, partition in places),
        on_revoked=lambda places: report.taken(partition for _, partition in places),
    )
    while not report.stopped:
        polled = consumer.poll(100, BATCH_MAX)
        if not polled:
            continue
        work_s, turns = report.polled(len(polled))
        time.sleep(work_s)
        ends = report.handled([(record.partition, record.offset) for record in polled], turns)
        if not ends:
            continue
        try:
            consumer.commit({(options.topic, partition): end for partition, end in ends.items()})
        except (KafkaError, TimedOutError, UnreachableError):
            continue
        report.committed(ends)
    consumer.close()


CLIENTS = {"librdkafka": librdkafka, "aiokafka": aiokafka, "ev": ev}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for name in ("client", "address", "topic", "group"):
        parser.add_argument(name)
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--session", type=int, default=10_000)
    parser.add_argument("--work", type=float, default=0)
    report = Report(parser.parse_args(arguments))
    CLIENTS[report.options.client](report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
