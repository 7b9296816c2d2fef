"""With the disk's sync held: nothing that a power cut could take back is told to anybody, and files follow records.

The real broker on a disk in memory; a commit round is done when the test says so, and not before.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest

from ev.broker.handlers.k03_metadata import APART_MS
from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ev.wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from ev.wire.records import encode_batch
from support.simulated_broker import SimulatedBroker, SimulatedClient
from support.simulated_disk import SimulatedDisk


class FoldingDisk(SimulatedDisk):
    """A file system that makes no difference between a and A, as those of macOS and Windows."""

    def exists(self, path: str) -> bool:
        parent, _, name = path.rpartition("/")
        return super().exists(path) or name.casefold() in (other.casefold() for other in self.list(parent))


class Stage:
    """A broker on a disk in memory, and a client of it."""

    def __init__(self, disk: SimulatedDisk | None = None) -> None:
        self.disk = disk or SimulatedDisk(["/data"])
        self.engine = SimulatedBroker(self.disk)
        self.world = self.engine.world
        self.client = self.engine.connect()
        self.world.settle()

    def hold(self) -> None:
        """Let everything happen that needs no sync. A commit round that was begun stays where it is."""
        while self.world.soon or self.world.reads:
            self.world.turn()
            if self.world.reads:
                self.world.run_read()

    def send(self, request: Any, version: int, client: SimulatedClient | None = None) -> int:
        token = (client or self.client).send(request, version)
        self.hold()
        return token

    def ask(self, request: Any, version: int) -> Any:
        token = self.client.send(request, version)
        self.world.settle()
        if token not in self.client.replies:
            self.world.advance(APART_MS)  # the second answer to Metadata in a row comes a little later
        return self.client.replies[token]

    def unanswered_until_synced(self, request: Any, version: int) -> Any:
        """The answer of a request that must not be there before its round is on disk, and must be there right after it."""
        token = self.send(request, version)
        assert token not in self.client.replies, "answered before it was on disk"
        assert self.world.commits, "nobody syncs what the answer waits for"
        self.world.run_commit()
        self.hold()
        assert token in self.client.replies, "on disk, and still not answered"
        return self.client.replies[token]

    def directories(self) -> list[str]:
        return [name for name in self.disk.list("/data") if self.disk.is_directory(f"/data/{name}") and not name.startswith("__")]

    def restarted(self) -> SimulatedBroker:
        """The engine after a clean stop, on the same disk."""
        self.world.settle()
        self.engine.store.close(clean=True)
        return SimulatedBroker(self.disk)

    def create(self, name: str, partitions: int = 1) -> Any:
        return self.ask(create_request(name, partitions), 7).topics[0]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def create_request(name: str, partitions: int = 1) -> CreateTopicsRequest:
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, assignments=[], configs=[])
    return CreateTopicsRequest(topics=[topic], timeout_ms=5000)


def delete_request(name: str) -> DeleteTopicsRequest:
    return DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=5000)


def produce_request(topic: str, acks: int, timestamp: int | None = None) -> ProduceRequest:
    batch = encode_batch([b"v"], timestamps=timestamp)
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return ProduceRequest(acks=acks, timeout_ms=60_000, topic_data=[data])


def metadata_request(*names: str, create: bool = False) -> MetadataRequest:
    return MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in names] or None, allow_auto_topic_creation=create)


def offsets_request(topic: str, timestamp: int) -> ListOffsetsRequest:
    asked = ListOffsetsTopic(name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=timestamp)])
    return ListOffsetsRequest(replica_id=-1, topics=[asked])


def test_a_topics_directory_follows_its_record(stage: Stage) -> None:
    """Made only when the record is on disk, and the answer leaves when both are there."""
    token = stage.send(create_request("t", 2), 7)
    assert stage.directories() == []
    assert token not in stage.client.replies
    stage.world.run_commit()
    assert stage.directories() == ["t-0", "t-1"]
    assert stage.client.replies[token].topics[0].error_code == 0


def test_a_topics_directory_goes_after_its_deletion(stage: Stage) -> None:
    """Renamed away only when the record that deletes the topic is on disk."""
    stage.create("t")
    token = stage.send(delete_request("t"), 6)
    assert stage.directories() == ["t-0"]
    assert token not in stage.client.replies
    stage.world.run_commit()
    (left,) = stage.directories()
    assert left.startswith("t-0.")
    assert left.endswith("-delete")
    assert stage.client.replies[token].responses[0].error_code == 0


def test_a_topic_deleted_and_created_again_in_one_round_is_new_and_empty(stage: Stage) -> None:
    """Requests that arrive together are decided in order, and the new topic's directory is its own."""
    old = stage.create("t").topic_id
    stage.ask(produce_request("t", -1), 9)
    stage.client.send(delete_request("t"), 6)
    token = stage.client.send(create_request("t"), 7)
    stage.world.settle()
    new = stage.client.replies[token].topics[0]
    assert new.error_code == 0
    assert new.topic_id != old
    assert stage.ask(offsets_request("t", -1), 7).topics[0].partitions[0].offset == 0
    assert stage.engine.broker.partition("t", 0).topic_id == new.topic_id


def test_a_topic_created_and_deleted_in_one_round_leaves_nothing(stage: Stage) -> None:
    """Its directory is never made."""
    created = stage.client.send(create_request("t"), 7)
    deleted = stage.client.send(delete_request("t"), 6)
    stage.world.settle()
    assert stage.client.replies[deleted].responses[0].error_code == 0
    assert created in stage.client.replies
    assert stage.directories() == []
    assert stage.ask(metadata_request(), 9).topics == []


@pytest.mark.parametrize("again", [False, True])
def test_what_a_power_cut_left_of_a_deleted_topic_goes_at_the_next_start(stage: Stage, again: bool) -> None:
    """The deletion was on disk, the directory still in its place: nobody needs it, whether or not the name is in use again."""
    stage.create("t", 2)
    stage.create("bystander")
    stage.client.send(delete_request("t"), 6)
    if again:
        stage.client.send(create_request("t", 1), 7)
    stage.hold()
    work, _ = stage.world.commits.popleft()
    work()
    after = SimulatedBroker(stage.disk.crash_image(Random(1)))
    after.world.settle()
    for _ in range(3):
        after.world.advance(1000)
        after.world.settle()
    left = [name for name in after.store.disk.list("/data") if not name.startswith((".", "__"))]
    served = ["bystander-0", "t-0"] if again else ["bystander-0"]
    assert [name for name in left if "-" in name and after.store.disk.is_directory(f"/data/{name}")] == served
    assert after.store.reports == []


def test_nobody_hears_of_a_topic_before_it_is_on_disk(stage: Stage) -> None:
    """Neither its creator nor somebody who asks for all topics meanwhile; a second creation is refused no earlier."""
    stage.send(create_request("t"), 7)
    other = stage.engine.connect()
    listed = stage.send(metadata_request(), 9, other)
    refused = stage.send(create_request("t"), 7, other)
    assert other.replies == {}
    stage.world.settle()
    assert [topic.name for topic in other.replies[listed].topics] == ["t"]
    assert other.replies[listed].topics[0].partitions[0].error_code == 0
    assert other.replies[refused].topics[0].error_code == ErrorCode.TOPIC_ALREADY_EXISTS


def test_nobody_hears_of_a_deletion_before_it_is_on_disk(stage: Stage) -> None:
    """A power cut could bring the topic back."""
    stage.create("t")
    stage.send(delete_request("t"), 6)
    other = stage.engine.connect()
    stage.send(metadata_request(), 9, other)
    assert other.replies == {}
    stage.world.settle()
    assert [answer.topics for answer in other.replies.values()] == [[]]


def test_metadata_that_creates_a_topic_waits_for_it(stage: Stage) -> None:
    """And has it with its leader in the one answer."""
    answer = stage.unanswered_until_synced(metadata_request("t", create=True), 9)
    assert [(topic.name, topic.error_code, topic.partitions[0].leader_id) for topic in answer.topics] == [("t", 0, 1)]


def test_new_partitions_and_configurations_wait(stage: Stage) -> None:
    """So do those who read them."""
    stage.create("t")
    grown = CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="t", count=3, assignments=None)], timeout_ms=5000)
    assert stage.unanswered_until_synced(grown, 3).results[0].error_code == 0
    assert stage.directories() == ["t-0", "t-1", "t-2"]
    stage.world.settle()
    config = AlterableConfig(name="retention.ms", config_operation=0, value="5")
    altered = IncrementalAlterConfigsRequest(resources=[AlterConfigsResource(resource_type=2, resource_name="t", configs=[config])])
    assert stage.unanswered_until_synced(altered, 1).responses[0].error_code == 0
    stage.world.settle()
    stage.send(altered, 1)
    other = stage.engine.connect()
    described = DescribeConfigsResource(resource_type=2, resource_name="t", configuration_keys=["retention.ms"])
    stage.send(DescribeConfigsRequest(resources=[described]), 4, other)
    assert other.replies == {}
    stage.world.settle()
    assert [answer.results[0].configs[0].value for answer in other.replies.values()] == ["5"]


@pytest.mark.parametrize(
    ("kind", "name", "setting", "value"),
    [
        (32, "g", "consumer.session.timeout.ms", "50000"),
        (4, "", "log.retention.ms", "5"),
        (4, "1", "log.retention.ms", "5"),
    ],
)
def test_what_is_set_for_groups_and_for_the_broker_waits(stage: Stage, kind: int, name: str, setting: str, value: str) -> None:
    """So do those who read it."""
    config = AlterableConfig(name=setting, config_operation=0, value=value)
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])
    stage.world.settle()
    token = stage.send(IncrementalAlterConfigsRequest(resources=[resource]), 1)
    assert token not in stage.client.replies
    other = stage.engine.connect()
    described = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=[setting])
    stage.send(DescribeConfigsRequest(resources=[described]), 4, other)
    assert other.replies == {}
    stage.world.settle()
    assert stage.client.replies[token].responses[0].error_code == 0
    assert [answer.results[0].configs[0].value for answer in other.replies.values()] == [value]


def test_a_configuration_that_cannot_be_written_changes_nothing(stage: Stage) -> None:
    """The disk is full: all of the request that would have been done is refused, and nothing of it is in force."""
    stage.create("t")
    fault = stage.disk.fail("write", errno.ENOSPC, times=None)
    wanted = ((2, "t", "retention.ms", "5"), (32, "g", "consumer.session.timeout.ms", "50000"), (4, "1", "log.segment.bytes", "2048"))
    resources = [
        AlterConfigsResource(resource_type=kind, resource_name=name, configs=[AlterableConfig(name=each, config_operation=0, value=value)])
        for kind, name, each, value in wanted
    ]
    answer = stage.ask(IncrementalAlterConfigsRequest(resources=resources), 1)
    assert {each.error_code for each in answer.responses} == {ErrorCode.KAFKA_STORAGE_ERROR}
    stage.disk.faults.remove(fault)
    broker = stage.engine.broker
    assert broker.group_configs.of("g") == {}
    assert broker.settings.log_segment_bytes == 1 << 30
    assert broker.partition("t", 0).config.retention_ms == 7 * 24 * 3600 * 1000


def test_a_producer_id_waits_for_the_block_that_it_is_from(stage: Stage) -> None:
    """The second one from the same block too, as long as the block is not on disk; later ones wait for nothing."""
    first = stage.send(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1), 4)
    second = stage.send(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1), 4)
    assert stage.client.replies == {}
    stage.world.run_commit()
    assert [stage.client.replies[token].producer_id for token in (first, second)] == [0, 1]
    third = stage.send(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1), 4)
    assert stage.client.replies[third].producer_id == 2


def test_the_latest_offset_waits_for_what_was_acknowledged(stage: Stage) -> None:
    """A produce with acks=1 is answered at once; whoever asks for the end of the log then is told when it is on disk, and sees it."""
    stage.create("t")
    token = stage.send(produce_request("t", 1), 9)
    assert stage.client.replies[token].responses[0].partition_responses[0].base_offset == 0
    answer = stage.unanswered_until_synced(offsets_request("t", -1), 7)
    assert answer.topics[0].partitions[0].offset == 1


def test_deleting_all_records_covers_what_was_acknowledged(stage: Stage) -> None:
    """-1 is the end at the arrival of the request, not the high watermark that happens to be there."""
    stage.create("t")
    stage.send(produce_request("t", 1), 9)
    asked = DeleteRecordsTopic(name="t", partitions=[DeleteRecordsPartition(partition_index=0, offset=-1)])
    answer = stage.unanswered_until_synced(DeleteRecordsRequest(topics=[asked], timeout_ms=5000), 2)
    assert answer.topics[0].partitions[0].low_watermark == 1


def test_a_waiting_fetch_is_told_that_its_topic_is_gone(stage: Stage) -> None:
    """It does not sleep until its time is over."""
    stage.create("t")
    asked = FetchTopic(topic="t", partitions=[FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)])
    reader = stage.engine.connect()
    token = stage.send(FetchRequest(max_wait_ms=600_000, min_bytes=1, topics=[asked]), 11, reader)
    stage.world.settle()
    assert token not in reader.replies
    stage.ask(delete_request("t"), 6)
    code = reader.replies[token].responses[0].partitions[0].error_code
    assert code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_failed_sync_ends_the_engine_and_nobody_is_answered(stage: Stage) -> None:
    """Once, and for good: a second attempt would succeed on a disk that holds nothing."""
    stage.disk.fail("sync", errno.EIO)
    stage.disk.fail("write_synced", errno.EIO)
    token = stage.client.send(create_request("t"), 7)
    stage.world.settle()
    assert stage.world.failure is not None
    assert token not in stage.client.replies
    assert stage.directories() == []


def test_a_record_that_cannot_be_written_changes_nothing(stage: Stage) -> None:
    """The disk is full: the creation is refused, and the topic does not exist."""
    fault = stage.disk.fail("write", errno.ENOSPC, times=None)
    refused = stage.create("t")
    assert refused.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    stage.disk.faults.remove(fault)
    assert "t" not in stage.engine.broker.topics


def test_a_topic_whose_directory_cannot_be_made_does_not_exist(stage: Stage) -> None:
    """Its record is taken back by another one, and the client is told."""
    stage.disk.fail("make_directory", errno.ENOSPC, "t-1")
    refused = stage.create("t", 3)
    assert refused.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert stage.ask(metadata_request(), 9).topics == []
    assert stage.create("t", 3).error_code == 0
    assert [topic.partition_count for topic in stage.restarted().broker.topics] == [3]


def test_a_large_topic_is_made_a_few_partitions_at_a_time(stage: Stage) -> None:
    """Others are served in between; the answer comes when all of it is there."""
    token = stage.send(create_request("t", 100), 7)
    stage.world.run_commit()
    turns = 0
    while token not in stage.client.replies:
        assert len(stage.directories()) <= 16 * (turns + 1)
        stage.world.turn()
        turns += 1
    assert turns > 1
    assert len(stage.directories()) == 100


def test_a_large_topic_that_is_deleted_while_it_is_made_leaves_nothing(stage: Stage) -> None:
    """Neither directories in service nor somebody who waits for ever."""
    created = stage.send(create_request("t", 100), 7)
    stage.world.run_commit()
    deleted = stage.client.send(delete_request("t"), 6)
    stage.world.settle()
    assert created in stage.client.replies
    assert stage.client.replies[deleted].responses[0].error_code == 0
    assert [name for name in stage.directories() if not name.endswith("-delete")] == []


def test_partitions_that_cannot_be_made_are_taken_back(stage: Stage) -> None:
    """The topic has those that it has, the client is told, and the next attempt may succeed."""
    stage.create("t", 2)
    stage.disk.fail("make_directory", errno.ENOSPC, "t-4")
    grown = CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="t", count=6, assignments=None)], timeout_ms=5000)
    assert stage.ask(grown, 3).results[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
    there = len(stage.ask(metadata_request("t"), 9).topics[0].partitions)
    assert 2 <= there < 6
    assert stage.ask(grown, 3).results[0].error_code == 0
    assert len(stage.ask(metadata_request("t"), 9).topics[0].partitions) == 6


def test_topics_that_would_share_a_directory_collide() -> None:
    """On such a file system Orders would take the place of orders; elsewhere both may be."""
    stage = Stage(FoldingDisk(["/data"]))
    assert stage.create("orders").error_code == 0
    assert stage.create("Orders").error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert stage.create("other").error_code == 0
    stage = Stage()
    assert [stage.create(name).error_code for name in ("orders", "Orders")] == [0, 0]


def test_an_idle_engine_has_no_timer_that_ticks(stage: Stage) -> None:
    """Topics without records, after everything is written: nothing is armed at all; with records only retention, minutes away."""
    stage.create("t", 10)
    for _ in range(20):
        stage.world.advance(1000)
        stage.world.settle()
    assert stage.world.armed == []
    stage.ask(produce_request("t", -1, timestamp=stage.engine.clock.wall_ms()), 9)
    for _ in range(30):
        stage.world.advance(1000)
        stage.world.settle()
    waits_ms = [timer.deadline_ms - stage.engine.clock.monotonic_ms() for timer in stage.world.armed]
    assert all(wait_ms > 60_000 for wait_ms in waits_ms)


def test_a_search_by_time_that_needs_the_disk_leaves_the_loop(stage: Stage) -> None:
    """After a restart the indexes are not in memory: the search is handed to a reader, others are served, and the answer follows."""
    stage.create("t")
    for number in range(3):
        stage.ask(produce_request("t", -1, timestamp=stage.engine.clock.wall_ms() + number), 9)
    wanted = stage.engine.clock.wall_ms() + 1
    engine = stage.restarted()
    client = engine.connect()
    token = client.send(offsets_request("t", wanted), 7)
    assert engine.world.reads, "the loop waited for the disk"
    assert token not in client.replies
    engine.world.settle()
    answer = client.replies[token].topics[0].partitions[0]
    assert (answer.error_code, answer.offset, answer.timestamp) == (0, 1, wanted)
    assert engine.ask(offsets_request("t", wanted + 100), 7).topics[0].partitions[0].offset == -1


def test_a_roll_that_is_overtaken_by_the_deletion_of_its_topic_is_no_failure_of_the_disk(stage: Stage) -> None:
    """Retention rolls a partition whose deletion is decided: its directory has another name when the roll is synced."""
    stage.create("t")
    stage.ask(produce_request("t", -1, timestamp=1), 9)  # so old that it is to go
    stage.world.settle()
    partition = stage.engine.store.partition("t", 0)
    assert partition is not None
    deletion = stage.send(delete_request("t"), 6)
    partition.enforce_retention(stage.engine.clock.wall_ms())
    assert len(partition.segments) > 1, "it was rolled"
    stage.world.settle()
    assert stage.world.failure is None
    assert stage.client.replies[deletion].responses[0].error_code == 0
