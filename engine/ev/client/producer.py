"""The producer: records in, batches out, every one of them acknowledged or reported.

    produce, produce_many ──> Outbox per partition ──> one request per broker, up to five in flight ──> Delivery per batch, from poll()

Nothing moves on its own: `produce*` and `poll` send and receive what can go without waiting, `flush` waits for everything. `produce_many`
is the fast way in: whole lists become batches without an object per record. What is in an Outbox, in which order, under which sequence
numbers and what an answer means is `ev.client.outbox`; this module routes batches to leaders and moves bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from time import time

from ev.client.batch import RECORD_OVERHEAD
from ev.client.cluster import Cluster
from ev.client.connection import REQUEST_TIMEOUT_MS
from ev.client.outbox import ACKNOWLEDGED, FAILED, Outbox
from ev.client.partitioner import PARTITIONERS, TopicPartitioner
from ev.client.transport import open_transport
from ev.errors import ClosedError, ErrorCode, EvError, KafkaError, SettingError, UnreachableError, UnsupportedApiError
from ev.wire.compression import CODECS
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.batch import Batch, Headers
    from ev.client.connection import Ticket
    from ev.client.transport import OpenTransport

ACKS = {"all": -1, "-1": -1, "1": 1, "0": 0}
RECORD_BYTES_MAX = 100 << 20
"""A larger record fits in no request that a broker takes (socket.request.max.bytes): it is refused before it is sent."""

_PRODUCE_VERSION_MAX = 12  # from 13 on topics go by id
_REQUEST_BYTES = 8 << 20
_IN_FLIGHT_MAX = 5
_TIMESTAMP_TOLERANCE_MS = 20
_LONG_AGO = -(1 << 62)
_FOREVER_MS = 3_600_000
_STALE_METADATA = frozenset(
    (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.LISTENER_NOT_FOUND,
    )
)


class Delivery:
    """What became of `count` consecutive records. `base_offset` is -1 where the broker does not tell it (acks=0, some retries)."""

    __slots__ = ("base_offset", "count", "error", "partition", "tag", "topic")

    def __init__(self, topic: str, partition: int, base_offset: int, count: int, tag: object, error: EvError | None) -> None:
        self.topic = topic
        self.partition = partition
        self.base_offset = base_offset
        self.count = count
        self.tag = tag
        self.error = error

    def __repr__(self) -> str:
        outcome = f"offset {self.base_offset}" if self.error is None else repr(self.error)
        return f"Delivery({self.topic}-{self.partition}, {self.count} records, {outcome}, tag={self.tag!r})"


class Producer:
    """Idempotent unless told otherwise: with acks=all no retry writes a record twice or out of order."""

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "ev",
        acks: str | int = "all",
        idempotence: bool = True,
        compression: str = "none",
        compression_level: int | None = None,
        linger_ms: int = 5,
        batch_bytes: int = 1_000_000,
        buffer_bytes: int = 64 << 20,
        in_flight: int = _IN_FLIGHT_MAX,
        delivery_timeout_ms: int = 120_000,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        metadata_timeout_ms: int = 60_000,
        partitioner: str = "murmur2",
        create_topics: bool = False,
        retry_backoff_ms: int = 100,
        retry_backoff_max_ms: int = 1_000,
        open_transport: OpenTransport = open_transport,
    ) -> None:
        if str(acks) not in ACKS:
            raise SettingError(f"acks is {acks!r}: it must be all, 1 or 0")
        if compression not in CODECS:
            raise SettingError(f"no codec is called {compression!r}; there are {', '.join(CODECS)}")
        if partitioner not in PARTITIONERS:
            raise SettingError(f"no partitioner is called {partitioner!r}; there are {', '.join(PARTITIONERS)}")
        self.acks = ACKS[str(acks)]
        self.idempotence = idempotence and self.acks == -1
        if self.idempotence and not 1 <= in_flight <= _IN_FLIGHT_MAX:
            raise SettingError(f"an idempotent producer has 1 to {_IN_FLIGHT_MAX} requests in flight, not {in_flight}")
        self.cluster = Cluster(
            bootstrap,
            client_id=client_id,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            open_transport=open_transport,
        )
        self._compression = CODECS[compression]
        self._compression_level = compression_level
        self._linger_ms = linger_ms
        self._batch_bytes = batch_bytes
        self._buffer_bytes = buffer_bytes
        self._in_flight_max = in_flight
        self._delivery_timeout_ms = delivery_timeout_ms
        self._request_timeout_ms = request_timeout_ms
        self._metadata_timeout_ms = metadata_timeout_ms
        self._partitioner = partitioner
        self._create_topics = create_topics
        self._partitioners: dict[str, TopicPartitioner] = {}
        self._outboxes: dict[tuple[str, int], Outbox] = {}
        self._busy: dict[tuple[str, int], Outbox] = {}
        self._node_in_flight: dict[int, int] = {}
        self._deliveries: list[Delivery] = []
        self._producer: tuple[int, int] | None = None
        self._id_ticket: Ticket | None = None
        self._id_error: EvError | None = None
        self._id_attempts = 0
        self._id_retry_at_ms = _LONG_AGO
        self._flushing = False
        self._closed = False
        self._linger_at_ms: int | None = None
        self._buffered_bytes = 0
        self.buffered = 0
        """Records that were taken and are neither acknowledged nor given up."""

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(timeout_ms=None if kind is None else 0)

    # Records in

    def partitions(self, topic: str, *, timeout_ms: int | None = None) -> list[int]:
        """The partitions of a topic, waited for. UnknownTopicError when it does not exist."""
        self._ask_for_id(self.cluster.now_ms())
        timeout_ms = self._metadata_timeout_ms if timeout_ms is None else timeout_ms
        return list(self.cluster.topic(topic, timeout_ms=timeout_ms, create=self._create_topics).partitions)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
        tag: object = None,
    ) -> None:
        """Take one record; it leaves when its batch is full, `linger_ms` after its first record, or with the next flush()."""
        self.produce_many(
            topic,
            (value,),
            keys=None if key is None else (key,),
            headers=(headers,) if headers else None,
            timestamps=timestamp_ms,
            partition=partition,
            tag=tag,
        )

    def produce_many(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps: int | Sequence[int] | None = None,
        partition: int | None = None,
        tag: object = None,
    ) -> None:
        """Take whole columns; keys, headers and timestamps, where given, as long as values (one timestamp may serve all).

        Records without a timestamp get the time at which they came, or that of the first in their batch when it came less than 20 ms (or
        `linger_ms`) before. Every Delivery of these records carries the tag. Waits while more than `buffer_bytes` are not acknowledged.
        """
        if self._closed:
            raise ClosedError("the producer is closed")
        count = len(values)
        if not count:
            return
        for name, column in (("keys", keys), ("headers", headers), ("timestamps", timestamps)):
            if column is not None and not isinstance(column, int) and len(column) != count:
                raise ValueError(f"{count} values, but {len(column)} {name}")
        self._wait_for_room()
        sizes = _record_sizes(values, keys, headers)
        if sum(sizes) > RECORD_BYTES_MAX and max(sizes) > RECORD_BYTES_MAX:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"a record of {max(sizes)} bytes; no broker takes more than {RECORD_BYTES_MAX}")
        chooser = self._topic_partitioner(topic)
        if partition is not None:
            self._check_partition(topic, partition)
            self._fill(self._outbox(topic, partition), None, values, keys, headers, timestamps, sizes, tag)
        elif chooser.ignores_keys(keys):
            self._fill(None, (topic, chooser), values, keys, headers, timestamps, sizes, tag)
        else:
            for index, rows in _group(chooser.partitions(keys, count)).items():
                self._fill(
                    self._outbox(topic, index),
                    None,
                    [values[row] for row in rows],
                    None if keys is None else [keys[row] for row in rows],
                    None if headers is None else [headers[row] for row in rows],
                    timestamps if timestamps is None or isinstance(timestamps, int) else [timestamps[row] for row in rows],
                    [sizes[row] for row in rows],
                    tag,
                )
        self._go_on()

    def _topic_partitioner(self, topic: str) -> TopicPartitioner:
        """Made when a topic is first used, which waits for its metadata; made anew when partitions were added."""
        chooser = self._partitioners.get(topic)
        info = self.cluster.metadata.topics.get(topic)
        if chooser is None or info is None or len(info.partitions) > chooser.count:
            if chooser is not None and info is None:
                return chooser
            chooser = self._partitioners[topic] = TopicPartitioner(self._partitioner, len(self.partitions(topic)))
        return chooser

    def _check_partition(self, topic: str, partition: int) -> None:
        info = self.cluster.metadata.topics.get(topic)
        if info is not None and partition not in info.partitions:
            self.cluster.refresh((topic,))
            info = self.cluster.metadata.topics.get(topic)
            if info is not None and partition not in info.partitions:
                message = f"{topic} has {len(info.partitions)} partitions, none of them is {partition}"
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)

    def _outbox(self, topic: str, index: int) -> Outbox:
        key = topic, index
        outbox = self._outboxes.get(key)
        if outbox is None:
            outbox = self._outboxes[key] = Outbox(topic, index, self._batch_bytes)
        self._busy[key] = outbox
        return outbox

    def _fill(
        self,
        outbox: Outbox | None,
        sticky: tuple[str, TopicPartitioner] | None,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        headers: Sequence[Headers] | None,
        timestamps: int | Sequence[int] | None,
        sizes: list[int],
        tag: object,
    ) -> None:
        """Pour columns into batches of one partition, or of the sticky one, which changes when a batch is full."""
        now_ms = self.cluster.now_ms()
        wall_ms = int(time() * 1000) if timestamps is None else 0
        count = len(values)
        total = sum(sizes) + count * RECORD_OVERHEAD
        sums: list[int] | None = None
        start = 0
        while start < count:
            if sticky is not None:
                outbox = self._outbox(sticky[0], sticky[1].current)
            assert outbox is not None
            batch = outbox.open_batch(now_ms)
            room = outbox.batch_bytes - batch.size
            if start == 0 and total <= room:
                stop, size = count, total
            else:
                sums = list(accumulate(sizes, initial=0)) if sums is None else sums
                stop, size = _fitting(sums, start, room)
                if stop == start and not batch.count:
                    stop, size = start + 1, sizes[start] + RECORD_OVERHEAD
            if stop > start:
                whole = start == 0 and stop == count
                batch.add(
                    values if whole else values[start:stop],
                    keys if whole or keys is None else keys[start:stop],
                    headers if whole or headers is None else headers[start:stop],
                    batch.timestamp(wall_ms, max(self._linger_ms, _TIMESTAMP_TOLERANCE_MS))
                    if timestamps is None
                    else timestamps
                    if whole or isinstance(timestamps, int)
                    else timestamps[start:stop],
                    size,
                    tag,
                )
                self.buffered += stop - start
                self._buffered_bytes += size
                start = stop
            if start < count or batch.size >= outbox.batch_bytes - RECORD_OVERHEAD:
                outbox.close_batch()
                if sticky is not None:
                    sticky[1].next_batch(self._available(sticky[0]))
        if outbox is not None and outbox.open is not None:
            due_ms = outbox.open.created_ms + self._linger_ms
            self._linger_at_ms = due_ms if self._linger_at_ms is None else min(self._linger_at_ms, due_ms)

    def _available(self, topic: str) -> list[int]:
        metadata = self.cluster.metadata
        info = metadata.topics.get(topic)
        return [] if info is None else [index for index in info.partitions if metadata.leader(topic, index) is not None]

    def _wait_for_room(self) -> None:
        while self._buffered_bytes > self._buffer_bytes:
            self._close_open_batches(None)
            self._step(_FOREVER_MS)

    # Time passes

    def poll(self, timeout_ms: int = 0) -> list[Delivery]:
        """Send and receive; the deliveries since the last call, waiting up to timeout_ms for the first one."""
        deadline_ms = self.cluster.now_ms() + timeout_ms
        self._step(0)
        while not self._deliveries and self.buffered and (left_ms := deadline_ms - self.cluster.now_ms()) > 0:
            self._step(left_ms)
        deliveries, self._deliveries = self._deliveries, []
        return deliveries

    def flush(self, timeout_ms: int | None = None) -> int:
        """Wait until everything is acknowledged or given up; returns how many records are still neither. Deliveries come from poll()."""
        deadline_ms = None if timeout_ms is None else self.cluster.now_ms() + timeout_ms
        self._flushing = True
        try:
            while self.buffered > 0:
                left_ms = _FOREVER_MS if deadline_ms is None else deadline_ms - self.cluster.now_ms()
                if left_ms <= 0:
                    self._step(0)
                    break
                self._step(left_ms)
        finally:
            self._flushing = False
        return self.buffered

    def close(self, timeout_ms: int | None = None) -> int:
        """flush() and close the connections; returns how many records were not acknowledged in time."""
        if self._closed:
            return self.buffered
        left = self.flush(timeout_ms)
        self._closed = True
        self.cluster.close()
        return left

    def _go_on(self) -> None:
        """After records were taken: send what is full or has waited, and look for answers."""
        now_ms = self.cluster.now_ms()
        if self._linger_at_ms is not None and now_ms >= self._linger_at_ms:
            self._close_open_batches(now_ms)
        if any(outbox.pending for outbox in self._busy.values()):
            self._step(0)

    def _step(self, timeout_ms: int) -> None:
        """Send what may go, wait for at most that long for something to happen, and take it in."""
        now_ms = self.cluster.now_ms()
        self._close_open_batches(None if self._flushing or self._closed else now_ms)
        self._expire(now_ms)
        reported = len(self._deliveries)
        self._send_batches(now_ms)
        if len(self._deliveries) > reported or not self.buffered:
            timeout_ms = 0
        elif timeout_ms > 0:
            timeout_ms = max(0, min(timeout_ms, self._next_due_ms(now_ms) - now_ms))
        self.cluster.poll(timeout_ms)
        self._send_batches(self.cluster.now_ms())

    def _close_open_batches(self, now_ms: int | None) -> None:
        """Those that have waited for linger_ms, or all of them."""
        if now_ms is not None and (self._linger_at_ms is None or now_ms < self._linger_at_ms):
            return
        self._linger_at_ms = None
        for outbox in self._busy.values():
            if outbox.open is None:
                continue
            due_ms = outbox.open.created_ms + self._linger_ms
            if now_ms is None or due_ms <= now_ms:
                outbox.close_batch()
            else:
                self._linger_at_ms = due_ms if self._linger_at_ms is None else min(self._linger_at_ms, due_ms)

    def _next_due_ms(self, now_ms: int) -> int:
        """When something has to be done even if no broker says anything."""
        due = [now_ms + _FOREVER_MS]
        if self._linger_at_ms is not None:
            due.append(self._linger_at_ms)
        if self.idempotence and self._producer is None and self._id_ticket is None:
            due.append(self._id_retry_at_ms)
        for outbox in self._busy.values():
            if outbox.pending:
                due += [batch.created_ms + self._delivery_timeout_ms for batch in outbox.pending]
                retry_at_ms = outbox.pending[0].retry_at_ms
                if retry_at_ms > now_ms:
                    due.append(retry_at_ms)
        return min(due)

    def _expire(self, now_ms: int) -> None:
        for outbox in list(self._busy.values()):
            for batch in outbox.expired(now_ms, self._delivery_timeout_ms):
                self._report(outbox, batch, -1, batch.last_error)

    # The producer id

    def _ask_for_id(self, now_ms: int) -> None:
        if not self.idempotence or self._producer is not None or self._id_ticket is not None or now_ms < self._id_retry_at_ms:
            return
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0x7FFFFFFF)
        ticket = self.cluster.send(request, callback=self._got_id)
        self._id_ticket = None if ticket.done else ticket

    def _got_id(self, ticket: Ticket) -> None:
        self._id_ticket = None
        error = ticket.error
        if error is None and ticket.response.error_code:
            error = KafkaError(ticket.response.error_code)
        if error is None:
            self._producer = ticket.response.producer_id, ticket.response.producer_epoch
            self._id_attempts = 0
        elif isinstance(error, UnsupportedApiError):
            self.idempotence = False  # a broker from before 0.11, or one that leaves it out
        elif isinstance(error, KafkaError) and not error.retriable:
            self._give_up(error)
        else:
            self._id_retry_at_ms = self.cluster.now_ms() + self.cluster.backoff.after(self._id_attempts)
            self._id_attempts += 1

    def _give_up(self, error: EvError) -> None:
        """No producer id will come: nothing that waits can be sent."""
        self._id_retry_at_ms = self.cluster.now_ms() + self.cluster.backoff.max_ms
        for outbox in list(self._busy.values()):
            outbox.close_batch()
            waiting, outbox.pending = outbox.pending, []
            for batch in waiting:
                self._report(outbox, batch, -1, error)

    # Batches out

    def _send_batches(self, now_ms: int) -> None:
        if not any(outbox.pending for outbox in self._busy.values()):
            return
        if self.idempotence:
            if self._producer is not None and any(outbox.has_used_up(self._producer[0]) for outbox in self._busy.values()):
                self._producer = None  # the other partitions keep the old id as long as they have epochs left
            if self._producer is None:
                self._ask_for_id(now_ms)
                if self.idempotence and self._producer is None:
                    return
        by_node: dict[int, list[Outbox]] = {}
        for outbox in self._busy.values():
            if outbox.pending:
                leader = self.cluster.metadata.leader(outbox.topic, outbox.index)
                if leader is None:
                    self.cluster.request_update()
                else:
                    by_node.setdefault(leader, []).append(outbox)
        for node_id, outboxes in by_node.items():
            while self._node_in_flight.get(node_id, 0) < self._in_flight_max and self._send_request(node_id, outboxes, now_ms):
                pass

    def _send_request(self, node_id: int, outboxes: list[Outbox], now_ms: int) -> bool:
        """One batch per partition, as many as fit. False when there was nothing to send.

        Ctrl-C may come at any line: then nobody knows whether the request left, which is what a lost connection means, too.
        """
        sent: dict[tuple[str, int], tuple[Outbox, Batch]] = {}
        try:
            return self._compose_request(node_id, outboxes, now_ms, sent)
        except BaseException:
            for outbox, batch in sent.values():
                if batch in outbox.in_flight:
                    outbox.unanswered(batch, UnreachableError("interrupted"), True, now_ms)
            raise

    def _compose_request(
        self, node_id: int, outboxes: list[Outbox], now_ms: int, sent: dict[tuple[str, int], tuple[Outbox, Batch]]
    ) -> bool:
        topics: dict[str, TopicProduceData] = {}
        size = 0
        producer = self._producer if self.idempotence else None
        oldest_ms = now_ms
        for outbox in outboxes:
            batch = outbox.take(now_ms, self._in_flight_max, producer) if size < _REQUEST_BYTES else None
            if batch is None:
                continue
            sent[outbox.topic, outbox.index] = outbox, batch
            records = batch.encode(self._compression, self._compression_level)
            size += len(records)
            oldest_ms = min(oldest_ms, batch.created_ms)
            topic = topics.setdefault(outbox.topic, TopicProduceData(name=outbox.topic, partition_data=[]))
            topic.partition_data.append(PartitionProduceData(outbox.index, records))
        if not sent:
            return False
        outboxes.append(outboxes.pop(0))  # so that the last ones are not always those that find the request full
        request = ProduceRequest(acks=self.acks, timeout_ms=self._request_timeout_ms, topic_data=list(topics.values()))
        self._node_in_flight[node_id] = self._node_in_flight.get(node_id, 0) + 1
        self.cluster.send(
            request,
            node_id,
            timeout_ms=max(1, min(self._request_timeout_ms, oldest_ms + self._delivery_timeout_ms - now_ms)),
            version_max=_PRODUCE_VERSION_MAX,
            expects_reply=self.acks != 0,
            callback=lambda ticket: self._answered(node_id, sent, ticket),
        )
        return True

    def _answered(self, node_id: int, sent: dict[tuple[str, int], tuple[Outbox, Batch]], ticket: Ticket) -> None:
        self._node_in_flight[node_id] -= 1
        now_ms = self.cluster.now_ms()
        sent = {key: (outbox, batch) for key, (outbox, batch) in sent.items() if batch in outbox.in_flight}
        if ticket.error is not None:
            for outbox, batch in sent.values():
                self._unanswered(outbox, batch, ticket, now_ms)
            return
        if ticket.response is None:  # acks=0: written to the socket is all there is to know
            for outbox, batch in sent.values():
                outbox.answered(batch, ErrorCode.NONE, now_ms)
                self._report(outbox, batch, -1, None)
            return
        for topic in ticket.response.responses:
            for row in topic.partition_responses:
                answered = sent.pop((topic.name, row.index), None)
                if answered is not None:
                    self._judge(*answered, row.error_code, row.base_offset, row.error_message, now_ms)
        for outbox, batch in sent.values():  # a broker that leaves a partition out has not said no
            outbox.unanswered(batch, KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR), True, self._retry_at_ms(batch, now_ms))

    def _judge(self, outbox: Outbox, batch: Batch, code: int, base_offset: int, message: str | None, now_ms: int) -> None:
        if code in _STALE_METADATA:
            self.cluster.request_update()
        outcome = outbox.answered(batch, code, self._retry_at_ms(batch, now_ms) if code else now_ms, message)
        if outcome == ACKNOWLEDGED:
            self._report(outbox, batch, base_offset, None)
        elif outcome == FAILED:
            self._report(outbox, batch, -1, batch.last_error)

    def _unanswered(self, outbox: Outbox, batch: Batch, ticket: Ticket, now_ms: int) -> None:
        assert ticket.error is not None
        if isinstance(ticket.error, (UnsupportedApiError, KafkaError)):
            outbox.in_flight.remove(batch)
            self._report(outbox, batch, -1, ticket.error)
            return
        self.cluster.request_update()
        outbox.unanswered(batch, ticket.error, ticket.sent, self._retry_at_ms(batch, now_ms))

    def _retry_at_ms(self, batch: Batch, now_ms: int) -> int:
        return now_ms + self.cluster.backoff.after(batch.attempts - 1)

    def _report(self, outbox: Outbox, batch: Batch, base_offset: int, error: EvError | None) -> None:
        offset = base_offset
        for tag, count in batch.tags:
            self._deliveries.append(Delivery(outbox.topic, outbox.index, offset, count, tag, error))
            if offset >= 0:
                offset += count
        self.buffered -= batch.count
        self._buffered_bytes -= batch.size
        if outbox.empty:
            self._busy.pop((outbox.topic, outbox.index), None)


def _record_sizes(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None, headers: Sequence[Headers] | None) -> list[int]:
    """Bytes of value, key and headers of each record."""
    sizes = _sizes(values)
    if keys is not None:
        sizes = [size + key_size for size, key_size in zip(sizes, _sizes(keys), strict=True)]
    if headers is not None:
        sizes = [
            size + sum(len(name) * 4 + len(value or b"") + 20 for name, value in pairs) for size, pairs in zip(sizes, headers, strict=True)
        ]
    return sizes


def _sizes(column: Sequence[bytes | None]) -> list[int]:
    try:
        return list(map(len, column))  # type: ignore[arg-type]
    except TypeError:
        return [0 if item is None else len(item) for item in column]


def _fitting(sums: list[int], start: int, room: int) -> tuple[int, int]:
    """Where the records from start on that fit into room end, and the upper bound of what they take."""

    def needed(stop: int) -> int:
        return sums[stop] - sums[start] + (stop - start) * RECORD_OVERHEAD

    stop = start + bisect_right(range(start + 1, len(sums)), room, key=needed)
    return stop, needed(stop)


def _group(partitions: list[int]) -> dict[int, list[int]]:
    """Row numbers by partition."""
    rows: dict[int, list[int]] = {}
    for row, partition in enumerate(partitions):
        if partition in rows:
            rows[partition].append(row)
        else:
            rows[partition] = [row]
    return rows
