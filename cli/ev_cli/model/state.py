"""All that is known of a cluster: answers go in with the time at which they came, immutable snapshots come out."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from types import MappingProxyType

from ev_cli.model import events
from ev_cli.model.groups import Groups, group_partition_rows, member_rows
from ev_cli.model.rates import History
from ev_cli.model.snapshot import CONNECTED, CONNECTING, LOST, BrokerRow, Connection, DirectoryRow, Event, Snapshot
from ev_cli.model.topics import Topics, partition_rows, total

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ev.client.brokers import LogDirectory
    from ev.client.results import Broker, ClusterDescription, FoundOffset, GroupDescription, GroupListing, TopicDescription
    from ev.client.survey import GroupOffsets
    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import GroupRow, TopicRow

    Partition = tuple[str, int]

EVENTS_KEPT = 200
TRAFFIC_BUCKETS = 90
PARTITIONS_SUMMED_PER_S = 10_000
"""Sums over everything are made so much less often when there is more to sum."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody looks at. None: at nothing in particular."""

    topics: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    topic_details: frozenset[str] = frozenset()
    group_details: frozenset[str] = frozenset()

    @property
    def all_topics(self) -> frozenset[str]:
        return (self.topics or frozenset()) | self.topic_details

    @property
    def all_groups(self) -> frozenset[str]:
        return (self.groups or frozenset()) | self.group_details


class ClusterState:
    """One cluster. `now` is time.monotonic(), `time_ms` the time of day; both are given by whoever has asked."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.groups = Groups()
        self.connection = Connection()
        self.cluster: ClusterDescription | None = None
        self.brokers: dict[int, Broker] = {}
        self.quorum_leader: int | None = None
        self.gone_since_ms: dict[int, int] = {}
        self.directories: dict[int, list[LogDirectory]] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.refused: dict[str, str] = {}
        self.knows_topics = self.knows_groups = False
        self.swept: set[str] = set()
        """Which sweeps have been through everything once."""
        self.history_in, self.history_out = History(TRAFFIC_BUCKETS), History(TRAFFIC_BUCKETS)
        self._version = 0
        self._sums: tuple[Rate | None, Rate | None, Rate | None] = (None, None, None)
        self._rates_by_leader: dict[int, Rate] = {}
        self._leads: Counter[int] = Counter()
        self._replicas: Counter[int] = Counter()
        self._summed_at: float | None = None
        self._topic_rows: Mapping[str, TopicRow] = MappingProxyType({})
        self._group_rows: Mapping[str, GroupRow] = MappingProxyType({})

    # -- the connection --------------------------------------------------------------------------------------------------

    def connected(self, time_ms: int) -> None:
        """The cluster has answered."""
        if self.connection.state == CONNECTED:
            return
        if self.connection.state == LOST and self.knows_topics:
            self.tell([Event(time_ms, events.CONNECTION, "", "answers again")])
        self.connection = Connection(CONNECTED, time_ms)

    def lost(self, error: str, time_ms: int, next_attempt_at: float) -> None:
        """Nobody answers. What was known stays; that it moves is not known any more."""
        before = self.connection
        if before.state == CONNECTED:
            self.topics.lost()
            self.groups.lost()
            self._summed_at = None
            self.tell([Event(time_ms, events.CONNECTION, "", f"lost: {error}")])
        since_ms = time_ms if before.state in (CONNECTED, CONNECTING) and not before.attempts else before.since_ms
        self.connection = Connection(LOST, since_ms, error, next_attempt_at, before.attempts + 1)

    def refuse(self, question: str, error: str) -> None:
        """The cluster does not answer this to us; everything else it does."""
        self.refused[question] = error

    # -- answers ---------------------------------------------------------------------------------------------------------

    def take_cluster(self, cluster: ClusterDescription, time_ms: int) -> None:
        if self.cluster is not None:
            self.tell(events.between_brokers(self.cluster.brokers, cluster.brokers, self.brokers, time_ms))
        here = {broker.node_id: broker for broker in cluster.brokers}
        for node in self.brokers.keys() - here.keys():
            self.gone_since_ms.setdefault(node, time_ms)
        for node in here:
            self.gone_since_ms.pop(node, None)
        self.brokers.update(here)
        self.cluster = cluster

    def take_controller(self, node: int, time_ms: int) -> None:
        """Who leads the metadata's quorum. Brokers name any of themselves as the controller, so only this says who it is."""
        if self.quorum_leader not in (None, node):
            self.tell([Event(time_ms, events.BROKER, str(node), f"is the controller, in place of {self.quorum_leader}")])
        self.quorum_leader = node

    @property
    def controller_id(self) -> int | None:
        """The controller; where there is no quorum to ask, whom the brokers name."""
        if self.quorum_leader is not None:
            return self.quorum_leader
        return None if self.cluster is None or self.cluster.controller_id < 0 else self.cluster.controller_id

    def take_topics(self, described: list[TopicDescription], time_ms: int) -> None:
        if self.knows_topics:
            before = {name: state.description for name, state in self.topics.states.items()}
            self.tell(events.between_topics(before, described, time_ms))
        self.topics.describe(described)
        self.knows_topics = True
        own = [each for topic in described if not topic.internal for each in topic.partitions]
        self._leads = Counter([each.leader for each in own])
        self._replicas = Counter([node for each in own for node in each.replicas])

    def take_groups(self, listings: list[GroupListing], time_ms: int, *, everybody: bool) -> None:
        """All groups; when not `everybody` has answered, those that nobody named may still be there."""
        before = {name: state.listing for name, state in self.groups.states.items()}
        named = {listing.group for listing in listings}
        if not everybody:
            listings = [*listings, *[listing for name, listing in before.items() if name not in named]]
        if self.knows_groups:
            self.tell(events.between_groups(before, listings, time_ms))
        for name in before.keys() - {listing.group for listing in listings}:
            self.topics.forget_group(name)
        self.groups.list(sorted(listings, key=lambda listing: listing.group))
        self.knows_groups = True

    def take_members(self, described: Mapping[str, GroupDescription], time_ms: int) -> None:
        for name, description in described.items():
            state = self.groups.states.get(name)
            if state is not None and description.error is None:
                self.tell(events.between_members(state.description, description, time_ms))
        self.groups.describe(described)

    def take_directories(self, found: Iterable[LogDirectory], now: float) -> None:
        by_broker: dict[int, list[LogDirectory]] = {}
        sizes: dict[Partition, int] = {}
        for directory in found:
            by_broker.setdefault(directory.broker, []).append(directory)
            for partition, size in directory.partitions.items():
                sizes[partition] = max(sizes.get(partition, 0), size)
        self.directories.update(by_broker)
        self.topics.take_sizes(sizes, now)

    def take_ends(self, found: Mapping[Partition, FoundOffset], now: float, time_ms: int) -> bool:
        return self.topics.take_ends(found, now, time_ms)

    def take_starts(self, found: Mapping[Partition, FoundOffset], now: float) -> None:
        self.topics.take_starts(found, now)

    def take_committed(self, found: Mapping[str, GroupOffsets], now: float) -> None:
        self.groups.take_committed(found, now)

    def settle(self, groups: Iterable[str], now: float, time_ms: int) -> None:
        self.groups.settle(groups, self.topics, now, time_ms)

    def unknown_arrivals(self, groups: Iterable[str], count: int) -> dict[Partition, int]:
        """The next record that each of these groups reads in a partition, as far as its time is not known; no more than so many."""
        wanted: dict[Partition, int] = {}
        for name in groups:
            state = self.groups.states.get(name)
            for partition, commit in state.commits.items() if state is not None else ():
                place = self.topics.partition(*partition)
                if not commit.lag or place is None or place.times is None or partition in wanted:
                    continue
                offset = max(commit.committed, place.start or 0)
                if place.times.needs(offset):
                    wanted[partition] = offset
                    if len(wanted) >= count:
                        return wanted
        return wanted

    def take_arrivals(self, found: Mapping[Partition, int], wanted: Mapping[Partition, int]) -> None:
        for partition, time_ms in found.items():
            place = self.topics.partition(*partition)
            if place is not None and place.times is not None and time_ms >= 0:
                place.times.learn(wanted[partition], time_ms)

    def tell(self, told: Iterable[Event]) -> None:
        self.events.extendleft(told)

    # -- what is shown ---------------------------------------------------------------------------------------------------

    def snapshot(self, wish: Wish, now: float, time_ms: int) -> Snapshot:
        """What is known now. Only rows that have changed are made anew."""
        if self.groups.renewed(self.topics, now, time_ms):
            self._group_rows = MappingProxyType(dict(self.groups.rows))
        if self.topics.renewed(now):
            self._topic_rows = MappingProxyType(dict(self.topics.rows))
        self._sum(now)
        self._version += 1
        cluster = self.cluster
        records_in, bytes_in, records_out = self._sums
        return Snapshot(
            self._version,
            now,
            time_ms,
            self.connection,
            None if cluster is None else cluster.cluster_id,
            self.controller_id,
            self._broker_rows(),
            self._topic_rows,
            MappingProxyType(
                {
                    name: partition_rows(self.topics.states[name], self.groups.lags_in(self.topics.states[name]), now)
                    for name in wish.topic_details
                    if name in self.topics.states
                }
            ),
            self._group_rows,
            MappingProxyType(
                {
                    name: group_partition_rows(self.groups.states[name], self.topics, now, time_ms)
                    for name in wish.group_details
                    if name in self.groups.states
                }
            ),
            MappingProxyType({name: member_rows(self.groups.states[name]) for name in wish.group_details if name in self.groups.states}),
            records_in,
            bytes_in,
            records_out,
            self.history_in.means(now),
            self.history_out.means(now),
            tuple(self.events),
            (),
            MappingProxyType(dict(self.refused)),
            self.knows_topics,
            self.knows_groups,
            self.knows_topics and self.knows_groups and {"topics", "groups"} <= self.swept,
            tuple([directory_row(each) for _, some in sorted(self.directories.items()) for each in some]),
        )

    def _sum(self, now: float) -> None:
        """Sums over everything, no oftener than they are worth it."""
        pause_s = len(self.topics.rows) / PARTITIONS_SUMMED_PER_S
        if self._summed_at is not None and now < self._summed_at + pause_s:
            return
        own = [row for row in self.topics.rows.values() if not row.internal]
        records_in, records_out = total(row.rate for row in own), self.groups.progress()
        self._sums = records_in, total(row.bytes_rate for row in own), records_out
        self._rates_by_leader = self.topics.rates_by_leader()
        if records_in is not None:
            self.history_in.note(now, records_in.per_s)
        if records_out is not None:
            self.history_out.note(now, records_out.per_s)
        self._summed_at = now

    def _broker_rows(self) -> tuple[BrokerRow, ...]:
        cluster = self.cluster
        here: Collection[int] = () if cluster is None else {broker.node_id for broker in cluster.brokers}
        rows = []
        for node, broker in sorted(self.brokers.items()):
            directories = self.directories.get(node)
            rows.append(
                BrokerRow(
                    node,
                    broker.host,
                    broker.port,
                    broker.rack,
                    node in here,
                    self.gone_since_ms.get(node),
                    self.controller_id == node,
                    self._leads.get(node, 0),
                    self._replicas.get(node, 0),
                    self._rates_by_leader.get(node),
                    None if directories is None else sum(sum(each.partitions.values()) for each in directories),
                    amount(directories, "total_bytes"),
                    amount(directories, "usable_bytes"),
                )
            )
        return tuple(rows)


def directory_row(directory: LogDirectory) -> DirectoryRow:
    return DirectoryRow(
        directory.broker,
        directory.path,
        len(directory.partitions),
        sum(directory.partitions.values()),
        directory.total_bytes if directory.total_bytes >= 0 else None,
        directory.usable_bytes if directory.usable_bytes >= 0 else None,
        None if directory.error is None else str(directory.error),
    )


def amount(directories: list[LogDirectory] | None, name: str) -> int | None:
    """What a broker says of its volumes; None when it does not say. Directories of one size are taken for the same volume."""
    values = {(each.total_bytes, each.usable_bytes): getattr(each, name) for each in directories or ()}
    return None if not values or any(value < 0 for value in values.values()) else sum(values.values())
