"""Producer ids and transactions."""

from __future__ import annotations

from typing import Any

from differential.conversation import Own, Step, Steps, about, kept
from differential.table.given import coordinator, produced, records, topic
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from ev.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ev.wire.messages.k26_end_txn import EndTxnRequest
from ev.wire.messages.k27_write_txn_markers import WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest
from ev.wire.messages.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from ev.wire.messages.k61_describe_producers import DescribeProducersRequest, TopicRequest
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ev.wire.messages.k66_list_transactions import ListTransactionsRequest
from support.rules import rule

TRANSACTIONAL = 0x10
PRODUCER, EPOCH = kept("producer"), kept("epoch")
WHO = {"producer": "producer_id", "epoch": "producer_epoch"}


def begin(name: str | None, version: int = 4, **options: Any) -> Step:
    """A producer id, kept as "producer", and its epoch as "epoch"."""
    request = InitProducerIdRequest(transactional_id=name, **{"transaction_timeout_ms": 60_000, **options})
    return Step(request, version, keep=WHO)


def add(name: str, *topics: AddPartitionsToTxnTopic, producer: Any = None, epoch: Any = None, version: int = 3) -> Step:
    producer = kept("producer") if producer is None else producer
    epoch = kept("epoch") if epoch is None else epoch
    if version < 4:
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=name,
            v3_and_below_producer_id=producer,
            v3_and_below_producer_epoch=epoch,
            v3_and_below_topics=list(topics),
        )
        return Step(request, version)
    one = AddPartitionsToTxnTransaction(transactional_id=name, producer_id=producer, producer_epoch=epoch, topics=list(topics))
    return Step(AddPartitionsToTxnRequest(transactions=[one]), version)


def parts(name: str, *indexes: int) -> AddPartitionsToTxnTopic:
    return AddPartitionsToTxnTopic(name, list(indexes))


def end(name: str, *, commit: bool, producer: Any = None, epoch: Any = None, version: int = 3) -> Step:
    producer = kept("producer") if producer is None else producer
    epoch = kept("epoch") if epoch is None else epoch
    return Step(EndTxnRequest(transactional_id=name, producer_id=producer, producer_epoch=epoch, committed=commit), version)


def write(name: str, transactional_id: str | None, *values: bytes, sequence: int = 0, epoch: Any = None) -> Step:
    made = records(
        *values,
        producer_id=kept("producer"),
        producer_epoch=kept("epoch") if epoch is None else epoch,
        base_sequence=sequence,
        attributes=TRANSACTIONAL,
    )
    return produced(name, made, transactional_id=transactional_id)


def begun(own: Own, partitions: int = 1) -> list[Step]:
    """A topic "a", and a producer "id" in its second epoch with nothing in its transaction."""
    return [*topic(own("a"), partitions), coordinator(own("id"), 1), begin(own("id")), begin(own("id"))]


def opened(own: Own) -> list[Step]:
    """The same with one record in its transaction."""
    return [*begun(own), add(own("id"), parts(own("a"), 0)), write(own("a"), own("id"), b"one")]


# InitProducerId


@about(22, "without a transactional id")
@rule(92)
def idempotent(version: int, own: Own) -> Steps:
    yield begin(None, version)
    yield begin(None, version, transaction_timeout_ms=0)
    yield Step(InitProducerIdRequest(transactional_id="", transaction_timeout_ms=60_000), version)
    if version >= 3:
        yield Step(InitProducerIdRequest(None, 60_000, kept("producer"), 0), version)
        yield Step(InitProducerIdRequest(None, 60_000, 5, -1), version)
        yield Step(InitProducerIdRequest(None, 60_000, -1, 5), version)


@about(22, "with one")
@rule(92, 94)
def transactional(version: int, own: Own) -> Steps:
    yield coordinator(own("id"), 1)
    yield begin(own("id"), version)
    yield begin(own("id"), version)
    for timeout_ms in (0, -1, 900_001):
        yield Step(InitProducerIdRequest(own("other"), timeout_ms), version)
    if version >= 3:
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer"), kept("epoch")), version, keep=WHO)
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer"), kept("epoch", -1)), version)
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer"), kept("epoch", -2)), version)
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer"), kept("epoch", 5)), version)
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer", 999), kept("epoch")), version)
        yield Step(InitProducerIdRequest(own("new"), 60_000, kept("producer"), kept("epoch")), version)
        yield Step(InitProducerIdRequest(own("id"), 60_000, kept("producer"), -1), version)
        yield Step(InitProducerIdRequest(own("id"), 60_000, -1, 5), version)


@about(22, "while a transaction is open")
@rule(93)
def takes_over(version: int, own: Own) -> Steps:
    yield from opened(own)
    yield begin(own("id"), version)
    yield Step(DescribeTransactionsRequest([own("id")]), 0)


# AddPartitionsToTxn, AddOffsetsToTxn


@about(24, "added", until=3)
@rule(95, 37)
def added(version: int, own: Own) -> Steps:
    yield from begun(own, 3)
    yield add(own("id"), parts(own("a"), 0, 1), version=version)
    yield add(own("id"), parts(own("a"), 1), version=version)
    yield add(own("id"), version=version)
    yield add(own("id"), parts(own("a"), 2, 9), parts(own("absent"), 0), version=version)
    yield add(own("id"), parts(own("a"), 2), epoch=kept("epoch", -1), version=version)
    yield add(own("id"), parts(own("a"), 2), epoch=kept("epoch", 1), version=version)
    yield add(own("id"), parts(own("a"), 2), producer=kept("producer", 999), version=version)
    yield add(own("unknown"), parts(own("a"), 2), version=version)
    yield add("", parts(own("a"), 2), version=version)
    yield Step(DescribeTransactionsRequest([own("id")]), 0)


@about(24, "added by a broker", since=4)
def added_by_broker(version: int, own: Own) -> Steps:
    """No transaction at all is not here: Kafka never answers it."""
    yield from begun(own, 3)
    yield add(own("id"), parts(own("a"), 0, 1), version=version)
    yield add(own("id"), parts(own("a"), 9), version=version)
    yield add(own("id"), parts(own("a"), 2), epoch=kept("epoch", 1), version=version)
    yield add(own("unknown"), parts(own("a"), 2), version=version)

    def verified(*topics: AddPartitionsToTxnTopic, epoch: Any = EPOCH) -> Step:
        one = AddPartitionsToTxnTransaction(own("id"), kept("producer"), epoch, True, list(topics))
        return Step(AddPartitionsToTxnRequest(transactions=[one]), version)

    yield verified(parts(own("a"), 0))
    yield verified(parts(own("a"), 2))
    yield verified(parts(own("a"), 0), epoch=kept("epoch", 1))


@about(25, "a group's offsets")
@rule(95)
def offsets_added(version: int, own: Own) -> Steps:
    yield from begun(own)

    def asked(name: str, producer: Any = PRODUCER, epoch: Any = EPOCH, group: str = own("group")) -> Step:
        return Step(AddOffsetsToTxnRequest(name, producer, epoch, group), version)

    yield coordinator(own("group"))
    yield asked(own("id"))
    yield asked(own("id"), epoch=kept("epoch", 1))
    yield asked(own("id"), producer=kept("producer", 999))
    yield asked(own("unknown"))
    yield asked("")
    yield asked(own("id"), group="")


# EndTxn


@about(26, "committed and aborted")
@rule(53, 96, 49, 50)
def ended(version: int, own: Own) -> Steps:
    yield from begun(own)
    for number, commit in enumerate((True, False)):
        yield add(own("id"), parts(own("a"), 0))
        yield write(own("a"), own("id"), b"one", sequence=number if version < 5 else 0)
        done = end(own("id"), commit=commit, version=version)
        yield Step(done.request, version, keep=WHO if version >= 5 else {})
    for committed in (False, True):
        read = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
        asked = FetchRequest(
            max_wait_ms=0, min_bytes=1, isolation_level=int(committed), session_epoch=-1, topics=[FetchTopic(own("a"), partitions=[read])]
        )
        yield Step(asked, 11, until=lambda answer: answer.responses[0].partitions[0].last_stable_offset == 4)


@about(26, "what cannot end")
@rule(96)
def cannot_end(version: int, own: Own) -> Steps:
    yield from begun(own)
    if version < 5:
        yield end(own("id"), commit=True, version=version)
        yield end(own("id"), commit=False, version=version)
    yield add(own("id"), parts(own("a"), 0))
    yield end(own("id"), commit=True, epoch=kept("epoch", -1), version=version)
    yield end(own("id"), commit=True, epoch=kept("epoch", 1), version=version)
    yield end(own("id"), commit=True, producer=kept("producer", 999), version=version)
    yield end(own("unknown"), commit=True, version=version)
    yield end("", commit=True, version=version)
    yield end(own("id"), commit=True, version=version)
    yield end(own("id"), commit=True, version=version)
    yield end(own("id"), commit=False, version=version)


@about(26, "the end of nothing", since=5)
@rule(96)
def nothing_to_end(version: int, own: Own) -> Steps:
    yield from begun(own)
    abort = end(own("id"), commit=False, version=version)
    yield Step(abort.request, version, keep=WHO)
    yield Step(abort.request, version, keep=WHO)
    yield end(own("id"), commit=True, version=version)


# WriteTxnMarkers


@about(27, "markers")
@rule(99)
def markers(version: int, own: Own) -> Steps:
    yield from opened(own)

    def asked(name: str, *indexes: int, epoch: Any = EPOCH, commit: bool = False) -> WritableTxnMarker:
        given = WritableTxnMarkerTopic(name, list(indexes))
        return WritableTxnMarker(kept("producer"), epoch, commit, [given], 0, 1 if version >= 2 else 0)

    yield Step(WriteTxnMarkersRequest([asked(own("a"), 9), asked(own("absent"), 0)]), version)
    yield Step(WriteTxnMarkersRequest([asked(own("a"), 0, epoch=kept("epoch", -1))]), version)
    yield Step(WriteTxnMarkersRequest([asked(own("a"), 0)]), version)
    yield Step(WriteTxnMarkersRequest([]), version)


# TxnOffsetCommit


@about(28, "offsets in a transaction")
@rule(98, 87)
def offsets_in_transaction(version: int, own: Own) -> Steps:
    yield from begun(own)
    yield coordinator(own("group"))
    yield Step(AddOffsetsToTxnRequest(own("id"), kept("producer"), kept("epoch"), own("group")), 3)

    def asked(name: str = own("a"), index: int = 0, text: str | None = "five", group: str = own("group"), **options: Any) -> Step:
        part = TxnOffsetCommitRequestPartition(index, 5, 1, text)
        given = {"producer_id": kept("producer"), "producer_epoch": kept("epoch"), **options}
        request = TxnOffsetCommitRequest(
            transactional_id=own("id"), group_id=group, topics=[TxnOffsetCommitRequestTopic(name, [part])], **given
        )
        return Step(request, version)

    yield asked()
    yield asked(index=9)
    yield asked(own("absent"))
    yield asked(text="x" * 4097)
    yield asked(group="")
    if version >= 3:
        yield asked(member_id="nobody", generation_id=1)
        yield asked(generation_id=1)
    wanted = OffsetFetchRequestGroup(own("group"), topics=[OffsetFetchRequestTopics(own("a"), partition_indexes=[0])])
    yield Step(OffsetFetchRequest(groups=[wanted], require_stable=True), 9)
    yield Step(OffsetFetchRequest(groups=[wanted]), 9)
    yield end(own("id"), commit=True)
    found = Step(
        OffsetFetchRequest(groups=[wanted], require_stable=True),
        9,
        until=lambda answer: answer.groups[0].topics[0].partitions[0].committed_offset == 5,
    )
    yield found


@about(28, "of a producer that was fenced")
@rule(98)
def offsets_of_fenced(version: int, own: Own) -> Steps:
    yield from begun(own)
    yield coordinator(own("group"))
    part = TxnOffsetCommitRequestPartition(0, 5, 1, "")
    for producer, epoch in ((kept("producer"), kept("epoch", 1)), (kept("producer", 999), kept("epoch"))):
        request = TxnOffsetCommitRequest(
            transactional_id=own("id"),
            group_id=own("group"),
            producer_id=producer,
            producer_epoch=epoch,
            topics=[TxnOffsetCommitRequestTopic(own("a"), [part])],
        )
        yield Step(request, version)


# DescribeProducers, DescribeTransactions, ListTransactions


@about(61, "who writes")
def producers(version: int, own: Own) -> Steps:
    yield from opened(own)

    def asked(name: str, *indexes: int) -> Step:
        return Step(DescribeProducersRequest([TopicRequest(name, list(indexes))]), version)

    yield asked(own("a"), 0, 9)
    yield asked(own("absent"), 0)
    yield asked("", 0)
    yield asked("a b", 0)
    yield Step(DescribeProducersRequest([]), version)
    yield end(own("id"), commit=True)
    yield Step(
        DescribeProducersRequest([TopicRequest(own("a"), [0])]),
        version,
        until=lambda answer: answer.topics[0].partitions[0].active_producers[0].current_txn_start_offset == -1,
    )


@about(65, "transactions in every state")
def described(version: int, own: Own) -> Steps:
    yield from begun(own)
    yield Step(DescribeTransactionsRequest([own("id"), own("absent")]), version)
    yield add(own("id"), parts(own("a"), 0))
    yield Step(DescribeTransactionsRequest([own("id")]), version)
    yield end(own("id"), commit=True)
    is_done = Step(
        DescribeTransactionsRequest([own("id")]),
        version,
        until=lambda answer: answer.transaction_states[0].transaction_state == "CompleteCommit",
    )
    yield is_done
    yield Step(DescribeTransactionsRequest([""]), version)
    yield Step(DescribeTransactionsRequest([]), version)
    yield Step(DescribeTransactionsRequest([own("id"), own("id")]), version)


@about(66, "every transaction")
def listed(version: int, own: Own) -> Steps:
    yield from begun(own)
    yield coordinator(own("open"), 1)
    yield Step(InitProducerIdRequest(own("open"), 60_000), 4, keep={"other": "producer_id", "other epoch": "producer_epoch"})
    yield add(own("open"), parts(own("a"), 0), producer=kept("other"), epoch=kept("other epoch"))

    def asked(**options: Any) -> Step:
        return Step(ListTransactionsRequest(**options), version, everything=True)

    yield asked()
    yield asked(state_filters=["Ongoing"])
    yield asked(state_filters=["Empty", "NoSuchState"])
    yield asked(state_filters=["ongoing"])
    yield asked(producer_id_filters=[kept("other")])
    yield asked(producer_id_filters=[kept("other"), kept("producer", 99_999)], state_filters=["Empty"])
    if version >= 1:
        yield asked(duration_filter=0)
        yield asked(duration_filter=3_600_000)
    if version >= 2:
        yield asked(transactional_id_pattern=".*-open")
        yield asked(transactional_id_pattern="nothing")
        yield asked(transactional_id_pattern="(")
        yield asked(transactional_id_pattern="")
