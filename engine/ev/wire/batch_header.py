"""The header of a record batch, version 2: 61 bytes before the records.

    offset  size
         0     8  base offset              set by the broker, outside the checksum
         8     4  length of what follows
        12     4  partition leader epoch   set by the broker, outside the checksum
        16     1  magic, 2
        17     4  CRC-32C of everything from byte 21 on
        21     2  attributes               bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
        23     4  last offset delta
        27     8  base timestamp           of the first record
        35     8  max timestamp
        43     8  producer id              -1 none
        51     2  producer epoch
        53     4  base sequence
        57     4  record count
        61        records, compressed as one block when there is a codec

`read_header` does not look at the checksum: `check_crc` does, and who needs it calls it.
"""

from __future__ import annotations

from struct import Struct

from ev.errors import MalformedError
from ev.wire.checksum import crc32c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.wire.primitives import Buffer

HEADER_SIZE = 61
LOG_OVERHEAD = 12
"""Bytes before the part that the length field counts."""
MAGIC = 2
NO_TIMESTAMP = -1

CODEC_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
DELETE_HORIZON = 0x40

CRC_START = 21
RECORD_SIZE_MIN = 7
_HEADER = Struct(">qiibIhiqqqhii")
BEFORE_CRC = Struct(">qiibI")
AFTER_CRC = Struct(">hiqqqhii")
_BASE_OFFSET_AND_SIZE = Struct(">qi")
_BASE_OFFSET = Struct(">q")
_LEADER_EPOCH = Struct(">i")
_CRC = Struct(">I")
_PRODUCER = Struct(">qhi")
_ATTRIBUTES = Struct(">h")
_INT32_MAX = 0x7FFFFFFF


class BatchHeader:
    """The 61 bytes before the records. `size` is that of the whole batch, the header included."""

    __slots__ = (
        "attributes",
        "base_offset",
        "base_sequence",
        "base_timestamp",
        "crc",
        "last_offset_delta",
        "leader_epoch",
        "magic",
        "max_timestamp",
        "producer_epoch",
        "producer_id",
        "record_count",
        "size",
    )

    def __init__(
        self,
        base_offset: int,
        size: int,
        leader_epoch: int,
        magic: int,
        crc: int,
        attributes: int,
        last_offset_delta: int,
        base_timestamp: int,
        max_timestamp: int,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        record_count: int,
    ) -> None:
        self.base_offset = base_offset
        self.size = size
        self.leader_epoch = leader_epoch
        self.magic = magic
        self.crc = crc
        self.attributes = attributes
        self.last_offset_delta = last_offset_delta
        self.base_timestamp = base_timestamp
        self.max_timestamp = max_timestamp
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self.record_count = record_count

    def __repr__(self) -> str:
        return f"BatchHeader({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record: they go from 0 to 2^31 - 1 and then begin again. -1 without a producer."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & _INT32_MAX

    @property
    def codec(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL != 0


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at position. It checks that 61 bytes are there and that the length covers them, not that the whole batch is there.

    A batch of an older format has its base offset, size and magic in the same places, and is for the caller to refuse by its magic.
    """
    if position < 0 or len(buffer) - position < HEADER_SIZE:
        raise MalformedError(f"a record batch begins with {HEADER_SIZE} bytes of header, only {max(0, len(buffer) - position)} are there")
    base_offset, length, *rest = _HEADER.unpack_from(buffer, position)
    if length < HEADER_SIZE - LOG_OVERHEAD:
        raise MalformedError(f"a record batch says it is {length} bytes long, its header alone takes {HEADER_SIZE - LOG_OVERHEAD}")
    return BatchHeader(base_offset, length + LOG_OVERHEAD, *rest)


def headers(buffer: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of each whole batch. A batch that is cut off at the end of the buffer ends it: Fetch responses have those."""
    position = 0
    end = len(buffer)
    while end - position >= HEADER_SIZE:
        header = read_header(buffer, position)
        if header.size > end - position:
            return
        yield position, header
        position += header.size


def check_crc(buffer: Buffer, position: int, size: int) -> bool:
    """Whether the batch of that size at position has the checksum that its header says."""
    if position < 0 or size < HEADER_SIZE or position + size > len(buffer):
        return False
    with memoryview(buffer) as view:
        expected: int = _CRC.unpack_from(view, position + 17)[0]
        return crc32c(view[position + CRC_START : position + size]) == expected


def patch(buffer: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int) -> None:
    """Write what the broker decides into the batch at position. Neither field is under the checksum."""
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + LOG_OVERHEAD, leader_epoch)


def with_producer(batch: Buffer, producer_id: int, producer_epoch: int, base_sequence: int) -> bytes:
    """A copy of one whole batch that carries another producer id, epoch and sequence. They are under the checksum."""
    copy = bytearray(batch)
    _PRODUCER.pack_into(copy, 43, producer_id, producer_epoch, base_sequence)
    with memoryview(copy) as view:
        crc = crc32c(view[CRC_START:])
    _CRC.pack_into(copy, 17, crc)
    return bytes(copy)


def as_new(batch: Buffer, attributes: int) -> bytes:
    """A copy of one whole batch that nobody has stored yet: no producer, offsets from 0, and these attributes, codec included."""
    copy = bytearray(batch)
    patch(copy, 0, 0, -1)
    _ATTRIBUTES.pack_into(copy, CRC_START, attributes)
    return with_producer(copy, -1, -1, -1)
