"""ListOffsets (2): the offset at an end of the log, or of the first record at or after a time.

Versions 1-11. The times with a meaning of their own: -1 the high watermark, or for readers of committed records the last stable
offset, which no other answer of theirs goes beyond either, -2 the log start, -3 the record with the largest
timestamp (v7), -4 the log start again, as nothing is tiered (v8), -5 the last tiered record (v9) and -6 the first that waits
for it (v11): there is none.

What was acknowledged is seen, with acks=1 too: the answer is computed when the round that covers the end of the log at the
arrival of the request is synced.

v2 isolation level, v4 leader epochs, v6 flexible, v10 a timeout for remote storage.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from ev.errors import ErrorCode, KafkaError
from ev.log.partition import SearchLater
from ev.log.reading import Moved
from ev.wire.acls import Operation
from ev.wire.messages.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.log.partition import Partition

KEY = 2
VERSIONS = (1, 11)

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
NOTHING: Final = (-1, -1, -1)
READ_COMMITTED: Final = 1
VERSION_MIN: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}


def handle(broker: Broker, call: Call) -> None:
    request: ListOffsetsRequest = call.request
    request.topics, forbidden = broker.allowed_topics(call, Operation.DESCRIBE, request.topics, lambda topic: topic.name)
    broker.runtime.after_round(_round_at_arrival(broker, request), lambda: _answer(broker, call, request, forbidden))


def _round_at_arrival(broker: Broker, request: ListOffsetsRequest) -> int:
    """The round that covers the ends of all logs asked for, as they are now, and the newest metadata."""
    partitions = (broker.store.partition(topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)
    return max((partition.dirty_round for partition in partitions if partition is not None), default=broker.metadata_round)


def _answer(broker: Broker, call: Call, request: ListOffsetsRequest, forbidden: list[ListOffsetsTopic]) -> None:
    Lookups(broker, call, request, [_refused(topic) for topic in forbidden]).run()


def _refused(topic: ListOffsetsTopic) -> ListOffsetsTopicResponse:
    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    partitions = [ListOffsetsPartitionResponse(partition_index=asked.partition_index, error_code=code) for asked in topic.partitions]
    return ListOffsetsTopicResponse(name=topic.name, partitions=partitions)


class Lookups:
    """The lookups of one request, one after the other; a search that has to wait for the disk leaves the loop."""

    __slots__ = ("_answers", "_broker", "_call", "_committed", "_open")

    def __init__(self, broker: Broker, call: Call, request: ListOffsetsRequest, refused: list[ListOffsetsTopicResponse]) -> None:
        self._broker = broker
        self._call = call
        self._committed = request.isolation_level == READ_COMMITTED
        counts = Counter((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)
        self._open: deque[tuple[Partition, int, ListOffsetsPartitionResponse]] = deque()
        self._answers = [
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    self._begin(topic.name, asked, counts[topic.name, asked.partition_index] > 1)
                    for asked in {asked.partition_index: asked for asked in topic.partitions}.values()
                ],
            )
            for topic in request.topics
        ] + refused

    def _begin(self, name: str, asked: ListOffsetsPartition, duplicate: bool) -> ListOffsetsPartitionResponse:
        """Check one lookup. It is done in `run`."""
        answer = ListOffsetsPartitionResponse(partition_index=asked.partition_index)
        try:
            if duplicate:
                raise KafkaError(ErrorCode.INVALID_REQUEST)
            if asked.timestamp < EARLIEST_PENDING_UPLOAD or self._call.version < VERSION_MIN.get(asked.timestamp, 0):
                raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
            partition = self._broker.partition(name, asked.partition_index, asked.current_leader_epoch)
        except KafkaError as error:
            answer.error_code = error.code
        else:
            self._open.append((partition, asked.timestamp, answer))
        return answer

    def run(self) -> None:
        """Go on with what is open, then answer."""
        while self._open:
            partition, timestamp, answer = self._open.popleft()
            found = _look_up(partition, timestamp, committed=self._committed)
            if isinstance(found, SearchLater):
                later = found
                self._broker.runtime.world.read(later.run, lambda result: self._searched(partition, timestamp, answer, later, result))  # noqa: B023
                return
            answer.offset, answer.timestamp, answer.leader_epoch = found
        self._call.reply(ListOffsetsResponse(topics=self._answers), self._broker.metadata_round)

    def _searched(
        self, partition: Partition, timestamp: int, answer: ListOffsetsPartitionResponse, later: SearchLater, result: Any
    ) -> None:
        later.learn()
        if isinstance(result, Moved):
            self._open.appendleft((partition, timestamp, answer))
            self.run()
            return
        if isinstance(result, OSError):
            answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if partition.gone else ErrorCode.KAFKA_STORAGE_ERROR
        elif isinstance(result, KafkaError):
            answer.error_code = result.code
        elif result is not None:
            answer.offset, answer.timestamp = result
            answer.leader_epoch = partition.epochs.at(answer.offset)
        self.run()


def _look_up(partition: Partition, timestamp: int, *, committed: bool) -> tuple[int, int, int] | SearchLater:
    """(offset, timestamp, leader epoch), each -1 when there is none."""
    if timestamp == LATEST:
        return partition.last_stable_offset if committed else partition.high_watermark, -1, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return partition.log_start_offset, -1, partition.epochs.at(partition.log_start_offset)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return NOTHING
    found = partition.search_by_time(None if timestamp == MAX_TIMESTAMP else timestamp, committed=committed)
    if found is None or isinstance(found, SearchLater):
        return NOTHING if found is None else found
    offset, at_ms = found
    return offset, at_ms, partition.epochs.at(offset)
