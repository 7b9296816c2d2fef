"""Records as JSON, one object a line, with everything that the record has, so that `ev produce -J` makes the same record of it again.

A batch is rendered as columns: all its texts are escaped by one call of the C function that json has for it, joined by a character that
needs no escape and that occurs in none of them. Only where that does not hold, and for bytes that are no UTF-8, is each looked at alone.
"""

from __future__ import annotations

from json.encoder import encode_basestring

from ev_cli.failures import UsageFailure
from ev_cli.formats import Renderer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch
    from ev_cli.serdes import Serde

    Headers = Sequence[tuple[str, bytes | None]]
    Member = tuple[bytes, Iterable[Any] | None]
    """A piece of the template, and the column that it takes; None when it is the same for the whole batch."""

FIELDS = ("topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers")
SHORT = {"t": "topic", "p": "partition", "o": "offset", "d": "timestamp", "T": "timestamp", "k": "key", "v": "value", "h": "headers"}
_BETWEEN = b"\x7f"
_MARKERS = {0: "abort", 1: "commit"}


def fields_of(text: str | None) -> tuple[str, ...]:
    """--fields: names, or the letters of the format's verbs, in the order in which they are wanted."""
    if text is None:
        return FIELDS
    named = tuple(SHORT.get(name.strip(), name.strip()) for name in text.split(","))
    for name in named:
        if name not in FIELDS:
            raise UsageFailure(f"--fields {name!r} is no field of a record", f"there are {', '.join(FIELDS)}")
    return named


class JsonRenderer(Renderer):
    """One JSON object a line."""

    def __init__(
        self, embed: bool = False, fields: Sequence[str] = FIELDS, key_serde: Serde | None = None, value_serde: Serde | None = None
    ) -> None:
        super().__init__(b"\n")
        self._embed = embed
        self._fields = tuple(fields)
        self._key_serde = key_serde
        self._value_serde = value_serde

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        members = [self._member(name, batch) for name in self._fields]
        if batch.is_control:
            members.append(_marker(batch))
        template = b"{" + b",".join([text for text, _ in members]) + b"}"
        columns = [column for _, column in members if column is not None]
        if not columns:
            return [template % ()] * len(batch)
        return list(map(template.__mod__, zip(*columns, strict=False)))

    def _member(self, name: str, batch: FetchedBatch) -> Member:
        columns = batch.columns
        match name:
            case "topic":
                return b'"topic":' + _constant(batch.topic), None
            case "partition":
                return b'"partition":%d' % batch.partition, None
            case "offset":
                return b'"offset":%d', columns.offsets
            case "timestamp":
                timestamps = columns.timestamps
                if timestamps and timestamps.count(timestamps[0]) == len(timestamps):
                    return b'"timestamp":%d' % timestamps[0], None
                return b'"timestamp":%d', timestamps
            case "timestamp_type":
                return b'"timestamp_type":' + _constant(batch.timestamp_type), None
            case "key":
                return self._bytes_member(name, batch, columns.keys, self._key_serde, embed=False)
            case "value":
                return self._bytes_member(name, batch, columns.values, self._value_serde, embed=self._embed)
        return _headers_member(columns.headers)

    def _bytes_member(self, name: str, batch: FetchedBatch, column: Sequence[bytes | None], serde: Serde | None, *, embed: bool) -> Member:
        if serde is not None:
            from ev_cli.serdes import applied

            return b'"%b":%%b' % name.encode(), [text or b"null" for text in applied(batch, column, serde.json, name)]
        if embed:
            return b"%b", [_embedded_member(data) for data in column]
        return _text_member(name.encode(), column)


def _constant(text: str) -> bytes:
    """A text that stands in the template itself."""
    return encode_basestring(text).encode().replace(b"%", b"%%")


def _text_member(name: bytes, column: Sequence[bytes | None]) -> Member:
    nulls = column.count(None)
    if nulls == len(column):
        return b'"%b":null' % name, None
    if not nulls:
        escaped = escaped_column(column)  # type: ignore[arg-type]
        return (b'"%b":"%%b"' % name, escaped) if escaped is not None else (b"%b", [_member(name, data) for data in column])
    escaped = escaped_column([data for data in column if data is not None])
    if escaped is None:
        return b"%b", [_member(name, data) for data in column]
    texts = iter(escaped)
    return b'"%b":%%b' % name, [b"null" if data is None else b'"%b"' % next(texts) for data in column]


def escaped_column(column: list[bytes]) -> list[bytes] | None:
    """The texts as they stand between the quotes of JSON; None when one of them is no UTF-8."""
    joined = _BETWEEN.join(column)
    if joined.count(_BETWEEN) != len(column) - 1:
        return _escaped_one_by_one(column)
    try:
        text = joined.decode()
    except UnicodeDecodeError:
        return None
    escaped = encode_basestring(text)
    if len(escaped) == len(text) + 2:
        return column
    return escaped[1:-1].encode().split(_BETWEEN)


def _escaped_one_by_one(column: list[bytes]) -> list[bytes] | None:
    try:
        return [encode_basestring(data.decode())[1:-1].encode() for data in column]
    except UnicodeDecodeError:
        return None


def _member(name: bytes, data: bytes | None) -> bytes:
    """A text under its name; bytes that are no UTF-8 under the name with _b64; null is null."""
    if data is None:
        return b'"%b":null' % name
    try:
        return b'"%b":%b' % (name, encode_basestring(data.decode()).encode())
    except UnicodeDecodeError:
        return b'"%b_b64":"%b"' % (name, _base64(data))


def _embedded_member(data: bytes | None) -> bytes:
    """A value that is JSON as that JSON; any other, and the JSON null, which would pass for a null, as text that says so."""
    if data is None:
        return b'"value":null'
    found = embedded(data)
    if found is None or found.strip() == b"null":
        return _member(b"value", data) + b',"value_is_text":true'
    return b'"value":' + found


def embedded(data: bytes) -> bytes | None:
    """A JSON text as it is, but on one line; None when it is no JSON. Numbers keep their digits, members their order."""
    from json import loads

    try:
        loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    # Inside a JSON string a line end is written as an escape, so these are between its parts.
    return data.replace(b"\n", b" ").replace(b"\r", b" ")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _headers_member(column: Sequence[Headers]) -> Member:
    if not any(column):
        return b'"headers":[]', None
    return b'"headers":%b', [headers_json(headers) if headers else b"[]" for headers in column]


def headers_json(headers: Headers) -> bytes:
    return b"[" + b",".join([b"[%b,%b]" % (encode_basestring(name).encode(), _header(data)) for name, data in headers]) + b"]"


def _header(data: bytes | None) -> bytes:
    if data is None:
        return b"null"
    try:
        return encode_basestring(data.decode()).encode()
    except UnicodeDecodeError:
        return b'{"b64":"%b"}' % _base64(data)


def _base64(data: bytes) -> bytes:
    import binascii

    return binascii.b2a_base64(data, newline=False)


def _marker(batch: FetchedBatch) -> Member:
    """What the record of a control batch says: its key is a version and a type."""
    keys = batch.columns.keys
    kind = _MARKERS.get(int.from_bytes(key[2:4], "big"), "other") if keys and (key := keys[0]) is not None else "other"
    return b'"control":"%b"' % kind.encode(), None
