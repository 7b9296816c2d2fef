"""How `ev copy` gets records to their topic, when their offsets are committed, and how long each piece waits for its turn."""

from __future__ import annotations

import time
from collections import deque

from ev_cli.failures import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev.client.producer import Producer
    from ev_cli.interrupts import Interrupts
    from ev_cli.session import Session

    Partition = tuple[str, int]

COMMIT_EVERY_S = 1.0
TRANSACTION_BYTES = 32 << 20
"""A transaction ends after a second, or when about so much is in it."""
ROUNDS_MAX = 1000
CLOSE_MS = 5000
SLICE_S = 0.1
TAKEN_AWAY = frozenset((22, 25, 82))
"""Kafka's codes with which a group says that the partition has another owner by now: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID,
FENCED_INSTANCE_ID."""


class Piece:
    """Neighbouring records of one partition, as columns, and the offset after the last of them. `size` is about what they take."""

    __slots__ = ("_batch", "headers", "keys", "next_offset", "offsets", "partition", "size", "timestamps", "topic", "values")

    def __init__(
        self,
        topic: str,
        partition: int,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Any],
        next_offset: int,
        size: int,
    ) -> None:
        self.size = size
        self.topic = topic
        self.partition = partition
        self.offsets = offsets
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.headers = headers
        self.next_offset = next_offset
        self._batch: FetchedBatch | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def taken(self) -> int:
        """How many records of the source it stands for."""
        return len(self)

    def leave_batch(self) -> FetchedBatch:
        """These records as the batch that they are of; what the batch holds besides is not kept in memory for them any longer."""
        assert self._batch is not None
        batch, self._batch = self._batch, None
        columns = batch.columns
        lists: list[Any] = [list(part) for part in (self.offsets, self.timestamps, self.keys, self.values, self.headers)]
        return batch.with_columns(type(columns)(columns.base_offset, *lists))

    @classmethod
    def of(cls, batch: FetchedBatch, end: int | None = None, count: int | None = None) -> Piece:
        """The records of a batch before an offset, at most so many."""
        columns = batch.columns
        whole = cls(
            batch.topic,
            batch.partition,
            columns.offsets,
            columns.timestamps,
            columns.keys,
            columns.values,
            columns.headers,
            batch.next_offset,
            batch.size,
        )
        whole._batch = batch
        if end is not None and batch.next_offset > end:
            whole = whole.cut(sum(offset < end for offset in columns.offsets))
            whole.next_offset = end
        return whole if count is None else whole.cut(count)

    def cut(self, count: int) -> Piece:
        """The first so many; all of it when it has no more."""
        return self if count >= len(self) else self.part(0, count)

    def part(self, start: int, stop: int) -> Piece:
        next_offset = self.next_offset if stop >= len(self) else self.offsets[stop]
        part = Piece(
            self.topic,
            self.partition,
            self.offsets[start:stop],
            self.timestamps[start:stop],
            self.keys[start:stop],
            self.values[start:stop],
            self.headers[start:stop],
            next_offset,
            self.size * (stop - start) // max(len(self), 1),
        )
        part._batch = self._batch
        return part


class Round:
    """Records that were sent between two looks at the clock, and where reading them had come to."""

    __slots__ = ("left", "offsets")

    def __init__(self) -> None:
        self.left = 0
        self.offsets: dict[Partition, int] = {}


class Carrier:
    """Sends, and commits what is acknowledged, so that nothing is passed over; what was on its way when ev ended is sent again."""

    def __init__(self, producer: Producer, group: Consumer | None, topic: str, session: Session) -> None:
        self.copied = 0
        """Records that are acknowledged."""
        self.taken = 0
        """Records of the source that were sent, and are acknowledged or on their way, or that --map has dropped."""
        self._producer = producer
        self._group = group
        self._topic = topic
        self._session = session
        self._rounds: deque[Round] = deque([Round()])
        self._acknowledged: dict[Partition, int] = {}
        self._commit_at = time.monotonic() + COMMIT_EVERY_S

    def carry(self, batch: FetchedBatch, partition: int) -> bool:
        """Send a whole batch as it is; False when it has to be opened."""
        if not self._producer.carry(self._topic, partition, batch, tag=self._rounds[-1]):
            return False
        self._sent(batch.count, batch.count, batch.size, (batch.topic, batch.partition), batch.next_offset)
        return True

    def send(self, piece: Piece, partition: int | None) -> None:
        if len(piece):
            timestamps = piece.timestamps
            self._producer.produce_many(
                self._topic,
                piece.values,
                keys=None if piece.keys.count(None) == len(piece) else piece.keys,
                headers=piece.headers if any(piece.headers) else None,
                timestamps=timestamps[0] if timestamps.count(timestamps[0]) == len(piece) else timestamps,
                partition=partition,
                tag=self._rounds[-1],
            )
        self._sent(len(piece), piece.taken, piece.size, (piece.topic, piece.partition), piece.next_offset)

    def _sent(self, count: int, taken: int, size: int, partition: Partition, next_offset: int) -> None:
        self.taken += taken
        current = self._rounds[-1]
        current.left += count
        current.offsets[partition] = next_offset

    def settle(self, *, idle: bool = False) -> bool:
        """See what is acknowledged; commit when it is time. True: something was taken back, and has to be read again."""
        self._take()
        if self._rounds[-1].offsets and len(self._rounds) < ROUNDS_MAX:
            self._rounds.append(Round())
        if time.monotonic() >= self._commit_at:
            self.commit()
        return False

    def _take(self) -> None:
        for delivery in self._producer.poll(0):
            if delivery.error is not None:
                raise delivery.error
            assert isinstance(delivery.tag, Round)
            delivery.tag.left -= delivery.count
            self.copied += delivery.count
        while self._rounds and self._rounds[0].left == 0 and (len(self._rounds) > 1 or self._rounds[0].offsets):
            self._acknowledged.update(self._rounds.popleft().offsets)
        if not self._rounds:
            self._rounds.append(Round())

    def finish(self) -> bool:
        """Wait until everything is acknowledged. True as of `settle`."""
        while self._producer.buffered:
            self._producer.flush(timeout_ms=1000)
            self._take()
        self._take()
        return False

    def commit(self) -> bool:
        """Commit what is acknowledged; False when the group cannot take it just now."""
        from ev.errors import ErrorCode, KafkaError

        self._commit_at = time.monotonic() + COMMIT_EVERY_S
        if self._group is None or not self._acknowledged:
            return True
        try:
            self._group.commit(
                {partition: (offset, "") for partition, offset in self._acknowledged.items()}, timeout_ms=self._session.timeout_ms
            )
        except KafkaError as error:
            if error.code == ErrorCode.REBALANCE_IN_PROGRESS:
                return False
            if error.code not in TAKEN_AWAY:
                raise
            self._session.talk("the group gave our partitions away before their offsets were committed; some records will be copied again")
        self._acknowledged = {}
        return True

    def close(self) -> None:
        self._producer.close(timeout_ms=0)


class ExactCarrier(Carrier):
    """Sends in transactions that hold the offsets too: each record is copied exactly once, whatever ends in between."""

    def __init__(self, producer: Producer, group: Consumer, topic: str, session: Session) -> None:
        super().__init__(producer, group, topic, session)
        self._members = group
        self._offsets: dict[Partition, int] = {}
        self._records = self._taken = self._bytes = 0
        """Those of the transaction that is open."""
        self._began = 0.0
        producer.init_transactions(timeout_ms=session.timeout_ms)

    def carry(self, batch: FetchedBatch, partition: int) -> bool:
        self._begin()
        return super().carry(batch, partition)

    def send(self, piece: Piece, partition: int | None) -> None:
        self._begin()
        super().send(piece, partition)

    def _begin(self) -> None:
        if not self._producer.in_transaction:
            self._producer.begin_transaction()
            self._offsets = {}
            self._records = self._taken = self._bytes = 0
            self._began = time.monotonic()

    def _sent(self, count: int, taken: int, size: int, partition: Partition, next_offset: int) -> None:
        self.taken += taken
        self._records += count
        self._taken += taken
        self._bytes += size
        self._offsets[partition] = next_offset

    def settle(self, *, idle: bool = False) -> bool:
        self._producer.poll(0)
        is_due = idle or self._bytes >= TRANSACTION_BYTES or time.monotonic() - self._began >= COMMIT_EVERY_S
        return self.finish() if is_due else False

    def finish(self) -> bool:
        """Commit what is open, records and offsets in one; or abort it, when something of it cannot be."""
        from ev.errors import ProducerFencedError, TransactionFailedError

        if not self._producer.in_transaction:
            return False
        try:
            offsets = {partition: (offset, "") for partition, offset in self._offsets.items()}
            self._producer.send_offsets_to_transaction(offsets, self._members.group_metadata())
            self._producer.commit_transaction()
        except ProducerFencedError:
            raise taken_over() from None
        except TransactionFailedError as error:
            self._session.talk(f"a transaction was aborted, and its records are copied again: {error}")
            self._producer.abort_transaction()
            self.taken -= self._taken
            return True
        self.copied += self._records
        return False

    def commit(self) -> bool:
        """The transactions do it."""
        return True

    def close(self) -> None:
        self._producer.close(timeout_ms=CLOSE_MS)


def taken_over() -> Failure:
    return Failure("another ev copy with this group has taken over", "give one of them another --transactional-id, if both shall run")


class Waiter:
    """Lets pieces go when their time has come: so many a second, or with the pauses that the timestamps say."""

    def __init__(self, rate: str | None, pace: str | None, interrupts: Interrupts) -> None:
        from ev_cli.sizes import number_of

        if rate is not None and pace is not None:
            raise UsageFailure("--rate and --pace contradict each other", "give one of them")
        self._rate = None if rate is None else number_of(rate.removesuffix("/s"), "--rate")
        self._speed = None if pace is None else _speed(pace)
        if self._rate is not None and self._rate <= 0:
            raise UsageFailure(f"--rate {rate} is no rate", "write a number above 0")
        self._interrupts = interrupts
        self._began: float | None = None
        self._sent = 0
        self._first_ms: int | None = None

    @property
    def waits(self) -> bool:
        return self._rate is not None or self._speed is not None

    @property
    def sorts(self) -> bool:
        return self._speed is not None

    def pieces(self, piece: Piece) -> Iterator[Piece]:
        """The piece in parts, each when it may go."""
        if self._rate is None:
            yield piece
            return
        step = max(1, int(self._rate * SLICE_S))
        for start in range(0, len(piece), step) or (0,):
            now = time.monotonic()
            self._began = now if self._began is None else self._began
            self._wait_until(self._began + self._sent / self._rate)
            part = piece.part(start, min(start + step, len(piece)))
            self._sent += len(part)
            yield part

    def in_order(self, batches: Iterable[FetchedBatch], ends: dict[Partition, int]) -> Iterator[Piece]:
        """The records of batches one by one, in the order of their timestamps, each when its time has come."""
        assert self._speed is not None
        pieces = [Piece.of(batch, ends.get((batch.topic, batch.partition))) for batch in batches]
        rows = sorted((timestamp, number, row) for number, piece in enumerate(pieces) for row, timestamp in enumerate(piece.timestamps))
        for timestamp, number, row in rows:
            now = time.monotonic()
            if self._first_ms is None or self._began is None:
                self._first_ms, self._began = timestamp, now
            self._wait_until(self._began + (timestamp - self._first_ms) / 1000 / self._speed)
            yield pieces[number].part(row, row + 1)

    def _wait_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0:
            with self._interrupts.waiting():
                time.sleep(min(left, SLICE_S))


def _speed(text: str) -> float:
    """`original` is 1; `10x` ten times as fast."""
    if text == "original":
        return 1.0
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise UsageFailure(f"--pace {text} is no pace", "write original, 10x or 0.5x")
    return speed
