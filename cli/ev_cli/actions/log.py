"""ev log: what the files of a data directory hold, and whether they are whole. No engine is needed, and none is disturbed."""

from __future__ import annotations

import os
from itertools import islice

from ev_cli import output
from ev_cli.failures import DONE, FAILED, Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = dict[str, Any]

CHUNK_ROWS = 2000
"""So many rows are written at a time, where a form can be written piece by piece."""
PIECEWISE = ("tsv", "csv", "jsonl", "name")
TOPICS = ("__consumer_offsets", "__transaction_state")
KINDS = {"groups": TOPICS[0], "transactions": TOPICS[1], "plain": ""}

# What a table shows of each kind of file; JSON has everything.
BATCHES = (
    ("base_offset", "last_offset", "count", "position", "size", "codec", "max_timestamp", "sound"),
    ("leader_epoch", "producer_id", "producer_epoch", "base_sequence", "transactional", "control"),
)
RECORDS = (("offset", "timestamp", "key", "value"), ("headers", "position", "producer_id", "producer_epoch", "transactional"))
OPENED = (("offset", "timestamp", "kind", "key", "value"), ("position", "producer_id", "producer_epoch"))
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ".index": (("offset", "position"), ("at",)),
    ".timeindex": (("timestamp", "offset"), ("at",)),
    ".txnindex": (("producer_id", "first_offset", "marker_offset", "last_stable_offset"), ("version",)),
    ".snapshot": (
        ("producer_id", "producer_epoch", "last_sequence", "last_offset", "timestamp", "first_offset"),
        ("offset_delta", "coordinator_epoch"),
    ),
    "leader-epoch-checkpoint": (("epoch", "start_offset"), ()),
    "ev.checkpoint": (
        ("topic_id", "log_start_offset", "recovery_offset", "segment_base", "position", "producers", "open_transactions"),
        ("max_timestamp", "epoch", "epochs"),
    ),
    "partition.metadata": (("name", "value"), ()),
    ".properties": (("name", "value"), ()),
    "-checkpoint": (("topic", "partition", "offset"), ()),
}


def dump_log(options: Any) -> int:
    if options.kind not in (None, *KINDS):
        raise UsageFailure(f"--as {options.kind} is unknown", f"one of {', '.join(KINDS)}")
    files = [path for given in options.files for path in _files(given)]
    kinds = {_kind(path) for path in files} or {".log"}
    if len(kinds) > 1:
        raise UsageFailure(f"files of one kind at a time, not {' and '.join(sorted(kinds))}", "their rows have different columns")
    return Dump(files, kinds.pop(), options).to_the_end()


class Dump:
    """Files of one kind, one after the other. Forms that can be written piece by piece are; a table needs all of its rows first."""

    def __init__(self, files: list[str], kind: str, options: Any) -> None:
        self._files = files
        self._kind = kind
        self._options = options
        self._form = output.output_format(options)
        self._left: int | None = options.count
        opened = any(_topic(path, options) in TOPICS for path in files)
        columns, wide = COLUMNS.get(kind) or ((OPENED if opened else RECORDS) if options.records else BATCHES)
        self._table = output.Table(columns, wide)
        self._is_titled = True

    def to_the_end(self) -> int:
        from ev.errors import MalformedError

        status = DONE
        for path in self._files:
            try:
                self._add(path)
            except MalformedError as error:
                output.say(f"ev: {path}: {error}")
                status = FAILED
            if self._left == 0:
                break
        if self._table.rows or self._form in ("json", "yaml") or self._is_titled:
            self._show()
        return status

    def _add(self, path: str) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror}") from None
        try:
            for row in islice(_rows(self._kind, path, descriptor, _topic(path, self._options), self._options), self._left):
                self._table.add(**(row if len(self._files) == 1 else {**row, "file": path}))
                if self._left is not None:
                    self._left -= 1
                if len(self._table.rows) == CHUNK_ROWS and self._form in PIECEWISE:
                    self._show()
        finally:
            os.close(descriptor)

    def _show(self) -> None:
        """Write the rows that have come together; only the first piece has a line of titles."""
        from ev_cli.running import Options

        for row in self._table.rows:
            _readable(row, self._form)
        output.show(self._table, self._options if self._is_titled else Options({**self._options.__dict__, "no_headers": True}))
        self._table.rows.clear()
        self._is_titled = False


def batches_of(path: str, count_max: int) -> list[Row]:
    """The first batches of a segment, as `ev log dump` shows them, up to where the file is no log."""
    from ev.errors import MalformedError
    from ev.log import dump

    rows: list[Row] = []
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for row in islice(dump.batch_rows(lambda count, position: os.pread(file.fileno(), count, position), size), count_max):
                rows.append(row)  # noqa: PERF402 - those before the damage are kept
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    except MalformedError as error:
        if not rows:
            raise Failure(f"{path}: {error}") from None
    return rows


def _readable(row: Row, form: str) -> None:
    """Bytes that are no text, under the names of the columns; JSON has them as they are."""
    if form not in ("json", "jsonl", "yaml"):
        for name in ("key", "value"):
            if name not in row and f"{name}_b64" in row:
                row[name] = f"base64:{row[f'{name}_b64']}"


def _files(given: str) -> list[str]:
    """The file, or the segments in the directory of a partition."""
    if not os.path.isdir(given):
        if not os.path.exists(given):
            raise Failure(f"there is no file {given}")
        return [given]
    there = os.listdir(given)
    names = sorted(name for name in there if name.endswith(".log"))
    if not names and "partition.metadata" not in there:  # a partition without records has none
        raise UsageFailure(f"{given} has no segments", "name files, or the directory of a partition")
    return [os.path.join(given, name) for name in names]


def _kind(path: str) -> str:
    """What kind of file it is, by its name. A suffix that says what shall become of it is left out."""
    name = os.path.basename(path)
    for suffix in (".deleted", ".swap", ".cleaned", ".tmp"):
        name = name.removesuffix(suffix)
    if name.endswith(".log"):
        return ".log"
    for known in COLUMNS:
        if name.endswith(known):
            return known
    raise UsageFailure(f"{path} is no file of a log", "there are .log, .index, .timeindex, .txnindex, .snapshot and checkpoints")


def _topic(path: str, options: Any) -> str:
    """The topic that the directory is named after, or the one whose records these are said to be."""
    if options.kind is not None:
        return KINDS[options.kind]
    return os.path.basename(os.path.dirname(os.path.abspath(path))).rpartition("-")[0]


def _rows(kind: str, path: str, descriptor: int, topic: str, options: Any) -> Iterator[Row]:
    """The rows of a file that are wanted, by its kind."""
    from ev.log import dump

    size = os.fstat(descriptor).st_size
    first, last = options.first or 0, options.last

    def read(count: int, position: int) -> bytes:
        return os.pread(descriptor, count, position)

    if kind == ".log":
        if options.records:
            for row in dump.record_rows(read, size, first, topic):
                if last is not None and row["offset"] >= last:
                    return
                yield row
            return
        for row in dump.batch_rows(read, size):
            if last is not None and row["base_offset"] >= last:
                return
            if row["last_offset"] >= first:
                yield row
        return
    name, data = os.path.basename(path), read(size, 0)
    digits = name[:20]
    base_offset = int(digits) if digits.isdecimal() else 0
    yield from {
        ".index": lambda: dump.index_rows(base_offset, data),
        ".timeindex": lambda: dump.time_index_rows(base_offset, data),
        ".txnindex": lambda: dump.aborted_rows(data),
        ".snapshot": lambda: dump.producer_rows(data),
        "ev.checkpoint": lambda: dump.checkpoint_rows(data),
    }.get(kind, lambda: dump.text_rows(name, data))()


def verify_log(options: Any) -> int:
    from ev_cli.actions.verify import verify_directory
    from ev_cli.local_engine import LocalEngine

    directory, partitions = os.path.abspath(options.directory), options.partitions
    if not os.path.isdir(directory):
        raise Failure(f"there is no directory {options.directory}")
    topic, dash, number = os.path.basename(directory).rpartition("-")
    if dash and number.isdecimal() and any(name.endswith(".log") for name in os.listdir(directory)):
        if partitions:
            raise UsageFailure(f"{options.directory} is one partition", "leave the names out, or name the data directory")
        directory, partitions = os.path.dirname(directory), [f"{topic}:{number}"]
    return verify_directory(LocalEngine(directory, None, options), partitions, options)
