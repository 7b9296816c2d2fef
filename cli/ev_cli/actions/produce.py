"""ev produce: bytes from a pipe, a terminal or files become records of a topic.

Lines go out as soon as they are complete: while stdin is idle a batch is what has come, while it is busy batches grow.
"""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import Failure, Interrupted, StdoutClosed, UsageFailure
from ev_cli.interrupts import Interrupts
from ev_cli.reading import Place, Reading, Source, Waiting
from ev_cli.sending import Sending
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def produce(options: Any) -> int:
    session = Session(options)
    topic, sources = _topic_and_sources(options)
    reading = Reading(options)
    _check(options)
    if 0 in output.closed and any(source.is_stdin for source in sources):
        output.need_stdin()
    sending = Sending(session, options, topic)
    interrupts = Interrupts().install()
    try:
        for source in sources:
            _feed(source, reading, sending, interrupts)
            if reading.full:
                break
    except Interrupted:
        pass
    except StdoutClosed:  # --tee or --report: what was read is sent all the same
        sending.finish()
        raise
    except Failure as failure:
        sending.failure = sending.failure or failure
    return sending.finish() or interrupts.status


def _check(options: Any) -> None:
    if options.compression is not None and options.compression not in CODECS:
        raise UsageFailure(f"-z {options.compression} is no codec", f"one of {', '.join(CODECS)}")
    if options.acks is not None and options.acks not in ("all", "-1", "1", "0"):
        raise UsageFailure(f"--acks {options.acks} is unknown", "all, 1 or 0")
    if options.count is not None and options.count < 0:
        raise UsageFailure("-n takes a number of records")


def _topic_and_sources(options: Any) -> tuple[str, list[Source]]:
    files = list(options.files)
    topic = options.topic
    if options.topic_option is not None:
        if topic is not None:
            files.insert(0, topic)
        topic = options.topic_option
    if topic is None:
        raise UsageFailure("no topic to produce to", "ev produce TOPIC")
    if options.value is not None:
        if files or options.lines:
            raise UsageFailure("--value and files are two sources", "give one of them")
        return topic, [Source("--value", whole=True, text=os.fsencode(options.value))]
    whole = options.whole or (len(files) > 1 and not options.format and not options.json_records)
    sources = [Source(name, whole=whole) for name in files] + [Source(name, whole=False) for name in options.lines]
    return topic, sources or [Source("-", whole=whole)]


def _feed(source: Source, reading: Reading, sending: Sending, interrupts: Interrupts) -> None:
    """Read one source to its end, sending as it comes."""
    splitter, shaper = reading.parts(source)
    place = Place(source, len(splitter.delimiter))
    if source.text is not None:
        sending.send(shaper.shape([source.text]), [source.text], place)
        return
    try:
        descriptor = source.open()
    except Failure as failure:
        if not sending.options.keep_going:
            raise
        sending.complain(failure)
        return
    try:
        waiting = Waiting(descriptor, sending, interrupts)
        for block in waiting.blocks(source):
            if sending.options.tee:
                output.write(block)
            records = reading.limit(splitter.feed(block))
            if records:
                sending.send(shaper.shape(records), records, place)
            if reading.full or sending.failure is not None:
                return
        records = reading.limit(splitter.finish())
        if records:
            sending.send(shaper.shape(records), records, place)
    finally:
        if descriptor > 2:
            os.close(descriptor)
