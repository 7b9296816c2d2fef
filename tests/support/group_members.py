"""Members of consumer groups in other people's clients, each reading in the background until it is told to stop.

    with member_of("aiokafka", engine.address, "topic", "group") as member:
        member.records                 {(partition, offset): value} of everything it read
        member.assigned                the partitions it has now
        member.assignments             how many times it was given partitions: two mean that somebody made it rebalance

Every member commits what it has read before it reads on. `instance` makes it a static member.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from typing import Any

import confluent_kafka
from aiokafka import AIOKafkaConsumer
from aiokafka import ConsumerRebalanceListener as AsyncListener
from aiokafka import errors as aiokafka_errors
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka import errors as kafka_errors

CLIENTS = ("confluent-kafka", "aiokafka", "kafka-python", "kcat")
STATIC_CLIENTS = ("confluent-kafka", "aiokafka", "kafka-python", "kcat")
SESSION_TIMEOUT_MS = 30_000
LOST_S = 4
KCAT_REBALANCE = re.compile(r"assigned: (.*)$")
KCAT_PARTITION = re.compile(r"\[(\d+)\]")


class GroupMember:
    """What a test sees of a member, whatever client it is."""

    def __init__(self, address: str, topic: str, group: str, instance: str | None = None) -> None:
        self.address, self.topic, self.group, self.instance = address, topic, group, instance
        self.records: dict[tuple[int, int], bytes] = {}
        self.assigned: frozenset[int] = frozenset()
        self.assignments = 0
        self.error: BaseException | None = None
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"{type(self).__name__}-{group}", daemon=True)

    def _run(self) -> None:
        try:
            self.read_until_told_to_stop()
        except BaseException as error:
            self.error = error
            raise

    def read_until_told_to_stop(self) -> None:
        raise NotImplementedError

    def give(self, partitions: frozenset[int]) -> None:
        self.assigned = partitions
        self.assignments += 1

    def take_away(self) -> None:
        self.assigned = frozenset()

    def start(self) -> GroupMember:
        self.thread.start()
        return self

    def stop(self) -> None:
        """Go: a dynamic member leaves the group, a static one only stops."""
        self.leaving.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "the member does not stop"
        assert self.error is None, self.error

    def __enter__(self) -> GroupMember:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if not self.leaving.is_set():
            self.stop()


class ConfluentMember(GroupMember):
    def read_until_told_to_stop(self) -> None:
        settings: dict[str, Any] = {
            "bootstrap.servers": self.address,
            "group.id": self.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "heartbeat.interval.ms": 200,
            "reconnect.backoff.max.ms": 500,
            "log.connection.close": False,
            "log_level": 0,
        }
        if self.instance is not None:
            settings["group.instance.id"] = self.instance
        consumer = confluent_kafka.Consumer(settings)
        consumer.subscribe(
            [self.topic],
            on_assign=lambda _, given: self.give(frozenset(each.partition for each in given)),
            on_revoke=lambda _, __: self.take_away(),
        )
        while not self.leaving.is_set():
            messages = [message for message in consumer.consume(500, 0.1) if message.error() is None]
            for message in messages:
                self.records[message.partition() or 0, message.offset() or 0] = message.value() or b""
            if messages:
                with contextlib.suppress(confluent_kafka.KafkaException):  # the group moved on: whoever reads it again commits it
                    consumer.commit(asynchronous=False)
        consumer.close()


class KafkaPythonMember(GroupMember):
    def read_until_told_to_stop(self) -> None:
        member = self

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
            def on_partitions_revoked(self, revoked: Any) -> None:
                member.take_away()

            def on_partitions_assigned(self, assigned: Any) -> None:
                member.give(frozenset(each.partition for each in assigned))

        consumer = KafkaConsumer(
            bootstrap_servers=self.address,
            group_id=self.group,
            group_instance_id=self.instance,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=200,
            reconnect_backoff_max_ms=500,
        )
        try:
            consumer.subscribe([self.topic], listener=Listener())
            self.poll_until_told_to_stop(consumer, Listener)
        finally:
            consumer.close()  # else its threads go on, and disturb whatever test comes next

    def poll_until_told_to_stop(self, consumer: Any, listener: type) -> None:
        alone_since = time.monotonic()
        while not self.leaving.is_set():
            try:
                polled = consumer.poll(500)
            except kafka_errors.KafkaConnectionError:  # the engine is being started again
                self.leaving.wait(0.1)
                continue
            if self.assigned:
                alone_since = time.monotonic()
            elif time.monotonic() > alone_since + LOST_S:
                # kafka-python 3.0.12 loses an assignment that comes between two polls, and then waits for it for ever.
                consumer.unsubscribe()
                consumer.subscribe([self.topic], listener=listener())
                alone_since = time.monotonic()
            for place, records in polled.items():
                for record in records:
                    self.records[place.partition, record.offset] = record.value
            if polled:
                with contextlib.suppress(kafka_errors.KafkaError):
                    consumer.commit(timeout_ms=5_000)


class AiokafkaMember(GroupMember):
    def read_until_told_to_stop(self) -> None:
        asyncio.run(self.read())

    async def read(self) -> None:
        member = self

        class Listener(AsyncListener):  # type: ignore[misc]
            async def on_partitions_revoked(self, revoked: Any) -> None:
                member.take_away()

            async def on_partitions_assigned(self, assigned: Any) -> None:
                member.give(frozenset(each.partition for each in assigned))

        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address,
            group_id=self.group,
            group_instance_id=self.instance,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=200,
            retry_backoff_ms=100,
        )
        consumer.subscribe([self.topic], listener=Listener())
        await consumer.start()
        while not self.leaving.is_set():
            polled = await consumer.getmany(timeout_ms=100)
            for place, records in polled.items():
                for record in records:
                    self.records[place.partition, record.offset] = record.value
            if polled:
                with contextlib.suppress(aiokafka_errors.KafkaError):
                    await consumer.commit()
        await consumer.stop()


class KcatMember(GroupMember):
    """kcat says on stderr what it was assigned, and writes each record to stdout when it has it."""

    def read_until_told_to_stop(self) -> None:
        settings = ["auto.offset.reset=earliest", f"session.timeout.ms={SESSION_TIMEOUT_MS}", "heartbeat.interval.ms=200"]
        settings += ["auto.commit.interval.ms=200", "reconnect.backoff.max.ms=500"]
        if self.instance is not None:
            settings.append(f"group.instance.id={self.instance}")
        options = [word for setting in settings for word in ("-X", setting)]
        command = ["kcat", "-b", self.address, "-G", self.group, *options, "-u", "-E", "-f", "%p %o %s\n", self.topic]
        environment = {name: value for name, value in os.environ.items() if name not in ("KCAT_CONFIG", "KAFKACAT_CONFIG")}
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as process:
            reader = threading.Thread(target=self._hear, args=(process,), daemon=True)
            reader.start()
            stopper = threading.Thread(target=self._stop_when_told, args=(process,), daemon=True)
            stopper.start()
            assert process.stdout is not None
            for line in process.stdout:
                partition, offset, value = line.rstrip(b"\n").split(b" ", 2)
                self.records[int(partition), int(offset)] = value
            reader.join()
        assert self.leaving.is_set(), f"kcat ended by itself with {process.returncode}"

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            text = line.decode(errors="replace").rstrip()
            if "rebalanced" not in text:
                continue
            given = KCAT_REBALANCE.search(text)
            if given is None:
                self.take_away()
            else:
                self.give(frozenset(int(each) for each in KCAT_PARTITION.findall(given[1])))

    def _stop_when_told(self, process: subprocess.Popen[bytes]) -> None:
        self.leaving.wait()
        process.send_signal(signal.SIGTERM)


MEMBERS: dict[str, type[GroupMember]] = {
    "confluent-kafka": ConfluentMember,
    "aiokafka": AiokafkaMember,
    "kafka-python": KafkaPythonMember,
    "kcat": KcatMember,
}


def member_of(client: str, address: str, topic: str, group: str, instance: str | None = None) -> GroupMember:
    return MEMBERS[client](address, topic, group, instance)
