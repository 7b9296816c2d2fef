"""The codecs give back what they were given, never more than they may, and never an exception of another family."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import resource
import sys
import zlib

import cramjam
import pytest
from aiokafka.codec import lz4_encode, snappy_decode, snappy_encode
from hypothesis import given
from hypothesis import strategies as st

from ev.errors import CorruptBatchError
from ev.wire.compression import CODECS, GZIP, LZ4, NAMES, NONE, SNAPPY, ZSTD, codec_name, compress, decompress

COMPRESSING = (GZIP, SNAPPY, LZ4, ZSTD)
MIB = 1 << 20


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("codec", range(5), ids=NAMES)
@given(data=st.binary(max_size=5_000), repeats=st.integers(1, 50))
def test_what_is_compressed_comes_back(codec: int, data: bytes, repeats: int) -> None:
    """Any bytes, any codec, also when the bound is exactly what they take."""
    data *= repeats
    compressed = compress(codec, data)
    assert decompress(codec, compressed) == data
    assert decompress(codec, memoryview(compressed), len(data)) == data


@pytest.mark.parametrize("codec", range(5), ids=NAMES)
@pytest.mark.parametrize("size", [1, 100_000, 3 * MIB])
def test_one_byte_more_than_allowed_is_refused(codec: int, size: int) -> None:
    """The bound is sharp for random and for repetitive data."""
    for data in (os.urandom(size), bytes(size)):
        compressed = compress(codec, data)
        assert decompress(codec, compressed, size) == data
        with pytest.raises(CorruptBatchError, match="more than"):
            decompress(codec, compressed, size - 1)


@pytest.mark.parametrize("codec", COMPRESSING, ids=NAMES[1:])
@pytest.mark.parametrize("level", [1, 9])
def test_levels_change_the_size_not_the_content(codec: int, level: int) -> None:
    """Every level that a codec has can be read without knowing it."""
    data = b"the same words again and again, " * 500
    assert decompress(codec, compress(codec, data, level)) == data


def zeros_as_snappy_blocks(size: int) -> bytes:
    """Xerial framing whose blocks each hold a MiB of zeros."""
    block = bytes(cramjam.snappy.compress_raw(bytes(MIB)))
    return b"\x82SNAPPY\x00" + b"\0\0\0\1" * 2 + (len(block).to_bytes(4, "big") + block) * (size // MIB)


def bombs() -> list[tuple[int, bytes]]:
    """256 MiB of zeros in each format, made without holding them, and headers that claim more than is there."""
    size = 256 * MIB
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    as_gzip = b"".join(deflate.compress(bytes(MIB)) for _ in range(size // MIB)) + deflate.flush()
    as_lz4 = cramjam.lz4.Compressor()
    as_zstd = cramjam.zstd.Compressor()
    for _ in range(size // MIB):
        as_lz4.compress(bytes(MIB))
        as_zstd.compress(bytes(MIB))
    declared_zstd = b"\x28\xb5\x2f\xfd" + bytes([0xE0]) + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    return [
        (GZIP, as_gzip),
        (SNAPPY, zeros_as_snappy_blocks(size)),
        (SNAPPY, b"\xff\xff\xff\xff\x0f" + bytes(20)),
        (LZ4, bytes(as_lz4.finish())),
        (ZSTD, bytes(as_zstd.finish())),
        (ZSTD, declared_zstd),
    ]


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """A small message that would grow to 256 MiB costs no more than a few times its bound."""
    allowed = 4 * MIB
    bundle = bombs()
    before = peak_rss_bytes()
    for codec, bomb in bundle:
        with pytest.raises(CorruptBatchError):
            decompress(codec, bomb, allowed)
    assert peak_rss_bytes() - before < 6 * allowed


@pytest.mark.parametrize("codec", COMPRESSING, ids=NAMES[1:])
def test_damaged_data_is_a_corrupt_batch(codec: int) -> None:
    """Cut anywhere or with any byte changed: the data comes back, or CorruptBatchError, nothing else."""
    data = b"".join(b"line %d\n" % number for number in range(300))
    compressed = compress(codec, data)
    for size in range(len(compressed)):
        with contextlib.suppress(CorruptBatchError):
            assert decompress(codec, compressed[:size], MIB) != data
    draw = random.Random(codec)
    for _ in range(400):
        damaged = bytearray(compressed)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        with contextlib.suppress(CorruptBatchError):
            decompress(codec, damaged, MIB)


@pytest.mark.parametrize("codec", range(1, 8))
@given(data=st.binary(max_size=300))
def test_noise_is_a_corrupt_batch(codec: int, data: bytes) -> None:
    """Bytes that no compressor wrote, and codecs that nobody has."""
    with contextlib.suppress(CorruptBatchError):
        decompress(codec, data, MIB)


def test_snappy_is_read_with_and_without_framing() -> None:
    """Java frames its blocks, librdkafka sends one raw block; other clients' output is read, ours is read by them."""
    data = os.urandom(50_000) + bytes(50_000)
    assert decompress(SNAPPY, snappy_encode(data, xerial_compatible=True)) == data
    assert decompress(SNAPPY, snappy_encode(data, xerial_compatible=False)) == data
    assert snappy_decode(compress(SNAPPY, data)) == data
    assert compress(SNAPPY, data).startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")


def test_lz4_blocks_are_independent() -> None:
    """Java's reader decompresses every block by itself and refuses a frame that says its blocks lean on each other."""
    data = b"".join(b"%d," % number for number in range(60_000))
    frame = compress(LZ4, data)
    version, independent = frame[4] >> 6, frame[4] >> 5 & 1
    assert (version, independent) == (1, 1)
    assert decompress(LZ4, lz4_encode(data)) == data


def test_gzip_members_are_joined() -> None:
    """A gzip file may be several in a row."""
    assert decompress(GZIP, gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


def test_codecs_have_kafkas_names_and_numbers() -> None:
    """The names are those of `compression.type`, the numbers those of the batch attributes."""
    assert CODECS == {"none": NONE, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
    assert [codec_name(codec) for codec in range(6)] == [*NAMES, "codec 5"]
    with pytest.raises(ValueError, match="no such codec"):
        compress(5, b"")
