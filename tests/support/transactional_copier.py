"""A process that copies one topic to another in transactions, with the offsets that it has read, through librdkafka.

    python -m support.transactional_copier ADDRESS SOURCE TARGET NAME

Each record goes to the partition of the same number. stdout gets `copied COUNT` after each transaction that was committed, `aborted` and
`again WHAT` when one was given up or the producer had to begin anew, and `fatal WHAT` for what a client must survive and did not.
Every fifth transaction is aborted on purpose. SIGTERM ends it.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

TRANSACTION_RECORDS_MAX = 40
PATIENCE_S = 60
QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0}
NO_REBOOTSTRAP = {"metadata.recovery.strategy": "none"}
"""librdkafka 2.16 begins at its bootstrap servers again when every broker is gone, and with a transaction open it never gets back: the
broker that it has dismissed stays "terminating in state TRY_CONNECT". Without that strategy it just connects again."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Copier:
    def __init__(self, address: str, source: str, target: str, name: str) -> None:
        self.address, self.source, self.target, self.name = address, source, target, name
        self.stopped = False
        self.copied = self.transactions = 0
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def run(self) -> None:
        """Copy until told to stop; what ends a producer for good is answered by a new one, which fences it."""
        while not self.stopped:
            settings: dict[str, Any] = {"bootstrap.servers": self.address, **QUICK, **NO_REBOOTSTRAP}
            producer = Producer({**settings, "transactional.id": self.name, "transaction.timeout.ms": 30_000, "linger.ms": 1})
            consumer = Consumer(
                {
                    **settings,
                    "group.id": self.name,
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                    "session.timeout.ms": 10_000,
                }
            )
            try:
                self._patiently(producer.init_transactions)
                consumer.subscribe([self.source])
                while not self.stopped:
                    self._transaction(producer, consumer)
            except KafkaException as problem:
                say(f"again {problem}")
            finally:
                consumer.close()

    def _patiently(self, call: Any) -> None:
        """Until it is done; a broker that is away is no reason to give up."""
        for _ in range(PATIENCE_S):
            try:
                call(1.0)
                return
            except KafkaException as problem:
                if not problem.args[0].retriable():
                    raise
        say(f"fatal {call} was not done in {PATIENCE_S} s")

    def _transaction(self, producer: Producer, consumer: Consumer) -> None:
        messages = [message for message in consumer.consume(TRANSACTION_RECORDS_MAX, 0.05) if message.error() is None]
        if not messages:
            return
        self.transactions += 1
        producer.begin_transaction()
        try:
            for message in messages:
                producer.produce(self.target, message.value(), partition=message.partition() or 0)
            ends = {message.partition() or 0: (message.offset() or 0) + 1 for message in messages}
            places = [TopicPartition(self.source, partition, end) for partition, end in ends.items()]
            self._patiently(lambda seconds: producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata(), seconds))
            if self.transactions % 5 == 0:
                producer.flush(PATIENCE_S)
                self._give_up(producer, consumer, messages)
                return
            self._patiently(producer.commit_transaction)
        except KafkaException as problem:
            if not problem.args[0].txn_requires_abort():
                raise
            self._give_up(producer, consumer, messages)
            return
        self.copied += len(messages)
        say(f"copied {self.copied}")

    def _give_up(self, producer: Producer, consumer: Consumer, messages: list[Message]) -> None:
        """Abort, and go back to where these records begin."""
        self._patiently(producer.abort_transaction)
        say("aborted")
        firsts: dict[int, int] = {}
        for message in messages:
            firsts.setdefault(message.partition() or 0, message.offset() or 0)
        assigned = {place.partition for place in consumer.assignment()}
        for partition, offset in firsts.items():
            if partition in assigned:
                consumer.seek(TopicPartition(self.source, partition, offset))


def main(arguments: list[str]) -> int:
    Copier(*arguments).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
