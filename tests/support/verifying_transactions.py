"""A producer process that writes in transactions and says what became of each, through librdkafka.

    python -m support.verifying_transactions ADDRESS TOPIC PARTITIONS NAME RATE

Transaction number n has one to six records, spread over the partitions: `NAME:n:i:` and some filling. stdout gets `began n COUNT`, then
`committed n` or `aborted n`, or nothing more of n if nobody knows; `again WHAT` when the producer had to begin anew, and `fatal WHAT`
for what a client must survive and did not. Every fifth transaction is aborted on purpose. SIGTERM ends it after the current one.
"""

from __future__ import annotations

import random
import signal
import sys
import time

from confluent_kafka import KafkaException, Producer

from support.tally import Tally
from support.transactional_client import NO_REBOOTSTRAP, PATIENCE_S, QUICK, patiently, say
from support.verifying_producer import FILLING

RECORDS_MAX = 6
TIMEOUT_MS = 10_000


class Writer:
    def __init__(self, address: str, topic: str, partitions: int, name: str, rate: int) -> None:
        self.address, self.topic, self.partitions, self.name, self.rate = address, topic, partitions, name, rate
        self.random = random.Random(name)
        self.stopped = False
        self.number = self.sent = self.ended = 0
        self.tally = Tally.own()
        self.began = time.monotonic()
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def run(self) -> None:
        """Transactions until told to stop; what ends a producer for good is answered by a new one, which fences it."""
        settings = {"bootstrap.servers": self.address, **QUICK, **NO_REBOOTSTRAP, "linger.ms": 1}
        while not self.stopped:
            producer = Producer({**settings, "transactional.id": self.name, "transaction.timeout.ms": TIMEOUT_MS})
            try:
                patiently(producer.init_transactions)
                while not self.stopped:
                    if self.sent >= (time.monotonic() - self.began) * self.rate:
                        producer.poll(0.002)
                    else:
                        self._transaction(producer)
            except KafkaException as problem:
                say(f"again {problem}")

    def _transaction(self, producer: Producer) -> None:
        number, count = self.number, self.random.randint(1, RECORDS_MAX)
        self.number += 1
        self.sent += count
        say(f"began {number} {count}")
        self.tally.put(number + 1, self.ended)
        producer.begin_transaction()
        outcome = "aborted"
        try:
            for index in range(count):
                value = b"%s:%d:%d:" % (self.name.encode(), number, index) + FILLING
                producer.produce(self.topic, value, partition=partition_of(number, index, self.partitions))
            producer.poll(0)
            if number % 5 == 4:
                producer.flush(PATIENCE_S)
                patiently(producer.abort_transaction)
            else:
                patiently(producer.commit_transaction)
                outcome = "committed"
        except KafkaException as problem:
            if not problem.args[0].txn_requires_abort():
                raise
            patiently(producer.abort_transaction)
        self.ended = number + 1
        self.tally.put(self.number, self.ended)
        say(f"{outcome} {number}")


def partition_of(number: int, index: int, partitions: int) -> int:
    """Where record number `index` of a transaction goes."""
    return (number + index) % partitions


def main(arguments: list[str]) -> int:
    address, topic, partitions, name, rate = arguments
    Writer(address, topic, int(partitions), name, int(rate)).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
