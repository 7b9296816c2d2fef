"""DeleteTopics (20): topics by name or id, each answered for itself.

Versions 1-6. The name is free at once; the data is renamed out of the way before the answer leaves and removed later. The
engine's own topics are not deleted.

v4 flexible, v5 error messages, may be throttled; v6 by id.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ev.broker.topics import ZERO_ID, Topic
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k20_delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 20
VERSIONS = (1, 6)
KNOWS_THROTTLING_FROM = 5


def handle(broker: Broker, call: Call) -> None:
    request: DeleteTopicsRequest = call.request
    asked = request.topics if call.version >= 6 else [DeleteTopicState(name=name) for name in request.topic_names]
    results: list[DeletableTopicResult] = []
    doomed: list[Topic] = []
    mutations = broker.throttling.mutations(call, strict_from=KNOWS_THROTTLING_FROM)
    may_delete_any = broker.allows_on_cluster(call, Operation.DELETE, quiet=True)
    for state in _once(asked, _named(broker, call, asked, may_delete_any=may_delete_any), results):
        try:
            name = None if may_delete_any else _resolved_name(broker, state)
            if name is not None and not _may_delete(broker, call, state, name):
                results.append(_unauthorized(broker, call, state, name))
                continue
            topic = _topic(broker, call, state)
            mutations.take(topic.partition_count)
        except KafkaError as error:
            results.append(_refusal(state, error))
        else:
            doomed.append(topic)
            results.append(DeletableTopicResult(name=topic.name, topic_id=topic.id))

    def answer() -> None:
        call.reply(DeleteTopicsResponse(responses=results), broker.metadata_round, mutations.throttle_ms)

    if not doomed:
        answer()
        return
    try:
        broker.delete_topics(doomed, call.now_ms, answer)
    except KafkaError as error:
        ids = {topic.id for topic in doomed}
        results = [_refusal(DeleteTopicState(name=r.name, topic_id=r.topic_id), error) if r.topic_id in ids else r for r in results]
        answer()


def _named(broker: Broker, call: Call, asked: list[DeleteTopicState], *, may_delete_any: bool) -> dict[bytes, DeleteTopicState]:
    """The topics that are asked for by name, by their ids; those that the client may not delete left out: it must not learn their ids."""
    found = ((broker.topics.get(state.name), state) for state in asked if state.name is not None)
    return {
        topic.id: state for topic, state in found if topic is not None and (may_delete_any or _may_delete(broker, call, state, topic.name))
    }


def _once(
    asked: list[DeleteTopicState], named: dict[bytes, DeleteTopicState], results: list[DeletableTopicResult]
) -> list[DeleteTopicState]:
    """The topics that are asked for once; what is asked for again, by whatever name, is refused, once each."""
    counts = Counter((state.name, state.topic_id) for state in asked)
    once = []
    for state in {(state.name, state.topic_id): state for state in asked}.values():
        other = named.get(state.topic_id)
        if counts[state.name, state.topic_id] > 1:
            results.append(_refusal(state, KafkaError(ErrorCode.INVALID_REQUEST, "The topic is asked for more than once.")))
        elif state.name is None and other is not None:
            both = DeleteTopicState(name=other.name, topic_id=state.topic_id)
            results.append(_refusal(both, KafkaError(ErrorCode.INVALID_REQUEST, "The topic is asked for by its name and by its id.")))
            named[state.topic_id] = state
        else:
            once.append(state)
    refused = {result.name for result in results}
    return [state for state in once if state.name is None or state.name not in refused]


def _resolved_name(broker: Broker, state: DeleteTopicState) -> str | None:
    return state.name if state.name is not None else broker.topics.name_of(state.topic_id)


def _topic(broker: Broker, call: Call, state: DeleteTopicState) -> Topic:
    """The topic that is to go, if it may. Raises KafkaError."""
    if not broker.settings.delete_topic_enable:
        code = ErrorCode.TOPIC_DELETION_DISABLED if call.version >= 3 else ErrorCode.INVALID_REQUEST
        raise KafkaError(code, "Topics are not deleted: delete.topic.enable is false.")
    if (state.name is None) == (state.topic_id == ZERO_ID):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A topic is named either by its name or by its id.")
    if state.name is None:
        topic = broker.topics.by_id(state.topic_id)
        unknown = ErrorCode.UNKNOWN_TOPIC_ID
    else:
        topic = broker.topics.get(state.name)
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic is None:
        raise KafkaError(unknown)
    if topic.internal:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{topic.name} is the engine's own and is not deleted.")
    return topic


def _may_delete(broker: Broker, call: Call, state: DeleteTopicState, name: str) -> bool:
    """Whoever names a topic must be allowed to describe it, too."""
    may_know = state.name is None or broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name)
    return may_know and broker.allows(call, Operation.DELETE, Resource.TOPIC, name)


def _unauthorized(broker: Broker, call: Call, state: DeleteTopicState, name: str) -> DeletableTopicResult:
    """The refusal to delete a topic, which does not say what the client may not know: whether a name exists, or what an id is called."""
    if state.name is None:
        shown = name if broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name) else None
        state = DeleteTopicState(name=shown, topic_id=state.topic_id)
    elif name not in broker.topics and broker.allows(call, Operation.DESCRIBE, Resource.TOPIC, name):
        return _refusal(state, KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
    return _refusal(state, KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED))


def _refusal(state: DeleteTopicState, error: KafkaError) -> DeletableTopicResult:
    return DeletableTopicResult(name=state.name, topic_id=state.topic_id, error_code=error.code, error_message=error.message)
