"""A command as one would type it into a shell: every word stays one word, whatever characters are in it; and it means the same cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ev_cli.session import Target

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


TAKEN: dict[str, tuple[str, ...]] = {"log": (), "server": ("--data-dir", "-F")}
"""Commands, by their first word, that take not every option which says where an engine is: they are about files, or this machine's own."""


def engine_words(words: Sequence[str], options: Any, target: Target) -> list[str]:
    """The options with which another `ev` that is given these words speaks to the same cluster, wherever it is run."""
    given = [
        (flag, str(value))
        for flag, value in (
            ("-b", options.bootstrap),
            ("-C", options.context),
            ("--data-dir", options.data_dir),
            ("-F", options.config_file),
        )
        if value
    ]
    if not given and not target.is_local:
        given = [("-C", target.name) if target.place else ("-b", target.bootstrap or target.name)]
    taken = TAKEN.get(words[0]) if words else None
    return [word for flag, value in given if taken is None or flag in taken for word in (flag, value)]


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
