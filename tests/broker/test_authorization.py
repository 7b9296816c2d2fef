"""What each request needs to be allowed, on the engine and on Apache Kafka alike.

For each request of the table: without one of its rights it is refused with Kafka's error and changes nothing, with exactly these rights
it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from ev.broker.apis import load
from ev.broker.configs import BROKER, GROUP, TOPIC
from ev.errors import ErrorCode
from ev.wire.acls import CLUSTER_NAME, Resource
from ev.wire.acls import Operation as Op
from ev.wire.codec import Message
from ev.wire.messages import (
    k01_fetch,
    k12_heartbeat,
    k14_sync_group,
    k15_describe_groups,
    k35_describe_log_dirs,
    k42_delete_groups,
    k48_describe_client_quotas,
    k64_unregister_broker,
    k65_describe_transactions,
    k69_consumer_group_describe,
    k74_list_config_resources,
)
from support.guarded import Guarded
from support.guarded_requests import (
    World,
    add_offsets,
    add_partitions,
    add_partitions_as_a_broker,
    alter_configs,
    alter_quotas,
    alter_user,
    change_configs,
    codes,
    commit,
    commit_by_id,
    commit_in_transaction,
    coordinator,
    create,
    delete,
    delete_offsets,
    delete_records,
    describe_configs,
    describe_partitions,
    describe_users,
    elect,
    end,
    epoch_end,
    fetch,
    grow,
    heartbeat,
    join,
    leave,
    list_offsets,
    markers,
    move,
    named,
    new_world,
    offsets_of,
    offsets_of_groups,
    produce,
    producer_id,
    producers,
    quorum,
    reassign,
    reassignments,
    update_features,
)
from support.raw_transactions import KEYS
from support.waiting import wait_for

NO_TOPIC = ErrorCode.TOPIC_AUTHORIZATION_FAILED
NO_GROUP = ErrorCode.GROUP_AUTHORIZATION_FAILED
NO_CLUSTER = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
NO_ID = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
REFUSALS = {NO_TOPIC, NO_GROUP, NO_CLUSTER, NO_ID}
RETENTION = "retention.ms"


@pytest.fixture
def world(guarded: Guarded) -> World:
    return new_world(guarded)


Right = tuple[int, int, Callable[[World], str], int]


def on_topic(operation: int) -> Right:
    return operation, Resource.TOPIC, lambda world: world.topic, NO_TOPIC


def on_fresh(operation: int) -> Right:
    return operation, Resource.TOPIC, lambda world: world.fresh, NO_TOPIC


def on_group(operation: int) -> Right:
    return operation, Resource.GROUP, lambda world: world.group, NO_GROUP


def on_id(operation: int) -> Right:
    return operation, Resource.TRANSACTIONAL_ID, lambda world: world.transactional_id, NO_ID


def on_cluster(operation: int) -> Right:
    return operation, Resource.CLUSTER, lambda world: CLUSTER_NAME, NO_CLUSTER


def otherwise(right: Right, code: int) -> Right:
    """The same right, whose lack is told by another code."""
    return (*right[:3], code)


class Case(NamedTuple):
    name: str
    version: int
    request: Callable[[World], Message]
    rights: list[Right]
    carried_out: set[int] | None = set()  # noqa: RUF012  # the codes of an answer that is no refusal; None: any


CASES = [
    Case("produce", 9, produce, [on_topic(Op.WRITE)]),
    Case("produce by id", 13, produce, [on_topic(Op.WRITE)]),
    Case("produce, older", 8, produce, [on_topic(Op.WRITE)]),
    Case("produce to what is not there", 9, lambda w: produce(w, w.fresh), [on_fresh(Op.WRITE)], {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}),
    Case("produce in a transaction", 9, lambda w: produce(w, transactional=True), [on_id(Op.WRITE), on_topic(Op.WRITE)], None),
    Case("fetch", 11, lambda w: fetch(w.topic), [on_topic(Op.READ)]),
    Case("fetch by id", 13, lambda w: fetch(topic_id=w.topic_id), [on_topic(Op.READ)]),
    Case("fetch what is not there", 11, lambda w: fetch(w.fresh), [on_fresh(Op.READ)], {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}),
    Case("fetch as a replica", 11, lambda w: fetch(w.topic, replica_id=7), [otherwise(on_cluster(Op.CLUSTER_ACTION), NO_TOPIC)], None),
    Case(
        "fetch as a replica, by id",
        16,
        lambda w: fetch(topic_id=w.topic_id, replica_state=k01_fetch.ReplicaState(7, 1)),
        [otherwise(on_cluster(Op.CLUSTER_ACTION), NO_TOPIC)],
        None,
    ),
    Case("list offsets", 5, lambda w: list_offsets(w.topic), [on_topic(Op.DESCRIBE)]),
    Case("metadata", 9, lambda w: named(w.topic), [on_topic(Op.DESCRIBE)]),
    Case("metadata of what is not there", 9, lambda w: named(w.fresh), [on_fresh(Op.DESCRIBE)], {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}),
    Case("commit", 7, commit, [on_group(Op.READ), on_topic(Op.READ)]),
    Case("commit by id", 10, commit_by_id, [on_group(Op.READ), on_topic(Op.READ)]),
    Case("fetch offsets", 7, offsets_of, [on_group(Op.DESCRIBE), on_topic(Op.DESCRIBE)]),
    Case("fetch offsets, oldest", 1, offsets_of, [on_group(Op.DESCRIBE), on_topic(Op.DESCRIBE)]),
    Case("fetch offsets of groups", 8, offsets_of_groups, [on_group(Op.DESCRIBE), on_topic(Op.DESCRIBE)]),
    Case("fetch offsets by id", 10, offsets_of_groups, [on_group(Op.DESCRIBE), on_topic(Op.DESCRIBE)]),
    Case("find a group's coordinator", 4, lambda w: coordinator(0, w.group), [on_group(Op.DESCRIBE)]),
    Case("find a group's coordinator, one", 3, lambda w: coordinator(0, w.group, one=True), [on_group(Op.DESCRIBE)]),
    Case("find an id's coordinator", 4, lambda w: coordinator(1, w.transactional_id), [on_id(Op.DESCRIBE)]),
    Case("join", 5, join, [on_group(Op.READ)], {ErrorCode.MEMBER_ID_REQUIRED}),
    Case("heartbeat", 3, lambda w: k12_heartbeat.HeartbeatRequest(w.group, 1, "m"), [on_group(Op.READ)], {ErrorCode.UNKNOWN_MEMBER_ID}),
    Case("leave", 3, leave, [on_group(Op.READ)], {ErrorCode.UNKNOWN_MEMBER_ID}),
    Case("sync", 3, lambda w: k14_sync_group.SyncGroupRequest(w.group, 1, "m"), [on_group(Op.READ)], {ErrorCode.UNKNOWN_MEMBER_ID}),
    Case("describe groups", 5, lambda w: k15_describe_groups.DescribeGroupsRequest([w.group]), [on_group(Op.DESCRIBE)]),
    Case("create a topic", 4, lambda w: create(w.fresh), [on_fresh(Op.CREATE)]),
    Case("create any topic", 4, lambda w: create(w.fresh), [otherwise(on_cluster(Op.CREATE), NO_TOPIC)]),
    Case("delete a topic", 5, lambda w: delete(w.topic), [on_topic(Op.DELETE)]),
    Case("delete a topic by id", 6, lambda w: delete(topic_id=w.topic_id), [on_topic(Op.DELETE)]),
    Case("delete any topic", 5, lambda w: delete(w.topic), [otherwise(on_cluster(Op.DELETE), NO_TOPIC)]),
    Case("delete records", 2, delete_records, [on_topic(Op.DELETE)]),
    Case("a producer id for an id", 4, lambda w: producer_id(w.transactional_id), [on_id(Op.WRITE)]),
    Case("a producer id", 4, lambda w: producer_id(None), [on_cluster(Op.IDEMPOTENT_WRITE)]),
    Case("a producer id for whoever may write somewhere", 4, lambda w: producer_id(None), [otherwise(on_topic(Op.WRITE), NO_CLUSTER)]),
    Case("ends of epochs", 3, epoch_end, [on_topic(Op.DESCRIBE)]),
    Case("ends of epochs, for a broker", 3, epoch_end, [otherwise(on_cluster(Op.CLUSTER_ACTION), NO_TOPIC)]),
    Case("add partitions", 3, add_partitions, [on_id(Op.WRITE), on_topic(Op.WRITE)], {ErrorCode.INVALID_PRODUCER_ID_MAPPING}),
    Case("add partitions as a broker", 4, add_partitions_as_a_broker, [on_cluster(Op.CLUSTER_ACTION)], None),
    Case("add offsets", 3, add_offsets, [on_id(Op.WRITE), on_group(Op.READ)], {ErrorCode.INVALID_PRODUCER_ID_MAPPING}),
    Case("end", 3, end, [on_id(Op.WRITE)], {ErrorCode.INVALID_PRODUCER_ID_MAPPING}),
    Case("write markers", 1, markers, [on_cluster(Op.ALTER)], None),
    Case("write markers as a broker", 1, markers, [on_cluster(Op.CLUSTER_ACTION)], None),
    Case("commit in a transaction", 3, commit_in_transaction, [on_id(Op.WRITE), on_group(Op.READ), on_topic(Op.READ)], None),
    Case("describe a topic's configuration", 4, lambda w: describe_configs(TOPIC, w.topic), [on_topic(Op.DESCRIBE_CONFIGS)]),
    Case("describe a group's configuration", 4, lambda w: describe_configs(GROUP, w.group), [on_group(Op.DESCRIBE_CONFIGS)]),
    Case("describe the broker's configuration", 4, lambda w: describe_configs(BROKER, "1"), [on_cluster(Op.DESCRIBE_CONFIGS)]),
    Case("alter a topic's configuration", 1, lambda w: alter_configs(TOPIC, w.topic, RETENTION, "9999"), [on_topic(Op.ALTER_CONFIGS)]),
    Case("change a topic's configuration", 1, lambda w: change_configs(TOPIC, w.topic, RETENTION, "99"), [on_topic(Op.ALTER_CONFIGS)]),
    Case(
        "change a group's configuration",
        1,
        lambda w: change_configs(GROUP, w.group, "consumer.session.timeout.ms", "50000"),
        [on_group(Op.ALTER_CONFIGS)],
    ),
    Case(
        "change the broker's configuration",
        1,
        lambda w: change_configs(BROKER, "1", "message.max.bytes", "1048588", validate_only=True),
        [on_cluster(Op.ALTER_CONFIGS)],
    ),
    Case("move to another directory", 2, move, [on_cluster(Op.ALTER)], {ErrorCode.LOG_DIR_NOT_FOUND}),
    Case("describe directories", 3, lambda w: k35_describe_log_dirs.DescribeLogDirsRequest(topics=None), [on_cluster(Op.DESCRIBE)]),
    Case("add partitions to a topic", 2, grow, [on_topic(Op.ALTER)]),
    Case("delete groups", 2, lambda w: k42_delete_groups.DeleteGroupsRequest([w.group]), [on_group(Op.DELETE)]),
    Case("elect leaders", 2, elect, [on_cluster(Op.ALTER)], {ErrorCode.ELECTION_NOT_NEEDED}),
    Case("reassign", 0, reassign, [on_cluster(Op.ALTER)], {ErrorCode.NO_REASSIGNMENT_IN_PROGRESS}),
    Case("list reassignments", 0, lambda w: reassignments(), [on_cluster(Op.DESCRIBE)]),
    Case("delete offsets", 0, delete_offsets, [on_group(Op.DELETE), on_topic(Op.READ)]),
    Case(
        "describe quotas",
        1,
        lambda w: k48_describe_client_quotas.DescribeClientQuotasRequest([], strict=False),
        [on_cluster(Op.DESCRIBE_CONFIGS)],
    ),
    Case("alter quotas", 1, lambda w: alter_quotas(), [on_cluster(Op.ALTER_CONFIGS)]),
    Case("describe users", 0, lambda w: describe_users(), [on_cluster(Op.DESCRIBE)], None),
    Case("alter users", 0, lambda w: alter_user(w.fresh), [on_cluster(Op.ALTER)]),
    Case("update features", 2, lambda w: update_features(), [on_cluster(Op.ALTER)]),
    Case(
        "unregister a broker",
        0,
        lambda w: k64_unregister_broker.UnregisterBrokerRequest(77),
        [on_cluster(Op.ALTER)],
        {ErrorCode.BROKER_ID_NOT_REGISTERED},
    ),
    Case("describe the quorum", 1, lambda w: quorum(), [on_cluster(Op.DESCRIBE)]),
    Case("describe producers", 0, producers, [on_topic(Op.READ)]),
    Case(
        "describe transactions",
        0,
        lambda w: k65_describe_transactions.DescribeTransactionsRequest([w.transactional_id]),
        [on_id(Op.DESCRIBE)],
        {ErrorCode.TRANSACTIONAL_ID_NOT_FOUND},
    ),
    Case(
        "join a group of the new protocol",
        1,
        lambda w: heartbeat(w, names=[w.topic]),
        [(Op.READ, Resource.GROUP, lambda w: w.fresh, NO_GROUP), on_topic(Op.DESCRIBE)],
    ),
    Case(
        "describe groups of the new protocol",
        1,
        lambda w: k69_consumer_group_describe.ConsumerGroupDescribeRequest([w.group]),
        [on_group(Op.DESCRIBE)],
        {ErrorCode.GROUP_ID_NOT_FOUND},
    ),
    Case(
        "list what has a configuration",
        1,
        lambda w: k74_list_config_resources.ListConfigResourcesRequest([]),
        [on_cluster(Op.DESCRIBE_CONFIGS)],
    ),
    Case("describe partitions", 0, describe_partitions, [on_topic(Op.DESCRIBE)]),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_a_request_needs(world: World, case: Case) -> None:
    """Each of the rights, and no other; without one of them nothing happens."""
    guarded = world.guarded
    before = world.state()
    for number, (_, _, _, code) in enumerate(case.rights):
        guarded.forbid()
        for operation, kind, name, _ in case.rights[:number] + case.rights[number + 1 :]:
            guarded.allow(operation, kind, name(world))
        answer = guarded.user(case.request(world), case.version)
        assert codes(answer) == {code}, answer
    assert world.state() == before
    guarded.forbid()
    for operation, kind, name, _ in case.rights:
        guarded.allow(operation, kind, name(world))

    def is_carried_out() -> bool:
        found = codes(guarded.user(case.request(world), case.version))
        return found == case.carried_out if case.carried_out is not None else not found & REFUSALS

    wait_for(is_carried_out, "the request to be carried out")


ELSEWHERE = {
    16: "ListGroups shows what may be described, see test_authorized_views",
    29: "see test_acls",
    30: "see test_acls",
    31: "see test_acls",
    60: "DescribeCluster tells everybody of the brokers, see test_authorized_views",
    66: "ListTransactions shows what may be described, see test_authorized_views",
}
OPEN = {
    17: "SaslHandshake: who one is comes before what one may do",
    18: "ApiVersions is asked before anybody is known",
    36: "SaslAuthenticate",
}


def test_no_request_is_forgotten() -> None:
    """Whatever is served is in the table, or it is said why not: a handler that asks for no right would let everybody in."""
    nobody = World(None, "t", bytes(16), "g", "x", "f")  # type: ignore[arg-type]
    tried = {KEYS[type(case.request(nobody))] for case in CASES}
    assert sorted(load().keys() - tried - ELSEWHERE.keys() - OPEN.keys()) == []
