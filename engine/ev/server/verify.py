"""Looks over a data directory for damage, as a program beside the engine: `python -P -m ev.server.verify --data-dir D [TOPIC]...`

`ev server verify` starts it and shows what it says. It is a process of its own, and a nice one: the engine does not notice it. The
units are shared out over a few processes that it forks; each writes lines of JSON to stdout, which are whole because they are short:

    {"total": BYTES}                          once, at the beginning
    {"read": BYTES}                           now and then
    {"damage": [PARTITION, FILE, POSITION, OFFSET, EXPECTED, FOUND]}
    {"checked": [SEGMENTS, BATCHES, BYTES]}   at the end of each process
    {"unknown": [TOPIC, PARTITION or null]}   there is no such partition; nothing else is said then

    exit status   0 everything was looked at, whatever was found       1 it could not be
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from ev.disk import RealDisk
from ev.log.layout import LOCK
from ev.log.scrub import Scrub, Unit, units
from ev.server.lines import Progress, say
from ev.server.metadata_log import metadata_records

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ev.disk import Disk

NICENESS: Final = 10
JOBS_MAX: Final = 8
TEXT_MAX: Final = 240


class Work:
    """What one process does."""

    def __init__(self, directory: str, compacted: Collection[str]) -> None:
        self.directory = directory
        self._progress = Progress("read")
        self.scrub = Scrub(RealDisk(), directory, compacted, self._live, self._progress)

    def run(self, mine: Sequence[Unit]) -> None:
        segments = batches = size = 0
        for unit in mine:
            checked = self.scrub.check(unit)
            segments += unit.base_offset is not None
            batches += checked.batches
            size += checked.bytes
            for damage in checked.damages:
                say(damage=[text[:TEXT_MAX] if isinstance(text, str) else text for text in damage])
        self._progress.end()
        say(checked=[segments, batches, size])

    def _live(self) -> bool:
        """Whether an engine holds the directory."""
        try:
            lock = os.open(f"{self.directory}/{LOCK}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False


def compacted_topics(disk: Disk, directory: str) -> set[str]:
    """Topics that were ever told to be compacted, as far as the metadata log can be read: what is damaged in it is said elsewhere."""
    found = set()
    for _, topic, state in metadata_records(disk, directory):
        if state is not None and "compact" in state.get("config", {}).get("cleanup.policy", ""):
            found.add(topic)
    return found


def shared_out(found: Sequence[Unit], count: int) -> list[list[Unit]]:
    """The units in so many shares of about as many bytes, the largest first."""
    shares: list[list[Unit]] = [[] for _ in range(count)]
    sizes = [0] * count
    for unit in sorted(found, key=lambda each: -each.bytes):
        least = sizes.index(min(sizes))
        shares[least].append(unit)
        sizes[least] += unit.bytes + 1
    return [share for share in shares if share]


def parse_wanted(texts: Sequence[str]) -> list[tuple[str, int | None]]:
    """TOPIC or TOPIC:PARTITION. A topic's name has no colon."""
    wanted: list[tuple[str, int | None]] = []
    for text in texts:
        topic, colon, number = text.partition(":")
        if colon and not (number.isascii() and number.isdigit()):
            raise SystemExit(f"{text!r} is no TOPIC:PARTITION")
        wanted.append((topic, int(number) if colon else None))
    return wanted


def run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ev.server.verify", description="Look over a data directory for damage.", allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, JOBS_MAX), metavar="N", help="how many processes share it")
    parser.add_argument("partitions", nargs="*", metavar="TOPIC[:PARTITION]")
    parsed = parser.parse_args(arguments)
    directory = os.path.abspath(parsed.data_dir)
    wanted = parse_wanted(parsed.partitions)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)

    def is_wanted(topic: str, partition: int) -> bool:
        return not wanted or (topic, partition) in wanted or (topic, None) in wanted

    try:
        found = units(RealDisk(), directory, is_wanted)
    except OSError as problem:
        sys.stderr.write(f"ev: {problem}\n")
        return 1
    present = {tuple(unit.partition.rsplit("-", 1)) for unit in found if unit.partition}
    for topic, partition in wanted:
        if not any(name == topic and partition in (None, int(number)) for name, number in present):
            say(unknown=[topic, partition])
            return 0
    say(total=sum(unit.bytes for unit in found))
    compacted = compacted_topics(RealDisk(), directory)
    children = [_forked(directory, share, compacted) for share in shared_out(found, max(parsed.jobs, 1))]
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return 1 if any(ended) else 0


def _forked(directory: str, share: Sequence[Unit], compacted: Collection[str]) -> int:
    child = os.fork()
    return child or _be_child(directory, share, compacted)


def _be_child(directory: str, share: Sequence[Unit], compacted: Collection[str]) -> NoReturn:
    status = 1
    try:
        Work(directory, compacted).run(share)
        status = 0
    except BrokenPipeError:
        pass  # nobody wants to know any more
    except OSError as problem:
        sys.stderr.write(f"ev: {problem}\n")
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
