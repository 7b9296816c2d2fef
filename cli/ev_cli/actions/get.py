"""ev get: one record, all of it."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.consume import consumer_settings
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.positions import Position, parse_range, resolve_one
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch

POLL_MS = 200
GONE = "it was compacted away, or aborted, or it marks the end of a transaction"


def get(options: Any) -> int:
    output.need_stdout()
    topic, partition, position = _place(options)
    show = _form(options)
    session = Session(options)
    with session.consumer(**consumer_settings(options, session)) as consumer:
        _check_partition(consumer, session, topic, partition)
        output.write(show(_found(consumer, topic, partition, position)))
    return DONE


def _place(options: Any) -> tuple[str, int, Position]:
    """[CTX/]TOPIC/PARTITION/OFFSET, and the TOPIC/PARTITION@OFFSET that consume shows. The context goes where -C would be."""
    text: str = options.record
    parts = text.replace("@", "/").split("/")
    if len(parts) == 4:
        if options.context or options.bootstrap:
            raise UsageFailure(f"{text!r} names a context, and so does -C or -b", "give one of them")
        options.context = parts.pop(0)
    try:
        topic, partition, offset = parts
        begin, end = parse_range(offset, 0)
        index = int(partition)
    except ValueError:
        begin = end = None
    except UsageFailure:
        begin = end = None
    if begin is None or end is not None or not topic:
        raise UsageFailure(f"{text!r} names no record", "write [CONTEXT/]TOPIC/PARTITION/OFFSET, such as payments/0/42; -1 is the newest")
    return topic, index, begin


def _form(options: Any) -> Any:
    """A person gets a line for each thing that the record has, a program the JSON, unless -f says otherwise."""
    from ev_cli.formats import filled
    from ev_cli.renderers import form_of, has_serdes, renderer_of

    if not has_serdes(options) and output.is_terminal(1) and form_of(options) == "pretty":
        from ev_cli.pretty import whole_record

        return lambda batch: whole_record(next(batch.records()), output.has_colour(), utc=bool(options.utc))
    if options.format is None and form_of(options) == "value":
        options.json_records = True
    renderer = renderer_of(options)
    return lambda batch: filled(renderer.pieces(batch), renderer.null)[0] + renderer.delimiter


def _check_partition(consumer: Consumer, session: Session, topic: str, partition: int) -> None:
    from ev.errors import UnknownTopicError

    try:
        there = consumer.partitions_for(topic, timeout_ms=0)
    except UnknownTopicError as error:
        from ev_cli.naming import with_nearest

        raise with_nearest(error, session) from None
    session.verify(consumer.cluster_id)
    if partition not in there:
        raise Failure(f"topic {topic!r} has no partition {partition}", f"its partitions are {there[0]} to {there[-1]}", code=3)


def _found(consumer: Consumer, topic: str, partition: int, position: Position) -> FetchedBatch:
    """The batch with just the record; a Failure that says what there is instead."""
    offset, first, end = resolve_one(position, (topic, partition), consumer)
    place = f"{output.safe(topic)}/{partition}/{offset}"
    if first == end:
        raise Failure(f"there is no record {place}", "the partition is empty", code=3)
    if not first <= offset < end:
        raise Failure(f"there is no record {place}", f"the partition has the offsets {first} to {end - 1}", code=3)
    consumer.assign({(topic, partition): offset})
    while consumer.position((topic, partition)) < end:
        for batch in consumer.poll_batches(POLL_MS):
            offsets = batch.columns.offsets
            if offsets and offsets[0] == offset:
                return batch.only([0])
            if offsets:
                raise Failure(f"there is no record {place}", f"{GONE}; the next one has offset {offsets[0]}", code=3)
    raise Failure(f"there is no record {place}", GONE, code=3)
