"""Rows about the batch codec: how many records a second it writes and reads, for the shapes of record that matter."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

from bench import limits
from bench.figure import Bound, Figure
from ev.wire.records import decode_batch, encode_batch

BATCH_BYTES = 1_000_000
ROUND_S = 0.1


def rate(count: int, work: Callable[[], object]) -> float:
    """Records a second in a round of about 0.1 s."""
    done = 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < ROUND_S:
        work()
        done += count
    return done / elapsed


def shapes() -> dict[str, dict[str, object]]:
    """Arguments of encode_batch by name, each a batch of about 1 MB."""
    draw = random.Random(7)
    lines = [os.urandom(100) for _ in range(BATCH_BYTES // 108)]
    varied = [os.urandom(draw.randrange(20, 200)) for _ in lines]
    keys = [b"user-%d" % draw.randrange(10_000) for _ in lines]
    timestamps = [1_700_000_000_000 + index // 3 for index in range(len(lines))]
    return {
        "100 B lines": {"values": lines, "timestamps": timestamps[0]},
        "20-200 B lines": {"values": varied, "timestamps": timestamps[0]},
        "100 B, a timestamp each": {"values": lines, "timestamps": timestamps},
        "100 B with keys": {"values": lines, "keys": keys, "timestamps": timestamps[0]},
        "100 B with keys, a timestamp each": {"values": lines, "keys": keys, "timestamps": timestamps},
        "100 B with one header": {"values": lines, "headers": [[("trace", b"0123456789")]] * len(lines), "timestamps": timestamps[0]},
        "1 KB values": {"values": [os.urandom(1000) for _ in range(BATCH_BYTES // 1000)], "timestamps": timestamps[0]},
    }


def batch_codec(rounds: int) -> Iterator[Figure]:
    """Both ways for each shape. A batch is copied once at least."""
    for name, arguments in shapes().items():
        batch = encode_batch(**arguments)  # type: ignore[arg-type]
        count = len(arguments["values"])  # type: ignore[arg-type]
        bound = Bound(limits.MEMORY_COPY, len(batch) / count)
        written = Figure(f"batches written: {name}", "records/s", bound=bound)
        read = Figure(f"batches read: {name}", "records/s", bound=bound)
        for _ in range(rounds):
            written.add("ev", rate(count, lambda arguments=arguments: encode_batch(**arguments)))  # type: ignore[misc]
            read.add("ev", rate(count, lambda batch=batch: decode_batch(batch)))  # type: ignore[misc]
        yield from (written, read)
