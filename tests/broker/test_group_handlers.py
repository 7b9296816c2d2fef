"""The group APIs in the broker: what they wait for, what they leave on disk, and every version of them."""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest

from ev.broker.internal_topic import java_hash, partition_for
from ev.broker.topics import OFFSETS_TOPIC
from ev.errors import ErrorCode
from ev.wire.catalog import API
from ev.wire.codec import Message
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from ev.wire.messages.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic
from support.simulated_broker import SimulatedBroker, SimulatedClient
from support.simulated_disk import SimulatedDisk

GROUP = "billing"
TOPIC = "orders"


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def broker(disk: SimulatedDisk) -> SimulatedBroker:
    """With one topic, and nothing on its way to the disk."""
    broker = SimulatedBroker(disk)
    create_topic(broker)
    return broker


def create_topic(broker: SimulatedBroker) -> None:
    topic = CreatableTopic(name=TOPIC, num_partitions=2, replication_factor=1)
    assert broker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7).topics[0].error_code == ErrorCode.NONE


def commit_request(offset: int, *, member_id: str = "", generation: int = -1, metadata: str = "") -> OffsetCommitRequest:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata=metadata)
    topics = [OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])]
    return OffsetCommitRequest(group_id=GROUP, generation_id_or_member_epoch=generation, member_id=member_id, topics=topics)


def fetch_request() -> OffsetFetchRequest:
    return OffsetFetchRequest(group_id=GROUP, topics=[OffsetFetchRequestTopic(name=TOPIC, partition_indexes=[0])])


def commit(broker: SimulatedBroker, offset: int, **options: Any) -> int:
    code: int = broker.ask(commit_request(offset, **options), 8).topics[0].partitions[0].error_code
    return code


def committed(broker: SimulatedBroker) -> int:
    offset: int = broker.ask(fetch_request(), 5).topics[0].partitions[0].committed_offset
    return offset


def join_request(member_id: str = "", *, instance: str | None = None, topic: bytes = b"wish") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=GROUP,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=30_000,
        member_id=member_id,
        group_instance_id=instance,
        protocol_type="test",
        protocols=[JoinGroupRequestProtocol(name="only", metadata=topic)],
    )


def sync_request(member_id: str, generation: int, gifts: dict[str, bytes]) -> SyncGroupRequest:
    assignments = [SyncGroupRequestAssignment(member_id=name, assignment=gift) for name, gift in gifts.items()]
    return SyncGroupRequest(group_id=GROUP, generation_id=generation, member_id=member_id, assignments=assignments)


def stable_member(broker: SimulatedBroker) -> str:
    """One member, alone, with its assignment; its id."""
    joined = broker.ask(join_request(), 3)
    assert joined.error_code == ErrorCode.NONE
    synced = broker.ask(sync_request(joined.member_id, joined.generation_id, {joined.member_id: b"gift"}), 2)
    assert synced.assignment == b"gift"
    member_id: str = joined.member_id
    return member_id


def offsets_directories(disk: SimulatedDisk) -> list[str]:
    return [name for name in disk.list("/data") if name.startswith(OFFSETS_TOPIC)]


# ---- the partition of a group


@pytest.mark.parametrize(
    ("text", "value"), [("", 0), ("a", 97), ("billing", -109829509), ("polygenelubricants", -(2**31)), ("é", 233), ("😀", 1772899)]
)
def test_groups_are_hashed_as_java_hashes_strings(text: str, value: int) -> None:
    """Over UTF-16 code units, in 32 bits; so Kafka's tools look for a group where it is."""
    assert java_hash(text) == value


def test_every_hash_has_a_partition() -> None:
    """Also the one that has no absolute value in 32 bits."""
    assert partition_for("polygenelubricants", 50) == 0
    assert {partition_for(f"group-{number}", 4) for number in range(100)} == {0, 1, 2, 3}


# ---- the log of the groups


def test_the_topic_is_made_for_the_first_group_and_not_before(disk: SimulatedDisk, broker: SimulatedBroker) -> None:
    """Questions about groups make nothing; the first commit does, and is answered when all is there."""
    assert broker.ask(ListGroupsRequest(), 4).groups == []
    assert broker.ask(DescribeGroupsRequest(groups=[GROUP]), 5).groups[0].group_state == "Dead"
    assert committed(broker) == -1
    assert broker.ask(HeartbeatRequest(group_id=GROUP, member_id="m", generation_id=1), 3).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert offsets_directories(disk) == []
    assert commit(broker, 5) == ErrorCode.NONE
    assert len(offsets_directories(disk)) == broker.settings.offsets_topic_num_partitions


def test_groups_that_come_while_the_topic_is_being_made_wait_for_it(broker: SimulatedBroker) -> None:
    """Twenty at once: one topic, twenty answers."""
    clients = [broker.connect() for _ in range(20)]
    tokens = [client.send(commit_request(number), 8) for number, client in enumerate(clients)]
    broker.world.settle()
    assert all(client.replies[token].topics[0].partitions[0].error_code == 0 for client, token in zip(clients, tokens, strict=True))
    assert committed(broker) == 19


def test_what_follows_a_commit_that_waits_for_the_topic_waits_too(broker: SimulatedBroker) -> None:
    """Requests of a connection are decided in the order in which they came."""
    client = broker.connect()
    tokens = [client.send(commit_request(7), 8), client.send(fetch_request(), 5)]
    broker.world.settle()
    assert client.replies[tokens[1]].topics[0].partitions[0].committed_offset == 7


def test_idle_groups_need_one_timer_and_no_groups_none(broker: SimulatedBroker) -> None:
    """A session needs to be watched; when nobody is left there is only the day on which the offsets expire."""
    before = len(broker.world.armed)
    member_id = stable_member(broker)
    commit(broker, 1, member_id=member_id, generation=1)
    broker.world.advance(6_000)  # background flushes have their own timers
    broker.world.settle()
    assert len(broker.world.armed) <= before + 1
    for _ in range(100):
        assert broker.ask(HeartbeatRequest(group_id=GROUP, member_id=member_id, generation_id=1), 3).error_code == ErrorCode.NONE
    assert len(broker.world.armed) <= before + 1


def test_a_silent_member_is_dropped_by_the_clock(broker: SimulatedBroker) -> None:
    """The timer is armed for its session, not for somebody's next request."""
    member_id = stable_member(broker)
    broker.world.advance(9_999)
    assert broker.ask(DescribeGroupsRequest(groups=[GROUP]), 5).groups[0].members[0].member_id == member_id
    broker.world.advance(1)
    broker.world.settle()
    assert broker.ask(DescribeGroupsRequest(groups=[GROUP]), 5).groups[0].group_state == "Empty"


# ---- nothing is told before it is on disk


def unanswered(client: SimulatedClient, token: int) -> bool:
    return token not in client.replies


def test_a_commit_and_whoever_reads_it_wait_for_the_disk(broker: SimulatedBroker) -> None:
    """An OffsetFetch, a list and a description after an unsynced commit are answered with it, and not before."""
    commit(broker, 1)
    writer, readers = broker.connect(), [broker.connect() for _ in range(4)]
    written = writer.send(commit_request(2), 8)
    questions: list[tuple[Message, int]] = [
        (fetch_request(), 5),
        (ListGroupsRequest(), 4),
        (DescribeGroupsRequest(groups=[GROUP]), 5),
        (HeartbeatRequest(group_id=GROUP, member_id="m", generation_id=1), 3),
    ]
    asked = [reader.send(*question) for reader, question in zip(readers, questions, strict=True)]
    broker.world.turn()
    assert unanswered(writer, written)
    assert all(unanswered(reader, token) for reader, token in zip(readers, asked, strict=True))
    broker.world.settle()
    assert writer.replies[written].topics[0].partitions[0].error_code == ErrorCode.NONE
    assert readers[0].replies[asked[0]].topics[0].partitions[0].committed_offset == 2
    assert readers[3].replies[asked[3]].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_in_another_partition_does_not_wait(broker: SimulatedBroker) -> None:
    """What waits is what depends: a reader of another partition's group is answered at once."""
    commit(broker, 1)
    other = next(name for name in map(str, range(99)) if partition_for(name, 4) != partition_for(GROUP, 4))
    writer, reader = broker.connect(), broker.connect()
    written = writer.send(commit_request(2), 8)
    asked = reader.send(OffsetFetchRequest(group_id=other, topics=[OffsetFetchRequestTopic(name=TOPIC, partition_indexes=[0])]), 5)
    broker.world.turn()
    assert unanswered(writer, written)
    assert reader.replies[asked].topics[0].partitions[0].committed_offset == -1


def test_assignments_are_on_disk_before_a_member_has_them(disk: SimulatedDisk, broker: SimulatedBroker) -> None:
    """And what a member was told survives a power cut: its next heartbeat is fine."""
    joined = broker.ask(join_request(), 3)
    client = broker.connect()
    token = client.send(sync_request(joined.member_id, 1, {joined.member_id: b"gift"}), 2)
    broker.world.turn()
    assert unanswered(client, token)
    broker.world.settle()
    assert client.replies[token].assignment == b"gift"
    for seed in range(5):
        after = SimulatedBroker(disk.crash_image(Random(seed)))
        beat = HeartbeatRequest(group_id=GROUP, member_id=joined.member_id, generation_id=1)
        assert after.ask(beat, 3).error_code == ErrorCode.NONE
        assert after.ask(sync_request(joined.member_id, 1, {}), 2).assignment == b"gift"


def test_an_answered_commit_survives_a_power_cut(disk: SimulatedDisk, broker: SimulatedBroker) -> None:
    """In every crash image, with its note."""
    assert commit(broker, 7, metadata="note") == ErrorCode.NONE
    for seed in range(10):
        after = SimulatedBroker(disk.crash_image(Random(seed)))
        assert committed(after) == 7


# ---- topics that go


def test_a_deleted_topic_takes_its_commits_with_it(disk: SimulatedDisk, broker: SimulatedBroker) -> None:
    """Its successor begins without, before and after a restart."""
    assert commit(broker, 7) == ErrorCode.NONE
    assert broker.ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=TOPIC)], timeout_ms=1000), 6).responses[0].error_code == 0
    create_topic(broker)
    assert committed(broker) == -1
    for seed in range(10):
        assert committed(SimulatedBroker(disk.crash_image(Random(seed)))) == -1


# ---- a log that cannot be written


def test_a_full_disk_refuses_and_room_lets_go_on(disk: SimulatedDisk, broker: SimulatedBroker) -> None:
    """COORDINATOR_NOT_AVAILABLE, which clients retry; nothing of the refused commit is there."""
    assert commit(broker, 1) == ErrorCode.NONE
    fault = disk.fail("write", errno.ENOSPC, OFFSETS_TOPIC, times=None)
    assert commit(broker, 2) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert committed(broker) == 1
    disk.faults.remove(fault)
    assert commit(broker, 3) == ErrorCode.NONE
    assert committed(broker) == 3


def test_a_group_that_is_too_large_for_a_record_is_refused(broker: SimulatedBroker) -> None:
    """With Kafka's code; and it can still be formed with less."""
    joined = broker.ask(join_request(), 3)
    refused = broker.ask(sync_request(joined.member_id, 1, {joined.member_id: bytes(17 << 20)}), 2)
    assert refused.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    stable_member(broker)


# ---- every version


def requests_of(key: int, version: int, group: str = GROUP) -> Message:
    match key:
        case 8:
            commit_of_version = commit_request(1)
            if version >= 10:
                commit_of_version.topics[0].name = ""
            return commit_of_version
        case 9:
            if version < 8:
                return fetch_request()
            topics = [OffsetFetchRequestTopics(name=TOPIC if version < 10 else "", partition_indexes=[0])]
            return OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=GROUP, topics=topics)])
        case 10:
            return FindCoordinatorRequest(key=GROUP if version < 4 else "", coordinator_keys=[GROUP] if version >= 4 else [])
        case 11:
            join = join_request()
            join.group_id = group
            return join
        case 12:
            return HeartbeatRequest(group_id=GROUP, member_id="m", generation_id=1)
        case 13:
            members = [MemberIdentity(member_id="m")] if version >= 3 else []
            return LeaveGroupRequest(group_id=GROUP, member_id="" if version >= 3 else "m", members=members)
        case 14:
            return sync_request("m", 1, {})
        case 15:
            return DescribeGroupsRequest(groups=[GROUP])
        case 16:
            return ListGroupsRequest()
        case 42:
            return DeleteGroupsRequest(groups_names=[GROUP])
        case _:
            partitions = [OffsetDeleteRequestPartition(partition_index=0)]
            return OffsetDeleteRequest(group_id=GROUP, topics=[OffsetDeleteRequestTopic(name=TOPIC, partitions=partitions)])


KEYS = (8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47)


@pytest.mark.parametrize("key", KEYS, ids=[API[key].name for key in KEYS])
def test_every_version_of_every_group_api_is_answered(broker: SimulatedBroker, key: int) -> None:
    """From the first to the newest that Kafka 4.3 knows, with a reply that this version can carry, with and without the group."""
    assert (broker.broker.apis[key].min_version, broker.broker.apis[key].max_version) == (API[key].min_version, API[key].max_version)
    for version in range(API[key].min_version, API[key].max_version + 1):
        # A JoinGroup to a group with members would wait for them.
        assert broker.ask(requests_of(key, version, f"new-{version}"), version) is not None
    commit(broker, 1)
    for version in range(API[key].min_version, API[key].max_version + 1):
        assert broker.ask(requests_of(key, version, f"newer-{version}"), version) is not None


@pytest.mark.parametrize("version", range(7))
def test_the_coordinator_of_every_group_is_here(broker: SimulatedBroker, version: int) -> None:
    """At the address at which the client found us."""
    found = broker.ask(requests_of(10, version), version)
    place = found if version < 4 else found.coordinators[0]
    assert (place.error_code, place.node_id, place.host, place.port) == (0, broker.store.node_id, "127.0.0.1", 9092)


def test_share_groups_have_no_coordinator(broker: SimulatedBroker) -> None:
    """A clear refusal that clients do not retry."""
    answer = broker.ask(FindCoordinatorRequest(key_type=2, coordinator_keys=["id"]), 6).coordinators[0]
    assert answer.error_code == ErrorCode.INVALID_REQUEST
    assert "not supported" in answer.error_message


def test_heartbeats_and_commits_on_one_connection_are_answered_in_order(broker: SimulatedBroker) -> None:
    """Also while a JoinGroup of another member is parked."""
    member_id = stable_member(broker)
    newcomer, client = broker.connect(), broker.connect()
    parked = newcomer.send(join_request(), 3)
    tokens = [
        client.send(HeartbeatRequest(group_id=GROUP, member_id=member_id, generation_id=1), 3),
        client.send(commit_request(4, member_id=member_id, generation=1), 8),
        client.send(fetch_request(), 5),
        client.send(join_request(member_id), 3),
    ]
    broker.world.settle()
    assert list(client.replies) == tokens
    assert client.replies[tokens[0]].error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert client.replies[tokens[1]].topics[0].partitions[0].error_code == ErrorCode.NONE
    assert client.replies[tokens[3]].generation_id == newcomer.replies[parked].generation_id == 2
