"""Which partition a record goes to: by its key as Java's client does it, or to one partition for as long as a batch lasts."""

from __future__ import annotations

from os import urandom
from struct import unpack

from ev.errors import SettingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTITIONERS = ("murmur2", "crc32", "random", "rr", "sticky")
"""murmur2: Java's; crc32: librdkafka's `consistent_random`; random and rr: record by record; sticky: by batch, whatever the key."""

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995
_CACHE_MAX = 1 << 16


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (seed 0x9747b28c), as an unsigned number of 32 bits."""
    size = len(data)
    whole = size & ~3
    state = 0x9747B28C ^ size
    for word in unpack(f"<{whole >> 2}I", data[:whole]):
        mixed = word * _MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> 24) * _MULTIPLIER & _MASK
        state = (state * _MULTIPLIER & _MASK) ^ mixed
    if size > whole:
        state = (state ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return state ^ state >> 15


def murmur2_partition(key: bytes, count: int) -> int:
    """The partition that Java's default partitioner gives a key."""
    return (murmur2(key) & 0x7FFFFFFF) % count


def crc32_partition(key: bytes, count: int) -> int:
    """The partition that librdkafka's `consistent` partitioners give a key."""
    from zlib import crc32  # noqa: PLC0415 - only who asks for it

    return crc32(key) % count


class KeyPartitions(dict[bytes, int]):
    """Partitions by key for one number of partitions; keys come again, and a look-up costs a twentieth of the hash."""

    __slots__ = ("_count", "_hash")

    def __init__(self, key_hash: Callable[[bytes, int], int], count: int) -> None:
        self._hash = key_hash
        self._count = count

    def __missing__(self, key: bytes) -> int:
        if len(self) >= _CACHE_MAX:
            self.clear()
        partition = self[key] = self._hash(key, self._count)
        return partition


class TopicPartitioner:
    """Chooses for one topic. `current` is where records without a key go until `next_batch` moves on to another partition."""

    __slots__ = ("_count", "_keys", "_kind", "_round", "current")

    def __init__(self, kind: str, count: int) -> None:
        if kind not in PARTITIONERS:
            raise SettingError(f"no partitioner is called {kind!r}; there are {', '.join(PARTITIONERS)}")
        self._kind = kind
        self._count = count
        self._keys = KeyPartitions(crc32_partition if kind == "crc32" else murmur2_partition, count)
        self._round = 0
        self.current = _below(count)

    @property
    def count(self) -> int:
        return self._count

    def next_batch(self, available: Sequence[int]) -> None:
        """A batch is full: go on with another partition, one that has a leader if there is one."""
        choices = [partition for partition in available if partition != self.current]
        if choices:
            self.current = choices[_below(len(choices))]

    def ignores_keys(self, keys: Sequence[bytes | None] | None) -> bool:
        """Whether all these records go to `current`."""
        return self._count == 1 or self._kind == "sticky" or (keys is None and self._kind in ("murmur2", "crc32"))

    def partitions(self, keys: Sequence[bytes | None] | None, count: int) -> list[int]:
        """The partition of each of `count` records."""
        if self._kind == "rr":
            start = self._round
            self._round = (start + count) % self._count
            return [(start + index) % self._count for index in range(count)]
        if self._kind == "random" or keys is None:
            return [number % self._count for number in unpack(f"{count}I", urandom(4 * count))]
        current = self.current
        null = (None, b"") if self._kind == "crc32" else (None,)
        by_key = self._keys
        return [current if key in null else by_key[key] for key in keys]  # type: ignore[index]


def _below(bound: int) -> int:
    return int.from_bytes(urandom(4), "little") % bound
