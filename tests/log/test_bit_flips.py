"""One flipped bit, anywhere in a data directory: the start does not crash, nothing wrong is served, nothing is deleted."""

from __future__ import annotations

import pathlib
import random
import shutil

import pytest

from ev.errors import DiskError
from ev.log.config import TopicConfig
from ev.wire.records import encode_batch
from support.damage import Batches, Files, batches_of, files_below, flipped, gone, kinds, used_bytes
from support.stores import TOPIC, HandStore

CONFIG = TopicConfig(segment_bytes=4000, index_interval_bytes=300, retention_ms=-1)
TRIALS = 16


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
    found = batches_of(hand.partition)
    assert len(found) == 90
    hand.store.close(clean=clean)
    return found


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_a_flipped_bit_is_never_served_and_deletes_nothing(tmp_path: pathlib.Path, clean: bool) -> None:
    """For every type of file: what is served is what was written, batch for batch, and every file is still there in some form."""
    original = tmp_path / "original"
    original.mkdir()
    expected = written(original, clean=clean)
    chance = random.Random(11)
    for kind, names in kinds(files_below(original)).items():
        for trial in range(TRIALS if kind in (".log", ".index", ".timeindex", "ev.checkpoint") else TRIALS // 4):
            copy = tmp_path / "copy"
            shutil.copytree(original, copy)
            name = chance.choice(names)
            data = (copy / name).read_bytes()
            bit = chance.randrange(8 * (used_bytes(data) if chance.random() < 0.8 else len(data)))
            (copy / name).write_bytes(flipped(data, bit))
            check(copy, expected, files_below(copy), f"{kind}: bit {bit} of {name}, trial {trial}")
            shutil.rmtree(copy)


def check(directory: pathlib.Path, expected: Batches, before: Files, label: str) -> None:
    try:
        hand = HandStore(str(directory), config=CONFIG)
    except DiskError:
        assert list(gone(before, files_below(directory))) == [], label
        return
    served = batches_of(hand.partition)
    again = batches_of(hand.partition)
    for base_offset, batch in (*served.items(), *again.items()):
        assert batch == expected.get(base_offset), f"{label}: a wrong batch at offset {base_offset}"
    if len(served) < len(expected):
        assert hand.store.reports, f"{label}: {len(expected) - len(served)} batches are not served, and nobody said so"
    hand.checkpoint()
    hand.chores()
    hand.store.close(clean=False)
    assert list(gone(before, files_below(directory))) == [], label


def test_the_kinds_are_all_there(tmp_path: pathlib.Path) -> None:
    """The test above looks at every file that the log writes."""
    written(tmp_path, clean=True)
    logs = {".log", ".index", ".timeindex", ".snapshot", "ev.checkpoint", "partition.metadata", "leader-epoch-checkpoint"}
    store = {"meta.properties", "ev.state", "journal-0", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"}
    assert kinds(files_below(tmp_path)).keys() >= logs | store
    assert (tmp_path / f"{TOPIC}-0").is_dir()
