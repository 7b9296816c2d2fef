"""The only door to chance: random bytes, ids and numbers."""

from __future__ import annotations

import random
import secrets
from typing import Protocol, TypeAlias

Bytes: TypeAlias = bytes

RESERVED_UUID_MAX = 100
"""Kafka keeps the topic ids 0 to 99 for itself (0 is "none", 1 is the metadata topic)."""


class Randomness(Protocol):
    def uuid(self) -> Bytes:
        """16 bytes, a version 4 UUID whose base64url text does not begin with "-" (Kafka's tools would take it for an option)."""

    def integer(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""

    def bytes(self, count: int) -> Bytes: ...


def _uuid_from(raw: bytes) -> bytes | None:
    """The version 4 UUID of 16 random bytes, or None when Kafka would not use it."""
    value = bytearray(raw)
    value[6] = (value[6] & 0x0F) | 0x40
    value[8] = (value[8] & 0x3F) | 0x80
    starts_with_dash = value[0] >> 2 == 0b111110
    reserved = int.from_bytes(value, "big") < RESERVED_UUID_MAX
    return None if starts_with_dash or reserved else bytes(value)


class SystemRandomness:
    """The operating system's source: unpredictable."""

    __slots__ = ()

    def bytes(self, count: int) -> Bytes:
        return secrets.token_bytes(count)

    def uuid(self) -> Bytes:
        while True:
            value = _uuid_from(secrets.token_bytes(16))
            if value is not None:
                return value

    def integer(self, bound: int) -> int:
        return secrets.randbelow(bound)


class SeededRandomness:
    """The same sequence for the same seed: for tests and simulations."""

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> Bytes:
        return self._random.randbytes(count)

    def uuid(self) -> Bytes:
        while True:
            value = _uuid_from(self._random.randbytes(16))
            if value is not None:
                return value

    def integer(self, bound: int) -> int:
        return self._random.randrange(bound)
