"""A transactional producer, request by request, in either version of transactions, over whatever answers requests.

producer = TransactionalProducer(asked_over(raw_client), "my-id")
producer.begin()                                     a producer id, and what was left open is aborted
producer.write("t", 0, b"one", b"two")               an error code
producer.commit_offset("group", "t", 0, 7)
producer.end(commit=True)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ev.errors import ErrorCode
from ev.wire.catalog import API
from ev.wire.codec import Message
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic
from ev.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ev.wire.messages.k26_end_txn import EndTxnRequest
from ev.wire.messages.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from ev.wire.records import decode_batch, encode_batch, headers
from support.raw_client import RawClient

Ask = Callable[[Message, int], Any]

KEYS = {api.request: api.key for api in API.values()}
TRANSACTIONAL = 0x10
COME_AGAIN = (
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.NOT_ENOUGH_REPLICAS,
)
TRIES = 300


def asked_over(client: RawClient) -> Ask:
    return lambda request, version: client.ask(KEYS[type(request)], version, request)


def until_settled(ask: Callable[[], Any], code_of: Callable[[Any], int], times: list[int] | None = None) -> Any:
    """Ask until the answer is something else than "come again"."""
    for _ in range(TRIES):
        answer = ask()
        if code_of(answer) not in COME_AGAIN:
            return answer
        if times is not None:
            times.append(code_of(answer))
        time.sleep(0.02)
    raise AssertionError(f"still told to come again: {code_of(answer)}")


def until_coordinators_are_there(ask: Ask) -> None:
    """Kafka makes the coordinators' topics when they are first asked for."""
    for kind in (0, 1):
        wanted = FindCoordinatorRequest(key_type=kind, coordinator_keys=["x"])
        until_settled(lambda: ask(wanted, 4), lambda answer: answer.coordinators[0].error_code)  # noqa: B023


class TransactionalProducer:
    """`version` 1: partitions are added before they are written to; 2: the epoch changes with every transaction (KIP-890)."""

    def __init__(
        self,
        ask: Ask,
        transactional_id: str,
        version: int = 1,
        *,
        timeout_ms: int = 60_000,
        wall_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.ask = ask
        self.wall_ms = wall_ms
        self.transactional_id = transactional_id
        self.version = version
        self.timeout_ms = timeout_ms
        self.producer_id = self.epoch = -1
        self.sequences: dict[tuple[str, int], int] = {}
        self.added: set[tuple[str, int]] = set()
        self.told_to_wait: list[int] = []  # the codes that said "come again"

    @property
    def who(self) -> dict[str, Any]:
        return {"transactional_id": self.transactional_id, "producer_id": self.producer_id, "producer_epoch": self.epoch}

    def begin(self, *, expected: tuple[int, int] = (-1, -1)) -> int:
        """InitProducerId; the error code."""
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id,
            transaction_timeout_ms=self.timeout_ms,
            producer_id=expected[0],
            producer_epoch=expected[1],
        )
        answer = until_settled(lambda: self.ask(request, 4), lambda answer: answer.error_code)
        if not answer.error_code:
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
            self.sequences.clear()
            self.added.clear()
        return int(answer.error_code)

    def add(self, topic: str, *indexes: int) -> dict[int, int]:
        """AddPartitionsToTxn; the error codes by partition."""
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self.producer_id,
            v3_and_below_producer_epoch=self.epoch,
            v3_and_below_topics=[AddPartitionsToTxnTopic(topic, list(indexes))],
        )
        answer = until_settled(
            lambda: self.ask(request, 3),
            lambda answer: answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
            self.told_to_wait,
        )
        results = answer.results_by_topic_v3_and_below[0].results_by_partition
        codes = {result.partition_index: result.partition_error_code for result in results}
        self.added |= {(topic, index) for index, code in codes.items() if not code}
        return codes

    def write(self, topic: str, index: int, *values: bytes, epoch: int | None = None, produce_version: int | None = None) -> int:
        """Produce one batch, in version 1 after adding its partition; the error code."""
        if self.version == 1 and (topic, index) not in self.added:
            code = self.add(topic, index)[index]
            if code:
                return code
        return self.produce(topic, index, *values, epoch=epoch, produce_version=produce_version)

    def produce(self, topic: str, index: int, *values: bytes, epoch: int | None = None, produce_version: int | None = None) -> int:
        """Produce one batch, whatever was added; the error code."""
        request = self.produce_request(topic, index, *values, epoch=epoch)
        version = produce_version or (9 if self.version == 1 else 12)
        answer = until_settled(
            lambda: self.ask(request, version), lambda answer: answer.responses[0].partition_responses[0].error_code, self.told_to_wait
        )
        code = int(answer.responses[0].partition_responses[0].error_code)
        if not code:
            self.sequences[topic, index] = self.sequences.get((topic, index), 0) + len(values)
        return code

    def produce_request(self, topic: str, index: int, *values: bytes, epoch: int | None = None) -> ProduceRequest:
        """The next batch of a partition."""
        batch = encode_batch(
            list(values),
            timestamps=self.wall_ms(),
            producer_id=self.producer_id,
            producer_epoch=self.epoch if epoch is None else epoch,
            base_sequence=self.sequences.get((topic, index), 0),
            attributes=TRANSACTIONAL,
        )
        data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=batch)])
        return ProduceRequest(transactional_id=self.transactional_id, acks=-1, timeout_ms=30_000, topic_data=[data])

    def commit_offset(
        self, group: str, topic: str, index: int, offset: int, *, member: tuple[str, int] = ("", -1), add: bool = True
    ) -> int:
        """AddOffsetsToTxn (in version 1) and TxnOffsetCommit; the first error code."""
        if self.version == 1 and add:
            asked = AddOffsetsToTxnRequest(**self.who, group_id=group)
            added = until_settled(lambda: self.ask(asked, 3), lambda answer: answer.error_code, self.told_to_wait)
            if added.error_code:
                return int(added.error_code)
        partition = TxnOffsetCommitRequestPartition(partition_index=index, committed_offset=offset, committed_metadata="in a transaction")
        request = TxnOffsetCommitRequest(
            **self.who,
            group_id=group,
            member_id=member[0],
            generation_id=member[1],
            topics=[TxnOffsetCommitRequestTopic(topic, [partition])],
        )
        answer = until_settled(
            lambda: self.ask(request, 3 if self.version == 1 else 5),
            lambda answer: answer.topics[0].partitions[0].error_code,
            self.told_to_wait,
        )
        return int(answer.topics[0].partitions[0].error_code)

    def end(self, *, commit: bool, version: int | None = None, epoch: int | None = None, wait: bool = True) -> int:
        """EndTxn; the error code. In version 2 of transactions the producer takes the epoch that it is given."""
        version = version or (3 if self.version == 1 else 5)
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch if epoch is None else epoch,
            committed=commit,
        )
        answer = until_settled(lambda: self.ask(request, version), lambda answer: answer.error_code if wait else 0, self.told_to_wait)
        if not answer.error_code:
            self.added.clear()
            if version >= 5:
                if (answer.producer_id, answer.producer_epoch) != (self.producer_id, self.epoch):
                    self.sequences.clear()
                self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        return int(answer.error_code)


def fetched(ask: Ask, topic: str, index: int, *, committed: bool, offset: int = 0, wait_ms: int = 0) -> Any:
    """The answer for one partition."""
    partition = FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        isolation_level=int(committed),
        session_epoch=-1,
        topics=[FetchTopic(topic=topic, partitions=[partition])],
    )
    return ask(request, 11).responses[0].partitions[0]


def values_of(answer: Any) -> list[bytes | None]:
    """What a consumer makes of such an answer: without markers, and without what was aborted."""
    data = answer.records or b""
    aborted = sorted((each.first_offset, each.producer_id) for each in answer.aborted_transactions or ())
    leave_out: set[int] = set()
    found: list[bytes | None] = []
    for position, header in headers(data):
        while aborted and aborted[0][0] <= header.last_offset:
            leave_out.add(aborted.pop(0)[1])
        if header.is_control:
            key = decode_batch(data, position).keys[0] or b""
            if key[3] == 0:  # an abort marker
                leave_out.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in leave_out):
            found += decode_batch(data, position).values
    return found


def read_committed(ask: Ask, topic: str, index: int) -> list[bytes | None]:
    """Every value that a reader of committed records sees."""
    found: list[bytes | None] = []
    offset = 0
    while True:
        answer = fetched(ask, topic, index, committed=True, offset=offset)
        assert answer.error_code == 0, answer.error_code
        data = answer.records or b""
        if not data:
            return found
        found += values_of(answer)
        offset = max(header.last_offset for _, header in headers(data)) + 1


def committed_offset(ask: Ask, group: str, topic: str, index: int, *, stable: bool = False) -> tuple[int, int]:
    """(offset, error code) of what the group has committed."""
    wanted = OffsetFetchRequestGroup(group_id=group, topics=[OffsetFetchRequestTopics(name=topic, partition_indexes=[index])])
    request = OffsetFetchRequest(groups=[wanted], require_stable=stable)
    answer = until_settled(lambda: ask(request, 8), lambda answer: answer.groups[0].error_code)
    partition = answer.groups[0].topics[0].partitions[0]
    return partition.committed_offset, partition.error_code
