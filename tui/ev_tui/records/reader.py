"""A thread that reads topics into a ring, and does what the screen asks of it: seek, filter, another isolation, wait.

    reader = Reader(session, ["orders"], ring)
    reader.start()
    reader.seek(Position(TIME, 1790000000000))      done by the thread, soon
    reader.set_filter("value.amount > 250")         UsageFailure at once when that means nothing
    reader.figures(time.monotonic())                what stands above the records
    reader.stop()

Nothing is passed over: a reader that cannot keep up falls behind, and says how far. Whoever looks at old records keeps them by the ring's
`keep_from`: before the ring would push them out, reading waits, and the cluster keeps what is not read.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ev.errors import CorruptBatchError, EvError, TimedOutError
from ev_cli.failures import Failure, as_failure
from ev_cli.missing import Presence
from ev_cli.positions import END, Position, resolve
from ev_cli.reviving import Revival
from ev_cli.where import places_where
from ev_tui.records.rates import Rate
from ev_tui.records.ring import Origin
from ev_tui.records.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.session import Session
    from ev_tui.records.ring import Ring

    Partition = tuple[str, int]
    Filter = Callable[[FetchedBatch], list[int]]

POLL_MS = 100
POLL_BYTES = 1 << 20
FETCH_BYTES, PARTITION_BYTES = 4 << 20, 1 << 20
FIRST_RECORDS = 200
"""About so many records are there when a tail opens, over all partitions."""
FIRST_MERGED, FIRST_S = 2000, 0.5
"""So many records of several partitions are put into the order of time, when they come within so many seconds of the beginning."""
LOOK_BACK = 100_000
"""So many records before the newest one read are read again when the filter or the isolation changes, over all partitions."""
PAUSE_S, PAUSE_MAX_S = 0.5, 5.0
LOST_AFTER_S = 1.0
RESERVE = 0.1
"""Reading waits for who looks at old records when no more than this part of the ring is left before they would go."""
UNCOMMITTED, COMMITTED = "read_uncommitted", "read_committed"


class Figures(NamedTuple):
    """What is said about a reader. Rates are per second over `rates.WINDOW_S`; None is: not known (yet)."""

    read: int
    matched: int
    held: int
    """How many records the ring has."""
    forgotten: int
    unreadable: int
    """Records of batches that could not be opened."""
    read_rate: float | None
    match_rate: float | None
    behind: int | None
    """Records between what was read and the end of the partitions."""
    behind_ms: int | None
    waits: bool
    """Reading waits for who looks at old records."""
    problem: str
    """Why nothing comes, empty when all is well."""
    partitions: int
    open_transactions: int


class Reader:
    """One reading of some topics, in a thread of its own from `start` to `stop`."""

    def __init__(
        self,
        session: Session,
        topics: Sequence[str],
        ring: Ring,
        *,
        partitions: Sequence[int] | None = None,
        begin: Position | None = None,
        isolation: str = UNCOMMITTED,
        where: str = "",
    ) -> None:
        self.topics = list(topics)
        self.ring = ring
        self.partitions = partitions
        self.isolation = isolation
        self.where = ""
        self.is_held = False
        """Nothing is read while nobody looks."""
        self.read = self.matched = self.unreadable = 0
        self._session = session
        self._filter: Filter | None = None
        self._begin = begin
        """Where a person wants to begin; None is shortly before the end."""
        self._place: Position | None = begin
        """Where reading began, as far as it was chosen: a change of the filter looks no further back."""
        self._wants_place = True
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._consumer: Consumer | None = None
        self._revival = Revival(session)
        self._presence = Presence(self.topics)
        self._transactions = Transactions()
        self._fetched: deque[FetchedBatch] = deque()
        """Those that are not in the ring yet."""
        self._first: list[tuple[Origin, FetchedBatch]] | None = None
        self._first_until_s = 0.0
        self._behind: dict[Partition, int] = {}
        self._newest_ms: int | None = None
        self._waits = False
        self._problem = "connecting"
        self._heard_s = time.monotonic()
        self._rates = Rate(), Rate()
        if where:
            self._filter, self.where = places_where(where, _now_ms()), where

    # -- for the screen ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread. One that waits for a cluster which does not answer is left to end by itself."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def ask_to_stop(self) -> None:
        """The same without waiting."""
        self._stopped.set()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def seek(self, position: Position | None) -> None:
        """Forget what was read and go on from there; None is shortly before the end."""

        def go() -> None:
            self._begin = self._place = position
            self._wants_place = True

        self._orders.put(go)

    def set_filter(self, where: str) -> None:
        """Only records for which the expression is true, the newest ones that were read before included; all of them when it is empty."""
        wanted = places_where(where, _now_ms()) if where else None

        def change() -> None:
            self._filter, self.where = wanted, where
            self._look_back()

        self._orders.put(change)

    def set_isolation(self, isolation: str) -> None:
        def change() -> None:
            self.isolation = isolation
            try:
                places = self._places_to_look_back_to()
            except EvError:
                places = {}
            self._disconnect()
            self._connect(places)
            self._start_over()
            self._wants_place = not places

        self._orders.put(change)

    def figures(self, now_s: float) -> Figures:
        """What is known at this moment; asked for about twice a second."""
        read_rate, match_rate = (rate.look(now_s, count) for rate, count in zip(self._rates, (self.read, self.matched), strict=True))
        behind = sum(list(self._behind.values())) if self._behind and not self._wants_place else None
        newest_ms = self._newest_ms
        behind_ms = 0 if behind == 0 else None if newest_ms is None else max(_now_ms() - newest_ms, 0)
        ring = self.ring
        return Figures(
            self.read,
            self.matched,
            len(ring),
            ring.forgotten,
            self.unreadable,
            read_rate,
            match_rate,
            behind,
            behind_ms,
            self._waits,
            self._problem,
            len(self._behind),
            self._transactions.open_count,
        )

    # -- the thread --------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = PAUSE_S
        while not self._stopped.is_set():
            try:
                self._turn()
                pause_s = PAUSE_S
            except Exception as error:  # noqa: BLE001 - a person gets one line, and it is tried again
                self._problem = as_failure(error, self._session.where).line()
                self._stopped.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
        self._disconnect()

    def _turn(self) -> None:
        """One poll, and what was ordered before it."""
        if self._consumer is None:
            self._connect({})
        while not self._orders.empty():
            self._orders.get()()
        consumer = self._consumer
        assert consumer is not None, "it was connected above"
        if self._wants_place:
            self._go_to_place(consumer)
        self._take_fetched()
        self._merge_first()
        self._wait_or_go_on(consumer)
        batches = consumer.poll_batches(POLL_MS, POLL_BYTES)
        if batches:
            self._heard_s = time.monotonic()
            self._problem = ""
            self._fetched.extend(batches)
            self._take_fetched()
        else:
            self._look_around(consumer)

    def _connect(self, places: dict[Partition, int | None]) -> None:
        """A consumer that stands at these places, or at none yet."""
        self._consumer = consumer = self._session.consumer(
            isolation=self.isolation,
            control_batches=True,
            offset_reset="earliest",
            fetch_max_bytes=FETCH_BYTES,
            partition_max_bytes=PARTITION_BYTES,
            request_timeout_ms=self._session.timeout_ms,
            timeout_ms=self._session.timeout_ms,
        )
        if places:
            consumer.assign(places)

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
        self._waits = False

    def _go_to_place(self, consumer: Consumer) -> None:
        partitions = [
            (topic, index)
            for topic in self.topics
            for index in consumer.partitions_for(topic)
            if self.partitions is None or index in self.partitions
        ]
        if not partitions:
            raise Failure("there is no such partition", "the topic has fewer of them")
        begin = self._begin or Position(END, -max(1, FIRST_RECORDS // len(partitions)))
        places = resolve(begin, partitions, consumer)
        consumer.assign(dict(places))
        self._start_over()
        self._behind = {partition: max(end - places[partition], 0) for partition, end in consumer.end_offsets(partitions).items()}
        self._wants_place = False
        self._problem = ""

    def _start_over(self) -> None:
        self._fetched.clear()
        self._first, self._first_until_s = [], time.monotonic() + FIRST_S
        self.ring.clear()
        self.ring.forgotten = 0
        self._transactions.forget()
        self.read = self.matched = self.unreadable = 0
        self.ring.keep_from = None
        self._newest_ms = None

    def _look_back(self) -> None:
        """Read the newest of what was read once more, because something else is wanted of it."""
        consumer = self._consumer
        if consumer is None or self._wants_place:
            return
        for partition, offset in self._places_to_look_back_to().items():
            if offset is not None:
                consumer.seek(partition, offset)
        self._start_over()

    def _places_to_look_back_to(self) -> dict[Partition, int | None]:
        consumer = self._consumer
        if consumer is None:
            return {}
        partitions = consumer.assignment()
        if not partitions:
            return {}
        share = max(LOOK_BACK // len(partitions), 1)
        floor = {} if self._place is None else resolve(self._place, partitions, consumer)
        first = consumer.beginning_offsets(partitions)
        return {partition: max(consumer.position(partition) - share, first[partition], floor.get(partition, 0)) for partition in partitions}

    def _take_fetched(self) -> None:
        """Batch by batch: opened, one may be many times what it was on the wire, and perhaps there is no room for the next one."""
        while self._fetched and not self._must_wait():
            self._take(self._fetched.popleft())

    def _take(self, batch: FetchedBatch) -> None:
        partition = batch.topic, batch.partition
        origin = Origin(batch)
        end = batch.high_watermark if self.isolation == UNCOMMITTED or batch.last_stable_offset < 0 else batch.last_stable_offset
        self._behind[partition] = max(end - batch.next_offset, 0)
        try:
            columns = batch.columns
        except CorruptBatchError as error:
            self.unreadable += batch.count
            self._problem = str(error)
            return
        if batch.is_control:
            self._transactions.end(origin, next(iter(columns.keys), None) or b"")
            if self._filter is None:
                self._put(origin, batch)
            return
        if not len(columns):
            return
        self.read += len(columns)
        self._newest_ms = columns.timestamps[-1]
        if batch.is_transactional:
            self._transactions.note(origin)
        if self._filter is not None:
            places = self._filter(batch)
            if not places:
                return
            if len(places) < len(batch):
                batch = batch.only(places)
        self._put(origin, batch)
        self.matched += len(batch)

    def _put(self, origin: Origin, batch: FetchedBatch) -> None:
        if self._first is None:
            self.ring.add(origin, batch)
        else:
            self._first.append((origin, batch))

    def _merge_first(self) -> None:
        """What comes first comes partition by partition: it is put into the order of time, when there is enough of it or no more of it."""
        first = self._first
        if first is None:
            return
        count = sum(len(batch) for _, batch in first)
        is_there = bool(self._behind) and not any(self._behind.values()) and not self._fetched
        if not (is_there or count >= FIRST_MERGED or time.monotonic() > self._first_until_s):
            return
        self._first = None
        rows = [
            (timestamp, number, place)
            for number, (_, batch) in enumerate(first)
            for place, timestamp in enumerate(batch.columns.timestamps)
        ]
        rows.sort(key=lambda row: row[0])
        for number, run in groupby(rows, key=lambda row: row[1]):
            origin, batch = first[number]
            self.ring.add(origin, batch.only([place for _, _, place in run]))

    def _must_wait(self) -> bool:
        """Whether records that somebody looks at would soon be pushed out."""
        if self.is_held:
            return True
        ring, keep = self.ring, self.ring.keep_from
        if keep is None or not len(ring):
            return False
        newer = (ring.end - keep) / ring.records_max
        bytes_of_newer = ring.size * (ring.end - keep) / len(ring) / ring.bytes_max
        return max(newer, bytes_of_newer) > 1 - RESERVE

    def _wait_or_go_on(self, consumer: Consumer) -> None:
        waits = self._must_wait()
        if waits != self._waits:
            self._waits = waits
            (consumer.pause if waits else consumer.resume)(*consumer.assignment())

    def _look_around(self, consumer: Consumer) -> None:
        """Nothing came: because nothing is new, or because nobody is there?"""
        now_s = time.monotonic()
        if consumer.connected:
            self._heard_s = now_s
            self._revival.connected()
            self._problem = ""
            self._presence.look(consumer, now_s)
            return
        address = self._revival.look()
        if address is not None:
            self._move(address)
        elif now_s - self._heard_s > LOST_AFTER_S:
            self._problem = f"{self._session.where} does not answer; trying again"

    def _move(self, address: str) -> None:
        """The local engine was started again at another address: go on there."""
        consumer = self._consumer
        assert consumer is not None, "it is looked around with it"
        places: dict[Partition, int | None] = {}
        for partition in consumer.assignment():
            try:
                places[partition] = consumer.position(partition, timeout_ms=0)
            except TimedOutError:
                places[partition] = None
        self._disconnect()
        self._session.moved(address)
        self._connect(places)


def _now_ms() -> int:
    return int(time.time() * 1000)
