"""--ack: one process that is given each record as a line (or as -f says) and answers each with a line on its stdout.

    ok              it is handled
    retry           again, after a pause; records that were sent meanwhile stay where they are
    dead REASON     it never will be: what --on-fail says is done with it

Answers come in the order of the records. Nothing has to be guessed, so this is the kind for programs that do many things at once.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import time
from collections import deque

from ev_cli import output
from ev_cli.commit import INTERVAL_MS
from ev_cli.failures import GAVE_UP, Failure
from ev_cli.formats import filled
from ev_cli.handler_items import items_of
from ev_cli.handler_processes import Children, environment
from ev_cli.handler_rules import BROKEN, DEAD, DLQ, STOP, in_words, meaning_of
from ev_cli.ledger import Unfinished
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.client.fetched import FetchedBatch
    from ev_cli.dead_letters import DeadLetters
    from ev_cli.formats import Renderer
    from ev_cli.handler import Handler
    from ev_cli.handler_items import Item
    from ev_cli.handler_processes import Child
    from ev_cli.session import Session

    Partition = tuple[str, int]

TURN_MS = 50
WRITE_BYTES = 1 << 16
ANSWER_BYTES_MAX = 1 << 16


def answer_of(line: bytes) -> tuple[str, str]:
    """(ok, retry or dead; the reason). A Failure for anything else."""
    word, _, reason = line.decode("utf-8", "backslashreplace").strip().partition(" ")
    if word in ("ok", "retry", "dead"):
        return word, reason.strip()
    raise Failure(f"the handler answered {output.safe(word[:60])!r}", "ok, retry or dead REASON was expected", code=GAVE_UP)


class Answers(Sink):
    """The process, what waits for it, and what it has not answered."""

    def __init__(self, handler: Handler, renderer: Renderer, left: int | None, session: Session, dead_letters: DeadLetters | None) -> None:
        super().__init__(renderer, left)
        self.poll_bytes_max = handler.buffer_bytes
        self._handler = handler
        self._session = session
        self._dead_letters = dead_letters
        self._children = Children()
        self._child: Child | None = None
        self._stdin = self._stdout = -1
        self._unfinished = Unfinished()
        self._queue: deque[Item] = deque()
        self._sent: deque[Item] = deque()
        """Those written (the last one perhaps in part) and not answered."""
        self._outgoing = b""
        self._incoming = b""
        self._delayed: list[tuple[float, int, Item]] = []
        self._number = 0
        self._held_bytes = 0
        self._crashes = 0
        self._start_at_s = 0.0
        self._begun = False
        self._moved_s = time.monotonic()
        self._next_commit_ms = 0
        self._stopped = self._finished = False
        self._skipped = 0

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        pieces = filled(self.wanted(batch, end), self.renderer.null)
        for item in items_of(batch, pieces, self.renderer.delimiter, self._unfinished):
            self._held_bytes += len(item.data)
            self._queue.append(item)

    @property
    def full(self) -> bool:
        return self._stopped or self._finished or self._held_bytes >= self._handler.buffer_bytes

    def patience_ms(self, longest_ms: int) -> int:
        busy = self._queue or self._sent or self._outgoing
        return 0 if busy else min(longest_ms, TURN_MS) if self._delayed or self._letters_wait else longest_ms

    # -- the process ---------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        self._take_letters()
        if self._finished:
            return
        now_s = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now_s:
            self._queue.append(heapq.heappop(self._delayed)[2])
        if self._child is None:
            if (self._queue or not self._begun) and not self._stopped and now_s >= self._start_at_s:
                self._start()
            elif self._queue:
                time.sleep(0.01)
            return
        self._exchange(TURN_MS if self._sent or self._outgoing else 0)
        if self._children.ended(0):
            self._exchange(0)
            self._judge()

    def _start(self) -> None:
        self._begun = True
        reading, self._stdin = os.pipe()
        self._stdout, writing = os.pipe()
        try:
            environ = environment(self._crashes + 1, self._handler.group, 0)
            self._child = self._children.start(self._handler.command, environ, reading, None, writing)
        finally:
            os.close(writing)
        for descriptor in (self._stdin, self._stdout):
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        self._moved_s = time.monotonic()

    def _exchange(self, limit_ms: int) -> None:
        """Write what goes and take the answers that are there, waiting at most that long for either."""
        import select

        self._fill()
        waiting = select.poll()
        waiting.register(self._stdout, select.POLLIN)
        if self._outgoing and self._stdin >= 0:
            waiting.register(self._stdin, select.POLLOUT)
        for descriptor, events in waiting.poll(limit_ms):
            if descriptor == self._stdin:
                self._send(bool(events & select.POLLERR))
            else:
                self._receive()

    def _fill(self) -> None:
        """Records to be written, as many as make a write worth while."""
        if self._outgoing or self._stopped or self._stdin < 0:
            return
        if not self._sent:
            self._moved_s = time.monotonic()
        data = []
        size = 0
        while self._queue and size < WRITE_BYTES:
            item = self._queue.popleft()
            if not self._unfinished.is_ours(item.track):
                self._held_bytes -= len(item.data)
                continue
            data.append(item.data)
            size += len(item.data)
            item.attempts += 1
            self._sent.append(item)
        self._outgoing = b"".join(data)

    def _send(self, broken: bool) -> None:
        try:
            self._outgoing = b"" if broken else self._outgoing[os.write(self._stdin, self._outgoing) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing = b""  # it is about to end: what it has not answered is sent again

    def _receive(self) -> None:
        try:
            data = os.read(self._stdout, WRITE_BYTES)
        except BlockingIOError:
            return
        self._incoming += data
        *lines, self._incoming = self._incoming.split(b"\n")
        if len(self._incoming) > ANSWER_BYTES_MAX:
            raise Failure("the handler answers with a line that does not end", "ok, retry or dead REASON was expected", code=GAVE_UP)
        for line in lines:
            self._take(*answer_of(line))
        if not data and not lines:
            time.sleep(0.005)  # it has closed its stdout and will end soon

    def _take(self, word: str, reason: str) -> None:
        """The answer to the oldest record that has none."""
        self._moved_s = time.monotonic()
        if not self._sent:
            raise Failure(f"the handler answered {word!r}, and has no record to answer", "one line for each record", code=GAVE_UP)
        item = self._sent.popleft()
        self._crashes = 0
        if word == "ok":
            self._finish(item)
            return
        if word == "retry":
            pause_ms = self._handler.retries.pause_ms(item.attempts, random.random())
            if pause_ms is not None:
                self._number += 1
                heapq.heappush(self._delayed, (time.monotonic() + pause_ms / 1000, self._number, item))
                return
            reason = reason or f"the handler said retry {item.attempts} times"
        self._give_up(item, reason or "the handler said dead")

    def _finish(self, item: Item) -> None:
        self._held_bytes -= len(item.data)
        self._unfinished.finish(item.track, item.offset)

    def _give_up(self, item: Item, reason: str) -> None:
        place = output.safe(item.place)
        reason = output.safe(reason)
        if self._handler.on_fail == STOP:
            raise Failure(f"{self._handler.name} gave up at {place}: {reason}", "it was not committed and comes again", code=GAVE_UP)
        if self._handler.on_fail == DLQ:
            assert self._dead_letters is not None
            self._dead_letters.send(item, reason, None, item.attempts)
            self._held_bytes -= len(item.data)
            return
        self._skipped += 1
        self._session.talk(f"{place} was skipped: {reason}")
        self._finish(item)

    def _judge(self) -> None:
        """The process has ended: what it has not answered is given to the next one."""
        assert self._child is not None
        status = self._child.process.returncode
        was_told_the_end = self._stdin < 0
        self._close_pipes()
        self._child = None
        self._outgoing = self._incoming = b""
        unanswered, self._sent = list(self._sent), deque()
        if status == 0 and (not unanswered or self._stopped):
            if was_told_the_end and self._queue:
                return  # records came back after the end: they get another process
            self._finished = True
            self.left = 0
            if not self._stopped and (self._queue or self._delayed):
                self._session.talk(f"{self._handler.name} ended before its input did: what it has not answered comes again")
            return
        why = f"{self._handler.name} {in_words(status)}"
        again = f"{len(unanswered)} records without an answer are not committed and come again"
        meaning = meaning_of(status)
        if meaning == BROKEN:
            raise Failure(f"{why}: it cannot be run", again, code=status)
        self._crashes += 1
        pause_ms = None if meaning == DEAD else self._handler.retries.pause_ms(self._crashes, random.random())
        if self._stopped:
            self._finished = True
            self._session.talk(f"{why}: {again}")
        elif pause_ms is None:
            raise Failure(f"{why}{f', {self._crashes} times in a row' if self._crashes > 1 else ''}", again, code=GAVE_UP)
        else:
            self._session.talk(f"{why}: {len(unanswered)} records without an answer are handed over again in {pause_ms / 1000:.1f} s")
            for item in unanswered:
                item.attempts -= 1
            self._queue.extendleft(reversed(unanswered))
            self._start_at_s = time.monotonic() + pause_ms / 1000

    def _close_pipes(self) -> None:
        for descriptor in (self._stdin, self._stdout):
            if descriptor >= 0:
                os.close(descriptor)
        self._stdin = self._stdout = -1

    @property
    def _letters_wait(self) -> bool:
        return self._dead_letters is not None and self._dead_letters.waiting

    def _take_letters(self) -> None:
        if self._dead_letters is not None:
            for item in self._dead_letters.acknowledged():
                self._unfinished.finish(item.track, item.offset)

    # -- commits -------------------------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> dict[Partition, int]:
        if now_ms < self._next_commit_ms:
            return {}
        offsets = self.all()
        if offsets:
            self._next_commit_ms = now_ms + INTERVAL_MS
        return offsets

    def all(self) -> dict[Partition, int]:
        return self._unfinished.take()

    def keep(self, offsets: dict[Partition, int]) -> None:
        self._unfinished.keep(offsets)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        before = self._unfinished.count
        self._unfinished.forget(partitions)
        if self.left is not None and not self._finished:
            self.left += before - self._unfinished.count

    def stalled_ms(self, now_ms: int) -> int:
        return int((time.monotonic() - self._moved_s) * 1000) if self._sent else 0

    # -- the end -------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopped = True

    def ended(self) -> bool:
        if self._child is None and (self._finished or self._stopped or not (self._queue or self._delayed)):
            return not self._letters_wait
        waits = self._sent or self._outgoing or (not self._stopped and (self._queue or self._delayed))
        if not waits and self._stdin >= 0:
            os.close(self._stdin)  # the end of its input
            self._stdin = -1
        return False

    def kill(self) -> None:
        self._children.kill_all()

    def close(self) -> None:
        if self._skipped:
            self._session.talk(f"{self._skipped} records were skipped")
        if self._dead_letters is not None and self._dead_letters.count:
            self._session.talk(f"{self._dead_letters.count} records were put into {output.safe(self._dead_letters.topic)}")
        self._close_pipes()
        self._children.end_all()
        if self._dead_letters is not None:
            self._dead_letters.close()
