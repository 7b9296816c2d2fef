"""Says for each API how much of it is compared with Kafka's answers: from tests/, `python -m differential.report`."""

from __future__ import annotations

import sys
import tempfile

from differential.compare import Tally
from differential.replay import Replay
from differential.test_same_as_kafka import ENTRIES, KEYS, SETTINGS, recorded, served
from ev.wire.catalog import API
from support.engine import Engine

LINE = "{:30} {:>8} {:>13} {:>8} {:>8} {:>8} {:>9} {:>10}"


def main() -> int:
    print(LINE.format("API", "versions", "conversations", "requests", "compared", "by shape", "left out", "on purpose"))
    unexpected = []
    with tempfile.TemporaryDirectory() as folder, Engine(f"{folder}/engine", settings=SETTINGS) as engine:
        for key in sorted(KEYS):
            tally, requests, on_purpose, held = Tally(), 0, 0, [each for each in recorded(key) if served(each[0])]
            for conversation, kafka in held:
                replay = Replay(engine.address, conversation, kafka)
                for found in replay.run():
                    if any(entry.covers(found) for entry in ENTRIES):
                        on_purpose += 1
                    else:
                        unexpected.append(str(found))
                tally += replay.tally
                requests += len(kafka.exchanges)
            versions = sorted({conversation.version for conversation, _ in held})
            if versions:
                span = f"{versions[0]}-{versions[-1]}"
                counts = (len(held), requests, tally.compared, tally.masked, tally.left_out, on_purpose)
                print(LINE.format(API[key].name, span, *counts))
    for line in unexpected:
        print(line)
    return bool(unexpected)


if __name__ == "__main__":
    sys.exit(main())
