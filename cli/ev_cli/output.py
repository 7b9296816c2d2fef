"""The only way out: stdout is data, stderr is talk.

Data leaves by write(2) at once, so that nothing lies in a Python buffer while ev waits for a broker, and so that what was
written is known to the byte. A standard stream that was closed before ev started has its number filled with /dev/null, or
the next socket would be taken for it. Everything that came from a cluster passes `safe` before it reaches a terminal.
"""

from __future__ import annotations

import os
import sys

from ev_cli.failures import Failure, StdoutClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

closed: set[int] = set()

FORMATS = ("table", "wide", "json", "jsonl", "tsv", "csv", "yaml", "name")

# Bidirectional overrides and separators that make a terminal show something other than what is there.
_TRICKY = frozenset([0x2028, 0x2029, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def occupy_closed_streams() -> None:
    """Fill the numbers of closed standard streams, before anything else opens a file or socket."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            try:
                os.fstat(number)
            except OSError:
                closed.add(number)
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)


def need_stdin() -> None:
    if 0 in closed:
        raise Failure("stdin is closed", "give it a pipe, a file or a terminal")


def need_stdout() -> None:
    if 1 in closed:
        raise Failure("stdout is closed", "there is nowhere to write the output")


def write(data: bytes) -> None:
    """All of data to stdout, or StdoutClosed, or a Failure that says why not."""
    need_stdout()
    view = memoryview(data)
    while view:
        view = view[write_some(view) :]


def write_some(data: bytes | memoryview) -> int:
    """One write(2) to stdout: how many bytes went."""
    try:
        return os.write(1, data)
    except BrokenPipeError:
        raise StdoutClosed from None
    except OSError as error:
        raise Failure(f"cannot write to stdout: {error.strerror}") from None


def say(text: str) -> None:
    """One line of talk on stderr. A stderr that is closed or full changes nothing."""
    say_unfinished(f"{text}\n")


def say_unfinished(text: str) -> None:
    """Talk without a line end: a question."""
    if 2 in closed:
        return
    data = text.encode(_encoding(), "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return


def is_terminal(number: int) -> bool:
    return number not in closed and os.isatty(number)


def has_colour() -> bool:
    """Whether stdout is a terminal that takes colour, and nobody has asked for none."""
    return is_terminal(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def safe(text: str) -> str:
    """Text from a cluster, harmless to a terminal: control characters and direction overrides become escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([character if _shows(character) else _escape(character) for character in text])


def safe_lines(text: str) -> str:
    """Several lines of text, each harmless to a terminal."""
    return "".join(f"{safe(line)}\n" for line in text.splitlines())


def safe_bytes(data: bytes) -> str:
    """Bytes from a cluster as text that is harmless to a terminal."""
    return safe(data.decode("utf-8", "backslashreplace"))


def _shows(character: str) -> bool:
    code = ord(character)
    return code not in _TRICKY and (code >= 0xA0 or 0x20 <= code < 0x7F)


def _escape(character: str) -> str:
    code = ord(character)
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _encoding() -> str:
    stream = sys.stderr or sys.stdout
    return getattr(stream, "encoding", None) or "utf-8"


class Table:
    """Rows of one kind of thing, shown as the caller's -o asks.

    `columns` names the fields of each row (a dict) in order; `wide` those that only `-o wide` shows in a table, while JSON
    always has all of them. The first column is the thing's name.
    """

    def __init__(self, columns: Sequence[str], wide: Sequence[str] = (), title: str = "") -> None:
        self.columns = list(columns)
        self.wide = list(wide)
        self.title = title
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Any) -> None:
        self.rows.append(row)


def output_format(options: Any) -> str:
    """Which of FORMATS a table verb was asked for: -o, --json, else a table for a person and TSV for a program."""
    from ev_cli.failures import UsageFailure

    if options.json:
        return "json"
    if options.output is None:
        return "table" if is_terminal(1) else "tsv"
    if options.output not in FORMATS:
        raise UsageFailure(f"-o {options.output} is no output format", f"one of {', '.join(FORMATS)}")
    return str(options.output)


def show(table: Table, options: Any, *, one: bool = False) -> None:
    """A list of things (or, with `one`, a single thing) to stdout."""
    form = output_format(options)
    writers: dict[str, Callable[[Table, bool], str]] = {"tsv": _tsv, "csv": _csv, "name": _names, "jsonl": _json_lines, "yaml": _yaml}
    if form == "json":
        show_json(table.rows[0] if one and table.rows else table.rows)
    elif form in ("table", "wide"):
        write_text(aligned(table, form == "wide", not options.no_headers))
    else:
        write_text(writers[form](table, form == "csv" and not options.no_headers))


def show_json(value: Any) -> None:
    import json

    write_text(json.dumps(value, ensure_ascii=False) + "\n")


def write_text(text: str) -> None:
    write(text.encode("utf-8", "surrogateescape"))


def _names(table: Table, headers: bool) -> str:
    return "".join(f"{safe(str(row[table.columns[0]]))}\n" for row in table.rows)


def _json_lines(table: Table, headers: bool) -> str:
    import json

    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.rows)


def _yaml(table: Table, headers: bool) -> str:
    import json

    lines = []
    for row in table.rows:
        for index, (name, value) in enumerate(row.items()):
            lines.append(f"{'- ' if index == 0 else '  '}{name}: {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(lines) or "[]\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={_cell(item)}" for name, item in value.items())
    return str(value)


def _tsv_cell(value: Any) -> str:
    return _cell(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _tsv(table: Table, headers: bool) -> str:
    return "".join("\t".join([_tsv_cell(row.get(name)) for name in table.columns]) + "\n" for row in table.rows)


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _csv(table: Table, headers: bool) -> str:
    names = [*table.columns, *table.wide]
    lines: list[Iterable[str]] = [names] if headers else []
    lines += [["" if row.get(name) is None else _cell(row[name]) for name in names] for row in table.rows]
    return "".join(",".join(map(_csv_cell, line)) + "\r\n" for line in lines)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def aligned(table: Table, wide: bool, headers: bool = True) -> str:
    """The rows as columns of even width, every cell harmless to a terminal."""
    names = [*table.columns, *(table.wide if wide else ())]
    lines = [[safe(_cell(row.get(name))) for name in names] for row in table.rows]
    if headers:
        lines.insert(0, [name.replace("_", "-").upper() for name in names])
    if not lines:
        return ""
    right = [all(isinstance(row.get(name), int | None) for row in table.rows) for name in names]
    widths = [max(_width(line[place]) for line in lines) for place in range(len(names))]

    def padded(line: Sequence[str]) -> str:
        cells = []
        for text, width, to_right in zip(line, widths, right, strict=True):
            space = " " * (width - _width(text))
            cells.append(space + text if to_right else text + space)
        return "  ".join(cells).rstrip()

    title = f"{table.title}\n" if table.title else ""
    return title + "".join(f"{padded(line)}\n" for line in lines)
