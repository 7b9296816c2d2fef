"""What two records do not have in common: field by field where both are JSON, line by line where they are text."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ev_tui.records.shown import NOT_JSON, clock, line_of, parsed, whole

if TYPE_CHECKING:
    from ev_tui.records.ring import Row

LINES_MAX = 2000
"""Text with more lines than this is compared as a whole: the time to compare lines grows with their square."""


class Difference(NamedTuple):
    """One thing of the records. None is: it is not there."""

    name: str
    old: str | None
    new: str | None

    @property
    def is_same(self) -> bool:
        return self.old == self.new


def differences(old: Row, new: Row) -> list[Difference]:
    """Every thing that one of them has, those that are the same too, in the order of the first one."""
    found = [
        Difference("time", clock(old.timestamp), clock(new.timestamp)),
        Difference("key", line_of(old.key)[0], line_of(new.key)[0]),
    ]
    found += _of_tables("header ", _headers(old), _headers(new))
    values = parsed(old.value), parsed(new.value)
    if NOT_JSON not in values:
        return [*found, *_of_tables("", flat(values[0]), flat(values[1]))]
    return [*found, *_of_lines(whole(old.value).lines, whole(new.value).lines)]


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Every leaf by its path: `items[0].sku`."""
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, inner in value.items():
            found.update(flat(inner, f"{name}.{key}" if name else str(key)))
        return found
    if isinstance(value, list) and value:
        found = {}
        for index, inner in enumerate(value):
            found.update(flat(inner, f"{name}[{index}]"))
        return found
    return {name or "value": json.dumps(value, ensure_ascii=False)}


def _headers(row: Row) -> dict[str, str]:
    return {name: line_of(data)[0] for name, data in row.headers}


def _of_tables(prefix: str, old: dict[str, str], new: dict[str, str]) -> list[Difference]:
    names = [*old, *[name for name in new if name not in old]]
    return [Difference(prefix + name, old.get(name), new.get(name)) for name in names]


def _of_lines(old: list[str], new: list[str]) -> list[Difference]:
    if max(len(old), len(new)) > LINES_MAX:
        return [Difference("value", "\n".join(old)[:LINES_MAX], "\n".join(new)[:LINES_MAX])]
    found = []
    for tag, begin, end, new_begin, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += [Difference("", line, line) for line in old[begin:end]]
        else:
            found += [Difference("", line, None) for line in old[begin:end]]
            found += [Difference("", None, line) for line in new[new_begin:new_end]]
    return found
