"""A disk that forgets: it knows what was synced and builds every state that a power cut may leave of the rest.

The model is the weakest that POSIX allows; the order of operations means nothing, only syncs do.

* A file's bytes are pages of 4 KiB. After a crash each page written since the last sync of its file is, independently of all
  others, the old one, the new one, or a mixture at the granularity of a 512-byte sector.
* A file's size is, independently of the pages, the old one, the new one, or one in between; what was never written reads as zeros.
* Each change of a directory (name made, removed, renamed) that was not followed by a sync of that directory happened or did
  not, independently of the others; a rename is one change. Syncing a file does not make its name durable.
* A sync that fails leaves the pages clean and the disk unchanged: reads show the new bytes until the cache is dropped.

    disk = SimulatedDisk(["/data"])
    ...                                    the engine works on it
    after = disk.crash_image(random)       another disk: what the next start finds

Everything is drawn from the Random that is given, so a seed is a crash. Pages are shared between a disk and its images and
copied when they change: an image costs microseconds.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from support.simulated_inode import PAGE, SECTOR, Inode

__all__ = ["PAGE", "SECTOR", "Counts", "Fault", "Inode", "SimulatedDisk", "SimulatedFile"]

Buffer: TypeAlias = "bytes | bytearray | memoryview"


class Directory:
    """The names in a directory, twice."""

    __slots__ = ("durable", "names")

    def __init__(self) -> None:
        self.names: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}


Node: TypeAlias = "Inode | Directory"


@dataclass(slots=True)
class Change:
    """One change of names that no directory sync covers yet: what each name becomes (None: it goes)."""

    assignments: tuple[tuple[Directory, str, Node | None], ...]

    def touches(self, directory: Directory) -> bool:
        return any(place is directory for place, _, _ in self.assignments)

    def apply(self) -> None:
        for place, name, node in self.assignments:
            if node is None:
                place.durable.pop(name, None)
            else:
                place.durable[name] = node


@dataclass(slots=True)
class Fault:
    """An error to raise: in which operation, on which paths, after how many calls, how many times (None: for ever)."""

    operation: str
    number: int
    path_part: str = ""
    after: int = 0
    times: int | None = 1
    after_bytes: int = 0

    def strikes(self, operation: str, path: str) -> bool:
        if operation != self.operation or self.path_part not in path or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(slots=True)
class Counts:
    """What a set of crash images was made of."""

    images: int = 0
    partial_names: int = 0
    distinct: set[int] = field(default_factory=set)


class SimulatedFile:
    """An open file on a simulated disk; see ev.disk.File."""

    __slots__ = ("_disk", "_references", "_sync_lock", "closed", "inode", "path")

    def __init__(self, disk: SimulatedDisk, path: str, inode: Inode) -> None:
        self._disk = disk
        self._references = 1
        self._sync_lock = threading.Lock()
        self.path = path
        self.inode = inode
        self.closed = False

    def write_at(self, parts: Sequence[Buffer], position: int) -> None:
        assert not self.closed, f"{self.path} is closed"
        self._disk.write(self.inode, self.path, b"".join(parts), position)

    def write_synced_at(self, parts: Sequence[Buffer], position: int) -> None:
        assert not self.closed, f"{self.path} is closed"
        data = b"".join(parts)
        with self._sync_lock:
            self._disk.write(self.inode, self.path, data, position)
            self._disk.sync(self.inode, self.path, (position, position + len(data)))

    def read_at(self, size: int, position: int) -> bytes:
        assert not self.closed, f"{self.path} is closed"
        self._disk.check("read", self.path)
        return self.inode.read(size, position)

    def read_cached_at(self, size: int, position: int) -> Buffer | None:
        return self.read_at(size, position)

    def truncate(self, size: int) -> None:
        with self._disk.mutation("truncate", self.path):
            self.inode.truncate(size)

    def allocate(self, size: int) -> None:
        with self._disk.mutation("allocate", self.path):
            self.inode.size = max(self.inode.size, size)

    def sync(self) -> None:
        assert not self.closed, f"{self.path} is closed"
        with self._sync_lock:
            self._disk.sync(self.inode, self.path)

    def sync_all(self) -> None:
        self.sync()

    def size(self) -> int:
        return self.inode.size

    def drop_cache(self) -> None:
        if not self.inode.shared:
            self.inode.forget_clean()

    def retain(self) -> None:
        with self._disk.mutex:
            assert not self.closed, f"{self.path} is closed"
            self._references += 1

    def release(self) -> None:
        with self._disk.mutex:
            assert self._references > 0, f"{self.path} was released too often"
            self._references -= 1
            if self._references == 0:
                self.closed = True
                self._disk.locked.discard(self.inode.number)


class SimulatedDisk:
    """A file system in memory; see ev.disk.Disk.

    `before_change(operation, path)` is called before every change and every sync, which is where a crash may come.
    `lies` names seeded faults of the disk itself, to prove that a harness sees them: skip_fsync, skip_directory_fsync.
    """

    def __init__(self, directories: Sequence[str] = (), *, lies: Sequence[str] = ()) -> None:
        self.root = Directory()
        self.pending: list[Change] = []
        self.known: dict[str, Directory] = {}  # directories that were looked up, by path, while no directory goes or moves
        self.inodes = 0
        self.mutex = threading.RLock()
        self.locked: set[int] = set()
        self.faults: list[Fault] = []
        self.lies = frozenset(lies)
        self.before_change: Callable[[str, str], None] | None = None
        self.free = (1 << 40, 1 << 40)
        self.now_ms = 0
        self.syncs_may_pass = threading.Event()
        self.syncs_may_pass.set()
        self.held_part = ""
        self.syncs_held = threading.Semaphore(0)
        for path in directories:
            self.make_durable_directory(path)

    def make_durable_directory(self, path: str) -> None:
        directory = self.root
        for name in path.strip("/").split("/"):
            node = directory.names.get(name) or Directory()
            assert isinstance(node, Directory)
            directory.names[name] = directory.durable[name] = node
            directory = node

    # What a test does to the disk.

    def fail(
        self, operation: str, number: int, path_part: str = "", *, after: int = 0, times: int | None = 1, after_bytes: int = 0
    ) -> Fault:
        """Let an operation (write, sync, sync_directory, open, read, rename, remove, truncate, ...) raise OSError(number).

        A failing write first writes `after_bytes` bytes: a short write that ran into the error.
        """
        fault = Fault(operation, number, path_part, after, times, after_bytes)
        self.faults.append(fault)
        return fault

    def hold_syncs(self, path_part: str = "") -> None:
        """Syncs of matching paths wait from now on; `syncs_held.acquire()` returns when one does."""
        self.held_part = path_part
        self.syncs_may_pass.clear()

    def let_syncs_pass(self) -> None:
        self.syncs_may_pass.set()

    def crash_image(self, random: Random, counts: Counts | None = None) -> SimulatedDisk:
        """A disk as the next start may find it."""
        image = SimulatedDisk()
        image.inodes, image.free, image.now_ms = self.inodes, self.free, self.now_ms
        chance = random.random()
        chosen = [change for change in self.pending if random.random() < chance]
        overlay: dict[Directory, dict[str, Node]] = {}
        for change in chosen:
            for place, name, node in change.assignments:
                names = overlay.get(place)
                if names is None:
                    names = overlay[place] = dict(place.durable)
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        made: dict[int, Inode] = {}
        self._copy(self.root, image.root, overlay, made, random)
        if counts is not None:
            counts.images += 1
            counts.partial_names += 0 < len(chosen) < len(self.pending)
            counts.distinct.add(image.digest())
        return image

    def killed_image(self) -> SimulatedDisk:
        """A disk as the next start finds it when only the process has ended: all that was written is there, synced or not."""
        image = SimulatedDisk()
        image.inodes, image.free, image.now_ms = self.inodes, self.free, self.now_ms
        made: dict[int, Inode] = {}

        def copy(source: Directory, target: Directory) -> None:
            for name, node in source.names.items():
                if isinstance(node, Directory):
                    directory = target.names[name] = Directory()
                    copy(node, directory)
                else:
                    if node.number not in made:
                        made[node.number] = Inode(node.number, dict(node.pages), node.size)
                    target.names[name] = made[node.number]
            target.durable = dict(target.names)

        copy(self.root, image.root)
        return image

    def _copy(
        self, source: Directory, target: Directory, overlay: dict[Directory, dict[str, Node]], made: dict[int, Inode], random: Random
    ) -> None:
        for name, node in overlay.get(source, source.durable).items():
            copy: Node
            if isinstance(node, Directory):
                copy = Directory()
                self._copy(node, copy, overlay, made, random)
            elif node.number in made:
                copy = made[node.number]
            else:
                copy = made[node.number] = node.crash_image(random)
            target.names[name] = copy
        target.durable = dict(target.names)

    def digest(self) -> int:
        """A number that two disks, freshly made, with the same names and contents share. Cheap: most files are known from other images."""
        return hash(tuple(content_of(self.root)))

    # ev.disk.Disk

    def open(self, path: str, *, create: bool = False, exclusive: bool = False, read_only: bool = False) -> SimulatedFile:
        directory, name = self._parent(path)
        self.check("open", path)
        node = directory.names.get(name)
        if isinstance(node, Directory):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if node is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            with self.mutation("create", path):
                self.inodes += 1
                node = Inode(self.inodes)
                node.modified_ms = self.now_ms
                self._change((directory, name, node))
        elif exclusive:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        return SimulatedFile(self, path, node)

    def list(self, path: str) -> list[str]:
        return sorted(self._directory(path).names)

    def exists(self, path: str) -> bool:
        try:
            directory, name = self._parent(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return name in directory.names

    def is_directory(self, path: str) -> bool:
        try:
            self._directory(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def make_directory(self, path: str) -> None:
        directory, name = self._parent(path)
        if name in directory.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        with self.mutation("make_directory", path):
            self._change((directory, name, Directory()))

    def rename(self, source: str, target: str) -> None:
        directory, name = self._parent(source)
        node = self._node(source)
        new_directory, new_name = self._parent(target)
        replaced = new_directory.names.get(new_name)
        if isinstance(replaced, Directory) and replaced.names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), target)
        with self.mutation("rename", source):
            self.known.clear()
            self._change((directory, name, None), (new_directory, new_name, node))

    def remove(self, path: str) -> None:
        directory, name = self._parent(path)
        if isinstance(self._node(path), Directory):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        with self.mutation("remove", path):
            self._change((directory, name, None))

    def remove_directory(self, path: str) -> None:
        directory, name = self._parent(path)
        if self._directory(path).names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        with self.mutation("remove_directory", path):
            self.known.clear()
            self._change((directory, name, None))

    def sync_directory(self, path: str) -> None:
        directory = self._directory(path)
        self._wait_while_held(path)
        with self.mutation("sync_directory", path):
            if "skip_directory_fsync" in self.lies:
                return
            rest = []
            for change in self.pending:
                if change.touches(directory):
                    change.apply()
                else:
                    rest.append(change)
            self.pending = rest

    def read(self, path: str) -> bytes:
        self.check("read", path)
        node = self._node(path)
        if isinstance(node, Directory):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return node.read(node.size, 0)

    def replace(self, path: str, data: Buffer) -> None:
        file = self.open(path + ".tmp", create=True)
        try:
            file.truncate(0)
            file.write_at([data], 0)
            file.sync_all()
        finally:
            file.release()
        self.rename(path + ".tmp", path)
        self.sync_directory(os.path.dirname(path))

    def size(self, path: str) -> int:
        node = self._node(path)
        return 0 if isinstance(node, Directory) else node.size

    def modified_ms(self, path: str) -> int:
        node = self._node(path)
        return 0 if isinstance(node, Directory) else node.modified_ms

    def free_bytes(self, path: str) -> tuple[int, int]:
        return self.free

    def lock(self, path: str) -> SimulatedFile | None:
        file = self.open(path, create=True)
        with self.mutex:
            if file.inode.number in self.locked:
                return None
            self.locked.add(file.inode.number)
        return file

    # How an operation happens.

    def mutation(self, operation: str, path: str) -> AbstractContextManager[object]:
        """To be used with `with`: the moment before a change, at which a crash may come or an error strike."""
        if self.before_change is not None:
            self.before_change(operation, path)
        self.check(operation, path)
        return self.mutex

    def check(self, operation: str, path: str) -> None:
        fault = self._fault(operation, path) if self.faults else None
        if fault is not None:
            raise OSError(fault.number, os.strerror(fault.number), path)

    def write(self, inode: Inode, path: str, data: bytes, position: int) -> None:
        if self.before_change is not None:
            self.before_change("write", path)
        fault = self._fault("write", path) if self.faults else None
        with self.mutex:
            inode.write(data if fault is None else data[: fault.after_bytes], position)
            inode.modified_ms = self.now_ms
        if fault is not None:
            raise OSError(fault.number, os.strerror(fault.number), path)

    def sync(self, inode: Inode, path: str, span: tuple[int, int] | None = None) -> None:
        self._wait_while_held(path)
        if self.before_change is not None:
            self.before_change("sync", path)
        fault = self._fault("sync", path) if self.faults else None
        with self.mutex:
            if fault is not None:
                inode.fail_to_sync()
                raise OSError(fault.number, os.strerror(fault.number), path)
            if "skip_fsync" in self.lies:
                return
            if span is None:
                inode.sync()
            else:
                inode.sync_range(*span)

    def _wait_while_held(self, path: str) -> None:
        if not self.syncs_may_pass.is_set() and self.held_part in path:
            self.syncs_held.release()
            self.syncs_may_pass.wait()

    def _fault(self, operation: str, path: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.strikes(operation, path)), None)

    def _change(self, *assignments: tuple[Directory, str, Node | None]) -> None:
        for place, name, node in assignments:
            if node is None:
                del place.names[name]
            else:
                place.names[name] = node
        self.pending.append(Change(assignments))

    def _directory(self, path: str) -> Directory:
        known = self.known.get(path)
        if known is None:
            known = self.known[path] = self._find_directory(path)
        return known

    def _find_directory(self, path: str) -> Directory:
        node: Node | None = self.root
        for name in path.split("/"):
            if name:
                if not isinstance(node, Directory):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                node = node.names.get(name)
                if node is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if not isinstance(node, Directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node

    def _parent(self, path: str) -> tuple[Directory, str]:
        place, _, name = path.rpartition("/")
        return self._directory(place), name

    def _node(self, path: str) -> Node:
        directory, name = self._parent(path)
        node = directory.names.get(name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node


def content_of(directory: Directory) -> Iterator[object]:
    """Names, sizes and pages below a directory, in a fixed order."""
    for name in sorted(directory.names):
        node = directory.names[name]
        yield name
        if isinstance(node, Directory):
            yield from content_of(node)
            yield None
        else:
            yield node.durable_content()
