"""Compaction keeps the newest record of every key, its offset and its time; whatever happens meanwhile, nothing else is ever seen."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import pathlib
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ev.errors import MalformedError
from ev.log import cleaner
from ev.log.cleaner import Cleaning
from ev.log.compaction import Cleaned
from ev.log.config import TopicConfig
from ev.log.partition import Partition
from ev.log.reading import Moved, ReadLater
from ev.log.transactions import Marker
from ev.wire.checksum import crc32c
from ev.wire.records import DELETE_HORIZON, decode_batch, encode_batch, headers
from support.simulated_disk import SimulatedDisk
from support.stores import HandStore, read_bytes

CONFIG = TopicConfig(
    segment_bytes=1500,
    index_interval_bytes=200,
    retention_ms=-1,
    cleanup_policy=("compact",),
    delete_retention_ms=50_000,
    min_cleanable_ratio=0.01,
    file_delete_delay_ms=100,
)
TRANSACTIONAL = 0x10
Record = tuple[int, int, bytes | None, bytes | None]


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def hand(disk: SimulatedDisk) -> HandStore:
    return HandStore("/data", disk=disk, config=CONFIG)


def put(hand: HandStore, *pairs: tuple[bytes, bytes | None], codec: int = 0, **producer: Any) -> None:
    """One batch of (key, value)s."""
    now_ms = hand.clock.wall_ms()
    batch = encode_batch([value for _, value in pairs], keys=[key for key, _ in pairs], timestamps=now_ms, compression=codec, **producer)
    hand.partition.append(batch, now_ms, in_transaction=lambda producer_id, epoch: None)
    hand.clock.advance(10)


def roll(hand: HandStore) -> None:
    """Fill up so that what is there lies in sealed segments, and have it noted."""
    base = hand.partition.active.base_offset
    while hand.partition.active.base_offset == base:
        put(hand, (b"filler", b"f" * 300))
    put(hand, (b"filler", b"f"))
    hand.checkpoint()


def clean(hand: HandStore, between: Callable[[], None] | None = None) -> int:
    """Compact what is due, each job to its end; how many there were."""
    count = 0
    while True:
        hand.clock.advance(cleaner.LOOK_AGAIN_MS)
        hand.chores()
        cleaning = hand.store.next_cleaning(hand.clock.monotonic_ms())
        if cleaning is None:
            return count
        finish(hand, cleaning, between)
        count += 1
        assert count < 20, "it never ends"


def finish(hand: HandStore, cleaning: Cleaning, between: Callable[[], None] | None = None) -> Cleaned:
    result = cleaning.job.run(hand.disk)
    if between is not None:
        between()
    cleaning.done(result)
    hand.chores()
    return result


def records(partition: Partition, offset: int | None = None) -> list[Record]:
    """Every record of data that is there."""
    found: list[Record] = []
    data = read_bytes(partition, offset)
    for position, header in headers(data):
        if not header.is_control:
            columns = decode_batch(data, position)
            found += zip(columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True)
    return found


def newest(of: list[Record]) -> dict[bytes | None, Record]:
    return {record[2]: record for record in of}


@pytest.mark.parametrize("codec", range(5))
def test_of_each_key_the_newest_stays_where_it_was(hand: HandStore, codec: int) -> None:
    """With its offset, its time, its value, in any codec; and compacting again changes nothing."""
    for number in range(40):
        put(hand, *((b"k%d" % (number * part % 7), b"%d/%d" % (number, part)) for part in range(1, 4)), codec=codec)
    roll(hand)
    before = records(hand.partition)
    size = hand.partition.size_bytes
    assert clean(hand) > 0
    after = records(hand.partition)
    assert newest(after) == newest(before)
    assert set(after) <= set(before)
    sealed = [record for record in after if record[0] < hand.partition.active.base_offset]
    assert len(sealed) == len({record[2] for record in sealed}), "one of each key"
    assert hand.partition.size_bytes < size / 2
    assert clean(hand) == 0
    for clean_stop in (True, False):
        hand.restart(clean=clean_stop)
        assert records(hand.partition) == after
        assert not hand.store.reports


def test_a_batch_of_which_everything_stays_is_not_touched(hand: HandStore) -> None:
    """Byte for byte the same; a segment of such batches is left alone."""
    for number in range(30):
        put(hand, (b"%d" % number, b"v" * 50))
    roll(hand)
    before = read_bytes(hand.partition, 0)
    clean(hand)
    assert read_bytes(hand.partition, 0)[: len(before) // 2] == before[: len(before) // 2]


def test_tombstones_stay_for_their_time(hand: HandStore) -> None:
    """The deleted value goes at once; the tombstone when `delete.retention.ms` has passed since it was first compacted."""
    put(hand, (b"gone", b"v"))
    put(hand, (b"gone", None), (b"stays", b"v"))
    roll(hand)
    clean(hand)
    found = records(hand.partition)
    assert [record[3] for record in found if record[2] == b"gone"] == [None]
    data = read_bytes(hand.partition)
    assert any(header.attributes & DELETE_HORIZON for _, header in headers(data))
    stamps = {record[2]: record[1] for record in found}
    assert stamps[b"gone"] == stamps[b"stays"] < hand.clock.wall_ms(), "their times are what they were"
    hand.clock.advance(60_000)
    roll(hand)
    clean(hand)
    assert b"gone" not in newest(records(hand.partition))
    assert newest(records(hand.partition))[b"stays"][3] == b"v"


def test_the_last_batch_of_a_producer_stays_as_an_empty_one(hand: HandStore) -> None:
    """So that a retry of it is still known, even from Kafka's files alone."""
    for sequence in range(3):
        put(hand, (b"k", b"%d" % sequence), producer_id=7, producer_epoch=0, base_sequence=sequence)
    put(hand, (b"k", b"newest"))
    roll(hand)
    clean(hand)
    batches = [header for _, header in headers(read_bytes(hand.partition)) if header.producer_id == 7]
    assert [(header.base_sequence, header.record_count) for header in batches] == [(2, 0)]
    hand.restart(clean=False)
    retry = encode_batch([b"2"], keys=[b"k"], timestamps=hand.clock.wall_ms(), producer_id=7, producer_epoch=0, base_sequence=2)
    assert hand.partition.append(retry, hand.clock.wall_ms()).duplicate


def test_aborted_records_go_and_markers_follow(hand: HandStore) -> None:
    """What was aborted is no newest record of anything; a marker stays while its transaction has left something, and for its time."""
    put(hand, (b"k", b"committed before"))
    for commits, value in ((False, b"aborted"), (True, b"committed")):
        put(
            hand,
            (b"k" if not commits else b"other", value),
            producer_id=7,
            producer_epoch=0,
            base_sequence=int(commits),
            attributes=TRANSACTIONAL,
        )
        hand.partition.append_marker(7, 0, Marker(commits, 0), hand.clock.wall_ms())
    roll(hand)
    assert len(hand.partition.aborted_transactions(0, 10)) == 1
    clean(hand)
    assert {key: record[3] for key, record in newest(records(hand.partition)).items() if key != b"filler"} == {
        b"k": b"committed before",
        b"other": b"committed",
    }
    assert hand.partition.aborted_transactions(0, 10) == []

    def markers() -> int:
        return sum(header.is_control for _, header in headers(read_bytes(hand.partition)))

    assert markers() == 2
    roll(hand)
    clean(hand)
    hand.clock.advance(60_000)
    roll(hand)
    clean(hand)
    assert markers() == 1, "that of the commit, which has left a record"
    hand.restart(clean=False)
    assert hand.partition.last_stable_offset == hand.partition.high_watermark


def test_nothing_behind_an_open_transaction_is_touched(hand: HandStore) -> None:
    """It may still be aborted, and then something older is the newest."""
    put(hand, (b"k", b"old"))
    put(hand, (b"k", b"open"), producer_id=7, producer_epoch=0, base_sequence=0, attributes=TRANSACTIONAL)
    roll(hand)
    assert clean(hand) == 0
    hand.partition.append_marker(7, 0, Marker(False, 0), hand.clock.wall_ms())
    roll(hand)
    assert clean(hand) > 0
    assert newest(records(hand.partition))[b"k"][3] == b"old"


def test_young_records_wait(disk: SimulatedDisk) -> None:
    """For min.compaction.lag.ms."""
    config = TopicConfig(**{**{name: getattr(CONFIG, name) for name in CONFIG.__slots__}, "min_compaction_lag_ms": 10_000_000})
    hand = HandStore("/data", disk=disk, config=config)
    for number in range(20):
        put(hand, (b"k", b"%d" % number * 100))
    roll(hand)
    assert clean(hand) == 0
    hand.clock.advance(10_000_000)
    assert clean(hand) > 0


def test_a_damaged_segment_is_left_alone(hand: HandStore, disk: SimulatedDisk) -> None:
    """Its log is not compacted any more, and says so; what can be read is there."""
    for number in range(30):
        put(hand, (b"k%d" % (number % 3), b"%d" % number * 40))
    roll(hand)
    file = disk.open("/data/events-0/00000000000000000000.log")
    byte = file.read_at(1, 300)
    file.write_at([bytes([byte[0] ^ 1])], 300)
    hand.clock.advance(1)
    cleaning = hand.store.next_cleaning(hand.clock.monotonic_ms())
    assert cleaning is not None
    with pytest.raises(MalformedError) as refused:
        cleaning.job.run(disk)
    cleaning.done(refused.value)
    assert clean(hand) == 0


def test_a_batch_that_lies_stays_as_it_is_and_stops_nothing(hand: HandStore, caplog: pytest.LogCaptureFixture) -> None:
    """It came while the topic was not compacted, and nobody looked inside: what is around it is compacted all the same."""
    hand.store.set_config("events", dataclasses.replace(CONFIG, cleanup_policy=("delete",)))
    lying = bytearray(encode_batch([b"v"], keys=[b"k0"], timestamps=hand.clock.wall_ms()))
    lying[61] = 0x7E  # the record says a length that it has not
    lying[17:21] = crc32c(memoryview(lying)[21:]).to_bytes(4, "big")
    for number in range(30):
        put(hand, (b"k%d" % (number % 3), b"%d" % number * 40))
        if number == 3:
            lies_at = hand.partition.append(bytes(lying), hand.clock.wall_ms()).base_offset
    hand.store.set_config("events", CONFIG)
    roll(hand)
    assert clean(hand) > 0
    kept = {
        header.base_offset: read_bytes(hand.partition)[position : position + header.size]
        for position, header in headers(read_bytes(hand.partition))
    }
    assert kept[lies_at][21:] == lying[21:]
    assert len(kept) < 15
    assert f"the batch at offset {lies_at}" in caplog.text


def test_what_the_disk_refused_is_tried_again_later(hand: HandStore) -> None:
    """After a minute, then after two, at last once an hour; the log is compacted as soon as there is room."""
    for number in range(60):
        put(hand, (b"k%d" % (number % 5), b"%d" % number * 20))
    roll(hand)
    store, clock = hand.store, hand.clock
    waited_ms = []
    for _ in range(8):
        asked_ms = clock.monotonic_ms()
        while (cleaning := store.next_cleaning(clock.monotonic_ms())) is None:
            clock.advance(1000)
        waited_ms.append(clock.monotonic_ms() - asked_ms)
        cleaning.done(OSError(errno.ENOSPC, "No space left on device"))
    assert waited_ms[1:] == [60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000, 3_600_000]
    clock.advance(3_600_000)
    assert clean(hand) == 1
    assert len(newest(records(hand.partition))) == 6


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 25))])
def test_whatever_happens_meanwhile_the_newest_of_every_key_is_there(seed: int) -> None:
    """Writes, restarts, power cuts before any change of the disk while segments are compacted and swapped."""
    random = Random(seed)
    disk = SimulatedDisk(["/data"])
    hand = HandStore("/data", disk=disk, config=CONFIG, settings={"ev.flush.method": random.choice(["auto", "file", "journal"])})
    expected: dict[bytes, bytes | None] = {}
    images = 0

    def write(count: int) -> None:
        for _ in range(count):
            pairs = [
                (b"k%d" % random.randint(0, 12), random.choice([b"v%d" % random.randint(0, 10**9) * random.randint(1, 9), None]))
                for _ in range(3)
            ]
            put(hand, *pairs, codec=random.choice([0, 0, 3]))
            expected.update(pairs)

    def moment(operation: str, path: str) -> None:
        nonlocal images
        if random.random() < 0.4:
            images += 1
            judge(disk.crash_image(Random(random.getrandbits(32))), f"before {operation} {path}")

    def judge(image: SimulatedDisk, where: str) -> None:
        found = HandStore("/data", disk=image, config=CONFIG, clock=hand.clock)
        assert found.partition.damaged is None, (where, found.partition.damaged)
        assert found.partition.end_offset >= synced, where
        seen = {key: record[3] for key, record in newest(records(found.partition)).items() if key in expected and record[0] < synced}
        for key, value in values_then.items():
            assert seen.get(key) == value or (value is None and key not in seen), (where, key, value, seen.get(key))

    for _ in range(6):
        write(random.randint(10, 40))
        roll(hand)
        synced, values_then = hand.partition.high_watermark, dict(expected)
        disk.before_change = moment
        clean(hand)
        disk.before_change = None
        seen = newest(records(hand.partition))
        for key, value in expected.items():
            assert (seen[key][3] if key in seen else None) == value
        if random.random() < 0.5:
            hand.restart(clean=random.random() < 0.5)
    assert images > 20


def test_readers_of_old_segments_are_not_disturbed(hand: HandStore) -> None:
    """A read that was planned before the swap and runs after it says that it has to be planned again, and then it works."""
    for number in range(60):
        put(hand, (b"k%d" % (number % 5), b"%d" % number * 20))
    roll(hand)
    hand.restart(clean=True)
    partition = hand.partition
    later = partition.read(0, 1 << 20, at_least_one=True)
    assert isinstance(later, ReadLater)
    assert clean(hand) > 0
    with pytest.raises(Moved):
        later.run()
    again = partition.read(0, 1 << 20, at_least_one=True)
    assert not isinstance(again, ReadLater) or again.run().pieces


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_room_of_an_old_segment_is_given_back_later(tmp_path: pathlib.Path) -> None:
    """The file whose name a compacted one takes is kept until then, so that no rename waits for a large one to go."""

    def nameless() -> int:
        names = []
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # that of the listing itself
                names.append(os.readlink(f"/proc/self/fd/{number}"))
        return len([name for name in names if name.startswith(str(tmp_path)) and name.endswith(".log (deleted)")])

    config = dataclasses.replace(CONFIG, file_delete_delay_ms=5 * cleaner.LOOK_AGAIN_MS)
    hand = HandStore(str(tmp_path), config=config)
    for number in range(60):
        put(hand, (b"k%d" % (number % 5), b"%d" % number * 20))
    roll(hand)
    assert clean(hand) > 0
    assert nameless() > 0
    hand.clock.advance(config.file_delete_delay_ms)
    while hand.chores():
        hand.clock.advance(1000)
    assert nameless() == 0
    hand.store.close()


def test_a_log_that_was_deleted_meanwhile_is_forgotten(hand: HandStore) -> None:
    """Its job ends, and nobody minds."""
    for number in range(60):
        put(hand, (b"k%d" % (number % 5), b"%d" % number * 20))
    roll(hand)
    clean_now = hand.store.next_cleaning(hand.clock.monotonic_ms() + 1)
    assert clean_now is not None
    result = clean_now.job.run(hand.disk)
    hand.store.delete_topic("events")
    clean_now.done(result)
    hand.chores()
    assert hand.store.next_cleaning(hand.clock.monotonic_ms() + 1) is None
