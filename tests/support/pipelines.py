"""What stands behind `ev consume …` in tests: readers and handlers that note what they have handled, and then die or go on."""

from __future__ import annotations

import pathlib
import shutil
import sys

from support.command_line import CommandLine

READER = """\
import os, sys
path, most, pause_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
handled = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number, line in enumerate(sys.stdin.buffer, 1):
    if pause_s:
        import time
        time.sleep(pause_s)
    os.write(handled, line)
    if number == most:
        os._exit(3)
"""
MIDDLE = "jq -c ." if shutil.which("jq") else "sed s/^//"
"""A program between ev and the handler, which buffers as such programs do."""


def reader(directory: pathlib.Path, handled: str, *, most: int = -1, pause_s: float = 0) -> list[str]:
    """The command of a program that handles lines one by one, `most` of them, and then dies with status 3."""
    script = directory / "reader.py"
    if not script.exists():
        script.write_text(READER)
    return [sys.executable, "-I", "-S", str(script), str(directory / handled), str(most), str(pause_s)]


def numbers_in(path: pathlib.Path) -> list[int]:
    """The numbers that were handled, in the order in which they were."""
    return [int(line) for line in path.read_bytes().split()] if path.exists() else []


def committed(ev: CommandLine, group: str) -> dict[str, int]:
    """Per topic/partition, what the group has committed."""
    described = ev("group", "describe", group, "--json", status=None)
    if described.status:
        return {}
    return {f"{row['topic']}/{row['partition']}": row["committed"] for row in described.json["lag"] if row["committed"] is not None}


def total(ev: CommandLine, group: str) -> int:
    """How many records the group has committed."""
    return sum(offset for offset in committed(ev, group).values() if offset > 0)
