"""A command as one would type it into a shell: every word stays one word, whatever characters are in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def command_line(words: Iterable[str]) -> str:
    """`ev` and the words, for bash, zsh and ksh."""
    return " ".join(["ev", *map(quoted, words)])


def quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    return "$'" + "".join([_escaped(character) for character in word]) + "'"


def _escaped(character: str) -> str:
    """Control characters as bytes, because a shell does not know what encoding we mean."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join([f"\\{byte:03o}" for byte in bytes_of(character)])


def bytes_of(text: str) -> bytes:
    """The bytes that the text came from; what never was bytes is spelled out."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
