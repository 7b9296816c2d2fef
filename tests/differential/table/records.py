"""Records: written, read, found by time and deleted."""

from __future__ import annotations

from typing import Any

from differential.conversation import NEW, Own, Step, Steps, about, kept
from differential.table.given import TIME_MS, produced, records, topic
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic
from ev.wire.records import encode_batch
from support.rules import rule

UNKNOWN_ID = bytes(range(16))
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
TRANSACTIONAL, CONTROL = 0x10, 0x20
BY_ID = 13


# Produce


class Writer:
    """Produce requests to one topic, by its name or its id, as the version has it."""

    def __init__(self, version: int, name: str) -> None:
        self.version = version
        self.name = name

    def data(self, *parts: tuple[int, Any]) -> TopicProduceData:
        given = [PartitionProduceData(index=index, records=each) for index, each in parts]
        if self.version >= BY_ID:
            return TopicProduceData(topic_id=kept("topic id"), partition_data=given)
        return TopicProduceData(name=self.name, partition_data=given)

    def request(self, *parts: tuple[int, Any], acks: int = -1, transactional_id: str | None = None) -> ProduceRequest:
        return ProduceRequest(transactional_id=transactional_id, acks=acks, timeout_ms=20_000, topic_data=[self.data(*parts)])

    def first(self, *values: bytes | None) -> Step:
        """Written when the topic is there."""
        return Step(self.request((0, records(*values))), self.version, again=NEW)

    def request_step(self, *parts: tuple[int, Any]) -> Step:
        return Step(self.request(*parts), self.version)

    def one(self, given: Any, **options: Any) -> Step:
        return Step(self.request((0, given), **options), self.version)


def changed(data: bytes, position: int, *values: int) -> bytes:
    """A batch that was damaged."""
    copy = bytearray(data)
    copy[position : position + len(values)] = bytes(values)
    return bytes(copy)


@about(0, "taken")
@rule(26)
def taken(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    write = Writer(version, own("a"))
    yield write.first(b"one", b"two")
    yield Step(write.request((1, records(b"three"))), version, again=NEW)
    yield write.request_step((1, records(b"three")), (0, records(b"four")))
    yield write.one(records(None, b"", keys=[b"k", None]), acks=1)
    yield write.one(records(b"late", timestamps=[TIME_MS + 5]))
    yield write.one(records(b"no time", timestamps=None))
    yield write.one(records(b"x" * 500, compression=GZIP))
    yield write.one(records(b"x" * 500, compression=SNAPPY))
    yield write.one(records(b"x" * 500, compression=LZ4))
    if version >= 7:
        yield write.one(records(b"x" * 500, compression=ZSTD))
    yield Step(ProduceRequest(acks=-1, timeout_ms=20_000), version)


@about(0, "without an answer")
@rule(2)
def without_an_answer(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    write = Writer(version, own("a"))
    yield write.first(b"one")
    yield Step(write.request((0, records(b"two")), acks=0), version, answer="never")
    yield write.one(records(b"three"))


@about(0, "where nothing is")
@rule(41)
def where_nothing_is(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    write = Writer(version, own("a"))
    yield write.first(b"one")
    yield Step(write.request((7, records(b"two")), (0, records(b"three")), (-1, records(b"four"))), version)
    if version < BY_ID:
        yield Writer(version, own("absent")).one(records(b"five"))
        yield Writer(version, "a b").one(records(b"six"))
        yield Writer(version, "").one(records(b"seven"))
        return
    absent = TopicProduceData(topic_id=UNKNOWN_ID, partition_data=[PartitionProduceData(index=0, records=records(b"five"))])
    yield Step(ProduceRequest(acks=-1, timeout_ms=20_000, topic_data=[absent]), version)


@about(0, "acks that are none")
@rule(25)
def bad_acks(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    write = Writer(version, own("a"))
    for acks in (2, -2):
        yield write.one(records(b"one"), acks=acks)


@about(0, "damaged batches")
@rule(27, 28)
def damaged(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    write = Writer(version, own("a"))
    yield write.first(b"one")
    good = encode_batch([b"one", b"two"], timestamps=TIME_MS)
    yield write.one(changed(good, 17, 0, 0, 0, 0))  # the checksum
    yield write.one(changed(good, len(good) - 2, 0xFF))
    yield write.one(good[:-1])
    yield write.one(encode_batch([b"one"], timestamps=TIME_MS, attributes=CONTROL))
    yield write.one(encode_batch([b"one"], timestamps=TIME_MS, attributes=8))  # log append time
    yield write.one(encode_batch([b"one"], timestamps=TIME_MS, attributes=TRANSACTIONAL))
    yield write.one(encode_batch([b"one"], timestamps=TIME_MS, base_offset=5))
    yield write.one(encode_batch([b"one"], timestamps=1 << 60))


@about(0, "not one batch")
@rule(26)
def not_one_batch(version: int, own: Own) -> Steps:
    """Null in place of a batch is not here: Kafka never answers it."""
    yield from topic(own("a"))
    write = Writer(version, own("a"))
    yield write.first(b"one")
    good = encode_batch([b"one"], timestamps=TIME_MS)
    yield write.one(good + good)
    yield write.one(b"")
    yield write.one(changed(good, 16, 1))  # the format


@about(0, "too large")
@rule(27)
def too_large(version: int, own: Own) -> Steps:
    yield from topic(own("a"), max_message_bytes="1000")
    write = Writer(version, own("a"))
    yield write.first(b"x" * 900)
    yield write.one(records(b"x" * 1000))
    yield write.one(records(b"x" * 5000, compression=GZIP))


@about(0, "compacted topics want keys")
@rule(29)
def keys_wanted(version: int, own: Own) -> Steps:
    yield from topic(own("a"), cleanup_policy="compact")
    write = Writer(version, own("a"))
    yield Step(write.request((0, records(b"one", keys=[b"k"]))), version, again=NEW)
    yield write.one(records(b"one", b"two", b"three", keys=[b"k", None, None]))
    yield write.one(records(b"one"))


@about(0, "the broker's time and codec")
@rule(31, 32)
def broker_decides(version: int, own: Own) -> Steps:
    yield from topic(own("a"), message_timestamp_type="LogAppendTime", compression_type="gzip")
    write = Writer(version, own("a"))
    yield write.first(b"one", b"two")
    yield write.one(records(b"x" * 100, compression=LZ4))


@about(0, "times that are too far off")
@rule(30)
def far_off(version: int, own: Own) -> Steps:
    yield from topic(own("a"), message_timestamp_before_max_ms="1000")
    write = Writer(version, own("a"))
    yield Step(write.request((0, records(b"no time", timestamps=None))), version, again=NEW)
    yield write.one(records(b"one", b"two"))
    yield from topic(own("b"), kept_as="other id")
    late = Writer(version, own("b"))
    if version < BY_ID:
        yield Step(late.request((0, records(b"one", b"two", timestamps=[TIME_MS, 1 << 52]))), version, again=NEW)


@about(0, "an idempotent producer")
@rule(34, 36, 37)
def idempotent(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4, keep={"producer": "producer_id"})
    write = Writer(version, own("a"))

    def batch_of(*values: bytes, sequence: int, epoch: int = 0) -> Any:
        return records(*values, producer_id=kept("producer"), producer_epoch=epoch, base_sequence=sequence)

    yield Step(write.request((0, batch_of(b"1", b"2", sequence=0))), version, again=NEW)
    for sequence in range(2, 8):
        yield write.one(batch_of(b"n", sequence=sequence))
    yield write.one(batch_of(b"n", sequence=7))  # the last one again
    yield write.one(batch_of(b"n", sequence=4))  # one of the last five
    yield write.one(batch_of(b"1", b"2", sequence=0))  # longer ago
    yield write.one(batch_of(b"n", sequence=10))  # a gap
    yield write.one(batch_of(b"n", sequence=3, epoch=1))  # a new epoch begins at 0
    yield write.one(batch_of(b"n", sequence=0, epoch=1))
    yield write.one(batch_of(b"n", sequence=8))  # the old epoch
    yield write.one(records(b"n", producer_id=kept("producer"), producer_epoch=1, base_sequence=-1))
    yield write.one(records(b"n", producer_id=kept("producer"), producer_epoch=1, base_sequence=(1 << 31) - 1))
    yield write.one(records(b"n", producer_id=kept("producer", 1000), producer_epoch=0, base_sequence=77))


@about(0, "sequence numbers begin again")
@rule(35)
def sequences_wrap(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4, keep={"producer": "producer_id"})
    write = Writer(version, own("a"))

    def batch_of(*values: bytes, sequence: int) -> Any:
        return records(*values, producer_id=kept("producer"), producer_epoch=0, base_sequence=sequence)

    yield Step(write.request((0, batch_of(b"n", sequence=(1 << 31) - 2))), version, again=NEW)
    yield write.one(batch_of(b"n", b"n", b"n", sequence=(1 << 31) - 1))
    yield write.one(batch_of(b"n", sequence=2))
    yield write.one(batch_of(b"n", b"n", b"n", sequence=(1 << 31) - 1))
    yield write.one(batch_of(b"n", sequence=0))


# Fetch


def part(offset: int, index: int = 0, size: int = 1 << 20, **options: Any) -> FetchPartition:
    return FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=size, **options)


class Reader:
    """Fetch requests for topics, by their names or ids, as the version has it."""

    def __init__(self, version: int) -> None:
        self.version = version

    def topic(self, name: str, *parts: FetchPartition, kept_as: str = "topic id") -> FetchTopic:
        if self.version >= BY_ID:
            return FetchTopic(topic_id=kept(kept_as), partitions=list(parts))
        return FetchTopic(topic=name, partitions=list(parts))

    def request(self, *topics: FetchTopic, **options: Any) -> FetchRequest:
        given = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, "session_epoch": -1, **options}
        return FetchRequest(topics=list(topics), **given)

    def step(self, *topics: FetchTopic, keep: dict[str, str] | None = None, **options: Any) -> Step:
        return Step(self.request(*topics, **options), self.version, keep=keep or {})


@about(1, "read from everywhere")
@rule(42, 44)
def read(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield produced(own("a"), records(b"0", b"1", b"2"))
    yield produced(own("a"), records(b"3", b"4", keys=[b"k", None]))
    yield produced(own("a"), records(b"5" * 3000, compression=ZSTD if version >= 10 else GZIP))
    yield produced(own("a"), records(b"other"), index=1)
    read = Reader(version)
    for offset in (0, 2, 3, 5, 6):
        yield read.step(read.topic(own("a"), part(offset)))
    yield read.step(read.topic(own("a"), part(0), part(0, 1)))
    yield read.step(read.topic(own("a"), part(0)), isolation_level=1)
    yield read.step(read.topic(own("a"), part(6)), max_wait_ms=50)
    yield read.step()


@about(1, "offsets that are not there")
@rule(45, 57)
def out_of_range(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"0", b"1", b"2"))
    read = Reader(version)
    for offset in (4, -1, -2, 1 << 40):
        yield read.step(read.topic(own("a"), part(offset)))
    delete = DeleteRecordsRequest(topics=[DeleteRecordsTopic(own("a"), [DeleteRecordsPartition(0, 2)])], timeout_ms=20_000)
    yield Step(delete, 2)
    for offset in (0, 1, 2, 3):
        yield read.step(read.topic(own("a"), part(offset)))


@about(1, "what is not there")
def nothing_there(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"0"))
    read = Reader(version)
    yield read.step(read.topic(own("a"), part(0, 9), part(0)))
    if version < BY_ID:
        yield read.step(FetchTopic(topic=own("absent"), partitions=[part(0)]), read.topic(own("a"), part(0)))
        yield read.step(FetchTopic(topic="a b", partitions=[part(0)]))
        yield read.step(FetchTopic(topic="", partitions=[part(0)]))
    else:
        yield read.step(FetchTopic(topic_id=UNKNOWN_ID, partitions=[part(0)]), read.topic(own("a"), part(0)))
        yield read.step(FetchTopic(topic_id=bytes(16), partitions=[part(0)]))


@about(1, "limits")
@rule(43)
def limits(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    for letter in (b"x", b"y", b"z"):
        yield produced(own("a"), records(letter * 1000))
    yield produced(own("a"), records(b"w" * 1000), index=1)
    read = Reader(version)
    yield read.step(read.topic(own("a"), part(0, size=1)))
    yield read.step(read.topic(own("a"), part(0, size=0)))
    yield read.step(read.topic(own("a"), part(0), part(0, 1)), max_bytes=1)
    yield read.step(read.topic(own("a"), part(0), part(0, 1)), max_bytes=0)
    yield read.step(read.topic(own("a"), part(3), part(0, 1, size=1)), max_bytes=1)
    yield read.step(read.topic(own("a"), part(0)), min_bytes=1 << 30, max_wait_ms=20)


@about(1, "the leader's epoch", since=9)
@rule(52)
def leader_epochs(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"0", b"1"))
    read = Reader(version)
    for epoch in (0, 5):
        yield read.step(read.topic(own("a"), part(0, current_leader_epoch=epoch)))
    if version >= 12:
        for last in (0, 5):
            yield read.step(read.topic(own("a"), part(1, last_fetched_epoch=last)))


@about(1, "sessions", since=7)
@rule(48)
def sessions(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield from topic(own("b"), kept_as="other id")
    yield produced(own("a"), records(b"0"))
    yield produced(own("a"), records(b"0"), index=1)
    yield produced(own("b"), records(b"0"))
    read = Reader(version)
    both = read.topic(own("a"), part(0), part(0, 1)), read.topic(own("b"), part(0), kept_as="other id")
    yield read.step(*both, session_epoch=0, keep={"session": "session_id"})
    yield read.step(read.topic(own("a"), part(1), part(1, 1)), session_id=kept("session"), session_epoch=1)
    yield read.step(read.topic(own("b"), part(1), kept_as="other id"), session_id=kept("session"), session_epoch=2)
    yield produced(own("a"), records(b"1"))
    yield read.step(session_id=kept("session"), session_epoch=3)
    forgotten = ForgottenTopic(topic_id=kept("topic id"), partitions=[0]) if version >= BY_ID else ForgottenTopic(own("a"), partitions=[0])
    yield read.step(session_id=kept("session"), session_epoch=4, forgotten_topics_data=[forgotten])
    yield read.step(session_id=kept("session"), session_epoch=4)
    yield read.step(session_id=kept("session"), session_epoch=9)
    yield read.step(read.topic(own("a"), part(9)), session_id=kept("session"), session_epoch=5)
    yield read.step(session_id=kept("session"), session_epoch=6)
    yield read.step(session_id=kept("session"), session_epoch=-1)
    yield read.step(session_id=kept("session"), session_epoch=7)
    yield read.step(session_id=12345, session_epoch=1)
    yield read.step(*both, session_id=12345, session_epoch=0)


@about(1, "a session over a topic that is not there", since=7)
def sessions_of_nothing(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"0"))
    read = Reader(version)
    nothing = (
        FetchTopic(topic_id=UNKNOWN_ID, partitions=[part(0)]) if version >= BY_ID else FetchTopic(topic=own("no"), partitions=[part(0)])
    )
    yield read.step(read.topic(own("a"), part(0)), nothing, session_epoch=0, keep={"session": "session_id"})
    yield read.step(session_id=kept("session"), session_epoch=1)


@about(1, "as another broker", until=14)
def as_a_follower(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield produced(own("a"), records(b"0"))
    read = Reader(version)
    yield read.step(read.topic(own("a"), part(0)), replica_id=-2)


# ListOffsets


def offsets(name: str, *asked: tuple[int, int], epoch: int = -1, **options: Any) -> ListOffsetsRequest:
    parts = [ListOffsetsPartition(partition_index=index, current_leader_epoch=epoch, timestamp=when) for index, when in asked]
    return ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name, parts)], **options)


@about(2, "by time")
@rule(55, 56)
def by_time(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(offsets(own("a"), (0, -1)), version, again=NEW)
    yield Step(offsets(own("a"), (0, -2)), version)
    yield Step(offsets(own("a"), (0, TIME_MS)), version)
    yield produced(own("a"), records(b"0", b"1", b"2", timestamps=[TIME_MS, TIME_MS + 10, TIME_MS + 20]))
    yield produced(own("a"), records(b"3", b"4", timestamps=[TIME_MS + 5, TIME_MS + 15], compression=GZIP))
    yield produced(own("a"), records(b"5", timestamps=[TIME_MS + 20]))
    for when in (0, 1, 5, 10, 11, 20, 21):
        yield Step(offsets(own("a"), (0, TIME_MS + when)), version)
    yield Step(offsets(own("a"), (0, 0)), version)
    yield Step(offsets(own("a"), (0, -1)), version)


@about(2, "special times")
@rule(54)
def special_times(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(offsets(own("a"), (0, -1)), version, again=NEW)
    for when in (-3, -4, -5, -6, -7, -100):
        yield Step(offsets(own("a"), (0, when)), version)
    yield produced(own("a"), records(b"0", b"1", b"2", timestamps=[TIME_MS, TIME_MS + 20, TIME_MS + 20]))
    for when in (-1, -2, -3, -4, -5, -6, -7, -100):
        yield Step(offsets(own("a"), (0, when)), version)
    if version >= 2:
        yield Step(offsets(own("a"), (0, -1), isolation_level=1), version)


@about(2, "what is not there")
@rule(54)
def no_offsets(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(offsets(own("a"), (0, -1)), version, again=NEW)
    yield Step(offsets(own("a"), (9, -1), (0, -1)), version)
    yield Step(offsets(own("absent"), (0, -1)), version)
    yield Step(offsets("a b", (0, -1)), version)
    yield Step(offsets(own("a"), (0, -1), (0, -2)), version)
    yield Step(ListOffsetsRequest(replica_id=-1), version)


@about(2, "the leader's epoch", since=4)
def offsets_epochs(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(offsets(own("a"), (0, -1)), version, again=NEW)
    for epoch in (0, 5):
        yield Step(offsets(own("a"), (0, -1), epoch=epoch), version)


# DeleteRecords


def deletion(name: str, *asked: tuple[int, int]) -> DeleteRecordsRequest:
    parts = [DeleteRecordsPartition(index, offset) for index, offset in asked]
    return DeleteRecordsRequest(topics=[DeleteRecordsTopic(name, parts)], timeout_ms=20_000)


@about(21, "up to an offset")
@rule(57, 58)
def records_deleted(version: int, own: Own) -> Steps:
    yield from topic(own("a"), 2)
    yield produced(own("a"), records(b"0", b"1", b"2", b"3"))
    yield Step(deletion(own("a"), (0, 2)), version)
    yield Step(deletion(own("a"), (0, 1)), version)
    yield Step(deletion(own("a"), (0, 5), (1, 0)), version)
    yield Step(deletion(own("a"), (0, -1), (1, -1)), version)
    yield Step(deletion(own("a"), (0, -2)), version)
    yield Step(deletion(own("a"), (9, 0), (0, 4)), version)
    yield Step(deletion(own("absent"), (0, 0)), version)
    yield Step(DeleteRecordsRequest(timeout_ms=20_000), version)
    yield Step(offsets(own("a"), (0, -2), (1, -2)), 5)


@about(21, "not from compacted topics")
@rule(58)
def not_compacted(version: int, own: Own) -> Steps:
    yield from topic(own("a"), cleanup_policy="compact")
    yield produced(own("a"), records(b"0", keys=[b"k"]))
    yield Step(deletion(own("a"), (0, 1)), version)
    yield from topic(own("b"), cleanup_policy="compact,delete")
    yield produced(own("b"), records(b"0", keys=[b"k"]))
    yield Step(deletion(own("b"), (0, 1)), version)


# OffsetForLeaderEpoch


def epochs(name: str, *asked: tuple[int, int, int]) -> OffsetForLeaderEpochRequest:
    parts = [OffsetForLeaderPartition(index, current, epoch) for index, current, epoch in asked]
    return OffsetForLeaderEpochRequest(replica_id=-1, topics=[OffsetForLeaderTopic(name, parts)])


@about(23, "where an epoch ends")
@rule(59)
def epoch_ends(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(epochs(own("a"), (0, -1, 0)), version, again=NEW)
    yield produced(own("a"), records(b"0", b"1", b"2"))
    for current, epoch in ((-1, 0), (0, 0), (-1, -1), (-1, 1), (-1, 5), (5, 0)):
        yield Step(epochs(own("a"), (0, current, epoch)), version)
    yield Step(epochs(own("a"), (9, -1, 0), (0, -1, 0)), version)
    yield Step(epochs(own("absent"), (0, -1, 0)), version)
    yield Step(OffsetForLeaderEpochRequest(replica_id=-1), version)
