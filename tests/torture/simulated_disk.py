"""Every legal state that a power cut may leave of a simulated disk: the real broker works, is cut off and recovers (R4).

A life is a seed: a broker with producers, rolls, retention, offset commits, topics made and deleted, on a disk that keeps only what was
synced. At drawn moments the states that the disk may be left in are drawn too, and recovery runs on each; `support.power_cut` says what
must hold.
"""

from __future__ import annotations

import itertools
import logging

from ev.log import journal
from support.power_cut import Life
from torture import faults
from torture.run import Run

FAULTS = (
    "simulated.no_sync",
    "simulated.no_directory_sync",
    "disk.duplicate_answered_too_early",
    "log.no_checksum",
    "log.forgetful_flush",
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
IMAGES, IMAGES_QUICK = 1_000_000, 3_000


def torture(run: Run) -> None:
    """Lives, by each method of flushing in turn, until so many different images were recovered from."""
    outcome, distinct = run.outcome, set[int]()
    wanted = run.amount(IMAGES, IMAGES_QUICK)
    logging.disable(logging.CRITICAL)  # thousands of recoveries are judged, not read about
    honest_bytes, journal.HALF_BYTES_MIN = journal.HALF_BYTES_MIN, 64 << 10  # so small that its halves change places often
    try:
        with faults.seeded(run.fault):
            for number in itertools.count():
                if run.over or len(distinct) >= wanted:
                    break
                method = METHODS[number % len(METHODS)]
                life = Life(run.seed * 1_000_000 + number, {**SETTINGS, "ev.flush.method": method}, images=IMAGES_PER_LIFE)
                life.run()
                distinct |= life.counts.distinct
                outcome.injected += life.counts.images
                outcome.in_flight += len(life.waiting)
                outcome.add("partial_directories", life.counts.partial_names)
                for problem in life.problems:
                    outcome.problem(f"{method}: {problem}")
    finally:
        journal.HALF_BYTES_MIN = honest_bytes
        logging.disable(logging.NOTSET)
    outcome.figures |= {"images": len(distinct), "wanted": wanted}
