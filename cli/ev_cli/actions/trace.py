"""ev trace: what has happened to one key, over all topics, in the order of time.

It is a reading of the partitions in which the key belongs, up to where they end now, filtered by the key and merged by time.
"""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.actions.consume import read
from ev_cli.failures import UNMET, Failure
from ev_cli.formats import Renderer
from ev_cli.output import safe, safe_bytes
from ev_cli.session import Session
from ev_cli.times import local_text, moments_of, span_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.fetched import FetchedBatch

DELAY_WIDTH = 8


def trace(options: Any) -> int:
    output.need_stdout()
    options.order = "time"
    options.unannounced = True
    options.exit_at_end = not options.follow
    moments_of(options, int(time.time() * 1000))  # before all topics are asked for
    if not options.topics:
        options.topics = _all_topics(options)
    form = _form(options)
    status = read(options, form.renderer, form.finish)
    if status == UNMET and options.count is None:
        elsewhere = (
            "" if options.all_partitions else ": kcat and others choose partitions in another way, --all-partitions looks everywhere"
        )
        many = f"{len(options.topics)} topics" if len(options.topics) > 1 else f"topic {options.topics[0]!r}"
        Session(options).talk(f"no event of key {safe_bytes(os.fsencode(options.key))!r} in {many}{elsewhere}")
    return status


def _all_topics(options: Any) -> list[str]:
    session = Session(options)
    with session.admin() as admin:
        topics = sorted(topic.name for topic in admin.topics() if not topic.internal)
    if not topics:
        raise Failure(f"there are no topics on {session.where}", code=3)
    return topics


class Form:
    """How the events of a trace are written: what is known of a record alone, and what the event before it adds."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._before: int | None = None

    def finish(self, timestamps: list[int], pieces: list[bytes]) -> list[bytes]:
        """The pieces with the time since the event before."""
        lines = []
        for timestamp, piece in zip(timestamps, pieces, strict=True):
            lines.append(self.line(timestamp, None if self._before is None else timestamp - self._before, piece))
            self._before = timestamp
        return lines

    def line(self, timestamp: int, delay_ms: int | None, piece: bytes) -> bytes:
        raise NotImplementedError


class JsonForm(Form):
    """The record's JSON with delay_ms behind everything else; null for the first."""

    def line(self, timestamp: int, delay_ms: int | None, piece: bytes) -> bytes:
        return b'%b,"delay_ms":%b}' % (piece[:-1], b"null" if delay_ms is None else b"%d" % delay_ms)


class TsvForm(Form):
    """Timestamp, delay, topic, partition, offset, value."""

    def line(self, timestamp: int, delay_ms: int | None, piece: bytes) -> bytes:
        return b"%d\t%b\t%b" % (timestamp, b"" if delay_ms is None else b"%d" % delay_ms, piece)


class PersonForm(Form):
    """Local time, delay, place, value, headers."""

    def __init__(self, renderer: Renderer, utc: bool) -> None:
        super().__init__(renderer)
        self._utc = utc

    def line(self, timestamp: int, delay_ms: int | None, piece: bytes) -> bytes:
        delay = "" if delay_ms is None else span_text(delay_ms) if delay_ms < 0 else f"+{span_text(delay_ms)}"
        return f"{local_text(timestamp, utc=self._utc)}  {delay:>{DELAY_WIDTH}}  ".encode() + piece


def _form(options: Any) -> Form:
    if options.json_records:
        from ev_cli.json_out import JsonRenderer

        return JsonForm(JsonRenderer())
    if output.is_terminal(1):
        return PersonForm(PersonRenderer(), bool(options.utc))
    return TsvForm(TsvRenderer())


class TsvRenderer(Renderer):
    """topic, partition, offset and value, tabs and line ends in them as escapes."""

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        columns = batch.columns
        topic = batch.topic.encode()
        rows = zip(columns.offsets, columns.values, strict=True)
        return [b"%b\t%d\t%d\t%b" % (topic, batch.partition, offset, b"-" if value is None else _cell(value)) for offset, value in rows]


def _cell(value: bytes) -> bytes:
    return value.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


class PersonRenderer(Renderer):
    """The place and the value, harmless to a terminal."""

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        from ev_cli.pretty import Paint, headers_text, shown_bytes

        paint = Paint(output.has_colour())
        columns = batch.columns
        lines = []
        for offset, value, headers in zip(columns.offsets, columns.values, columns.headers, strict=True):
            named = headers_text(headers)
            shown = paint.dimmed("null") if value is None else safe_bytes(value)
            place = paint.dimmed(f"{safe(batch.topic)}/{batch.partition}@{offset}")
            lines.append(shown_bytes(f"{place}  {shown}{'  ' + paint.dimmed(f'[{named}]') if named else ''}"))
        return lines
