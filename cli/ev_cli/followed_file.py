"""One log, read as `tail -F` reads it: from a position on, through every file that it has been, whole records at a time.

Each read is one pread that begins before the position: whether the bytes there are still those that were read tells a file that was
truncated, and perhaps written anew, from one that has grown. A file is left for the next one when the path does not name it any more,
when the next one has a whole record, and when nothing has come into the old one for a second: its writer may hold it for a moment.
What stands behind the last delimiter of a file that is left is a record too, as nobody will end it any more; in the file that the path
names it waits for its end.
"""

from __future__ import annotations

import os
import stat
import time

from ev_cli.failures import Failure
from ev_cli.rotation import TAIL_BYTES, Generation, Position, Start, digest_of, holder_of, in_order, is_generation, start, successors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev_cli.rotation import Identity

BLOCK = 1 << 20
GRACE_S = 1.0
_LONG_BYTES = 1 << 16
"""A longer record that has not ended is looked at again only when its file has changed."""


class Taken:
    """Records, where the first of them begins, and the position behind the last."""

    __slots__ = ("name", "offset", "position", "records")

    def __init__(self, records: list[bytes], name: str, offset: int, position: Position) -> None:
        self.records = records
        self.name = name
        self.offset = offset
        self.position = position


class _Opened:
    """One of the files, and how far it has been read."""

    __slots__ = ("descriptor", "identity", "modified_ns", "name", "offset", "tail")

    def __init__(self, name: str, descriptor: int, offset: int, tail: bytes = b"") -> None:
        self.name = name
        self.descriptor = descriptor
        found = os.fstat(descriptor)
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.modified_ns = found.st_mtime_ns
        self.offset = offset
        self.tail = tail

    def position(self) -> Position:
        return Position(self.identity, self.offset, len(self.tail), digest_of(self.tail), self.modified_ns)


class FollowedFile:
    """The log of one path. What `read` has given is not given again by this object; a position that was kept begins another one."""

    def __init__(self, path: str, delimiter: bytes, record_bytes_max: int, position: Position | None) -> None:
        self.path = path
        self.remarks: list[str] = []
        """What became of the file, for a person; the caller takes them away."""
        self._delimiter = delimiter
        self._record_bytes_max = record_bytes_max
        self._position = position
        self._current: _Opened | None = None
        self._grew_at = 0.0
        self._unended: tuple[int, int] | None = None
        """Size and time of the current file when a long record in it had not ended."""
        self._is_truncated = False
        self._since_ns: int | None = None
        """While no file is current: those that were written to later are new."""
        self._finished: dict[Identity, Position] = {}
        """The ends of files that were read, or are older than where this began: who still has these bytes there is one of them."""

    def close(self) -> None:
        if self._current is not None:
            os.close(self._current.descriptor)
            self._current = None

    # -- reading -----------------------------------------------------------------------------------------------------------------

    def read(self, records_max: int | None = None) -> Taken | None:
        """The next records of one file, all that are complete or about a MiB of them; None when there are none now."""
        current = self._current
        if current is None:
            return self._begin(records_max)
        if self._unended is not None and self._unended == _size_and_time(current) and self._is_named(current):
            return None
        data = self._data(current)
        if data is None:
            return self._after_truncation(current, records_max)
        end = data.rfind(self._delimiter) + len(self._delimiter) if self._delimiter in data else 0
        if end:
            return self._take(current, data[:end].split(self._delimiter)[:-1], records_max)
        if self._is_named(current) or not self._is_silent(current):
            return None
        following = self._successor(current.identity, current.modified_ns)
        if following is None:
            return None
        if data:
            following.close()
            return self._take(current, [data], None, is_ended=False)
        self._finished[current.identity] = current.position()
        return self._enter(following, records_max)

    def _take(self, current: _Opened, records: list[bytes], records_max: int | None, *, is_ended: bool = True) -> Taken:
        if records_max is not None:
            records = records[:records_max]
        data = self._delimiter.join([*records, b""]) if is_ended else records[0]
        offset = current.offset
        current.offset += len(data)
        current.tail = (current.tail + data)[-TAIL_BYTES:] if len(data) < TAIL_BYTES else data[-TAIL_BYTES:]
        self._grew_at = time.monotonic()
        self._is_truncated = False
        return Taken(records, current.name, offset, current.position())

    def _data(self, current: _Opened) -> bytes | None:
        """What stands behind the position, up to a block, or up to the end of a longer record; None when the position is not there."""
        self._unended = None
        size, modified_ns = _size_and_time(current)
        before = len(current.tail)
        data = os.pread(current.descriptor, before + BLOCK, current.offset - before)
        if data[:before] != current.tail:
            return None
        current.modified_ns = modified_ns
        data = data[before:]
        if self._delimiter not in data and len(data) == BLOCK:
            data = self._long(current, data)
        if len(data) > _LONG_BYTES and self._delimiter not in data:
            self._unended = size, modified_ns
        return data

    def _long(self, current: _Opened, data: bytes) -> bytes:
        """A record that is longer than a block."""
        pieces = [data]
        size = len(data)
        while True:
            if size > self._record_bytes_max:
                raise Failure(
                    f"byte {current.offset} of {current.name}: a record is longer than {self._record_bytes_max} bytes",
                    "is the delimiter (-D) right? --max-message-bytes raises the bound",
                )
            piece = os.pread(current.descriptor, BLOCK, current.offset + size)
            size += len(piece)
            pieces.append(piece)
            across = pieces[-2][-len(self._delimiter) :] + piece
            if not piece or self._delimiter in across:
                return b"".join(pieces)

    # -- which file --------------------------------------------------------------------------------------------------------------

    def _begin(self, records_max: int | None) -> Taken | None:
        """Open the file that the position lies in; without one, the first file with a whole record behind what was there already."""
        if self._since_ns is None:
            begin = start(self._position, self._files(), self._holds)
            self._finish(begin.finished)
            if begin.file is not None and begin.offset and self._position is not None:
                descriptor = self._open(begin.file)
                if descriptor is None:
                    return None
                size = self._position.tail_size
                tail = os.pread(descriptor, size, begin.offset - size)
                self._current = _Opened(begin.file.name, descriptor, begin.offset, tail)
                return self.read(records_max)
            self._since_ns = max([file.modified_ns for file in begin.finished], default=0)
            if self._position is not None:
                self._since_ns = max(self._since_ns, self._position.modified_ns)
            self._remark_on(begin)
        following = self._successor((0, 0), self._since_ns)
        return None if following is None else self._enter(following, records_max)

    def _remark_on(self, begin: Start) -> None:
        if begin.file is None:
            self.remarks.append(f"waits for {self.path}, which is not there")
        elif begin.is_lost:
            self.remarks.append(f"the file in which {self.path} had been read last is gone: {begin.file.name} is read from its beginning")

    def _finish(self, files: Sequence[Generation]) -> None:
        """These are not to be read, whatever is done to them."""
        for file in files:
            descriptor = self._open(file)
            if descriptor is not None:
                size = min(file.size, TAIL_BYTES)
                opened = _Opened(file.name, descriptor, file.size, os.pread(descriptor, size, file.size - size))
                self._finished[file.identity] = opened.position()
                os.close(descriptor)

    def _is_finished(self, file: Generation) -> bool:
        end = self._finished.get(file.identity)
        return end is not None and file.size >= end.offset and self._holds(file, end)

    def _after_truncation(self, current: _Opened, records_max: int | None) -> Taken | None:
        """The bytes before the position are not there any more: go on in the copy that has them, else in the next file with anything."""
        holder = holder_of(current.position(), in_order(self._files()), self._holds)
        descriptor = self._open(holder) if holder is not None else None
        if holder is not None and descriptor is not None:
            self.close()
            self._current = _Opened(holder.name, descriptor, current.offset, current.tail)
            self._grew_at = time.monotonic()
            return self.read(records_max)
        if not self._is_truncated:
            self._is_truncated = True
            self.remarks.append(f"{current.name} was truncated, and no copy of it is there: it is read from its beginning")
        following = self._successor((0, 0), current.modified_ns)
        return None if following is None else self._enter(following, records_max)

    def _is_named(self, current: _Opened) -> bool:
        """Whether the path still names the file, or nothing at all."""
        try:
            found = os.stat(self.path)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) == current.identity

    def _is_silent(self, current: _Opened) -> bool:
        since_write_s = (time.time_ns() - current.modified_ns) / 1e9
        return time.monotonic() - self._grew_at > GRACE_S or since_write_s > GRACE_S

    def _successor(self, identity: Identity, modified_ns: int) -> _Successor | None:
        """The file that comes next, when it has a whole record, or nobody writes into it any more."""
        for file in successors(identity, modified_ns, self._files(), self._is_finished):
            descriptor = self._open(file)
            if descriptor is None:
                continue
            opened = _Opened(file.name, descriptor, 0)
            data = self._data(opened) or b""
            if self._delimiter in data or not file.is_newest:
                return _Successor(opened, data)
            os.close(descriptor)
        return None

    def _enter(self, following: _Successor, records_max: int | None) -> Taken | None:
        """Go over to the next file with the records that were seen in it, so that it is never current without a position in it."""
        self.close()
        self._unended = None
        self._current = following.opened
        self._grew_at = time.monotonic()
        end = following.data.rfind(self._delimiter)
        if end < 0:
            return None
        return self._take(following.opened, following.data[:end].split(self._delimiter), records_max)

    # -- files -------------------------------------------------------------------------------------------------------------------

    def _files(self) -> list[Generation]:
        return list(self._generations())

    def _generations(self) -> Iterator[Generation]:
        """What the path names, what it was before by its name, and the file of the position whatever it is called now."""
        path = os.path.realpath(self.path)
        folder, base = os.path.split(path)
        wanted = self._position.identity[1] if self._position is not None else None
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise Failure(f"cannot list {folder}: {error.strerror}") from None
        for entry in entries:
            if not is_generation(base, entry.name) and entry.inode() != wanted:
                continue
            try:
                found = os.stat(entry.path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield Generation(entry.path, (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns, entry.name == base)
            elif entry.name == base:
                raise Failure(f"{self.path} is no regular file", "a pipe is read without --follow")

    def _open(self, file: Generation) -> int | None:
        """None when it is another one by now, or gone."""
        try:
            descriptor = os.open(file.name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"cannot read {file.name}: {error.strerror}") from None
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != file.identity:
            os.close(descriptor)
            return None
        return descriptor

    def _holds(self, file: Generation, position: Position) -> bool:
        """Whether the bytes before the position are there in that file."""
        descriptor = self._open(file)
        if descriptor is None:
            return False
        try:
            tail = os.pread(descriptor, position.tail_size, position.offset - position.tail_size)
            return len(tail) == position.tail_size and digest_of(tail) == position.tail_digest
        finally:
            os.close(descriptor)


def _size_and_time(opened: _Opened) -> tuple[int, int]:
    found = os.fstat(opened.descriptor)
    return found.st_size, found.st_mtime_ns


class _Successor:
    """The next file, opened, and what was read of it."""

    __slots__ = ("data", "opened")

    def __init__(self, opened: _Opened, data: bytes) -> None:
        self.opened = opened
        self.data = data

    def close(self) -> None:
        os.close(self.opened.descriptor)
