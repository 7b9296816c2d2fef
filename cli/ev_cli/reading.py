"""The input of `ev produce`: stdin and files, read as they come, cut and shaped as the options say.

While a descriptor is idle its reader takes acknowledgements; a signal ends the wait. Nothing is read ahead of what has been sent.
"""

from __future__ import annotations

import os

from ev_cli.failures import Failure, Interrupted, UsageFailure
from ev_cli.lines import RECORD_BYTES_MAX, BoundedShaper, KeyedShaper, LineSplitter, NullShaper, Shaper, WholeSplitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ev_cli.formats_in import SizedSplitter
    from ev_cli.interrupts import Interrupts
    from ev_cli.sending import Sending

    Splitter = LineSplitter | SizedSplitter | WholeSplitter

BLOCK = 3 << 18
"""Lines of usual length that are read at once fit into one batch of the producer, with what each record takes beside its bytes."""
PIPE_MAX = 1 << 20
PIPE_BYTES = 1 << 16
"""What a pipe holds unless it is widened (Linux)."""


class Source:
    """One input: stdin, a file, or the text of --value."""

    def __init__(self, name: str, *, whole: bool, text: bytes | None = None) -> None:
        self.name = name
        self.whole = whole
        self.text = text

    @property
    def is_stdin(self) -> bool:
        return self.text is None and self.name == "-"

    def open(self, *, is_again: bool = False) -> int:
        if self.is_stdin:
            if is_again:
                _rewind()
            return 0
        try:
            return os.open(self.name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise Failure(f"cannot read {self.name}: {error.strerror}") from None


def _rewind() -> None:
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError:
        raise Failure("--repeat reads the input again, and stdin cannot be read again", "give a file") from None


class Place:
    """Where in its source the next record begins, for the message of a run that failed."""

    def __init__(self, source: Source, delimiter_size: int, *, lines_inside: bool = False) -> None:
        self.source = source
        self.line = 1
        self.byte = 0
        self._delimiter_size = delimiter_size
        self._lines_inside = lines_inside

    def mark(self) -> tuple[int, int]:
        return self.line, self.byte

    def advance(self, records: Sequence[bytes]) -> None:
        self.line, self.byte = self._behind(self.mark(), records)

    def of(self, mark: tuple[int, int], records: Sequence[bytes]) -> str:
        """The place behind these records, as people read it."""
        line, byte = self._behind(mark, records)
        name = "" if self.source.is_stdin or self.source.text is not None else f" of {self.source.name}"
        return f"line {line}, byte {byte}{name}"

    def _behind(self, mark: tuple[int, int], records: Sequence[bytes]) -> tuple[int, int]:
        line, byte = mark
        line += len(records)
        if self._lines_inside:
            line += sum([record.count(b"\n") for record in records])
        return line, byte + sum(map(len, records)) + len(records) * self._delimiter_size


class Reading:
    """How the input is cut and shaped, and how much of it is wanted."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self.left: int | None = options.count
        """How many records are still wanted; None for all."""
        self.size_max = options.max_message_bytes or RECORD_BYTES_MAX
        self._form: str = "json" if options.json_records else options.format or "value"
        # Mistakes in -f and -D shall show before anything is read.
        self.parts(Source("-", whole=False))

    @property
    def full(self) -> bool:
        """Whether -n has been reached."""
        return self.left == 0

    def limit(self, records: list[bytes]) -> list[bytes]:
        if self.left is None:
            return records
        taken = records[: self.left]
        self.count(len(taken))
        return taken

    def count(self, taken: int) -> None:
        """So many were taken."""
        if self.left is not None:
            self.left -= taken

    def parts(self, source: Source) -> tuple[Splitter, Shaper]:
        splitter, shaper = self._splitter_and_shaper()
        self._inmost = shaper
        if source.whole:
            splitter = WholeSplitter(self.size_max)
        options = self._options
        if options.max_message_bytes is not None:
            shaper = BoundedShaper(shaper, options.max_message_bytes)
        if options.template:
            shaper = self._templates(shaper)
        if options.empty_is_null:
            shaper = NullShaper(shaper, b"")
        if options.null is not None:
            shaper = NullShaper(shaper, os.fsencode(options.null))
        if options.serde or options.schema or options.key_schema or options.proto:
            shaper = self._serialized(shaper)
        return splitter, shaper

    def _splitter_and_shaper(self) -> tuple[Splitter, Shaper]:
        """Plain lines need nothing but `lines`; what was asked for beyond them is imported when it was."""
        options = self._options
        form = self._form
        asked = (options.delimiter, options.key_delimiter, options.timestamp)
        if form == "value" and asked == (None, None, None):
            return LineSplitter(b"\0" if options.zero else b"\n", self.size_max), Shaper()
        from ev_cli.formats import unescape
        from ev_cli.records_in import delimiter, splitter_and_shaper
        from ev_cli.times import is_field

        if options.key_delimiter is not None and form != "value":
            raise UsageFailure(f"-K and -f {form} are two forms", "give one of them")
        field = options.timestamp if options.timestamp is not None and is_field(options.timestamp) else None
        splitter, shaper = splitter_and_shaper(form, delimiter(options.delimiter, options.zero), self.size_max, field)
        if options.key_delimiter is not None:
            shaper = KeyedShaper(_some(unescape(options.key_delimiter), "-K"))
        if field is not None and form not in ("json", "csv", "tsv"):
            from ev_cli.json_in import FieldTimeShaper

            shaper = FieldTimeShaper(shaper, field)
        return splitter, shaper

    def _templates(self, shaper: Shaper) -> Shaper:
        from ev_cli.records_in import header
        from ev_cli.templates import TemplateShaper

        return TemplateShaper(shaper, self._options.key, [header(text) for text in self._options.headers])

    def _serialized(self, shaper: Shaper) -> Shaper:
        """With -s and schemas; one that makes its bytes of JSON has to get the JSON itself."""
        from ev_cli.serializers import SerdeShaper, serializers_of

        key, value = serializers_of(self._options)
        key_cell, value_cell = getattr(key, "of_cell", None), getattr(value, "of_cell", None)
        inmost: Any = self._inmost
        if self._form == "json":
            inmost.leave_json(key=key_cell is not None, value=value_cell is not None)
        elif self._form in ("csv", "tsv") and value_cell is not None:
            inmost.read_cells(value_cell)
        return SerdeShaper(shaper, key, value)


def _some(delimiter: bytes, option: str) -> bytes:
    if not delimiter:
        raise UsageFailure(f"{option}: an empty delimiter separates nothing")
    return delimiter


class Waiting:
    """Reads a descriptor. While it is idle, acknowledgements are taken; a signal ends the wait."""

    def __init__(self, descriptor: int, sending: Sending, interrupts: Interrupts) -> None:
        import stat

        self._descriptor = descriptor
        self._sending = sending
        self._interrupts = interrupts
        found = os.fstat(descriptor)
        self._is_file = stat.S_ISREG(found.st_mode)
        self._is_wide = not stat.S_ISFIFO(found.st_mode)
        self.size = found.st_size if self._is_file else None
        """Bytes of a regular file, None for what has no size."""

    def blocks(self, source: Source) -> Iterator[bytes]:
        terminal = source.is_stdin and os.isatty(0)
        if terminal:
            self._sending.on_terminal()
        while True:
            if not self._is_file:
                self._wait()
            elif self._interrupts:
                raise Interrupted
            try:
                block = os.read(self._descriptor, BLOCK)
            except OSError as error:
                raise Failure(f"cannot read {'stdin' if source.is_stdin else source.name}: {error.strerror}") from None
            if not block:
                return
            if len(block) == PIPE_BYTES and not self._is_wide:
                self._widen()
            yield block
            self._sending.take_deliveries(0)

    def _widen(self) -> None:
        """A pipe that was full is given more room, where the system can: fewer and larger reads, a third less work per record."""
        import fcntl

        self._is_wide = True
        set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
        if set_size is not None:
            try:
                fcntl.fcntl(self._descriptor, set_size, PIPE_MAX)
            except OSError:
                return  # the system's bound for pipes is lower, or it is somebody else's pipe

    def _wait(self) -> None:
        """Until the descriptor can be read, or has ended."""
        import select

        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while True:
            if self._sending.outstanding:
                if poll.poll(0):
                    return
                self._sending.take_deliveries(5)
                if self._interrupts or self._sending.failure is not None:
                    raise Interrupted
            else:
                with self._interrupts.waiting():
                    poll.poll()
                    return
