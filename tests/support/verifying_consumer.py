"""A group consumer process that says what it read and committed, through librdkafka.

    python -m support.verifying_consumer ADDRESS TOPIC GROUP [ISOLATION [SESSION_TIMEOUT_MS]]

stdout gets `assigned` when partitions came, `read PARTITION OFFSET VALUE` (the value up to its filling), `committed PARTITION OFFSET`
after the broker said so, and `fatal WHAT`. SIGTERM ends it.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str]) -> int:
    address, topic, group, *more = arguments
    isolation, session_timeout_ms = (*more, *("read_committed", "10000")[len(more) :])  # librdkafka's default, and a short one
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    settings: dict[str, Any] = {"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    settings |= {"auto.offset.reset": "earliest", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}
    settings |= {"session.timeout.ms": int(session_timeout_ms), "heartbeat.interval.ms": int(session_timeout_ms) // 5}
    settings["error_cb"] = complain
    settings["isolation.level"] = isolation
    consumer = Consumer(settings)
    consumer.subscribe([topic], on_assign=lambda *_: say("assigned"))
    while not stopped:
        messages = [message for message in consumer.consume(200, 0.1) if message.error() is None]
        for message in messages:
            say(f"read {message.partition()} {message.offset()} {text(message)}")
        if messages:
            commit(consumer, topic, messages)
        sys.stdout.flush()
    consumer.close()
    sys.stdout.flush()
    return 0


def complain(error: KafkaError) -> None:
    if error.fatal():
        say(f"fatal {error}")


def commit(consumer: Consumer, topic: str, messages: list[Message]) -> None:
    """Commit what was read; a broker that is away is no reason to stop, the next commit covers this one."""
    ends = {message.partition(): (message.offset() or 0) + 1 for message in messages}
    try:
        told = consumer.commit(offsets=[TopicPartition(topic, partition or 0, end) for partition, end in ends.items()], asynchronous=False)
    except KafkaException:
        return
    for place in told or []:
        if place.error is None:
            say(f"committed {place.partition} {place.offset}")


def text(message: Message) -> str:
    value = message.value()
    assert isinstance(value, bytes)
    return value.rstrip(b".").decode()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
