"""A client that keeps a ledger: what it asked for, what it was told, and what must therefore be true after a crash.

    customer = Customer(ledger)
    customer.connect(engine.address)
    customer.produce("orders", 3)          three batches, all in flight at once
    ...                                    the engine dies: GoneError, and whatever was not answered is a "maybe"
    customer.connect(engine.address)
    customer.judge()                       what is broken, a line each; a maybe is what is found from then on
    customer.go_on()                       the client sends again what was not answered, and must be understood

One idempotent producer, one transactional one, groups without members; topics of one partition.
"""

from __future__ import annotations

import copy
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ev.errors import ErrorCode
from ev.wire.codec import Message
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.records import decode_batch, encode_batch, headers
from support.one_partition import produce_request
from support.raw_client import RawClient
from support.raw_transactions import KEYS, TransactionalProducer, committed_offset, fetched, until_settled

WINDOW = 3
"""Produce requests that are in flight at once."""
TIMEOUT_S = 10
COPIER = "copier"
TRANSACTIONS_IN = "payments"
"""The topic that transactions write to."""


class GoneError(Exception):
    """The engine went away: nobody knows what became of what was asked."""


@dataclass(slots=True)
class Sent:
    """One batch of one record; `offset` once it was acknowledged."""

    value: bytes
    key: bytes | None = None
    offset: int | None = None
    refused: bool = False
    told_at: float = 0.0


@dataclass(slots=True)
class Topic:
    """One incarnation of a topic."""

    compacted: bool = False
    there: bool | None = None  # None: it was asked for, or to be deleted, and not answered
    sent: list[Sent] = field(default_factory=list)
    start_asked: int = 0


@dataclass(slots=True)
class Transaction:
    """Values that were written together; `committed`: what its end was answered to be (None: maybe)."""

    values: list[bytes]
    end_asked: bool = False
    committed: bool | None = None


@dataclass(slots=True)
class Ledger:
    """Everything that was asked and told."""

    topics: dict[str, Topic] = field(default_factory=dict)
    commits: dict[str, list[int]] = field(default_factory=dict)  # by group: offsets in the order of asking, since the last told
    transactions: list[Transaction] = field(default_factory=list)
    producer: tuple[int, int] = (-1, -1)
    sequences: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def copy(self) -> Ledger:
        return copy.deepcopy(self)


class Customer:
    """The client. `unanswered` is what it has to send again."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.client: RawClient | None = None
        self.unanswered: deque[tuple[str, Sent, bytes]] = deque()
        self.asked_at = 0.0
        self.lost = 0  # requests that were never answered
        self.refusals = 0
        self.start_said = ""  # why the engine did not start, if it did not
        self.copier: TransactionalProducer | None = None

    def connect(self, address: str) -> None:
        if self.client is not None:
            self.client.close()
        self.client = RawClient(address, timeout_s=TIMEOUT_S)
        self.copier = None

    def ask(self, request: Message, version: int) -> Any:
        """One request and its answer. Raises GoneError."""
        assert self.client is not None
        self.asked_at = time.time()
        try:
            return self.client.ask(KEYS[type(request)], version, request)
        except (OSError, struct.error) as error:
            self.lost += 1
            raise GoneError(str(error)) from error

    # Topics

    def create(self, name: str, **config: str) -> int:
        """The error code; 0 when it is there."""
        given = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in config.items()]
        made = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=given)
        topic = self.ledger.topics[name] = Topic(compacted=config.get("cleanup_policy") == "compact")
        code = int(self.ask(CreateTopicsRequest(topics=[made], timeout_ms=10_000), 7).topics[0].error_code)
        topic.there = None if code and code != ErrorCode.TOPIC_ALREADY_EXISTS else True
        self.refusals += bool(code)
        self.ledger.sequences[name] = 0
        return code

    def delete(self, name: str) -> int:
        topic = self.ledger.topics[name]
        topic.there = None
        code = int(self.ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=10_000), 6).responses[0].error_code)
        if not code:
            topic.there = False
            self.ledger.commits = {place: asked for place, asked in self.ledger.commits.items() if not place.endswith(f"/{name}")}
        self.refusals += bool(code)
        return code

    def delete_records(self, name: str, offset: int) -> int:
        topic = self.ledger.topics[name]
        topic.start_asked = max(topic.start_asked, offset)
        part = DeleteRecordsPartition(partition_index=0, offset=offset)
        request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=name, partitions=[part])], timeout_ms=10_000)
        code = int(self.ask(request, 2).topics[0].partitions[0].error_code)
        self.refusals += bool(code)
        return code

    # Records

    def begin_producing(self) -> None:
        """A producer id."""
        answer = until_settled(
            lambda: self.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4), lambda answer: answer.error_code
        )
        assert not answer.error_code, answer.error_code
        self.ledger.producer = (answer.producer_id, answer.producer_epoch)

    def produce(self, name: str, count: int, size: int = 100, keys: int = 0) -> int:
        """So many batches, WINDOW of them in flight; how many were refused."""
        assert self.client is not None
        refused = 0
        for _ in range(count):
            sent, batch = self._next(name, size, keys)
            self.unanswered.append((name, sent, batch))
            try:
                self.client.send(self.client.frame(0, 9, produce_request(name, batch)))
            except OSError as error:
                self.lost += 1
                raise GoneError(str(error)) from error
            if len(self.unanswered) >= WINDOW:
                refused += self._answer()
        while self.unanswered:
            refused += self._answer()
        return refused

    def _next(self, name: str, size: int, keys: int) -> tuple[Sent, bytes]:
        ledger = self.ledger
        ledger.number += 1
        key = b"%d" % (ledger.number % keys) if keys else None
        sent = Sent(b"%d/" % ledger.number + b"." * size, key)
        ledger.topics[name].sent.append(sent)
        sequence = ledger.sequences.get(name, 0)
        ledger.sequences[name] = sequence + 1
        now_ms = time.time_ns() // 1_000_000
        batch = encode_batch(
            [sent.value],
            keys=[key],
            timestamps=now_ms,
            producer_id=ledger.producer[0],
            producer_epoch=ledger.producer[1],
            base_sequence=sequence,
        )
        return sent, batch

    def _answer(self) -> int:
        """Take the answer to the oldest request in flight: 1 if it was refused."""
        assert self.client is not None
        name, sent, batch = self.unanswered[0]
        try:
            answer = self.client.answer(0, 9)
        except (OSError, struct.error) as error:
            self.lost += len(self.unanswered)
            raise GoneError(str(error)) from error
        self.unanswered.popleft()
        return self._told(name, sent, batch, answer)

    def _told(self, name: str, sent: Sent, batch: bytes, answer: Any) -> int:
        told = answer.responses[0].partition_responses[0]
        if told.error_code == ErrorCode.NONE:
            sent.offset, sent.told_at = told.base_offset, time.time()
            return 0
        sent.refused = True
        self.refusals += 1
        sequence = int.from_bytes(batch[53:57], "big")
        self.ledger.sequences[name] = min(self.ledger.sequences[name], sequence)  # the next one takes its place
        return 1

    def go_on(self) -> Iterator[str]:
        """Send again what was not answered: each is taken, once. The transactional producer begins anew, which ends what it left open."""
        while self.unanswered:
            name, sent, batch = self.unanswered[0]
            if self.ledger.topics[name].there:
                answer = self.ask(produce_request(name, batch), 9)
                if self._told(name, sent, batch, answer):
                    yield f"{name}: a batch that was sent again is refused: {answer.responses[0].partition_responses[0].error_code}"
            self.unanswered.popleft()
        if self.ledger.transactions:
            self.copier = TransactionalProducer(self.ask, COPIER)
            if code := self.copier.begin():
                yield f"the transactional producer cannot begin anew: error {code}"

    # Groups and transactions

    def find_coordinators(self) -> None:
        for kind in (0, 1):
            wanted = FindCoordinatorRequest(key_type=kind, coordinator_keys=["x"])
            until_settled(lambda: self.ask(wanted, 4), lambda answer: answer.coordinators[0].error_code)  # noqa: B023 - called at once

    def commit(self, group: str, name: str, offset: int) -> int:
        asked = self.ledger.commits.setdefault(f"{group}/{name}", [-1])
        asked.append(offset)
        part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
        request = OffsetCommitRequest(group_id=group, topics=[OffsetCommitRequestTopic(name=name, partitions=[part])])
        code = int(self.ask(request, 8).topics[0].partitions[0].error_code)
        if code:
            asked.remove(offset)
            self.refusals += 1
        else:
            del asked[:-1]
        return code

    def transact(self, name: str, count: int, *, commit: bool, group: str = "") -> bool:
        """A transaction of so many batches, perhaps with a committed offset; False when something in it was refused."""
        if self.copier is None:
            self.copier = TransactionalProducer(self.ask, COPIER)
            if self.copier.begin():
                self.copier = None
                return False
        values = [b"transaction/%d/%d" % (len(self.ledger.transactions), each) for each in range(count)]
        transaction = Transaction(values)
        self.ledger.transactions.append(transaction)
        topic = self.ledger.topics[name]
        for value in values:
            if self.copier.write(name, 0, value):
                self.copier = None
                return False
        if group and self.copier.commit_offset(group, name, 0, len(topic.sent)):
            self.copier = None
            return False
        transaction.end_asked = commit
        code = self.copier.end(commit=commit)
        if code:
            self.copier = None
            return False
        transaction.committed = commit
        return True

    # Judgement

    def records(self, name: str) -> tuple[int, list[tuple[int, bytes | None, bytes]]]:
        """(where the log starts, (offset, key, value) of every committed record)."""
        asked = ListOffsetsPartition(partition_index=0, timestamp=-2)
        listed = (
            self.ask(ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=name, partitions=[asked])]), 5).topics[0].partitions[0]
        )
        assert listed.error_code == 0, f"ListOffsets of {name}: {listed.error_code}"
        found: list[tuple[int, bytes | None, bytes]] = []
        offset = start = listed.offset
        while True:
            answer = fetched(self.ask, name, 0, committed=True, offset=offset)
            if answer.error_code:
                raise LookupError(f"{name} cannot be read at offset {offset}: error {answer.error_code}")
            data = answer.records or b""
            if not data:
                return start, found
            aborted = sorted((each.first_offset, each.producer_id) for each in answer.aborted_transactions or ())
            found += [record for record in committed(data, aborted) if record[0] >= offset]
            offset = max(header.last_offset for _, header in headers(data)) + 1

    def judge(self) -> Iterator[str]:
        """What is not as it was promised. From then on what is found is what is."""
        names = {topic.name for topic in self.ask(MetadataRequest(topics=None), 12).topics}
        for name, topic in list(self.ledger.topics.items()):
            if topic.there is True and name not in names:
                yield f"{name}: its creation was answered, and it is not there"
            elif topic.there is False and name in names:
                yield f"{name}: its deletion was answered, and it is there"
            if name not in names:
                self.ledger.topics.pop(name)
                continue
            topic.there = True
            yield from self._judge_records(name, topic)
        for place, asked in self.ledger.commits.items():
            group, _, name = place.partition("/")
            if name in self.ledger.topics:
                yield from self._judge_commit(group, name, asked)

    def _judge_records(self, name: str, topic: Topic) -> Iterator[str]:
        try:
            start, found = self.records(name)
        except LookupError as problem:
            yield str(problem)
            return
        if (
            start > topic.start_asked
        ):  # what was deleted may come back after a crash, as with Kafka: the next checkpoint notes the beginning
            yield f"{name}: starts at {start}; {topic.start_asked} was asked for"
        offsets: dict[bytes, int] = {}
        for offset, _, value in found:
            if value in offsets:
                yield f"{name}: {value[:30]!r} is there twice, at {offsets[value]} and {offset}"
            offsets[value] = offset
        yield from self._judge_transactions(name, offsets)
        known = {sent.value: sent for sent in topic.sent}
        for offset, _, value in found:
            sent = known.get(value)
            if sent is None and not value.startswith(b"transaction/"):
                yield f"{name}: {value[:30]!r} at {offset} was never sent"
            elif sent is not None and sent.refused:
                yield f"{name}: {value[:30]!r} at {offset} was refused, and is there"
        order = [offsets[sent.value] for sent in topic.sent if sent.value in offsets]
        if order != sorted(order):
            yield f"{name}: records are not in the order in which they were sent"
        newest = {sent.key: sent for sent in topic.sent if not sent.refused} if topic.compacted else {}
        for sent in topic.sent:
            if sent.offset is None or sent.offset < start:
                continue
            if sent.value not in offsets:
                if not topic.compacted or newest[sent.key] is sent:
                    yield f"{name}: {sent.value[:30]!r} was acknowledged at {sent.offset}, and is lost"
            elif offsets[sent.value] != sent.offset:
                yield f"{name}: {sent.value[:30]!r} was acknowledged at {sent.offset}, and is at {offsets[sent.value]}"

    def _judge_transactions(self, name: str, offsets: dict[bytes, int]) -> Iterator[str]:
        if name != TRANSACTIONS_IN:
            return
        for transaction in self.ledger.transactions:
            there = [value for value in transaction.values if value in offsets]
            if there and len(there) < len(transaction.values):
                yield f"{name}: of a transaction {len(there)} of {len(transaction.values)} records are there"
            if transaction.committed and not there:
                yield f"{name}: the commit of {transaction.values[0]!r} was answered, and it is not there"
            if there and (transaction.committed is False or not transaction.end_asked):
                yield f"{name}: {transaction.values[0]!r} is there, and was never committed"
            if transaction.committed is None and (there or not transaction.end_asked):
                transaction.committed = bool(there)

    def _judge_commit(self, group: str, name: str, asked: list[int]) -> Iterator[str]:
        offset, code = committed_offset(self.ask, group, name, 0)
        if code:
            yield f"{group} {name}: its offset cannot be had, error {code}"
        elif offset not in asked:
            yield f"{group} {name}: committed {offset}; {asked[0]} was told, {asked[1:]} asked for since"
        else:
            asked[:] = [offset]


def committed(data: bytes, aborted: list[tuple[int, int]]) -> Iterator[tuple[int, bytes | None, bytes]]:
    """What a consumer makes of fetched batches, `aborted` being (first offset, producer id) in order."""
    leave_out: set[int] = set()
    for position, header in headers(data):
        while aborted and aborted[0][0] <= header.last_offset:
            leave_out.add(aborted.pop(0)[1])
        batch = decode_batch(data, position)
        if header.is_control:
            if (batch.keys[0] or b"")[3] == 0:  # an abort marker
                leave_out.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in leave_out):
            yield from ((o, k, v or b"") for o, k, v in zip(batch.offsets, batch.keys, batch.values, strict=True))
