"""The bytes of a record as text for a screen: what they seem to be, what was tried, and never a character that a terminal would obey."""

from __future__ import annotations

import codecs
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ev_tui.harmless import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_tui.records.ring import Row

NULL, EMPTY, TEXT, JSON, SCHEMA, BYTES = "null", "empty", "text", "JSON", "schema", "bytes"
LINE_BYTES = 4096
"""So much of a value is looked at for one line of a list."""
HEX_BYTES = 64
SCHEMA_PREFIX = 5
"""A zero byte and the four bytes of a schema's id: how clients that use a registry of schemas begin a value."""
PRETTY_BYTES_MAX = 1 << 20
"""JSON that is larger is shown as it is."""
DUMP_WIDTH = 16


class Shown(NamedTuple):
    """One key or value, decoded."""

    kind: str
    lines: list[str]
    tried: str
    """What was tried to decode it, in order, with how it went."""


def line_of(data: bytes | None, start: int = 0) -> tuple[str, str]:
    """(the beginning of a key or value in one line, its kind). `start` is the character that it begins with."""
    if data is None:
        return NULL, NULL
    if not data:
        return "(empty)", NULL
    text = _text(data[: LINE_BYTES + start])
    if text is not None:
        return safe(text[start:] if start else text), TEXT
    return f"{schema_mark(data)}0x{data[start // 2 : start // 2 + HEX_BYTES].hex()}", BYTES


def schema_mark(data: bytes) -> str:
    schema = schema_id(data)
    return "" if schema is None else f"schema {schema} "


def schema_id(data: bytes) -> int | None:
    """The id of the schema, if the bytes begin as those do that were written with one."""
    return int.from_bytes(data[1:SCHEMA_PREFIX], "big") if len(data) > SCHEMA_PREFIX and data[0] == 0 else None


def _text(data: bytes) -> str | None:
    """As UTF-8, whose last character may have been cut; None when it is none, or has what no text has."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def whole(data: bytes | None) -> Shown:
    """All of a key or value, as what it is."""
    if data is None:
        return Shown(NULL, ["null"], "null")
    if not data:
        return Shown(EMPTY, ["(no bytes)"], "empty")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problem = f"UTF-8 ✗ at byte {error.start}"
    else:
        if "\0" not in text:
            return _of_text(text)
        problem = "UTF-8 ✗ zero bytes"
    schema = schema_id(data)
    if schema is not None:
        return Shown(SCHEMA, dump(data), f"{problem} · schema id {schema} ✓ (no registry to ask) · shown as bytes")
    return Shown(BYTES, dump(data), f"{problem} · shown as bytes")


def _of_text(text: str) -> Shown:
    if text[0] in '{["-0123456789tfn' and len(text) <= PRETTY_BYTES_MAX:
        value = parsed(text)
        if value is not NOT_JSON:
            pretty = json.dumps(value, ensure_ascii=False, indent=2)
            return Shown(JSON, [safe(line) for line in pretty.split("\n")], "UTF-8 ✓ · JSON ✓")
    return Shown(TEXT, [safe(line) for line in text.split("\n")], "UTF-8 ✓ · JSON ✗ · shown as text")


NOT_JSON = object()


def parsed(data: str | bytes | None) -> Any:
    """The value as JSON, NOT_JSON when it is none."""
    if data is None:
        return NOT_JSON
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NOT_JSON


def dump(data: bytes, begin: int = 0, bytes_max: int = 1 << 16) -> list[str]:
    """Bytes as a dump: where, in hexadecimal, as ASCII."""
    lines = []
    for place in range(begin, min(len(data), begin + bytes_max), DUMP_WIDTH):
        piece = data[place : place + DUMP_WIDTH]
        letters = "".join([chr(byte) if 32 <= byte < 127 else "·" for byte in piece])
        lines.append(f"{place:08x}  {piece[:8].hex(' '):<23}  {piece[8:].hex(' '):<23}  {letters}")
    left = len(data) - begin - bytes_max
    if left > 0:
        lines.append(f"… and {left:,} bytes more")
    return lines or ["(no bytes)"]


def clock(timestamp_ms: int, *, whole: bool = True) -> str:
    """Local time of day, to the millisecond."""
    if not -62_135_596_800_000 < timestamp_ms < 253_402_300_800_000:
        return "no time     " if whole else "no time "
    moment = time.strftime("%H:%M:%S", time.localtime(timestamp_ms // 1000))
    return f"{moment}.{timestamp_ms % 1000:03d}" if whole else moment


def marker_line(row: Row) -> str:
    """What a control record says."""
    what = {b"\0\0": "ABORT", b"\0\1": "COMMIT"}.get((row.key or b"")[2:4], "control record")
    return f"{what} producer {row.origin.producer_id} epoch {row.origin.producer_epoch}"


def headers_lines(headers: Sequence[tuple[str, bytes | None]]) -> list[str]:
    return [f"{safe(name)} = {line_of(data)[0]}" for name, data in headers]
