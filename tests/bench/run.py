"""Runs one group of figures: its scale, the brokers it is measured with, the limits of the machine beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from bench import (
    batch_codec,
    curves,
    groups,
    lifecycle,
    limits,
    python_clients,
    records_out,
    security,
    sizes,
    small_requests,
    systems,
    throughput,
    transactions,
    verification,
    whole_broker,
)
from bench.figure import Figure
from bench.names import GROUPS
from bench.peers import EvPeer, KafkaPeer, compiled_load
from support.checkout import here

DURABILITY = "ev answers acks=all when the records are on disk (fdatasync); Apache Kafka runs as shipped and does not sync"

NO_KAFKA = "every comparison with Apache Kafka: java or mvn is missing"


class Run:
    """One run: its scale, its peers and what it could not measure."""

    def __init__(self, directory: pathlib.Path, quick: bool) -> None:
        self.directory = directory
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.left_out: list[str] = []
        self.machine = limits.Machine(directory, quick)
        self.has_kcat = shutil.which("kcat") is not None
        self._load: str | None = None
        self._ev: EvPeer | None = None
        self._kafka: KafkaPeer | None = None

    @property
    def ev(self) -> EvPeer:
        if self._ev is None:
            self._ev = EvPeer(self.directory)
            self._ev.start()
        return self._ev

    @property
    def has_kafka(self) -> bool:
        if all(shutil.which(name) for name in ("java", "mvn")):
            return True
        if NO_KAFKA not in self.left_out:
            self.left_out.append(NO_KAFKA)
        return False

    @property
    def kafka(self) -> KafkaPeer | None:
        if self._kafka is None and self.has_kafka:
            self._kafka = KafkaPeer(self.directory)
            self._kafka.start()
        return self._kafka

    @property
    def load(self) -> str:
        if self._load is None:
            self._load = compiled_load(self.directory)
        return self._load or ""

    def close(self) -> None:
        for peer in (self._ev, self._kafka):
            if peer is not None:
                peer.stop()
        self._ev = self._kafka = None

    def figures(self, name: str) -> Iterator[Figure]:
        """The rows of one group, nothing when something that it needs is missing. Peers that are not part of it do not run meanwhile."""
        group = GROUPS[name]
        if group.alone:
            self.close()
        if missing := [need for need in group.needs if shutil.which(need) is None and importlib.util.find_spec(need) is None]:
            self.left_out.append(f"{name}: {', '.join(missing)} is missing")
            return
        if name != "limits":
            self.machine.measure()
        yield from self._measures(2_000_000 if not self.quick else 500_000, 1.0 if self.quick else 3.0)[name]()

    def _measures(self, lines: int, seconds: float) -> dict[str, Callable[[], Iterator[Figure]]]:
        place, quick = self.directory, self.quick
        return {
            "limits": lambda: limits.machine_limits(self.machine, self.rounds),
            "messages": lambda: importlib.import_module("bench.message_codec").message_codec(self.rounds),  # kio is with developers only
            "batches": lambda: batch_codec.batch_codec(self.rounds),
            "commands": lambda: lifecycle.commands(self.ev, 10 if quick else 30),
            "lines": lambda: chain(
                throughput.command_line(self.ev, place, lines, self.rounds), records_out.records_out(self.ev, place, lines, self.rounds)
            ),
            "brokers": lambda: throughput.brokers(self.ev, self.kafka, place, lines, self.rounds),
            "requests": lambda: small_requests.closed_loop(self.ev, self.kafka, self.load, self.rounds, seconds),
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
            "systems": lambda: systems.systems(self.ev, self.kafka, place, 3, 0.3 if quick else 1.5, self.left_out),
            "sizes": lambda: sizes.sizes(
                self.ev, place, self.has_kcat, sizes.CELLS[:2] if quick else sizes.CELLS, 2 if quick else 3, 0.5 if quick else 1.0
            ),
            "curves": lambda: curves.curves(self.ev, 3, quick),
        }


def one(name: str, run: Run) -> dict[str, Any]:
    """Measure one group; the object that is printed about it and kept. Each row is told on stderr as it comes."""
    run.left_out = []
    began, load = time.time(), os.getloadavg()[0]
    found = []
    for figure in run.figures(name):
        found.append(figure)
        print(json.dumps({"group": name, **figure.result(run.machine.medians)}), file=sys.stderr, flush=True)
    rows = [figure.result(run.machine.medians) for figure in found]
    facts = {"name": name, "quick": run.quick, "took_s": round(time.time() - began), "load_before": round(load, 2), **here()}
    machine = {limit: float(f"{value:.4g}") for limit, value in run.machine.medians.items()}
    return {**facts, "durability": DURABILITY, "limits": machine, "rows": rows, "left_out": run.left_out}
