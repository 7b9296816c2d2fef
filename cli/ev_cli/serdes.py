"""-s: keys and values that are not text, as text: numbers of a fixed width, packed fields, hexadecimal, base64, JSON.

A serde has two forms: the text that a person or a line gets, and the JSON that stands in a record's JSON.
"""

from __future__ import annotations

import struct

from ev_cli.failures import Failure, UsageFailure
from ev_cli.formats import Renderer
from ev_cli.sides import named, schema_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch

    Text = Callable[[bytes], bytes]

_WIDTHS = {"8": "b", "16": "h", "32": "i", "64": "q"}
_FLOATS = {"32": "f", "64": "d"}
_PACKED = "bBhHiIqQfd"
NAMES = (
    "string",
    "json",
    "hex",
    "base64",
    "i8",
    "u8",
    "i16be … i64be",
    "u16be … u64be",
    "f32be",
    "f64be",
    "…le",
    "unpack:FMT",
    "avro (--schema)",
    "protobuf (--proto)",
)


class DoesNotFitError(ValueError):
    """The bytes are not what the serde says."""


class Serde:
    """How bytes are shown."""

    def __init__(self, name: str, text: Text, json: Text) -> None:
        self.name = name
        self.text = text
        self.json = json


def serdes_of(options: Any) -> tuple[Serde | None, Serde | None]:
    """(that of the key, that of the value) by -s and the schema files; None where the bytes are shown as they are."""
    names = named(options)
    key, value = (schema_of(side, names[side], options) or serde_of(names[side]) for side in ("key", "value"))
    return key, value


def serde_of(name: str) -> Serde | None:
    """The serde of that name; None for string, which is what bytes are anyway."""
    if name == "string":
        return None
    if name == "json":
        return Serde(name, _checked_json, _checked_json)
    if name == "hex":
        return Serde(name, lambda data: data.hex().encode(), lambda data: b'"%b"' % data.hex().encode())
    if name == "base64":
        return Serde(name, _base64, lambda data: b'"%b"' % _base64(data))
    if name.startswith("unpack:"):
        layout = name.removeprefix("unpack:")
        return Serde(name, _text_of_unpacked(layout), _json_of_unpacked(layout))
    packed = _number(name)
    if packed is None:
        raise UsageFailure(f"-s: there is no serde {name!r}", f"one of {', '.join(NAMES)}")
    return packed


def _number(name: str) -> Serde | None:
    """i32be and the like: one number that takes the whole value."""
    kind, rest = name[:1], name[1:]
    order = {"be": ">", "le": "<"}.get(rest[-2:], "")
    width = rest[:-2] if order else rest
    letter = (_FLOATS if kind == "f" else _WIDTHS).get(width)
    if kind not in ("i", "u", "f") or letter is None or (not order and width != "8"):
        return None
    layout = struct.Struct((order or ">") + (letter.upper() if kind == "u" else letter))

    def text(data: bytes) -> bytes:
        if len(data) != layout.size:
            raise DoesNotFitError(f"{name} has {layout.size} bytes, not {len(data)}")
        return repr(layout.unpack(data)[0]).encode()

    return Serde(name, text, lambda data: _json_number(text(data)))


def _json_number(text: bytes) -> bytes:
    """JSON has no infinity and no NaN."""
    return text if text.strip(b"-")[:1].isdigit() else b'"%b"' % text


def _checked_json(data: bytes) -> bytes:
    from ev_cli.json_out import embedded

    found = embedded(data)
    if found is None:
        raise DoesNotFitError("it is no JSON")
    return found


def _base64(data: bytes) -> bytes:
    import binascii

    return binascii.b2a_base64(data, newline=False)


# -- packed fields -------------------------------------------------------------------------------------------------------------------


class Packed:
    """A layout of kcat and rpk: < > byte order, b B h H i I q Q f d numbers, c a byte, s the rest, $ the end, a space itself, x nothing."""

    def __init__(self, layout: str) -> None:
        self._steps: list[struct.Struct | str] = []
        order = "<"
        ended = False
        for letter in layout:
            if ended:
                raise UsageFailure(f"unpack {layout!r} goes on after its end", "s and $ come last")
            if letter in "<>":
                order = letter
            elif letter in _PACKED:
                self._steps.append(struct.Struct(order + letter))
            elif letter in "cs$. ":
                self._steps.append("c" if letter == "." else letter)
                ended = letter == "$" or (letter == "s" and not layout.endswith("s$"))
            elif letter != "x":
                raise UsageFailure(f"unpack {layout!r}: {letter!r} is unknown", "there are < > b B h H i I q Q f d c s $ and the space")

    def items(self, data: bytes) -> list[int | float | bytes | None]:
        """Numbers, pieces of bytes, and None for a space of the layout."""
        found: list[int | float | bytes | None] = []
        position = 0
        for step in self._steps:
            if isinstance(step, struct.Struct):
                if position + step.size > len(data):
                    raise DoesNotFitError(f"it ends after {len(data)} bytes, {step.size} more were expected at byte {position}")
                found.append(step.unpack_from(data, position)[0])
                position += step.size
            elif step == " ":
                found.append(None)
            elif step == "$":
                if position != len(data):
                    raise DoesNotFitError(f"it goes on after byte {position}, where it should end")
            else:
                end = position + 1 if step == "c" else len(data)
                if end > len(data):
                    raise DoesNotFitError(f"it ends after {len(data)} bytes, a character was expected")
                found.append(data[position:end])
                position = end
        return found


def unpacked(layout: str) -> Text:
    """Packed fields as text, one right behind the other, as rpk writes them."""
    packed = Packed(layout)
    return lambda data: b"".join([b" " if item is None else _shown(item) for item in packed.items(data)])


def _text_of_unpacked(layout: str) -> Text:
    """Packed fields with a space between them, as `ev produce -s` reads them."""
    packed = Packed(layout)
    return lambda data: b" ".join([_shown(item) for item in packed.items(data) if item is not None])


def _shown(item: int | float | bytes) -> bytes:
    return item if isinstance(item, bytes) else repr(item).encode()


def _json_of_unpacked(layout: str) -> Text:
    """One field as it is, several as a list."""
    packed = Packed(layout)

    def text(data: bytes) -> bytes:
        from json import dumps

        items = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in packed.items(data) if item is not None]
        return dumps(items[0] if len(items) == 1 else items, ensure_ascii=False).encode()

    return text


# -- columns -------------------------------------------------------------------------------------------------------------------------


def applied(batch: FetchedBatch, column: Sequence[bytes | None], convert: Text, what: str) -> list[bytes | None]:
    """The column in another form. A record that does not fit ends the run, with its place."""
    found: list[bytes | None] = []
    for offset, data in zip(batch.columns.offsets, column, strict=True):
        try:
            found.append(None if data is None else convert(data))
        except DoesNotFitError as error:
            raise Failure(
                f"the {what} of {batch.topic}/{batch.partition}@{offset} does not fit -s: {error}", f"-o {offset + 1} begins behind it"
            ) from None
    return found


class SerdeRenderer(Renderer):
    """Before another renderer: keys and values in their text form."""

    def __init__(self, inner: Renderer, key: Serde | None, value: Serde | None) -> None:
        super().__init__(inner.delimiter, inner.null)
        self._inner = inner
        self._key = key
        self._value = value

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        columns = batch.columns
        keys = columns.keys if self._key is None else applied(batch, columns.keys, self._key.text, "key")
        values = columns.values if self._value is None else applied(batch, columns.values, self._value.text, "value")
        shown = type(columns)(columns.base_offset, columns.offsets, columns.timestamps, keys, values, columns.headers)
        return self._inner.pieces(batch.with_columns(shown))
