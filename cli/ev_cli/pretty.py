"""Records for a person at a terminal: when, where, key, value, headers. Nothing in them reaches the terminal but as text."""

from __future__ import annotations

import sys

from ev_cli.formats import Renderer
from ev_cli.output import encoded, encoding, safe, safe_bytes
from ev_cli.times import local_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.fetched import FetchedBatch, Record


class Paint:
    """What dims, and what ends it; nothing without colour."""

    def __init__(self, colour: bool) -> None:
        self.dim, self.plain = ("\x1b[2m", "\x1b[0m") if colour else ("", "")

    def dimmed(self, text: str) -> str:
        return f"{self.dim}{text}{self.plain}"


def shown_bytes(text: str) -> bytes:
    """Text for stdout, in ASCII where its encoding has no such characters."""
    return encoded(text, encoding(sys.__stdout__))


class PrettyRenderer(Renderer):
    """One line per record."""

    def __init__(self, colour: bool, *, utc: bool = False) -> None:
        super().__init__(b"\n")
        self._paint = Paint(colour)
        self._utc = utc

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        paint, topic, partition = self._paint, safe(batch.topic), batch.partition
        columns = batch.columns
        lines = []
        rows = zip(columns.offsets, columns.timestamps, columns.keys, columns.values, columns.headers, strict=True)
        for offset, timestamp, key, value, headers in rows:
            place = paint.dimmed(f"{local_text(timestamp, utc=self._utc)}  {topic}/{partition}@{offset}")
            if batch.is_control:
                lines.append(f"{place}  {paint.dimmed(marker_text(batch))}")
                continue
            key_text = "" if key is None else f"{safe_bytes(key)}{paint.dimmed(':')} "
            value_text = paint.dimmed("null") if value is None else safe_bytes(value)
            named = headers_text(headers)
            header_text = f"  {paint.dimmed(f'[{named}]')}" if named else ""
            lines.append(f"{place}  {key_text}{value_text}{header_text}")
        return [shown_bytes(line) for line in lines]


def headers_text(headers: Sequence[tuple[str, bytes | None]]) -> str:
    return " ".join([f"{safe(name)}={'null' if data is None else safe_bytes(data)}" for name, data in headers])


def marker_text(batch: FetchedBatch) -> str:
    """A control record in words."""
    key = next(iter(batch.columns.keys), None) or b""
    what = {b"\0\0": "aborts", b"\0\1": "commits"}.get(key[2:4], "marks")
    return f"{what} the transaction of producer {batch.producer_id}, epoch {batch.producer_epoch}"


def whole_record(record: Record, colour: bool, *, utc: bool) -> bytes:
    """Everything that one record has, a line for each."""
    paint = Paint(colour)

    def shown(data: bytes | None) -> str:
        return paint.dimmed("null") if data is None else f"{safe_bytes(data)}  {paint.dimmed(f'({len(data)} bytes)')}"

    kind = "appended" if record.timestamp_type == "append" else "created"
    lines = [
        ("record", f"{safe(record.topic)}/{record.partition}/{record.offset}"),
        (kind, local_text(record.timestamp, utc=utc)),
        ("key", shown(record.key)),
        *[(f"header {safe(name)}", shown(data)) for name, data in record.headers],
        ("value", shown(record.value)),
    ]
    width = max(len(name) for name, _ in lines)
    return shown_bytes("".join(f"{paint.dimmed(name.ljust(width))}  {text}\n" for name, text in lines))
