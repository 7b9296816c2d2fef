"""What an admin client asks about transactions: which there are, what they are doing, and what of them hangs in a partition."""

from __future__ import annotations

from ev.client.cluster import TRANSACTION
from ev.client.questions import Questions, by_topic
from ev.client.results import Result
from ev.client.routing import COORDINATOR_MOVED, ask_leaders
from ev.errors import ErrorCode, KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    TopicPartition = tuple[str, int]


class TransactionListing(Result):
    """A transactional id that a coordinator knows."""

    __slots__ = ("coordinator", "producer_id", "state", "transactional_id")

    def __init__(self, transactional_id: str, producer_id: int, state: str, coordinator: int) -> None:
        self.transactional_id = transactional_id
        self.producer_id = producer_id
        self.state = state
        self.coordinator = coordinator


class TransactionDescription(Result):
    """One transactional id, and the partitions that its open transaction has written to. `started_ms` is -1 when none is open."""

    __slots__ = (
        "coordinator",
        "error",
        "partitions",
        "producer_epoch",
        "producer_id",
        "started_ms",
        "state",
        "timeout_ms",
        "transactional_id",
    )

    def __init__(
        self,
        transactional_id: str,
        state: str,
        producer_id: int,
        producer_epoch: int,
        timeout_ms: int,
        started_ms: int,
        partitions: list[TopicPartition],
        coordinator: int,
        error: KafkaError | None = None,
    ) -> None:
        self.transactional_id = transactional_id
        self.state = state
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.timeout_ms = timeout_ms
        self.started_ms = started_ms
        self.partitions = partitions
        self.coordinator = coordinator
        self.error = error


class ActiveProducer(Result):
    """A producer that a partition remembers. `started_at` is the offset at which its open transaction begins; None: it has none."""

    __slots__ = ("coordinator_epoch", "last_sequence", "last_timestamp", "producer_epoch", "producer_id", "started_at")

    def __init__(
        self,
        producer_id: int,
        producer_epoch: int,
        last_sequence: int,
        last_timestamp: int,
        coordinator_epoch: int,
        started_at: int | None,
    ) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.last_sequence = last_sequence
        self.last_timestamp = last_timestamp
        self.coordinator_epoch = coordinator_epoch
        self.started_at = started_at


class PartitionProducers(Result):
    """The producers of one partition."""

    __slots__ = ("error", "producers")

    def __init__(self, producers: list[ActiveProducer], error: KafkaError | None = None) -> None:
        self.producers = producers
        self.error = error


class TransactionQuestions(Questions):
    """The family of questions about transactions."""

    def transactions(
        self, *, states: Iterable[str] = (), producer_ids: Iterable[int] = (), longer_than_ms: int = -1
    ) -> list[TransactionListing]:
        """The transactional ids that all coordinators know, by name. `longer_than_ms`: only transactions that are open for longer."""
        from ev.wire.messages.k66_list_transactions import ListTransactionsRequest  # noqa: PLC0415

        asked = ListTransactionsRequest(list(states), list(producer_ids), longer_than_ms)
        found: dict[str, TransactionListing] = {}
        for broker in self._brokers():
            for row in self._call(asked, broker).transaction_states:
                found[row.transactional_id] = TransactionListing(row.transactional_id, row.producer_id, row.transaction_state, broker)
        return [found[name] for name in sorted(found)]

    def describe_transactions(self, transactional_ids: Iterable[str]) -> list[TransactionDescription]:
        """Each of these; one that its coordinator does not know has the error TRANSACTIONAL_ID_NOT_FOUND."""
        return [self._describe_transaction(name) for name in transactional_ids]

    def _describe_transaction(self, name: str) -> TransactionDescription:
        from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest  # noqa: PLC0415

        def ask() -> TransactionDescription:
            node = self._cluster.coordinator(name, TRANSACTION, timeout_ms=self.timeout_ms)
            row = self._cluster.call(DescribeTransactionsRequest([name]), node, timeout_ms=self.timeout_ms).transaction_states[0]
            if row.error_code in COORDINATOR_MOVED:
                self._cluster.forget_coordinator(name, TRANSACTION)
            error = KafkaError(row.error_code) if row.error_code else None
            if error is not None and error.retriable:
                raise error
            return TransactionDescription(
                name,
                row.transaction_state,
                row.producer_id,
                row.producer_epoch,
                row.transaction_timeout_ms,
                row.transaction_start_time_ms,
                sorted((topic.topic, index) for topic in row.topics for index in topic.partitions),
                node,
                error,
            )

        return self._cluster.retry(ask, self.timeout_ms)

    def producers(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, PartitionProducers]:
        """The producers that the leaders of these partitions remember."""
        from ev.wire.messages.k61_describe_producers import DescribeProducersRequest, TopicRequest  # noqa: PLC0415

        def read(response: Any) -> dict[TopicPartition, PartitionProducers]:
            return {
                (topic.name, row.partition_index): PartitionProducers(
                    [active_producer(producer) for producer in row.active_producers],
                    KafkaError(row.error_code, row.error_message) if row.error_code else None,
                )
                for topic in response.topics
                for row in topic.partitions
            }

        return ask_leaders(
            self._cluster,
            dict.fromkeys(partitions),
            lambda wanted: DescribeProducersRequest([TopicRequest(name, some) for name, some in by_topic(wanted).items()]),
            read,
            lambda error: PartitionProducers([], error),
            self.timeout_ms,
        )

    def abort_in_partition(self, partition: TopicPartition, producer: ActiveProducer) -> KafkaError | None:
        """End a producer's transaction in one partition, whatever its coordinator thinks of it: a marker that aborts is written there.

        Only for a transaction that no coordinator knows: one that does would write records behind the marker.
        """
        from ev.wire.messages.k27_write_txn_markers import (  # noqa: PLC0415
            WritableTxnMarker,
            WritableTxnMarkerTopic,
            WriteTxnMarkersRequest,
        )

        topic, index = partition
        marker = WritableTxnMarker(
            producer.producer_id,
            producer.producer_epoch,
            False,
            [WritableTxnMarkerTopic(topic, [index])],
            max(producer.coordinator_epoch, 0),
        )

        def read(response: Any) -> dict[TopicPartition, PartitionProducers]:
            code = response.markers[0].topics[0].partitions[0].error_code
            return {partition: PartitionProducers([], KafkaError(code) if code else None)}

        found = ask_leaders(
            self._cluster,
            {partition: None},
            lambda wanted: WriteTxnMarkersRequest([marker]),
            read,
            lambda error: PartitionProducers([], error),
            self.timeout_ms,
        )
        return found[partition].error


def active_producer(row: Any) -> ActiveProducer:
    started_at = row.current_txn_start_offset
    return ActiveProducer(
        row.producer_id,
        row.producer_epoch,
        row.last_sequence,
        row.last_timestamp,
        row.coordinator_epoch,
        None if started_at < 0 else started_at,
    )


HANGING_AFTER_MS = 15 * 60_000
"""As long as a broker lets a transaction be open unless it is told otherwise (transaction.max.timeout.ms)."""


def knows(transaction: TransactionDescription, producer: ActiveProducer, partition: TopicPartition) -> bool:
    """Whether this coordinator is going to end the producer's transaction in that partition by itself."""
    if transaction.error is not None:
        return transaction.error.code != ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    if transaction.producer_id != producer.producer_id or transaction.producer_epoch < producer.producer_epoch:
        return False
    return partition in transaction.partitions
