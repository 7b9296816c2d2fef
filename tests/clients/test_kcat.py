"""kcat, which is librdkafka from C: produce, consume, list, query."""

from __future__ import annotations

import itertools

import pytest

from support.kcat import consume, kcat, metadata, produce

pytestmark = pytest.mark.kcat


def test_what_is_produced_is_consumed(address: str, topic: str) -> None:
    """Keys, values, headers and offsets come back as they went in; the topic is made on first use."""
    lines = b"k1:one\nk2:two\nk3:three\n"
    kcat(address, "-P", "-t", topic, "-p", "0", "-K", ":", "-H", "origin=test", "-X", "acks=all", data=lines)
    found = kcat(address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %o %k %s %h\n")
    assert found.decode().splitlines() == [f"0 {n} k{n + 1} {word} origin=test" for n, word in enumerate(("one", "two", "three"))]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_taken_and_given(address: str, topic: str, codec: str) -> None:
    """The codecs that librdkafka offers for its version range are taken, and what it compressed it can read."""
    values = [b"%06d" % number * 40 for number in range(3000)]
    produce(address, topic, values, "-X", f"compression.codec={codec}", "-p", "0")
    assert [record["payload"].encode() for record in consume(address, topic)] == values


def test_an_idempotent_producer_is_served(address: str, topic: str) -> None:
    """A producer with an id and sequence numbers works as any other."""
    produce(address, topic, [b"%d" % n for n in range(1000)], "-X", "enable.idempotence=true", "-p", "0")
    assert [record["payload"] for record in consume(address, topic)] == [str(n) for n in range(1000)]


def test_large_records_survive(address: str, topic: str) -> None:
    """A record of nearly the default bound goes through."""
    value = bytes(itertools.islice(itertools.cycle(range(32, 127)), 900_000)).replace(b"\n", b" ")
    produce(address, topic, [value], "-p", "0")
    assert kcat(address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-D", "") == value


def test_reading_begins_where_it_is_told_to(address: str, topic: str) -> None:
    """By offset from the beginning, from the end, and by timestamp."""
    produce(address, topic, [b"%d" % n for n in range(10)], "-p", "0")
    stamps = [record["ts"] for record in consume(address, topic)]
    assert [record["payload"] for record in consume(address, topic, "-o", "7")] == ["7", "8", "9"]
    assert kcat(address, "-C", "-t", topic, "-p", "0", "-o", "-2", "-e", "-q") == b"8\n9\n"
    assert kcat(address, "-C", "-t", topic, "-p", "0", "-o", f"s@{stamps[0]}", "-e", "-q", "-c", "1") == b"0\n"
    assert kcat(address, "-Q", "-t", f"{topic}:0:-1").decode().split()[-1] == "10"
    assert kcat(address, "-Q", "-t", f"{topic}:0:-2").decode().split()[-1] == "0"


def test_the_listing_shows_brokers_topics_and_leaders(address: str, topic: str) -> None:
    """-L names the broker at the address that was dialled, and each partition with its leader."""
    produce(address, topic, [b"x"], "-p", "0")
    listed = metadata(address)
    assert [broker["name"] for broker in listed["brokers"]] == [address]
    node = listed["brokers"][0]["id"]
    found = {entry["topic"]: entry for entry in listed["topics"]}[topic]
    assert [(part["partition"], part["leader"]) for part in found["partitions"]] == [(0, node)]


def test_a_waiting_consumer_gets_what_comes(address: str, topic: str) -> None:
    """A consumer that is at the end waits, and receives the next records without being asked again."""
    produce(address, topic, [b"first"], "-p", "0")
    for number in range(3):
        produce(address, topic, [b"%d" % number], "-p", "0")
    assert kcat(address, "-C", "-t", topic, "-p", "0", "-o", "1", "-c", "3", "-q") == b"0\n1\n2\n"
