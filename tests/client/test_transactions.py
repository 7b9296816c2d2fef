"""Transactions of ev's own client, on ev and on Apache Kafka of either version of transactions: all of it is seen, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import CommittedOffset, GroupMetadata
from ev.errors import ErrorCode, KafkaError, ProducerFencedError, TransactionFailedError
from support.apache_kafka import OLDER, Kafka
from support.engine import Engine
from support.exact_copy import ExactCopier, breaking, make_topics, read_committed, read_committed_by_librdkafka
from support.waiting import wait_for

Fresh = Callable[[str], str]


@pytest.fixture(scope="session")
def older_apache() -> Iterator[str]:
    """A Kafka that knows version 1 of transactions only."""
    with Kafka(version=OLDER) as kafka:
        yield kafka.bootstrap


@pytest.fixture(params=["ev", pytest.param("4.3", marks=pytest.mark.java), pytest.param("3.9", marks=[pytest.mark.java, pytest.mark.slow])])
def address(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a broker of each kind."""
    if request.param == "3.9":
        older: str = request.getfixturevalue("older_apache")
        return older
    if request.param == "4.3":
        newer: str = request.getfixturevalue("apache").bootstrap
        return newer
    engine: Engine = request.getfixturevalue("shared_engine")
    return engine.address


@pytest.fixture
def topic(address: str, fresh: Fresh) -> str:
    name = fresh("transactions")
    make_topics(address, 3, name)
    return name


@pytest.fixture
def producer(address: str, topic: str) -> Iterator[Producer]:
    """A transactional one, ready to begin."""
    with Producer(address, transactional_id=topic, linger_ms=0) as made:
        made.init_transactions()
        yield made


def values(address: str, topic: str) -> list[bytes]:
    """What a reader of committed records gets, of all partitions."""
    found = read_committed(address, topic, 3)
    assert found == read_committed_by_librdkafka(address, topic, 3)
    return sorted(value or b"" for rows in found.values() for value in rows)


def test_what_is_committed_is_seen_and_what_is_aborted_is_not(address: str, topic: str, producer: Producer) -> None:
    """In every partition; a reader of everything sees both, and each reader's position passes what it is not shown."""
    for number in range(6):
        producer.begin_transaction()
        for partition in range(3):
            producer.produce(topic, b"%d" % number, partition=partition)
        producer.flush()
        if number % 3 == 1:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    assert values(address, topic) == sorted(b"%d" % number for number in (0, 2, 3, 5) for _ in range(3))
    with Consumer(address, max_wait_ms=50) as everything:
        everything.assign({(topic, 0): 0})
        seen: list[bytes | None] = []

        def all_seen() -> bool:
            for batch in everything.poll_batches(100):
                seen.extend(batch.columns.values)
            return everything.position((topic, 0)) >= 12  # six records and six markers

        wait_for(all_seen, "the end of the partition")
    assert seen == [b"%d" % number for number in range(6)]


def test_many_batches_in_flight_are_one_transaction(address: str, topic: str, producer: Producer) -> None:
    """More than one request, batches of every partition, in order; the next transaction begins while readers still learn of this one."""
    with Producer(address, transactional_id=topic + "-bulk", batch_bytes=2_000) as bulk:
        bulk.init_transactions()
        for number in range(4):
            with bulk.transaction():
                for partition in range(3):
                    bulk.produce_many(topic, [b"%d %d" % (number, row) for row in range(2000)], partition=partition)
                if number == 2:
                    bulk.flush()
                    bulk.abort_transaction()
    expected = [b"%d %d" % (number, row) for number in (0, 1, 3) for row in range(2000)]
    assert read_committed(address, topic, 3) == dict.fromkeys(range(3), expected)


def test_an_open_transaction_ends_what_readers_of_committed_records_see(address: str, topic: str, producer: Producer) -> None:
    """Also where the end of the partition is for them."""
    with producer.transaction():
        producer.produce(topic, b"before", partition=0)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush()
    with Consumer(address, isolation="read_committed", max_wait_ms=50) as consumer:
        consumer.assign({(topic, 0): 0})
        wait_for(lambda: consumer.poll_batches(100) != [], "what is before the transaction")
        assert consumer.end_offsets([(topic, 0)]) == {(topic, 0): 2}
        assert consumer.poll_batches(200) == []
        producer.commit_transaction()
        got: list[bytes | None] = []
        wait_for(lambda: got.extend(r.value for r in consumer.poll(100)) or got == [b"open"], "the rest", pause_s=0)  # type: ignore[func-returns-value]


def test_a_second_producer_fences_the_first_and_aborts_what_it_left_open(address: str, topic: str, producer: Producer) -> None:
    """The first one learns it with its next call, whatever that is, and can do nothing any more."""
    producer.begin_transaction()
    producer.produce(topic, b"of the first", partition=0)
    producer.flush()
    with Producer(address, transactional_id=topic) as second:
        second.init_transactions()
        with pytest.raises(ProducerFencedError) as caught:
            producer.commit_transaction()
        assert caught.value.committed is False
        with pytest.raises(ProducerFencedError):
            producer.begin_transaction()
        with second.transaction():
            second.produce(topic, b"of the second", partition=0)
    assert values(address, topic) == [b"of the second"]


def test_a_fenced_producer_cannot_write_either(address: str, topic: str, producer: Producer) -> None:
    """It had nothing open when it was fenced: its records are refused, and so is everything after."""
    with Producer(address, transactional_id=topic) as second:
        second.init_transactions()
        with second.transaction():
            second.produce(topic, b"of the second", partition=0)
        producer.begin_transaction()
        with pytest.raises((ProducerFencedError, TransactionFailedError)):
            write_and_commit(producer, topic)
        with pytest.raises(ProducerFencedError):
            producer.abort_transaction()
    assert values(address, topic) == [b"of the second"]


def write_and_commit(producer: Producer, topic: str) -> None:
    producer.produce(topic, b"of the first", partition=0)
    producer.commit_transaction()


def test_offsets_are_committed_with_the_transaction_and_only_with_it(address: str, topic: str, producer: Producer) -> None:
    """Of a group whose partitions are assigned by hand; what was aborted was never there, and metadata travels along."""
    with Consumer(address, group=topic, isolation="read_committed") as consumer:
        consumer.assign([(topic, 0)])
        with producer.transaction():
            producer.send_offsets_to_transaction({(topic, 0): (5, "five"), (topic, 1): 7}, consumer.group_metadata())
        producer.begin_transaction()
        producer.send_offsets_to_transaction({(topic, 0): CommittedOffset(9)}, topic)
        producer.abort_transaction()
        found = consumer.committed([(topic, 0), (topic, 1)])
    assert [(item.offset, item.metadata) for item in found.values()] == [(5, "five"), (7, "")]


def test_a_member_that_has_lost_its_place_cannot_commit_with_a_transaction(address: str, topic: str, producer: Producer) -> None:
    """Its partitions may be with others: the transaction can only be aborted, and the offsets are those from before."""
    with Consumer(address, group=topic, isolation="read_committed", heartbeat_interval_ms=100, max_wait_ms=50) as consumer:
        consumer.subscribe([topic])
        wait_for(lambda: (consumer.poll_batches(50), consumer.assignment())[1], "the assignment", pause_s=0)
        member = consumer.group_metadata()
        assert member.generation >= 1
        assert member.member_id
        with producer.transaction():
            producer.send_offsets_to_transaction({(topic, 0): 1}, member)
        stale = GroupMetadata(topic, member.generation - 1, member.member_id)
        stranger = GroupMetadata(topic, member.generation, "nobody")
        for wrong, code in ((stale, ErrorCode.ILLEGAL_GENERATION), (stranger, ErrorCode.UNKNOWN_MEMBER_ID)):
            producer.begin_transaction()
            with pytest.raises(TransactionFailedError) as caught:
                producer.send_offsets_to_transaction({(topic, 0): 2}, wrong)
            assert isinstance(caught.value.reason, KafkaError)
            assert caught.value.reason.code == code
            producer.abort_transaction()
        assert consumer.committed([(topic, 0)])[topic, 0].offset == 1


SLOW_JAVA = [pytest.mark.java, pytest.mark.slow]


@pytest.mark.parametrize(
    ("address", "fenced"),
    [("ev", False), pytest.param("4.3", False, marks=SLOW_JAVA), pytest.param("3.9", True, marks=SLOW_JAVA)],
    indirect=["address"],
)
def test_a_transaction_that_takes_too_long_is_aborted_by_its_coordinator(address: str, topic: str, fenced: bool) -> None:
    """Nothing of it is ever seen. In version 2 the producer can abort it, too, and go on; in version 1 it is fenced, as by another one."""
    with Producer(address, transactional_id=topic, transaction_timeout_ms=1_000) as late, Admin(address) as admin:
        late.init_transactions()
        late.begin_transaction()
        late.produce(topic, b"late", partition=0)
        late.flush()
        wait_for(lambda: admin.list_offsets({(topic, 0): "latest"})[topic, 0].offset == 2, "the marker", 40)
        late.produce(topic, b"too late", partition=0)
        with pytest.raises(TransactionFailedError, match="INVALID_PRODUCER_EPOCH") as caught:
            late.commit_transaction()
        assert caught.value.committed is False
        if fenced:
            with pytest.raises(ProducerFencedError):
                late.abort_transaction()
        else:
            late.abort_transaction()
            with late.transaction():
                late.produce(topic, b"in time", partition=0)
    assert values(address, topic) == [b"in time"] * (not fenced)


def test_a_refused_record_fails_its_transaction_and_no_other(address: str, topic: str, producer: Producer) -> None:
    """Too large for the topic: nothing of its transaction is seen, and the next one goes on where the failed one left a gap."""
    with producer.transaction():
        producer.produce(topic, b"before", partition=0)
    producer.begin_transaction()
    producer.produce(topic, b"with it", partition=1)
    producer.flush()
    producer.produce(topic, bytes(2 << 20), partition=0)
    with pytest.raises(TransactionFailedError):
        producer.commit_transaction()
    producer.abort_transaction()
    with producer.transaction():
        producer.produce(topic, b"after", partition=0)
    assert values(address, topic) == [b"after", b"before"]


def test_a_transactional_copy_equals_its_source(address: str, fresh: Fresh) -> None:
    """A group's offsets move with what was written, some transactions are aborted; read back by ev and by librdkafka."""
    source, target = fresh("source"), fresh("target")
    make_topics(address, 2, source, target)
    with Producer(address) as feeder:
        for partition in range(2):
            feeder.produce_many(source, [b"%d/%d" % (partition, number) for number in range(600)], partition=partition)
            feeder.flush()
    with Producer(address, batch_bytes=1000) as feeder:
        for partition in range(2):
            feeder.produce_many(source, [b"%d/%d" % (partition, number) for number in range(600, 1200)], partition=partition)
    copier = ExactCopier(address, source, target, source, aborts_every=3)
    while copier.copied < 2400:
        copier.turn()
    copier.close()
    assert copier.aborted > 0
    expected = {partition: [b"%d/%d" % (partition, number) for number in range(1200)] for partition in range(2)}
    assert read_committed(address, target, 2) == expected
    assert read_committed_by_librdkafka(address, target, 2) == expected


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_copy_is_exact_although_connections_break(address: str, fresh: Fresh, seed: int) -> None:
    """One of twenty reads and writes costs its connection, so requests and answers of every kind are lost."""
    source, target = fresh("source"), fresh("target")
    make_topics(address, 2, source, target)
    expected = {partition: [b"%d/%d" % (partition, number) for number in range(1000)] for partition in range(2)}
    with Producer(address, batch_bytes=500) as feeder:
        for partition, rows in expected.items():
            feeder.produce_many(source, rows, partition=partition)
    copier = ExactCopier(address, source, target, source, batch_bytes=400, open_transport=breaking(seed, 0.05))
    while copier.copied < 2000:
        copier.turn()
    copier.close()
    summary = f"{copier.aborted} aborted of {copier.transactions}, {copier.asked_again} asked again, {copier.renewed} new producers"
    assert read_committed(address, target, 2) == expected, summary
    assert read_committed_by_librdkafka(address, target, 2) == expected, summary
