"""Power cuts that take names and bytes apart: what the journal has is found behind a gap, what was dropped decides nothing."""

from __future__ import annotations

from random import Random

from ev.log.config import TopicConfig
from ev.log.transactions import Marker
from ev.wire.records import TRANSACTIONAL, encode_batch
from support.simulated_disk import SimulatedDisk
from support.stores import HandStore, read_records

COMPACTED = TopicConfig(cleanup_policy=("compact",), segment_bytes=1000)
IMAGES = 200


def batch(number: int, *, producer_id: int = -1, sequence: int = -1, attributes: int = 0) -> bytes:
    """One record that fills a segment."""
    epoch = 0 if producer_id >= 0 else -1
    return encode_batch(
        [b"%d" % number + b"." * 800],
        keys=[b"key-%d" % number],
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        attributes=attributes,
    )


def images(store: HandStore, count: int = IMAGES) -> list[HandStore]:
    """What the next start may find after a power cut now, opened."""
    assert isinstance(store.disk, SimulatedDisk)
    random = Random(5)
    found = [store.disk.crash_image(random) for _ in range(count)]
    return [HandStore("/data", disk=image, config=store.config, settings={"ev.flush.method": "journal"}) for image in found]


def test_a_compacted_log_has_what_only_the_journal_has_though_a_later_segment_has_a_name() -> None:
    """A segment whose bytes are in the journal only is empty on disk; the name of the one after it was never synced and is there."""
    store = HandStore("/data", disk=SimulatedDisk(["/data"]), config=COMPACTED, settings={"ev.flush.method": "journal"})
    for number in range(3):
        store.append(batch(number))
    store.partition.append(batch(3), store.clock.wall_ms())  # its segment has a name, nobody has synced it
    for found in images(store):
        assert [record[2] for record in read_records(found.partition)][:3] == [b"key-0", b"key-1", b"key-2"]


def test_a_compacted_log_without_its_first_segment_is_empty() -> None:
    """Of a new partition two segments were begun and neither counts yet: the second alone is no log, or numbers would be missing."""
    store = HandStore("/data", disk=SimulatedDisk(["/data"]), config=COMPACTED, settings={"ev.flush.method": "journal"})
    for number in range(3):
        store.partition.append(batch(number), store.clock.wall_ms())
    for found in images(store):
        assert [record[0] for record in read_records(found.partition)] == list(range(found.partition.end_offset))


def test_a_transaction_that_ended_in_dropped_records_is_not_open() -> None:
    """The checkpoint says that it is open; its marker was dropped with the records, and no newer checkpoint is on disk."""
    config = TopicConfig(segment_bytes=1000)
    store = HandStore("/data", disk=SimulatedDisk(["/data"]), config=config, settings={"ev.flush.method": "journal"})
    partition, now_ms = store.partition, store.clock.wall_ms()
    partition.append(batch(0, producer_id=7, sequence=0, attributes=TRANSACTIONAL), now_ms, in_transaction=lambda *_: None)
    store.checkpoint()
    partition.append(batch(1, producer_id=7, sequence=1, attributes=TRANSACTIONAL), now_ms, in_transaction=lambda *_: None)
    partition.append_marker(7, 0, Marker(True, 0), now_ms)
    for number in range(3):
        partition.append(batch(number, producer_id=8, sequence=number), now_ms)
    store.commit()
    partition.delete_records(-1, now_ms)
    started_later = 0
    for found in images(store):
        started_later += found.partition.log_start_offset > 3
        assert found.partition.last_stable_offset == found.partition.high_watermark == 6
        after = found.partition.append(
            batch(2, producer_id=7, sequence=2, attributes=TRANSACTIONAL), now_ms, in_transaction=lambda *_: None
        )
        assert after.base_offset == 6
        assert found.partition.append(batch(3, producer_id=8, sequence=3), now_ms).base_offset == 7
    assert started_later, "no image had lost the records with the marker"


def test_a_compacted_segment_takes_no_place_before_the_checkpoint_that_allows_it_is_on_disk() -> None:
    """The power goes while a compaction gives its files their names: from wherever the checkpoint goes on, nothing is missing."""
    disk = SimulatedDisk(["/data"])
    config = TopicConfig(cleanup_policy=("compact",), segment_bytes=1000, min_cleanable_ratio=0.01)
    store = HandStore("/data", disk=disk, config=config, settings={"ev.flush.method": "journal"})
    for number in (1, 2, 3, 1):
        store.append(batch(number))
    store.checkpoint()
    disk.sync_directory(store.partition.directory)
    for number in (2, 1, 2, 1, 4):
        store.append(batch(number))
    store.checkpoint()
    cleaning = store.store.next_cleaning(store.clock.monotonic_ms())
    assert cleaning is not None
    looked_at = 0

    def look(operation: str, path: str) -> None:
        nonlocal looked_at
        if operation not in ("rename", "sync_directory"):
            return
        for found in images(store, 20):
            looked_at += 1
            assert found.partition.damaged is None, found.partition.damaged
            assert found.partition.end_offset == 9
            newest = {record[2]: record[0] for record in read_records(found.partition)}
            assert newest == {b"key-1": 7, b"key-2": 6, b"key-3": 2, b"key-4": 8}, (operation, path)

    disk.before_change = look
    cleaning.job.run(disk)
    assert looked_at
