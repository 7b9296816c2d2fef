"""The headers that stand before every request and every response.

    request   int16 api key | int16 api version | int32 correlation id | nullable string client id | [tagged fields]
    response  int32 correlation id | [tagged fields]

The tagged fields are there when the version of the API is flexible; the client id has its old form in every version. A response to
ApiVersions never has them, because a client reads it before the two sides have agreed on anything.
"""

from __future__ import annotations

from struct import Struct, error

from ev.errors import MalformedError
from ev.wire.catalog import API_VERSIONS, FLEXIBLE_FROM
from ev.wire.primitives import skip_tagged_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.wire.primitives import Buffer

_FIXED = Struct(">hhih")
_NEVER = 32768


class RequestHeader:
    """Which request this is, in which version, from whom, and the number that its response will carry."""

    __slots__ = ("api_key", "api_version", "client_id", "correlation_id")

    def __init__(self, api_key: int, api_version: int, correlation_id: int, client_id: str | None = None) -> None:
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
        self.client_id = client_id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequestHeader):
            return NotImplemented
        mine = (self.api_key, self.api_version, self.correlation_id, self.client_id)
        return mine == (other.api_key, other.api_version, other.correlation_id, other.client_id)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RequestHeader({self.api_key}, {self.api_version}, {self.correlation_id}, {self.client_id!r})"


def decode_request_header(frame: Buffer, position: int = 0) -> tuple[RequestHeader, int]:
    """The header and the position of the body. A key or version that nobody knows is no error here: the caller answers it."""
    try:
        key, version, correlation_id, size = _FIXED.unpack_from(frame, position)
        position += 10
        client_id = None
        if size >= 0:
            start = position
            position += size
            client_id = str(frame[start:position], "utf-8")
        if version >= FLEXIBLE_FROM.get(key, _NEVER):
            count = frame[position]
            position += 1
            if count:
                position = skip_tagged_fields(frame, position, count)
    except (error, IndexError, UnicodeDecodeError) as problem:
        raise MalformedError(f"no request header in {len(frame)} bytes: {problem}") from None
    if position > len(frame) or size < -1:
        raise MalformedError(f"the client id of a request says {size} bytes, in a frame of {len(frame)}")
    return RequestHeader(key, version, correlation_id, client_id), position


def encode_request_header(api_key: int, api_version: int, correlation_id: int, client_id: str | None) -> bytes:
    """The header with the newest layout that the API version allows."""
    name = b"" if client_id is None else client_id.encode()
    size = -1 if client_id is None else len(name)
    end = b"\0" if api_version >= FLEXIBLE_FROM.get(api_key, _NEVER) else b""
    return _FIXED.pack(api_key, api_version, correlation_id, size) + name + end


def response_header_size(api_key: int, api_version: int) -> int:
    """4 bytes, or 5 with the empty tagged fields."""
    return 5 if api_key != API_VERSIONS and api_version >= FLEXIBLE_FROM.get(api_key, _NEVER) else 4


def response_header(api_key: int, api_version: int, correlation_id: int) -> bytes:
    """What stands before the body of a response."""
    number = (correlation_id & 0xFFFFFFFF).to_bytes(4, "big")
    is_flexible = api_version >= FLEXIBLE_FROM.get(api_key, _NEVER) and api_key != API_VERSIONS
    return number + b"\0" if is_flexible else number


def decode_response_header(frame: Buffer, api_key: int, api_version: int, position: int = 0) -> tuple[int, int]:
    """The correlation id of a response and the position of its body; the version is that of the request."""
    body = position + 4
    if len(frame) < body:
        raise MalformedError(f"no response header in {len(frame)} bytes")
    correlation_id = int.from_bytes(frame[position:body], "big", signed=True)
    if response_header_size(api_key, api_version) == 5:
        try:
            body = skip_tagged_fields(frame, body + 1, frame[body])
        except IndexError:
            raise MalformedError(f"the response header in {len(frame)} bytes does not end") from None
    if body > len(frame):
        raise MalformedError(f"the response header in {len(frame)} bytes does not end")
    return correlation_id, body
