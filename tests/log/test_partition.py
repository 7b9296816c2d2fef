"""A partition takes good batches, refuses bad ones with Kafka's codes, and is what it was before when a write fails."""

from __future__ import annotations

import errno
import struct
from dataclasses import replace

import pytest

from ev.errors import ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.log.partition import Appended, ReadLater
from ev.log.validation import OPENED_RECORDS_MAX
from ev.wire.checksum import crc32c
from ev.wire.records import decode_batch, encode_batch, read_header
from support.simulated_disk import SimulatedDisk
from support.stores import HandStore, read_bytes, read_records

CONFIG = TopicConfig(segment_bytes=100_000, retention_ms=-1, max_message_bytes=50_000)


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def hand(disk: SimulatedDisk) -> HandStore:
    return HandStore("/data", disk=disk, config=CONFIG)


def sealed(batch: bytearray) -> bytes:
    """The batch with the checksum that its bytes have now."""
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    return bytes(batch)


def changed(position: int, pattern: str, value: int) -> bytes:
    """A good batch of two records with one header field changed, and the right checksum for that."""
    batch = bytearray(encode_batch([b"a", b"b"], timestamps=1_700_000_000_000))
    struct.pack_into(pattern, batch, position, value)
    return sealed(batch)


GOOD = encode_batch([b"a", b"b"], timestamps=1_700_000_000_000)
REFUSED = {
    "shorter than a header": (GOOD[:60], ErrorCode.INVALID_RECORD),
    "cut off": (GOOD[:-1], ErrorCode.INVALID_RECORD),
    "two batches": (GOOD + GOOD, ErrorCode.INVALID_RECORD),
    "a wrong checksum": (GOOD[:-1] + b"\x01", ErrorCode.CORRUPT_MESSAGE),
    "an old format": (changed(16, ">b", 1), ErrorCode.INVALID_RECORD),
    "a base offset": (changed(0, ">q", 5), ErrorCode.INVALID_RECORD),
    "no records": (changed(57, ">i", 0), ErrorCode.INVALID_RECORD),
    "a count that lies": (changed(57, ">i", 3), ErrorCode.INVALID_RECORD),
    "a last delta that lies": (changed(23, ">i", 7), ErrorCode.INVALID_RECORD),
    "control records": (changed(21, ">h", 0x20), ErrorCode.INVALID_RECORD),
    "log append time": (changed(21, ">h", 0x08), ErrorCode.INVALID_TIMESTAMP),
    "a transaction of nobody": (changed(21, ">h", 0x10), ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    "a transaction that the request does not name": (
        encode_batch([b"a"], producer_id=9, producer_epoch=0, base_sequence=0, attributes=0x10),
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    "an unknown codec": (changed(21, ">h", 5), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    "a producer without a sequence": (changed(43, ">q", 9), ErrorCode.INVALID_RECORD),
    "a time in the future": (encode_batch([b"a"], timestamps=1_700_000_000_000 + 3_600_001), ErrorCode.INVALID_TIMESTAMP),
    "too many bytes": (encode_batch([bytes(60_000)]), ErrorCode.MESSAGE_TOO_LARGE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_batch_gets_kafkas_error_and_changes_nothing(hand: HandStore, name: str) -> None:
    """Each lie in a header is seen before anything is written."""
    batch, code = REFUSED[name]
    hand.append(GOOD)
    with pytest.raises(KafkaError) as refused:
        hand.partition.append(batch, hand.clock.wall_ms())
    assert refused.value.code == code
    assert hand.partition.end_offset == 2
    assert not hand.store.committer.dirty


def test_zstd_needs_a_produce_request_that_knows_it(hand: HandStore) -> None:
    """Before version 7 of Produce a client may not send it."""
    batch = encode_batch([b"a"], compression=4)
    with pytest.raises(KafkaError) as refused:
        hand.partition.append(batch, hand.clock.wall_ms(), request_version=6)
    assert refused.value.code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert hand.partition.append(batch, hand.clock.wall_ms(), request_version=7).base_offset == 0


def test_a_batch_is_stored_as_it_came(hand: HandStore) -> None:
    """Only the base offset and the leader epoch are written into it; every other byte is the producer's."""
    hand.append(GOOD)
    hand.append(GOOD)
    second = read_bytes(hand.partition, 2)
    assert second[16:] == GOOD[16:]
    header = read_header(second)
    assert (header.base_offset, header.leader_epoch) == (2, hand.partition.leader_epoch)


def test_sequences_wrap(hand: HandStore) -> None:
    """After 2^31 - 1 a producer begins again with 0, also in the middle of a batch."""
    top = 0x7FFFFFFF
    first = encode_batch([b"a", b"b"], producer_id=1, producer_epoch=0, base_sequence=top - 2)
    across = encode_batch([b"c", b"d"], producer_id=1, producer_epoch=0, base_sequence=top)
    after = encode_batch([b"e"], producer_id=1, producer_epoch=0, base_sequence=1)
    assert [hand.append(batch) for batch in (first, across, after)] == [0, 2, 4]
    assert hand.partition.append(across, hand.clock.wall_ms()).duplicate


def test_producer_epochs_fence_and_begin_at_zero(hand: HandStore) -> None:
    """An older epoch is refused; a newer one must begin with sequence 0; an unknown producer may begin anywhere."""
    hand.append(encode_batch([b"a"], producer_id=1, producer_epoch=3, base_sequence=50))
    for epoch, sequence, code in ((2, 51, ErrorCode.INVALID_PRODUCER_EPOCH), (4, 51, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)):
        with pytest.raises(KafkaError) as refused:
            hand.append(encode_batch([b"b"], producer_id=1, producer_epoch=epoch, base_sequence=sequence))
        assert refused.value.code == code
    assert hand.append(encode_batch([b"b"], producer_id=1, producer_epoch=4, base_sequence=0)) == 1


def test_a_duplicate_waits_for_its_original(hand: HandStore) -> None:
    """Until the original is on disk, the answer to its retry waits for the same round; afterwards it need not."""
    batch = encode_batch([b"a"], producer_id=1, producer_epoch=0, base_sequence=0)
    first = hand.partition.append(batch, hand.clock.wall_ms())
    again = hand.partition.append(batch, hand.clock.wall_ms())
    assert again == first._replace(duplicate=True)
    assert again.round == first.round > 0
    hand.commit()
    assert hand.partition.append(batch, hand.clock.wall_ms()).round == 0


def test_producers_expire_by_the_brokers_clock(hand: HandStore) -> None:
    """Records with old timestamps do not make their producer forgotten; silence does."""
    hand.append(encode_batch([b"a"], timestamps=1000, producer_id=1, producer_epoch=0, base_sequence=0))
    assert hand.partition.expire_producers(hand.clock.wall_ms()) == 0
    hand.restart(clean=True)
    hand.clock.advance(86_400_000 + 1)
    hand.chores()
    assert len(hand.partition.producers) == 0


@pytest.mark.parametrize("after_bytes", [0, 1, 30, 69])
def test_a_short_write_is_cut_back(hand: HandStore, disk: SimulatedDisk, after_bytes: int) -> None:
    """What a failed write left behind is gone before anything else is written; the next batch gets the offset."""
    hand.append(GOOD)
    size = disk.size(hand.partition.active.path(".log"))
    disk.fail("write", errno.EIO, ".log", after_bytes=after_bytes)
    with pytest.raises(KafkaError) as refused:
        hand.append(GOOD)
    assert refused.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert disk.size(hand.partition.active.path(".log")) == size
    assert hand.append(GOOD) == 2
    assert len(read_records(hand.partition)) == 4


def test_a_write_that_cannot_be_cut_back_closes_the_partition(hand: HandStore, disk: SimulatedDisk) -> None:
    """Nothing may be appended behind bytes that nobody vouches for; reading goes on."""
    hand.append(GOOD)
    disk.fail("write", errno.EIO, ".log", after_bytes=10)
    disk.fail("truncate", errno.EIO, ".log")
    for _ in range(2):
        with pytest.raises(KafkaError) as refused:
            hand.append(GOOD)
        assert refused.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert len(read_records(hand.partition)) == 2
    hand.restart(clean=False)
    assert hand.append(GOOD) == 2


def test_a_full_disk_refuses_and_resumes_by_itself(hand: HandStore, disk: SimulatedDisk) -> None:
    """ENOSPC is an error of the moment: reads go on, writes come back when there is room, without a restart."""
    hand.append(GOOD)
    fault = disk.fail("write", errno.ENOSPC, ".log", times=None)
    disk.free = (0, 1 << 40)
    with pytest.raises(KafkaError) as refused:
        hand.append(GOOD)
    assert refused.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert not hand.store.writable
    assert len(read_records(hand.partition)) == 2
    disk.faults.remove(fault)
    disk.free = (1 << 40, 1 << 40)
    hand.clock.advance(2000)
    hand.chores()
    assert hand.store.writable
    assert hand.append(GOOD) == 2


def test_the_engines_own_topics_write_from_the_reserve(hand: HandStore, disk: SimulatedDisk) -> None:
    """When the disk is full, the reserve is given up once, so that groups and metadata can still be noted."""
    hand.store.metadata.append_records([(b"k", b"v")], hand.clock.wall_ms())
    hand.checkpoint()
    hand.chores()
    assert disk.exists("/data/.ev-reserve")
    disk.fail("write", errno.ENOSPC, "__ev_metadata", times=1)
    appended = hand.store.metadata.append_records([(b"k", b"w")], hand.clock.wall_ms())
    assert appended.base_offset == 1
    assert not disk.exists("/data/.ev-reserve")
    assert not hand.store.writable


def test_the_reserve_is_there_again_as_soon_as_there_is_room(hand: HandStore, disk: SimulatedDisk) -> None:
    """Not a minute later: records may have taken its room by then, and a disk that is full again finds groups without any."""
    hand.store.metadata.append_records([(b"k", b"v")], hand.clock.wall_ms())
    hand.checkpoint()
    hand.chores()
    disk.fail("write", errno.ENOSPC, "__ev_metadata", times=1)
    disk.free = (0, 1 << 40)
    hand.store.metadata.append_records([(b"k", b"w")], hand.clock.wall_ms())
    assert not disk.exists("/data/.ev-reserve")
    disk.free = (1 << 40, 1 << 40)
    hand.clock.advance(2000)
    hand.chores()
    assert hand.store.writable
    assert disk.exists("/data/.ev-reserve")


def test_segments_roll_by_size_time_and_index(disk: SimulatedDisk) -> None:
    """segment.bytes is never exceeded; segment.ms counts by the records' own time; a full index ends a segment too."""
    hand = HandStore(
        "/data", disk=disk, config=replace(CONFIG, segment_bytes=1000, segment_ms=10_000, index_interval_bytes=0, segment_index_bytes=80)
    )
    now = hand.clock.wall_ms()
    for _ in range(5):
        hand.append(encode_batch([bytes(300)], timestamps=now))
    assert [segment.size <= 1000 for segment in hand.partition.segments] == [True] * 3
    hand.append(encode_batch([b""], timestamps=now + 9_000))
    assert len(hand.partition.segments) == 3
    hand.append(encode_batch([b""], timestamps=now + 10_001))
    assert [segment.base_offset for segment in hand.partition.segments] == [0, 2, 4, 6]
    for _ in range(12):
        hand.append(encode_batch([b""], timestamps=now + 10_001))
    assert [segment.base_offset for segment in hand.partition.segments] == [0, 2, 4, 6, 17]


def test_reads_return_whole_batches_from_the_one_that_holds_the_offset(hand: HandStore) -> None:
    """Never half a batch; the first one always if asked for, however large; nothing beyond the high watermark."""
    for _ in range(3):
        hand.append(GOOD)
    partition = hand.partition
    small = partition.read(3, 1, at_least_one=True)
    assert not isinstance(small, ReadLater)
    assert (decode_batch(b"".join(map(bytes, small.pieces))).base_offset, small.next_offset) == (2, 4)
    nothing = partition.read(3, 1, at_least_one=False)
    assert nothing == ([], 3)
    partition.append(GOOD, hand.clock.wall_ms())
    assert partition.read(6, 1 << 20, at_least_one=True) == ([], 6)
    beyond = partition.read(6, 1 << 20, at_least_one=True, end_offset=partition.end_offset)
    assert not isinstance(beyond, ReadLater)
    assert beyond.next_offset == 8
    for offset in (-1, 9):
        with pytest.raises(KafkaError) as refused:
            partition.read(offset, 1, at_least_one=True)
        assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_available_bytes_are_counted_from_where_a_reader_stands(hand: HandStore) -> None:
    """A waiting fetch is woken by bytes below the high watermark only."""
    hand.append(GOOD)
    partition = hand.partition
    partition.read(0, 1 << 20, at_least_one=True)
    assert partition.bytes_available(2, 1000) == 0
    partition.append(GOOD, hand.clock.wall_ms())
    assert partition.bytes_available(2, 1000) == 0
    hand.commit()
    assert partition.bytes_available(2, 1000) == len(GOOD)
    assert partition.bytes_available(2, 10) == 10


def test_log_append_time_is_the_brokers(disk: SimulatedDisk) -> None:
    """The batch says so, its checksum is right again, the answer carries the time, a retry gets the original's."""
    hand = HandStore("/data", disk=disk, config=replace(CONFIG, message_timestamp_type="LogAppendTime"))
    now = hand.clock.wall_ms()
    batch = encode_batch([b"a"], timestamps=5, producer_id=1, producer_epoch=0, base_sequence=0)
    first = hand.partition.append(batch, now)
    assert first.log_append_time_ms == now
    hand.commit()
    hand.restart(clean=False)
    assert read_records(hand.partition) == [(0, now, None, b"a")]
    assert hand.partition.append(batch, now + 1000) == Appended(0, 0, now, 0, True, 0)


def test_a_topic_with_a_codec_recompresses(disk: SimulatedDisk) -> None:
    """compression.type other than the producer's: the records are the same, the batch is not; equal: not a byte changes."""
    hand = HandStore("/data", disk=disk, config=replace(CONFIG, compression_type="lz4"))
    hand.append(encode_batch([b"a" * 100, None], keys=[None, b"k"], compression=1, timestamps=[7, 8]))
    same = encode_batch([b"b"], compression=3, timestamps=9)
    hand.append(same)
    assert read_records(hand.partition) == [(0, 7, None, b"a" * 100), (1, 8, b"k", None), (2, 9, None, b"b")]
    stored = read_bytes(hand.partition)
    assert read_header(stored).codec == 3
    assert stored.endswith(same[16:])


@pytest.mark.parametrize("config", [{"cleanup_policy": ("compact",)}, {"compression_type": "lz4"}, {"validate_deep": True}], ids=str)
def test_what_has_to_be_opened_may_not_hold_too_much(disk: SimulatedDisk, config: dict[str, object]) -> None:
    """Everybody waits meanwhile. Java's producer sends such a batch again in parts; where nothing is opened it is taken."""
    count = OPENED_RECORDS_MAX + 1
    batch = encode_batch([b""] * count, keys=[b"k"] * count, compression=4)
    plain = HandStore("/data", disk=disk, config=TopicConfig())
    assert plain.partition.append(batch, plain.clock.wall_ms()).last_offset == count - 1
    looked_into = HandStore("/other", disk=SimulatedDisk(["/other"]), config=replace(TopicConfig(), **config))  # type: ignore[arg-type]
    with pytest.raises(KafkaError) as refused:
        looked_into.partition.append(batch, looked_into.clock.wall_ms())
    assert refused.value.code == ErrorCode.MESSAGE_TOO_LARGE
    late = encode_batch([b""] * count, timestamps=1 << 42, compression=4)
    with pytest.raises(KafkaError) as refused:
        plain.partition.append(late, plain.clock.wall_ms())
    assert refused.value.code == ErrorCode.INVALID_TIMESTAMP


def test_a_compacted_topic_wants_keys(disk: SimulatedDisk) -> None:
    """A record without a key could never be compacted."""
    hand = HandStore("/data", disk=disk, config=replace(CONFIG, cleanup_policy=("compact",)))
    with pytest.raises(KafkaError) as refused:
        hand.append(encode_batch([b"a", b"b"], keys=[b"k", None]))
    assert refused.value.code == ErrorCode.INVALID_RECORD
    assert hand.append(encode_batch([b"a"], keys=[b"k"])) == 0


def test_delete_records_moves_the_start(hand: HandStore) -> None:
    """-1 means the high watermark, beyond it is out of range; a batch that begins before the start is still returned whole."""
    for _ in range(3):
        hand.append(GOOD)
    partition = hand.partition
    assert partition.delete_records(3, 0) == 3
    assert read_header(read_bytes(partition, 3)).base_offset == 2
    with pytest.raises(KafkaError):
        partition.read(2, 1, at_least_one=True)
    with pytest.raises(KafkaError):
        partition.delete_records(7, 0)
    assert partition.delete_records(1, 0) == 3
    assert partition.delete_records(-1, 0) == 6
    hand.checkpoint()
    hand.restart(clean=False)
    assert hand.partition.log_start_offset == 6


def test_retention_by_size_leaves_less_than_a_segment_more(disk: SimulatedDisk) -> None:
    """Oldest segments go while what is left is still at least retention.bytes."""
    hand = HandStore("/data", disk=disk, config=replace(CONFIG, segment_bytes=1000, retention_bytes=2500))
    for _ in range(30):
        hand.append(encode_batch([bytes(230)]))
    hand.partition.enforce_retention(hand.clock.wall_ms())
    assert 2500 <= hand.partition.size_bytes < 3500
    assert hand.partition.log_start_offset == hand.partition.segments[0].base_offset > 0


def test_retention_by_time_takes_the_active_segment_too(disk: SimulatedDisk) -> None:
    """When everything is too old the log becomes empty, its offsets go on; a record from the future holds its segment."""
    hand = HandStore("/data", disk=disk, config=replace(CONFIG, retention_ms=60_000, segment_ms=1000))
    hand.append(encode_batch([b"a"], timestamps=hand.clock.wall_ms()))
    hand.append(encode_batch([b"future"], timestamps=hand.clock.wall_ms() + 100_000))
    for _ in range(4):
        hand.clock.advance(300_000 - 1)
        hand.checkpoint()
        hand.chores()
    assert (hand.partition.log_start_offset, hand.partition.end_offset) == (2, 2)
    assert not [name for name in disk.list(hand.partition.directory) if name.startswith(f"{0:020d}.log")]
    hand.restart(clean=False)
    assert hand.append(GOOD) == 2


def test_searches_by_time_find_records_not_batches(hand: HandStore) -> None:
    """The first record that is not older, inside its batch; None when all are older; compressed or not."""
    for codec in range(5):
        base = 1_699_999_000_000 + codec * 100
        hand.append(encode_batch([b"a", b"b", b"c"], timestamps=[base, base + 50, base + 20], compression=codec))
    partition = hand.partition
    assert partition.offset_for_timestamp(0) == (0, 1_699_999_000_000)
    assert partition.offset_for_timestamp(1_699_999_000_201) == (7, 1_699_999_000_250)
    assert partition.offset_for_timestamp(1_699_999_000_450) == (13, 1_699_999_000_450)
    assert partition.offset_for_timestamp(1_699_999_000_451) is None
    assert partition.max_timestamp() == (13, 1_699_999_000_450)
    assert partition.offset_for_timestamp(1_699_999_000_201, end_offset=7) is None
