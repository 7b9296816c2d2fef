"""Damages a data directory: bits flipped, files cut off, pages zeroed, swapped, doubled; and says whether all of it is still there.

A data directory is a dictionary here, from the path below it to the file's bytes.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from random import Random
from typing import TypeAlias

from ev.disk import Disk
from ev.errors import ErrorCode, KafkaError
from ev.log.partition import Partition
from ev.log.reading import ReadLater
from ev.log.scrub import Scrub, units
from ev.server.verify import compacted_topics
from ev.wire.records import headers

Files: TypeAlias = "dict[str, bytes]"
Batches: TypeAlias = "dict[int, bytes]"

PAGE = 4096
REFUSALS = (ErrorCode.CORRUPT_MESSAGE, ErrorCode.KAFKA_STORAGE_ERROR)
WITHOUT_CONTENT = (".ev-reserve", ".lock")
MAY_GO = (".kafka_cleanshutdown", ".tmp", ".snapshot", "engine.json", ".swap")
"""Every start removes the clean marker; an older snapshot goes when there is a newer one; what was compacted takes its place."""
READ_BYTES_MAX = 2000


def files_below(directory: pathlib.Path) -> Files:
    """A data directory on a real disk."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def kind_of(name: str) -> str:
    """What a file is: `.index`, `ev.checkpoint`; the logs of the engine's own topics are kinds of their own."""
    folder, _, base = name.rpartition("/")
    if not base[:20].isdigit():
        return base
    return f"{folder.rpartition('-')[0]}.log" if base.endswith(".log") and folder.startswith("__") else base[20:]


def kinds(files: Files) -> dict[str, list[str]]:
    """The files that hold something, by what they are."""
    found: dict[str, list[str]] = {}
    for name, data in sorted(files.items()):
        if data and name.rpartition("/")[2] not in WITHOUT_CONTENT:
            found.setdefault(kind_of(name), []).append(name)
    return found


def flipped(data: bytes, bit: int) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def used_bytes(data: bytes) -> int:
    """Up to where something is written, and a sector more: journals and the like are mostly zeros."""
    return min(len(data), len(data.rstrip(b"\0")) + 512)


def cut_off(data: bytes, random: Random) -> bytes:
    """The end is missing."""
    return data[: random.randrange(max(used_bytes(data), 1))]


def page_zeroed(data: bytes, random: Random) -> bytes:
    """One page reads as zeros: it was never written, or trimmed."""
    place = random.randrange(max(used_bytes(data), 1)) // PAGE * PAGE
    return data[:place] + bytes(len(data[place : place + PAGE])) + data[place + PAGE :]


def blocks_swapped(data: bytes, random: Random) -> bytes:
    """Two blocks have changed places."""
    size, first, second = _two_blocks(data, random)
    changed = bytearray(data)
    changed[first : first + size], changed[second : second + size] = data[second : second + size], data[first : first + size]
    return bytes(changed)


def block_doubled(data: bytes, random: Random) -> bytes:
    """A block was written where another one belongs, too."""
    size, first, second = _two_blocks(data, random)
    return data[:second] + data[first : first + size] + data[second + size :]


def _two_blocks(data: bytes, random: Random) -> tuple[int, int, int]:
    """(size, place, place) of two whole blocks that do not overlap."""
    used = used_bytes(data)
    size = min(random.choice((PAGE, 512, 64, 8)), max(used // 2, 1))
    first, second = (random.randrange(max(used // size, 1)) * size for _ in range(2))
    return size, first, second


DAMAGES = {"cut off": cut_off, "page zeroed": page_zeroed, "blocks swapped": blocks_swapped, "block doubled": block_doubled}


def batches_of(partition: Partition) -> Batches:
    """Every batch that is served, by its base offset; a refused read skips one offset."""
    found = {}
    offset = partition.log_start_offset
    while offset < partition.high_watermark:
        try:
            answer = partition.read(offset, READ_BYTES_MAX, at_least_one=True)
            read = answer.run() if isinstance(answer, ReadLater) else answer
        except KafkaError as error:
            if error.code not in REFUSALS:
                raise
            offset += 1
            continue
        for piece in read.pieces:
            for position, header in headers(piece):
                found[header.base_offset] = bytes(piece[position : position + header.size])
        offset = max(read.next_offset, offset + 1)
    return found


def gone(before: Files, after: Files) -> Iterator[str]:
    """What the engine has taken away: names, and of logs also bytes that are neither in place nor kept beside it."""
    for name, data in before.items():
        if name.endswith(".log"):
            if f"{name}.swap" not in before and not _kept(name, data, after):
                yield f"{name} lost bytes"
        elif name not in after and not name.endswith(MAY_GO):
            yield f"{name} is gone"


def _kept(name: str, data: bytes, after: Files) -> bool:
    """Whether all of a log's bytes are still there: in place, or what was cut off beside it. A leader epoch may have been mended."""
    rest = after.get(name, b"")
    if rest.startswith(data) or data == after.get(name + ".torn"):
        return True
    position = next((int(each.split(".")[-2]) for each in after if each.startswith(f"{name}.") and each.endswith(".torn")), -1)
    if position < 0:
        return len(rest) >= len(data) and sum(a != b for a, b in zip(data, rest, strict=False)) <= 4
    return rest[:position] == data[:position] and after[f"{name}.{position}.torn"] == data[position:]


def said(disk: Disk, directory: str, *, only: str | None = None, compacted: set[str] | None = None) -> list[str]:
    """What `ev server verify` says of a data directory that no engine uses; `only`: of the part that this file is in."""
    topic, _, number = (only or "").partition("/")[0].rpartition("-")

    def wanted(name: str, partition: int) -> bool:
        return only is None or ("/" in only and (name, partition) == (topic, int(number)))

    found = units(disk, directory, wanted)
    scrub = Scrub(disk, directory, compacted_topics(disk, directory) if compacted is None else compacted, lambda: False, lambda count: None)
    return [f"{each.partition}/{each.file} at {each.position}: {each.found}" for unit in found for each in scrub.check(unit).damages]
