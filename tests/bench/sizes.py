"""Rows about sizes: how records of 100 B, 1 KB and 100 KB, 1 and 16 clients, 1, 100 and 1,000 partitions change what each client gets.

Not the whole cube is measured but what tells the most: from a middle (1 KB, one client, 100 partitions) one thing is changed at a time,
and then two corners that are hard. Each client is a process of its own (kcat: one for each measurement, its start is in its figure), one
or sixteen at once; sixteen readers are independent of each other and each begins at the beginning. One engine serves all of them in turn.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import Peer, create_topic, delete_topic, ev_environment
from bench.python_clients import PURE_PYTHON
from bench.throughput import NO_PAUSE, kcat_produce
from ev.client.producer import Producer
from support.engine import environment

PYTHON_CLIENTS = ("ev", "confluent-kafka", "aiokafka", "kafka-python")
KB = 1000
CHUNK = 100
"""How many records in a row go to one partition."""
SLOWER = 20
"""How many times fewer records those write that are pure Python: they take them at once, and send them for minutes."""
numbers = itertools.count()


class Cell(NamedTuple):
    """One shape of the load."""

    size: int
    clients: int
    partitions: int

    @property
    def title(self) -> str:
        size = f"{self.size} B" if self.size < KB else f"{self.size // KB} KB"
        return f"{size}, {self.clients} client{'s' * (self.clients > 1)}, {self.partitions} partition{'s' * (self.partitions > 1)}"


MIDDLE = Cell(KB, 1, 100)
CELLS = (
    MIDDLE,
    MIDDLE._replace(size=100),
    MIDDLE._replace(size=100 * KB),
    MIDDLE._replace(clients=16),
    MIDDLE._replace(partitions=1),
    MIDDLE._replace(partitions=1000),
    Cell(100, 16, 1000),
    Cell(100 * KB, 16, 1),
)


class Told(Protocol):
    """Somebody who is told what to do and answers."""

    def wait_until_ready(self) -> None: ...

    def tell(self, **told: Any) -> None: ...

    def answer(self) -> dict[str, Any]: ...


class Worker:
    """One Python client in a process of its own (`bench.clients`), begun anew when it has ended."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.process = self.begun()

    def begun(self) -> subprocess.Popen[str]:
        program = str(pathlib.Path(__file__).with_name("clients.py"))
        return subprocess.Popen(
            [sys.executable, "-P", program, self.name, self.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        )

    def wait_until_ready(self) -> None:
        if self.process.poll() is not None:
            self.end()
            self.process = self.begun()
            self.answer()

    def tell(self, **told: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": f"it ended with {self.process.wait()}"}
        return told

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                end.close()


def sizes(ev: Peer, directory: pathlib.Path, with_kcat: bool, cells: Sequence[Cell], rounds: int, seconds: float) -> Iterator[Figure]:
    """Both ways through each cell."""
    for cell in cells:
        with contextlib.ExitStack() as stack:
            workers: dict[str, list[Worker]] = {}
            for who in PYTHON_CLIENTS:
                workers[who] = [Worker(who, ev.address) for _ in range(cell.clients)]
                for worker in workers[who]:
                    stack.callback(worker.end)
            for worker in itertools.chain(*workers.values()):
                worker.answer()  # it is ready
            yield written(ev, directory, with_kcat, cell, workers, rounds, seconds)
            yield read_back(ev, with_kcat, cell, workers, rounds, seconds)


def written(
    ev: Peer, directory: pathlib.Path, with_kcat: bool, cell: Cell, workers: dict[str, list[Worker]], rounds: int, seconds: float
) -> Figure:
    """Records a second of all producers together, from the first one told to the last one done (acks=all)."""
    figure = Figure(f"produce, {cell.title}", "records/s", bound=limits.written(cell.size))
    source = directory / f"source-{cell.size}"
    lines = max(int(seconds * (24_000_000 if cell.size < KB else 60_000_000)) // cell.size // cell.clients, 1)
    source.write_bytes((b"x" * cell.size + b"\n") * lines)

    def kcat() -> float:
        topic = f"sizes-{next(numbers)}"
        create_topic(ev, topic, cell.partitions)
        began = time.perf_counter()
        running = []
        for _ in range(cell.clients):
            with source.open("rb") as stdin:
                running.append(subprocess.Popen(kcat_produce(ev, topic), stdin=stdin, stderr=subprocess.DEVNULL, env=ev_environment()))
        failed = [process.wait() for process in running]
        took = time.perf_counter() - began
        delete_topic(ev, topic)
        if any(failed):
            raise RuntimeError(f"kcat -P ended with {failed}")
        return lines * cell.clients / took

    def measure(who: str) -> None:
        topic = f"sizes-{next(numbers)}"
        create_topic(ev, topic, cell.partitions)
        records = lines if who not in PURE_PYTHON else max(lines // SLOWER, 10)
        told = {"topic": topic, "size": cell.size, "records": records, "seconds": 2 * seconds}
        add_together(figure, who, workers[who], do="produce", **told)
        delete_topic(ev, topic)

    measures = [lambda who=who: measure(who) for who in PYTHON_CLIENTS]
    in_turn(rounds, *([lambda: figure.add("kcat", kcat())] if with_kcat else []), *measures)
    source.unlink()
    return figure


def read_back(ev: Peer, with_kcat: bool, cell: Cell, workers: dict[str, list[Worker]], rounds: int, seconds: float) -> Figure:
    """Records a second of all readers together; each reads the topic from its beginning, to its end or until time is up."""
    figure = Figure(f"consume, {cell.title}", "records/s", bound=limits.read(cell.size))
    topic, count = f"sizes-{next(numbers)}", int(seconds * 50_000_000) // cell.size
    create_topic(ev, topic, cell.partitions)
    with Producer(ev.address) as producer:
        for number, start in enumerate(range(0, count, CHUNK)):
            producer.produce_many(topic, [b"x" * cell.size] * min(CHUNK, count - start), partition=number % cell.partitions)

    def kcat() -> float:
        command = ["kcat", "-b", ev.address, "-C", "-t", topic, "-o", "beginning", "-c", str(count // cell.clients), "-q", *NO_PAUSE]
        began = time.perf_counter()
        readers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ev_environment()) for _ in range(cell.clients)]
        failed = [reader.wait() for reader in readers]
        if any(failed):
            raise RuntimeError(f"kcat -C ended with {failed}")
        return count // cell.clients * cell.clients / (time.perf_counter() - began)

    def measure(who: str) -> None:
        told = {"topic": topic, "partitions": cell.partitions, "records": count // cell.clients, "seconds": 2 * seconds}
        add_together(figure, who, workers[who], do="consume", **told)

    measures = [lambda who=who: measure(who) for who in PYTHON_CLIENTS]
    in_turn(rounds, *([lambda: figure.add("kcat", kcat())] if with_kcat else []), *measures)
    delete_topic(ev, topic)
    return figure


def add_together(figure: Figure, who: str, workers: Sequence[Told], **told: Any) -> None:
    """Records a second of all of them, who are told the same at the same time. A client that fails is left out, with what it said."""
    for worker in workers:
        worker.wait_until_ready()
    began = time.perf_counter()
    for worker in workers:
        worker.tell(**told)
    answers = [worker.answer() for worker in workers]
    took_s = time.perf_counter() - began
    records = sum(answer.get("records", 0) for answer in answers)
    if errors := [answer["error"] for answer in answers if "error" in answer] or ([] if records else ["nothing in time"]):
        figure.note = "; ".join([*([figure.note] if figure.note else []), f"{who} failed in a round: {errors[0][:200]}"])
    else:
        figure.add(who, records / took_s)
