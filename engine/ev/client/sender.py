"""Batches out: one request per broker with a batch for each of its partitions, and what the answers make of them.

    Outbox per partition ──> one request per broker, up to five in flight ──> Delivery per batch

What is in an Outbox, in which order, under which sequence numbers and what an answer means is `ev.client.outbox`; this module routes
batches to the leaders of their partitions and reports how they fared.
"""

from __future__ import annotations

from ev.client.batch import NO_SEQUENCE
from ev.client.cluster import Backoff
from ev.client.delivery import Delivery
from ev.client.outbox import ACKNOWLEDGED, FAILED
from ev.client.producer_id import ProducerId
from ev.errors import AuthenticationError, ErrorCode, EvError, KafkaError, TimedOutError, UnreachableError
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.records import TRANSACTIONAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.accumulator import Accumulator
    from ev.client.batch import Batch
    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.outbox import Outbox
    from ev.client.transaction_state import TransactionState

_PRODUCE_VERSION_MAX = 12  # from 13 on topics go by id
_REQUEST_BYTES = 8 << 20
_FOREVER_MS = 3_600_000
ENDING_BACKOFF = Backoff(5, 100)
"""For "the transaction before is still ending", which takes a broker only moments."""
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


class Sender:
    """`deliveries` are those that nobody has asked for yet. Nothing is sent but by `send`, and no answer comes but in `Cluster.poll`."""

    def __init__(
        self,
        cluster: Cluster,
        accumulator: Accumulator,
        *,
        acks: int,
        idempotence: bool,
        compression: int,
        compression_level: int | None,
        in_flight_max: int,
        delivery_timeout_ms: int,
        request_timeout_ms: int,
        transaction: TransactionState | None = None,
    ) -> None:
        self.cluster = cluster
        self.accumulator = accumulator
        self.deliveries: list[Delivery] = []
        self.producer_id = ProducerId(cluster, idempotence, self.give_up)
        self._acks = acks
        self._compression = compression
        self._compression_level = compression_level
        self._in_flight_max = in_flight_max
        self._delivery_timeout_ms = delivery_timeout_ms
        self._request_timeout_ms = request_timeout_ms
        self._node_in_flight: dict[int, int] = {}
        self._transaction = transaction
        self._attributes = 0 if transaction is None else TRANSACTIONAL

    def send(self, now_ms: int) -> None:
        """What may go now."""
        if not self.accumulator.has_pending() or not self._has_id(now_ms):
            return
        transaction = self._transaction
        by_node: dict[int, list[Outbox]] = {}
        leaderless: list[Outbox] = []
        for outbox in self.accumulator.busy.values():
            if outbox.pending and (transaction is None or transaction.admits((outbox.topic, outbox.index))):
                leader = self.cluster.metadata.leader(outbox.topic, outbox.index)
                if leader is None:
                    leaderless.append(outbox)
                else:
                    by_node.setdefault(leader, []).append(outbox)
        if leaderless:
            self._look_for_leaders(leaderless)
        for node_id, outboxes in by_node.items():
            while self._node_in_flight.get(node_id, 0) < self._in_flight_max and self._send_request(node_id, outboxes, now_ms):
                pass

    def _look_for_leaders(self, outboxes: list[Outbox]) -> None:
        """Nobody is known to lead these; where nobody will say so either, what waits for it is at its end."""
        refusal = self.cluster.take_refusal()
        if refusal is None:
            self.cluster.request_update()
            return
        for outbox in outboxes:
            self._fail_waiting(outbox, refusal)

    def _has_id(self, now_ms: int) -> bool:
        """Whether batches can be numbered, or need not be."""
        producer = self.producer_id.current
        if producer is not None and any(outbox.has_used_up(producer[0]) for outbox in self.accumulator.busy.values()):
            self.producer_id.current = None  # the other partitions keep the old id as long as they have epochs left
        self.producer_id.ask(now_ms)
        return self.producer_id.current is not None or not self.producer_id.wanted

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
        producer = self.producer_id.current
        oldest_ms = now_ms
        for outbox in outboxes:
            batch = outbox.take(now_ms, self._in_flight_max, producer) if size < _REQUEST_BYTES else None
            if batch is None:
                continue
            sent[outbox.topic, outbox.index] = outbox, batch
            records = batch.encode(self._compression, self._compression_level, self._attributes)
            size += len(records)
            oldest_ms = min(oldest_ms, batch.created_ms)
            topic = topics.setdefault(outbox.topic, TopicProduceData(name=outbox.topic, partition_data=[]))
            topic.partition_data.append(PartitionProduceData(outbox.index, records))
        if not sent:
            return False
        outboxes.append(outboxes.pop(0))  # so that the last ones are not always those that find the request full
        request = ProduceRequest(acks=self._acks, timeout_ms=self._request_timeout_ms, topic_data=list(topics.values()))
        version_max = _PRODUCE_VERSION_MAX
        if self._transaction is not None:
            request.transactional_id = self._transaction.transactional_id
            version_max = self._transaction.produce_version_max
        self._node_in_flight[node_id] = self._node_in_flight.get(node_id, 0) + 1
        self.cluster.send(
            request,
            node_id,
            timeout_ms=max(1, min(self._request_timeout_ms, oldest_ms + self._delivery_timeout_ms - now_ms)),
            version_max=version_max,
            expects_reply=self._acks != 0,
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
        outcome = outbox.answered(batch, code, self._retry_at_ms(batch, now_ms, code) if code else now_ms, message)
        if outcome == ACKNOWLEDGED:
            self._report(outbox, batch, base_offset, None)
        elif outcome == FAILED:
            self._report(outbox, batch, -1, batch.last_error)

    def _unanswered(self, outbox: Outbox, batch: Batch, ticket: Ticket, now_ms: int) -> None:
        assert ticket.error is not None
        if not ticket.sent and not isinstance(ticket.error, (UnreachableError, TimedOutError)):
            outbox.in_flight.remove(batch)
            self._report(outbox, batch, -1, _in_doubt(ticket.error) if batch.ambiguous else ticket.error)
            return
        self.cluster.request_update()
        outbox.unanswered(batch, ticket.error, ticket.sent, self._retry_at_ms(batch, now_ms))

    def _retry_at_ms(self, batch: Batch, now_ms: int, code: int = ErrorCode.NONE) -> int:
        backoff = ENDING_BACKOFF if code == ErrorCode.CONCURRENT_TRANSACTIONS else self.cluster.backoff
        return now_ms + backoff.after(batch.attempts - 1)

    def _report(self, outbox: Outbox, batch: Batch, base_offset: int, error: EvError | None) -> None:
        offset = base_offset
        for tag, count in batch.tags:
            self.deliveries.append(Delivery(outbox.topic, outbox.index, offset, count, tag, error))
            if offset >= 0:
                offset += count
        if error is not None and self._transaction is not None:
            self._transaction.batch_failed(error, batch.base_sequence != NO_SEQUENCE)
        self.accumulator.buffered -= batch.count
        self.accumulator.buffered_bytes -= batch.size
        if outbox.empty:
            self.accumulator.busy.pop((outbox.topic, outbox.index), None)

    def expire(self, now_ms: int) -> None:
        """Give up what has waited for too long."""
        for outbox in list(self.accumulator.busy.values()):
            for batch in outbox.expired(now_ms, self._delivery_timeout_ms):
                self._report(outbox, batch, -1, batch.last_error)

    def give_up(self, error: EvError) -> None:
        """Nothing that waits will be sent."""
        for outbox in list(self.accumulator.busy.values()):
            outbox.close_batch()
            self._fail_waiting(outbox, error)

    def _fail_waiting(self, outbox: Outbox, error: EvError) -> None:
        waiting, outbox.pending = outbox.pending, []
        for batch in waiting:
            self._report(outbox, batch, -1, _in_doubt(error) if batch.ambiguous else error)

    def next_due_ms(self, now_ms: int) -> int:
        """When something has to be done even if no broker says anything."""
        due = [now_ms + _FOREVER_MS]
        if self.accumulator.linger_at_ms is not None:
            due.append(self.accumulator.linger_at_ms)
        if self.producer_id.missing:
            due.append(self.producer_id.retry_at_ms)
        for outbox in self.accumulator.busy.values():
            if outbox.pending:
                due += [batch.created_ms + self._delivery_timeout_ms for batch in outbox.pending]
                retry_at_ms = outbox.pending[0].retry_at_ms
                if retry_at_ms > now_ms:
                    due.append(retry_at_ms)
        return min(due)


def _in_doubt(error: EvError) -> EvError:
    """The last attempt was refused, but one before it ended without an answer."""
    return AuthenticationError(f"{error}; an earlier attempt may have been written")
