"""Walks the batches of a segment, one after the other, and says where and why it could not go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct

from ev.disk import Buffer
from ev.log.epochs import LeaderEpochs
from ev.wire.checksum import crc32c
from ev.wire.records import HEADER_SIZE, LOG_OVERHEAD, MAGIC

HEADER = Struct(">qiibIhiqqqhii")
"""base offset, length, leader epoch, magic, CRC, attributes, last offset delta, base timestamp, max timestamp, producer id,
producer epoch, base sequence, record count"""
Fields = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]

CRC_START = 21
CHUNK_BYTES = 1 << 20


class Scan:
    """One walk. Iterate over it; afterwards `position` and `offset` say where it ended and `problem` why (None: at the end)."""

    __slots__ = ("checked", "chunk_bytes", "contiguous", "end", "epochs", "offset", "position", "problem", "read")

    def __init__(
        self,
        read: Callable[[int, int], Buffer],
        position: int,
        end: int,
        offset: int | None,
        *,
        contiguous: bool = True,
        checked: bool = True,
        epochs: LeaderEpochs | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """From `position`, where a batch begins, to `end`.

        `offset` is the first batch's base offset where it is known. `contiguous`: no offset may be missing (compaction makes
        holes). `checked`: checksums are verified. `epochs`: every batch must carry the epoch of its offset, where that is known.
        """
        self.read = read
        self.position = position
        self.end = end
        self.offset = offset
        self.contiguous = contiguous
        self.checked = checked
        self.epochs = epochs
        self.chunk_bytes = chunk_bytes
        self.problem: str | None = None

    def __iter__(self) -> Iterator[tuple[int, Fields]]:
        """(position, header fields) of each sound batch. `position` and `offset` are settled when it ends by itself."""
        chunk: Buffer = b""
        position, end, offset = self.position, self.end, self.offset
        start = position
        wanted = HEADER_SIZE
        while position < end:
            local = position - start
            if len(chunk) - local < wanted:
                start, local = position, 0
                chunk = memoryview(self.read(min(max(self.chunk_bytes, wanted), end - start), start))
                if len(chunk) < wanted:
                    self.problem = f"the file ends in the middle of a batch, {len(chunk)} of {wanted} bytes are there"
                    break
            fields: Fields = HEADER.unpack_from(chunk, local)
            base_offset = fields[0]
            size = fields[1] + LOG_OVERHEAD
            # One look at everything; what was wrong is found out only if something was.
            if (
                base_offset != offset
                or fields[3] != MAGIC
                or not HEADER_SIZE <= size <= end - position
                or fields[6] < 0
                or self.epochs is not None
            ):
                self.position, self.offset = position, offset
                self.problem = self._header_problem(fields, size)
                if self.problem is not None:
                    break
            if self.checked:
                if len(chunk) - local < size:
                    wanted = size
                    continue
                wanted = HEADER_SIZE
                if crc32c(chunk[local + CRC_START : local + size]) != fields[4]:
                    self.problem = "a batch does not match its checksum"
                    break
            yield position, fields
            position += size
            offset = base_offset + fields[6] + 1
        self.position, self.offset = position, offset

    def _header_problem(self, fields: Fields, size: int) -> str | None:
        base_offset = fields[0]
        if fields[3] != MAGIC:
            return f"no batch begins here: its format would be {fields[3]}"
        if size < HEADER_SIZE or size > self.end - self.position:
            return f"a batch says it is {size} bytes long, {self.end - self.position} are there"
        if fields[6] < 0:
            return f"a batch says that it ends {-fields[6]} offsets before it begins"
        if self.offset is not None and base_offset != self.offset and (self.contiguous or base_offset < self.offset):
            return f"a batch begins at offset {base_offset}, the one before it ends at {self.offset - 1}"
        if self.epochs is not None and self.epochs.at(base_offset) not in (-1, fields[2]):
            return f"the batch at offset {base_offset} says leader epoch {fields[2]}, it was {self.epochs.at(base_offset)}"
        return None
