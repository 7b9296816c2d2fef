"""Records as rows with named columns: -f csv (RFC 4180) and -f tsv (\\t \\n \\r \\\\ are escapes), as splitters and shapers.

The first row names the columns. `key`, `value`, `topic`, `partition`, `timestamp` and `header.NAME` are parts of the record. Without a
column `value` the whole row is the value, as a JSON object of texts, and `key` is its key as well.
"""

from __future__ import annotations

import os

from ev_cli.lines import Columns, LineSplitter, Malformed, Shaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Headers = Sequence[tuple[str, bytes | None]]

PARTS = ("key", "value", "topic", "partition", "timestamp")
IGNORED = ("offset", "timestamp_type")
HEADER = "header."
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


class RowSplitter(LineSplitter):
    """Cuts at the ends of rows. The first row goes to the shaper, and is no record."""

    def __init__(self, shaper: RowShaper, size_max: int) -> None:
        super().__init__(b"\n", size_max)
        self.lines_inside = shaper.quotes
        self._shaper = shaper
        self._open: list[bytes] = []

    def feed(self, block: bytes) -> list[bytes]:
        return self._rows(super().feed(block))

    def finish(self) -> list[bytes]:
        rows = self._rows(super().finish())
        if self._open:
            raise Malformed('the input ends within quotes: a " is missing, or a field has one that is not doubled')
        return rows

    def _rows(self, lines: list[bytes]) -> list[bytes]:
        rows = self._whole(lines) if self._shaper.quotes else lines
        if rows and not self._shaper.names:
            self._shaper.name(rows[0])
            self.swallowed = rows[:1]
            rows = rows[1:]
        return rows

    def _whole(self, lines: list[bytes]) -> list[bytes]:
        """Lines whose quotes are open go on in the next one."""
        rows = []
        for line in lines:
            odd = line.count(b'"') & 1
            if self._open:
                self._open.append(line)
                if odd:
                    rows.append(b"\n".join(self._open))
                    self._open = []
                elif sum(map(len, self._open)) > self._size_max:
                    raise Malformed(f"a row is longer than {self._size_max} bytes", 'is a " missing? --max-message-bytes raises the bound')
            elif odd:
                self._open = [line]
            else:
                rows.append(line)
        return rows


class RowShaper(Shaper):
    """Rows by the names of their columns. `time_field` names the one with the time, instead of `timestamp`."""

    def __init__(self, form: str, time_field: str | None) -> None:
        self.quotes = form == "csv"
        self.names: list[str] = []
        self._time_field = time_field or "timestamp"
        self._has_time_field = time_field is not None
        self._of_cell: Callable[[str, str], Any] | None = None

    def read_cells(self, of_cell: Callable[[str, str], Any]) -> None:
        """In a whole row a cell is not its text, but what this makes of its column's name and its text."""
        self._of_cell = of_cell

    def name(self, row: bytes) -> None:
        """Take the names of the columns."""
        names = self._cells(row.removeprefix(_BYTE_ORDER_MARK))
        known = (*PARTS, *IGNORED, self._time_field)
        if "value" in names:
            for name in names:
                if name not in known and not name.startswith(HEADER):
                    raise Malformed(
                        f"the first row has a column {name!r} beside 'value'",
                        f"{', '.join(PARTS)} and {HEADER}NAME go into a record; without 'value' the whole row does",
                    )
        if len(set(names)) != len(names) or not all(names):
            raise Malformed(f"the first row has two columns of one name, or one without: {', '.join(names)!r}")
        if self._has_time_field and self._time_field not in names:
            raise Malformed(f"--timestamp {self._time_field}: there is no such column", f"there are {', '.join(names)}")
        self.names = names

    def shape(self, records: list[bytes]) -> Columns:
        names = self.names
        rows = [self._cells(record) for record in records]
        for record, row in zip(records, rows, strict=True):
            if len(row) != len(names):
                raise Malformed(f"{len(row)} columns where the first row has {len(names)}: {os.fsdecode(record[:80])!r}")

        def column(name: str, convert: Callable[[str], object]) -> list[object] | None:
            if name not in names:
                return None
            place = names.index(name)
            return [convert(row[place]) for row in rows]

        whole = "value" not in names
        headers = [(place, name.removeprefix(HEADER)) for place, name in enumerate(names) if name.startswith(HEADER)]
        has_time = (not whole) or self._has_time_field
        return Columns(
            [self._object(row) for row in rows] if whole else column("value", _encoded),  # type: ignore[arg-type]
            column("key", _encoded),  # type: ignore[arg-type]
            None if whole or not headers else [[(name, _encoded(row[place])) for place, name in headers] for row in rows],
            column(self._time_field, _moment) if has_time else None,  # type: ignore[arg-type]
            None if whole else column("topic", str),  # type: ignore[arg-type]
            None if whole else column("partition", _partition),  # type: ignore[arg-type]
        )

    def _object(self, row: list[str]) -> bytes:
        import json

        cells: dict[str, Any] = dict(zip(self.names, row, strict=True))
        if self._of_cell is not None:
            cells = {name: self._of_cell(name, text) for name, text in cells.items()}
        return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")

    def _cells(self, row: bytes) -> list[str]:
        text = row.decode("utf-8", "surrogateescape")
        if not self.quotes:
            return [_unescaped(cell) if "\\" in cell else cell for cell in text.split("\t")]
        import csv

        csv.field_size_limit(len(row) + 1)
        try:
            return next(csv.reader([text.removesuffix("\r")], strict=True), [""])
        except csv.Error as error:
            raise Malformed(f"no row of CSV: {error} in {text[:80]!r}") from None


def _unescaped(cell: str) -> str:
    pieces = cell.split("\\")
    found = pieces[0]
    position = 1
    while position < len(pieces):
        piece = pieces[position]
        if not piece and position + 1 < len(pieces):  # a backslash that stands for itself
            found += "\\" + pieces[position + 1]
            position += 2
            continue
        found += _ESCAPES.get(piece[:1], "\\" + piece[:1]) + piece[1:]
        position += 1
    return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _partition(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise Malformed(f"{text[:40]!r} is no partition")
    return int(text)


def _moment(text: str) -> int | None:
    if not text:
        return None
    import time

    from ev_cli.times import moment_ms

    try:
        return moment_ms(text, int(time.time() * 1000))
    except ValueError:
        raise Malformed(f"{text[:40]!r} is no point in time") from None
