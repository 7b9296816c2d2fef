"""The groups' log stays short, and no commit is lost or comes back on the way."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ev.broker import renewal
from ev.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from ev.errors import ErrorCode, KafkaError
from ev.log.partition import Partition
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from support.raw_transactions import Ask, TransactionalProducer, committed_offset
from support.simulated_broker import SimulatedBroker, run_one
from support.simulated_disk import SimulatedDisk

PARTITIONS = 3
GROUPS = [f"group-{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def renewed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RECORDS_MAX", 60)
    monkeypatch.setattr(renewal, "LIVE_FACTOR", 1)
    monkeypatch.setattr(renewal, "STEP_RECORDS", 4)


def started(disk: SimulatedDisk) -> SimulatedBroker:
    return SimulatedBroker(disk, settings={"offsets.topic.num.partitions": "1"})


def with_topic() -> tuple[SimulatedDisk, SimulatedBroker]:
    disk = SimulatedDisk(["/data"])
    broker = started(disk)
    topic = CreatableTopic(name="t", num_partitions=PARTITIONS, replication_factor=1)
    assert broker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics[0].error_code == 0
    return disk, broker


def log_of(broker: SimulatedBroker) -> Partition:
    partition = broker.store.partition(OFFSETS_TOPIC, 0)
    assert partition is not None
    return partition


def commit(group: str, partition: int, offset: int) -> OffsetCommitRequest:
    wanted = OffsetCommitRequestPartition(partition_index=partition, committed_offset=offset, committed_metadata="")
    return OffsetCommitRequest(group_id=group, topics=[OffsetCommitRequestTopic(name="t", partitions=[wanted])])


def committed(broker: SimulatedBroker) -> dict[tuple[str, int], int]:
    found = {}
    for group in GROUPS:
        request = OffsetFetchRequest(group_id=group, topics=[OffsetFetchRequestTopic(name="t", partition_indexes=list(range(PARTITIONS)))])
        for each in broker.ask(request, 5).topics[0].partitions:
            found[group, each.partition_index] = each.committed_offset
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_was_answered_holds_through_renewals_and_power_cuts(seed: int) -> None:
    """Commits and deletions go on between the steps of a renewal; at any moment the power may go."""
    random = Random(seed)
    disk, broker = with_topic()
    client = broker.connect()
    answered = dict.fromkeys([(group, partition) for group in GROUPS for partition in range(PARTITIONS)], -1)
    asked: dict[int, tuple[tuple[str, int], int]] = {}
    for number in range(400):
        group, partition = random.choice(GROUPS), random.randrange(PARTITIONS)
        asked[client.send(commit(group, partition, number), 8)] = ((group, partition), number)
        while random.random() < 0.6 and run_one(broker.world, random):
            pass
        if number % 40 == 39:
            for token, (key, offset) in asked.items():
                if token in client.replies:
                    answered[key] = max(answered[key], offset)
            after = committed(started(disk.crash_image(random)))
            possible = {key: {offset for other, offset in asked.values() if other == key} for key in answered}
            for key, offset in after.items():
                assert offset >= answered[key], "an answered commit is there"
                assert offset == -1 or offset in possible[key], "nothing is there that was not asked for"
    broker.world.settle()
    log = log_of(broker)
    assert log.log_start_offset > 100, "the log was renewed"
    assert log.end_offset - log.log_start_offset < 250, "and is short"
    assert committed(started(disk.crash_image(random))) == committed(broker)


def test_a_group_deleted_during_a_renewal_does_not_come_back() -> None:
    """A step writes what holds at its moment: of a deleted group, nothing."""
    disk, broker = with_topic()
    client = broker.connect()
    for number in range(100):
        client.send(commit(random_group(number), number % PARTITIONS, number), 8)
    client.send(DeleteGroupsRequest(groups_names=GROUPS[:6]), 1)
    broker.world.settle()
    assert log_of(broker).log_start_offset > 0
    after = committed(started(disk.crash_image(Random(1))))
    assert all(offset == -1 for (group, _), offset in after.items() if group in GROUPS[:6])
    assert after == committed(broker)


def random_group(number: int) -> str:
    return GROUPS[number * 7 % len(GROUPS)]


def test_a_log_that_refuses_is_renewed_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old records stay until the new ones are there."""
    disk, broker = with_topic()
    broker.ask(commit(GROUPS[0], 0, 0), 8)
    log = log_of(broker)
    write = Partition.append_records
    refused: list[Any] = []

    def append_records(partition: Partition, records: Any, now_ms: int, **more: Any) -> Any:
        if len(records) > 1 and not refused:
            refused.append(records)
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        return write(partition, records, now_ms, **more)

    monkeypatch.setattr(Partition, "append_records", append_records)
    for number in range(1, 100):
        broker.ask(commit(random_group(number), number % PARTITIONS, number), 8)
    assert refused
    assert log.log_start_offset == 0
    for number in range(100, 200):
        broker.ask(commit(random_group(number), number % PARTITIONS, number), 8)
    assert log.log_start_offset > 0
    assert committed(started(disk.crash_image(Random(2)))) == committed(broker)


def test_what_open_transactions_have_committed_is_renewed_with_them() -> None:
    """It is still pending afterwards, after a restart too, and counts when its transaction commits."""
    disk, broker = with_topic()
    ask = asked_of(broker)
    producer = TransactionalProducer(ask, "open", wall_ms=broker.clock.wall_ms)
    assert producer.begin() == 0
    assert broker.ask(commit(GROUPS[0], 0, 5), 8).topics[0].partitions[0].error_code == 0
    assert producer.commit_offset(GROUPS[0], "t", 0, 777) == 0
    for number in range(300):
        broker.ask(commit(GROUPS[1 + number % 11], number % PARTITIONS, number), 8)
    assert log_of(broker).log_start_offset > 100, "the log was renewed"
    again = started(disk.crash_image(Random(3)))
    for each in (broker, again):
        ask = asked_of(each)
        assert committed_offset(ask, GROUPS[0], "t", 0) == (5, 0)
        assert committed_offset(ask, GROUPS[0], "t", 0, stable=True) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        producer.ask = ask
        assert producer.end(commit=True) == 0
        assert committed_offset(ask, GROUPS[0], "t", 0, stable=True) == (777, 0)


def test_a_commit_after_that_of_a_transaction_stays() -> None:
    """What was written last counts, whenever the transaction ends; so it is after a restart."""
    disk, broker = with_topic()
    producer = TransactionalProducer(asked_of(broker), "open", wall_ms=broker.clock.wall_ms)
    assert producer.begin() == 0
    assert producer.commit_offset(GROUPS[0], "t", 0, 777) == 0
    broker.ask(commit(GROUPS[0], 0, 8), 8)
    assert producer.end(commit=True) == 0
    for each in (broker, started(disk.crash_image(Random(4)))):
        assert committed_offset(asked_of(each), GROUPS[0], "t", 0, stable=True) == (8, 0)


def test_the_log_of_transactions_is_kept_short() -> None:
    """Three records a transaction, and one to know."""
    disk, broker = with_topic()
    producers = [TransactionalProducer(asked_of(broker), f"id-{number}", wall_ms=broker.clock.wall_ms) for number in range(5)]
    for producer in producers:
        assert producer.begin() == 0
    for number in range(200):
        producer = producers[number % 5]
        assert producer.write("t", number % PARTITIONS, b"%d" % number) == 0
        assert producer.end(commit=number % 3 > 0) == 0
    logs = [broker.store.partition(TRANSACTIONS_TOPIC, index) for index in range(4)]
    assert all(log is not None and log.end_offset - log.log_start_offset < 200 for log in logs)
    assert sum(log.log_start_offset for log in logs if log is not None) > 100, "they were renewed"
    again = started(disk.crash_image(Random(5)))
    for producer in producers:
        known = again.broker.transactions.transactions.get(producer.transactional_id)
        assert known is not None
        assert (known.producer_id, known.epoch) == (producer.producer_id, producer.epoch)
        producer.ask = asked_of(again)
        assert producer.write("t", 0, b"more") == 0
        assert producer.end(commit=True) == 0


def asked_of(broker: SimulatedBroker) -> Ask:
    return lambda request, version: broker.ask(request, version)
