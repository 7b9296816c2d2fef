"""Rows about records on their way out in other forms than plain lines: formats with verbs, JSON, the order of time, against kcat."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import Peer, create_topic, delete_topic, ev_command, run_timed
from bench.throughput import LINE_BYTES, kcat_consume, kcat_produce, lines_file, numbers

FORMAT = "%o %k %s\\n"


def keyed_lines(directory: pathlib.Path, count: int) -> pathlib.Path:
    """The lines of 100 bytes behind one of 10,000 keys and a tab."""
    path, draw = directory / f"keyed-lines-{count}", random.Random(3)
    if not path.exists():
        with path.open("w") as file, lines_file(directory, count).open() as lines:
            file.writelines(f"user-{draw.randrange(10_000)}\t{line}" for line in lines)
    return path


def records_out(ev: Peer, directory: pathlib.Path, count: int, rounds: int) -> Iterator[Figure]:
    """`ev consume -e` of records with keys to a file, against kcat on the same engine."""
    topic, out = f"out-{next(numbers)}", directory / "out"
    create_topic(ev, topic)
    run_timed([*kcat_produce(ev, topic), "-K", "\t"], source=keyed_lines(directory, count))
    for name, must, reach, options in (
        (f"ev consume -f '{FORMAT}' of records with keys, against kcat -C", 1.0, 1.2, ("-f", FORMAT)),
        ("ev consume -J of records with keys, against kcat -C -J", 2.0, 3.0, ("-J",)),
    ):
        figure = Figure(name, "records/s", must, reach, peer="kcat", bound=limits.read(LINE_BYTES))

        def consume(who: str, figure: Figure = figure, options: tuple[str, ...] = options) -> None:
            command = ev_command("consume", topic, "-b", ev.address, "-e") if who == "ev" else kcat_consume(ev, topic)
            figure.add(who, count / run_timed([*command, *options], target=out))
            with out.open("rb") as file:
                found = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
            assert found == count, f"{who} wrote {found} of {count} records"

        in_turn(rounds, lambda consume=consume: consume("ev"), lambda consume=consume: consume("kcat"))  # type: ignore[misc]
        yield figure
    delete_topic(ev, topic)
