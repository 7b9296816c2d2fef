"""ListOffsets (2): the offset at an end of the log, or of the first record at or after a time.

Versions 1-11. The times with a meaning of their own: -1 the high watermark, -2 the log start, -3 the record with the largest
timestamp (v7), -4 the log start again, as nothing is tiered (v8), -5 the last tiered record (v9) and -6 the first that waits
for it (v11): there is none.

What was acknowledged is seen, with acks=1 too: the answer is computed when the round that covers the end of the log at the
arrival of the request is synced.

v2 isolation level, v4 leader epochs, v6 flexible, v10 a timeout for remote storage.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
VERSION_MIN: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}


def handle(broker: Broker, call: Call) -> None:
    request: ListOffsetsRequest = call.request
    broker.runtime.after_round(_round_at_arrival(broker, request), lambda: _answer(broker, call, request))


def _round_at_arrival(broker: Broker, request: ListOffsetsRequest) -> int:
    """The round that covers the ends of all logs asked for, as they are now, and the newest metadata."""
    partitions = (broker.store.partition(topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)
    return max((partition.dirty_round for partition in partitions if partition is not None), default=broker.metadata_round)


def _answer(broker: Broker, call: Call, request: ListOffsetsRequest) -> None:
    asked = Counter((topic.name, partition.partition_index) for topic in request.topics for partition in topic.partitions)
    lookups = list(_lookups(broker, call.version, request, {place for place, count in asked.items() if count > 1}))
    Lookups(broker, call, lookups).run()


class Lookup:
    """One partition of the request on its way to an answer."""

    __slots__ = ("answer", "partition", "timestamp", "topic")

    def __init__(self, topic: str, answer: ListOffsetsPartitionResponse, partition: Partition | None, timestamp: int) -> None:
        self.topic = topic
        self.answer = answer
        self.partition = partition
        self.timestamp = timestamp

    def found(self, offset: int, timestamp: int, leader_epoch: int) -> None:
        self.answer.offset = offset
        self.answer.timestamp = timestamp
        self.answer.leader_epoch = leader_epoch


def _lookups(broker: Broker, version: int, request: ListOffsetsRequest, duplicates: set[tuple[str, int]]) -> Iterator[Lookup]:
    for topic in request.topics:
        for asked in topic.partitions:
            answer = ListOffsetsPartitionResponse(partition_index=asked.partition_index)
            partition = None
            try:
                if (topic.name, asked.partition_index) in duplicates:
                    raise KafkaError(ErrorCode.INVALID_REQUEST)
                if asked.timestamp < EARLIEST_PENDING_UPLOAD or version < VERSION_MIN.get(asked.timestamp, 0):
                    raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
                partition = broker.partition(topic.name, asked.partition_index, asked.current_leader_epoch)
            except KafkaError as error:
                answer.error_code = error.code
            yield Lookup(topic.name, answer, partition, asked.timestamp)


class Lookups:
    """The lookups of one request, one after the other; those that must wait for the disk leave the loop."""

    __slots__ = ("broker", "call", "lookups", "position")

    def __init__(self, broker: Broker, call: Call, lookups: list[Lookup]) -> None:
        self.broker = broker
        self.call = call
        self.lookups = lookups
        self.position = 0

    def run(self) -> None:
        while self.position < len(self.lookups):
            lookup = self.lookups[self.position]
            self.position += 1
            if lookup.partition is not None and self._look(lookup, lookup.partition):
                return
        self._reply()

    def _look(self, lookup: Lookup, partition: Partition) -> bool:
        """Answer one lookup; True when it has to wait for the disk and `run` goes on afterwards."""
        match lookup.timestamp:
            case -1:
                lookup.found(partition.high_watermark, -1, partition.leader_epoch)
            case -2 | -4:
                lookup.found(partition.log_start_offset, -1, partition.leader_epoch)
            case -5 | -6:
                pass  # nothing is tiered: offset -1
            case timestamp:
                return self._search(lookup, partition, timestamp)
        return False

    def _search(self, lookup: Lookup, partition: Partition, timestamp: int) -> bool:
        def search() -> Any:
            return partition.max_timestamp() if timestamp == MAX_TIMESTAMP else partition.offset_for_timestamp(timestamp)

        def done(result: Any) -> None:
            if isinstance(result, OSError):
                lookup.answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            elif isinstance(result, KafkaError):
                lookup.answer.error_code = result.code
            elif result is not None:
                lookup.found(result[0], result[1], partition.leader_epoch)
            self.run()

        self.broker.runtime.world.read(search, done)
        return True

    def _reply(self) -> None:
        topics: dict[str, list[ListOffsetsPartitionResponse]] = {}
        for lookup in self.lookups:
            topics.setdefault(lookup.topic, []).append(lookup.answer)
        answers = [ListOffsetsTopicResponse(name=name, partitions=partitions) for name, partitions in topics.items()]
        self.call.reply(ListOffsetsResponse(topics=answers), self.broker.metadata_round)
