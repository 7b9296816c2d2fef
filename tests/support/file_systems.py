"""A file system of our own in a file: cut off as by a power cut, copied while it runs, or frozen. Needs root and loop devices.

    with FileSystem(directory / "disk", "ext4") as disk:      made, and mounted at disk.place
        disk.cut()         what was not synced is gone: from now on every call on it ends with EIO, until it is mounted again
        disk.unmount()     whoever had files open there has ended
        disk.mount()       what the next start finds

A power cut is FS_IOC_SHUTDOWN with NOLOGFLUSH, which the file systems' own developers test with: nothing more reaches the device, not
even the file system's log. `persist_some` brings some of what is not synced to the device before that, as any system does now and then.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pathlib
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Final, Self

SHUTDOWN: Final = 0x8004587D  # FS_IOC_SHUTDOWN
WITHOUT_LOG_FLUSH: Final = 2
FREEZE: Final = 0xC0045877  # FIFREEZE
THAW: Final = 0xC0045878  # FITHAW
CLONE: Final = 0x40049409  # FICLONE
WRITE_BACK: Final = 2  # SYNC_FILE_RANGE_WRITE
MAKE: Final = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-m", "reflink=1"),
}
SIZE: Final = {"ext4": 192 << 20, "xfs": 320 << 20}
"""What a run needs; mkfs.xfs makes none that is smaller than 300 MiB."""
PROGRAMS_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
UNMOUNT_TRIES: Final = 200

libc = ctypes.CDLL(None, use_errno=True)


class FileSystem:
    """One file system. Not made by the constructor; `with` makes and mounts it, and unmounts it at the end, come what may."""

    def __init__(self, path: pathlib.Path, kind: str, *, size: int | None = None, options: str = "") -> None:
        self.kind = kind
        self.image = path.with_name(path.name + ".img")
        self.place = path
        self.size = size or SIZE[kind]
        self.options = ",".join(filter(None, ("loop", options)))
        self.mounted = False

    def make(self) -> None:
        with self.image.open("wb") as file:
            file.truncate(self.size)
        _run(*MAKE[self.kind], str(self.image))

    def mount(self) -> None:
        assert not self.mounted, f"{self.place} is mounted"
        self.place.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", self.kind, "-o", self.options, str(self.image), str(self.place))
        self.mounted = True

    def unmount(self) -> None:
        """Waits until nobody uses it any more; the kernel lets go of a killed process's files a moment after its end."""
        for tries_left in reversed(range(UNMOUNT_TRIES)):
            try:
                _run("umount", str(self.place))
                break
            except subprocess.CalledProcessError:
                if not tries_left:
                    raise
                time.sleep(0.01)
        self.mounted = False

    def cut(self) -> None:
        """The power goes."""
        with self._opened() as descriptor:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))

    def persist_some(self, random: Random, directory: pathlib.Path) -> str:
        """Bring something of what is not synced to the disk: of some files, of one file, of all. Says what."""
        # os.walk, as directories of deleted topics may vanish meanwhile
        files = [pathlib.Path(parent, name) for parent, _, names in os.walk(directory) for name in names]
        what = random.choice(("begin to write some files", "sync a file", "sync everything"))
        if what == "sync everything":
            with self._opened() as descriptor:
                libc.syncfs(descriptor)
            return what
        chosen = random.sample(files, min(len(files), 1 if what == "sync a file" else random.randint(1, 4)))
        for path in chosen:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if what == "sync a file":
                    os.fdatasync(file.fileno())
                else:
                    libc.sync_file_range(file.fileno(), ctypes.c_int64(0), ctypes.c_int64(0), WRITE_BACK)
        return f"{what}: {', '.join(path.name for path in chosen)}"

    @contextlib.contextmanager
    def frozen(self, seconds: float) -> Iterator[None]:
        """No write gets through while the block runs, and never for longer than `seconds`: another process thaws it then.

        Whoever writes cannot even be killed meanwhile, so the one that thaws is started first.
        """
        with self._opened() as descriptor:
            words = [sys.executable, "-c", THAWER, str(self.place), str(seconds)]
            thawer = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            try:
                assert thawer.stdout is not None
                assert thawer.stdout.readline() == b"ready\n", "nobody would thaw it"
                fcntl.ioctl(descriptor, FREEZE, 0)
                yield
            finally:
                thaw(descriptor)
                thawer.kill()
                thawer.communicate()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.make()
        self.mount()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.mounted:
            self.unmount()
        self.image.unlink(missing_ok=True)


THAWER: Final = f"""
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
fcntl.ioctl(descriptor, {THAW}, 0)
"""


def thaw(descriptor: int) -> None:
    """Let writes through again; nothing happens if they get through already."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, THAW, 0)


def clone(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy that shares its blocks with the original, as of one moment (FICLONE): a matter of milliseconds on xfs."""
    with source.open("rb") as origin, target.open("wb") as copy:
        fcntl.ioctl(copy.fileno(), CLONE, origin.fileno())


def _run(*words: str) -> None:
    variables = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PROGRAMS_PATH}"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
