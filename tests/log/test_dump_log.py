"""Apache Kafka's own tool reads what the log wrote, every file of it, and finds the damage that was put there on purpose."""

from __future__ import annotations

import pathlib
import random
import struct

import pytest

from ev.log.config import TopicConfig
from ev.wire.records import encode_batch
from support.dump_log import dump, files_of
from support.stores import TOPIC, HandStore

pytestmark = pytest.mark.java

CONFIG = TopicConfig(segment_bytes=40_000, index_interval_bytes=1000, retention_ms=-1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[tuple[int, int, int]]]:
    """A partition with every codec, several producers, clean stops and crashes; and its batches as they were acknowledged."""
    directory = tmp_path_factory.mktemp("dump-log")
    hand = HandStore(str(directory), config=CONFIG)
    chance = random.Random(7)
    batches = []
    sequences = dict.fromkeys(range(1, 6), 0)
    for number in range(400):
        count = chance.randint(1, 12)
        values = [chance.randbytes(chance.randint(0, 60)) for _ in range(count)]
        now_ms = hand.clock.wall_ms()
        stamps = [now_ms - chance.randint(0, 100_000) for _ in values]
        producer = chance.choice([-1, *sequences])
        batch = encode_batch(
            values,
            keys=[b"key"] * count,
            timestamps=stamps,
            compression=number % 5,
            producer_id=producer,
            producer_epoch=0 if producer > 0 else -1,
            base_sequence=sequences.get(producer, -1),
        )
        if producer > 0:
            sequences[producer] += count
        offset = hand.append(batch)
        batches.append((offset, offset + count - 1, count))
        hand.clock.advance(1000)
        if number % 90 == 50:
            hand.restart(clean=number % 180 == 50)
        elif number % 30 == 0:
            hand.checkpoint()
    hand.store.close()
    return directory / f"{TOPIC}-0", batches


def test_kafka_reads_every_file_of_a_partition(written: tuple[pathlib.Path, list[tuple[int, int, int]]]) -> None:
    """Every batch and record is there, valid, and every index entry of both indexes names a batch that Kafka finds there too."""
    directory, batches = written
    files = files_of(directory)
    seen = dump(files)
    assert seen.complaints == []
    assert seen.batches == batches
    assert seen.record_offsets == [offset for first, last, _ in batches for offset in range(first, last + 1)]
    logs = [path for path in files if path.suffix == ".log"]
    assert len(logs) > 3, "the log was to roll"
    assert seen.index_entries == sum(path.stat().st_size // 8 for path in files if path.suffix == ".index") > 50
    assert seen.time_entries == sum(path.stat().st_size // 12 for path in files if path.suffix == ".timeindex") > 20
    newest = max((path for path in files if path.suffix == ".snapshot"), key=lambda path: path.name)
    assert dump([newest]).producers == 5


def test_kafka_finds_seeded_damage(written: tuple[pathlib.Path, list[tuple[int, int, int]]], tmp_path: pathlib.Path) -> None:
    """A flipped bit in a record and a wrong index entry do make the check above fail: the tool itself exits 0 for both."""
    directory, batches = written
    log = next(path for path in files_of(directory) if path.suffix == ".log")
    index = log.with_suffix(".index")
    copy = tmp_path / log.name
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    damaged = dump([copy])
    assert damaged.complaints
    assert len(damaged.batches) != len(batches) or any("isvalid: false" in line for line in damaged.complaints)

    copy.write_bytes(log.read_bytes())
    entries = bytearray(index.read_bytes())
    relative, position = struct.unpack_from(">ii", entries, 8)
    struct.pack_into(">ii", entries, 8, relative + 1, position)
    (tmp_path / index.name).write_bytes(entries)
    assert any("Mismatches in" in line for line in dump([copy, tmp_path / index.name]).complaints)


def test_kafka_reads_a_partition_that_is_in_use(tmp_path: pathlib.Path) -> None:
    """The active segment's indexes are on disk as far as its checkpoint goes, and hold nothing beyond what is synced."""
    hand = HandStore(str(tmp_path), config=CONFIG)
    for number in range(100):
        hand.append(encode_batch([b"x" * 100], timestamps=hand.clock.wall_ms() + number))
    hand.checkpoint()
    for number in range(100, 120):
        hand.append(encode_batch([b"x" * 100], timestamps=hand.clock.wall_ms() + number))
    seen = dump(files_of(tmp_path / f"{TOPIC}-0"))
    hand.store.close()
    assert seen.complaints == []
    assert len(seen.batches) == 120
    assert seen.index_entries > 5
