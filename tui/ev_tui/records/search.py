"""A search over whole topics: a reading with an end, that says how far it has come in each partition, stops, and goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ev_cli.positions import START, Position
from ev_tui.records.rates import Rate
from ev_tui.records.reader import UNCOMMITTED, Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.session import Session
    from ev_tui.records.ring import Ring

    Partition = tuple[str, int]

LOOKING, STOPPED, DONE = "looking", "stopped", "done"


class Progress(NamedTuple):
    """How far a search is. Offsets are counted, also those that compaction has left empty; None is: not known yet."""

    state: str
    done: int
    total: int | None
    rate: float | None
    """Offsets per second over `rates.WINDOW_S`."""
    eta_s: float | None
    parts: list[tuple[str, int, float]]
    """(topic, partition, how much of it)."""


class Search(Reader):
    """Reads from a beginning to where the partitions ended when it began, and keeps what the filter leaves."""

    def __init__(self, session: Session, topics: Sequence[str], ring: Ring, where: str, *, begin: Position | None = None) -> None:
        super().__init__(session, topics, ring, begin=begin or Position(START), isolation=UNCOMMITTED, where=where)
        self._begins: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._reached: dict[Partition, int] = {}
        self._offsets_rate = Rate()

    def progress(self) -> Progress:
        begins, ends = dict(self._begins), dict(self._ends)
        reached = {partition: min(self._reached.get(partition, begins[partition]), ends[partition]) for partition in ends}
        done = sum(reached[partition] - begins[partition] for partition in ends)
        total = sum(ends[partition] - begins[partition] for partition in ends) if ends else None
        parts = [
            (
                topic,
                index,
                (reached[topic, index] - begins[topic, index]) / (end - begins[topic, index]) if end > begins[topic, index] else 1.0,
            )
            for (topic, index), end in sorted(ends.items())
        ]
        state = DONE if total is not None and done >= total else STOPPED if self.is_held else LOOKING
        rate = self._offsets_rate.look(time.monotonic(), done) if state == LOOKING else None
        eta_s = (total - done) / rate if rate and total is not None else None
        return Progress(state, done, total, rate, eta_s, parts)

    @property
    def has_ended(self) -> bool:
        return bool(self._ends) and all(self._reached.get(partition, 0) >= end for partition, end in self._ends.items())

    # -- the thread --------------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        super()._turn()
        if self.has_ended and not self._fetched:
            self._stopped.set()

    def _go_to_place(self, consumer: Consumer) -> None:
        super()._go_to_place(consumer)
        partitions = consumer.assignment()
        self._ends = consumer.end_offsets(partitions)
        self._begins = {partition: min(consumer.position(partition), self._ends[partition]) for partition in partitions}
        self._reached = dict(self._begins)
        self._first = None  # hits are few: they are shown as they come

    def _take(self, batch: FetchedBatch) -> None:
        partition = batch.topic, batch.partition
        end = self._ends.get(partition, 0)
        if batch.next_offset > end:
            batch = batch.only([place for place, offset in enumerate(batch.columns.offsets) if offset < end])
        self._reached[partition] = max(self._reached.get(partition, 0), batch.next_offset)
        super()._take(batch)

    def _look_around(self, consumer: Consumer) -> None:
        super()._look_around(consumer)
        for partition, end in self._ends.items():  # the last offsets of a partition may hold nothing any more
            if self._reached.get(partition, 0) < end and not self._fetched and not self.is_held:
                self._reached[partition] = max(self._reached.get(partition, 0), consumer.position(partition, timeout_ms=0))
