"""Record batches and requests that are small on the wire and want to be large in memory, or that lie about their size.

Each batch has a right checksum and a header that fits, so that only what is inside speaks against it; a bomb grows to GROWN_BYTES, or to
MANY records. `batches` are for Produce, `frames` are whole requests with millions of small parts.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import cramjam

from ev.wire.batch_header import AFTER_CRC, BEFORE_CRC, CRC_START, HEADER_SIZE, LOG_OVERHEAD, MAGIC
from ev.wire.checksum import crc32c
from ev.wire.compression import GZIP, LZ4, NAMES, NONE, SNAPPY, ZSTD, compress
from ev.wire.header import encode_request_header
from ev.wire.primitives import encode_uvarint
from ev.wire.record_varints import varint
from ev.wire.records import encode_batch

GROWN_BYTES = 136 << 20
"""More than any broker lets a batch grow to."""
MANY = 1_500_000
LIED_BYTES = 512 << 20
ZSTD_BLOCK = 128 << 10
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"


class Bomb(NamedTuple):
    """A batch, what is wrong with it, and with which codec."""

    name: str
    data: bytes


def batch(codec: int, records: bytes, count: int = 1, timestamp: int = 1_700_000_000_000) -> bytes:
    """A batch around what is said to be its records, compressed."""
    made = bytearray(HEADER_SIZE) + records
    AFTER_CRC.pack_into(made, CRC_START, codec, count - 1, timestamp, timestamp, -1, -1, -1, count)
    BEFORE_CRC.pack_into(made, 0, 0, len(made) - LOG_OVERHEAD, -1, MAGIC, crc32c(memoryview(made)[CRC_START:]))
    return bytes(made)


def stamped(bomb: bytes, timestamp: int) -> bytes:
    """The same batch at another time."""
    made = bytearray(bomb)
    fields = list(AFTER_CRC.unpack_from(made, CRC_START))
    fields[2] = fields[3] = timestamp
    AFTER_CRC.pack_into(made, CRC_START, *fields)
    made[17:21] = crc32c(memoryview(made)[CRC_START:]).to_bytes(4, "big")
    return bytes(made)


def batches() -> Iterator[Bomb]:
    """All of them, made one by one."""
    yield from _lying_sizes()
    yield from _lying_counts()
    yield from _large_values()
    yield from _many_records()


def _head(size: int) -> bytes:
    """A record up to its value: key `k`, so that compaction takes it."""
    inner = b"\0\0\0" + varint(1) + b"k" + varint(size)
    return varint(len(inner) + size + 1) + inner


def _large_values() -> Iterator[Bomb]:
    """One record with a value of zeros."""
    zeros = 8 << 20
    times = GROWN_BYTES // zeros
    head = _head(GROWN_BYTES)
    members = [_gzip(head), *itertools.repeat(_gzip(bytes(zeros)), times), _gzip(b"\0")]
    yield Bomb("a large value in gzip, in many members", batch(GZIP, b"".join(members)))
    whole = head + bytes(GROWN_BYTES) + b"\0"
    yield Bomb("a large value in gzip", batch(GZIP, _gzip(whole)))
    yield Bomb("a large value in one block of snappy", batch(SNAPPY, bytes(cramjam.snappy.compress_raw(whole))))
    block = bytes(cramjam.snappy.compress_raw(bytes(zeros)))
    first, last = (bytes(cramjam.snappy.compress_raw(piece)) for piece in (head, b"\0"))
    blocks = [len(piece).to_bytes(4, "big") + piece for piece in (first, *itertools.repeat(block, times), last)]
    yield Bomb("a large value in snappy as Java writes it", batch(SNAPPY, XERIAL + b"".join(blocks)))
    yield Bomb("a large value in lz4", batch(LZ4, compress(LZ4, whole)))
    yield Bomb("a large value in zstd", batch(ZSTD, compress(ZSTD, whole)))
    yield Bomb("a large value in zstd that does not say its size", batch(ZSTD, _zstd(head, GROWN_BYTES)))


def _many_records() -> Iterator[Bomb]:
    """More records than anybody puts in a batch, seven bytes each."""
    records = encode_batch([b""] * MANY)[HEADER_SIZE:]
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        yield Bomb(f"{MANY} empty records in {NAMES[codec]}", batch(codec, compress(codec, records), MANY))


def _lying_sizes() -> Iterator[Bomb]:
    """Sizes that are declared and not true."""
    small = _head(5) + b"small\0"
    for size in (LIED_BYTES, 1 << 62):
        yield Bomb(f"zstd that declares {size} bytes", batch(ZSTD, _zstd(small, 0, declared=size)))
    yield Bomb("zstd that declares 10 bytes and holds more", batch(ZSTD, _zstd(_head(GROWN_BYTES), GROWN_BYTES, declared=10)))
    yield Bomb("snappy that declares 4 GiB", batch(SNAPPY, encode_uvarint((1 << 32) - 1) + b"\x10small"))
    yield Bomb("snappy that declares half a GiB", batch(SNAPPY, encode_uvarint(LIED_BYTES) + b"\x10small"))
    for size in (1 << 31, (1 << 32) - 1, 0):
        yield Bomb(f"a block of snappy that says {size} bytes", batch(SNAPPY, XERIAL + size.to_bytes(4, "big") + b"\x05\x10small"))
    inner = encode_uvarint(LIED_BYTES) + b"\x10small"
    yield Bomb("a block of snappy that declares half a GiB", batch(SNAPPY, XERIAL + len(inner).to_bytes(4, "big") + inner))
    frame = bytearray(compress(LZ4, small))
    frame[7:11] = (0x7FFFFFFF).to_bytes(4, "little")
    yield Bomb("a block of lz4 that says 2 GiB", batch(LZ4, bytes(frame)))
    lying = bytearray(_gzip(small))
    lying[-4:] = (1 << 31).to_bytes(4, "little")
    yield Bomb("gzip that says 2 GiB at its end", batch(GZIP, bytes(lying)))
    yield Bomb("gzip that does not end", batch(GZIP, _gzip(small)[:-9]))


def _lying_counts() -> Iterator[Bomb]:
    """Counts and lengths inside that are not true."""
    small = _head(5) + b"small\0"
    for codec in (NONE, ZSTD):
        yield Bomb(f"a header that says 100,000,000 records, {NAMES[codec]}", batch(codec, compress(codec, small), 100_000_000))
    headers = b"\0\0\0" + varint(1) + b"k" + varint(1) + b"v" + varint((1 << 31) - 1)
    for name, record in (
        ("two thousand million headers", varint(len(headers)) + headers),
        ("a key of 1 TiB", varint(20) + b"\0\0\0" + varint(1 << 40) + bytes(20)),
        ("a value of 2 GiB", varint(20) + b"\0\0\0" + varint(1) + b"k" + varint((1 << 31) - 1) + bytes(9)),
        ("a negative length", varint(-5) + bytes(20)),
        ("a varint without end", b"\xff" * 40),
    ):
        yield Bomb(f"a record with {name}", batch(ZSTD, compress(ZSTD, record)))


def frames() -> Iterator[Bomb]:
    """Requests that consist of counts: so many topics, members and fields that nobody can mean it."""
    # In a flexible version an empty string is one byte, an empty array one, and no tagged fields another one.
    count = encode_uvarint(8_000_001)
    yield Bomb(
        "Produce with 8,000,000 topics",
        encode_request_header(0, 9, 1, None) + b"\0\xff\xff\0\0\0\1" + count + b"\1\1\0" * 8_000_000 + b"\0",
    )
    join = encode_request_header(11, 6, 1, None) + b"\2g\0\0\x27\x10\0\0\x27\x10\1\0\1"
    yield Bomb("JoinGroup with 8,000,000 protocols", join + count + b"\1\1\0" * 8_000_000 + b"\0")
    count = encode_uvarint(4_000_001)
    yield Bomb("Metadata with 4,000,000 topics", encode_request_header(3, 9, 1, None) + count + b"\1\0" * 4_000_000 + b"\1\0\0\0")
    header = encode_request_header(18, 3, 1, None)[:-1] + encode_uvarint(3_000_000) + b"\x63\0" * 3_000_000
    yield Bomb("ApiVersions with 3,000,000 tagged fields before it", header + b"\2t\2t\0")
    many = encode_request_header(18, 3, 1, None) + b"\2t\2t" + encode_uvarint(3_000_000) + b"\x63\0" * 3_000_000
    yield Bomb("ApiVersions with 3,000,000 tagged fields", many)
    topic = b"\2t" + encode_uvarint(1001) + (b"\0\0\0\1" + bytes(28) + b"\0") * 1000 + b"\0"
    fetch = encode_request_header(1, 12, 1, None) + b"\xff\xff\xff\xff" + bytes(13) + bytes(8)
    yield Bomb("Fetch with 200 times 1,000 partitions", fetch + encode_uvarint(201) + topic * 200 + b"\1\1\0")


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _zstd(head: bytes, zeros: int, declared: int | None = None) -> bytes:
    """A frame of one raw block and blocks that repeat a zero (RFC 8878): 128 KiB in four bytes each."""
    sizes = b"\x00\x70" if declared is None else b"\xc0\x70" + declared.to_bytes(8, "little")  # a window of 16 MiB
    start = b"\x28\xb5\x2f\xfd" + sizes
    repeated = ((ZSTD_BLOCK << 3) | 2).to_bytes(3, "little") + b"\0"
    end = ((1 << 3) | 1).to_bytes(3, "little") + b"\0"
    return start + (len(head) << 3).to_bytes(3, "little") + head + repeated * (zeros // ZSTD_BLOCK) + end
