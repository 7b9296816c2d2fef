"""The segments of a topic as they lie in the data directory of the engine on this machine: names, sizes and dates of files.

TOPIC-INDEX/00000000000000000042.log            the segment that begins with offset 42
                                .index …        what belongs to it
                                .log.deleted    soon gone; .cleaned and .swap: it is being replaced
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"(\d{20})\.(log|index|timeindex|txnindex)(?:\.(deleted|cleaned|swap))?")
_TIME_ENTRY_BYTES = 12
"""Of a .timeindex, see ev.log.index: the largest timestamp so far in eight bytes, and its offset."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One segment. None is what its files do not say."""

    partition: int
    base_offset: int
    path: str
    """Of its .log."""
    size_bytes: int
    index_bytes: int
    written_ms: int
    newest_ms: int | None
    """The largest timestamp of its records, once it takes no more."""
    fate: str
    """deleted, cleaned or swap: what shall become of it. Empty when it is part of the log."""
    is_last: bool
    """Whether it is the one that records are added to."""


def segments_of(data_dir: str, topic: str) -> list[SegmentFile]:
    """Those of all partitions of the topic, in their order. OSError when the directory cannot be read."""
    return [segment for index, path in sorted(_partitions(data_dir, topic)) for segment in segments_in(path, index)]


def _partitions(data_dir: str, topic: str) -> Iterator[tuple[int, str]]:
    with os.scandir(data_dir) as entries:
        for entry in entries:
            name, _, index = entry.name.rpartition("-")
            if name == topic and index.isdecimal():
                yield int(index), entry.path


def segments_in(directory: str, partition: int) -> list[SegmentFile]:
    """Those of one partition. Files come and go meanwhile: what is gone is left out."""
    logs: dict[tuple[int, str], os.stat_result] = {}
    indexes: dict[tuple[int, str], int] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                found = _NAME.fullmatch(entry.name)
                if found is None:
                    continue
                key = int(found[1]), found[3] or ""
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                if found[2] == "log":
                    logs[key] = status
                else:
                    indexes[key] = indexes.get(key, 0) + status.st_size
    except FileNotFoundError:
        return []
    last = max((base for base, fate in logs if not fate), default=None)
    return [_segment(directory, partition, key, logs[key], indexes.get(key, 0), last) for key in sorted(logs)]


def _segment(
    directory: str, partition: int, key: tuple[int, str], status: os.stat_result, index_bytes: int, last: int | None
) -> SegmentFile:
    base, fate = key
    path = os.path.join(directory, f"{base:020}.log")
    is_last = base == last and not fate
    newest_ms = None if is_last or fate else _newest_ms(os.path.join(directory, f"{base:020}.timeindex"))
    suffix = f".{fate}" if fate else ""
    return SegmentFile(
        partition, base, path + suffix, status.st_size, index_bytes, status.st_mtime_ns // 1_000_000, newest_ms, fate, is_last
    )


def _newest_ms(path: str) -> int | None:
    """The largest timestamp that a .timeindex names: its last entry has it."""
    try:
        with open(path, "rb") as file:
            entries = file.seek(0, os.SEEK_END) // _TIME_ENTRY_BYTES
            if not entries:
                return None
            file.seek((entries - 1) * _TIME_ENTRY_BYTES)
            timestamp_ms = int.from_bytes(file.read(8), "big", signed=True)
    except OSError:
        return None
    return timestamp_ms if timestamp_ms > 0 else None
