"""Groups of two and three members, in every client: they share the partitions, take over from each other and lose nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.group_members import CLIENTS, GroupMember, member_of
from support.waiting import wait_for

PARTITIONS = 6
EVERY = frozenset(range(PARTITIONS))
WITH_KCAT = [pytest.param(client, marks=[pytest.mark.kcat] if client == "kcat" else []) for client in CLIENTS]
WAIT_S = 60


@pytest.fixture
def admin(address: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": address})


@pytest.fixture
def shared_topic(admin: AdminClient, topic: str) -> str:
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    return topic


def produce(address: str, topic: str, values: list[bytes]) -> None:
    """One record after the other to each partition in turn."""
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=number % PARTITIONS)
    assert producer.flush(30) == 0


def shared(members: list[GroupMember]) -> bool:
    """Whether every partition has exactly one reader, and every member has one."""
    given = [partition for member in members for partition in member.assigned]
    return sorted(given) == sorted(EVERY) and all(member.assigned for member in members)


def values_read(members: list[GroupMember]) -> set[bytes]:
    return {value for member in members for value in member.records.values()}


def committed(address: str, topic: str, group: str) -> int:
    """The sum of the group's committed offsets: how many records it is done with."""
    reader = Consumer({"bootstrap.servers": address, "group.id": group})
    places = reader.committed([Place(topic, partition) for partition in range(PARTITIONS)], 20)
    reader.close()
    return sum(max(place.offset, 0) for place in places)


@contextlib.contextmanager
def group_of(count: int, client: str, address: str, topic: str) -> Iterator[list[GroupMember]]:
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(member_of(client, address, topic, f"group-of-{topic}")) for _ in range(count)]
        wait_for(lambda: shared(members), f"{count} members to share the partitions", WAIT_S)
        yield members


@pytest.mark.parametrize("client", WITH_KCAT)
def test_members_share_the_partitions_and_take_over_from_one_that_leaves(
    address: str, admin: AdminClient, shared_topic: str, client: str
) -> None:
    """Three members read everything once; two go on where the third stopped."""
    first, second = [[b"%s-%d" % (which, number) for number in range(120)] for which in (b"first", b"second")]
    with group_of(3, client, address, shared_topic) as members:
        produce(address, shared_topic, first)
        wait_for(lambda: values_read(members) == set(first), "the first records", WAIT_S)
        assert sum(len(member.records) for member in members) == len(first), "nobody reads what another has"
        described = admin.describe_consumer_groups([f"group-of-{shared_topic}"])[f"group-of-{shared_topic}"].result(20)
        assert described.state is ConsumerGroupState.STABLE
        assert len(described.members) == 3
        assert all(len(member.assignment.topic_partitions) == 2 for member in described.members)
        wait_for(lambda: committed(address, shared_topic, f"group-of-{shared_topic}") == len(first), "commits", WAIT_S)
        members[0].stop()
        wait_for(lambda: shared(members[1:]), "two members to share the partitions", WAIT_S)
        produce(address, shared_topic, second)
        wait_for(lambda: values_read(members[1:]) >= set(second), "the second records", WAIT_S)
        assert sum(len(member.records) for member in members) == len(first) + len(second), "what was committed is not read again"


@pytest.mark.parametrize("client", WITH_KCAT)
def test_a_group_that_comes_back_reads_on_where_it_stopped(address: str, shared_topic: str, client: str) -> None:
    """Nothing again, nothing missing."""
    first, second = [[b"%s-%d" % (which, number) for number in range(60)] for which in (b"first", b"second")]
    produce(address, shared_topic, first)
    with group_of(2, client, address, shared_topic) as members:
        wait_for(lambda: values_read(members) == set(first), "the first records", WAIT_S)
        wait_for(lambda: committed(address, shared_topic, f"group-of-{shared_topic}") == len(first), "commits", WAIT_S)
    produce(address, shared_topic, second)
    with group_of(1, client, address, shared_topic) as [member]:
        wait_for(lambda: values_read([member]) >= set(second), "the second records", WAIT_S)
        assert values_read([member]) == set(second)


def test_members_in_different_clients_form_one_group(address: str, shared_topic: str) -> None:
    """librdkafka, aiokafka and kafka-python agree on an assignor that all of them have."""
    values = [b"%d" % number for number in range(90)]
    with contextlib.ExitStack() as stack:
        clients = ("confluent-kafka", "aiokafka", "kafka-python")
        members = [stack.enter_context(member_of(client, address, shared_topic, f"group-of-{shared_topic}")) for client in clients]
        wait_for(lambda: shared(members), "three clients to share the partitions", WAIT_S)
        produce(address, shared_topic, values)
        wait_for(lambda: values_read(members) == set(values), "all records", WAIT_S)
        assert sum(len(member.records) for member in members) == len(values)
