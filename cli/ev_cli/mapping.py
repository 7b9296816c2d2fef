"""`ev copy --map CMD`: one process gets each record as a line of JSON, and answers each, in their order, with a line that takes its place.

    {"value": …, "key": …, "headers": …, "timestamp": …}    what is not said stays as it was
    null, or an empty line                                  the record is dropped

    Piece ──> JSON lines ──> CMD ──> lines ──> MappedPiece, of what has been answered

Records without an answer are counted, and never more than a bound of them is given: who writes them waits, and takes answers meanwhile.
"""

from __future__ import annotations

import os
import time
from collections import deque

from ev_cli.carriers import Piece
from ev_cli.failures import GAVE_UP, Failure
from ev_cli.handler_processes import Children, environment
from ev_cli.handler_rules import BROKEN, in_words, meaning_of
from ev_cli.json_in import headers_of, objects_of, part, time_of
from ev_cli.json_out import JsonRenderer
from ev_cli.lines import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Partition = tuple[str, int]

AHEAD_BYTES = 4 << 20
"""So much is given without an answer; more than what a program keeps in its buffer before it writes."""
READ_BYTES = 1 << 18
ANSWER_BYTES_MAX = 32 << 20
END_MS = 1000
"""A process that has closed its stdout is given so long to end."""
READS_MAX = 16
"""So often is read before what has come is looked at."""
DROPPED = (b"", b"null")
SHELL = "/bin/sh"
_NAME_MAX = 40


class MapFailure(Failure):
    """The command did not do what it should: what it has answered by then counts."""


class MappedPiece(Piece):
    """What has become of neighbouring records; `is_rekeyed` says that their keys are other ones than before."""

    __slots__ = ("_asked", "is_rekeyed")

    def __init__(
        self,
        asked: Piece,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Any],
        *,
        is_rekeyed: bool,
    ) -> None:
        super().__init__(asked.topic, asked.partition, offsets, timestamps, keys, values, headers, asked.next_offset, asked.size)
        self._asked = len(asked)
        self.is_rekeyed = is_rekeyed

    @property
    def taken(self) -> int:
        return self._asked


class _Asked:
    """A piece that was given, how much of it is answered, and whether anybody still wants to know."""

    __slots__ = ("answered", "bytes", "is_over", "is_wanted", "piece")

    def __init__(self, piece: Piece, size: int) -> None:
        self.piece = piece
        self.bytes = size
        self.answered = 0
        self.is_wanted = True
        self.is_over = False

    @property
    def left(self) -> int:
        return len(self.piece) - self.answered


class Mapping:
    """The process, what waits to be written to it, and what it has not answered."""

    def __init__(self, command: str, group: str | None) -> None:
        self.unanswered = 0
        """Records that were given, and whose answer is still wanted."""
        self.moved_s = time.monotonic()
        """When the last answer came, or there was none to come."""
        self._command = command
        self._group = group
        self._renderer = JsonRenderer()
        self._children = Children()
        self._failure: MapFailure | None = None
        self._stdin = self._stdout = -1
        self._start()

    # -- records and answers ------------------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether it has enough to do."""
        return self._ahead_bytes >= AHEAD_BYTES

    @property
    def is_overfull(self) -> bool:
        return self._ahead_bytes >= 4 * AHEAD_BYTES

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def put(self, piece: Piece) -> None:
        """Give these records next. A piece without records only tells how far its partition has been read."""
        partition = piece.topic, piece.partition
        last = self._last.get(partition)
        batch = piece.leave_batch()
        if not len(piece) and last is not None and last.is_wanted and not last.is_over:
            last.piece.next_offset = piece.next_offset
            return
        data = b"".join([line + b"\n" for line in self._renderer.pieces(batch)]) if len(piece) else b""
        if not self.unanswered:
            self.moved_s = time.monotonic()
        asked = self._last[partition] = _Asked(piece, len(data))
        self._asked.append(asked)
        self.unanswered += len(piece)
        self._ahead_bytes += len(data)
        if data:
            self._outgoing.append(memoryview(data))

    def end_input(self) -> None:
        """No more records come: once the last one is written the process sees the end of its input, and has to end well."""
        self._input_ends = True

    def exchange(self, limit_ms: int) -> list[MappedPiece]:
        """Write what goes, and give what is answered, waiting at most that long for either.

        When something went wrong there is a MapFailure, but not before all has been given that was answered well.
        """
        import select

        if self._failure is not None:
            raise self._failure
        if self.has_ended:
            return []
        waiting = select.poll()
        waiting.register(self._stdout, select.POLLIN)
        if self._outgoing:
            waiting.register(self._stdin, select.POLLOUT)
        ready = {descriptor for descriptor, _ in waiting.poll(limit_ms)}
        if self._outgoing and self._stdin in ready:
            self._write()
        if self._input_ends and not self._outgoing and self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
        lines, is_end = self._read() if self._stdout in ready else ([], False)
        status = self._status(lines) if is_end else None
        found = self._answered(lines)
        if is_end and self._failure is None:
            self._judge(status)
        if self._failure is not None and not found:
            raise self._failure
        return found

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Somebody else reads these partitions: whatever is answered about their records is not wanted any more."""
        gone = set(partitions)
        for asked in self._asked:
            if asked.is_wanted and (asked.piece.topic, asked.piece.partition) in gone:
                asked.is_wanted = False
                self.unanswered -= asked.left

    def _answered(self, lines: list[bytes]) -> list[MappedPiece]:
        """What these lines make of the oldest records without an answer."""
        found: list[MappedPiece] = []
        position = 0
        while self._asked and (position < len(lines) or not self._asked[0].left) and self._failure is None:
            asked = self._asked[0]
            start, count = asked.answered, min(asked.left, len(lines) - position)
            if asked.is_wanted:
                found += self._mapped(asked.piece.part(start, start + count), lines[position : position + count])
                self.unanswered -= count
            position += count
            asked.answered += count
            if not asked.left:
                self._ahead_bytes -= asked.bytes
                self._asked.popleft().is_over = True
        if lines:
            self.moved_s = time.monotonic()
        if position < len(lines) and self._failure is None:
            self._failure = MapFailure(f"{self._name} answered more lines than it was given records", "one line for each", code=GAVE_UP)
        return found

    def _mapped(self, piece: Piece, lines: list[bytes]) -> list[MappedPiece]:
        """By `mapped`; up to the first line that says nothing, which is remembered."""
        try:
            return mapped(piece, lines)
        except Malformed:
            for number, line in enumerate(lines):
                try:
                    mapped(piece.part(number, number + 1), [line])
                except Malformed as error:
                    place = f"{piece.topic}/{piece.partition}@{piece.offsets[number]}"
                    self._failure = MapFailure(f"{self._name} answered {place} with what is no record: {error.line()}", code=GAVE_UP)
                    return mapped(piece.part(0, number), lines[:number]) if number else []
            raise

    # -- the process ---------------------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"--map {self._command if len(self._command) <= _NAME_MAX else self._command[:_NAME_MAX] + '…'!r}"

    def start_again(self) -> None:
        """With a new process, which has been given nothing."""
        self.close()
        self._start()

    def _start(self) -> None:
        self.unanswered = self._ahead_bytes = 0
        self._asked: deque[_Asked] = deque()
        self._last: dict[Partition, _Asked] = {}
        """The newest of each partition. What is passed over behind its records counts as read with them."""
        self._outgoing: deque[memoryview] = deque()
        self._incoming: list[bytes] = []
        """The beginning of an answer."""
        self._failure = None
        self._input_ends = self.has_ended = False
        """Whether it has ended, as it should."""
        reading, self._stdin = os.pipe()
        self._stdout, writing = os.pipe()
        try:
            self._child = self._children.start([SHELL, "-c", self._command], environment(1, self._group or "", 0), reading, None, writing)
        finally:
            os.close(writing)
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)

    def _write(self) -> None:
        try:
            while self._outgoing:
                first = self._outgoing[0]
                count = os.write(self._stdin, first)
                if count < len(first):
                    self._outgoing[0] = first[count:]
                else:
                    self._outgoing.popleft()
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._outgoing.clear()  # it reads no more, and is about to end: how, its stdout tells

    def _read(self) -> tuple[list[bytes], bool]:
        """The lines that have come, and whether its stdout has ended."""
        found: list[bytes] = []
        for _ in range(READS_MAX):
            try:
                data = os.read(self._stdout, READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                return found, True
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = b"".join([*self._incoming, lines[0]])
                self._incoming = []
                found += lines
            self._incoming.append(rest)
            if sum(map(len, self._incoming)) > ANSWER_BYTES_MAX:
                self._failure = MapFailure(f"{self._name} answers with a line that does not end", "one line for each record", code=GAVE_UP)
                break
        return found, False

    def _status(self, lines: list[bytes]) -> int | None:
        """How it has ended, having closed its stdout; None when it goes on. What it has said without a line end counts if it ended well."""
        self._children.ended(END_MS)
        status = self._child.process.poll()
        rest = b"".join(self._incoming)
        if rest and status == 0:
            lines.append(rest)
        return status

    def _judge(self, status: int | None) -> None:
        """Whether it may have ended now, and like this."""
        if status == 0 and self._input_ends and self._stdin < 0 and not self.unanswered:
            self.has_ended = True
            return
        how = "has closed its stdout" if status is None else in_words(status)
        message = f"{self._name} {how}" + ("" if self._input_ends and self._stdin < 0 else " before its input did")
        first = next((asked for asked in self._asked if asked.is_wanted and asked.left), None)
        if first is not None:
            piece = first.piece
            message += (
                f", and {self.unanswered} records have no answer, from {piece.topic}/{piece.partition}@{piece.offsets[first.answered]} on"
            )
        is_broken = status is not None and meaning_of(status) == BROKEN
        self._failure = MapFailure(message, code=status if is_broken and status is not None else GAVE_UP)

    def kill(self) -> None:
        self._children.kill_all()

    def close(self) -> None:
        for descriptor in (self._stdin, self._stdout):
            if descriptor >= 0:
                os.close(descriptor)
        self._stdin = self._stdout = -1
        self._children.end_all()


def mapped(piece: Piece, lines: Sequence[bytes]) -> list[MappedPiece]:
    """The records as these lines say, cut where records with a key of their own and with another one meet. Malformed for no record."""
    kept = [row for row, line in enumerate(lines) if line.strip() not in DROPPED]
    answers = dict(zip(kept, objects_of([lines[row] for row in kept]), strict=True))
    keys: dict[int, bytes | None] = {}
    for row, answer in answers.items():
        keys[row] = part(answer, "key") if "key" in answer or "key_b64" in answer else piece.keys[row]
    found: list[MappedPiece] = []
    start = 0
    for place, row in enumerate(kept):
        following = kept[place + 1] if place + 1 < len(kept) else None
        is_rekeyed = keys[row] != piece.keys[row]
        if following is None or is_rekeyed != (keys[following] != piece.keys[following]):
            stop = len(lines) if following is None else following
            found.append(_of_rows(piece, start, stop, answers, keys, is_rekeyed=is_rekeyed))
            start = stop
    return found or [_of_rows(piece, 0, len(lines), answers, keys, is_rekeyed=False)]


def _of_rows(
    piece: Piece, start: int, stop: int, answers: dict[int, dict[str, Any]], keys: dict[int, bytes | None], *, is_rekeyed: bool
) -> MappedPiece:
    asked = piece.part(start, stop)
    rows = [row for row in range(start, stop) if row in answers]
    timestamps = [time_of(answers[row]) for row in rows]
    return MappedPiece(
        asked,
        [piece.offsets[row] for row in rows],
        [piece.timestamps[row] if time is None else time for row, time in zip(rows, timestamps, strict=True)],
        [keys[row] for row in rows],
        [_value(answers[row], piece.values[row]) for row in rows],
        [headers_of(answers[row]["headers"]) if "headers" in answers[row] else piece.headers[row] for row in rows],
        is_rekeyed=is_rekeyed,
    )


def _value(answer: dict[str, Any], value: bytes | None) -> bytes | None:
    if "value" in answer or "value_b64" in answer:
        return part(answer, "value")
    return part(answer, "payload") if "payload" in answer else value
