"""How many records there are over time, from offsets alone: at the edge of each bucket every partition is asked for its offset.

No record is read, so it costs the same for a billion of them. Compaction and the markers of transactions make it an estimate, and so do
records that are older than those before them: then a bucket has less than nothing, which is shown as nothing.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ev.errors import EvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.consumer import Consumer
    from ev_cli.session import Session

    Partition = tuple[str, int]

BUCKETS = 60
SPAN_MAX_MS = 24 * 3_600_000
STEPS_MS = (1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_440_000)
"""How long a bucket may be; the shortest of which BUCKETS reach back far enough is taken."""


class Volume(NamedTuple):
    """Records per bucket, the oldest first."""

    begin_ms: int
    bucket_ms: int
    counts: tuple[int, ...]

    @property
    def end_ms(self) -> int:
        return self.begin_ms + self.bucket_ms * len(self.counts)

    def bucket_of(self, timestamp: int) -> int | None:
        """The bucket that a time falls into."""
        place = (timestamp - self.begin_ms) // self.bucket_ms
        return place if 0 <= place < len(self.counts) else None

    def moved(self, timestamp: int, steps: int) -> int:
        """The beginning of the bucket that is so many away from the one of this time, or of the next one that way which has records.

        What lies behind the last bucket is `end_ms`.
        """
        count = len(self.counts)
        way = 1 if steps > 0 else -1
        place = max(0, min((timestamp - self.begin_ms) // self.bucket_ms, count)) + steps
        while 0 <= place < count and not self.counts[place]:
            place += way
        if place < 0:
            place = next((place for place, number in enumerate(self.counts) if number), 0)
        return self.begin_ms + self.bucket_ms * min(place, count)


def bucket_ms_of(span_ms: int) -> int:
    """How long a bucket is, so that all of them reach over the span."""
    return next((step for step in STEPS_MS if step * (BUCKETS - 1) >= span_ms), STEPS_MS[-1])


class Soundings:
    """Offsets at the edges of buckets. What is known of an edge in the past is not asked again."""

    def __init__(self, session: Session, topics: Sequence[str], partitions: Sequence[int] | None = None) -> None:
        self._session = session
        self._topics = topics
        self._chosen = partitions
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._partitions: list[Partition] = []
        self._bucket_ms = 0
        self._edges: dict[int, int] = {}
        """The sum of all offsets at that time."""

    def take(self, now_ms: int) -> Volume | None:
        """Ask for what is not known yet; None when there is no record. It waits for the cluster."""
        with self._lock:
            try:
                return self._taken(now_ms)
            except EvError:
                self._disconnect()
                raise

    def _taken(self, now_ms: int) -> Volume | None:
        consumer = self._consumer or self._connected()
        partitions = self._partitions
        first = consumer.offsets_for_times(dict.fromkeys(partitions, 0))
        times = [found.timestamp for found in first.values() if found is not None]
        if not times:
            return None
        bucket_ms = bucket_ms_of(min(max(now_ms - min(times), 0), SPAN_MAX_MS))
        if bucket_ms != self._bucket_ms:
            self._bucket_ms = bucket_ms
            self._edges.clear()
        last = now_ms // bucket_ms * bucket_ms
        edges = [last - bucket_ms * place for place in reversed(range(BUCKETS))]
        ends = consumer.end_offsets(partitions)
        self._edges = {edge: total for edge, total in self._edges.items() if edges[0] <= edge < last}
        for edge in edges:
            if edge not in self._edges:
                found = consumer.offsets_for_times(dict.fromkeys(partitions, edge))
                self._edges[edge] = sum(ends[one] if (answer := found[one]) is None else answer.offset for one in partitions)
        totals = [*[self._edges[edge] for edge in edges], sum(ends.values())]
        counts = tuple([max(after - before, 0) for before, after in pairwise(totals)])
        return Volume(edges[0], bucket_ms, counts)

    def _connected(self) -> Consumer:
        session = self._session
        address = session.engine.listening_address() if session.target.is_local else None
        if address is not None:  # the local engine may have been started again at another address; one that was stopped stays so
            session.moved(address)
        self._consumer = consumer = session.consumer(
            isolation="read_uncommitted", request_timeout_ms=session.timeout_ms, timeout_ms=session.timeout_ms
        )
        self._partitions = [
            (topic, index)
            for topic in self._topics
            for index in consumer.partitions_for(topic)
            if self._chosen is None or index in self._chosen
        ]
        return consumer

    def close(self) -> None:
        """Waits for who asks just now."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
