"""One bit or block is wrong on disk: found and said by `ev server verify`, or harmless; nothing wrong is served, nothing deleted (R6).

Two data directories are made by the real broker on a disk in memory: one that was stopped, one whose process was killed with requests
on their way. They have files of every kind. Of each kind every bit is flipped, or as many as there is time for, one at a time and
then larger damage is done: a file is cut off, a page zeroed, blocks swapped or doubled. Each time

* the scrub of `ev server verify` looks at what was damaged;
* if it says nothing, the engine is started and asked for everything: every batch byte for byte, every search by time, committed
  offsets, transactions, topics. All of it must be as it was. Where the scrub has found the damage this is done for a share of them:
  something may be missing then, but nothing may be wrong;
* every byte of every log is still there after that start, in place or beside it.

Left out is one thing: in a compacted log holes between batches are as they should be, so a batch that says another base offset, which still
lies between its neighbours', cannot be told from a right one.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random
from traceback import format_exception

from ev.log import journal
from ev.wire.records import headers
from support.damage import DAMAGES, Files, flipped, gone, kinds, said, used_bytes
from support.stored_life import DIRECTORY, PROFILES, REFUSED, Image, Served, files_of, images, served, with_file
from torture import faults
from torture.run import Run
from torture.side_by_side import side_by_side

FAULTS = ("log.no_checksum", "log.epochs_unknown", "log.cut_where_damaged", "log.orphans_deleted")
FLIPS = 100_000
STARTED, STARTED_QUICK = 0.02, 0.3
"""The share of the damages that were found for which the engine is started too."""
LARGER = 0.1
"""The share of damages that are larger than a bit."""
IMPORTANT = (".log", "ev.checkpoint")
ROUND, ROUND_OF_IMPORTANT = 1, 5
"""Damages of one kind before the next one has its turn."""
WHOLE_DAMAGES = ("cut off", "page zeroed")
UNCOVERED = 16
"""Bytes at the beginning of a batch that its checksum does not cover: base offset, length, leader epoch."""
PROCESSES, PROCESSES_QUICK = 2, 1


class Work:
    """One process's share of the damages of both directories."""

    def __init__(self, run: Run, made: list[Image], share: int, shares: int) -> None:
        self.run = run
        self.outcome = run.outcome
        self.outcome.in_flight = sum(image.in_flight for image in made)
        self.share, self.shares = share, shares
        self.random = Random(f"{run.seed} {share}")
        self.started = STARTED_QUICK if run.quick else STARTED
        self.tried: Counter[str] = Counter()
        self.rows = [
            (image, kind, self.bits(image.files, names, Random(f"{run.seed} {image.name} {kind}")), names)
            for image in made
            for kind, names in sorted(kinds(image.files).items(), key=lambda each: not each[0].endswith(IMPORTANT))
        ]

    def work(self) -> None:
        """A few of each kind in turn, until nothing is left."""
        while self.rows and not self.run.over:
            self.rows = [row for row in self.rows if self.some(*row)]
        self.outcome.figures["by_kind"] = dict(self.tried)

    def some(self, image: Image, kind: str, bits: Iterator[tuple[str, int]], names: list[str]) -> bool:
        """A few damages of one kind; False when there are none left."""
        return all(
            self.run.over or self.one(image, kind, bits, names) for _ in range(ROUND_OF_IMPORTANT if kind.endswith(IMPORTANT) else ROUND)
        )

    def bits(self, files: Files, names: list[str], random: Random) -> Iterator[tuple[str, int]]:
        """(file, bit) of each flip of a kind, in an order of chance: all of them, or FLIPS; this process's share.

        Of a log every other one is in a part of a batch that its checksum does not cover.
        """
        every = [(name, 0, 8 * used_bytes(files[name])) for name in names]
        if not names[0].endswith(".log"):
            yield from islice(shuffled(every, random), self.share, FLIPS, self.shares)
            return
        begins = {name: [position for position, _ in headers(files[name])] for name in names}
        bare = [(name, 8 * position, 8 * UNCOVERED) for name in names for position in begins[name]]
        both = (bit for pair in zip(shuffled(bare, random), shuffled(every, random), strict=False) for bit in pair)
        told = ((name, bit) for name, bit in both if not (has_holes(name) and in_base_offset(begins[name], bit // 8)))
        yield from islice(told, self.share, FLIPS, self.shares)

    def one(self, image: Image, kind: str, bits: Iterator[tuple[str, int]], names: list[str]) -> bool:
        """Do one damage and judge it; False when there is none left of this kind."""
        random = self.random
        if image.clean and random.random() < LARGER:
            name = random.choice(names)
            what = random.choice(list(DAMAGES) if not has_holes(name) else WHOLE_DAMAGES)
            damaged = DAMAGES[what](image.files[name], random)
            if damaged == image.files[name]:
                return True
        else:
            drawn = next(bits, None)
            if drawn is None:
                return False
            name, what = drawn[0], f"bit {drawn[1]} flipped"
            damaged = flipped(image.files[name], drawn[1])
        self.tried[f"{image.name}: {kind}"] += 1
        self.outcome.injected += 1
        label = f"seed {self.run.seed}, {image.name}: {name}, {what}"
        try:
            self.judge(image, name, damaged, label)
        except Exception as problem:  # noqa: BLE001 - the scrub and the start may find fault, they may not stumble
            self.outcome.problem(f"{label}: {problem!r}\n{''.join(format_exception(problem))}")
        return True

    def judge(self, image: Image, name: str, damaged: bytes, label: str) -> None:
        disk = with_file(image.disk, name, damaged)
        told = said(disk, DIRECTORY, only=name, compacted=None if name.startswith("__ev_metadata") else image.compacted)
        self.outcome.add("said", bool(told))
        if told and self.random.random() >= self.started:
            return
        self.outcome.add("starts")
        try:
            now = served(disk, seed=self.random.getrandbits(32))
        except REFUSED:
            self.outcome.add("starts_refused")
        else:
            self.compare(image, now, told, label)
        for text in gone({**image.files, name: damaged}, files_of(disk)):
            self.outcome.problem(f"{label}: {text}")

    def compare(self, image: Image, now: Served, told: list[str], label: str) -> None:
        """Batches are as they were written, or not served; everything else is as it was, or the scrub has found the damage."""
        for what, value in now.items():
            if image.served.get(what) != value and (what.kind == "batch" or not told):
                was = image.served.get(what)
                self.outcome.problem(f"{label}: wrong: {what}: {value!r:.200}, it was {was!r:.200} (said: {told})")
                return
        missing = image.served.keys() - now.keys()
        if missing and not told:
            self.outcome.problem(f"{label}: nobody said that {len(missing)} things are missing, {min(missing)} among them")
        self.outcome.add("harmless", not told)


def has_holes(name: str) -> bool:
    """Whether it is a log from which compaction may have taken batches."""
    return name.endswith(".log") and name.startswith(("__", PROFILES))


def in_base_offset(begins: list[int], byte: int) -> bool:
    """Whether this byte is one of those that say at which offset a batch begins."""
    number = bisect_right(begins, byte)
    return number > 0 and byte - begins[number - 1] < 8


def shuffled(parts: list[tuple[str, int, int]], random: Random) -> Iterator[tuple[str, int]]:
    """(file, bit) of every bit of these parts, (file, first bit, bits), in an order of chance that needs no list of them."""
    total = sum(size for _, _, size in parts)
    step = next(step for step in iter(lambda: random.randrange(1, total + 1), 0) if math.gcd(step, total) == 1)
    for count in range(total):
        number = count * step % total
        for name, first, size in parts:
            if number < size:
                yield name, first + number
                break
            number -= size


def torture(run: Run) -> None:
    """Damage after damage, in as many processes as are allowed, until all are done or time is up."""
    honest_bytes, journal.HALF_BYTES_MIN = journal.HALF_BYTES_MIN, 64 << 10  # so that a start costs milliseconds
    logging.disable(logging.CRITICAL)  # thousands of starts are judged, not read about
    try:
        made = images(run.seed)  # without the fault: what is served then is what was written
        count = run.amount(PROCESSES, PROCESSES_QUICK)
        with faults.seeded(run.fault):
            side_by_side(run, count, lambda run, share: Work(run, made, share, count).work())
    finally:
        journal.HALF_BYTES_MIN = honest_bytes
        logging.disable(logging.NOTSET)
    run.outcome.in_flight = sum(image.in_flight for image in made)
    by_kind = run.outcome.figures["by_kind"]
    run.outcome.figures |= {"kinds": len(by_kind), "least_of_a_kind": min(by_kind.values(), default=0)}
