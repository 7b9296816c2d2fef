"""Every legal state that a power cut may leave of a simulated disk: log, metadata and the whole broker recover from it (R4).

A life is a seed. On a disk that keeps only what was synced, either a store works, driven by hand (appends, rolls, checkpoints, compaction,
transactions, topics made and deleted: `support.log_life`), or the whole broker with producers, offset commits, retention and topics
(`support.power_cut`). At drawn moments the states that the disk may be left in are drawn too, and recovery runs on each that was not seen
before; the two modules say what must hold.
"""

from __future__ import annotations

import itertools
import logging
import pathlib
import time
from array import array

from ev.log import journal
from ev.settings import Settings
from support.log_life import LogLife
from support.power_cut import Life
from torture import faults
from torture.run import Run
from torture.workers import in_two, shares

FAULTS = (
    "simulated.no_sync",
    "simulated.no_directory_sync",
    "disk.replace_without_sync",
    "disk.duplicate_answered_too_early",
    "log.no_checksum",
    "log.forgetful_flush",
    "order.answered_when_appended",
    "order.shown_before_synced",
    "order.new_segment_unnamed",
    "order.new_partition_unnamed",
    "order.checkpoint_ahead",
    "order.epoch_unsynced",
    "order.one_half_of_the_journal_read",
    "order.recovered_tail_unsynced",
)
METHODS = ("auto", "journal", "file")
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "ev.checkpoint.interval.ms": "150",
    "ev.checkpoint.bytes": "65536",
    "file.delete.delay.ms": "10",
    "log.retention.check.interval.ms": "100",
}
IMAGES_PER_LIFE = 60
IMAGES_PER_LOG_LIFE = 100
IMAGES, IMAGES_QUICK = 1_000_000, 6_000
BROKERS_SHARE = 0.2
"""Of the time."""
LOG_HALF_BYTES, BROKER_HALF_BYTES = 8 << 10, 64 << 10
"""Journals so small that their halves change places often."""
SEEN = "images"


def torture(run: Run) -> None:
    """Lives, by each method of flushing in turn, until so many different images were recovered from."""
    honest_bytes = journal.HALF_BYTES_MIN
    logging.disable(logging.CRITICAL)  # thousands of recoveries are judged, not read about
    try:
        with faults.seeded(run.fault):
            in_two(run, lives)
    finally:
        journal.HALF_BYTES_MIN = honest_bytes
        logging.disable(logging.NOTSET)
    run.outcome.figures |= {"images": len(seen_below(run.directory)), "wanted": run.amount(IMAGES, IMAGES_QUICK)}


def lives(run: Run, worker: int) -> None:
    """One life after the other, the log's and the broker's."""
    distinct = set[int]()
    wanted = run.amount(IMAGES, IMAGES_QUICK) // shares(run)
    settings = {method: Settings.from_mapping({**SETTINGS, "ev.flush.method": method}) for method in METHODS}
    spent = {True: 0.0, False: 0.0}
    for number in itertools.count():
        if run.over or len(distinct) >= wanted:
            break
        method, seed = METHODS[number % len(METHODS)], (run.seed * 2 + worker) * 10_000_000 + number
        whole_broker = spent[True] <= BROKERS_SHARE * (spent[True] + spent[False])
        began = time.monotonic()
        if whole_broker:
            live_as_broker(run, seed, method, distinct)
        else:
            live_as_log(run, seed, method, settings[method], distinct)
        spent[whole_broker] += time.monotonic() - began
    (run.directory / SEEN).write_bytes(array("q", distinct).tobytes())


def live_as_log(run: Run, seed: int, method: str, settings: Settings, distinct: set[int]) -> None:
    journal.HALF_BYTES_MIN = LOG_HALF_BYTES
    life = LogLife(seed, settings, images=IMAGES_PER_LOG_LIFE, distinct=distinct)
    life.run()
    run.outcome.injected += life.images
    run.outcome.in_flight += life.in_flight
    run.outcome.add("of_the_log", life.images)
    for problem in life.problems:
        run.outcome.problem(f"log, {method}: {problem}")


def live_as_broker(run: Run, seed: int, method: str, distinct: set[int]) -> None:
    journal.HALF_BYTES_MIN = BROKER_HALF_BYTES
    life = Life(seed, {**SETTINGS, "ev.flush.method": method}, images=IMAGES_PER_LIFE)
    life.run()
    distinct |= life.counts.distinct
    run.outcome.injected += life.counts.images
    run.outcome.in_flight += len(life.waiting)
    run.outcome.add("of_the_broker", life.counts.images)
    for problem in life.problems:
        run.outcome.problem(f"broker, {method}: {problem}")


def seen_below(directory: pathlib.Path) -> set[int]:
    """The numbers of all images that were recovered from."""
    found = set[int]()
    for path in directory.rglob(SEEN):
        numbers = array("q")
        numbers.frombytes(path.read_bytes())
        found.update(numbers)
    return found
