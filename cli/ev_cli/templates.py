"""--template: verbs in values, keys and headers that are filled in for every record.

%i  number of the record from 1        %d  the time in ms, %d{strftime[%F %T]} for people
%u  a random UUID                      %r{A..B}  a random number from A to B, %r{N} from 0 to N-1
%%  a percent sign                     \\n \\t \\0 \\xNN as in a format
"""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure
from ev_cli.formats import Verb, lex
from ev_cli.lines import Columns, Malformed, Shaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Headers = list[tuple[str, bytes | None]]
    Part = Callable[[int], bytes]

VERBS = "idur"


class TemplateShaper(Shaper):
    """Around another: its values are templates, and so are the fixed key and headers."""

    def __init__(self, inner: Shaper, key: str | None, headers: Headers) -> None:
        self._inner = inner
        self._count = 0
        self._key = None if key is None else parts_of(key)
        self._headers = [(name, None if value is None else parts_of(os.fsdecode(value))) for name, value in headers]
        self._compiled: dict[bytes, list[Part]] = {}

    def shape(self, records: list[bytes]) -> Columns:
        columns = self._inner.shape(records)
        first = self._count + 1
        columns.values = [None if text is None else filled(self._parts(text), first + i) for i, text in enumerate(columns.values)]
        numbers = range(first, first + len(records))
        if columns.keys is not None:
            columns.keys = [None if text is None else filled(self._parts(text), first + i) for i, text in enumerate(columns.keys)]
        elif self._key is not None:
            columns.keys = [filled(self._key, number) for number in numbers]
        if columns.headers is None and self._headers:
            columns.headers = [
                [(name, None if parts is None else filled(parts, number)) for name, parts in self._headers] for number in numbers
            ]
        self._count += len(records)
        return columns

    def _parts(self, text: bytes) -> list[Part]:
        """Compiled; --repeat and --value bring the same text again and again."""
        parts = self._compiled.get(text)
        if parts is None:
            if len(self._compiled) > 1000:
                self._compiled.clear()
            try:
                parts = self._compiled[text] = parts_of(os.fsdecode(text))
            except UsageFailure as failure:
                raise Malformed(failure.message, failure.hint) from None
        return parts


def filled(parts: list[Part], number: int) -> bytes:
    return b"".join([part(number) for part in parts])


def parts_of(text: str) -> list[Part]:
    """The template in pieces, each a function of the record's number."""
    return [_literal(part) if isinstance(part, bytes) else _verb(part) for part in lex(text, known=VERBS)]


def _literal(data: bytes) -> Part:
    return lambda number: data


def _verb(verb: Verb) -> Part:
    makers: dict[str, Callable[[str | None], Part]] = {"i": _number, "d": _time, "u": _uuid, "r": _random}
    return makers[verb.letter](verb.modifier)


def _number(modifier: str | None) -> Part:
    _without(modifier, "%i")
    return lambda number: b"%d" % number


def _uuid(modifier: str | None) -> Part:
    _without(modifier, "%u")
    from uuid import uuid4

    return lambda number: str(uuid4()).encode()


def _without(modifier: str | None, verb: str) -> None:
    if modifier is not None:
        raise UsageFailure(f"{verb} takes no modifier, and has {modifier!r}")


def _time(modifier: str | None) -> Part:
    import time
    from datetime import datetime

    if modifier is None:
        return lambda number: b"%d" % int(time.time() * 1000)
    if not modifier.startswith("strftime[") or not modifier.endswith("]"):
        raise UsageFailure(f"%d{{{modifier}}} is no form of time", "%d or %d{strftime[%F %T]}")
    form = modifier.removeprefix("strftime").strip("[]")
    return lambda number: datetime.now().astimezone().strftime(form).encode()


def _random(modifier: str | None) -> Part:
    from random import randint

    low, dots, high = (modifier or "").partition("..")
    try:
        first, last = (int(low), int(high)) if dots else (0, int(low) - 1)
        if first > last:
            raise ValueError
    except ValueError:
        raise UsageFailure(f"%r{{{modifier or ''}}} is no range", "%r{1..6}, or %r{100} for 0 to 99") from None
    chosen: Any = randint
    return lambda number: b"%d" % chosen(first, last)
