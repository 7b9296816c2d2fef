"""The name in a certificate, written as Java writes it, and the rules that make the name of a user of it.

A certificate is DER: tag, length, content. The name of its subject is a sequence of sets of (type, value), the most general first;
RFC 2253 writes it the other way round, `CN=kafka,OU=events,O=Example`. Types that RFC 2253 has no name for are written by number and
their values in hexadecimal, as `X500Principal.getName()` does: what Kafka's `super.users` and ACLs say has to mean the same here.

`ssl.principal.mapping.rules` is a list of DEFAULT and RULE:pattern/replacement/[LU]; the first whose pattern is the whole name counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from ev.errors import MalformedError, SettingError

INTEGER: Final = 0x02
OBJECT_ID: Final = 0x06
VERSION: Final = 0xA0
NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
ENCODINGS: Final = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 27: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
"""The kinds of strings by their tags: UTF8, Printable, T61, IA5, General, Universal and BMP."""
ESCAPED: Final = frozenset(',=+<>#;"\\')

Element = tuple[int, bytes, bytes]
"""Tag, content, and all of it."""


def subject_of(certificate: bytes) -> str:
    """The subject's name. Raises MalformedError."""
    try:
        (_, whole, _) = next(_elements(certificate))
        (_, signed, _) = next(_elements(whole))
        fields = [element for element in _elements(signed) if element[0] != VERSION]
        return ",".join("+".join(_attribute(each) for each in _elements(one)) for _, one, _ in reversed(list(_elements(fields[4][1]))))
    except (IndexError, StopIteration, UnicodeError, ValueError) as error:
        raise MalformedError(f"a certificate's subject does not parse: {error}") from None


def _elements(data: bytes) -> Iterator[Element]:
    position = 0
    while position < len(data):
        start, tag, length = position, data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise ValueError("an element is longer than what it is in")
        position += length
        yield tag, data[position - length : position], data[start:position]


def _attribute(pair: Element) -> str:
    (_, object_id, _), (tag, content, whole) = _elements(pair[1])
    number = _dotted(object_id)
    name = NAMES.get(number)
    if name is None or tag not in ENCODINGS:
        return f"{name or number}=#{whole.hex()}"
    return f"{name}={_escaped(content.decode(ENCODINGS[tag]))}"


def _dotted(content: bytes) -> str:
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def _escaped(text: str) -> str:
    """The value with everything marked that has a meaning, and spaces at its ends."""
    marked = "".join("\\" + each if each in ESCAPED else "\\00" if each == "\0" else each for each in text)
    inner = marked.strip(" \r")
    if not inner:
        return "".join("\\" + each for each in marked)
    lead, trail = marked.index(inner), len(marked) - len(marked.rstrip(" \r"))
    spaces = ["".join("\\" + each for each in part) for part in (marked[:lead], marked[len(marked) - trail :])]
    return spaces[0] + inner + spaces[1]


Rule = Callable[[str], str | None]

RULE: Final = re.compile(
    r"\s*(?:(?P<default>DEFAULT)|RULE:(?P<pattern>(?:\\.|[^\\/])*)/(?P<replacement>(?:\\.|[^\\/])*)/(?P<case>[LU]?)|)\s*(?:,|$)"
)
REFERENCE: Final = re.compile(r"\\(.)|\$(\d+)")


class PrincipalRules:
    """Parsed rules. Raises SettingError when they do not parse."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rules: list[Rule] = []
        position = 0
        while position < len(text):
            found = RULE.match(text, position)
            if found is None:
                expected = "expected DEFAULT or RULE:pattern/replacement/ with L or U behind it, separated by commas"
                raise SettingError(f"Invalid rule in ssl.principal.mapping.rules at {text[position:]!r}: {expected}")
            position = found.end()
            if found["default"]:
                self._rules.append(lambda name: name)
            elif found["pattern"] is not None:
                self._rules.append(_rule(found["pattern"], found["replacement"], found["case"]))

    def name_of(self, distinguished_name: str) -> str:
        """The name of the user. Raises MalformedError when no rule has one."""
        for rule in self._rules:
            name = rule(distinguished_name)
            if name is not None:
                return name
        raise MalformedError(f"no rule of ssl.principal.mapping.rules applies to {distinguished_name!r}")


def _rule(pattern_text: str, replacement: str, case: str) -> Rule:
    try:
        pattern = re.compile(pattern_text)
    except re.error as error:
        raise SettingError(f"Invalid pattern {pattern_text!r} in ssl.principal.mapping.rules: {error}") from None
    groups = pattern.groups

    def piece(reference: re.Match[str], found: re.Match[str]) -> str:
        """What a part of the replacement stands for: `$N`, where there is such a group; the rest of its digits are a text."""
        if reference[1] is not None:
            return reference[1]
        number, rest = reference[2], ""
        while len(number) > 1 and int(number) > groups:
            number, rest = number[:-1], number[-1] + rest
        return (found[int(number)] or "") + rest if int(number) <= groups else reference[0]

    def apply(name: str) -> str | None:
        if pattern.fullmatch(name) is None:
            return None
        made = pattern.sub(lambda found: REFERENCE.sub(lambda reference: piece(reference, found), replacement), name)
        return made.lower() if case == "L" else made.upper() if case == "U" else made

    return apply
