"""The smallest pieces of the wire: variable-length integers and the types that messages are made of."""

from __future__ import annotations

from ev.errors import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview
    Records: TypeAlias = bytes | bytearray | memoryview | list[Buffer]
    """Record batches in a message to send: one buffer, or several that are sent one after the other without joining them."""

ZERO_UUID = bytes(16)
"""The topic id that means 'none'."""

ONE_BYTE = [bytes((value,)) for value in range(128)]
"""The unsigned varints of one byte."""

TAGGED_FIELDS_MAX = 127
"""No message has nearly as many; each of them costs time and takes two bytes to say."""


def encode_uvarint(value: int) -> bytes:
    """An unsigned varint: seven bits a byte, the lowest first, the top bit set while more bytes follow."""
    if value < 128:
        return ONE_BYTE[value]
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_uvarint(buffer: Buffer, position: int) -> tuple[int, int]:
    """The unsigned varint at `position` and the position after it."""
    if position >= len(buffer):
        raise MalformedError(f"a varint begins at byte {position}, where the buffer ends")
    return finish_uvarint(buffer, position + 1, buffer[position])


def finish_uvarint(buffer: Buffer, position: int, first: int) -> tuple[int, int]:
    """The rest of an unsigned varint whose first byte is known; at most 32 bits. Raises IndexError where the buffer ends."""
    value = first & 127
    shift = 7
    while first > 127:
        if shift > 28:
            raise MalformedError(f"a varint before byte {position} is longer than five bytes")
        first = buffer[position]
        position += 1
        value |= (first & 127) << shift
        shift += 7
    return value, position


def skip_tagged_fields(buffer: Buffer, position: int, count: int) -> int:
    """The position after `count` tagged fields that nobody here knows. Raises IndexError where the buffer ends."""
    if count > 127:
        count, position = finish_uvarint(buffer, position, count)
    if count > TAGGED_FIELDS_MAX:
        raise MalformedError(f"{count} tagged fields before byte {position}; at most {TAGGED_FIELDS_MAX} are read")
    for _ in range(count):
        _, position = finish_uvarint(buffer, position + 1, buffer[position])
        size, position = finish_uvarint(buffer, position + 1, buffer[position])
        position += size
    return position


def split_uuids(buffer: Buffer, position: int, count: int) -> list[bytes]:
    """`count` uuids that follow each other."""
    return [bytes(buffer[start : start + 16]) for start in range(position, position + 16 * count, 16)]
