"""What is known of topics and their partitions: taken from the cluster's answers, turned into rows where something has changed."""

from __future__ import annotations

from ev_cli.model.lag import Times
from ev_cli.model.rates import History, Meter, Rate
from ev_cli.model.snapshot import PartitionRow, TopicRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.results import FoundOffset, TopicDescription, TopicPartitionDescription

    Partition = tuple[str, int]


class PartitionState:
    """One partition: what the metadata says of it, its two ends, its size."""

    __slots__ = ("description", "end", "error", "meter", "seen_at", "size_bytes", "start", "start_at", "times")

    def __init__(self, description: TopicPartitionDescription) -> None:
        self.description = description
        self.meter = Meter()
        self.start: int | None = None
        self.start_at: float | None = None
        self.end: int | None = None
        self.seen_at: float | None = None
        self.size_bytes: int | None = None
        self.error: str | None = None
        self.times: Times | None = None

    @property
    def records(self) -> int | None:
        return None if self.start is None or self.end is None else max(0, self.end - self.start)


class TopicState:
    """One topic with its partitions by index."""

    __slots__ = ("bytes_meter", "description", "history", "lags", "partitions", "received", "seen_at")

    def __init__(self, description: TopicDescription) -> None:
        self.description = description
        self.history = History()
        self.bytes_meter = Meter()
        self.partitions: dict[int, PartitionState] = {}
        self.seen_at: float | None = None
        self.received: int | None = None
        self.lags: dict[str, int | None] = {}
        """The groups that have commits here, each with its lag in this topic."""


class Topics:
    """All topics by name. `changed` are those whose rows are out of date."""

    def __init__(self) -> None:
        self.states: dict[str, TopicState] = {}
        self.rows: dict[str, TopicRow] = {}
        self.changed: set[str] = set()
        self._has_lost_some = False

    # -- what is learned -------------------------------------------------------------------------------------------------

    def describe(self, descriptions: Iterable[TopicDescription]) -> None:
        """All topics that there are. One of the same name and another id is another topic."""
        states: dict[str, TopicState] = {}
        for description in descriptions:
            known = self.states.get(description.name)
            if known is None or known.description.topic_id != description.topic_id:
                known = TopicState(description)
                self.changed.add(description.name)
            elif not same_layout(known.description, description):
                self.changed.add(description.name)
            known.description = description
            before = known.partitions
            known.partitions = {}
            for each in description.partitions:
                state = before.get(each.index) or PartitionState(each)
                state.description = each
                known.partitions[each.index] = state
            states[description.name] = known
        self.states = states
        rows = {name: self.rows[name] for name in states if name in self.rows}
        self._has_lost_some |= len(rows) < len(self.rows)
        self.rows = rows

    def take_ends(self, found: Mapping[Partition, FoundOffset], now: float, time_ms: int) -> bool:
        """The ends of some partitions. Returns whether any has moved."""
        grown: dict[str, int] = {}
        moved = False
        for (topic, index), offset in found.items():
            state = self.partition(topic, index)
            if state is None:
                continue
            grown.setdefault(topic, 0)
            if offset.error is not None or offset.offset < 0:
                moved |= state.error is None
                state.error = None if offset.error is None else str(offset.error)
                continue
            state.error = None
            moved |= state.end != offset.offset
            if state.end is not None and offset.offset < state.end:
                state.start = None  # the log was cut or is a new one: where it begins has to be asked again
            state.end, state.seen_at = offset.offset, now
            grown[topic] += state.meter.take(offset.offset, now)
            if state.times is not None:
                state.times.take(offset.offset, time_ms)
        for topic, count in grown.items():
            self._note_growth(self.states[topic], count, now)
            self.changed.add(topic)
        return moved

    @staticmethod
    def _note_growth(topic: TopicState, count: int, now: float) -> None:
        if topic.seen_at is not None and now > topic.seen_at:
            topic.history.spread(topic.seen_at, now, count)
        topic.received = count + (topic.received or 0)
        topic.seen_at = now

    def take_starts(self, found: Mapping[Partition, FoundOffset], now: float) -> None:
        for (topic, index), offset in found.items():
            state = self.partition(topic, index)
            if state is not None and offset.error is None and offset.offset >= 0:
                state.start, state.start_at = offset.offset, now
                self.changed.add(topic)

    def take_sizes(self, sizes: Mapping[Partition, int], now: float) -> None:
        """How large the largest replica of each partition is."""
        totals: dict[str, int] = {}
        for (topic, index), size in sizes.items():
            state = self.partition(topic, index)
            if state is not None:
                state.size_bytes = size
                totals[topic] = totals.get(topic, 0) + size
        for topic, total in totals.items():
            self.states[topic].bytes_meter.take(total, now)
            self.changed.add(topic)

    def take_lags(self, group: str, by_partition: Mapping[Partition, int | None]) -> None:
        """How far a group is behind, for the topics' own rows."""
        lags: dict[str, int | None] = {}
        for (topic, _), lag in by_partition.items():
            before = lags.get(topic, 0)
            lags[topic] = None if lag is None or before is None else before + lag
        for name, lag in lags.items():
            state = self.states.get(name)
            if state is not None and (group not in state.lags or state.lags[group] != lag):
                state.lags[group] = lag
                self.changed.add(name)

    def forget_group(self, group: str) -> None:
        for name, state in self.states.items():
            if group in state.lags:
                del state.lags[group]
                self.changed.add(name)

    def lost(self) -> None:
        """Nobody has answered for a while: what is read next says nothing of a rate. The histories keep their gap."""
        for name, topic in self.states.items():
            topic.seen_at = None
            topic.bytes_meter.forget()
            for state in topic.partitions.values():
                state.meter.forget()
            self.changed.add(name)

    # -- what is asked ---------------------------------------------------------------------------------------------------

    def partition(self, topic: str, index: int) -> PartitionState | None:
        state = self.states.get(topic)
        return None if state is None else state.partitions.get(index)

    def partitions_of(self, names: Iterable[str]) -> list[Partition]:
        """Those of these topics that somebody leads."""
        return [
            (name, index)
            for name in names
            if name in self.states
            for index, state in self.states[name].partitions.items()
            if state.description.leader >= 0
        ]

    def without_start(self, partitions: Iterable[Partition], before: float) -> list[Partition]:
        """Those of which the start is not known, or was last read before that moment."""
        found = []
        for topic, index in partitions:
            state = self.partition(topic, index)
            if state is not None and (state.start is None or state.start_at is None or state.start_at < before):
                found.append((topic, index))
        return found

    def watch(self, names: frozenset[str]) -> None:
        """These are on screen: from now on the histories of their partitions are kept, too."""
        for name in names & self.states.keys():
            for state in self.states[name].partitions.values():
                if state.meter.history is None:
                    state.meter.history = History()

    # -- what is shown ---------------------------------------------------------------------------------------------------

    def renewed(self, now: float) -> bool:
        """Bring the rows up to date. Returns whether there was anything to do."""
        if not self.changed and not self._has_lost_some:
            return False
        fresh = False
        for name in self.changed:
            state = self.states.get(name)
            if state is not None:
                fresh |= name not in self.rows
                self.rows[name] = topic_row(state, now)
        if fresh:
            self.rows = {name: self.rows[name] for name in self.states}
        self.changed.clear()
        self._has_lost_some = False
        return True

    def rates_by_leader(self) -> dict[int, Rate]:
        """What each broker gets as the leader of partitions; unknown ones count as nothing."""
        found: dict[int, float] = {}
        window_s = 0.0
        for topic in self.states.values():
            if topic.description.internal:
                continue
            for state in topic.partitions.values():
                meter = state.meter
                if meter.per_s is not None:
                    leader = state.description.leader
                    found[leader] = found.get(leader, 0.0) + meter.per_s
                    window_s = max(window_s, meter.window_s)
        return {leader: Rate(per_s, window_s) for leader, per_s in found.items()}


def same_layout(one: TopicDescription, other: TopicDescription) -> bool:
    """Whether the same brokers lead and have the same partitions."""
    return (one.error is None) == (other.error is None) and layout(one) == layout(other)


def layout(topic: TopicDescription) -> list[tuple[int, int, list[int], list[int], list[int]]]:
    return [(each.leader, each.leader_epoch, each.replicas, each.in_sync, each.offline) for each in topic.partitions]


def total(rates: Iterable[Rate | None]) -> Rate | None:
    """The sum of those that are known, over the longest of their windows; None when none is."""
    per_s, window_s, known = 0.0, 0.0, False
    for rate in rates:
        if rate is not None:
            per_s += rate.per_s
            window_s = max(window_s, rate.window_s)
            known = True
    return Rate(per_s, window_s) if known else None


def topic_row(state: TopicState, now: float) -> TopicRow:
    description = state.description
    partitions = state.partitions
    records = [each.records for each in partitions.values()]
    sizes = [each.size_bytes for each in partitions.values() if each.size_bytes is not None]
    rates = [each.meter.per_s for each in partitions.values() if each.meter.per_s is not None]
    rate = Rate(sum(rates), max(each.meter.window_s for each in partitions.values())) if rates else None
    busiest = None
    if len(rates) > 1 and len(rates) == len(partitions) and rate is not None and rate.per_s > 0:
        busiest = max(partitions, key=lambda index: partitions[index].meter.per_s or 0.0)
    error = description.error
    lags = [lag for lag in state.lags.values() if lag is not None]
    return TopicRow(
        description.name,
        description.topic_id,
        description.internal,
        len(partitions),
        description.replication_factor,
        sum(len(each.description.in_sync) < len(each.description.replicas) for each in partitions.values()),
        sum(each.description.leader < 0 for each in partitions.values()),
        None if None in records else sum(count or 0 for count in records),
        sum(sizes) if len(sizes) == len(partitions) else None,
        rate,
        state.bytes_meter.rate,
        state.received,
        state.history.means(now),
        tuple(sorted(state.lags)),
        max(lags) if lags else None,
        None if busiest is None or rate is None else max(rates) * len(rates) / rate.per_s,
        busiest,
        state.seen_at,
        str(error) if error is not None else next((each.error for each in partitions.values() if each.error), None),
    )


def partition_rows(state: TopicState, lags: Mapping[int, int | None], now: float) -> tuple[PartitionRow, ...]:
    """The partitions of a topic, for whoever looks at this topic; `lags` has how far the last group is behind in each."""
    nothing = History().means(now)
    return tuple(
        [
            PartitionRow(
                state.description.name,
                index,
                each.description.leader,
                tuple(each.description.replicas),
                tuple(each.description.in_sync),
                tuple(each.description.offline),
                each.start,
                each.end,
                each.records,
                each.size_bytes,
                each.meter.rate,
                each.meter.history.means(now) if each.meter.history is not None else nothing,
                lags.get(index),
                each.seen_at,
                each.error or (str(each.description.error) if each.description.error is not None else None),
            )
            for index, each in state.partitions.items()
        ]
    )
