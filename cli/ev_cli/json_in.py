"""Records as JSON lines: what `ev consume -J` writes, and the envelopes of kcat, rpk and kaf.

    ev      {"key": …, "value": … | "value_b64": …, "headers": [["name", value], …], "timestamp": ms}      bytes: key_b64, {"b64": …}
    kcat    {"key": …, "payload": …, "headers": ["name", value, …], "ts": ms}
    rpk     {"key": …, "value": …, "headers": [{"key": …, "value": …}], "timestamp": ms}
    kaf     {"key": …, "payload": …, "headers": [{"key": …, "value": …}], "timestamp": "2026-01-31T12:00:00Z"}

A key or value that is neither text nor null is sent as the JSON that it is.
"""

from __future__ import annotations

from ev_cli.lines import Columns, Malformed, Shaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Headers = Sequence[tuple[str, bytes | None]]

TIMES = ("timestamp", "ts")


class JsonShaper(Shaper):
    """`time_field` names the field with the time, in the envelope or in a value that is an object.

    Of a key or value whose serializer takes JSON, and only of such a one, the JSON itself goes into the column.
    """

    def __init__(self, time_field: str | None = None) -> None:
        self._time_field = time_field
        self._of_key = self._of_value = part

    def leave_json(self, *, key: bool, value: bool) -> None:
        self._of_key = json_of if key else part
        self._of_value = json_of if value else part

    def shape(self, records: list[bytes]) -> Columns:
        rows = objects_of(records)
        field = self._time_field
        of_key, of_value = self._of_key, self._of_value
        return Columns(
            [of_value(row, "value") if "value" in row or "value_b64" in row else of_value(row, "payload") for row in rows],
            [of_key(row, "key") for row in rows],
            [headers_of(row.get("headers")) for row in rows],
            [time_of(row) for row in rows] if field is None else [_time_in(row, field) for row in rows],
        )


class FieldTimeShaper(Shaper):
    """Around another: the time of a record stands in a field of its value, which is a JSON object."""

    def __init__(self, inner: Shaper, field: str) -> None:
        self._inner = inner
        self._field = field

    def shape(self, records: list[bytes]) -> Columns:
        columns = self._inner.shape(records)
        columns.timestamps = [self._moment(value) for value in columns.values]
        return columns

    def _moment(self, value: bytes | None) -> int | None:
        row = object_of(value or b"")
        if self._field not in row:
            raise Malformed(f"no field {self._field!r} in {(value or b'')[:80]!r}")
        return _moment(row[self._field])


def parsed(data: bytes) -> Any:
    import json

    try:
        return json.loads(data)
    except ValueError as error:
        raise Malformed(f"no JSON: {error} in {data[:80]!r}") from None
    except RecursionError:
        raise Malformed("JSON that is nested too deep") from None


def object_of(record: bytes) -> dict[str, Any]:
    row = parsed(record)
    if not isinstance(row, dict):
        raise Malformed(f"a record is a JSON object, not {record[:80]!r}", '{"key": …, "value": …}')
    return row


def objects_of(records: list[bytes]) -> list[dict[str, Any]]:
    """Lines that are nothing but an object are parsed without the detours of json.loads, which take as long as the parsing."""
    import json

    scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
    rows = []
    for record in records:
        try:
            text = record.decode()
            row, end = scan(text, 0)
        except (ValueError, StopIteration, RecursionError):
            row, end, text = None, 0, ""
        rows.append(row if end == len(text) and type(row) is dict else object_of(record))
    return rows


def part(row: dict[str, Any], name: str) -> bytes | None:
    """A key or value as bytes."""
    value = row.get(name)
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    if value is None and type(encoded := row.get(f"{name}_b64")) is str:
        return _base64(encoded)
    return bytes_of(value)


def json_of(row: dict[str, Any], name: str) -> bytes | None:
    """A key or value as the JSON that it is."""
    value = row.get(name)
    if value is not None:
        return _dumped(value)
    if row.get(f"{name}_b64") is not None:
        raise Malformed(f"{name}_b64 holds bytes, and the schema makes them of JSON", "without the schema they are sent as they are")
    return None


def bytes_of(value: Any) -> bytes | None:
    """A key, value or header's value as bytes."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str):
        return _base64(value["b64"])
    return _dumped(value)


def _dumped(value: Any) -> bytes:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _base64(text: str) -> bytes:
    import binascii

    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"no base64: {error} in {text[:80]!r}") from None


def headers_of(found: Any) -> Headers:
    """A list of pairs, a flat list, a list of objects, or an object."""
    if not found:
        return ()
    if isinstance(found, dict):
        return [(name, bytes_of(value)) for name, value in found.items()]
    if isinstance(found, list):
        if all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in found):
            return [(pair[0], bytes_of(pair[1])) for pair in found]
        if all(isinstance(item, dict) and isinstance(item.get("key", item.get("name")), str) for item in found):
            return [(item.get("key", item.get("name")), bytes_of(item.get("value"))) for item in found]
        if len(found) % 2 == 0 and all(isinstance(name, str) for name in found[::2]):
            return [(name, bytes_of(value)) for name, value in zip(found[::2], found[1::2], strict=True)]
    raise Malformed(f"headers are a list of pairs, not {str(found)[:80]}", '[["name", "value"], …]')


def time_of(row: dict[str, Any]) -> int | None:
    """Whole milliseconds in all envelopes but kaf's, which writes a text; the record's own time when there is none."""
    found = row.get("timestamp", row.get("ts"))
    if isinstance(found, int) and not isinstance(found, bool):
        return found if found >= 0 else None
    return _moment(found) if isinstance(found, str) else None


def _time_in(row: dict[str, Any], field: str) -> int | None:
    if field in row:
        return time_of(row) if field in TIMES else _moment(row[field])
    value = row.get("value", row.get("payload"))
    if isinstance(value, str):
        value = object_of(value.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict) or field not in value:
        raise Malformed(f"no field {field!r} in {str(row)[:80]}")
    return _moment(value[field])


def _moment(value: Any) -> int:
    import time

    from ev_cli.times import moment_ms

    try:
        return moment_ms(value, int(time.time() * 1000))
    except ValueError:
        raise Malformed(f"{str(value)[:40]!r} is no point in time") from None
