"""The data directory as a whole: who may use it, what belongs to whom, what happens in the background."""

from __future__ import annotations

import errno
import pathlib
import random

import pytest

from ev.clock import ManualClock
from ev.disk import RealDisk
from ev.errors import DiskError
from ev.log.checkpoint import parse_offsets, partition_metadata
from ev.log.config import TopicConfig
from ev.log.store import Store
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.records import encode_batch
from support.simulated_disk import SimulatedDisk
from support.stores import TOPIC, TOPIC_ID, HandStore, read_records

CONFIG = TopicConfig(segment_bytes=1000, retention_ms=-1, file_delete_delay_ms=60_000)
BATCH = encode_batch([b"event"], timestamps=1_700_000_000_000)
OTHER_ID = bytes(range(40, 56))


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def hand(disk: SimulatedDisk) -> HandStore:
    return HandStore("/data", disk=disk, config=CONFIG)


def change(disk: SimulatedDisk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    file.truncate(0)
    file.write_at([data], 0)
    file.sync_all()
    file.release()


def test_one_engine_per_data_directory(tmp_path: pathlib.Path) -> None:
    """The second one is told who is there; when the first has gone, it may."""
    hand = HandStore(str(tmp_path))
    with pytest.raises(DiskError, match=r"in use by another engine \(process \d+\)"):
        Store.open(RealDisk(), str(tmp_path), Settings(), ManualClock(), SeededRandomness(0))
    hand.store.close()
    hand.open()
    hand.store.close()


def test_a_newer_format_is_refused(hand: HandStore, disk: SimulatedDisk) -> None:
    """What a newer engine wrote is not touched, and the message says what to do."""
    hand.store.close()
    from ev.log.checkpoint import State  # noqa: PLC0415 - only here

    change(disk, "/data/ev.state", State(9, 3).encode())
    names = disk.list("/data")
    with pytest.raises(DiskError, match=r"newer ev \(format 9\).*upgrade ev"):
        hand.open()
    assert disk.list("/data") == names
    assert disk.lock("/data/.lock") is not None, "a refused start lets go of the directory"


def test_the_identity_stays(hand: HandStore, disk: SimulatedDisk) -> None:
    """The cluster id is drawn once; a damaged meta.properties is refused, never replaced by another id."""
    cluster_id = hand.store.cluster_id
    hand.restart(clean=False)
    assert hand.store.cluster_id == cluster_id
    hand.store.close()
    text = disk.read("/data/meta.properties")
    assert b"version=1\n" in text
    change(disk, "/data/meta.properties", text.replace(cluster_id.encode(), cluster_id.swapcase().encode()))
    with pytest.raises(DiskError, match=r"meta\.properties is damaged"):
        hand.open()


def test_a_strangers_directory_is_kept_and_not_served(hand: HandStore, disk: SimulatedDisk) -> None:
    """A directory of this name but of another topic id is moved aside, whole; one of no topic stays where it is. Both are reported."""
    hand.append(BATCH)
    hand.store.topics.clear()
    hand.store.close()
    disk.rename(f"/data/{TOPIC}-0", "/data/unknown-3")
    hand.store = Store.open(disk, "/data", hand.settings, hand.clock, SeededRandomness(5))
    hand.store.open_topics({})
    assert any("unknown-3 belongs to no topic" in report for report in hand.store.reports)
    hand.store.close(clean=False)
    disk.rename("/data/unknown-3", f"/data/{TOPIC}-0")
    store = Store.open(disk, "/data", hand.settings, hand.clock, SeededRandomness(6))
    store.open_topics({TOPIC: (OTHER_ID, 1, CONFIG)})
    partition = store.partition(TOPIC, 0)
    assert partition is not None
    assert (partition.end_offset, partition.topic_id) == (0, OTHER_ID)
    (stray,) = [name for name in disk.list("/data") if name.endswith("-stray")]
    assert disk.size(f"/data/{stray}/{0:020d}.log") == len(BATCH)


def test_a_damaged_partition_metadata_does_not_hide_the_data(hand: HandStore, disk: SimulatedDisk) -> None:
    """The topic id is there twice, once with a checksum: a topic's data never looks like a stranger's because of one flipped bit."""
    hand.append(BATCH)
    hand.store.close(clean=False)
    change(disk, f"/data/{TOPIC}-0/partition.metadata", partition_metadata(OTHER_ID))
    hand.open()
    assert len(read_records(hand.partition)) == 1
    assert disk.read(f"/data/{TOPIC}-0/partition.metadata") == partition_metadata(TOPIC_ID)


def test_a_deleted_topic_is_gone_at_once_and_unlinked_later(hand: HandStore, disk: SimulatedDisk) -> None:
    """Its directories are renamed as Kafka does, and go after file.delete.delay.ms; or at the next start."""
    hand.append(BATCH)
    hand.checkpoint()
    hand.store.delete_topic(TOPIC)
    assert hand.store.partition(TOPIC, 0) is None
    (renamed,) = [name for name in disk.list("/data") if name.endswith("-delete")]
    assert renamed.startswith(f"{TOPIC}-0.")
    hand.chores()
    assert disk.exists(f"/data/{renamed}")
    hand.clock.advance(60_001)
    hand.chores()
    assert not disk.exists(f"/data/{renamed}")
    hand.store.create_topic(TOPIC, OTHER_ID, 1, CONFIG)
    assert hand.append(BATCH) == 0
    hand.store.delete_topic(TOPIC)
    hand.store.close(clean=False)
    hand.store = Store.open(disk, "/data", hand.settings, hand.clock, SeededRandomness(7))
    hand.store.open_topics({})
    hand.chores()
    assert not [name for name in disk.list("/data") if name.startswith(TOPIC)]


def test_a_name_used_again_never_shows_old_records(hand: HandStore, disk: SimulatedDisk) -> None:
    """Delete and create under one name with the power cut at any moment: the new topic is empty, or has its own records."""
    hand.append(encode_batch([b"old"]))
    hand.store.delete_topic(TOPIC)
    hand.store.create_topic(TOPIC, OTHER_ID, 1, CONFIG)
    hand.append(encode_batch([b"new"]))
    for seed in range(50):
        image = disk.crash_image(random.Random(seed))
        store = Store.open(image, "/data", hand.settings, hand.clock, SeededRandomness(seed))
        store.open_topics({TOPIC: (OTHER_ID, 1, CONFIG)})
        partition = store.partition(TOPIC, 0)
        assert partition is not None
        assert [value for *_, value in read_records(partition)] == [b"new"]


def test_names_at_the_limit_can_be_deleted(disk: SimulatedDisk) -> None:
    """A topic's name may have 249 characters; the directory that it is renamed to has no more than 255."""
    hand = HandStore("/data", disk=disk, config=CONFIG)
    hand.store.create_topic("n" * 249, OTHER_ID, 1, CONFIG)
    hand.store.delete_topic("n" * 249)
    (renamed,) = [name for name in disk.list("/data") if name.endswith("-delete")]
    assert len(renamed) == 255


def test_partitions_are_added_behind_the_others(hand: HandStore) -> None:
    """The new ones are empty and take records."""
    hand.store.add_partitions(TOPIC, 3)
    added = hand.store.partition(TOPIC, 2)
    assert added is not None
    assert added.append(BATCH, hand.clock.wall_ms()).base_offset == 0
    assert hand.store.partition(TOPIC, 3) is None


def test_nothing_is_due_while_nothing_happens(hand: HandStore) -> None:
    """Idle costs nothing: without a deadline there is no next chore; an append makes one, and it goes away again."""
    assert hand.store.next_chore_ms(hand.clock.monotonic_ms()) is None
    hand.append(BATCH)
    hand.flush()
    due = hand.store.next_chore_ms(hand.clock.monotonic_ms())
    assert due is not None
    for _ in range(3):
        hand.clock.advance(5000)
        hand.chores()
    assert hand.store.next_chore_ms(hand.clock.monotonic_ms()) is None


def test_checkpoints_follow_within_five_seconds(hand: HandStore, disk: SimulatedDisk) -> None:
    """Kafka's three checkpoints and the partition's own one say how far the log is, soon after its files are synced."""
    for _ in range(3):
        hand.append(BATCH)
    hand.partition.delete_records(2, 0)
    hand.flush()
    hand.clock.advance(5000)
    hand.chores()
    for name, expected in (("recovery-point", 3), ("replication", 3), ("log-start", 2)):
        assert parse_offsets(disk.read(f"/data/{name}-offset-checkpoint"))[TOPIC, 0] == expected
    assert disk.read(f"/data/{TOPIC}-0/leader-epoch-checkpoint") == f"0\n1\n{hand.store.epoch} 2\n".encode()


def test_a_full_disk_only_delays_checkpoints(hand: HandStore, disk: SimulatedDisk) -> None:
    """A checkpoint that found no room is written later; the engine goes on."""
    hand.append(BATCH)
    hand.flush()
    fault = disk.fail("write", errno.ENOSPC, "ev.checkpoint", times=None)
    hand.clock.advance(5000)
    hand.chores()
    disk.faults.remove(fault)
    hand.clock.advance(5000)
    hand.chores()
    assert parse_offsets(disk.read("/data/recovery-point-offset-checkpoint"))[TOPIC, 0] == 1


def test_a_failed_sync_of_a_checkpoint_ends_the_process(hand: HandStore, disk: SimulatedDisk) -> None:
    """Anything but a full disk is raised: the disk broke a promise."""
    hand.append(BATCH)
    hand.flush()
    disk.fail("sync", errno.EIO, "ev.checkpoint")
    hand.clock.advance(5000)
    with pytest.raises(OSError, match="Input/output error"):
        hand.chores()


def test_little_free_space_refuses_records_and_unlinks_at_once(hand: HandStore, disk: SimulatedDisk) -> None:
    """Below ev.disk.min.free.bytes ordinary topics are read-only, the engine's own are not; what was to be unlinked later goes now."""
    hand.append(BATCH)
    hand.store.create_topic("other", OTHER_ID, 1, CONFIG)
    hand.store.delete_topic("other")
    disk.free = (1 << 20, 1 << 40)
    hand.flush()
    hand.clock.advance(5000)
    hand.chores()
    hand.chores()
    assert not hand.store.writable
    assert not [name for name in disk.list("/data") if name.startswith("other")]
    assert hand.store.metadata.append_records([(b"k", b"v")], hand.clock.wall_ms()).base_offset == 0
    disk.free = (1 << 30, 1 << 40)
    hand.clock.advance(1000)
    hand.chores()
    assert hand.store.writable
    assert hand.append(BATCH) == 1


def test_a_thousand_partitions_start_lazily(tmp_path: pathlib.Path) -> None:
    """After a clean stop no log is opened at the start, and few are open at a time afterwards."""
    hand = HandStore(str(tmp_path), config=CONFIG, partitions=200, open_files_max=20)
    for index in range(200):
        partition = hand.store.partition(TOPIC, index)
        assert partition is not None
        partition.append(BATCH, hand.clock.wall_ms())
    hand.commit()
    hand.restart(clean=True)
    assert not any(segment.file for partition in hand.store.partitions() for segment in partition.segments)
    for index in range(200):
        partition = hand.store.partition(TOPIC, index)
        assert partition is not None
        assert len(read_records(partition)) == 1
    assert sum(segment.file is not None for partition in hand.store.partitions() for segment in partition.segments) <= 20
    hand.store.close()


def test_an_unclean_close_leaves_a_directory_to_recover(hand: HandStore, disk: SimulatedDisk) -> None:
    """Only a clean stop writes Kafka's marker, and the next start removes it before anything else."""
    hand.append(BATCH)
    hand.store.close(clean=True)
    assert disk.exists("/data/.kafka_cleanshutdown")
    hand.open()
    assert not disk.exists("/data/.kafka_cleanshutdown")
    hand.store.close(clean=False)
    assert not disk.exists("/data/.kafka_cleanshutdown")


@pytest.mark.parametrize("idle", [False, True], ids=["at once", "after a checkpoint"])
def test_a_clean_stop_leaves_kafkas_files_of_what_was_written_to(hand: HandStore, disk: SimulatedDisk, idle: bool) -> None:
    """Indexes and the producers at the very end, however long ago the last record came."""
    hand.append(BATCH)
    hand.commit()
    if idle:
        hand.flush()
        hand.clock.advance(100_000)
        while hand.chores():
            hand.clock.advance(1000)
    hand.store.close(clean=True)
    left = {name.rpartition(".")[2] for name in disk.list(f"/data/{TOPIC}-0")}
    assert left >= {"log", "index", "timeindex", "snapshot", "metadata"}


def test_what_waits_for_a_checkpoint_is_not_due(hand: HandStore) -> None:
    """While a checkpoint is being written nothing is unlinked, and nobody is told to look again at once."""
    for _ in range(60):
        hand.append(BATCH)
    hand.flush()
    hand.partition.delete_records(-1, 0)
    hand.clock.advance(100_000)
    (writing,) = hand.store.chores(hand.clock.monotonic_ms())
    due = hand.store.next_chore_ms(hand.clock.monotonic_ms())
    assert due is None or due > hand.clock.monotonic_ms()
    writing.run()
    writing.done()
    due = hand.store.next_chore_ms(hand.clock.monotonic_ms())
    assert due is not None
    assert due <= hand.clock.monotonic_ms()
    assert hand.chores()
