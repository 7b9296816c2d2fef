"""One flipped bit, anywhere in a data directory: the start does not crash, nothing wrong is served, nothing is deleted."""

from __future__ import annotations

import pathlib
import random
import shutil

import pytest

from ev.errors import DiskError, ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.log.reading import ReadLater
from ev.wire.records import encode_batch, headers
from support.stores import TOPIC, HandStore

CONFIG = TopicConfig(segment_bytes=4000, index_interval_bytes=300, retention_ms=-1)
TRIALS = 16
REFUSALS = (ErrorCode.CORRUPT_MESSAGE, ErrorCode.KAFKA_STORAGE_ERROR)
MAY_GO = (".kafka_cleanshutdown", ".tmp", ".snapshot")
"""The clean marker is removed by every start; a snapshot of an earlier stop when there is a newer one."""

Batches = dict[int, bytes]


def written(directory: pathlib.Path, *, clean: bool) -> Batches:
    """A data directory after a clean stop or a crash, and its batches by base offset."""
    hand = HandStore(str(directory), config=CONFIG)
    for number in range(90):
        batch = encode_batch(
            [b"%d" % number * 20] * 3,
            timestamps=hand.clock.wall_ms() + number,
            producer_id=number % 4 + 1,
            producer_epoch=0,
            base_sequence=number // 4 * 3,
        )
        hand.append(batch)
        if number == 30:
            hand.restart(clean=True)
        if number in (10, 60):
            hand.checkpoint()
    found = batches_of(hand)
    assert len(found) == 90
    hand.store.close(clean=clean)
    return found


def batches_of(hand: HandStore) -> Batches:
    """Every batch that is served, by its base offset; a refused read skips one offset."""
    partition = hand.partition
    found = {}
    offset = partition.log_start_offset
    while offset < partition.high_watermark:
        try:
            answer = partition.read(offset, 2000, at_least_one=True)
            read = answer.run() if isinstance(answer, ReadLater) else answer
        except KafkaError as error:
            if error.code not in REFUSALS:
                raise
            offset += 1
            continue
        for piece in read.pieces:
            for position, header in headers(piece):
                found[header.base_offset] = bytes(piece[position : position + header.size])
        offset = max(read.next_offset, offset + 1)
    return found


def flip(path: pathlib.Path, chance: random.Random) -> int:
    data = bytearray(path.read_bytes())
    # Journals and the like are mostly zeros: half of the flips go where something is written.
    used = len(data.rstrip(b"\0")) if chance.random() < 0.8 else len(data)
    bit = chance.randrange(max(used, 1) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return bit


def kinds(directory: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Files of the data directory by what they are."""
    found: dict[str, list[pathlib.Path]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.stat().st_size and path.name not in (".ev-reserve", ".lock"):
            kind = path.suffix if path.stem.isdigit() else path.name
            found.setdefault(kind, []).append(path.relative_to(directory))
    return found


def content(directory: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_a_flipped_bit_is_never_served_and_deletes_nothing(tmp_path: pathlib.Path, clean: bool) -> None:
    """For every type of file: what is served is what was written, batch for batch, and every file is still there in some form."""
    original = tmp_path / "original"
    original.mkdir()
    expected = written(original, clean=clean)
    chance = random.Random(11)
    for kind, paths in kinds(original).items():
        for trial in range(TRIALS if kind in (".log", ".index", ".timeindex", "ev.checkpoint") else TRIALS // 4):
            copy = tmp_path / "copy"
            shutil.copytree(original, copy)
            victim = chance.choice(paths)
            bit = flip(copy / victim, chance)
            label = f"{kind}: bit {bit} of {victim}, trial {trial}"
            before = content(copy)
            check(copy, expected, before, label)
            shutil.rmtree(copy)


def check(directory: pathlib.Path, expected: Batches, before: dict[str, bytes], label: str) -> None:
    try:
        hand = HandStore(str(directory), config=CONFIG)
    except DiskError:
        assert content(directory).keys() >= before.keys() - set(MAY_GO)
        return
    served = batches_of(hand)
    again = batches_of(hand)
    for base_offset, batch in (*served.items(), *again.items()):
        assert batch == expected.get(base_offset), f"{label}: a wrong batch at offset {base_offset}"
    if len(served) < len(expected):
        assert hand.store.reports, f"{label}: {len(expected) - len(served)} batches are not served, and nobody said so"
    hand.checkpoint()
    hand.chores()
    hand.store.close(clean=False)
    after = content(directory)
    for name, data in before.items():
        if name.endswith(".log"):
            assert kept(name, data, after), f"{label}: {name} lost bytes"
        else:
            assert name in after or name.endswith(MAY_GO), f"{label}: {name} is gone"


def kept(name: str, data: bytes, after: dict[str, bytes]) -> bool:
    """Whether all of a log's bytes are still there: in place, or what was cut off beside it."""
    rest = after.get(name, b"")
    if rest.startswith(data) or data == after.get(name + ".torn"):
        return True
    position = next((int(each.split(".")[-2]) for each in after if each.startswith(f"{name}.") and each.endswith(".torn")), -1)
    if position < 0:
        return False
    return rest[:position] == data[:position] and after[f"{name}.{position}.torn"] == data[position:]


def test_the_kinds_are_all_there(tmp_path: pathlib.Path) -> None:
    """The test above looks at every file that the log writes."""
    written(tmp_path, clean=True)
    logs = {".log", ".index", ".timeindex", ".snapshot", "ev.checkpoint", "partition.metadata", "leader-epoch-checkpoint"}
    store = {"meta.properties", "ev.state", "journal-0", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"}
    assert kinds(tmp_path).keys() >= logs | store
    assert (tmp_path / f"{TOPIC}-0").is_dir()
