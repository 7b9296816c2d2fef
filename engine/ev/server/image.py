"""Makes an image of a running engine's data directory, for who copies it: `ev server backup`.

The engine is asked by SIGUSR1. It forks; the child, whose memory is that one moment, makes `.ev-image` in the data directory: a hard link
to each segment, numbered, and a manifest, which says what belongs where and holds every small file. That takes as long as making so
many links; no data is copied, and the engine serves on. Whoever asked copies from there, and removes it.

    .ev-image.lock     locked by who asked, until the copy is finished
    .ev-image/         N, N+1, ... the links;  manifest, which is there when everything is;  failed, which says why it is not

A line of the manifest is a list: [NAME, NUMBER of the link, SIZE or -1, the BYTES that follow] or [NAME, the BYTES of a small file].
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ev.log.checkpoint import PARTITION_METADATA, parse_partition_metadata
from ev.log.image import WHOLE, Linked, image_of
from ev.log.layout import DELETED_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.disk import Disk
    from ev.log.store import Store

IMAGE: Final = ".ev-image"
IMAGE_LOCK: Final = ".ev-image.lock"
MANIFEST: Final = "manifest"
FAILED: Final = "failed"


class ImageJob:
    """Runs in the child."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, disk: Disk) -> tuple[int, str]:
        """Returns how many files the image has and, if it could not be made, why."""
        place = f"{self._store.directory}/{IMAGE}"
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place, 0o700)
        try:
            return self._make(place, disk), ""
        except Exception as problem:  # noqa: BLE001  # who asked is told
            with open(f"{place}/{FAILED}.tmp", "w", encoding="utf-8") as file:
                file.write(f"{type(problem).__name__}: {problem}")
            os.rename(f"{place}/{FAILED}.tmp", f"{place}/{FAILED}")
            return 0, str(problem)

    def _make(self, place: str, disk: Disk) -> int:
        count = 0
        with open(f"{place}/{MANIFEST}.tmp", "w", encoding="utf-8") as manifest:
            for count, entry in enumerate(image_of(self._store), 1):
                if isinstance(entry, Linked):
                    if not self._link(entry, f"{place}/{count}", disk):
                        continue
                    line: list[Any] = [entry.name, count, entry.size, _text(entry.rest)]
                else:
                    line = [entry.name, _text(entry.data)]
                manifest.write(json.dumps(line) + "\n")
        os.rename(f"{place}/{MANIFEST}.tmp", f"{place}/{MANIFEST}")
        return count

    def _link(self, entry: Linked, target: str, disk: Disk) -> bool:
        for path in entry.candidates:
            with contextlib.suppress(FileNotFoundError):
                os.link(path, target, follow_symlinks=False)
                return True
        for folder in self._renamed(entry, disk):
            with contextlib.suppress(FileNotFoundError):
                os.link(f"{folder}/{entry.name.rpartition('/')[2]}", target, follow_symlinks=False)
                return True
        if entry.may_be_missing:
            return False
        raise FileNotFoundError(f"{entry.candidates[0]} is gone")

    def _renamed(self, entry: Linked, disk: Disk) -> Iterator[str]:
        """The partition's directory, if its topic was deleted a moment ago."""
        partition = entry.name.partition("/")[0]
        for name in disk.list(self._store.directory):
            if DELETED_DIRECTORY.fullmatch(name) and name.startswith(partition[:100]):
                folder = f"{self._store.directory}/{name}"
                path = f"{folder}/{PARTITION_METADATA}"
                if disk.exists(path) and parse_partition_metadata(disk.read(path)) == entry.topic_id:
                    yield folder


class ImageFile(NamedTuple):
    """A file of an image: `size` bytes of the file at `path` (empty: of none), and what follows."""

    name: str
    path: str
    size: int
    rest: bytes


def read_image(directory: str) -> list[ImageFile]:
    """What the image in this data directory holds."""
    place = f"{directory}/{IMAGE}"
    found = []
    with open(f"{place}/{MANIFEST}", encoding="utf-8") as manifest:
        for text in manifest:
            line = json.loads(text)
            if len(line) == 2:
                found.append(ImageFile(line[0], "", 0, b64decode(line[1])))
            else:
                path = f"{place}/{line[1]}"
                size = os.stat(path).st_size if line[2] == WHOLE else line[2]
                found.append(ImageFile(line[0], path, size, b64decode(line[3])))
    return found


def forget_image(directory: str) -> None:
    """Remove an image that nobody copies any more."""
    place = f"{directory}/{IMAGE}"
    if not os.path.isdir(place):
        return
    lock = os.open(f"{directory}/{IMAGE_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(lock)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
