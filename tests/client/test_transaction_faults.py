"""A transactional producer on brokers that refuse, fall silent and lose answers: what it asks, what it says, what it never commits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest

from ev.client.producer import Producer
from ev.errors import (
    ClosedError,
    ErrorCode,
    KafkaError,
    ProducerFencedError,
    SettingError,
    TimedOutError,
    TransactionError,
    TransactionFailedError,
    TransactionFatalError,
    TransactionUnknownError,
    error_name,
)
from ev.wire.messages.k10_find_coordinator import FindCoordinatorResponse
from ev.wire.records import read_header
from support.scripted_broker import CLOSE, SILENT, Call, Script, ScriptedCluster, added_to_transaction, refuse_transactionally

PRODUCE, FIND, INIT, ADD_PARTITIONS, ADD_OFFSETS, END, OFFSETS = 0, 10, 22, 24, 25, 26, 28
NAMES = {
    PRODUCE: "produce",
    FIND: "find",
    INIT: "init",
    ADD_PARTITIONS: "add partitions",
    ADD_OFFSETS: "add group",
    END: "end",
    OFFSETS: "offsets",
}
QUICK = {"retry_backoff_ms": 5, "retry_backoff_max_ms": 20, "linger_ms": 0}
WAIT_MS = 20_000

MakeProducer = Callable[..., Producer]


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def version(request: pytest.FixtureRequest) -> int:
    """Of transactions: what the cluster has finalized."""
    number: int = request.param
    return number


@pytest.fixture
def cluster(version: int) -> Iterator[ScriptedCluster]:
    with ScriptedCluster(topics={"t": 2}) as scripted:
        scripted.features = {"transaction.version": version}
        yield scripted


@pytest.fixture
def make_producer(cluster: ScriptedCluster) -> Iterator[MakeProducer]:
    made: list[Producer] = []

    def make(**options: object) -> Producer:
        producer = Producer(cluster.bootstrap, transactional_id="x", **{**QUICK, **options})  # type: ignore[arg-type]
        made.append(producer)
        return producer

    yield make
    for producer in made:
        producer.cluster.close()


@pytest.fixture
def producer(make_producer: MakeProducer) -> Producer:
    """One that has its producer id."""
    ready = make_producer()
    ready.init_transactions(timeout_ms=WAIT_MS)
    return ready


def asked(cluster: ScriptedCluster) -> list[str]:
    """The requests about transactions and records, in order."""
    return [NAMES[call.key] for call in cluster.all_calls() if call.key in NAMES]


def ends(cluster: ScriptedCluster) -> list[bool]:
    """How the transactions were asked to end, one by one."""
    return [call.request.committed for call in cluster.calls(END)]


def write(producer: Producer, *values: bytes) -> None:
    producer.begin_transaction(timeout_ms=WAIT_MS)
    for value in values:
        producer.produce("t", value, partition=0)


def copy(producer: Producer) -> None:
    """A record, what a group has read, and the end."""
    producer.produce("t", b"1", partition=0)
    producer.send_offsets_to_transaction({("source", 0): 1}, "readers", timeout_ms=WAIT_MS)
    producer.commit_transaction(timeout_ms=WAIT_MS)


def in_both_versions(faults: list[tuple[int, int]]) -> list[object]:
    """With the versions in which the request is made."""
    return [
        pytest.param(version, key, code, id=f"version {version}, {NAMES[key]}, {error_name(code)}")
        for version in (1, 2)
        for key, code in faults
        if version == 1 or key not in (ADD_PARTITIONS, ADD_OFFSETS)
    ]


def once(cluster: ScriptedCluster, key: int, code: int) -> None:
    cluster.script(key, refuse_transactionally(code))


# ---- the ordinary case


def test_a_transaction_asks_what_its_version_needs(cluster: ScriptedCluster, producer: Producer, version: int) -> None:
    """In version 2 the brokers see to partitions and groups, and every end brings an epoch with sequences from 0."""
    for number in (b"1", b"2"):
        with producer.transaction():
            producer.produce("t", number, partition=0)
            producer.flush()
            producer.send_offsets_to_transaction({("source", 3): (7, "read")}, "readers")
    first = ["add partitions", "produce", "add group", "find", "offsets", "end"]
    again = ["add partitions", "produce", "add group", "offsets", "end"]
    if version == 2:
        first, again = ["produce", "find", "offsets", "end"], ["produce", "offsets", "end"]
    assert asked(cluster) == ["find", "init", *first, *again]
    assert [call.version for call in (*cluster.calls(END), *cluster.calls(OFFSETS))] == ([4] * 4 if version == 1 else [5] * 4)
    assert {(call.version, call.request.transactional_id) for call in cluster.calls(PRODUCE)} == {({1: 11, 2: 12}[version], "x")}
    headers = [read_header(batch) for batch in cluster.logs["t", 0].batches]
    assert all(header.is_transactional for header in headers)
    numbers = [(header.producer_epoch, header.base_sequence) for header in headers]
    assert numbers == ([(0, 0), (0, 1)] if version == 1 else [(0, 0), (1, 0)])
    (topic,) = cluster.calls(OFFSETS)[0].request.topics
    (row,) = topic.partitions
    assert (topic.name, row.partition_index, row.committed_offset, row.committed_metadata) == ("source", 3, 7, "read")
    assert ends(cluster) == [True, True]


def test_an_empty_transaction_asks_nothing(cluster: ScriptedCluster, producer: Producer) -> None:
    """There is nothing to commit, and nothing to abort."""
    with producer.transaction():
        producer.send_offsets_to_transaction({}, "readers")
    producer.begin_transaction()
    producer.abort_transaction()
    assert asked(cluster) == ["find", "init"]


def test_what_was_not_sent_when_a_transaction_is_aborted_is_never_sent(cluster: ScriptedCluster, make_producer: MakeProducer) -> None:
    """It is reported as not delivered. The next transaction goes on as if nothing had been."""
    producer = make_producer(linger_ms=60_000)
    producer.init_transactions()
    write(producer, b"dropped")
    producer.abort_transaction()
    (delivery,) = producer.poll()
    assert isinstance(delivery.error, TransactionFailedError)
    write(producer, b"kept")
    producer.commit_transaction()
    assert cluster.values("t", 0) == [b"kept"]
    assert [read_header(batch).base_sequence for batch in cluster.logs["t", 0].batches] == [0]


def test_a_block_commits_at_its_end_and_aborts_what_an_exception_leaves(cluster: ScriptedCluster, producer: Producer) -> None:
    with producer.transaction() as same:
        same.produce("t", b"1")

    def fail() -> None:
        with producer.transaction():
            producer.produce("t", b"2")
            producer.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ends(cluster) == [True, False]
    assert not producer.in_transaction


def test_closing_aborts_what_is_open(cluster: ScriptedCluster, producer: Producer) -> None:
    write(producer, b"1")
    producer.flush()
    producer.close()
    assert ends(cluster) == [False]
    with pytest.raises(ClosedError):
        producer.begin_transaction()


def test_calls_out_of_order_are_refused_with_the_state(cluster: ScriptedCluster, make_producer: MakeProducer) -> None:
    """Nothing goes to the broker, and the state stays what it was."""
    producer = make_producer()
    calls: list[Callable[[], object]] = [
        producer.begin_transaction, producer.commit_transaction, producer.abort_transaction, lambda: producer.produce("t", b""),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(KafkaError, match="'x' is not initialized") as caught:
            call()
        assert caught.value.code == ErrorCode.INVALID_TXN_STATE
    producer.init_transactions()
    with pytest.raises(KafkaError, match="produce is for a producer that is in a transaction; 'x' is ready"):
        producer.produce("t", b"")
    producer.begin_transaction()
    with pytest.raises(KafkaError, match="'x' is in a transaction"):
        producer.begin_transaction()
    with pytest.raises(SettingError, match="transactional_id"), Producer(cluster.bootstrap) as ordinary:
        ordinary.begin_transaction()
    for wrong in ({"acks": 1}, {"idempotence": False}):
        with pytest.raises(SettingError, match="idempotent"):
            Producer(cluster.bootstrap, transactional_id="x", **wrong)


def test_deliveries_that_nobody_asked_for_go_with_the_next_transaction(producer: Producer) -> None:
    """A producer that lives by its commits does not grow."""
    for number in (b"1", b"2"):
        with producer.transaction():
            producer.produce("t", number, tag=number)
    assert [delivery.tag for delivery in producer.poll()] == [b"2"]


# ---- what passes


def passing(key: int, fault: int) -> Script:
    """A fault that passes: a lost answer (0), or a code."""
    if not fault:
        return lambda _: CLOSE
    return (lambda _: FindCoordinatorResponse(error_code=fault)) if key == FIND else refuse_transactionally(fault)


@pytest.mark.parametrize("key", list(NAMES), ids=NAMES.get)
@pytest.mark.parametrize("fault", [0, 14, 15, 16, 19, 51], ids=["lost", "loading", "away", "moved", "few replicas", "concurrent"])
def test_what_passes_is_asked_again_until_it_has_passed(
    cluster: ScriptedCluster, make_producer: MakeProducer, key: int, fault: int
) -> None:
    """Lost answers, coordinators that move or load, transactions that are still ending: the commit says nothing of them."""
    cluster.script(key, passing(key, fault), passing(key, fault))
    producer = make_producer()
    producer.init_transactions(timeout_ms=WAIT_MS)
    with producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"1", partition=0)
        producer.send_offsets_to_transaction({("source", 0): 1}, "readers", timeout_ms=WAIT_MS)
    with producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"2", partition=0)
    assert cluster.values("t", 0) == [b"1", b"2"]
    assert set(ends(cluster)) == {True}


def test_a_coordinator_that_moved_is_looked_for(cluster: ScriptedCluster, producer: Producer) -> None:
    once(cluster, END, ErrorCode.NOT_COORDINATOR)
    with producer.transaction():
        producer.produce("t", b"1")
    assert asked(cluster)[-3:] == ["end", "find", "end"]


# ---- commits whose answer is lost


@pytest.mark.parametrize("fault", [CLOSE, refuse_transactionally(ErrorCode.REQUEST_TIMED_OUT)], ids=["lost", "timed out"])
def test_a_commit_whose_answer_is_lost_is_asked_again(cluster: ScriptedCluster, producer: Producer, fault: object) -> None:
    """With the producer's old epoch: the coordinator knows what it has done. Only then does the commit return."""

    def take_and_lose(call: Call) -> object:
        cluster._end_transaction(call)
        return CLOSE if fault is CLOSE else fault(call)  # type: ignore[operator]

    cluster.script(END, take_and_lose)
    with producer.transaction():
        producer.produce("t", b"1", partition=0)
    first, second = cluster.calls(END)
    assert first.request == second.request
    assert second.request.committed
    with producer.transaction():
        producer.produce("t", b"2", partition=0)
    assert cluster.values("t", 0) == [b"1", b"2"]


def test_a_commit_that_is_not_answered_in_time_is_unknown_until_it_is_asked_again(cluster: ScriptedCluster, producer: Producer) -> None:
    """It is neither committed nor aborted: nothing else is allowed, and asking again settles it."""
    write(producer, b"1")
    producer.flush()
    cluster.script(END, lambda _: SILENT, keep=True)
    with pytest.raises(TransactionUnknownError, match="ask commit_transaction again") as caught:
        producer.commit_transaction(timeout_ms=1_000)
    assert caught.value.committed is None
    with pytest.raises(TransactionUnknownError):
        producer.abort_transaction()
    calls: list[Callable[[], object]] = [producer.begin_transaction, lambda: producer.produce("t", b"2")]
    for call in calls:
        with pytest.raises(KafkaError, match="committing"):
            call()
    cluster.unscript(END)
    cluster.disconnect()
    producer.commit_transaction(timeout_ms=WAIT_MS)
    assert set(ends(cluster)) == {True}
    write(producer, b"2")
    producer.commit_transaction()


@contextmanager
def interrupted(cluster: ScriptedCluster, key: int, before: Callable[[Call], object]) -> Iterator[None]:
    """Ctrl-C comes when the next request of an API has been taken; it gets no answer."""
    main_thread = threading.main_thread().ident or 0

    def interrupt(call: Call) -> object:
        before(call)
        signal.pthread_kill(main_thread, signal.SIGINT)
        return SILENT

    cluster.script(key, interrupt)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, handler)
        cluster.disconnect()


def test_ctrl_c_in_a_commit_leaves_it_to_be_asked_again(cluster: ScriptedCluster, producer: Producer) -> None:
    """The answer may have been lost with it: no abort, no next transaction, until the commit has been asked again."""
    write(producer, b"1")
    with interrupted(cluster, END, cluster._end_transaction):
        producer.commit_transaction()
    with pytest.raises(TransactionUnknownError):
        producer.abort_transaction()
    producer.commit_transaction(timeout_ms=WAIT_MS)
    with producer.transaction():
        producer.produce("t", b"2", partition=0)
    assert cluster.values("t", 0) == [b"1", b"2"]
    assert set(ends(cluster)) == {True}


def test_ctrl_c_before_a_commit_was_asked_for_leaves_the_choice(cluster: ScriptedCluster, make_producer: MakeProducer) -> None:
    """The records are still on their way: nothing is committed, and it can be aborted."""
    producer = make_producer(linger_ms=60_000)
    producer.init_transactions(timeout_ms=WAIT_MS)
    write(producer, b"1")
    with interrupted(cluster, PRODUCE, lambda _: None):
        producer.commit_transaction()
    producer.abort_transaction(timeout_ms=WAIT_MS)
    with producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"2", partition=0)
    assert cluster.values("t", 0)[-1] == b"2"
    assert ends(cluster) == [False, True]


def test_whoever_is_fenced_after_a_lost_answer_does_not_say_that_nothing_was_committed(
    cluster: ScriptedCluster, producer: Producer
) -> None:
    """The commit may have been taken before the other producer came."""
    cluster.script(END, lambda _: CLOSE, refuse_transactionally(ErrorCode.PRODUCER_FENCED))
    write(producer, b"1")
    with pytest.raises(ProducerFencedError, match="nobody knows") as caught:
        producer.commit_transaction(timeout_ms=WAIT_MS)
    assert caught.value.committed is None


def test_a_commit_that_was_never_asked_for_leaves_the_transaction_open(cluster: ScriptedCluster, producer: Producer) -> None:
    """Time is over before everything is delivered: commit again, or abort."""
    cluster.script(PRODUCE, refuse_transactionally(ErrorCode.NOT_ENOUGH_REPLICAS), keep=True)
    write(producer, b"1")
    with pytest.raises(TimedOutError, match="still open"):
        producer.commit_transaction(timeout_ms=200)
    assert ends(cluster) == []
    cluster.unscript(PRODUCE)
    producer.commit_transaction(timeout_ms=WAIT_MS)
    assert cluster.values("t", 0) == [b"1"]
    assert ends(cluster) == [True]


# ---- what fails the transaction

ABORTABLE = [
    (PRODUCE, ErrorCode.INVALID_RECORD),
    (PRODUCE, ErrorCode.MESSAGE_TOO_LARGE),
    (PRODUCE, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
    (PRODUCE, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    (PRODUCE, ErrorCode.UNKNOWN_PRODUCER_ID),
    (PRODUCE, ErrorCode.INVALID_TXN_STATE),
    (PRODUCE, ErrorCode.INVALID_PRODUCER_EPOCH),
    (PRODUCE, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    (PRODUCE, ErrorCode.TRANSACTION_ABORTABLE),
    (ADD_PARTITIONS, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
    (ADD_PARTITIONS, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    (ADD_PARTITIONS, ErrorCode.TRANSACTION_ABORTABLE),
    (ADD_PARTITIONS, ErrorCode.OPERATION_NOT_ATTEMPTED),
    (ADD_OFFSETS, ErrorCode.GROUP_AUTHORIZATION_FAILED),
    (ADD_OFFSETS, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    (OFFSETS, ErrorCode.GROUP_AUTHORIZATION_FAILED),
    (OFFSETS, ErrorCode.ILLEGAL_GENERATION),
    (OFFSETS, ErrorCode.UNKNOWN_MEMBER_ID),
    (OFFSETS, ErrorCode.FENCED_INSTANCE_ID),
    (OFFSETS, ErrorCode.TRANSACTION_ABORTABLE),
    (END, ErrorCode.TRANSACTION_ABORTABLE),
    (END, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
]


@pytest.mark.parametrize(("version", "key", "code"), in_both_versions(ABORTABLE), indirect=["version"])
def test_a_transaction_that_failed_can_only_be_aborted_and_the_next_one_goes_on(
    cluster: ScriptedCluster, producer: Producer, key: int, code: int
) -> None:
    """Nothing of it is ever committed, not even by a commit that comes again; after the abort sequences begin anew where they must."""
    with producer.transaction():
        producer.produce("t", b"before", partition=0)
    once(cluster, key, code)
    producer.begin_transaction()
    with pytest.raises(TransactionFailedError) as caught:
        copy(producer)
    assert caught.value.committed is False
    assert isinstance(caught.value.reason, KafkaError)
    assert caught.value.reason.code == code
    calls: list[Callable[[], object]] = [producer.commit_transaction, producer.begin_transaction, lambda: producer.produce("t", b"")]
    for call in calls:
        with pytest.raises(TransactionFailedError, match="can only be aborted"):
            call()
    producer.abort_transaction(timeout_ms=WAIT_MS)
    with producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"after", partition=0)
    assert ends(cluster).count(True) == (3 if key == END else 2)
    assert cluster.values("t", 0)[-1] == b"after"
    assert producer.poll()[-1].error is None


@pytest.mark.parametrize("version", [1], indirect=True)
def test_one_partition_that_is_refused_is_named(cluster: ScriptedCluster, producer: Producer) -> None:
    """The others were not even attempted, which says nothing."""

    def refuse_one(call: Call) -> object:
        answer = added_to_transaction(call.request, ErrorCode.OPERATION_NOT_ATTEMPTED)
        for row in answer.results_by_topic_v3_and_below[0].results_by_partition:
            if row.partition_index == 1:
                row.partition_error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return answer

    cluster.script(ADD_PARTITIONS, refuse_one)
    producer.begin_transaction()
    producer.produce_many("t", [b"1", b"2"], keys=[b"1", b"2"])
    with pytest.raises(TransactionFailedError, match=r"TOPIC_AUTHORIZATION_FAILED.*t/1"):
        producer.commit_transaction()
    assert cluster.calls(PRODUCE) == []


def test_a_batch_that_failed_costs_an_epoch(cluster: ScriptedCluster, producer: Producer, version: int) -> None:
    """In version 1 the producer asks for it and says who it is, so that it takes over from nobody; in version 2 the end brings it."""
    once(cluster, PRODUCE, ErrorCode.INVALID_RECORD)
    write(producer, b"1")
    with pytest.raises(TransactionFailedError):
        producer.commit_transaction()
    producer.abort_transaction()
    inits = [(call.request.producer_id, call.request.producer_epoch) for call in cluster.calls(INIT)]
    assert inits == ([(-1, -1), (1, 0)] if version == 1 else [(-1, -1)])
    with producer.transaction():
        producer.produce("t", b"2", partition=0)
    (header,) = [read_header(batch) for batch in cluster.logs["t", 0].batches]
    assert (header.producer_epoch, header.base_sequence) == (1, 0)


def test_records_that_are_not_delivered_in_time_fail_the_transaction(cluster: ScriptedCluster, make_producer: MakeProducer) -> None:
    """Nobody knows whether they are in the log, so nothing may be committed; a new epoch keeps them out if they are still on their way."""
    producer = make_producer(delivery_timeout_ms=300, request_timeout_ms=100)
    producer.init_transactions(timeout_ms=WAIT_MS)
    cluster.script(PRODUCE, lambda _: SILENT, keep=True)
    write(producer, b"1")
    with pytest.raises(TransactionFailedError, match="may or may not be in the log"):
        producer.commit_transaction(timeout_ms=WAIT_MS)
    cluster.unscript(PRODUCE)
    producer.abort_transaction(timeout_ms=WAIT_MS)
    with producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"2", partition=0)
    assert cluster.values("t", 0) == [b"2"]
    assert [committed for committed, _ in groupby(ends(cluster))] == [False, True]  # an answer may come after those 100 ms
    (header,) = [read_header(batch) for batch in cluster.logs["t", 0].batches]
    assert (header.producer_epoch, header.base_sequence) == (1, 0)


def test_offsets_that_are_not_taken_in_time_fail_the_transaction(cluster: ScriptedCluster, producer: Producer) -> None:
    cluster.script(OFFSETS, refuse_transactionally(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), keep=True)
    producer.begin_transaction()
    with pytest.raises(TransactionFailedError, match="were not taken within 1000 ms"):
        producer.send_offsets_to_transaction({("source", 0): 1}, "readers", timeout_ms=1_000)
    producer.abort_transaction(timeout_ms=WAIT_MS)
    assert ends(cluster) == [False]


def test_a_block_that_cannot_be_committed_is_aborted(cluster: ScriptedCluster, producer: Producer) -> None:
    once(cluster, PRODUCE, ErrorCode.INVALID_RECORD)
    with pytest.raises(TransactionFailedError), producer.transaction(timeout_ms=WAIT_MS):
        producer.produce("t", b"1")
    with producer.transaction():
        producer.produce("t", b"2")
    assert ends(cluster) == [False, True]


# ---- what ends the producer

FATAL = [
    (ADD_PARTITIONS, ErrorCode.PRODUCER_FENCED),
    (ADD_PARTITIONS, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    (ADD_PARTITIONS, ErrorCode.INVALID_TXN_STATE),
    (PRODUCE, ErrorCode.PRODUCER_FENCED),
    (PRODUCE, ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
    (PRODUCE, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    (ADD_OFFSETS, ErrorCode.INVALID_PRODUCER_EPOCH),
    (OFFSETS, ErrorCode.PRODUCER_FENCED),
    (OFFSETS, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    (END, ErrorCode.INVALID_PRODUCER_EPOCH),
    (END, ErrorCode.PRODUCER_FENCED),
    (END, ErrorCode.INVALID_TXN_STATE),
    (END, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
]


@pytest.mark.parametrize(("version", "key", "code"), in_both_versions(FATAL), indirect=["version"])
def test_a_producer_that_is_at_its_end_says_so_to_every_call(cluster: ScriptedCluster, producer: Producer, key: int, code: int) -> None:
    """It writes and ends nothing more, cannot even abort, and can be closed."""
    once(cluster, key, code)
    producer.begin_transaction()
    fenced = code in (ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH)
    expected: type[TransactionError] = ProducerFencedError if fenced else TransactionFatalError
    with pytest.raises(expected) as caught:
        copy(producer)
    assert caught.value.committed is False
    sent = len(cluster.calls(PRODUCE)), len(cluster.calls(END))
    calls: list[Callable[[], object]] = [
        producer.begin_transaction, producer.commit_transaction, producer.abort_transaction, producer.init_transactions,
        lambda: producer.produce("t", b""),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(expected):
            call()
    producer.close(timeout_ms=WAIT_MS)
    assert (len(cluster.calls(PRODUCE)), len(cluster.calls(END))) == sent


@pytest.mark.parametrize("code", [ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorCode.INVALID_TRANSACTION_TIMEOUT])
def test_a_producer_id_that_is_refused_is_fatal(cluster: ScriptedCluster, make_producer: MakeProducer, code: int) -> None:
    once(cluster, INIT, code)
    with pytest.raises(TransactionFatalError):
        make_producer().init_transactions(timeout_ms=WAIT_MS)


def test_an_abort_that_meets_what_it_should_mend_is_fatal(cluster: ScriptedCluster, producer: Producer) -> None:
    """Otherwise aborting would go round in circles."""
    write(producer, b"1")
    producer.flush()
    once(cluster, END, ErrorCode.TRANSACTION_ABORTABLE)
    with pytest.raises(TransactionFatalError):
        producer.abort_transaction(timeout_ms=WAIT_MS)


def test_a_producer_id_that_does_not_come_in_time_can_be_asked_for_again(cluster: ScriptedCluster, make_producer: MakeProducer) -> None:
    cluster.script(INIT, refuse_transactionally(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), keep=True)
    producer = make_producer()
    with pytest.raises(TimedOutError, match="COORDINATOR_LOAD_IN_PROGRESS"):
        producer.init_transactions(timeout_ms=1_000)
    cluster.unscript(INIT)
    producer.init_transactions(timeout_ms=WAIT_MS)
    with producer.transaction():
        producer.produce("t", b"1")


def test_a_new_version_of_transactions_is_taken_up_between_two_of_them() -> None:
    """After a new epoch, so that nothing of the old kind can follow."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        producer = Producer(cluster.bootstrap, transactional_id="x", **QUICK)  # type: ignore[arg-type]
        producer.init_transactions(timeout_ms=WAIT_MS)
        with producer.transaction():
            producer.produce("t", b"1")
        cluster.features, cluster.features_epoch = {"transaction.version": 2}, 1
        cluster.disconnect()
        for number in (b"2", b"3", b"4"):
            with producer.transaction(timeout_ms=WAIT_MS):
                producer.produce("t", number)
        producer.close()
        assert cluster.values("t", 0) == [b"1", b"2", b"3", b"4"]
        assert [call.version for call in cluster.calls(END)] == [4, 4, 5, 5]
        assert [read_header(batch).producer_epoch for batch in cluster.logs["t", 0].batches] == [0, 0, 1, 2]
