"""Rendered batches on their way to stdout, and exactly how far they came.

Each write(2) that returned is told to the commit policy, up to the last record that it carried whole, also when it ended in the middle
of a batch: a reader that left, a disk that is full, a signal while the pipe was full.
"""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import Interrupted, StdoutClosed
from ev_cli.formats import filled
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ev.client.fetched import FetchedBatch
    from ev_cli.commit import CommitWritten
    from ev_cli.formats import Renderer
    from ev_cli.interrupts import Interrupts

    Partition = tuple[str, int]
    Waiting = Sequence[tuple[FetchedBatch | None, list[bytes]]]

WRITE_BYTES = 256 << 10
PIECES_AT_ONCE = 4096


class Writing(Sink):
    """Rendered batches on their way to stdout."""

    def __init__(self, renderer: Renderer, policy: CommitWritten, interrupts: Interrupts, left: int | None) -> None:
        import select
        import stat

        super().__init__(renderer, left)
        self._policy = policy
        self._interrupts = interrupts
        self._waiting: list[tuple[FetchedBatch, list[bytes]]] = []
        self._size = 0
        mode = os.fstat(1).st_mode
        self._is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._room = select.poll()
        self._room.register(1, select.POLLOUT)
        self._gone = select.poll()
        self._gone.register(1, 0)

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        """Render what is wanted of a batch."""
        pieces = self.wanted(batch, end)
        if not pieces and len(batch):
            return  # nothing of it is wanted here; a batch of which a filter has left nothing counts as written
        self._waiting.append((batch, pieces))
        self._size += batch.size
        if self._size >= WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits, and tell the policy what went out."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        if not waiting:
            return
        try:
            data = self._joined(waiting)
        except TypeError:  # a null among plain values; looking for one in every batch would cost more than all the rest here
            null = self.renderer.null
            waiting = [(batch, filled(pieces, null)) for batch, pieces in waiting]
            data = self._joined(waiting)
        self._write(memoryview(data), waiting)

    def _joined(self, waiting: list[tuple[FetchedBatch, list[bytes]]]) -> bytes:
        """All pieces, each with the delimiter behind it."""
        joined = [piece for _, pieces in waiting for piece in pieces] if len(waiting) > 1 else list(waiting[0][1])
        joined.append(b"")
        return self.renderer.delimiter.join(joined)

    def write_pieces(self, pieces: list[bytes]) -> None:
        """Write records of which nothing is ever committed."""
        if self.left is not None:
            pieces = pieces[: self.left]
            self.left -= len(pieces)
        for start in range(0, len(pieces), PIECES_AT_ONCE):
            some = [*pieces[start : start + PIECES_AT_ONCE], b""]
            self._write(memoryview(self.renderer.delimiter.join(some)), [(None, some[:-1])])

    def turn(self) -> None:
        """Has the reader of our pipe gone? Without a write nothing else would tell."""
        import select

        if self._is_pipe and any(events & (select.POLLERR | select.POLLHUP) for _, events in self._gone.poll(0)):
            raise StdoutClosed

    def due(self, now_ms: int) -> dict[Partition, int]:
        return self._policy.due(now_ms)

    def all(self) -> dict[Partition, int]:
        return self._policy.all()

    def keep(self, offsets: dict[Partition, int]) -> None:
        self._policy.keep(offsets)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        self._policy.forget(set(partitions))

    def _write(self, data: memoryview, waiting: Waiting) -> None:
        written = 0
        try:
            while written < len(data):
                if self._is_pipe:
                    with self._interrupts.waiting():
                        self._room.poll()
                written += output.write_some(data[written:])
                if self._interrupts:
                    raise Interrupted
        except Interrupted:
            # The record that is half out is finished, or its reader would take a piece for the whole.
            end = self._end_of_record(written, waiting)
            while written < end:
                written += output.write_some(data[written:end])
            raise
        finally:
            self._tell(written, written == len(data), waiting)

    def _end_of_record(self, written: int, waiting: Waiting) -> int:
        """The end of the record in which `written` lies."""
        end = 0
        extra = len(self.renderer.delimiter)
        for _, pieces in waiting:
            for piece in pieces:
                if end >= written:
                    return end
                end += len(piece) + extra
        return end

    def _tell(self, written: int, everything: bool, waiting: Waiting) -> None:
        """Tell the policy up to which record each partition has been written."""
        extra = len(self.renderer.delimiter)
        for batch, pieces in waiting:
            if batch is None:
                return
            whole = len(pieces)
            if not everything:
                whole = 0
                for piece in pieces:
                    written -= len(piece) + extra
                    if written < 0:
                        break
                    whole += 1
            if whole or not pieces:
                last = whole == len(batch) and batch.next_offset
                self._policy.wrote(batch.topic, batch.partition, last or batch.columns.offsets[whole - 1] + 1)
            if whole < len(pieces):
                return
