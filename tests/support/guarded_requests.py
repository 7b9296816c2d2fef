"""Requests of every kind about one topic, one group and one transactional id, for tests of who may do what."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ev.broker.configs import GROUP, TOPIC
from ev.wire.codec import Message
from ev.wire.messages import (
    k00_produce,
    k01_fetch,
    k02_list_offsets,
    k03_metadata,
    k08_offset_commit,
    k09_offset_fetch,
    k10_find_coordinator,
    k11_join_group,
    k13_leave_group,
    k19_create_topics,
    k20_delete_topics,
    k21_delete_records,
    k22_init_producer_id,
    k23_offset_for_leader_epoch,
    k24_add_partitions_to_txn,
    k25_add_offsets_to_txn,
    k26_end_txn,
    k27_write_txn_markers,
    k28_txn_offset_commit,
    k32_describe_configs,
    k33_alter_configs,
    k34_alter_replica_log_dirs,
    k37_create_partitions,
    k43_elect_leaders,
    k44_incremental_alter_configs,
    k45_alter_partition_reassignments,
    k46_list_partition_reassignments,
    k47_offset_delete,
    k49_alter_client_quotas,
    k50_describe_user_scram_credentials,
    k51_alter_user_scram_credentials,
    k55_describe_quorum,
    k57_update_features,
    k61_describe_producers,
    k68_consumer_group_heartbeat,
    k75_describe_topic_partitions,
)
from ev.wire.records import encode_batch
from support.guarded import Guarded
from support.raw_transactions import TRANSACTIONAL, committed_offset, until_coordinators_are_there, until_settled
from support.waiting import wait_for


class World(NamedTuple):
    """What there is for a test: a topic with a record, a group that has committed on it, and names that nobody has."""

    guarded: Guarded
    topic: str
    topic_id: bytes
    group: str
    transactional_id: str
    fresh: str

    def state(self) -> Any:
        """Everything that a refused request must not have changed."""
        ask = self.guarded.admin
        metadata = ask(named(self.topic, self.fresh), 12)
        offsets = ask(list_offsets(self.topic, -1), 5).topics[0].partitions[0].offset
        first = ask(list_offsets(self.topic, -2), 5).topics[0].partitions[0].offset
        configs = [ask(describe_configs(kind, name), 4).results[0] for kind, name in ((TOPIC, self.topic), (GROUP, self.group))]
        values = [(each.name, each.value) for config in configs for each in config.configs]
        topics = [(each.name, each.error_code, len(each.partitions)) for each in metadata.topics]
        users = codes(ask(describe_users(self.fresh), 0))
        return sorted(topics), first, offsets, users, committed_offset(ask, self.group, self.topic, 0), sorted(values)


def new_world(guarded: Guarded) -> World:
    token = uuid.uuid4().hex
    topic = f"t-{token}"
    until_coordinators_are_there(guarded.admin)
    wanted = k19_create_topics.CreatableTopic(name=topic, num_partitions=1, replication_factor=1)
    created = guarded.admin(k19_create_topics.CreateTopicsRequest(topics=[wanted], timeout_ms=10_000), 7).topics[0]
    assert created.error_code == 0
    there = World(guarded, topic, bytes(created.topic_id), f"g-{token}", f"x-{token}", f"f-{token}")
    wait_for(lambda: not codes(guarded.admin(produce(there), 9)), "the topic")
    until_settled(lambda: guarded.admin(commit(there), 7), lambda answer: answer.topics[0].partitions[0].error_code)
    return there


def codes(answer: Any) -> set[int]:
    """Every error code that an answer holds, wherever it is."""
    found: set[int] = set()
    for slot in getattr(type(answer), "__slots__", ()):
        value = getattr(answer, slot)
        if slot.endswith("error_code"):
            found.add(int(value))
        for each in value if isinstance(value, list) else [value]:
            found |= codes(each)
    return found - {0}


def produce(world: World, topic: str | None = None, *, transactional: bool = False) -> Message:
    batch = encode_batch(
        [b"value"],
        producer_id=4711 if transactional else -1,
        producer_epoch=0 if transactional else -1,
        base_sequence=0 if transactional else -1,
        attributes=TRANSACTIONAL if transactional else 0,
    )
    data = k00_produce.PartitionProduceData(index=0, records=batch)
    topics = [k00_produce.TopicProduceData(name=topic or world.topic, topic_id=world.topic_id, partition_data=[data])]
    transactional_id = world.transactional_id if transactional else None
    return k00_produce.ProduceRequest(transactional_id=transactional_id, acks=-1, timeout_ms=10_000, topic_data=topics)


def fetch(topic: str = "", topic_id: bytes = bytes(16), **more: Any) -> k01_fetch.FetchRequest:
    partition = k01_fetch.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    topics = [k01_fetch.FetchTopic(topic=topic, topic_id=topic_id, partitions=[partition])]
    return k01_fetch.FetchRequest(**{"max_bytes": 1 << 20, "session_epoch": -1, "topics": topics, **more})


def list_offsets(topic: str, timestamp: int = -1) -> Message:
    partition = k02_list_offsets.ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    return k02_list_offsets.ListOffsetsRequest(
        replica_id=-1, topics=[k02_list_offsets.ListOffsetsTopic(name=topic, partitions=[partition])]
    )


def named(*topics: str, create: bool = False, **more: Any) -> Message:
    asked = [k03_metadata.MetadataRequestTopic(name=name) for name in topics]
    return k03_metadata.MetadataRequest(topics=asked, allow_auto_topic_creation=create, **more)


def commit(world: World, *topics: str) -> k08_offset_commit.OffsetCommitRequest:
    partition = k08_offset_commit.OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
    asked = [k08_offset_commit.OffsetCommitRequestTopic(name=name, partitions=[partition]) for name in topics or (world.topic,)]
    return k08_offset_commit.OffsetCommitRequest(group_id=world.group, topics=asked)


def commit_by_id(world: World) -> Message:
    request = commit(world)
    request.topics[0].topic_id = world.topic_id
    return request


def offsets_of(world: World) -> Message:
    asked = k09_offset_fetch.OffsetFetchRequestTopic(name=world.topic, partition_indexes=[0])
    return k09_offset_fetch.OffsetFetchRequest(group_id=world.group, topics=[asked])


def offsets_of_groups(world: World) -> Message:
    asked = k09_offset_fetch.OffsetFetchRequestTopics(name=world.topic, topic_id=world.topic_id, partition_indexes=[0])
    return k09_offset_fetch.OffsetFetchRequest(groups=[k09_offset_fetch.OffsetFetchRequestGroup(group_id=world.group, topics=[asked])])


def coordinator(kind: int, key: str, *, one: bool = False) -> Message:
    if one:
        return k10_find_coordinator.FindCoordinatorRequest(key_type=kind, key=key)
    return k10_find_coordinator.FindCoordinatorRequest(key_type=kind, coordinator_keys=[key])


def join(world: World) -> Message:
    protocols = [k11_join_group.JoinGroupRequestProtocol(name="p", metadata=b"")]
    return k11_join_group.JoinGroupRequest(
        group_id=world.group, session_timeout_ms=10_000, rebalance_timeout_ms=10_000, protocol_type="x", protocols=protocols
    )


def leave(world: World) -> Message:
    return k13_leave_group.LeaveGroupRequest(group_id=world.group, members=[k13_leave_group.MemberIdentity(member_id="m")])


def create(name: str) -> Message:
    wanted = k19_create_topics.CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    return k19_create_topics.CreateTopicsRequest(topics=[wanted], timeout_ms=10_000)


def delete(name: str | None = None, topic_id: bytes = bytes(16)) -> Message:
    if name is not None:
        return k20_delete_topics.DeleteTopicsRequest(topic_names=[name], timeout_ms=10_000)
    state = k20_delete_topics.DeleteTopicState(name=None, topic_id=topic_id)
    return k20_delete_topics.DeleteTopicsRequest(topics=[state], timeout_ms=10_000)


def delete_records(world: World) -> Message:
    partition = k21_delete_records.DeleteRecordsPartition(partition_index=0, offset=1)
    topics = [k21_delete_records.DeleteRecordsTopic(name=world.topic, partitions=[partition])]
    return k21_delete_records.DeleteRecordsRequest(topics=topics, timeout_ms=10_000)


def producer_id(transactional_id: str | None) -> Message:
    return k22_init_producer_id.InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=10_000)


def epoch_end(world: World) -> Message:
    partition = k23_offset_for_leader_epoch.OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=0)
    topics = [k23_offset_for_leader_epoch.OffsetForLeaderTopic(topic=world.topic, partitions=[partition])]
    return k23_offset_for_leader_epoch.OffsetForLeaderEpochRequest(replica_id=-2, topics=topics)


def add_partitions(world: World, topic: str | None = None) -> Message:
    topics = [k24_add_partitions_to_txn.AddPartitionsToTxnTopic(topic or world.topic, [0])]
    return k24_add_partitions_to_txn.AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=world.transactional_id,
        v3_and_below_producer_id=4711,
        v3_and_below_producer_epoch=0,
        v3_and_below_topics=topics,
    )


def add_partitions_as_a_broker(world: World) -> Message:
    topics = [k24_add_partitions_to_txn.AddPartitionsToTxnTopic(world.topic, [0])]
    transaction = k24_add_partitions_to_txn.AddPartitionsToTxnTransaction(
        transactional_id=world.transactional_id, producer_id=4711, producer_epoch=0, topics=topics
    )
    return k24_add_partitions_to_txn.AddPartitionsToTxnRequest(transactions=[transaction])


def add_offsets(world: World) -> Message:
    return k25_add_offsets_to_txn.AddOffsetsToTxnRequest(world.transactional_id, 4711, 0, world.group)


def end(world: World) -> Message:
    return k26_end_txn.EndTxnRequest(transactional_id=world.transactional_id, producer_id=4711, producer_epoch=0, committed=True)


def markers(world: World) -> Message:
    marker = k27_write_txn_markers.WritableTxnMarker(
        producer_id=4711,
        producer_epoch=0,
        transaction_result=False,
        topics=[k27_write_txn_markers.WritableTxnMarkerTopic(world.topic, [0])],
        coordinator_epoch=0,
    )
    return k27_write_txn_markers.WriteTxnMarkersRequest(markers=[marker])


def commit_in_transaction(world: World) -> Message:
    partition = k28_txn_offset_commit.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=9, committed_metadata="")
    topics = [k28_txn_offset_commit.TxnOffsetCommitRequestTopic(world.topic, [partition])]
    return k28_txn_offset_commit.TxnOffsetCommitRequest(
        transactional_id=world.transactional_id, group_id=world.group, producer_id=4711, producer_epoch=0, topics=topics
    )


def describe_configs(kind: int, name: str) -> Message:
    resource = k32_describe_configs.DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=None)
    return k32_describe_configs.DescribeConfigsRequest(resources=[resource])


def alter_configs(kind: int, name: str, key: str, value: str) -> Message:
    config = k33_alter_configs.AlterableConfig(name=key, value=value)
    resource = k33_alter_configs.AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
    return k33_alter_configs.AlterConfigsRequest(resources=[resource])


def change_configs(kind: int, name: str, key: str, value: str, *, validate_only: bool = False) -> Message:
    config = k44_incremental_alter_configs.AlterableConfig(name=key, config_operation=0, value=value)
    resource = k44_incremental_alter_configs.AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
    return k44_incremental_alter_configs.IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)


def move(world: World) -> Message:
    topic = k34_alter_replica_log_dirs.AlterReplicaLogDirTopic(name=world.topic, partitions=[0])
    return k34_alter_replica_log_dirs.AlterReplicaLogDirsRequest(
        dirs=[k34_alter_replica_log_dirs.AlterReplicaLogDir(path="/nowhere", topics=[topic])]
    )


def grow(world: World) -> Message:
    topic = k37_create_partitions.CreatePartitionsTopic(name=world.topic, count=2, assignments=None)
    return k37_create_partitions.CreatePartitionsRequest(topics=[topic], timeout_ms=10_000)


def elect(world: World) -> Message:
    topics = [k43_elect_leaders.TopicPartitions(topic=world.topic, partitions=[0])]
    return k43_elect_leaders.ElectLeadersRequest(topic_partitions=topics, timeout_ms=10_000)


def reassign(world: World) -> Message:
    partition = k45_alter_partition_reassignments.ReassignablePartition(partition_index=0, replicas=None)
    topics = [k45_alter_partition_reassignments.ReassignableTopic(name=world.topic, partitions=[partition])]
    return k45_alter_partition_reassignments.AlterPartitionReassignmentsRequest(topics=topics, timeout_ms=10_000)


def reassignments() -> Message:
    return k46_list_partition_reassignments.ListPartitionReassignmentsRequest(topics=None, timeout_ms=10_000)


def delete_offsets(world: World) -> Message:
    topic = k47_offset_delete.OffsetDeleteRequestTopic(world.topic, [k47_offset_delete.OffsetDeleteRequestPartition(0)])
    return k47_offset_delete.OffsetDeleteRequest(group_id=world.group, topics=[topic])


def alter_quotas() -> Message:
    entity = [k49_alter_client_quotas.EntityData("user", "somebody")]
    entry = k49_alter_client_quotas.RequestEntryData(entity, [k49_alter_client_quotas.OpData("producer_byte_rate", 5.0)])
    return k49_alter_client_quotas.AlterClientQuotasRequest([entry], validate_only=True)


def describe_users(*names: str) -> Message:
    users = [k50_describe_user_scram_credentials.UserName(name) for name in names]
    return k50_describe_user_scram_credentials.DescribeUserScramCredentialsRequest(users=users)


def alter_user(name: str) -> Message:
    credential = k51_alter_user_scram_credentials.ScramCredentialUpsertion(name, 1, 4096, b"salt of sixteen!", bytes(32))
    return k51_alter_user_scram_credentials.AlterUserScramCredentialsRequest(upsertions=[credential])


def update_features() -> Message:
    update = k57_update_features.FeatureUpdateKey(feature="group.version", max_version_level=1)
    return k57_update_features.UpdateFeaturesRequest(feature_updates=[update], validate_only=True)


def quorum() -> Message:
    topic = k55_describe_quorum.RequestTopicData("__cluster_metadata", [k55_describe_quorum.RequestPartitionData(0)])
    return k55_describe_quorum.DescribeQuorumRequest(topics=[topic])


def producers(world: World) -> Message:
    return k61_describe_producers.DescribeProducersRequest(topics=[k61_describe_producers.TopicRequest(world.topic, [0])])


def heartbeat(world: World, *, names: list[str] | None = None, regex: str | None = None, member: str = "m", epoch: int = 0) -> Message:
    return k68_consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
        group_id=world.fresh,
        member_id=member,
        member_epoch=epoch,
        rebalance_timeout_ms=10_000,
        subscribed_topic_names=names,
        subscribed_topic_regex=regex,
        topic_partitions=[],
    )


def describe_partitions(world: World) -> Message:
    return k75_describe_topic_partitions.DescribeTopicPartitionsRequest(
        topics=[k75_describe_topic_partitions.TopicRequest(world.topic)], response_partition_limit=10
    )
