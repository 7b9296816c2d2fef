"""The five codecs of record batches, with a bound on what a batch may grow to.

    0 none    1 gzip (RFC 1952)    2 snappy (xerial's framing as Java writes it, or one raw block)    3 lz4 (frame format)    4 zstd

A batch says nothing about its decompressed size, 32 KB of zstd may hold 1 GiB of zeros, and a frame that declares its size may lie. So
nothing here trusts a declared size for more than a first guess: the output buffer begins small, grows by factors and never beyond
`size_max`; what does not fit raises CorruptBatchError. gzip is the standard library's, the others are cramjam's, which is imported on
first use.
"""

from __future__ import annotations

from ev.errors import CorruptBatchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev.wire.primitives import Buffer

NONE = 0
GZIP = 1
SNAPPY = 2
LZ4 = 3
ZSTD = 4

NAMES = ("none", "gzip", "snappy", "lz4", "zstd")
CODECS = {"none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

SIZE_MAX = 32 << 20
"""The bound that serves when a caller has no better one: thirty times what a broker takes by default, and opening takes as much again."""

_GZIP_WBITS = 31
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"  # version 1, readable from version 1 on
_XERIAL_BLOCK_SIZE = 32 * 1024
_LZ4_MAGIC = b"\x04\x22\x4d\x18"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_LEVEL = 3
_LZ4_LEVEL = 1
"""The quick compressor, as in librdkafka; from 3 on it looks for more, takes four times as long and saves a tenth."""
_GUESS_MIN = 16 * 1024
_GUESS_MAX = 4 << 20
_GZIP_PIECE_SIZE = 4 << 20


def codec_name(codec: int) -> str:
    """Kafka's name of a codec number, for messages; unknown numbers read as `codec 5`."""
    return NAMES[codec] if 0 <= codec < len(NAMES) else f"codec {codec}"


def compress(codec: int, data: Buffer, level: int | None = None) -> bytes:
    """data in the codec's format, as Kafka's Java client writes it."""
    if codec == NONE:
        return bytes(data)
    if codec == GZIP:
        return _compress_gzip(data, level)
    if codec == SNAPPY:
        return _compress_snappy(data)
    if codec == LZ4:
        return _compress_lz4(data, level)
    if codec == ZSTD:
        import cramjam  # noqa: PLC0415 - 6 ms, and most producers do not compress

        return bytes(cramjam.zstd.compress(data, level=_ZSTD_LEVEL if level is None else level))
    raise ValueError(f"no such codec: {codec}")


def decompress(codec: int, data: Buffer, size_max: int = SIZE_MAX) -> bytes:
    """What compress() was given. CorruptBatchError when it is damaged or would be longer than size_max."""
    if codec == NONE:
        if len(data) > size_max:
            raise _too_large(codec, size_max)
        return bytes(data)
    if codec == GZIP:
        return _decompress_gzip(data, size_max)
    if codec == SNAPPY:
        return _decompress_snappy(data, size_max)
    if codec == LZ4:
        return _decompress_lz4(data, size_max)
    if codec == ZSTD:
        return _decompress_zstd(data, size_max)
    raise CorruptBatchError(f"the batch says it is compressed with codec {codec}, which Kafka does not have")


def _too_large(codec: int, size_max: int) -> CorruptBatchError:
    return CorruptBatchError(f"a {codec_name(codec)} batch decompresses to more than the {size_max} bytes that are allowed")


def _damaged(codec: int, reason: object) -> CorruptBatchError:
    return CorruptBatchError(f"a {codec_name(codec)} batch does not decompress: {reason}")


# gzip


def _compress_gzip(data: Buffer, level: int | None) -> bytes:
    import zlib  # noqa: PLC0415 - like cramjam, only for who compresses

    compressor = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, _GZIP_WBITS)
    return compressor.compress(data) + compressor.flush()


def _decompress_gzip(data: Buffer, size_max: int) -> bytes:
    """What is large is measured first and kept the second time, so that what is too large costs time and no memory."""
    pieces: list[bytes] = []
    size = 0
    for piece in _gunzip(data):
        size += len(piece)
        if size > size_max:
            raise _too_large(GZIP, size_max)
        pieces = [*pieces, piece] if size <= _GZIP_PIECE_SIZE else []
    if size > _GZIP_PIECE_SIZE:
        return b"".join(_gunzip(data))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _gunzip(data: Buffer) -> Iterator[bytes]:
    """Every member of the file, in pieces: Java's reader goes on after the first, too."""
    import zlib  # noqa: PLC0415 - see above

    rest: Buffer = data
    try:
        while True:
            member = zlib.decompressobj(_GZIP_WBITS)
            while not member.eof:
                piece = member.decompress(rest, _GZIP_PIECE_SIZE)
                rest = member.unconsumed_tail
                if not piece and not rest and not member.eof:
                    raise _damaged(GZIP, "it ends too early")
                yield piece
            rest = member.unused_data
            if not rest:
                return
    except zlib.error as error:
        raise _damaged(GZIP, error) from error


# snappy


def _compress_snappy(data: Buffer) -> bytes:
    import cramjam  # noqa: PLC0415 - see above

    pieces = [_XERIAL_HEADER]
    view = memoryview(data)
    for start in range(0, len(view), _XERIAL_BLOCK_SIZE):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK_SIZE]))
        pieces += (len(block).to_bytes(4, "big"), block)
    return b"".join(pieces)


def _decompress_snappy(data: Buffer, size_max: int) -> bytes:
    """Each block begins with its decompressed size, which the decoder holds it to: so all of them are added up before one is opened."""
    import cramjam  # noqa: PLC0415 - see above

    view = memoryview(data)
    blocks = [view] if view[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC else _xerial_blocks(view)
    try:
        if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > size_max:
            raise _too_large(SNAPPY, size_max)
        return b"".join([bytes(cramjam.snappy.decompress_raw(block)) for block in blocks])
    except cramjam.DecompressionError as error:
        raise _damaged(SNAPPY, error) from error


def _xerial_blocks(view: memoryview) -> list[memoryview]:
    """What xerial's framing holds."""
    blocks: list[memoryview] = []
    position = len(_XERIAL_HEADER)
    if len(view) < position:
        raise _damaged(SNAPPY, "its header is cut short")
    while position < len(view):
        size = int.from_bytes(view[position : position + 4], "big")
        position += 4
        if size > len(view) - position:
            raise _damaged(SNAPPY, "a block says it is longer than what is there")
        blocks.append(view[position : position + size])
        position += size
    return blocks


# lz4


def _compress_lz4(data: Buffer, level: int | None) -> bytes:
    """Independent blocks: Java's reader decompresses each block by itself. No content checksum: the batch has its CRC."""
    import cramjam  # noqa: PLC0415 - see above

    compressor = cramjam.lz4.Compressor(level=_LZ4_LEVEL if level is None else level, content_checksum=False, block_linked=False)
    compressor.compress(bytes(data))  # it takes nothing else
    return bytes(compressor.finish())


def _decompress_lz4(data: Buffer, size_max: int) -> bytes:
    import cramjam  # noqa: PLC0415 - see above

    if memoryview(data)[:4] != _LZ4_MAGIC:
        raise _damaged(LZ4, "it does not begin with the magic number of an lz4 frame")
    return _decompress_growing(LZ4, cramjam.lz4.decompress_into, cramjam.DecompressionError, data, size_max, min(len(data) * 4, _GUESS_MAX))


# zstd


def _decompress_zstd(data: Buffer, size_max: int) -> bytes:
    import cramjam  # noqa: PLC0415 - see above

    declared = _zstd_content_size(memoryview(data))
    if declared is not None and declared > size_max:
        raise _too_large(ZSTD, size_max)
    guess = min(len(data) * 8, _GUESS_MAX) if declared is None else declared
    return _decompress_growing(ZSTD, cramjam.zstd.decompress_into, cramjam.DecompressionError, data, size_max, guess)


def _zstd_content_size(data: memoryview) -> int | None:
    """The size that the first frame's header declares (RFC 8878, 3.1.1.1), None when it declares none or is no such header."""
    if len(data) < 6 or bytes(data[:4]) != _ZSTD_MAGIC:
        return None
    descriptor = data[4]
    single_segment = descriptor >> 5 & 1
    size_flag = descriptor >> 6
    if size_flag == 0 and not single_segment:
        return None
    size_bytes = 1 << size_flag
    position = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3]
    field = data[position : position + size_bytes]
    if len(field) < size_bytes:
        return None
    return int.from_bytes(field, "little") + (256 if size_bytes == 2 else 0)


# common


def _decompress_growing(
    codec: int, decompress_into: Callable[[Buffer, bytearray], int], error_class: type[Exception], data: Buffer, size_max: int, guess: int
) -> bytes:
    """Decompress into buffers of growing size, up to size_max; never into two at a time.

    The decoder says only that it failed, in words that differ between versions: so a failure counts as damage when the largest buffer
    failed too. The buffers grow by a factor of eight, so a lie costs little more than the bound itself.
    """
    size = min(max(guess, _GUESS_MIN), size_max)
    output = bytearray()
    while True:
        del output
        output = bytearray(size)
        try:
            written = decompress_into(data, output)
        except error_class as error:
            if size < size_max:
                size = min(size * 8, size_max)
                continue
            if "whole buffer" in str(error):
                raise _too_large(codec, size_max) from error
            raise _damaged(codec, error) from error
        del output[written:]
        return bytes(output)
