"""What a start finds after a crash, and what it makes of it."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from ev.errors import ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.log.partition import Partition, Read, ReadLater
from ev.wire.records import decode_batch, encode_batch, headers, read_header
from support.simulated_disk import SimulatedDisk
from support.stores import TOPIC, HandStore, read_records

LOG = f"/data/{TOPIC}-0/{0:020d}.log"
CONFIG = TopicConfig(segment_bytes=2000, index_interval_bytes=200, retention_ms=-1)


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


def store(disk: SimulatedDisk, method: str = "auto", config: TopicConfig = CONFIG) -> HandStore:
    return HandStore("/data", disk=disk, config=config, settings={"ev.flush.method": method})


def batch(hand: HandStore, value: bytes, *, producer: int = -1, sequence: int = -1) -> bytes:
    return encode_batch(
        [value], timestamps=hand.clock.wall_ms(), producer_id=producer, producer_epoch=min(producer, 0), base_sequence=sequence
    )


def values(partition: Partition) -> list[bytes | None]:
    return [value for _, _, _, value in read_records(partition)]


def read(partition: Partition, offset: int) -> Read:
    answer = partition.read(offset, 1 << 20, at_least_one=True)
    return answer.run() if isinstance(answer, ReadLater) else answer


def overwrite(disk: SimulatedDisk, path: str, position: int, data: bytes) -> None:
    """Change bytes on the disk behind the engine's back."""
    file = disk.open(path)
    file.write_at([data], position)
    file.sync()
    file.release()


def test_a_torn_tail_is_cut_and_kept_aside(disk: SimulatedDisk) -> None:
    """Half a batch at the end was promised to nobody: the log ends before it, its bytes lie beside the log, and a line says so."""
    hand = store(disk, "file")
    hand.append(batch(hand, b"one"))
    size = disk.size(LOG)
    hand.store.close(clean=False)
    overwrite(disk, LOG, size, batch(hand, b"two")[:50])
    hand.open()
    assert values(hand.partition) == [b"one"]
    assert hand.partition.damaged is None
    assert disk.size(LOG) == size
    assert disk.read(f"{LOG}.{size}.torn") == batch(hand, b"two")[:50]
    assert any(".torn" in report for report in hand.store.reports)
    assert hand.append(batch(hand, b"three")) == 1


def test_a_tail_of_zeros_is_cut_without_a_word(disk: SimulatedDisk) -> None:
    """A file that grew before its bytes came is what a power cut leaves; there is nothing in it to keep."""
    hand = store(disk, "file")
    hand.append(batch(hand, b"one"))
    size = disk.size(LOG)
    hand.store.close(clean=False)
    overwrite(disk, LOG, size, bytes(4000))
    hand.open()
    assert disk.size(LOG) == size
    assert not [name for name in disk.list(f"/data/{TOPIC}-0") if name.endswith(".torn")]


def test_the_journal_gives_back_what_the_log_lost(disk: SimulatedDisk) -> None:
    """Acknowledged through the journal, never synced in the log, gone from it after the power cut: it is there again."""
    hand = store(disk, "journal")
    for number in range(20):
        hand.append(batch(hand, b"%d" % number * 10))
    for seed in range(30):
        image = disk.crash_image(random.Random(seed))
        again = HandStore("/data", disk=image, config=CONFIG, clock=hand.clock)
        assert values(again.partition) == [b"%d" % number * 10 for number in range(20)]
        again.store.close(clean=False)


def test_the_journal_fills_a_hole_before_later_batches(disk: SimulatedDisk) -> None:
    """Pages reach the disk in any order: the log is cut at the hole, and everything from there comes from the journal."""
    hand = store(disk, "journal")
    for number in range(6):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.store.close(clean=False)
    one = disk.size(LOG) // 6
    overwrite(disk, LOG, 2 * one, bytes(one))
    hand.open()
    assert values(hand.partition) == [b"%d" % number * 10 for number in range(6)]
    assert any("6" in report and "journal" in report for report in hand.store.reports)


def test_damage_below_the_recovery_point_is_never_cut(disk: SimulatedDisk) -> None:
    """What was on disk once and is damaged now is rot: reads before it go on, itself is refused, writes are refused, no byte goes."""
    hand = store(disk)
    for number in range(10):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.store.close(clean=False)
    size = disk.size(LOG)
    one = size // 10
    overwrite(disk, LOG, 5 * one + 70, b"\xff")
    hand.open()
    partition = hand.partition
    assert read(partition, 0).next_offset == 5
    with pytest.raises(KafkaError) as refused:
        read(partition, 5)
    assert refused.value.code == ErrorCode.CORRUPT_MESSAGE
    assert read(partition, 0).next_offset == 5  # and the loop has taken note by now
    assert partition.damaged is not None
    with pytest.raises(KafkaError) as storage:
        partition.append(batch(hand, b"more"), hand.clock.wall_ms())
    assert storage.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert disk.size(LOG) == size


def test_a_log_that_lost_synced_bytes_takes_no_writes(disk: SimulatedDisk) -> None:
    """A file shorter than its checkpoint says is damage: what is left is served, nothing is appended behind the loss."""
    hand = store(disk)
    for number in range(10):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.store.close(clean=False)
    file = disk.open(LOG)
    file.truncate(disk.size(LOG) // 2 + 10)
    file.sync_all()
    hand.open()
    assert values(hand.partition) == [b"%d" % number * 10 for number in range(5)]
    with pytest.raises(KafkaError, match="takes no writes"):
        hand.partition.append(batch(hand, b"more"), hand.clock.wall_ms())


def test_only_what_lies_behind_the_checkpoint_is_read_again(disk: SimulatedDisk) -> None:
    """An unclean start does not grow with the log: segments that the checkpoint covers are not even opened."""
    hand = store(disk)
    for number in range(100):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.append(batch(hand, b"last"))
    hand.store.close(clean=False)
    opened: list[str] = []
    real_open = disk.open

    def noting_open(path: str, **options: bool) -> object:
        opened.append(path)
        return real_open(path, **options)

    disk.open = noting_open  # type: ignore[assignment,method-assign]
    hand.open()
    logs = {path for path in opened if path.endswith(".log") and TOPIC in path}
    assert len(hand.partition.segments) > 3
    assert logs <= {hand.partition.segments[-1].path(".log")}
    assert hand.partition.end_offset == 101


def test_a_clean_start_opens_no_log(disk: SimulatedDisk) -> None:
    """After a clean stop there is nothing to look at."""
    hand = store(disk)
    hand.append(batch(hand, b"one"))
    hand.store.close()
    disk.fail("open", 5, ".log", times=None)
    hand.open()
    assert hand.partition.end_offset == hand.partition.high_watermark == 1


@pytest.mark.parametrize("clean", [True, False])
def test_the_last_five_batches_of_a_producer_are_known_after_a_restart(disk: SimulatedDisk, clean: bool) -> None:
    """Any of them, sent again, gets its original offset; Kafka knows only the newest one then."""
    hand = store(disk)
    sent = [batch(hand, b"%d" % number, producer=7, sequence=number) for number in range(8)]
    for each in sent[:4]:
        hand.append(each)
    hand.checkpoint()
    for each in sent[4:]:
        hand.append(each)
    hand.restart(clean=clean)
    for offset in range(3, 8):
        again = hand.partition.append(sent[offset], hand.clock.wall_ms())
        assert (again.base_offset, again.duplicate, again.round) == (offset, True, 0)
    with pytest.raises(KafkaError) as refused:
        hand.partition.append(sent[2], hand.clock.wall_ms())
    assert refused.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_lost_batch_is_not_taken_for_a_duplicate(disk: SimulatedDisk) -> None:
    """A checkpoint may have seen a batch that the power cut took: sent again, it is new."""
    hand = store(disk, "file")
    hand.append(batch(hand, b"kept", producer=7, sequence=0))
    hand.partition.append(batch(hand, b"lost", producer=7, sequence=1), hand.clock.wall_ms())  # never synced
    hand.flush()
    hand.clock.advance(10_000)
    hand.chores()
    lost = 0
    for seed in range(20):
        image = disk.crash_image(random.Random(seed))
        again = HandStore("/data", disk=image, config=CONFIG, clock=hand.clock)
        known = values(again.partition)
        answer = again.partition.append(batch(hand, b"lost", producer=7, sequence=1), hand.clock.wall_ms())
        assert answer.duplicate == (known == [b"kept", b"lost"])
        lost += known == [b"kept"]
        again.store.close(clean=False)
    assert lost, "no image lost the batch: this tested nothing"


def test_each_start_is_a_new_leader_epoch(disk: SimulatedDisk) -> None:
    """Batches carry the epoch of their start, and the epochs' ends are known, so that a client notices offsets given out again."""
    hand = store(disk)
    for number in range(3):
        hand.append(batch(hand, b"%d" % number))
        hand.restart(clean=number == 0)
    partition = hand.partition
    first = partition.leader_epoch - 3
    assert [partition.epoch_end_offset(first + number) for number in range(4)] == [
        (first, 1),
        (first + 1, 2),
        (first + 2, 3),
        (first + 3, 3),
    ]
    data = b"".join(map(bytes, read(partition, 0).pieces))
    position, epochs = 0, []
    while position < len(data):
        header = read_header(data, position)
        epochs.append(header.leader_epoch)
        position += header.size
    assert epochs == [first, first + 1, first + 2]
    assert partition.epoch_end_offset(partition.leader_epoch + 1) == (-1, -1)


def test_epochs_are_never_given_twice(disk: SimulatedDisk) -> None:
    """The epoch is on disk before the first batch carries it, whatever the power cut takes."""
    hand = store(disk)
    hand.append(batch(hand, b"one"))
    for seed in range(20):
        image = disk.crash_image(random.Random(seed))
        again = HandStore("/data", disk=image, config=CONFIG, clock=hand.clock)
        assert again.store.epoch > hand.store.epoch
        again.store.close(clean=False)


def test_a_missing_index_is_made_again(disk: SimulatedDisk) -> None:
    """The indexes are hints: without them, or with others in their place, the same records are found."""
    hand = store(disk)
    for number in range(100):
        hand.append(batch(hand, b"%d" % number * 10))
        hand.clock.advance(10)
    hand.checkpoint()
    stamp = hand.clock.wall_ms() - 505
    expected = hand.partition.offset_for_timestamp(stamp)
    hand.store.close()
    names = [name for name in disk.list(f"/data/{TOPIC}-0") if name.endswith("index")]
    assert len(names) > 4
    for name in names[::2]:
        disk.remove(f"/data/{TOPIC}-0/{name}")
    for name in names[1::2]:
        overwrite(disk, f"/data/{TOPIC}-0/{name}", 0, b"\x00\x00\x00\x07" * 6)
    hand.open()
    assert [values(hand.partition)[offset] for offset in (0, 50, 99)] == [b"%d" % number * 10 for number in (0, 50, 99)]
    assert read_records(hand.partition, 77)[0][3] == b"77" * 10
    assert hand.partition.offset_for_timestamp(stamp) == expected


def test_damage_is_still_damage_after_more_restarts(disk: SimulatedDisk) -> None:
    """No checkpoint, chore or stop makes the log's end of it: every file stays as it was found, however often the engine starts."""
    hand = store(disk)
    for number in range(10):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.store.close(clean=False)
    size = disk.size(LOG) // 2 + 10
    file = disk.open(LOG)
    file.truncate(size)
    file.sync_all()
    for clean in (True, False, True):
        hand.open()
        assert hand.partition.damaged is not None
        assert len(values(hand.partition)) == 5
        hand.clock.advance(400_000)
        hand.chores()
        hand.chores()
        hand.store.close(clean=clean)
        assert disk.size(LOG) == size


def test_what_the_journal_has_behind_damage_is_kept(disk: SimulatedDisk) -> None:
    """Acknowledged batches that a damaged log cannot take are put into a file before the journal begins anew."""
    hand = store(disk, "journal")
    for number in range(5):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.append(batch(hand, b"acknowledged"))
    hand.store.close(clean=False)
    file = disk.open(LOG)
    file.truncate(100)
    file.sync_all()
    hand.open()
    assert hand.partition.damaged is not None
    (kept,) = [name for name in disk.list(f"/data/{TOPIC}-0") if name.endswith(".journal")]
    assert b"acknowledged" in disk.read(f"/data/{TOPIC}-0/{kept}")


def test_a_missing_segment_is_damage(disk: SimulatedDisk) -> None:
    """Records do not vanish from the middle of a log without a word: reading across the gap is refused, what lies around it is served."""
    hand = store(disk)
    for number in range(60):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.store.close()
    bases = [segment.base_offset for segment in hand.partition.segments]
    disk.rename(f"/data/{TOPIC}-0/{bases[1]:020d}.log", f"/data/{TOPIC}-0/lost")
    hand.open()
    assert read(hand.partition, 0).next_offset == bases[1]
    with pytest.raises(KafkaError) as refused:
        read(hand.partition, bases[1])
    assert refused.value.code == ErrorCode.CORRUPT_MESSAGE
    assert read(hand.partition, bases[2]).next_offset > bases[2]
    assert hand.partition.damaged is not None


def test_a_lost_newest_segment_is_damage(disk: SimulatedDisk) -> None:
    """The segment that the checkpoint names was on disk: without it nothing is appended, and nothing else is touched."""
    hand = store(disk)
    for number in range(60):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.checkpoint()
    hand.store.close(clean=False)
    disk.remove(hand.partition.active.path(".log"))
    names = disk.list(f"/data/{TOPIC}-0")
    hand.open()
    assert hand.partition.damaged is not None
    assert len(values(hand.partition)) == hand.partition.end_offset > 40
    hand.store.close(clean=True)
    assert set(disk.list(f"/data/{TOPIC}-0")) >= set(names)


def test_a_log_of_which_nothing_was_noted_begins_at_its_beginning(disk: SimulatedDisk) -> None:
    """A power cut kept the name of the second segment and not that of the first, when neither counted yet; starts came before."""
    hand = store(disk)
    hand.restart(clean=True)
    hand.partition.names_changed()
    hand.checkpoint()  # it has another leader epoch than the one that the partition was made with
    hand.append(batch(hand, b"lost with the power"))
    hand.store.close(clean=False)
    second = disk.open(f"/data/{TOPIC}-0/00000000000000000003.log", create=True)
    second.sync_all()
    disk.remove(LOG)
    for half in ("journal-0", "journal-1"):
        if disk.exists(f"/data/{half}"):
            disk.remove(f"/data/{half}")
    hand.open()
    assert (hand.partition.log_start_offset, hand.partition.end_offset) == (0, 0)
    assert hand.partition.damaged is None


def test_a_dropped_segment_is_no_loss(disk: SimulatedDisk) -> None:
    """Retention may take the very segment that the last checkpoint names; the next start knows that from what is left."""
    hand = store(disk)
    for number in range(60):
        hand.append(batch(hand, b"%d" % number * 10))
    hand.partition.delete_records(-1, 0)
    hand.flush()
    hand.store.close(clean=False)
    hand.open()
    assert hand.partition.damaged is None
    assert hand.partition.end_offset == 60
    hand.checkpoint()
    assert hand.partition.delete_records(-1, 0) == 60
    hand.restart(clean=True)
    assert (hand.partition.log_start_offset, hand.partition.end_offset) == (60, 60)
    assert hand.append(batch(hand, b"next")) == 60


@pytest.mark.parametrize("byte", [0, 3, 7, 11])
def test_a_flipped_bit_in_a_time_index_drops_nothing(disk: SimulatedDisk, byte: int) -> None:
    """Retention goes by the largest timestamp of a segment: an index that makes it look older is not believed."""
    hand = store(disk)
    for number in range(60):
        hand.append(batch(hand, b"%d" % number * 10))
        hand.clock.advance(1000)
    hand.restart(clean=True)
    path = hand.partition.segments[0].path(".timeindex")
    last = disk.size(path) - 12
    original = disk.read(path)[last + byte]
    hand.store.close()
    for bit in range(8):
        overwrite(disk, path, last + byte, bytes([original ^ 1 << bit]))
        hand.open()
        newest = max(stamp for offset, stamp, *_ in read_records(hand.partition) if offset < hand.partition.segments[1].base_offset)
        hand.partition.set_config(replace(CONFIG, retention_ms=hand.clock.wall_ms() - newest))
        assert hand.partition.enforce_retention(hand.clock.wall_ms()) == []
        hand.store.close(clean=False)
    hand.open()
    hand.partition.set_config(replace(CONFIG, retention_ms=hand.clock.wall_ms() - newest - 1))
    assert [segment.base_offset for segment in hand.partition.enforce_retention(hand.clock.wall_ms())] == [0]


def test_a_log_that_has_lost_its_end_is_left_as_it_is(disk: SimulatedDisk) -> None:
    """It is walked from further back than the checkpoint: the leader epochs of earlier lives there are right, and nothing is mended."""
    hand = store(disk, config=replace(CONFIG, segment_bytes=100_000))
    for _ in range(3):
        for number in range(5):
            hand.append(batch(hand, b"%d" % number))
        hand.restart(clean=True)
    hand.store.close(clean=True)
    short = disk.read(LOG)[:-20]
    overwrite(disk, LOG, len(short), b"")
    disk.open(LOG).truncate(len(short))
    hand.open()
    assert hand.partition.damaged is not None
    assert len(values(hand.partition)) == 14
    hand.store.close(clean=False)
    assert disk.read(LOG) == short


def test_a_batch_that_says_a_wrong_offset_hides_only_what_is_next_to_it(disk: SimulatedDisk) -> None:
    """No checksum covers the offset that a batch begins at. It is not served there, and the index that is made anew leads past it."""
    hand = store(disk, config=replace(CONFIG, segment_bytes=100_000))
    for number in range(60):
        hand.append(batch(hand, b"%d" % number))
    hand.restart(clean=True)
    hand.append(batch(hand, b"60"))
    hand.restart(clean=True)
    hand.store.close(clean=True)
    data = disk.read(LOG)
    place = next(position for position, header in headers(data) if header.base_offset == 6)
    overwrite(disk, LOG, place, (22).to_bytes(8, "big"))
    hand.open()
    found = {}
    for offset in range(61):
        with suppress(KafkaError):  # refused
            piece = bytes(read(hand.partition, offset).pieces[0])
            found[offset] = read_header(piece).base_offset, decode_batch(piece).values[0]
    assert all(found[offset] == (offset, b"%d" % offset) for offset in found)
    assert set(range(61)) - found.keys() <= set(range(6, 12))
