"""ev redrive: dead letters go back to where they came from, each committed only after the topic has it."""

from __future__ import annotations

import time
from collections import deque

from ev_cli import output
from ev_cli.actions.consume import Wanted, run
from ev_cli.commit import INTERVAL_MS
from ev_cli.dead_letters import TIMESTAMP, TOPIC, without_ours
from ev_cli.failures import UNMET, Failure, UsageFailure, as_failure
from ev_cli.formats import Renderer, filled
from ev_cli.handler_items import items_of
from ev_cli.interrupts import Interrupts
from ev_cli.ledger import Unfinished
from ev_cli.session import Session
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch
    from ev.client.producer import Producer
    from ev_cli.handler_items import Item

    Partition = tuple[str, int]
    Headers = Sequence[tuple[str, bytes | None]]

REPLAYS = "ev-replay-count"
MAX_REPLAYS = 3
IN_FLIGHT_MAX = 1000
PATIENCE_MS = 20


class Replay:
    """Where a dead letter goes, and as what."""

    __slots__ = ("headers", "timestamp", "topic")

    def __init__(self, topic: str, headers: list[tuple[str, bytes | None]], timestamp: int) -> None:
        self.topic = topic
        self.headers = headers
        self.timestamp = timestamp


def replay_of(headers: Headers, timestamp: int, to: str | None, max_replays: int) -> Replay | str:
    """What becomes of a record with these headers; a text says why it is held back."""
    last = dict(headers)
    topic = to or (last.get(TOPIC) or b"").decode("utf-8", "replace")
    if not topic:
        return f"it has no header {TOPIC} (--to TOPIC names a target)"
    replays = _number(last.get(REPLAYS), 0)
    if replays >= max_replays:
        return f"it was replayed {replays} times (--max-replays {replays + 1} allows one more)"
    kept = [(name, value) for name, value in without_ours(headers) if name != REPLAYS]
    return Replay(topic, [*kept, (REPLAYS, b"%d" % (replays + 1))], _number(last.get(TIMESTAMP), timestamp))


def _number(text: bytes | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default


def redrive(options: Any) -> int:
    topic: str = options.topic
    options.topics, options.topic_option = [topic], []
    options.group = f"redrive.{topic}"
    options.exit_at_end = True
    if options.to == topic:
        raise UsageFailure(f"{topic} would be read and written to without an end", "--to names another topic")
    most = MAX_REPLAYS if options.max_replays is None else options.max_replays
    rate = _rate(options.rate)
    wanted = Wanted(options)
    session = Session(options)
    interrupts = Interrupts().install()
    sink = Redriving(session, topic, options.to, most, rate, wanted.count, dry_run=bool(options.dry_run))
    status = run(options, wanted, sink, session, interrupts)
    if options.dry_run:
        output.show(sink.plan(), options)
    else:
        sink.tell()
    return UNMET if status == 0 and sink.held_back else status


def _rate(text: str | None) -> float | None:
    """`100/s`, `100` as records a second."""
    if text is None:
        return None
    digits = text.removesuffix("/s")
    if not digits.isdigit() or int(digits) == 0:
        raise UsageFailure(f"--rate {text!r} is no rate", "write 100/s")
    return float(digits)


class Redriving(Sink):
    """The producer, and the dead letters on their way."""

    def __init__(
        self, session: Session, source: str, to: str | None, max_replays: int, rate: float | None, left: int | None, *, dry_run: bool
    ) -> None:
        super().__init__(Renderer(), left)
        self.held_back: dict[str, int] = {}
        """How many, by the reason."""
        self._session = session
        self._source = source
        self._to = to
        self._max_replays = max_replays
        self._dry_run = dry_run
        self._pace_s = 0.0 if rate is None else 1 / rate
        self._next_s = 0.0
        self._queue: deque[tuple[Item, Replay]] = deque()
        self._open: dict[int, tuple[str, Item]] = {}
        self._number = 0
        self._sent: dict[str, int] = {}
        """How many each target has, acknowledged."""
        self._unfinished = Unfinished()
        self._next_commit_ms = 0
        self._stopped = False
        self._producer: Producer | None = None
        self._known: set[str] = set()

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        pieces = filled(self.wanted(batch, end), b"")
        for item in items_of(batch, pieces, b"", self._unfinished):
            replay = replay_of(item.headers, item.timestamp, self._to, self._max_replays)
            if isinstance(replay, str):
                self.held_back[replay] = self.held_back.get(replay, 0) + 1
                self._unfinished.finish(item.track, item.offset)
            elif replay.topic == self._source:
                raise Failure(f"{output.safe(item.place)} came from {self._source} itself", "--to TOPIC names another target")
            else:
                self._queue.append((item, replay))

    @property
    def full(self) -> bool:
        return bool(self._queue) or len(self._open) >= IN_FLIGHT_MAX

    def patience_ms(self, longest_ms: int) -> int:
        return min(longest_ms, PATIENCE_MS) if self._queue or self._open else longest_ms

    def turn(self) -> None:
        now_s = time.monotonic()
        while self._queue and not self._stopped and len(self._open) < IN_FLIGHT_MAX and now_s >= self._next_s:
            self._next_s = max(self._next_s, now_s - 1) + self._pace_s
            self._send(*self._queue.popleft())
        if self._open:
            self._take_deliveries()

    def _send(self, item: Item, replay: Replay) -> None:
        if not self._unfinished.is_ours(item.track):
            return
        if self._dry_run:
            self._sent[replay.topic] = self._sent.get(replay.topic, 0) + 1
            return
        producer = self._producer_for(replay.topic)
        self._number += 1
        self._open[self._number] = replay.topic, item
        producer.produce(replay.topic, item.value, item.key, headers=replay.headers, timestamp_ms=replay.timestamp, tag=self._number)

    def _producer_for(self, topic: str) -> Producer:
        """Its partitions are known, or it is not there: exit 3, and nothing of it is committed."""
        from ev.errors import KafkaError, UnknownTopicError

        if self._producer is None:
            timeout_ms = self._session.timeout_ms
            self._producer = self._session.producer(acks="all", request_timeout_ms=timeout_ms, metadata_timeout_ms=timeout_ms)
        if topic not in self._known:
            try:
                self._producer.partitions(topic, timeout_ms=0)
            except KafkaError as error:
                if not error.retriable:
                    raise
                self._producer.partitions(topic)
            except UnknownTopicError as error:
                from ev_cli.naming import with_nearest

                raise with_nearest(error, self._session) from None
            self._known.add(topic)
        return self._producer

    def _take_deliveries(self) -> None:
        assert self._producer is not None
        for delivery in self._producer.poll(PATIENCE_MS):
            assert isinstance(delivery.tag, int)
            topic, item = self._open.pop(delivery.tag)
            if delivery.error is not None:
                failure = as_failure(delivery.error, self._session.where)
                failure.message = f"{output.safe(topic)!r} did not take a record: {failure.message}"
                raise failure
            self._sent[topic] = self._sent.get(topic, 0) + 1
            self._unfinished.finish(item.track, item.offset)

    def due(self, now_ms: int) -> dict[Partition, int]:
        if now_ms < self._next_commit_ms:
            return {}
        offsets = self.all()
        if offsets:
            self._next_commit_ms = now_ms + INTERVAL_MS
        return offsets

    def all(self) -> dict[Partition, int]:
        return {} if self._dry_run else self._unfinished.take()

    def keep(self, offsets: dict[Partition, int]) -> None:
        self._unfinished.keep(offsets)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        self._unfinished.forget(partitions)

    def stop(self) -> None:
        self._stopped = True

    def ended(self) -> bool:
        return not self._open and (self._stopped or not self._queue)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout_ms=0)

    # -- what became of them -------------------------------------------------------------------------------------------------

    def plan(self) -> output.Table:
        """What would go where."""
        table = output.Table(["target", "records"])
        for topic, count in sorted(self._sent.items()):
            table.add(target=topic, records=count)
        if self.held_back:
            table.add(target=None, records=sum(self.held_back.values()))
        return table

    def tell(self) -> None:
        for topic, count in sorted(self._sent.items()):
            self._session.talk(f"{count} records went back to {output.safe(topic)}")
        if not self._sent:
            self._session.talk(f"nothing of {output.safe(self._source)} went back")
        for reason, count in self.held_back.items():
            self._session.talk(f"{count} records are held back in {output.safe(self._source)}: {reason}")
