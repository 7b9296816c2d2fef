"""The admin client's questions about brokers, replicas, quotas and transactions, on real brokers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.coordinated import ActiveProducer, TransactionDescription, knows
from ev.client.fetched import Record
from ev.client.producer import Producer
from ev.errors import ErrorCode, KafkaError
from support.waiting import wait_for

MakeTopic = Callable[..., str]
Fresh = Callable[[str], str]


def test_brokers_say_what_they_are(admin: Admin, make_topic: MakeTopic) -> None:
    """The quorum, the features, the APIs and the directories."""
    topic = make_topic(2)
    quorum = admin.quorum()
    assert quorum.leader_id in [voter.node_id for voter in quorum.voters]
    levels = {feature.name: feature.level for feature in admin.features()}
    assert levels["metadata.version"] > 0
    apis = {api.name: api for api in admin.api_versions(quorum.leader_id)}
    assert apis["ApiVersions"].lowest == 0
    assert len(admin.log_directories()) == 1
    wait_for(lambda: {(topic, 0), (topic, 1)} <= set(admin.log_directories()[0].partitions), "the topic's own directories")


def test_replicas_of_one_broker_stay_where_they_are(admin: Admin, make_topic: MakeTopic) -> None:
    """Nothing moves, nothing can be cancelled, nobody else can lead; what is not there is an error of its own."""
    topic = make_topic(1)
    wait_for(lambda: admin.describe_topics([topic])[0].error is None, "the topic")
    assert admin.reassignments() == {}
    (cancelled,) = admin.alter_reassignments({(topic, 0): None}).values()
    assert cancelled is not None
    assert cancelled.code == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    (missing,) = admin.alter_reassignments({("nowhere", 0): [1]}).values()
    assert missing is not None
    elected = admin.elect_leaders([(topic, 0)])
    assert all(error is None or error.code == ErrorCode.ELECTION_NOT_NEEDED for error in elected.values())


def test_quotas_by_entity(admin: Admin, fresh: Fresh) -> None:
    """A user's, a default's, anybody's; a quota that cannot be is refused, and validating changes nothing."""
    user = fresh("user")
    assert admin.alter_quotas({"user": user}, {"request_percentage": 1.5}, validate_only=True).error is None
    assert admin.quotas({"user": user}) == []
    admin.alter_quotas({"user": user}, {"request_percentage": 1.5}).or_raise()
    (quota,) = wait_for(lambda: admin.quotas({"user": user}), "the quota")
    assert (quota.entity, quota.values) == ({"user": user}, {"request_percentage": 1.5})
    assert user in [each.entity["user"] for each in admin.quotas({"user": ...})]
    assert admin.alter_quotas({"user": user}, {"no_such_quota": 1.0}).error is not None
    admin.alter_quotas({"user": user}, unset=["request_percentage"]).or_raise()
    wait_for(lambda: not admin.quotas({"user": user}), "the quota to be gone")


def test_transactions_are_described(bootstrap: str, admin: Admin, make_topic: MakeTopic, fresh: Fresh) -> None:
    """By their coordinator and by the partitions; an id that nobody has is an error of its own."""
    topic, name = make_topic(1), fresh("txn")
    with Producer(bootstrap, transactional_id=name) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(topic, b"x")
        producer.flush()
        described, missing = admin.describe_transactions([name, fresh("nobody")])
        assert (described.state, described.partitions) == ("Ongoing", [(topic, 0)])
        assert missing.error is not None
        assert missing.error.code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
        found = admin.producers([(topic, 0), ("nowhere", 0)])
        (active,) = found[topic, 0].producers
        assert (active.producer_id, active.started_at) == (described.producer_id, 0)
        assert found["nowhere", 0].error is not None
        assert knows(described, active, (topic, 0))
        assert [each.transactional_id for each in admin.transactions(producer_ids=[active.producer_id])] == [name]
        producer.abort_transaction()


def test_a_coordinator_that_knows_another_epoch_or_partition_ends_nothing() -> None:
    """What makes a transaction hang: nobody, an older epoch, or a partition that is not in it."""

    def transaction(epoch: int = 5, error: KafkaError | None = None) -> TransactionDescription:
        return TransactionDescription("t", "Ongoing", 1, epoch, 1, 1, [("t", 0)], 1, error)

    producer = ActiveProducer(1, 5, 0, 0, 0, 0)
    assert knows(transaction(), producer, ("t", 0))
    assert not knows(transaction(), producer, ("t", 1))
    assert not knows(transaction(4), producer, ("t", 0))
    assert not knows(transaction(error=KafkaError(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)), producer, ("t", 0))
    assert knows(transaction(error=KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)), producer, ("t", 0))


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_batches_are_carried_unopened(bootstrap: str, make_topic: MakeTopic, codec: str) -> None:
    """Into another topic, by an idempotent producer: the same columns at new offsets. A part of a batch is not carried."""
    source, target = make_topic(1), make_topic(1)
    with Producer(bootstrap, compression=codec, linger_ms=1000) as producer:
        producer.produce_many(source, [b"a", None, b"c"], keys=[b"k", b"", None], headers=[[("h", None)], (), ()], timestamps=[5, 3, 4])
    read: list[Record] = []
    with Consumer(bootstrap) as consumer, Producer(bootstrap) as producer:
        consumer.assign([(source, 0)])
        (batch,) = wait_for(lambda: consumer.poll_batches(500), "the batch")
        assert batch.count == 3
        assert producer.carry(target, 0, batch, tag="first")
        assert producer.carry(target, 0, batch)
        producer.flush()
        deliveries = producer.poll()
        assert [(delivery.base_offset, delivery.count, delivery.error) for delivery in deliveries] == [(0, 3, None), (3, 3, None)]
        assert deliveries[0].tag == "first"
        consumer.seek((source, 0), 1)
        (part,) = wait_for(lambda: consumer.poll_batches(500), "the batch again")
        assert not producer.carry(target, 0, part)
        consumer.assign([(target, 0)])
        consumer.seek((target, 0), 0)
        while len(read) < 6:
            read += consumer.poll(500)
    assert [(record.offset, record.timestamp, record.key, record.value, list(record.headers)) for record in read[3:]] == [
        (3, 5, b"k", b"a", [("h", None)]),
        (4, 3, b"", None, []),
        (5, 4, None, b"c", []),
    ]
