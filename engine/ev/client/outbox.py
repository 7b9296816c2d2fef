"""The batches of one partition on their way to the broker: in order, numbered, sent again until their fate is known. Pure.

The rules are those of Kafka's Java client, put so that each needs only the batch at hand:

- Batches leave in order. Up to five are in flight; the broker takes them only in the order of their sequence numbers.
- The first batch of a producer goes alone: a broker that does not know the producer yet takes any sequence number, and if the first batch
  had to be sent again (a new topic whose leader is not ready, seen on Apache Kafka 4.3.1), the second would be in the log before it.
- A batch that failed for a passing reason goes back to its place in the queue and is sent again, the same bytes, when nothing older than
  itself is in flight: so retries go one by one and cannot overtake each other.
- "Duplicate sequence number" means that an earlier attempt arrived: success.
- "Out of order sequence number" and "unknown producer id", for a batch that has older ones before it, mean only that these are missing: it
  waits for its turn. For the oldest batch they mean that the broker's log is not what we think it is. If no attempt of that batch ended
  without an answer, it is in no log, and nothing behind it is: then this partition goes on with the next producer epoch from sequence 0,
  and all that waits is numbered anew. If an attempt did end without an answer, nobody can tell whether the records are in the log: the
  batch fails and says so. Sent under new numbers, it could come twice.
- In a transaction no batch is numbered anew: the transaction fails, and what comes after it has a new epoch.
- A batch that the broker refuses for good leaves a gap in the sequence. The next one is answered "out of order", and the rule above
  closes it.
"""

from __future__ import annotations

from ev.client.batch import NO_SEQUENCE, Batch, following
from ev.errors import ErrorCode, KafkaError, TimedOutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.errors import EvError

EPOCH_MAX = 32_767
_LOST_SEQUENCE = frozenset((ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.UNKNOWN_PRODUCER_ID))
_TOO_LARGE = frozenset((ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE))
_MAYBE_WRITTEN = frozenset(
    (
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.UNKNOWN_SERVER_ERROR,
    )
)

ACKNOWLEDGED, FAILED, AGAIN = range(3)
"""What an answer makes of a batch: it is in the log, it is not (or nobody knows), or it goes back to the queue, perhaps in two halves."""


class Outbox:
    """`pending` holds closed batches and those to be sent again, sorted by order; `in_flight` those that were sent and not answered."""

    __slots__ = (
        "_next_order",
        "_next_sequence",
        "_starts_over",
        "batch_bytes",
        "in_flight",
        "index",
        "known",
        "open",
        "pending",
        "producer_epoch",
        "producer_id",
        "topic",
        "transactional",
    )

    def __init__(self, topic: str, index: int, batch_bytes: int, *, transactional: bool = False) -> None:
        self.topic = topic
        self.index = index
        self.batch_bytes = batch_bytes
        self.transactional = transactional
        self.open: Batch | None = None
        self.pending: list[Batch] = []
        self.in_flight: list[Batch] = []
        self.producer_id = -1
        self.producer_epoch = -1
        self.known = False
        """The broker has a batch of this producer in its log. Before that it takes any sequence number as the first one."""
        self._next_order = 0
        self._next_sequence = 0
        self._starts_over = False

    def __repr__(self) -> str:
        return f"Outbox({self.topic}-{self.index}, {len(self.pending)} pending, {len(self.in_flight)} in flight)"

    @property
    def empty(self) -> bool:
        return self.open is None and not self.pending and not self.in_flight

    def open_batch(self, now_ms: int) -> Batch:
        """The batch that takes records at the moment."""
        if self.open is None:
            self._next_order += 1
            self.open = Batch((self._next_order,), now_ms)
        return self.open

    def close_batch(self) -> None:
        """What is open takes no more records."""
        if self.open is not None:
            self.pending.append(self.open)
            self.open = None

    def has_used_up(self, producer_id: int) -> bool:
        """Whether it cannot go on with that id, because there is no next epoch."""
        return self._starts_over and self.producer_epoch >= EPOCH_MAX and self.producer_id == producer_id

    def take(self, now_ms: int, in_flight_max: int, producer: tuple[int, int] | None) -> Batch | None:
        """The next batch to send, numbered when there is a producer id, and now in flight. None when there is none or it has to wait."""
        if not self.pending or len(self.in_flight) >= in_flight_max:
            return None
        if producer is not None and not self._ready_to_number(producer):
            return None
        batch = self.pending[0]
        if batch.retry_at_ms > now_ms:
            return None
        if batch.base_sequence != NO_SEQUENCE and any(other.order < batch.order for other in self.in_flight):
            return None
        if producer is not None and self.in_flight and not self.known:
            return None
        if producer is not None and batch.base_sequence == NO_SEQUENCE:
            batch.renumber(self.producer_id, self.producer_epoch, self._next_sequence)
            self._next_sequence = following(self._next_sequence, batch.count)
        self.in_flight.append(batch)
        del self.pending[0]
        batch.attempts += 1
        return batch

    def _ready_to_number(self, producer: tuple[int, int]) -> bool:
        """See to producer id and epoch. False while something under the old epoch is still in flight."""
        if self.transactional:
            self._follow(producer)
            return True
        if self.producer_id >= 0 and not self._starts_over:
            return True
        if self.in_flight:
            return False
        if self.producer_id < 0 or self.producer_epoch >= EPOCH_MAX:
            self.producer_id, self.producer_epoch = producer
        else:
            self.producer_epoch += 1
        self._starts_over = False
        self.known = False
        self._next_sequence = 0
        for batch in self.pending:
            if batch.base_sequence != NO_SEQUENCE:
                batch.renumber(self.producer_id, self.producer_epoch, self._next_sequence)
                batch.ambiguous = False
                self._next_sequence = following(self._next_sequence, batch.count)
        return True

    def _follow(self, producer: tuple[int, int]) -> None:
        """A new epoch comes between two transactions, when nothing is numbered that is not answered: it begins with sequence 0."""
        if (self.producer_id, self.producer_epoch) != producer:
            self.known = self.known and self.producer_id == producer[0]
            self.producer_id, self.producer_epoch = producer
            self._next_sequence = 0

    def answered(self, batch: Batch, code: int, retry_at_ms: int, message: str | None = None) -> int:
        """The broker said something about a batch in flight."""
        if code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            self.in_flight.remove(batch)
            self.known = True
            return ACKNOWLEDGED
        batch.last_error = error = KafkaError(code, message)
        if code in _TOO_LARGE and batch.count > 1 and not batch.ambiguous:
            self._split(batch)
            return AGAIN
        if code in _LOST_SEQUENCE and batch.base_sequence != NO_SEQUENCE:
            return self._lost_sequence(batch, retry_at_ms)
        if code in _MAYBE_WRITTEN:
            batch.ambiguous = True
        if error.retriable:
            self._put_back(batch, retry_at_ms)
            return AGAIN
        self.in_flight.remove(batch)
        return FAILED

    def unanswered(self, batch: Batch, error: EvError, sent: bool, retry_at_ms: int) -> None:
        """The connection broke, or the answer did not come in time."""
        batch.last_error = error
        batch.ambiguous = batch.ambiguous or sent
        self._put_back(batch, retry_at_ms)

    def expired(self, now_ms: int, delivery_timeout_ms: int) -> list[Batch]:
        """Batches that waited too long and are not in flight: they are given up."""
        late = [batch for batch in self.pending if now_ms - batch.created_ms >= delivery_timeout_ms]
        if late:
            self.pending = [batch for batch in self.pending if batch not in late]
        for batch in late:
            fate = "may or may not be" if batch.ambiguous else "is not"
            reason = f"; the last answer: {batch.last_error}" if batch.last_error is not None else ""
            batch.last_error = TimedOutError(f"not acknowledged within {delivery_timeout_ms} ms, it {fate} in the log{reason}")
        return late

    def _put_back(self, batch: Batch, retry_at_ms: int) -> None:
        batch.retry_at_ms = retry_at_ms
        self.in_flight.remove(batch)
        self._insert(batch)

    def _insert(self, batch: Batch) -> None:
        position = 0
        while position < len(self.pending) and self.pending[position].order < batch.order:
            position += 1
        self.pending.insert(position, batch)

    def _split(self, batch: Batch) -> None:
        self.in_flight.remove(batch)
        self.batch_bytes = min(self.batch_bytes, max(batch.size // 2, 1024))
        for half in batch.split():
            self._insert(half)

    def _lost_sequence(self, batch: Batch, retry_at_ms: int) -> int:
        if any(other.order < batch.order for other in (*self.in_flight, *self.pending)):
            self._put_back(batch, 0)
            return AGAIN
        if batch.ambiguous or self.transactional:
            self.in_flight.remove(batch)
            return FAILED
        self._starts_over = True
        self._put_back(batch, retry_at_ms)
        return AGAIN
