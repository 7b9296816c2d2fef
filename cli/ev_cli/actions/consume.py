"""ev consume and ev tail: which records are wanted, in what form, and what is done with them.

The reading itself is `consuming`; where the records go (stdout, a handler, a file) is a sink (`sinks`).
"""

from __future__ import annotations

import time

from ev_cli import output, sinks
from ev_cli.commit import MODES
from ev_cli.consuming import Run
from ev_cli.failures import Interrupted, UsageFailure
from ev_cli.interrupts import Interrupts
from ev_cli.positions import END, START, STORED, TIME, Position, parse_range
from ev_cli.renderers import renderer_of
from ev_cli.selection import selection_of
from ev_cli.session import Session
from ev_cli.times import duration_ms, moments_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.formats import Renderer
    from ev_cli.merging import Finish
    from ev_cli.sink import Sink

PARTITION_BYTES = 2 << 20
"""Twice what a client asks for by default: measured, a fetch then costs a fifth less per record, and more brings nothing."""
ORDERED_FETCH_BYTES, ORDERED_PARTITION_BYTES = 16 << 20, 128 << 10
"""Partitions that are put into the order of time wait for each other, with what was fetched of them in memory."""
PARTITIONS_MAX = 100_000
"""How many -p may name at once: a slip of the finger is not worth the memory."""
ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky")
BROKER_ASSIGNORS = ("uniform", "range")

TAIL = 10
"""How many records `ev tail` begins with, unless -n wants another number of them."""


def tail(options: Any) -> int:
    """ev tail: the newest records over all partitions, then what comes, for a person."""
    begins_elsewhere = options.offset or options.since or options.from_beginning
    if options.tail is None and not begins_elsewhere:
        options.tail = options.count or TAIL
    if options.order is None:
        options.order = "time"
    if options.format is None and not (options.json_records or options.fields or options.embed_json or options.offsets or options.zero):
        options.format = "pretty" if (options.key_delimiter, options.delimiter) == (None, None) else "value"
    return consume(options)


def consume(options: Any) -> int:
    output.need_stdout()
    sinks.check(options)
    return read(options, renderer_of(options))


def read(options: Any, renderer: Renderer, finish: Finish | None = None) -> int:
    """Read as the options say. `finish` is told times and pieces in the order of time, and may write them in another way."""
    wanted = Wanted(options)
    session = Session(options)
    interrupts = Interrupts().install()
    sink = sinks.sink_of(options, wanted.is_ordered, renderer, session, interrupts, wanted.count, finish)
    return run(options, wanted, sink, session, interrupts)


def run(options: Any, wanted: Wanted, sink: Sink, session: Session, interrupts: Interrupts) -> int:
    """Read what is wanted into the sink; the exit status."""
    sink.interrupts = interrupts
    interrupts.before_death = sink.kill
    try:
        reading = Run(options, wanted, sink, session, interrupts, consumer_settings(options, session))
        try:
            return reading.to_the_end()
        except Interrupted:
            return interrupts.status
        finally:
            reading.consumer.close()
    finally:
        sink.close()


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
        settings.update(fetch_max_bytes=ORDERED_FETCH_BYTES, partition_max_bytes=ORDERED_PARTITION_BYTES)
    if options.rack is not None:
        settings["rack"] = options.rack
    if options.group is not None:
        settings["group"] = options.group
        if options.instance_id is not None:
            settings["group_instance_id"] = options.instance_id
    settings.update(session.properties("consumer"))
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
        utc = bool(options.utc)
        self.topics = [*(options.topics or ()), *(options.topic_option or ())]
        self.partitions = None if options.partitions is None else _numbers(options.partitions)
        self.selection = selection_of(options, now_ms)
        self.begin: Position | None = None
        self.end: Position | None = None
        for text in options.offset or ():  # kcat gives its s@ and e@ one by one
            begin, end = parse_range(text, now_ms, utc=utc)
            self.begin, self.end = begin or self.begin, end or self.end
        since, until = moments_of(options, now_ms)
        if since is not None:
            self.begin = Position(TIME, since)
        if until is not None:
            self.end = Position(TIME, until)
        if options.from_beginning:
            self.begin = Position(START)
        if options.exit_at_end and self.end is None:
            self.end = Position(END)
        self.tail: int | None = options.tail
        self.is_ordered = _is_ordered(options)
        _check_order(options, self)
        self.idle_ms = None if options.idle is None else duration_ms(options.idle, "--idle")
        sinks.max_stall_ms(options)  # which is looked at only when something stalls
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
        if options.commit is not None and options.commit not in MODES:
            raise UsageFailure(f"--commit {options.commit} is no commit mode", f"one of {', '.join(MODES)}")


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
