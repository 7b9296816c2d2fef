"""The admin APIs as a client sees them: topics, partitions, configurations, offsets, records, producer ids, the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from ev.broker.apis import HANDLERS
from ev.broker.topics import ZERO_ID
from ev.errors import ErrorCode
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ev.wire.messages.k33_alter_configs import AlterableConfig as WholeConfig
from ev.wire.messages.k33_alter_configs import AlterConfigsRequest
from ev.wire.messages.k33_alter_configs import AlterConfigsResource as WholeResource
from ev.wire.messages.k37_create_partitions import CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from ev.wire.messages.k60_describe_cluster import DescribeClusterRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient


@pytest.fixture
def client(engine: Engine) -> Any:
    with RawClient(engine.address) as connected:
        yield connected


def new(
    name: str, partitions: int = -1, replicas: int = -1, config: dict[str, str | None] | None = None, assignments: list[Any] | None = None
) -> CreatableTopic:
    configs = [CreatableTopicConfig(name=key, value=value) for key, value in (config or {}).items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=replicas, assignments=assignments or [], configs=configs)


def create(client: RawClient, *topics: CreatableTopic, validate_only: bool = False, version: int = 7) -> dict[str, Any]:
    response = client.ask(19, version, CreateTopicsRequest(topics=list(topics), timeout_ms=5000, validate_only=validate_only))
    return {result.name: result for result in response.topics}


def metadata(client: RawClient, *names: str, version: int = 12, auto_create: bool = False) -> Any:
    topics = [MetadataRequestTopic(name=name) for name in names] or None
    return client.ask(3, version, MetadataRequest(topics=topics, allow_auto_topic_creation=auto_create))


def produce(client: RawClient, topic: str, values: list[bytes], *, acks: int = -1, timestamp: int | None = None) -> int:
    batch = encode_batch(values, timestamps=timestamp)
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    (answer,) = client.ask(0, 9, ProduceRequest(acks=acks, timeout_ms=5000, topic_data=[data])).responses[0].partition_responses
    assert answer.error_code == 0, answer.error_message
    offset: int = answer.base_offset
    return offset


def listed(client: RawClient, topic: str, timestamp: int, *, version: int = 11, partitions: tuple[int, ...] = (0,), epoch: int = -1) -> Any:
    asked = [ListOffsetsPartition(partition_index=index, timestamp=timestamp, current_leader_epoch=epoch) for index in partitions]
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=asked)])
    return client.ask(2, version, request).topics[0].partitions[0]


def described(client: RawClient, kind: int, name: str, keys: list[str] | None = None) -> Any:
    asked = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
    return client.ask(32, 4, DescribeConfigsRequest(resources=[asked], include_synonyms=True, include_documentation=True)).results[0]


# ApiVersions


def test_every_handler_is_advertised_and_produce_from_version_0(client: RawClient) -> None:
    """What is not built is not advertised; the finalised features are those that clients may rely on."""
    response = client.ask(18, 4, ApiVersionsRequest(client_software_name="raw", client_software_version="1.0"))
    assert sorted(one.api_key for one in response.api_keys) == [int(name[1:3]) for name in HANDLERS]
    assert {one.api_key: one.min_version for one in response.api_keys}[0] == 0
    features = {"group.version": 1, "metadata.version": 30, "transaction.version": 2}
    assert {each.name: each.max_version for each in response.supported_features} == features
    least = {each.name: each.min_version for each in response.supported_features}
    assert least == {"group.version": 0, "metadata.version": 7, "transaction.version": 0}
    assert {each.name: each.max_version_level for each in response.finalized_features} == features
    older = client.ask(18, 3, ApiVersionsRequest(client_software_name="raw", client_software_version="1.0"))
    assert ([each.name for each in older.supported_features], len(older.finalized_features)) == (["metadata.version"], 3)


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(client: RawClient) -> None:
    """With UNSUPPORTED_VERSION and the versions of this API alone, so that the client can ask again."""
    frame = bytearray(client.frame(18, 3, ApiVersionsRequest(client_software_name="raw", client_software_version="1.0")))
    frame[6:8] = (77).to_bytes(2, "big")
    client.send(bytes(frame))
    response = client.answer(18, 0)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(one.api_key, one.min_version, one.max_version) for one in response.api_keys] == [(18, 0, 4)]
    assert client.ask(18, 0, ApiVersionsRequest()).error_code == 0


@pytest.mark.parametrize("name", ["", "-x", "x.", "a b", "a\x1b"])
def test_a_client_with_an_improper_name_is_refused(client: RawClient, name: str) -> None:
    """Kafka's pattern: letters and digits, with dots and dashes between them."""
    response = client.ask(18, 3, ApiVersionsRequest(client_software_name=name, client_software_version="1"))
    assert response.error_code == ErrorCode.INVALID_REQUEST


# Topics


def test_a_topic_is_created_with_what_was_asked_for(client: RawClient) -> None:
    """The answer has its id, its size and its whole configuration; metadata and produce know it at once."""
    result = create(client, new("orders", 3, 1, {"retention.ms": "5000"}))["orders"]
    assert (result.error_code, result.num_partitions, result.replication_factor) == (0, 3, 1)
    assert len(result.configs) == 33
    assert {one.name: (one.value, one.config_source) for one in result.configs}["retention.ms"] == ("5000", 1)
    (topic,) = metadata(client, "orders").topics
    assert (topic.error_code, topic.topic_id, len(topic.partitions)) == (0, result.topic_id, 3)
    assert {(one.error_code, one.leader_id, *one.replica_nodes, *one.isr_nodes) for one in topic.partitions} == {(0, 1, 1, 1)}
    assert produce(client, "orders", [b"a"]) == 0


def test_minus_one_means_the_brokers_defaults(start_engine: Any) -> None:
    """Partitions as configured, one replica."""
    engine = start_engine(settings={"num.partitions": "5"})
    with RawClient(engine.address) as client:
        assert create(client, new("t"))["t"].num_partitions == 5


def test_what_cannot_be_created_is_refused_and_the_rest_is_created(client: RawClient) -> None:
    """Each topic is answered for itself, with Kafka's error."""
    create(client, new("old"), new("a.b"))
    here = [CreatableReplicaAssignment(partition_index=0, broker_ids=[1])]
    elsewhere = [CreatableReplicaAssignment(partition_index=0, broker_ids=[2])]
    results = create(
        client,
        new("good"),
        new("old"),
        new("a_b"),
        new("x.y"),
        new("x_y"),
        new("no/slash"),
        new("zero", 0),
        new("minus", -2),
        new("copies", 1, 3),
        new("none", 1, 0),
        new("twice"),
        new("twice"),
        new("both", 1, 1, assignments=here),
        new("elsewhere", assignments=elsewhere),
        new("here", assignments=here),
        new("config", config={"retention.ms": "soon"}),
        new("null", config={"retention.ms": None}),
        new("many", 1_000_000),
    )
    assert {name: result.error_code for name, result in results.items()} == {
        "good": ErrorCode.NONE,
        "old": ErrorCode.TOPIC_ALREADY_EXISTS,
        "a_b": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "x.y": ErrorCode.NONE,
        "x_y": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "no/slash": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "zero": ErrorCode.INVALID_PARTITIONS,
        "minus": ErrorCode.INVALID_PARTITIONS,
        "copies": ErrorCode.INVALID_REPLICATION_FACTOR,
        "none": ErrorCode.INVALID_REPLICATION_FACTOR,
        "twice": ErrorCode.INVALID_REQUEST,
        "both": ErrorCode.INVALID_REQUEST,
        "elsewhere": ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "here": ErrorCode.NONE,
        "config": ErrorCode.INVALID_CONFIG,
        "null": ErrorCode.INVALID_CONFIG,
        "many": ErrorCode.INVALID_PARTITIONS,
    }
    assert sorted(topic.name for topic in metadata(client).topics) == ["a.b", "good", "here", "old", "x.y"]


def test_a_dry_run_checks_everything_and_creates_nothing(client: RawClient) -> None:
    """`validate_only` finds the same errors."""
    results = create(client, new("t", 2), new("no/slash"), validate_only=True)
    assert (results["t"].error_code, results["t"].num_partitions) == (0, 2)
    assert results["no/slash"].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert metadata(client).topics == []


def test_metadata_creates_a_topic_when_it_may_and_has_it_in_the_same_answer(client: RawClient) -> None:
    """No second question is needed, and only the form that names topics creates."""
    assert metadata(client, auto_create=True).topics == []
    assert metadata(client, "t", auto_create=False).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    good, bad = metadata(client, "t", "no/slash", auto_create=True).topics
    assert (good.error_code, len(good.partitions), good.partitions[0].leader_id) == (0, 1, 1)
    assert bad.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert produce(client, "t", [b"a"]) == 0


def test_metadata_in_its_oldest_form_lists_all_topics_for_an_empty_list(client: RawClient) -> None:
    """Later an empty list means none of them, and null all."""
    create(client, new("t"))
    assert [topic.name for topic in client.ask(3, 0, MetadataRequest(topics=[])).topics] == ["t"]
    assert client.ask(3, 1, MetadataRequest(topics=[])).topics == []
    assert [topic.name for topic in client.ask(3, 1, MetadataRequest(topics=None)).topics] == ["t"]


def test_topics_are_found_by_id(client: RawClient) -> None:
    """An id that nobody has is an error of its own; authorised operations are told when they are asked for."""
    topic_id = create(client, new("t"))["t"].topic_id
    asked = [MetadataRequestTopic(topic_id=topic_id, name=None), MetadataRequestTopic(topic_id=b"\x01" * 16, name=None)]
    found, missing = client.ask(3, 12, MetadataRequest(topics=asked, include_topic_authorized_operations=True)).topics
    assert (found.name, found.topic_authorized_operations) == ("t", 0b110111111000)
    assert (missing.error_code, missing.name) == (ErrorCode.UNKNOWN_TOPIC_ID, None)


@pytest.mark.parametrize("version", range(14))
def test_every_version_of_metadata_is_answered(client: RawClient, version: int) -> None:
    """The broker, the controller and the topic are there in each form."""
    create(client, new("t", 2))
    response = client.ask(3, version, MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=True))
    assert [(one.node_id, one.host) for one in response.brokers] == [(1, "127.0.0.1")]
    assert [len(topic.partitions) for topic in response.topics] == [2]


def test_a_deleted_topic_is_gone_and_its_name_is_free(client: RawClient) -> None:
    """A new topic of the same name has another id and none of the old records."""
    old = create(client, new("t"))["t"].topic_id
    produce(client, "t", [b"old"])
    response = client.ask(20, 6, DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=5000))
    assert [(one.name, one.topic_id, one.error_code) for one in response.responses] == [("t", old, 0)]
    assert metadata(client, "t").topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert create(client, new("t"))["t"].topic_id != old
    assert listed(client, "t", -1).offset == 0


def test_what_cannot_be_deleted_is_refused(client: RawClient) -> None:
    """Unknown names and ids, a topic named twice, one named in two ways, and the engine's own."""
    topic_id = create(client, new("t"), new("__consumer_offsets"))["t"].topic_id
    asked = [
        DeleteTopicState(name="nope"),
        DeleteTopicState(name=None, topic_id=b"\x02" * 16),
        DeleteTopicState(name="t"),
        DeleteTopicState(name=None, topic_id=topic_id),
        DeleteTopicState(name="t", topic_id=topic_id),
        DeleteTopicState(name="__consumer_offsets"),
    ]
    response = client.ask(20, 6, DeleteTopicsRequest(topics=asked, timeout_ms=5000))
    assert {(one.name, one.topic_id, one.error_code) for one in response.responses} == {
        ("nope", ZERO_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, b"\x02" * 16, ErrorCode.UNKNOWN_TOPIC_ID),
        ("t", topic_id, ErrorCode.INVALID_REQUEST),
        ("__consumer_offsets", ZERO_ID, ErrorCode.INVALID_REQUEST),
    }
    assert metadata(client, "t").topics[0].error_code == 0
    response = client.ask(20, 3, DeleteTopicsRequest(topic_names=["t"], timeout_ms=5000))
    assert [(one.name, one.error_code) for one in response.responses] == [("t", 0)]


def test_topics_grow_and_never_shrink(client: RawClient) -> None:
    """Every topic of the request is answered, and new partitions can be used at once."""
    create(client, new("t", 2), new("same", 2), new("less", 2), new("assigned", 1), new("dry", 1), new("__consumer_offsets"))

    def grow(validate_only: bool, *topics: CreatePartitionsTopic) -> dict[str, int]:
        response = client.ask(37, 3, CreatePartitionsRequest(topics=list(topics), timeout_ms=5000, validate_only=validate_only))
        return {one.name: one.error_code for one in response.results}

    one, two = CreatePartitionsAssignment(broker_ids=[1]), CreatePartitionsAssignment(broker_ids=[2])
    assert grow(
        False,
        CreatePartitionsTopic(name="t", count=5, assignments=None),
        CreatePartitionsTopic(name="same", count=2, assignments=None),
        CreatePartitionsTopic(name="less", count=1, assignments=None),
        CreatePartitionsTopic(name="nope", count=2, assignments=None),
        CreatePartitionsTopic(name="assigned", count=3, assignments=[one, two]),
        CreatePartitionsTopic(name="__consumer_offsets", count=9, assignments=None),
    ) == {
        "t": ErrorCode.NONE,
        "same": ErrorCode.INVALID_PARTITIONS,
        "less": ErrorCode.INVALID_PARTITIONS,
        "nope": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "assigned": ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "__consumer_offsets": ErrorCode.INVALID_REQUEST,
    }
    assert grow(True, CreatePartitionsTopic(name="dry", count=2, assignments=None)) == {"dry": 0}
    sizes = {topic.name: len(topic.partitions) for topic in metadata(client, "t", "dry").topics}
    assert sizes == {"t": 5, "dry": 1}
    assert listed(client, "t", -1, partitions=(4,)).offset == 0


# Configurations


def test_a_topics_configuration_is_described_with_documentation_and_synonyms(client: RawClient) -> None:
    """All of it, or what was asked for by name."""
    create(client, new("t", config={"retention.ms": "5"}))
    everything = described(client, 2, "t")
    assert (everything.error_code, len(everything.configs)) == (0, 33)
    assert all(one.documentation and one.config_type for one in everything.configs)
    (one,) = described(client, 2, "t", ["retention.ms"]).configs
    assert (one.value, one.config_source, one.config_type, one.read_only) == ("5", 1, 5, False)
    assert [(synonym.name, synonym.source) for synonym in one.synonyms] == [("retention.ms", 1), ("log.retention.ms", 5)]


def test_the_broker_describes_itself(client: RawClient) -> None:
    """By its own id only; for all brokers nothing was set."""
    configs = {one.name: one.value for one in described(client, 4, "1").configs}
    assert configs["advertised.listeners"].startswith("PLAINTEXT://127.0.0.1:")
    assert configs["message.max.bytes"] == "1048588"
    assert described(client, 4, "").configs == []
    assert described(client, 4, "7").error_code == ErrorCode.INVALID_REQUEST
    assert described(client, 2, "nope").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert described(client, 2, "no/slash").error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert described(client, 16, "").error_code == ErrorCode.INVALID_REQUEST
    assert described(client, 3, "nothing").error_code == ErrorCode.INVALID_REQUEST


def incremental(client: RawClient, kind: int, name: str, *operations: tuple[str, int, str | None], validate_only: bool = False) -> int:
    configs = [AlterableConfig(name=key, config_operation=operation, value=value) for key, operation, value in operations]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    code: int = client.ask(44, 1, IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)).responses[0].error_code
    return code


def whole(client: RawClient, kind: int, name: str, **config: str | None) -> int:
    configs = [WholeConfig(name=key.replace("_", "."), value=value) for key, value in config.items()]
    resource = WholeResource(resource_type=kind, resource_name=name, configs=configs)
    code: int = client.ask(33, 2, AlterConfigsRequest(resources=[resource], validate_only=False)).responses[0].error_code
    return code


def overrides(client: RawClient, name: str) -> dict[str, str]:
    return {one.name: one.value for one in described(client, 2, name).configs if one.config_source == 1}


def test_configurations_are_altered_one_by_one_or_as_a_whole(client: RawClient) -> None:
    """Incrementally what is not named stays; as a whole it goes back to its default."""
    create(client, new("t", config={"retention.ms": "5", "segment.ms": "6"}))
    assert incremental(client, 2, "t", ("retention.ms", 0, "7"), ("segment.ms", 1, None), ("cleanup.policy", 2, "compact")) == 0
    assert overrides(client, "t") == {"retention.ms": "7", "cleanup.policy": "delete,compact"}
    assert incremental(client, 2, "t", ("retention.ms", 0, "9"), validate_only=True) == 0
    assert whole(client, 2, "t", segment_bytes="2048") == 0
    assert overrides(client, "t") == {"segment.bytes": "2048"}


def test_what_cannot_be_altered_is_refused_and_changes_nothing(client: RawClient) -> None:
    """Unknown topics and names, wrong values, names given twice, and what the broker is given at its start."""
    create(client, new("t"))
    assert incremental(client, 2, "nope", ("retention.ms", 0, "7")) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert incremental(client, 2, "t", ("retention.ms", 0, "7"), ("no.such", 0, "1")) == ErrorCode.INVALID_CONFIG
    assert incremental(client, 2, "t", ("retention.ms", 0, "7"), ("retention.ms", 0, "8")) == ErrorCode.INVALID_REQUEST
    assert incremental(client, 4, "1", ("num.partitions", 0, "7")) == ErrorCode.INVALID_REQUEST
    assert incremental(client, 4, "1") == 0
    assert whole(client, 2, "t", retention_ms=None) == ErrorCode.INVALID_REQUEST
    assert whole(client, 4, "1", num_partitions="7") == ErrorCode.INVALID_REQUEST
    assert overrides(client, "t") == {}


def test_an_altered_configuration_is_obeyed_at_once(client: RawClient) -> None:
    """The next batch is measured by it."""
    create(client, new("t"))
    assert incremental(client, 2, "t", ("max.message.bytes", 0, "100")) == 0
    data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([b"x" * 200]))])
    response = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
    assert response.responses[0].partition_responses[0].error_code == ErrorCode.MESSAGE_TOO_LARGE


# Offsets and records


def test_the_ends_of_a_log_and_a_place_in_time_are_found(client: RawClient) -> None:
    """The first record that is not older, wherever it stands in its batch; nothing when all are older."""
    create(client, new("t", config={"message.timestamp.after.max.ms": "9223372036854775807"}))
    for number in range(5):
        produce(client, "t", [b"a", b"b"], timestamp=1000 + 10 * number)
    assert (listed(client, "t", -2).offset, listed(client, "t", -1).offset) == (0, 10)
    assert (listed(client, "t", -4).offset, listed(client, "t", -5).offset, listed(client, "t", -6).offset) == (0, -1, -1)
    found = listed(client, "t", 1015)
    assert (found.offset, found.timestamp) == (4, 1020)
    found = listed(client, "t", -3)
    assert (found.offset, found.timestamp) == (8, 1040)
    assert (listed(client, "t", 2000).offset, listed(client, "t", 2000).timestamp) == (-1, -1)


def test_offsets_that_make_no_sense_are_refused(client: RawClient) -> None:
    """Times with a meaning that the version does not know, a partition asked for twice, an epoch that is not ours."""
    create(client, new("t"))
    assert listed(client, "t", -3, version=6).error_code == ErrorCode.UNSUPPORTED_VERSION
    assert listed(client, "t", -7).error_code == ErrorCode.UNSUPPORTED_VERSION
    assert listed(client, "t", -1, partitions=(0, 0)).error_code == ErrorCode.INVALID_REQUEST
    assert listed(client, "t", -1, partitions=(3,)).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert listed(client, "t", -1, epoch=99).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_what_was_acknowledged_is_in_the_latest_offset(client: RawClient) -> None:
    """With acks=1 too: the answer waits for the sync that is on its way."""
    create(client, new("t"))
    for number in range(20):
        assert produce(client, "t", [b"a"], acks=1) == number
        assert listed(client, "t", -1).offset == number + 1


def deleted(client: RawClient, topic: str, offset: int, index: int = 0) -> tuple[int, int]:
    asked = DeleteRecordsTopic(name=topic, partitions=[DeleteRecordsPartition(partition_index=index, offset=offset)])
    (answer,) = client.ask(21, 2, DeleteRecordsRequest(topics=[asked], timeout_ms=5000)).topics[0].partitions
    return answer.error_code, answer.low_watermark


def test_records_are_deleted_from_the_beginning(client: RawClient) -> None:
    """Up to an offset, or up to the high watermark, which covers everything that was acknowledged."""
    create(client, new("t"), new("k", config={"cleanup.policy": "compact"}), new("__consumer_offsets"))
    for _ in range(3):
        produce(client, "t", [b"a", b"b"])
    assert deleted(client, "t", 3) == (0, 3)
    assert listed(client, "t", -2).offset == 3
    produce(client, "t", [b"c"], acks=1)
    assert deleted(client, "t", -1) == (0, 7)
    assert deleted(client, "t", 8) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert deleted(client, "t", -2) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert deleted(client, "nope", 0) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert deleted(client, "k", 0) == (ErrorCode.POLICY_VIOLATION, -1)
    assert deleted(client, "__consumer_offsets", 0) == (ErrorCode.INVALID_TOPIC_EXCEPTION, -1)


def test_a_restart_begins_a_new_epoch_and_says_where_the_old_one_ended(engine: Engine) -> None:
    """A consumer that comes back learns whether what it read is still there."""

    def epoch_end(client: RawClient, epoch: int) -> tuple[int, int, int]:
        asked = OffsetForLeaderTopic(topic="t", partitions=[OffsetForLeaderPartition(partition=0, leader_epoch=epoch)])
        (answer,) = client.ask(23, 4, OffsetForLeaderEpochRequest(topics=[asked])).topics[0].partitions
        return answer.error_code, answer.leader_epoch, answer.end_offset

    with RawClient(engine.address) as client:
        create(client, new("t"))
        produce(client, "t", [b"a", b"b"])
        first = metadata(client, "t").topics[0].partitions[0].leader_epoch
        assert epoch_end(client, first) == (0, first, 2)
        assert epoch_end(client, first + 1) == (0, -1, -1)
    engine.stop()
    engine.start()
    with RawClient(engine.address) as client:
        produce(client, "t", [b"c"])
        second = metadata(client, "t").topics[0].partitions[0].leader_epoch
        assert second > first
        assert epoch_end(client, first) == (0, first, 2)
        assert epoch_end(client, second) == (0, second, 3)


# Producer ids and the cluster


def producer_id(client: RawClient, **fields: Any) -> tuple[int, int]:
    answer = client.ask(22, 4, InitProducerIdRequest(transaction_timeout_ms=60_000, **fields))
    return answer.error_code, answer.producer_id


def test_producer_ids_never_repeat(engine: Engine) -> None:
    """Not within a run, not after a clean stop, not after a crash, not when a block is used up."""
    given = []
    for end in (engine.stop, engine.kill, engine.stop):
        with RawClient(engine.address) as client:
            requests = [client.frame(22, 4, InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1)) for _ in range(1001)]
            client.send(b"".join(requests))
            given += [client.answer(22, 4).producer_id for _ in requests]
        end()
        engine.start()
    assert len(set(given)) == len(given)
    assert min(given) >= 0


def test_an_empty_transactional_id_is_refused(client: RawClient) -> None:
    """It is neither one nor none."""
    assert producer_id(client, transactional_id="") == (ErrorCode.INVALID_REQUEST, -1)
    assert producer_id(client, transactional_id=None)[0] == 0


def test_the_cluster_is_one_broker(client: RawClient) -> None:
    """With the same id as in Metadata; controllers are not reached here."""
    answer = client.ask(60, 2, DescribeClusterRequest(include_cluster_authorized_operations=True))
    assert answer.cluster_id == metadata(client).cluster_id
    assert [(one.broker_id, one.host) for one in answer.brokers] == [(1, "127.0.0.1")]
    assert answer.cluster_authorized_operations == 0b1111110100000
    assert client.ask(60, 2, DescribeClusterRequest(endpoint_type=2)).error_code == ErrorCode.MISMATCHED_ENDPOINT_TYPE
    assert client.ask(60, 2, DescribeClusterRequest(endpoint_type=9)).error_code == ErrorCode.UNSUPPORTED_ENDPOINT_TYPE


def test_topics_survive_a_crash(engine: Engine) -> None:
    """What was answered is there again: ids, partitions, configurations, and what was deleted is not."""
    with RawClient(engine.address) as client:
        ids = {
            name: result.topic_id for name, result in create(client, new("a", 3, config={"retention.ms": "9"}), new("b"), new("c")).items()
        }
        client.ask(37, 3, CreatePartitionsRequest(topics=[CreatePartitionsTopic(name="b", count=4, assignments=None)], timeout_ms=1))
        client.ask(20, 6, DeleteTopicsRequest(topics=[DeleteTopicState(name="c", topic_id=ZERO_ID)], timeout_ms=5000))
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        found = {topic.name: (topic.topic_id, len(topic.partitions)) for topic in metadata(client).topics}
        assert found == {"a": (ids["a"], 3), "b": (ids["b"], 4)}
        assert overrides(client, "a") == {"retention.ms": "9"}
