"""Runs Apache Kafka's DumpLogSegments over a partition's files and reads what it says; it exits 0 whatever it finds."""

from __future__ import annotations

import pathlib
import re
import subprocess
from dataclasses import dataclass, field

from support.apache_kafka import LATEST, tool_command

COMPLAINTS = (
    "isvalid: false",
    "Mismatches in",
    "Found timestamp mismatch",
    "out of order",
    "Exception",
    "Error",
    "Could not",
    "is invalid",
)
BATCH = re.compile(r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .*producerId: (-?\d+) .*isvalid: (true|false)", re.MULTILINE)
RECORD = re.compile(r"^\| offset: (\d+) ", re.MULTILINE)
INDEX_ENTRY = re.compile(r"^offset: (\d+) position: (\d+)$", re.MULTILINE)
TIME_ENTRY = re.compile(r"^timestamp: (\d+) offset: (\d+)$", re.MULTILINE)
PRODUCER = re.compile(r"^producerId: (\d+) producerEpoch: (\d+) .*lastSequence|^producerId: (\d+)", re.MULTILINE)


@dataclass
class Dump:
    """What Kafka read, and what it did not like."""

    text: str
    complaints: list[str] = field(default_factory=list)

    @property
    def batches(self) -> list[tuple[int, int, int]]:
        """(base offset, last offset, count) of every batch."""
        return [(int(found[1]), int(found[2]), int(found[3])) for found in BATCH.finditer(self.text)]

    @property
    def record_offsets(self) -> list[int]:
        return [int(found[1]) for found in RECORD.finditer(self.text)]

    @property
    def index_entries(self) -> int:
        return len(INDEX_ENTRY.findall(self.text))

    @property
    def time_entries(self) -> int:
        return len(TIME_ENTRY.findall(self.text))

    @property
    def producers(self) -> int:
        return len(re.findall(r"^producerId: \d+ producerEpoch", self.text, re.MULTILINE))


def dump(files: list[pathlib.Path], *options: str) -> Dump:
    """Read these files with --deep-iteration, the indexes without --index-sanity-check, which looks at next to nothing."""
    command = tool_command(LATEST, "dump-log", "--deep-iteration", "--files", ",".join(map(str, files)), *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    text = done.stdout + done.stderr
    return Dump(text, [line for line in text.splitlines() if any(each in line for each in COMPLAINTS)])


def files_of(directory: pathlib.Path) -> list[pathlib.Path]:
    """Every file of a partition that the tool knows, oldest first; empty indexes, which it cannot map, left out."""
    suffixes = (".log", ".index", ".timeindex", ".snapshot")
    return [path for path in sorted(directory.iterdir()) if path.suffix in suffixes and path.stat().st_size]
