"""Rows about looking over a data directory: how long `ev server verify` takes for a GiB of large batches, and of tiny ones."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

from bench import limits
from bench.figure import Bound, Figure
from bench.peers import ev_command, run_timed
from ev.log.config import TopicConfig
from ev.wire.records import encode_batch
from support.stores import HandStore

GIB = 1 << 30


def verify(directory: pathlib.Path, size: int, rounds: int) -> Iterator[Figure]:
    """Seconds for a GiB (measured with `size` bytes, from the page cache) in one segment and so in one process."""
    large = Figure("server verify: 1 GiB in batches of 16 KB", "s", 5.0, 2.5, at_least=False)
    tiny = Figure(
        "server verify: 1 GiB in batches of one record, 100 bytes", "s", 20.0, 10.0, at_least=False, bound=Bound(limits.MEMORY_COPY, GIB)
    )
    large.bound = tiny.bound = Bound(limits.MEMORY_COPY, GIB)
    for figure, values in ((large, [os.urandom(1000) for _ in range(16)]), (tiny, [os.urandom(32)])):
        place = directory / "verify"
        fill(place, values, size)
        for _ in range(rounds):
            took = run_timed(ev_command("server", "verify", "--data-dir", str(place)))
            figure.add("ev", took * GIB / size)
        shutil.rmtree(place)
        yield figure


def fill(place: pathlib.Path, values: list[bytes], size: int) -> None:
    """A data directory with so many bytes of the same batch, cleanly stopped."""
    place.mkdir()
    hand = HandStore(str(place), config=TopicConfig(segment_bytes=GIB, retention_ms=-1))
    batch = encode_batch(values, timestamps=hand.clock.wall_ms())
    for number in range(size // len(batch)):
        hand.partition.append(batch, hand.clock.wall_ms())
        if number % (1 + (16 << 20) // len(batch)) == 0:
            hand.commit()
            hand.flush()
    hand.checkpoint()
    hand.store.close(clean=True)
