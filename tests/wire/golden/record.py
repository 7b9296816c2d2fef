"""Records what real clients and a real Apache Kafka say to each other, for tests/wire/test_golden.py.

    PYTHONPATH=engine:tests python tests/wire/golden/record.py        needs java, mvn and kcat

A proxy stands between the clients and one broker (which advertises the proxy), and keeps one request and one response for every
client, API and version: the longest that is not longer than 1,500 bytes. Keys and values of the broker's internal topics are kept
likewise. One file per client, one line per frame:

    <api key> <version> request|response <hex, without the frame's size>
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.metadata
import pathlib
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import aiokafka
import confluent_kafka
import confluent_kafka.admin
import kafka

from ev.wire.header import decode_request_header
from ev.wire.records import decode_batch, headers
from support.apache_kafka import LATEST, Kafka
from support.ports import free_ports

HERE = pathlib.Path(__file__).parent
FRAME_BYTES_MAX = 1500


class Recorder:
    """A proxy on one port, and the frames that passed since the last `take`."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.broker_port = broker_port
        self.frames: dict[tuple[int, int, str], bytes] = {}
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                broker = socket.create_connection(("127.0.0.1", self.broker_port))
                asked: dict[int, tuple[int, int]] = {}
                threading.Thread(target=self.pump, args=(client, broker, asked, True), daemon=True).start()
                threading.Thread(target=self.pump, args=(broker, client, asked, False), daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket, asked: dict[int, tuple[int, int]], is_request: bool) -> None:
        with contextlib.suppress(OSError), source, source.makefile("rb") as stream:
            while size := stream.read(4):
                frame = stream.read(int.from_bytes(size, "big"))
                if is_request:
                    header, _ = decode_request_header(frame)
                    asked[header.correlation_id] = (header.api_key, header.api_version)
                    self.keep((header.api_key, header.api_version, "request"), frame)
                else:
                    key, version = asked.pop(int.from_bytes(frame[:4], "big", signed=True))
                    self.keep((key, version, "response"), frame)
                target.sendall(size + frame)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def keep(self, what: tuple[int, int, str], frame: bytes) -> None:
        if len(self.frames.get(what, b"")) < len(frame) <= FRAME_BYTES_MAX:
            self.frames[what] = frame

    def take(self) -> dict[tuple[int, int, str], bytes]:
        frames, self.frames = self.frames, {}
        return frames


def use_kcat(bootstrap: str) -> None:
    subprocess.run(["kcat", "-b", bootstrap, "-P", "-t", "kcat", "-K:"], input=b"a:1\nb:2\n", check=True)
    subprocess.run(["kcat", "-b", bootstrap, "-C", "-t", "kcat", "-e", "-o", "beginning"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["kcat", "-b", bootstrap, "-G", "kcat", "kcat", "-e", "-o", "beginning"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["kcat", "-b", bootstrap, "-L"], check=True, stdout=subprocess.DEVNULL)


def use_confluent(bootstrap: str) -> None:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([confluent_kafka.admin.NewTopic("confluent", 2, 1, config={"retention.ms": "600000"})])["confluent"].result()
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "confluent-1", "compression.type": "zstd"})
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "confluent", "auto.offset.reset": "earliest"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce("confluent", b"value", b"key", headers=[("h", b"x"), ("empty", None)])
    producer.flush()
    position = [confluent_kafka.TopicPartition("confluent", 0, 1)]
    producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata())
    producer.commit_transaction()
    producer.begin_transaction()
    producer.produce("confluent", b"gone", b"key")
    producer.flush()
    producer.abort_transaction()
    consumer.subscribe(["confluent"])
    wait_for(lambda: consumer.poll(1.0))
    consumer.commit(asynchronous=False)
    consumer.close()
    resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ResourceType.TOPIC, "confluent")
    admin.describe_configs([resource])[resource].result()
    admin.list_consumer_groups().result()
    admin.describe_consumer_groups(["confluent"])["confluent"].result()
    admin.create_partitions([confluent_kafka.admin.NewPartitions("confluent", 3)])["confluent"].result()
    admin.delete_topics(["confluent"])["confluent"].result()


def use_aiokafka(bootstrap: str) -> None:
    async def talk() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="lz4")
        await producer.start()
        await producer.send_and_wait("aiokafka", b"value", b"key", headers=[("h", b"x")])
        await producer.stop()
        consumer = aiokafka.AIOKafkaConsumer("aiokafka", bootstrap_servers=bootstrap, group_id="aiokafka", auto_offset_reset="earliest")
        await consumer.start()
        await consumer.getone()
        await consumer.commit()
        await consumer.stop()

    asyncio.run(talk())


def use_kafka_python(bootstrap: str) -> None:
    admin: Any = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([kafka.admin.NewTopic(name="python", num_partitions=2, replication_factor=1)])
    producer: Any = kafka.KafkaProducer(bootstrap_servers=bootstrap, compression_type="gzip")
    producer.send("python", value=b"value", key=b"key", headers=[("h", b"x")]).get(timeout=30)
    producer.close()
    consumer: Any = kafka.KafkaConsumer("python", bootstrap_servers=bootstrap, group_id="python", auto_offset_reset="earliest")
    wait_for(lambda: consumer.poll(timeout_ms=1000))
    consumer.commit()
    admin.describe_topics(["python"])
    admin.list_groups()
    admin.describe_groups(["python"])
    consumer.close()
    admin.delete_topics(["python"])
    admin.close()


def use_java(broker: Kafka, bootstrap: str) -> None:
    def run(*arguments: str) -> None:
        broker.tool(*arguments, timeout=60).check_returncode()

    base = ("--bootstrap-server", bootstrap)
    run("topics", *base, "--create", "--topic", "java", "--partitions", "2", "--config", "retention.ms=600000")
    run("verifiable-producer", *base, "--topic", "java", "--max-messages", "5")
    run("console-consumer", *base, "--topic", "java", "--group", "java", "--from-beginning", "--max-messages", "5")
    run("console-consumer", *base, "--topic", "java", "--consumer-property", "group.protocol=consumer", "--group", "java-848",
        "--from-beginning", "--max-messages", "5")  # fmt: skip
    run("topics", *base, "--describe")
    run("configs", *base, "--entity-type", "topics", "--entity-name", "java", "--alter", "--add-config", "retention.ms=1000")
    run("configs", *base, "--entity-type", "topics", "--entity-name", "java", "--describe", "--all")
    run("consumer-groups", *base, "--describe", "--all-groups")
    run("consumer-groups", *base, "--describe", "--all-groups", "--state")
    run("get-offsets", *base, "--topic", "java", "--time", "-1")
    run("log-dirs", *base, "--describe", "--topic-list", "java")
    run("cluster", "cluster-id", *base)
    run("features", *base, "describe")
    run("transactions", *base, "list")
    run("consumer-groups", *base, "--delete", "--group", "java-848")
    run("topics", *base, "--delete", "--topic", "java")


def wait_for(attempt: Callable[[], object]) -> None:
    while not attempt():
        pass


def internal_records(data: pathlib.Path) -> list[str]:
    """Lines `<topic> <key hex> <value hex or null>`: the longest record of each type and version."""
    longest: dict[tuple[str, bytes, bytes | None], tuple[bytes, bytes | None]] = {}
    for topic in ("__consumer_offsets", "__transaction_state"):
        for log in sorted(data.glob(f"{topic}-*/*.log")):
            content = log.read_bytes()
            for position, header in headers(content):
                if header.is_control:
                    continue
                columns = decode_batch(content, position)
                for key, value in zip(columns.keys, columns.values, strict=True):
                    assert key is not None
                    kind = topic, key[:2], value and value[:2]
                    if kind not in longest or len(value or b"") > len(longest[kind][1] or b""):
                        longest[kind] = key, value
    return [f"{topic} {key.hex()} {'null' if value is None else value.hex()}" for (topic, _, _), (key, value) in longest.items()]


def write(name: str, what: str, lines: list[str]) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    (HERE / f"{name}.txt").write_text(f"# {what}, with Apache Kafka {LATEST}, {today}, by record.py\n" + "\n".join(lines) + "\n")


def main() -> None:
    (port,) = free_ports(1)
    bootstrap = f"127.0.0.1:{port}"
    with Kafka(properties={"advertised.listeners": f"PLAINTEXT://{bootstrap}"}) as broker:
        recorder = Recorder(port, broker.ports[1])
        kcat = subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout.splitlines()[1].split(" (")[0]
        clients: list[tuple[str, str, Callable[[], None]]] = [
            ("kcat", kcat, lambda: use_kcat(bootstrap)),
            ("confluent", f"confluent-kafka {importlib.metadata.version('confluent-kafka')}", lambda: use_confluent(bootstrap)),
            ("aiokafka", f"aiokafka {importlib.metadata.version('aiokafka')}", lambda: use_aiokafka(bootstrap)),
            ("kafka-python", f"kafka-python {importlib.metadata.version('kafka-python')}", lambda: use_kafka_python(bootstrap)),
            ("java", "Kafka's own tools", lambda: use_java(broker, bootstrap)),
        ]
        for name, what, use in clients:
            use()
            frames = sorted(recorder.take().items())
            write(name, what, [f"{key} {version} {side} {frame.hex()}" for (key, version, side), frame in frames])
        write("internal-topics", "records of the internal topics", internal_records(broker.data(1)))


if __name__ == "__main__":
    main()
