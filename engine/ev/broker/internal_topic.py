"""A topic that a coordinator keeps its state in: created when it is first needed, one partition for each hash of a name.

Until the topic is there, nothing that would be in it exists, and whoever asks about it is told so.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.broker.broker import Broker
    from ev.broker.topics import Topic
    from ev.log.partition import Partition

logger = logging.getLogger(__name__)

_INT_BITS: Final = 1 << 32
_INT_SIGN: Final = 1 << 31


def java_hash(text: str) -> int:
    """What java.lang.String.hashCode() returns: 31-adic over the UTF-16 code units, in 32 signed bits."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for position in range(0, len(units), 2):
        value = (31 * value + (units[position] << 8 | units[position + 1])) % _INT_BITS
    return value - _INT_BITS if value & _INT_SIGN else value


@lru_cache(maxsize=4096)
def partition_for(name: str, partition_count: int) -> int:
    """The partition that Kafka would choose for this group or transactional id."""
    value = java_hash(name)
    return 0 if value == -_INT_SIGN else abs(value) % partition_count


class InternalTopic:
    """One such topic of this broker."""

    def __init__(self, broker: Broker, name: str, new: Callable[[], Topic]) -> None:
        self._broker = broker
        self._new = new
        self._waiting: list[Callable[[int], None]] | None = None  # until the topic is there; None when nobody creates it
        self.name = name

    @property
    def partition_count(self) -> int:
        """0 while it does not exist."""
        return self._broker.topics.partitions_of(self.name)

    def partitions(self) -> list[Partition]:
        found = (self._broker.store.partition(self.name, index) for index in range(self.partition_count))
        return [partition for partition in found if partition is not None]

    def partition(self, index: int) -> Partition:
        """Raises KafkaError COORDINATOR_NOT_AVAILABLE when it is not there."""
        partition = self._broker.store.partition(self.name, index)
        if partition is None:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return partition

    def index_of(self, name: str) -> int:
        """The partition of a group or transactional id. Only while the topic exists."""
        return partition_for(name, self.partition_count)

    def round_of(self, names: Iterable[str] | None) -> int:
        """The round that makes all durable that the topic says of these (None: of all)."""
        count = self.partition_count
        if not count:
            return 0
        if names is None:
            partitions: Iterable[Partition | None] = self.partitions()
        else:
            partitions = [self._broker.store.partition(self.name, index) for index in {partition_for(each, count) for each in names}]
        return max((partition.dirty_round for partition in partitions if partition is not None), default=0)

    @property
    def is_being_made(self) -> bool:
        return self._waiting is not None

    def when_ready(self, run: Callable[[int], None]) -> None:
        """Run this with NONE as soon as the topic is there, or with an error code when it cannot be made."""
        if self._waiting is not None:
            self._waiting.append(run)
        elif self.partition_count:
            run(ErrorCode.NONE)
        else:
            self._waiting = [run]
            try:
                self._broker.create_topics([self._new()], self._broker.clock.wall_ms(), self._created)
            except KafkaError as error:
                logger.warning("%s could not be created: %s", self.name, error)
                self._created()

    def _created(self) -> None:
        waiting, self._waiting = self._waiting, None
        error_code = ErrorCode.NONE if self.partition_count else ErrorCode.COORDINATOR_NOT_AVAILABLE
        for run in waiting or ():
            run(error_code)
