"""--each and --batch N: short processes, each with its own records, and an exit status that says what became of them.

Records wait in lanes (one for everything; with --parallel one for each key or partition), so that those of a lane are handled one after
another, also while one of them waits to be tried again. A batch that failed for good is halved until the record is found that it fails
at: only that one is put aside.
"""

from __future__ import annotations

import heapq
import random
import time

from ev_cli import output
from ev_cli.commit import INTERVAL_MS
from ev_cli.failures import GAVE_UP, Failure
from ev_cli.formats import filled
from ev_cli.handler_items import items_of
from ev_cli.handler_processes import BadArgumentError, Children, add_record, environment, filled_in, input_of
from ev_cli.handler_rules import BROKEN, DEAD, DLQ, DONE, RETRY, STOP, Lanes, in_words, meaning_of
from ev_cli.ledger import Unfinished
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ev.client.fetched import FetchedBatch
    from ev_cli.dead_letters import DeadLetters
    from ev_cli.formats import Renderer
    from ev_cli.handler import Handler
    from ev_cli.handler_items import Item
    from ev_cli.handler_processes import Child
    from ev_cli.session import Session

    Partition = tuple[str, int]

TURN_MS = 100
IDLE_MS = 20
"""How long processes are waited for while there is room for more records."""
HURRY_MS = 2000
"""How long a group is kept waiting, so that what runs can end before its partitions go to others."""


class Job:
    """The records that one process gets, and those parts of a halved batch that come after it."""

    __slots__ = ("attempts", "items", "lanes", "rest")

    def __init__(self, lanes: list[Hashable], items: list[Item], rest: list[list[Item]] | None = None, attempts: int = 0) -> None:
        self.lanes = lanes
        self.items = items
        self.rest = rest or []
        self.attempts = attempts


class Jobs(Sink):
    """The processes, and the records that wait for one."""

    def __init__(
        self,
        handler: Handler,
        renderer: Renderer,
        left: int | None,
        session: Session,
        dead_letters: DeadLetters | None,
        *,
        plain: bool = False,
    ) -> None:
        super().__init__(renderer, left)
        self.poll_bytes_max = handler.buffer_bytes
        self._handler = handler
        self._session = session
        self._dead_letters = dead_letters
        self._plain = plain
        """A process gets the value as it is, without a delimiter behind it."""
        self._children = Children()
        self._lanes = Lanes()
        self._unfinished = Unfinished()
        self._delayed: list[tuple[float, int, Job]] = []
        """A heap by the time at which a job is tried again."""
        self._number = 0
        self._held_bytes = 0
        self._next_commit_ms = 0
        self._moved_s = time.monotonic()
        self._stopped = False
        self._failure: Failure | None = None
        self._skipped = 0
        self._told = False

    # -- records come --------------------------------------------------------------------------------------------------------

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        pieces = filled(self.wanted(batch, end), self.renderer.null)
        for item in items_of(batch, pieces, self.renderer.delimiter, self._unfinished):
            self._held_bytes += len(item.data)
            self._lanes.put(self._lane_of(item), item)

    def _lane_of(self, item: Item) -> Hashable:
        if self._handler.parallel == 1:
            return None
        if self._handler.by_partition:
            return item.topic, item.partition
        return item.place if item.key is None else (item.topic, item.key)

    @property
    def full(self) -> bool:
        return self._stopped or self._held_bytes >= self._handler.buffer_bytes

    def patience_ms(self, longest_ms: int) -> int:
        if self._children.running or self._lanes.count:
            return 0
        return min(longest_ms, IDLE_MS) if self._delayed or self._letters_wait else longest_ms

    # -- processes -----------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        until = time.monotonic() + TURN_MS / 1000
        while True:
            self._take_letters()
            self._start_some()
            self._children.kill_overdue(self._handler.exec_timeout_ms)
            if not self._children.running:
                return
            now_s = time.monotonic()
            has_room = not self._stopped and not self._lanes.count and len(self._children.running) < self._handler.parallel
            limit_ms = min(IDLE_MS if has_room else TURN_MS, max(0, int((until - now_s) * 1000)))
            self._take_ended(limit_ms)
            if has_room or time.monotonic() >= until:
                return

    def _start_some(self) -> None:
        while len(self._children.running) < self._handler.parallel and not self._stopped and not self.interrupts:
            job = self._next()
            if job is None:
                return
            self._start(job)

    def _next(self) -> Job | None:
        """A job whose pause is over, or new records."""
        if self._delayed and self._delayed[0][0] <= time.monotonic():
            return heapq.heappop(self._delayed)[2]
        while self._lanes.count:
            lanes, items = self._lanes.take(self._handler.batch or 1)
            if not items:
                return None
            ours = self._still_ours(items)
            if ours:
                return Job(lanes, ours)
            self._lanes.release(lanes)
        return None

    def _still_ours(self, items: list[Item]) -> list[Item]:
        ours = [item for item in items if self._unfinished.is_ours(item.track)]
        if len(ours) < len(items):
            self._held_bytes -= sum(len(item.data) for item in items if not self._unfinished.is_ours(item.track))
        return ours

    def _start(self, job: Job) -> None:
        handler = self._handler
        job.attempts += 1
        environ = environment(job.attempts, handler.group, len(job.items))
        command = handler.command
        data = b"".join([item.data for item in job.items])
        if handler.each:
            item = job.items[0]
            add_record(environ, item.topic, item.partition, item.offset, item.timestamp, item.key, item.value, item.headers)
            if self._plain:
                data = item.value or b""
            try:
                command = filled_in(command, _parts(item))
            except BadArgumentError as error:
                self._give_up(job, str(error), None)
                return
        self._moved_s = time.monotonic()
        self._children.start(command, environ, input_of(data), job)

    def _take_ended(self, limit_ms: int) -> None:
        for child in self._children.ended(limit_ms):
            self._moved_s = time.monotonic()
            self._judge(child)

    def _judge(self, child: Child) -> None:
        job: Job = child.job
        status = child.process.returncode
        meaning = RETRY if child.too_late else meaning_of(status)
        if meaning == DONE:
            self._done(job)
            return
        why = f"{self._handler.name} {in_words(status, timeout_ms=self._handler.exec_timeout_ms if child.too_late else None)}"
        if meaning == BROKEN:
            self._fail(Failure(f"{why}: it cannot be run", f"nothing of {_places(job.items)} is committed", code=status))
            return
        pause_ms = None if meaning == DEAD else self._handler.retries.pause_ms(job.attempts, random.random())
        if pause_ms is None:
            self._give_up(job, why, status)
        elif not self._stopped:
            if self._handler.verbose:
                self._session.talk(f"{why} at {_places(job.items)}: attempt {job.attempts + 1} in {pause_ms / 1000:.1f} s")
            self._number += 1
            heapq.heappush(self._delayed, (time.monotonic() + pause_ms / 1000, self._number, job))

    def _done(self, job: Job) -> None:
        for item in job.items:
            self._unfinished.finish(item.track, item.offset)
        self._leave(job)

    def _leave(self, job: Job) -> None:
        """Nothing more is to be done with these records; the rest of a batch that was halved comes next."""
        self._held_bytes -= sum(len(item.data) for item in job.items)
        rest = [ours for part in job.rest if (ours := self._still_ours(part))]
        if rest:
            self._again(Job(job.lanes, rest[0], rest[1:], self._handler.retries.most))
        else:
            self._lanes.release(job.lanes)

    def _again(self, job: Job) -> None:
        self._number += 1
        heapq.heappush(self._delayed, (0.0, self._number, job))

    def _give_up(self, job: Job, why: str, status: int | None) -> None:
        """All was tried. Of several records the one that is to blame is looked for first."""
        handler = self._handler
        if handler.on_fail == STOP:
            attempts = f" in {job.attempts} attempts" if job.attempts > 1 else ""
            hint = "they were not committed and come again" if len(job.items) > 1 else "it was not committed and comes again"
            self._fail(Failure(f"{why} at {_places(job.items)}{attempts}", hint, code=GAVE_UP))
            return
        if len(job.items) > 1:
            half = len(job.items) // 2
            self._again(Job(job.lanes, job.items[:half], [job.items[half:], *job.rest], handler.retries.most))
            return
        item = job.items[0]
        if handler.on_fail == DLQ:
            assert self._dead_letters is not None
            self._dead_letters.send(item, why, status, job.attempts)
            if handler.verbose:
                self._session.talk(f"{why} at {_places(job.items)}: put into {output.safe(self._dead_letters.topic)}")
        else:
            self._skipped += 1
            self._session.talk(f"{why} at {_places(job.items)}: skipped")
            self._unfinished.finish(item.track, item.offset)
        self._leave(job)

    def _fail(self, failure: Failure) -> None:
        """End the run, when what runs beside has ended."""
        self._failure = self._failure or failure
        self._stopped = True
        self.left = 0

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

    def hurry(self, partitions: Iterable[Partition]) -> None:
        wanted = set(partitions)
        until = time.monotonic() + HURRY_MS / 1000
        while self._runs_for(wanted) and time.monotonic() < until:
            self._take_ended(50)
        self._take_letters()

    def _runs_for(self, partitions: set[Partition]) -> bool:
        return any((item.topic, item.partition) in partitions for child in self._children.running.values() for item in child.job.items)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        before = self._unfinished.count
        self._unfinished.forget(partitions)
        if self.left is not None and self._failure is None:
            self.left += before - self._unfinished.count
        delayed, self._delayed = self._delayed, []
        for due_s, number, job in delayed:
            job.items = self._still_ours(job.items)
            if job.items:
                heapq.heappush(self._delayed, (due_s, number, job))
            else:
                self._leave(job)

    def stalled_ms(self, now_ms: int) -> int:
        return int((time.monotonic() - self._moved_s) * 1000) if self._children.running else 0

    # -- the end -------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopped = True

    def ended(self) -> bool:
        waits = not self._stopped and (self._lanes.count or self._delayed)
        if waits or self._children.running or self._letters_wait:
            return False
        if self._failure is not None:
            raise self._failure
        self._tell()
        return True

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        if self._dead_letters is not None and self._dead_letters.count:
            self._session.talk(f"{self._dead_letters.count} records were put into {output.safe(self._dead_letters.topic)}")
        if self._skipped:
            self._session.talk(f"{self._skipped} records were skipped")
        if self._stopped and self._unfinished.count:
            self._session.talk(f"{self._unfinished.count} records that were read are not handled; they come again")

    def kill(self) -> None:
        self._children.kill_all()

    def close(self) -> None:
        self._children.end_all()
        if self._dead_letters is not None:
            self._dead_letters.close()


def _parts(item: Item) -> dict[str, bytes | None]:
    return {
        "{}": item.value,
        "{key}": item.key,
        "{topic}": item.topic.encode(),
        "{partition}": b"%d" % item.partition,
        "{offset}": b"%d" % item.offset,
        "{timestamp}": b"%d" % item.timestamp,
    }


def _places(items: list[Item]) -> str:
    """Where the records are: the place of one, or of the first and how many."""
    first = output.safe(items[0].place)
    return first if len(items) == 1 else f"{len(items)} records from {first} on"
