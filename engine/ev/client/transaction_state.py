"""What a transactional producer may do, what it has to ask next, and what each answer makes of it. No sockets, no clock.

    UNINITIALIZED ──> INITIALIZING ──> READY ──begin──> IN_TRANSACTION ──commit──> COMMITTING ──> READY
                           ^                               │        │                  │
                           │                             abort    failed             failed
                           │                               v        v                  │
                           └───── a new epoch ───────── ABORTING <─ FAILED <───────────┘       FATAL: from anywhere

The rules are those of Kafka's Java client:

- Only a transaction of which everything was delivered is committed. A record or a request that failed for good makes it FAILED, and then it
  can only be aborted. What ends the producer itself (another one has taken over, it is not allowed) is FATAL.
- After a failure nobody knows which sequence numbers the brokers expect, and a batch may still be on its way: the next transaction gets
  a new epoch, which makes both meaningless.
- In version 1 of transactions the coordinator is told of each partition, and of each group, before it is written to, and the producer asks
  for a new epoch when it needs one. In version 2 (KIP-890; `transaction.version` is finalized at 2) the brokers see to the partitions, and
  every EndTxn is answered with the epoch of the next transaction. A producer goes from one version to the other between transactions.
- A commit that was asked for and not answered may have happened. It is asked for again until there is an answer; nothing else is allowed.

One question is on its way at a time. `next_question` says which; `answered` and `unanswered` say what to do then.
"""

from __future__ import annotations

from ev.client.cluster import GROUP, TRANSACTION
from ev.client.offsets import grouped
from ev.errors import (
    ErrorCode,
    KafkaError,
    ProducerFencedError,
    TransactionFailedError,
    TransactionFatalError,
    TransactionUnknownError,
)
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic
from ev.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ev.wire.messages.k26_end_txn import EndTxnRequest
from ev.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ev.client.results import CommittedOffset, GroupMetadata
    from ev.errors import EvError, TransactionError
    from ev.wire.codec import Message

    TopicPartition = tuple[str, int]

UNINITIALIZED, INITIALIZING, READY = "not initialized", "being initialized", "ready"
IN_TRANSACTION, FAILED, COMMITTING, ABORTING = "in a transaction", "in a transaction that failed", "committing", "aborting"
FATAL = "at its end"

DONE, AGAIN, SOON, ELSEWHERE = range(4)
"""What to do after an answer: go on; ask again after a pause, or a short one; look for the coordinator first and ask again."""

_VERSION_MAX = {1: {"produce": 11, "offsets": 4, "end": 4}, 2: {"produce": 12, "offsets": 5, "end": 5}}
_INIT_VERSION_MAX = 5
_INIT_VERSION_THAT_RENEWS = 3
_ADD_PARTITIONS_VERSION_MAX = 3
"""From version 4 on AddPartitionsToTxn is for brokers."""

_MOVED = frozenset((ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR))
_FENCED = frozenset((ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED))
_ID_UNKNOWN = frozenset((ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_ID_MAPPING))
_MAYBE_ENDED = frozenset((
    ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.NETWORK_EXCEPTION, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode.KAFKA_STORAGE_ERROR,
))  # fmt: skip
"""Answers to EndTxn after which it may have been taken all the same: a coordinator that loses its log while it waits for replicas gives
one of these."""
_ABORTABLE_BY_OFFSETS = frozenset((
    ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.ILLEGAL_GENERATION, ErrorCode.STALE_MEMBER_EPOCH, ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.OFFSET_METADATA_TOO_LARGE,
    ErrorCode.INVALID_COMMIT_OFFSET_SIZE, ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.REBALANCE_IN_PROGRESS,
))  # fmt: skip
_FATAL_FOR_BATCHES = frozenset((
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorCode.PRODUCER_FENCED,
    ErrorCode.UNSUPPORTED_VERSION,
))  # fmt: skip


class Question:
    """A request to a coordinator, which is named by its kind and its key; `take` is what its response goes to."""

    __slots__ = ("commits", "coordinator", "message", "opens", "take", "version_max")

    def __init__(
        self,
        message: Message,
        coordinator: tuple[int, str],
        take: Callable[[Any], int],
        version_max: int | None = None,
        *,
        opens: bool = False,
        commits: bool = False,
    ) -> None:
        self.message = message
        self.coordinator = coordinator
        self.take = take
        self.version_max = version_max
        self.opens = opens
        """Whether it begins the transaction at the coordinator."""
        self.commits = commits


class GroupOffsets:
    """What a group has read, on its way into the transaction. `added`: the transaction's coordinator knows of the group."""

    __slots__ = ("added", "group", "left")

    def __init__(self, group: GroupMetadata, offsets: dict[TopicPartition, CommittedOffset]) -> None:
        self.group = group
        self.left = offsets
        self.added = False


class TransactionState:
    """`producer` is id and epoch; `version` that of transactions, which changes only between two of them."""

    def __init__(self, transactional_id: str, timeout_ms: int) -> None:
        self.transactional_id = transactional_id
        self.timeout_ms = timeout_ms
        self.state = UNINITIALIZED
        self.producer: tuple[int, int] = (-1, -1)
        self.version = 1
        self.partitions: set[TopicPartition] = set()
        self.new_partitions: dict[TopicPartition, None] = {}
        """Those that have something to send and are not in the transaction yet (version 1)."""
        self.offsets: list[GroupOffsets] = []
        self.reason: EvError | None = None
        """Why it failed or came to its end."""
        self.refusal: EvError | None = None
        """The last answer that said: come again."""
        self._next_version = 1
        self._level_epoch = -1
        self._started = False
        self._maybe_started = False
        self._renews = False
        self._needs_epoch = False
        self._commits_in_doubt = 0

    def __repr__(self) -> str:
        return f"TransactionState({self.transactional_id!r}, {self.state}, producer {self.producer})"

    @property
    def unsure(self) -> bool:
        """Whether an attempt to commit is without an answer that says how it ended."""
        return self._commits_in_doubt > 0

    # ---- what the application asks for

    def initialize(self) -> None:
        """Ask for the producer id; or go on waiting for it."""
        if self.state == UNINITIALIZED:
            self.state = INITIALIZING
        self._allow("init_transactions", INITIALIZING)

    def begin(self) -> None:
        self._allow("begin_transaction", READY)
        self.state = IN_TRANSACTION

    def check_open(self, operation: str) -> None:
        """Raises unless a transaction is open that can still be committed."""
        if self.state != IN_TRANSACTION:
            self._allow(operation, IN_TRANSACTION)

    def add_offsets(self, offsets: GroupOffsets) -> None:
        self.offsets.append(offsets)
        if self.version == 2:
            self._started = True

    def commit(self) -> None:
        """Or go on committing."""
        self._allow("commit_transaction", IN_TRANSACTION, COMMITTING)
        self.state = COMMITTING

    def abort(self) -> None:
        """Or go on aborting."""
        if self.state == COMMITTING and not self.give_up_committing():
            raise self.unknown()
        if self.state == FATAL:
            raise self.error()
        self._allow("abort_transaction", IN_TRANSACTION, FAILED, ABORTING)
        self.state = ABORTING
        self.new_partitions.clear()
        self.offsets.clear()

    def give_up_committing(self) -> bool:
        """The application waits no longer. True when nothing can have been committed: then the transaction is open as before."""
        if self.state == COMMITTING and not self.unsure:
            self.state = IN_TRANSACTION
        return self.state == IN_TRANSACTION

    def _allow(self, operation: str, *states: str) -> None:
        if self.state in (FAILED, FATAL) and self.state not in states:
            raise self.error()
        if self.state not in states:
            message = f"{operation} is for a producer that is {' or '.join(states)}; {self.transactional_id!r} is {self.state}"
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, message)

    def error(self) -> TransactionError:
        """What a transaction that failed, or a producer at its end, is answered with."""
        committed = None if self.unsure else False
        doubt = "; whether the transaction was committed nobody knows" if self.unsure else ""
        name = f"the transaction of {self.transactional_id!r}"
        if self.state == FAILED:
            return TransactionFailedError(f"{name} has failed and can only be aborted: {self.reason}{doubt}", self.reason, committed)
        if isinstance(self.reason, KafkaError) and self.reason.code in _FENCED:
            message = f"another producer has taken over {self.transactional_id!r}, or its transaction took too long: {self.reason}{doubt}"
            return ProducerFencedError(message, self.reason, committed)
        return TransactionFatalError(f"{name} and its producer are at their end: {self.reason}{doubt}", self.reason, committed)

    def unknown(self) -> TransactionUnknownError:
        """What is said of a commit that was not answered."""
        return TransactionUnknownError(
            f"the transaction of {self.transactional_id!r} may or may not be committed, no answer came: ask commit_transaction again",
            None,
            None,
        )

    @property
    def is_open(self) -> bool:
        """Whether there is something to commit or to abort."""
        return self.state in (IN_TRANSACTION, FAILED, COMMITTING, ABORTING)

    # ---- batches

    @property
    def drops(self) -> bool:
        """Whether what waits to be sent is to be given up."""
        return self.state in (FAILED, ABORTING, FATAL)

    @property
    def produce_version_max(self) -> int:
        return _VERSION_MAX[self.version]["produce"]

    def admits(self, partition: TopicPartition) -> bool:
        """Whether batches may be sent to the partition now; if not, it is added to the transaction first."""
        if self.state not in (IN_TRANSACTION, COMMITTING):
            return False
        if self.version == 2:
            self._started = True
            return True
        if partition in self.partitions:
            return True
        self.new_partitions[partition] = None
        return False

    def batch_failed(self, error: EvError, numbered: bool) -> None:
        """A batch will not be delivered: the transaction cannot be committed. One that was `numbered` leaves a gap in its partition."""
        self._needs_epoch = self._needs_epoch or numbered
        code = error.code if isinstance(error, KafkaError) else ErrorCode.NONE
        if self.state in (IN_TRANSACTION, COMMITTING):
            fatal = code in _FATAL_FOR_BATCHES or not (self._renews or self.version == 2)
            self._end_badly(FATAL if fatal else FAILED, error)

    # ---- questions

    def next_question(self, drained: bool) -> Question | None:
        """What to ask now; `drained`: no batch waits or is on its way."""
        if self.state in (IN_TRANSACTION, COMMITTING):
            if self.new_partitions:
                return self._add_partitions()
            if self.offsets:
                first = self.offsets[0]
                return self._offsets(first) if self.version == 2 or first.added else self._add_group(first)
        if self.state in (COMMITTING, ABORTING) and drained:
            if self._started or (self._maybe_started and self.state == ABORTING):
                return self._end()
            self._ended()  # nothing was written: there is nothing to end
        return self._init() if self.state == INITIALIZING else None

    def asked(self, question: Question) -> None:
        """It is on its way, or about to be."""
        self._commits_in_doubt += question.commits

    def unanswered(self, question: Question, sent: bool) -> int:
        """The connection broke, or no answer came in time; if `sent`, the coordinator may have done what it was asked for."""
        if not sent:
            self._commits_in_doubt -= question.commits
        if sent and question.opens:
            self._maybe_started = self._needs_epoch = True
        return ELSEWHERE

    def refused(self, error: EvError) -> None:
        """There is no coordinator that this client may or can speak to."""
        code = error.code if isinstance(error, KafkaError) else ErrorCode.NONE
        self._end_badly(FAILED if code in (ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.TRANSACTION_ABORTABLE) else FATAL, error)

    def fail(self, error: EvError) -> None:
        """Something that belongs to the transaction was not done in time."""
        self._needs_epoch = True
        self._end_badly(FAILED, error)

    def learn_level(self, epoch: int, level: int) -> None:
        """What the cluster says of the feature `transaction.version`; of two words that with the higher epoch holds."""
        if epoch > self._level_epoch:
            self._level_epoch = epoch
            self._next_version = 2 if level >= 2 else 1

    def _end_badly(self, state: str, error: EvError) -> None:
        if self.state == FATAL or (state == FAILED and self.state in (ABORTING, READY, INITIALIZING, FAILED)):
            return
        self.state = state
        self.reason = error
        self.new_partitions.clear()
        self.offsets.clear()

    def _passing(self, code: int) -> int | None:
        """What to do about a code that says nothing about the transaction; None for the others."""
        error = KafkaError(code)
        if code not in _MOVED and not error.retriable:
            return None
        self.refusal = error
        return ELSEWHERE if code in _MOVED else SOON if code == ErrorCode.CONCURRENT_TRANSACTIONS else AGAIN

    def _judge(self, code: int, abortable: frozenset[int]) -> int:
        """A code that does not pass, of a request within a transaction."""
        if code in _ID_UNKNOWN:
            self._needs_epoch = True
            self._end_badly(FAILED if self._renews else FATAL, KafkaError(code))
        else:
            self._end_badly(FAILED if code in abortable or code == ErrorCode.TRANSACTION_ABORTABLE else FATAL, KafkaError(code))
        return DONE

    # InitProducerId

    def _init(self) -> Question:
        producer_id, epoch = self.producer
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id, transaction_timeout_ms=self.timeout_ms, producer_id=producer_id, producer_epoch=epoch
        )
        return Question(request, (TRANSACTION, self.transactional_id), self._initialized, _INIT_VERSION_MAX)

    def _initialized(self, response: Any) -> int:
        code = response.error_code
        if code:
            passing = self._passing(code)
            if passing is None:
                self._end_badly(FATAL, KafkaError(code))
            return DONE if passing is None else passing
        self.producer = response.producer_id, response.producer_epoch
        self.version = self._next_version
        self._needs_epoch = False
        self.state = READY
        return DONE

    def initialized_with(self, version: int) -> None:
        """The version of InitProducerId that the coordinator speaks: an older one cannot renew an epoch."""
        self._renews = version >= _INIT_VERSION_THAT_RENEWS

    # AddPartitionsToTxn

    def _add_partitions(self) -> Question:
        added = dict(self.new_partitions)
        topics = [AddPartitionsToTxnTopic(name, [index for index, _ in rows]) for name, rows in grouped(added).items()]
        request = AddPartitionsToTxnRequest(self.transactional_id, *self.producer, topics)
        return Question(
            request,
            (TRANSACTION, self.transactional_id),
            lambda response: self._added(added, response),
            _ADD_PARTITIONS_VERSION_MAX,
            opens=True,
        )

    def _added(self, added: dict[TopicPartition, None], response: Any) -> int:
        codes = {
            (topic.name, row.partition_index): row.partition_error_code
            for topic in response.results_by_topic_v3_and_below
            for row in topic.results_by_partition
        }
        for code in codes.values():
            passing = self._passing(code) if code else None
            if passing is not None:
                return passing
        for partition in codes:
            self.new_partitions.pop(partition, None)
        refused = [(code == ErrorCode.OPERATION_NOT_ATTEMPTED, partition, code) for partition, code in codes.items() if code]
        if refused:
            _, (topic, index), code = min(refused)  # one of those for whose sake the others were not attempted
            if code in _FENCED | _ID_UNKNOWN | {ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorCode.INVALID_TXN_STATE}:
                return self._judge(code, frozenset())
            self._end_badly(FAILED, KafkaError(code, f"{KafkaError(code).message} ({topic}/{index})"))
            return DONE
        self.partitions.update(codes)
        self._started = True
        return DONE if codes.keys() >= added.keys() else AGAIN

    # AddOffsetsToTxn, TxnOffsetCommit

    def _add_group(self, offsets: GroupOffsets) -> Question:
        request = AddOffsetsToTxnRequest(self.transactional_id, *self.producer, offsets.group.group)
        take: Callable[[Any], int] = lambda response: self._group_added(offsets, response.error_code)  # noqa: E731
        return Question(request, (TRANSACTION, self.transactional_id), take, opens=True)

    def _group_added(self, offsets: GroupOffsets, code: int) -> int:
        if not code:
            offsets.added = self._started = True
            return DONE
        passing = self._passing(code)
        return self._judge(code, _ABORTABLE_BY_OFFSETS) if passing is None else passing

    def _offsets(self, offsets: GroupOffsets) -> Question:
        group = offsets.group
        topics = [
            TxnOffsetCommitRequestTopic(
                name, [TxnOffsetCommitRequestPartition(index, item.offset, item.leader_epoch, item.metadata) for index, item in rows]
            )
            for name, rows in grouped(offsets.left).items()
        ]
        request = TxnOffsetCommitRequest(
            self.transactional_id, group.group, *self.producer, group.generation, group.member_id, group.instance_id, topics
        )
        take: Callable[[Any], int] = lambda response: self._offsets_taken(offsets, response)  # noqa: E731
        return Question(request, (GROUP, group.group), take, _VERSION_MAX[self.version]["offsets"])

    def _offsets_taken(self, offsets: GroupOffsets, response: Any) -> int:
        worst = DONE
        for topic in response.topics:
            for row in topic.partitions:
                code = row.error_code
                if not code:
                    offsets.left.pop((topic.name, row.partition_index), None)
                    continue
                passing = ELSEWHERE if code == ErrorCode.REQUEST_TIMED_OUT else self._passing(code)
                if passing is None:
                    return self._judge(code, _ABORTABLE_BY_OFFSETS)
                worst = max(worst, passing)
        if not offsets.left and offsets in self.offsets:
            self.offsets.remove(offsets)
        return max(worst, AGAIN) if offsets.left else DONE

    # EndTxn

    def _end(self) -> Question:
        commits = self.state == COMMITTING
        request = EndTxnRequest(self.transactional_id, *self.producer, commits)
        return Question(
            request, (TRANSACTION, self.transactional_id), self._end_answered, _VERSION_MAX[self.version]["end"], commits=commits
        )

    def _end_answered(self, response: Any) -> int:
        code = response.error_code
        commits = self.state == COMMITTING
        if not code:
            if response.producer_id >= 0:  # from version 5 on
                self.producer = response.producer_id, response.producer_epoch
                self._needs_epoch = False
            self._ended()
            return DONE
        if code not in _MAYBE_ENDED:
            self._commits_in_doubt -= commits
        passing = self._passing(code)
        if passing is not None:
            return passing
        if not commits and (code in _ID_UNKNOWN or (code == ErrorCode.INVALID_TXN_STATE and not self._started)):
            # The coordinator knows of no such transaction. Whether this producer may go on it says when it is asked for a new epoch.
            self._needs_epoch = True
            self._ended()
        elif not commits:
            self._end_badly(FATAL, KafkaError(code))
        else:
            self._judge(code, frozenset())
        return DONE

    def _ended(self) -> None:
        """Committed or aborted: the next transaction may begin, perhaps after a new epoch has come."""
        needs_epoch = self._needs_epoch or (self.version == 1 and self._next_version == 2)
        self.version = self._next_version
        self.partitions.clear()
        self.reason = None
        self._started = self._maybe_started = False
        self._commits_in_doubt = 0
        self.state = INITIALIZING if needs_epoch else READY
