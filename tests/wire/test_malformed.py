"""Bytes that lie: the codec says MalformedError, never anything else, and never takes memory on a stranger's word."""

from __future__ import annotations

import contextlib
import random
import tracemalloc

import pytest

from ev.errors import MalformedError
from ev.wire.codec import Message, decode, encode
from ev.wire.compiler import ELEMENTS_MAX
from ev.wire.messages.k00_produce import ProduceRequest
from ev.wire.messages.k01_fetch import FetchRequest
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.primitives import TAGGED_FIELDS_MAX
from support.filled_message import filled, message_classes, versions

CLASSES = message_classes()


def name(cls: type[Message]) -> str:
    return cls.__name__


@pytest.mark.parametrize("cls", CLASSES, ids=name)
def test_a_message_cut_at_any_byte_is_malformed(cls: type[Message]) -> None:
    """No prefix of a message is a message."""
    for version in versions(cls):
        data = encode(filled(cls, version, 1), version)
        for size in range(len(data)):
            with pytest.raises(MalformedError):
                decode(cls, version, data[:size])


@pytest.mark.parametrize("cls", CLASSES, ids=name)
def test_a_message_with_wrong_bytes_is_malformed_or_another_message(cls: type[Message]) -> None:
    """Every byte is replaced in turn, so that every length lies once: large, negative, one too much."""
    chance = random.Random(cls.__name__)
    for version in versions(cls):
        data = bytearray(encode(filled(cls, version, 2), version))
        for position, right in enumerate(data):
            data[position] = chance.choice((0xFF, 0x7F, 0x80, 0x00, (right + 1) & 255, (right - 1) & 255))
            with contextlib.suppress(MalformedError):
                assert decode(cls, version, data)[1] <= len(data)
            data[position] = right


@pytest.mark.parametrize("cls", CLASSES, ids=name)
def test_noise_is_malformed_or_a_message(cls: type[Message]) -> None:
    """Random bytes raise nothing but MalformedError."""
    chance = random.Random(cls.__name__)
    for version in versions(cls):
        for size in (0, 1, 7, 64, 300):
            with contextlib.suppress(MalformedError):
                decode(cls, version, chance.randbytes(size))


@pytest.mark.parametrize(
    ("cls", "version", "frame"),
    [
        pytest.param(MetadataRequest, 1, b"\x7f\xff\xff\xff", id="two thousand million topics"),
        pytest.param(MetadataRequest, 12, b"\xff\xff\xff\xff\x0f" + b"\0" * 20, id="four thousand million compact topics"),
        pytest.param(MetadataRequest, 1, b"\x00\x10\x00\x00" + b"\0" * 100, id="a million topics in a hundred bytes"),
        pytest.param(
            ProduceRequest,
            3,
            b"\xff\xff\0\1\0\0\0\0" + b"\0\0\0\1" + b"\0\1t" + b"\0\0\0\1" + b"\0\0\0\0\x7f\xff\xff\xff",
            id="records of 2 GiB",
        ),
        pytest.param(ProduceRequest, 9, b"\0\0\1\0\0\0\0\2\2t\2" + b"\0\0\0\0\xff\xff\xff\xff\x07", id="compact records of 2 GiB"),
        pytest.param(ApiVersionsRequest, 3, b"\1\1\xff\xff\xff\xff\x0f", id="four thousand million tagged fields"),
        pytest.param(ApiVersionsRequest, 3, b"\1\1\1\0\xff\xff\xff\xff\x0f", id="a tagged field of 4 GiB"),
        pytest.param(FetchRequest, 4, b"\0" * 17 + b"\0\0\0\1\0\1t\x7f\xff\xff\xff" + b"\0" * 64, id="two thousand million partitions"),
    ],
)
def test_a_length_that_lies_costs_no_memory(cls: type[Message], version: int, frame: bytes) -> None:
    """What a frame says it holds is believed only when the bytes are there."""
    with pytest.raises(MalformedError):
        decode(cls, version, frame)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            decode(cls, version, frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def test_a_request_has_so_many_parts_at_most() -> None:
    """Elements of arrays and tagged fields, wherever they are: each is a few bytes in a frame, and an object of a hundred."""
    topics = [MetadataRequestTopic(name="") for _ in range(ELEMENTS_MAX)]
    assert len(decode(MetadataRequest, 9, encode(MetadataRequest(topics=topics), 9))[0].topics or ()) == ELEMENTS_MAX
    with pytest.raises(MalformedError, match="more elements and tagged fields"):
        decode(MetadataRequest, 9, encode(MetadataRequest(topics=[*topics, MetadataRequestTopic(name="")]), 9))
    many = b"\1\1" + bytes((TAGGED_FIELDS_MAX,)) + b"\x63\0" * TAGGED_FIELDS_MAX
    assert decode(ApiVersionsRequest, 3, many)[1] == len(many)
    with pytest.raises(MalformedError, match="128 tagged fields"):
        decode(ApiVersionsRequest, 3, b"\1\1\x80\1" + b"\x63\0" * 128)


def test_null_where_null_is_not_allowed_is_malformed() -> None:
    """A topic name in Metadata 9 cannot be null, in 10 it can."""
    data = encode(MetadataRequest(topics=[MetadataRequestTopic(name=None)]), 10)
    assert decode(MetadataRequest, 10, data)[0].topics == [MetadataRequestTopic(name=None)]
    without_id = b"\x02" + b"\x00" + b"\x00" + b"\x01\x00\x00" + b"\x00"
    with pytest.raises(MalformedError, match="name is null, which is not allowed here"):
        decode(MetadataRequest, 9, without_id)


def test_a_length_below_minus_one_is_malformed_even_where_null_is_allowed() -> None:
    """Kafka writes null as -1 only."""
    with pytest.raises(MalformedError, match="length -2"):
        decode(MetadataRequest, 1, b"\xff\xff\xff\xfe")


def test_text_that_is_not_utf8_is_malformed() -> None:
    """A topic name is text, and half a character is none."""
    with pytest.raises(MalformedError, match="MetadataRequest version 0 does not parse"):
        decode(MetadataRequest, 0, b"\0\0\0\1\0\1\xc3")


def test_a_tagged_field_must_be_as_long_as_it_says() -> None:
    """FetchRequest 12 has the cluster id as tagged field 0."""
    data = encode(FetchRequest(cluster_id="abc"), 12)
    at = data.index(b"\x00\x04\x04abc")
    for size in (3, 5):
        with pytest.raises(MalformedError):
            decode(FetchRequest, 12, data[:at] + b"\x00" + bytes((size,)) + data[at + 2 :])


def test_a_varint_has_at_most_five_bytes() -> None:
    """More would be a number that no field holds."""
    with pytest.raises(MalformedError, match="longer than five bytes"):
        decode(MetadataRequest, 9, b"\xff\xff\xff\xff\xff\x01")
