"""A sync that does not return: nothing that depends on it is answered, and everything else goes on."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from ev.wire.records import encode_batch
from support.raw_client import RawClient
from support.simulated_disk import SimulatedDisk
from support.threaded_broker import ThreadedBroker
from support.waiting import wait_for

PRODUCE, FETCH, LIST_OFFSETS, OFFSET_COMMIT, OFFSET_FETCH, FIND = 0, 1, 2, 8, 9, 10
API_VERSIONS, CREATE, DELETE, INIT, ALTER = 18, 19, 20, 22, 44
METHODS = ("auto", "journal", "file")


class Stage:
    """A broker with a topic t, three connections, and a disk whose syncs can be held."""

    def __init__(self, stack: ExitStack, **settings: str) -> None:
        self.disk = SimulatedDisk(["/data"])
        self.broker = stack.enter_context(ThreadedBroker(self.disk, settings))
        self.a, self.b, self.c = (stack.enter_context(RawClient(self.broker.address)) for _ in range(3))

    def create(self, topic: str, **config: str) -> None:
        configs = [CreatableTopicConfig(name=name.replace("_", "."), value=value) for name, value in config.items()]
        asked = CreatableTopic(name=topic, num_partitions=1, replication_factor=1, configs=configs)
        answer = self.c.ask(CREATE, 7, CreateTopicsRequest(topics=[asked], timeout_ms=10_000))
        assert answer.topics[0].error_code == 0, answer

    def hold(self, path_part: str = "") -> None:
        self.disk.hold_syncs(path_part)

    def let_go(self) -> None:
        self.disk.let_syncs_pass()

    def assert_silent(self, *clients: RawClient) -> None:
        """The broker is alive and answers others, and has sent nothing to these."""
        assert self.c.ask(API_VERSIONS, 3, ApiVersionsRequest("test", "1")).error_code == 0
        assert select.select([client.socket for client in clients], [], [], 0)[0] == []


@pytest.fixture(params=METHODS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as stack:
        stage = Stage(stack, **{"ev.flush.method": request.param, "offsets.topic.num.partitions": "1"})
        stage.create("t")
        yield stage
        assert stage.broker.problems == []
        assert stage.broker.failure is None


def produce(value: bytes, acks: int = -1, producer_id: int = -1, sequence: int = -1, topic: str = "t") -> ProduceRequest:
    epoch = 0 if producer_id >= 0 else -1
    records = encode_batch([value], producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, timestamps=1_700_000_000_000)
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=records)])
    return ProduceRequest(acks=acks, timeout_ms=60_000, topic_data=[data])


def fetch(offset: int, topic: str = "t", wait_ms: int = 60_000) -> FetchRequest:
    asked = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    return FetchRequest(max_wait_ms=wait_ms, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[asked])])


def test_a_batch_resent_on_a_second_connection_is_not_acknowledged(stage: Stage) -> None:
    """A duplicate is answered when its original is synced, never before."""
    producer_id = stage.c.ask(INIT, 4, InitProducerIdRequest(transactional_id=None)).producer_id
    stage.hold()
    stage.a.send(stage.a.frame(PRODUCE, 9, produce(b"x", producer_id=producer_id, sequence=0)))
    assert stage.disk.syncs_held.acquire(timeout=20)
    stage.b.send(stage.b.frame(PRODUCE, 9, produce(b"x", producer_id=producer_id, sequence=0)))
    stage.broker.wait_for_unanswered(2)
    stage.assert_silent(stage.a, stage.b)
    stage.let_go()
    for client in (stage.a, stage.b):
        told = client.answer(PRODUCE, 9).responses[0].partition_responses[0]
        assert (told.error_code, told.base_offset) == (0, 0)


def test_an_offset_is_not_shown_before_its_commit_is_on_disk(stage: Stage) -> None:
    """OffsetFetch after an unsynced OffsetCommit is not answered; then both are."""

    def commit(offset: int) -> OffsetCommitRequest:
        part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        return OffsetCommitRequest(group_id="g", topics=[OffsetCommitRequestTopic(name="t", partitions=[part])])

    assert stage.c.ask(FIND, 2, FindCoordinatorRequest(key="g", key_type=0)).error_code == 0
    assert stage.a.ask(OFFSET_COMMIT, 8, commit(3)).topics[0].partitions[0].error_code == 0
    stage.hold()
    stage.a.send(stage.a.frame(OFFSET_COMMIT, 8, commit(7)))
    assert stage.disk.syncs_held.acquire(timeout=20)
    request = OffsetFetchRequest(group_id="g", topics=[OffsetFetchRequestTopic(name="t", partition_indexes=[0])])
    stage.b.send(stage.b.frame(OFFSET_FETCH, 7, request))
    stage.broker.wait_for_unanswered(2)
    stage.assert_silent(stage.a, stage.b)
    stage.let_go()
    assert stage.a.answer(OFFSET_COMMIT, 8).topics[0].partitions[0].error_code == 0
    assert stage.b.answer(OFFSET_FETCH, 7).topics[0].partitions[0].committed_offset == 7


def test_the_end_of_the_log_covers_what_was_acknowledged_without_a_sync(stage: Stage) -> None:
    """acks=1 is answered at once; ListOffsets(latest) then waits for the sync, and shows the record."""
    stage.hold()
    told = stage.a.ask(PRODUCE, 9, produce(b"x", acks=1)).responses[0].partition_responses[0]
    assert (told.error_code, told.base_offset) == (0, 0)
    assert stage.disk.syncs_held.acquire(timeout=20)
    latest = ListOffsetsPartition(partition_index=0, timestamp=-1)
    stage.b.send(stage.b.frame(LIST_OFFSETS, 6, ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=[latest])])))
    stage.broker.wait_for_unanswered(1)
    stage.assert_silent(stage.b)
    stage.let_go()
    assert stage.b.answer(LIST_OFFSETS, 6).topics[0].partitions[0].offset == 1


def test_a_deleted_topic_wakes_its_waiters(stage: Stage) -> None:
    """A topic is deleted while a sync of it is held: the producer is answered, the long poll hears that the topic is gone."""
    stage.a.send(stage.a.frame(FETCH, 11, fetch(0)))
    stage.broker.wait_for_unanswered(1)
    stage.hold()
    stage.b.send(stage.b.frame(PRODUCE, 9, produce(b"x", topic="t")))
    assert stage.disk.syncs_held.acquire(timeout=20)
    deletion = DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=60_000)
    deleter = RawClient(stage.broker.address)
    deleter.send(deleter.frame(DELETE, 6, deletion))
    stage.broker.wait_for_unanswered(3)
    stage.assert_silent(stage.a, stage.b, deleter)
    stage.let_go()
    assert deleter.answer(DELETE, 6).responses[0].error_code == 0
    assert stage.b.answer(PRODUCE, 9).responses[0].partition_responses[0].error_code in (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    woken = stage.a.answer(FETCH, 11).responses[0].partitions[0]
    assert woken.error_code in (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    deleter.close()
    assert stage.c.ask(FETCH, 11, fetch(0)).responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_long_poll_on_a_topic_that_is_deleted_is_answered_at_once(stage: Stage) -> None:
    """The poll that would have waited for a minute hears UNKNOWN_TOPIC_OR_PARTITION."""
    stage.a.send(stage.a.frame(FETCH, 11, fetch(0)))
    stage.broker.wait_for_unanswered(1)
    deletion = DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=60_000)
    assert stage.b.ask(DELETE, 6, deletion).responses[0].error_code == 0
    assert stage.a.answer(FETCH, 11).responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_segments_roll_while_a_sync_is_held(stage: Stage) -> None:
    """Many rolls under one held sync: all batches are answered afterwards, each at its offset, and can be read."""
    stage.create("r", segment_bytes="2000")
    stage.hold()
    for number in range(20):
        stage.a.send(stage.a.frame(PRODUCE, 9, produce(b"%d" % number * 500, topic="r")))
    assert stage.disk.syncs_held.acquire(timeout=20)
    stage.broker.wait_for_unanswered(20)
    stage.assert_silent(stage.a)
    stage.let_go()
    answers = [stage.a.answer(PRODUCE, 9).responses[0].partition_responses[0] for _ in range(20)]
    assert [(told.error_code, told.base_offset) for told in answers] == [(0, number) for number in range(20)]
    assert stage.b.ask(FETCH, 11, fetch(19, "r")).responses[0].partitions[0].error_code == 0


@pytest.mark.parametrize("method", ["auto", "journal"])
def test_retention_drops_a_segment_whose_sync_is_held(method: str) -> None:
    """A background sync hangs on a segment; retention drops that segment, and the sync ends well when it goes on."""
    settings = {"ev.flush.method": method, "ev.checkpoint.interval.ms": "300", "log.retention.check.interval.ms": "50"}
    with ExitStack() as stack:
        stage = Stage(stack, **settings)
        stage.create("r", segment_bytes="2000")
        for number in range(8):
            assert stage.a.ask(PRODUCE, 9, produce(b"%d" % number * 500, topic="r")).responses[0].partition_responses[0].error_code == 0
        stage.hold("/r-0/00000000000000000")
        assert stage.disk.syncs_held.acquire(timeout=20)
        change = AlterableConfig(name="retention.bytes", config_operation=0, value="1")
        resource = AlterConfigsResource(resource_type=2, resource_name="r", configs=[change])
        answer = stage.b.ask(ALTER, 1, IncrementalAlterConfigsRequest(resources=[resource]))
        assert answer.responses[0].error_code == 0
        partition = stage.broker.on_loop(lambda: stage.broker.broker.store.partition("r", 0))
        assert partition is not None
        wait_for(lambda: partition.log_start_offset > 0, "retention")
        stage.let_go()
        assert stage.a.ask(FETCH, 11, fetch(0, "r")).responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert stage.a.ask(PRODUCE, 9, produce(b"more", topic="r")).responses[0].partition_responses[0].base_offset == 8
        assert stage.broker.problems == []
        assert stage.broker.failure is None
