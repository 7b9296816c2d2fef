"""The consumer on real brokers: assigned by hand, in batches and record by record, with commits and without."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.fetched import FetchedBatch
from ev.client.producer import Producer
from ev.client.results import CommittedOffset, GroupMetadata
from ev.errors import ClosedError, ErrorCode, KafkaError, SettingError, TimedOutError, UnknownTopicError, UnreachableError
from support.engine import Engine
from support.waiting import wait_for

MakeTopic = Callable[..., str]
MakeConsumer = Callable[..., Consumer]
Partition = tuple[str, int]


@pytest.fixture
def make_consumer(bootstrap: str) -> Iterator[MakeConsumer]:
    consumers: list[Consumer] = []

    def make(**options: Any) -> Consumer:
        options.setdefault("max_wait_ms", 100)
        consumers.append(Consumer(bootstrap, **options))
        return consumers[-1]

    yield make
    for consumer in consumers:
        consumer.close()


@pytest.fixture
def produce(bootstrap: str) -> Iterator[Callable[..., None]]:
    producer = Producer(bootstrap, linger_ms=0)

    def send(topic: str, *values: bytes | None, partition: int = 0, **options: Any) -> None:
        producer.produce_many(topic, list(values), partition=partition, **options)
        producer.flush(timeout_ms=20_000)
        errors = [delivery.error for delivery in producer.poll() if delivery.error]
        assert not errors

    yield send
    producer.close()


def read(consumer: Consumer, count: int, timeout_ms: int = 15_000) -> list[tuple[str, int, int, bytes | None]]:
    """At least so many records, as (topic, partition, offset, value)."""
    rows: list[tuple[str, int, int, bytes | None]] = []

    def enough() -> bool:
        for batch in consumer.poll_batches(100):
            columns = batch.columns
            rows.extend((batch.topic, batch.partition, o, v) for o, v in zip(columns.offsets, columns.values, strict=True))
        return len(rows) >= count

    wait_for(enough, f"{count} records", timeout_ms / 1000, pause_s=0)
    return rows


def values(rows: list[tuple[str, int, int, bytes | None]]) -> list[bytes | None]:
    return [row[3] for row in rows]


Send = Callable[..., None]


def test_everything_that_was_produced_is_read_in_order(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """Null and empty values, keys, headers and timestamps arrive as they left."""
    topic = make_topic()
    produce(topic, b"a", b"", None)
    produce(topic, b"k", keys=[b"key"], headers=[[("h", b"1"), ("h", None)]], timestamps=[1_700_000_000_123])
    consumer = make_consumer()
    consumer.assign([(topic, 0)])
    rows = read(consumer, 4)
    assert rows == [(topic, 0, 0, b"a"), (topic, 0, 1, b""), (topic, 0, 2, None), (topic, 0, 3, b"k")]
    consumer.seek((topic, 0), 3)
    (record,) = wait_for(lambda: consumer.poll(100), "the record")
    assert (record.key, record.value, record.timestamp, record.timestamp_type) == (b"key", b"k", 1_700_000_000_123, "create")
    assert list(record.headers) == [("h", b"1"), ("h", None)]


def test_the_position_is_that_of_the_next_record(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """It is known before the first poll, follows what was handed out, and a seek sets it."""
    topic = make_topic()
    produce(topic, b"a", b"b", b"c")
    consumer = make_consumer()
    consumer.assign([(topic, 0)])
    assert consumer.position((topic, 0)) == 0
    read(consumer, 3)
    assert consumer.position((topic, 0)) == 3
    consumer.seek((topic, 0), 1)
    assert consumer.position((topic, 0)) == 1
    assert values(read(consumer, 2)) == [b"b", b"c"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(bootstrap: str, make_topic: MakeTopic, make_consumer: MakeConsumer, codec: str) -> None:
    """And a seek into the middle of a compressed batch shows nothing from before it."""
    topic = make_topic()
    sent = [b"value %d" % number for number in range(500)]
    producer = Producer(bootstrap, compression=codec)
    producer.produce_many(topic, sent, partition=0)
    producer.flush(timeout_ms=20_000)
    producer.close()
    consumer = make_consumer()
    consumer.assign({(topic, 0): 123})
    rows = read(consumer, 377)
    assert rows[0] == (topic, 0, 123, sent[123])
    assert values(rows) == sent[123:]


def test_reading_goes_on_while_records_arrive(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """A poll that waits at the end returns when something comes, long before its time is over."""
    topic = make_topic()
    consumer = make_consumer(max_wait_ms=5_000)
    consumer.assign([(topic, 0)])
    assert consumer.poll_batches(200) == []
    produce(topic, b"later")
    batches = wait_for(lambda: consumer.poll_batches(3_000), "the record", 3)
    assert batches[0].columns.values == [b"later"]


def test_who_never_waits_reads_everything_too(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """A poll without time looks at the connections once, so that what a poll before it has asked for arrives."""
    topic = make_topic(partitions=1)
    produce(topic, *[b"%d" % number for number in range(100)])
    batches, records = make_consumer(), make_consumer()
    for consumer in (batches, records):
        consumer.assign({(topic, 0): 0})
    assert wait_for(lambda: batches.poll_batches(0), "a poll that does not wait to bring batches")[0].columns.values[0] == b"0"
    assert wait_for(lambda: records.poll(0), "a poll that does not wait to bring records")[0].value == b"0"


def test_records_come_one_by_one_and_the_position_with_them(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """Of a batch of five, two are taken: the position is 2, the rest follows, and poll_batches takes over where poll stopped."""
    topic = make_topic()
    produce(topic, b"0", b"1", b"2", b"3", b"4")
    consumer = make_consumer()
    consumer.assign([(topic, 0)])
    assert [r.value for r in wait_for(lambda: consumer.poll(100, records_max=2), "two records")] == [b"0", b"1"]
    assert consumer.position((topic, 0)) == 2
    assert [r.value for r in consumer.poll(100, records_max=1)] == [b"2"]
    assert values(read(consumer, 2)) == [b"3", b"4"]


def test_paused_partitions_keep_their_place(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """Only the other one is read; after resume nothing is missing."""
    topic = make_topic(2)
    produce(topic, b"a0", partition=0)
    produce(topic, b"b0", partition=1)
    consumer = make_consumer()
    consumer.assign([(topic, 0), (topic, 1)])
    consumer.pause((topic, 1))
    assert consumer.paused() == [(topic, 1)]
    assert values(read(consumer, 1)) == [b"a0"]
    assert consumer.poll_batches(200) == []
    consumer.resume((topic, 1))
    assert values(read(consumer, 1)) == [b"b0"]


def test_a_batch_at_a_time_when_few_bytes_are_asked_for(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """bytes_max bounds what comes at once, and at least one batch always comes."""
    topic = make_topic()
    for number in range(5):
        produce(topic, b"%d" % number * 1000)
    consumer = make_consumer()
    consumer.assign([(topic, 0)])
    seen: list[FetchedBatch] = []
    while len(seen) < 5:
        batches = consumer.poll_batches(1000, bytes_max=1)
        assert len(batches) <= 1
        seen += batches
    assert [batch.base_offset for batch in seen] == [0, 1, 2, 3, 4]


def test_many_partitions_are_all_read(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """One fetch serves several partitions, and none starves when answers are small."""
    topic = make_topic(8)
    for partition in range(8):
        produce(topic, *[b"%d:%d" % (partition, number) * 20 for number in range(200)], partition=partition)
    consumer = make_consumer(fetch_max_bytes=5_000, partition_max_bytes=2_000)
    consumer.assign([(topic, partition) for partition in range(8)])
    rows = read(consumer, 1600)
    for partition in range(8):
        assert [row[2] for row in rows if row[1] == partition] == list(range(200))


def test_in_a_session_partitions_come_and_go(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """The broker remembers what is read: what is paused is not, what is resumed is, and after a seek the old place is forgotten."""
    topic = make_topic(10)
    places = [(topic, index) for index in range(10)]
    consumer = make_consumer()
    consumer.assign(places)

    def all_get(values: int, readable: int) -> None:
        for index in range(10):
            produce(topic, *[b"x"] * values, partition=index)
        assert len(read(consumer, values * readable)) == values * readable

    all_get(3, 10)
    all_get(1, 10)
    (session,) = consumer._requests.sessions.values()
    identity = session.id
    assert identity != 0
    consumer.pause(*places[:4])
    all_get(2, 6)
    consumer.resume(*places[:4])
    assert len(read(consumer, 8)) == 8
    consumer.seek(places[9], 0)
    assert [row[2] for row in read(consumer, 6)] == list(range(6))
    assert (session.id, session.epoch > 3) == (identity, True)


def test_an_idle_partition_does_not_slow_a_busy_one_down(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """While records of one wait to be taken, the other is not long-polled alone: the busy one would have to wait behind that."""
    topic = make_topic(2)
    for number in range(20):
        produce(topic, b"%d" % number * 1000, partition=1)
    consumer = make_consumer(max_wait_ms=20_000, partition_max_bytes=5_000)
    consumer.assign([(topic, 0), (topic, 1)])
    taken: list[int] = []
    wait_for(lambda: taken.extend(r.offset for r in consumer.poll(500, records_max=1)) or len(taken) == 20, "all", 10, pause_s=0)  # type: ignore[func-returns-value]
    assert taken == list(range(20))


def test_beginning_end_and_times(admin: Admin, make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """Offsets at both ends, after records were deleted, too; the first record that is not older than a time; None after the last."""
    topic = make_topic()
    for number in range(4):
        produce(topic, b"x", timestamps=[1_700_000_000_000 + 1000 * number])
    partition = (topic, 0)
    assert admin.delete_records({partition: 1})[partition].low_watermark == 1
    consumer = make_consumer()
    assert consumer.beginning_offsets([partition]) == {partition: 1}
    assert consumer.end_offsets([partition]) == {partition: 4}
    found = consumer.offsets_for_times({partition: 1_700_000_001_500})[partition]
    assert found is not None
    assert (found.offset, found.timestamp) == (2, 1_700_000_002_000)
    assert consumer.offsets_for_times({partition: 1_800_000_000_000}) == {partition: None}
    consumer.assign([partition])
    consumer.seek_to_end()
    assert consumer.position(partition) == 4
    consumer.seek_to_beginning(partition)
    assert consumer.position(partition) == 1


def test_an_offset_out_of_range_follows_the_policy(admin: Admin, make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """earliest begins at what is left, latest waits for what comes, none raises and goes on raising until somebody seeks."""
    topic = make_topic()
    partition = (topic, 0)
    produce(topic, b"a", b"b", b"c", b"d")
    admin.delete_records({partition: 2})
    earliest = make_consumer(offset_reset="earliest")
    earliest.assign({partition: 0})
    assert values(read(earliest, 2)) == [b"c", b"d"]
    strict = make_consumer(offset_reset="none")
    strict.assign({partition: 99})
    for _ in range(2):
        with pytest.raises(KafkaError, match="99") as caught:
            wait_for(lambda: strict.poll_batches(500), "nothing")
        assert caught.value.code == ErrorCode.OFFSET_OUT_OF_RANGE
    strict.seek(partition, 3)
    assert values(read(strict, 1)) == [b"d"]
    latest = make_consumer(offset_reset="latest")
    latest.assign({partition: 0})
    assert latest.poll_batches(300) == []
    wait_for(lambda: latest.poll_batches(50) == [] and latest.position(partition) == 4, "the end")
    produce(topic, b"e")
    assert values(read(latest, 1)) == [b"e"]


def test_one_bad_partition_is_reported_and_does_not_stop_the_others(
    make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send
) -> None:
    """While one is busy, the other's offset is out of range and there is no policy: the error comes up, and between errors records do."""
    topic = make_topic(2)
    produce(topic, *[b"x"] * 10, partition=0)
    consumer = make_consumer(offset_reset="none")
    consumer.assign({(topic, 0): 0, (topic, 1): 77})
    seen, errors = 0, 0

    def both() -> bool:
        nonlocal seen, errors
        try:
            seen += sum(len(batch) for batch in consumer.poll_batches(100))
        except KafkaError as error:
            errors += error.code == ErrorCode.OFFSET_OUT_OF_RANGE
        return seen == 10 and errors > 1

    wait_for(both, "records and errors", pause_s=0)


def test_without_an_offset_and_without_a_policy_it_raises(
    make_topic: MakeTopic, make_consumer: MakeConsumer, fresh: Callable[[str], str]
) -> None:
    """offset_reset none, a group that has committed nothing: the consumer does not guess."""
    topic = make_topic()
    consumer = make_consumer(offset_reset="none", group=fresh("group"))
    consumer.assign([(topic, 0)])
    with pytest.raises(KafkaError, match="nothing is committed"):
        consumer.position((topic, 0), timeout_ms=10_000)


def test_commits_by_hand_are_where_the_next_one_begins(
    make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send, fresh: Callable[[str], str]
) -> None:
    """With metadata, without, and for the positions of all partitions."""
    topic, group = make_topic(2), fresh("group")
    produce(topic, b"a", b"b", b"c", partition=0)
    produce(topic, b"z", partition=1)
    first = make_consumer(group=group)
    first.assign([(topic, 0), (topic, 1)])
    read(first, 4)
    first.commit({(topic, 0): (2, "note")})
    assert first.committed([(topic, 0), (topic, 1)]) == {
        (topic, 0): CommittedOffset(2, metadata="note"),
        (topic, 1): CommittedOffset(-1, metadata=""),
    }
    second = make_consumer(group=group)
    second.assign([(topic, 0)])
    assert values(read(second, 1)) == [b"c"]
    second.commit()
    assert second.committed([(topic, 0)])[topic, 0].offset == 3


def test_going_back_to_what_is_committed(
    make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send, fresh: Callable[[str], str]
) -> None:
    """What was read and not committed comes again, also when records of it were handed out one by one; a member says who it is."""
    topic, group = make_topic(), fresh("group")
    produce(topic, *[b"%d" % number for number in range(10)])
    consumer = make_consumer(group=group)
    assert consumer.group_metadata() == GroupMetadata(group)
    consumer.assign({(topic, 0): 0})
    consumer.commit({(topic, 0): 4})
    taken: list[bytes | None] = []
    wait_for(lambda: taken.extend(r.value for r in consumer.poll(100, records_max=7)) or len(taken) >= 7, "records", pause_s=0)  # type: ignore[func-returns-value]
    consumer.seek_to_committed()
    assert consumer.position((topic, 0)) == 4
    assert values(read(consumer, 6)) == [b"%d" % number for number in range(4, 10)]
    without = make_consumer()
    for call in (without.group_metadata, without.seek_to_committed):
        with pytest.raises(SettingError, match="group"):
            call()


def test_a_commit_need_not_be_waited_for(make_topic: MakeTopic, make_consumer: MakeConsumer, fresh: Callable[[str], str]) -> None:
    """The outcome comes later, from inside a poll; a commit that is waited for comes after those that were not."""
    topic = make_topic()
    consumer = make_consumer(group=fresh("group"))
    consumer.assign({(topic, 0): 0})
    outcomes: list[object] = []
    consumer.commit({(topic, 0): 5})
    for offset in range(20):
        consumer.commit({(topic, 0): offset}, sync=False, then=outcomes.append)
    wait_for(lambda: consumer.poll_batches(10) or len(outcomes) == 20, "the outcomes")
    assert outcomes == [None] * 20
    consumer.commit({(topic, 0): 7}, sync=False)
    consumer.commit({(topic, 0): 8})
    assert consumer.committed([(topic, 0)])[topic, 0].offset == 8


def test_close_commits_nothing_by_itself(
    make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send, fresh: Callable[[str], str]
) -> None:
    """Only auto-commit commits at the end, and then exactly what was handed out, record by record."""
    topic, group = make_topic(), fresh("group")
    produce(topic, b"a", b"b", b"c")
    silent = make_consumer(group=group)
    silent.assign([(topic, 0)])
    read(silent, 3)
    silent.close()
    automatic = make_consumer(group=group, auto_commit=True)
    assert automatic.committed([(topic, 0)])[topic, 0].offset == -1
    automatic.assign([(topic, 0)])
    wait_for(lambda: automatic.poll(100, records_max=2), "two records")
    automatic.close()
    assert make_consumer(group=group).committed([(topic, 0)])[topic, 0].offset == 2


def test_auto_commit_commits_what_an_earlier_poll_handed_out(
    make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send, fresh: Callable[[str], str]
) -> None:
    """By timer, while polling."""
    topic, group = make_topic(), fresh("group")
    produce(topic, b"a", b"b")
    consumer = make_consumer(group=group, auto_commit=50)
    consumer.assign([(topic, 0)])
    read(consumer, 2)
    watcher = make_consumer(group=group)
    wait_for(lambda: consumer.poll_batches(20) or watcher.committed([(topic, 0)])[topic, 0].offset == 2, "the commit")


def test_topics_that_do_not_exist_are_named_and_never_made(admin: Admin, make_consumer: MakeConsumer, fresh: Callable[[str], str]) -> None:
    """A reader creates nothing: neither by asking for partitions, nor by asking for offsets, nor by polling."""
    name = fresh("absent")
    consumer = make_consumer()
    with pytest.raises(UnknownTopicError):
        consumer.partitions_for(name, timeout_ms=300)
    with pytest.raises(KafkaError) as caught:
        consumer.end_offsets([(name, 0)], timeout_ms=300)
    assert caught.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    consumer.assign([(name, 0)])
    assert consumer.poll_batches(300) == []
    with pytest.raises(TimedOutError):
        consumer.position((name, 0), timeout_ms=200)
    assert name not in [topic.name for topic in admin.topics()]


def test_a_partition_that_appears_later_is_read(make_topic: MakeTopic, admin: Admin, make_consumer: MakeConsumer, produce: Send) -> None:
    """Assigned before it exists: reading begins when it does."""
    topic = make_topic()
    consumer = make_consumer()
    consumer.assign([(topic, 1)])
    assert consumer.poll_batches(100) == []
    admin.create_partitions({topic: 2})[0].or_raise()
    produce(topic, b"here", partition=1)
    assert values(read(consumer, 1)) == [b"here"]


def test_assigning_again_keeps_the_positions_of_what_stays(make_topic: MakeTopic, make_consumer: MakeConsumer, produce: Send) -> None:
    """Only new partitions look for where to begin; what was fetched for a dropped one is not shown."""
    topic = make_topic(2)
    produce(topic, b"a", b"b", partition=0)
    produce(topic, b"z", partition=1)
    consumer = make_consumer()
    consumer.assign([(topic, 0)])
    read(consumer, 2)
    consumer.assign([(topic, 0), (topic, 1)])
    assert consumer.position((topic, 0)) == 2
    assert values(read(consumer, 1)) == [b"z"]
    consumer.assign([(topic, 1)])
    with pytest.raises(KafkaError, match="not assigned"):
        consumer.position((topic, 0))


@pytest.mark.parametrize("policy", ["earliest", "none"])
def test_a_log_that_was_cut_back_is_noticed(tmp_path: pathlib.Path, policy: str) -> None:
    """Ten records were read, then the engine comes back from a copy that has five (KIP-320).

    Reading goes on at the sixth, not at the eleventh nor from the start; without a policy the consumer says what happened.
    """
    directory, copy = tmp_path / "engine", tmp_path / "copy"
    with Engine(directory) as engine:

        def fill(*values: bytes) -> None:
            with Producer(engine.address) as producer:
                producer.produce_many("t", list(values))
                producer.flush(timeout_ms=20_000)

        with Producer(engine.address, create_topics=True) as producer:
            producer.produce_many("t", [b"kept"] * 5)
            producer.flush(timeout_ms=20_000)
        engine.stop()
        shutil.copytree(directory, copy)
        engine.start()
        fill(*[b"lost"] * 5)
        with Consumer(engine.address, max_wait_ms=50, offset_reset=policy) as consumer:
            consumer.assign({("t", 0): 0})
            assert len(read(consumer, 10)) == 10
            engine.kill()
            shutil.rmtree(directory)
            copy.rename(directory)
            engine.start()
            engine.stop()
            engine.start()
            fill(*[b"new"] * 7)
            if policy == "none":
                with pytest.raises(KafkaError, match="cut back to offset 5"):
                    wait_for(lambda: consumer.poll_batches(100), "the truncation")
                consumer.seek(("t", 0), 5)
            assert values(read(consumer, 7)) == [b"new"] * 7


def test_what_cannot_be_meant_is_refused_at_once() -> None:
    """Before anything is sent, with a message that says what is expected."""
    address = "127.0.0.1:1"
    for wrong in ({"offset_reset": "first"}, {"isolation": "serializable"}, {"auto_commit": True}):
        with pytest.raises(SettingError):
            Consumer(address, **wrong)
    consumer = Consumer(address)
    with pytest.raises(SettingError, match="group"):
        consumer.subscribe(["t"])
    with pytest.raises(SettingError):
        consumer.commit({("t", 0): 1})
    consumer.close()
    consumer.close()
    with pytest.raises(ClosedError):
        consumer.poll_batches(0)


def test_an_address_where_nothing_answers_is_reported() -> None:
    """poll_batches goes on trying, as a broker may come back; a question with a time limit says what is wrong."""
    with Consumer("127.0.0.1:1") as consumer:
        consumer.assign({("t", 0): 0})
        assert consumer.poll_batches(200) == []
        with pytest.raises((UnreachableError, TimedOutError)):
            consumer.end_offsets([("t", 0)], timeout_ms=300)
    with Admin("127.0.0.1:1") as admin, pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        admin.topics()
