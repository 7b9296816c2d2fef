"""Carries out what the transaction coordinator decides, and writes the markers that end a transaction.

What waits for what:

    Ongoing, with the partitions                            appended ──synced──> AddPartitions answered, the producer writes to them
    PrepareCommit or PrepareAbort, a marker in every
    partition, then CompleteCommit or CompleteAbort         appended ──synced──> EndTxn answered, the producer goes on

The three steps of an end are in one commit round, and a power cut may leave any of them without the others. Whatever it leaves, all
of it says how the transaction was to end, and the start brings it there before anybody is served:

    Prepare, not Complete       the markers are written again
    a marker, not Prepare       the marker says what was decided, and (`decided_at`) that it was decided about this transaction
    Complete, not a marker      what its producer wrote and no marker has ended belongs to what is complete: it gets its marker

That holds because nobody goes on from the end before all of it is on disk: until then the coordinator's state is Prepare.

One node sees both sides, so every other transaction that is open in some partition and that the coordinator knows nothing of is
aborted at the start: nobody else ever would.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ev.broker.alarm import Alarm
from ev.broker.internal_topic import InternalTopic
from ev.broker.renewal import Renewal
from ev.broker.replay import newest
from ev.broker.runtime import Amended
from ev.broker.topics import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from ev.coordinators.decision import Caller, Now
from ev.coordinators.transaction_records import (
    PREPARED,
    State,
    TopicPartition,
    Transaction,
    read_transaction_key,
    transaction_key,
    transaction_value,
)
from ev.coordinators.transactions import EPOCH_MAX, TransactionDecision, Transactions
from ev.errors import ErrorCode, KafkaError, MalformedError
from ev.log.transactions import Marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.log.partition import Partition

logger = logging.getLogger(__name__)

RETRY_MS: Final = 1000
NOTHING_FOUND: Final = (Marker(False, -1), -1)


class TransactionRuntime:
    """The transaction coordinator in its broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.transactions = Transactions(broker.settings, self._new_producer_id)
        self.topic = InternalTopic(broker, TRANSACTIONS_TOPIC, broker.new_transactions_topic)
        self._alarm = Alarm(broker.runtime, self.transactions.next_deadline_ms, self._pass_time)
        self._renewals: dict[int, Renewal] = {}
        self._newest: dict[str, int] = {}  # the offset of the newest record of each id
        self._first_of_version_2: dict[str, int] = {}  # the round of Ongoing, where one of version 1 came before

    def start(self) -> None:
        """Learn all transactional ids from the log, and end what a crash has left open."""
        now = self._now()
        for partition in self.topic.partitions():
            for key, value, _, offset in newest(partition):
                try:
                    transactional_id = read_transaction_key(key)
                    if transactional_id is not None:
                        self.transactions.replay(transactional_id, value, now)
                        self._newest[transactional_id] = offset
                except MalformedError as error:
                    logger.error("%s-%d holds a record that does not parse: %s", partition.topic, partition.index, error)
        for transactional_id in self.transactions.ids():
            known = self.transactions.get(transactional_id)
            if known is not None:
                self._broker.producer_ids.in_use(max(known.producer_id, known.next_producer_id))
        self._prepare_decided()
        for transactional_id in self.transactions.prepared():
            self._write_markers(transactional_id)
        self._end_strangers()
        self._alarm.arm()

    def _prepare_decided(self) -> None:
        """A marker is there and Prepare is not: the transaction is on its way to the end that the marker says."""
        for transactional_id in self.transactions.ids():
            known = self.transactions.get(transactional_id)
            if known is None or known.state is not State.ONGOING:
                continue
            for topic, index in known.partitions:
                partition = self._broker.store.partition(topic, index)
                marker, epoch = partition.transactions.found.get(known.producer_id, NOTHING_FOUND) if partition else NOTHING_FOUND
                if epoch >= known.epoch and marker.decided_at >= self._newest[transactional_id]:
                    self._prepare(transactional_id, marker, epoch)
                    break
        for partition in self._broker.store.partitions():
            partition.transactions.found.clear()

    def _prepare(self, transactional_id: str, marker: Marker, epoch: int) -> None:
        now = self._now()
        logger.info("the transaction of %r goes on to the end that a crash has interrupted", transactional_id)
        try:
            self._write(transactional_id, self.transactions.decided(transactional_id, marker.commits, epoch, now), now)
        except KafkaError as error:
            logger.error("the end of the transaction of %r could not be written: %s", transactional_id, error)

    def _end_strangers(self) -> None:
        """End what is open in a partition and in no open transaction that the coordinator has."""
        for partition in self._broker.store.partitions():
            for producer_id in list(partition.transactions.open):
                if self.transactions.holds(producer_id, (partition.topic, partition.index)):
                    continue
                written = partition.producers.by_id[producer_id].epoch
                committed = self.transactions.committed(producer_id, written)
                # Aborted with a new epoch: what its producer may still send again must not be taken for what is in the log.
                epoch = min(written + 1, EPOCH_MAX) if committed is None else committed
                if committed is None:
                    logger.warning("%s: aborting a transaction of producer %d that no coordinator knows", partition.name, producer_id)
                try:
                    marker = self._marker(commits=committed is not None)
                    self.append_marker((partition.topic, partition.index), producer_id, epoch, marker)
                except KafkaError as error:
                    logger.error("%s: the transaction of producer %d stays open: %s", partition.name, producer_id, error)

    # ---- what handlers call

    def decide(
        self,
        call: Call,
        method: Callable[[Any, Caller, Now], TransactionDecision],
        error: Callable[[int], Any],
        *,
        creates: bool = False,
        amend: Callable[[Any], None] | None = None,
    ) -> None:
        """Have the coordinator decide about this request. `creates`: it may bring an id into being, so the log has to be there.

        `amend` changes the answer before it leaves.
        """
        token = call if amend is None else Amended(call, amend)
        caller = Caller(token, call.version, call.client_id, f"/{call.client_host}", error, (call.principal, call.client_host))
        request = call.request

        def run(error_code: int) -> None:
            if error_code:
                self._reply(TransactionDecision(None).refuse(caller, error_code))
            else:
                self._carry_out(method(request, caller, self._now()))

        if creates or self.topic.is_being_made:
            self.topic.when_ready(run)
        else:
            run(ErrorCode.NONE)

    def add_partitions(
        self, transactional_id: str, producer_id: int, epoch: int, partitions: Iterable[TopicPartition], *, client_version: int = 0
    ) -> int:
        """Let the producer's transaction have these partitions too; returns the round that an answer waits for. Raises KafkaError."""
        now = self._now()
        added = self.transactions.add_partitions(transactional_id, producer_id, epoch, partitions, now, client_version=client_version)
        if added is not None:
            self._write(transactional_id, added, now)
            self._alarm.arm()
        return self.topic.round_of((transactional_id,))

    def allow(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        place: TopicPartition,
        *,
        adds: bool,
        knows_abortable: bool,
    ) -> None:
        """See that the producer's transaction has this partition; `adds`: let it have it. Raises KafkaError as it is told to the client.

        In version 2 of transactions (KIP-890) writing to a partition adds it; before, it must have been added.
        """
        try:
            if adds:
                self._add_by_writing(transactional_id, producer_id, epoch, place)
            elif self._broker.settings.transaction_partition_verification_enable:
                self.transactions.verify(transactional_id, producer_id, epoch, place)
        except KafkaError as error:
            if error.code == ErrorCode.PRODUCER_FENCED:
                raise KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH, error.message) from error
            if error.code == ErrorCode.TRANSACTION_ABORTABLE and not knows_abortable:
                raise KafkaError(ErrorCode.INVALID_TXN_STATE, error.message) from error
            if error.code == ErrorCode.CONCURRENT_TRANSACTIONS and not adds:
                raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, "the producer's last transaction is still being ended") from error
            raise

    def _add_by_writing(self, transactional_id: str, producer_id: int, epoch: int, place: TopicPartition) -> None:
        """Let the transaction have a partition that is about to be written to. Raises KafkaError.

        After a transaction of version 1 this one has the same epoch. A start could not tell what is written now from what that one has
        left behind, so Ongoing has to be on disk before: the producer is told to come again.
        """
        before = self.transactions.get(transactional_id)
        self.add_partitions(transactional_id, producer_id, epoch, [place], client_version=2)
        if before is not None and before.state is State.COMPLETE_COMMIT and before.client_version < 2:
            self._first_of_version_2[transactional_id] = self.topic.round_of((transactional_id,))
        round_number = self._first_of_version_2.get(transactional_id)
        if round_number is not None:
            if round_number > self._broker.runtime.synced_round:
                raise KafkaError(ErrorCode.CONCURRENT_TRANSACTIONS, "the transaction's beginning is not on disk yet")
            del self._first_of_version_2[transactional_id]

    def append_marker(self, place: TopicPartition, producer_id: int, epoch: int, marker: Marker) -> int:
        """End the producer's transaction in one partition; returns the marker's round. Raises KafkaError."""
        topic, index = place
        if topic == OFFSETS_TOPIC:
            return self._broker.groups.end_transaction(index, producer_id, epoch, marker)
        partition = self._broker.partition(topic, index)
        return partition.append_marker(producer_id, epoch, marker, self._broker.clock.wall_ms()).round

    # ---- decisions

    def _carry_out(self, decision: TransactionDecision) -> None:
        transactional_id = decision.transactional_id
        now = self._now()
        if transactional_id is not None and (decision.transaction is not None or decision.forget):
            try:
                self._write(transactional_id, decision.transaction, now)
            except KafkaError as error:
                logger.warning("the state of transactional id %r could not be written: %s", transactional_id, error)
                self._refused(decision, now)
                return
        if decision.parked is not None and transactional_id is not None:
            self.transactions.park(transactional_id, decision.parked)
        self._alarm.arm()
        self._reply(decision)
        if transactional_id is not None and decision.transaction is not None and decision.transaction.state in PREPARED:
            self._write_markers(transactional_id)

    def _refused(self, decision: TransactionDecision, now: Now) -> None:
        """The log did not take it, so nothing of it has happened."""
        callers = [reply.caller for reply in decision.replies]
        if decision.parked is not None:
            callers.append(decision.parked[2])
        self._reply(self._refusal(callers, ErrorCode.COORDINATOR_NOT_AVAILABLE))
        if not callers and decision.transactional_id is not None:
            self.transactions.try_again(decision.transactional_id, now, RETRY_MS)
        self._alarm.arm()

    @staticmethod
    def _refusal(callers: Iterable[Caller], error_code: int) -> TransactionDecision:
        decision = TransactionDecision(None)
        for caller in callers:
            decision.refuse(caller, error_code)
        return decision

    def _reply(self, decision: TransactionDecision) -> None:
        ids = None if decision.transactional_id is None else (decision.transactional_id,)
        after = max(self.topic.round_of(ids), self._broker.metadata_round)  # a new producer id is in the metadata log
        for caller, message in decision.replies:
            caller.token.reply(message, after=after)

    def _write(self, transactional_id: str, transaction: Transaction | None, now: Now) -> None:
        """Append a state (None: that there is none) and replay it. Raises KafkaError, and then nothing has changed."""
        value = None if transaction is None else transaction_value(transaction)
        partition = self._append(transactional_id, value, now)
        self.transactions.replay(transactional_id, value, now)
        self._renewal(partition).appended()
        if transaction is None:
            self._newest.pop(transactional_id, None)
            self._first_of_version_2.pop(transactional_id, None)

    def _append(self, transactional_id: str, value: bytes | None, now: Now) -> Partition:
        partition = self.topic.partition(self.topic.index_of(transactional_id))
        self._newest[transactional_id] = partition.append_records([(transaction_key(transactional_id), value)], now.wall_ms).last_offset
        return partition

    def _renewal(self, partition: Partition) -> Renewal:
        known = self._renewals.get(partition.index)
        if known is None:

            def ids() -> list[str]:
                return [each for each in self.transactions.ids() if self.topic.index_of(each) == partition.index]

            known = self._renewals[partition.index] = Renewal(partition, self._broker.runtime, ids, self.transactions)
        return known

    # ---- the end of a transaction

    def _marker(self, *, commits: bool, decided_at: int = -1) -> Marker:
        return Marker(commits, self._broker.store.epoch, decided_at)

    def _write_markers(self, transactional_id: str) -> None:
        """A transaction was prepared: write its markers, and go on when all of them are appended."""
        transaction = self.transactions.get(transactional_id)
        assert transaction is not None, "an id with a prepared transaction is not forgotten"
        marker = self._marker(commits=transaction.commits, decided_at=self._newest[transactional_id])
        missing = False
        for place in sorted(transaction.partitions):
            try:
                self.append_marker(place, transaction.producer_id, transaction.epoch, marker)
            except KafkaError as error:
                if error.code in (
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    ErrorCode.COORDINATOR_NOT_AVAILABLE,
                    ErrorCode.INVALID_PRODUCER_EPOCH,
                ):
                    continue  # the topic is gone, or a newer epoch has ended the transaction there
                logger.error("%s-%d takes no marker of transactional id %r: %s", *place, transactional_id, error)
                missing = True
        if missing:
            due_ms = self._broker.clock.monotonic_ms() + RETRY_MS
            self._broker.runtime.call_at(due_ms, lambda: self._write_markers(transactional_id))
        else:
            self._complete(transactional_id)

    def _complete(self, transactional_id: str) -> None:
        """The markers are appended."""
        now = self._now()
        complete = self.transactions.completed(transactional_id, now)
        try:
            partition = self._append(transactional_id, transaction_value(complete), now)
        except KafkaError as error:
            logger.warning("the end of a transaction of %r could not be written: %s", transactional_id, error)
            self._broker.runtime.call_at(now.monotonic_ms + RETRY_MS, lambda: self._complete(transactional_id))
            return
        self.transactions.completing(transactional_id, complete)
        self._renewal(partition).appended()
        self._when_on_disk(self._broker.committer.open_round, lambda: self._ended(transactional_id))

    def _when_on_disk(self, round_number: int, step: Callable[[], None]) -> None:
        self._broker.runtime.after_round(round_number, step)

    def _ended(self, transactional_id: str) -> None:
        """All of the transaction's end is on disk: who waits for it goes on."""
        self.transactions.ended(transactional_id, self._now())
        self._alarm.arm()
        for method, request, caller in self.transactions.unparked(transactional_id):
            self._carry_out(method(request, caller, self._now()))

    # ---- time

    def _now(self) -> Now:
        return Now(self._broker.clock.wall_ms(), self._broker.clock.monotonic_ms())

    def _pass_time(self) -> None:
        while (decision := self.transactions.pass_time(self._now())) is not None:
            if decision.transaction is not None:
                logger.info("the transaction of %r has timed out and is aborted", decision.transactional_id)
            self._carry_out(decision)

    def _new_producer_id(self) -> int:
        return self._broker.producer_id(self._broker.clock.wall_ms())


def client_code(error: KafkaError, *, knows_fenced: bool) -> int:
    """The error's code as a client of this version of its request knows it."""
    if error.code == ErrorCode.PRODUCER_FENCED and not knows_fenced:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return error.code
