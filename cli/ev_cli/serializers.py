"""-s key=…,value=…: from the text of a key or value to the bytes that go into the record.

string                        as it is
json                          as it is, and it must be JSON
hex, base64                   the bytes that it stands for
i8 i16be … u64le f32be f64le  a number in so many bits
avro, protobuf                JSON, by a schema file: see `schemas`
unpack:FMT                    several numbers, with spaces or commas between them, by letters as Python's struct has them:
                              < > the low or the high byte comes first from there on (the low one); b B h H i I q Q numbers;
                              f d floats; c one byte; x a zero byte; s the rest as text
"""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure
from ev_cli.lines import Columns, Malformed, Shaper
from ev_cli.sides import named, schema_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Serializer = Callable[[bytes], bytes]

NAMES = (
    "string",
    "json",
    "hex",
    "base64",
    "i8 i16be i32be i64be u8 … u64be f32be f64be (or le)",
    "unpack:FMT",
    "avro (--schema)",
    "protobuf (--proto)",
)
_LETTERS = {"i8": "b", "i16": "h", "i32": "i", "i64": "q", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f", "f64": "d"}


def serializers_of(options: Any) -> tuple[Serializer | None, Serializer | None]:
    """(that of the key, that of the value) by -s and the schema files; None where the text is what goes into the record."""
    names = named(options)
    key, value = (_opened(side, names[side], options) for side in ("key", "value"))
    return key, value


def _opened(side: str, name: str, options: Any) -> Serializer | None:
    schema = schema_of(side, name, options)
    return serializer(name) if schema is None else schema.serializer()


def serializer(name: str) -> Serializer | None:
    """By name; None for what leaves the text as it is."""
    if name == "string":
        return None
    if name in ("json", "hex", "base64"):
        return {"json": _json, "hex": _hex, "base64": _base64}[name]
    if name.startswith("unpack:"):
        return _packer(name.removeprefix("unpack:"))
    order = {"be": ">", "le": "<"}.get(name[-2:])
    letter = _LETTERS.get(name if order is None else name[:-2])
    if letter is None or (order is None and letter not in "bB"):
        raise UsageFailure(f"-s {name!r} is unknown", f"one of {', '.join(NAMES)}")
    return _number(name, (order or ">") + letter)


class SerdeShaper(Shaper):
    """Around another: its keys and values as bytes; null stays null."""

    def __init__(self, inner: Shaper, key: Serializer | None, value: Serializer | None) -> None:
        self._inner = inner
        self._key = key
        self._value = value

    def shape(self, records: list[bytes]) -> Columns:
        columns = self._inner.shape(records)
        if self._value is not None:
            value = self._value
            columns.values = [None if item is None else value(item) for item in columns.values]
        if self._key is not None and columns.keys is not None:
            key = self._key
            try:
                columns.keys = [None if item is None else key(item) for item in columns.keys]
            except Malformed as error:
                raise Malformed(f"the key: {error.message}", error.hint) from None
        return columns


def _json(data: bytes) -> bytes:
    import json

    try:
        json.loads(data)
    except ValueError as error:
        raise Malformed(f"no JSON: {error} in {shown(data)}") from None
    return data


def _hex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise Malformed(f"{shown(data)} is no hexadecimal text") from None


def _base64(data: bytes) -> bytes:
    import binascii

    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"no base64: {error} in {shown(data)}") from None


def _number(name: str, form: str) -> Serializer:
    from struct import Struct, error

    pack = Struct(form).pack
    convert = float if form[-1] in "fd" else int

    def number(data: bytes) -> bytes:
        try:
            return pack(convert(data))
        except (ValueError, error, OverflowError):
            raise Malformed(f"{shown(data)} is no {name}") from None

    return number


def _packer(form: str) -> Serializer:
    from struct import calcsize, error, pack

    order, letters = "<", ""
    fields: list[str] = []
    for letter in form:
        if letter in "<>":
            order = letter
        elif letter in "bBhHiIqQfdcx" or (letter == "s" and "s" not in letters):
            letters += letter
            fields.append(order + letter)
        elif letter not in " $":
            raise UsageFailure(f"unpack:{form} has {letter!r}", "> < b B h H i I q Q f d c x s are known")
    if not letters or ("s" in letters and letters[-1] != "s"):
        raise UsageFailure(f"unpack:{form} says nothing that can be packed", "letters such as >iq; s comes last")
    assert all(calcsize(field) for field in fields if field[1] != "s")
    wanted = sum(field[1] != "x" for field in fields)

    def packed(data: bytes) -> bytes:
        listed = _listed(data) if letters.strip("x")[:1] not in ("c", "s") else None
        if listed is not None:
            words = listed
        else:
            words = data.replace(b",", b" ").split(None, wanted - 1) if "s" in letters else data.replace(b",", b" ").split()
        if len(words) != wanted:
            raise Malformed(f"{shown(data)} has {len(words)} fields, and unpack:{form} {wanted}")
        left = iter(words)
        try:
            return b"".join([_packed(field, left, pack) for field in fields])
        except (ValueError, error, OverflowError):
            raise Malformed(f"{shown(data)} does not fit unpack:{form}") from None

    return packed


def _listed(data: bytes) -> list[bytes] | None:
    """The fields of a JSON list, which is how `ev consume -J` shows several; None for any other text."""
    if data[:1] != b"[":
        return None
    import json

    try:
        return [str(item).encode() for item in json.loads(data)]
    except ValueError:
        return None


def _packed(field: str, words: object, pack: Callable[..., bytes]) -> bytes:
    letter = field[1]
    if letter == "x":
        return b"\0"
    word: bytes = next(words)  # type: ignore[call-overload]
    if letter == "s":
        return word
    return pack(field, word if letter == "c" else float(word) if letter in "fd" else int(word))


def shown(data: bytes) -> str:
    """The beginning of what was malformed, for a message."""
    return repr(os.fsdecode(data[:80]))
