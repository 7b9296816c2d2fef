"""Fetch (1): whole batches from the partitions asked for, now or when there are enough bytes.

Versions 4-18. Answered at once when max_wait_ms is 0, nothing was asked for, a partition has an error, or min_bytes are
there (ReplicaManager.fetchMessages); otherwise parked until enough bytes are below the high watermark or the time is over.

- The first partition with data always gives at least one whole batch, however small the limits are; after that they hold.
- The batch that contains the fetch offset is sent whole; clients drop what is before it.
- What was acknowledged is seen: a fetch at the end of the log waits for the round that covers the end at its arrival.
- Always sessionless (session id 0), which every client accepts; a session id that a client brings is not found.

v5 log_start_offset, v7 sessions, v9 current_leader_epoch, v11 rack id, v12 flexible with epochs, v13 topic ids,
v15 moves the replica id into a tagged field, v16 node endpoints, v17 directory ids, v18 the follower's high watermark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ev.broker.waiting import Waiter
from ev.errors import ErrorCode, KafkaError
from ev.log.reading import ReadLater
from ev.wire.messages.k01_fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.topics import Topic
    from ev.log.partition import Partition
    from ev.wire.primitives import Buffer

KEY = 1
VERSIONS = (4, 18)
SESSIONLESS_EPOCHS = (-1, 0)


def handle(broker: Broker, call: Call) -> None:
    request: FetchRequest = call.request
    if request.session_id != 0:
        call.reply(FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND))
        return
    if request.session_epoch not in SESSIONLESS_EPOCHS:
        call.reply(FetchResponse(error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH))
        return
    Fetch(broker, call, request).begin()


class Asked:
    """One partition of a fetch: what was asked and what has been found so far."""

    __slots__ = ("answer", "bytes_max", "offset", "partition")

    def __init__(self, answer: PartitionData, partition: Partition | None, offset: int, bytes_max: int) -> None:
        self.answer = answer
        self.partition = partition
        self.offset = offset
        self.bytes_max = bytes_max


class Fetch:
    """One fetch on its way to an answer."""

    __slots__ = ("asked", "broker", "bytes_left", "bytes_wanted", "call", "failed", "request", "topics")

    def __init__(self, broker: Broker, call: Call, request: FetchRequest) -> None:
        self.broker = broker
        self.call = call
        self.request = request
        self.bytes_left = min(request.max_bytes, broker.settings.fetch_max_bytes)
        self.bytes_wanted = min(max(request.min_bytes, 0), self.bytes_left)
        self.failed = False
        self.asked: list[Asked] = []
        self.topics: list[FetchableTopicResponse] = []

    def begin(self) -> None:
        """Look at every partition once; answer, or wait."""
        self._look()
        if self.failed or not self.asked or self.bytes_wanted <= 0 or self._bytes_available():
            self._read(0)
        elif self.request.max_wait_ms > 0:
            self._park()
        else:
            self._answer_when_synced()

    def _look(self) -> None:
        by_id = self.call.version >= 13
        for topic in self.request.topics:
            known = self.broker.topics.by_id(topic.topic_id) if by_id else self.broker.topics.get(topic.topic)
            answers = []
            for wanted in topic.partitions:
                answer = PartitionData(
                    partition_index=wanted.partition, high_watermark=-1, last_stable_offset=-1, log_start_offset=-1, records=b""
                )
                answers.append(answer)
                partition = None
                try:
                    partition = self._partition(known, wanted, by_id)
                except KafkaError as error:
                    answer.error_code = error.code
                    self.failed = True
                self.asked.append(Asked(answer, partition, wanted.fetch_offset, wanted.partition_max_bytes))
            self.topics.append(FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=answers))

    def _partition(self, topic: Topic | None, wanted: Any, by_id: bool) -> Partition:
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        partition = self.broker.store.partition(topic.name, wanted.partition)
        if partition is None or partition.topic_id != topic.id:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if wanted.current_leader_epoch >= 0 and wanted.current_leader_epoch != partition.leader_epoch:
            older = wanted.current_leader_epoch < partition.leader_epoch
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH if older else ErrorCode.UNKNOWN_LEADER_EPOCH)
        if not partition.log_start_offset <= wanted.fetch_offset <= partition.end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE)
        return partition

    def _bytes_available(self) -> bool:
        available = 0
        for asked in self.asked:
            partition = asked.partition
            if partition is not None and partition.high_watermark > asked.offset:
                available += partition.bytes_available(asked.offset, self.bytes_wanted - available)
                if available >= self.bytes_wanted:
                    return True
        return False

    # Waiting.

    def _park(self) -> None:
        offsets = {asked.partition: asked.offset for asked in self.asked if asked.partition is not None}
        waiter = Waiter(offsets, self.bytes_wanted, lambda: self._read(0))
        self.call.on_closed = lambda: self.broker.waiting.forget(waiter)
        self.broker.waiting.park(waiter, self.broker.clock.monotonic_ms() + self.request.max_wait_ms)

    def _answer_when_synced(self) -> None:
        """The client will not wait, but what was acknowledged to it must be visible: let the round that holds it end."""
        rounds = [asked.partition.dirty_round for asked in self.asked if asked.partition is not None]
        self.broker.runtime.after_round(max(rounds), lambda: self._read(0))

    # Reading.

    def _read(self, position: int) -> None:
        """Read from partition number `position` on, as far as no read has to wait for the disk; then answer."""
        asked_list = self.asked
        while position < len(asked_list):
            asked = asked_list[position]
            position += 1
            partition = asked.partition
            if partition is None:
                continue
            if partition.gone:
                asked.answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                continue
            empty_so_far = self.bytes_left == min(self.request.max_bytes, self.broker.settings.fetch_max_bytes)
            if partition.high_watermark <= asked.offset or (self.bytes_left <= 0 and not empty_so_far):
                self._found(asked, partition, [])
                continue
            try:
                found = partition.read(asked.offset, min(asked.bytes_max, self.bytes_left), at_least_one=empty_so_far)
            except KafkaError as error:
                asked.answer.error_code = error.code
                continue
            if isinstance(found, ReadLater):
                resume = position
                self.broker.runtime.world.read(found.run, lambda result: self._read_later(asked, partition, result, resume))  # noqa: B023
                return
            self._found(asked, partition, found.pieces)
        self.call.reply(FetchResponse(responses=self.topics))

    def _read_later(self, asked: Asked, partition: Partition, result: Any, resume: int) -> None:
        if isinstance(result, KafkaError):
            asked.answer.error_code = result.code
        elif isinstance(result, OSError):
            gone = partition.gone  # its files were renamed away under the read
            asked.answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if gone else ErrorCode.KAFKA_STORAGE_ERROR
        else:
            self._found(asked, partition, result.pieces)
        self._read(resume)

    def _found(self, asked: Asked, partition: Partition, pieces: list[Buffer]) -> None:
        answer = asked.answer
        answer.high_watermark = answer.last_stable_offset = partition.high_watermark
        answer.log_start_offset = partition.log_start_offset
        if pieces:
            answer.records = pieces
            self.bytes_left -= sum(map(len, pieces))
