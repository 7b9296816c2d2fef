"""The producer: records in, batches out, every one of them acknowledged or reported.

    produce ──> HeldRecords ──┐
    produce_many ─────────────┴──> Accumulator: an Outbox per partition ──> Sender: a request per broker ──> Delivery per batch, from poll()

    from ev.client import Producer

    with Producer("localhost:9092") as producer:
        producer.produce("events", b"hello", key=b"greeting")
        producer.produce_many("events", [b"one", b"two"])
        producer.flush()
        for delivery in producer.poll():
            if delivery.error is not None:
                raise delivery.error

Nothing moves on its own: `produce*` and `poll` send and receive what can go without waiting, `flush` waits for everything. `produce_many`
is the fast way in: whole lists become batches without an object per record. Transactions are `ev.client.transactions`.
"""

from __future__ import annotations

from time import monotonic, time

from ev.client.accumulator import Accumulator, record_sizes, total_size
from ev.client.cluster import Cluster
from ev.client.connection import REQUEST_TIMEOUT_MS
from ev.client.held import SIZE_MAX, HeldRecords
from ev.client.partitioner import PARTITIONERS, TopicPartitioner
from ev.client.sender import Sender
from ev.client.transport import open_transport
from ev.errors import ClosedError, ErrorCode, KafkaError, SettingError
from ev.wire.batch_header import TRANSACTIONAL
from ev.wire.compression import CODECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ev.client.batch import Headers
    from ev.client.delivery import Delivery
    from ev.client.fetched import FetchedBatch
    from ev.client.results import GroupMetadata, OffsetToCommit
    from ev.client.security import Security
    from ev.client.transactions import TransactionBlock, Transactions
    from ev.client.transport import OpenTransport

    TopicPartition = tuple[str, int]

ACKS = {"all": -1, "-1": -1, "1": 1, "0": 0}
RECORD_BYTES_MAX = 100 << 20
"""A larger record fits in no request that a broker takes (socket.request.max.bytes): it is refused before it is sent."""

TRANSACTION_TIMEOUT_MS = 60_000
"""How long a transaction may be open before its coordinator aborts it."""
TRANSACTION_CALL_TIMEOUT_MS = 60_000

_IN_FLIGHT_MAX = 5
_FOREVER_MS = 3_600_000


class Producer:
    """Idempotent unless told otherwise: with acks=all no retry writes a record twice or out of order. Not safe for threads.

    acks                     `all`: every replica in sync has it; `1`: the leader has; `0`: it was sent, more is not known
    idempotence              False, or other acks than `all`: a retry may write a record twice
    compression,             `none`, `gzip`, `snappy`, `lz4` or `zstd`, and its level where it has some
    compression_level
    linger_ms                how long a batch waits for more records
    batch_bytes              how large a batch gets before it is compressed
    buffer_bytes             `produce` waits while so much is not acknowledged
    in_flight                requests on their way to one broker, 1 to 5 when idempotent
    delivery_timeout_ms      after that a record is reported as not delivered; it may have been written when an answer was lost
    request_timeout_ms       for each request; then it is sent again
    metadata_timeout_ms      how long a topic is waited for, from its first use
    partitioner              where records go that have a key and no partition: `murmur2` as with Java, others by name
    create_topics            let the broker make topics that do not exist, if it is set up to
    transactional_id         everything is produced in transactions: see `init_transactions`
    transaction_timeout_ms   a transaction that is open for longer is aborted by its coordinator
    retry_backoff_ms,        the pause before another try, doubled each time up to the maximum, 20 % more or less
    retry_backoff_max_ms
    security                 TLS and SASL: `ev.client.Security`

    What becomes of a record is in its Delivery, with the error if there is one. Calls raise SettingError for what cannot be meant,
    UnknownTopicError, KafkaError MESSAGE_TOO_LARGE, UnreachableError or TimedOutError when the topic could not be looked up, and
    ClosedError.
    """

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
        transactional_id: str | None = None,
        transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS,
        retry_backoff_ms: int = 100,
        retry_backoff_max_ms: int = 1_000,
        security: Security | None = None,
        open_transport: OpenTransport = open_transport,
    ) -> None:
        if str(acks) not in ACKS:
            raise SettingError(f"acks is {acks!r}: it must be all, 1 or 0")
        if compression not in CODECS:
            raise SettingError(f"no codec is called {compression!r}; there are {', '.join(CODECS)}")
        if partitioner not in PARTITIONERS:
            raise SettingError(f"no partitioner is called {partitioner!r}; there are {', '.join(PARTITIONERS)}")
        self.acks = ACKS[str(acks)]
        idempotent = idempotence and self.acks == -1
        if idempotent and not 1 <= in_flight <= _IN_FLIGHT_MAX:
            raise SettingError(f"an idempotent producer has 1 to {_IN_FLIGHT_MAX} requests in flight, not {in_flight}")
        if transactional_id is not None and not idempotent:
            raise SettingError("a transactional producer is idempotent and has acks=all")
        self.cluster = Cluster(
            bootstrap,
            client_id=client_id,
            request_timeout_ms=request_timeout_ms,
            retry_backoff_ms=retry_backoff_ms,
            retry_backoff_max_ms=retry_backoff_max_ms,
            security=security,
            open_transport=open_transport,
        )
        self._accumulator = Accumulator(
            self.cluster.metadata, linger_ms=linger_ms, batch_bytes=batch_bytes, transactional=transactional_id is not None
        )
        state = None
        if transactional_id is not None:
            from ev.client.transaction_state import TransactionState  # noqa: PLC0415 - only transactional producers pay for it

            state = TransactionState(transactional_id, transaction_timeout_ms)
        self._sender = Sender(
            self.cluster,
            self._accumulator,
            acks=self.acks,
            idempotence=idempotent and state is None,
            compression=CODECS[compression],
            compression_level=compression_level,
            in_flight_max=in_flight,
            delivery_timeout_ms=delivery_timeout_ms,
            request_timeout_ms=request_timeout_ms,
            transaction=state,
        )
        self._send: Callable[[int], None] = self._sender.send
        self._transactions: Transactions | None = None
        if state is not None:
            from ev.client.transactions import Transactions  # noqa: PLC0415

            self._transactions = Transactions(self.cluster, self._sender, state, self._step)
            self._send = self._transactions.send
        self._held = HeldRecords(batch_bytes)
        self._holds = linger_ms > 0 and transactional_id is None
        self._buffer_bytes = buffer_bytes
        self._metadata_timeout_ms = metadata_timeout_ms
        self._partitioner = partitioner
        self._create_topics = create_topics
        self._partitioners: dict[str, TopicPartitioner] = {}
        self._flushing = False
        self._closed = False

    @property
    def buffered(self) -> int:
        """Records that were taken and are neither acknowledged nor given up."""
        return self._accumulator.buffered + len(self._held.values)

    @property
    def connected(self) -> bool:
        """Whether one of the cluster's brokers is connected at the moment."""
        return any(self.cluster.connection_is_ready(node) for node in self.cluster.metadata.brokers)

    @property
    def idempotence(self) -> bool:
        """Whether retries are recognised by the broker: batches carry numbers."""
        return self._sender.producer_id.wanted or self._transactions is not None

    def __enter__(self) -> Producer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(timeout_ms=None if kind is None else 0)

    # Records in

    def partitions(self, topic: str, *, timeout_ms: int | None = None) -> list[int]:
        """The partitions of a topic, waited for. UnknownTopicError when it does not exist."""
        self._sender.producer_id.ask(self.cluster.now_ms())
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
        """Take one record; it leaves when its batch is full, `linger_ms` after its first record, or with the next flush().

        `timestamp_ms` counts from 1970. Raises UnknownTopicError when there is no such topic, KafkaError when there is no such partition or
        the record is larger than 100 MiB.
        """
        held = self._held
        if (
            topic == held.topic
            and value is not None
            and len(value) <= SIZE_MAX
            and timestamp_ms is None
            and not headers
            and partition == held.partition
            and tag is held.tag
            and (len(key) <= SIZE_MAX if held.keyed and key is not None else not held.keyed and key is None)
        ):
            values = held.values
            values.append(value)
            if key is not None:
                held.keys.append(key)
            if len(values) == 1:
                held.begin(self._accumulator.linger_ms, self._accumulator.linger_at_ms)
            elif len(values) >= held.count_max or monotonic() >= held.due_s:
                self._wait_for_room()
                self._pour()
                self._go_on()
            return
        self.produce_many(
            topic,
            (value,),
            keys=None if key is None else (key,),
            headers=(headers,) if headers else None,
            timestamps=timestamp_ms,
            partition=partition,
            tag=tag,
        )
        if self._holds:
            held.expect(topic, partition, tag, key is not None)

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
        if self._transactions is not None:
            self._transactions.state.check_open("produce")
        count = len(values)
        if not count:
            return
        for name, column in (("keys", keys), ("headers", headers), ("timestamps", timestamps)):
            if column is not None and not isinstance(column, int) and len(column) != count:
                raise ValueError(f"{count} values, but {len(column)} {name}")
        self._pour()
        self._wait_for_room()
        size = total_size(values, keys, headers)
        if size > RECORD_BYTES_MAX and (largest := max(record_sizes(values, keys, headers))) > RECORD_BYTES_MAX:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"a record of {largest} bytes; no broker takes more than {RECORD_BYTES_MAX}")
        chooser = self._topic_partitioner(topic)
        if partition is not None:
            self._check_partition(topic, partition)
        wall_ms = int(time() * 1000) if timestamps is None else 0
        self._accumulator.add(topic, partition, chooser, values, keys, headers, timestamps, size, tag, self.cluster.now_ms(), wall_ms)
        self._go_on()

    def carry(self, topic: str, partition: int, batch: FetchedBatch, *, tag: object = None) -> bool:
        """Produce a whole batch that a consumer has read, unopened: keys, values, headers, timestamps and compression are as they were.

        False when that cannot be (see `FetchedBatch.carried`): then produce its columns.
        """
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._transactions is not None:
            self._transactions.state.check_open("produce")
        encoded = batch.carried(0 if self._transactions is None else TRANSACTIONAL)
        if encoded is None:
            return False
        self._pour()
        self._wait_for_room()
        self._topic_partitioner(topic)
        self._check_partition(topic, partition)
        self._accumulator.carry(topic, partition, encoded, batch.count, tag, self.cluster.now_ms())
        self._go_on()
        return True

    def _pour(self) -> None:
        """What came one by one goes into batches."""
        held = self._held
        if not held.values:
            return
        assert held.topic is not None
        chooser = self._topic_partitioner(held.topic)
        values, keys = held.take()
        size = total_size(values, keys, None)
        self._accumulator.add(held.topic, held.partition, chooser, values, keys, None, None, size, held.tag, held.began_ms, held.wall_ms)

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
                count = len(info.partitions)
                message = f"{topic} has {count} partition{'' if count == 1 else 's'}, none of them is {partition}"
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)

    def _wait_for_room(self) -> None:
        while self._accumulator.buffered_bytes > self._buffer_bytes:
            self._accumulator.close_open_batches(None)
            self._step(_FOREVER_MS)

    # Time passes

    def poll(self, timeout_ms: int = 0) -> list[Delivery]:
        """Send and receive; the deliveries since the last call, waiting up to timeout_ms for the first one."""
        deadline_ms = self.cluster.now_ms() + timeout_ms
        self._step(0)
        while not self._sender.deliveries and self.buffered and (left_ms := deadline_ms - self.cluster.now_ms()) > 0:
            self._step(left_ms)
        deliveries, self._sender.deliveries = self._sender.deliveries, []
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
        """flush() and close the connections; returns how many records were not acknowledged in time.

        An open transaction is aborted, in at most 5 s; one whose commit has an unknown outcome is left as it is.
        """
        if self._closed:
            return self.buffered
        if self._transactions is not None:
            self._transactions.close()
        left = self.flush(timeout_ms)
        self._held.topic = None
        self._closed = True
        self.cluster.close()
        return left

    # Transactions

    def init_transactions(self, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS) -> None:
        """Get the producer id. Once, before the first transaction: who had the transactional id before is fenced, what was open is aborted.

        TimedOutError: it did not come in time, call again. TransactionFatalError: it is not to be had, close the producer.
        """
        self._transactional().initialize(timeout_ms)

    def begin_transaction(self, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS) -> None:
        """From here on everything that is produced belongs to one transaction. Deliveries of the one before are forgotten.

        Waits only after a transaction that failed, for a new epoch. TimedOutError: call again.
        """
        self._transactional().begin(timeout_ms)

    def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, OffsetToCommit], group: GroupMetadata | str, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS
    ) -> None:
        """Commit what a group has read together with the transaction: the offset of the next record to process, per partition.

        `group` is `Consumer.group_metadata()`, or the name of a group without members. Waits until the coordinator has the offsets.
        TransactionFailedError: it refused them (the member has lost its place), or did not take them in time: abort.
        """
        self._transactional().send_offsets(offsets, group, timeout_ms)

    def commit_transaction(self, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS) -> None:
        """Wait until everything is delivered, and commit it. Returns when it is committed, and never commits a part.

        TransactionFailedError: a record could not be delivered; nothing is committed, abort. TimedOutError: nothing is committed, and the
        transaction is still open: commit again, or abort. TransactionUnknownError: the coordinator was asked and has not answered; call
        again to learn what became of it. TransactionFatalError: the producer is at its end; `committed` is None when nobody knows.
        """
        transactions = self._transactional()
        self._flushing = True
        try:
            transactions.commit(timeout_ms)
        finally:
            self._flushing = False

    def abort_transaction(self, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS) -> None:
        """Drop what was not sent, and keep what was from readers of committed records for ever.

        TimedOutError: call again. TransactionUnknownError: a commit was asked for and not answered, ask for that again.
        TransactionFatalError: the producer is at its end; the broker aborts what it left open.
        """
        self._transactional().abort(timeout_ms)

    def transaction(self, *, timeout_ms: int = TRANSACTION_CALL_TIMEOUT_MS) -> TransactionBlock:
        """`with producer.transaction():` begins, and commits at the end; what leaves the block as an exception aborts."""
        from ev.client.transactions import TransactionBlock  # noqa: PLC0415

        return TransactionBlock(self, timeout_ms)

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to commit or to abort."""
        return self._transactions is not None and self._transactions.state.is_open

    def _transactional(self) -> Transactions:
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._transactions is None:
            raise SettingError("this producer has no transactional_id, which transactions need")
        return self._transactions

    # Inside

    def _go_on(self) -> None:
        """After records were taken: send what is full or has waited, and look for answers."""
        now_ms = self.cluster.now_ms()
        linger_at_ms = self._accumulator.linger_at_ms
        if linger_at_ms is not None and now_ms >= linger_at_ms:
            self._accumulator.close_open_batches(now_ms)
        if self._accumulator.has_pending():
            self._step(0)

    def _step(self, timeout_ms: int) -> None:
        """Send what may go, wait for at most that long for something to happen, and take it in."""
        self._pour()
        now_ms = self.cluster.now_ms()
        sender = self._sender
        self._accumulator.close_open_batches(None if self._flushing or self._closed else now_ms)
        sender.expire(now_ms)
        reported = len(sender.deliveries)
        transactions = self._transactions
        self._send(now_ms)
        if len(sender.deliveries) > reported or not (self._accumulator.buffered or (transactions is not None and transactions.waiting)):
            timeout_ms = 0
        elif timeout_ms > 0:
            due_ms = sender.next_due_ms(now_ms)
            if transactions is not None:
                due_ms = min(due_ms, transactions.next_due_ms(now_ms) or due_ms)
            timeout_ms = max(0, min(timeout_ms, due_ms - now_ms))
        self.cluster.poll(timeout_ms)
        self._send(self.cluster.now_ms())
