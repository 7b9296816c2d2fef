"""A cluster at one moment, as whoever shows it reads it: immutable rows, unknown is None, texts are the cluster's own bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nlargest

from ev_cli.model.lag import WORSE, Verdict
from ev_cli.model.rates import Rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Partition = tuple[str, int]
    Means = tuple[float | None, ...]

CONNECTING, CONNECTED, LOST = "connecting", "connected", "lost"
UNKNOWN_ETA, LEFT_OVER = -1.0, -2.0


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether the cluster answers: since when, and, when it does not, why and when it is asked again (time.monotonic())."""

    state: str = CONNECTING
    since_ms: int = 0
    error: str | None = None
    next_attempt_at: float | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class BrokerRow:
    """A broker; one that was there and is not has `is_here` False."""

    node_id: int
    host: str
    port: int
    rack: str | None
    is_here: bool
    gone_since_ms: int | None
    is_controller: bool
    leads: int
    replicas: int
    rate: Rate | None
    stored_bytes: int | None
    total_bytes: int | None
    usable_bytes: int | None


@dataclass(frozen=True, slots=True)
class DirectoryRow:
    """A directory in which a broker keeps replicas."""

    broker: int
    path: str
    replicas: int
    stored_bytes: int
    total_bytes: int | None
    usable_bytes: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic. `skew` is how many times the mean its busiest partition gets; `received` is how many records have come since the
    model began to look; `seen_at` is when the ends were last read."""

    name: str
    topic_id: bytes
    internal: bool
    partitions: int
    replication_factor: int
    under_replicated: int
    leaderless: int
    records: int | None
    size_bytes: int | None
    rate: Rate | None
    bytes_rate: Rate | None
    received: int | None
    history: Means
    groups: tuple[str, ...]
    max_lag: int | None
    skew: float | None
    hottest_partition: int | None
    seen_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class PartitionRow:
    topic: str
    index: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    offline: tuple[int, ...]
    start: int | None
    end: int | None
    records: int | None
    size_bytes: int | None
    rate: Rate | None
    history: Means
    max_lag: int | None
    seen_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group. `drain` is by how much its lag shrinks in a second; `verdict_about` are the partitions that the verdict stands for."""

    group: str
    state: str
    protocol_type: str
    type: str
    members: int | None
    topics: tuple[str, ...] | None
    partitions: int | None
    lag: int | None
    drain: Rate | None
    progress: Rate | None
    eta_s: float | None
    time_lag_ms: int | None
    verdict: Verdict | None
    verdict_about: tuple[Partition, ...]
    history: Means
    rebalances: int
    seen_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class GroupPartitionRow:
    topic: str
    index: int
    committed: int | None
    start: int | None
    end: int | None
    lag: int | None
    rate: Rate | None
    progress: Rate | None
    drain: Rate | None
    eta_s: float | None
    time_lag_ms: int | None
    verdict: Verdict | None
    history: Means
    member: str | None
    member_id: str | None
    host: str | None


@dataclass(frozen=True, slots=True)
class MemberRow:
    member_id: str
    client_id: str
    instance_id: str | None
    host: str
    partitions: tuple[Partition, ...]
    lag: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has changed between two looks: `kind` is one word (see `events`), `about` the thing's name."""

    time_ms: int
    kind: str
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that holds for a thing. `key` names both; what was acknowledged is still there, what is muted, too, until its time is over."""

    key: str
    rule: str
    about: str
    text: str
    since_ms: int
    acknowledged: bool
    muted_until_ms: int | None

    @property
    def is_loud(self) -> bool:
        return not self.acknowledged and self.muted_until_ms is None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. Reading it costs nothing and waits for nobody; the next one is another object."""

    version: int
    at: float
    time_ms: int
    connection: Connection
    cluster_id: str | None
    controller_id: int | None
    brokers: tuple[BrokerRow, ...]
    topics: Mapping[str, TopicRow]
    partitions: Mapping[str, tuple[PartitionRow, ...]]
    groups: Mapping[str, GroupRow]
    group_partitions: Mapping[str, tuple[GroupPartitionRow, ...]]
    members: Mapping[str, tuple[MemberRow, ...]]
    records_in: Rate | None
    bytes_in: Rate | None
    records_out: Rate | None
    history_in: Means
    history_out: Means
    events: tuple[Event, ...]
    alerts: tuple[Alert, ...]
    refused: Mapping[str, str]
    knows_topics: bool
    knows_groups: bool
    is_complete: bool
    directories: tuple[DirectoryRow, ...] = ()

    @property
    def stage(self) -> tuple[str, bool, bool, bool]:
        """How far the model has come since it was made: is anybody there, which names are known, was everything seen once."""
        return self.connection.state, self.knows_topics, self.knows_groups, self.is_complete

    @property
    def is_connected(self) -> bool:
        return self.connection.state == CONNECTED

    def hottest(self, count: int) -> list[TopicRow]:
        """The topics that get the most records, the busiest first; those that get none are not among them."""
        busy = [row for row in self.topics.values() if row.rate is not None and row.rate.per_s > 0 and not row.internal]
        return nlargest(count, busy, key=lambda row: row.rate.per_s if row.rate is not None else 0.0)

    def worst(self, count: int) -> list[GroupRow]:
        """The groups that are behind, those first that catch up last; what is not known comes behind what never ends."""
        return nlargest(count, [row for row in self.groups.values() if row.lag], key=urgency)


def urgency(row: GroupRow) -> tuple[float, int, int]:
    """A key to sort groups by: by the time to catch up, then by the verdict, then by the lag.

    A group that nobody reads for, and for which nothing comes in any more, is only left over: it is the last.
    """
    eta = UNKNOWN_ETA if row.eta_s is None else row.eta_s
    if row.verdict is Verdict.STALLED:
        eta = math.inf
    elif row.verdict is Verdict.DEAD:
        eta = math.inf if row.drain is not None and row.drain.per_s < 0 else LEFT_OVER
    return eta, -1 if row.verdict is None else WORSE[row.verdict], row.lag or 0
