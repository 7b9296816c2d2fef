"""What the coordinator knows of a transactional id, and the records of __transaction_state that say so, in Kafka's format.

    key    int16 0, then the transactional id
    value  int16 version (0 or 1), then the fields of that version; no value at all: the id is forgotten

Kafka 4 writes version 1, whose additions are tagged fields; both are read.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.errors import MalformedError
from ev.wire.codec import decode, encode
from ev.wire.messages.transaction_topic import PartitionsSchema, TransactionLogKey, TransactionLogValue

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_VERSION: Final = 0
VALUE_VERSION: Final = 1
NO_PRODUCER_ID: Final = -1
NO_EPOCH: Final = -1
NO_TIME: Final = -1

TopicPartition = tuple[str, int]


class State(IntEnum):
    """Kafka's states (TransactionState.java), with the numbers that its log has."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7


STATE_NAMES: Final = {
    State.EMPTY: "Empty",
    State.ONGOING: "Ongoing",
    State.PREPARE_COMMIT: "PrepareCommit",
    State.PREPARE_ABORT: "PrepareAbort",
    State.COMPLETE_COMMIT: "CompleteCommit",
    State.COMPLETE_ABORT: "CompleteAbort",
    State.DEAD: "Dead",
    State.PREPARE_EPOCH_FENCE: "PrepareEpochFence",
}
PREPARED: Final = (State.PREPARE_COMMIT, State.PREPARE_ABORT)


class Transaction(NamedTuple):
    """A transactional id and what it is doing. Never changed: a change is a new one, written to the log."""

    producer_id: int
    epoch: int
    timeout_ms: int
    state: State = State.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    started_ms: int = NO_TIME
    updated_ms: int = NO_TIME
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID  # its producer gets this one when the transaction has ended: its epochs are used up
    client_version: int = 0  # 2: the producer's epoch is raised with every transaction (KIP-890)

    @property
    def commits(self) -> bool:
        return self.state in (State.PREPARE_COMMIT, State.COMPLETE_COMMIT)


def transaction_key(transactional_id: str) -> bytes:
    return KEY_VERSION.to_bytes(2, "big") + encode(TransactionLogKey(transactional_id), 0)


def read_transaction_key(key: bytes) -> str | None:
    """The transactional id; None for a record of another kind. Raises MalformedError."""
    if len(key) < 2:
        raise MalformedError(f"a record of a transaction has a key of {len(key)} bytes")
    if int.from_bytes(key[:2], "big") != KEY_VERSION:
        return None
    read, _ = decode(TransactionLogKey, 0, key, 2)
    return str(read.transactional_id)


def transaction_value(transaction: Transaction) -> bytes:
    topics = by_topic(transaction.partitions)
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=int(transaction.state),
        transaction_partitions=None
        if transaction.state is State.EMPTY
        else [PartitionsSchema(topic, partitions) for topic, partitions in topics.items()],
        transaction_last_update_timestamp_ms=transaction.updated_ms,
        transaction_start_timestamp_ms=transaction.started_ms,
        client_transaction_version=transaction.client_version,
    )
    return VALUE_VERSION.to_bytes(2, "big") + encode(value, VALUE_VERSION)


def read_transaction_value(value: bytes) -> Transaction:
    """Raises MalformedError."""
    version = int.from_bytes(value[:2], "big", signed=True) if len(value) >= 2 else -1
    if not 0 <= version <= VALUE_VERSION:
        raise MalformedError(f"a record of a transaction has version {version}; versions 0 to {VALUE_VERSION} are known")
    read, _ = decode(TransactionLogValue, version, value, 2)
    try:
        state = State(read.transaction_status)
    except ValueError:
        raise MalformedError(f"a record of a transaction has the unknown state {read.transaction_status}") from None
    return Transaction(
        producer_id=read.producer_id,
        epoch=read.producer_epoch,
        timeout_ms=read.transaction_timeout_ms,
        state=state,
        partitions=frozenset((topic.topic, index) for topic in read.transaction_partitions or () for index in topic.partition_ids),
        started_ms=read.transaction_start_timestamp_ms,
        updated_ms=read.transaction_last_update_timestamp_ms,
        previous_producer_id=read.previous_producer_id,
        next_producer_id=read.next_producer_id,
        client_version=read.client_transaction_version,
    )


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """The same, sorted, by topic."""
    topics: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        topics.setdefault(topic, []).append(index)
    return topics
