"""What a cluster of one node answers about its replicas, its directory and its quorum, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k29_describe_acls import DescribeAclsRequest
from ev.wire.messages.k30_create_acls import AclCreation, CreateAclsRequest
from ev.wire.messages.k31_delete_acls import DeleteAclsFilter, DeleteAclsRequest
from ev.wire.messages.k34_alter_replica_log_dirs import AlterReplicaLogDir, AlterReplicaLogDirsRequest, AlterReplicaLogDirTopic
from ev.wire.messages.k35_describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ev.wire.messages.k43_elect_leaders import ElectLeadersRequest, TopicPartitions
from ev.wire.messages.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from ev.wire.messages.k46_list_partition_reassignments import ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics
from ev.wire.messages.k55_describe_quorum import DescribeQuorumRequest, RequestPartitionData, RequestTopicData
from ev.wire.messages.k61_describe_producers import DescribeProducersRequest
from ev.wire.messages.k61_describe_producers import TopicRequest as ProducersTopic
from ev.wire.messages.k75_describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest, TopicRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient
from support.waiting import wait_for


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def client(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    if request.param == "kafka":
        address = str(request.getfixturevalue("apache").bootstrap)
    else:
        engine: Engine = request.getfixturevalue("engine")
        address = engine.address
    with RawClient(address) as connected:
        yield connected


def create(client: RawClient, partitions: int, prefix: str = "one-node") -> str:
    name = f"{prefix}-{uuid.uuid4().hex}"
    asked = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    assert client.ask(19, 5, CreateTopicsRequest(topics=[asked], timeout_ms=10_000)).topics[0].error_code == 0
    wanted = MetadataRequest(topics=[MetadataRequestTopic(name=name)])

    def led() -> bool:
        """Known to the cluster, and in the broker's directory, which on Kafka is a moment later."""
        (found,) = client.ask(3, 12, wanted).topics
        known = found.error_code == 0 and len(found.partitions) == partitions and all(part.leader_id >= 0 for part in found.partitions)
        directory = DescribeLogDirsRequest(topics=[DescribableLogDirTopic(topic=name, partitions=list(range(partitions)))])
        return known and sum(len(topic.partitions) for topic in client.ask(35, 4, directory).results[0].topics) == partitions

    wait_for(led, f"{name} to be served")
    return name


def produce(client: RawClient, topic: str, index: int, batch: bytes) -> None:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=batch)])
    request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data])
    wait_for(lambda: client.ask(0, 9, request).responses[0].partition_responses[0].error_code == 0, "the record to be taken")


# DescribeLogDirs


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_the_data_directory_tells_what_each_partition_takes(client: RawClient, version: int) -> None:
    """Exactly the bytes of its batches; what does not exist is left out; the disk's size comes with version 4."""
    topic = create(client, 2)
    batch = encode_batch([b"x" * 1000])
    produce(client, topic, 1, batch)
    wanted = [DescribableLogDirTopic(topic=topic, partitions=[0, 1, 9]), DescribableLogDirTopic(topic="nowhere", partitions=[0])]
    (result,) = client.ask(35, version, DescribeLogDirsRequest(topics=wanted)).results
    assert result.error_code == 0
    assert result.log_dir.startswith("/")
    (found,) = result.topics
    sizes = {part.partition_index: (part.partition_size, part.offset_lag, part.is_future_key) for part in found.partitions}
    assert (found.name, sizes) == (topic, {0: (0, 0, False), 1: (len(batch), 0, False)})
    assert (0 < result.usable_bytes <= result.total_bytes) == (version >= 4)
    assert not result.is_cordoned


def test_without_a_list_every_partition_is_told(client: RawClient) -> None:
    topics = {create(client, 1), create(client, 2)}
    (result,) = client.ask(35, 4, DescribeLogDirsRequest(topics=None)).results
    found = {topic.name: sorted(part.partition_index for part in topic.partitions) for topic in result.topics}
    assert sorted(found[name] for name in topics) == [[0], [0, 1]]


# ElectLeaders


def elected(client: RawClient, version: int, asked: list[TopicPartitions] | None, kind: int = 0) -> Any:
    answer = client.ask(43, version, ElectLeadersRequest(election_type=kind, topic_partitions=asked, timeout_ms=10_000))
    assert answer.error_code == 0
    return {
        topic.topic: {part.partition_id: part.error_code for part in topic.partition_result} for topic in answer.replica_election_results
    }


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("version", [1, 2])
def test_no_election_is_needed(client: RawClient, version: int, kind: int) -> None:
    """The only replica leads; what does not exist is not found; asked for all that need one, no topic has one."""
    topic = create(client, 1)
    asked = [TopicPartitions(topic=topic, partitions=[0, 4]), TopicPartitions(topic="nowhere", partitions=[0])]
    not_found = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expected = {topic: {0: int(ErrorCode.ELECTION_NOT_NEEDED), 4: not_found}, "nowhere": {0: not_found}}
    assert elected(client, version, asked, kind) == expected
    every = elected(client, version, None, kind)
    assert topic in every
    assert not any(every.values())


# Reassignments


def test_a_partition_can_be_assigned_to_its_broker_and_to_no_other(client: RawClient) -> None:
    """Kafka's words for what is wrong with any other assignment."""
    topic = create(client, 1)
    (broker,) = client.ask(3, 12, MetadataRequest(topics=[])).brokers
    node = broker.node_id

    def reassigned(replicas: list[int] | None, name: str = topic, index: int = 0) -> tuple[int, str | None]:
        asked = ReassignableTopic(name=name, partitions=[ReassignablePartition(partition_index=index, replicas=replicas)])
        answer = client.ask(45, 1, AlterPartitionReassignmentsRequest(timeout_ms=10_000, topics=[asked]))
        assert answer.error_code == 0
        (part,) = answer.responses[0].partitions
        return part.error_code, part.error_message

    assert reassigned([node]) == (0, None)
    assert reassigned(None)[0] == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    words = "The manual partition assignment includes "
    refused = int(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert reassigned([]) == (refused, words + "an empty replica list.")
    assert reassigned([node, node]) == (refused, words + f"the broker {node} more than once.")
    assert reassigned([77]) == (refused, words + "broker 77, but no such broker is registered.")
    assert reassigned([node], name="nowhere")[0] == reassigned([node], index=5)[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    listing = ListPartitionReassignmentsRequest(topics=[ListPartitionReassignmentsTopics(name=topic, partition_indexes=[0])])
    for request in (ListPartitionReassignmentsRequest(topics=None), listing):
        answer = client.ask(46, 0, request)
        assert (answer.error_code, answer.topics) == (0, [])


# DescribeQuorum


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_quorum_is_this_node(client: RawClient, version: int) -> None:
    """It leads, it is the only voter, and it has all that is committed."""
    asked = RequestTopicData(topic_name="__cluster_metadata", partitions=[RequestPartitionData(partition_index=0)])
    answer = client.ask(55, version, DescribeQuorumRequest(topics=[asked]))
    assert answer.error_code == 0
    (part,) = answer.topics[0].partitions
    (voter,) = part.current_voters
    (broker,) = client.ask(3, 12, MetadataRequest(topics=[])).brokers
    assert (part.error_code, part.leader_id, voter.replica_id, part.observers) == (0, broker.node_id, broker.node_id, [])
    assert part.leader_epoch >= 0
    assert voter.log_end_offset >= part.high_watermark >= 0
    if version == 2:
        assert [node.node_id for node in answer.nodes] == [broker.node_id]
        assert len(voter.replica_directory_id) == 16


def test_no_other_quorum_is_known(client: RawClient) -> None:
    asked = RequestTopicData(topic_name="orders", partitions=[RequestPartitionData(partition_index=0)])
    answer = client.ask(55, 1, DescribeQuorumRequest(topics=[asked]))
    assert answer.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# DescribeProducers


def test_the_producers_of_a_partition_are_told(client: RawClient) -> None:
    """Id, epoch and last sequence number of each; no transaction is open."""
    topic = create(client, 2)
    stamp = time.time_ns() // 1_000_000
    for sequence in (0, 2):
        produce(client, topic, 1, encode_batch([b"a", b"b"], timestamps=stamp, producer_id=4711, producer_epoch=3, base_sequence=sequence))
    answer = client.ask(61, 0, DescribeProducersRequest(topics=[ProducersTopic(name=topic, partition_indexes=[0, 1, 2])]))
    parts = {part.partition_index: part for part in answer.topics[0].partitions}
    assert (parts[0].error_code, parts[0].active_producers) == (0, [])
    (producer,) = parts[1].active_producers
    told = (producer.producer_id, producer.producer_epoch, producer.last_sequence, producer.current_txn_start_offset)
    assert told == (4711, 3, 3, -1)
    assert producer.coordinator_epoch == -1
    assert producer.last_timestamp > 0
    assert parts[2].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# DescribeTopicPartitions


def pages(client: RawClient, names: list[str], limit: int) -> list[list[tuple[str, int, list[int]]]]:
    """Every answer until there is no cursor: (topic, error code, partitions)."""
    found, cursor = [], None
    while True:
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=name) for name in names], response_partition_limit=limit, cursor=cursor
        )
        answer = client.ask(75, 0, request)
        found.append([(topic.name, topic.error_code, [part.partition_index for part in topic.partitions]) for topic in answer.topics])
        if answer.next_cursor is None:
            return found
        assert len(found) < 20
        cursor = Cursor(topic_name=answer.next_cursor.topic_name, partition_index=answer.next_cursor.partition_index)


def test_topics_come_sorted_and_page_by_page(client: RawClient) -> None:
    """So many partitions at a time, in the middle of a topic or at its end; a topic that is not there is told so."""
    b, a = create(client, 5, "b"), create(client, 2, "a")
    assert pages(client, [b, a], 2000) == [[(a, 0, [0, 1]), (b, 0, [0, 1, 2, 3, 4])]]
    assert pages(client, [b, a], 3) == [[(a, 0, [0, 1]), (b, 0, [0])], [(b, 0, [1, 2, 3])], [(b, 0, [4])]]
    assert pages(client, [b, a], 2) == [[(a, 0, [0, 1])], [(b, 0, [0, 1])], [(b, 0, [2, 3])], [(b, 0, [4])]]
    missing = f"c-{uuid.uuid4().hex}"
    assert pages(client, [missing, a], 2000) == [[(a, 0, [0, 1]), (missing, int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), [])]]


def test_a_topic_is_described_as_metadata_describes_it(client: RawClient) -> None:
    """The same id, leader, epoch and replicas."""
    name = create(client, 1)
    (known,) = client.ask(3, 12, MetadataRequest(topics=[MetadataRequestTopic(name=name)])).topics
    (topic,) = client.ask(75, 0, DescribeTopicPartitionsRequest(topics=[TopicRequest(name=name)])).topics
    assert (topic.topic_id, topic.is_internal) == (known.topic_id, known.is_internal)
    (mine,), (theirs,) = topic.partitions, known.partitions
    for field in ("leader_id", "leader_epoch", "replica_nodes", "isr_nodes", "offline_replicas"):
        assert getattr(mine, field) == getattr(theirs, field), field
    assert (mine.eligible_leader_replicas, mine.last_known_elr) == ([], [])
    assert topic.topic_authorized_operations > 0


def test_a_cursor_before_the_first_partition_is_refused(client: RawClient) -> None:
    """Each topic that was named is answered INVALID_REQUEST."""
    topics = [TopicRequest(name="b"), TopicRequest(name="a")]
    request = DescribeTopicPartitionsRequest(topics=topics, cursor=Cursor(topic_name="a", partition_index=-1))
    answer = client.ask(75, 0, request)
    refused = int(ErrorCode.INVALID_REQUEST)
    assert sorted((topic.name, topic.error_code) for topic in answer.topics) == [("a", refused), ("b", refused)]
    assert answer.next_cursor is None


# ACLs

TOPIC_RESOURCE, LITERAL, READ, ALLOW, ANY = 2, 3, 3, 3, 1


@pytest.mark.parametrize("version", [1, 2, 3])
def test_without_an_authorizer_there_are_no_acls(client: RawClient, version: int) -> None:
    """Described, created and deleted: each is told that there is none, and of several each."""
    described = client.ask(
        29, version, DescribeAclsRequest(resource_type_filter=ANY, pattern_type_filter=ANY, operation=ANY, permission_type=ANY)
    )
    told = (described.error_code, described.error_message, described.resources)
    assert told == (ErrorCode.SECURITY_DISABLED, "No Authorizer is configured on the broker", [])
    refusal = (ErrorCode.SECURITY_DISABLED, "No Authorizer is configured.")
    wanted = AclCreation(TOPIC_RESOURCE, "orders", LITERAL, "User:alice", "*", READ, ALLOW)
    created = client.ask(30, version, CreateAclsRequest([wanted, wanted]))
    assert [(result.error_code, result.error_message) for result in created.results] == [refusal] * 2
    deleted = client.ask(31, version, DeleteAclsRequest([DeleteAclsFilter(ANY, None, ANY, None, None, ANY, ANY)] * 2))
    assert [(each.error_code, each.error_message, each.matching_acls) for each in deleted.filter_results] == [(*refusal, [])] * 2


# AlterReplicaLogDirs


@pytest.mark.parametrize("version", [1, 2])
def test_partitions_stay_in_the_only_directory(client: RawClient, version: int) -> None:
    """Moved to where they are they have arrived; another directory is not found, nor is a partition that does not exist."""
    topic = create(client, 2)
    (here,) = client.ask(35, 4, DescribeLogDirsRequest(topics=[])).results
    asked = [
        AlterReplicaLogDir(here.log_dir, [AlterReplicaLogDirTopic(topic, [0, 7]), AlterReplicaLogDirTopic("nowhere", [0])]),
        AlterReplicaLogDir("/elsewhere", [AlterReplicaLogDirTopic(topic, [1])]),
    ]
    answer = client.ask(34, version, AlterReplicaLogDirsRequest(asked))
    found = {(each.topic_name, part.partition_index): part.error_code for each in answer.results for part in each.partitions}
    assert found == {
        (topic, 0): ErrorCode.NONE,
        (topic, 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("nowhere", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        (topic, 1): ErrorCode.LOG_DIR_NOT_FOUND,
    }
