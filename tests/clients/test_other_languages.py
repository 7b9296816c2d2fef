"""Clients of other languages, unchanged: franz-go and Sarama (Go), kafkajs (Node)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from support.other_languages import run

# The first test of a run builds the clients; the others of its process wait for that.
pytestmark = pytest.mark.timeout(400)

GO = [pytest.param(name, marks=pytest.mark.go) for name in ("franz-go", "sarama")]
NODE = [pytest.param("kafkajs", marks=pytest.mark.node)]
NEW_PROTOCOL = [pytest.param("franz-go-kip-848", marks=pytest.mark.go)]
CODECS = {"franz-go": ("none", "gzip", "snappy", "lz4", "zstd"), "kafkajs": ("none", "gzip", "snappy")}
CODECS |= dict.fromkeys(("sarama", "franz-go-kip-848"), CODECS["franz-go"])
EVERY_CLIENT = pytest.mark.parametrize("client", [*GO, *NODE, *NEW_PROTOCOL])
PARTITIONS = 3


def pairs(records: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((each["key"], each["value"]) for each in records)


def expected(count: int, times: int = 1) -> Counter[tuple[str, str]]:
    return Counter({(f"key-{number}", f"value-{number}"): times for number in range(count)})


def seen_by_librdkafka(address: str, topic: str, isolation: str) -> list[tuple[str, str]]:
    """Every record of the topic, partition by partition."""
    settings = {"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**settings, "isolation.level": isolation})
    found = []
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        for index in partitions:
            consumer.assign([TopicPartition(topic, index, 0)])
            while (message := consumer.poll(20)) is not None and message.error() is None:
                found.append(((message.key() or b"").decode(), (message.value() or b"").decode()))
            assert message is not None, f"{topic}-{index} could not be read to its end"
    finally:
        consumer.close()
    return found


@EVERY_CLIENT
def test_what_it_sends_it_reads_in_a_group_and_librdkafka_reads_too(client: str, address: str, topic: str) -> None:
    """With each codec that it has; keys, values, headers, and offsets from 0 without a gap."""
    codecs = CODECS[client]
    for codec in codecs:
        run(client, "produce", address, topic, 40, codec)
    found = run(client, "consume", address, topic, f"{topic}-group", 40 * len(codecs))
    assert pairs(found) == expected(40, len(codecs))
    assert {each["header"] for each in found} == {client.removesuffix("-kip-848")}
    for partition in range(PARTITIONS):
        offsets = [each["offset"] for each in found if each["partition"] == partition]
        assert offsets == list(range(len(offsets)))
    assert Counter(seen_by_librdkafka(address, topic, "read_committed")) == expected(40, len(codecs))


@EVERY_CLIENT
def test_a_member_that_comes_back_begins_where_its_group_was(client: str, address: str, topic: str) -> None:
    run(client, "produce", address, topic, 30, "none")
    first = run(client, "consume", address, topic, f"{topic}-group", 30)
    run(client, "produce", address, topic, 12, "none")
    second = run(client, "consume", address, topic, f"{topic}-group", 12)
    assert pairs(second) == expected(12)
    places = [(each["partition"], each["offset"]) for each in first + second]
    assert len(set(places)) == 42


@EVERY_CLIENT
def test_it_copies_exactly_once_in_transactions_that_abort_now_and_then(client: str, address: str, topic: str) -> None:
    """Offsets and records in one transaction: readers of what is committed see each record once, others also what was aborted."""
    target = f"{topic}-copy"
    run(client, "produce", address, topic, 60, "none")
    run(client, "transaction", address, topic, target, f"{topic}-group", 60)
    assert Counter(seen_by_librdkafka(address, target, "read_committed")) == expected(60)
    assert len(seen_by_librdkafka(address, target, "read_uncommitted")) > 60
    assert pairs(run(client, "consume", address, target, f"{topic}-audit", 60)) == expected(60)
    run(client, "produce", address, topic, 5, "none")
    assert pairs(run(client, "consume", address, topic, f"{topic}-group", 5)) == expected(5), "the copier's offsets were committed"


@EVERY_CLIENT
def test_it_administers_a_topic(client: str, address: str, topic: str) -> None:
    """Create, refuse to create again, add a partition, configure, describe, cut, list, delete."""
    (found,) = run(client, "administer", address, topic)
    assert found.pop("create_again_error")
    assert found == {"partitions": 3, "retention_ms": "604800000", "low_watermark": 2, "listed": True, "listed_when_gone": False}
