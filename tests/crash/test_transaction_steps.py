"""A transactional copy is interrupted before every single change of its disk, by a kill and by a power cut, in both versions.

What the next start finds must be all of a transaction or nothing of it, offsets included; what was answered is there; no partition
is left with a transaction that nobody will end. And the client, which lives on and sends its last request again, gets through.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import pytest

from ev.broker.transaction_runtime import TransactionRuntime
from ev.clock import ManualClock
from ev.coordinators.transaction_records import State
from ev.errors import ErrorCode
from ev.log.partition import Partition
from ev.log.transactions import read_marker
from ev.wire.codec import Message
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k26_end_txn import EndTxnRequest
from support.raw_transactions import TransactionalProducer, committed_offset, read_committed
from support.simulated_broker import SimulatedBroker, SimulatedClient
from support.simulated_disk import SimulatedDisk

GROUP, SOURCE, TARGET = "copier", "source", "target"
SETTINGS = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1", "ev.checkpoint.interval.ms": "150"}
POWER_CUTS = 2  # images of each moment


class Step(NamedTuple):
    """What the copier does next: `begin`, `write` to a partition, `offset`, `commit` or `abort`."""

    what: str
    transaction: int
    partition: int = 0


def steps() -> list[Step]:
    plan = [Step("begin", 0)]
    for transaction, end in enumerate(("commit", "abort", "commit", "commit")):
        plan += [Step("write", transaction, 0), Step("write", transaction, 1), Step("offset", transaction), Step(end, transaction)]
    return plan


PLAN = steps()
COMMITTED = [step.transaction for step in PLAN if step.what == "commit"]


def value_of(transaction: int) -> bytes:
    return b"of transaction %d" % transaction


class Copier:
    """The client, and the broker that it works with."""

    def __init__(self, disk: SimulatedDisk, version: int, clock: ManualClock) -> None:
        self.disk = disk
        self.clock = clock
        self.broker = SimulatedBroker(disk, seed=clock.wall_ms(), settings=SETTINGS, clock=clock)
        self.broker.store.metadata.services.may_wait = True  # small batches may wait in memory, as when the reserve is there
        self.producer = TransactionalProducer(self.ask, "copier", version, wall_ms=clock.wall_ms)
        self.at = 0  # the step that is being done
        self.client: SimulatedClient | None = None
        self.token = 0

    def ask(self, request: Message, version: int) -> Any:
        self.client = self.broker.connect()
        self.token = self.client.send(request, version)
        self.broker.world.settle()
        return self.client.replies[self.token]

    @property
    def is_answered(self) -> bool:
        """Whether the request under way has its answer."""
        return self.client is not None and self.token in self.client.replies

    def do(self, step: Step) -> int:
        """The error code."""
        match step.what:
            case "begin":
                return self.producer.begin()
            case "write":
                return self.producer.write(TARGET, step.partition, value_of(step.transaction))
            case "offset":
                return self.producer.commit_offset(GROUP, SOURCE, 0, step.transaction + 1)
            case end:
                return self.producer.end(commit=end == "commit")

    def run(self, first: int = 0) -> int:
        """Do what is left of the plan, up to the first error; its code."""
        for self.at in range(first, len(PLAN)):
            code = self.do(PLAN[self.at])
            if code:
                return code
            self.broker.world.advance(60)  # flushes and checkpoints come in between
            self.broker.world.settle()
        return 0

    def seen(self) -> tuple[list[list[bytes | None]], int]:
        """(what a reader of committed records sees of each partition, the committed offset)."""
        values = [read_committed(self.ask, TARGET, index) for index in (0, 1)]
        return values, committed_offset(self.ask, GROUP, SOURCE, 0)[0]


class Interrupted:
    """A copy that is interrupted before every change; `problems` says what was not as it must be."""

    def __init__(self, version: int, seed: int) -> None:
        self.version = version
        self.random = Random(seed)
        self.problems: list[str] = []
        self.moments = self.images = self.judged_open = self.fenced = 0
        self.disk = SimulatedDisk(["/data"])
        self.copier = Copier(self.disk, version, ManualClock())
        topics = [CreatableTopic(name=SOURCE, num_partitions=1, replication_factor=1)]
        topics.append(CreatableTopic(name=TARGET, num_partitions=2, replication_factor=1))
        self.copier.ask(CreateTopicsRequest(topics=topics, timeout_ms=10_000), 5)
        self.copier.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=[GROUP]), 4)
        self.before = copy.copy(self.copier.producer)

    def run(self) -> None:
        self.disk.before_change = self.moment
        original = self.copier.do

        def do(step: Step) -> int:
            self.before = self.forked(self.copier.producer)
            return original(step)

        self.copier.do = do  # type: ignore[method-assign]
        assert self.copier.run() == 0
        self.disk.before_change = None
        values, offset = self.copier.seen()
        assert values == [[value_of(each) for each in COMMITTED]] * 2
        assert offset == COMMITTED[-1] + 1

    @staticmethod
    def forked(producer: TransactionalProducer) -> TransactionalProducer:
        other = copy.copy(producer)
        other.sequences, other.added = dict(producer.sequences), set(producer.added)
        return other

    def moment(self, operation: str, path: str) -> None:
        self.moments += 1
        if self.problems:
            return
        where = f"version {self.version}, step {self.copier.at} {PLAN[self.copier.at]}, before change {self.moments}, {operation} {path}"
        at, answered = self.copier.at, self.copier.is_answered
        self.judge(self.disk.killed_image(), f"killed: {where}", at, answered, killed=True)
        for _ in range(POWER_CUTS):
            seed = self.random.getrandbits(32)
            self.judge(self.disk.crash_image(Random(seed)), f"power cut {seed}: {where}", at, answered, killed=False)

    def judge(self, image: SimulatedDisk, where: str, at: int, answered: bool, *, killed: bool) -> None:
        self.images += 1
        found = Copier(image, self.version, ManualClock(self.copier.clock.wall_ms() + 1000))
        found.broker.world.settle()
        problems = self.state_problems(found, at, answered)
        found.producer = self.forked(self.before)
        found.producer.ask, found.producer.wall_ms = found.ask, found.clock.wall_ms
        if not problems:
            problems = self.going_on_problems(found, at, killed=killed)
        self.problems += [f"{where}: {problem}" for problem in problems]

    def state_problems(self, found: Copier, at: int, answered: bool) -> Iterator[str] | list[str]:
        values, offset = found.seen()
        if values[0] != values[1]:
            return [f"half a transaction is seen: {values}"]
        step = PLAN[at]
        done = [each.transaction for each in PLAN[: at + answered] if each.what == "commit"]
        possible = [done] if step.what != "commit" or answered else [done, [*done, step.transaction]]
        seen = [each for each in range(4) if value_of(each) in values[0]]
        if seen not in possible or len(values[0]) != len(seen):
            return [f"transactions {seen} are seen, {possible} may be: {values}"]
        if offset != (seen[-1] + 1 if seen else -1):
            return [f"the offset is {offset}, transactions {seen} are seen"]
        coordinator = found.broker.broker.transactions.transactions
        for partition in found.broker.store.partitions():
            for producer_id in partition.transactions.open:
                self.judged_open += 1
                if not coordinator.holds(producer_id, (partition.topic, partition.index)):
                    return [f"{partition.name} has a transaction open that nobody knows of"]
        return []

    def going_on_problems(self, found: Copier, at: int, *, killed: bool) -> list[str]:
        """The client sends its last request again and goes on."""
        code = found.run(at)
        if code == ErrorCode.INVALID_PRODUCER_EPOCH and not killed and self.version == 2:
            # The power cut took the coordinator's word and left what was written to a partition: that was aborted, and the producer is
            # told so. It aborts the rest, and begins this transaction anew.
            self.fenced += 1
            code = found.producer.end(commit=False)
            if code == 0:
                code = found.run(next(number for number, step in enumerate(PLAN[1:], 1) if step.transaction == PLAN[found.at].transaction))
        if code:
            return [f"the client does not get through: step {found.at} {PLAN[found.at]} ends with error {code}"]
        values, offset = found.seen()
        if values != [[value_of(each) for each in COMMITTED]] * 2 or offset != COMMITTED[-1] + 1:
            return [f"in the end {values} are seen, with offset {offset}"]
        for partition in found.broker.store.partitions():
            if partition.last_stable_offset != partition.high_watermark:
                return [f"in the end {partition.name} is stable up to {partition.last_stable_offset} of {partition.high_watermark} only"]
        return []


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [1, 2])
def test_a_transaction_survives_a_crash_before_every_change(version: int, record_property: Callable[[str, object], None]) -> None:
    """Whole or not at all, and the client gets through."""
    life = Interrupted(version, seed=7)
    life.run()
    assert life.problems == [], f"{len(life.problems)}: {life.problems[:3]}"
    assert life.moments > 60
    assert life.judged_open > 20, "transactions were to be found open"
    record_property("transaction_crash_images", life.images)


@pytest.mark.crash
@pytest.mark.parametrize("version", [1, 2])
def test_the_end_is_answered_when_nothing_of_it_can_be_lost(version: int) -> None:
    """All of it in one round. A start that finds Prepare alone writes the markers again, in version 2 with the epoch that the producer
    goes on with: they would end, and commit, whatever the producer has begun since.
    """
    disk = SimulatedDisk(["/data"])
    copier = copier_with_an_open_transaction(disk, version)
    world, client = copier.broker.world, copier.broker.connect()
    token = send_commit(copier, client, version)
    rounds = 0
    while token not in client.replies and (world.soon or world.commits):
        if world.soon:
            world.turn()
        else:
            world.run_commit()
            rounds += 1
    assert client.replies[token].error_code == 0
    assert rounds == 1, "Prepare, the markers and Complete are on disk together"
    for seed in range(20):
        found = Copier(disk.crash_image(Random(seed)), version, ManualClock(copier.clock.wall_ms() + 1000))
        transaction = found.broker.broker.transactions.transactions.get("copier")
        assert transaction is not None
        assert transaction.state is State.COMPLETE_COMMIT, f"power cut {seed}"


def copier_with_an_open_transaction(disk: SimulatedDisk, version: int) -> Copier:
    copier = Copier(disk, version, ManualClock())
    copier.ask(CreateTopicsRequest(topics=[CreatableTopic(name=TARGET, num_partitions=2, replication_factor=1)], timeout_ms=10_000), 5)
    assert copier.do(Step("begin", 0)) == 0
    assert [copier.do(Step("write", 0, index)) for index in (0, 1)] == [0, 0]
    return copier


def send_commit(copier: Copier, client: SimulatedClient, version: int) -> int:
    producer = copier.producer
    return client.send(EndTxnRequest("copier", producer.producer_id, producer.epoch, committed=True), 5 if version == 2 else 3)


def halves_after_another_producer_came(version: int) -> list[str]:
    """What is seen after power cuts of which each comes while a commit is on its way to the disk and another producer takes the id over."""
    disk = SimulatedDisk(["/data"])
    copier = copier_with_an_open_transaction(disk, version)
    client = copier.broker.connect()
    send_commit(copier, client, version)
    client.send(InitProducerIdRequest(transactional_id="copier", transaction_timeout_ms=60_000), 4)
    copier.broker.world.turn()
    problems = []
    for seed in range(60):
        found = Copier(disk.crash_image(Random(seed)), version, ManualClock(copier.clock.wall_ms() + 1000))
        found.broker.world.settle()
        values = [read_committed(found.ask, TARGET, index) for index in (0, 1)]
        if values[0] != values[1]:
            problems.append(f"power cut {seed}: {values}")
    return problems


@pytest.mark.crash
@pytest.mark.parametrize("version", [1, 2])
def test_another_producer_waits_until_the_last_transaction_has_ended_on_disk(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the start finds the new one's state, and aborts where the marker was lost what is committed where it was not."""
    assert halves_after_another_producer_came(version) == []
    go_on_at_once(monkeypatch)
    assert halves_after_another_producer_came(version), "the test sees it when nobody waits"


def committed_after_a_change_of_version(seed: int) -> tuple[list[bytes | None], list[bytes | None]]:
    """What is seen after a power cut in the first write of version 2, behind a transaction of version 1; and whether it was answered."""
    disk = SimulatedDisk(["/data"])
    copier = copier_with_an_open_transaction(disk, 1)
    assert copier.do(Step("commit", 0)) == 0
    copier.producer.version = 2
    copier.broker.store.metadata.services.may_wait = False  # the batch is in its file before the journal has anything
    client = copier.broker.connect()
    client.send(copier.producer.produce_request(TARGET, 0, b"of nobody"), 12)
    copier.broker.world.turn()
    found = Copier(disk.crash_image(Random(seed)), 2, ManualClock(copier.clock.wall_ms() + 1000))
    found.broker.world.settle()
    assert copier.producer.write(TARGET, 0, b"of transaction 1") == 0, "told to come again, the producer gets through"
    return read_committed(found.ask, TARGET, 0), read_committed(found.ask, TARGET, 1)


@pytest.mark.crash
def test_the_first_transaction_of_version_2_is_not_taken_for_the_last_of_version_1() -> None:
    """They have the same epoch: what the first one has written must not be there while the log does not say that it has begun."""
    for seed in range(40):
        assert committed_after_a_change_of_version(seed) == ([value_of(0)], [value_of(0)])


@pytest.mark.crash
def test_a_producer_id_that_some_transactional_id_has_is_not_given_again() -> None:
    """Even when the power cut left the id's state and took the claim of the block of producer ids."""
    before = Copier(SimulatedDisk(["/data"]), 1, ManualClock())
    before.ask(InitProducerIdRequest(transactional_id="another", transaction_timeout_ms=60_000), 4)
    left = 0
    for seed in range(60):
        copier = Copier(before.disk.killed_image(), 1, ManualClock())  # the first id of a life claims a block
        copier.broker.world.settle()
        copier.broker.connect().send(InitProducerIdRequest(transactional_id="copier", transaction_timeout_ms=60_000), 4)
        copier.broker.world.turn()
        found = Copier(copier.disk.crash_image(Random(seed)), 1, ManualClock(copier.clock.wall_ms() + 1000))
        known = found.broker.broker.transactions.transactions.get("copier")
        other = found.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4)
        assert known is None or other.producer_id > known.producer_id, f"power cut {seed}"
        left += known is not None
    assert left, "some power cuts leave the state"


def go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction counts as ended before its end is on disk."""
    monkeypatch.setattr(TransactionRuntime, "_when_on_disk", lambda self, number, step: step())


def answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the coordinator has decided is answered before it is on disk."""
    go_on_at_once(monkeypatch)
    monkeypatch.setattr("ev.broker.internal_topic.InternalTopic.round_of", lambda self, names: 0)


def forget_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start does not look for markers whose decision is not there."""
    monkeypatch.setattr(TransactionRuntime, "_prepare_decided", lambda self: None)


def believe_every_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A marker is taken for the end of the open transaction, whichever transaction it has ended."""
    monkeypatch.setattr("ev.log.recovery.read_marker", lambda batch: read_marker(batch)._replace(decided_at=1 << 40))  # type: ignore[union-attr]


def abort_all_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no marker is aborted, although its transaction is complete."""
    monkeypatch.setattr("ev.coordinators.transactions.Transactions.committed", lambda self, producer_id, epoch: None)


def forget_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash has stopped on its way to its end stays there."""
    monkeypatch.setattr("ev.coordinators.transactions.Transactions.prepared", lambda self: [])


def forget_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are not told what was aborted."""
    monkeypatch.setattr(Partition, "aborted_transactions", lambda self, start, end: [])


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "fault", [answer_at_once, forget_markers, believe_every_marker, abort_all_strangers, forget_prepared, forget_aborted]
)
def test_seeded_faults_are_seen(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge above is worth something: each of these it must catch, in one of a few lives."""
    fault(monkeypatch)
    assert any(problems_of(Interrupted(version, seed=7)) for version in (1, 2))


def problems_of(life: Interrupted) -> list[str]:
    try:
        life.run()
    except (AssertionError, LookupError) as problem:  # what is not answered is not found
        life.problems.append(str(problem))
    return life.problems
