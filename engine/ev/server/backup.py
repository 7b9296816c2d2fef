"""Backs up a data directory: `python -P -m ev.server.backup --data-dir D TARGET`. `ev server backup` starts it and shows what it says.

Of a running engine an image of one moment is copied (`ev.server.image` makes it, `ev.log.image` says why it is whole); it holds
everything that was acknowledged before the backup began. Of a directory that no engine has, everything is copied as it lies there,
journal included: it is what a crash or a clean stop has left, and a start recovers it. The lock is held meanwhile.

TARGET is a new directory, or a new file if it ends in `.tar`. It gets its name when everything is in it and on disk; `ev.backup` in it
says how much that is. A directory is itself a data directory that `ev server verify` can look over.

    {"total": BYTES}  {"copied": BYTES}   how far it is
    {"refused": TEXT}                     it cannot be done
    {"saved": [FILES, BYTES]}             the end

    exit status   0 done       1 refused, or failed
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from ev import __version__
from ev.disk import RealDisk
from ev.errors import EvError
from ev.log.checkpoint import META_PROPERTIES
from ev.log.chores import RESERVE
from ev.log.layout import ENGINE_FILE, LOCK, OWN_NAMES, PARTITION_NAME
from ev.server import process
from ev.server.archive import Archive, BackupError, opened_for_writing
from ev.server.image import FAILED, IMAGE, IMAGE_LOCK, MANIFEST, ImageFile, read_image
from ev.server.lines import Progress, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGE_WITHIN_S: Final = 120.0
LOOK_AGAIN_S: Final = 0.01
NICENESS: Final = 10
TEXT_MAX: Final = 400
NOT_COPIED: Final = (LOCK, ENGINE_FILE, RESERVE)


def run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ev.server.backup", description="Back up a data directory.", allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    parser.add_argument("target", metavar="TARGET")
    parsed = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    directory, target = os.path.abspath(parsed.data_dir), os.path.abspath(parsed.target)
    try:
        process.check_owner(directory)
        if not os.path.exists(f"{directory}/{META_PROPERTIES}"):
            raise BackupError(f"{directory} is no data directory of an engine")
        if os.path.commonpath((directory, target)) == directory:
            raise BackupError(f"{target} is in the data directory itself: name another place")
        with opened_for_writing(target) as archive, files_of(directory) as files:
            copy(files, archive)
    except (EvError, OSError) as problem:
        say(refused=str(problem)[:TEXT_MAX])
        return 1
    return 0


def copy(files: Sequence[ImageFile], archive: Archive) -> None:
    size = sum(each.size + len(each.rest) for each in files)
    say(total=size)
    progress = Progress("copied")
    for each in files:
        archive.add(each, progress)
    progress.end()
    archive.finish({"version": 1, "ev": __version__, "files": len(files), "bytes": size, "made_ms": time.time_ns() // 1_000_000})
    say(saved=[len(files), size])


@contextlib.contextmanager
def files_of(directory: str) -> Iterator[Sequence[ImageFile]]:
    """What is to be copied; it stays as it is within the context."""
    disk = RealDisk()
    lock = disk.lock(f"{directory}/{LOCK}")
    if lock is not None:
        try:
            yield list(_lying(directory))
        finally:
            lock.release()
        return
    asking = os.open(f"{directory}/{IMAGE_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(asking, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise BackupError(f"another backup of {directory} is being made") from problem
        shutil.rmtree(f"{directory}/{IMAGE}", ignore_errors=True)
        try:
            _have_image_made(directory)
            yield read_image(directory)
        finally:
            shutil.rmtree(f"{directory}/{IMAGE}", ignore_errors=True)
    finally:
        os.close(asking)


def _have_image_made(directory: str) -> None:
    """Ask the engine, and wait for its answer."""
    deadline = time.monotonic() + IMAGE_WITHIN_S
    pid = _engine(directory)
    os.kill(pid, signal.SIGUSR1)
    place = f"{directory}/{IMAGE}"
    while not os.path.exists(f"{place}/{MANIFEST}"):
        if os.path.exists(f"{place}/{FAILED}"):
            with open(f"{place}/{FAILED}", encoding="utf-8") as file:
                raise BackupError(f"the engine could not make an image of its files: {file.read()}")
        if time.monotonic() > deadline:
            raise BackupError(f"the engine has made no image of its files within {IMAGE_WITHIN_S:.0f} s; its log says why")
        try:
            os.kill(pid, 0)
        except ProcessLookupError as problem:
            raise BackupError("the engine has ended meanwhile: back it up again") from problem
        time.sleep(LOOK_AGAIN_S)


def _engine(directory: str) -> int:
    """The process that holds the directory, if it knows what the signal means: another one would end of it."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError), open(f"{directory}/{ENGINE_FILE}", encoding="utf-8") as file:
        found = json.load(file)
    with contextlib.suppress(OSError, ValueError), open(f"{directory}/{LOCK}", encoding="ascii") as file:
        if "USR1" in found.get("signals", ()) and found["pid"] == int(file.read()):
            return int(found["pid"])
    if found and "signals" not in found:
        raise BackupError(f"the engine on {directory} is of an older version: restart it, or stop it for the backup")
    raise BackupError(f"the engine on {directory} is just starting or stopping: try again")


def _lying(directory: str) -> Iterator[ImageFile]:
    """The files of a directory that no engine has."""
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        if PARTITION_NAME.fullmatch(name) and os.path.isdir(path) and not os.path.islink(path):
            for entry in sorted(os.listdir(path)):
                yield ImageFile(f"{name}/{entry}", f"{path}/{entry}", os.lstat(f"{path}/{entry}").st_size, b"")
        elif name in OWN_NAMES and name not in NOT_COPIED:
            yield ImageFile(name, path, os.lstat(path).st_size, b"")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
