"""What a broker says of itself, its directory, its quorum and its replicas; and of what it cannot read."""

from __future__ import annotations

from typing import Any

from differential.conversation import Own, Step, Steps, about
from differential.table.given import coordinator, produced, records, topic
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
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
from ev.wire.messages.k60_describe_cluster import DescribeClusterRequest
from support.rules import rule

NO_CLIENT = b"\xff\xff"


def software(name: str = "differential", version: str = "1.0") -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name=name, client_software_version=version)


def header(key: int, version: int, number: int = 7) -> bytes:
    return key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big", signed=True) + number.to_bytes(4, "big") + NO_CLIENT


@about(18, "what is served")
@rule(6, 7)
def what_is_served(version: int, own: Own) -> Steps:
    yield Step(software(), version)


@about(18, "a name of software that is none", since=3)
def bad_software(version: int, own: Own) -> Steps:
    for name, release in (("", "1"), ("name", ""), ("-", "1"), ("a b", "1"), ("name", "1/2")):
        yield Step(software(name, release), version)


@about(18, "what cannot be read", until=0)
@rule(3)
def unreadable(version: int, own: Own) -> Steps:
    """The connection is closed, except for a version of ApiVersions that is too new."""
    yield Step(header(18, 3), answer="closed", on="short")
    yield Step(header(3, 99), answer="closed", on="version")
    yield Step(header(3, -1), answer="closed", on="negative")
    yield Step(header(0, 2) + bytes(20), answer="closed", on="old")
    yield Step(header(999, 0), answer="closed", on="key")
    yield Step(header(-1, 0), answer="closed", on="no key")
    yield Step(header(3, 5) + b"\x7f\xff\xff\xff", answer="closed", on="array")
    yield Step(header(3, 5) + b"\x00\x00", answer="closed", on="body")
    yield Step(b"\x00\x03", answer="closed", on="header")
    yield Step(b"", answer="closed", on="nothing")
    yield Step(header(12, 4), answer="closed", on="no tags")


@about(18, "a version that is too new", until=0)
@rule(5)
def too_new(version: int, own: Own) -> Steps:
    yield Step(header(18, 99) + b"\x00anything", version=0)
    yield Step(software(), version)


@about(18, "fields that nobody knows", until=0)
@rule(14)
def unknown_fields(version: int, own: Own) -> Steps:
    """A tagged field in the header and one in the body are skipped."""
    yield coordinator("g")
    tags = b"\x01\x63\x02ab"
    # While Kafka reads what it knows of the group, it answers that all is well.
    yield Step(HeartbeatRequest("g", 0, "m"), 4, until=lambda answer: answer.error_code)
    yield Step(header(12, 4) + tags + b"\x02g" + bytes(4) + b"\x02m\x00" + tags)
    yield Step(HeartbeatRequest("g", 0, "m"), 4, client_id=None)


@about(60, "what there is")
def of_the_cluster(version: int, own: Own) -> Steps:
    yield Step(DescribeClusterRequest(), version)
    yield Step(DescribeClusterRequest(include_cluster_authorized_operations=True), version)
    if version >= 1:
        for kind in (2, 3):
            yield Step(DescribeClusterRequest(endpoint_type=kind), version)
    if version >= 2:
        yield Step(DescribeClusterRequest(include_fenced_brokers=True), version)


@about(55, "who votes")
def of_the_quorum(version: int, own: Own) -> Steps:
    def asked(*topics: tuple[str, int]) -> Step:
        return Step(DescribeQuorumRequest([RequestTopicData(name, [RequestPartitionData(index)]) for name, index in topics]), version)

    yield asked(("__cluster_metadata", 0))
    yield asked(("__cluster_metadata", 1))
    yield asked(("no-such-topic", 0))
    yield asked()
    yield asked(("__cluster_metadata", 0), ("no-such-topic", 0))


def directory(*topics: tuple[str, list[int]]) -> DescribeLogDirsRequest:
    return DescribeLogDirsRequest(topics=[DescribableLogDirTopic(name, indexes) for name, indexes in topics])


@about(35, "what lies where")
def of_the_directory(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield produced(own("a"), records(b"x" * 1000))
    both = (own("a"), [0, 1])
    yield Step(directory(both), version, until=lambda answer: len(answer.results[0].topics[0].partitions) == 2)
    yield Step(directory((own("a"), [9]), (own("absent"), [0])), version)
    yield Step(directory(), version)
    yield Step(DescribeLogDirsRequest(topics=None), version, everything=True)


@about(34, "nowhere else to go")
def moves(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"one"))
    names = [AlterReplicaLogDirTopic(own("a"), [0, 9]), AlterReplicaLogDirTopic(own("absent"), [0])]
    yield Step(AlterReplicaLogDirsRequest([AlterReplicaLogDir("/no/such/directory", names)]), version)
    yield Step(AlterReplicaLogDirsRequest([AlterReplicaLogDir("relative", names[:1])]), version)
    yield Step(AlterReplicaLogDirsRequest([]), version)


@about(43, "no election")
def elections(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)

    def asked(*topics: TopicPartitions, kind: int = 0) -> Step:
        return Step(ElectLeadersRequest(kind, list(topics), 20_000), version)

    for kind in (0, 1, 7) if version else (0,):
        yield asked(TopicPartitions(own("a"), [0, 1, 9]), TopicPartitions(own("absent"), [0]), kind=kind)
    yield asked()
    yield asked(TopicPartitions("", [0]))
    yield asked(TopicPartitions(own("a"), [0, 0]))


def move(name: str, *parts: tuple[int, list[int] | None], **options: Any) -> AlterPartitionReassignmentsRequest:
    given = [ReassignablePartition(index, replicas) for index, replicas in parts]
    return AlterPartitionReassignmentsRequest(timeout_ms=20_000, topics=[ReassignableTopic(name, given)], **options)


@about(45, "to where it is, and to nowhere")
def reassignments(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield Step(move(own("a"), (0, [1]), (9, [1])), version)
    yield Step(move(own("a"), (0, None)), version)
    for replicas in ([9], [1, 1], [], [1, 9], [-1]):
        yield Step(move(own("a"), (0, replicas)), version)
    yield Step(move(own("absent"), (0, [1])), version)
    yield Step(move("", (0, [1])), version)
    yield Step(AlterPartitionReassignmentsRequest(timeout_ms=20_000), version)
    yield Step(move(own("a"), (0, [1]), (0, [1])), version)
    if version:
        yield Step(move(own("a"), (0, [1]), allow_replication_factor_change=False), version)


@about(46, "none goes on")
def ongoing(version: int, own: Own) -> Steps:
    yield from topic(own("a"))

    def asked(*topics: tuple[str, list[int]]) -> Step:
        given = [ListPartitionReassignmentsTopics(name, indexes) for name, indexes in topics]
        return Step(ListPartitionReassignmentsRequest(20_000, given), version)

    yield Step(ListPartitionReassignmentsRequest(20_000, None), version)
    yield asked((own("a"), [0, 9]), (own("absent"), [0]))
    yield asked()
    yield asked(("", [0]))


@about(29, "nobody checks")
def no_acls(version: int, own: Own) -> Steps:
    yield Step(DescribeAclsRequest(1, None, 1, None, None, 1, 1), version)


@about(30, "nobody checks")
def no_acls_made(version: int, own: Own) -> Steps:
    yield Step(CreateAclsRequest([AclCreation(2, own("a"), 3, "User:me", "*", 3, 3)] * 2), version)
    yield Step(CreateAclsRequest([]), version)


@about(31, "nobody checks")
def no_acls_deleted(version: int, own: Own) -> Steps:
    yield Step(DeleteAclsRequest([DeleteAclsFilter(1, None, 1, None, None, 1, 1)]), version)
    yield Step(DeleteAclsRequest([]), version)
