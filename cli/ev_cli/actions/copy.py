"""ev copy: records of topics become records of another topic, of the same cluster or of another, with all that they carry.

    Consumer ──> what is wanted of each batch ──> Carrier ──> Producer

Where a batch is wanted whole and its partition is known beforehand, it is carried over unopened. With a group the offsets are committed
behind the records: within one cluster in one transaction with them, so that each is copied exactly once; between clusters when they
are acknowledged, so that none is lost, and those that were on their way when ev was killed come twice.
"""

from __future__ import annotations

import time

from ev.client.fetched import COMPRESSIONS
from ev.errors import ErrorCode, KafkaError
from ev_cli import output
from ev_cli.carriers import Carrier, ExactCarrier, Piece, Waiter, taken_over
from ev_cli.failures import DONE, NOT_FOUND, Failure, Interrupted, UsageFailure, no_such
from ev_cli.interrupts import Interrupts
from ev_cli.missing import Presence
from ev_cli.naming import nearest
from ev_cli.positions import END, START, STORED, TIME, Position, parse_range, resolve
from ev_cli.progress import Progress
from ev_cli.protection import READS, WRITES
from ev_cli.running import Options
from ev_cli.selection import selection_of
from ev_cli.session import Session
from ev_cli.times import timestamp_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev.client.results import TopicDescription
    from ev_cli.mapping import MappedPiece, Mapping

    Partition = tuple[str, int]

POLL_MS = 200
PARTITION_BYTES = 2 << 20
SESSION_MS = 10_000
MAP_POLL_BYTES = 1 << 20
TURN_MS = 50
SILENCE_S = 5.0
"""After so long without an answer of --map a person is told what that may be."""
SLOW_POLL_MS = 3_600_000
"""A copy that takes its time is no dead member."""


def copy(options: Any) -> int:
    plan = Plan(options)
    interrupts = Interrupts().install()
    waiter = Waiter(options.rate, options.pace, interrupts)
    plan.make_ready()
    consumer = plan.consumer()
    try:
        with interrupts.waiting():
            carrier = plan.carrier(consumer)
        try:
            mapping = plan.mapping()
            try:
                return Run(plan, consumer, carrier, waiter, interrupts, mapping).to_the_end()
            finally:
                if mapping is not None:
                    mapping.close()
        finally:
            carrier.close()
    except Interrupted:
        return interrupts.status
    except KafkaError as error:
        if error.code == ErrorCode.FENCED_INSTANCE_ID:
            raise taken_over() from None
        raise
    finally:
        consumer.close()


class Plan:
    """From where to where, how much of it, and how."""

    def __init__(self, options: Any) -> None:
        self.options = options
        if len(options.places) < 2:
            raise UsageFailure("it is not said where to", "ev copy FROM… TO")
        *sources, target = [_place(text) for text in options.places]
        if len({context for context, _ in sources}) > 1:
            raise UsageFailure("topics of one cluster at a time", "start an ev copy for each cluster")
        is_one = target[0] == sources[0][0]
        writes = is_one or options.group is not None  # offsets are written where the group is
        self.source = Session(_of_context(options, sources[0][0]), effect=WRITES if writes else READS)
        self.target = self.source if is_one else Session(_of_context(options, target[0]), effect=WRITES)
        self.topics = [topic for _, topic in sources]
        self.topic = target[1]
        self.begin, self.end = _range(options)
        if options.compression is not None and options.compression not in COMPRESSIONS:
            raise UsageFailure(f"-z {options.compression} is no codec", f"one of {', '.join(COMPRESSIONS)}")
        self.selection = selection_of(options, int(time.time() * 1000))
        if options.count is not None and options.count < 1:
            raise UsageFailure("-n takes a number of records from 1 on")
        if options.map is not None and not options.map.strip():
            raise UsageFailure("--map has no command", "--map 'jq -c --unbuffered …'")
        if options.group is None and (options.transactional_id is not None or (self.begin or self.end or Position(END)).kind == STORED):
            raise UsageFailure("only with a group", "add -g GROUP")
        self.is_one_cluster = True
        self.partitions = 1
        self._keeps_partitions = False

    def make_ready(self) -> None:
        """The topics are there, and fit each other."""
        with self.source.admin() as admin:
            cluster = admin.cluster().cluster_id
            self.source.verify(cluster)
            there = {topic.name: topic for topic in admin.topics(internal=True)}
            for name in self.topics:
                if name not in there:
                    raise no_such("topic", name, nearest(name, there), self.source.where)
        with self.target.admin() as admin:
            other = admin.cluster().cluster_id
            self.target.verify(other)
            self.is_one_cluster = self.source is self.target or (cluster is not None and cluster == other)
            if self.is_one_cluster and self.topic in self.topics:
                raise UsageFailure(f"{self.topic!r} cannot be copied to itself", "name another topic")
            known = {topic.name: topic for topic in admin.topics(internal=True)}
            if self.topic in known:
                self.partitions = len(known[self.topic].partitions)
                if self.options.same_config:
                    self.target.talk(f"topic {output.safe(self.topic)} is there already; its settings stay as they are")
            else:
                self.partitions = self._create(admin, [there[name] for name in self.topics])
        counts = {len(there[name].partitions) for name in self.topics}
        most = max(counts)
        self._keeps_partitions = self.options.keep_partition or counts == {self.partitions}
        if self.options.keep_partition and most > self.partitions:
            raise Failure(
                f"{self.topic!r} has {self.partitions} partitions, and there are {most} to keep",
                f"`ev topic alter {self.topic} -p {most}` adds some, or leave --keep-partition out",
            )

    def _create(self, admin: Any, sources: list[TopicDescription]) -> int:
        from ev.client.results import NewTopic

        wanted = self.options.create is not None or self.options.same_config
        if not wanted and not self.target.target.is_local:
            raise Failure(f"no topic {self.topic!r} on {self.target.where}", "--create makes it", code=NOT_FOUND)
        partitions = self.options.create or max(len(topic.partitions) for topic in sources)
        configs: dict[str, str] = {}
        if self.options.same_config:
            with self.source.admin() as other:
                described = other.describe_configs("topic", [sources[0].name])[0]
            configs = {
                name: entry.value for name, entry in described.entries.items() if entry.source == "topic" and entry.value is not None
            }
        admin.create_topics([NewTopic(self.topic, partitions, -1, configs)])[0].or_raise()
        self.target.talk(
            f"created topic {output.safe(self.topic)} with {partitions} partition{'' if partitions == 1 else 's'} on {self.target.where}"
        )
        return partitions

    def consumer(self) -> Consumer:
        settings: dict[str, Any] = {}
        if self.options.group is not None:
            settings = {"group": self.options.group, "session_timeout_ms": SESSION_MS}
            if self.is_exact:
                settings["group_instance_id"] = self.transactional_id
            if self.options.rate or self.options.pace or self.options.map:
                settings["max_poll_interval_ms"] = SLOW_POLL_MS
        isolation = "read_uncommitted" if self.options.read_uncommitted else "read_committed"
        timeout_ms = self.source.timeout_ms
        return self.source.consumer(
            isolation=isolation,
            offset_reset="earliest",
            partition_max_bytes=PARTITION_BYTES,
            request_timeout_ms=timeout_ms,
            timeout_ms=timeout_ms,
            **settings,
        )

    def carrier(self, consumer: Consumer) -> Carrier:
        options = self.options
        settings: dict[str, Any] = {"linger_ms": 5, "metadata_timeout_ms": self.target.timeout_ms}
        if options.compression is not None:
            settings["compression"] = options.compression
        if self.is_exact:
            producer = self.target.producer(transactional_id=self.transactional_id, **settings)
            return ExactCarrier(producer, consumer, self.topic, self.target)
        return Carrier(self.target.producer(**settings), None if options.group is None else consumer, self.topic, self.target)

    def mapping(self) -> Mapping | None:
        """The process of --map, started."""
        if self.options.map is None:
            return None
        from ev_cli.mapping import Mapping

        return Mapping(self.options.map, self.options.group)

    @property
    def is_exact(self) -> bool:
        """Whether records and offsets go into one transaction."""
        return self.options.group is not None and self.is_one_cluster

    @property
    def transactional_id(self) -> str:
        """Also its place in the group: a copy that is started again takes over at once from one that was killed."""
        return self.options.transactional_id or f"ev-copy-{self.options.group}"

    def goes_to(self, index: int) -> int | None:
        """The partition in which the records of a partition end up; None: where the key of each says.

        With as many partitions as before records stay in theirs: whoever chose it, keys that were together are together again.
        """
        return index if self._keeps_partitions else 0 if self.partitions == 1 else None

    def mapped_goes_to(self, piece: MappedPiece) -> int | None:
        """The same for what --map has made of records: where it has given them other keys, those say where."""
        if piece.is_rekeyed and not self.options.keep_partition and self.partitions > 1:
            return None
        return self.goes_to(piece.partition)


def _place(text: str) -> tuple[str | None, str]:
    """[CONTEXT/]TOPIC: the name of a topic has no slash."""
    context, slash, topic = text.rpartition("/")
    if not topic or (slash and not context):
        raise UsageFailure(f"{text!r} is no topic", "write TOPIC or CONTEXT/TOPIC")
    return (context if slash else None), topic


def _of_context(options: Any, context: str | None) -> Any:
    """The options as they would be with -C CONTEXT."""
    if context is None:
        return options
    return Options({**options.__dict__, "context": context, "bootstrap": None, "data_dir": None, "listen": None})


def _range(options: Any) -> tuple[Position | None, Position | None]:
    now_ms = int(time.time() * 1000)
    begin, end = (None, None) if options.offset is None else parse_range(options.offset, now_ms)
    if options.since is not None:
        begin = Position(TIME, timestamp_ms(options.since, now_ms, flag="--since"))
    if options.until is not None:
        end = Position(TIME, timestamp_ms(options.until, now_ms, flag="--until"))
    return begin, Position(END) if options.exit_at_end and end is None else end


class Run:
    """From the first poll to the last acknowledgement."""

    def __init__(
        self, plan: Plan, consumer: Consumer, carrier: Carrier, waiter: Waiter, interrupts: Interrupts, mapping: Mapping | None
    ) -> None:
        self._plan = plan
        self._consumer = consumer
        self._carrier = carrier
        self._waiter = waiter
        self._interrupts = interrupts
        self._mapping = mapping
        if mapping is not None:
            interrupts.before_death = mapping.kill
        self._told_silence = False
        self._held = False
        """--map has enough to do: nothing is read, and the group is spoken to all the same."""
        self._begins: dict[Partition, int] = {}
        """Where -o or --since lets a partition begin on which the group has no commit."""
        self._ends: dict[Partition, int] = {}
        self._open: set[Partition] = set()
        self._assigned = False
        self._goes_back = False
        """A transaction was aborted: what was in it, and everything behind it, is read again."""
        self._presence = Presence(plan.topics)
        self._began = time.monotonic()
        self._progress = Progress(plan.options, f"copy to {output.safe(plan.topic)}", unit="records")

    def to_the_end(self) -> int:
        if self._plan.options.group is None:
            with self._interrupts.waiting():
                self._assign()
        else:
            self._consumer.subscribe(self._plan.topics, on_assigned=self._on_assigned, on_revoked=self._on_revoked)
        failure: Failure | None = None
        try:
            with self._progress:
                while not self._is_over():
                    batches = self._poll()
                    if not batches and self._consumer.connected:
                        self._look_for_topics()
                    self._take(batches)
                    self._close_reached()
                    self._progress.advance(self._carrier.copied - self._progress.done)
        except Interrupted:
            self._carrier.finish()
        except Failure as error:
            if self._mapping is None or not self._mapping.has_failed:
                raise
            failure = error  # what the command has answered before counts
            self._carrier.finish()
        self._commit_the_rest()
        self._tell()
        if failure is not None:
            raise failure
        return self._interrupts.status or DONE

    def _poll(self) -> list[FetchedBatch]:
        """The next batches. While --map owes answers nobody waits for them here."""
        if self._mapping is None:
            return self._consumer.poll_batches(POLL_MS)
        self._hold_back(self._mapping.is_full)
        return self._consumer.poll_batches(0 if self._mapping.unanswered else POLL_MS, MAP_POLL_BYTES)

    def _hold_back(self, hold: bool) -> None:
        """Pause reading, or go on with it where the end is not reached."""
        if hold == self._held:
            return
        self._held = hold
        partitions = self._consumer.assignment()
        if hold:
            self._consumer.pause(*partitions)
        else:
            self._consumer.resume(*[partition for partition in partitions if partition not in self._ends or partition in self._open])

    def _look_for_topics(self) -> None:
        """A topic that was deleted ends the run, once what was taken of it is where it shall be."""
        try:
            self._presence.look(self._consumer, time.monotonic())
        except Failure:
            self._carrier.finish()
            self._tell()
            raise

    def _is_over(self) -> bool:
        """Whether there is nothing more to copy, and everything is acknowledged; or somebody wants an end."""
        is_complete = self._left == 0 or (self._plan.end is not None and self._assigned and not self._open)
        if not is_complete and not self._interrupts:
            return False
        if self._mapping is not None and not self._interrupts:
            self._take_last_answers(self._mapping)
        if self._carrier.finish() and not self._interrupts:
            self._go_back()
            return False
        return True

    @property
    def _left(self) -> int | None:
        """How many more records -n allows."""
        count: int | None = self._plan.options.count
        if count is None:
            return None
        return count - self._carrier.taken - (0 if self._mapping is None else self._mapping.unanswered)

    def _commit_the_rest(self) -> None:
        """A group that rebalances just now takes the last commit when it has settled; what is read meanwhile is not copied."""
        give_up_at = time.monotonic() + self._plan.source.timeout_ms / 1000
        while not self._carrier.commit():
            if time.monotonic() > give_up_at:
                self._plan.source.talk("the group would not take the last offsets: some records will be copied again")
                return
            self._consumer.poll_batches(POLL_MS)

    def _tell(self) -> None:
        seconds = max(time.monotonic() - self._began, 0.001)
        copied = self._carrier.copied
        dropped = f", {self._carrier.taken - copied:,} dropped by --map" if self._mapping is not None else ""
        rate = f" ({copied / seconds:,.0f}/s)" if seconds > 1 else ""
        records = f"{copied:,} record{'' if copied == 1 else 's'}"
        self._plan.target.talk(f"copied {records} to {output.safe(self._plan.topic)} on {self._plan.target.where}{dropped}{rate}")

    def _take(self, batches: list[FetchedBatch]) -> None:
        """Send what is wanted of these, and see what has become of what was sent before."""
        if self._goes_back:
            self._go_back()
            return
        if self._waiter.sorts:
            self._send(self._waiter.in_order(map(self._filtered, batches), self._ends))
        else:
            for batch in batches:
                self._take_one(batch)
                if self._goes_back:
                    break
        if self._mapping is not None and not self._goes_back:
            self._take_answers(self._mapping, 0 if batches or not self._mapping.unanswered else TURN_MS)
        is_idle = not batches and not (self._mapping is not None and self._mapping.unanswered)
        if self._goes_back or self._carrier.settle(idle=is_idle):
            self._go_back()

    def _take_one(self, batch: FetchedBatch) -> None:
        """Whole and unopened where that can be, else its columns."""
        left = self._left
        end = self._ends.get((batch.topic, batch.partition))
        if left == 0 or (end is not None and batch.first_offset >= end):
            return
        target = self._plan.goes_to(batch.partition)
        if self._plan.selection is not None:
            self._send(self._waiter.pieces(Piece.of(self._filtered(batch), end, left)))
            return
        is_whole = (end is None or batch.next_offset <= end) and (left is None or batch.count <= left)
        as_it_is = is_whole and not self._waiter.waits and self._plan.options.compression is None and self._mapping is None
        if not (as_it_is and target is not None and self._carrier.carry(batch, target)):
            self._send(self._waiter.pieces(Piece.of(batch, end, left)))

    def _filtered(self, batch: FetchedBatch) -> FetchedBatch:
        """What --grep and --where let through. The rest counts as read."""
        return batch if self._plan.selection is None else self._plan.selection.filtered(batch)

    def _send(self, pieces: Iterable[Piece]) -> None:
        """Send pieces when their time has come, or give them to --map."""
        for piece in pieces:
            left = self._left
            if left == 0:
                return
            wanted = piece if left is None else piece.cut(left)
            if self._mapping is not None:
                self._mapping.put(wanted)
                self._take_answers(self._mapping, 0)
            else:
                self._carrier.send(wanted, self._plan.goes_to(piece.partition))
            if self._goes_back:
                return
            if self._waiter.waits and self._carrier.settle():
                self._goes_back = True
                return

    def _take_answers(self, mapping: Mapping, limit_ms: int) -> None:
        """Send what --map has answered, waiting at most that long for an answer; where one poll brought far too much, until it has less."""
        while True:
            for piece in mapping.exchange(TURN_MS if mapping.is_overfull else limit_ms):
                self._carrier.send(piece, self._plan.mapped_goes_to(piece))
            if not mapping.unanswered:
                self._told_silence = False
            elif not self._told_silence and time.monotonic() - mapping.moved_s > SILENCE_S:
                self._told_silence = True
                self._plan.source.talk(
                    f"{mapping.unanswered} records wait for the answer of --map; a program that keeps its lines in a buffer "
                    "has to be told not to: jq --unbuffered, sed -u, grep --line-buffered, python -u"
                )
            if not mapping.is_overfull:
                return
            if self._interrupts:
                raise Interrupted
            if self._carrier.settle():
                self._goes_back = True
                return

    def _take_last_answers(self, mapping: Mapping) -> None:
        """There is nothing more to give: the process has to answer what it was given, and to end."""
        mapping.end_input()
        while not mapping.has_ended and not self._interrupts:
            for piece in mapping.exchange(TURN_MS):
                self._carrier.send(piece, self._plan.mapped_goes_to(piece))

    def _go_back(self) -> None:
        """Read everything again that is not committed."""
        self._goes_back = self._held = False
        if self._mapping is not None:
            self._mapping.start_again()
        assigned = self._consumer.assignment()
        for partition, committed in self._consumer.committed(assigned).items():
            begin = self._begins.get(partition)
            if committed.offset >= 0 or begin is not None:
                self._consumer.seek(partition, committed.offset if committed.offset >= 0 else begin or 0)
            else:
                self._consumer.seek_to_beginning(partition)
        self._consumer.resume(*self._consumer.paused())
        if self._plan.end is not None:
            self._open.update(assigned)

    def _close_reached(self) -> None:
        reached = [partition for partition in self._open if self._consumer.position(partition) >= self._ends[partition]]
        if reached:
            self._open.difference_update(reached)
            self._consumer.pause(*reached)

    # -- topics and partitions -----------------------------------------------------------------------------------------------------

    def _assign(self) -> None:
        partitions = [(topic, index) for topic in self._plan.topics for index in self._consumer.partitions_for(topic)]
        starts: dict[Partition, int | None] = dict.fromkeys(partitions)
        if self._plan.begin is not None and self._plan.begin != Position(START):
            starts.update(resolve(self._plan.begin, partitions, self._consumer))
        self._bound(partitions)
        self._consumer.assign(starts)
        if self._ends:
            begins = self._consumer.beginning_offsets(partitions)
            total = sum(max(0, self._ends[p] - max(begins[p], starts[p] or 0)) for p in partitions)
            self._progress.total = total if self._left is None else min(total, self._left)
        else:
            self._progress.total = self._left

    def _bound(self, partitions: Iterable[Partition]) -> None:
        """Note where reading stops in each of these partitions."""
        self._assigned = True
        if self._plan.end is None:
            return
        new = [partition for partition in partitions if partition not in self._ends]
        self._ends.update(resolve(self._plan.end, new, self._consumer))
        self._open.update(partitions)

    def _on_assigned(self, partitions: Iterable[Partition]) -> None:
        added = list(partitions)
        begin = self._plan.begin
        if begin is not None and begin.kind != STORED:
            committed = self._consumer.committed(added)
            unset = [partition for partition in added if committed[partition].offset < 0]
            for partition, offset in resolve(begin, unset, self._consumer).items():
                self._begins[partition] = offset
                self._consumer.seek(partition, offset)
        self._bound(added)
        if self._held:
            self._consumer.pause(*added)

    def _on_revoked(self, partitions: Iterable[Partition]) -> None:
        """Partitions go to another member: what is on its way is settled first."""
        if self._mapping is not None:
            self._mapping.forget(partitions)
        self._goes_back = self._carrier.finish() or self._goes_back
        self._carrier.commit()
        self._open.difference_update(partitions)
