"""All transactional ids of this broker: who produces under each, what is open, what comes due.

           AddPartitions,                 EndTxn, written                  the markers are
           AddOffsets                     to the log                       on disk
    Empty ───────────────> Ongoing ───────────────────> PrepareCommit ───────────────────> CompleteCommit
      ^                       │                                                                  │
      │ InitProducerId        ├───────────────────────> PrepareAbort ────────────────────> CompleteAbort
      │                       │  or its time is over, or a new producer comes:                   │
      │                       │  then with a new epoch                                           │
      └───────────────────────┴──────────────────────────────────────────────────────────────────┘

Every method takes one request (or the time) and returns a `TransactionDecision`: the state to be written, and replies. The
runtime appends the state to `__transaction_state` and gives it back through `replay()`. A prepared transaction gets its markers, and
then what `completed()` says is appended too, but it holds only when all of that is on disk: then comes `ended()`.

Kafka answers EndTxn before the markers are written, so that the next transaction of the same producer may be told to come again
(CONCURRENT_TRANSACTIONS). Here EndTxn is answered when everything is done, and whoever comes meanwhile waits for that.

Producers of transaction version 2 (KIP-890; they send EndTxn from version 5 on) get a new epoch with every transaction: the marker
carries it, and what was sent before it can no longer be written after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ev.coordinators.deadlines import Deadlines
from ev.coordinators.decision import Caller, Now, Record, Reply
from ev.coordinators.patterns import Pattern, PatternError
from ev.coordinators.transaction_records import (
    NO_EPOCH,
    NO_PRODUCER_ID,
    NO_TIME,
    PREPARED,
    STATE_NAMES,
    State,
    TopicPartition,
    Transaction,
    by_topic,
    read_transaction_value,
    transaction_key,
    transaction_value,
)
from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k22_init_producer_id import InitProducerIdResponse
from ev.wire.messages.k26_end_txn import EndTxnResponse
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsResponse, TopicData, TransactionState
from ev.wire.messages.k66_list_transactions import ListTransactionsResponse
from ev.wire.messages.k66_list_transactions import TransactionState as ListedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.settings import Settings
    from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
    from ev.wire.messages.k26_end_txn import EndTxnRequest
    from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
    from ev.wire.messages.k66_list_transactions import ListTransactionsRequest

EPOCH_MAX: Final = 0x7FFF
EPOCH_LAST: Final = EPOCH_MAX - 1
"""The last epoch that a producer is given: one more is needed to fence it."""
EPOCH_BUMPING_FROM: Final = 5
"""The version of EndTxn from which on producers take a new epoch with every transaction."""
INIT_FENCED_FROM: Final = 4
FENCED_FROM: Final = 2

Method = Callable[[Any, Caller, Now], "TransactionDecision"]


@dataclass(slots=True)
class TransactionDecision:
    """The outcome of one event."""

    transactional_id: str | None
    #: What has to be written of it; the replies wait for that. `forget`: that there is no such id any more.
    transaction: Transaction | None = None
    forget: bool = False
    replies: list[Reply] = field(default_factory=list)
    #: Asked again when the transaction that is being ended has ended, if the log takes this decision.
    parked: tuple[Method, Any, Caller] | None = None

    def reply(self, caller: Caller, message: Any) -> TransactionDecision:
        self.replies.append(Reply(caller, message))
        return self

    def refuse(self, caller: Caller, error_code: int) -> TransactionDecision:
        return self.reply(caller, caller.error(error_code))


class Transactions:
    def __init__(self, settings: Settings, new_producer_id: Callable[[], int]) -> None:
        self._settings = settings
        self._new_producer_id = new_producer_id  # raises KafkaError
        self._transactions: dict[str, Transaction] = {}
        self._ids: dict[int, str] = {}  # by producer id
        self._last_epochs: dict[str, int] = {}  # the epoch before the current one, for who lost an answer; not in the log
        self._completing: dict[str, Transaction] = {}  # appended to the log, and not on disk yet
        self._parked: dict[str, list[tuple[Method, Any, Caller]]] = {}
        self._deadlines: Deadlines[str] = Deadlines()
        self._began_ms: dict[str, int] = {}  # when each open transaction began, by the monotonic clock

    def get(self, transactional_id: str) -> Transaction | None:
        return self._transactions.get(transactional_id)

    def ids(self) -> list[str]:
        return list(self._transactions)

    # ---- InitProducerId

    def init_producer_id(self, request: InitProducerIdRequest, caller: Caller, now: Now) -> TransactionDecision:
        transactional_id = request.transactional_id or ""
        decision = TransactionDecision(transactional_id)
        if not transactional_id:
            return decision.refuse(caller, ErrorCode.INVALID_REQUEST)
        if not 0 < request.transaction_timeout_ms <= self._settings.transaction_max_timeout_ms:
            return decision.refuse(caller, ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        known = self._transactions.get(transactional_id)
        fenced = ErrorCode.PRODUCER_FENCED if caller.version >= INIT_FENCED_FROM else ErrorCode.INVALID_PRODUCER_EPOCH
        try:
            if known is None:
                decision.transaction = Transaction(self._new_producer_id(), 0, request.transaction_timeout_ms, updated_ms=now.wall_ms)
            elif request.producer_id != NO_PRODUCER_ID and not _is_expected(known, request):
                return decision.refuse(caller, fenced)
            elif known.state is State.ONGOING:
                decision.transaction = self._fenced(transactional_id, known, now)
                decision.parked = (self.init_producer_id, request, caller)
                return decision
            elif known.state in PREPARED:
                decision.parked = (self.init_producer_id, request, caller)
                return decision
            else:
                renewed = self._renewed(transactional_id, known, request, now)
                if renewed is None:
                    return decision.refuse(caller, fenced)
                decision.transaction = renewed
        except KafkaError as error:  # no producer id is to be had
            return decision.refuse(caller, error.code)
        response = InitProducerIdResponse(producer_id=decision.transaction.producer_id, producer_epoch=decision.transaction.epoch)
        return decision.reply(caller, response)

    def _renewed(self, transactional_id: str, known: Transaction, request: InitProducerIdRequest, now: Now) -> Transaction | None:
        """The id with an epoch that nobody has had; None when the producer that asks has been overtaken by another."""
        expected = request.producer_epoch if request.producer_id != NO_PRODUCER_ID else None
        last_epoch = self._last_epochs.get(transactional_id, NO_EPOCH)
        empty = known._replace(
            state=State.EMPTY,
            partitions=frozenset(),
            timeout_ms=request.transaction_timeout_ms,
            started_ms=NO_TIME,
            updated_ms=now.wall_ms,
            next_producer_id=NO_PRODUCER_ID,
        )
        if known.epoch >= EPOCH_LAST and expected in (None, known.epoch):
            self._last_epochs[transactional_id] = NO_EPOCH if expected is None else known.epoch
            return empty._replace(producer_id=self._new_producer_id(), epoch=0, previous_producer_id=known.producer_id)
        if expected is None:
            self._last_epochs[transactional_id] = NO_EPOCH
        elif expected == known.epoch:
            self._last_epochs[transactional_id] = known.epoch
        elif expected == last_epoch and expected != NO_EPOCH:
            return empty._replace(epoch=known.epoch)  # it did not get the answer to its last request
        else:
            return None
        return empty._replace(epoch=known.epoch + 1)

    # ---- what belongs to a transaction

    def add_partitions(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        partitions: Iterable[TopicPartition],
        now: Now,
        *,
        client_version: int = 0,
    ) -> Transaction | None:
        """The transaction with these partitions, to be written before any of them is; None when they are all in it already.

        Raises KafkaError: PRODUCER_FENCED in any version of any request; who asks turns it into what the client knows.
        """
        if not transactional_id:
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        known = self._checked(transactional_id, producer_id, epoch)
        added = known.partitions | frozenset(partitions) if known.state is State.ONGOING else frozenset(partitions)
        if known.state is State.ONGOING and added == known.partitions:
            return None
        started_ms = known.started_ms if known.state is State.ONGOING else now.wall_ms
        return known._replace(
            state=State.ONGOING, partitions=added, started_ms=started_ms, updated_ms=now.wall_ms, client_version=client_version
        )

    def verify(self, transactional_id: str, producer_id: int, epoch: int, partition: TopicPartition) -> None:
        """Whether the producer's open transaction has this partition. Raises KafkaError (TRANSACTION_ABORTABLE when it has not)."""
        known = self._checked(transactional_id, producer_id, epoch)
        if known.state is not State.ONGOING or partition not in known.partitions:
            raise KafkaError(
                ErrorCode.TRANSACTION_ABORTABLE, f"{partition[0]}-{partition[1]} is not in the transaction of {transactional_id!r}"
            )

    def _checked(self, transactional_id: str, producer_id: int, epoch: int) -> Transaction:
        known = self._transactions.get(transactional_id)
        if known is None or known.producer_id != producer_id:
            raise KafkaError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if known.epoch != epoch:
            raise KafkaError(ErrorCode.PRODUCER_FENCED)
        if known.state in PREPARED:
            raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS)
        return known

    # ---- EndTxn

    def end(self, request: EndTxnRequest, caller: Caller, now: Now) -> TransactionDecision:
        decision = TransactionDecision(request.transactional_id)
        known = self._transactions.get(request.transactional_id)
        if not request.transactional_id:
            return decision.refuse(caller, ErrorCode.INVALID_REQUEST)
        if known is None:
            return decision.refuse(caller, ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        bumps = caller.version >= EPOCH_BUMPING_FROM
        resent = bumps and self._is_resent(request, known)
        if known.producer_id != request.producer_id and not resent:
            return decision.refuse(caller, ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if not resent and request.producer_epoch != known.epoch:
            return decision.refuse(caller, ErrorCode.PRODUCER_FENCED if caller.version >= FENCED_FROM else ErrorCode.INVALID_PRODUCER_EPOCH)
        return self._end(known, request, caller, now, decision, bumps=bumps, resent=resent)

    def _is_resent(self, request: EndTxnRequest, known: Transaction) -> bool:
        """Whether the producer asks again for what was done, because it did not get the answer: it does not know its new epoch."""
        if known.state in (State.EMPTY, State.ONGOING):
            return False
        if request.producer_id == known.producer_id:
            return request.producer_epoch == known.epoch - 1
        return request.producer_id == known.previous_producer_id and request.producer_epoch == EPOCH_LAST and known.epoch == 0

    def _end(
        self,
        known: Transaction,
        request: EndTxnRequest,
        caller: Caller,
        now: Now,
        decision: TransactionDecision,
        *,
        bumps: bool,
        resent: bool,
    ) -> TransactionDecision:
        asked_again = known.commits == request.committed and (resent or not bumps)
        if known.state is State.ONGOING:
            try:
                decision.transaction = self._prepared(known, request.committed, now, bumps=bumps)
            except KafkaError as error:
                return decision.refuse(caller, error.code)
            decision.parked = (self.end, request, caller)
        elif known.state in PREPARED:
            if known.commits != request.committed:
                return decision.refuse(caller, ErrorCode.INVALID_TXN_STATE)
            decision.parked = (self.end, request, caller)
        elif known.state is not State.EMPTY and asked_again:
            return self._ended(request, caller, now)
        elif bumps and not resent and not request.committed:
            # Nothing was written in this transaction; the producer gets its new epoch all the same.
            try:
                decision.transaction = self._prepared(known._replace(partitions=frozenset()), False, now, bumps=True)
            except KafkaError as error:
                return decision.refuse(caller, error.code)
            decision.parked = (self.end, request, caller)
        else:
            return decision.refuse(caller, ErrorCode.INVALID_TXN_STATE)
        return decision

    def _prepared(self, known: Transaction, commits: bool, now: Now, *, bumps: bool) -> Transaction:
        """The transaction on its way to its end. Raises KafkaError when no producer id is to be had for what comes after it."""
        prepared = known._replace(
            state=State.PREPARE_COMMIT if commits else State.PREPARE_ABORT,
            updated_ms=now.wall_ms,
            started_ms=known.started_ms if known.partitions else now.wall_ms,
            client_version=2 if bumps else known.client_version,
        )
        if not bumps:
            return prepared
        next_id = self._new_producer_id() if known.epoch >= EPOCH_LAST else NO_PRODUCER_ID
        return prepared._replace(epoch=min(known.epoch + 1, EPOCH_MAX), next_producer_id=next_id)

    def _fenced(self, transactional_id: str, known: Transaction, now: Now) -> Transaction:
        """The transaction on its way to be aborted, out of the hands of the producer that has it."""
        self._last_epochs.pop(transactional_id, None)
        epoch = min(known.epoch + 1, EPOCH_MAX)
        return known._replace(state=State.PREPARE_ABORT, epoch=epoch, updated_ms=now.wall_ms, next_producer_id=NO_PRODUCER_ID)

    def _ended(self, request: EndTxnRequest, caller: Caller, now: Now) -> TransactionDecision:
        """The answer to EndTxn, when everything is done."""
        known = self._transactions[request.transactional_id]
        response = EndTxnResponse(producer_id=known.producer_id, producer_epoch=known.epoch)
        return TransactionDecision(request.transactional_id).reply(caller, response)

    def completed(self, transactional_id: str, now: Now) -> Transaction:
        """The markers of a prepared transaction are appended: what the log is to say next. It holds when `ended()` is called."""
        known = self._transactions[transactional_id]
        assert known.state in PREPARED, f"{transactional_id} is {known.state.name}"
        complete = known._replace(
            state=State.COMPLETE_COMMIT if known.commits else State.COMPLETE_ABORT,
            partitions=frozenset(),
            updated_ms=now.wall_ms,
            next_producer_id=NO_PRODUCER_ID,
        )
        if known.next_producer_id != NO_PRODUCER_ID:
            complete = complete._replace(producer_id=known.next_producer_id, previous_producer_id=known.producer_id, epoch=0)
        return complete

    def completing(self, transactional_id: str, complete: Transaction) -> None:
        """The log says so now. Until that is on disk nobody may go on from it."""
        self._completing[transactional_id] = complete

    def ended(self, transactional_id: str, now: Now) -> None:
        """The end of the transaction is on disk, all of it."""
        self._take(transactional_id, self._completing.pop(transactional_id), now)

    def park(self, transactional_id: str, parked: tuple[Method, Any, Caller]) -> None:
        self._parked.setdefault(transactional_id, []).append(parked)

    def unparked(self, transactional_id: str) -> list[tuple[Method, Any, Caller]]:
        """Who waited for the end of this transaction; each method is to be called now, in this order."""
        return self._parked.pop(transactional_id, [])

    # ---- questions

    def describe(self, request: DescribeTransactionsRequest, caller: Caller, now: Now) -> TransactionDecision:
        states = [self._described(transactional_id) for transactional_id in request.transactional_ids]
        return TransactionDecision(None).reply(caller, DescribeTransactionsResponse(transaction_states=states))

    def _described(self, transactional_id: str) -> TransactionState:
        known = self._transactions.get(transactional_id)
        if known is None:
            code = ErrorCode.TRANSACTIONAL_ID_NOT_FOUND if transactional_id else ErrorCode.INVALID_REQUEST
            return TransactionState(error_code=code, transactional_id=transactional_id, topics=[])
        return TransactionState(
            transactional_id=transactional_id,
            transaction_state=STATE_NAMES[known.state],
            transaction_timeout_ms=known.timeout_ms,
            transaction_start_time_ms=known.started_ms,
            producer_id=known.producer_id,
            producer_epoch=known.epoch,
            topics=[TopicData(topic, partitions) for topic, partitions in by_topic(known.partitions).items()],
        )

    def list_transactions(self, request: ListTransactionsRequest, caller: Caller, now: Now) -> TransactionDecision:
        names = set(STATE_NAMES.values())
        unknown = [state for state in request.state_filters if state not in names]
        try:
            pattern = Pattern(request.transactional_id_pattern) if request.transactional_id_pattern else None
        except PatternError:
            return TransactionDecision(None).refuse(caller, ErrorCode.INVALID_REGULAR_EXPRESSION)
        listed = [
            ListedTransaction(transactional_id, known.producer_id, STATE_NAMES[known.state])
            for transactional_id, known in self._transactions.items()
            if (not request.state_filters or STATE_NAMES[known.state] in request.state_filters)
            and (not request.producer_id_filters or known.producer_id in request.producer_id_filters)
            and (request.duration_filter < 0 or now.wall_ms - known.started_ms > request.duration_filter)
            and (pattern is None or pattern.matches(transactional_id))
        ]
        return TransactionDecision(None).reply(caller, ListTransactionsResponse(unknown_state_filters=unknown, transaction_states=listed))

    def holds(self, producer_id: int, partition: TopicPartition) -> bool:
        """Whether a transaction of this producer that has the partition is open, or on its way to its end."""
        known = self._transactions.get(self._ids.get(producer_id, ""))
        return known is not None and known.state in (State.ONGOING, *PREPARED) and partition in known.partitions

    # ---- time

    def next_deadline_ms(self) -> int | None:
        """The monotonic time at which to call `pass_time`; None when nothing can come due."""
        return self._deadlines.next_ms()

    def pass_time(self, now: Now) -> TransactionDecision | None:
        """What the next deadline that has come brings about; None when there is none left. Call until then."""
        transactional_id = self._deadlines.pop_due(now.monotonic_ms)
        if transactional_id is None:
            return None
        decision = TransactionDecision(transactional_id)
        known = self._transactions.get(transactional_id)
        if known is None or known.state in PREPARED:
            return decision
        if known.state is State.ONGOING:
            decision.transaction = self._fenced(transactional_id, known, now)
        elif now.wall_ms < self._forgotten_ms(known):
            self._expect(transactional_id, known, now)
        else:
            decision.forget = True
        return decision

    def _forgotten_ms(self, known: Transaction) -> int:
        """The wall clock's time at which an id that nobody uses is forgotten."""
        return known.updated_ms + self._settings.transactional_id_expiration_ms

    def _expect(self, transactional_id: str, known: Transaction, now: Now) -> None:
        """Set the deadline at which an open transaction is aborted, or an id forgotten.

        A transaction's age is measured by the clock that never jumps. Only that of one that an earlier run has begun is what the wall
        clock says, and then not more than its time-out: it would stay open as long as that clock is behind.
        """
        if known.state is State.ONGOING:
            age_ms = min(max(now.wall_ms - known.started_ms, 0), known.timeout_ms)
            began_ms = self._began_ms.setdefault(transactional_id, now.monotonic_ms - age_ms)
            self._deadlines.set(transactional_id, began_ms + known.timeout_ms)
            return
        self._began_ms.pop(transactional_id, None)
        if known.state in PREPARED:
            self._deadlines.cancel(transactional_id)
        else:
            self._deadlines.set(transactional_id, now.monotonic_ms + max(self._forgotten_ms(known) - now.wall_ms, 1))

    def try_again(self, transactional_id: str, now: Now, delay_ms: int) -> None:
        """What was due could not be written: let it come due again."""
        self._deadlines.set(transactional_id, now.monotonic_ms + delay_ms)

    # ---- the log

    def replay(self, transactional_id: str, value: bytes | None, now: Now) -> None:
        """Take over one record of the log: at the start all of them, later each one as soon as it is appended. Raises MalformedError."""
        self._take(transactional_id, None if value is None else read_transaction_value(value), now)

    def _take(self, transactional_id: str, transaction: Transaction | None, now: Now) -> None:
        before = self._transactions.pop(transactional_id, None)
        if before is not None and self._ids.get(before.producer_id) == transactional_id:
            del self._ids[before.producer_id]
        if transaction is None or transaction.state is State.DEAD:
            self._deadlines.cancel(transactional_id)
            self._began_ms.pop(transactional_id, None)
            self._last_epochs.pop(transactional_id, None)
            return
        self._transactions[transactional_id] = transaction
        self._ids[transaction.producer_id] = transactional_id
        self._expect(transactional_id, transaction, now)

    def records_of(self, transactional_id: str) -> list[Record]:
        """What the log must say of it."""
        known = self._completing.get(transactional_id) or self._transactions.get(transactional_id)
        return [] if known is None else [Record(transactional_id, transaction_key(transactional_id), transaction_value(known))]

    def pending_records_of(self, transactional_id: str) -> dict[int, list[Record]]:
        """No transaction writes to this log."""
        return {}

    # ---- what a crash has left

    def decided(self, transactional_id: str, commits: bool, epoch: int, now: Now) -> Transaction:
        """The open transaction on its way to the end that one of its markers, which has this epoch, says it was to have.

        Raises KafkaError when no producer id is to be had for what comes after it.
        """
        known = self._transactions[transactional_id]
        prepared = self._prepared(known, commits, now, bumps=commits and epoch > known.epoch)
        return prepared._replace(epoch=epoch)

    def committed(self, producer_id: int, epoch: int) -> int | None:
        """The epoch of the markers of the committed transaction in which this producer wrote with this epoch; None: there is none.

        It counts only as long as nothing has followed it.
        """
        for known in self._transactions.values():
            if known.state is State.COMPLETE_COMMIT and _last_written(known) == (producer_id, epoch):
                return known.epoch if known.producer_id == producer_id else EPOCH_MAX
        return None

    def prepared(self) -> list[str]:
        """The ids whose transactions are on their way to their ends: at the start, those that a crash has stopped there."""
        return [transactional_id for transactional_id, known in self._transactions.items() if known.state in PREPARED]


def _is_expected(known: Transaction, request: InitProducerIdRequest) -> bool:
    """Whether the producer that asks for a new epoch is the one that the id has, or had until its epochs were used up."""
    if request.producer_id == known.producer_id:
        return True
    return request.producer_id == known.previous_producer_id and request.producer_epoch >= EPOCH_LAST


def _last_written(known: Transaction) -> tuple[int, int]:
    """The producer id and the epoch with which a complete transaction was written: in version 2 it has got others since."""
    if known.client_version < 2:
        return known.producer_id, known.epoch
    if known.epoch == 0:
        return known.previous_producer_id, EPOCH_LAST
    return known.producer_id, known.epoch - 1
