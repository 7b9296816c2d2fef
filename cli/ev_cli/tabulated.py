"""Rows of things in each of the forms that -o knows: aligned for a person, the others for programs.

In a table for a person a column's name says what its numbers mean: `…_ms` are durations, `…bytes` and `size` amounts, `…timestamp`,
`…_at` and those in `MOMENTS` points in time, and they are shown so, without the unit in the heading. Every other form has the bare
numbers.
"""

from __future__ import annotations

from ev_cli import output
from ev_cli.output import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ev_cli.output import Table

MOMENTS = frozenset(("last_write", "started_ms", "timestamp"))
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def text_of(table: Table, form: str, headers: bool, *, one: bool = False) -> str:
    """The whole table in one of output.FORMATS."""
    if form == "json":
        return json_text(table.rows[0] if one and table.rows else table.rows)
    if form in ("table", "wide"):
        return aligned(table, form == "wide", headers)
    writers = {"tsv": _tsv, "name": _names, "jsonl": _json_lines, "yaml": _yaml}
    return writers[form](table) if form in writers else _csv(table, headers)


def _names(table: Table) -> str:
    return "".join([_tsv_cell(row[table.name or table.columns[0]]) + "\n" for row in table.rows])


def json_text(value: Any) -> str:
    """One line of JSON. What a terminal would not show as it is, or stdout's encoding has not, is escaped as JSON does it."""
    import json
    import sys

    text = json.dumps(value, ensure_ascii=not output.can_show("\U0001f375", sys.__stdout__))
    return (text if text.isprintable() else "".join([one if output.shows(one) else _json_escape(one) for one in text])) + "\n"


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _json_lines(table: Table) -> str:
    return "".join([json_text(row) for row in table.rows])


def _yaml(table: Table) -> str:
    """A list of mappings whose values are JSON, which YAML 1.2 contains."""
    lines = []
    for row in table.rows:
        for index, (name, value) in enumerate(row.items()):
            lines.append(f"{'- ' if index == 0 else '  '}{_yaml_value(name) if _is_odd(name) else name}: {_yaml_value(value)}\n")
        if not row:
            lines.append("- {}\n")
    return "".join(lines) or "[]\n"


_YAML_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def _is_odd(name: str) -> bool:
    """A key that YAML would not read as the text that it is: `on`, `1.5`, `a: b`."""
    plain = name.replace("_", "a").replace(".", "a").replace("-", "a")
    return not plain.isascii() or not plain.isalnum() or not name[0].isalpha() or name.lower() in _YAML_WORDS


def _yaml_value(value: Any) -> str:
    import json
    import sys

    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    has_unicode = output.can_show("\U0001f375", sys.__stdout__)
    return "".join([one if output.shows(one) and (has_unicode or one.isascii()) else _yaml_escape(one) for one in text])


def _yaml_escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell(value: Any) -> str:
    """A value as it stands in a table, TSV or CSV."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join([cell(item) for item in value])
    if isinstance(value, dict):
        return ",".join([f"{name}={cell(item)}" for name, item in value.items()])
    return str(value)


def _tsv_cell(value: Any) -> str:
    text = cell(value).replace("\\", "\\\\")
    if text.isprintable():
        return text
    return safe(text) if output.is_terminal(1) else text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _tsv(table: Table) -> str:
    return "".join(["\t".join([_tsv_cell(row.get(name)) for name in table.columns]) + "\n" for row in table.rows])


def _csv_cell(text: str) -> str:
    if output.is_terminal(1):
        text = safe(text)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _csv(table: Table, headers: bool) -> str:
    """RFC 4180: a line that names the columns, all of them; commas, quotes and line ends in quotes; lines end with CR LF."""
    names = [*table.columns, *table.wide]
    lines: list[Iterable[str]] = [names] if headers else []
    lines += [["" if row.get(name) is None else cell(row[name]) for name in names] for row in table.rows]
    return "".join([",".join(map(_csv_cell, line)) + "\r\n" for line in lines])


# -- for a person ----------------------------------------------------------------------------------------------------------------


def aligned(table: Table, wide: bool, headers: bool = True) -> str:
    """The rows as columns of even width, numbers to the right, every cell harmless to a terminal."""
    names = [*table.columns, *(table.wide if wide else ())]
    lines = [[safe(shown(name, row.get(name))) for name in names] for row in table.rows]
    headings = [heading(name) for name in names]
    if not lines and not headers:
        return ""
    right = [bool(table.rows) and all(_is_amount(row.get(name)) for row in table.rows) for name in names]
    widths = [max([width_of(line[place]) for line in [*([headings] if headers else []), *lines]]) for place in range(len(names))]

    def padded(line: Sequence[str]) -> str:
        cells = []
        for text, width, to_right in zip(line, widths, right, strict=True):
            space = " " * (width - width_of(text))
            cells.append(space + text if to_right else text + space)
        return "  ".join(cells).rstrip()

    bold, plain = (BOLD, PLAIN) if output.has_colour() else ("", "")
    text = f"{bold}{safe(table.title)}{plain}\n" if table.title else ""
    if headers:
        text += f"{bold}{padded(headings)}{plain}\n"
    return text + "".join([f"{padded(line)}\n" for line in lines])


def shown(name: str, value: Any) -> str:
    """One value as a person reads it; the column's name says what a number means."""
    kind = _kind(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or kind == "plain":
        return cell(value)
    if isinstance(value, float):
        if kind == "duration" and 0 <= value < 1000:
            return f"{value:.3g}ms"
        value = round(value)
    if kind == "moment":
        from ev_cli.times import local_text

        return local_text(value)
    from ev_cli.units import duration_text, size_text

    return size_text(value) if kind == "size" else duration_text(value)


def heading(name: str) -> str:
    """LAST-WRITE for last_write, RETENTION for retention_ms."""
    bare = name.removesuffix("_ms") if _kind(name) != "plain" else name
    return bare.removesuffix("_bytes").replace("_", "-").upper()


def _kind(name: str) -> str:
    if name in MOMENTS or name.endswith(("timestamp", "_at", "_at_ms")):
        return "moment"
    if name.endswith("_ms"):
        return "duration"
    return "size" if name == "size" or name.endswith("bytes") else "plain"


def _is_amount(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def width_of(text: str) -> int:
    """How many places of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
