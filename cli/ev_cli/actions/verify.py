"""ev server verify: is what is on disk as it was written? A process of its own looks, this one shows what it says."""

from __future__ import annotations

import os
import sys
import time

from ev_cli import output
from ev_cli.failures import DONE, NOT_FOUND, UNMET, Failure, UsageFailure
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev_cli.local_engine import LocalEngine

BAR_WIDTH = 30
BAR_MS = 100


def verify_server(options: Any) -> int:
    engine = Session(options, local=True).engine
    engine.check_owner()
    if not os.path.isdir(engine.data_dir):
        raise Failure(f"there is no data directory {engine.data_dir}", "`--data-dir` names another one", code=NOT_FOUND)
    for text in options.partitions or ():
        _, colon, number = text.partition(":")
        if colon and not (number.isascii() and number.isdigit()):
            raise UsageFailure(f"{text!r} is no partition", "write TOPIC or TOPIC:PARTITION")
    begun = time.monotonic()
    report = Report(shows_progress=output.is_terminal(2) and not options.quiet)
    try:
        for line in lines_of(engine, options.partitions or []):
            report.take(line)
    finally:
        report.end_progress()
    damages = sorted(report.damages, key=lambda damage: [(value is not None, value) for value in damage[:4]])
    table = output.Table(("partition", "file", "position", "offset", "expected", "found"))
    for damage in damages:
        table.add(**dict(zip(table.columns, damage, strict=True)))
    if damages or output.output_format(options) == "json":
        output.show(table, options)
    if not options.quiet:
        output.say(report.summary(engine.data_dir, time.monotonic() - begun))
    return UNMET if damages else DONE


def lines_of(engine: LocalEngine, partitions: list[str]) -> Iterator[dict[str, Any]]:
    """What the process that looks says, line by line. It ends with this one."""
    import json
    import subprocess

    command = [sys.executable, "-P", "-m", "ev.server.verify", "--data-dir", engine.data_dir, "--", *partitions]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **engine.environment()}) as looking:
        try:
            assert looking.stdout is not None
            for line in looking.stdout:
                yield json.loads(line)
        except BaseException:
            looking.terminate()
            raise
    if looking.returncode:
        raise Failure(f"{engine.data_dir} could not be looked over to its end", "the lines above say why")


class Report:
    """What was said so far."""

    def __init__(self, *, shows_progress: bool) -> None:
        self.damages: list[list[Any]] = []
        self.segments = self.batches = self.bytes = 0
        self._shows_progress = shows_progress
        self._total = self._read = 0
        self._shown_at = 0.0

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
        self._total += line.get("total", 0)
        self._read += line.get("read", 0)
        if self._shows_progress and time.monotonic() - self._shown_at > BAR_MS / 1000:
            self._shown_at = time.monotonic()
            share = min(self._read / self._total, 1.0) if self._total else 1.0
            bar = "#" * round(share * BAR_WIDTH)
            output.say_unfinished(f"\r[{bar:<{BAR_WIDTH}}] {share:4.0%} of {self._total / 1e6:.0f} MB")

    def end_progress(self) -> None:
        if self._shown_at:
            output.say_unfinished(f"\r{' ' * (BAR_WIDTH + 30)}\r")

    def summary(self, data_dir: str, seconds: float) -> str:
        whole = "whole" if not self.damages else f"{len(self.damages)} damaged {'place' if len(self.damages) == 1 else 'places'}"
        looked = f"{self.segments} segments, {self.batches} batches, {self.bytes / 1e6:.1f} MB in {seconds:.1f} s"
        return f"ev: {data_dir}: {whole} ({looked})"
