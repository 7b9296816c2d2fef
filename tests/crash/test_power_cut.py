"""Power cuts at a hundred thousand moments: what was acknowledged is there, what was deleted stays away."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator

import pytest

from ev.log import journal
from support.power_cut import Life
from torture import faults

METHODS = ("auto", "journal", "file")
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "ev.checkpoint.interval.ms": "150",
    "ev.checkpoint.bytes": "65536",
    "file.delete.delay.ms": "10",
    "log.retention.check.interval.ms": "100",
}
IMAGES_PER_LIFE = 60  # a life is a seed: reproduce one with Life(seed, settings, images=IMAGES_PER_LIFE).run()
IMAGES, IMAGES_SLOW = 400, 36_000
PROOF_LIVES = 60


@pytest.fixture(autouse=True)
def _small_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A journal so small that its halves change places often; and thousands of recoveries that are judged, not read about."""
    monkeypatch.setattr(journal, "HALF_BYTES_MIN", 64 << 10)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def lives(method: str, lies: tuple[str, ...] = (), first_seed: int = 0) -> Callable[[int], Life]:
    def one(number: int) -> Life:
        life = Life(first_seed + number, {**SETTINGS, "ev.flush.method": method}, images=IMAGES_PER_LIFE, lies=lies)
        life.run()
        return life

    return one


@pytest.mark.crash
@pytest.mark.timeout(900)
@pytest.mark.parametrize("images", [IMAGES, pytest.param(IMAGES_SLOW, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_acknowledged_is_lost_when_the_power_goes(method: str, images: int, record_property: Callable[[str, object], None]) -> None:
    """Every promise of support.power_cut holds in each of so many distinct images; the three methods together see 10^5."""
    distinct: set[int] = set()
    partial = 0
    for number in itertools.count():
        life = lives(method, first_seed=METHODS.index(method) * 1_000_000)(number)
        assert life.problems == [], life.problems[:5]
        distinct |= life.counts.distinct
        partial += life.counts.partial_names
        if len(distinct) >= images:
            break
    record_property("crash_images", len(distinct))
    record_property("crash_images_with_partial_directories", partial)
    assert partial > images // 50, "too few images had some but not all of their pending directory entries"


def caught(method: str, lies: tuple[str, ...] = ()) -> bool:
    """Whether any of a few lives shows a problem."""
    one = lives(method, lies)
    for number in range(PROOF_LIVES):
        try:
            if one(number).problems:
                return True
        except RuntimeError:
            return True
    return False


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lie", ["skip_fsync", "skip_directory_fsync"])
def test_the_harness_sees_a_disk_that_does_not_sync(method: str, lie: str) -> None:
    """Leave out the fsync, or the fsync of directories, and images with lost records turn up."""
    assert caught(method, (lie,))


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", METHODS)
def test_the_harness_sees_a_checksum_that_is_not_checked(method: str) -> None:
    """Leave out the CRC of batches when a log is walked, and torn batches turn up as records that nobody sent."""
    with faults.seeded("log.no_checksum"):
        assert caught(method)


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_the_harness_sees_a_duplicate_that_is_answered_too_early() -> None:
    """Answer a resent batch before its original is synced, and an acknowledged record is lost."""
    with faults.seeded("disk.duplicate_answered_too_early"):
        assert caught("auto")


@pytest.mark.crash
@pytest.mark.timeout(300)
def test_the_harness_sees_a_flush_that_forgets_what_waits_to_be_written() -> None:
    """Sync the files without the batches that wait in memory, use the journal's half again, and acknowledged records are lost."""
    with faults.seeded("log.forgetful_flush"):
        assert caught("auto")
