"""ev server verify: is what is on disk as it was written? A process of its own looks, this one shows what it says."""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.beside import lines_of
from ev_cli.failures import DONE, NOT_FOUND, UNMET, Failure, UsageFailure
from ev_cli.progress import Progress
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.local_engine import LocalEngine


def verify_server(options: Any) -> int:
    engine = Session(options, local=True).engine
    engine.check_owner()
    if not os.path.isdir(engine.data_dir):
        raise Failure(f"there is no data directory {engine.data_dir}", "`--data-dir` names another one", code=NOT_FOUND)
    return verify_directory(engine, options.partitions or [], options)


def verify_directory(engine: LocalEngine, partitions: list[str], options: Any) -> int:
    """Look over these partitions of a data directory, or all, whoever wrote it."""
    for text in partitions:
        _, colon, number = text.partition(":")
        if colon and not (number.isascii() and number.isdigit()):
            raise UsageFailure(f"{text!r} is no partition", "write TOPIC or TOPIC:PARTITION")
    begun = time.monotonic()
    report = Report(Progress(options, "verify", total=0, at_once=True))
    try:
        broken = f"{engine.data_dir} could not be looked over to its end"
        for line in lines_of(engine, "verify", ["--", *partitions], broken=broken):
            report.take(line)
    finally:
        report.bar.end()
    damages = sorted(report.damages, key=lambda damage: [(value is not None, value) for value in damage[:4]])
    table = output.Table(("partition", "file", "position", "offset", "expected", "found"))
    for damage in damages:
        table.add(**dict(zip(table.columns, damage, strict=True)))
    if damages or output.output_format(options) == "json":
        output.show(table, options)
    if not options.quiet:
        output.say(report.summary(engine.data_dir, time.monotonic() - begun))
    return UNMET if damages else DONE


class Report:
    """What was said so far."""

    def __init__(self, bar: Progress) -> None:
        self.damages: list[list[Any]] = []
        self.segments = self.batches = self.bytes = 0
        self.bar = bar

    def take(self, line: dict[str, Any]) -> None:
        if "unknown" in line:
            topic, number = line["unknown"]
            named = topic if number is None else f"{topic}:{number}"
            raise Failure(f"there is no {named!r} in the data directory", "its folders are named TOPIC-PARTITION", code=NOT_FOUND)
        if "damage" in line:
            self.damages.append(line["damage"])
        if "checked" in line:
            segments, batches, size = line["checked"]
            self.segments += segments
            self.batches += batches
            self.bytes += size
        self.bar.extend(line.get("total", 0))
        self.bar.advance(line.get("read", 0))

    def summary(self, data_dir: str, seconds: float) -> str:
        whole = "whole" if not self.damages else f"{len(self.damages)} damaged {'place' if len(self.damages) == 1 else 'places'}"
        looked = f"{self.segments} segments, {self.batches} batches, {self.bytes / 1e6:.1f} MB in {seconds:.1f} s"
        return f"ev: {data_dir}: {whole} ({looked})"
