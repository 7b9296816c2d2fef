"""Small batches wait in memory to be written: readers see them, the journal has them, the file gets them before it is relied on."""

from __future__ import annotations

import errno

import pytest

from ev.errors import KafkaError
from ev.log.chores import RESERVE
from ev.log.config import TopicConfig
from ev.log.partition import Partition, Read
from ev.log.tail import TAIL_BATCH_BYTES_MAX, TAIL_BYTES_MAX
from ev.wire.records import encode_batch
from support.simulated_disk import SimulatedDisk
from support.stores import HandStore, read_bytes, read_records, records_of

CONFIG = TopicConfig(segment_bytes=1 << 20, retention_ms=-1)
LOG = "/data/events-0/00000000000000000000.log"


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def hand(disk: SimulatedDisk) -> HandStore:
    """A store that has its reserve, without which nothing may wait."""
    hand = HandStore("/data", disk=disk, config=CONFIG)
    hand.store.metadata.append_records([(b"k", b"v")], 0)
    hand.commit()
    hand.chores()
    assert disk.exists(f"/data/{RESERVE}")
    return hand


def append(hand: HandStore, value: bytes = b"event", *, at_once: bool = False) -> int:
    """Append one record as a produce request does; the size of its batch."""
    batch = encode_batch([value], timestamps=hand.clock.wall_ms())
    hand.partition.append(batch, hand.clock.wall_ms(), at_once=at_once)
    return len(batch)


def values(partition: Partition) -> list[bytes | None]:
    return [record[3] for record in read_records(partition)]


def test_small_batches_wait_and_readers_see_them(hand: HandStore, disk: SimulatedDisk) -> None:
    """Many appends, no write, and none for a reader: a disk that stands still must not hold it up."""
    for number in range(5):
        append(hand, b"%d" % number)
    hand.commit()
    assert values(hand.partition) == [b"0", b"1", b"2", b"3", b"4"]
    assert disk.size(LOG) == 0


def test_who_reads_from_further_back_comes_from_the_file_to_memory(hand: HandStore, disk: SimulatedDisk) -> None:
    """What lies before is read from the file, what waits from memory, wherever in a batch the reader begins; nothing is written."""
    first = append(hand, b"0", at_once=True) + append(hand, b"1", at_once=True)
    batch = encode_batch([b"2", b"3", b"4"], timestamps=hand.clock.wall_ms())
    hand.partition.append(batch, hand.clock.wall_ms(), at_once=False)
    append(hand, b"5")
    hand.commit()
    for offset in range(6):
        assert [record[0] for record in read_records(hand.partition, offset)] == list(range(offset, 6))
    before = hand.partition.read(0, 1 << 20, at_least_one=True)
    assert isinstance(before, Read)
    assert before.next_offset == 2
    inside = hand.partition.read(3, 1 << 20, at_least_one=True)
    assert isinstance(inside, Read)
    assert [record[0] for record in records_of(b"".join(map(bytes, inside.pieces)))] == [2, 3, 4, 5]
    assert disk.size(LOG) == first


def test_who_follows_the_end_is_served_from_memory(hand: HandStore, disk: SimulatedDisk) -> None:
    """Behind its first read it never needs the file: every batch once, in order, whole, within its limits."""
    append(hand, b"first")
    hand.commit()
    assert values(hand.partition) == [b"first"]
    written = disk.size(LOG)
    sizes = [append(hand, b"%d" % number) for number in range(6)]
    hand.commit()
    append(hand, b"not synced")
    read = hand.partition.read(1, 1 << 20, at_least_one=True)
    assert isinstance(read, Read)
    assert [record[3] for record in records_of(b"".join(map(bytes, read.pieces)))] == [b"%d" % number for number in range(6)]
    assert read.next_offset == 7, "not past the high watermark"
    two = hand.partition.read(1, sizes[0] + sizes[1], at_least_one=True)
    assert isinstance(two, Read)
    assert two.next_offset == 3
    assert hand.partition.read(3, 1, at_least_one=False) == Read([], 3)
    one = hand.partition.read(3, 1, at_least_one=True)
    assert isinstance(one, Read)
    assert one.next_offset == 4
    assert values(hand.partition)[1:] == [b"%d" % number for number in range(6)]
    assert disk.size(LOG) == written


def test_a_search_by_time_sees_what_waits(hand: HandStore) -> None:
    append(hand)
    hand.commit()
    assert hand.partition.offset_for_timestamp(hand.clock.wall_ms()) == (0, hand.clock.wall_ms())


def test_what_is_answered_at_once_does_not_wait(hand: HandStore, disk: SimulatedDisk) -> None:
    """acks=1 outlives the process: it is written at once, after what waited before it; and so is a resent one."""
    first = append(hand)
    second = append(hand, at_once=True)
    assert disk.size(LOG) == first + second
    batch = encode_batch([b"x"], timestamps=hand.clock.wall_ms(), producer_id=7, producer_epoch=0, base_sequence=0)
    hand.partition.append(batch, hand.clock.wall_ms(), at_once=False)
    assert disk.size(LOG) == first + second
    assert hand.partition.append(batch, hand.clock.wall_ms(), at_once=True).duplicate
    assert disk.size(LOG) == first + second + len(batch)


def test_large_batches_do_not_wait(hand: HandStore, disk: SimulatedDisk) -> None:
    small = append(hand)
    large = append(hand, b"x" * TAIL_BATCH_BYTES_MAX)
    assert disk.size(LOG) == small + large


def test_no_more_waits_than_the_bound(hand: HandStore, disk: SimulatedDisk) -> None:
    total = append(hand)
    while disk.size(LOG) == 0:
        total += append(hand, b"x" * 1000)
        hand.commit()
        assert total < TAIL_BYTES_MAX + 2000
    assert disk.size(LOG) == total > TAIL_BYTES_MAX
    assert hand.partition.services.waiting_bytes == 0


def test_a_flush_writes_what_waits_before_it_syncs(hand: HandStore, disk: SimulatedDisk) -> None:
    """Its journal space may be used again after that."""
    size = append(hand)
    hand.commit()
    hand.flush()
    assert disk.size(LOG) == size
    assert hand.partition.recovery_point == 1


def test_a_round_past_the_journal_writes_what_waits(hand: HandStore, disk: SimulatedDisk) -> None:
    """Its sync covers the file's whole beginning."""
    small = append(hand)
    hand.commit()
    hand.store.committer.journaled_bytes_max = 0
    other = append(hand)
    assert disk.size(LOG) == 0
    hand.commit()
    assert disk.size(LOG) == small + other
    assert hand.partition.recovery_point == 2


def test_a_segment_is_whole_when_the_next_one_begins(disk: SimulatedDisk, hand: HandStore) -> None:
    hand.partition.set_config(TopicConfig(segment_bytes=3000, retention_ms=-1))
    sizes = [append(hand, b"x" * 900) for _ in range(4)]
    assert len(hand.partition.segments) == 2
    assert disk.size(LOG) == sum(sizes[:3])
    hand.commit()
    assert values(hand.partition) == [b"x" * 900] * 4


@pytest.mark.parametrize("clean", [True, False])
def test_what_waited_is_there_after_a_restart(hand: HandStore, clean: bool) -> None:
    """A clean stop writes it; after a kill the journal has it."""
    append(hand, b"one")
    append(hand, b"two")
    hand.commit()
    hand.restart(clean=clean)
    assert values(hand.partition) == [b"one", b"two"]
    assert hand.append(encode_batch([b"three"], timestamps=hand.clock.wall_ms())) == 2


def test_a_full_disk_gives_up_the_reserve_for_what_waits(hand: HandStore, disk: SimulatedDisk) -> None:
    """What was acknowledged goes into the room that was kept for it; from then on nothing waits, and nothing is taken."""
    size = append(hand)
    hand.commit()
    disk.fail("write", errno.ENOSPC, LOG, after_bytes=20)
    hand.partition.write_out()
    assert disk.size(LOG) == size
    assert values(hand.partition) == [b"event"]
    assert not disk.exists(f"/data/{RESERVE}")
    assert not hand.partition.services.may_wait
    with pytest.raises(KafkaError):
        append(hand)


def test_without_room_for_what_waits_the_engine_ends(hand: HandStore, disk: SimulatedDisk) -> None:
    """A promise cannot be kept here: nobody is answered any more, and the next start finds it in the journal."""
    ends: list[OSError] = []
    hand.store.on_failure(ends.append)
    append(hand)
    hand.commit()
    disk.fail("write", errno.ENOSPC, LOG, times=2)
    hand.partition.write_out()
    assert [end.errno for end in ends] == [errno.ENOSPC]
    hand.store.close(clean=False)
    hand.open()
    assert values(hand.partition) == [b"event"]


def test_a_start_on_a_full_disk_recovers_in_the_reserve(hand: HandStore, disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the journal has needs room, and there is none but the reserve."""
    append(hand)
    hand.commit()
    monkeypatch.setattr(disk, "free_bytes", lambda path: (1 << 20, 1 << 40))
    hand.restart(clean=False)
    assert not disk.exists(f"/data/{RESERVE}")
    assert values(hand.partition) == [b"event"]


def test_a_deleted_topic_takes_what_waits_with_it(hand: HandStore) -> None:
    services = hand.partition.services
    append(hand)
    hand.commit()
    hand.store.delete_topic("events")
    assert services.waiting_bytes == 0
    hand.flush()


def test_reading_between_appends_gives_every_byte_once(hand: HandStore) -> None:
    """Appends that wait, appends that do not, and reads, in turn."""
    expected = b""
    for number in range(50):
        append(hand, b"%d" % number, at_once=number % 7 == 0)
        if number % 3 == 0:
            hand.commit()
            expected = read_bytes(hand.partition)
            assert [record[3] for record in read_records(hand.partition)] == [b"%d" % each for each in range(number + 1)]
    assert expected
