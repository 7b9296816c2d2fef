"""The consumer beside other people's clients: one group with librdkafka, transactions that librdkafka wrote, batches of every client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import kafka
import pytest
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import NewTopic
from support.apache_kafka import Kafka
from support.own_members import Member, poll_until
from support.waiting import wait_for

pytestmark = pytest.mark.clients
MakeTopic = Callable[..., str]
Fresh = Callable[[str], str]


def librdkafka(bootstrap: str, group: str, assignor: str) -> confluent_kafka.Consumer:
    return confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "partition.assignment.strategy": assignor,
            "auto.offset.reset": "earliest",
            "heartbeat.interval.ms": 100,
            "enable.auto.commit": False,
        }
    )


@pytest.fixture
def theirs() -> Iterator[list[confluent_kafka.Consumer]]:
    made: list[confluent_kafka.Consumer] = []
    yield made
    for consumer in made:
        consumer.close()


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "cooperative-sticky"])
@pytest.mark.parametrize("first", ["ev", "librdkafka"])
def test_a_group_of_two_kinds_of_members_shares_a_topic(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, theirs: list[confluent_kafka.Consumer], assignor: str, first: str
) -> None:
    """Whoever comes first leads and assigns for both; each partition has one reader, and every record is read."""
    topic, group = make_topic(4), fresh("group")
    producer = Producer(bootstrap)
    for partition in range(4):
        producer.produce_many(topic, [b"%d" % number for number in range(20)], partition=partition)
    producer.flush(timeout_ms=20_000)
    producer.close()
    seen: Counter[tuple[int, int]] = Counter()
    with Consumer(bootstrap, group=group, assignors=[assignor], heartbeat_interval_ms=100, max_wait_ms=50) as ours:

        def poll_ours() -> None:
            for batch in ours.poll_batches(20):
                seen.update((batch.partition, offset) for offset in batch.columns.offsets)

        def poll_theirs() -> None:
            for message in theirs[0].consume(100, 0.02):
                assert message.error() is None
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                seen[partition, offset] += 1

        def start_theirs() -> None:
            theirs.append(librdkafka(bootstrap, group, assignor))
            theirs[0].subscribe([topic])

        if first == "ev":
            ours.subscribe([topic])
            wait_for(lambda: poll_ours() or ours.assignment(), "our assignment", pause_s=0)  # type: ignore[func-returns-value]
            start_theirs()
        else:
            start_theirs()
            wait_for(lambda: poll_theirs() or theirs[0].assignment(), "their assignment", pause_s=0)  # type: ignore[func-returns-value]
            ours.subscribe([topic])

        def shared() -> bool:
            poll_ours()
            poll_theirs()
            held = [partition for _, partition in ours.assignment()] + [item.partition for item in theirs[0].assignment()]
            return sorted(held) == [0, 1, 2, 3] and len(ours.assignment()) == 2

        wait_for(shared, "two partitions each", 40, pause_s=0)
        wait_for(lambda: shared() and len(seen) == 80, "all records", pause_s=0)


def test_sticky_members_of_two_kinds_keep_what_they_had(bootstrap: str, make_topic: MakeTopic, fresh: Fresh) -> None:
    """kafka-python's and ours read each other's notes, whoever leads: a third member costs each of the two one partition at the most."""
    topic, group = make_topic(6), fresh("group")

    def ours() -> Member:
        return Member(bootstrap, group, [topic], assignors=["sticky"])

    theirs = kafka.KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        partition_assignment_strategy=[StickyPartitionAssignor],
        heartbeat_interval_ms=100,
        enable_auto_commit=False,
    )
    members = [ours()]

    def held() -> list[set[int]]:
        theirs.poll(20)
        return [{part.partition for part in theirs.assignment()}, *({index for _, index in member.partitions} for member in members)]

    try:
        poll_until(members, lambda: [len(each) for each in held()] == [3, 3], "three each")
        before = held()
        members.append(ours())
        poll_until(members, lambda: [len(each) for each in held()] == [2, 2, 2], "two each")
        assert all(now < had for had, now in zip(before, held(), strict=False))
    finally:
        theirs.close()
        for member in members:
            member.consumer.close()


@pytest.mark.java
def test_aborted_transactions_are_hidden_from_who_reads_committed(apache: Kafka, fresh: Fresh) -> None:
    """On Apache Kafka: the aborted records are there for read_uncommitted, and markers are shown to nobody."""
    with Admin(apache.bootstrap) as admin:
        topic = fresh("transactions")
        confluent = confluent_kafka.Producer({"bootstrap.servers": apache.bootstrap, "transactional.id": topic})
        confluent.init_transactions(20)
        for number, ends_well in enumerate([True, False, True, False, False, True]):
            confluent.begin_transaction()
            for item in range(3):
                confluent.produce(topic, f"{number}.{item}")
            confluent.flush(20)
            if ends_well:
                confluent.commit_transaction(20)
            else:
                confluent.abort_transaction(20)
        wait_for(lambda: admin.list_offsets({(topic, 0): "latest"})[topic, 0].offset == 24, "the last marker")

    def read(isolation: str) -> list[bytes]:
        found: list[Any] = []
        with Consumer(apache.bootstrap, isolation=isolation, max_wait_ms=50) as consumer:
            consumer.assign([(topic, 0)])
            end = consumer.end_offsets([(topic, 0)])[topic, 0]
            while consumer.position((topic, 0)) < end:
                for batch in consumer.poll_batches(100):
                    found += batch.columns.values
        return found

    assert read("read_committed") == [b"%d.%d" % (number, item) for number in (0, 2, 5) for item in range(3)]
    assert read("read_uncommitted") == [b"%d.%d" % (number, item) for number in range(6) for item in range(3)]


@pytest.mark.java
def test_an_open_transaction_ends_what_read_committed_sees(apache: Kafka, fresh: Fresh) -> None:
    """Records behind it wait, also for end_offsets, until it is over."""
    topic = fresh("open")
    confluent = confluent_kafka.Producer({"bootstrap.servers": apache.bootstrap, "transactional.id": topic})
    confluent.init_transactions(20)
    confluent.begin_transaction()
    confluent.produce(topic, "open")
    confluent.flush(20)
    with Producer(apache.bootstrap) as producer:
        producer.produce_many(topic, [b"behind"])
        producer.flush(timeout_ms=20_000)
    with Consumer(apache.bootstrap, isolation="read_committed", max_wait_ms=50) as consumer:
        assert consumer.end_offsets([(topic, 0)]) == {(topic, 0): 0}
        consumer.assign([(topic, 0)])
        assert consumer.poll_batches(200) == []
        confluent.commit_transaction(20)
        values: list[bytes | None] = []

        def both() -> bool:
            for batch in consumer.poll_batches(100):
                values.extend(batch.columns.values)
            return len(values) == 2

        wait_for(both, "both records")
        assert values == [b"open", b"behind"]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_librdkafka_compressed_is_read(bootstrap: str, make_topic: MakeTopic, codec: str) -> None:
    """Keys, headers and timestamps of another implementation."""
    topic = make_topic()
    confluent = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50})
    for number in range(300):
        confluent.produce(
            topic, f"value {number}", key=f"key {number}", headers=[("n", str(number).encode())], timestamp=1_700_000_000_000 + number
        )
    assert confluent.flush(20) == 0
    with Consumer(bootstrap, max_wait_ms=50) as consumer:
        consumer.assign([(topic, 0)])
        records: list[Any] = []
        wait_for(lambda: records.extend(consumer.poll(100)) or len(records) == 300, "the records", pause_s=0)  # type: ignore[func-returns-value]
    assert [record.value for record in records] == [b"value %d" % number for number in range(300)]
    assert (records[7].key, list(records[7].headers), records[7].timestamp) == (b"key 7", [("n", b"7")], 1_700_000_000_007)


def test_offsets_are_shared_with_kafka_python(bootstrap: str, make_topic: MakeTopic, fresh: Fresh) -> None:
    """What one client commits is where the other goes on."""
    topic, group = make_topic(), fresh("group")
    with Consumer(bootstrap, group=group) as consumer:
        consumer.commit({(topic, 0): (42, "from ev")})
    other = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    try:
        partition = kafka.TopicPartition(topic, 0)
        assert other.committed(partition) == 42
        other.assign([partition])
        other.commit({partition: kafka.OffsetAndMetadata(43, "from kafka-python", -1)})
    finally:
        other.close()
    with Consumer(bootstrap, group=group) as consumer:
        found = consumer.committed([(topic, 0)])[topic, 0]
    assert (found.offset, found.metadata) == (43, "from kafka-python")


@pytest.mark.java
def test_groups_of_the_newer_protocol_are_described_too(apache: Kafka, fresh: Fresh) -> None:
    """A KIP-848 group, which the older question does not see: its members and what they read (Apache Kafka)."""
    topic, group = fresh("topic"), fresh("group")
    with Admin(apache.bootstrap) as admin:
        admin.create_topics([NewTopic(topic, 2, 1)])[0].or_raise()
        member = confluent_kafka.Consumer(
            {"bootstrap.servers": apache.bootstrap, "group.id": group, "group.protocol": "consumer", "client.id": "me"}
        )
        try:
            member.subscribe([topic])
            wait_for(lambda: member.consume(1, 0.1) or len(member.assignment()) == 2, "the assignment", 40)
            (listing,) = [listing for listing in admin.groups() if listing.group == group]
            assert (listing.type, listing.protocol_type) == ("consumer", "consumer")
            (described,) = admin.describe_groups([group])
            assert (described.state, described.error) == ("Stable", None)
            (found,) = described.members
            assert (found.client_id, found.topics, sorted(found.partitions)) == ("me", [topic], [(topic, 0), (topic, 1)])
        finally:
            member.close()
