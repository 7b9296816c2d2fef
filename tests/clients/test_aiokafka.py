"""aiokafka: producer, consumer and admin client on asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic


async def produce(address: str, topic: str, values: list[bytes], **settings: Any) -> list[int]:
    """The offset of each value, each acknowledged by all."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", **settings)
    await producer.start()
    try:
        answers = [await producer.send(topic, value, partition=0) for value in values]
        return [answer.offset for answer in await asyncio.gather(*answers)]
    finally:
        await producer.stop()


async def read(address: str, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        return [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("codec", [None, "gzip", "lz4", "snappy", "zstd"])
def test_records_keep_their_order(address: str, topic: str, codec: str | None, idempotent: bool) -> None:
    """With every codec, idempotent or not: each record once and in order."""
    if codec is not None:
        pytest.importorskip("cramjam")
    values = [b"%d" % number for number in range(2000)]
    offsets = asyncio.run(produce(address, topic, values, compression_type=codec, enable_idempotence=idempotent))
    assert offsets == list(range(2000))
    found = asyncio.run(read(address, topic, 2000))
    assert [record.value for record in found] == values


def test_keys_headers_and_timestamps_survive(address: str, topic: str) -> None:
    """What a record carries comes back; a null value is not an empty one."""

    async def run() -> list[Any]:
        producer = AIOKafkaProducer(bootstrap_servers=address)
        await producer.start()
        await producer.send_and_wait(topic, b"v", b"k", 0, 1_700_000_000_123, [("a", b"1")])
        await producer.send_and_wait(topic, None, b"k", 0)
        await producer.stop()
        return await read(address, topic, 2)

    first, second = asyncio.run(run())
    assert (first.key, first.value, first.timestamp, first.headers) == (b"k", b"v", 1_700_000_000_123, (("a", b"1"),))
    assert second.value is None


def test_offsets_and_times_are_found(address: str, topic: str) -> None:
    """Beginning, end and the first offset at a time."""

    async def run() -> tuple[dict[Any, int], dict[Any, int], int]:
        producer = AIOKafkaProducer(bootstrap_servers=address)
        await producer.start()
        for number in range(5):
            await producer.send_and_wait(topic, b"%d" % number, partition=0, timestamp_ms=1_700_000_000_000 + 1000 * number)
        await producer.stop()
        consumer = AIOKafkaConsumer(bootstrap_servers=address)
        await consumer.start()
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        found = await consumer.offsets_for_times({place: 1_700_000_001_500})
        bounds = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
        await consumer.stop()
        return *bounds, found[place].offset

    place = TopicPartition(topic, 0)
    assert asyncio.run(run()) == ({place: 0}, {place: 5}, 2)


def test_the_admin_client_manages_topics(address: str, topic: str) -> None:
    """Create, list, describe, grow, delete; and the cluster itself."""

    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        try:
            created = await admin.create_topics([NewTopic(topic, 2, 1)])
            assert created.topic_errors[0][1] == 0
            assert topic in await admin.list_topics()
            described = await admin.describe_topics([topic])
            assert (described[0]["topic"], len(described[0]["partitions"])) == (topic, 2)
            await admin.create_partitions({topic: NewPartitions(3)})
            assert len((await admin.describe_topics([topic]))[0]["partitions"]) == 3
            cluster = await admin.describe_cluster()
            assert [f"{node['host']}:{node['port']}" for node in cluster["brokers"]] == [address]
            await admin.delete_topics([topic])
            deadline = asyncio.get_running_loop().time() + 20
            while topic in await admin.list_topics():
                assert asyncio.get_running_loop().time() < deadline, "the topic stays"
        finally:
            await admin.close()

    asyncio.run(run())


def test_a_group_resumes_where_it_committed(address: str, topic: str) -> None:
    """A second consumer of the group goes on behind the first one's commit."""

    async def part(count: int) -> list[bytes]:
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            found = [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]
            await consumer.commit({TopicPartition(topic, 0): int(found[-1]) + 1})
            return found
        finally:
            await consumer.stop()

    asyncio.run(produce(address, topic, [b"%d" % number for number in range(20)]))
    assert asyncio.run(part(8)) == [b"%d" % number for number in range(8)]
    assert asyncio.run(part(12)) == [b"%d" % number for number in range(8, 20)]
