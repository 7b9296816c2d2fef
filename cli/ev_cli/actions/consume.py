"""ev consume: records of topics become bytes on stdout.

Batches are fetched, rendered and written as they come; nothing waits in a buffer. What a write(2) carried is told to the commit
policy, record by record where a write ended in between, and nothing else is ever committed. -n, -e, Ctrl-C and a closed stdout
therefore commit exactly what was written.
"""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.commit import POLICIES, CommitNothing
from ev_cli.failures import UNMET, Failure, Interrupted, UsageFailure
from ev_cli.interrupts import Interrupts
from ev_cli.positions import END, START, STORED, TIME, Position, parse_range, resolve
from ev_cli.renderers import renderer_of
from ev_cli.selection import selection_of
from ev_cli.session import Session
from ev_cli.times import duration_ms, timestamp_ms
from ev_cli.writing import Writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.commit import CommitWritten
    from ev_cli.formats import Renderer
    from ev_cli.merging import Finish, MergedWriting
    from ev_cli.selection import Selection

    Partition = tuple[str, int]

POLL_MS = 200
PARTITION_BYTES = 2 << 20
"""Twice what a client asks for by default: measured, a fetch then costs a fifth less per record, and more brings nothing."""
ORDERED_FETCH_BYTES = 16 << 20
"""Partitions that are put into the order of time wait for each other, with what was fetched of them in memory."""
PARTITIONS_MAX = 100_000
"""How many -p may name at once: a slip of the finger is not worth the memory."""
LOST_AFTER_S = 2.0
WAIT_FOR_TOPIC_MS = 200
ASSIGNORS = {"range": "range", "roundrobin": "roundrobin", "cooperative-sticky": "cooperative-sticky", "sticky": "cooperative-sticky"}
PROPERTIES = {
    "client.id": ("client_id", "str"),
    "fetch.max.bytes": ("fetch_max_bytes", "int"),
    "fetch.max.wait.ms": ("max_wait_ms", "int"),
    "fetch.min.bytes": ("fetch_min_bytes", "int"),
    "max.partition.fetch.bytes": ("partition_max_bytes", "int"),
    "session.timeout.ms": ("session_timeout_ms", "int"),
}

# Kafka's codes with which a group says that the partition has another owner by now.
TAKEN_AWAY = frozenset((22, 25, 82))  # ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID
REBALANCE_IN_PROGRESS = 27

TAIL = 10
"""How many records `ev tail` begins with."""


def tail(options: Any) -> int:
    """ev tail: the newest records over all partitions, then what comes, for a person."""
    begins_elsewhere = options.offset or options.since or options.from_beginning
    if options.tail is None and not begins_elsewhere:
        options.tail = TAIL
    if options.order is None:
        options.order = "time"
    if options.format is None and not (options.json_records or options.fields or options.embed_json or options.offsets or options.zero):
        options.format = "pretty" if (options.key_delimiter, options.delimiter) == (None, None) else "value"
    return consume(options)


def consume(options: Any) -> int:
    output.need_stdout()
    return read(options, renderer_of(options))


def read(options: Any, renderer: Renderer, finish: Finish | None = None) -> int:
    """Read as the options say. `finish` is told times and pieces in the order of time, and may write them in another way."""
    wanted = Wanted(options)
    session = Session(options)
    consumer = session.consumer(**consumer_settings(options, session))
    interrupts = Interrupts().install()
    try:
        run = Run(options, wanted, renderer, session, consumer, interrupts, finish)
        return run.to_the_end()
    except Interrupted:
        return interrupts.status
    finally:
        consumer.close()


def consumer_settings(options: Any, session: Session) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "isolation": "read_uncommitted" if options.read_uncommitted else "read_committed",
        "offset_reset": "earliest",
        "partition_max_bytes": PARTITION_BYTES,
        "request_timeout_ms": session.timeout_ms,
        "timeout_ms": session.timeout_ms,
    }
    if options.control:
        settings["control_batches"] = True
    if options.order == "time" or options.tail is not None:
        settings["fetch_max_bytes"] = ORDERED_FETCH_BYTES
    if options.rack is not None:
        settings["rack"] = options.rack
    if options.group is not None:
        settings["group"] = options.group
        if options.instance_id is not None:
            settings["group_instance_id"] = options.instance_id
        if options.balancer is not None:
            if options.balancer not in ASSIGNORS:
                raise UsageFailure(f"--balancer {options.balancer} is unknown", f"one of {', '.join(ASSIGNORS)}")
            settings["assignors"] = (ASSIGNORS[options.balancer],)
    settings.update(session.properties(PROPERTIES))
    return settings


# -- what is wanted ------------------------------------------------------------------------------------------------------------


class Wanted:
    """Topics, partitions, range and bounds, as the options say."""

    def __init__(self, options: Any) -> None:
        now_ms = int(time.time() * 1000)
        utc = bool(options.utc)
        self.topics = [*(options.topics or ()), *(options.topic_option or ())]
        self.partitions = None if options.partitions is None else _numbers(options.partitions)
        self.selection = selection_of(options, now_ms)
        self.begin: Position | None = None
        self.end: Position | None = None
        for text in options.offset or ():  # kcat gives its s@ and e@ one by one
            begin, end = parse_range(text, now_ms, utc=utc)
            self.begin, self.end = begin or self.begin, end or self.end
        if options.since is not None:
            self.begin = Position(TIME, timestamp_ms(options.since, now_ms, utc=utc))
        if options.until is not None:
            self.end = Position(TIME, timestamp_ms(options.until, now_ms, utc=utc))
        if options.from_beginning:
            self.begin = Position(START)
        if options.exit_at_end and self.end is None:
            self.end = Position(END)
        self.tail: int | None = options.tail
        self.is_ordered = _is_ordered(options)
        _check_order(options, self)
        self.idle_ms = None if options.idle is None else duration_ms(options.idle, "--idle")
        self.duration_ms = None if options.duration is None else duration_ms(options.duration, "--for")
        self.count: int | None = options.count
        if self.count is not None and self.count < 0:
            raise UsageFailure("-n takes a number of records")
        if options.kcat_group is not None:
            raise UsageFailure("-G is not used by ev", "-g GROUP joins a group, --grep filters")
        if options.group is None:
            if not self.topics:
                raise UsageFailure("no topic to consume", "ev consume TOPIC, or -g GROUP for the topics of a group")
            if self.begin is not None and self.begin.kind == STORED:
                raise UsageFailure("-o stored needs a group", "add -g GROUP")
            if options.commit is not None or options.reset:
                raise UsageFailure("--commit and --reset need a group", "add -g GROUP")
        elif self.partitions is not None:
            raise UsageFailure("-p and -g contradict each other", "a group hands out the partitions itself")
        elif options.key is not None:
            raise UsageFailure(
                "--key and -g contradict each other", "--key reads one partition; --grep 'k:^KEY$' reads all that a group has"
            )
        if options.commit is not None and options.commit not in POLICIES:
            raise UsageFailure(f"--commit {options.commit} is no commit mode", f"one of {', '.join(POLICIES)}")


def _is_ordered(options: Any) -> bool:
    """Whether records of several partitions are put into the order of time: --order time, and --tail unless it says otherwise."""
    known = ("key", "partition") if options.handler else ("arrival", "time")
    if options.order not in (None, *known):
        raise UsageFailure(f"--order {options.order} is no order", " or ".join(known))
    return options.order == "time" or (options.tail is not None and options.order is None)


def _check_order(options: Any, wanted: Wanted) -> None:
    """What the order of time and --tail do not go with."""
    if options.group is not None and (wanted.is_ordered or wanted.tail is not None):
        what = "--order time needs" if wanted.tail is None else "--tail needs"
        raise UsageFailure(f"{what} all partitions at once, and -g shares them with others", "leave out -g")
    if wanted.tail is None:
        return
    if wanted.begin is not None:
        raise UsageFailure("--tail says where to begin, and so do -o and --since", "give one of them")
    from ev_cli.newest import COUNT_MAX

    if not 0 <= wanted.tail <= COUNT_MAX:
        raise UsageFailure(f"--tail takes 0 to {COUNT_MAX} records, not {wanted.tail}", "-o -N begins N before the end of each partition")


def _numbers(text: str) -> list[int]:
    """`0,2-5` as numbers."""
    found: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageFailure(f"-p {text!r} names no partitions", "write 0 or 0,2-5")
        begin, end = int(first), int(last if dash else first)
        if not begin <= end < begin + PARTITIONS_MAX:
            raise UsageFailure(f"-p {item!r} is no range of partitions", "write the smaller number first, 2-5")
        found.update(range(begin, end + 1))
    return sorted(found)


# -- the run ---------------------------------------------------------------------------------------------------------------------


class Run:
    """From the first poll to the last commit."""

    def __init__(
        self,
        options: Any,
        wanted: Wanted,
        renderer: Renderer,
        session: Session,
        consumer: Consumer,
        interrupts: Interrupts,
        finish: Finish | None = None,
    ) -> None:
        self.options = options
        self.wanted = wanted
        self.selection = wanted.selection
        self.session = session
        self.consumer = consumer
        self.interrupts = interrupts
        self.ends: dict[Partition, int] = {}
        """Where reading stops, per partition; empty when it does not."""
        self.open: set[Partition] = set()
        """Partitions that have not reached their end."""
        self._assigned = False
        self._connected_at = time.monotonic()
        self._told_lost = False
        self.policy = _policy(options)
        writing = Writing(renderer, self.policy, interrupts, wanted.count)
        self.writing: Writing | MergedWriting = writing
        if wanted.is_ordered:
            from ev_cli.merging import MergedWriting

            self.writing = MergedWriting(writing, renderer, consumer, finish)

    def to_the_end(self) -> int:
        """Consume until something ends it; the exit status."""
        topics = self._topics()
        if self.options.group is None:
            self._assign(topics)
        else:
            self.consumer.subscribe(topics, on_assigned=self._on_assigned, on_revoked=self._on_revoked)
        started = heard = time.monotonic()
        try:
            while not self._complete():
                batches = self.consumer.poll_batches(POLL_MS)
                now = time.monotonic()
                if batches:
                    self._write(batches)
                    heard = now
                else:
                    self.writing.check_reader()
                    self._watch_connection(now)
                self._close_reached()
                self._commit(self.policy.due(int(now * 1000)))
                if self.interrupts:
                    break
                if _over(self.wanted.duration_ms, started, now) or _over(self.wanted.idle_ms, heard, now):
                    self.writing.finish()
                    return 0 if self.wanted.count is None or self.writing.left == 0 else UNMET
            if not self.interrupts:
                self.writing.finish()
                if self.selection is not None and self.selection.is_filter and not self.selection.found:
                    return UNMET
        except Interrupted:
            pass
        finally:
            self._commit_the_rest()
        return self.interrupts.status

    def _complete(self) -> bool:
        if self.writing.left == 0:
            return True
        is_bounded = self.wanted.end is not None or (self.selection is not None and self.selection.per_partition is not None)
        return is_bounded and self._assigned and not self.open

    def _watch_connection(self, now: float) -> None:
        """Tell a person that nobody answers, once it has lasted a while, and when somebody does again. The client goes on trying."""
        if self.consumer.connected:
            if self._told_lost:
                self.session.talk(f"connected to {self.session.where} again")
            self._connected_at, self._told_lost = now, False
        elif not self._told_lost and now - self._connected_at > LOST_AFTER_S:
            self.session.talk(f"{self.session.where} does not answer; trying again until it does, Ctrl-C ends")
            self._told_lost = True

    def _close_reached(self) -> None:
        """Partitions that have come to their end are read no further."""
        ends = self.ends
        reached = [partition for partition in self.open if partition in ends and self.consumer.position(partition) >= ends[partition]]
        if reached:
            self.open.difference_update(reached)
            self.consumer.pause(*reached)

    def _write(self, batches: list[FetchedBatch]) -> None:
        if self.selection is not None:
            self._write_selected(batches, self.selection)
            return
        for batch in batches:
            self.writing.add(batch, self.ends.get((batch.topic, batch.partition)))
        self.writing.flush()

    def _write_selected(self, batches: list[FetchedBatch], selection: Selection) -> None:
        """The same with filters; a partition that has given as many as it may has come to its end."""
        for batch in batches:
            partition = batch.topic, batch.partition
            chosen = selection.of(batch, self.ends.get(partition))
            self.writing.add(chosen, None)
            if selection.is_full(*partition):
                self.ends[partition] = min(chosen.next_offset, self.ends.get(partition, chosen.next_offset))
        self.writing.flush()

    # -- topics and partitions -----------------------------------------------------------------------------------------------------

    def _topics(self) -> list[str]:
        topics = self.wanted.topics
        if not topics:
            return self._topics_of_group()
        if self.options.regex:
            return self._matching(topics)
        for topic in topics:
            self._wait_for(topic)
        return topics

    def _wait_for(self, topic: str) -> None:
        """Return when the topic is there; without --wait it is there or it is a failure."""
        told = False
        while not self._is_there(topic):
            if not told:
                self.session.talk(f"waiting for topic {output.safe(topic)!r} on {self.session.where}")
                told = True
            with self.interrupts.waiting():
                time.sleep(WAIT_FOR_TOPIC_MS / 1000)

    def _is_there(self, topic: str) -> bool:
        from ev.errors import KafkaError, UnknownTopicError

        try:
            self.consumer.partitions_for(topic, timeout_ms=0)
        except UnknownTopicError as error:
            if self.options.wait:
                return False
            from ev_cli.naming import with_nearest

            raise with_nearest(error, self.session) from None
        except KafkaError as error:
            if not error.retriable:
                raise
            self.consumer.partitions_for(topic, timeout_ms=self.session.timeout_ms)  # it has no leader yet
        self.session.verify(self.consumer.cluster_id)
        return True

    def _topics_of_group(self) -> list[str]:
        """Without TOPIC: the topics on which the group has commits."""
        group, where = self.options.group, self.session.where
        with self.session.admin() as admin:
            topics = sorted({topic for topic, _ in admin.committed_offsets(group)})
            names = [] if topics else sorted(listing.group for listing in admin.groups())
        if not topics:
            hint = f"there are commits of {', '.join(map(output.safe, names))}" if names else "name a TOPIC"
            raise UsageFailure(f"group {group!r} has committed nothing on {where}, so it has no topics", hint)
        return topics

    def _matching(self, patterns: list[str]) -> list[str]:
        from ev_cli.naming import chosen

        with self.session.admin() as admin:
            return chosen(patterns, [topic.name for topic in admin.topics()], "topic", self.session.where, regex=True)

    def _assign(self, topics: list[str]) -> None:
        partitions: list[Partition] = []
        for topic in topics:
            there = self.consumer.partitions_for(topic)
            wanted = self._of_key(topic, len(there)) or self.wanted.partitions
            for index in wanted if wanted is not None else there:
                if index not in there:
                    raise Failure(f"topic {topic!r} has no partition {index}", f"its partitions are {there[0]} to {there[-1]}", code=3)
                partitions.append((topic, index))
        starts: dict[Partition, int | None] = dict.fromkeys(partitions)  # None: the reset policy, which is the start
        if self.wanted.begin not in (None, Position(START)):
            starts.update(resolve(self.wanted.begin, partitions, self.consumer))
        self._bound(partitions)
        if self.wanted.is_ordered or self.wanted.tail is not None:
            starts.update(self._assign_in_order(partitions, starts))
        self.consumer.assign(starts)

    def _assign_in_order(self, partitions: list[Partition], starts: dict[Partition, int | None]) -> dict[Partition, int | None]:
        """How far the partitions are waited for, and with --tail where each of them begins."""
        ends = {**self.consumer.end_offsets(partitions), **self.ends}
        if self.wanted.tail is not None:
            from ev_cli.newest import begins_of_newest

            first = self.consumer.beginning_offsets(partitions)
            # A consumer of its own, whose fetches never wait for more: what has been read once is sought back to at once.
            settings = {**consumer_settings(self.options, self.session), "max_wait_ms": 0}
            with self.session.consumer(**settings) as looking:
                starts = {**begins_of_newest(looking, first, ends, self.wanted.tail, self.selection, self.interrupts)}
        if isinstance(self.writing, Writing):
            return starts
        self.writing.begin(ends)
        return starts

    def _of_key(self, topic: str, count: int) -> list[int] | None:
        """The one partition in which --key is; None without that option."""
        if self.options.key is None or self.options.all_partitions:
            return None
        if self.wanted.partitions is not None:
            raise UsageFailure("--key and -p contradict each other", "--key chooses the partition")
        from ev.client.partitioner import murmur2_partition

        index = murmur2_partition(os.fsencode(self.options.key), count)
        if count > 1 and not self.options.unannounced:
            self.session.talk(f"reading {output.safe(topic)}/{index} only: of {count} partitions that is where the key belongs (murmur2)")
        return [index]

    def _bound(self, partitions: Iterable[Partition]) -> None:
        """Note where reading stops in each of these partitions."""
        self._assigned = True
        if self.selection is not None and self.selection.per_partition is not None:
            self.open.update(partitions)
            if self.selection.per_partition == 0:
                self.open.clear()
        if self.wanted.end is None:
            return
        new = [partition for partition in partitions if partition not in self.ends]
        self.ends.update(resolve(self.wanted.end, new, self.consumer))
        self.open.update(partitions)

    def _on_assigned(self, partitions: Iterable[Partition]) -> None:
        added = list(partitions)
        begin = self.wanted.begin
        if begin is not None and begin.kind != STORED:
            unset = added
            if not self.options.reset:
                committed = self.consumer.committed(added)
                unset = [partition for partition in added if committed[partition].offset < 0]
            for partition, offset in resolve(begin, unset, self.consumer).items():
                self.consumer.seek(partition, offset)
        self._bound(added)

    def _on_revoked(self, partitions: Iterable[Partition]) -> None:
        """Partitions go to another member: commit what was written of them first."""
        self._commit(self.policy.all())
        self.open.difference_update(partitions)

    # -- commits -------------------------------------------------------------------------------------------------------------------

    def _commit(self, offsets: dict[Partition, int], *, last: bool = False) -> None:
        """Commit, and wait for the answer. What cannot be committed now is kept for the next time, unless this is the last one."""
        if not offsets:
            return
        from ev.errors import KafkaError, TimedOutError, UnreachableError

        try:
            self.consumer.commit(
                {partition: (offset, "") for partition, offset in offsets.items()}, True, timeout_ms=self.session.timeout_ms
            )
        except KafkaError as error:
            if error.code in TAKEN_AWAY:
                self.session.talk("the group gave our partitions away before their offsets were committed; some records will be read again")
            elif last or error.code != REBALANCE_IN_PROGRESS:
                raise
            else:
                self._keep(offsets)
        except (TimedOutError, UnreachableError):
            if last:
                raise
            self._keep(offsets)

    def _commit_the_rest(self) -> None:
        """The last commit. A group that rebalances just now takes it when it has settled; what is fetched meanwhile is not written."""
        from ev.errors import KafkaError

        offsets = self.policy.all()
        give_up_at = time.monotonic() + self.session.timeout_ms / 1000
        while True:
            try:
                self._commit(offsets, last=True)
                return
            except KafkaError as error:
                if error.code != REBALANCE_IN_PROGRESS or time.monotonic() > give_up_at:
                    raise
            self.consumer.poll_batches(POLL_MS)

    def _keep(self, offsets: dict[Partition, int]) -> None:
        for (topic, index), offset in offsets.items():
            self.policy.wrote(topic, index, offset)


def _policy(options: Any) -> CommitWritten:
    import stat

    if options.group is None:
        return CommitNothing(False)
    is_file = stat.S_ISREG(os.fstat(1).st_mode)
    return POLICIES[options.commit or "written"](is_file)


def _over(limit_ms: int | None, since: float, now: float) -> bool:
    return limit_ms is not None and (now - since) * 1000 >= limit_ms
