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
    from collections.abc import Callable, Sequence
    from typing import Any

closed: set[int] = set()
held: list[bytes] | None = None
"""What was written since `hold`, when somebody wants the output of a command as a whole."""
passing: Callable[[], None] | None = None
"""Takes the line away that stands on stderr only until something else is said; see ev_cli.progress."""
colour = "auto"
"""What --color says: auto, always or never."""

FORMATS = ("table", "wide", "json", "jsonl", "tsv", "csv", "yaml", "name")

# Spaces that are no ASCII and mean nothing but a space. Everything else that does not print could make a terminal show what is not there.
_SPACES = frozenset("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")

# Our own marks where the stream's encoding has none of them.
_PLAINER = {0x2192: "->", 0x2026: "...", 0x2501: "#", 0x2014: "-", 0x2013: "-", 0x2022: "*", 0x00D7: "x"}

COLOURS = ("auto", "always", "never")


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
    if held is not None:
        held.append(data)
        return
    view = memoryview(data)
    while view:
        view = view[write_some(view) :]


def hold() -> None:
    """Keep what is written from now on, until `release`."""
    global held
    held = []


def release() -> bytes:
    """What was written since `hold`. From now on it goes to stdout again."""
    global held
    data, held = b"".join(held or ()), None
    return data


def write_some(data: bytes | memoryview) -> int:
    """One write(2) to stdout: how many bytes went."""
    if passing is not None:
        passing()
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
    if passing is not None:
        passing()
    draw(text)


def draw(text: str) -> None:
    """Bytes to stderr; where they cannot go, nothing happens."""
    if 2 in closed:
        return
    data = encoded(text, encoding(sys.__stderr__))
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return


def is_terminal(number: int) -> bool:
    return number not in closed and os.isatty(number)


def has_colour(number: int = 1) -> bool:
    """Whether a stream shall have colour: --color, else NO_COLOR, else FORCE_COLOR or CLICOLOR_FORCE, else a terminal has it."""
    if colour != "auto":
        return colour == "always"
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0") or environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal(number) and environ.get("TERM") != "dumb"


def set_colour(when: str) -> None:
    """What --color says, for everything that is shown from now on."""
    if when not in COLOURS:
        from ev_cli.failures import UsageFailure

        raise UsageFailure(f"--color {when} is unknown", f"one of {', '.join(COLOURS)}")
    global colour
    colour = when


def safe(text: str) -> str:
    """Text from a cluster, harmless to a terminal: control characters and direction overrides become escapes."""
    if text.isprintable():
        return text
    return "".join([character if shows(character) else _escape(character) for character in text])


def safe_lines(text: str) -> str:
    """Several lines of text, each harmless to a terminal."""
    return "".join(f"{safe(line)}\n" for line in text.splitlines())


def safe_bytes(data: bytes) -> str:
    """Bytes from a cluster as text that is harmless to a terminal."""
    return safe(data.decode("utf-8", "backslashreplace"))


def shows(character: str) -> bool:
    """Whether a terminal shows the character as what it is."""
    return character.isprintable() or character in _SPACES


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of an argument or a file's name that was no UTF-8
        code -= 0xDC00
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def encoded(text: str, into: str) -> bytes:
    """Text for a stream. What its encoding cannot say is said in ASCII; a byte that was never text stays the byte that it is."""
    if text.isascii():
        return text.encode()
    try:
        return text.encode(into, "surrogateescape")
    except UnicodeEncodeError:
        return text.translate(_PLAINER).encode(into, "backslashreplace")


def can_show(text: str, stream: Any = None) -> bool:
    """Whether the encoding of a stream (stderr) has these characters."""
    try:
        return bool(text.encode(encoding(stream or sys.__stderr__)))
    except UnicodeEncodeError:
        return False


def encoding(stream: Any) -> str:
    """That of a standard stream; UTF-8 when nobody knows."""
    return getattr(stream, "encoding", None) or "utf-8"


class Table:
    """Rows of one kind of thing, shown as the caller's -o asks.

    `columns` names the fields of each row (a dict) in order; `wide` those that only `-o wide` shows in a table, while JSON
    always has all of them. The first column is the thing's name, unless `name` says another.
    """

    def __init__(self, columns: Sequence[str], wide: Sequence[str] = (), title: str = "") -> None:
        self.columns = list(columns)
        self.wide = list(wide)
        self.title = title
        self.name = ""
        """The column that -o name shows, when it is not the first."""
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
    from ev_cli.tabulated import text_of

    write_text(text_of(table, output_format(options), not options.no_headers, one=one))


def show_json(value: Any) -> None:
    from ev_cli.tabulated import json_text

    write_text(json_text(value))


def aligned(table: Table, wide: bool, headers: bool = True) -> str:
    """The rows for a person, every cell harmless to a terminal."""
    from ev_cli.tabulated import aligned as lines_of

    return lines_of(table, wide, headers)


def write_text(text: str) -> None:
    write(encoded(text, encoding(sys.__stdout__)))
