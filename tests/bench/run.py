"""All figures with one command: the engine, kcat and Apache Kafka in turn, within one run, medians as JSON.

    python tests/bench/run.py                     everything, about half an hour on two cores; 21 GiB of disk
    python tests/bench/run.py --quick             less data and shorter runs
    python tests/bench/run.py --only requests     one group of rows (may be repeated)

Machines are noisy: read ratios, not values. Rows whose peer is missing (Java, kcat, a C compiler) are left out, and said to be.
Nothing here fails on a slow machine; `must_met` and `reach_met` say what the run showed.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:1] = [str(TOP / name) for name in ("tests", "engine", "cli")]

from bench import (
    groups,
    lifecycle,
    python_clients,
    records_out,
    security,
    small_requests,
    throughput,
    transactions,
    verification,
    whole_broker,
)
from bench.figure import Figure
from bench.peers import EvPeer, KafkaPeer, compiled_load

GROUPS = (
    "commands",
    "lines",
    "brokers",
    "requests",
    "end-to-end",
    "transactions",
    "producers",
    "partitions",
    "security",
    "cold-reader",
    "compaction",
    "groups",
    "python-api",
    "cold-start",
    "idle",
    "unclean-start",
    "connections",
    "verify",
)


class Run:
    """One run: its scale, its peers (started when the first group needs them) and its results."""

    def __init__(self, directory: pathlib.Path, quick: bool) -> None:
        self.directory = directory
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.left_out: list[str] = []
        self.has_kcat = shutil.which("kcat") is not None
        self.has_kafka = all(shutil.which(name) for name in ("java", "mvn"))
        self.load = compiled_load(directory)
        self._ev: EvPeer | None = None
        self._kafka: KafkaPeer | None = None
        if not self.has_kafka:
            self.left_out.append("every comparison with Apache Kafka: java or mvn is missing")

    @property
    def ev(self) -> EvPeer:
        if self._ev is None:
            self._ev = EvPeer(self.directory)
            self._ev.start()
        return self._ev

    @property
    def kafka(self) -> KafkaPeer | None:
        if self._kafka is None and self.has_kafka:
            self._kafka = KafkaPeer(self.directory)
            self._kafka.start()
        return self._kafka

    def close(self) -> None:
        for peer in (self._ev, self._kafka):
            if peer is not None:
                peer.stop()
        self._ev = self._kafka = None

    def figures(self, group: str) -> Iterator[Figure]:
        """The rows of one group. Peers that are not part of it do not run meanwhile."""
        if group in ("security", "cold-reader", "compaction", "cold-start", "idle", "unclean-start", "connections", "verify"):
            self.close()
        if not self.has_kcat and group not in (
            "requests",
            "end-to-end",
            "partitions",
            "groups",
            "python-api",
            "compaction",
            "connections",
            "verify",
        ):
            self.left_out.append(f"{group}: kcat is missing")
            return
        if self.load is None and group == "requests":
            self.left_out.append("requests: no C compiler")
            return
        quick = self.quick
        yield from self._measures(2_000_000 if not quick else 500_000, 1.0 if quick else 3.0)[group]()

    def _measures(self, lines: int, seconds: float) -> dict[str, Callable[[], Iterator[Figure]]]:
        place, quick = self.directory, self.quick
        return {
            "commands": lambda: lifecycle.commands(self.ev, 10 if quick else 30),
            "lines": lambda: chain(
                throughput.command_line(self.ev, place, lines, self.rounds), records_out.records_out(self.ev, place, lines, self.rounds)
            ),
            "brokers": lambda: throughput.brokers(self.ev, self.kafka, place, lines, self.rounds),
            "requests": lambda: small_requests.closed_loop(self.ev, self.kafka, self.load or "", self.rounds, seconds),
            "end-to-end": lambda: small_requests.end_to_end(self.ev, self.kafka, self.rounds, 2 * seconds),
            "transactions": lambda: transactions.transactions(self.ev, self.kafka, place, lines, self.rounds, seconds),
            "producers": lambda: whole_broker.producers(self.ev, self.kafka, place, 32 if quick else 256, self.rounds),
            "partitions": lambda: whole_broker.one_busy_partition(self.ev, self.kafka, 1000, 3 if quick else 10, self.rounds),
            "security": lambda: security.security(place, self.has_kafka, lines, self.rounds),
            "cold-reader": lambda: whole_broker.cold_reader(place, (1 << 28) if quick else (1 << 31), 2 * seconds, self.rounds),
            "compaction": lambda: whole_broker.compaction(place, 1 << (27 if quick else 30), 1_000_000 // (8 if quick else 1), 2 * seconds),
            "groups": lambda: groups.groups(self.ev, self.kafka, self.rounds, 3 * seconds),
            "python-api": lambda: python_clients.python_clients(
                [self.ev] + ([self.kafka] if self.kafka else []), 200_000 if quick else 1_000_000, self.rounds
            ),
            "cold-start": lambda: lifecycle.cold_start(place, self.has_kafka, self.rounds),
            "idle": lambda: lifecycle.idle(place, 3 if quick else 10, self.rounds),
            "unclean-start": lambda: lifecycle.unclean_start(place, 1 if quick else 20, self.rounds),
            "connections": lambda: lifecycle.many_connections(place, 10_000),
            "verify": lambda: verification.verify(place, 1 << (27 if quick else 30), self.rounds),
        }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less data, shorter runs, three rounds")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="GROUP", help=f"one of: {', '.join(GROUPS)}")
    parser.add_argument("--dir", type=pathlib.Path, help="work here (default: a temporary directory); must not be a tmpfs")
    options = parser.parse_args(arguments)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ev-bench-", dir=options.dir))
    run, rows, began = Run(directory, options.quick), [], time.time()
    try:
        for group in options.only or GROUPS:
            for figure in run.figures(group):
                rows.append({"group": group, **figure.result()})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    finally:
        run.close()
        shutil.rmtree(directory, ignore_errors=True)
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    facts = {"machine": machine, "quick": options.quick, "took_s": round(time.time() - began)}
    print(json.dumps({**facts, "rows": rows, "left_out": run.left_out}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
