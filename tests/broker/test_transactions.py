"""Transactions (KIP-98, KIP-360, KIP-447, KIP-890) over a socket, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import uuid

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k61_describe_producers import DescribeProducersRequest, TopicRequest
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ev.wire.messages.k66_list_transactions import ListTransactionsRequest
from support.raw_client import RawClient
from support.raw_transactions import (
    Ask,
    TransactionalProducer,
    asked_over,
    committed_offset,
    fetched,
    read_committed,
    until_coordinators_are_there,
    values_of,
)
from support.rules import rule
from support.waiting import wait_for

BOTH = pytest.mark.parametrize("version", [1, 2])


@pytest.fixture
def ask(ask: Ask) -> Ask:
    """To a broker whose coordinators are there: Kafka makes their topics when they are first asked for."""
    until_coordinators_are_there(ask)
    return ask


@pytest.fixture
def topic(ask: Ask) -> str:
    name = f"t-{uuid.uuid4().hex}"
    asked = CreatableTopic(name=name, num_partitions=2, replication_factor=1)
    assert ask(CreateTopicsRequest(topics=[asked], timeout_ms=10_000), 5).topics[0].error_code == 0
    for index in (0, 1):
        wait_for(lambda: fetched(ask, name, index, committed=False).error_code == 0, f"{name}-{index} to be served")  # noqa: B023
    return name


def producer_of(ask: Ask, version: int = 1, name: str = "") -> TransactionalProducer:
    producer = TransactionalProducer(ask, name or f"id-{uuid.uuid4().hex}", version)
    assert producer.begin() == 0
    return producer


def stable(ask: Ask, topic: str, index: int = 0) -> tuple[int, int]:
    """(last stable offset, high watermark)."""
    answer = fetched(ask, topic, index, committed=True)
    return answer.last_stable_offset, answer.high_watermark


def latest(ask: Ask, topic: str, *, committed: bool) -> int:
    wanted = ListOffsetsTopic(name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=-1)])
    answer = ask(ListOffsetsRequest(replica_id=-1, isolation_level=int(committed), topics=[wanted]), 5)
    return int(answer.topics[0].partitions[0].offset)


def settled(ask: Ask, topic: str, index: int = 0) -> tuple[int, int]:
    """The same when no transaction is open any more: Kafka writes its markers after the answer."""

    def settled() -> tuple[int, int] | None:
        found = stable(ask, topic, index)
        return found if found[0] == found[1] else None

    return wait_for(settled, "the markers") or (0, 0)


@BOTH
def test_what_a_partition_sees_first_of_a_producer_of_version_2_has_sequence_0(ask: Ask, topic: str, version: int) -> None:
    """Else the second of two batches that are on their way may be taken, and the first one, sent again, be refused (KIP-890).

    Before version 2 a producer's state may have gone with old segments, so that it may begin anywhere.
    """
    producer = producer_of(ask, version)
    producer.sequences[topic, 0] = 5
    assert producer.write(topic, 0, b"second") == (0 if version == 1 else ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    producer.sequences[topic, 1] = 0
    assert producer.write(topic, 1, b"first") == 0
    assert producer.end(commit=False) == 0


@rule(49)
@BOTH
def test_committed_records_are_seen_and_aborted_ones_are_not(ask: Ask, topic: str, version: int) -> None:
    """Who reads uncommitted records sees both; the markers take an offset each."""
    producer = producer_of(ask, version)
    for commit, value in ((True, b"kept"), (False, b"gone"), (True, b"kept too")):
        assert producer.write(topic, 0, value) == 0
        assert producer.write(topic, 1, value) == 0
        assert producer.end(commit=commit) == 0
    for index in (0, 1):
        assert settled(ask, topic, index) == (6, 6)
        assert read_committed(ask, topic, index) == [b"kept", b"kept too"]
        assert values_of(fetched(ask, topic, index, committed=False)) == [b"kept", b"gone", b"kept too"]


@rule(50)
@BOTH
def test_readers_of_committed_records_stop_before_an_open_transaction(ask: Ask, topic: str, version: int) -> None:
    """Also before what others have committed behind it; the end of the log is where they stop."""
    one, two = producer_of(ask, version), producer_of(ask, version)
    assert one.write(topic, 0, b"one") == 0
    assert two.write(topic, 0, b"two") == 0
    assert two.end(commit=True) == 0
    wait_for(lambda: stable(ask, topic) == (0, 3), "the marker of the second")
    assert read_committed(ask, topic, 0) == []
    assert (latest(ask, topic, committed=True), latest(ask, topic, committed=False)) == (0, 3)
    assert one.end(commit=False) == 0
    assert settled(ask, topic) == (4, 4)
    assert read_committed(ask, topic, 0) == [b"two"]
    assert (latest(ask, topic, committed=True), latest(ask, topic, committed=False)) == (4, 4)


@BOTH
def test_a_waiting_reader_is_woken_by_the_marker(ask: Ask, address: str, topic: str, version: int) -> None:
    """Not by the records, which it must not see yet."""
    producer = producer_of(ask, version)
    with RawClient(address) as other:
        assert producer.write(topic, 0, b"value") == 0
        assert producer.end(commit=True) == 0
        answer = fetched(asked_over(other), topic, 0, committed=True, wait_ms=10_000)
        assert values_of(answer) == [b"value"]


@rule(39)
def test_a_partition_that_was_not_added_is_refused(ask: Ask, topic: str) -> None:
    """INVALID_TXN_STATE, which clients before Produce 11 know; TRANSACTION_ABORTABLE for those that send 11."""
    producer = producer_of(ask)
    assert producer.produce(topic, 0, b"value", produce_version=9) == ErrorCode.INVALID_TXN_STATE
    assert producer.produce(topic, 0, b"value", produce_version=11) == ErrorCode.TRANSACTION_ABORTABLE
    assert stable(ask, topic) == (0, 0)


def test_partitions_that_do_not_exist_are_refused_with_the_rest(ask: Ask, topic: str) -> None:
    """All or none of a request."""
    producer = producer_of(ask)
    assert producer.add(topic, 0, 7) == {0: ErrorCode.OPERATION_NOT_ATTEMPTED, 7: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert producer.end(commit=True) == ErrorCode.INVALID_TXN_STATE


@rule(37, 93)
@BOTH
def test_a_new_producer_fences_the_old_one_and_aborts_what_it_left(ask: Ask, topic: str, version: int) -> None:
    """The zombie can neither write nor commit; what it wrote is never seen."""
    old = producer_of(ask, version)
    assert old.write(topic, 0, b"zombie") == 0
    new = producer_of(ask, version, old.transactional_id)
    assert new.producer_id == old.producer_id
    assert new.epoch > old.epoch
    assert settled(ask, topic) == (2, 2)
    assert old.write(topic, 0, b"zombie") in (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED)
    assert old.end(commit=True) == ErrorCode.PRODUCER_FENCED
    assert new.write(topic, 0, b"new") == 0
    assert new.end(commit=True) == 0
    assert settled(ask, topic) == (4, 4)
    assert read_committed(ask, topic, 0) == [b"new"]


def test_old_clients_are_told_of_an_old_epoch_in_their_words(ask: Ask, topic: str) -> None:
    """PRODUCER_FENCED came with EndTxn 2."""
    old = producer_of(ask)
    producer_of(ask, name=old.transactional_id)
    assert old.end(commit=True, version=1) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert old.end(commit=True, version=2) == ErrorCode.PRODUCER_FENCED
    assert old.add(topic, 0) == {0: ErrorCode.PRODUCER_FENCED}


def test_what_a_request_to_end_is_answered(ask: Ask, topic: str) -> None:
    """Asked again, the same; the opposite is refused; and there must have been something to end."""
    producer = producer_of(ask)
    assert producer.end(commit=True) == ErrorCode.INVALID_TXN_STATE
    assert producer.end(commit=False) == ErrorCode.INVALID_TXN_STATE
    for commit in (True, False):
        assert producer.write(topic, 0, b"value") == 0
        assert producer.end(commit=commit) == 0
        assert producer.end(commit=commit) == 0
        assert producer.end(commit=not commit) == ErrorCode.INVALID_TXN_STATE
    stranger = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert stranger.end(commit=True) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    producer.producer_id += 1_000_000
    assert producer.end(commit=True) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert producer.add(topic, 0) == {0: ErrorCode.INVALID_PRODUCER_ID_MAPPING}
    nobody = TransactionalProducer(ask, "")
    assert nobody.end(commit=True) == ErrorCode.INVALID_REQUEST
    assert nobody.add(topic, 0) == {0: ErrorCode.INVALID_REQUEST}


def test_in_version_2_the_epoch_changes_with_every_transaction(ask: Ask, topic: str) -> None:
    """So that what is late can no longer be written; who lost the answer asks again and gets the same one."""
    producer = producer_of(ask, 2)
    first = producer.epoch
    assert producer.write(topic, 0, b"value") == 0
    assert producer.end(commit=True) == 0
    assert producer.epoch == first + 1
    assert producer.end(commit=True, epoch=first) == 0
    assert producer.epoch == first + 1
    assert producer.end(commit=False, epoch=first) == ErrorCode.INVALID_TXN_STATE
    assert producer.end(commit=True) == ErrorCode.INVALID_TXN_STATE, "there is nothing to commit"
    assert producer.end(commit=False) == 0, "but nothing may be aborted"
    assert producer.epoch == first + 2
    producer.sequences.clear()
    assert producer.produce(topic, 0, b"late", epoch=first) in (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED)


@rule(98)
@BOTH
def test_offsets_count_when_their_transaction_commits(ask: Ask, topic: str, version: int) -> None:
    """Until then nobody sees them; who wants stable ones is told to come again; aborted ones never were."""
    producer, group = producer_of(ask, version), f"g-{uuid.uuid4().hex}"
    assert committed_offset(ask, group, topic, 0) == (-1, 0)
    assert producer.commit_offset(group, topic, 0, 5) == 0
    assert committed_offset(ask, group, topic, 0) == (-1, 0)
    assert committed_offset(ask, group, topic, 0, stable=True) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    assert committed_offset(ask, group, topic, 1, stable=True) == (-1, 0)
    assert producer.end(commit=True) == 0
    wait_for(lambda: committed_offset(ask, group, topic, 0, stable=True) == (5, 0), "the commit")
    assert producer.commit_offset(group, topic, 0, 9) == 0
    assert committed_offset(ask, group, topic, 0) == (5, 0)
    assert producer.end(commit=False) == 0
    wait_for(lambda: committed_offset(ask, group, topic, 0, stable=True) == (5, 0), "the abort")


def test_offsets_are_refused_where_they_do_not_belong(ask: Ask, topic: str) -> None:
    """Outside a transaction; from a member that is none; for a partition that is not there."""
    producer, group = producer_of(ask), f"g-{uuid.uuid4().hex}"
    assert producer.commit_offset(group, topic, 0, 5, add=False) == ErrorCode.INVALID_TXN_STATE
    assert producer.commit_offset(group, topic, 0, 5, member=("nobody", 3)) == ErrorCode.ILLEGAL_GENERATION
    assert producer.commit_offset(group, topic, 7, 5) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert producer.end(commit=False) == 0
    assert committed_offset(ask, group, topic, 0) == (-1, 0)


@pytest.mark.parametrize(("timeout_ms", "code"), [(0, 50), (-1, 50), (15 * 60_000 + 1, 50), (15 * 60_000, 0)])
def test_the_timeout_of_a_transaction_has_bounds(ask: Ask, timeout_ms: int, code: int) -> None:
    """INVALID_TRANSACTION_TIMEOUT outside of them."""
    assert TransactionalProducer(ask, f"id-{uuid.uuid4().hex}", timeout_ms=timeout_ms).begin() == code
    assert ask(InitProducerIdRequest(transactional_id="", transaction_timeout_ms=1000), 4).error_code == ErrorCode.INVALID_REQUEST


def test_a_producer_that_goes_on_says_who_it_is(ask: Ask) -> None:
    """KIP-360: it gets the next epoch, the same one when it asks again, and nothing when another has come."""
    producer = producer_of(ask)
    here = (producer.producer_id, producer.epoch)
    assert producer.begin(expected=here) == 0
    assert (producer.producer_id, producer.epoch) == (here[0], here[1] + 1)
    assert producer.begin(expected=here) == 0
    assert producer.epoch == here[1] + 1
    producer_of(ask, name=producer.transactional_id)
    assert producer.begin(expected=(producer.producer_id, producer.epoch)) == ErrorCode.PRODUCER_FENCED
    assert producer.begin(expected=(producer.producer_id + 1_000_000, 0)) == ErrorCode.PRODUCER_FENCED


@BOTH
def test_transactions_are_described_and_listed(ask: Ask, topic: str, version: int) -> None:
    """Their state, producer, time and partitions, in the coordinator and in the partition."""
    producer = producer_of(ask, version)
    assert producer.write(topic, 1, b"value") == 0
    (state,) = ask(DescribeTransactionsRequest([producer.transactional_id]), 0).transaction_states
    assert (state.error_code, state.transaction_state, state.transaction_timeout_ms) == (0, "Ongoing", 60_000)
    assert (state.producer_id, state.producer_epoch) == (producer.producer_id, producer.epoch)
    assert [(each.topic, each.partitions) for each in state.topics] == [(topic, [1])]
    assert state.transaction_start_time_ms > 0
    wanted = DescribeProducersRequest([TopicRequest(topic, [1])])
    (seen,) = ask(wanted, 0).topics[0].partitions[0].active_producers
    assert (seen.producer_id, seen.last_sequence, seen.current_txn_start_offset) == (producer.producer_id, 0, 0)

    def listed(**filters: object) -> dict[str, str]:
        found = ask(ListTransactionsRequest(**{"state_filters": [], "producer_id_filters": [], **filters}), 2)  # type: ignore[arg-type]
        return {each.transactional_id: each.transaction_state for each in found.transaction_states}

    assert listed()[producer.transactional_id] == "Ongoing"
    assert listed(producer_id_filters=[producer.producer_id]) == {producer.transactional_id: "Ongoing"}
    assert producer.transactional_id in listed(state_filters=["Ongoing"])
    assert producer.transactional_id not in listed(state_filters=["Empty"])
    assert producer.transactional_id not in listed(duration_filter=60_000)
    unknown = ask(ListTransactionsRequest(state_filters=["Nonsense"], producer_id_filters=[]), 1)
    assert (unknown.unknown_state_filters, unknown.transaction_states) == (["Nonsense"], [])
    half = producer.transactional_id[:6]
    assert producer.transactional_id not in listed(transactional_id_pattern=half)
    assert producer.transactional_id in listed(transactional_id_pattern=f"{half}.*|nobody")
    assert producer.transactional_id in listed(transactional_id_pattern="")
    refused = ask(ListTransactionsRequest(state_filters=["Nonsense"], producer_id_filters=[], transactional_id_pattern="("), 2)
    told = (refused.error_code, refused.unknown_state_filters, refused.transaction_states)
    assert told == (ErrorCode.INVALID_REGULAR_EXPRESSION, [], [])
    assert producer.end(commit=True) == 0
    wait_for(lambda: listed()[producer.transactional_id] == "CompleteCommit", "the end")
    (nobody,) = ask(DescribeTransactionsRequest(["nobody"]), 0).transaction_states
    assert nobody.error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    (ended,) = ask(wanted, 0).topics[0].partitions[0].active_producers
    assert ended.current_txn_start_offset == -1
    assert ended.coordinator_epoch >= 0


@rule(38)
def test_plain_batches_of_a_producer_wait_for_the_end_of_its_transaction(ask: Ask, topic: str) -> None:
    """INVALID_TXN_STATE: nothing may get in between."""
    producer = producer_of(ask)
    assert producer.write(topic, 0, b"value") == 0
    producer.transactional_id, name = None, producer.transactional_id  # type: ignore[assignment]
    code = producer.produce(topic, 0, b"without a name")
    assert code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    producer.transactional_id = name
    assert producer.end(commit=True) == 0
