"""The consumer: reads partitions assigned by hand or by a group, in batches or record by record, and remembers how far it came.

It blocks, and does everything in the caller's thread, inside `poll_batches` and `poll`: fetching, joining the group, resetting offsets,
committing by timer. Only heartbeats have a thread. What decides is elsewhere: where each partition stands (`positions`), where it begins
(`placement`), what a fetch and its answer mean (`fetcher`), what the group allows (`membership`); this module brings them together.

    from ev.client import Consumer

    with Consumer("localhost:9092", group="billing") as consumer:
        consumer.subscribe(["payments"])
        while not done():
            for batch in consumer.poll_batches(1000):
                handle(batch.columns.values)
            consumer.commit()
"""

from __future__ import annotations

from ev.client.cluster import Cluster
from ev.client.commits import Commits
from ev.client.coordinator import Coordinator
from ev.client.fetch_requests import FetchRequests
from ev.client.fetcher import MAX_BYTES, MAX_WAIT_MS, PARTITION_MAX_BYTES, READ_COMMITTED, READ_UNCOMMITTED, Fetcher
from ev.client.leftover import Leftover
from ev.client.membership_settings import CLASSIC, CONSUMER, MembershipSettings
from ev.client.offsets import (
    FETCH_VERSION_MAX,
    FETCH_VERSION_OF_MANY_GROUPS,
    fetch_request,
    fetched_offsets,
    list_request,
    listed_offsets,
    unsettled_code,
)
from ev.client.placement import Placement
from ev.client.positions import EARLIEST, LATEST, RESET_TIMESTAMPS, SETTLED, Positions
from ev.client.results import CommittedOffset, FoundOffset, GroupMetadata, as_committed
from ev.client.routing import ask_coordinator, ask_leaders
from ev.errors import ClosedError, CorruptBatchError, EvError, KafkaError, SettingError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from ev.client.commits import OnCommitted
    from ev.client.fetched import FetchedBatch, Record
    from ev.client.membership_settings import Session
    from ev.client.results import OffsetToCommit
    from ev.client.subscription import Subscription

    TopicPartition = tuple[str, int]
    OnPartitions = Callable[[list[TopicPartition]], None]

ISOLATION = {"read_uncommitted": READ_UNCOMMITTED, "read_committed": READ_COMMITTED}
AUTO_COMMIT_INTERVAL_MS = 5_000
DRAIN_BYTES_MAX = 8 * 1024 * 1024
"""What one call of poll_batches hands out, unless told otherwise."""
STEP_MS = 500
"""How long nothing may happen before the membership, back-offs and timers are looked at again."""
BACKOFF_STEP_MS = 50
CLOSE_COMMIT_TIMEOUT_MS = 10_000


class Consumer:
    """Not safe for threads: each thread has a consumer of its own.

    group, group_protocol    the group to commit for and, by `subscribe`, to be a member of. In a `classic` one a member assigns, in a
                             `consumer` one (KIP-848, Kafka 4.0 on) the broker does
    group_instance_id        a name that makes it a static member: it keeps its partitions over a restart
    group_remote_assignor    what the broker assigns by, in a `consumer` group: `uniform` or `range`
    assignors                what a member assigns by, in a `classic` group, the first one that all know: `range`, `roundrobin`, `sticky`,
                             `cooperative-sticky` (`range`, then `cooperative-sticky`)
    session_timeout_ms,      in a `classic` group: after how long a silent member is given up (45,000 ms), and how often it says that it is
    heartbeat_interval_ms    alive (3,000 ms); in a `consumer` group the broker's settings say so
    max_poll_interval_ms     how long the application may stay away between two polls before its partitions go to others
    auto_commit              True: every 5 s, or an interval in ms; what an earlier poll handed out counts as processed then
    offset_reset             where to begin when nothing is committed, or what was is gone: `earliest`, `latest`, or `none`, an error
    isolation                `read_committed` hides what transactions have not committed (yet)
    fetch_min_bytes,         a broker answers when it has so many bytes, or when so many ms are over
    max_wait_ms
    fetch_max_bytes,         what one answer, and one partition in it, may hold at the most; a batch that is larger comes alone
    partition_max_bytes
    rack                     where the consumer is, so that it may read from a replica that is near (KIP-392)
    control_batches          the markers that end transactions are handed out too
    timeout_ms               for calls that wait for a broker and have no timeout of their own
    request_timeout_ms       for each request; then it is asked again, perhaps of another broker

    Other options are those of `ev.client.cluster.Cluster`: `security`, back-offs. Errors are of the family in `ev.errors`: SettingError for
    what cannot be meant, KafkaError with the broker's code, UnreachableError and TimedOutError, AuthenticationError. What passes by itself
    (leaders and coordinators that move, brokers that are away) is tried again, with a back-off, and raised only when the time is over.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str | None = None,
        client_id: str = "ev",
        group_protocol: str = CLASSIC,
        group_instance_id: str | None = None,
        group_remote_assignor: str | None = None,
        assignors: Iterable[str] | None = None,
        session_timeout_ms: int | None = None,
        heartbeat_interval_ms: int | None = None,
        max_poll_interval_ms: int = 300_000,
        auto_commit: bool | int = False,
        offset_reset: str = "earliest",
        isolation: str = "read_uncommitted",
        fetch_min_bytes: int = 1,
        fetch_max_bytes: int = MAX_BYTES,
        partition_max_bytes: int = PARTITION_MAX_BYTES,
        max_wait_ms: int = MAX_WAIT_MS,
        check_crcs: bool = True,
        rack: str = "",
        control_batches: bool = False,
        timeout_ms: int = 60_000,
        request_timeout_ms: int = 30_000,
        **cluster_options: Any,
    ) -> None:
        if offset_reset not in (*RESET_TIMESTAMPS, "none"):
            raise SettingError(f"offset_reset is earliest, latest or none, not {offset_reset!r}")
        if isolation not in ISOLATION:
            raise SettingError(f"isolation is {' or '.join(ISOLATION)}, not {isolation!r}")
        if auto_commit and group is None:
            raise SettingError("auto_commit needs a group to commit for")
        self.group = group
        self.group_protocol = group_protocol
        self.timeout_ms = timeout_ms
        self._isolation = ISOLATION[isolation]
        self._bootstrap = bootstrap
        self._cluster_options: dict[str, Any] = {"client_id": client_id, "request_timeout_ms": request_timeout_ms, **cluster_options}
        self._membership = MembershipSettings(
            protocol=group_protocol,
            instance_id=group_instance_id,
            assignors=assignors,
            remote_assignor=group_remote_assignor,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=heartbeat_interval_ms,
            poll_timeout_ms=max_poll_interval_ms,
            rack=rack,
        )
        self._cluster = Cluster(bootstrap, **self._cluster_options)
        self._coordinator = None if group is None else Coordinator(self._cluster, group)
        self._commits = None if self._coordinator is None else Commits(self._cluster, self._coordinator, group_instance_id)
        self._positions = Positions()
        self._placement = Placement(self._cluster, self._positions, self._coordinator, offset_reset, self._isolation, request_timeout_ms)
        self._fetcher = Fetcher(
            self._positions,
            max_wait_ms=max_wait_ms,
            min_bytes=fetch_min_bytes,
            max_bytes=fetch_max_bytes,
            partition_max_bytes=partition_max_bytes,
            isolation=self._isolation,
            check_crcs=check_crcs,
            backoff=self._cluster.backoff.after,
            rack=rack,
            control_batches=control_batches,
        )
        self._requests = FetchRequests(self._cluster, self._positions, self._placement, self._fetcher)
        self._session: Session | None = None
        self._subscription: Subscription | None = None
        self._auto_commit_ms = AUTO_COMMIT_INTERVAL_MS if auto_commit is True else int(auto_commit)
        self._auto_commit_at_ms = self._cluster.now_ms() + self._auto_commit_ms
        self._leftover = Leftover()
        self._closed = False

    # ---- what to read ----

    def assign(self, partitions: Mapping[TopicPartition, int | None] | Iterable[TopicPartition]) -> None:
        """Read exactly these, and be a member of no group. An offset of None begins where the group has committed, else where
        `offset_reset` says. What stays keeps its position. SettingError after `subscribe`."""
        self._check_open()
        if self._subscription is not None:
            raise SettingError("a consumer that has subscribed gets its partitions from its group: unsubscribe before assign")
        offsets: Mapping[TopicPartition, int | None] = partitions if isinstance(partitions, dict) else dict.fromkeys(partitions)
        self._cluster.watch({topic for topic, _ in offsets})
        for position in self._positions.assign(offsets):
            self._placement.place(position)
        for partition, offset in offsets.items():
            if offset is not None:
                self.seek(partition, offset)
        if self._leftover.partition not in offsets:
            self._leftover.forget()

    def subscribe(
        self,
        topics: Iterable[str] = (),
        *,
        pattern: str | None = None,
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
        on_lost: OnPartitions | None = None,
    ) -> None:
        """Share these topics with the other members of the group. It joins with the next poll, and callbacks are called from inside poll.

        `on_revoked` is the last moment at which offsets of these partitions can be committed. `on_lost` (by default: `on_revoked`)
        is told when that moment has passed. With a `pattern`, in a `consumer` group, the broker adds the topics whose whole name matches
        (RE2), those that come later too. SettingError without a group, or when partitions are assigned by hand.
        """
        self._check_open()
        if self.group is None or self._coordinator is None or self._commits is None:
            raise SettingError("subscribe needs a group; to read without one, assign partitions")
        if len(self._positions) and self._subscription is None:
            raise SettingError("partitions are assigned by hand: unsubscribe before subscribe")
        if pattern is not None and (not pattern or self._membership.protocol != CONSUMER):
            raise SettingError(f"a pattern is evaluated by the broker, which takes group_protocol={CONSUMER}; it must not be empty")
        from ev.client.subscription import Subscription  # noqa: PLC0415 - only members of a group need it

        self._subscription = Subscription(
            topics,
            self._positions,
            self._placement,
            pattern=pattern,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
            on_lost=on_lost,
            before_giving_up=self._commit_before_giving_up,
            forget=self._forget_leftover,
        )
        self._cluster.watch(self._subscription.wanted)
        self._cluster.request_update()
        if self._session is None:
            self._session = self._membership.session(
                self.group, self._cluster, self._coordinator, self._subscription, lambda: Cluster(self._bootstrap, **self._cluster_options)
            )
            self._commits.session = self._session
        else:
            self._session.rebalance = self._subscription
            self._session.rejoin("the subscription has changed")

    def unsubscribe(self) -> None:
        """Read nothing; leave the group. With `auto_commit`, what was handed out is committed before."""
        self._leave_group(leave=True)
        self._subscription = None
        self._positions.assign(())
        self._leftover.forget()

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read at the moment."""
        return list(self._positions.by_partition)

    def subscription(self) -> tuple[str, ...]:
        """The topics that were subscribed to by name."""
        return () if self._subscription is None else self._subscription.wanted

    @property
    def connected(self) -> bool:
        """Whether one of the cluster's brokers is connected at the moment."""
        return any(self._cluster.connection_is_ready(node) for node in self._cluster.metadata.brokers)

    @property
    def cluster(self) -> Cluster:
        """The brokers and the connections to them."""
        return self._cluster

    @property
    def cluster_id(self) -> str | None:
        """What the cluster calls itself; None before a broker has answered."""
        return self._cluster.metadata.cluster_id

    def partitions_for(self, topic: str, timeout_ms: int | None = None) -> list[int]:
        """The partitions of a topic. UnknownTopicError when there is no such topic."""
        info = self._cluster.topic(topic, timeout_ms=self.timeout_ms if timeout_ms is None else timeout_ms)
        return sorted(info.partitions)

    # ---- reading ----

    def poll_batches(self, timeout_ms: int, bytes_max: int | None = None) -> list[FetchedBatch]:
        """The next batches, as soon as there are some; none when the time is over, or when only offsets without records were passed.

        About `bytes_max` bytes (8 MiB) come at once, at least one batch. Positions are then after the last of them. Raises what does not
        pass by itself: KafkaError (not authorised, out of range without a policy, another process has the instance id),
        CorruptBatchError, AuthenticationError; it is raised again at every call until somebody does something about it.
        """
        self._check_open()
        if self._leftover:
            self._seek_back_to_leftover()
        deadline_ms = self._cluster.now_ms() + timeout_ms
        has_looked = False
        """Whether the connections were looked at: without any time to wait they are, too, or nothing would ever come."""
        while True:
            now_ms = self._cluster.now_ms()
            self._advance(now_ms)
            self._raise_problem()
            batches, moved = self._fetcher.drain(DRAIN_BYTES_MAX if bytes_max is None else bytes_max)
            self._requests.send(now_ms)
            if batches or moved or (has_looked and now_ms >= deadline_ms):
                return batches
            self._cluster.poll(max(0, min(deadline_ms - now_ms, self._step_ms(now_ms))))
            has_looked = True

    def poll(self, timeout_ms: int, records_max: int = 500) -> list[Record]:
        """The next records, as soon as there are some. Positions follow them one by one. Raises what `poll_batches` raises."""
        self._check_open()
        deadline_ms = self._cluster.now_ms() + timeout_ms
        taken: list[Record] = []
        if self._leftover:
            self._advance(self._cluster.now_ms())
            taken += self._leftover.take(records_max)
        while len(taken) < records_max:
            left_ms = 0 if taken else max(0, deadline_ms - self._cluster.now_ms())
            batches = self.poll_batches(left_ms, bytes_max=1)
            if not batches and (taken or self._cluster.now_ms() >= deadline_ms):
                break
            for batch in batches:
                self._open(batch)
                taken += self._leftover.take(records_max - len(taken))
        return taken

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset. SettingError when it is below 0, KafkaError when the partition is not assigned."""
        if offset < 0:
            raise SettingError(f"an offset is 0 or more, not {offset}")
        self._positions[partition].seek(offset)
        self._forget_leftover(partition)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Read these, or all, from the first offset that there is."""
        self._reset(EARLIEST, partitions)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Read of these, or of all, only what is yet to come."""
        self._reset(LATEST, partitions)

    def position(self, partition: TopicPartition, timeout_ms: int | None = None) -> int:
        """The offset of the next record that poll will hand out. Waits until the broker has said where that is, else TimedOutError."""
        self._check_open()
        deadline_ms = self._cluster.now_ms() + (self.timeout_ms if timeout_ms is None else timeout_ms)
        while self._positions[partition].state != SETTLED:
            now_ms = self._cluster.now_ms()
            self._place(now_ms)  # and nothing else: no callback is called from here
            self._raise_problem()
            if now_ms >= deadline_ms:
                raise TimedOutError(f"nobody said in time where to begin in {partition[0]}/{partition[1]}{self._cluster.why_silent()}")
            self._cluster.poll(min(deadline_ms - now_ms, self._step_ms(now_ms)))
        return self._next_offset(partition)

    def pause(self, *partitions: TopicPartition) -> None:
        """Hand out nothing from these until they are resumed; their place is kept. A partition that goes and comes back is not paused."""
        for partition in partitions:
            self._positions[partition].paused = True
            if self._leftover.partition == partition:
                self._seek_back_to_leftover()

    def resume(self, *partitions: TopicPartition) -> None:
        """Go on with these."""
        for partition in partitions:
            self._positions[partition].paused = False

    def paused(self) -> list[TopicPartition]:
        """Those that are."""
        return [(position.topic, position.index) for position in self._positions if position.paused]

    # ---- committing ----

    def commit(
        self,
        offsets: Mapping[TopicPartition, OffsetToCommit] | None = None,
        sync: bool = True,
        *,
        timeout_ms: int | None = None,
        then: OnCommitted | None = None,
    ) -> None:
        """Commit these offsets (each that of the next record to process, alone or with metadata), or the positions of all partitions.

        With `sync` it returns when they are committed, or raises: KafkaError REBALANCE_IN_PROGRESS while a classic group rebalances (poll,
        and commit again), UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION or FENCED_INSTANCE_ID when the place in the group is lost; TimedOutError
        and UnreachableError when nobody knows. Without it the outcome goes to `then`, from inside a later call.
        """
        self._check_open()
        if self._commits is None:
            raise SettingError("only a consumer with a group can commit")
        chosen = self._consumed() if offsets is None else {partition: as_committed(value) for partition, value in offsets.items()}
        if sync:
            self._commits.commit(chosen, self.timeout_ms if timeout_ms is None else timeout_ms)
        else:
            self._commits.commit_later(chosen, then)

    def committed(self, partitions: Iterable[TopicPartition], timeout_ms: int | None = None) -> dict[TopicPartition, CommittedOffset]:
        """What the group has committed: offset, leader epoch, metadata; offset -1 where nothing is. With read_committed it waits for
        transactions that are about to change it."""
        self._check_open()
        if self.group is None or self._coordinator is None:
            raise SettingError("only a consumer with a group has committed offsets")
        wanted = list(partitions)
        answer = ask_coordinator(
            self._coordinator,
            fetch_request(self.group, wanted, FETCH_VERSION_OF_MANY_GROUPS, require_stable=self._isolation == READ_COMMITTED),
            unsettled_code,
            self.timeout_ms if timeout_ms is None else timeout_ms,
            FETCH_VERSION_MAX,
        )
        code, found = fetched_offsets(answer)
        if code:
            raise KafkaError(code)
        for committed in found.values():
            if committed.error is not None:
                raise committed.error
        return {partition: found.get(partition, CommittedOffset(-1)) for partition in wanted}

    def group_metadata(self) -> GroupMetadata:
        """Which member of which generation (or epoch) speaks, for `Producer.send_offsets_to_transaction`."""
        self._check_open()
        if self.group is None or self._commits is None:
            raise SettingError("only a consumer with a group has a place in one")
        return GroupMetadata(self.group) if self._session is None else self._session.metadata(self._commits.instance_id)

    def seek_to_committed(self, *partitions: TopicPartition) -> None:
        """Read these, or all, on from where the group has committed: after a transaction that was aborted."""
        if self.group is None:
            raise SettingError("only a consumer with a group has committed offsets")
        for partition in partitions or self.assignment():
            self._positions[partition].want_committed()
            self._forget_leftover(partition)

    # ---- asking for offsets ----

    def beginning_offsets(self, partitions: Iterable[TopicPartition], timeout_ms: int | None = None) -> dict[TopicPartition, int]:
        """The first offset of each partition. KafkaError for one that does not exist."""
        return {p: found.offset for p, found in self._look_up(dict.fromkeys(partitions, EARLIEST), timeout_ms).items()}

    def end_offsets(self, partitions: Iterable[TopicPartition], timeout_ms: int | None = None) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition that this consumer may see."""
        return {p: found.offset for p, found in self._look_up(dict.fromkeys(partitions, LATEST), timeout_ms).items()}

    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: int | None = None
    ) -> dict[TopicPartition, FoundOffset | None]:
        """The first record of each partition whose timestamp (ms since 1970) is this or later; None where there is none."""
        found = self._look_up(timestamps, timeout_ms)
        return {partition: answer if answer.offset >= 0 else None for partition, answer in found.items()}

    def _look_up(self, timestamps: Mapping[TopicPartition, int], timeout_ms: int | None) -> dict[TopicPartition, FoundOffset]:
        self._check_open()
        limit_ms = self.timeout_ms if timeout_ms is None else timeout_ms
        found = ask_leaders(
            self._cluster,
            timestamps,
            lambda wanted: list_request(wanted, self._isolation, limit_ms),
            listed_offsets,
            lambda error: FoundOffset(-1, error=error),
            limit_ms,
        )
        for answer in found.values():
            if answer.error is not None:
                raise answer.error
        return found

    # ---- the end ----

    def close(self, leave: bool = True) -> None:
        """Commit, if the consumer does that by itself; leave the group, unless told to keep the place warm; close the connections.

        No callback is called: what an application wants to commit in the end it commits before.
        """
        if self._closed:
            return
        try:
            self._leave_group(leave)
        finally:
            self._closed = True
            self._cluster.close()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _leave_group(self, leave: bool) -> None:
        if self._auto_commit_ms:
            self._commit_before_giving_up()
        session, self._session = self._session, None
        if session is not None and self._commits is not None:
            self._commits.session = None
            session.close(leave)

    # ---- inside ----

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed")

    def _advance(self, now_ms: int) -> None:
        """Everything that goes on besides fetching: the group, the timer of commits, partitions that do not know where to begin."""
        if self._session is not None:
            self._session.step()
        if self._auto_commit_ms and now_ms >= self._auto_commit_at_ms and self._commits is not None:
            self._auto_commit_at_ms = now_ms + self._auto_commit_ms
            if self._session is None or self._session.settled:
                self._commits.commit_later(self._consumed())
        self._place(now_ms)

    def _place(self, now_ms: int) -> None:
        """Partitions without an offset get one; brokers that are no leaders any more are found out about."""
        while self._fetcher.out_of_range:
            position, seeks = self._fetcher.out_of_range.pop()
            if position.seeks == seeks:
                self._placement.out_of_range(position)
        self._placement.step(now_ms)
        if self._fetcher.metadata_is_stale:
            self._fetcher.metadata_is_stale = False
            self._cluster.request_update()

    def _step_ms(self, now_ms: int) -> int:
        """How long to wait at the most: shorter while something waits for a pause to end, which no broker will announce."""
        if any(position.state != SETTLED or not (position.fetching or position.paused) for position in self._positions):
            return BACKOFF_STEP_MS
        if self._session is not None and not self._session.waits_for_answer and not len(self._positions):
            return BACKOFF_STEP_MS
        return STEP_MS

    def _raise_problem(self) -> None:
        """One of those that came up since the last time. What does not pass comes up again."""
        problems: list[EvError] = self._placement.problems + self._fetcher.failures
        self._placement.problems.clear()
        self._fetcher.failures.clear()
        if problems:
            raise problems[0]

    def _reset(self, timestamp: int, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions or self.assignment():
            self._positions[partition].want_reset(timestamp)
            self._forget_leftover(partition)

    def _open(self, batch: FetchedBatch) -> None:
        """A batch that cannot be opened is not passed over: it comes again."""
        try:
            self._leftover.open(batch)
        except CorruptBatchError:
            self.seek((batch.topic, batch.partition), batch.first_offset)
            raise

    def _seek_back_to_leftover(self) -> None:
        """Somebody wants to go on in another way: what was opened and not handed out is fetched again."""
        partition = self._leftover.partition
        if partition is not None:
            self.seek(partition, self._next_offset(partition))

    def _forget_leftover(self, partition: TopicPartition) -> None:
        if self._leftover.partition == partition:
            self._leftover.forget()

    def _next_offset(self, partition: TopicPartition) -> int:
        left = self._leftover.next_offset(partition)
        return self._positions[partition].offset if left is None else left

    def _consumed(self) -> dict[TopicPartition, CommittedOffset]:
        """The positions of all partitions that have one, as a commit."""
        return {
            partition: CommittedOffset(self._next_offset(partition), position.epoch)
            for partition, position in self._positions.by_partition.items()
            if position.state == SETTLED
        }

    def _commit_before_giving_up(self) -> None:
        """The last moment before partitions go to others. What cannot be committed will be read again by whoever gets them."""
        if not self._auto_commit_ms or self._commits is None:
            return
        try:
            self._commits.commit(self._consumed(), CLOSE_COMMIT_TIMEOUT_MS)
        except (KafkaError, UnreachableError, TimedOutError):
            return
