"""The only door to files.

Everything that the engine reads or writes on disk passes `Disk` and `File`. `RealDisk` is the operating system's; the tests
have one that forgets what was not synced, fails on demand and holds a sync for as long as they like.

Two rules that the rest of the engine builds upon:

* One sync at a time per open file. The kernel reports a failed write-back once per descriptor; two threads that sync the same
  descriptor at the same time can split that one error so that one of them sees success. `sync`, `sync_all` and
  `write_synced_at` therefore take the file's own lock. Who writes to `descriptor` or `direct_descriptor` (`ev.server.ring`) has one
  write at a time on its way, and no other of these calls.
* A file closes when its last user lets go. `retain` and `release` count the users, so that deletion, roll and retention may go
  on under a running sync or read.

Paths are absolute. Files are made for their owner only, symbolic links are not followed.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Sequence
from typing import Protocol, TypeAlias

if sys.platform != "win32":
    import fcntl

Buffer: TypeAlias = "bytes | bytearray | memoryview"

PARTS_MAX = 1024
"""The most parts that one pwritev takes (IOV_MAX on Linux and macOS)."""
READ_SIZE_MAX = 1 << 30


class File(Protocol):
    """An open file. All positions are absolute; there is no cursor."""

    path: str
    closed: bool

    def write_at(self, parts: Sequence[Buffer], position: int) -> None:
        """Write the parts one after the other. On OSError some of the bytes may have been written: the caller truncates back."""

    def write_synced_at(self, parts: Sequence[Buffer], position: int) -> None:
        """Write the parts and return when they are on stable storage. Raises OSError as write_at and sync do."""

    def read_at(self, size: int, position: int) -> bytes:
        """`size` bytes from `position`; fewer only at the end of the file. May wait for the disk."""

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        """As much of the range as the page cache holds, from its start, without waiting for the disk; None when nothing of it."""

    def truncate(self, size: int) -> None: ...

    def allocate(self, size: int) -> None:
        """Take blocks for `size` bytes; the file is at least that long afterwards."""

    def sync(self) -> None:
        """Data, and the metadata that is needed to read it, to stable storage."""

    def sync_all(self) -> None:
        """Data and all metadata to stable storage."""

    def size(self) -> int: ...

    def drop_cache(self) -> None:
        """Forget clean cached pages, so that the next read shows what the disk really has (after a failed sync the two differ)."""

    def retain(self) -> None: ...

    def release(self) -> None: ...


class Disk(Protocol):
    """The file system. Everything raises OSError as the system call does."""

    def open(self, path: str, *, create: bool = False, exclusive: bool = False, read_only: bool = False) -> File:
        """`create`: make it when it is missing; `exclusive` (with create): FileExistsError when it is not. One user; see release."""

    def list(self, path: str) -> list[str]:
        """The names in a directory, sorted."""

    def exists(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...

    def make_directory(self, path: str) -> None: ...

    def rename(self, source: str, target: str) -> None:
        """Replaces a file of the name `target`. Durable only after sync_directory."""

    def remove(self, path: str) -> None: ...

    def remove_directory(self, path: str) -> None: ...

    def sync_directory(self, path: str) -> None:
        """Make the names in this directory durable: created, renamed and removed ones."""

    def read(self, path: str) -> bytes: ...

    def replace(self, path: str, data: Buffer) -> None:
        """The file has either its old content or all of the new one, whenever the power goes: temporary file, sync, rename, sync."""

    def size(self, path: str) -> int: ...

    def modified_ms(self, path: str) -> int:
        """When the file was last written, by the wall clock."""

    def free_bytes(self, path: str) -> tuple[int, int]:
        """(free for us, total) of the file system that holds `path`."""

    def lock(self, path: str) -> File | None:
        """Take the lock file for as long as the result is not released, and write our process id into it; None when another holds it."""


def _skip(parts: Sequence[Buffer], count: int) -> list[Buffer]:
    """What is left of `parts` after their first `count` bytes."""
    rest: list[Buffer] = []
    for part in parts:
        if count >= len(part):
            count -= len(part)
        elif count:
            rest.append(memoryview(part)[count:])
            count = 0
        else:
            rest.append(part)
    return rest


def _write_all(fd: int, parts: Sequence[Buffer], position: int, flags: int) -> None:
    """pwritev until everything is written: it may write less than it was given, and takes PARTS_MAX parts at most."""
    size = sum(map(len, parts))
    while size:
        written = os.pwritev(fd, parts[:PARTS_MAX], position, flags)
        if written == 0:
            raise OSError(errno.EIO, "a write wrote nothing")
        if written == size:
            return
        size -= written
        position += written
        parts = _skip(parts, written)


class RealFile:
    """A file descriptor and the count of its users."""

    __slots__ = ("_direct_fd", "_fd", "_references", "_references_lock", "_sync_lock", "closed", "path")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.closed = False
        self._fd = fd
        self._direct_fd: int | None = None
        self._references = 1
        self._references_lock = threading.Lock()
        self._sync_lock = threading.Lock()

    @property
    def descriptor(self) -> int:
        """The file descriptor, for a write that the kernel does by itself (`ev.server.ring`)."""
        return self._fd

    @property
    def direct_descriptor(self) -> int:
        """Another descriptor of the file, past the page cache (O_DIRECT); -1 where there is no such thing. Opened on first use."""
        if self._direct_fd is None:
            self._direct_fd = _open_direct(self.path, self._fd)
        return self._direct_fd

    def write_at(self, parts: Sequence[Buffer], position: int) -> None:
        # The first try is spelled out: nearly every call is one system call, and this is the hottest write of the engine.
        if len(parts) <= PARTS_MAX:
            written = os.pwritev(self._fd, parts, position)
            if written == sum(map(len, parts)):
                return
            position += written
            parts = _skip(parts, written)
        _write_all(self._fd, parts, position, 0)

    def write_synced_at(self, parts: Sequence[Buffer], position: int) -> None:
        with self._sync_lock:
            if sys.platform == "linux":
                _write_all(self._fd, parts, position, os.RWF_DSYNC)
            else:
                _write_all(self._fd, parts, position, 0)
                _sync_data(self._fd)

    def read_at(self, size: int, position: int) -> bytes:
        data = os.pread(self._fd, min(size, READ_SIZE_MAX), position)
        if len(data) == size or not data:
            return data
        pieces = [data]
        missing = size - len(data)
        while missing:
            position += len(data)
            data = os.pread(self._fd, min(missing, READ_SIZE_MAX), position)
            if not data:
                break
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        if sys.platform != "linux":
            return None
        data = bytearray(size)
        try:
            count = os.preadv(self._fd, [data], position, os.RWF_NOWAIT)
        except OSError as problem:
            # EAGAIN: not in the cache. EOPNOTSUPP: this file system cannot tell.
            if problem.errno in (errno.EAGAIN, errno.EOPNOTSUPP):
                return None
            raise
        return data if count == size else memoryview(data)[:count]

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def allocate(self, size: int) -> None:
        if sys.platform == "linux":
            os.posix_fallocate(self._fd, 0, size)
        elif self.size() < size:
            _write_all(self._fd, [bytes(size - self.size())], self.size(), 0)

    def sync(self) -> None:
        with self._sync_lock:
            _sync_data(self._fd)

    def sync_all(self) -> None:
        with self._sync_lock:
            _sync_everything(self._fd)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def drop_cache(self) -> None:
        if sys.platform == "linux":
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def retain(self) -> None:
        with self._references_lock:
            assert not self.closed, f"{self.path} is closed"
            self._references += 1

    def release(self) -> None:
        with self._references_lock:
            assert self._references > 0, f"{self.path} was released too often"
            self._references -= 1
            if self._references == 0:
                self._close()

    def _close(self) -> None:
        self.closed = True
        os.close(self._fd)
        if self._direct_fd is not None and self._direct_fd >= 0:
            os.close(self._direct_fd)

    def __del__(self) -> None:
        if not self.closed:
            self._close()


def _sync_everything(fd: int) -> None:
    if sys.platform == "darwin":
        # fsync on macOS stops at the drive's own cache.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _sync_data(fd: int) -> None:
    if sys.platform == "linux":
        os.fdatasync(fd)
    else:
        _sync_everything(fd)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _open_direct(path: str, fd: int) -> int:
    """A descriptor that goes past the page cache, of the very file that `fd` is; -1 if it cannot be had."""
    if sys.platform != "linux":
        return -1
    try:
        direct = _open(path, os.O_RDWR | os.O_DIRECT)
    except OSError:
        return -1
    if not os.path.sameopenfile(fd, direct):
        os.close(direct)
        return -1
    return direct


class RealDisk:
    """The operating system's file system."""

    __slots__ = ()

    file_class: type[RealFile] = RealFile

    def open(self, path: str, *, create: bool = False, exclusive: bool = False, read_only: bool = False) -> File:
        flags = os.O_RDONLY if read_only else os.O_RDWR
        if create:
            flags |= os.O_CREAT | (os.O_EXCL if exclusive else 0)
        return self.file_class(path, _open(path, flags))

    def list(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path) and not os.path.islink(path)

    def make_directory(self, path: str) -> None:
        os.mkdir(path, 0o700)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_directory(self, path: str) -> None:
        os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        fd = _open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _sync_everything(fd)
        finally:
            os.close(fd)

    def read(self, path: str) -> bytes:
        fd = _open(path, os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            pieces: list[bytes] = []
            while True:
                data = os.read(fd, size + 1)
                if not data:
                    return b"".join(pieces)
                pieces.append(data)
        finally:
            os.close(fd)

    def replace(self, path: str, data: Buffer) -> None:
        temporary = path + ".tmp"
        fd = _open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            _write_all(fd, [data], 0, 0)
            _sync_everything(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        self.sync_directory(os.path.dirname(path))

    def size(self, path: str) -> int:
        return os.lstat(path).st_size

    def modified_ms(self, path: str) -> int:
        return os.lstat(path).st_mtime_ns // 1_000_000

    def free_bytes(self, path: str) -> tuple[int, int]:
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize

    def lock(self, path: str) -> File | None:
        fd = _open(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return RealFile(path, fd)
