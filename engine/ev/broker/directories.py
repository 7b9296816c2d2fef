"""Makes the directories of new partitions, a few in each turn of the loop, so that a topic of thousands holds up nobody.

Begun when the topic's record is on disk. Until it is over the topic has fewer partitions than its record says; a restart in
between makes the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.broker import Broker
    from ev.broker.topics import Topic

PARTITIONS_PER_TURN: Final = 16


class DirectoryMaking:
    """Brings topics up to the partition counts that their records say, then calls `done`."""

    def __init__(self, broker: Broker, topics: Iterable[Topic], failed: Callable[[Topic, OSError], None], done: Callable[[], None]) -> None:
        self._broker = broker
        self._topics = deque(topics)
        self._failed = failed
        self._done = done

    def run(self) -> None:
        """Do one turn's work."""
        left = PARTITIONS_PER_TURN
        while self._topics:
            topic = self._broker.topics.by_id(self._topics[0].id)  # as it is now: it may have grown again, or be gone
            present = 0 if topic is None else self._present(topic.name)
            if topic is None or present >= topic.partition_count:
                self._topics.popleft()
            elif left == 0:
                self._broker.runtime.world.call_soon(self.run)
                return
            else:
                count = min(left, topic.partition_count - present)
                left -= count
                self._make(topic, present, present + count)
        self._done()

    def _present(self, name: str) -> int:
        stored = self._broker.store.topics.get(name)
        return 0 if stored is None else len(stored.partitions)

    def _make(self, topic: Topic, present: int, count: int) -> None:
        store = self._broker.store
        try:
            if present:
                store.add_partitions(topic.name, count)
            else:
                store.create_topic(topic.name, topic.id, count, self._broker.config_of(topic))
        except OSError as error:
            self._topics.popleft()
            self._failed(topic, error)
