"""The daemon's log: lines to stderr or to a file that is rotated, written so that the log can never hold up the engine.

Lines are made where something happens and written by a thread of their own. A pipe that nobody reads, a full disk or a
directory that is gone costs lines, which are counted, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from queue import SimpleQueue
from typing import Protocol

FILE_BYTES_MAX = 10 << 20
FILE_COUNT = 5
LINES_WAITING_MAX = 10_000
LINE_BYTES_MAX = 8 << 10
CLOSE_WAIT_S = 0.5
TEXT_MAX = 4000

# What a client sent may end up in a message: no line breaks, no terminal escapes. Tabs and the newlines of tracebacks stay readable.
ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
TRACEBACK_ESCAPES = {code: text for code, text in ESCAPES.items() if code != 0x0A}


class Target(Protocol):
    """Where lines go. Raises OSError when they cannot go there."""

    def write(self, line: bytes) -> None: ...


class Stream:
    """A descriptor that somebody else opened, such as stderr."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]


class RotatedFile:
    """`path`, and `path.1` to `path.4` as it was before: at most FILE_COUNT files of FILE_BYTES_MAX bytes."""

    def __init__(self, path: str, *, bytes_max: int = FILE_BYTES_MAX, count: int = FILE_COUNT) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._count = count
        self._descriptor = -1
        self._size = 0

    def write(self, line: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(line) > self._bytes_max:
            self._rotate()
        self._size += os.write(self._descriptor, line)

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._count))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        self._open()


class LogWriter(logging.Handler):
    """Hands lines to a thread that writes them. When too many wait, lines are dropped and their number is logged later."""

    def __init__(self, target: Target, formatter: LineFormatter | JsonFormatter | None = None) -> None:
        super().__init__()
        self._form = formatter or LineFormatter()
        self.setFormatter(self._form)
        self.dropped = 0
        self._target = target
        self._lines: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= LINES_WAITING_MAX:
            self.dropped += 1
            return
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self._put(self._form.remark(f"{dropped} lines were lost here, because the log could not be written"))
        self._put(self.format(record))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()

    def _put(self, line: str) -> None:
        self._lines.put(line.encode(errors="backslashreplace")[:LINE_BYTES_MAX] + b"\n")

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if isinstance(line, threading.Event):
                line.set()
                continue
            try:
                self._target.write(line)
            except OSError:
                self.dropped += 1

    def wait(self, within_s: float) -> None:
        """Until what was logged so far is where it goes, but no longer than this."""
        if self._thread is not None:
            written = threading.Event()
            self._lines.put(written)
            written.wait(within_s)

    def close(self) -> None:
        """Write what waits, for as long as CLOSE_WAIT_S."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._lines.put(None)
            thread.join(CLOSE_WAIT_S)
        super().close()


class LineFormatter(logging.Formatter):
    """`2026-11-23T01:07:47.123Z INFO ev.server listening on 127.0.0.1:9092`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_moment(record)}Z {record.levelname} {record.name} {record.getMessage().translate(ESCAPES)}"
        if record.exc_info:
            return f"{head}\n{self.formatException(record.exc_info).translate(TRACEBACK_ESCAPES)}"
        return head

    def remark(self, text: str) -> str:
        """A line about the log itself."""
        return text


class JsonFormatter(logging.Formatter):
    """`{"time":"2026-11-23T01:07:47.123Z","level":"INFO","logger":"ev.server","message":"listening on …"}`, and "trace" with a traceback.

    The fields are ASCII: JSON's own escapes stand for everything else. What is too long is cut off, and the line is an object all the same.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{_moment(record)}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:TEXT_MAX],
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-TEXT_MAX:]
        text = json.dumps(line, separators=(",", ":"))
        while len(text) > LINE_BYTES_MAX:
            line = {name: value if len(value) < 100 else value[: len(value) // 2] for name, value in line.items()}
            text = json.dumps(line, separators=(",", ":"))
        return text

    def remark(self, text: str) -> str:
        """A line about the log itself."""
        return json.dumps({"level": "WARNING", "logger": "ev.log", "message": text}, separators=(",", ":"))


def _moment(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}"


def start_logging(path: str | None, *, as_json: bool = False) -> LogWriter:
    """Send the engine's log to the file, or to stderr when there is none."""
    formatter = JsonFormatter() if as_json else LineFormatter()
    writer = LogWriter(Stream(2) if path is None else RotatedFile(path), formatter)
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    return writer
