"""One reading of topics: from the first poll to the last commit.

Batches are fetched and given to a sink. The sink knows what became of each record, and nothing but what it hands out is ever committed. The
run keeps the group alive meanwhile: a sink that cannot keep up only pauses reading.
"""

from __future__ import annotations

import os
import time

from ev_cli import output, sinks
from ev_cli.commit import NONE
from ev_cli.failures import UNMET, Failure, Interrupted, UsageFailure
from ev_cli.positions import START, STORED, Position, resolve
from ev_cli.reviving import Revival

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ev.client.fetched import FetchedBatch
    from ev_cli.actions.consume import Wanted
    from ev_cli.interrupts import Interrupts
    from ev_cli.missing import Presence
    from ev_cli.reading_progress import ReadingProgress
    from ev_cli.selection import Selection
    from ev_cli.session import Session
    from ev_cli.sink import Sink

    Partition = tuple[str, int]

POLL_MS = 200
ENDING_MS = 20
COMMIT_MS = 2000
"""So long one commit is waited for; then it is looked whether the engine is still there, and it is tried again."""
WAIT_FOR_TOPIC_MS = 200

# Kafka's codes with which a group says that the partition has another owner by now.
TAKEN_AWAY = frozenset((22, 25, 82, 110))  # ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, FENCED_MEMBER_EPOCH
REBALANCE_IN_PROGRESS = 27


class Run:
    """From the first poll to the last commit."""

    def __init__(
        self, options: Any, wanted: Wanted, sink: Sink, session: Session, interrupts: Interrupts, settings: dict[str, Any]
    ) -> None:
        self.options = options
        self.wanted = wanted
        self.selection = wanted.selection
        self.sink = sink
        self.session = session
        self._settings = settings
        self.consumer = session.consumer(**settings)
        sink.reads_from(self.consumer)
        self.revival = Revival(session)
        self.interrupts = interrupts
        self.topics: list[str] = []
        """What is read, when it is known."""
        self.ends: dict[Partition, int] = {}
        """Where reading stops, per partition; empty when it does not."""
        self.open: set[Partition] = set()
        """Partitions that have not reached their end."""
        self._assigned = False
        self._started = time.monotonic()
        self._held = False
        """Reading is paused, because the sink is full or nothing more is wanted."""
        self._is_over = False
        """--for or --idle has ended the run."""
        self._presence: Presence | None = None
        self._progress: ReadingProgress | None = None
        self._has_bar = (wanted.end is not None or wanted.count is not None) and output.is_terminal(2) and not output.is_terminal(1)
        self._away = False
        """We have left the group, because the sink does not get on."""

    def to_the_end(self) -> int:
        """Consume until something ends it; the exit status."""
        self.topics = self._topics()
        if self.options.group is None:
            with self.interrupts.waiting():  # nothing is read yet, and it may take as long as a broker does not answer
                self._assign(self.topics)
        else:
            self._join()
        heard = time.monotonic()
        status: int | None = None
        try:
            while status is None or not self.sink.ended():
                patience_ms = self.sink.patience_ms(POLL_MS if status is None else ENDING_MS)
                batches = self.consumer.poll_batches(patience_ms, self.sink.poll_bytes_max)
                now = time.monotonic()
                came = bool(batches)
                if came and status is None:
                    self._add(batches)
                if came or self.sink.full:
                    heard = now
                if not came:
                    self._watch_engine()
                    self._watch_topics(now)
                self.sink.turn()
                self._close_reached()
                if came and self._has_bar:
                    self._show_progress()
                self._hold_back(status is not None or self.sink.full)
                if self.consumer.connected:  # else it would be waited for, and the sink with it
                    self._commit(self.sink.due(int(now * 1000)))
                self._watch_stall(now)
                if self.interrupts:
                    if status != self.interrupts.status:
                        self.sink.stop()
                    status = self.interrupts.status
                else:
                    status = self._status(heard, now)
        except Interrupted:
            status = self.interrupts.status
        finally:
            if self._progress is not None:
                self._progress.end()
            self._commit_the_rest()
        return status

    def _status(self, heard: float, now: float) -> int | None:
        """The exit status when nothing more is wanted, None while something is: also again, when partitions were taken from us."""
        if self._complete():
            found_nothing = self.selection is not None and self.selection.is_filter and not self.selection.found
            return UNMET if found_nothing else 0
        self._is_over = self._is_over or self._is_too_late(heard, now)
        if self._is_over:
            return 0 if self.wanted.count is None else UNMET
        return None

    def _is_too_late(self, heard: float, now: float) -> bool:
        """Whether --for or --idle is over."""
        return _over(self.wanted.duration_ms, self._started, now) or _over(self.wanted.idle_ms, heard, now)

    def _complete(self) -> bool:
        if self.sink.left == 0:
            return True
        is_bounded = self.wanted.end is not None or (self.selection is not None and self.selection.per_partition is not None)
        return is_bounded and self._assigned and not self.open

    def _watch_engine(self) -> None:
        """A local engine that has died is brought back. Of everything else that does not answer the session tells; the client goes on
        trying."""
        if self.consumer.connected:
            self.revival.connected()
            return
        address = self.revival.look()
        if address is not None:
            self._move(address)

    def _move(self, address: str) -> None:
        """The local engine was started again, by somebody, at another address: go on there."""
        from ev.errors import TimedOutError

        before = self.consumer
        starts: dict[Partition, int | None] = {}
        for partition in before.assignment():
            try:
                starts[partition] = before.position(partition, timeout_ms=0)
            except TimedOutError:
                starts[partition] = None
        before.close(leave=False)
        self.session.moved(address)
        self.consumer = self.session.consumer(**self._settings)
        self.sink.reads_from(self.consumer)
        self._held = False
        if self.options.group is not None:
            self._let_go(starts)
            self._join()
        else:
            self.consumer.assign(starts)
            self.consumer.pause(*[partition for partition in starts if partition in self.ends and partition not in self.open])

    def _close_reached(self) -> None:
        """Partitions that have come to their end are read no further."""
        ends = self.ends
        reached = [partition for partition in self.open if partition in ends and self.consumer.position(partition) >= ends[partition]]
        if reached:
            self.open.difference_update(reached)
            self.consumer.pause(*reached)

    def _watch_topics(self, now: float) -> None:
        """A topic that was deleted gives nothing any more, and its reader would wait for ever."""
        if self._presence is None:
            from ev_cli.missing import Presence

            self._presence = Presence(() if self._pattern() is not None else self.topics)
        if self.consumer.connected:
            self._presence.look(self.consumer, now)

    def _show_progress(self) -> None:
        """To a person whose records go elsewhere, when there is an end to come to."""
        if self._progress is None:
            from ev_cli.reading_progress import ReadingProgress

            self._progress = ReadingProgress(self.options)
        if self.wanted.count is not None and self.sink.left is not None:
            self._progress.look(self.sink.left)
        else:
            self._progress.look(sum(self.ends[partition] - self.consumer.position(partition) for partition in self.open))

    def _hold_back(self, hold: bool) -> None:
        """Pause reading, or go on with it where the end is not reached. The group is spoken to all the same."""
        if hold == self._held:
            return
        self._held = hold
        partitions = self.consumer.assignment()
        if hold:
            self.consumer.pause(*partitions)
        else:
            self.consumer.resume(*[partition for partition in partitions if partition not in self.ends or partition in self.open])

    def _watch_stall(self, now: float) -> None:
        """Who handles nothing for too long must not keep partitions from others: leave the group, until it gets on."""
        if self.options.group is None:
            return
        stalled_ms = self.sink.stalled_ms(int(now * 1000))
        if not self._away and stalled_ms > sinks.max_stall_ms(self.options):
            self.session.talk(f"nothing has been handled for {stalled_ms // 1000} s: leaving the group until it goes on")
            self._on_revoked(self.consumer.assignment())
            self.consumer.unsubscribe()
            self._away = True
        elif self._away and stalled_ms <= sinks.max_stall_ms(self.options):
            self.session.talk("it goes on: joining the group again")
            self._away = self._held = False
            self._join()

    def _add(self, batches: list[FetchedBatch]) -> None:
        if self.selection is not None:
            self._add_selected(batches, self.selection)
            return
        for batch in one_by_one(batches):
            self.sink.add(batch, self.ends.get((batch.topic, batch.partition)))
        self.sink.flush()

    def _add_selected(self, batches: list[FetchedBatch], selection: Selection) -> None:
        """The same with filters; a partition that has given as many as it may has come to its end."""
        for batch in one_by_one(batches):
            partition = batch.topic, batch.partition
            chosen = selection.of(batch, self.ends.get(partition))
            self.sink.add(chosen, None)
            if selection.is_full(*partition):
                self.ends[partition] = min(chosen.next_offset, self.ends.get(partition, chosen.next_offset))
        self.sink.flush()

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
        """Return when the topic is there; without --wait it is there or it is a failure, as it is when --for or --idle is over."""
        told = False
        while not self._is_there(topic):
            if self._is_too_late(self._started, time.monotonic()):
                raise Failure(
                    f"topic {topic!r} has not come on {self.session.where}", "it was waited for as --for and --idle say", code=UNMET
                )
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
        starts.update(self.sink.begins(starts))
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
            settings = {**self._settings, "max_wait_ms": 0}
            with self.session.consumer(**settings) as looking:
                starts = {**begins_of_newest(looking, first, ends, self.wanted.tail, self.selection, self.interrupts)}
        self.sink.waits_for(ends)
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

    def _join(self) -> None:
        pattern = self._pattern()
        self.consumer.subscribe(
            self.topics if pattern is None else (),
            pattern=pattern,
            on_assigned=self._on_assigned,
            on_revoked=self._on_revoked,
            on_lost=self._on_lost,
        )

    def _pattern(self) -> str | None:
        """What the broker evaluates instead of us, so that topics that come later are read, too."""
        by_broker = self.options.regex and self.wanted.topics and self.consumer.group_protocol == "consumer"
        return "|".join(f"(?:{pattern})" for pattern in self.wanted.topics) if by_broker else None

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
        if self._held:
            self.consumer.pause(*added)

    def _on_revoked(self, partitions: Iterable[Partition]) -> None:
        """Partitions go to another member: commit what was done of them first."""
        self.sink.hurry(partitions)
        self._commit(self.sink.all())
        self._let_go(partitions)

    def _on_lost(self, partitions: Iterable[Partition]) -> None:
        """Another member may have the partitions already: what was done of them since the last commit is done once more."""
        self.session.talk("our place in the group went to others (a pause that was too long?): joining again, some records come twice")
        self._let_go(partitions)

    def _let_go(self, partitions: Iterable[Partition]) -> None:
        self.sink.dropped(partitions)
        self.open.difference_update(partitions)
        self._assigned = False  # until the group has said what is ours now, nobody knows whether an end is reached

    # -- commits -------------------------------------------------------------------------------------------------------------------

    def _commit(self, offsets: dict[Partition, int], *, last: bool = False) -> None:
        """Commit, and wait for the answer. What cannot be committed now is kept for the next time, unless this is the last one."""
        if not offsets or self.options.group is None or self.options.commit == NONE:
            return
        from ev.errors import KafkaError, TimedOutError, UnreachableError

        try:
            self.consumer.commit(
                {partition: (offset, "") for partition, offset in offsets.items()}, True, timeout_ms=min(self.session.timeout_ms, COMMIT_MS)
            )
        except KafkaError as error:
            if error.code in TAKEN_AWAY:
                self.session.talk("the group gave our partitions away before their offsets were committed; some records will be read again")
            elif last or error.code != REBALANCE_IN_PROGRESS:
                raise
            else:
                self.sink.keep(offsets)
        except (TimedOutError, UnreachableError):
            if last:
                raise
            self.sink.keep(offsets)

    def _commit_the_rest(self) -> None:
        """The last commit. A group that rebalances just now takes it when it has settled; what is fetched meanwhile is not written."""
        from ev.errors import KafkaError, TimedOutError, UnreachableError

        give_up_at = time.monotonic() + self.session.timeout_ms / 1000
        offsets = self.sink.all()
        before = self.consumer
        while offsets and self.consumer is before:  # else we are a member of another life: somebody may be further by now
            try:
                self._commit(offsets, last=True)
                return
            except KafkaError as error:
                if error.code != REBALANCE_IN_PROGRESS or time.monotonic() > give_up_at:
                    raise
            except (TimedOutError, UnreachableError):
                if time.monotonic() > give_up_at:
                    raise
            while self._engine_is_away() and time.monotonic() < give_up_at:
                self._watch_engine()  # one that has died is brought back, and then takes them
                self.consumer.poll_batches(ENDING_MS)
            if self.consumer is before:
                self.consumer.poll_batches(POLL_MS)

    def _engine_is_away(self) -> bool:
        return self.session.target.is_local and self.session.engine.listening_address() is None


def _over(limit_ms: int | None, since: float, now: float) -> bool:
    return limit_ms is not None and (now - since) * 1000 >= limit_ms


def one_by_one(batches: list[FetchedBatch]) -> Iterator[FetchedBatch]:
    """The batches, out of their list: opened, a batch may be many times what it was on the wire, and is held no longer than it must."""
    batches.reverse()
    while batches:
        yield batches.pop()
