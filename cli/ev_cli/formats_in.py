"""Reading by a -f format: a format becomes steps, and each step takes its piece of the input.

A field ends at the text that follows it, or has the size that was read or given before it: %V{big32}%v, %V{8}%v, %V %v. A number with a
width (%p{big32}, %d{big64}) ends by itself. %H reads the number of headers, and %h{…} reads one header so, that many times.
"""

from __future__ import annotations

from ev_cli.failures import UsageFailure
from ev_cli.formats import Verb, lex, number_width, unknown_modifier
from ev_cli.lines import RECORD_BYTES_MAX, Columns, Malformed, Shaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    Row = dict[str, Any]

    class Step(Protocol):
        """`take` gives where it ended, None when data ends before; fields go into the row."""

        def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None: ...


FIELDS = "vsktpdTho"
_SIZES = {"V": "v", "S": "v", "R": "v", "K": "k", "H": "h"}
_SAME = {"s": "v", "T": "d"}
_HINT = "the input does not have the form that -f says"
_HEADERS_MAX = 100_000
WIDTHS = ("ascii", "big64", "big32", "big16", "big8", "little64", "little32", "little16", "little8", "byte", "a number")


def take(steps: Sequence[Step], data: bytes, position: int, row: Row) -> int | None:
    """Walk over one record from a position on: its end, or None when data ends before."""
    sizes: dict[str, int] = {}
    for step in steps:
        found = step.take(data, position, sizes, row)
        if found is None:
            return None
        position = found
    return position


# -- steps ---------------------------------------------------------------------------------------------------------------------


class Literal:
    def __init__(self, text: bytes) -> None:
        self.text = text

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        if data.startswith(self.text, position):
            return position + len(self.text)
        if self.text.startswith(data[position:]):
            return None
        raise Malformed(f"{self.text!r} was expected before {data[position : position + 40]!r}", _HINT)


class Size:
    """The size of a field, or the number of headers: in so many bytes, as a decimal number up to a text, or always the same."""

    def __init__(self, of: str, verb: Verb, following: bytes | Verb | None) -> None:
        self._of = of
        self._always: int | None = None
        self._width = (4, "big") if verb.letter == "R" else number_width(verb.modifier or "")
        self._end = b""
        if self._width is not None:
            return
        if verb.modifier is not None and verb.modifier.isdigit():
            self._always = int(verb.modifier)
        elif verb.modifier not in (None, "ascii"):
            raise unknown_modifier(verb, WIDTHS)
        elif not isinstance(following, bytes):
            raise UsageFailure(f"{verb!r} has no end", "follow it with a space or give it a width: %V{big32}")
        else:
            self._end = following

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        if self._always is not None:
            sizes[self._of] = self._always
            return position
        if self._width is not None:
            width, order = self._width
            end = position + width
            if end > len(data):
                return None
            size = int.from_bytes(data[position:end], order, signed=width == 4)  # type: ignore[arg-type]
        else:
            end = data.find(self._end, position)
            text = data[position : end if end >= 0 else len(data)]
            if (text or end >= 0) and not (text.isdigit() or text == b"-1" or (text == b"-" and end < 0)):
                raise Malformed(f"{text[:20]!r} is no size", _HINT)
            if end < 0:
                return None
            size = int(text)
        if size < -1 or (self._of == "h" and not 0 <= size <= _HEADERS_MAX):
            raise Malformed(f"a record says that its size is {size}", _HINT)
        sizes[self._of] = size
        return end


class Field:
    """A field with the size that was read, up to the text that follows, or up to the end of the record."""

    def __init__(self, verb: Verb, end: bytes | None, is_sized: bool) -> None:
        self._letter = verb.letter
        self._end = end
        self._is_sized = is_sized
        self._convert = converter(verb)

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        if self._is_sized:
            size = sizes[self._letter]
            end = position + max(size, 0)
            if end > len(data):
                return None
            row[self._letter] = None if size == -1 else self._convert(data[position:end])
            return end
        end = len(data) if self._end is None else data.find(self._end, position)
        if end < 0:
            return None
        row[self._letter] = self._convert(data[position:end])
        return end


class Number:
    """A number in so many bytes."""

    def __init__(self, letter: str, width: int, order: str) -> None:
        self._letter = letter
        self._width = width
        self._order = order

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        end = position + self._width
        if end > len(data):
            return None
        row[self._letter] = int.from_bytes(data[position:end], self._order, signed=self._width > 1)  # type: ignore[arg-type]
        return end


class Pattern:
    """A field that is as long as a regular expression matches."""

    def __init__(self, verb: Verb, expression: str) -> None:
        import re

        try:
            self._expression = re.compile(expression.encode())
        except re.error as error:
            raise UsageFailure(f"{verb!r}: {error}") from None
        self._letter = verb.letter
        self._convert = converter(Verb(verb.letter, None))

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        found = self._expression.match(data, position)
        if found is None:
            raise Malformed(f"{data[position : position + 40]!r} does not match the expression of %{self._letter}", _HINT)
        row[self._letter] = self._convert(found[0])
        return found.end()


class HeaderList:
    """As many headers as %H said, each in the form of %h{…}."""

    def __init__(self, inner: Sequence[Step]) -> None:
        self._inner = inner

    def take(self, data: bytes, position: int, sizes: dict[str, int], row: Row) -> int | None:
        pairs: list[tuple[str, bytes | None]] = []
        for _ in range(sizes["h"]):
            pair: Row = {}
            end = take(self._inner, data, position, pair)
            if end is None:
                return None
            pairs.append(((pair.get("k") or b"").decode("utf-8", "replace"), pair.get("v")))
            position = end
        row["h"] = pairs
        return position


# -- from a format to steps ----------------------------------------------------------------------------------------------------


def steps_of(parts: Sequence[bytes | Verb], fields: str = FIELDS) -> list[Step]:
    """What cannot be read is a usage error."""
    steps: list[Step] = []
    sized: set[str] = set()
    for place, part in enumerate(parts):
        following = parts[place + 1] if place + 1 < len(parts) else None
        if isinstance(part, bytes):
            steps.append(Literal(part))
        elif part.letter in _SIZES or (part.letter == "T" and part.modifier is not None):
            of = _SIZES.get(part.letter, "t")
            if of == "h" and fields is not FIELDS:
                raise UsageFailure(f"{part!r} does not go into %h{{…}}", "%k %v %K %V do")
            sized.add(of)
            steps.append(Size(of, part, following))
        elif part.letter not in fields:
            raise UsageFailure(f"{part!r} cannot be read from input", f"{' '.join('%' + letter for letter in fields)} can")
        else:
            steps.append(_field(Verb(_SAME.get(part.letter, part.letter), part.modifier), following, sized))
    return steps


def _field(verb: Verb, following: bytes | Verb | None, sized: set[str]) -> Step:
    modifier = verb.modifier or ""
    width = number_width(modifier)
    if verb.letter in "pdo" and width is not None:
        return Number(verb.letter, *width)
    if verb.letter == "h" and verb.modifier is not None:
        if "h" not in sized:
            raise UsageFailure(f"{verb!r} does not say how many headers there are", "put %H before it: %H{byte}%h{%K{byte}%k%V{big32}%v}")
        inner = lex(modifier)
        if not all(isinstance(step, Literal) for step in steps_of(inner, "kv")[-1:]) and not ends_itself(inner):
            raise UsageFailure(f"nothing ends a header in {verb!r}", "give its value a size, or a text behind it")
        return HeaderList(steps_of(inner, "kv"))
    if modifier.startswith("re[") and modifier.endswith("]") and verb.letter in "kvt":
        return Pattern(verb, modifier[3:-1])
    if verb.letter in sized:
        return Field(verb, None, True)
    if isinstance(following, Verb):
        raise UsageFailure(f"between {verb!r} and {following!r} is nothing that tells them apart", "put a space or a size there")
    return Field(verb, following, False)


def ends_itself(parts: Sequence[bytes | Verb]) -> bool:
    """Whether a format says by itself where a record ends: it has sizes, or numbers of so many bytes."""
    verbs = [part for part in parts if isinstance(part, Verb)]
    has_sizes = any(
        verb.letter in _SIZES or (verb.letter in "Tpdo" and verb.modifier is not None and number_width(verb.modifier) is not None)
        for verb in verbs
    )
    last = parts[-1] if parts else None
    if has_sizes and isinstance(last, Verb):
        sized = {_SIZES.get(verb.letter, "t") for verb in verbs if verb.letter in _SIZES or verb.letter == "T"}
        letter = _SAME.get(last.letter, last.letter)
        is_number = last.letter in "pdoT" and number_width(last.modifier or "") is not None
        if letter not in sized and not is_number:
            raise UsageFailure(f"{last!r} has no end", "give it a size, such as %V{big32}, or put a text behind it")
    return has_sizes


# -- fields --------------------------------------------------------------------------------------------------------------------


def converter(verb: Verb) -> Callable[[bytes], Any]:
    """From the bytes of a field to what it means."""
    if verb.letter == "t":
        return lambda data: data.decode("utf-8", "replace")
    if verb.letter in "pdo":
        if verb.modifier not in (None, "ascii"):
            raise unknown_modifier(verb, WIDTHS[:-1])
        return lambda data: _whole_number(verb.letter, data)
    if verb.letter == "h":
        return lambda data: [_header_of_text(item) for item in data.split(b",") if item]
    return decoder(verb)


def _whole_number(letter: str, data: bytes) -> int:
    if not data.lstrip(b"-").isdigit():
        raise Malformed(f"{data[:40]!r} is no number for %{letter}")
    return int(data)


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
        return lambda data: _from_base64(data + b"=" * (-len(data) % 4) if modifier == "base64raw" else data)
    if modifier == "json":
        from ev_cli.json_in import bytes_of, parsed

        return lambda data: bytes_of(parsed(data))
    raise unknown_modifier(verb, ("hex", "base64", "base64raw", "json", "re[…]"))


def _from_base64(data: bytes) -> bytes:
    import binascii

    try:
        return binascii.a2b_base64(data)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"no base64: {error} in {data[:80]!r}") from None


def _from_hex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        raise Malformed(f"{data[:40]!r} is no hexadecimal text") from None


# -- records -------------------------------------------------------------------------------------------------------------------


class SizedSplitter:
    """Cuts by a format that says itself where a record ends: the raw record is what the format took."""

    delimiter = b""
    swallowed: Sequence[bytes] = ()
    lines_inside = False

    def __init__(self, steps: Sequence[Step], size_max: int = RECORD_BYTES_MAX) -> None:
        self._steps = steps
        self._size_max = size_max
        self._rest = b""
        self._failure: Malformed | None = None

    def feed(self, block: bytes) -> list[bytes]:
        """What is wrong is said only after what was right before it has been given away."""
        if self._failure is not None:
            raise self._failure
        data = self._rest + block
        position = 0
        records = []
        while position < len(data):
            try:
                end = take(self._steps, data, position, {})
            except Malformed as error:
                self._failure = error
                break
            if end is None:
                break
            records.append(data[position:end])
            position = end
        self._rest = data[position:]
        if self._failure is None and len(self._rest) > self._size_max:
            self._failure = Malformed(f"a record is longer than {self._size_max} bytes", "does the input have the form that -f says?")
        if self._failure is not None and not records:
            raise self._failure
        return records

    def finish(self) -> list[bytes]:
        if self._failure is not None:
            raise self._failure
        if self._rest:
            raise Malformed(f"the input ends in the middle of a record, {len(self._rest)} bytes after the last whole one")
        return []


class FormatShaper(Shaper):
    """By the steps of a format, which take a whole record."""

    def __init__(self, parts: Sequence[bytes | Verb]) -> None:
        self.steps = steps_of(parts)
        self._named = {_SAME.get(part.letter, part.letter) for part in parts if isinstance(part, Verb)}

    def shape(self, records: list[bytes]) -> Columns:
        rows = [self._row(record) for record in records]

        def column(letter: str) -> list[Any] | None:
            return [row.get(letter) for row in rows] if letter in self._named else None

        headers = [row.get("h") or () for row in rows] if "h" in self._named else None
        return Columns(column("v") or [None] * len(rows), column("k"), headers, column("d"), column("t"), column("p"))

    def _row(self, record: bytes) -> Row:
        row: Row = {}
        if take(self.steps, record, 0, row) != len(record):
            raise Malformed(f"{record[:80]!r} does not have the form that -f says")
        return row
