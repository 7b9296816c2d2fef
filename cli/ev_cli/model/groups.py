"""What is known of groups: who reads for them, what they have committed, and how that moves against the ends of the partitions."""

from __future__ import annotations

from ev_cli.model.lag import Readings, Times, Verdict, drain_of, eta_s, records_behind, slowest, verdict_of, worst
from ev_cli.model.rates import History, Rate
from ev_cli.model.snapshot import GroupPartitionRow, GroupRow, MemberRow
from ev_cli.model.topics import total

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.results import CommittedOffset, GroupDescription, GroupListing, MemberDescription
    from ev.client.survey import GroupOffsets
    from ev_cli.model.topics import PartitionState, Topics, TopicState

    Partition = tuple[str, int]

WITHOUT_MEMBERS = frozenset(("Empty", "Dead"))


class CommitState:
    """What a group has committed in one partition, and how that has moved."""

    __slots__ = ("committed", "history", "lag", "readings")

    def __init__(self, committed: int) -> None:
        self.committed = committed
        self.readings = Readings()
        self.history: History | None = None
        self.lag: int | None = None


class GroupState:
    """One group."""

    __slots__ = ("commits", "committed_at", "description", "error", "history", "listing", "rebalances")

    def __init__(self, listing: GroupListing) -> None:
        self.listing = listing
        self.description: GroupDescription | None = None
        self.commits: dict[Partition, CommitState] = {}
        self.committed_at: float | None = None
        self.error: str | None = None
        self.history = History()
        self.rebalances = 0

    @property
    def members(self) -> list[MemberDescription] | None:
        """Those that it has; None when nobody has said. One that is listed as empty has none."""
        if self.listing.state in WITHOUT_MEMBERS:
            return []
        return None if self.description is None or self.description.error is not None else self.description.members

    @property
    def has_members(self) -> bool | None:
        """The list of groups says it, too, by the state; some brokers leave that out."""
        if self.listing.state:
            return self.listing.state not in WITHOUT_MEMBERS
        members = self.members
        return None if members is None else bool(members)


class Groups:
    """All groups by name. `changed` are those whose rows are out of date."""

    def __init__(self) -> None:
        self.states: dict[str, GroupState] = {}
        self.rows: dict[str, GroupRow] = {}
        self.changed: set[str] = set()
        self._has_lost_some = False

    # -- what is learned -------------------------------------------------------------------------------------------------

    def list(self, listings: Iterable[GroupListing]) -> None:
        """All groups that there are."""
        states: dict[str, GroupState] = {}
        for listing in listings:
            known = self.states.get(listing.group)
            if known is None:
                known = GroupState(listing)
                self.changed.add(listing.group)
            elif (known.listing.state, known.listing.type) != (listing.state, listing.type):
                self.changed.add(listing.group)
            known.listing = listing
            states[listing.group] = known
        self.states = states
        rows = {name: self.rows[name] for name in states if name in self.rows}
        self._has_lost_some |= len(rows) < len(self.rows)
        self.rows = rows

    def describe(self, descriptions: Mapping[str, GroupDescription]) -> None:
        for name, description in descriptions.items():
            state = self.states.get(name)
            if state is None or description.error is not None:
                continue  # what was known of it is better than nothing
            if rebalanced(state.description, description):
                state.rebalances += 1
            state.description = description
            self.changed.add(name)

    def take_committed(self, found: Mapping[str, GroupOffsets], now: float) -> None:
        for name, answer in found.items():
            state = self.states.get(name)
            if state is None:
                continue
            state.error = None if answer.error is None else str(answer.error)
            if answer.error is None:
                take_commits(state, answer.offsets)
                state.committed_at = now
            self.changed.add(name)

    def settle(self, names: Iterable[str], topics: Topics, now: float, time_ms: int) -> None:
        """What these groups have committed has been read, and after that the ends of their partitions: put both together."""
        for name in names:
            state = self.states.get(name)
            if state is None or state.committed_at is None:
                continue
            lags: dict[Partition, int | None] = {}
            for partition, commit in state.commits.items():
                place = topics.partition(*partition)
                if place is None:
                    commit.lag = None
                    continue
                if place.times is None:
                    place.times = Times()
                    if place.end is not None:
                        place.times.take(place.end, time_ms)
                commit.lag = lags[partition] = records_behind(commit.committed, place.start, place.end)
                if place.end is not None and place.seen_at is not None and place.seen_at >= state.committed_at:
                    commit.readings.take(now, commit.committed, place.end)
                if commit.history is not None and commit.lag is not None:
                    commit.history.note(now, commit.lag)
            topics.take_lags(name, lags)
            lag = lag_of(state, topics)
            if lag is not None:
                state.history.note(now, lag)
            self.changed.add(name)

    def lost(self) -> None:
        """Nobody has answered for a while: what is read next says nothing about how it moves."""
        for name, state in self.states.items():
            for commit in state.commits.values():
                commit.readings = Readings()
            self.changed.add(name)

    def watch(self, names: Iterable[str]) -> None:
        """Somebody looks at the partitions of these groups: from now on their histories are kept."""
        for name in names:
            for commit in self.states[name].commits.values() if name in self.states else ():
                if commit.history is None:
                    commit.history = History()

    def partitions_of(self, names: Iterable[str]) -> set[Partition]:
        """All partitions that these groups have committed for."""
        return {partition for name in names if name in self.states for partition in self.states[name].commits}

    def lags_in(self, topic: TopicState) -> dict[int, int | None]:
        """How far the group that is furthest behind is in each partition."""
        lags: dict[int, int | None] = {}
        for name in topic.lags.keys() & self.states.keys():
            for (other, index), commit in self.states[name].commits.items():
                if other == topic.description.name and commit.lag is not None:
                    lags[index] = max(lags.get(index) or 0, commit.lag)
        return lags

    # -- what is shown ---------------------------------------------------------------------------------------------------

    def renewed(self, topics: Topics, now: float, time_ms: int) -> bool:
        """Bring the rows up to date. Returns whether there was anything to do."""
        if not self.changed and not self._has_lost_some:
            return False
        fresh = False
        for name in self.changed:
            state = self.states.get(name)
            if state is not None:
                fresh |= name not in self.rows
                self.rows[name] = group_row(state, topics, now, time_ms)
        if fresh:
            self.rows = {name: self.rows[name] for name in self.states}
        self.changed.clear()
        self._has_lost_some = False
        return True

    def progress(self) -> Rate | None:
        """What all groups together have committed in a second."""
        return total(row.progress for row in self.rows.values())


def take_commits(state: GroupState, offsets: Mapping[Partition, CommittedOffset]) -> None:
    for partition, offset in offsets.items():
        known = state.commits.get(partition)
        if known is None:
            state.commits[partition] = CommitState(offset.offset)
        else:
            known.committed = offset.offset
    for partition in state.commits.keys() - offsets.keys():
        del state.commits[partition]


def rebalanced(before: GroupDescription | None, after: GroupDescription) -> bool:
    """Whether other members read now than before."""
    if before is None:
        return False
    return {member.member_id for member in before.members} != {member.member_id for member in after.members}


def lag_of(state: GroupState, topics: Topics) -> int | None:
    """How many records the group is behind in all; None while one of its partitions is not known. Topics that are gone hold nothing."""
    if state.committed_at is None:
        return None
    behind = 0
    for partition, commit in state.commits.items():
        if commit.lag is not None:
            behind += commit.lag
        elif topics.partition(*partition) is not None:
            return None
    return behind


def time_lag_ms(commit: CommitState, place: PartitionState | None, time_ms: int) -> int | None:
    """For how long the next record to be read has been there; 0 when there is none."""
    if commit.lag == 0:
        return 0
    if commit.lag is None or place is None or place.times is None:
        return None
    came_ms = place.times.time_of(max(commit.committed, place.start or 0))
    return None if came_ms is None else max(0, time_ms - came_ms)


def longest(lags: Iterable[int | None]) -> int | None:
    found = 0
    for lag in lags:
        if lag is None:
            return None
        found = max(found, lag)
    return found


def verdict_on(commit: CommitState, has_members: bool | None, now: float) -> Verdict | None:
    readings = commit.readings
    still_s = None if readings.moved_at is None else now - readings.moved_at
    return verdict_of(commit.lag, has_members, readings.progress, readings.arrival, still_s)


def group_row(state: GroupState, topics: Topics, now: float, time_ms: int) -> GroupRow:
    listing, description, members = state.listing, state.description, state.members
    there = {partition: commit for partition, commit in state.commits.items() if topics.partition(*partition) is not None}
    known = state.committed_at is not None
    verdicts = {partition: verdict_on(commit, state.has_members, now) for partition, commit in there.items()}
    verdict = worst(verdicts.values()) if known else None
    drains = [drain_of(commit.readings.progress, commit.readings.arrival) for commit in there.values()]
    lag = lag_of(state, topics)
    subscribed = {topic for member in members or () for topic in (*member.topics, *[name for name, _ in member.partitions])}
    return GroupRow(
        listing.group,
        listing.state or (description.state if description is not None else ""),
        listing.protocol_type,
        listing.type,
        None if members is None else len(members),
        tuple(sorted({topic for topic, _ in state.commits} | subscribed)) if known else None,
        len(state.commits) if known else None,
        lag,
        None if None in drains else total(drains),
        total(commit.readings.progress for commit in there.values()),
        slowest(eta_s(commit.lag, drain) for commit, drain in zip(there.values(), drains, strict=True)) if lag is not None else None,
        longest(time_lag_ms(commit, topics.partition(*partition), time_ms) for partition, commit in there.items()) if known else None,
        verdict,
        tuple(sorted(partition for partition, each in verdicts.items() if each is verdict)) if verdict not in (None, Verdict.OK) else (),
        state.history.means(now),
        state.rebalances,
        state.committed_at,
        state.error,
    )


def group_partition_rows(state: GroupState, topics: Topics, now: float, time_ms: int) -> tuple[GroupPartitionRow, ...]:
    """The partitions of a group, for whoever looks at this group: those with a commit, and those that a member has been given."""
    from ev_cli.actions.group_lag import owners

    owned = {} if state.description is None or not state.members else owners(state.description)
    ids = {partition: member.member_id for member in state.members or () for partition in member.partitions}
    nothing = History().means(now)
    rows = []
    for partition in sorted({*state.commits, *owned}):
        commit, place = state.commits.get(partition), topics.partition(*partition)
        readings = Readings() if commit is None else commit.readings
        drain = drain_of(readings.progress, readings.arrival)
        member, host = owned.get(partition, (None, None))
        rows.append(
            GroupPartitionRow(
                *partition,
                None if commit is None else commit.committed,
                None if place is None else place.start,
                None if place is None else place.end,
                None if commit is None else commit.lag,
                None if place is None else place.meter.rate,
                readings.progress,
                drain,
                None if commit is None else eta_s(commit.lag, drain),
                None if commit is None else time_lag_ms(commit, place, time_ms),
                None if commit is None else verdict_on(commit, state.has_members, now),
                nothing if commit is None or commit.history is None else commit.history.means(now),
                member,
                ids.get(partition),
                host,
            )
        )
    return tuple(rows)


def member_rows(state: GroupState) -> tuple[MemberRow, ...]:
    return tuple(
        [
            MemberRow(
                member.member_id,
                member.client_id,
                member.instance_id,
                member.host,
                tuple(sorted(member.partitions)),
                lag_within(state, member.partitions),
            )
            for member in state.members or ()
        ]
    )


def lag_within(state: GroupState, partitions: Iterable[Partition]) -> int | None:
    """The lag in these partitions together; those without a commit have none that could be known."""
    known = [state.commits[partition].lag for partition in partitions if partition in state.commits]
    return sum(lag or 0 for lag in known) if known and None not in known else None
