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
from ev_cli.formats import FormatRenderer, JsonRenderer, LengthPrefixedRenderer, PrettyRenderer, Renderer, Verb, lex, unescape
from ev_cli.interrupts import Interrupts
from ev_cli.positions import END, START, STORED, TIME, Position, parse_range, resolve
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

    Partition = tuple[str, int]

POLL_MS = 200
PARTITION_BYTES = 2 << 20
"""Twice what a client asks for by default: measured, a fetch then costs a fifth less per record, and more brings nothing."""
LOST_AFTER_S = 2.0
WAIT_FOR_TOPIC_MS = 200
ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky")
BROKER_ASSIGNORS = ("uniform", "range")
PROPERTIES = {
    "client.id": ("client_id", "str"),
    "fetch.max.bytes": ("fetch_max_bytes", "int"),
    "fetch.max.wait.ms": ("max_wait_ms", "int"),
    "fetch.min.bytes": ("fetch_min_bytes", "int"),
    "group.protocol": ("group_protocol", "str"),
    "group.remote.assignor": ("group_remote_assignor", "str"),
    "max.partition.fetch.bytes": ("partition_max_bytes", "int"),
    "session.timeout.ms": ("session_timeout_ms", "int"),
}

# Kafka's codes with which a group says that the partition has another owner by now.
TAKEN_AWAY = frozenset((22, 25, 82, 110))  # ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, FENCED_MEMBER_EPOCH
REBALANCE_IN_PROGRESS = 27


def consume(options: Any) -> int:
    output.need_stdout()
    wanted = Wanted(options)
    renderer = renderer_of(options)
    session = Session(options)
    consumer = session.consumer(**_settings(options, session))
    interrupts = Interrupts().install()
    try:
        run = Run(options, wanted, renderer, session, consumer, interrupts)
        return run.to_the_end()
    except Interrupted:
        return interrupts.status
    finally:
        consumer.close()


def _settings(options: Any, session: Session) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "isolation": "read_uncommitted" if options.read_uncommitted else "read_committed",
        "offset_reset": "earliest",
        "partition_max_bytes": PARTITION_BYTES,
        "request_timeout_ms": session.timeout_ms,
        "timeout_ms": session.timeout_ms,
    }
    if options.rack is not None:
        settings["rack"] = options.rack
    if options.group is not None:
        settings["group"] = options.group
        if options.instance_id is not None:
            settings["group_instance_id"] = options.instance_id
    settings.update(session.properties(PROPERTIES))
    if options.group is not None and options.balancer is not None:
        broker_assigns = settings.get("group_protocol") == "consumer"
        known = BROKER_ASSIGNORS if broker_assigns else ASSIGNORS
        if options.balancer not in known:
            raise UsageFailure(f"--balancer {options.balancer} is unknown", f"one of {', '.join(known)}")
        settings.update({"group_remote_assignor": options.balancer} if broker_assigns else {"assignors": (options.balancer,)})
    return settings


# -- what is wanted ------------------------------------------------------------------------------------------------------------


class Wanted:
    """Topics, partitions, range and bounds, as the options say."""

    def __init__(self, options: Any) -> None:
        now_ms = int(time.time() * 1000)
        self.topics = [*options.topics, *options.topic_option]
        self.partitions = None if options.partitions is None else _numbers(options.partitions)
        self.begin: Position | None = None
        self.end: Position | None = None
        if options.offset is not None:
            self.begin, self.end = parse_range(options.offset, now_ms)
        if options.since is not None:
            self.begin = Position(TIME, timestamp_ms(options.since, now_ms))
        if options.until is not None:
            self.end = Position(TIME, timestamp_ms(options.until, now_ms))
        if options.from_beginning:
            self.begin = Position(START)
        if options.exit_at_end and self.end is None:
            self.end = Position(END)
        self.idle_ms = None if options.idle is None else duration_ms(options.idle, "--idle")
        self.duration_ms = None if options.duration is None else duration_ms(options.duration, "--for")
        self.count: int | None = options.count
        if self.count is not None and self.count < 0:
            raise UsageFailure("-n takes a number of records")
        if options.group is None:
            if not self.topics:
                raise UsageFailure("no topic to consume", "ev consume TOPIC, or -g GROUP for the topics of a group")
            if self.begin is not None and self.begin.kind == STORED:
                raise UsageFailure("-o stored needs a group", "add -g GROUP")
            if options.commit is not None or options.reset:
                raise UsageFailure("--commit and --reset need a group", "add -g GROUP")
        elif self.partitions is not None:
            raise UsageFailure("-p and -g contradict each other", "a group hands out the partitions itself")
        if options.commit is not None and options.commit not in POLICIES:
            raise UsageFailure(f"--commit {options.commit} is no commit mode", f"one of {', '.join(POLICIES)}")


def _numbers(text: str) -> list[int]:
    """`0,2-5` as numbers."""
    found: list[int] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UsageFailure(f"-p {text!r} names no partitions", "write 0 or 0,2-5")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def renderer_of(options: Any) -> Renderer:
    """How a record is written: -f, -J, -K, -O, -D, -0, --null."""
    null = "NULL" if options.null_is_null and options.null is None else options.null
    null_bytes = b"" if null is None else os.fsencode(null)
    form = "json" if options.json_records else options.format
    if form is None:
        form = "pretty" if output.is_terminal(1) and options.key_delimiter is None and not options.offsets else "value"
    delimiter = b"\0" if options.zero else b"\n" if options.delimiter is None else unescape(options.delimiter)
    if options.key_delimiter is not None or options.offsets:
        if form not in ("value", "kv"):
            raise UsageFailure(f"-K and -O do not go with -f {form}", "write %k and %o into the format")
        between = b"\t" if options.key_delimiter is None else unescape(options.key_delimiter)
        with_key = options.key_delimiter is not None or form == "kv"
        offset_parts: list[bytes | Verb] = [Verb("o", None), between] if options.offsets else []
        key_parts: list[bytes | Verb] = [Verb("k", None), between] if with_key else []
        return FormatRenderer("", null_bytes, [*offset_parts, *key_parts, Verb("v", None), delimiter])
    named: dict[str, Any] = {
        "value": lambda: Renderer(delimiter, null_bytes),
        "raw": lambda: Renderer(b"", null_bytes),
        "json": lambda: JsonRenderer(bool(options.embed_json)),
        "pretty": lambda: PrettyRenderer(output.has_colour()),
        "lp32": LengthPrefixedRenderer,
        "kv": lambda: FormatRenderer("", null_bytes, [Verb("k", None), b"\t", Verb("v", None), delimiter]),
        "hex": lambda: FormatRenderer("", null_bytes, [Verb("v", "hex"), delimiter]),
        "base64": lambda: FormatRenderer("", null_bytes, [Verb("v", "base64"), delimiter]),
    }
    if form in named:
        renderer: Renderer = named[form]()
        return renderer
    parts = lex(form)
    if not any(isinstance(part, Verb) for part in parts):
        raise UsageFailure(f"-f {form!r} is no format", f"one of {', '.join(named)}, or verbs such as '%o %k %v\\n'")
    return FormatRenderer("", null_bytes, parts)


# -- the run ---------------------------------------------------------------------------------------------------------------------


class Run:
    """From the first poll to the last commit."""

    def __init__(
        self, options: Any, wanted: Wanted, renderer: Renderer, session: Session, consumer: Consumer, interrupts: Interrupts
    ) -> None:
        self.options = options
        self.wanted = wanted
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
        self.writing = Writing(renderer, self.policy, interrupts, wanted.count)

    def to_the_end(self) -> int:
        """Consume until something ends it; the exit status."""
        topics = self._topics()
        if self.options.group is None:
            self._assign(topics)
        else:
            pattern = self._pattern()
            self.consumer.subscribe(
                topics if pattern is None else (), pattern=pattern, on_assigned=self._on_assigned, on_revoked=self._on_revoked
            )
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
                    return 0 if self.wanted.count is None or self.writing.left == 0 else UNMET
        except Interrupted:
            pass
        finally:
            self._commit_the_rest()
        return self.interrupts.status

    def _complete(self) -> bool:
        if self.writing.left == 0:
            return True
        return self.wanted.end is not None and self._assigned and not self.open

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
        reached = [partition for partition in self.open if self.consumer.position(partition) >= self.ends[partition]]
        if reached:
            self.open.difference_update(reached)
            self.consumer.pause(*reached)

    def _write(self, batches: list[FetchedBatch]) -> None:
        for batch in batches:
            self.writing.add(batch, self.ends.get((batch.topic, batch.partition)))
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

    def _pattern(self) -> str | None:
        """What the broker evaluates instead of us, so that topics that come later are read, too."""
        by_broker = self.options.regex and self.wanted.topics and self.consumer.group_protocol == "consumer"
        return "|".join(f"(?:{pattern})" for pattern in self.wanted.topics) if by_broker else None

    def _assign(self, topics: list[str]) -> None:
        partitions: list[Partition] = []
        for topic in topics:
            there = self.consumer.partitions_for(topic)
            wanted = self.wanted.partitions
            for index in wanted if wanted is not None else there:
                if index not in there:
                    raise Failure(f"topic {topic!r} has no partition {index}", f"its partitions are {there[0]} to {there[-1]}", code=3)
                partitions.append((topic, index))
        starts: dict[Partition, int | None] = dict.fromkeys(partitions)  # None: the reset policy, which is the start
        if self.wanted.begin not in (None, Position(START)):
            starts.update(resolve(self.wanted.begin, partitions, self.consumer))
        self._bound(partitions)
        self.consumer.assign(starts)

    def _bound(self, partitions: Iterable[Partition]) -> None:
        """Note where reading stops in each of these partitions."""
        self._assigned = True
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
