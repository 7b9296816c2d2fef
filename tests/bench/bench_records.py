"""How many records a second the batch codec writes and reads, for the shapes of record that matter.

python tests/bench/bench_records.py        one JSON object on stdout
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable

from ev.wire.records import decode_batch, encode_batch

BATCH_BYTES = 1_000_000
ROUNDS = 7


def median_rate(count: int, work: Callable[[], object]) -> float:
    """Records a second in the median round of about 0.1 s each."""
    rates = []
    for _ in range(ROUNDS):
        done = 0
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < 0.1:
            work()
            done += count
        rates.append(done / elapsed)
    return statistics.median(rates)


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


def main() -> None:
    report = {}
    for name, arguments in shapes().items():
        batch = encode_batch(**arguments)  # type: ignore[arg-type]
        count = len(arguments["values"])  # type: ignore[arg-type]
        report[name] = {
            "encode_records_per_s": round(median_rate(count, lambda arguments=arguments: encode_batch(**arguments))),  # type: ignore[misc]
            "decode_records_per_s": round(median_rate(count, lambda batch=batch: decode_batch(batch))),  # type: ignore[misc]
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
