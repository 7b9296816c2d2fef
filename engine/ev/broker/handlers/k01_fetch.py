"""Fetch (1): whole batches from the partitions asked for, now or when there are enough bytes.

Versions 4-18. Answered at once when max_wait_ms is 0, nothing was asked for, a partition has an error, or min_bytes are
there (ReplicaManager.fetchMessages); otherwise parked until enough bytes are below the high watermark or the time is over.

- The first partition with data always gives at least one whole batch, however small the limits are; after that they hold.
- The batch that contains the fetch offset is sent whole; clients drop what is before it.
- What was acknowledged is seen: a fetch at the end of the log waits for the round that covers the end at its arrival.
- Readers of committed records (isolation level 1, KIP-98) stop at the last stable offset, and are told which transactions in what
  they get were aborted.
- Whoever reads must be allowed to, in a session at every fetch.
- A client that is above a quota gets no records (`ev.broker.throttling`), and is asked again for them when its time is over.
- With a session (KIP-227, `ev.broker.fetch_sessions`) only what is new is answered.

v5 log_start_offset, v7 sessions, v9 current_leader_epoch, v11 rack id, v12 flexible with epochs, v13 topic ids,
v15 moves the replica id into a tagged field, v16 node endpoints, v17 directory ids, v18 the follower's high watermark.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ev.broker.fetch_sessions import NO_SESSION, Opened
from ev.broker.waiting import Waiter
from ev.errors import ErrorCode, KafkaError
from ev.log.reading import Moved, Read, ReadLater
from ev.wire.acls import Operation, Resource
from ev.wire.codec import encoder
from ev.wire.messages.k01_fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.fetch_sessions import Session
    from ev.broker.runtime import Call
    from ev.broker.topics import Topic
    from ev.log.partition import Partition
    from ev.wire.primitives import Buffer

KEY = 1
VERSIONS = (4, 18)
TOPIC_IDS_FROM = 13
READ_COMMITTED = 1
PARTITION_BYTES = 40
"""What a partition adds to an answer beside its records."""


def handle(broker: Broker, call: Call) -> None:
    request: FetchRequest = call.request
    opened = broker.fetch_sessions.open(request, call.version >= TOPIC_IDS_FROM, broker.clock.monotonic_ms())
    if opened.error:
        call.reply(FetchResponse(error_code=opened.error))
        return
    idle: Fetch | None = call.connection.idle_fetch
    call.connection.idle_fetch = None
    if idle is not None and not broker.throttling.active and idle.is_asked_again(request, opened) and idle.nothing_changed():
        idle.begin_again(call, request)
    else:
        if idle is not None:
            idle.forget()
        Fetch(broker, call, request, opened).begin()


class Asked(NamedTuple):
    """One partition of a fetch: what was asked, and the answer that is being filled in."""

    answer: PartitionData
    partition: Partition | None
    offset: int
    bytes_max: int


class Fetch:
    """One fetch on its way to an answer."""

    __slots__ = (
        "acl_changes",
        "asked",
        "broker",
        "bytes_left",
        "bytes_max",
        "bytes_wanted",
        "call",
        "committed",
        "encoded",
        "failed",
        "opened",
        "request",
        "starts_moved",
        "topics",
        "waiter",
    )

    def __init__(self, broker: Broker, call: Call, request: FetchRequest, opened: Opened) -> None:
        self.broker = broker
        self.call = call
        self.request = request
        self.opened = opened
        self.bytes_max = min(request.max_bytes, broker.settings.fetch_max_bytes, call.connection.answer_bytes_max)
        if broker.throttling.active:
            self.bytes_max = broker.throttling.fetch_bytes_max(call, self.bytes_max)
        self.bytes_left = self.bytes_max
        self.bytes_wanted = min(max(request.min_bytes, 0), self.bytes_left)
        self.committed = request.isolation_level == READ_COMMITTED
        self.failed = False
        self.encoded: list[Buffer] | None = None  # the last answer, if it held nothing
        self.starts_moved = 0  # the store's count at the time of that answer
        self.acl_changes = broker.acls.changes  # what the client may read was looked up at this state of the ACLs
        self.waiter: Waiter | None = None
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
        """Find every partition. An idle consumer asks again and again for all it has, so what is fine costs little here."""
        by_id = self.call.version >= TOPIC_IDS_FROM
        # As Kafka does it: null where nobody asked for committed records only.
        aborted: list[AbortedTransaction] | None = [] if self.request.isolation_level else None
        asked = self.asked
        session = self.opened.session
        guarded = self.broker.authorizer is not None
        for topic in self.request.topics if session is None else session.topics():
            known = self.broker.topics.by_id(topic.topic_id) if by_id else self.broker.topics.get(topic.topic)
            forbidden = guarded and self._is_forbidden(known.name if known is not None else topic.topic)
            partitions = self._partitions(known)
            count = len(partitions)
            answers = []
            for wanted in topic.partitions:
                index, offset, epoch = wanted.partition, wanted.fetch_offset, wanted.current_leader_epoch
                answer = PartitionData(partition_index=index, high_watermark=-1, aborted_transactions=aborted, records=b"")
                answers.append(answer)
                partition = partitions[index] if 0 <= index < count else None
                if (
                    partition is None
                    or forbidden
                    or not partition.log_start_offset <= offset <= partition.end_offset
                    or (epoch >= 0 and epoch != partition.leader_epoch)
                    or wanted.last_fetched_epoch >= 0
                ):
                    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED if forbidden else refusal(known is not None, partition, wanted, by_id)
                    partition = self._doubtful(answer, partition, wanted, code)
                asked.append(Asked(answer, partition, offset, wanted.partition_max_bytes))
            self.topics.append(FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=answers))

    def _doubtful(self, answer: PartitionData, partition: Partition | None, wanted: FetchPartition, code: int) -> Partition | None:
        """The partition, if it can be read from after all; else None, with what is wrong in its answer."""
        answer.error_code = code
        if partition is None:
            answer.aborted_transactions = []
        elif not code:
            epoch, end_offset = partition.epoch_end_offset(wanted.last_fetched_epoch)
            if epoch == wanted.last_fetched_epoch and end_offset >= wanted.fetch_offset:
                return partition
            answer.diverging_epoch = EpochEndOffset(epoch, end_offset)
        self.failed = True
        return None

    def _is_forbidden(self, name: str) -> bool:
        """Whether the client may not read the topic, or pretends to be a broker's replica. An id that nobody has has no name."""
        broker, call, request = self.broker, self.call, self.request
        state = request.replica_state
        if request.replica_id >= 0 or (state is not None and state.replica_id >= 0):
            return not broker.allows_on_cluster(call, Operation.CLUSTER_ACTION)
        return bool(name) and not broker.allows(call, Operation.READ, Resource.TOPIC, name)

    def _partitions(self, topic: Topic | None) -> list[Partition]:
        """The partitions that are there under this topic's own id."""
        stored = self.broker.store.topics.get(topic.name) if topic is not None else None
        return stored.partitions if stored is not None and topic is not None and stored.id == topic.id else []

    def _bytes_available(self) -> bool:
        available = 0
        for asked in self.asked:
            partition = asked.partition
            if partition is not None and partition.high_watermark > asked.offset:
                available += partition.bytes_available(asked.offset, self.bytes_wanted - available, committed=self.committed)
                if available >= self.bytes_wanted:
                    return True
        return False

    # Again. A consumer that has read everything asks the same every half second, for all its partitions.

    def nothing_changed(self) -> bool:
        """Whether the answer that was given last, and held nothing, is still true in every point."""
        waiter = self.waiter
        still_there = waiter is not None and waiter.registered and not waiter.moved
        broker = self.broker
        return (
            still_there
            and self.encoded is not None
            and self.starts_moved == broker.store.starts_moved
            and self.acl_changes == broker.acls.changes
        )

    def forget(self) -> None:
        """The same question will not come again."""
        if self.waiter is not None:
            self.broker.waiting.forget(self.waiter)

    def is_asked_again(self, request: FetchRequest, opened: Opened) -> bool:
        """Whether this request asks what this fetch asked: it says the same, or goes on with the session and changes nothing in it."""
        if opened.session is None:
            return self.request is request and not opened.begins
        changes = request.topics or request.forgotten_topics_data
        return self.opened.session is opened.session and not changes and limits(self.request) == limits(request)

    def begin_again(self, call: Call, request: FetchRequest) -> None:
        """The same was asked again on the same connection, and nothing has changed since it was answered."""
        self.call = call
        self.request = request
        self.bytes_left = self.bytes_max
        self._park()

    # Waiting.

    def _park(self) -> None:
        if self.waiter is None:
            offsets = {asked.partition: asked.offset for asked in self.asked if asked.partition is not None}
            self.waiter = Waiter(offsets, self.bytes_wanted, lambda: self._read(0), committed=self.committed)
        self.call.on_closed = self.forget
        self.broker.waiting.park(self.waiter, self.broker.clock.monotonic_ms() + self.request.max_wait_ms)

    def _answer_when_synced(self) -> None:
        """The client will not wait, but what was acknowledged to it must be visible: let the round that holds it end."""
        rounds = [asked.partition.dirty_round for asked in self.asked if asked.partition is not None]
        self.broker.runtime.after_round(max(rounds), lambda: self._read(0))

    # Reading.

    def _read(self, position: int) -> None:
        """Read from partition number `position` on, as far as no read has to wait for the disk; then answer."""
        if self.encoded is not None and position == 0 and self.nothing_changed():
            self._rest()
            self.call.reply_encoded(self.encoded)
            return
        asked_list = self.asked
        while position < len(asked_list):
            answer, partition, offset, bytes_max = asked = asked_list[position]
            position += 1
            if partition is None:
                continue
            if partition.gone:
                answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                continue
            high_watermark = partition.high_watermark
            if high_watermark <= offset or (self.bytes_left <= 0 and self.bytes_left != self.bytes_max):
                answer.high_watermark = high_watermark
                answer.last_stable_offset = partition.last_stable_offset
                answer.log_start_offset = partition.log_start_offset
                continue
            first = self.bytes_left == self.bytes_max
            try:
                found = partition.read(offset, min(bytes_max, self.bytes_left), at_least_one=first, committed=self.committed)
            except KafkaError as error:
                answer.error_code = error.code
                continue
            if isinstance(found, ReadLater):
                self.broker.runtime.world.read(found.run, partial(self._read_later, asked, partition, position, found))
                return
            self._found(asked, partition, found)
        self._answer()

    def _answer(self) -> None:
        call, waiter = self.call, self.waiter
        responses, session = self.topics, self.opened.session
        throttling = self.broker.throttling
        throttle_ms, is_sent = throttling.fetched(call, self._answer_bytes()) if throttling.active else (0, True)
        if not is_sent:
            self.forget()
            call.reply(FetchResponse(session_id=NO_SESSION if session is None else session.id), throttle_ms=throttle_ms)
            return
        if self.opened.begins:
            now_ms = self.broker.clock.monotonic_ms()
            session = self.broker.fetch_sessions.make(self.request.topics, call.version >= TOPIC_IDS_FROM, now_ms)
            self.opened = Opened(session=session)
            if session is not None:
                news(session, responses)  # all of it is answered, new or not
        elif session is not None:
            responses = news(session, responses)
        call.reply(FetchResponse(responses=responses, session_id=NO_SESSION if session is None else session.id), throttle_ms=throttle_ms)
        if waiter is None:
            return
        if (
            waiter.registered
            and not throttling.active
            and self.bytes_left == self.bytes_max
            and not any(asked.answer.error_code for asked in self.asked)
        ):
            if session is not None and responses:
                self.encoded = encoder(FetchResponse, call.version)(FetchResponse(session_id=session.id))
            else:
                self.encoded = list(call.parts[1:])
            self.starts_moved = self.broker.store.starts_moved
            waiter.moved = False
            self._rest()
        else:
            self.forget()

    def _answer_bytes(self) -> int:
        """About the size of the answer."""
        partitions = len(self.asked)
        if self.opened.session is not None:
            partitions = sum(1 for asked in self.asked if asked.answer.records or asked.answer.error_code)
        return self.bytes_max - self.bytes_left + PARTITION_BYTES * partitions

    def _rest(self) -> None:
        """Be ready for the same question. One fetch of a connection rests at a time."""
        connection = self.call.connection
        if connection.idle_fetch is not None:
            connection.idle_fetch.forget()
        connection.idle_fetch = self

    def _read_later(self, asked: Asked, partition: Partition, resume: int, later: ReadLater, result: Any) -> None:
        if isinstance(result, Moved) or later.is_outdated:
            self._read(resume - 1)
            return
        if isinstance(result, KafkaError):
            asked.answer.error_code = result.code
        elif isinstance(result, OSError):
            gone = partition.gone  # its files were renamed away under the read
            asked.answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if gone else ErrorCode.KAFKA_STORAGE_ERROR
        else:
            self._found(asked, partition, result)
        self._read(resume)

    def _found(self, asked: Asked, partition: Partition, found: Read) -> None:
        answer, pieces = asked.answer, found.pieces
        answer.high_watermark = partition.high_watermark
        answer.last_stable_offset = partition.last_stable_offset
        answer.log_start_offset = partition.log_start_offset
        if pieces:
            answer.records = pieces
            self.bytes_left -= sum(map(len, pieces))
            if self.committed:
                aborted = partition.aborted_transactions(asked.offset, found.next_offset)
                answer.aborted_transactions = [AbortedTransaction(producer_id=each, first_offset=first) for each, first in aborted]


def news(session: Session, topics: list[FetchableTopicResponse]) -> list[FetchableTopicResponse]:
    """What the client of this session does not know yet."""
    found = []
    for topic in topics:
        partitions = list(session.tell(topic.topic, topic.topic_id, topic.partitions))
        if partitions:
            found.append(FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=partitions))
    return found


def limits(request: FetchRequest) -> tuple[int, int, int, int]:
    return request.max_wait_ms, request.min_bytes, request.max_bytes, request.isolation_level


def refusal(topic_is_known: bool, partition: Partition | None, wanted: FetchPartition, by_id: bool) -> int:
    """The error that a partition is answered with that cannot be read from; NONE when it may be."""
    epoch = wanted.current_leader_epoch
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID if by_id and not topic_is_known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if 0 <= epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if epoch > partition.leader_epoch:
        return ErrorCode.UNKNOWN_LEADER_EPOCH
    if partition.log_start_offset <= wanted.fetch_offset <= partition.end_offset:
        last = wanted.last_fetched_epoch
        if last < 0 or partition.epoch_end_offset(last)[0] >= 0:
            return ErrorCode.NONE
    return ErrorCode.OFFSET_OUT_OF_RANGE
