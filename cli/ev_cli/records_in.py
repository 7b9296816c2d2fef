"""Records in forms: JSON lines, formats with verbs, sized records; with splitters and shapers as in `lines`."""

from __future__ import annotations

import os

from ev_cli.failures import Failure, UsageFailure
from ev_cli.formats import Verb, lex, number_width, unescape, unknown_modifier
from ev_cli.lines import RECORD_BYTES_MAX, Columns, KeyedShaper, LineSplitter, Shaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Headers = Sequence[tuple[str, bytes | None]]

# -- cutting -------------------------------------------------------------------------------------------------------------------


class SizedSplitter:
    """Cuts by a format that holds sizes, such as %V{big32}%v: the raw record is what the format took."""

    delimiter = b""

    def __init__(self, parts: Sequence[bytes | Verb], size_max: int = RECORD_BYTES_MAX) -> None:
        self._parts = parts
        self._size_max = size_max
        self._rest = b""

    def feed(self, block: bytes) -> list[bytes]:
        data = self._rest + block
        position = 0
        records = []
        while position < len(data):
            end = take(self._parts, data, position, None)
            if end is None:
                break
            records.append(data[position:end])
            position = end
        self._rest = data[position:]
        if len(self._rest) > self._size_max:
            raise Failure(f"a record is longer than {self._size_max} bytes", "does the input have the form that -f says?")
        return records

    def finish(self) -> list[bytes]:
        if self._rest:
            raise Failure(f"the input ends in the middle of a record, {len(self._rest)} bytes after the last whole one")
        return []


# -- shaping -------------------------------------------------------------------------------------------------------------------


class FormatShaper(Shaper):
    """By the verbs of a format."""

    def __init__(self, parts: Sequence[bytes | Verb]) -> None:
        self._parts = parts

    def shape(self, records: list[bytes]) -> Columns:
        rows = [self._row(record) for record in records]
        named = {verb.letter for verb in self._parts if isinstance(verb, Verb)}

        def column(letters: str) -> list[Any] | None:
            return [row.get(letters[0]) for row in rows] if named & set(letters) else None

        return Columns(column("v") or [None] * len(rows), column("k"), column("h"), column("d"), column("t"), column("p"))

    def _row(self, record: bytes) -> dict[str, Any]:
        row: dict[str, Any] = {}
        if take(self._parts, record, 0, row) != len(record):
            raise Failure(f"the record {record[:80]!r} does not have the form that -f says")
        if "h" in row:
            row["h"] = row["h"] or ()
        return row


class JsonShaper(Shaper):
    """JSON lines: what `ev consume -J` writes, and the envelopes of kcat, rpk and kaf."""

    def shape(self, records: list[bytes]) -> Columns:
        import json

        rows = []
        for record in records:
            try:
                row = json.loads(record)
            except ValueError as error:
                raise Failure(f"no JSON: {error} in {record[:80]!r}") from None
            if not isinstance(row, dict):
                raise Failure(f"a record is a JSON object, not {record[:80]!r}", '{"key": …, "value": …}')
            rows.append(row)
        return Columns(
            [_json_field(row, "value" if "value" in row or "value_b64" in row else "payload") for row in rows],
            [_json_field(row, "key") for row in rows],
            [_json_headers(row.get("headers")) for row in rows],
            [_json_timestamp(row) for row in rows],
        )


def _json_timestamp(row: dict[str, Any]) -> int | None:
    timestamp = row.get("timestamp", row.get("ts"))
    return timestamp if isinstance(timestamp, int) and not isinstance(timestamp, bool) and timestamp >= 0 else None


def _json_field(row: dict[str, Any], name: str) -> bytes | None:
    encoded = row.get(f"{name}_b64")
    return _base64_bytes(encoded) if isinstance(encoded, str) else _json_bytes(row.get(name))


def _json_bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str):
        return _base64_bytes(value["b64"])
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _base64_bytes(text: str) -> bytes:
    import binascii

    try:
        return binascii.a2b_base64(text)
    except (binascii.Error, ValueError) as error:
        raise Failure(f"no base64: {error} in {text[:80]!r}") from None


def _json_headers(found: Any) -> Headers:
    """[["name", value], …], kcat's flat ["name", value, …], rpk's and kaf's [{"key": …, "value": …}], {"name": value}."""
    if not found:
        return ()
    if isinstance(found, dict):
        return [(str(name), _json_bytes(value)) for name, value in found.items()]
    if not isinstance(found, list):
        raise Failure(f"headers are a list, not {found!r}", '[["name", "value"], …]')
    if isinstance(found[0], list):
        return [(str(pair[0]), _json_bytes(pair[1] if len(pair) > 1 else None)) for pair in found]
    if isinstance(found[0], dict):
        return [(str(item.get("key", item.get("name", ""))), _json_bytes(item.get("value"))) for item in found]
    return [(str(name), _json_bytes(value)) for name, value in zip(found[::2], found[1::2], strict=False)]


# -- formats -------------------------------------------------------------------------------------------------------------------

_FIELDS = "vsktpdTh"
_SIZES = {"V": "v", "S": "v", "R": "v", "K": "k"}


def splitter_and_shaper(form: str, delimiter: bytes | None, size_max: int) -> tuple[LineSplitter | SizedSplitter, Shaper]:
    """What -f FORM needs: value, json, kv, hex, base64, lp32, or a format with verbs."""
    lines = delimiter if delimiter is not None else b"\n"
    if form == "value":
        return LineSplitter(lines, size_max), Shaper()
    if form == "json":
        return LineSplitter(lines, size_max), JsonShaper()
    if form == "kv":
        return LineSplitter(lines, size_max), KeyedShaper(b"\t")
    if form in ("hex", "base64"):
        return LineSplitter(lines, size_max), FormatShaper([Verb("v", form)])
    if form == "lp32":
        form = "%V{big32}%v"
    if "%" not in form:
        raise UsageFailure(f"-f {form!r} is no format of records", "value, kv, json, hex, base64, lp32 or a format such as '%k %v\\n'")
    parts = _checked(lex(form))
    last = parts[-1]
    if any(isinstance(part, Verb) and part.letter in _SIZES for part in parts):
        return SizedSplitter(parts, size_max), FormatShaper(parts)
    if isinstance(last, bytes):
        return LineSplitter(last, size_max), FormatShaper(parts[:-1])
    return LineSplitter(lines, size_max), FormatShaper(parts)


def _checked(parts: list[bytes | Verb]) -> list[bytes | Verb]:
    """The parts with one name per meaning; what cannot be read is a usage error."""
    found: list[bytes | Verb] = []
    sized: set[str] = set()
    for place, part in enumerate(parts):
        if isinstance(part, bytes):
            found.append(part)
            continue
        if part.letter in _SIZES:
            sized.add(_SIZES[part.letter])
            if part.letter != "R" and part.modifier is None and not isinstance((*parts, None)[place + 1], bytes):
                raise UsageFailure(f"{part!r} has no end", "follow it with a space or give it a width: %V{big32}")
            found.append(part)
            continue
        if part.letter not in _FIELDS or (part.letter == "h" and part.modifier is not None):
            raise UsageFailure(f"{part!r} cannot be read from input", f"{' '.join('%' + letter for letter in _FIELDS)} can")
        following = parts[place + 1] if place + 1 < len(parts) else None
        if isinstance(following, Verb) and {"s": "v"}.get(part.letter, part.letter) not in sized:
            raise UsageFailure(f"between {part!r} and {following!r} is nothing that tells them apart", "put a space or a size there")
        found.append(Verb({"s": "v", "T": "d"}.get(part.letter, part.letter), part.modifier))
    return found


def take(parts: Sequence[bytes | Verb], data: bytes, position: int, row: dict[str, Any] | None) -> int | None:
    """Walk the format over one record at position: its end, or None when data ends before. Fields go into row, if there is one."""
    sizes: dict[str, int] = {}
    for place, part in enumerate(parts):
        if isinstance(part, bytes):
            if not data.startswith(part, position):
                if len(data) - position < len(part):
                    return None
                raise Failure(
                    f"{part!r} was expected before {data[position : position + 40]!r}", "the input does not have the form that -f says"
                )
            position += len(part)
            continue
        if part.letter in _SIZES:
            size = _take_size(part, parts, place, data, position)
            if size is None:
                return None
            sizes[_SIZES[part.letter]], position = size
            continue
        if part.letter in sizes:
            end = position + max(sizes[part.letter], 0)
            if end > len(data):
                return None
        else:
            following = parts[place + 1] if place + 1 < len(parts) else None
            end = data.find(following, position) if isinstance(following, bytes) else len(data)
            if end < 0:
                return None
        if row is not None:
            row[part.letter] = None if sizes.get(part.letter) == -1 else _field(part, data[position:end])
        position = end
    return position


def _take_size(part: Verb, parts: Sequence[bytes | Verb], place: int, data: bytes, position: int) -> tuple[int, int] | None:
    """(size, where it ends), None when data ends before."""
    fixed = (4, "big") if part.letter == "R" else number_width(part.modifier or "")
    if fixed is not None:
        width, order = fixed
        if position + width > len(data):
            return None
        size = int.from_bytes(data[position : position + width], order, signed=width == 4)  # type: ignore[arg-type]
        end = position + width
    else:
        if part.modifier not in (None, "ascii"):
            raise unknown_modifier(
                part, ("ascii", "big64", "big32", "big16", "big8", "little64", "little32", "little16", "little8", "byte")
            )
        following = parts[place + 1]
        assert isinstance(following, bytes)
        end = data.find(following, position)
        if end < 0:
            return None
        text = data[position:end]
        if not text.lstrip(b"-").isdigit():
            raise Failure(f"{text[:20]!r} is no size", "the input does not have the form that -f says")
        size = int(text)
    if size < -1:
        raise Failure(f"a record says that its size is {size}", "the input does not have the form that -f says")
    return size, end


def _field(verb: Verb, data: bytes) -> Any:
    match verb.letter:
        case "t":
            return data.decode("utf-8", "replace")
        case "p" | "d":
            if not data.lstrip(b"-").isdigit():
                raise Failure(f"{data[:40]!r} is no number for %{verb.letter}")
            return int(data)
        case "h":
            return [_header_of_text(item) for item in data.split(b",") if item]
    return decoder(verb)(data)


def _header_of_text(item: bytes) -> tuple[str, bytes | None]:
    name, equals, value = item.partition(b"=")
    return name.decode("utf-8", "replace"), value if equals else None


def decoder(verb: Verb) -> Callable[[bytes], bytes | None]:
    """How a value or key is read by its modifier."""
    modifier = verb.modifier
    if modifier is None:
        return bytes
    if modifier == "hex":
        return _from_hex
    if modifier in ("base64", "base64raw"):
        return lambda data: _base64_bytes(data.decode("ascii", "replace") + ("=" * (-len(data) % 4) if modifier == "base64raw" else ""))
    if modifier == "json":
        import json

        return lambda data: _json_bytes(json.loads(data))
    raise unknown_modifier(verb, ("hex", "base64", "base64raw", "json"))


def _from_hex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise Failure(f"{data[:40]!r} is no hexadecimal text") from None


def header(text: str) -> tuple[str, bytes | None]:
    """-H NAME=VALUE or NAME:VALUE, cut at whichever comes first; NAME alone has the value null."""
    places = [place for place in (text.find("="), text.find(":")) if place >= 0]
    if not places:
        return text, None
    place = min(places)
    return text[:place], os.fsencode(text[place + 1 :])


def delimiter(text: str | None, zero: bool) -> bytes | None:
    """-D or -0 as bytes; None when neither was given."""
    if zero:
        return b"\0"
    if text is None:
        return None
    found = unescape(text)
    if not found:
        raise UsageFailure("an empty delimiter separates nothing", "--whole makes one record of everything")
    return found
