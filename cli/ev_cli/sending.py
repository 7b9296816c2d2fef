"""Records on their way to a topic, and what has become of each of them.

Every call of produce_many is a Run of neighbouring input records; acknowledgements are counted per run, so that a run that fails can be
told as `acked N of M, first unacknowledged: line L, byte B`. In a transaction everything counts, or nothing.
"""

from __future__ import annotations

import os
import time

from ev.errors import EvError, TransactionError
from ev_cli import output
from ev_cli.failures import DONE, FAILED, UNREACHABLE, Failure, UsageFailure, as_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ev.client.delivery import Delivery
    from ev.client.producer import Producer
    from ev.client.results import OffsetToCommit
    from ev_cli.interrupts import Interrupts
    from ev_cli.lines import Columns
    from ev_cli.reading import Place
    from ev_cli.reviving import Revival
    from ev_cli.session import Session

STEP_MS = 500
"""How often it is looked whether the engine is still there while the last records wait."""
LAST_STEPS = 4
"""So many of them a signal leaves to a cluster that is not connected."""
PATIENT_STEPS = 6
"""After so many a person is told that something is waited for."""
BUFFER_BYTES = 16 << 20
"""So much is on its way at a time; short records take several times as much in memory."""
TRANSACTION_TIMEOUT_MS = 900_000
"""The longest that a broker allows unless it was told otherwise: the input may be slow."""
PRODUCER_ID_TIMEOUT_MS = 30_000
"""A cluster that has had no transactions yet makes a topic for them first."""
COMMIT_TIMEOUT_MS = 120_000
_REFUSED_ALONE = frozenset((10, 18, 32, 87))
"""Codes that are about one record: too large (alone, or for a segment), its time, what it holds."""


class Run:
    """Neighbouring records of the input that went out in one call."""

    __slots__ = ("acked", "count", "failed_at", "in_order", "mark", "place", "records", "refused")

    def __init__(self, place: Place, mark: tuple[int, int], records: list[bytes], in_order: bool) -> None:
        self.place = place
        self.mark = mark
        self.records = records
        self.count = len(records)
        self.in_order = in_order
        """All went to one partition, so that what was acknowledged is the beginning of the run."""
        self.acked = 0
        self.refused = 0
        self.failed_at: int | None = None

    def first_unacknowledged(self) -> str:
        """Its place, exact in one partition; over several the run's first record is the safe answer."""
        if not self.in_order:
            return f"at or after {self.place.of(self.mark, [])}"
        return self.place.of(self.mark, self.records[: self.acked if self.failed_at is None else self.failed_at])


class Sending:
    """The producer, and what has become of every record that was read."""

    def __init__(self, session: Session, options: Any, topic: str, transactional_id: str | None = None) -> None:
        self.options = options
        self.failure: Failure | None = None
        self.skipped = 0
        """Records that were left out because --on-error says so."""
        self.dead = 0
        """Records that went to the dead-letter topic."""
        self._session = session
        self._topic = topic
        self._status = DONE
        self._read = 0
        self._acked = 0
        self._runs: dict[object, Run] = {}
        """By tag, in the order of the input."""
        self._next_tag = 0
        self._show = options.verbose > 0
        self._report = _report_format(options.report)
        self._key = _fixed_key(options)
        self._headers = _fixed_headers(options)
        self._timestamp = _timestamp(options)
        self._revival: Revival | None = None
        self._partitions: dict[str, int] = {}
        """How many each topic has that was written to."""
        self._transactional_id = transactional_id
        self._skips = options.on_error == "skip" and transactional_id is None
        self._producer = self._open()
        try:
            self._find(topic)
            if transactional_id is not None:
                with self._session.patience.waits_for("a producer id for transactions"):
                    self._producer.init_transactions(timeout_ms=self._session.timeout_ms if options.timeout else PRODUCER_ID_TIMEOUT_MS)
        except BaseException:
            self._producer.cluster.close()
            raise

    @property
    def outstanding(self) -> bool:
        return bool(self._runs)

    def on_terminal(self) -> None:
        """A person types: say how to end, show where each line went."""
        if not self.options.quiet:
            output.say("one event per line, Ctrl-D ends")
            self._show = True

    def complain(self, failure: Failure) -> None:
        output.say(f"ev: {failure.line()}")
        self._status = failure.code

    def send(self, columns: Columns, records: list[bytes], place: Place) -> None:
        """Hand the records to the producer; this blocks while its buffer is full."""
        if columns.topics is None and columns.partitions is None:
            self._send_run(self._topic, self.options.partition, columns, 0, len(records), records, place)
            return
        topics = columns.topics or [None] * len(records)
        partitions = columns.partitions or [None] * len(records)
        start = 0
        for end in range(1, len(records) + 1):
            if end == len(records) or (topics[end], partitions[end]) != (topics[start], partitions[start]):
                topic = topics[start] or self._topic
                partition = self.options.partition if partitions[start] is None else partitions[start]
                self._send_run(topic, partition, columns, start, end, records[start:end], place)
                start = end

    def _send_run(
        self, topic: str, partition: int | None, columns: Columns, start: int, end: int, records: list[bytes], place: Place
    ) -> None:
        if topic not in self._partitions:
            self._find(topic)
        run = Run(place, place.mark(), records, partition is not None or self._partitions[topic] == 1)
        place.advance(records)
        self._read += run.count
        tag = self._next_tag
        self._next_tag += 1
        self._runs[tag] = run
        whole = start == 0 and end == len(columns.values)
        values = columns.values if whole else columns.values[start:end]
        keys = [self._key] * run.count if columns.keys is None and self._key is not None else _part(columns.keys, start, end)
        headers = [self._headers] * run.count if columns.headers is None and self._headers else _part(columns.headers, start, end)
        timestamps = [self._timestamp] * run.count if self._timestamp is not None else _timestamps(columns, start, end)
        try:
            self._producer.produce_many(topic, values, keys=keys, headers=headers, timestamps=timestamps, partition=partition, tag=tag)
        except EvError as error:
            self.failure = self.failure or self._as_failure(error)
            raise self.failure from error

    def send_dead(self, topic: str, record: bytes, headers: list[tuple[str, bytes | None]], place: Place) -> None:
        """A record that could not be read, as it was, to the dead-letter topic."""
        from ev_cli.lines import Columns

        self.dead += 1
        self._send_run(topic, None, Columns([record], headers=[headers]), 0, 1, [record], place)

    def skip(self, record: bytes, place: Place) -> None:
        self.skipped += 1
        self._read += 1
        place.advance([record])

    def take_deliveries(self, timeout_ms: int) -> None:
        """Note what was acknowledged, and what was refused; the first refusal ends the run."""
        deliveries = self._producer.poll(timeout_ms)
        if not deliveries and self._runs and not self._producer.connected:
            self._revive()
        for delivery in deliveries:
            if delivery.error is not None:
                self._refused(delivery, delivery.error)
                continue
            self._acknowledged(delivery)

    def _revive(self) -> None:
        """Nobody is connected while records wait: if it is a local engine that has died, it is started again."""
        if self._revival is None:
            from ev_cli.reviving import Revival

            self._revival = Revival(self._session)
        address = self._revival.look()
        if address is not None and self.failure is None:
            self.failure = Failure(f"the local engine runs again, but at {address}", "send the rest there", code=UNREACHABLE)

    def _refused(self, delivery: Delivery, error: EvError) -> None:
        """The first refusal ends the run, unless it is about one record and --on-error says to leave such out."""
        run = self._runs[delivery.tag]
        if self._skips and getattr(error, "code", None) in _REFUSED_ALONE:
            self.skipped += delivery.count
            run.refused += delivery.count
            where = run.first_unacknowledged()
            output.say(f"ev: {where}: {output.safe(as_failure(error, self._session.where).line())}; skipped")
            if run.acked + run.refused == run.count:
                del self._runs[delivery.tag]
            return
        self.failure = self.failure or self._as_failure(error)
        run.failed_at = run.acked if run.failed_at is None else run.failed_at

    def _acknowledged(self, delivery: Delivery) -> None:
        run = self._runs[delivery.tag]
        run.acked += delivery.count
        self._acked += delivery.count
        if run.acked + run.refused == run.count:
            del self._runs[delivery.tag]
        if self._show or self._report is not None:
            self._tell(delivery)

    def _tell(self, delivery: Delivery) -> None:
        if delivery.base_offset < 0:  # acks=0: nobody says where the records went
            return
        for offset in range(delivery.base_offset, delivery.base_offset + delivery.count):
            if self._report is not None:
                output.write(self._report % {b"t": delivery.topic.encode(), b"p": delivery.partition, b"o": offset})
            if self._show:
                output.say(f"\u2192 {output.safe(delivery.topic)}/{delivery.partition}@{offset}")

    def finish(self, *, interrupted: Interrupts | bool = False) -> int:
        """Wait for what is on its way, say what was not acknowledged, and return the exit status. After a signal, whenever it comes, a
        cluster that is not connected is waited for only a moment longer."""
        if self._transactional_id is not None:
            return self._finish_transaction(bool(interrupted))
        signals = () if isinstance(interrupted, bool) else interrupted
        steps = lost_steps = 0
        try:
            while (self.failure is None or self.failure.code != UNREACHABLE) and self._producer.flush(STEP_MS):
                if not self._producer.connected:
                    lost_steps += 1 if signals else 0
                    if lost_steps == LAST_STEPS:
                        break
                    self._revive()
                steps += 1
                if steps == PATIENT_STEPS and not self._session.patience.has_told:
                    self._session.talk(f"{self._session.where} has not acknowledged the last records yet; trying on, Ctrl-C ends")
            self.take_deliveries(0)
        except EvError as error:
            self.failure = self.failure or as_failure(error, self._session.where)
        finally:
            self._producer.close(timeout_ms=0 if signals else None)
        if self.failure is None and not self._runs:
            return self._left_out()
        if self.failure is None and signals:
            output.say(f"ev: given up before everything was acknowledged{self._account()}")
            return self._status
        failure = self.failure or Failure("not everything was acknowledged", code=FAILED)
        failure.message += self._account()
        raise failure

    def _left_out(self) -> int:
        """Say in numbers what did not arrive where it was meant to; the exit status."""
        parts = [f"{count} {verb}" for count, verb in ((self.skipped, "skipped"), (self.dead, "sent to the dead-letter topic")) if count]
        if parts:
            arrived = self._acked - self.dead
            self._session.talk(f"{arrived} of {self._read} records acknowledged, {', '.join(parts)}")
        return FAILED if self.skipped else self._status

    def _account(self) -> str:
        """`; acked N of M, first unacknowledged: line L, byte B`, when anything was read."""
        if not self._read:
            return ""
        text = f"; acked {self._acked} of {self._read}"
        if self.skipped:
            text += f", skipped {self.skipped}"
        if self._runs:
            text += f", first unacknowledged: {next(iter(self._runs.values())).first_unacknowledged()}"
        return text

    # -- transactions ------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._producer.begin_transaction(timeout_ms=COMMIT_TIMEOUT_MS)

    def commit(self, offsets: Mapping[tuple[str, int], OffsetToCommit], group: str, timeout_ms: int) -> None:
        """Everything since `begin` and the offsets of the group, or nothing. Raises what the client raises."""
        self._producer.send_offsets_to_transaction(offsets, group, timeout_ms=timeout_ms)
        self._producer.commit_transaction(timeout_ms=timeout_ms)
        self.take_deliveries(0)

    def drop(self) -> None:
        """Close the connections and leave what is open to the broker, and to the next producer of that name."""
        self._producer.cluster.close()

    def _finish_transaction(self, interrupted: bool) -> int:
        """Commit, unless something failed or a signal came."""
        fate = f"; the transaction was aborted, none of {self._read} records count"
        if self.failure is None and not interrupted:
            try:
                with self._session.patience.waits_for("the end of the transaction"):
                    self._producer.commit_transaction(timeout_ms=COMMIT_TIMEOUT_MS)
                self.take_deliveries(0)
            except EvError as error:
                self.failure = self._as_failure(error)
                if isinstance(error, TransactionError) and error.committed is None:
                    fate = f"; nobody knows whether the {self._read} records count: ask with ev consume"
        self._producer.close()  # it aborts what is still open
        if self.failure is not None:
            self.failure.message += fate if self._read else ""
            raise self.failure
        if interrupted:
            self._session.talk(f"the transaction was aborted, none of {self._read} records count")
            return self._status
        return self._left_out()

    def _as_failure(self, error: EvError) -> Failure:
        """A transaction that failed is told by what made it fail."""
        reason = error.reason if isinstance(error, TransactionError) else None
        return as_failure(error if reason is None else reason, self._session.where)

    # -- opening it --------------------------------------------------------------------------------------------------------------

    def _open(self) -> Producer:
        options = self.options
        settings: dict[str, Any] = {"acks": options.acks or "all", "linger_ms": 0, "request_timeout_ms": self._session.timeout_ms}
        if options.compression is not None:
            settings["compression"] = options.compression
        if options.partitioner is not None:
            settings["partitioner"] = options.partitioner
        if options.no_idempotence or settings["acks"] not in ("all", "-1"):
            settings["idempotence"] = False
        if options.linger is not None:
            from ev_cli.times import duration_ms

            settings["linger_ms"] = duration_ms(options.linger, "--linger")
        if options.batch_size is not None:
            settings["batch_bytes"] = options.batch_size
        if self._transactional_id is not None:
            settings["transactional_id"] = self._transactional_id
            if options.transaction is not None and not options.follow:
                settings["transaction_timeout_ms"] = TRANSACTION_TIMEOUT_MS
        settings["buffer_bytes"] = BUFFER_BYTES
        settings["metadata_timeout_ms"] = self._session.timeout_ms
        return self._session.producer(**settings)

    def _find(self, topic: str) -> None:
        """See to it that the topic is there: made on the local engine, and on a cluster when --create says so."""
        if topic in self._partitions:
            return
        from ev.errors import KafkaError, UnknownTopicError

        try:
            count = len(self._producer.partitions(topic, timeout_ms=0))
        except KafkaError as error:
            if not error.retriable:
                raise
            count = len(self._producer.partitions(topic))  # it has no leader yet
        except UnknownTopicError as error:
            if not self._session.target.is_local and self.options.create is None:
                from ev_cli.naming import with_nearest

                failure = with_nearest(error, self._session)
                failure.hint = failure.hint if error.nearest else "--create makes it"
                raise failure from None
            self._create(topic)
            count = len(self._producer.partitions(topic, timeout_ms=self._session.timeout_ms))
        if not self._partitions:
            self._session.verify(self._producer.cluster.metadata.cluster_id)
        self._partitions[topic] = count

    def _create(self, topic: str) -> None:
        from ev.client.results import NewTopic
        from ev.errors import ErrorCode

        with self._session.admin() as admin:
            created = admin.create_topics([NewTopic(topic, self.options.create or -1)])[0]
        if created.error is None:
            self._session.talk(f"created topic {output.safe(topic)} on {self._session.where}")
        elif created.error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
            raise created.error


def _part(column: Any, start: int, end: int) -> Any:
    return column if column is None or (start == 0 and end == len(column)) else column[start:end]


def _timestamps(columns: Columns, start: int, end: int) -> list[int] | None:
    found = _part(columns.timestamps, start, end)
    if found is None or all(timestamp is None for timestamp in found):
        return None
    now_ms = int(time.time() * 1000)
    return [now_ms if timestamp is None else timestamp for timestamp in found]


def _fixed_key(options: Any) -> bytes | None:
    if options.key is None or options.template:
        return None
    key = os.fsencode(options.key)
    if not (options.serde or options.key_schema):
        return key
    from ev_cli.serializers import serializers_of

    serialize = serializers_of(options)[0]
    try:
        return key if serialize is None else serialize(key)
    except Failure as failure:
        raise UsageFailure(f"-k: {failure.message}", failure.hint) from None


def _fixed_headers(options: Any) -> list[tuple[str, bytes | None]]:
    if not options.headers or options.template:
        return []
    from ev_cli.records_in import header

    return [header(text) for text in options.headers]


def _timestamp(options: Any) -> int | None:
    if options.timestamp is None:
        return None
    from ev_cli.times import is_field, timestamp_ms

    if is_field(options.timestamp):
        return None

    return timestamp_ms(options.timestamp, int(time.time() * 1000), flag="--timestamp")


def _report_format(text: str | None) -> bytes | None:
    """--report as a template for `%`: %t %p %o and literals; a line end is added when there is none."""
    if text is None:
        return None
    from ev_cli.formats import lex

    template = b""
    for part in lex(text):
        if isinstance(part, bytes):
            template += part.replace(b"%", b"%%")
        elif part.letter in "tpo" and part.modifier is None:
            template += b"%%(%b)%s" % (part.letter.encode(), b"s" if part.letter == "t" else b"d")
        else:
            raise UsageFailure(f"{part!r} does not go into --report", "%t %p %o do")
    return template if template.endswith((b"\n", b"\0")) else template + b"\n"
