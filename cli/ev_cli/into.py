"""--into FILE: records appended to a file exactly once, whatever is killed in between. No group takes part.

FILE.state says how long FILE was when which offsets were reached. It is replaced in one step, after FILE was synced:

    write to FILE, sync it; write FILE.state.new, sync it, rename it to FILE.state, sync the directory

Who begins cuts FILE to the length that the state names, which takes away what was written after it, and reads on at its offsets. The
state is there before the first byte of FILE, so that a file which somebody else has written is never cut. FILE is locked (flock) while
it is written: a second ev, started by cron say, ends at once.
"""

from __future__ import annotations

import os
import time

from ev_cli.failures import Failure, UsageFailure
from ev_cli.formats import filled
from ev_cli.ledger import next_offset_after
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ev.client.fetched import FetchedBatch
    from ev_cli.formats import Renderer
    from ev_cli.session import Session

    Partition = tuple[str, int]

SYNC_MS = 500
VERSION = 1


class State:
    """What FILE.state says."""

    __slots__ = ("length", "offsets")

    def __init__(self, length: int, offsets: dict[Partition, int]) -> None:
        self.length = length
        self.offsets = offsets

    def to_json(self) -> str:
        import json

        offsets = [[topic, partition, offset] for (topic, partition), offset in sorted(self.offsets.items())]
        return json.dumps({"version": VERSION, "length": self.length, "offsets": offsets}) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str) -> State:
        import json

        try:
            found = json.loads(text)
            if found["version"] != VERSION:
                raise Failure(f"{path} is of version {found['version']}", f"this ev writes and reads version {VERSION}")
            return cls(int(found["length"]), {(str(topic), int(partition)): int(offset) for topic, partition, offset in found["offsets"]})
        except (ValueError, KeyError, TypeError):
            raise Failure(f"{path} does not say how far FILE is", "restore it, or begin a new FILE") from None


def check(options: Any) -> None:
    if options.group is not None:
        raise UsageFailure("--into and -g are two memories of how far we are", "leave out -g: FILE.state has the offsets")


class IntoFile(Sink):
    """The file and its state."""

    def __init__(self, path: str, renderer: Renderer, left: int | None, session: Session) -> None:
        super().__init__(renderer, left)
        self._path = path
        self._state_path = f"{path}.state"
        self._session = session
        self._next_sync_ms = 0
        self._file = self._open()
        try:
            self._state = self._begin()
        except BaseException:
            os.close(self._file)
            raise
        self._offsets = dict(self._state.offsets)
        self._length = self._state.length

    def _open(self) -> int:
        import fcntl

        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise Failure(f"cannot write {self._path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise Failure(f"another process writes {self._path}", "let it end first") from None
        return file

    def _begin(self) -> State:
        """The state of an earlier run, to which the file is cut; or that of a new file."""
        length = os.fstat(self._file).st_size
        try:
            with open(self._state_path, encoding="utf-8") as file:
                state = State.from_json(file.read(), self._state_path)
        except FileNotFoundError:
            if length:
                raise Failure(
                    f"{self._path} has {length} bytes and there is no {self._state_path}", "name a new file: what others wrote is kept"
                ) from None
            state = State(0, {})
            self._write_state(state)
            return state
        except OSError as error:
            raise Failure(f"cannot read {self._state_path}: {error.strerror}") from None
        if length < state.length:
            raise Failure(
                f"{self._path} has {length} bytes, and had {state.length} when {self._state_path} was written",
                f"restore it, or remove {self._state_path} and {self._path} to begin again",
            )
        if length > state.length:
            self._session.talk(
                f"{length - state.length} bytes at the end of {self._path} belong to a run that was cut off; they come again"
            )
            os.ftruncate(self._file, state.length)
        os.lseek(self._file, state.length, os.SEEK_SET)
        return state

    def begins(self, starts: Mapping[Partition, int | None]) -> dict[Partition, int]:
        found = {partition: self._offsets[partition] for partition in starts if partition in self._offsets}
        self._offsets.update({partition: offset for partition, offset in starts.items() if offset is not None and partition not in found})
        return found

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        pieces = filled(self.wanted(batch, end), self.renderer.null)
        if not pieces and len(batch):
            return
        whole = self.renderer.delimiter.join([*pieces, b""])
        data = memoryview(whole)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise Failure(f"cannot write {self._path}: {error.strerror}") from None
        self._length += len(whole)
        offsets = batch.columns.offsets
        self._offsets[batch.topic, batch.partition] = next_offset_after(offsets, len(pieces), batch.next_offset)

    def due(self, now_ms: int) -> dict[Partition, int]:
        if now_ms >= self._next_sync_ms and self._offsets != self._state.offsets:
            self.all()
            self._next_sync_ms = int(time.monotonic() * 1000) + SYNC_MS
        return {}

    def all(self) -> dict[Partition, int]:
        """Sync, and let the state say so. A write that failed in the middle of a batch is beyond it, and cut off the next time."""
        if self._offsets != self._state.offsets:
            state = State(self._length, dict(self._offsets))
            try:
                os.fsync(self._file)
                self._write_state(state)
            except OSError as error:
                raise Failure(f"cannot sync {self._path}: {error.strerror}") from None
            self._state = state
        return {}

    def _write_state(self, state: State) -> None:
        new = f"{self._state_path}.new"
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                os.write(descriptor, state.to_json().encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(new, self._state_path)
            directory = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise Failure(f"cannot write {self._state_path}: {error.strerror}") from None

    def close(self) -> None:
        os.close(self._file)
