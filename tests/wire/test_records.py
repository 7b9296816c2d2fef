"""Record batches: what is written is what other implementations read, what they write is read, and no bytes raise anything else."""

from __future__ import annotations

import contextlib
import random
import struct
import sys
import threading
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from ev.errors import CorruptBatchError, MalformedError
from ev.wire import plain_records, record_varints
from ev.wire.checksum import crc32c
from ev.wire.compression import NAMES
from ev.wire.record_varints import varint
from ev.wire.records import (
    CONTROL,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    LOG_OVERHEAD,
    RECORDS_MAX,
    TRANSACTIONAL,
    Columns,
    check_crc,
    decode_batch,
    encode_batch,
    headers,
    patch,
    read_header,
    with_producer,
)

NULLABLE = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=20)), max_size=3)
TIMESTAMPS = st.integers(0, 1 << 42)
RECORDS = st.lists(st.tuples(NULLABLE, NULLABLE, HEADERS, TIMESTAMPS), min_size=1, max_size=80)
Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]


def rows_of(columns: Columns) -> list[tuple[object, ...]]:
    """Columns as rows, headers as lists."""
    assert len(columns.timestamps) == len(columns.keys) == len(columns.values) == len(columns.headers) == len(columns)
    return list(
        zip(columns.offsets, columns.timestamps, columns.keys, columns.values, [list(pairs) for pairs in columns.headers], strict=True)
    )


def encode_rows(rows: list[Row], **options: Any) -> bytes:
    """A batch of (value, key, headers, timestamp)."""
    values, keys, header_column, timestamps = (list(column) for column in zip(*rows, strict=True))
    return encode_batch(values, keys=keys, headers=header_column, timestamps=timestamps, **options)


@given(rows=RECORDS, compression=st.integers(0, 4), base_offset=st.integers(0, 1 << 40))
def test_columns_come_back(rows: list[Row], compression: int, base_offset: int) -> None:
    """Nulls, empty bytes, headers, any timestamps, any codec."""
    batch = encode_rows(rows, compression=compression, base_offset=base_offset)
    expected = [(base_offset + index, timestamp, key, value, pairs) for index, (value, key, pairs, timestamp) in enumerate(rows)]
    assert rows_of(decode_batch(batch)) == expected
    assert check_crc(batch, 0, len(batch))


@given(values=st.lists(st.binary(max_size=20_000), min_size=1, max_size=30), repeats=st.integers(1, 20))
def test_plain_values_come_back(values: list[bytes], repeats: int) -> None:
    """The fast way for records that have nothing but a value."""
    values = values * repeats
    columns = decode_batch(encode_batch(values, timestamps=7))
    assert columns.values == values
    assert columns.keys == [None] * len(values)
    assert columns.timestamps == [7] * len(values)
    assert list(columns.offsets) == list(range(len(values)))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 8191, 8192, 8193, 30_000])
@pytest.mark.parametrize("size", [0, 1, 57, 58, 59, 63, 64, 100, 8_100])
def test_values_of_one_size_come_back(count: int, size: int) -> None:
    """Around the places where a varint grows by a byte."""
    if count * size > 30_000_000:
        count = 3_000
    values = [bytes([index & 255]) * size for index in range(count)]
    assert decode_batch(encode_batch(values)).values == values


def test_values_of_many_sizes_one_after_the_other_come_back() -> None:
    """What is kept of one size is not taken for another, nor for more records than it was made for."""
    for size, count in ((3, 10), (5, 70), (3, 100), (4, 9), (6, 9), (7, 9), (5, 70), (3, 9000), (3, 8)):
        values = [b"%0*d" % (size, index % 1000) for index in range(count)]
        assert decode_batch(encode_batch(values)).values == values, (size, count)


@pytest.mark.parametrize("keyed", [False, True])
def test_threads_that_begin_together_write_the_same(keyed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a producer of its own; what they keep for the next batch they share."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for attempt in range(10):
            monkeypatch.setattr(record_varints, "_offsets", [])
            monkeypatch.setattr(plain_records, "_heads_by_size", {})
            batches: list[bytes] = []
            ready = threading.Barrier(4)

            def write(count: int, batches: list[bytes] = batches, ready: threading.Barrier = ready) -> None:
                values = [b"value"] * count
                ready.wait()
                batches.append(encode_batch(values, keys=values if keyed else None))

            threads = [threading.Thread(target=write, args=(100 + attempt + number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for batch in batches:
                columns = decode_batch(batch)
                assert list(columns.offsets) == list(range(len(columns)))
                assert columns.values == [b"value"] * len(columns)
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("compression", range(5), ids=NAMES)
@given(rows=RECORDS)
def test_another_implementation_reads_what_we_write(compression: int, rows: list[Row]) -> None:
    """aiokafka's reader gives the same records and accepts the checksum."""
    batch = encode_rows(rows, compression=compression, producer_id=9, producer_epoch=1, base_sequence=5)
    reader = DefaultRecordBatch(bytearray(batch))
    assert reader.validate_crc()
    assert [(record.value, record.key, list(record.headers), record.timestamp) for record in reader] == rows
    assert (reader.producer_id, reader.producer_epoch, reader.base_sequence) == (9, 1, 5)


@pytest.mark.parametrize("compression", range(5), ids=NAMES)
@given(rows=RECORDS)
def test_what_another_implementation_writes_is_read(compression: int, rows: list[Row]) -> None:
    """Batches of aiokafka's writer, compressed by it."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 20)
    for index, (value, key, pairs, timestamp) in enumerate(rows):
        builder.append(index, timestamp, key, value, pairs)
    batch = bytes(builder.build())
    assert check_crc(batch, 0, len(batch))
    expected = [(index, timestamp, key, value, pairs) for index, (value, key, pairs, timestamp) in enumerate(rows)]
    assert rows_of(decode_batch(batch)) == expected


def test_the_bytes_are_kafkas() -> None:
    """One small batch, byte by byte from the format's description."""
    record = b"\x00" + b"\x00" + b"\x00" + b"\x02k" + b"\x04vv" + b"\x02" + b"\x02h" + b"\x01"
    second = b"\x00" + b"\x06" + b"\x02" + b"\x01" + b"\x01" + b"\x00"
    records = varint(len(record)) + record + varint(len(second)) + second
    checked = struct.pack(">hiqqqhii", 0, 1, 1000, 1003, 77, 3, 12, 2) + records
    expected = struct.pack(">qiibI", 42, 9 + len(checked), 6, 2, crc32c(checked)) + checked
    batch = encode_batch(
        [b"vv", None],
        keys=[b"k", None],
        headers=[[("h", None)], []],
        timestamps=[1000, 1003],
        producer_id=77,
        producer_epoch=3,
        base_sequence=12,
        base_offset=42,
        leader_epoch=6,
    )
    assert batch == expected


def test_the_header_tells_everything_about_the_batch() -> None:
    """Every field, and what follows from them."""
    batch = encode_batch(
        [b"a", b"b", b"c"], timestamps=[5, 9, 7], producer_id=1, producer_epoch=2, base_sequence=0x7FFFFFFE, base_offset=10
    )
    header = read_header(b"junk" + batch, 4)
    assert (header.base_offset, header.last_offset, header.record_count, header.size) == (10, 12, 3, len(batch))
    assert (header.base_timestamp, header.max_timestamp, header.leader_epoch, header.magic) == (5, 9, -1, 2)
    assert header.last_sequence == 0
    assert not (header.codec)
    assert not (header.is_control)
    assert not (header.is_transactional)
    assert not (header.is_log_append_time)
    marked = read_header(encode_batch([b"x"], compression=4, attributes=CONTROL | TRANSACTIONAL | LOG_APPEND_TIME))
    assert marked.codec == 4
    assert marked.is_control
    assert marked.is_transactional
    assert marked.is_log_append_time
    assert marked.last_sequence == -1
    assert "base_offset=10" in repr(header)


def test_patching_leaves_the_checksum_valid() -> None:
    """The broker writes offset and leader epoch into a batch without touching anything that is checked."""
    batch = bytearray(encode_batch([b"x", b"y"]))
    patch(batch, 0, 1 << 40, 7)
    header = read_header(batch)
    assert (header.base_offset, header.leader_epoch) == (1 << 40, 7)
    assert check_crc(batch, 0, len(batch))
    assert list(decode_batch(batch).offsets) == [1 << 40, (1 << 40) + 1]


def test_a_batch_gets_a_new_producer() -> None:
    """Id, epoch and sequence change, records and validity do not."""
    batch = encode_batch([b"x", b"y"], producer_id=1, producer_epoch=0, base_sequence=0)
    renumbered = with_producer(batch, 8, 9, 10)
    header = read_header(renumbered)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (8, 9, 10)
    assert check_crc(renumbered, 0, len(renumbered))
    assert decode_batch(renumbered).values == [b"x", b"y"]


def test_log_append_time_is_every_records_timestamp() -> None:
    """With that attribute the broker's time, kept in the max timestamp, is what consumers see."""
    batch = bytearray(encode_batch([b"x", b"y"], timestamps=[5, 9], attributes=LOG_APPEND_TIME))
    struct.pack_into(">q", batch, 35, 1234)
    assert decode_batch(batch).timestamps == [1234, 1234]


def test_compaction_leaves_gaps_in_the_offsets() -> None:
    """Offsets come from each record's delta, the last offset from the header; a batch without records is none the worse."""
    batch = bytearray(encode_batch([b"a", b"b", b"c"], keys=[b"1", b"2", b"3"], base_offset=100))
    header = read_header(batch)
    body = bytes(batch[HEADER_SIZE:])
    size = body[0] >> 1
    without_middle = body[: size + 1] + body[2 * (size + 1) :]
    kept = batch[:HEADER_SIZE] + without_middle
    struct.pack_into(">i", kept, 8, len(kept) - LOG_OVERHEAD)
    struct.pack_into(">i", kept, 57, 2)
    columns = decode_batch(kept)
    assert list(columns.offsets) == [100, 102]
    assert columns.values == [b"a", b"c"]
    empty = batch[:HEADER_SIZE]
    struct.pack_into(">i", empty, 8, HEADER_SIZE - LOG_OVERHEAD)
    struct.pack_into(">i", empty, 57, 0)
    assert len(decode_batch(empty)) == 0
    assert header.last_offset == 102


def test_a_partial_batch_ends_the_iteration() -> None:
    """A Fetch response may end anywhere; whole batches before that come out."""
    first, second = encode_batch([b"1"]), encode_batch([b"2"], base_offset=1)
    whole = first + second
    for size in range(len(whole) + 1):
        found = [(position, header.base_offset) for position, header in headers(memoryview(whole)[:size])]
        assert found == [(0, 0), (len(first), 1)][: (size >= len(first)) + (size >= len(whole))]


@pytest.mark.parametrize(("size", "length"), [(0, None), (60, None), (61, 48), (61, 0), (61, -1)])
def test_a_header_that_lies_is_malformed(size: int, length: int | None) -> None:
    """Too short, or with a length below its own size."""
    batch = bytearray(encode_batch([b"x"])[:size])
    if length is not None:
        struct.pack_into(">i", batch, 8, length)
    with pytest.raises(MalformedError):
        read_header(batch)


def test_another_format_is_refused_by_its_number() -> None:
    """Messages from before Kafka 0.11 are not guessed at."""
    batch = bytearray(encode_batch([b"x"]))
    batch[16] = 1
    with pytest.raises(CorruptBatchError, match="format 1"):
        decode_batch(batch)


def test_a_wrong_checksum_is_noticed() -> None:
    """One flipped bit anywhere under the checksum, or a size that goes past the buffer."""
    batch = encode_batch([b"some value"] * 3)
    draw = random.Random(3)
    for _ in range(100):
        damaged = bytearray(batch)
        damaged[draw.randrange(17, len(batch))] ^= 1 << draw.randrange(8)
        assert not check_crc(damaged, 0, len(damaged))
    assert not check_crc(batch, 0, len(batch) + 1)
    assert not check_crc(batch, 0, HEADER_SIZE - 1)


@pytest.mark.parametrize("compression", [0, 1])
def test_a_record_count_that_lies_is_corrupt(compression: int) -> None:
    """More or fewer records than there are, and counts that would need gigabytes."""
    batch = encode_batch([b"x"] * 10, compression=compression)
    for count in (-1, 0, 9, 11, 1000, 0x7FFFFFFF):
        lying = bytearray(batch)
        struct.pack_into(">i", lying, 57, count)
        with pytest.raises(CorruptBatchError):
            decode_batch(lying)


@pytest.mark.parametrize("plain", [True, False])
def test_damaged_records_are_a_corrupt_batch(plain: bool) -> None:
    """With the checksum ignored: changed bytes give records or CorruptBatchError, nothing else, and never bytes from outside the batch."""
    values = [b"value %d" % index for index in range(100)]
    batch = encode_batch(values) if plain else encode_batch(values, keys=values, headers=[[("name", b"v")]] * 100)
    draw = random.Random(11)
    for _ in range(3_000):
        damaged = bytearray(batch)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(HEADER_SIZE, len(batch))] = draw.randrange(256)
        try:
            columns = decode_batch(damaged)
        except CorruptBatchError:
            continue
        assert len(rows_of(columns)) == 100
        assert sum(len(value or b"") for value in columns.values) <= len(batch)


@given(header=st.binary(min_size=45, max_size=45), body=st.binary(max_size=200), length=st.integers(49, 300))
def test_noise_with_a_good_length_is_a_corrupt_batch(header: bytes, body: bytes, length: int) -> None:
    """No bytes raise anything but MalformedError."""
    buffer = bytes(8) + struct.pack(">iib", length, 0, 2) + header[:44] + body
    with contextlib.suppress(MalformedError):
        rows_of(decode_batch(buffer, decompressed_size_max=1 << 20))


def test_a_batch_that_grows_too_much_is_refused() -> None:
    """The bound on the decompressed size holds for whole batches, the uncompressed ones excepted, which are as large as they are."""
    batch = encode_batch([bytes(100_000)], compression=4)
    assert len(decode_batch(batch, decompressed_size_max=200_000)) == 1
    with pytest.raises(CorruptBatchError, match="more than"):
        decode_batch(batch, decompressed_size_max=50_000)


def test_a_large_batch_may_grow_as_texts_do() -> None:
    """Without a bound of the caller's 32 MiB are the most for a small batch; one that is large itself may be 16 times as large inside."""
    small, large = bytes(33 << 20), random.Random(7).randbytes(3 << 20) + bytes(32 << 20)
    with pytest.raises(CorruptBatchError, match="more than"):
        decode_batch(encode_batch([small], compression=4))
    assert decode_batch(encode_batch([large], compression=4)).values == [large]


def test_a_batch_of_too_many_records_is_not_opened() -> None:
    """Seven bytes each, next to nothing when compressed: a batch of 20 KB would take gigabytes."""
    batch = encode_batch([b""] * (RECORDS_MAX + 1), compression=4)
    with pytest.raises(CorruptBatchError, match="is not opened"):
        decode_batch(batch)


def test_an_empty_batch_is_a_mistake_of_the_caller() -> None:
    """Kafka refuses batches without records, so none is written."""
    with pytest.raises(ValueError, match="at least one"):
        encode_batch([])


def test_the_checksum_is_crc32c() -> None:
    """The check value of the CRC catalogue, whole and in two parts."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"56789", crc32c(b"1234")) == 0xE3069283
