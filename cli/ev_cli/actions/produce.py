"""ev produce: bytes from a pipe, a terminal or files become records of a topic.

Lines go out as soon as they are complete: while stdin is idle a batch is what has come, while it is busy batches grow.
"""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import Failure, Interrupted, StdoutClosed, UsageFailure
from ev_cli.interrupts import Interrupts
from ev_cli.lines import Malformed
from ev_cli.reading import Place, Reading, Source, Waiting
from ev_cli.sending import Sending
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev_cli.lines import Shaper
    from ev_cli.pace import Pace
    from ev_cli.progress import Progress
    from ev_cli.refusals import Refusals

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONERS = ("murmur2", "crc32", "random", "rr", "sticky")
COPIES = 1000
"""A value that is repeated is sent so many at a time."""


def produce(options: Any) -> int:
    session = Session(options)
    topic, sources = _topic_and_sources(options)
    _check(options)
    reading = Reading(options)
    if options.follow:
        from ev_cli.following import follow

        return follow(session, options, topic, [source.name for source in sources], reading)
    feeding = Feeding(options, topic, sources, reading)
    if 0 in output.closed and any(source.is_stdin for source in sources):
        output.need_stdin()
    sending = Sending(session, options, topic, _transactional_id(options))
    interrupts = Interrupts().install()
    try:
        if options.transaction is not None:
            sending.begin()
        feeding.run(sending, interrupts)
    except Interrupted:
        pass
    except StdoutClosed:  # --tee or --report: what was read is sent all the same
        sending.finish(interrupted=True)
        raise
    except Failure as failure:
        sending.failure = sending.failure or failure
    return sending.finish(interrupted=interrupts) or interrupts.status


# -- what the options say ------------------------------------------------------------------------------------------------------


def _check(options: Any) -> None:
    if options.compression is not None and options.compression not in CODECS:
        raise UsageFailure(f"-z {options.compression} is no codec", f"one of {', '.join(CODECS)}")
    if options.acks is not None and options.acks not in ("all", "-1", "1", "0"):
        raise UsageFailure(f"--acks {options.acks} is unknown", "all, 1 or 0")
    if options.partitioner is not None and options.partitioner not in PARTITIONERS:
        raise UsageFailure(f"--partitioner {options.partitioner} is unknown", f"one of {', '.join(PARTITIONERS)}")
    for name, value in (("-n", options.count), ("-p", options.partition), ("--create", options.create)):
        if value is not None and value < 0:
            raise UsageFailure(f"{name} {value} is less than nothing")
    for name, value in (("--batch-size", options.batch_size), ("--max-message-bytes", options.max_message_bytes)):
        if value is not None and value < 1:
            raise UsageFailure(f"{name} {value} holds nothing", "it takes a number of bytes")
    if options.repeat is not None and options.repeat < 1:
        raise UsageFailure(f"--repeat {options.repeat} sends nothing", "how often the input is sent, 1 or more")
    _check_transaction(options)


def _check_transaction(options: Any) -> None:
    name = "--follow" if options.follow else "--transaction"
    if options.transaction is None and not options.follow:
        return
    if options.no_idempotence:
        raise UsageFailure(f"{name} and --no-idempotence contradict each other", "a transaction needs producer ids")
    if options.acks not in (None, "all", "-1"):
        raise UsageFailure(f"{name} and --acks {options.acks} contradict each other", "a transaction waits for all")
    if not options.follow:
        return
    others = {"--whole": options.whole, "--repeat": options.repeat, "--rate": options.rate, "--value": options.value, "-l": options.lines}
    for other, value in others.items():
        if value:
            raise UsageFailure(f"--follow and {other} contradict each other", "it reads the lines of FILE as they come")


def _transactional_id(options: Any) -> str | None:
    """What was given, or a name that nobody else has."""
    if options.transaction is None:
        return None
    return options.transaction or f"ev-produce-{os.urandom(8).hex()}"


def _topic_and_sources(options: Any) -> tuple[str, list[Source]]:
    files = list(options.files)
    topic = options.topic
    if options.topic_option is not None:
        if topic is not None:
            files.insert(0, topic)
        topic = options.topic_option
    if topic is None:
        raise UsageFailure("no topic to produce to", "ev produce TOPIC")
    if not topic:
        raise UsageFailure("the topic has no name", "ev produce TOPIC")
    if options.value is not None:
        if files or options.lines:
            raise UsageFailure("--value and files are two sources", "give one of them")
        return topic, [Source("--value", whole=True, text=os.fsencode(options.value))]
    if options.follow and (not files or "-" in files):
        raise UsageFailure("--follow needs files", "ev produce TOPIC --follow FILE…")
    whole = options.whole or (len(files) > 1 and not options.format and not options.json_records and not options.follow)
    sources = [Source(name, whole=whole) for name in files] + [Source(name, whole=False) for name in options.lines]
    return topic, sources or [Source("-", whole=whole)]


# -- from the sources to the topic ---------------------------------------------------------------------------------------------


class Feeding:
    """The sources of one run, read one after the other and sent as they come."""

    def __init__(self, options: Any, topic: str, sources: list[Source], reading: Reading) -> None:
        self._options = options
        self._sources = sources
        self._reading = reading
        self._pace: Pace | None = None
        self._refusals: Refusals | None = None
        self._progress: Progress | None = None
        self._done_before = 0
        """Bytes of the files that have been read to their end."""
        self._topic = topic
        if options.rate is not None:
            from ev_cli.pace import pace_of

            self._pace = pace_of(options.rate)
        if options.on_error is not None:
            self._policy()

    def run(self, sending: Sending, interrupts: Interrupts) -> None:
        self._sending = sending
        self._interrupts = interrupts
        try:
            for round_number in range(1 if self._sources[0].text is not None else self._options.repeat or 1):
                for source in self._sources:
                    self._feed(source, is_again=round_number > 0)
                    if self._reading.full or sending.failure is not None:
                        return
        finally:
            if self._progress is not None:
                self._progress.end()

    def _feed(self, source: Source, *, is_again: bool) -> None:
        """Read one source to its end."""
        splitter, shaper = self._reading.parts(source)
        place = Place(source, len(splitter.delimiter), lines_inside=splitter.lines_inside)
        if source.text is not None:
            self._repeat(source.text, shaper, place)
            return
        try:
            descriptor = source.open(is_again=is_again)
        except Failure as failure:
            if not self._options.keep_going:
                raise
            self._sending.complain(failure)
            return
        try:
            self._read(source, descriptor, shaper, splitter, place)
        finally:
            if descriptor > 2:
                os.close(descriptor)

    def _read(self, source: Source, descriptor: int, shaper: Shaper, splitter: Any, place: Place) -> None:
        waiting = Waiting(descriptor, self._sending, self._interrupts)
        if waiting.size is not None:
            self._show_progress(waiting.size)
        try:
            for block in waiting.blocks(source):
                if self._options.tee:
                    output.write(block)
                self._take(splitter.feed(block), shaper, splitter, place)
                if self._reading.full or self._sending.failure is not None:
                    return
            self._take(splitter.finish(), shaper, splitter, place)
            self._done_before += waiting.size or 0
        except Malformed as error:  # how the input is cut: nobody knows where the next record would begin
            raise Failure(f"{place.of(place.mark(), [])}: {error.message}", error.hint) from None

    def _take(self, records: list[bytes], shaper: Shaper, splitter: Any, place: Place) -> None:
        if splitter.swallowed:
            place.advance(splitter.swallowed)
            splitter.swallowed = ()
        records = self._reading.limit(records)
        if not records:
            return
        if self._pace is not None:
            for piece in self._in_pace(records, self._pace):
                self._send(piece, shaper, place)
        else:
            self._send(records, shaper, place)

    def _send(self, records: list[bytes], shaper: Shaper, place: Place) -> None:
        try:
            columns = shaper.shape(records)
        except Malformed:
            self._policy().send_shaped(self._sending, shaper, records, place)
        else:
            self._sending.send(columns, records, place)
        if self._progress is not None:
            self._progress.done = self._done_before + place.byte
            self._progress.show()

    def _policy(self) -> Refusals:
        from ev_cli.refusals import Refusals

        self._refusals = self._refusals or Refusals(self._options.on_error, self._topic)
        return self._refusals

    def _repeat(self, text: bytes, shaper: Shaper, place: Place) -> None:
        """--value, as often as --repeat says."""
        left = self._options.repeat or 1
        while left and not self._reading.full:
            records = self._reading.limit([text] * min(left, COPIES))
            left -= min(left, COPIES)
            for piece in [records] if self._pace is None else self._in_pace(records, self._pace):
                self._send(piece, shaper, place)
            self._sending.take_deliveries(0)
            if self._interrupts or self._sending.failure is not None:
                raise Interrupted

    def _in_pace(self, records: list[bytes], pace: Pace) -> Iterator[list[bytes]]:
        import time

        start = 0
        while start < len(records):
            count = pace.allowed(time.monotonic())
            if count:
                yield records[start : start + count]
                pace.sent(min(count, len(records) - start))
                start += count
            else:
                self._rest(pace.wait_s())

    def _rest(self, seconds: float) -> None:
        """Wait, and take acknowledgements meanwhile. A signal, or a record that was refused, ends the wait."""
        import time

        if self._sending.outstanding:
            self._sending.take_deliveries(min(max(1, int(seconds * 1000)), 100))
            if self._interrupts or self._sending.failure is not None:
                raise Interrupted
        else:
            with self._interrupts.waiting():
                time.sleep(seconds)

    def _show_progress(self, size: int) -> None:
        """How much of the files has been read, for a person who waits."""
        if self._progress is None:
            if self._options.quiet or not output.is_terminal(2):
                return
            from ev_cli.progress import Progress

            has_data = self._options.tee or self._options.report is not None
            self._progress = Progress(self._options, "sending", total=0, beside_data=has_data)
        self._progress.extend(size)
