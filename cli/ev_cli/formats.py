"""The -f grammar: what `%o %k %v\\n` means, and records to bytes by it.

    %v %s value    %k key    %t topic    %p partition    %o offset    %d %T timestamp (ms)    %h headers (a=1,b=2)
    %V %S %K       size of value, key (%S: -1 for null)      %R size of the value as four bytes (-1 for null)
    %H             number of headers      %h{ %k=%v }   each header so      %i number of the record
    %[ %| %]       the partition's first offset, last stable offset, high watermark      %e leader epoch
    %x %y          id and epoch of the producer (-1 without)      %a{compression} {timestamp-type} {transactional-bit} {control-bit}
    %% %{ %}       the character itself   \\n \\t \\r \\0 \\xNN \\\\

A modifier in braces follows its verb: bytes {hex} {base64} {base64raw} {json} {unpack[<iQs]}; numbers {big64} … {little8} {byte} {hex16}
{hex} {ascii} {bool}; %d{strftime[%F %T]} and %d{go[2006-01-02]}; %T{big16} is the size of the topic's name, as in rpk. Everything
compiles to one bytes template per format and one column per verb, so that a record costs one `%`.
"""

from __future__ import annotations

import os
from itertools import repeat

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch

    Headers = Sequence[tuple[str, bytes | None]]
    Column = Callable[["FetchedBatch"], Iterable[Any]]

VERBS = "vskKtTpodhHVSRieaxy[|]"
_OF_SHARE_GROUPS = {"D": "how often a share group has delivered a record", "A": "until when a share group lets its reader have it"}
"""kcl's verbs for a kind of group that ev is no member of; what it writes for any other is 0, as if that meant something."""
_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "\\": b"\\", "a": b"\a", "e": b"\x1b"}


class Verb:
    """One %verb with its {modifier}; None where there is none."""

    __slots__ = ("letter", "modifier")

    def __init__(self, letter: str, modifier: str | None) -> None:
        self.letter = letter
        self.modifier = modifier

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verb) and (other.letter, other.modifier) == (self.letter, self.modifier)

    def __hash__(self) -> int:
        return hash((self.letter, self.modifier))

    def __repr__(self) -> str:
        return f"%{self.letter}" + (f"{{{self.modifier}}}" if self.modifier is not None else "")


def unescape(text: str) -> bytes:
    """A delimiter as bytes: \\n, \\t, \\r, \\0, \\xNN and \\\\ are understood, anything else stays."""
    parts = lex(text, verbs=False)
    return b"".join(part for part in parts if isinstance(part, bytes))


def lex(text: str, *, verbs: bool = True, known: str = VERBS) -> list[bytes | Verb]:
    """The format as literals and verbs (of those that are known), neighbouring literals joined."""
    found: list[bytes | Verb] = []
    literal = b""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            data, position = _escape(text, position)
            literal += data
        elif character == "%" and verbs:
            letter = text[position + 1 : position + 2]
            position += 2
            if letter in ("%", "{", "}"):
                literal += letter.encode()
                continue
            if known is VERBS and letter in _OF_SHARE_GROUPS:
                raise UsageFailure(
                    f"%{letter} is {_OF_SHARE_GROUPS[letter]}, and ev reads by no share group",
                    "leave it out; a handler behind -- finds its attempts in EV_ATTEMPT",
                )
            if not letter or letter not in known:
                raise UsageFailure(
                    f"%{letter} in the format is unknown", f"there are {' '.join('%' + verb for verb in known)} and %% for a percent sign"
                )
            modifier, position = _modifier(text, position)
            if literal:
                found.append(literal)
                literal = b""
            found.append(Verb(letter, modifier))
        else:
            literal += os.fsencode(character)
            position += 1
    return [*found, literal] if literal else found


def _escape(text: str, position: int) -> tuple[bytes, int]:
    letter = text[position + 1]
    if letter == "x":
        digits = text[position + 2 : position + 4]
        try:
            return bytes([int(digits, 16)]), position + 2 + len(digits)
        except ValueError:
            raise UsageFailure(f"\\x{digits} is no byte", "write two hexadecimal digits, \\x1f") from None
    if letter in _ESCAPES:
        return _ESCAPES[letter], position + 2
    return f"\\{letter}".encode(), position + 2


def _modifier(text: str, position: int) -> tuple[str | None, int]:
    if text[position : position + 1] != "{":
        return None, position
    depth = 0
    for end in range(position, len(text)):
        if text[end - 1] == "%" and text[end] in "{}":
            continue
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[position + 1 : end], end + 1
    raise UsageFailure(f"the brace at {text[position:]!r} is not closed", "write %{ for a brace that is meant literally")


def unknown_modifier(verb: Verb, known: Iterable[str]) -> UsageFailure:
    return UsageFailure(f"{verb!r} has a modifier that it does not take", f"one of {', '.join(known)}")


def enclosed(verb: Verb, name: str) -> str:
    """What stands between the marks of a modifier like strftime[…], go##…## or unpack{…}: rpk takes any number of any of them."""
    text = (verb.modifier or "").removeprefix(name)
    mark = text[:1]
    size = len(text) - len(text.lstrip(mark)) if mark else 0
    closing = {"[": "]", "{": "}", "(": ")"}.get(mark, mark) * size
    if not mark or mark.isalnum() or len(text) < 2 * size or not text.endswith(closing):
        raise UsageFailure(f"{verb!r} has nothing between brackets", f"write %{verb.letter}{{{name}[…]}}")
    return text[size : len(text) - size]


# -- numbers -------------------------------------------------------------------------------------------------------------------

_SIZES = {"64": 8, "32": 4, "16": 2, "8": 1}


def number_width(modifier: str) -> tuple[int, str] | None:
    """(bytes, order) of a fixed-width number modifier such as big32, little16 or byte."""
    if modifier == "byte":
        return 1, "big"
    for name, order in (("big", "big"), ("little", "little")):
        if modifier.startswith(name) and modifier[len(name) :] in _SIZES:
            return _SIZES[modifier[len(name) :]], order
    return None


def hex_digits(modifier: str) -> int | None:
    digits = {"hex64": 16, "hex32": 8, "hex16": 4, "hex8": 2, "hex4": 1}
    return digits.get(modifier)


NUMBER_MODIFIERS = (
    "ascii",
    "number",
    "bool",
    "big64",
    "big32",
    "big16",
    "big8",
    "little64",
    "little32",
    "little16",
    "little8",
    "byte",
    "hex64",
    "hex32",
    "hex16",
    "hex8",
    "hex4",
    "hex",
)
BYTES_MODIFIERS = ("hex", "base64", "base64raw", "json", "unpack[…]")


def _number(verb: Verb) -> tuple[bytes, Callable[[int], Any] | None]:
    """(piece of the template, how a number is converted for it)."""
    modifier = verb.modifier
    if modifier in (None, "ascii", "number"):
        return b"%d", None
    assert modifier is not None
    if modifier == "bool":
        return b"%b", lambda number: b"true" if number else b"false"
    if modifier == "hex":
        return b"%x", lambda number: number & 0xFFFFFFFFFFFFFFFF
    fixed = number_width(modifier)
    if fixed is not None:
        width, order = fixed
        mask = (1 << (8 * width)) - 1
        return b"%b", lambda number: (number & mask).to_bytes(width, order)
    digits = hex_digits(modifier)
    if digits is None:
        raise unknown_modifier(verb, NUMBER_MODIFIERS)
    return b"%%0%dx" % digits, lambda number: number & ((1 << (4 * digits)) - 1)


# -- bytes ---------------------------------------------------------------------------------------------------------------------


def encoder(verb: Verb) -> Callable[[bytes], bytes] | None:
    """How the bytes of a value or key are written by its modifier; None as they are."""
    modifier = verb.modifier
    if modifier is None:
        return None
    if modifier == "hex":
        return lambda data: data.hex().encode()
    if modifier in ("base64", "base64raw"):
        import binascii

        strip = b"=" if modifier == "base64raw" else b""
        return lambda data: binascii.b2a_base64(data, newline=False).rstrip(strip) if strip else binascii.b2a_base64(data, newline=False)
    if modifier == "json":
        import json

        return lambda data: json.dumps(data.decode("utf-8", "replace"), ensure_ascii=False).encode()
    if modifier.startswith("unpack"):
        from ev_cli.serdes import unpacked

        return unpacked(enclosed(verb, "unpack"))
    raise unknown_modifier(verb, BYTES_MODIFIERS)


# -- records to bytes ----------------------------------------------------------------------------------------------------------


class Renderer:
    """Turns a batch into one piece of bytes per record; `delimiter` follows each of them."""

    def __init__(self, delimiter: bytes = b"\n", null: bytes = b"") -> None:
        self.delimiter = delimiter
        self.null = null

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        """The values as they are. A null among them stays one: whoever joins them notices, and fills in `null`."""
        return batch.columns.values  # type: ignore[return-value]


def filled(column: Sequence[bytes | None], null: bytes) -> list[bytes]:
    """The column with nulls written out; the very list when there is none (the search runs in C)."""
    if None in column:
        return [null if item is None else item for item in column]
    return column  # type: ignore[return-value]


class FormatRenderer(Renderer):
    """A format with verbs."""

    def __init__(self, text: str, null: bytes = b"", parts: list[bytes | Verb] | None = None, *, utc: bool = False) -> None:
        super().__init__(b"", null)
        self._utc = utc
        self._template: list[bytes] = []
        self._columns: list[Column] = []
        self._count = 0
        for part in lex(text) if parts is None else parts:
            if isinstance(part, bytes):
                self._template.append(part.replace(b"%", b"%%"))
            else:
                self._add(part)
        self._joined = b"".join(self._template)

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        self._count += len(batch)
        columns = [column(batch) for column in self._columns]
        if not columns:
            return [self._joined % ()] * len(batch)
        return list(map(self._joined.__mod__, zip(*columns, strict=True)))

    def _add(self, verb: Verb) -> None:
        template, column = self._column(verb)
        self._template.append(template)
        self._columns.append(column)

    def _column(self, verb: Verb) -> tuple[bytes, Column]:
        letter = verb.letter
        if letter in "vs":
            return b"%b", self._bytes_column(verb, lambda batch: batch.columns.values)
        if letter == "k":
            return b"%b", self._bytes_column(verb, lambda batch: batch.columns.keys)
        if letter == "t":
            encode = encoder(verb) or bytes
            return b"%b", lambda batch: repeat(encode(batch.topic.encode()), len(batch))
        if letter == "h":
            return b"%b", self._headers_column(verb)
        if letter == "R":
            return b"%b", lambda batch: [_size(value).to_bytes(4, "big", signed=True) for value in batch.columns.values]
        if letter == "d" and verb.modifier is not None and verb.modifier.startswith(("strftime", "go")):
            from ev_cli.time_formats import time_format

            text = time_format(verb, self._utc)
            return b"%b", lambda batch: map(text, batch.columns.timestamps)
        if letter == "a":
            return b"%b", _attribute_column(verb)
        return self._number_column(verb)

    def _number_column(self, verb: Verb) -> tuple[bytes, Column]:
        letter = verb.letter
        if letter == "T" and verb.modifier is not None:
            letter = "length of topic"
        column: Column = {
            "o": lambda batch: batch.columns.offsets,
            "p": lambda batch: repeat(batch.partition, len(batch)),
            "d": lambda batch: batch.columns.timestamps,
            "T": lambda batch: batch.columns.timestamps,
            "length of topic": lambda batch: repeat(len(batch.topic), len(batch)),
            "V": lambda batch: [len(value or b"") for value in batch.columns.values],
            "S": lambda batch: [_size(value) for value in batch.columns.values],
            "K": lambda batch: [len(key or b"") for key in batch.columns.keys],
            "H": lambda batch: [len(headers) for headers in batch.columns.headers],
            "i": lambda batch: range(self._count - len(batch) + 1, self._count + 1),
            "e": lambda batch: repeat(batch.leader_epoch, len(batch)),
            "x": lambda batch: repeat(batch.producer_id, len(batch)),
            "y": lambda batch: repeat(batch.producer_epoch, len(batch)),
            "[": lambda batch: repeat(batch.log_start_offset, len(batch)),
            "|": lambda batch: repeat(batch.last_stable_offset, len(batch)),
            "]": lambda batch: repeat(batch.high_watermark, len(batch)),
        }[letter]
        template, convert = _number(verb)
        if convert is None:
            return template, column
        converted = convert
        return template, lambda batch: map(converted, column(batch))

    def _bytes_column(self, verb: Verb, column: Callable[[FetchedBatch], Sequence[bytes | None]]) -> Column:
        encode = encoder(verb)
        null = self.null
        if encode is None:
            return lambda batch: filled(column(batch), null)
        encoded = encode
        return lambda batch: [null if item is None else encoded(item) for item in column(batch)]

    def _headers_column(self, verb: Verb) -> Column:
        null = self.null
        if verb.modifier is None:
            return lambda batch: [_headers_text(headers, null) for headers in batch.columns.headers]
        one = _header_format(verb.modifier, null)
        return lambda batch: [b"".join([one(name, value) for name, value in headers]) for headers in batch.columns.headers]


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _headers_text(headers: Headers, null: bytes) -> bytes:
    return b",".join([name.encode() + b"=" + (null if value is None else value) for name, value in headers])


def _header_format(text: str, null: bytes) -> Callable[[str, bytes | None], bytes]:
    """The inner format of %h{…}: %k %v and their sizes."""
    parts: list[tuple[str, Any]] = []
    for part in lex(text):
        if isinstance(part, bytes):
            parts.append(("literal", part))
        elif part.letter in "kv":
            parts.append((part.letter, encoder(part) or bytes))
        elif part.letter in "KV":
            parts.append((part.letter, _number(part)))
        else:
            raise UsageFailure(f"{part!r} does not go into %h{{…}}", "%k %v %K %V do")

    def one(name: str, value: bytes | None) -> bytes:
        out = []
        for kind, what in parts:
            data = name.encode() if kind in "kK" else value
            if kind == "literal":
                out.append(what)
            elif kind in "kv":
                out.append(null if data is None else what(data))
            else:
                template, convert = what
                out.append(template % (convert or int)(len(data or b"")))
        return b"".join(out)

    return one


_ATTRIBUTES: dict[str, Callable[[FetchedBatch], int]] = {
    "compression": lambda batch: batch.codec,
    "timestamp-type": lambda batch: 1 if batch.timestamp_type == "append" else 0,
    "transactional-bit": lambda batch: 1 if batch.is_transactional else 0,
    "control-bit": lambda batch: 1 if batch.is_control else 0,
}


def _attribute_column(verb: Verb) -> Column:
    """%a{NAME} or %a{NAME;FORM}: what the batch's header says about all its records."""
    name, _, form = (verb.modifier or "").partition(";")
    if name not in _ATTRIBUTES:
        raise unknown_modifier(verb, [f"{{{known}}}" for known in _ATTRIBUTES])
    attribute = _ATTRIBUTES[name]
    if name == "compression" and not form:
        from ev.client.fetched import COMPRESSIONS

        return lambda batch: repeat(COMPRESSIONS[batch.codec].encode(), len(batch))
    template, convert = _number(Verb("a", form or None))
    return lambda batch: repeat(template % (convert or int)(attribute(batch)), len(batch))


class LengthPrefixedRenderer(Renderer):
    """lp32: the size of each value in four bytes (-1 for null), then the value."""

    def __init__(self) -> None:
        super().__init__(b"")

    def pieces(self, batch: FetchedBatch) -> list[bytes]:
        return [_size(value).to_bytes(4, "big", signed=True) + (value or b"") for value in batch.columns.values]
