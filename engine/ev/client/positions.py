"""Where a consumer stands in each of its partitions, and where it will read next. No I/O; the time is passed in.

A partition has two offsets. `offset` is what the application will be given next: the consumer's position, and what it commits.
`fetch_offset` runs ahead of it by what was fetched and not yet handed out. A seek sets both and makes whatever is on its way
worthless: `seeks` counts them, and an answer that was asked for under another count is dropped.

`epoch` is the leader epoch in which the record before `offset` was written. A leader of a later epoch may have lost that record
(KIP-320): before it is read from, it is asked where `epoch` ended. `checked_epoch` is the last one that was asked.

A partition is read from its leader, or from another of its `replica`s, which the leader has named because it is nearer (KIP-392): until
`replica_until_ms`, and as long as all goes well there.

A partition is read when it has an offset, is not paused, has nothing fetched left over and no fetch on its way. Without an offset it first
waits for the group's committed one, or for the broker to say which offset the reset policy means.
"""

from __future__ import annotations

from ev.errors import ErrorCode, KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    TopicPartition = tuple[str, int]

UNKNOWN = -1
LATEST = -1
EARLIEST = -2
"""The timestamps that ListOffsets takes for the two ends."""

RESET_TIMESTAMPS = {"latest": LATEST, "earliest": EARLIEST}
SETTLED, WANTS_COMMITTED, WANTS_RESET = "settled", "wants committed", "wants reset"


class Position:
    """One assigned partition."""

    __slots__ = (
        "buffered",
        "checked_epoch",
        "epoch",
        "failures",
        "fetch_offset",
        "fetching",
        "high_watermark",
        "index",
        "last_stable_offset",
        "log_start_offset",
        "not_before_ms",
        "offset",
        "paused",
        "replica",
        "replica_until_ms",
        "reset_timestamp",
        "seeks",
        "state",
        "topic",
    )

    def __init__(self, topic: str, index: int) -> None:
        self.topic = topic
        self.index = index
        self.offset = UNKNOWN
        self.fetch_offset = UNKNOWN
        self.epoch = UNKNOWN
        self.checked_epoch = UNKNOWN
        self.state = WANTS_RESET
        self.reset_timestamp: int | None = None
        self.paused = False
        self.seeks = 0
        self.fetching = False
        self.buffered = 0
        self.failures = 0
        self.not_before_ms = 0
        self.replica = UNKNOWN
        self.replica_until_ms = 0
        self.high_watermark = UNKNOWN
        self.log_start_offset = UNKNOWN
        self.last_stable_offset = UNKNOWN

    def seek(self, offset: int, epoch: int = UNKNOWN) -> None:
        """Read from here on. What was fetched for another place is dropped where it arrives."""
        self.offset = self.fetch_offset = offset
        self.epoch = epoch
        self.checked_epoch = UNKNOWN
        self.replica = UNKNOWN
        self.state = SETTLED
        if offset != UNKNOWN:
            self.failures = self.not_before_ms = 0
        self.seeks += 1
        self.buffered = 0
        self.fetching = False

    def want_reset(self, timestamp: int | None) -> None:
        """Ask the broker for the offset of a timestamp; None stands for the consumer's policy."""
        self.seek(UNKNOWN)
        self.state = WANTS_RESET
        self.reset_timestamp = timestamp

    def want_committed(self) -> None:
        self.seek(UNKNOWN)
        self.state = WANTS_COMMITTED

    def put_off(self, now_ms: int, backoff: Callable[[int], int]) -> None:
        """What was asked about it failed, and may succeed later: leave it alone for a while, a longer one each time in a row."""
        self.not_before_ms = now_ms + backoff(self.failures)
        self.failures += 1

    def delivered(self, next_offset: int, epoch: int) -> None:
        """The application has been given everything before `next_offset`."""
        self.offset = next_offset
        self.epoch = epoch

    def needs_check(self, leader_epoch: int) -> bool:
        """Whether a leader of this epoch has to be asked whether it has what was read before."""
        return UNKNOWN < self.epoch < leader_epoch != self.checked_epoch

    def readable(self, now_ms: int) -> bool:
        return self.state == SETTLED and not (self.paused or self.fetching or self.buffered) and now_ms >= self.not_before_ms


class Positions:
    """The assigned partitions, in the order in which they take turns."""

    def __init__(self) -> None:
        self.by_partition: dict[TopicPartition, Position] = {}

    def __iter__(self) -> Iterator[Position]:
        return iter(self.by_partition.values())

    def __len__(self) -> int:
        return len(self.by_partition)

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self.by_partition

    def __getitem__(self, partition: TopicPartition) -> Position:
        """The position of an assigned partition; IllegalState in Kafka's client, here the error that a broker would give."""
        position = self.by_partition.get(partition)
        if position is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{partition[0]}/{partition[1]} is not assigned to this consumer")
        return position

    def get(self, partition: TopicPartition) -> Position | None:
        return self.by_partition.get(partition)

    def assign(self, partitions: Iterable[TopicPartition]) -> list[Position]:
        """Take these and no others; what is kept keeps its position. Returns the new ones."""
        old, self.by_partition = self.by_partition, {}
        added = []
        for partition in partitions:
            position = old.get(partition)
            if position is None:
                position = Position(*partition)
                added.append(position)
            self.by_partition[partition] = position
        return added

    def rotate(self, partition: TopicPartition) -> None:
        """This one has had its turn: let the others come first next time, so that one busy partition starves none."""
        self.by_partition[partition] = self.by_partition.pop(partition)

    def wanting(self, state: str, now_ms: int) -> list[Position]:
        return [position for position in self if position.state == state and now_ms >= position.not_before_ms]

    def consumed(self) -> dict[TopicPartition, tuple[int, int]]:
        """Offset and leader epoch to commit, for everything that has a position."""
        return {partition: (p.offset, p.epoch) for partition, p in self.by_partition.items() if p.state == SETTLED}
