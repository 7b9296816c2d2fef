"""Metadata (3): the broker, the topics and who leads their partitions, which is always us.

Versions 0-13. In version 0 an empty list of topics means all of them; later null does, and empty means none. A topic that does
not exist is created when the broker and the request (v4) allow it; the answer waits for it, so that the first one already has
the topic (Kafka answers UNKNOWN_TOPIC_OR_PARTITION first and lets the client ask again).

A topic that the client may not describe is answered alike whether it exists or not, and is left out where all are asked for.

v1 controller and internal flags, v2 cluster id, v5 offline replicas, v7 leader epochs, v8 authorised operations, v9 flexible,
v10 topic ids, v11 no cluster operations, v12 topics by id alone, v13 an error code for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ev.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, ZERO_ID, check_topic_name
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.acls import Operation, Resource
from ev.broker.topics import Topic

KEY = 3
VERSIONS = (0, 13)

APART_MS: Final = 2  # by a clock of whole milliseconds
"""librdkafka asks twice when it starts. If both answers come at once, the partition has no broker yet when its consumer asks for an
offset, and it waits half a second before it asks again (measured with 2.0.2: 1.65 s instead of 1.15 s in every fifth `kcat -C`)."""
IDS_ALONE_FROM: Final = 12
NOT_ASKED: Final = -(1 << 31)


def handle(broker: Broker, call: Call) -> None:
    request: MetadataRequest = call.request
    if call.version < IDS_ALONE_FROM and any(topic.topic_id != ZERO_ID for topic in request.topics or ()):
        call.reply(_refused(request))
        return
    wanted = None if _wants_all(call, request) else list({(topic.name, topic.topic_id): topic for topic in request.topics or ()}.values())
    refused: dict[str, KafkaError] = {}
    missing = [] if wanted is None else _missing(broker, call, request, wanted, refused)

    def answer() -> None:
        _answer(broker, call, request, wanted, refused)

    if not missing:
        _apart_from_the_last(broker, call, lambda: broker.runtime.after_round(broker.metadata_round, answer))
        return
    try:
        broker.create_topics(missing, call.now_ms, answer)
    except KafkaError as error:
        refused.update({topic.name: error for topic in missing})
        answer()


def _apart_from_the_last(broker: Broker, call: Call, answer: Callable[[], None]) -> None:
    """Answer, but leave at least a millisecond since the connection's last answer to Metadata."""
    now_ms = broker.clock.monotonic_ms()
    due_ms = max(now_ms, call.connection.metadata_due_ms)
    call.connection.metadata_due_ms = due_ms + APART_MS
    if due_ms == now_ms:
        answer()
    else:
        broker.runtime.call_at(due_ms, answer)


def _refused(request: MetadataRequest) -> MetadataResponse:
    """The answer to a request that asks by id in a version that has ids but cannot ask for them."""
    topics = [
        MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=topic.name or "", topic_id=topic.topic_id, partitions=[])
        for topic in request.topics or ()
    ]
    return MetadataResponse(topics=topics)


def _wants_all(call: Call, request: MetadataRequest) -> bool:
    return request.topics is None or (call.version == 0 and not request.topics)


def _missing(
    broker: Broker, call: Call, request: MetadataRequest, wanted: list[MetadataRequestTopic], refused: dict[str, KafkaError]
) -> list[Topic]:
    """The topics to create for this request; those whose name will not do go to `refused`."""
    new: dict[str, Topic] = {}
    mutations = broker.throttling.mutations(call, strict_from=0)
    for asked in wanted:
        name = asked.name
        if name is None or name in broker.topics or name in new or asked.topic_id != ZERO_ID:
            continue
        try:
            if not broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name):
                raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            check_topic_name(name)
            if not (broker.settings.auto_create_topics_enable and request.allow_auto_topic_creation):
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            if not may_create(broker, call, name):
                raise KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            if name == OFFSETS_TOPIC:
                new[name] = broker.new_offsets_topic()
            elif name == TRANSACTIONS_TOPIC:
                new[name] = broker.new_transactions_topic()
            else:
                topic = broker.new_topic(name, -1, {})
                mutations.take(topic.partition_count)
                new[name] = topic
        except KafkaError as error:
            throttled = error.code == ErrorCode.THROTTLING_QUOTA_EXCEEDED
            refused[name] = KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) if throttled else error  # so that the client asks again
    return list(new.values())


def may_create(broker: Broker, call: Call, name: str) -> bool:
    """Whether the client may create this topic."""
    return broker.allows_on_cluster(call, Operation.CREATE, quiet=True) or broker.allows(call, Operation.CREATE, Resource.TOPIC, name)


def _answer(
    broker: Broker, call: Call, request: MetadataRequest, wanted: list[MetadataRequestTopic] | None, refused: dict[str, KafkaError]
) -> None:
    host, port = broker.advertised(call)
    if wanted is None:
        seen = (topic for topic in broker.topics if broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, topic.name, quiet=True))
        topics = [_described(broker, topic) for topic in seen]
    else:
        topics = [_asked(broker, call, asked, refused) for asked in wanted]
    if request.include_topic_authorized_operations:
        for topic in topics:
            if topic.name and topic.error_code != ErrorCode.TOPIC_AUTHORIZATION_FAILED:
                topic.topic_authorized_operations = broker.operations(call, Resource.TOPIC, topic.name)
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=broker.node_id, host=host, port=port)],
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        topics=topics,
        cluster_authorized_operations=broker.cluster_operations(call) if request.include_cluster_authorized_operations else NOT_ASKED,
    )
    call.reply(response, broker.metadata_round)


def _asked(broker: Broker, call: Call, asked: MetadataRequestTopic, refused: dict[str, KafkaError]) -> MetadataResponseTopic:
    """The answer for one topic that was named, or asked for by id."""
    by_id = asked.topic_id != ZERO_ID
    topic = broker.topics.by_id(asked.topic_id) if by_id else broker.topics.get(asked.name or "")
    if topic is not None and not broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, topic.name):
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        if by_id:  # which is no secret; the name is one
            return MetadataResponseTopic(error_code=code, name=None, topic_id=asked.topic_id, partitions=[])
        return MetadataResponseTopic(error_code=code, name=topic.name, partitions=[])
    if topic is not None:
        return _described(broker, topic)
    if by_id:
        code = ErrorCode.UNKNOWN_TOPIC_ID
        return MetadataResponseTopic(error_code=code, name=None, topic_id=asked.topic_id, partitions=[])
    if asked.name is None:
        return MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name="", partitions=[])
    error = refused.get(asked.name)
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if error is None else error.code
    return MetadataResponseTopic(error_code=code, name=asked.name, partitions=[])


def placement(broker: Broker, topic: str, index: int) -> dict[str, Any]:
    """Who leads a partition and who has it, as fields of an answer: we do, or nobody yet while its directory is being made."""
    partition = broker.store.partition(topic, index)
    nodes = [broker.node_id]
    there = partition is not None
    return {
        "error_code": ErrorCode.NONE if there else ErrorCode.LEADER_NOT_AVAILABLE,
        "partition_index": index,
        "leader_id": broker.node_id if there else -1,
        "leader_epoch": partition.leader_epoch if partition is not None else -1,
        "replica_nodes": nodes,
        "isr_nodes": nodes if there else [],
        "offline_replicas": [] if there else nodes,
    }


def _described(broker: Broker, topic: Topic) -> MetadataResponseTopic:
    partitions = [MetadataResponsePartition(**placement(broker, topic.name, index)) for index in range(topic.partition_count)]
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.internal,
        partitions=partitions,
    )
