"""A process that copies one topic to another in transactions, with the offsets that it has read, through librdkafka.

    python -m support.transactional_copier ADDRESS SOURCE TARGET NAME [--group G] [--protocol classic|consumer] [--session MS]
        [--timeout MS] [--work S] [--most RECORDS]

Each record goes to the partition of the same number. stdout gets `copied COUNT` after each transaction that was committed, `aborted` and
`again WHAT` when one was given up or the producer had to begin anew, and `fatal WHAT` for what a client must survive and did not.
Every fifth transaction is aborted on purpose. SIGTERM ends it.

NAME is the transactional id and, unless said otherwise, the group. Copiers of one group share the source's partitions, and whichever of
them loses its place in the group in the middle of a transaction must not be able to commit it (KIP-447).
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from support.tally import Tally
from support.transactional_client import NO_REBOOTSTRAP, PATIENCE_S, QUICK, patiently, say

TRANSACTION_RECORDS_MAX = 40


class Copier:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stopped = False
        self.copied = self.transactions = self.ended = 0
        self.random = random.Random(options.name)
        self.tally = Tally.own()
        self.rebalanced = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def run(self) -> None:
        """Copy until told to stop; what ends a producer for good is answered by a new one, which fences it."""
        options = self.options
        while not self.stopped:
            settings: dict[str, Any] = {"bootstrap.servers": options.address, **QUICK, **NO_REBOOTSTRAP}
            producer = Producer({**settings, "transactional.id": options.name, "transaction.timeout.ms": options.timeout, "linger.ms": 1})
            consumer = Consumer(
                {
                    **settings,
                    **membership(options.protocol, options.session),
                    "group.id": options.group or options.name,
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                }
            )
            try:
                patiently(producer.init_transactions)
                consumer.subscribe([options.source], on_assign=self._rebalance, on_revoke=self._rebalance, on_lost=self._rebalance)
                while not self.stopped:
                    self._transaction(producer, consumer)
            except KafkaException as problem:
                say(f"again {problem}")
            finally:
                consumer.close()

    def _rebalance(self, *_: object) -> None:
        self.rebalanced = True

    def _transaction(self, producer: Producer, consumer: Consumer) -> None:
        # Who it is is asked before it works: afterwards librdkafka may know that its place is lost, and say that it is nobody in
        # particular, from whom a broker takes any offsets.
        self.rebalanced = False
        member = consumer.consumer_group_metadata()
        messages = [message for message in consumer.consume(self.options.most, 0.05) if message.error() is None]
        if not messages:
            return
        if self.rebalanced:
            member = consumer.consumer_group_metadata()
        self.transactions += 1
        self.tally.put(self.transactions, self.ended)
        producer.begin_transaction()
        try:
            for message in messages:
                producer.produce(self.options.target, message.value(), partition=message.partition() or 0)
            self._work()
            ends = {message.partition() or 0: (message.offset() or 0) + 1 for message in messages}
            places = [TopicPartition(self.options.source, partition, end) for partition, end in ends.items()]
            patiently(lambda seconds: producer.send_offsets_to_transaction(places, member, seconds))
            self._work()
            if self.transactions % 5 == 0:
                producer.flush(PATIENCE_S)
                self._give_up(producer, consumer)
                return
            patiently(producer.commit_transaction)
        except KafkaException as problem:
            if not problem.args[0].txn_requires_abort():
                raise
            self._give_up(producer, consumer)
            return
        self._ended()
        self.copied += len(messages)
        say(f"copied {self.copied}")

    def _work(self) -> None:
        if self.options.work:
            time.sleep(self.random.uniform(self.options.work / 2, self.options.work))

    def _ended(self) -> None:
        self.ended = self.transactions
        self.tally.put(self.transactions, self.ended)

    def _give_up(self, producer: Producer, consumer: Consumer) -> None:
        """Abort, and go back to where the group is: another copier may have had these partitions meanwhile."""
        patiently(producer.abort_transaction)
        self._ended()
        say("aborted")
        assigned = consumer.assignment()
        if not assigned:
            return
        for place in patiently(lambda seconds: consumer.committed(assigned, timeout=seconds)) or ():
            if place.error is None:
                consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))


def membership(protocol: str, session_ms: int) -> dict[str, Any]:
    """How a member of such a group is set up: in one of the new protocol the broker says how often it reports."""
    if protocol == "consumer":
        return {"group.protocol": "consumer"}
    return {"session.timeout.ms": session_ms, "heartbeat.interval.ms": max(1, session_ms // 5)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for name in ("address", "source", "target", "name"):
        parser.add_argument(name)
    parser.add_argument("--group", default="")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic")
    parser.add_argument("--session", type=int, default=10_000)
    parser.add_argument("--timeout", type=int, default=30_000)
    parser.add_argument("--work", type=float, default=0)
    parser.add_argument("--most", type=int, default=TRANSACTION_RECORDS_MAX)
    Copier(parser.parse_args(arguments)).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
