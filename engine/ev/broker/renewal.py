"""Keeps a coordinator's log short: what still holds is written once more at its end, and then the log begins there.

Every change is a record, but only the newest of each key counts. A start reads all of them, so without this it would take
longer with every day that the engine has lived. A partition is renewed when it holds many more records than there is to know.

Renewing goes in steps, between which changes go on. That is safe because each step writes what holds at its moment, and what
changes afterwards is written after it: the last record of every key is always the current one. What open transactions have
committed is written again too, in those transactions. The log's start moves when the
last step is on disk. Until then both halves are there, and say the same to whoever reads them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from ev.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.broker.runtime import Runtime
    from ev.coordinators.decision import Record
    from ev.log.partition import Partition

logger = logging.getLogger(__name__)

RECORDS_MAX: Final = 10_000
"""How many records more than it must a partition may hold; a start reads so many in a tenth of a second."""
LIVE_FACTOR: Final = 4
"""How many times what it must hold it may hold on top of that, so that renewing costs a small part of what is written."""
STEP_RECORDS: Final = 500


class Coordinator(Protocol):
    """Whose state the log holds: groups by their names, transactions by their ids."""

    def records_of(self, name: str) -> list[Record]:
        """Everything that the log must say of it."""

    def pending_records_of(self, name: str) -> dict[int, list[Record]]:
        """What open transactions have written of it, by producer id."""


class Renewal:
    """The renewal of one partition, time and again."""

    def __init__(
        self,
        partition: Partition,
        runtime: Runtime,
        names: Callable[[], Iterable[str]],
        coordinator: Coordinator,
    ) -> None:
        self.partition = partition
        self._runtime = runtime
        self._names = names
        self._coordinator = coordinator
        self._look_at = partition.log_start_offset + RECORDS_MAX
        self._left: list[str] | None = None  # what is still to be written; None when no renewal is going on
        self._begins_at = 0

    def appended(self) -> None:
        """Records were appended: see whether it is time."""
        if self.partition.end_offset >= self._look_at and self._left is None:
            names = list(self._names())
            live = sum(len(self._coordinator.records_of(name)) for name in names)
            self._look_at = self.partition.log_start_offset + RECORDS_MAX + LIVE_FACTOR * live
            if self.partition.end_offset >= self._look_at:
                self._left = names
                self._begins_at = self.partition.end_offset
                self._runtime.world.call_soon(self._step)

    def _step(self) -> None:
        """Write what now holds of some of them."""
        assert self._left is not None, "a step belongs to a renewal"
        records: list[tuple[bytes, bytes | None]] = []
        pending: dict[int, list[tuple[bytes, bytes | None]]] = {}
        while self._left and len(records) < STEP_RECORDS:
            name = self._left.pop()
            records += [(record.key, record.value) for record in self._coordinator.records_of(name)]
            for producer_id, theirs in self._coordinator.pending_records_of(name).items():
                pending.setdefault(producer_id, []).extend((record.key, record.value) for record in theirs)
        try:
            now_ms = self._runtime.clock.wall_ms()
            if records:
                self.partition.append_records(records, now_ms)
            for producer_id, theirs_now in pending.items():  # again behind what they will replace
                epoch = self.partition.producers.by_id[producer_id].epoch
                self.partition.append_records(theirs_now, now_ms, producer=(producer_id, epoch))
        except KafkaError as error:
            logger.warning("%s-%d is not renewed: %s", self.partition.topic, self.partition.index, error)
            self._end()
        else:
            if self._left:
                self._runtime.world.call_soon(self._step)
            else:
                self._runtime.after_round(self.partition.dirty_round, self._finish)

    def _finish(self) -> None:
        try:
            self.partition.delete_records(self._begins_at, self._runtime.clock.wall_ms())
        except KafkaError as error:
            logger.warning("%s-%d keeps its old records: %s", self.partition.topic, self.partition.index, error)
        self._end()

    def _end(self) -> None:
        self._left = None
        self._look_at = self.partition.end_offset + RECORDS_MAX
