"""Rules that take time: sessions, retention, compaction, expiry; on an engine and an Apache Kafka whose time goes fast."""

from __future__ import annotations

import pathlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k61_describe_producers import DescribeProducersRequest, TopicRequest
from ev.wire.messages.k65_describe_transactions import DescribeTransactionsRequest
from ev.wire.records import decode_batch, encode_batch, headers
from support import apache_kafka
from support.engine import Engine
from support.one_partition import create, produce_request, produced
from support.raw_client import RawClient
from support.raw_transactions import (
    TRANSACTIONAL,
    Ask,
    TransactionalProducer,
    asked_over,
    fetched,
    read_committed,
    until_coordinators_are_there,
    until_settled,
)
from support.rules import rule
from support.waiting import wait_for

SHARED = {
    "log.retention.check.interval.ms": "200",
    "connections.max.idle.ms": "4000",
    "fetch.max.bytes": "1024",
    "group.min.session.timeout.ms": "100",
    "group.max.size": "2",
    "group.initial.rebalance.delay.ms": "400",
    "transactional.id.expiration.ms": "2000",
    "producer.id.expiration.ms": "8000",
}
EV = {"ev.checkpoint.interval.ms": "100", "ev.checkpoint.bytes": "65536"}
KAFKA = {
    "log.initial.task.delay.ms": "100",
    "log.cleaner.backoff.ms": "100",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "100",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "100",
    "producer.id.expiration.check.interval.ms": "100",
}
Pair = tuple[bytes | None, bytes | None]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True)
class Hurried:
    """A broker in a hurry, and where its logs are."""

    address: str
    directory: pathlib.Path


@pytest.fixture(scope="module")
def hurried_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hurried]:
    with Engine(tmp_path_factory.mktemp("hurried") / "engine", settings=SHARED | EV) as engine:
        yield Hurried(engine.address, engine.directory)


@pytest.fixture(scope="module")
def hurried_apache() -> Iterator[Hurried]:
    with apache_kafka.Kafka(properties=SHARED | KAFKA) as kafka:
        yield Hurried(kafka.bootstrap, kafka.data(1))


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def hurried(request: pytest.FixtureRequest) -> Hurried:
    found: Hurried = request.getfixturevalue("hurried_engine" if request.param == "ev" else "hurried_apache")
    return found


@pytest.fixture
def ask(hurried: Hurried) -> Iterator[Ask]:
    with RawClient(hurried.address) as client:
        ask = asked_over(client)
        until_coordinators_are_there(ask)
        yield ask


def earliest(ask: Ask, topic: str) -> int:
    asked = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(topic, [ListOffsetsPartition(0, -1, -2)])])
    (found,) = ask(asked, 5).topics[0].partitions
    return int(found.offset)


def batches(ask: Ask, topic: str) -> list[Any]:
    """The headers of everything in the log, by fetches from where the last one ended."""
    found: list[Any] = []
    offset = earliest(ask, topic)
    while True:
        data = fetched(ask, topic, 0, committed=False, offset=offset).records or b""
        if not data:
            return found
        for position, header in headers(data):
            found.append((header, decode_batch(data, position)))
            offset = header.last_offset + 1


def records(ask: Ask, topic: str) -> dict[int, Pair]:
    """Key and value by offset, without markers."""
    return {
        offset: (key, value)
        for header, columns in batches(ask, topic)
        if not header.is_control
        for offset, key, value in zip(columns.offsets, columns.keys, columns.values, strict=True)
    }


def new_producer(ask: Ask) -> Any:
    """An idempotent producer's id; Kafka may have to get a block of them first."""
    return wait_for(lambda: (found := ask(InitProducerIdRequest(None, 60_000), 4)).error_code == 0 and found, "a producer id")


def write(ask: Ask, topic: str, *pairs: Pair, at_ms: int, **options: Any) -> int:
    """One batch; its base offset."""
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    answer = produced(ask, topic, encode_batch(values, keys=keys, timestamps=at_ms, **options))
    assert answer.error_code == 0
    return int(answer.base_offset)


def segments(hurried: Hurried, topic: str, ending: str = ".log") -> int:
    return len(list((hurried.directory / f"{topic}-0").glob(f"*{ending}")))


# Connections and fetches


@rule(4)
def test_an_idle_connection_is_closed(hurried: Hurried) -> None:
    with RawClient(hurried.address) as client:
        assert client.ask(18, 0, ApiVersionsRequest()).error_code == 0
        began = time.monotonic()
        assert client.closed()
        assert time.monotonic() - began > 1


@rule(47)
def test_the_broker_caps_what_a_fetch_may_ask_for(ask: Ask) -> None:
    """But the first batch is whole."""
    topic = create(ask)
    for _ in range(3):
        write(ask, topic, (None, b"x" * 900), at_ms=int(time.time() * 1000))
    part = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    asked = FetchRequest(
        max_wait_ms=0, min_bytes=1 << 20, max_bytes=1 << 20, session_epoch=-1, topics=[FetchTopic(topic, partitions=[part])]
    )
    (answer,) = ask(asked, 11).responses[0].partitions
    assert len(list(headers(answer.records))) == 1


# Segments and retention


@rule(60)
def test_segments_roll_by_the_records_time_and_by_size(hurried: Hurried, ask: Ask) -> None:
    """However fast they come."""
    now_ms = int(time.time() * 1000)
    topic = create(ask, segment_ms="1000")
    for age_ms in (50_000, 49_500, 40_000, 30_000):
        write(ask, topic, (None, b"x"), at_ms=now_ms - age_ms)
    assert segments(hurried, topic) == 3
    large = create(ask, segment_bytes="1048576")
    for _ in range(3):
        write(ask, large, (None, b"x" * 600_000), at_ms=now_ms)
    assert segments(hurried, large) == 3


@rule(61, 63)
def test_retention_goes_by_the_largest_timestamp_of_a_segment(hurried: Hurried, ask: Ask) -> None:
    """The active segment goes, too; one new record keeps the old ones of its segment. Files go later than what they hold."""
    now_ms = int(time.time() * 1000)
    settings = {"retention_ms": str(HOUR_MS), "file_delete_delay_ms": "60000"}
    old, kept = create(ask, segment_ms="1000", **settings), create(ask, segment_ms=str(9 * DAY_MS), **settings)
    together = encode_batch([b"old", b"new"], timestamps=[now_ms - DAY_MS, now_ms])
    assert produced(ask, kept, together).error_code == 0
    for age_ms in (2 * DAY_MS, DAY_MS):
        write(ask, old, (None, b"old"), at_ms=now_ms - age_ms)
    wait_for(lambda: earliest(ask, old) == 2, "the old segments to go", 30)
    assert earliest(ask, kept) == 0
    assert segments(hurried, old, ".log.deleted") >= 1, "their files are still there"
    assert write(ask, old, (None, b"next"), at_ms=now_ms) == 2


@rule(62)
def test_retention_by_size_keeps_at_most_one_segment_too_much(ask: Ask) -> None:
    """Six segments of one batch each; those go without which there is still enough."""
    now_ms = int(time.time() * 1000)
    batch = encode_batch([b"x" * 900], timestamps=now_ms)
    topic = create(ask, segment_ms="1000", retention_bytes=str(2 * len(batch) + 500))
    for number in range(6):
        write(ask, topic, (None, b"x" * 900), at_ms=now_ms - 60_000 + 5000 * number)
    wait_for(lambda: earliest(ask, topic) >= 3, "the oldest segments to go", 30)
    assert earliest(ask, topic) == 3


# Compaction


COMPACT = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0.01", "segment_ms": "1000"}


@rule(46, 64, 65, 66, 67)
def test_the_newest_value_of_each_key_stays_where_it_was(ask: Ask) -> None:
    """With its offset and time; tombstones too. The active segment, a log that is clean enough and records that are too young are left."""
    now_ms = int(time.time() * 1000) - HOUR_MS
    topic = create(ask, **COMPACT)
    clean = create(ask, **(COMPACT | {"min_cleanable_dirty_ratio": "1.0"}))
    young = create(ask, min_compaction_lag_ms=str(DAY_MS), **COMPACT)
    old: list[Pair] = [(b"a", b"1"), (b"b", b"1")]
    newer: list[Pair] = [(b"a", b"2"), (b"b", None)]
    active: list[Pair] = [(b"c", b"1"), (b"c", b"2")]
    for number, pairs in enumerate((old, newer, active)):
        for each in (topic, clean, young):
            write(ask, each, *pairs, at_ms=now_ms + 5000 * number)
    expected = {2: (b"a", b"2"), 3: (b"b", None), 4: (b"c", b"1"), 5: (b"c", b"2")}
    wait_for(lambda: records(ask, topic) == expected, "the log to be compacted", 40)
    times = {header.base_offset: header.max_timestamp for header, _ in batches(ask, topic) if header.record_count}
    assert set(times.values()) == {now_ms + 5000, now_ms + 10_000}
    assert len(records(ask, clean)) == len(records(ask, young)) == 6
    for offset in range(3):  # what is gone is passed over
        data = fetched(ask, topic, 0, committed=False, offset=offset).records
        assert any(header.last_offset >= 2 for _, header in headers(data))


@rule(67)
def test_a_tombstone_goes_after_its_horizon(ask: Ask) -> None:
    """When nothing older than it is left."""
    now_ms = int(time.time() * 1000) - HOUR_MS
    topic = create(ask, delete_retention_ms="0", **COMPACT)
    write(ask, topic, (b"a", b"1"), at_ms=now_ms)
    write(ask, topic, (b"a", None), at_ms=now_ms + 5000)
    number = 1

    def is_gone() -> bool:
        nonlocal number
        number += 1
        write(ask, topic, (b"b", b"%d" % number), at_ms=now_ms + 5000 * number)
        return b"a" not in {key for key, _ in records(ask, topic).values()}

    wait_for(is_gone, "the tombstone to go", 60, 0.3)


@rule(69, 70)
def test_a_producers_last_batch_survives_empty(ask: Ask) -> None:
    """So that its sequence goes on; and it is read over."""
    now_ms = int(time.time() * 1000)
    topic = create(ask, **COMPACT)
    who = new_producer(ask)
    mine = {"producer_id": who.producer_id, "producer_epoch": who.producer_epoch}
    write(ask, topic, (b"a", b"1"), at_ms=now_ms, base_sequence=0, **mine)
    write(ask, topic, (b"a", b"2"), at_ms=now_ms + 5000)
    write(ask, topic, (b"b", b"1"), at_ms=now_ms + 10_000)
    wait_for(lambda: records(ask, topic) == {1: (b"a", b"2"), 2: (b"b", b"1")}, "the log to be compacted", 40)
    first = batches(ask, topic)[0][0]
    assert (first.base_offset, first.record_count, first.producer_id, first.base_sequence) == (0, 0, who.producer_id, 0)


@rule(68)
def test_what_was_aborted_goes_and_the_marker_stays_for_now(ask: Ask) -> None:
    now_ms = int(time.time() * 1000) - HOUR_MS
    topic = create(ask, **COMPACT)
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert producer.begin() == 0
    assert producer.add(topic, 0) == {0: 0}
    write_in(ask, producer, topic, (b"a", b"aborted"), now_ms)
    assert producer.end(commit=False) == 0
    for number in (1, 2):
        write(ask, topic, (b"b", b"%d" % number), at_ms=int(time.time() * 1000) + 5000 * number)
    wait_for(lambda: b"a" not in {key for key, _ in records(ask, topic).values()}, "what was aborted to go", 40)
    assert [header.is_control for header, _ in batches(ask, topic)].count(True) == 1


def write_in(ask: Ask, producer: TransactionalProducer, topic: str, pair: tuple[bytes, bytes], at_ms: int) -> None:
    """A record with a key, in the producer's transaction."""
    batch = encode_batch(
        [pair[1]],
        keys=[pair[0]],
        timestamps=at_ms,
        producer_id=producer.producer_id,
        producer_epoch=producer.epoch,
        base_sequence=0,
        attributes=TRANSACTIONAL,
    )
    request = produce_request(topic, batch)
    request.transactional_id = producer.transactional_id
    answer = until_settled(lambda: ask(request, 9), lambda found: found.responses[0].partition_responses[0].error_code)
    assert answer.responses[0].partition_responses[0].error_code == 0


# Groups


def join(
    group: str, member: str = "", *, session_ms: int = 30_000, rebalance_ms: int = 30_000, instance: str | None = None
) -> JoinGroupRequest:
    return JoinGroupRequest(group, session_ms, rebalance_ms, member, instance, "consumer", [JoinGroupRequestProtocol("range", b"")])


def joined(client: RawClient, group: str, **options: Any) -> Any:
    """The answer to a member without an id, in a version that needs none."""
    return until_settled(lambda: client.ask(11, 3, join(group, **options)), lambda answer: answer.error_code)


@rule(76)
def test_a_new_group_waits_for_others(hurried: Hurried, ask: Ask) -> None:
    with RawClient(hurried.address) as client:
        began = time.monotonic()
        assert joined(client, f"g-{uuid.uuid4().hex}").error_code == 0
        assert time.monotonic() - began > 0.35


@rule(81, 82)
def test_a_late_member_is_dropped_and_one_that_waits_is_not(hurried: Hurried, ask: Ask) -> None:
    """The join that waits lasts longer than its member's session; a static member that is late stays."""
    group = f"g-{uuid.uuid4().hex}"
    with RawClient(hurried.address) as first, RawClient(hurried.address) as second:
        late = joined(first, group, rebalance_ms=2500)
        assert late.error_code == 0
        answer = joined(second, group, session_ms=800, rebalance_ms=2500)
        assert (answer.error_code, [each.member_id for each in answer.members]) == (0, [answer.member_id])
    group = f"g-{uuid.uuid4().hex}"
    with RawClient(hurried.address) as first, RawClient(hurried.address) as second:
        static = until_settled(lambda: first.ask(11, 5, join(group, rebalance_ms=1500, instance="one")), lambda found: found.error_code)
        assert static.error_code == 0
        assert joined(second, group, rebalance_ms=1500).error_code == 0
        described = second.ask(15, 4, DescribeGroupsRequest(groups=[group])).groups[0]
    assert "one" in {each.group_instance_id for each in described.members}


@rule(91)
def test_a_full_group_takes_nobody(hurried: Hurried, ask: Ask) -> None:
    group = f"g-{uuid.uuid4().hex}"
    clients = [RawClient(hurried.address) for _ in range(3)]
    try:
        for client in clients[:2]:
            client.send(client.frame(11, 3, join(group)))
        assert [client.answer(11, 3).error_code for client in clients[:2]] == [0, 0]
        assert joined(clients[2], group).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    finally:
        for client in clients:
            client.close()


# Producers and transactions


@rule(40)
def test_producers_are_forgotten_but_not_in_a_transaction(ask: Ask) -> None:
    topic, other = create(ask), create(ask)
    now_ms = int(time.time() * 1000)
    who = new_producer(ask)
    write(ask, topic, (None, b"1"), at_ms=now_ms, producer_id=who.producer_id, producer_epoch=0, base_sequence=0)
    open_one = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}")
    assert open_one.begin() == 0
    assert open_one.write(other, 0, b"1") == 0

    def known(name: str) -> list[int]:
        (found,) = ask(DescribeProducersRequest([TopicRequest(name, [0])]), 0).topics[0].partitions
        return [each.producer_id for each in found.active_producers]

    assert known(topic) == [who.producer_id]
    wait_for(lambda: known(topic) == [], "the producer to be forgotten", 60, 0.1)
    assert known(other) == [open_one.producer_id]
    write(ask, topic, (None, b"2"), at_ms=now_ms, producer_id=who.producer_id, producer_epoch=0, base_sequence=77)


@rule(97)
def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(ask: Ask) -> None:
    topic = create(ask)
    producer = TransactionalProducer(ask, f"id-{uuid.uuid4().hex}", timeout_ms=500)
    assert producer.begin() == 0
    assert producer.write(topic, 0, b"late") == 0

    def ended() -> bool:
        return bool(fetched(ask, topic, 0, committed=True).last_stable_offset == 2)

    wait_for(ended, "the transaction to be aborted", 30)
    assert read_committed(ask, topic, 0) == []
    assert producer.end(commit=True) == ErrorCode.PRODUCER_FENCED


@rule(100)
def test_a_transactional_id_is_forgotten_but_not_in_a_transaction(ask: Ask) -> None:
    topic = create(ask)
    idle, busy = f"id-{uuid.uuid4().hex}", f"id-{uuid.uuid4().hex}"
    assert TransactionalProducer(ask, idle).begin() == 0
    producer = TransactionalProducer(ask, busy)
    assert producer.begin() == 0
    assert producer.write(topic, 0, b"open") == 0

    def codes() -> list[int]:
        return [each.error_code for each in ask(DescribeTransactionsRequest([idle, busy]), 0).transaction_states]

    wait_for(lambda: codes() == [ErrorCode.TRANSACTIONAL_ID_NOT_FOUND, 0], "the idle id to be forgotten", 60, 0.1)
