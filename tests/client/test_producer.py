"""The producer over real sockets: every record acknowledged once and in order, or reported; also on brokers that fail."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ev.client.cluster import Cluster
from ev.client.delivery import Delivery
from ev.client.partitioner import murmur2_partition
from ev.client.producer import Producer
from ev.errors import ClosedError, ErrorCode, KafkaError, SettingError, TimedOutError, UnknownTopicError, UnreachableError
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdResponse
from ev.wire.records import Columns, decode_batch, headers, read_header
from support.engine import Engine
from support.ports import free_port
from support.scripted_broker import CLOSE, SILENT, Call, ScriptedCluster, refuse
from support.waiting import wait_for


def drain(producer: Producer) -> list[Delivery]:
    """Everything that became of what was produced."""
    assert producer.flush(60_000) == 0
    deliveries = producer.poll()
    assert producer.poll() == []
    return deliveries


def errors(deliveries: list[Delivery]) -> list[str]:
    """The names of what went wrong."""
    return [error.name if isinstance(error, KafkaError) else type(error).__name__ for d in deliveries if (error := d.error) is not None]


def lines(count: int) -> list[bytes]:
    return [b"line %d" % number for number in range(count)]


# The ordinary case


def test_a_one_shot_producer_asks_four_questions_over_one_connection() -> None:
    """Versions, producer id, metadata, produce: nothing else stands between a command line and its acknowledgement."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        with Producer(f"localhost:{cluster.ports[1]}") as producer:
            producer.produce("t", b"value", b"key", headers=[("h", b"v")], timestamp_ms=5)
            (delivery,) = drain(producer)
        assert (delivery.topic, delivery.partition, delivery.base_offset, delivery.count) == ("t", 0, 0, 1)
        assert [len(cluster.calls(key)) for key in (18, 22, 3, 0)] == [1, 1, 1, 1]
        (batch,) = cluster.logs["t", 0].batches
        columns = decode_batch(batch)
        assert (columns.values, columns.keys, columns.timestamps) == ([b"value"], [b"key"], [5])
        assert columns.headers == [[("h", b"v")]]
        header = read_header(batch)
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1, 0, 0)
        assert cluster.calls(0)[0].client_id == "ev"


def test_columns_become_few_batches() -> None:
    """A list as long as ten batches leaves as ten requests, in order, each record with the offset that its delivery says."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        values = [b"%07d" % number + b"x" * 93 for number in range(10_000)]
        with Producer(cluster.bootstrap, batch_bytes=115_000) as producer:
            producer.produce_many("t", values, tag="all")
            deliveries = drain(producer)
        assert cluster.values("t", 0) == values
        assert 9 <= len(cluster.calls(0)) <= 12
        assert [d.base_offset for d in deliveries] == list(itertools.accumulate([0] + [d.count for d in deliveries[:-1]]))
        assert {d.tag for d in deliveries} == {"all"}
        assert sum(d.count for d in deliveries) == 10_000


def test_deliveries_carry_the_tags_of_the_calls() -> None:
    """Also when several calls share a batch: each part with its own offset."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, linger_ms=60_000) as producer:
        for tag in range(3):
            producer.produce_many("t", lines(tag + 1), tag=tag)
        assert producer.buffered == 6
        deliveries = drain(producer)
        assert [(d.tag, d.count, d.base_offset) for d in deliveries] == [(0, 1, 0), (1, 2, 1), (2, 3, 3)]
        assert producer.buffered == 0
        assert "3 records, offset 3" in repr(deliveries[-1])


def test_a_record_leaves_when_it_has_lingered() -> None:
    """poll() sends it without flush(), not before its time and not much later."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, linger_ms=150) as producer:
        producer.partitions("t")
        started = time.monotonic()
        producer.produce("t", b"x")
        assert producer.poll(0) == []
        (delivery,) = producer.poll(10_000)
        assert delivery.error is None
        assert 0.14 < time.monotonic() - started < 5


def test_records_that_come_one_by_one_wait_together_and_no_longer_than_alone() -> None:
    """The first opens the batch, and all leave when it has lingered; they carry the time at which they came."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, linger_ms=300) as producer:
        producer.partitions("t")
        began_s, began_ms = time.monotonic(), int(time.time() * 1000)
        for _ in range(3_500):  # more than are held together, fewer than fill a batch
            producer.produce("t", b"x")
        count = producer.buffered
        assert count == 3_500
        deliveries = producer.poll(10_000)
        assert 0.29 < time.monotonic() - began_s < 5
        deliveries += drain(producer)
        assert sum(delivery.count for delivery in deliveries) == count == len(cluster.values("t", 0))
        timestamps = [stamp for batch in cluster.logs["t", 0].batches for stamp in decode_batch(batch).timestamps]
        assert began_ms - 1 <= min(timestamps) <= max(timestamps) <= began_ms + 290
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, linger_ms=50) as producer:
        producer.produce("t", b"x")

        def produced() -> bool:
            producer.produce("t", b"x")
            return bool(cluster.values("t", 0))

        wait_for(produced, "records to leave without poll()")


@pytest.mark.parametrize("seed", range(6))
def test_ways_to_produce_can_be_mixed(seed: int) -> None:
    """One by one, in columns, with keys and without, large, empty and null, to a partition or any: each once, in the order of the calls."""
    random = Random(seed)
    with ScriptedCluster(topics={"t": 2, "u": 1}) as cluster:
        expected: dict[tuple[str, int], list[bytes | None]] = {("t", 0): [], ("t", 1): [], ("u", 0): []}
        tags: Counter[object] = Counter()
        with Producer(cluster.bootstrap, batch_bytes=random.choice([3_000, 1_000_000]), linger_ms=random.choice([1, 60_000])) as producer:
            for number in range(300):
                topic, partition = random.choice([("t", 0), ("t", 1), ("u", 0)])
                tag = random.choice([None, "a", "b"])
                for _ in range(random.choice([1, 1, 5, 40])):
                    value = random.choice([b"%d" % number, b"", None, b"x" * 1025, b"%d" % number])
                    key = random.choice([None, b"k", b"", b"k" * 1025]) if random.random() < 0.2 else None
                    named = [("h", b"v")] if random.random() < 0.05 else []
                    producer.produce(topic, value, key, headers=named, partition=None if topic == "u" else partition, tag=tag)
                    expected[topic, partition].append(value)
                    tags[tag] += 1
                if random.random() < 0.1:
                    producer.produce_many(topic, lines(3), partition=partition, tag=tag)
                    expected[topic, partition] += lines(3)
                    tags[tag] += 3
                if random.random() < 0.1:
                    for delivery in producer.poll():
                        tags[delivery.tag] -= delivery.count
            for delivery in drain(producer):
                tags[delivery.tag] -= delivery.count
        assert {place: cluster.values(*place) for place in expected} == expected
        assert not any(tags.values())


def test_keys_go_where_java_sends_them() -> None:
    """And records of one partition stay in order, whatever is between them."""
    with ScriptedCluster(nodes=2, topics={"t": 5}) as cluster:
        keys = [b"key-%d" % (number % 37) for number in range(2_000)]
        values = lines(2_000)
        with Producer(cluster.bootstrap) as producer:
            producer.produce_many("t", values, keys=keys)
            drain(producer)
        for partition in range(5):
            expected = [value for value, key in zip(values, keys, strict=True) if murmur2_partition(key, 5) == partition]
            assert cluster.values("t", partition) == expected


def test_records_without_a_key_fill_one_batch_after_the_other() -> None:
    """Each batch goes to one partition; in the end all partitions have some."""
    with ScriptedCluster(topics={"t": 3}) as cluster:
        with Producer(cluster.bootstrap, batch_bytes=2_000) as producer:
            producer.produce_many("t", lines(10_000))
            drain(producer)
        assert sorted(itertools.chain(*(cluster.values("t", index) for index in range(3)))) == sorted(lines(10_000))  # type: ignore[type-var]
        assert all(len(cluster.values("t", index)) > 500 for index in range(3))


def test_a_chosen_partition_is_kept_to() -> None:
    """One that does not exist is refused at once."""
    with ScriptedCluster(topics={"t": 3}) as cluster, Producer(cluster.bootstrap) as producer:
        producer.produce_many("t", lines(3), partition=2)
        drain(producer)
        assert cluster.values("t", 2) == lines(3)
        with pytest.raises(KafkaError, match="none of them is 3"):
            producer.produce("t", b"x", partition=3)


def test_new_partitions_are_used_when_they_are_known() -> None:
    """Round robin reaches the third one after the metadata named it."""
    with ScriptedCluster(topics={"t": 2}) as cluster, Producer(cluster.bootstrap, partitioner="rr") as producer:
        producer.produce_many("t", lines(4))
        cluster.topics["t"] = 3
        producer.cluster.refresh(("t",))
        producer.produce_many("t", lines(6))
        drain(producer)
        assert [len(cluster.values("t", index)) for index in range(3)] == [4, 4, 2]


def test_nulls_and_empty_values_are_different_things() -> None:
    """In values and in keys."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap) as producer:
        producer.produce_many("t", [None, b"", b"x"], keys=[b"", None, b"k"])
        drain(producer)
        columns = decode_batch(cluster.logs["t", 0].batches[0])
        assert columns.values == [None, b"", b"x"]
        assert columns.keys == [b"", None, b"k"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_batches_are_compressed_as_asked(compression: str) -> None:
    """And become smaller by it."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        with Producer(cluster.bootstrap, compression=compression) as producer:
            producer.produce_many("t", lines(5_000))
            drain(producer)
        assert cluster.values("t", 0) == lines(5_000)
        assert sum(map(len, cluster.logs["t", 0].batches)) < 60_000


@pytest.mark.parametrize("acks", ["1", 1, "0", 0])
def test_other_acks_need_no_producer_id(acks: str | int) -> None:
    """acks=1 tells offsets, acks=0 is done when the bytes have left."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        with Producer(cluster.bootstrap, acks=acks) as producer:
            producer.produce_many("t", lines(100))
            (delivery,) = drain(producer)
            assert delivery.base_offset == (0 if int(acks) else -1)
            assert cluster.calls(22) == []
            producer.produce("t", b"last")
            drain(producer)
            while len(cluster.values("t", 0)) < 101:
                producer.cluster.poll(10)
        assert [call.request.acks for call in cluster.calls(0)] == [int(acks)] * 2


# Trouble


def fail_now_and_then(period: int, fault: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """Every period-th request meets the fault, the others the ordinary answer."""
    count = itertools.count(1)
    return lambda call: fault(call) if next(count) % period == 0 else None


def test_lost_connections_lose_nothing_and_repeat_nothing() -> None:
    """Every third produce request costs its connection, half of them after the records were written; five are in flight."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        written = itertools.cycle((True, False))

        def fault(call: Call) -> object:
            if next(written):
                cluster._produce(call)
            return CLOSE

        cluster.script(0, fail_now_and_then(3, fault), keep=True)
        with Producer(cluster.bootstrap, batch_bytes=2_000, retry_backoff_ms=1, retry_backoff_max_ms=5) as producer:
            for start in range(0, 3_000, 100):
                producer.produce_many("t", lines(3_000)[start : start + 100])
            deliveries = drain(producer)
        assert errors(deliveries) == []
        assert cluster.values("t", 0) == lines(3_000)
        assert cluster.logs["t", 0].duplicates > 0


def test_passing_errors_are_waited_out_in_order() -> None:
    """Not enough replicas, now and then, on two of three partitions."""
    with ScriptedCluster(nodes=2, topics={"t": 3}) as cluster:
        cluster.script(0, fail_now_and_then(2, refuse(ErrorCode.NOT_ENOUGH_REPLICAS)), keep=True)
        with Producer(cluster.bootstrap, batch_bytes=1_000, partitioner="rr", retry_backoff_ms=1, retry_backoff_max_ms=5) as producer:
            producer.produce_many("t", lines(1_500))
            deliveries = drain(producer)
        assert errors(deliveries) == []
        for partition in range(3):
            assert cluster.values("t", partition) == lines(1_500)[partition::3]


def test_a_new_leader_is_found() -> None:
    """The old one says that it is none; the metadata names the other; nothing is lost or repeated."""
    with ScriptedCluster(nodes=2, topics={"t": 1}) as cluster, Producer(cluster.bootstrap, retry_backoff_ms=1) as producer:
        producer.produce_many("t", lines(10))
        drain(producer)
        cluster.leaders["t", 0] = 2
        producer.produce_many("t", lines(10))
        assert errors(drain(producer)) == []
        assert cluster.values("t", 0) == lines(10) * 2
        assert cluster.calls(0)[-1].node == 2


def test_records_for_a_topic_that_was_made_a_moment_ago_arrive_once_and_in_order() -> None:
    """Its leader does not know it yet when the first records come, and another broker still denies it when it is asked again."""
    with ScriptedCluster(nodes=2, topics={"t": 2}) as cluster, Producer(cluster.bootstrap, linger_ms=0, retry_backoff_ms=10) as producer:
        producer.partitions("t")
        late = iter(range(3))

        def answer(call: Call) -> Any:
            found = cluster.answer(call)
            if next(late, None) is not None:
                for row in found.topics:
                    row.error_code, row.partitions = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, []
            return found

        cluster.script(3, answer, keep=True)
        cluster.script(0, *[refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)] * 3)
        for number in range(50):
            producer.produce("t", b"%d" % number, partition=number % 2)
            producer.poll()
        assert errors(drain(producer)) == []
        assert next(late, None) is None
        for partition in range(2):
            assert cluster.values("t", partition) == [b"%d" % number for number in range(partition, 50, 2)]


def test_the_pauses_between_retries_double() -> None:
    """KIP-580: from retry_backoff_ms to retry_backoff_max_ms, 20 % more or less."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        tried: list[float] = []

        def answer(call: Call) -> Any:
            tried.append(time.monotonic() * 1000)
            return refuse(ErrorCode.NOT_ENOUGH_REPLICAS)(call) if len(tried) < 7 else None

        cluster.script(0, answer, keep=True)
        with Producer(cluster.bootstrap, linger_ms=0, retry_backoff_ms=20, retry_backoff_max_ms=160) as producer:
            producer.produce("t", b"x")
            assert errors(drain(producer)) == []
        pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
        least = [20, 40, 80, 160, 160, 160]
        assert all(pause >= 0.8 * shortest - 2 for pause, shortest in zip(pauses, least, strict=True)), pauses


def test_a_dead_leader_is_replaced() -> None:
    """Its process is gone; the remaining broker knows who leads now."""
    with ScriptedCluster(nodes=2, topics={"t": 1}) as cluster:
        with Producer(cluster.bootstrap, retry_backoff_ms=1, retry_backoff_max_ms=20) as producer:
            producer.produce_many("t", lines(5))
            drain(producer)
            cluster.stop(1)
            cluster.disconnect()
            cluster.leaders["t", 0] = 2
            producer.produce_many("t", lines(5))
            assert errors(drain(producer)) == []
        assert cluster.values("t", 0) == lines(5) * 2


def test_what_the_broker_refuses_for_good_is_reported_and_the_rest_goes_on() -> None:
    """The gap in the sequence is closed with the next epoch: later records are neither lost nor repeated."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        cluster.script(0, lambda call: None, refuse(ErrorCode.INVALID_RECORD))
        with Producer(cluster.bootstrap, batch_bytes=1_000, retry_backoff_ms=1) as producer:
            producer.produce_many("t", lines(500))
            deliveries = drain(producer)
        assert errors(deliveries) == ["INVALID_RECORD"]
        refused = next(d.count for d in deliveries if d.error is not None)
        first = next(d.count for d in deliveries)
        assert cluster.values("t", 0) == lines(500)[:first] + lines(500)[first + refused :]
        assert read_header(cluster.logs["t", 0].batches[-1]).producer_epoch == 1


def test_a_broker_that_forgot_the_producer_is_told_anew() -> None:
    """Its records expired; everything so far was acknowledged, so nothing is in doubt."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, retry_backoff_ms=1) as producer:
        for _ in range(2):
            producer.produce_many("t", lines(10))
            drain(producer)
        cluster.logs["t", 0].forget_producers()
        producer.produce_many("t", lines(10))
        assert errors(drain(producer)) == []
        assert cluster.values("t", 0) == lines(10) * 3


def test_batches_that_are_too_large_are_halved() -> None:
    """A topic allows less than the producer thought; a single record that is too large is reported, alone."""
    with ScriptedCluster(topics={"t": 1}, batch_bytes_max=5_000) as cluster:
        values = [b"%04d" % number + b"x" * 100 for number in range(1_000)]
        values[500] = b"y" * 6_000
        with Producer(cluster.bootstrap, retry_backoff_ms=1, retry_backoff_max_ms=5) as producer:
            producer.produce_many("t", values)
            deliveries = drain(producer)
        assert errors(deliveries) == ["MESSAGE_TOO_LARGE"]
        assert [d.count for d in deliveries if d.error] == [1]
        assert cluster.values("t", 0) == values[:500] + values[501:]


def test_time_runs_out_and_the_last_answer_is_told() -> None:
    """For a partition that refuses all the time; it is known not to hold the records."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        cluster.script(0, refuse(ErrorCode.NOT_ENOUGH_REPLICAS), keep=True)
        with Producer(cluster.bootstrap, delivery_timeout_ms=300, retry_backoff_ms=10) as producer:
            producer.produce("t", b"x", tag="mine")
            (delivery,) = drain(producer)
        assert isinstance(delivery.error, TimedOutError)
        assert "is not in the log; the last answer: NOT_ENOUGH_REPLICAS" in str(delivery.error)
        assert delivery.tag == "mine"


def test_a_silent_broker_leaves_the_records_in_doubt() -> None:
    """The time-out says that they may be in the log."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        cluster.script(0, lambda call: SILENT, keep=True)
        with Producer(cluster.bootstrap, delivery_timeout_ms=300, request_timeout_ms=100, retry_backoff_ms=10) as producer:
            producer.produce("t", b"x")
            (delivery,) = drain(producer)
        assert isinstance(delivery.error, TimedOutError)
        assert "may or may not be in the log" in str(delivery.error)


def test_nobody_there_is_told_when_the_topic_is_looked_up() -> None:
    """The first record finds out; the wait is as long as was allowed."""
    with (
        Producer(f"127.0.0.1:{free_port()}", metadata_timeout_ms=100, retry_backoff_ms=10) as producer,
        pytest.raises(UnreachableError),
    ):
        producer.produce("t", b"x")


def test_an_unknown_topic_is_named_unless_it_may_be_created() -> None:
    """Topics are created only by those who ask for it."""
    with ScriptedCluster() as cluster:
        with Producer(cluster.bootstrap, metadata_timeout_ms=100, retry_backoff_ms=10) as producer, pytest.raises(UnknownTopicError):
            producer.produce("t", b"x")
        assert not any(call.request.allow_auto_topic_creation for call in cluster.calls(3))
        cluster.topics["t"] = 1
        with Producer(cluster.bootstrap, create_topics=True) as producer:
            producer.produce("t", b"x")
            drain(producer)
        assert cluster.calls(3)[-1].request.allow_auto_topic_creation


def test_the_producer_id_is_waited_for() -> None:
    """The coordinator is loading; then it is there."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        cluster.script(22, lambda call: InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), lambda call: CLOSE)
        with Producer(cluster.bootstrap, retry_backoff_ms=1) as producer:
            producer.produce("t", b"x")
            assert errors(drain(producer)) == []
        assert len(cluster.calls(22)) == 3


def test_without_the_right_to_a_producer_id_everything_fails_and_says_why() -> None:
    """It will not pass, so nothing waits for the delivery time-out."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        cluster.script(22, lambda call: InitProducerIdResponse(error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED), keep=True)
        with Producer(cluster.bootstrap) as producer:
            producer.produce("t", b"x")
            assert errors(drain(producer)) == ["CLUSTER_AUTHORIZATION_FAILED"]


def test_a_broker_without_producer_ids_gets_plain_batches() -> None:
    """Idempotence is the default, not a demand."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        del cluster.versions[22]
        with Producer(cluster.bootstrap) as producer:
            producer.produce_many("t", lines(3))
            assert errors(drain(producer)) == []
        assert read_header(cluster.logs["t", 0].batches[0]).producer_id == -1


def test_a_full_buffer_waits_for_room() -> None:
    """What is not acknowledged never grows beyond the buffer and one call."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap, batch_bytes=10_000, buffer_bytes=50_000) as producer:
        values = [b"x" * 90] * 100
        for _ in range(100):
            producer.produce_many("t", values)
            assert producer.buffered * 104 <= 50_000 + 2 * 10_400
        drain(producer)
        assert len(cluster.values("t", 0)) == 10_000


def test_ctrl_c_leaves_the_producer_whole() -> None:
    """It interrupts the wait in flush(); flushing again finds everything in its place."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Producer(cluster.bootstrap) as producer:
        answer = threading.Event()

        def wait(call: Call) -> None:
            signal.pthread_kill(main_thread or 0, signal.SIGINT)
            answer.wait(20)

        main_thread = threading.main_thread().ident
        producer.partitions("t")
        cluster.script(0, wait)
        producer.produce_many("t", lines(10))
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                producer.flush()
        finally:
            signal.signal(signal.SIGINT, before)
            answer.set()
        assert producer.buffered == 10
        assert errors(drain(producer)) == []
        assert cluster.values("t", 0) == lines(10)


def test_a_closed_producer_takes_nothing() -> None:
    """And closing twice is no mistake; leaving with an exception does not wait."""
    with ScriptedCluster(topics={"t": 1}) as cluster:
        producer = Producer(cluster.bootstrap)
        producer.produce("t", b"x")
        assert producer.close() == 0
        assert producer.close() == 0
        assert producer.poll()[0].error is None
        with pytest.raises(ClosedError):
            producer.produce("t", b"x")
        cluster.script(0, lambda call: SILENT, keep=True)
        hurried = Producer(cluster.bootstrap)
        hurried.produce("t", b"x")
        started = time.monotonic()
        hurried.__exit__(RuntimeError)
        assert time.monotonic() - started < 10
        assert hurried.buffered == 1


@pytest.mark.parametrize("options", [{"acks": "2"}, {"compression": "rar"}, {"partitioner": "best"}, {"in_flight": 6}, {"in_flight": 0}])
def test_settings_are_checked(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(SettingError):
        Producer("127.0.0.1:1", **options)


def test_columns_must_be_of_one_length() -> None:
    """Otherwise keys would go to the wrong values."""
    with Producer("127.0.0.1:1") as producer:
        producer.produce_many("t", [])
        with pytest.raises(ValueError, match="3 values, but 2 keys"):
            producer.produce_many("t", lines(3), keys=lines(2))


# The real ones


def read_back(bootstrap: str, topic: str) -> list[Columns]:
    """The batches of partition 0 from its beginning to its end, through the plainest of consumers."""
    cluster = Cluster(bootstrap)
    leader = cluster.topic(topic, timeout_ms=20_000).partitions[0].leader
    found: list[Columns] = []
    offset = 0
    while True:
        partition = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=4 << 20)
        request = FetchRequest(max_wait_ms=100, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[partition])])
        row = cluster.call(request, leader, version_max=11).responses[0].partitions[0]
        assert row.error_code == 0
        batches = [decode_batch(row.records, position) for position, _ in headers(row.records or b"")]
        if not batches:
            cluster.close()
            return found
        found += batches
        offset = batches[-1].offsets[-1] + 1


def exercise(bootstrap: str) -> None:
    """Every codec, keys, headers, nulls and timestamps, at once and one by one; read back record for record."""
    values = [None if number % 11 == 0 else b"value %d" % number * (number % 40) for number in range(4_000)]
    keys = [None if number % 7 == 0 else b"key %d" % number for number in range(4_000)]
    header_column = [[("name", b"v"), ("null", None)][: number % 3] for number in range(4_000)]
    base_ms = int(time.time() * 1000)
    timestamps = [base_ms + number % 1_000 for number in range(4_000)]
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = f"exercise-{compression}"
        with Producer(bootstrap, compression=compression, create_topics=True, batch_bytes=50_000) as producer:
            producer.produce_many(topic, values, keys=keys, headers=header_column, timestamps=timestamps, partition=0)
            producer.produce_many(topic, lines(2_000), partition=0)
            producer.produce(topic, b"one", b"k", partition=0)
            deliveries = drain(producer)
        assert errors(deliveries) == []
        assert sum(d.count for d in deliveries) == 6_001
        batches = read_back(bootstrap, topic)
        assert list(itertools.chain(*(batch.offsets for batch in batches))) == list(range(6_001))
        assert list(itertools.chain(*(batch.values for batch in batches))) == [*values, *lines(2_000), b"one"]
        assert list(itertools.chain(*(batch.keys for batch in batches)))[:4_000] == keys
        assert [list(pairs) for pairs in itertools.chain(*(batch.headers for batch in batches))][:4_000] == header_column
        assert list(itertools.chain(*(batch.timestamps for batch in batches)))[:4_000] == timestamps


def test_ev_takes_everything(engine: Engine) -> None:
    """The engine of this project."""
    exercise(engine.address)


@pytest.mark.java
def test_apache_kafka_takes_everything(apache: Any) -> None:
    """The real one."""
    exercise(apache.bootstrap)


@pytest.mark.java
def test_apache_kafka_halves_what_is_too_large(apache: Any) -> None:
    """A topic with a small max.message.bytes: batches shrink until they fit, one record does not."""
    bootstrap = apache.bootstrap
    arguments = ("--create", "--topic", "small", "--partitions", "1", "--config", "max.message.bytes=5000")
    apache.tool("topics", "--bootstrap-server", bootstrap, *arguments)
    values = [b"%04d" % number * 25 for number in range(1_000)]
    values[700] = b"y" * 6_000
    with Producer(bootstrap) as producer:
        producer.produce_many("small", values)
        deliveries = drain(producer)
    assert errors(deliveries) == ["MESSAGE_TOO_LARGE"]
    assert list(itertools.chain(*(batch.values for batch in read_back(bootstrap, "small")))) == values[:700] + values[701:]


def test_a_broker_that_asks_for_a_pause_gets_it() -> None:
    """The next batch for it leaves when its quota allows it again; meanwhile another broker gets what is for it."""
    with ScriptedCluster(nodes=2, topics={"t": 2}) as cluster, Producer(cluster.bootstrap, linger_ms=0) as producer:

        def slowly(call: Call) -> Any:
            response = cluster.answer(call)
            response.throttle_time_ms = 500
            return response

        producer.produce_many("t", [b"first"], partition=0)
        producer.produce_many("t", [b"first"], partition=1)
        assert errors(drain(producer)) == []
        cluster.script(0, slowly)
        producer.produce_many("t", [b"second"], partition=0)
        assert errors(drain(producer)) == []
        began = time.monotonic()
        producer.produce_many("t", [b"third"], partition=0)
        producer.produce_many("t", [b"second"], partition=1)
        (quick,) = producer.poll(400)
        assert quick.partition == 1
        assert errors(drain(producer)) == []
        assert time.monotonic() - began >= 0.48
        assert cluster.values("t", 0) == [b"first", b"second", b"third"]
