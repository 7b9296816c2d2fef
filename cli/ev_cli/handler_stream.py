"""The plain handler: one process of ours that reads all records from its stdin. What it has handled is committed while it runs.

We keep the reading end of its pipe open, too, so that on every Unix we see how much it has left unread (`feed`). While nothing comes /proc
shows whether it waits (`proof`), and its exit status settles the tail. A process that ends before its input does has failed, unless with
status 0: it is started again, after a pause, with everything that is not known to be handled.
"""

from __future__ import annotations

import os
import random
import sys
import time

from ev_cli.commit import INTERVAL_MS
from ev_cli.failures import GAVE_UP, Failure
from ev_cli.feed import Feed, write_to
from ev_cli.formats import filled
from ev_cli.handler_processes import Children, environment
from ev_cli.handler_rules import BROKEN, DEAD, in_words, meaning_of
from ev_cli.ledger import next_offset_after, stretch_of
from ev_cli.proof import Proof
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.client.fetched import FetchedBatch
    from ev_cli.formats import Renderer
    from ev_cli.handler import Handler
    from ev_cli.handler_processes import Child
    from ev_cli.ledger import Stretch
    from ev_cli.session import Session

    Partition = tuple[str, int]

TURN_MS = 50
HURRY_MS = 1000


class Stream(Sink):
    """The process, its pipe, and what waits for a process while there is none."""

    def __init__(self, handler: Handler, renderer: Renderer, left: int | None, session: Session) -> None:
        super().__init__(renderer, left)
        self.poll_bytes_max = handler.buffer_bytes
        self._handler = handler
        self._session = session
        self._children = Children()
        self._child: Child | None = None
        self._feed: Feed | None = None
        self._proof: Proof | None = None
        self._pipe: tuple[int, int] | None = None
        """(reading end, writing end)."""
        self._waiting: list[Stretch] = []
        """What a process shall get as soon as there is one."""
        self._committable: dict[Partition, int] = {}
        self._attempts = 0
        """How many processes in a row have ended without getting on."""
        self._start_at_s = 0.0
        self._begun = False
        """The first process is started before there are records, as a shell would."""
        self._next_commit_ms = 0
        self._closing = False
        self._stopped = False
        self._finished = False
        """The process has ended as it should, and no other is started."""

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        partition = (batch.topic, batch.partition)
        pieces = filled(self.wanted(batch, end), self.renderer.null)
        if pieces or not len(batch):
            offsets = batch.columns.offsets
            following = next_offset_after(offsets, len(pieces), batch.next_offset)
            self._put(stretch_of(partition, pieces, self.renderer.delimiter, offsets, following))

    def _put(self, stretch: Stretch) -> None:
        if self._feed is None or self._closing:
            self._waiting.append(stretch)
        else:
            self._feed.put(stretch)

    @property
    def full(self) -> bool:
        if self._finished or self._stopped:
            return True
        return bool(self._waiting) if self._feed is None else self._feed.waiting

    def patience_ms(self, longest_ms: int) -> int:
        feed = self._feed
        if feed is None:
            return 0 if self._waiting else longest_ms
        if feed.waiting:
            return 0
        return min(longest_ms, TURN_MS) if feed.ledger.unsettled or self._closing else longest_ms

    # -- the process ---------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        if self._finished:
            return
        if self._feed is None:
            wanted = (self._waiting or not self._begun) and not self._stopped
            if wanted and time.monotonic() >= self._start_at_s:
                self._begun = True
                self._start()
            elif self._waiting:
                time.sleep(0.01)
            return
        self._feed.push(TURN_MS)
        if self._proof is not None:
            self._proof.look()
        self._collect()
        if self._children.ended(0):
            self._judge()

    def _start(self) -> None:
        """A process with an empty pipe; what waited is its."""
        reading, writing = os.pipe()
        self._pipe = reading, writing
        self._child = self._children.start(self._handler.command, environment(self._attempts + 1, self._handler.group, 0), os.dup(reading))
        self._feed = Feed(writing, reading, write_to(writing))
        self._proof = Proof(self._feed, reading) if sys.platform == "linux" else None
        waiting, self._waiting = self._waiting, []
        for stretch in waiting:
            self._feed.put(stretch)
        self._feed.push(0)

    def _collect(self) -> None:
        """What is handled becomes committable; a process that gets on has not failed."""
        assert self._feed is not None
        settled = self._feed.ledger.take()
        if settled:
            self._attempts = 0
            self._committable.update(settled)

    def _judge(self) -> None:
        """The process has ended."""
        assert self._child is not None
        assert self._feed is not None
        status = self._child.process.returncode
        self._feed.look()
        self._collect()
        if status == 0 and self._closing:
            self._feed.settle_all()
            self._collect()
        unsettled = self._forget_pipe()
        records = sum(map(len, unsettled))
        if status == 0:
            if self._closing and self._waiting:
                self._closing = False  # records came back after the end: they get another process
                return
            self._finished = True
            self.left = 0
            if records and not self._stopped:
                self._session.talk(f"{self._handler.name} ended before its input did: {records} records are not committed and come again")
            return
        why = f"{self._handler.name} {in_words(status)}"
        again = f"{records} records are not committed and come again"
        meaning = meaning_of(status)
        if meaning == BROKEN:
            raise Failure(f"{why}: it cannot be run", again, code=status)
        self._attempts += 1
        pause_ms = None if meaning == DEAD else self._handler.retries.pause_ms(self._attempts, random.random())
        if self._stopped:
            self._finished = True
            self._session.talk(f"{why}: {again}")
            return
        if pause_ms is None:
            raise Failure(f"{why}{f', {self._attempts} times in a row' if self._attempts > 1 else ''}", again, code=GAVE_UP)
        self._session.talk(f"{why}: {records} records are handed over again in {pause_ms / 1000:.1f} s")
        self._waiting = unsettled
        self._start_at_s = time.monotonic() + pause_ms / 1000
        self._closing = False

    def _forget_pipe(self) -> list[Stretch]:
        """Close the pipe; what lies in it, or was taken and not handled, and what was never written."""
        assert self._feed is not None
        unsettled = self._feed.give_back()
        self._feed = self._child = self._proof = None
        self._close_pipe()
        return unsettled

    def _close_pipe(self) -> None:
        if self._pipe is None:
            return
        reading, writing = self._pipe
        os.close(reading)
        if not self._closing:
            os.close(writing)
        self._pipe = None

    # -- commits -------------------------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> dict[Partition, int]:
        if now_ms < self._next_commit_ms or not self._committable:
            return {}
        self._next_commit_ms = now_ms + INTERVAL_MS
        return self.all()

    def all(self) -> dict[Partition, int]:
        if self._feed is not None:
            self._feed.look()
            self._collect()
        found, self._committable = self._committable, {}
        return found

    def keep(self, offsets: dict[Partition, int]) -> None:
        for partition, offset in offsets.items():
            self._committable[partition] = max(offset, self._committable.get(partition, 0))

    def hurry(self, partitions: Iterable[Partition]) -> None:
        if self._feed is not None:
            self._forget(self._feed.drop(partitions))
            if self._proof is not None:
                self._proof.wait(HURRY_MS)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions)
        for partition in gone:
            self._committable.pop(partition, None)
        self._forget(sum(len(stretch) for stretch in self._waiting if stretch.partition in gone))
        self._waiting = [stretch for stretch in self._waiting if stretch.partition not in gone]
        if self._feed is not None:
            self._forget(self._feed.drop(gone))
            self._feed.ledger.forget(gone)

    def _forget(self, records: int) -> None:
        """They are not handed over: somebody else reads them."""
        if self.left is not None and not self._finished:
            self.left += records

    def stalled_ms(self, now_ms: int) -> int:
        return 0 if self._feed is None else max(0, int((time.monotonic() - self._feed.moved_s) * 1000))

    # -- the end -------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopped = True
        if self._feed is not None:
            self._feed.cut()
        self._waiting = []

    def ended(self) -> bool:
        if self._finished or (self._feed is None and not self._waiting):
            return True
        if self._feed is not None and not self._feed.waiting and not self._closing:
            assert self._pipe is not None
            os.close(self._pipe[1])  # the end of its input: it handles what it has, and its exit status says how that went
            self._closing = True
        return False

    def kill(self) -> None:
        self._children.kill_all()

    def close(self) -> None:
        self._close_pipe()
        self._children.end_all()
