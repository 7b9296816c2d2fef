"""Records in the plain: lines, keyed lines, whole files, and what makes them null.

A splitter gets blocks as they were read and gives back raw records as soon as they are complete; a shaper turns raw records
into columns. Both know nothing of files or topics. Lines that are values cost one `split` per block, and a start that imports
nothing but this; formats and JSON are in `records_in`.
"""

from __future__ import annotations

from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[str, bytes | None]]

RECORD_BYTES_MAX = 32 << 20


class Malformed(Failure):
    """A record does not have the form that it should have. Who reads the input says where, and decides whether the others go on."""


class Columns:
    """Raw records in their final form. A column that is None has nothing for any record."""

    __slots__ = ("headers", "keys", "partitions", "timestamps", "topics", "values")

    def __init__(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps: Sequence[int | None] | None = None,
        topics: Sequence[str | None] | None = None,
        partitions: Sequence[int | None] | None = None,
    ) -> None:
        self.values = values
        self.keys = keys
        self.headers = headers
        self.timestamps = timestamps
        self.topics = topics
        self.partitions = partitions


# -- cutting -------------------------------------------------------------------------------------------------------------------


class LineSplitter:
    """Cuts at a delimiter. What follows the last one is a record too, when there is something."""

    swallowed: Sequence[bytes] = ()
    """Records that were no data, such as the names of columns; the caller takes them away."""
    lines_inside = False
    """Whether a record may have lines of its own."""

    def __init__(self, delimiter: bytes = b"\n", size_max: int = RECORD_BYTES_MAX) -> None:
        self.delimiter = delimiter
        self._size_max = size_max
        self._pending: list[bytes] = []
        self._pending_size = 0

    def feed(self, block: bytes) -> list[bytes]:
        if len(self.delimiter) > 1 and self._pending:
            # The delimiter may lie across two blocks.
            block = b"".join([*self._pending, block])
            self._pending = []
        if self.delimiter not in block:
            self._keep(block, len(block) + (self._pending_size if self._pending else 0))
            return []
        lines = block.split(self.delimiter)
        if self._pending:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
        rest = lines.pop()
        self._pending = []
        self._keep(rest, len(rest))
        return lines

    def finish(self) -> list[bytes]:
        rest = b"".join(self._pending)
        self._pending = []
        return [rest] if rest else []

    def _keep(self, rest: bytes, size: int) -> None:
        if size > self._size_max:
            raise Malformed(
                f"a record is longer than {self._size_max} bytes", "is the delimiter (-D) right? --max-message-bytes raises the bound"
            )
        if rest:
            self._pending.append(rest)
        self._pending_size = size


class WholeSplitter:
    """Everything up to the end is one record."""

    swallowed: Sequence[bytes] = ()
    lines_inside = False
    delimiter = b""

    def __init__(self, size_max: int = RECORD_BYTES_MAX) -> None:
        self._size_max = size_max
        self._pending: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> list[bytes]:
        self._size += len(block)
        if self._size > self._size_max:
            raise Malformed(f"the record is longer than {self._size_max} bytes", "--max-message-bytes raises the bound")
        self._pending.append(block)
        return []

    def finish(self) -> list[bytes]:
        whole, self._pending = b"".join(self._pending), []
        return [whole]


# -- shaping -------------------------------------------------------------------------------------------------------------------


class Shaper:
    """Raw records to columns: here the raw record is the value."""

    def shape(self, records: list[bytes]) -> Columns:
        return Columns(records)


class KeyedShaper(Shaper):
    """KEY DELIM VALUE; without the delimiter there is no key."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter

    def shape(self, records: list[bytes]) -> Columns:
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        delimiter = self._delimiter
        for record in records:
            key, found, value = record.partition(delimiter)
            keys.append(key if found else None)
            values.append(value if found else record)
        return Columns(values, keys)


class NullShaper(Shaper):
    """Around another: keys and values that equal a text are null."""

    def __init__(self, inner: Shaper, null: bytes) -> None:
        self._inner = inner
        self._null = null

    def shape(self, records: list[bytes]) -> Columns:
        columns = self._inner.shape(records)
        null = self._null
        columns.values = [None if value == null else value for value in columns.values]
        if columns.keys is not None:
            columns.keys = [None if key == null else key for key in columns.keys]
        return columns


class BoundedShaper(Shaper):
    """Around another: a longer record is malformed, also when it came in one piece."""

    def __init__(self, inner: Shaper, size_max: int) -> None:
        self._inner = inner
        self._size_max = size_max

    def shape(self, records: list[bytes]) -> Columns:
        if any(len(record) > self._size_max for record in records):
            size = max(map(len, records))
            raise Malformed(f"a record of {size} bytes is longer than {self._size_max}", "--max-message-bytes raises the bound")
        return self._inner.shape(records)
