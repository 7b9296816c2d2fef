"""The headers before requests and responses, held against kio's."""

from __future__ import annotations

import pytest
from kio.schema.request_header.v1.header import RequestHeader as HeaderOne
from kio.schema.request_header.v2.header import RequestHeader as HeaderTwo
from kio.static.primitive import i16, i32

from ev.errors import MalformedError
from ev.wire.catalog import API
from ev.wire.header import (
    RequestHeader,
    decode_request_header,
    decode_response_header,
    encode_request_header,
    response_header,
    response_header_size,
)
from support.kio_oracle import kio_class, kio_encode


@pytest.mark.parametrize("client_id", ["", "console", "ünï", None])
def test_every_request_header_is_as_kio_writes_it(client_id: str | None) -> None:
    """The second form, with tagged fields, for flexible versions; the client id never changes its form."""
    for api in API.values():
        for version in range(api.min_version, api.max_version + 1):
            header = kio_class(api.request, version).__header_schema__
            data = encode_request_header(api.key, version, 123456, client_id)
            values = (i16(api.key), i16(version), i32(123456))
            twin = (HeaderTwo if header is HeaderTwo else HeaderOne)(
                request_api_key=values[0], request_api_version=values[1], correlation_id=values[2], client_id=client_id
            )
            assert data == kio_encode(twin)
            assert decode_request_header(data + b"body") == (RequestHeader(api.key, version, 123456, client_id), len(data))


def test_every_response_header_has_the_form_that_kio_expects() -> None:
    """ApiVersions has the first form in every version."""
    for api in API.values():
        for version in range(api.min_version, api.max_version + 1):
            form = kio_class(api.response, version).__header_schema__.__version__
            data = response_header(api.key, version, -5)
            assert data == b"\xff\xff\xff\xfb" + b"\0" * form
            assert response_header_size(api.key, version) == len(data)
            assert decode_response_header(data + b"body", api.key, version) == (-5, len(data))


def test_a_header_of_an_unknown_api_or_version_is_still_read() -> None:
    """The broker has to answer it: the id of the request is needed."""
    for key, version in ((999, 0), (18, 99), (0, -1), (4, 3)):
        data = encode_request_header(key, version, 7, "x")
        assert decode_request_header(data)[0] == RequestHeader(key, version, 7, "x")


def test_tagged_fields_of_a_header_are_skipped() -> None:
    """Nobody has defined one yet."""
    data = encode_request_header(3, 12, 7, "x")[:-1] + b"\x01\x05\x02ab"
    assert decode_request_header(data) == (RequestHeader(3, 12, 7, "x"), len(data))
    assert decode_response_header(b"\0\0\0\x07\x01\x05\x02ab", 3, 12) == (7, 9)


def test_a_header_cut_at_any_byte_is_malformed() -> None:
    """Requests and responses alike."""
    request = encode_request_header(3, 12, 7, "client")[:-1] + b"\x01\x05\x02ab"
    response = b"\0\0\0\x07\x01\x05\x02ab"
    for size in range(len(request)):
        with pytest.raises(MalformedError):
            decode_request_header(request[:size])
    for size in range(len(response)):
        with pytest.raises(MalformedError):
            decode_response_header(response[:size], 3, 12)


@pytest.mark.parametrize("size", [b"\x7f\xff", b"\xff\xfe", b"\x80\x00"])
def test_a_client_id_that_lies_about_its_size_is_malformed(size: bytes) -> None:
    """Too long, or negative but not null."""
    with pytest.raises(MalformedError):
        decode_request_header(b"\0\x03\0\0\0\0\0\x07" + size + b"abc")


def test_a_client_id_that_is_not_text_is_malformed() -> None:
    """It is printed in logs and groups."""
    with pytest.raises(MalformedError):
        decode_request_header(b"\0\x03\0\0\0\0\0\x07\0\x01\xff")
