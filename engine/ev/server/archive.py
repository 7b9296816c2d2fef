"""Backups on disk: a directory, or a tar file with the same in it. Written under another name until it is whole."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import shutil
import tarfile
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from ev.errors import EvError
from ev.log.layout import LOCK
from ev.server.copying import LARGE_BYTES, STEP_BYTES, copy_file, sync_all_below, sync_directory
from ev.server.image import IMAGE_LOCK, ImageFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BACKUP: Final = "ev.backup"
VERSION: Final = 1
TAR: Final = ".tar"
NAME: Final = re.compile(r"(?!\.\.?/)[^/\0]+(/(?!\.\.?$)[^/\0]+)?")
"""What a file in a backup may be called: nothing leads out of it."""


class BackupError(EvError):
    """It cannot be backed up, or restored; the message says why."""


class Archive(Protocol):
    """A backup that is being written."""

    def add(self, file: ImageFile, progress: Callable[[int], None]) -> None: ...

    def finish(self, facts: dict[str, Any]) -> None:
        """Everything was added: note it, put it on disk, give it its name."""


@contextlib.contextmanager
def opened_for_writing(target: str) -> Iterator[Archive]:
    """A backup at this place, where nothing may be yet. If it is not finished, nothing of it stays."""
    if os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target)):
        raise BackupError(f"{target} exists already: a backup needs a new place")
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        raise BackupError(f"there is no directory {parent} to put {os.path.basename(target)} in")
    part = f"{target}.{secrets.token_hex(4)}.part"
    try:
        if target.endswith(TAR):
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                yield TarArchive(file, part, target)
        else:
            os.mkdir(part, 0o700)
            yield DirectoryArchive(part, target)
    finally:
        if os.path.isdir(part):
            shutil.rmtree(part, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


class DirectoryArchive:
    """A directory, which is a data directory by itself."""

    def __init__(self, part: str, target: str) -> None:
        self._part = part
        self._target = target
        self._folders: set[str] = set()

    def add(self, file: ImageFile, progress: Callable[[int], None]) -> None:
        folder = os.path.dirname(file.name)
        if folder and folder not in self._folders:
            os.mkdir(f"{self._part}/{folder}", 0o700)
            self._folders.add(folder)
        target = f"{self._part}/{file.name}"
        is_large = file.size >= LARGE_BYTES
        if file.path and copy_file(file.path, target, progress, size=file.size, synced=is_large) != file.size:
            raise BackupError(f"{file.name} is shorter than it was")
        if file.rest or not file.path:
            with open(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab") as written:
                written.write(file.rest)
            progress(len(file.rest))

    def finish(self, facts: dict[str, Any]) -> None:
        self.add(ImageFile(BACKUP, "", 0, _encoded(facts)), _unseen)
        sync_all_below(self._part)
        os.rename(self._part, self._target)
        sync_directory(os.path.dirname(self._target))


class TarArchive:
    """One file, of POSIX's format."""

    def __init__(self, file: IO[bytes], part: str, target: str) -> None:
        self._file = file
        self._part = part
        self._target = target
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, file: ImageFile, progress: Callable[[int], None]) -> None:
        info = tarfile.TarInfo(file.name)
        info.size, info.mode = file.size + len(file.rest), 0o600
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(open(file.path, "rb")) if file.path else io.BytesIO()
            self._tar.addfile(info, _Joined(source, file, progress))  # type: ignore[arg-type]

    def finish(self, facts: dict[str, Any]) -> None:
        self.add(ImageFile(BACKUP, "", 0, _encoded(facts)), _unseen)
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._part, self._target)
        sync_directory(os.path.dirname(self._target))


class _Joined:
    """The beginning of a file, and what follows, as one file to be read."""

    def __init__(self, source: IO[bytes], file: ImageFile, progress: Callable[[int], None]) -> None:
        self._source = source
        self._left = file.size
        self._rest = io.BytesIO(file.rest)
        self._name = file.name
        self._progress = progress

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        if self._left and len(data) < size:
            raise BackupError(f"{self._name} is shorter than it was")
        if len(data) < size:
            data += self._rest.read(size - len(data))
        self._progress(len(data))
        return data


class Backup(Protocol):
    """A backup that is being read."""

    def files(self) -> dict[str, int]:
        """The size of each file by its name."""

    def read(self, name: str) -> bytes: ...

    def copy(self, name: str, target: str, progress: Callable[[int], None]) -> None:
        """Bring one file to `target`; large ones are on disk then."""


@contextlib.contextmanager
def opened_for_reading(source: str) -> Iterator[Backup]:
    """The backup at this place. Raises BackupError when it is none, or not whole."""
    if not os.path.exists(source):
        raise BackupError(f"there is no {source}")
    try:
        with contextlib.ExitStack() as stack:
            is_file = os.path.isfile(source)
            backup: Backup = TarBackup(stack.enter_context(tarfile.open(source, "r:"))) if is_file else DirectoryBackup(source)
            _check(source, backup)
            yield backup
    except tarfile.TarError as problem:
        raise BackupError(f"{source} is no backup, or damaged: {problem}") from problem


def _check(source: str, backup: Backup) -> None:
    files = backup.files()
    strange = next((name for name in files if not NAME.fullmatch(name)), None)
    if BACKUP not in files or strange is not None:
        problem = f"expected {BACKUP} in it" if strange is None else f"it holds {strange!r}"
        raise BackupError(f"{source} is no backup: {problem}")
    try:
        facts = json.loads(backup.read(BACKUP))
        version, expected = facts["version"], (facts["files"], facts["bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{BACKUP} in {source} is damaged") from error
    if version != VERSION:
        raise BackupError(f"{source} was made by a newer ev ({facts.get('ev')}): upgrade ev")
    there = (len(files) - 1, sum(files.values()) - files[BACKUP])
    if expected != there:
        raise BackupError(f"{source} is not whole: expected {expected[0]} files with {expected[1]} bytes, found {there[0]} with {there[1]}")


class DirectoryBackup:
    """A directory that `DirectoryArchive` wrote."""

    def __init__(self, source: str) -> None:
        self._source = source

    def files(self) -> dict[str, int]:
        found = {}
        for above, _, names in os.walk(self._source):
            for name in names:
                path = f"{above}/{name}"
                if name not in (LOCK, IMAGE_LOCK):  # somebody has looked it over
                    found[os.path.relpath(path, self._source)] = os.lstat(path).st_size
        return found

    def read(self, name: str) -> bytes:
        with open(f"{self._source}/{name}", "rb") as file:
            return file.read()

    def copy(self, name: str, target: str, progress: Callable[[int], None]) -> None:
        source = f"{self._source}/{name}"
        copy_file(source, target, progress, synced=os.lstat(source).st_size >= LARGE_BYTES)


class TarBackup:
    """A file that `TarArchive` wrote."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {member.name: member for member in tar.getmembers() if member.isfile()}

    def files(self) -> dict[str, int]:
        return {name: member.size for name, member in self._members.items()}

    def _opened(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(self._members[name])
        assert file is not None, "only regular files are members"
        return file

    def read(self, name: str) -> bytes:
        return self._opened(name).read()

    def copy(self, name: str, target: str, progress: Callable[[int], None]) -> None:
        source = self._opened(name)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as written:
            while data := source.read(STEP_BYTES):
                written.write(data)
                progress(len(data))
            if self._members[name].size >= LARGE_BYTES:
                written.flush()
                os.fsync(written.fileno())


def _encoded(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, indent=1).encode() + b"\n"


def _unseen(_: int) -> None:
    """Nobody is told how far it is."""
