"""Transactions of a producer: what it writes, and what a group has read, becomes visible all at once or not at all.

    from ev.client import Consumer, Producer
    from ev.errors import TransactionFailedError

    with (
        Consumer("localhost:9092", group="billing", isolation="read_committed") as consumer,
        Producer("localhost:9092", transactional_id="billing") as producer,
    ):
        consumer.subscribe(["payments"])
        producer.init_transactions()
        while not done():
            batches = consumer.poll_batches(1000)
            try:
                with producer.transaction():
                    for batch in batches:
                        producer.produce_many("bills", batch.columns.values)
                    read = {(batch.topic, batch.partition): batch.next_offset for batch in batches}
                    producer.send_offsets_to_transaction(read, consumer.group_metadata())
            except TransactionFailedError:  # it is aborted: read the same again
                consumer.seek_to_committed()

Blocking calls over `ev.client.transaction_state`, which decides: this module finds coordinators, sends one question at a time and waits
between attempts. It moves whenever the producer does, also while the application polls or produces.
"""

from __future__ import annotations

from ev.client.cluster import FIND_COORDINATOR_VERSION_MAX
from ev.client.results import GroupMetadata, as_committed
from ev.client.sender import ENDING_BACKOFF
from ev.client.transaction_state import (
    ABORTING,
    AGAIN,
    COMMITTING,
    DONE,
    ELSEWHERE,
    FAILED,
    FATAL,
    INITIALIZING,
    SOON,
    GroupOffsets,
    TransactionState,
)
from ev.errors import EvError, KafkaError, TimedOutError, TransactionFailedError, UnreachableError
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.producer import Producer
    from ev.client.results import OffsetToCommit
    from ev.client.sender import Sender
    from ev.client.transaction_state import Question

    TopicPartition = tuple[str, int]

FEATURE = "transaction.version"
CLOSE_TIMEOUT_MS = 5_000
"""How long close() tries to abort what is open; after that the broker does it, when the transaction's time is over."""


class Transactions:
    """`step` is the producer's: it sends and receives, batches too, and waits for at most so many ms for something to happen."""

    def __init__(self, cluster: Cluster, sender: Sender, state: TransactionState, step: Callable[[int], None]) -> None:
        self.cluster = cluster
        self.sender = sender
        self.state = state
        self.waiting = False
        """Whether somebody waits for more than batches."""
        self._step = step
        self._ticket: Ticket | None = None
        self._question: Question | None = None
        self._retry_at_ms = 0
        self._attempts = 0

    # ---- what the application calls

    def initialize(self, timeout_ms: int) -> None:
        self.state.initialize()
        self._wait_until_ready(timeout_ms)

    def begin(self, timeout_ms: int) -> None:
        if self.state.state == INITIALIZING:  # a new epoch, after a transaction that failed
            self._wait_until_ready(timeout_ms)
        self.state.begin()
        self.sender.deliveries.clear()
        self.sender.producer_id.current = self.state.producer

    def send_offsets(self, offsets: Mapping[TopicPartition, OffsetToCommit], group: GroupMetadata | str, timeout_ms: int) -> None:
        self.state.check_open("send_offsets_to_transaction")
        if not offsets:
            return
        member = GroupMetadata(group) if isinstance(group, str) else group
        sent = GroupOffsets(member, {partition: as_committed(value) for partition, value in offsets.items()})
        self.state.add_offsets(sent)
        if not self._wait_while(lambda: sent in self.state.offsets, timeout_ms):
            self.state.fail(TimedOutError(f"the offsets of {member.group!r} were not taken within {timeout_ms} ms{self._why()}"))
        self.state.check_open("send_offsets_to_transaction")

    def commit(self, timeout_ms: int) -> None:
        self.state.commit()
        in_time = self._wait_while(lambda: self.state.state == COMMITTING, timeout_ms)
        if self.state.state in (FAILED, FATAL):
            raise self.state.error()
        if in_time:
            return
        if not self.state.give_up_committing():
            raise self.state.unknown()
        name = self.state.transactional_id
        raise TimedOutError(f"nothing of {name!r} was committed within {timeout_ms} ms, its transaction is still open{self._why()}")

    def abort(self, timeout_ms: int) -> None:
        deadline_ms = self.cluster.now_ms() + timeout_ms
        self.state.abort()
        if not self._wait_while(lambda: self.state.state == ABORTING, timeout_ms):
            raise TimedOutError(f"{self.state.transactional_id!r} was not aborted within {timeout_ms} ms: ask again{self._why()}")
        if self.state.state == FATAL:
            raise self.state.error()
        # Batches that are late are refused as soon as there is a new epoch. If it does not come in time, begin() waits for it.
        self._wait_while(lambda: self.state.state == INITIALIZING, deadline_ms - self.cluster.now_ms())

    def close(self) -> None:
        """Abort what is open; a commit whose outcome is unknown is left to itself."""
        if self.state.is_open:
            try:
                self.abort(CLOSE_TIMEOUT_MS)
            except EvError:
                return

    def _wait_until_ready(self, timeout_ms: int) -> None:
        if not self._wait_while(lambda: self.state.state == INITIALIZING, timeout_ms):
            raise TimedOutError(f"no producer id for {self.state.transactional_id!r} within {timeout_ms} ms: ask again{self._why()}")
        if self.state.state == FATAL:
            raise self.state.error()

    def _wait_while(self, condition: Callable[[], bool], timeout_ms: int) -> bool:
        """False when the time is over and it still holds."""
        deadline_ms = self.cluster.now_ms() + timeout_ms
        self.waiting = True
        try:
            self.send(self.cluster.now_ms())
            while condition():
                left_ms = deadline_ms - self.cluster.now_ms()
                if left_ms <= 0:
                    return False
                self._step(left_ms)
            return True
        finally:
            self.waiting = False

    def _why(self) -> str:
        return f"; the last answer: {self.state.refusal}" if self.state.refusal is not None else ""

    # ---- moving

    def send(self, now_ms: int) -> None:
        """Batches that may go, and the next question when nothing is asked at the moment."""
        state = self.state
        if state.drops and self.sender.accumulator.buffered:
            aborted = TransactionFailedError("the transaction was aborted before this was sent")
            self.sender.give_up(aborted if state.state == ABORTING else state.error())
        self.sender.send(now_ms)
        if self._ticket is None and now_ms >= self._retry_at_ms:
            question = state.next_question(drained=not self.sender.accumulator.buffered)
            if question is not None:
                self._ask(question)

    def next_due_ms(self, now_ms: int) -> int | None:
        """When to go on although nobody has said anything."""
        return self._retry_at_ms if self._ticket is None and self._retry_at_ms > now_ms else None

    def _ask(self, question: Question) -> None:
        kind, key = question.coordinator
        node = self.cluster.known_coordinator(key, kind)
        self._question = question
        if node is None:
            ticket = self.cluster.send(
                FindCoordinatorRequest(key=key, key_type=kind),
                version_max=FIND_COORDINATOR_VERSION_MAX,
                callback=lambda ticket: self._found(question, ticket),
            )
        else:
            self.state.asked(question)
            ticket = self.cluster.send(
                question.message, node, version_max=question.version_max, callback=lambda ticket: self._answered(question, ticket)
            )
        self._ticket = None if ticket.done else ticket

    def _found(self, question: Question, ticket: Ticket) -> None:
        if question is not self._question:
            return
        kind, key = question.coordinator
        self._ticket = None
        error = ticket.error
        if error is None:
            try:
                self.cluster.learn_coordinator(key, kind, ticket.response)
            except KafkaError as problem:
                error = problem
            else:
                return
        self.state.refusal = error
        if isinstance(error, (UnreachableError, TimedOutError)) or (isinstance(error, KafkaError) and error.retriable):
            self._come_again(AGAIN, question)
        else:
            self.state.refused(error)

    def _answered(self, question: Question, ticket: Ticket) -> None:
        if question is not self._question:
            return  # Ctrl-C came while it was being asked, and then something else was asked
        self._ticket = None
        error = ticket.error
        if error is None:
            self.state.learn_level(*self.cluster.feature(FEATURE))
            if isinstance(question.message, InitProducerIdRequest):
                self.state.initialized_with(ticket.version)
            self._come_again(question.take(ticket.response), question)
            return
        self.state.refusal = error
        if isinstance(error, (UnreachableError, TimedOutError)):
            self._come_again(self.state.unanswered(question, ticket.sent), question)
        else:
            self.state.unanswered(question, ticket.sent)
            self.state.refused(error)

    def _come_again(self, what: int, question: Question) -> None:
        """After a pause, if the answer says so."""
        if what == DONE:
            self._attempts = self._retry_at_ms = 0
            self.state.refusal = None
            return
        if what == ELSEWHERE:
            kind, key = question.coordinator
            self.cluster.forget_coordinator(key, kind)
        backoff = ENDING_BACKOFF if what == SOON else self.cluster.backoff
        self._retry_at_ms = self.cluster.now_ms() + backoff.after(self._attempts)
        self._attempts += 1


class TransactionBlock:
    """`with producer.transaction():` commits at its end, and aborts when an exception leaves it, or when it cannot be committed.

    What was committed or aborted inside stays so. A commit whose outcome is unknown is left to be asked again.
    """

    __slots__ = ("producer", "timeout_ms")

    def __init__(self, producer: Producer, timeout_ms: int) -> None:
        self.producer = producer
        self.timeout_ms = timeout_ms

    def __enter__(self) -> Producer:
        self.producer.begin_transaction(timeout_ms=self.timeout_ms)
        return self.producer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if error is not None:
            self._abort(error)
            return
        if not self.producer.in_transaction:
            return
        try:
            self.producer.commit_transaction(timeout_ms=self.timeout_ms)
        except (TransactionFailedError, TimedOutError) as problem:
            self._abort(problem)
            raise

    def _abort(self, error: BaseException) -> None:
        """The error is what the application is to see; that aborting failed as well is a note on it."""
        if not self.producer.in_transaction:
            return
        try:
            self.producer.abort_transaction(timeout_ms=self.timeout_ms)
        except EvError as problem:
            error.add_note(f"The transaction could not be aborted either: {problem}")
