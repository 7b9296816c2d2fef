"""Reads the plain part of YAML that tools write for themselves: maps, lists and values, each on lines of their own.

Anchors, tags, several documents and texts over several lines are refused with the line that they are on, never misread.
"""

from __future__ import annotations

import json
import re
from typing import Any

WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#'"\[\]{},][^#]*?)\s*:(?:\s+(.*))?$""")


class PlainYamlError(ValueError):
    """Something that this does not read; says where."""


class _Line:
    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.indent = len(text) - len(text.lstrip(" "))
        self.text = text.strip()

    def refused(self) -> PlainYamlError:
        return PlainYamlError(f"line {self.number} is more than plain YAML: {self.text[:40]!r}")


def loads(text: str) -> Any:
    """The document as maps, lists, texts, numbers, true, false and None."""
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = _Line(number, _without_comment(raw))
        if not line.text or line.text == "---":
            continue
        if line.text[0] in "&*!|>%@`?" or line.text == "..." or "\t" in raw[: line.indent + 1]:
            raise line.refused()
        lines.append(line)
    if not lines:
        return None
    value, rest = _block(lines, lines[0].indent)
    if rest:
        raise rest[0].refused()
    return value


def _without_comment(text: str) -> str:
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (index == 0 or text[index - 1] in " :-[{,"):
            quote = character
        elif character == "#" and (index == 0 or text[index - 1].isspace()):
            return text[:index]
    return text.rstrip()


def _block(lines: list[_Line], indent: int) -> tuple[Any, list[_Line]]:
    """The value that begins with the first line, and the lines behind it."""
    if lines[0].text == "-" or lines[0].text.startswith("- "):
        return _list(lines, indent)
    if _KEY.match(lines[0].text):
        return _map(lines, indent)
    return _value(lines[0], lines[0].text), lines[1:]


def _list(lines: list[_Line], indent: int) -> tuple[list[Any], list[_Line]]:
    found: list[Any] = []
    while lines and lines[0].indent == indent and (lines[0].text == "-" or lines[0].text.startswith("- ")):
        line = lines[0]
        rest = line.text[1:].lstrip()
        inner = indent + len(line.text) - len(rest)
        if not rest:
            lines = lines[1:]
            deeper = bool(lines) and lines[0].indent > indent
            value, lines = _block(lines, lines[0].indent) if deeper else (None, lines)
        else:
            first = _Line(line.number, " " * inner + rest)
            value, lines = _block([first, *lines[1:]], inner)
        found.append(value)
    if lines and lines[0].indent > indent:
        raise lines[0].refused()
    return found, lines


def _map(lines: list[_Line], indent: int) -> tuple[dict[str, Any], list[_Line]]:
    found: dict[str, Any] = {}
    while lines and lines[0].indent == indent and not lines[0].text.startswith("- "):
        line = lines[0]
        match = _KEY.match(line.text)
        if match is None:
            raise line.refused()
        key, rest = str(_value(line, match[1])), match[2] or ""
        lines = lines[1:]
        value: Any
        if rest:
            value = _value(line, rest)
        elif lines and (lines[0].indent > indent or (lines[0].indent == indent and lines[0].text.startswith("-"))):
            value, lines = _block(lines, lines[0].indent)
        else:
            value = None
        found[key] = value
    if lines and lines[0].indent > indent:
        raise lines[0].refused()
    return found, lines


def _value(line: _Line, text: str) -> Any:
    text = text.strip()
    if text[:1] == '"':
        try:
            return json.loads(text)
        except ValueError:
            raise line.refused() from None
    if text[:1] == "'":
        if len(text) < 2 or not text.endswith("'"):
            raise line.refused()
        return text[1:-1].replace("''", "'")
    if text in ("[]", "{}"):
        return [] if text == "[]" else {}
    if text[:1] == "[" and text.endswith("]"):
        return [_value(line, item) for item in text[1:-1].split(",") if item.strip()]
    if text[:1] in "[{&*!|>%@`":
        raise line.refused()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
