"""What a partition remembers of its idempotent producers: the last five batches of each.

A producer numbers its records per partition. A batch that continues the numbers is new; one whose numbers are those of a
remembered batch is a retry, and is answered with the original's offset; anything else is out of order. Five batches, because
that many may be on their way at a time.

Kafka's `.snapshot` keeps one batch per producer and so forgets four at each restart. `ev` writes it, for Kafka's tools and
for a way back, and keeps all five in its own checkpoint. A producer is forgotten when the broker's clock, not the records'
timestamps, says that it has been silent for `producer.id.expiration.ms`.

`.snapshot`, version 1; its name is the offset up to which it holds, exclusive:

    offset  size
    0       2     version 1
    2       4     CRC-32C of everything behind it
    6       4     number of entries
    10      ...   entries: producer id (8), epoch (2), last sequence (4), last offset (8), offset delta (4), timestamp (8),
                  coordinator epoch (4), first offset of the open transaction (8, -1 none)
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING

from ev.disk import Buffer
from ev.errors import ErrorCode, KafkaError, MalformedError
from ev.wire.checksum import crc32c

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from ev.log.transactions import Transactions

REMEMBERED_BATCHES = 5
SEQUENCE_MASK = 0x7FFFFFFF

SNAPSHOT_VERSION = 1
SNAPSHOT_HEAD = Struct(">hIi")
SNAPSHOT_ENTRY = Struct(">qhiqiqiq")

ENTRY_HEAD = Struct(">qhqB")
ENTRY_BATCH = Struct(">iiqqq")

Batch = tuple[int, int, int, int, int]
"""(first sequence, last sequence, base offset, last offset, timestamp) of a remembered batch."""


class Producer:
    """One producer id in one partition."""

    __slots__ = ("batches", "epoch", "next_sequence", "packed", "seen_ms")

    def __init__(self, epoch: int, seen_ms: int) -> None:
        self.epoch = epoch
        self.seen_ms = seen_ms
        self.next_sequence = -1
        self.batches: deque[Batch] = deque(maxlen=REMEMBERED_BATCHES)
        self.packed: bytes | None = None

    def begin_epoch(self, epoch: int, seen_ms: int) -> None:
        """A coordinator let the producer have a new epoch, with sequences of its own."""
        self.epoch = epoch
        self.seen_ms = seen_ms
        self.next_sequence = 0
        self.batches.clear()
        self.packed = None

    def forget_batches(self) -> None:
        """What it has written last is not known: any sequence may follow."""
        self.next_sequence = -1
        self.batches.clear()
        self.packed = None

    def remember(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.next_sequence = (batch[1] + 1) & SEQUENCE_MASK
        self.packed = None


class Producers:
    """All producers that one partition remembers."""

    __slots__ = ("by_id",)

    def __init__(self) -> None:
        self.by_id: dict[int, Producer] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def admit(self, producer_id: int, epoch: int, first_sequence: int, count: int, *, begins: bool = False) -> Batch | None:
        """None when the batch is new; the original when it is a retry. Raises KafkaError when it is neither.

        An unknown producer may begin anywhere, because its state may have gone with old segments or with time, unless it `begins` anew
        with every transaction.
        """
        producer = self.by_id.get(producer_id)
        if producer is None:
            if begins and first_sequence != 0:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"producer {producer_id} must begin a transaction here with sequence 0, not {first_sequence}",
                )
            return None
        if epoch != producer.epoch:
            self.check_epoch(producer_id, epoch)
            if first_sequence != 0:
                raise KafkaError(
                    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"producer {producer_id} must begin epoch {epoch} with sequence 0, not {first_sequence}",
                )
            return None
        if first_sequence == producer.next_sequence:
            return None
        last_sequence = (first_sequence + count - 1) & SEQUENCE_MASK
        for batch in producer.batches:
            if batch[0] == first_sequence and batch[1] == last_sequence:
                return batch
        if producer.next_sequence == -1:
            return None
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {producer_id}: expected sequence {producer.next_sequence}, the batch begins with {first_sequence}",
        )

    def append(
        self, producer_id: int, epoch: int, first_sequence: int, count: int, base_offset: int, last_offset: int, timestamp: int, now_ms: int
    ) -> None:
        """A batch of this producer is in the log."""
        producer = self.by_id.get(producer_id)
        if producer is None or producer.epoch != epoch:
            producer = self.by_id[producer_id] = Producer(epoch, now_ms)
        producer.seen_ms = now_ms
        producer.remember((first_sequence, (first_sequence + count - 1) & SEQUENCE_MASK, base_offset, last_offset, timestamp))

    def check_epoch(self, producer_id: int, epoch: int) -> None:
        """Raises KafkaError INVALID_PRODUCER_EPOCH when the producer has a newer epoch here."""
        producer = self.by_id.get(producer_id)
        if producer is not None and epoch < producer.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {producer_id} has epoch {producer.epoch} here, the batch came from epoch {epoch}",
            )

    def seen(self, producer_id: int, epoch: int, now_ms: int) -> None:
        """A batch without sequence numbers is in the log: a marker, or offsets that were committed in a transaction."""
        producer = self.by_id.get(producer_id)
        if producer is None:
            self.by_id[producer_id] = Producer(epoch, now_ms)
        elif producer.epoch != epoch:
            producer.begin_epoch(epoch, now_ms)
        else:
            producer.seen_ms = now_ms
            producer.packed = None

    def expire(self, before_ms: int, busy: Container[int] = ()) -> list[int]:
        """Forget the producers that were last seen before this time of the broker's clock, but none that is `busy`; returns them."""
        old = [producer_id for producer_id, producer in self.by_id.items() if producer.seen_ms < before_ms and producer_id not in busy]
        for producer_id in old:
            del self.by_id[producer_id]
        return old

    def oldest_seen_ms(self) -> int | None:
        return min((producer.seen_ms for producer in self.by_id.values()), default=None)

    # All five batches, in ev's own checkpoint.

    def pack(self, end_offset: int) -> bytes:
        """Every producer with its batches below `end_offset`, which is how far the log is known to be on disk."""
        parts = [len(self.by_id).to_bytes(4, "big")]
        for producer_id, producer in self.by_id.items():
            packed = producer.packed
            if packed is None or (producer.batches and producer.batches[-1][3] >= end_offset):
                packed = _pack_producer(producer_id, producer, end_offset)
                producer.packed = packed if producer.batches and producer.batches[-1][3] < end_offset else None
            parts.append(packed)
        return b"".join(parts)

    def unpack(self, data: Buffer, position: int) -> int:
        """Read what `pack` wrote; the position behind it. Raises MalformedError."""
        try:
            count = int.from_bytes(data[position : position + 4], "big")
            position += 4
            for _ in range(count):
                producer_id, epoch, seen_ms, batch_count = ENTRY_HEAD.unpack_from(data, position)
                position += ENTRY_HEAD.size
                producer = Producer(epoch, seen_ms)
                for _ in range(batch_count):
                    producer.remember(ENTRY_BATCH.unpack_from(data, position))
                    position += ENTRY_BATCH.size
                self.by_id[producer_id] = producer
        except StructError as problem:
            raise MalformedError(f"a producer table is cut off: {problem}") from problem
        return position

    # One batch each, in Kafka's snapshot.

    def snapshot(self, transactions: Transactions) -> bytes:
        """Kafka's .snapshot of everything up to now."""
        entries = []
        for producer_id, producer in self.by_id.items():
            last_sequence, last_offset, delta, timestamp = -1, -1, 0, producer.seen_ms
            if producer.batches:
                _, last_sequence, base_offset, last_offset, timestamp = producer.batches[-1]
                delta = last_offset - base_offset
            coordinator_epoch = transactions.coordinator_epochs.get(producer_id, -1)
            began = transactions.open.get(producer_id)
            entries.append(
                SNAPSHOT_ENTRY.pack(
                    producer_id,
                    producer.epoch,
                    last_sequence,
                    last_offset,
                    delta,
                    timestamp,
                    coordinator_epoch,
                    -1 if began is None else began.offset,
                )
            )
        body = len(entries).to_bytes(4, "big") + b"".join(entries)
        return SNAPSHOT_VERSION.to_bytes(2, "big") + crc32c(body).to_bytes(4, "big") + body

    def restore(self, data: Buffer, transactions: Transactions, now_ms: int) -> None:
        """Take over a .snapshot. Raises MalformedError, having changed nothing, when it is damaged."""
        for producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, began in sorted(
            read_snapshot(data), key=lambda entry: entry[7]
        ):
            if coordinator_epoch >= 0:
                transactions.coordinator_epochs[producer_id] = coordinator_epoch
            if began >= 0:
                transactions.begin(producer_id, began, None, 0)
            producer = self.by_id[producer_id] = Producer(epoch, now_ms)
            if last_sequence >= 0:
                first_sequence = (last_sequence - delta) & SEQUENCE_MASK
                producer.remember((first_sequence, last_sequence, last_offset - delta, last_offset, timestamp))


def read_snapshot(data: Buffer) -> Iterator[tuple[int, ...]]:
    """(producer id, epoch, last sequence, last offset, offset delta, timestamp, coordinator epoch, first offset of the open
    transaction) of each entry of a .snapshot."""
    if len(data) < SNAPSHOT_HEAD.size:
        raise MalformedError(f"a producer snapshot has {len(data)} bytes, its head alone takes {SNAPSHOT_HEAD.size}")
    version, checksum, count = SNAPSHOT_HEAD.unpack_from(data)
    if version != SNAPSHOT_VERSION:
        raise MalformedError(f"a producer snapshot of version {version}; this engine reads version {SNAPSHOT_VERSION}")
    if crc32c(data[6:]) != checksum or len(data) != SNAPSHOT_HEAD.size + count * SNAPSHOT_ENTRY.size:
        raise MalformedError("a producer snapshot does not match its checksum")
    return SNAPSHOT_ENTRY.iter_unpack(data[SNAPSHOT_HEAD.size :])


def _pack_producer(producer_id: int, producer: Producer, end_offset: int) -> bytes:
    batches = [ENTRY_BATCH.pack(*batch) for batch in producer.batches if batch[3] < end_offset]
    return ENTRY_HEAD.pack(producer_id, producer.epoch, producer.seen_ms, len(batches)) + b"".join(batches)
