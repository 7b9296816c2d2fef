"""Copies files from one directory tree to another without reading them into this process where the system can do without."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_BYTES: Final = 16 << 20
LARGE_BYTES: Final = 1 << 20
"""Who copies many files syncs those of this size as it goes, so that not everything is left for the end."""
SHARE_BLOCKS: Final = 0x40049409
"""FICLONE: the copy shares the blocks of the source until one of them is written to."""
NOT_HERE: Final = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY, errno.EBADF, errno.EPERM, errno.ETXTBSY)


def copy_file(source: str, target: str, progress: Callable[[int], None], *, size: int | None = None, synced: bool = True) -> int:
    """A new file `target` with the first `size` bytes of `source` (None: all that it has now). Returns how many those are.

    It is on disk if `synced`; else who copies many small files sees to that, for all of them at once.
    """
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return _copy(read, target, progress, size, synced)
    finally:
        os.close(read)


def _copy(read: int, target: str, progress: Callable[[int], None], size: int | None, synced: bool) -> int:
    wanted = os.fstat(read).st_size if size is None else size
    written = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if _shares_blocks(read, written):
            os.ftruncate(written, min(wanted, os.fstat(written).st_size))
            copied = os.fstat(written).st_size
            progress(copied)
        else:
            copied = _copied(read, written, wanted, progress)
        if synced:
            os.fsync(written)
    finally:
        os.close(written)
    return copied


def _shares_blocks(read: int, written: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(written, SHARE_BLOCKS, read)
    except OSError as problem:
        if problem.errno not in NOT_HERE:
            raise
        return False
    return True


def _copied(read: int, written: int, wanted: int, progress: Callable[[int], None]) -> int:
    copied = 0
    within_the_kernel = sys.platform == "linux"
    while copied < wanted:
        step = min(STEP_BYTES, wanted - copied)
        try:
            count = os.copy_file_range(read, written, step, copied, copied) if within_the_kernel else _step(read, written, step, copied)
        except OSError as problem:
            if not within_the_kernel or problem.errno not in NOT_HERE:
                raise
            within_the_kernel = False
            continue
        if not count:
            if not within_the_kernel or copied >= os.fstat(read).st_size:
                break
            within_the_kernel = False  # some file systems say "nothing" for what they cannot copy
            continue
        copied += count
        progress(count)
    return copied


def _step(read: int, written: int, size: int, position: int) -> int:
    data = os.pread(read, size, position)
    done = 0
    while done < len(data):
        done += os.pwrite(written, data[done:], position + done)
    return len(data)


def sync_all_below(directory: str) -> None:
    """Put everything in a directory on disk: its whole file system in one call where there is such a call, else file by file."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sys.platform == "linux":
            if ctypes.CDLL(None, use_errno=True).syncfs(opened) == 0:
                return
            problem = ctypes.get_errno()
            if problem not in NOT_HERE:
                raise OSError(problem, os.strerror(problem), directory)
    finally:
        os.close(opened)
    for above, _, names in os.walk(directory, topdown=False):
        for name in names:
            written = os.open(f"{above}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(written)
            finally:
                os.close(written)
        sync_directory(above)


def sync_directory(path: str) -> None:
    """Put the names in a directory on disk."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
