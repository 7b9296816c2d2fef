"""An application that reads a topic with bombs in it: `python -m torture.bomb_reader ADDRESS TOPIC COUNT [FAULT]`.

For each of COUNT batches one JSON line: its offset, what became of it, how much memory it took at most beyond what was held before, how
long it took.
"""

from __future__ import annotations

import json
import sys
import time

from ev.client import Consumer
from ev.errors import CorruptBatchError
from support.process_figures import forget_peak, peak_bytes, resident_bytes
from torture import faults


def main(arguments: list[str]) -> int:
    address, topic, count, *fault = arguments
    with faults.seeded(fault[0] if fault else None):
        consumer = Consumer(address)
        consumer.assign({(topic, 0): 0})
        seen = 0
        while seen < int(count):
            for batch in consumer.poll_batches(1000):
                seen += 1
                forget_peak()
                before, began = resident_bytes(), time.perf_counter()
                try:
                    outcome = f"{len(batch.columns)} records"
                except CorruptBatchError as problem:
                    outcome = f"refused: {problem}"
                took_s = time.perf_counter() - began
                grown = peak_bytes() - before
                print(json.dumps({"offset": batch.base_offset, "outcome": outcome, "grown": grown, "took_s": took_s}), flush=True)
        consumer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
