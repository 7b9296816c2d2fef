"""Records that come one by one: columns that are poured into batches together, which costs far less than each on its own."""

from __future__ import annotations

from time import monotonic, time

SIZE_MAX = 1024
"""Values and keys that are larger are not held, so that what is held stays small."""
COUNT_MAX = 1000


class HeldRecords:
    """Those of one topic, partition (where the program names one) and tag, all with keys or all without.

    Never held beyond the time at which the batch that they belong to is to leave. `topic` is None while nothing may be held.
    """

    __slots__ = ("began_ms", "count_max", "due_s", "keyed", "keys", "partition", "tag", "topic", "values", "wall_ms")

    def __init__(self, batch_bytes: int) -> None:
        self.topic: str | None = None
        self.partition: int | None = None
        self.tag: object = None
        self.keyed = False
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.began_ms = 0
        """When the first of them came, on the clock of all deadlines."""
        self.wall_ms = 0
        """The same in time since 1970."""
        self.due_s = 0.0
        self.count_max = max(1, min(COUNT_MAX, batch_bytes // SIZE_MAX))

    def expect(self, topic: str, partition: int | None, tag: object, keyed: bool) -> None:
        """Hold records like this one from now on. There are none at the moment."""
        self.topic = topic
        self.partition = partition
        self.tag = tag
        self.keyed = keyed

    def begin(self, linger_ms: int, linger_at_ms: int | None) -> None:
        """The first one is there. A batch that is open already leaves at `linger_at_ms`."""
        now_s = monotonic()
        self.began_ms = int(now_s * 1000)
        self.wall_ms = int(time() * 1000)
        self.due_s = now_s + linger_ms / 1000
        if linger_at_ms is not None:
            self.due_s = min(self.due_s, linger_at_ms / 1000)

    def take(self) -> tuple[list[bytes | None], list[bytes | None] | None]:
        """Values and keys of those that are held, which are no longer."""
        values, self.values = self.values, []
        keys = None
        if self.keyed:
            keys, self.keys = self.keys, []
        return values, keys
