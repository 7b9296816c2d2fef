"""The groups of the benchmark book by name, in the order in which `list` and the page show them."""

from __future__ import annotations

from typing import NamedTuple


class Group(NamedTuple):
    """What is measured, what it needs beside Python, and whether the brokers of other groups must not run meanwhile."""

    title: str
    needs: tuple[str, ...] = ()
    alone: bool = False


GROUPS = {
    "limits": Group("What this machine can do at most: disk, syncs, loopback, memory", alone=True),
    "messages": Group("The codec of messages, beside kio and kafka-python", ("kio",), alone=True),
    "batches": Group("The codec of record batches", alone=True),
    "commands": Group("What a person waits for: `ev --version`, one record, one list", ("kcat",)),
    "lines": Group("Whole files through `ev produce` and `ev consume`, beside kcat", ("kcat",)),
    "brokers": Group("The engine and Apache Kafka under kcat: records a second, CPU per GB", ("kcat",)),
    "requests": Group("Small requests in a closed loop: how many a second, how late", ("cc",)),
    "end-to-end": Group("From one program to the next at 1,000 records a second"),
    "transactions": Group("Transactions, and records that are committed in them", ("kcat",)),
    "producers": Group("One and sixteen producers, few and many partitions, and the memory after it", ("kcat",)),
    "partitions": Group("A thousand partitions of which one is busy"),
    "security": Group("Coming in with a password over TLS, and what TLS costs", ("kcat",), alone=True),
    "cold-reader": Group("A tail beside a reader of records that are only on disk", ("kcat",), alone=True),
    "compaction": Group("Compaction and deletion while clients go on", alone=True),
    "groups": Group("Consumer groups: how soon they are settled, what commits cost"),
    "python-api": Group("ev's Python client beside confluent-kafka, aiokafka and kafka-python"),
    "cold-start": Group("From the start to the first acknowledged record, and idle memory", ("kcat",), alone=True),
    "idle": Group("A thousand partitions and ten consumers that wait", ("kcat",), alone=True),
    "unclean-start": Group("Ready again after `kill -9`", ("kcat",), alone=True),
    "connections": Group("Ten thousand connections that say nothing", alone=True),
    "verify": Group("Looking over a data directory: `ev server verify`", alone=True),
    "systems": Group("The engine beside Apache Kafka, NATS JetStream and Redis Streams"),
    "sizes": Group("100 B to 100 KB, 1 and 16 clients, 1 to 1,000 partitions, five clients", alone=True),
    "curves": Group("What a record costs as records, partitions, groups and connections grow tenfold", alone=True),
}
