"""--where: a small language that says which records are wanted, compiled to a function of a batch.

    any         = all { "or" all }
    all         = term { "and" term }
    term        = "not" term | comparison
    comparison  = operand [ ( "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" ) operand
                          | ( "~" | "!~" ) text
                          | [ "not" ] "in" ( list | operand )
                          | "is" [ "not" ] "null" ]
    operand     = text | number | "true" | "false" | "null" | field | function "(" operand ")" | "(" any ")"
    list        = ( "[" | "(" ) operand { "," operand } ( "]" | ")" )
    field       = ( "key" | "value" | "headers" | "topic" | "partition" | "offset" | "timestamp" ) { "." name | "[" ( text | number ) "]" }
    function    = "len" | "lower" | "upper" | "number" | "text"

There is nothing else: no attribute, no call of anything but these functions. A field that is not there, and a path into what is no
JSON, is null. Text that is compared with a number is read as one; what cannot be compared is not equal, and neither less nor more.
"""

from __future__ import annotations

from ev_cli.failures import UsageFailure
from ev_cli.times import timestamp_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch

    Operand = Callable[["Row"], Any]

FIELDS = ("key", "value", "headers", "topic", "partition", "offset", "timestamp")
FUNCTIONS = ("len", "lower", "upper", "number", "text")
WORDS = frozenset(("and", "or", "not", "in", "is", "true", "false", "null"))
SIGNS = ("==", "!=", "<=", ">=", "!~", "&&", "||", "=", "<", ">", "~", "!", "(", ")", "[", "]", ",", ".")
DEPTH_MAX = 50
"""How deep an expression may nest: Python's own stack is the bound otherwise."""
_SAME_WORD = {"&&": "and", "||": "or", "!": "not"}


class Row:
    """One record, its JSON parsed when a path asks for it and not before."""

    __slots__ = ("_parsed", "headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
        self._parsed: dict[str, Any] = {}

    def parsed(self, name: str) -> Any:
        """The key or value as JSON; None when it is none."""
        if name not in self._parsed:
            from json import loads

            data: bytes | None = getattr(self, name)
            try:
                self._parsed[name] = None if data is None else loads(data)
            except (ValueError, RecursionError):
                self._parsed[name] = None
        return self._parsed[name]


def places_where(text: str, now_ms: int) -> Callable[[FetchedBatch], list[int]]:
    """The expression as a function from a batch to the places of the records that it is true for."""
    wanted = Parser(text, now_ms).whole()

    def places(batch: FetchedBatch) -> list[int]:
        columns = batch.columns
        topic, partition = batch.topic, batch.partition
        rows = zip(columns.offsets, columns.timestamps, columns.keys, columns.values, columns.headers, strict=True)
        return [place for place, row in enumerate(rows) if _is_true(wanted(Row(topic, partition, *row)))]

    return places


# -- words -------------------------------------------------------------------------------------------------------------------------


class Token:
    """A word of the expression and the column (from 1) in which it begins. `kind` is name, text, number, sign or end."""

    __slots__ = ("column", "kind", "value")

    def __init__(self, kind: str, value: Any, column: int) -> None:
        self.kind = kind
        self.value = value
        self.column = column

    def __repr__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.value)


def tokens_of(text: str) -> list[Token]:
    """The words of an expression, with one that marks its end."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
        elif character in "'\"":
            value, end = _quoted(text, position)
            found.append(Token("text", value, position + 1))
            position = end
        elif character.isdigit() or (character == "-" and text[position + 1 : position + 2].isdigit()):
            number, end = _number(text, position)
            found.append(Token("number", number, position + 1))
            position = end
        elif character.isalpha() or character == "_":
            end = position
            while end < len(text) and (text[end].isalnum() or text[end] in "_-"):
                end += 1
            found.append(Token("name", text[position:end], position + 1))
            position = end
        else:
            sign = next((sign for sign in SIGNS if text.startswith(sign, position)), None)
            if sign is None:
                raise _wrong(position + 1, f"{character!r} means nothing here", "texts are in quotes")
            found.append(Token("sign", sign, position + 1))
            position += len(sign)
    return [*found, Token("end", None, len(text) + 1)]


def _quoted(text: str, position: int) -> tuple[str, int]:
    """(the text between quotes, where it ends). A backslash stands for itself before anything but the quote: patterns stay as they are."""
    quote = text[position]
    found = ""
    place = position + 1
    while place < len(text):
        if text[place] == "\\" and text[place + 1 : place + 2] == quote:
            found += quote
            place += 2
        elif text[place] == quote:
            return found, place + 1
        else:
            found += text[place]
            place += 1
    raise _wrong(position + 1, "the text that begins here has no end", f"close it with {quote}")


def _number(text: str, position: int) -> tuple[int | float, int]:
    end = position + 1
    while end < len(text) and (text[end].isalnum() or text[end] in "._" or (text[end] in "+-" and text[end - 1] in "eE")):
        end += 1
    digits = text[position:end]
    try:
        return (float(digits) if any(mark in digits for mark in ".eE") else int(digits)), end
    except ValueError:
        raise _wrong(position + 1, f"{digits!r} is no number", "a time or a text is written in quotes") from None


def _wrong(column: int, what: str, hint: str) -> UsageFailure:
    return UsageFailure(f"--where, column {column}: {what}", hint)


# -- grammar -----------------------------------------------------------------------------------------------------------------------


class Parser:
    """One expression, word by word, into closures over a Row."""

    def __init__(self, text: str, now_ms: int) -> None:
        self._tokens = tokens_of(text)
        self._place = 0
        self._depth = 0
        self._now_ms = now_ms

    def whole(self) -> Operand:
        found = self._any()
        if self._next.kind != "end":
            raise _wrong(self._next.column, f"{self._next!r} is not expected here", "join conditions with and, or")
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._tokens[self._place]
        self._place += 1
        return token

    def _is(self, *words: str) -> bool:
        token = self._next
        return token.kind in ("name", "sign") and _SAME_WORD.get(token.value, token.value) in words

    def _took(self, *words: str) -> bool:
        """Take the next word if it is one of these."""
        is_there = self._is(*words)
        self._place += is_there
        return is_there

    def _expect(self, sign: str, hint: str) -> None:
        if not self._took(sign):
            raise _wrong(self._next.column, f"{sign!r} is expected, not {self._next!r}", hint)

    def _any(self) -> Operand:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _wrong(self._next.column, f"it nests deeper than {DEPTH_MAX}", "write it flat")
        terms = [self._all()]
        while self._took("or"):
            terms.append(self._all())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else lambda row: any(_is_true(term(row)) for term in terms)

    def _all(self) -> Operand:
        terms = [self._term()]
        while self._took("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda row: all(_is_true(term(row)) for term in terms)

    def _term(self) -> Operand:
        negations = 0
        while self._took("not"):
            negations += 1
        found = self._comparison()
        return (lambda row: not _is_true(found(row))) if negations % 2 else found

    def _comparison(self) -> Operand:
        start = self._place
        left = self._operand()
        if self._is("==", "=", "!=", "<", "<=", ">", ">="):
            return self._ordered(left, start)
        if self._is("~", "!~"):
            return self._pattern(left)
        if self._took("is"):
            negated = self._took("not")
            if not self._took("null"):
                raise _wrong(self._next.column, f"'is' is followed by null or not null, not by {self._next!r}", "compare with == otherwise")
            return lambda row: (left(row) is None) is not negated
        if self._is("in"):
            return self._membership(left, False)
        if self._is("not"):
            self._take()
            if not self._is("in"):
                raise _wrong(self._next.column, f"'not' behind an operand is followed by in, not by {self._next!r}", "x not in [1, 2]")
            return self._membership(left, True)
        return left

    def _ordered(self, left: Operand, start: int) -> Operand:
        compare = _COMPARISONS[self._take().value]
        middle = self._place
        right = self._operand()
        if self._is_timestamp(start, middle - 1):
            right = self._as_time(middle, right)
        elif self._is_timestamp(middle, self._place):
            left = self._as_time(start, left)
        return lambda row: compare(left(row), right(row))

    def _is_timestamp(self, start: int, end: int) -> bool:
        return end - start == 1 and self._tokens[start].value == "timestamp" and self._tokens[start].kind == "name"

    def _as_time(self, place: int, operand: Operand) -> Operand:
        """A text that is compared with the timestamp is a point in time."""
        token = self._tokens[place]
        if token.kind != "text":
            return operand
        try:
            moment = timestamp_ms(token.value, self._now_ms)
        except UsageFailure as failure:
            raise _wrong(token.column, failure.message, failure.hint or "") from None
        return lambda row: moment

    def _pattern(self, left: Operand) -> Operand:
        import re

        negated = self._take().value == "!~"
        token = self._take()
        if token.kind != "text":
            raise _wrong(token.column, f"a regular expression in quotes is expected, not {token!r}", "value.name ~ '^a.*z$'")
        try:
            search = re.compile(token.value).search
        except re.error as error:
            raise _wrong(token.column, f"{token.value!r} is no regular expression: {error}", "a backslash takes its meaning away") from None

        def matches(row: Row) -> bool:
            value = left(row)
            return (value is not None and search(_text(value)) is not None) is not negated

        return matches

    def _membership(self, left: Operand, negated: bool) -> Operand:
        self._take()
        if self._is("[", "("):
            items = self._list()
            return lambda row: any(_equal(left(row), item(row)) for item in items) is not negated
        right = self._operand()
        return lambda row: _contains(right(row), left(row)) is not negated

    def _list(self) -> list[Operand]:
        closing = "]" if self._take().value == "[" else ")"
        items = [self._operand()]
        while self._took(","):
            items.append(self._operand())
        self._expect(closing, "a list is [1, 2]")
        return items

    def _operand(self) -> Operand:
        token = self._take()
        if token.kind in ("text", "number"):
            value = token.value
            return lambda row: value
        if token.kind == "sign" and token.value == "(":
            found = self._any()
            self._expect(")", "every ( is closed")
            return found
        if token.kind != "name":
            raise _wrong(token.column, f"a field, a text or a number is expected, not {token!r}", f"fields are {', '.join(FIELDS)}")
        if token.value in ("true", "false", "null"):
            constant = {"true": True, "false": False, "null": None}[token.value]
            return lambda row: constant
        if token.value in FUNCTIONS and self._is("("):
            return self._call(token)
        if token.value not in FIELDS:
            raise _wrong(token.column, f"there is no field {token.value!r}", f"fields are {', '.join(FIELDS)}; a text is written in quotes")
        return self._field(token)

    def _call(self, name: Token) -> Operand:
        function = _FUNCTIONS[name.value]
        self._take()
        argument = self._any()
        self._expect(")", f"{name.value}(x) takes one operand")
        return lambda row: function(argument(row))

    def _field(self, name: Token) -> Operand:
        path = self._path()
        field: str = name.value
        if field in ("key", "value"):
            if not path:
                return lambda row: _decoded(getattr(row, field))
            return lambda row: _walked(row.parsed(field), path)
        if field == "headers":
            if not path:
                return lambda row: {header: _decoded(data) for header, data in row.headers}
            first, rest = path[0], path[1:]
            return lambda row: _walked(_header(row, first), rest)
        if path:
            raise _wrong(name.column, f"{field} has nothing inside", "paths go into key, value and headers")
        return lambda row: getattr(row, field)

    def _path(self) -> list[str | int]:
        steps: list[str | int] = []
        while True:
            if self._took("."):
                token = self._take()
                if token.kind not in ("name", "number") or isinstance(token.value, float):
                    raise _wrong(token.column, f"a name is expected behind the dot, not {token!r}", "other names are written value['a b']")
                steps.append(token.value)
            elif self._took("["):
                token = self._take()
                if token.kind not in ("text", "number") or isinstance(token.value, float):
                    raise _wrong(token.column, f"a text or a whole number is expected, not {token!r}", "value['a b'], value.items[0]")
                steps.append(token.value)
                self._expect("]", "value['a b'], value.items[0]")
            else:
                return steps


# -- values ------------------------------------------------------------------------------------------------------------------------


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _header(row: Row, name: str | int) -> str | None:
    """The last header of that name: Kafka's clients take that one too."""
    for header, data in reversed(row.headers):
        if header == name:
            return _decoded(data)
    return None


def _walked(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _is_true(value: Any) -> bool:
    """Of comparisons the outcome; anything else counts when it is there and not false."""
    return value is not None and value is not False


def _as_number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            try:
                return float(value)
            except ValueError:
                return None
    return None


def _pair(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Two values that can be compared: both as they are, or both as numbers when one of them is; None when they cannot."""
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    if isinstance(left, str | int | float) and isinstance(right, str | int | float):
        numbers = _as_number(left), _as_number(right)
        return None if None in numbers else numbers
    return None


def _equal(left: Any, right: Any) -> bool:
    if type(left) is type(right):
        return bool(left == right)
    pair = _pair(left, right)
    return pair is not None and bool(pair[0] == pair[1])


def _less(left: Any, right: Any) -> bool:
    pair = _pair(left, right)
    return pair is not None and bool(pair[0] < pair[1])


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, list):
        return any(_equal(item, one) for one in container)
    if isinstance(container, str):
        return isinstance(item, str | int | float) and _text(item) in container
    return isinstance(container, dict) and isinstance(item, str) and item in container


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    from json import dumps

    return dumps(value, ensure_ascii=False, separators=(",", ":"))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "=": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: _less(left, right) or (_pair(left, right) is not None and _equal(left, right)),
    ">=": lambda left, right: _less(right, left) or (_pair(left, right) is not None and _equal(left, right)),
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "len": lambda value: len(value) if isinstance(value, str | list | dict) else None,
    "lower": lambda value: None if value is None else _text(value).lower(),
    "upper": lambda value: None if value is None else _text(value).upper(),
    "number": _as_number,
    "text": lambda value: None if value is None else _text(value),
}
