"""A data directory that is looked over: whatever is damaged in it is found, whatever is whole is not called damaged."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Callable

import pytest

from ev.disk import RealDisk
from ev.log.config import TopicConfig
from ev.log.journal import BLOCK_HEAD, Half, Journal, block_size, damaged_block
from ev.log.scrub import Scrub, units
from ev.log.transactions import ABORTED, Marker
from ev.log.verification import Damage
from ev.wire.records import TRANSACTIONAL, encode_batch
from support.simulated_disk import SimulatedDisk
from support.stores import TOPIC, HandStore

CONFIG = TopicConfig(segment_bytes=4000, index_interval_bytes=300, retention_ms=-1)
PARTITION = f"{TOPIC}-0"


def fill(hand: HandStore, count: int = 60) -> None:
    for number in range(count):
        hand.append(encode_batch([b"%d" % number * 20] * 3, timestamps=hand.clock.wall_ms() + number))
        if number == count // 2:
            hand.checkpoint()


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """A data directory with several segments of one partition, cleanly stopped."""
    hand = HandStore(str(tmp_path), config=CONFIG)
    fill(hand)
    hand.store.close(clean=True)
    return tmp_path


def damages(directory: pathlib.Path, *, live: bool = False) -> list[Damage]:
    found = units(RealDisk(), str(directory), lambda topic, partition: True)
    scrub = Scrub(RealDisk(), str(directory), (), lambda: live, lambda count: None)
    return [damage for unit in found for damage in scrub.check(unit).damages]


def the_one(directory: pathlib.Path, *, live: bool = False) -> Damage:
    (found,) = damages(directory, live=live)
    return found


def files(directory: pathlib.Path, suffix: str) -> list[pathlib.Path]:
    found = sorted((directory / PARTITION).glob(f"*{suffix}"))
    assert found, f"there should be a {suffix} file"
    return found


def change(path: pathlib.Path, position: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[position : position + len(value)] = value
    path.write_bytes(data)


def flip(path: pathlib.Path, position: int, bit: int = 0) -> None:
    change(path, position, bytes([path.read_bytes()[position] ^ 1 << bit]))


# Whole.


def test_what_was_written_is_whole(directory: pathlib.Path) -> None:
    """Every batch is counted, every byte is reported as progress, and nothing on disk is changed."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.rglob("*") if path.is_file()}
    disk, read = RealDisk(), [0]

    def progress(count: int) -> None:
        read[0] += count

    found = units(disk, str(directory), lambda topic, partition: topic == TOPIC)
    scrub = Scrub(disk, str(directory), (), lambda: False, progress)
    checked = [scrub.check(unit) for unit in found]
    assert [one.damages for one in checked] == [[]] * len(found)
    assert sum(one.batches for one in checked) == 60
    assert len(files(directory, ".log")) >= 3
    size = sum(path.stat().st_size for path in files(directory, ".log"))
    assert read[0] == size == sum(one.bytes for one in checked) == sum(unit.bytes for unit in found)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("clean", [True, False])
def test_what_an_engine_leaves_at_any_moment_is_whole(tmp_path: pathlib.Path, clean: bool) -> None:
    """While it runs, after a stop, after a kill, and again after the next start."""
    hand = HandStore(str(tmp_path), config=CONFIG)
    for step in (hand.commit, hand.checkpoint, hand.flush, lambda: hand.restart(clean=clean), hand.commit):
        fill(hand, 7)
        assert damages(tmp_path, live=True) == []
        step()
        assert damages(tmp_path, live=True) == []
    hand.store.close(clean=clean)
    assert damages(tmp_path) == []


def test_a_segment_sealed_right_behind_its_recovery_point_gets_its_indexes_at_the_next_start(tmp_path: pathlib.Path) -> None:
    """It was too small to have any at the checkpoint, and the engine was killed before the next one."""
    hand = HandStore(str(tmp_path), config=TopicConfig(segment_bytes=1000, retention_ms=-1))
    for _ in range(2):  # the second one does not fit
        hand.append(encode_batch([bytes(600)], timestamps=hand.clock.wall_ms()))
        if not hand.partition.segments[0].sealed:
            hand.checkpoint()
    hand.restart(clean=False)
    hand.append(encode_batch([bytes(600)], timestamps=hand.clock.wall_ms()))
    hand.checkpoint()
    assert damages(tmp_path, live=True) == []
    assert [int(path.stem) for path in files(tmp_path, ".timeindex")][:2] == [0, 1]
    hand.store.close(clean=True)


def test_a_deleted_segment_and_one_that_vanishes_are_no_damage(directory: pathlib.Path) -> None:
    """Retention and compaction go on while it is looked at: files get other names and go."""
    first, second = files(directory, ".log")[:2]
    found = units(RealDisk(), str(directory), lambda topic, partition: True)
    for path in (directory / PARTITION).glob(f"{first.stem}.*"):
        path.rename(f"{path}.deleted")
    second.with_suffix(".log.cleaned").write_bytes(b"half of it")
    assert damages(directory, live=True) == []
    scrub = Scrub(RealDisk(), str(directory), (), lambda: True, lambda count: None)
    assert [scrub.check(unit).damages for unit in found] == [[]] * len(found)


def test_only_what_is_wanted_is_looked_at(directory: pathlib.Path) -> None:
    """By topic and partition."""
    disk = RealDisk()
    assert {unit.partition for unit in units(disk, str(directory), lambda topic, partition: (topic, partition) == (TOPIC, 0))} == {
        "",
        PARTITION,
    }
    assert {unit.partition for unit in units(disk, str(directory), lambda topic, partition: (topic, partition) == (TOPIC, 1))} == {""}


# Damaged.


@pytest.mark.parametrize("seed", range(120))
def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: pathlib.Path, seed: int) -> None:
    """In a log, an index or a file with a checksum: at least one line, and it names the file.

    All but one: a time index entry may name any offset of its batch, so a bit that leads to another one of the same batch changes nothing.
    """
    hand = HandStore(str(tmp_path), config=CONFIG)
    fill(hand)
    hand.store.close(clean=True)
    chance = random.Random(seed)
    suffix = chance.choice([".log", ".index", ".timeindex", ".snapshot", "ev.checkpoint", "partition.metadata"])
    path = chance.choice([path for path in files(tmp_path, suffix) if path.stat().st_size])
    position, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, position, bit)
    found = damages(tmp_path)
    assert path.name in {damage.file for damage in found}, (path.name, position, bit, found)


@pytest.mark.parametrize("name", ["meta.properties", "ev.state"])
def test_a_damaged_file_of_the_data_directory_is_found(directory: pathlib.Path, name: str) -> None:
    """It has a checksum of its own."""
    flip(directory / name, (directory / name).stat().st_size // 2)
    found = the_one(directory)
    assert (found.partition, found.file) == ("", name)


def test_a_flipped_byte_names_the_place_and_the_offset_and_the_rest_is_looked_at_too(directory: pathlib.Path) -> None:
    """Two batches of one segment are damaged: two lines."""
    log = files(directory, ".log")[1]
    size = 12 + int.from_bytes(log.read_bytes()[8:12], "big")
    flip(log, size + 70)
    flip(log, 3 * size + 70)
    found = damages(directory)
    base = int(log.stem)
    assert [(one.partition, one.file, one.position, one.offset) for one in found] == [
        (PARTITION, log.name, size, base + 3),
        (PARTITION, log.name, 3 * size, base + 9),
    ]
    assert all("checksum" in one.found for one in found)


def test_behind_a_batch_of_unknown_size_the_index_shows_the_way(directory: pathlib.Path) -> None:
    """The size is damaged: what lies up to the next entry is lost, what comes after it is looked at."""
    log = files(directory, ".log")[1]
    data = log.read_bytes()
    size = 12 + int.from_bytes(data[8:12], "big")
    change(log, size + 8, b"\x7f")
    last = len(data) - size + 70
    flip(log, last)
    first, second = damages(directory)
    assert (first.position, second.position) == (size, len(data) - size)
    assert "long" in first.found
    assert "checksum" in second.found


def test_a_torn_tail_is_damage_unless_an_engine_is_writing_it(directory: pathlib.Path) -> None:
    """Behind the recovery point half a batch is being written just now, if anybody writes. In a sealed segment nobody does."""
    log = files(directory, ".log")[-1]
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:100])
    assert damages(directory, live=True) == []
    found = the_one(directory)
    assert (found.file, found.position) == (log.name, len(whole))
    assert "the next start cuts this off" in found.expected
    log.write_bytes(whole + whole[:20])  # not even a header
    assert damages(directory, live=True) == []
    assert the_one(directory).position == len(whole)
    log.write_bytes(whole)
    sealed = files(directory, ".log")[0]
    sealed.write_bytes(sealed.read_bytes()[:-10])
    assert sealed.name in {damage.file for damage in damages(directory, live=True)}


def test_room_that_nothing_was_written_into_is_no_damage_at_the_end_only(directory: pathlib.Path) -> None:
    """A crash leaves zeros behind the last batch, and Kafka allocates a segment before it is used."""
    log = files(directory, ".log")[-1]
    log.write_bytes(log.read_bytes() + bytes(5000))
    assert damages(directory) == []
    sealed = files(directory, ".log")[0]
    sealed.write_bytes(sealed.read_bytes() + bytes(5000))
    assert the_one(directory).file == sealed.name


def test_bytes_that_were_on_disk_and_are_gone_are_found(directory: pathlib.Path) -> None:
    """The last batch is missing as a whole: only the checkpoint knows."""
    log = files(directory, ".log")[-1]
    data = log.read_bytes()
    size = 12 + int.from_bytes(data[8:12], "big")
    log.write_bytes(data[:-size])
    assert any(f"{len(data)} bytes, which were on disk" in damage.expected for damage in damages(directory, live=True))


@pytest.mark.parametrize(("suffix", "size"), [(".index", 8), (".timeindex", 12)])
def test_a_wrong_index_entry_is_found(directory: pathlib.Path, suffix: str, size: int) -> None:
    """One that points into a batch, one that is not above the one before, one beyond the end, and half an entry."""
    index = files(directory, suffix)[0]
    whole = index.read_bytes()
    assert len(whole) >= 3 * size
    change(index, size + size - 1, bytes([whole[2 * size - 1] + 1]))
    assert (the_one(directory).file, the_one(directory).position) == (index.name, size)
    index.write_bytes(whole[:size] * 2 + whole[size * 2 :])
    assert (the_one(directory).file, the_one(directory).position) == (index.name, size)
    beyond = int.from_bytes(whole[-size:], "big") + (1 << 40) + 100
    index.write_bytes(whole + beyond.to_bytes(size, "big"))
    assert index.name in {damage.file for damage in damages(directory)}
    index.write_bytes(whole[:-1])
    assert index.name in {damage.file for damage in damages(directory)}


def test_a_time_index_that_reads_as_zeros_is_found(directory: pathlib.Path) -> None:
    """It looks like one that nothing was ever written into; the last entry of a sealed segment names its largest timestamp."""
    index = files(directory, ".timeindex")[0]
    whole = index.read_bytes()
    for damaged in (bytes(len(whole)), whole[:-12], b""):
        index.write_bytes(damaged)
        found = the_one(directory)
        assert found.file == index.name
        assert "largest" in found.expected


def test_a_partition_that_was_being_made_is_no_damage(directory: pathlib.Path) -> None:
    """The engine ended before anybody was told of it: its files may be missing or empty."""
    unborn = directory / "events-7"
    unborn.mkdir()
    assert damages(directory) == []
    (unborn / "partition.metadata").write_bytes(b"")
    assert damages(directory) == []
    (unborn / "ev.checkpoint").write_bytes(b"")
    assert damages(directory) == []
    (unborn / "ev.checkpoint").write_bytes(b"rubbish")
    assert damages(directory) != []


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_missing_index_of_a_sealed_segment_is_found(directory: pathlib.Path, suffix: str) -> None:
    """The active one's may be missing: a start makes it again."""
    first, last = files(directory, suffix)[0], files(directory, suffix)[-1]
    first.unlink()
    assert the_one(directory) == Damage(PARTITION, first.name, None, None, "an index of this sealed segment", "no such file")
    assert int(last.stem) == int(files(directory, ".log")[-1].stem)
    last.unlink()
    assert len(damages(directory)) == 1


def test_a_wrong_entry_of_an_aborted_transaction_is_found(tmp_path: pathlib.Path) -> None:
    """By the checkpoint's checksum, and by the marker that is not where it says."""
    hand = HandStore(str(tmp_path), config=CONFIG)
    for number in range(5):
        batch = encode_batch(
            [b"x"], producer_id=7, producer_epoch=0, base_sequence=number, attributes=TRANSACTIONAL, timestamps=1_700_000_000_000
        )
        hand.partition.append(batch, hand.clock.wall_ms(), in_transaction=lambda producer_id, epoch: None)
        hand.commit()
        hand.partition.append_marker(7, 0, Marker(False, 0), hand.clock.wall_ms())
        hand.commit()
    hand.checkpoint()
    hand.store.close(clean=True)
    assert damages(tmp_path) == []
    index = files(tmp_path, ".txnindex")[0]
    assert index.stat().st_size == 5 * ABORTED.size
    flip(index, ABORTED.size + 9)  # the second one's producer
    found = damages(tmp_path)
    assert {damage.file for damage in found} == {index.name}
    assert any("marker of producer 6" in damage.expected and damage.position == ABORTED.size for damage in found)
    assert any("checksum" in damage.expected for damage in found)


def test_an_unknown_file_is_found(directory: pathlib.Path) -> None:
    """Nobody put it there; what the engine itself keeps aside is known."""
    (directory / PARTITION / "00000000000000000000.log.17.torn").write_bytes(b"kept")
    (directory / PARTITION / "notes.txt").write_bytes(b"?")
    assert the_one(directory) == Damage(PARTITION, "notes.txt", None, None, "a file of a partition", "an unknown name")


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_lost_segment_is_found(directory: pathlib.Path, number: int) -> None:
    """The first, one in the middle, the last."""
    files(directory, ".log")[number].unlink()
    assert damages(directory) != []
    assert damages(directory, live=True) != []


def test_a_segment_with_another_ones_name_is_found(directory: pathlib.Path) -> None:
    """Its first batch does not begin at the offset in its name."""
    log = files(directory, ".log")[1]
    log.write_bytes(files(directory, ".log")[2].read_bytes())
    assert (log.name, 0) in {(damage.file, damage.position) for damage in damages(directory)}


def test_a_segment_that_cannot_be_read_is_damage_and_the_others_are_looked_at(directory: pathlib.Path) -> None:
    """Whatever is in its place."""
    log = files(directory, ".log")[1]
    log.unlink()
    log.mkdir()
    assert log.name in {damage.file for damage in damages(directory)}


def test_a_disk_full_of_rubbish_is_not_described_byte_by_byte(directory: pathlib.Path) -> None:
    """Of one segment, a hundred lines and one that says so."""
    config = TopicConfig(index_interval_bytes=100, retention_ms=-1)
    path = directory / "other"
    path.mkdir()
    hand = HandStore(str(path), config=config)
    fill(hand, 300)
    hand.store.close(clean=True)
    log = files(path, ".log")[0]
    size = 12 + int.from_bytes(log.read_bytes()[8:12], "big")
    for number in range(0, 220):
        flip(log, number * size + size - 1)
    found = damages(path)
    assert len(found) < 120
    assert "not looked at" in found[-1].found


# The journal.


def journal_half(blocks: int) -> bytearray:
    disk = SimulatedDisk(["/data"])
    journal = Journal((Half(disk.open("/data/a", create=True), 1 << 20), Half(disk.open("/data/b", create=True), 1 << 20)), 5)
    written = bytearray(64 << 10)
    for number in range(blocks):
        _, block, position = journal.place([b"%d" % number * 300], 1, 300)
        written[position : position + len(block)] = block
    return written


@pytest.mark.parametrize(
    ("spoil", "position"),
    [
        (lambda half: None, None),
        (lambda half: half.__setitem__(slice(BLOCK_HEAD.size, BLOCK_HEAD.size + 4), b"oops"), 0),
        (lambda half: half.__setitem__(slice(block_size(300) + 60, block_size(300) + 64), b"oops"), block_size(300)),
        (lambda half: half.__setitem__(slice(2 * block_size(300) + 60, 2 * block_size(300) + 64), b"oops"), None),
    ],
    ids=["whole", "the first", "one in the middle", "the last, which may be torn"],
)
def test_a_journal_block_is_damaged_when_one_follows_it(spoil: Callable[[bytearray], None], position: int | None) -> None:
    """A block is written when the one before it is on disk; the last one may be torn."""
    half = journal_half(3)
    spoil(half)
    assert damaged_block(half) == position
