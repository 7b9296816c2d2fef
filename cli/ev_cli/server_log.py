"""The engine's log as it lies in files: its last lines, or those from a time on, over the files that were turned away too.

server.log, server.log.1, …     each older than the one before it; lines begin with their time in UTC, as text or in JSON
"""

from __future__ import annotations

import os
import re
from collections import deque
from datetime import datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

TIME = re.compile(rb'(?:\{"time":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)')
FILES_MAX = 100


def last_lines(file: BinaryIO, count: int) -> bytes:
    """So many of the last lines; the file is left at its end."""
    end = file.seek(0, os.SEEK_END)
    if count <= 0:
        return b""
    size = 0
    data = b""
    while size < end and data.count(b"\n") <= count:
        size = min(end, size * 2 or 65536)
        file.seek(end - size)
        data = file.read(size)
    return b"".join(data.splitlines(keepends=True)[-count:])


def lines_since(path: str, file: BinaryIO, since_ms: int, count: int | None = None) -> Iterable[bytes]:
    """The lines from that time on, or the last `count` of them. `file` is the newest, open; it is left at its end."""
    found = _since(path, file, since_ms)
    return found if count is None else deque(found, maxlen=count)


def _since(path: str, file: BinaryIO, since_ms: int) -> Iterator[bytes]:
    """What has no time of its own, such as a traceback, belongs to the line before."""
    is_wanted = False
    for older in _older_files(path, since_ms):
        try:
            with open(older, "rb") as opened:
                for line in opened:
                    is_wanted = is_wanted or _is_since(line, since_ms)
                    if is_wanted:
                        yield line
        except FileNotFoundError:
            continue
    for line in file:
        is_wanted = is_wanted or _is_since(line, since_ms)
        if is_wanted:
            yield line


def _older_files(path: str, since_ms: int) -> list[str]:
    """Those that were still written to at that time, the oldest first."""
    found = []
    for number in range(1, FILES_MAX):
        older = f"{path}.{number}"
        try:
            if os.stat(older).st_mtime_ns < since_ms * 1_000_000:
                break
        except OSError:
            break
        found.append(older)
    return found[::-1]


def _is_since(line: bytes, since_ms: int) -> bool:
    match = TIME.match(line)
    return match is not None and round(datetime.fromisoformat(match[1].decode()).timestamp() * 1000) >= since_ms
